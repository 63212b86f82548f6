/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * SHA-256 of short texts, for those who compute it with each request.
 */
#ifndef RENSEI_SHA256_H
#define RENSEI_SHA256_H

#include <apr.h>

#define RENSEI_SHA256_LEN 32

/** @return 1, or 0 where OpenSSL could not */
int rensei_sha256(unsigned char out[RENSEI_SHA256_LEN], const char *text,
                  apr_size_t n);

#endif
