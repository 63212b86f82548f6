/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_sha256.h"

#include <openssl/evp.h>
#include <pthread.h>

/* SHA256() looks its algorithm up each time, under locks that all threads
 * share: for a secret that takes longer than to hash it. What is found here is
 * not given back: whoever did so when a module is unloaded could come after
 * OpenSSL's own end; and to find it again costs no more memory. */
static EVP_MD *sha256;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

int rensei_sha256(unsigned char out[RENSEI_SHA256_LEN], const char *text,
                  apr_size_t n)
{
    pthread_once(&once, fetch);
    return sha256 && EVP_Digest(text, n, out, NULL, sha256, NULL) == 1;
}
