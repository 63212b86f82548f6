/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What a key of the ring is made of: for the files of the ring alone. A
 * family of algorithms is a table of functions; what differs within one is in
 * the table of algorithms.
 */
#ifndef RENSEI_RING_KEY_H
#define RENSEI_RING_KEY_H

#include "rensei_ring.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

/** One algorithm, and the keys it is for. */
typedef struct rensei_alg_row_t {
    const char *name;
    const char *alias;     /* NULL: none */
    const char *kty, *crv; /* as a JWK has them; crv NULL for RSA and oct */
    const char *type;      /* what OpenSSL calls such a key; NULL: none */
    const char *group;     /* and its curve; NULL where the type says it */
    const char *md;        /* NULL: the algorithm has its own */
    apr_size_t size;       /* bytes of a coordinate, or of a MAC */
    int pss;               /* RSASSA-PSS */
} rensei_alg_row_t;

const rensei_alg_row_t *rensei_alg_row(rensei_alg_e alg);

/** Each function is called by any thread and changes nothing of the key. */
typedef struct rensei_ring_family_t {
    /** @return 1, or 0 when OpenSSL failed */
    int (*sign)(const rensei_ring_key_t *key, unsigned char *sig,
                apr_size_t *siglen, const void *msg, apr_size_t n);
    /** As rensei_ring_key_verify. */
    int (*verify)(const rensei_ring_key_t *key, const unsigned char *sig,
                  apr_size_t siglen, const void *msg, apr_size_t n);
    /** The same key, both of this family? */
    int (*same)(const rensei_ring_key_t *a, const rensei_ring_key_t *b);
    /** Its headers are known now; NULL: that changes nothing. */
    void (*headed)(rensei_ring_key_t *key);
    /** Frees what is not of the pool; of a key half made, too. */
    void (*drop)(rensei_ring_key_t *key);
} rensei_ring_family_t;

struct rensei_ring_key_t {
    const rensei_ring_family_t *family;
    rensei_alg_e alg;
    int bits;
    const char *kid;
    rensei_str_t header[RENSEI_TYP_COUNT];

    /* HMAC: the states that have taken in the padded key; and those of each
     * header, whole blocks of it, too */
    SHA256_CTX inner, outer, begun[RENSEI_TYP_COUNT];

    /* signatures */
    EVP_PKEY *pkey;
    EVP_MD_CTX *signer;  /* ready to sign; NULL for a public key */
    EVP_MD_CTX *checker; /* ready to verify */
    BIGNUM *order;       /* ECDSA: of the curve's group */
    apr_size_t siglen;   /* as it goes over the wire */
    json_t *jwk;         /* kty and its members (RFC 7638 3.2) */
};

/** "The OpenSSL failed" as err UNAVAILABLE; clears OpenSSL's queue. */
apr_status_t rensei_ring_openssl_failed(rensei_err_t *err);

/* rensei_ring_hmac.c */

#define RENSEI_HMAC_KID_LEN 16

/** Makes key an HS256 key of that secret. @return 1, or 0: OpenSSL failed */
int rensei_ring_hmac_set(rensei_ring_key_t *key, const EVP_MD *sha256,
                         const void *secret, apr_size_t n);

/** A kid that the secret's owner can work out and nobody can go back from. */
void rensei_ring_hmac_kid(char out[RENSEI_HMAC_KID_LEN + 1],
                          const rensei_ring_key_t *key);

/* rensei_ring_evp.c */

/** Makes key one of that public or private key, whose reference it takes in
 * any case.
 * @param alg the name of its algorithm, or NULL for its usual one
 * @param is_private 1: it signs, too
 * @return err INVALID_REQUEST for a key or an algorithm that is not ours,
 *   UNAVAILABLE */
apr_status_t rensei_ring_evp_set(rensei_ring_key_t *key, EVP_PKEY *pkey,
                                 const char *alg, int is_private,
                                 rensei_err_t *err);

/* rensei_ring_pem.c */

/** The one key of a PEM text; the caller frees it. @return err
 * INVALID_REQUEST */
apr_status_t rensei_ring_pem_read(EVP_PKEY **out, int *is_private,
                                  const void *pem, apr_size_t n,
                                  rensei_err_t *err);

/* rensei_jwk.c */

/** The members of a public key that its thumbprint is of; a new reference,
 * NULL when OpenSSL failed. */
json_t *rensei_jwk_of(const EVP_PKEY *pkey, const rensei_alg_row_t *row);

#define RENSEI_THUMBPRINT_LEN 43

/** RFC 7638 with SHA-256, base64url. @return 1, or 0: OpenSSL failed */
int rensei_jwk_thumbprint(char out[RENSEI_THUMBPRINT_LEN + 1],
                          const json_t *jwk);

/** Is it a public key of Ed25519 (RFC 8032 5.1.5) whose order is the group's?
 * OpenSSL takes any 32 bytes for one. */
int rensei_ed25519_point(const unsigned char x[32]);

/** What a JWK says. */
typedef struct rensei_jwk_t {
    const char *kid; /* the JWK's own memory; NULL: none */
    const char *alg; /* NULL: none */
    EVP_PKEY *pkey;  /* NULL for a secret */
    int is_private;
    unsigned char secret[512];
    apr_size_t secret_len;
} rensei_jwk_t;

/** Reads a JWK; the caller frees out->pkey and wipes out->secret.
 * @param any 1: private keys and secrets, too @return err INVALID_REQUEST */
apr_status_t rensei_jwk_read(rensei_jwk_t *out, const json_t *jwk, int any,
                             rensei_err_t *err);

#endif
