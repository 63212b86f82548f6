/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * By functions that OpenSSL calls deprecated since 3.0 (see also
 * rensei_ring_hmac.c): SHA256() looks its algorithm up each time, under locks
 * that all threads share, and EVP_Digest() allocates and frees two contexts,
 * which takes longer than to hash a secret.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "rensei_sha256.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

int rensei_sha256(unsigned char out[RENSEI_SHA256_LEN], const char *text,
                  apr_size_t n)
{
    SHA256_CTX ctx;
    int good = SHA256_Init(&ctx) && SHA256_Update(&ctx, text, n) &&
               SHA256_Final(out, &ctx);

    OPENSSL_cleanse(&ctx, sizeof(ctx));
    return good;
}
