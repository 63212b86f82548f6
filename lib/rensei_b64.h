/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * base64url without padding (RFC 7515 2, RFC 4648 5), strict: one text for
 * one run of bytes, and nothing else decodes. A lenient decoder gives a token
 * many spellings, and whatever remembers tokens by their text (a revocation,
 * a cache) then misses all but one.
 */
#ifndef RENSEI_B64_H
#define RENSEI_B64_H

#include <apr_errno.h>

/** Bytes that n bytes become when encoded, without a terminator. */
#define RENSEI_B64URL_LEN(n) (((n)*4 + 2) / 3)

/** Writes RENSEI_B64URL_LEN(n) characters and a NUL to out.
 * @return how many characters, the NUL not counted. */
apr_size_t rensei_b64url_encode(char *out, const void *in, apr_size_t n);

/** Decodes in[0..n) to out, which must hold n * 3 / 4 bytes.
 * @param outlen is set to the bytes written
 * @return APR_SUCCESS, or APR_EINVAL for a character outside the alphabet,
 *   padding, white space, a length that no encoding has, or trailing bits
 *   that are not zero. out may have been written to. */
apr_status_t rensei_b64url_decode(void *out, apr_size_t *outlen, const char *in,
                                  apr_size_t n);

#endif
