/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * HS256 keys of the ring.
 *
 * HMAC (RFC 2104) as two SHA-256 states that have taken in the padded key.
 * They are copied for each message, never changed: threads share a key
 * without a lock and without a context each. All tokens of a key begin with
 * one of its headers: what is whole blocks of that has been taken in, too.
 *
 * The states are OpenSSL's own, through functions that it calls deprecated
 * since 3.0: those that it recommends instead allocate and free a context for
 * each copy of a state, and take a third longer for a token.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "rensei_ring_key.h"

#include <openssl/crypto.h>

#define BLOCK SHA256_CBLOCK
#define MAC_LEN SHA256_DIGEST_LENGTH

/* The state after one block: the key, each byte with `pad` over it. */
static void keyed_state(SHA256_CTX *out, const unsigned char key[BLOCK],
                        unsigned char pad)
{
    unsigned char block[BLOCK];
    int i;

    for (i = 0; i < BLOCK; i++) {
        block[i] = key[i] ^ pad;
    }
    SHA256_Init(out);
    SHA256_Update(out, block, BLOCK);
    OPENSSL_cleanse(block, sizeof(block));
}

/* Whole blocks of a header. */
static apr_size_t blocks(rensei_str_t header)
{
    return header.n / BLOCK * BLOCK;
}

/* The state to start with.
 * @param done how much of the message it has taken in */
static const SHA256_CTX *inner_of(const rensei_ring_key_t *key,
                                  apr_size_t *done, const void *msg,
                                  apr_size_t n)
{
    int t;

    for (t = 0; t < RENSEI_TYP_COUNT; t++) {
        *done = blocks(key->header[t]);
        if (*done > 0 && *done <= n &&
            memcmp(msg, key->header[t].p, *done) == 0) {
            return &key->begun[t];
        }
    }
    *done = 0;
    return &key->inner;
}

/* What stays on the stack is what the key has in memory all the time. */
static void mac_compute(const rensei_ring_key_t *key,
                        unsigned char mac[MAC_LEN], const void *msg,
                        apr_size_t n)
{
    apr_size_t done;
    SHA256_CTX ctx = *inner_of(key, &done, msg, n);

    SHA256_Update(&ctx, (const char *)msg + done, n - done);
    SHA256_Final(mac, &ctx);
    ctx = key->outer;
    SHA256_Update(&ctx, mac, MAC_LEN);
    SHA256_Final(mac, &ctx);
}

static int hmac_sign(const rensei_ring_key_t *key, unsigned char *sig,
                     apr_size_t *siglen, const void *msg, apr_size_t n)
{
    *siglen = MAC_LEN;
    mac_compute(key, sig, msg, n);
    return 1;
}

static int hmac_verify(const rensei_ring_key_t *key, const unsigned char *sig,
                       apr_size_t siglen, const void *msg, apr_size_t n)
{
    unsigned char mac[MAC_LEN];
    int good;

    if (siglen != MAC_LEN) {
        return 0;
    }
    mac_compute(key, mac, msg, n);
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

    mac_compute(a, mac, label, sizeof(label) - 1);
    return hmac_verify(b, mac, MAC_LEN, label, sizeof(label) - 1);
}

static void hmac_headed(rensei_ring_key_t *key)
{
    int t;

    for (t = 0; t < RENSEI_TYP_COUNT; t++) {
        key->begun[t] = key->inner;
        SHA256_Update(&key->begun[t], key->header[t].p, blocks(key->header[t]));
    }
}

static void hmac_drop(rensei_ring_key_t *key)
{
    OPENSSL_cleanse(key->begun, sizeof(key->begun));
    OPENSSL_cleanse(&key->inner, sizeof(key->inner));
    OPENSSL_cleanse(&key->outer, sizeof(key->outer));
}

static const rensei_ring_family_t hmac = {hmac_sign, hmac_verify, hmac_same,
                                          hmac_headed, hmac_drop};

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
    keyed_state(&key->inner, block, 0x36);
    keyed_state(&key->outer, block, 0x5c);
    OPENSSL_cleanse(block, sizeof(block));
    return good;
}

void rensei_ring_hmac_kid(char out[RENSEI_HMAC_KID_LEN + 1],
                          const rensei_ring_key_t *key)
{
    unsigned char mac[MAC_LEN];
    int i;

    mac_compute(key, mac, label, sizeof(label) - 1);
    for (i = 0; i < RENSEI_HMAC_KID_LEN; i++) {
        out[i] = "0123456789abcdef"[mac[i / 2] >> (i % 2 ? 0 : 4) & 15];
    }
    out[RENSEI_HMAC_KID_LEN] = '\0';
}
