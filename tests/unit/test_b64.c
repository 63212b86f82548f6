/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_b64.h"

typedef struct vector_t {
    const char *bytes;
    apr_size_t n;
    const char *text;
} vector_t;

/* RFC 4648 10 without its padding; RFC 7515 appendix C for '-' and '_'. */
static const vector_t vectors[] = {
    {"", 0, ""},
    {"f", 1, "Zg"},
    {"fo", 2, "Zm8"},
    {"foo", 3, "Zm9v"},
    {"foob", 4, "Zm9vYg"},
    {"fooba", 5, "Zm9vYmE"},
    {"foobar", 6, "Zm9vYmFy"},
    {"\x03\xec\xff\xe0\xc1", 5, "A-z_4ME"},
};

START_TEST(published)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const vector_t *v = &vectors[i];
        char text[16], bytes[16];
        apr_size_t n = 99;

        ck_assert_uint_eq(rensei_b64url_encode(text, v->bytes, v->n),
                          strlen(v->text));
        ck_assert_uint_eq(RENSEI_B64URL_LEN(v->n), strlen(v->text));
        ck_assert_str_eq(text, v->text);
        ck_assert_int_eq(
            rensei_b64url_decode(bytes, &n, v->text, strlen(v->text)),
            APR_SUCCESS);
        ck_assert_uint_eq(n, v->n);
        ck_assert(memcmp(bytes, v->bytes, n) == 0);
    }
}
END_TEST

/* A decoder that skips or folds something gives one token many spellings;
 * a revocation list or a cache keyed by text misses all but one. */
START_TEST(refused)
{
    static const char *const rows[] = {
        "Z",       "Zm9vY",   "Zg==",         "Zg=",          "Zm9v=",
        "Zm9v\n",  "Zm9v ",   " Zm9v",        "Zm 9v",        "Zm9v\r\n",
        "A+z_4ME", "A-z/4ME", "Zm9v.",        "Zm9?",         "\xc3\xa9m9",
        "Zm9\x80", "Zh",      "Zn",           "Zv",           "Zm9",
        "Zm+",     "Zm8=",    "Zm9vZm9vZm9?", "?m9vZm9vZm9v", "Zm9v?m9v",
    };
    char bytes[16];
    apr_size_t n;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(rensei_b64url_decode(bytes, &n, rows[i],
                                           strlen(rows[i])) == APR_EINVAL,
                      "'%s' was decoded", rows[i]);
    }
    ck_assert_int_eq(rensei_b64url_decode(bytes, &n, "Zm9\0", 4), APR_EINVAL);
    /* what lies beyond n is not part of it, even if it would complete it */
    ck_assert_int_eq(rensei_b64url_decode(bytes, &n, "AA", 1), APR_EINVAL);
    ck_assert_int_eq(rensei_b64url_decode(bytes, &n, "AAAAAA", 5), APR_EINVAL);
    /* the neighbours of those with trailing bits, which are canonical */
    ck_assert_int_eq(rensei_b64url_decode(bytes, &n, "Zg", 2), APR_SUCCESS);
    ck_assert_int_eq(rensei_b64url_decode(bytes, &n, "Zm8", 3), APR_SUCCESS);
}
END_TEST

/* Of all texts of n characters, those that decode encode back to
 * themselves; and they are as many as there are runs of bytes. */
static unsigned count_canonical(apr_size_t n)
{
    unsigned total = n == 2 ? 1u << 16 : 1u << 24, good = 0;

    for (unsigned i = 0; i < total; i++) {
        char text[4] = {(char)i, (char)(i >> 8), (char)(i >> 16), '\0'};
        char again[8], bytes[4];
        apr_size_t len;

        if (rensei_b64url_decode(bytes, &len, text, n) == APR_SUCCESS) {
            good++;
            ck_assert_uint_eq(rensei_b64url_encode(again, bytes, len), n);
            ck_assert(memcmp(again, text, n) == 0);
        }
    }
    return good;
}

START_TEST(one_text_for_each)
{
    ck_assert_uint_eq(count_canonical(2), 256);
    ck_assert_uint_eq(count_canonical(3), 65536);
}
END_TEST

START_TEST(round_trip)
{
    unsigned char in[300], back[300];
    char text[RENSEI_B64URL_LEN(300) + 1];

    ck_assert_int_eq(test_sys->random(test_sys->baton, in, sizeof(in)),
                     APR_SUCCESS);
    for (apr_size_t n = 0; n <= sizeof(in); n++) {
        apr_size_t len = rensei_b64url_encode(text, in, n), out;

        ck_assert_uint_eq(len, RENSEI_B64URL_LEN(n));
        ck_assert_uint_eq(strlen(text), len);
        ck_assert_int_eq(rensei_b64url_decode(back, &out, text, len),
                         APR_SUCCESS);
        ck_assert_uint_eq(out, n);
        ck_assert(memcmp(back, in, n) == 0);
    }
}
END_TEST

/* Long texts are decoded many characters at a time; short ones are not. So a
 * long one, with any character at any place, is what its pieces are. */
START_TEST(long_as_its_pieces)
{
    enum { LONG = 120, PIECE = 4 };
    unsigned char in[LONG / 4 * 3], whole[sizeof(in)], some[sizeof(in)];
    char text[LONG + 1];
    apr_size_t n;

    ck_assert_int_eq(test_sys->random(test_sys->baton, in, sizeof(in)),
                     APR_SUCCESS);
    ck_assert_uint_eq(rensei_b64url_encode(text, in, sizeof(in)), LONG);
    for (int at = 0; at < LONG; at++) {
        for (int c = 0; c < 256; c++) {
            char was = text[at];
            int good = 1;

            text[at] = (char)c;
            for (int i = 0; i < LONG; i += PIECE) {
                good =
                    good && rensei_b64url_decode(some + i / 4 * 3, &n, text + i,
                                                 PIECE) == APR_SUCCESS;
            }
            ck_assert_int_eq(rensei_b64url_decode(whole, &n, text, LONG),
                             good ? APR_SUCCESS : APR_EINVAL);
            if (good) {
                ck_assert_uint_eq(n, sizeof(whole));
                ck_assert(memcmp(whole, some, sizeof(whole)) == 0);
            }
            text[at] = was;
        }
    }
}
END_TEST

/* Nothing is written behind what the text decodes to, of any length. */
START_TEST(no_byte_more)
{
    char text[201];
    unsigned char out[200];
    apr_size_t n;

    memset(text, 'A', 200);
    for (apr_size_t len = 0; len <= 200; len++) {
        if (len % 4 == 1) {
            continue;
        }
        memset(out, 0x55, sizeof(out));
        ck_assert_int_eq(rensei_b64url_decode(out, &n, text, len), APR_SUCCESS);
        for (apr_size_t i = 0; i < sizeof(out); i++) {
            ck_assert_uint_eq(out[i], i < n ? 0 : 0x55);
        }
    }
}
END_TEST

Suite *suite_b64(void)
{
    TCase *tc;
    Suite *s = test_suite("b64", &tc);

    tcase_add_test(tc, published);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, one_text_for_each);
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, long_as_its_pieces);
    tcase_add_test(tc, no_byte_more);
    return s;
}
