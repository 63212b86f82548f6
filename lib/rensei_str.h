/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * A run of bytes that somebody else owns, not terminated: what the parsers
 * of the hot path hand around instead of copies. Also the one checked parser
 * of integers from outside, and its counterpart.
 */
#ifndef RENSEI_STR_H
#define RENSEI_STR_H

#include <apr.h>
#include <string.h>

typedef struct rensei_str_t {
    const char *p;
    apr_size_t n;
} rensei_str_t;

#define RENSEI_STR(lit) ((rensei_str_t){(lit), sizeof(lit) - 1})

static inline rensei_str_t rensei_str(const char *s)
{
    rensei_str_t out = {s, s ? strlen(s) : 0};
    return out;
}

/** Same length, same bytes. Not for secrets: its time tells where they differ.
 * Names that are compared with a list mostly differ at once: that is no call.
 */
static inline int rensei_str_eq(rensei_str_t a, rensei_str_t b)
{
    return a.n == b.n &&
           (a.n == 0 || (*a.p == *b.p && memcmp(a.p, b.p, a.n) == 0));
}

/** Parses all n bytes of s as a decimal integer: an optional '-', then
 * digits without a leading zero (so no "-0"), in [min, max].
 * @return 1 and *out set, or 0 and *out untouched. */
int rensei_int_parse(apr_int64_t *out, const char *s, apr_size_t n,
                     apr_int64_t min, apr_int64_t max);

#define RENSEI_INT_LEN 20 /* of the longest, its sign included */

/** Writes a decimal integer, as rensei_int_parse takes it, without a NUL.
 * @return its length */
apr_size_t rensei_int_write(char out[RENSEI_INT_LEN], apr_int64_t n);

/** Is s[0..n) well-formed UTF-8 (RFC 3629: no surrogates, nothing over-long)
 * with no NUL in it? */
int rensei_utf8_valid(const char *s, apr_size_t n);

/** The length of the well-formed sequence of two to four bytes that s[0..n)
 * starts with, n at least 1; 0 where there is none, or an ASCII byte. */
apr_size_t rensei_utf8_sequence(const char *s, apr_size_t n);

#endif
