/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_id.h"
#include "rensei_sha256.h"

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <string.h>

#define HEX_ID_BYTES 16
#define SECRET_BYTES 32
#define ULID_LEN 26
#define ULID_TIME_LEN 10
#define ULID_RANDOM_BYTES 10

static const char hex[] = "0123456789abcdef";
static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* What a character may be part of: Crockford's base 32 has no I, L, O or U. */
enum { HEX = 1, BASE32 = 2, SAFE = 4 };
static const unsigned char kind_of[256] = {
    ['0' ... '9'] = HEX | BASE32 | SAFE,
    ['a' ... 'f'] = HEX | SAFE,
    ['g' ... 'z'] = SAFE,
    ['A' ... 'H'] = BASE32 | SAFE,
    ['I'] = SAFE,
    ['J' ... 'K'] = BASE32 | SAFE,
    ['L'] = SAFE,
    ['M' ... 'N'] = BASE32 | SAFE,
    ['O'] = SAFE,
    ['P' ... 'T'] = BASE32 | SAFE,
    ['U'] = SAFE,
    ['V' ... 'Z'] = BASE32 | SAFE,
    ['_'] = SAFE,
    ['-'] = SAFE,
    ['.'] = SAFE,
    [':'] = SAFE,
};

typedef struct mark_t {
    const char *text;
    apr_size_t n;
} mark_t;

static const mark_t id_mark[] = {
    [RENSEI_ID_CLIENT] = {"m2m_", 4},   [RENSEI_ID_KEY] = {"key_", 4},
    [RENSEI_ID_WORKER] = {"wkr_", 4},   [RENSEI_ID_ORG] = {"org_", 4},
    [RENSEI_ID_WORKSPACE] = {"ws_", 3}, [RENSEI_ID_EVENT] = {"evt_", 4},
    [RENSEI_ID_TOKEN] = {"tok_", 4},
};

static const mark_t secret_mark[] = {
    [RENSEI_SECRET_CLIENT] = {"m2ms_", 5},
    [RENSEI_SECRET_KEY] = {"rsk_live_", 9},
};

static apr_status_t no_randomness(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                          "There is no randomness to be had at the moment.");
}

static void hex_write(char *out, const unsigned char *in, apr_size_t n)
{
    apr_size_t i;

    for (i = 0; i < n; i++) {
        out[2 * i] = hex[in[i] >> 4];
        out[2 * i + 1] = hex[in[i] & 15];
    }
    out[2 * n] = '\0';
}

/* ulid.spec: 48 bits of milliseconds in ten characters, then 80 random bits
 * in sixteen. */
static void ulid_write(char *out, apr_int64_t ms, const unsigned char *random)
{
    unsigned pending = 0, bits = 0;
    apr_size_t i, at = ULID_TIME_LEN;

    for (i = 0; i < ULID_TIME_LEN; i++) {
        out[i] = crockford[(ms >> (5 * (ULID_TIME_LEN - 1 - i))) & 31];
    }
    for (i = 0; i < ULID_RANDOM_BYTES; i++) {
        pending = pending << 8 | random[i];
        for (bits += 8; bits >= 5; bits -= 5) {
            out[at++] = crockford[(pending >> (bits - 5)) & 31];
        }
    }
    out[at] = '\0';
}

apr_status_t rensei_id_new(const char **out, rensei_id_e type,
                           const rensei_sys_t *sys, apr_pool_t *p,
                           rensei_err_t *err)
{
    return rensei_id_new_at(out, type, rensei_sys_now_ms(sys), sys, p, err);
}

apr_status_t rensei_id_new_at(const char **out, rensei_id_e type,
                              apr_int64_t ms, const rensei_sys_t *sys,
                              apr_pool_t *p, rensei_err_t *err)
{
    const mark_t *mark = &id_mark[type];
    unsigned char random[HEX_ID_BYTES];
    char body[2 * HEX_ID_BYTES + 1];

    if (sys->random(sys->baton, random, sizeof(random)) != APR_SUCCESS) {
        return no_randomness(err);
    }
    if (type == RENSEI_ID_CLIENT) {
        hex_write(body, random, HEX_ID_BYTES);
    }
    else {
        ulid_write(body, ms, random);
    }
    *out = apr_pstrcat(p, mark->text, body, NULL);
    return APR_SUCCESS;
}

static int all_of(const char *s, apr_size_t n, unsigned char kind)
{
    const unsigned char *at = (const unsigned char *)s, *end = at + n;

    for (; end - at >= 4; at += 4) {
        kind &=
            kind_of[at[0]] & kind_of[at[1]] & kind_of[at[2]] & kind_of[at[3]];
    }
    for (; at < end; at++) {
        kind &= kind_of[*at];
    }
    return kind != 0;
}

static int marked(const mark_t *mark, const char *s, apr_size_t n,
                  apr_size_t body)
{
    return n == mark->n + body && memcmp(s, mark->text, mark->n) == 0;
}

int rensei_id_valid(rensei_id_e type, const char *s, apr_size_t n)
{
    const mark_t *mark = &id_mark[type];

    if (type == RENSEI_ID_CLIENT) {
        return marked(mark, s, n, 2 * HEX_ID_BYTES) &&
               all_of(s + mark->n, 2 * HEX_ID_BYTES, HEX);
    }
    /* 26 times 5 bits are 130: a first character over 7 is beyond 128 */
    return marked(mark, s, n, ULID_LEN) && s[mark->n] <= '7' &&
           all_of(s + mark->n, ULID_LEN, BASE32);
}

int rensei_id_time(apr_int64_t *ms, rensei_id_e type, const char *s,
                   apr_size_t n)
{
    apr_int64_t found = 0;
    int i;

    if (type == RENSEI_ID_CLIENT || !rensei_id_valid(type, s, n)) {
        return 0;
    }
    s += id_mark[type].n;
    for (i = 0; i < ULID_TIME_LEN; i++) {
        found = found << 5 | (strchr(crockford, s[i]) - crockford);
    }
    *ms = found;
    return 1;
}

int rensei_id_safe(const char *s, apr_size_t n)
{
    return n > 0 && n <= RENSEI_ID_LEN_MAX && all_of(s, n, SAFE);
}

static apr_status_t secret_wipe(void *secret)
{
    OPENSSL_cleanse(secret, strlen(secret));
    return APR_SUCCESS;
}

apr_status_t rensei_secret_new(const char **out, rensei_secret_e type,
                               const rensei_sys_t *sys, apr_pool_t *p,
                               rensei_err_t *err)
{
    const mark_t *mark = &secret_mark[type];
    unsigned char random[SECRET_BYTES];
    char *secret;

    if (sys->random(sys->baton, random, sizeof(random)) != APR_SUCCESS) {
        OPENSSL_cleanse(random, sizeof(random));
        return no_randomness(err);
    }
    secret = apr_palloc(p, mark->n + 2 * SECRET_BYTES + 1);
    memcpy(secret, mark->text, mark->n);
    hex_write(secret + mark->n, random, SECRET_BYTES);
    OPENSSL_cleanse(random, sizeof(random));
    apr_pool_cleanup_register(p, secret, secret_wipe, apr_pool_cleanup_null);
    *out = secret;
    return APR_SUCCESS;
}

int rensei_secret_valid(rensei_secret_e type, const char *s, apr_size_t n)
{
    const mark_t *mark = &secret_mark[type];

    return marked(mark, s, n, 2 * SECRET_BYTES) &&
           all_of(s + mark->n, 2 * SECRET_BYTES, HEX);
}

#define DIGEST_MARK "sha256$"

void rensei_digest(char out[RENSEI_DIGEST_LEN + 1], const char *secret,
                   apr_size_t n)
{
    unsigned char md[RENSEI_SHA256_LEN];

    if (!rensei_sha256(md, secret, n)) {
        out[0] = '\0';
        return;
    }
    memcpy(out, DIGEST_MARK, sizeof(DIGEST_MARK) - 1);
    hex_write(out + sizeof(DIGEST_MARK) - 1, md, sizeof(md));
}

int rensei_digest_same(const char *stored,
                       const char digest[RENSEI_DIGEST_LEN + 1])
{
    static const char nobody[RENSEI_DIGEST_LEN + 1] = DIGEST_MARK;
    int known = stored != NULL && strlen(stored) == RENSEI_DIGEST_LEN;
    int computed = digest[0] != '\0';
    int same =
        CRYPTO_memcmp(digest, known ? stored : nobody, RENSEI_DIGEST_LEN) == 0;

    return computed & known & same;
}
