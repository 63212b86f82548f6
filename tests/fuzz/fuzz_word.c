/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Single words: numbers, spans of time, times, identifiers, secrets, base64.
 * Each that is taken and has a text of its own is read from that again.
 */
#include "fuzz.h"
#include "rensei_b64.h"
#include "rensei_id.h"

#include <apr_strings.h>
#include <string.h>

static void check_numbers(const char *text, apr_size_t n, apr_pool_t *p)
{
    apr_int64_t value, again;
    const char *s;

    if (rensei_int_parse(&value, text, n, APR_INT64_MIN, APR_INT64_MAX)) {
        s = apr_psprintf(p, "%" APR_INT64_T_FMT, value);
        FUZZ_HOLDS(strlen(s) == n && memcmp(s, text, n) == 0);
        FUZZ_HOLDS(!rensei_int_parse(&again, text, n, value, value) ||
                   again == value);
    }
    if (rensei_duration_parse(&value, text, n)) {
        FUZZ_HOLDS(value > 0 && value <= APR_INT64_C(3650) * 86400);
        s = rensei_duration_text(value, p);
        FUZZ_HOLDS(rensei_duration_parse(&again, s, strlen(s)) &&
                   again == value);
    }
}

static void check_time(const char *text, apr_pool_t *p)
{
    apr_int64_t ms, again;
    const char *s;

    if (rensei_time_parse(&ms, text)) {
        s = rensei_time_iso(ms, p);
        FUZZ_HOLDS(rensei_time_parse(&again, s));
        /* the end of 9999 and the start of 0000 in other zones are outside */
        FUZZ_HOLDS(again == ms || strncmp(s, "9999-12-31T23:59", 16) == 0 ||
                   strncmp(s, "0000-01-01T00:00", 16) == 0);
    }
}

static void check_id(const char *text, apr_size_t n)
{
    rensei_id_e type;
    apr_int64_t ms;

    for (type = RENSEI_ID_CLIENT; type <= RENSEI_ID_TOKEN; type++) {
        int valid = rensei_id_valid(type, text, n);

        FUZZ_HOLDS(!valid || rensei_id_safe(text, n));
        FUZZ_HOLDS(!rensei_id_time(&ms, type, text, n) || valid);
    }
    FUZZ_HOLDS(!rensei_id_safe(text, n) || rensei_utf8_valid(text, n));
    FUZZ_HOLDS(!rensei_secret_valid(RENSEI_SECRET_KEY, text, n) ||
               n == RENSEI_API_KEY_LEN);
    FUZZ_HOLDS(!rensei_secret_valid(RENSEI_SECRET_CLIENT, text, n) ||
               rensei_id_safe(text, 5));
}

static void check_digest(const char *text, apr_size_t n)
{
    char digest[RENSEI_DIGEST_LEN + 1], shorter[RENSEI_DIGEST_LEN + 1];

    rensei_digest(digest, text, n);
    FUZZ_HOLDS(rensei_digest_same(digest, digest));
    FUZZ_HOLDS(!rensei_digest_same(NULL, digest));
    rensei_digest(shorter, text, n - (n > 0));
    FUZZ_HOLDS(n == 0 || !rensei_digest_same(digest, shorter));
}

static void check_b64(const char *text, apr_size_t n, apr_pool_t *p)
{
    char *bytes = apr_palloc(p, n + 1);
    char *again = apr_palloc(p, n + 4);
    apr_size_t len = 0;

    if (rensei_b64url_decode(bytes, &len, text, n) == APR_SUCCESS) {
        FUZZ_HOLDS(len <= n * 3 / 4);
        FUZZ_HOLDS(rensei_b64url_encode(again, bytes, len) == n);
        FUZZ_HOLDS(memcmp(again, text, n) == 0);
    }
}

void fuzz_word(const char *text, apr_size_t n, apr_pool_t *p)
{
    check_numbers(text, n, p);
    check_time(fuzz_string(text, n, p), p);
    check_id(text, n);
    check_digest(text, n);
    check_b64(text, n, p);
}
