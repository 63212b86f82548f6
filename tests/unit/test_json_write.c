/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_json.h"
#include "rensei_json_write.h"

#include <apr_strings.h>
#include <string.h>

static rensei_json_text_t w;

START_TEST(an_object)
{
    rensei_str_t some[] = {RENSEI_STR("a:b"), RENSEI_STR("\"")};
    rensei_scopes_t list = {2, some}, none = {0, NULL};

    rensei_json_begin(&w, test_pool);
    ck_assert_str_eq(rensei_json_finish(&w), "{}");
    rensei_json_begin(&w, test_pool);
    rensei_json_put_text(&w, "a", "x");
    rensei_json_put_text(&w, "no", NULL);
    rensei_json_put_text(&w, "empty", "");
    rensei_json_put_list(&w, "l", &list);
    rensei_json_put_list(&w, "n", &none);
    rensei_json_put_raw(&w, "r", "{\"q\":[1]}");
    ck_assert_str_eq(rensei_json_finish(&w),
                     "{\"a\":\"x\",\"empty\":\"\",\"l\":[\"a:b\",\"\\\"\"],"
                     "\"n\":[],\"r\":{\"q\":[1]}}");
}
END_TEST

START_TEST(integers)
{
    static const apr_int64_t rows[] = {
        0, 1, 9, 10, -1, -10, 1769860800000, APR_INT64_MAX, APR_INT64_MIN};
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rensei_json_begin(&w, test_pool);
        rensei_json_put_int(&w, "i", rows[i]);
        ck_assert_str_eq(
            rensei_json_finish(&w),
            apr_psprintf(test_pool, "{\"i\":%" APR_INT64_T_FMT "}", rows[i]));
    }
}
END_TEST

/* Every character below 0x80 at every place of a string, and UTF-8: the text
 * is jansson's, to the byte. */
START_TEST(strings_as_jansson_writes_them)
{
    static const char *const more[] = {"\xc3\xa4", "\xe2\x82\xac",
                                       "\xf0\x9f\x94\x91", "\\\\\"\"", "/"};
    char text[8]; /* four characters are looked at together */
    const char *ours;
    json_t *tree;
    int c, at;

    for (c = 1; c < 0x80; c++) {
        for (at = 0; at < 7; at++) {
            memcpy(text, "abcdefg", sizeof(text));
            text[at] = (char)c;
            rensei_json_begin(&w, test_pool);
            rensei_json_put_text(&w, "s", text);
            ours = rensei_json_finish(&w);
            tree = rensei_json_own(json_pack("{s:s}", "s", text), test_pool);
            ck_assert_str_eq(ours, rensei_json_dump(tree, test_pool));
        }
    }
    for (c = 0; c < (int)(sizeof(more) / sizeof(more[0])); c++) {
        rensei_json_begin(&w, test_pool);
        rensei_json_put_text(&w, "s", more[c]);
        ours = rensei_json_finish(&w);
        tree = rensei_json_own(json_pack("{s:s}", "s", more[c]), test_pool);
        ck_assert_str_eq(ours, rensei_json_dump(tree, test_pool));
    }
}
END_TEST

/* Longer than the first buffer, by whatever is written, and each length about
 * its end. */
START_TEST(it_grows)
{
    apr_size_t n;

    for (n = 480; n < 540; n++) {
        char *text = apr_palloc(test_pool, n + 1);
        json_t *read;

        memset(text, n % 2 ? 'x' : '\x01', n);
        text[n] = '\0';
        rensei_json_begin(&w, test_pool);
        rensei_json_put_text(&w, "a", text);
        rensei_json_put_raw(&w, "b", "[1]");
        rensei_json_put_int(&w, "c", APR_INT64_MIN);
        read = test_json(rensei_json_finish(&w));
        ck_assert_str_eq(json_string_value(json_object_get(read, "a")), text);
        ck_assert_int_eq(json_integer_value(json_object_get(read, "c")),
                         APR_INT64_MIN);
    }
}
END_TEST

Suite *suite_json_write(void)
{
    TCase *tc;
    Suite *s = test_suite("json_write", &tc);

    tcase_add_test(tc, an_object);
    tcase_add_test(tc, integers);
    tcase_add_test(tc, strings_as_jansson_writes_them);
    tcase_add_test(tc, it_grows);
    return s;
}
