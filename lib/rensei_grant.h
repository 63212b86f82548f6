/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Grants: the exchange of a client's credentials for an access token
 * (client_credentials, RFC 6749 4.4), and the client's authentication, which
 * other endpoints ask for as well.
 */
#ifndef RENSEI_GRANT_H
#define RENSEI_GRANT_H

#include "rensei_issuance.h"
#include "rensei_jwt.h"
#include "rensei_limits.h"
#include "rensei_template.h"

#define RENSEI_TOKEN_LIFETIME_DEFAULT 3600 /* seconds */

/** What a virtual host puts into its tokens. */
typedef struct rensei_issuer_t {
    const rensei_ring_t *ring;
    const char *issuer, *audience;
    apr_int64_t lifetime; /* seconds, where the client has none of its own */
    const rensei_limits_t *limits; /* how long it may be, or NULL */
    const rensei_vocab_t *vocab;
    const rensei_template_t *template; /* of custom claims, or NULL */
    int rfc9068; /* typ at+jwt, and the claims client_id and scope */
    /* What an assertion may name as its audience (RFC 7523 3): the token
     * endpoint's URL, the issuer; NULL-terminated. NULL: none is accepted. */
    const char *const *assertion_audiences;
} rensei_issuer_t;

typedef struct rensei_token_request_t {
    const char *grant_type, *client_id, *client_secret;
    const char *scope; /* NULL: all that the client has */
    /* How the client authenticates: RENSEI_AUTH_BASIC, _POST, _JWT, or
     * "client_secret_json", which counts as POST. NULL: _JWT where there is an
     * assertion, else POST. */
    const char *auth_method;
    const char *client_assertion; /* RFC 7523 2.2; where the request has no
                                     client_id, that is the assertion's sub, or
                                     NULL if it has none */
    const char *const *resources; /* RFC 8707, NULL-terminated; NULL: none */
    int again; /* another try, after what the first one made was stale */
} rensei_token_request_t;

/** Authenticates a client alone, by any method that it may use: by its secret,
 * or by an assertion, which is good once (it is remembered until it has
 * expired). A client with a method of its own may use no other. grant_type,
 * scope and resources are not looked at.
 * @return err INVALID_REQUEST where something is missing, or is there twice;
 *   INVALID_CLIENT, one text for all reasons, each with an event
 *   m2m.auth_failed; UNAVAILABLE */
apr_status_t rensei_grant_authenticate(rensei_client_t *out, rensei_store_t *st,
                                       const rensei_issuer_t *iss,
                                       const rensei_token_request_t *req,
                                       const rensei_actor_t *actor,
                                       apr_pool_t *p, rensei_err_t *err);

/** Authenticates the client and makes a token, which is not to be given away
 * before rensei_issuance_record and COMMIT. Its audience is the issuer's;
 * where resources are asked for, exactly those, each of which must be one of
 * the client's audiences or the issuer's.
 * @return err UNSUPPORTED_GRANT, INVALID_REQUEST, INVALID_CLIENT,
 *   INVALID_SCOPE, INVALID_TARGET, UNAVAILABLE; INTERNAL for a token that
 *   would be too long, or that no gateway could read, because of the custom
 *   claims */
apr_status_t rensei_grant_make(rensei_issuance_t *out, rensei_store_t *st,
                               const rensei_issuer_t *iss,
                               const rensei_token_request_t *req,
                               const rensei_actor_t *actor, apr_pool_t *p,
                               rensei_err_t *err);

/** Records what was made: durable, or stale, when this returns APR_SUCCESS. */
typedef apr_status_t rensei_grant_record_fn(void *baton,
                                            rensei_issuance_t *made,
                                            rensei_err_t *err);

/** The same, and has it recorded; made anew, a few times, while its client
 * changes between the two. It may be given away when this returns APR_SUCCESS.
 * @param out else only its token.credential_expires_at counts
 * @return err also UNAVAILABLE: the client changes again and again */
apr_status_t rensei_grant_token(rensei_issuance_t *out, rensei_store_t *st,
                                const rensei_issuer_t *iss,
                                const rensei_token_request_t *req,
                                const rensei_actor_t *actor,
                                rensei_grant_record_fn *record, void *baton,
                                apr_pool_t *p, rensei_err_t *err);

#endif
