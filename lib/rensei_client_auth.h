/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The authentication of a client by one method or the other, for
 * rensei_grant.c. Each failure costs the same and says the same, and has an
 * event m2m.auth_failed that says why.
 */
#ifndef RENSEI_CLIENT_AUTH_H
#define RENSEI_CLIENT_AUTH_H

#include "rensei_client.h"

/** By a secret, that of a rotation included. Unknown, wrong, revoked, suspended
 * and expired give the same err INVALID_CLIENT; the event is the client's
 * organisation's, or the system's.
 * @param method how it came: RENSEI_AUTH_BASIC or _POST; NULL: any will do
 * @param out its secret_expires_at is that of the secret that was shown */
apr_status_t rensei_client_auth_secret(rensei_client_t *out, rensei_store_t *st,
                                       const char *id, const char *secret,
                                       const char *method,
                                       const rensei_actor_t *actor,
                                       apr_pool_t *p, rensei_err_t *err);

/** By an assertion (RFC 7523), which is then used up.
 * @param audiences what it may be addressed to; NULL: nothing, so it fails
 * @param again it was good before, in another try of this request */
apr_status_t rensei_client_auth_assertion(
    rensei_client_t *out, rensei_store_t *st, const char *id,
    const char *assertion, const char *const *audiences, int again,
    const rensei_actor_t *actor, apr_pool_t *p, rensei_err_t *err);

/** Refuses a client that has proved who it is, as one that has not: the same
 * err INVALID_CLIENT.
 * @param reason for the event alone */
apr_status_t rensei_client_auth_refuse(rensei_client_t *c, rensei_store_t *st,
                                       const char *reason,
                                       const rensei_actor_t *actor,
                                       apr_pool_t *p, rensei_err_t *err);

/** When the client can no longer authenticate as it just did: its own end, or
 * that of the secret it showed, whichever is first. Epoch ms, 0: never */
apr_int64_t rensei_client_auth_end(const rensei_client_t *c);

#endif
