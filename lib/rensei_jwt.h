/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * JSON Web Tokens: a JWS in compact form (RFC 7515), and on top of it the
 * claims of our tokens (RFC 7519). Nothing of a token is believed,
 * or told to the caller, before its signature holds.
 */
#ifndef RENSEI_JWT_H
#define RENSEI_JWT_H

#include "rensei_json.h"
#include "rensei_ring.h"
#include "rensei_scope.h"

#define RENSEI_TOKEN_LEN_MAX 8192 /* bytes; a longer one is refused unread */

typedef struct rensei_jws_t {
    rensei_str_t payload; /* decoded; in the pool given */
    rensei_typ_e typ;
    const rensei_ring_key_t *key; /* the one that verified it */
} rensei_jws_t;

/** Checks a compact JWS against the ring in one pass.
 * The header may have `alg` (exactly the key's), `typ`, `kid`, and members
 * that say nothing of keys; `crit`, `b64`, `jwk`, `jku`, `x5u`, `x5c`, `x5t`,
 * `x5t#S256` and `zip` are refused (RFC 7515 4.1.11, RFC 8725 3.1, 3.10). A
 * token without `kid` is tried against each key of its algorithm. `typ` is a
 * media type: letter case and `application/` do not count; `at+jwt`
 * (RFC 9068) is as `JWT`, and out->typ is RENSEI_TYP_M2M for it too; every
 * other one is refused (RFC 8725 3.11).
 * @return err INVALID_TOKEN with a sentence (never why a signature failed),
 *   UNAVAILABLE when OpenSSL failed or the ring is empty */
apr_status_t rensei_jws_verify(rensei_jws_t *out, const char *token,
                               apr_size_t n, const rensei_ring_t *ring,
                               apr_pool_t *p, rensei_err_t *err);

/** As rensei_jws_verify, for what a client signed to authenticate itself
 * (RFC 7523) against a ring of its keys: `typ` may be `JWT`, absent, or
 * `client-authentication+jwt`; a token of ours is no assertion. */
apr_status_t rensei_jws_verify_assertion(rensei_jws_t *out, const char *token,
                                         apr_size_t n,
                                         const rensei_ring_t *ring,
                                         apr_pool_t *p, rensei_err_t *err);

/** Signs header and payload with the ring's signer.
 * @param typ `JWT`, RENSEI_TYP_RUNTIME or RENSEI_TYP_ACCESS
 * @param payload the claims as JSON text
 * @param out the token, in p
 * @return err UNAVAILABLE when OpenSSL failed or the ring is empty, INTERNAL
 *   for another typ, or a token of more than RENSEI_TOKEN_LEN_MAX bytes */
apr_status_t rensei_jws_sign(const char **out, const rensei_ring_t *ring,
                             const char *typ, const char *payload,
                             apr_pool_t *p, rensei_err_t *err);

/** What a virtual host expects of a token, and puts into its own. */
typedef struct rensei_expect_t {
    const char *issuer;
    const char *audience; /* NULL: whomever it is for, for who issued it */
    apr_int64_t skew;     /* seconds of difference allowed between clocks */
} rensei_expect_t;

typedef struct rensei_claims_t {
    rensei_typ_e typ;
    rensei_str_t sub;
    rensei_str_t org;
    rensei_str_t workspace;   /* n = 0 when absent */
    rensei_str_t jti;         /* n = 0 when absent */
    rensei_str_t reg;         /* runtime tokens: the registration key's id */
    rensei_json_member_t aud; /* a string, or an array of them; of a token
                                 whose audience was asked about */
    rensei_scopes_t scopes;
    apr_int64_t iat;      /* seconds since the epoch; 0 when absent */
    apr_int64_t exp;      /* seconds since the epoch */
    rensei_str_t payload; /* the whole, for who asks for a claim by name */
} rensei_claims_t;

/** Reads and checks the claims of a verified token. Required: `exp` (number),
 * `sub`, `org_id` (safe identifiers), `iss`, `aud` (string, or array with
 * ours in it), `scopes` (array of scope tokens); `reg` for a runtime token.
 * `nbf`, `iat`, `workspace_id`, `jti` are checked where present; a null
 * `workspace_id` is an absent one. `scope` in place of `scopes` is accepted
 * (RFC 9068 2.2.3). A runtime token's `sub` is a worker's id and its `reg` a
 * key's; an M2M token's `sub` may look like neither, or a token for the one
 * would name the other.
 * @param now seconds since the epoch
 * @return err INVALID_TOKEN, saying which claim */
apr_status_t rensei_claims_read(rensei_claims_t *out, const rensei_jws_t *jws,
                                const rensei_expect_t *want, apr_int64_t now,
                                apr_pool_t *p, rensei_err_t *err);

/** Does a claim of this name have a meaning in our tokens (iss, sub, aud, exp,
 * nbf, iat, jti, org_id, workspace_id, scopes, scope, client_id, reg) or
 * beside them (token_use)? Then no custom claim takes it. */
int rensei_claim_registered(rensei_str_t name);

#endif
