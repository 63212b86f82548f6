/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * HS256 keys of the ring.
 *
 * HMAC (RFC 2104) as two SHA-256 states that have taken in the padded key.
 * They are copied for each message, never changed: threads share a key
 * without a lock and without a context each. EVP_MAC_CTX_dup of a keyed
 * context does the same for a quarter more instructions (it copies a third
 * state and walks parameters); EVP_MAC_init with a NULL key wants a context
 * for each thread and key, and does nothing at all in OpenSSL before 3.0.3.
 */
#include "rensei_ring_key.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/sha.h>

#define BLOCK SHA256_CBLOCK
#define MAC_LEN SHA256_DIGEST_LENGTH

/* The state after one block: the key, each byte with `pad` over it. */
static EVP_MD_CTX *keyed_state(const EVP_MD *md, const unsigned char key[BLOCK],
                               unsigned char pad)
{
    unsigned char block[BLOCK];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int i, good;

    for (i = 0; i < BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }
    good = ctx && EVP_DigestInit_ex2(ctx, md, NULL) &&
           EVP_DigestUpdate(ctx, block, BLOCK);
    OPENSSL_cleanse(block, sizeof(block));
    if (!good) {
        EVP_MD_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static int mac_compute(const rensei_ring_key_t *key, unsigned char mac[MAC_LEN],
                       const void *msg, apr_size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int good = ctx && EVP_MD_CTX_copy_ex(ctx, key->inner) &&
               EVP_DigestUpdate(ctx, msg, n) &&
               EVP_DigestFinal_ex(ctx, mac, NULL) &&
               EVP_MD_CTX_copy_ex(ctx, key->outer) &&
               EVP_DigestUpdate(ctx, mac, MAC_LEN) &&
               EVP_DigestFinal_ex(ctx, mac, NULL);

    EVP_MD_CTX_free(ctx);
    return good;
}

static int hmac_sign(const rensei_ring_key_t *key, unsigned char *sig,
                     apr_size_t *siglen, const void *msg, apr_size_t n)
{
    *siglen = MAC_LEN;
    return mac_compute(key, sig, msg, n);
}

static int hmac_verify(const rensei_ring_key_t *key, const unsigned char *sig,
                       apr_size_t siglen, const void *msg, apr_size_t n)
{
    unsigned char mac[MAC_LEN];
    int good;

    if (siglen != MAC_LEN) {
        return 0;
    }
    if (!mac_compute(key, mac, msg, n)) {
        ERR_clear_error();
        return -1;
    }
    good = CRYPTO_memcmp(sig, mac, MAC_LEN) == 0;
    /* it is the right signature of whatever was sent */
    OPENSSL_cleanse(mac, sizeof(mac));
    return good;
}

static const char label[] = "rensei kid";

/* The secrets are not there any more; what they make of one text is. */
static int hmac_same(const rensei_ring_key_t *a, const rensei_ring_key_t *b)
{
    unsigned char mac[MAC_LEN];

    return mac_compute(a, mac, label, sizeof(label) - 1) &&
           hmac_verify(b, mac, MAC_LEN, label, sizeof(label) - 1) == 1;
}

static void hmac_drop(rensei_ring_key_t *key)
{
    EVP_MD_CTX_free(key->inner);
    EVP_MD_CTX_free(key->outer);
}

static const rensei_ring_family_t hmac = {hmac_sign, hmac_verify, hmac_same,
                                          hmac_drop};

int rensei_ring_hmac_set(rensei_ring_key_t *key, const EVP_MD *sha256,
                         const void *secret, apr_size_t n)
{
    unsigned char block[BLOCK] = {0};
    int good = 1;

    key->family = &hmac;
    key->alg = RENSEI_ALG_HS256;
    key->bits = MAC_LEN * 8;
    key->siglen = MAC_LEN;
    if (n > BLOCK) {
        good = EVP_Digest(secret, n, block, NULL, sha256, NULL);
    }
    else {
        memcpy(block, secret, n);
    }
    if (good) {
        key->inner = keyed_state(sha256, block, 0x36);
        key->outer = keyed_state(sha256, block, 0x5c);
    }
    OPENSSL_cleanse(block, sizeof(block));
    return key->inner && key->outer;
}

int rensei_ring_hmac_kid(char out[RENSEI_HMAC_KID_LEN + 1],
                         const rensei_ring_key_t *key)
{
    unsigned char mac[MAC_LEN];
    int i;

    if (!mac_compute(key, mac, label, sizeof(label) - 1)) {
        return 0;
    }
    for (i = 0; i < RENSEI_HMAC_KID_LEN; i++) {
        out[i] = "0123456789abcdef"[mac[i / 2] >> (i % 2 ? 0 : 4) & 15];
    }
    out[RENSEI_HMAC_KID_LEN] = '\0';
    return 1;
}
