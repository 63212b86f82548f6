/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_str.h"

#include <stdint.h>

#define DIGITS_MAX 19 /* as many always fit into 64 bits without a sign */

static int digits_canonical(const char *s, apr_size_t n, int negative)
{
    if (n == 0 || n > DIGITS_MAX) {
        return 0;
    }
    return s[0] != '0' || (n == 1 && !negative);
}

int rensei_int_parse(apr_int64_t *out, const char *s, apr_size_t n,
                     apr_int64_t min, apr_int64_t max)
{
    int negative = n > 0 && s[0] == '-';
    apr_size_t i = negative ? 1 : 0;
    apr_uint64_t size = 0;
    apr_int64_t value;

    if (!digits_canonical(s + i, n - i, negative)) {
        return 0;
    }
    for (; i < n; i++) {
        unsigned digit = (unsigned char)s[i] - (unsigned)'0';

        if (digit > 9) {
            return 0;
        }
        size = size * 10 + digit;
    }
    if (size > (apr_uint64_t)APR_INT64_MAX + (unsigned)negative) {
        return 0;
    }
    value = (apr_int64_t)(negative ? 0 - size : size);
    if (value < min || value > max) {
        return 0;
    }
    *out = value;
    return 1;
}

apr_size_t rensei_int_write(char out[RENSEI_INT_LEN], apr_int64_t n)
{
    apr_uint64_t rest = n < 0 ? 0 - (apr_uint64_t)n : (apr_uint64_t)n;
    char digits[RENSEI_INT_LEN];
    apr_size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (n < 0) {
        digits[--at] = '-';
    }
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

/* The length of the sequence that s starts, at most n bytes: 0 for none.
 * The second byte's range is what shuts out over-long forms, surrogates and
 * what lies beyond U+10FFFF (RFC 3629 4). */
static apr_size_t utf8_sequence(const unsigned char *s, apr_size_t n)
{
    unsigned char low = 0x80, high = 0xbf;
    apr_size_t len, i;

    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        len = 2;
    }
    else if ((s[0] & 0xf0) == 0xe0) {
        len = 3;
        low = s[0] == 0xe0 ? 0xa0 : low;
        high = s[0] == 0xed ? 0x9f : high;
    }
    else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        len = 4;
        low = s[0] == 0xf0 ? 0x90 : low;
        high = s[0] == 0xf4 ? 0x8f : high;
    }
    else {
        return 0;
    }
    if (n < len || s[1] < low || s[1] > high) {
        return 0;
    }
    for (i = 2; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

apr_size_t rensei_utf8_sequence(const char *s, apr_size_t n)
{
    return utf8_sequence((const unsigned char *)s, n);
}

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS (ONES << 7)

/* Are all eight bytes ASCII, and none of them NUL? Taking 1 from a NUL borrows
 * into its highest bit. */
static int ascii_eight(const char *s)
{
    uint64_t eight;

    memcpy(&eight, s, sizeof(eight));
    return ((eight | (eight - ONES)) & HIGHS) == 0;
}

int rensei_utf8_valid(const char *s, apr_size_t n)
{
    apr_size_t i = 0;

    while (i < n) {
        if (n - i >= 8 && ascii_eight(s + i)) {
            i += 8;
            continue;
        }
        unsigned char c = (unsigned char)s[i];
        apr_size_t len =
            c > 0 && c < 0x80 ? 1 : rensei_utf8_sequence(s + i, n - i);

        if (c == 0 || len == 0) {
            return 0;
        }
        i += len;
    }
    return 1;
}
