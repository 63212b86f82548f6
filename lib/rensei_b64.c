/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_b64.h"

#include <apr.h>
#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* What a character gives at each of the four places of a group: its six bits
 * where they belong in three bytes, the first byte lowest, and a mark of that
 * place, which is missing for whatever is outside the alphabet. */
#define DIGITS(V)                                                              \
    ['A'] = V(0u), ['B'] = V(1u), ['C'] = V(2u), ['D'] = V(3u), ['E'] = V(4u), \
    ['F'] = V(5u), ['G'] = V(6u), ['H'] = V(7u), ['I'] = V(8u), ['J'] = V(9u), \
    ['K'] = V(10u), ['L'] = V(11u), ['M'] = V(12u), ['N'] = V(13u),            \
    ['O'] = V(14u), ['P'] = V(15u), ['Q'] = V(16u), ['R'] = V(17u),            \
    ['S'] = V(18u), ['T'] = V(19u), ['U'] = V(20u), ['V'] = V(21u),            \
    ['W'] = V(22u), ['X'] = V(23u), ['Y'] = V(24u), ['Z'] = V(25u),            \
    ['a'] = V(26u), ['b'] = V(27u), ['c'] = V(28u), ['d'] = V(29u),            \
    ['e'] = V(30u), ['f'] = V(31u), ['g'] = V(32u), ['h'] = V(33u),            \
    ['i'] = V(34u), ['j'] = V(35u), ['k'] = V(36u), ['l'] = V(37u),            \
    ['m'] = V(38u), ['n'] = V(39u), ['o'] = V(40u), ['p'] = V(41u),            \
    ['q'] = V(42u), ['r'] = V(43u), ['s'] = V(44u), ['t'] = V(45u),            \
    ['u'] = V(46u), ['v'] = V(47u), ['w'] = V(48u), ['x'] = V(49u),            \
    ['y'] = V(50u), ['z'] = V(51u), ['0'] = V(52u), ['1'] = V(53u),            \
    ['2'] = V(54u), ['3'] = V(55u), ['4'] = V(56u), ['5'] = V(57u),            \
    ['6'] = V(58u), ['7'] = V(59u), ['8'] = V(60u), ['9'] = V(61u),            \
    ['-'] = V(62u), ['_'] = V(63u)
#define MARK(place) (1u << (24 + (place)))
#define MARKS (MARK(0) | MARK(1) | MARK(2) | MARK(3))
#define AT0(v) (MARK(0) | (v) << 2)
#define AT1(v) (MARK(1) | (v) >> 4 | ((v)&15u) << 12)
#define AT2(v) (MARK(2) | ((v) >> 2) << 8 | ((v)&3u) << 22)
#define AT3(v) (MARK(3) | (v) << 16)

static const apr_uint32_t at_place[4][256] = {
    {DIGITS(AT0)}, {DIGITS(AT1)}, {DIGITS(AT2)}, {DIGITS(AT3)}};

apr_size_t rensei_b64url_encode(char *out, const void *in, apr_size_t n)
{
    const unsigned char *s = in;
    char *d = out;

    for (; n >= 3; n -= 3, s += 3) {
        *d++ = alphabet[s[0] >> 2];
        *d++ = alphabet[(s[0] & 3) << 4 | s[1] >> 4];
        *d++ = alphabet[(s[1] & 15) << 2 | s[2] >> 6];
        *d++ = alphabet[s[2] & 63];
    }
    if (n > 0) {
        *d++ = alphabet[s[0] >> 2];
        *d++ = alphabet[(s[0] & 3) << 4 | (n == 2 ? s[1] >> 4 : 0)];
    }
    if (n == 2) {
        *d++ = alphabet[(s[1] & 15) << 2];
    }
    *d = '\0';
    return (apr_size_t)(d - out);
}

/* The two or three characters after the last group of four. What they hold
 * beyond whole bytes must be zero, or one run of bytes had several texts. */
static apr_status_t decode_tail(unsigned char *d, const unsigned char *s,
                                apr_size_t n)
{
    apr_uint32_t v = at_place[0][s[0]] | at_place[1][s[1]] | MARK(3);

    v |= n == 3 ? at_place[2][s[2]] : MARK(2);
    if ((v & MARKS) != MARKS || (n == 3 ? v & 0xff0000 : v & 0xff00)) {
        return APR_EINVAL;
    }
    d[0] = (unsigned char)v;
    if (n == 3) {
        d[1] = (unsigned char)(v >> 8);
    }
    return APR_SUCCESS;
}

static inline apr_uint32_t group(const unsigned char *s)
{
    return at_place[0][s[0]] | at_place[1][s[1]] | at_place[2][s[2]] |
           at_place[3][s[3]];
}

/* Four bytes, the lowest first. */
static inline void store(unsigned char *d, apr_uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    memcpy(d, &v, sizeof(v));
}

apr_status_t rensei_b64url_decode(void *out, apr_size_t *outlen, const char *in,
                                  apr_size_t n)
{
    const unsigned char *s = (const unsigned char *)in;
    unsigned char *d = out;
    apr_uint32_t marks = MARKS;
    apr_size_t left = n;

    if (n % 4 == 1) {
        return APR_EINVAL;
    }
    /* one test after the loops instead of four in them: a bad character only
     * makes the output garbage, which the caller then does not get */
    for (; left >= 8; left -= 4, s += 4, d += 3) {
        apr_uint32_t v = group(s);

        marks &= v;
        /* the mark falls where the next group begins */
        store(d, v);
    }
    for (; left >= 4; left -= 4, s += 4, d += 3) {
        apr_uint32_t v = group(s);

        marks &= v;
        d[0] = (unsigned char)v;
        d[1] = (unsigned char)(v >> 8);
        d[2] = (unsigned char)(v >> 16);
    }
    if (marks != MARKS || (left && decode_tail(d, s, left) != APR_SUCCESS)) {
        return APR_EINVAL;
    }
    *outlen = n / 4 * 3 + (left ? left - 1 : 0);
    return APR_SUCCESS;
}
