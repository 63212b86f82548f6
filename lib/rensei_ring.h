/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The key ring: the keys that tokens are signed and verified with, each with
 * a `kid` and exactly one algorithm (RFC 8725 3.1: the key decides, never the
 * token). One key signs; all verify. A ring is built at start and then only
 * read, by all threads.
 */
#ifndef RENSEI_RING_H
#define RENSEI_RING_H

#include "rensei_err.h"
#include "rensei_str.h"

typedef enum { RENSEI_ALG_HS256 } rensei_alg_e;

#define RENSEI_SECRET_LEN_MIN 32 /* bytes: RFC 7518 3.2 */
#define RENSEI_SIG_LEN_MAX 512   /* bytes of a signature: RSA-4096 */

typedef struct rensei_ring_t rensei_ring_t;
typedef struct rensei_ring_key_t rensei_ring_key_t;

/** An empty ring, freed with p. */
apr_status_t rensei_ring_create(rensei_ring_t **out, apr_pool_t *p);

/** Adds an HS256 secret; the first key added signs.
 * @param secret n bytes, copied, wiped with the ring's pool
 * @param kid NULL for the default: 16 hex digits derived from the secret,
 *   which tell nothing of it
 * @return err INVALID_REQUEST for a secret under RENSEI_SECRET_LEN_MIN */
apr_status_t rensei_ring_add_secret(rensei_ring_t *ring, const void *secret,
                                    apr_size_t n, const char *kid,
                                    rensei_err_t *err);

/** The key that signs, or NULL for an empty ring. */
const rensei_ring_key_t *rensei_ring_signer(const rensei_ring_t *ring);

/** How many keys; the i-th, in the order they were added. */
int rensei_ring_count(const rensei_ring_t *ring);
const rensei_ring_key_t *rensei_ring_at(const rensei_ring_t *ring, int i);

/** The key of that kid, or NULL. */
const rensei_ring_key_t *rensei_ring_find(const rensei_ring_t *ring,
                                          rensei_str_t kid);

const char *rensei_ring_key_kid(const rensei_ring_key_t *key);
rensei_alg_e rensei_ring_key_alg(const rensei_ring_key_t *key);

/** "HS256" */
const char *rensei_alg_name(rensei_alg_e alg);

/** Signs msg[0..n) to sig, which holds RENSEI_SIG_LEN_MAX bytes. Any thread.
 * @return err UNAVAILABLE when OpenSSL fails */
apr_status_t rensei_ring_key_sign(const rensei_ring_key_t *key,
                                  unsigned char *sig, apr_size_t *siglen,
                                  const void *msg, apr_size_t n,
                                  rensei_err_t *err);

/** Does sig sign msg under this key? Any thread; constant time for a MAC.
 * @return 1 good, 0 bad, -1 when OpenSSL itself failed (that is 503, not 401)
 */
int rensei_ring_key_verify(const rensei_ring_key_t *key,
                           const unsigned char *sig, apr_size_t siglen,
                           const void *msg, apr_size_t n);

#endif
