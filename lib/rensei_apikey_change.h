/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What the files of the keys' rules share: a token in the making, and what
 * goes with each change of a key.
 */
#ifndef RENSEI_APIKEY_CHANGE_H
#define RENSEI_APIKEY_CHANGE_H

#include "rensei_apikey.h"
#include "rensei_id.h"

/** A new token: to show once, and what is stored of it. */
typedef struct rensei_apikey_token_t {
    const char *text;
    const char *prefix;
    const char *last4;
    char digest[RENSEI_DIGEST_LEN + 1];
} rensei_apikey_token_t;

apr_status_t rensei_apikey_token(rensei_apikey_token_t *out, rensei_store_t *st,
                                 apr_pool_t *p, rensei_err_t *err);

/** NOT_FOUND, in the same words for an absent key and for another
 * organisation's. */
apr_status_t rensei_apikey_none(rensei_err_t *err);

/** Begins a transaction, for what has the form of a key's id.
 * @return err NOT_FOUND, UNAVAILABLE; then none has begun */
apr_status_t rensei_apikey_begin(rensei_store_t *st, const char *id,
                                 apr_pool_t *p, rensei_err_t *err);

/** What goes with each change: its event, the word to all gateways, and the
 * key as it now is.
 * @param details taken over */
apr_status_t rensei_apikey_tell(rensei_apikey_t *out, rensei_store_t *st,
                                const char *event, const char *org,
                                const char *id, json_t *details,
                                const rensei_actor_t *actor, apr_pool_t *p,
                                rensei_err_t *err);

#endif
