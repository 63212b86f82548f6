/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What the changes of a client have in common, for the files of the clients'
 * rules: the row is locked, changed, and the change told, in one transaction.
 */
#ifndef RENSEI_CLIENT_CHANGE_H
#define RENSEI_CLIENT_CHANGE_H

#include "rensei_client_row.h"

/** NOT_FOUND, in the same words for an absent client and for another
 * organisation's. */
apr_status_t rensei_client_none(rensei_err_t *err);

/** Begins a transaction, for what has the form of a client's id.
 * @return err NOT_FOUND, UNAVAILABLE; then none has begun */
apr_status_t rensei_client_begin(rensei_store_t *st, const char *id,
                                 apr_pool_t *p, rensei_err_t *err);

/** Locks the row and reads it: what was read stays true until it is written.
 * @param status the stored one: out->status can be "expired". NULL: not asked
 * @return err CONFLICT for a revoked client, NOT_FOUND */
apr_status_t rensei_client_hold(rensei_client_t *out, const char **status,
                                rensei_store_t *st, const char *org,
                                const char *id, apr_pool_t *p,
                                rensei_err_t *err);

/** What goes with each change: its event, the word to all gateways, and the
 * client as it now is.
 * @param details taken over */
apr_status_t rensei_client_tell(rensei_client_t *out, rensei_store_t *st,
                                const char *event, const char *org,
                                const char *id, json_t *details,
                                const rensei_actor_t *actor, apr_pool_t *p,
                                rensei_err_t *err);

/** Has the client's secret, or in a rotation the old one, ended? What has
 * ended never comes back. */
int rensei_client_secret_ended(const rensei_client_t *c, apr_int64_t now_ms);

#endif
