/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Keys for tests, and tokens that OpenSSL signs and not the code under test,
 * so that whatever an attacker can write can be written.
 */
#ifndef UNIT_KEY_H
#define UNIT_KEY_H

#include "rensei_jwt.h"
#include "unit.h"

#include <openssl/evp.h>

/** Before all tests: finds the keys that take long. And after them. */
void test_keys_prepare(void);
void test_keys_end(void);

/** A key that this test does not have yet: "RSA" (2048 bits), "RSA-1024",
 * "P-256", "secp256k1", "ED25519" and whatever else OpenSSL knows by name. It
 * goes with the test's pool. */
EVP_PKEY *test_pkey(const char *kind);

/** Its PEM text: PKCS#8, or the public half. */
const char *test_pem(EVP_PKEY *key, int is_private);

/** An empty ring in the test's pool. */
rensei_ring_t *test_ring(void);

/** A ring of one key. @param alg, kid as rensei_ring_add_pem takes them */
rensei_ring_t *test_ring_of(EVP_PKEY *key, int is_private, const char *alg,
                            const char *kid);

/** The public half as a JWK: a fresh object in the test's pool, with the kid
 * "k" and the usual alg. */
json_t *test_jwk(EVP_PKEY *key);

/** Base64url, in the test's pool. */
const char *test_b64(const void *bytes, apr_size_t n);

/** header and payload as the signing input of a JWS. */
const char *test_input(const char *header, const char *payload);

/** What OpenSSL makes of input by an algorithm of RFC 7518 (ES256: the two
 * numbers, as long as the key's curve has them). @return its length */
apr_size_t test_sign(unsigned char sig[RENSEI_SIG_LEN_MAX], EVP_PKEY *key,
                     const char *alg, const char *input);

/** As test_sign, with a salt of that length for PS256. */
apr_size_t test_sign_pss(unsigned char sig[RENSEI_SIG_LEN_MAX], EVP_PKEY *key,
                         const char *md, int salt, const char *input);

/** A token signed by test_sign. */
const char *test_token(EVP_PKEY *key, const char *alg, const char *header,
                       const char *payload);

/** An HS256 token. */
const char *test_hs256(const void *secret, apr_size_t n, const char *header,
                       const char *payload);

#endif
