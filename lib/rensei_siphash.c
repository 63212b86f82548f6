/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_siphash.h"

#include <string.h>

typedef struct state_t {
    apr_uint64_t v0, v1, v2, v3;
} state_t;

static inline apr_uint64_t rotated(apr_uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void round_once(state_t *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotated(s->v1, 13) ^ s->v0;
    s->v3 = rotated(s->v3, 16) ^ s->v2;
    s->v0 = rotated(s->v0, 32) + s->v3;
    s->v2 += s->v1;
    s->v1 = rotated(s->v1, 17) ^ s->v2;
    s->v3 = rotated(s->v3, 21) ^ s->v0;
    s->v2 = rotated(s->v2, 32);
}

static inline void absorb(state_t *s, apr_uint64_t m)
{
    s->v3 ^= m;
    round_once(s);
    s->v0 ^= m;
}

static inline apr_uint64_t squeeze(state_t *s)
{
    round_once(s);
    round_once(s);
    round_once(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* Eight bytes, the first lowest. */
static inline apr_uint64_t word(const unsigned char *p)
{
    apr_uint64_t m;

    memcpy(&m, p, sizeof(m));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    m = __builtin_bswap64(m);
#endif
    return m;
}

/* The last n % 8 bytes of n. Of eight or more, they are the end of a whole
 * word, which takes no call. */
static inline apr_uint64_t rest(const unsigned char *data, apr_size_t n)
{
    unsigned char last[8] = {0};
    apr_size_t left = n % 8;

    if (left == 0) {
        return 0;
    }
    if (n > 8) {
        return word(data + n - 8) >> (64 - 8 * left);
    }
    memcpy(last, data, left);
    return word(last);
}

void rensei_siphash(apr_uint64_t out[2], const apr_uint64_t key[2],
                    apr_uint64_t first, const void *data, apr_size_t n)
{
    const unsigned char *p = data, *whole = p + n / 8 * 8;
    state_t s = {key[0] ^ APR_UINT64_C(0x736f6d6570736575),
                 key[1] ^ APR_UINT64_C(0x646f72616e646f6d) ^ 0xee,
                 key[0] ^ APR_UINT64_C(0x6c7967656e657261),
                 key[1] ^ APR_UINT64_C(0x7465646279746573)};

    absorb(&s, first);
    for (; whole - p >= 16; p += 16) {
        absorb(&s, word(p));
        absorb(&s, word(p + 8));
    }
    if (p < whole) {
        absorb(&s, word(p));
    }
    absorb(&s, rest(data, n) | (apr_uint64_t)(n + sizeof(first)) << 56);
    s.v2 ^= 0xee;
    out[0] = squeeze(&s);
    s.v1 ^= 0xdd;
    out[1] = squeeze(&s);
}
