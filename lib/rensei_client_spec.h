/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What a client's fields may be, for the functions of rensei_client.c: every
 * spec is checked there again, whether it came from JSON or from a command
 * line.
 */
#ifndef RENSEI_CLIENT_SPEC_H
#define RENSEI_CLIENT_SPEC_H

#include "rensei_client.h"

/** Checks all that spec sets, but the scopes, which the grantor decides.
 * @param creating name and scopes are needed, status is not taken; else at
 *   least one field is needed, workspace is not taken
 * @param now epoch ms: a new client, and its secret, expire later than this */
apr_status_t rensei_client_spec_check(const rensei_client_spec_t *spec,
                                      int creating, apr_int64_t now,
                                      apr_pool_t *p, rensei_err_t *err);

/** Checks what fields say together: a method and its keys, and whether what a
 * token can carry fits into one.
 * @param was the client as it is, NULL for a new one
 * @param now the client as spec would have it */
apr_status_t rensei_client_spec_fits(const rensei_client_spec_t *spec,
                                     const rensei_client_t *was,
                                     const rensei_client_t *now, apr_pool_t *p,
                                     rensei_err_t *err);

/** Does a client of this method authenticate with a key, and has no secret?
 * NULL: no. */
int rensei_client_by_key(const char *method);

/** The fields that spec sets, as they are called in JSON; a new reference to
 * an array. */
json_t *rensei_client_spec_fields(const rensei_client_spec_t *spec);

#endif
