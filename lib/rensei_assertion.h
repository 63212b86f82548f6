/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Client assertions: a client proves who it is by a JWT that it signs with a
 * private key of its own (RFC 7523 3, `private_key_jwt`). Nothing is kept
 * here: that an assertion is used once is for the store to see to.
 */
#ifndef RENSEI_ASSERTION_H
#define RENSEI_ASSERTION_H

#include "rensei_jwt.h"

#define RENSEI_ASSERTION_TYPE \
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
/** Seconds. An hour, because that is what authlib makes, and it cannot be told
 * otherwise; an assertion is good once, however long it lives. */
#define RENSEI_ASSERTION_LIFETIME_MAX 3600
#define RENSEI_ASSERTION_JTI_MAX 256 /* bytes */

typedef struct rensei_assertion_t {
    const char *jti; /* in the pool given: any text, not an identifier */
    apr_int64_t exp; /* seconds since the epoch: from then on it is refused,
                        the skew counted in, and jti need not be kept */
} rensei_assertion_t;

/** Checks an assertion: signed by one of the client's keys; `iss` and `sub`
 * are the client's id; `aud` is one of ours, or an array of nothing else (one
 * that is addressed to another server as well can be played on by that one);
 * `exp` at most RENSEI_ASSERTION_LIFETIME_MAX ahead; `jti`; `nbf` and `iat`
 * where present.
 * @param client_jwks {"keys":[...]}, as rensei_ring_add_jwks takes it
 * @param audiences what `aud` may be; ends with NULL
 * @param now seconds since the epoch
 * @param skew seconds of difference allowed between the clocks
 * @return err INVALID_CLIENT, with one text for every fault and the fault as
 *   its cause, for the log; UNAVAILABLE when OpenSSL failed */
apr_status_t rensei_assertion_verify(
    rensei_assertion_t *out, const char *assertion, const json_t *client_jwks,
    const char *client_id, const char *const *audiences, apr_int64_t now,
    apr_int64_t skew, apr_pool_t *p, rensei_err_t *err);

#endif
