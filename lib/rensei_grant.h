/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Grants: the exchange of a client's credentials for an access token
 * (client_credentials, RFC 6749 4.4).
 */
#ifndef RENSEI_GRANT_H
#define RENSEI_GRANT_H

#include "rensei_client.h"
#include "rensei_jwt.h"

#define RENSEI_TOKEN_LIFETIME_DEFAULT 3600 /* seconds */

/** What a virtual host puts into its tokens. */
typedef struct rensei_issuer_t {
    const rensei_ring_t *ring;
    const char *issuer, *audience;
    apr_int64_t lifetime; /* seconds, where the client has none of its own */
    const rensei_vocab_t *vocab;
} rensei_issuer_t;

typedef struct rensei_token_request_t {
    const char *grant_type, *client_id, *client_secret;
    const char *scope; /* NULL: all that the client has */
} rensei_token_request_t;

typedef struct rensei_token_t {
    const char *access_token;
    apr_int64_t expires_in; /* seconds */
    const char *scope;
} rensei_token_t;

/** Authenticates the client and issues a token, with event m2m.token_issued,
 * which is durable when this returns.
 * @return err UNSUPPORTED_GRANT, INVALID_REQUEST, INVALID_CLIENT,
 *   INVALID_SCOPE, UNAVAILABLE */
apr_status_t rensei_grant_token(rensei_token_t *out, rensei_store_t *st,
                                const rensei_issuer_t *iss,
                                const rensei_token_request_t *req,
                                const rensei_actor_t *actor, apr_pool_t *p,
                                rensei_err_t *err);

#endif
