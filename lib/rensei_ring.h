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

#include <jansson.h>

/** RFC 7518 3.1; RFC 8037 3.1, of which Ed25519 alone. */
typedef enum {
    RENSEI_ALG_HS256,
    RENSEI_ALG_RS256,
    RENSEI_ALG_PS256,
    RENSEI_ALG_ES256,
    RENSEI_ALG_ES384,
    RENSEI_ALG_EDDSA
} rensei_alg_e;

#define RENSEI_ALG_COUNT 6

/** What a token's `typ` says it is. */
typedef enum {
    RENSEI_TYP_M2M,    /* `JWT` or absent */
    RENSEI_TYP_WORKER, /* RENSEI_TYP_RUNTIME */
    RENSEI_TYP_AT      /* RENSEI_TYP_ACCESS: written, and read as M2M */
} rensei_typ_e;

#define RENSEI_TYP_COUNT 3
#define RENSEI_TYP_RUNTIME "rensei-runtime+jwt"
#define RENSEI_TYP_ACCESS "at+jwt" /* RFC 9068 2.1 */

#define RENSEI_SECRET_LEN_MIN 32 /* bytes: RFC 7518 3.2 */
#define RENSEI_SIG_LEN_MAX 512   /* bytes of a signature: RSA-4096 */
#define RENSEI_RSA_BITS_MIN 2048 /* RFC 7518 3.3 */
#define RENSEI_RSA_BITS_MAX 4096
#define RENSEI_PEM_LEN_MAX 65536 /* bytes of a PEM text */
#define RENSEI_JWKS_KEYS_MAX 16  /* keys of a JWK Set */

typedef struct rensei_ring_t rensei_ring_t;
typedef struct rensei_ring_key_t rensei_ring_key_t;

/** An empty ring, freed with p. Fails only when OpenSSL does. */
apr_status_t rensei_ring_create(rensei_ring_t **out, apr_pool_t *p);

/* Each way of adding a key: the first key added is the one that signs. The
 * same key under the same kid once more is skipped, and no error. */

/** Adds an HS256 secret.
 * @param secret n bytes, not kept: what is derived from them for signing is
 *   wiped with the ring's pool
 * @param kid a safe identifier (rensei_id_safe), copied; NULL for the default:
 *   16 hex digits derived from the secret, which tell nothing of it
 * @return err INVALID_REQUEST for a secret under RENSEI_SECRET_LEN_MIN, a kid
 *   that is no identifier, or one that another key of the ring has;
 *   UNAVAILABLE when OpenSSL fails */
apr_status_t rensei_ring_add_secret(rensei_ring_t *ring, const void *secret,
                                    apr_size_t n, const char *kid,
                                    rensei_err_t *err);

/** Adds the one key of a PEM text: a private one (PKCS#8, or OpenSSL's older
 * forms), not encrypted, which signs and verifies, or a public one
 * (SubjectPublicKeyInfo), which verifies.
 * @param alg the name of its algorithm; NULL for the key's usual one: RS256,
 *   ES256 (P-256), ES384 (P-384), EdDSA (Ed25519)
 * @param kid as with a secret; NULL for the key's thumbprint (RFC 7638)
 * @return err INVALID_REQUEST, in a sentence that an administrator can act
 *   on, for text with no key, several, or an encrypted one; RSA of less than
 *   RENSEI_RSA_BITS_MIN or more than RENSEI_RSA_BITS_MAX; other kinds of
 *   keys; an algorithm that does not fit; and for a kid as with a secret */
apr_status_t rensei_ring_add_pem(rensei_ring_t *ring, const void *pem,
                                 apr_size_t n, const char *alg, const char *kid,
                                 rensei_err_t *err);

/** Adds a public key as JSON Web Key (RFC 7517, RFC 7518 6, RFC 8037 2). Its
 * `kid` is any text, up to 256 bytes, and its thumbprint where it has none;
 * without `alg` an RSA key's is RS256.
 * @return err INVALID_REQUEST for a key that is secret or private, is not for
 *   signatures (`use`, `key_ops`), or is not written or not made as it
 *   should be; for another key of that kid */
apr_status_t rensei_ring_add_jwk(rensei_ring_t *ring, const json_t *jwk,
                                 rensei_err_t *err);

/** As rensei_ring_add_jwk, and takes private keys and secrets too, with which
 * published test vectors come. Not for keys from outside. */
apr_status_t rensei_ring_add_jwk_any(rensei_ring_t *ring, const json_t *jwk,
                                     rensei_err_t *err);

/** Adds every key of a JWK Set, {"keys":[...]}, as rensei_ring_add_jwk does.
 * @return err as there; INVALID_REQUEST for what is no such set, and one of
 *   no key or of more than RENSEI_JWKS_KEYS_MAX */
apr_status_t rensei_ring_add_jwks(rensei_ring_t *ring, const json_t *jwks,
                                  rensei_err_t *err);

/** The public keys of the ring as JWK Set (RFC 7517 5), each with `kid`, `alg`
 * and `use`; an HS256 key is never among them. A new reference; NULL when out
 * of memory. Any thread. */
json_t *rensei_ring_jwks(const rensei_ring_t *ring);

/** The key that signs: the first that was added. NULL for an empty ring, and
 * where that key can only verify: no other one signs in its place. */
const rensei_ring_key_t *rensei_ring_signer(const rensei_ring_t *ring);

/** How many keys; the i-th, in the order they were added. */
int rensei_ring_count(const rensei_ring_t *ring);
const rensei_ring_key_t *rensei_ring_at(const rensei_ring_t *ring, int i);

/** The key of that kid, or NULL. */
const rensei_ring_key_t *rensei_ring_find(const rensei_ring_t *ring,
                                          rensei_str_t kid);

const char *rensei_ring_key_kid(const rensei_ring_key_t *key);
rensei_alg_e rensei_ring_key_alg(const rensei_ring_key_t *key);

/** Can it sign? A public key only verifies. */
int rensei_ring_key_signs(const rensei_ring_key_t *key);

/** How long it is: an RSA key's modulus, the field of a curve; of an HS256
 * key, what it is good for. */
int rensei_ring_key_bits(const rensei_ring_key_t *key);

/** The protected header of the tokens that this key signs, as it stands in
 * them: base64url, without the dot. */
rensei_str_t rensei_ring_key_header(const rensei_ring_key_t *key,
                                    rensei_typ_e typ);

/** The key whose tokens begin with exactly that header, with *typ set to the
 * type that it says; NULL where there is none. */
const rensei_ring_key_t *rensei_ring_find_header(const rensei_ring_t *ring,
                                                 rensei_str_t header,
                                                 rensei_typ_e *typ);

/** "HS256" "RS256" "PS256" "ES256" "ES384" "EdDSA" */
const char *rensei_alg_name(rensei_alg_e alg);

/** Is that the algorithm's name, letter by letter, or the other one that it
 * has? RFC 9864 2.2 calls EdDSA with Ed25519 `Ed25519`, which newer clients
 * write; ours stays `EdDSA`, which all of them read. */
int rensei_alg_is(rensei_alg_e alg, rensei_str_t name);

/** The reverse, of either name. @return 1, or 0 for no algorithm of ours */
int rensei_alg_parse(rensei_alg_e *out, const char *name);

/** Signs msg[0..n) to sig, which holds RENSEI_SIG_LEN_MAX bytes. Any thread.
 * @return err UNAVAILABLE when OpenSSL fails, INTERNAL for a public key */
apr_status_t rensei_ring_key_sign(const rensei_ring_key_t *key,
                                  unsigned char *sig, apr_size_t *siglen,
                                  const void *msg, apr_size_t n,
                                  rensei_err_t *err);

/** Does sig sign msg under this key? Its length must be exactly the
 * algorithm's. Any thread; constant time for a MAC.
 * @return 1 good, 0 bad, -1 when OpenSSL itself failed (that is 503, not 401)
 */
int rensei_ring_key_verify(const rensei_ring_key_t *key,
                           const unsigned char *sig, apr_size_t siglen,
                           const void *msg, apr_size_t n);

#endif
