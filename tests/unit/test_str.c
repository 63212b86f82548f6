/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_str.h"

static int parse(apr_int64_t *out, const char *s)
{
    return rensei_int_parse(out, s, strlen(s), APR_INT64_MIN, APR_INT64_MAX);
}

START_TEST(int_parse_good)
{
    static const struct {
        const char *text;
        apr_int64_t value;
    } rows[] = {
        {"0", 0},
        {"7", 7},
        {"-1", -1},
        {"10", 10},
        {"9007199254740992", APR_INT64_C(9007199254740992)},
        {"9223372036854775807", APR_INT64_MAX},
        {"-9223372036854775808", APR_INT64_MIN},
    };
    char written[RENSEI_INT_LEN + 1];
    apr_int64_t value;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(parse(&value, rows[i].text), "%s", rows[i].text);
        ck_assert_msg(value == rows[i].value, "%s", rows[i].text);
        written[rensei_int_write(written, value)] = '\0';
        ck_assert_str_eq(written, rows[i].text);
    }
}
END_TEST

START_TEST(int_parse_bad)
{
    static const char *const rows[] = {"",
                                       "-",
                                       "+1",
                                       "00",
                                       "01",
                                       "-0",
                                       "-01",
                                       " 1",
                                       "1 ",
                                       "1.0",
                                       "1e3",
                                       "0x1",
                                       "--1",
                                       "1-",
                                       "a",
                                       "1a",
                                       "\n",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "99999999999999999999999999999"};
    apr_int64_t value = 42;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(!parse(&value, rows[i]), "'%s' was taken", rows[i]);
        ck_assert_int_eq(value, 42);
    }
    /* a NUL is a character like any other, not an end */
    ck_assert(!rensei_int_parse(&value, "1\0", 2, 0, 9));
}
END_TEST

START_TEST(int_parse_bounds)
{
    apr_int64_t value;

    ck_assert(rensei_int_parse(&value, "5", 1, 5, 5));
    ck_assert(!rensei_int_parse(&value, "4", 1, 5, 9));
    ck_assert(!rensei_int_parse(&value, "10", 2, 5, 9));
    ck_assert(!rensei_int_parse(&value, "-1", 2, 0, 9));
    /* only n bytes are looked at */
    ck_assert(rensei_int_parse(&value, "123", 2, 0, 99));
    ck_assert_int_eq(value, 12);
}
END_TEST

START_TEST(utf8_good)
{
    static const char *const rows[] = {
        "",
        "plain ASCII \x01\x7f",
        "\xc2\x80 \xdf\xbf",
        "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf",
        "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf",
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(rensei_utf8_valid(rows[i], strlen(rows[i])), "row %zu",
                      i);
    }
}
END_TEST

/* An over-long form is a second spelling: a check for '/' misses C0 AF. */
START_TEST(utf8_bad)
{
    static const char *const rows[] = {
        "\x80",             /* a continuation alone */
        "a\xbf",            /* the same, at the end */
        "\xc0\xaf",         /* over-long in two bytes */
        "\xc1\xbf",         /* the last such */
        "\xe0\x9f\xbf",     /* over-long in three */
        "\xf0\x8f\xbf\xbf", /* over-long in four */
        "\xed\xa0\x80",     /* a surrogate */
        "\xed\xbf\xbf",     /* the last surrogate */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xf5\x80\x80\x80", /* no such lead */
        "\xfe",             /* nor this */
        "\xff",             /* nor this */
        "\xc2",             /* cut short */
        "\xe2\x82",         /* cut short */
        "\xf0\x9f\x98",     /* cut short */
        "\xc2\x41",         /* no continuation */
        "\xe2\x82\x41",     /* no second one */
        "\xf0\x9f\x98\x41", /* no third one */
        "\xe2\x82\xc0",     /* a lead where it continues */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(!rensei_utf8_valid(rows[i], strlen(rows[i])), "row %zu",
                      i);
    }
    ck_assert(!rensei_utf8_valid("a\0b", 3));
    /* what lies beyond n is not part of it, even if it would complete it */
    ck_assert(!rensei_utf8_valid("\xc2\x80", 1));
}
END_TEST

/* Eight bytes are looked at together: whatever is wrong is seen at each place
 * of them. */
START_TEST(utf8_in_long_texts)
{
    char text[20];
    size_t at;

    for (at = 0; at < sizeof(text) - 1; at++) {
        memset(text, 'a', sizeof(text));
        ck_assert(rensei_utf8_valid(text, sizeof(text)));
        text[at] = '\0';
        ck_assert_msg(!rensei_utf8_valid(text, sizeof(text)), "NUL %zu", at);
        text[at] = '\x80';
        ck_assert_msg(!rensei_utf8_valid(text, sizeof(text)), "80 %zu", at);
        memcpy(text + at, "\xc3\xa4", 2);
        ck_assert_msg(rensei_utf8_valid(text, sizeof(text)), "c3 %zu", at);
    }
}
END_TEST

Suite *suite_str(void)
{
    TCase *tc;
    Suite *s = test_suite("str", &tc);

    tcase_add_test(tc, int_parse_good);
    tcase_add_test(tc, int_parse_bad);
    tcase_add_test(tc, int_parse_bounds);
    tcase_add_test(tc, utf8_good);
    tcase_add_test(tc, utf8_bad);
    tcase_add_test(tc, utf8_in_long_texts);
    return s;
}
