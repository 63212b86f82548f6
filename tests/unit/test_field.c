/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_field.h"
#include "rensei_page.h"

#include <apr_strings.h>

static rensei_err_t err;

START_TEST(texts_that_pass)
{
    static const char *const good[] = {"a",
                                       "CI runner 7",
                                       "D\xc3\xa9ploiement \xe2\x82\xac",
                                       "\xf0\x9f\x9a\x80",
                                       "'; DROP TABLE x; --",
                                       NULL};
    int i;

    for (i = 0; good[i]; i++) {
        ck_assert_ok(rensei_field_text("name", good[i], 40, 0, test_pool, &err),
                     err);
    }
    ck_assert_ok(rensei_field_text("name", NULL, 5, 0, test_pool, &err), err);
    ck_assert_ok(rensei_field_text("name", "12345", 5, 0, test_pool, &err),
                 err);
    ck_assert_ok(
        rensei_field_text("description", "a\nb", 5, 1, test_pool, &err), err);
}
END_TEST

START_TEST(texts_that_do_not)
{
    static const char *const bad[] = {
        "",     "123456", " a",       "a ",           "a\nb",
        "a\tb", "a\rb",   "\x7f",     "\xc2\x80",     "\xc2\x9f",
        "\x1b", "\xff",   "\xc0\x80", "\xed\xa0\x80", NULL};
    int i;

    for (i = 0; bad[i]; i++) {
        ck_assert_field(
            rensei_field_text("name", bad[i], 5, 0, test_pool, &err), err,
            "name");
    }
    ck_assert_field(rensei_field_text("d", "a\tb", 5, 1, test_pool, &err), err,
                    "d");
    ck_assert_field(rensei_field_needed("name", NULL, 5, test_pool, &err), err,
                    "name");
}
END_TEST

/* An owner of invisible characters satisfies RenseiRequireOwner, and nobody
 * finds whom to ask. */
START_TEST(texts_that_cannot_be_seen)
{
    static const char *const nothing[] = {
        "\xe2\x80\x8b",             /* U+200B zero width space */
        "\xc2\xa0",                 /* U+00A0 no-break space */
        "\xc2\xad\xe2\x80\x8d",     /* soft hyphen, U+200D joiner */
        "\xef\xbb\xbf",             /* U+FEFF */
        "\xe3\x80\x80\xe3\x85\xa4", /* U+3000, U+3164 Hangul filler */
        "\xe2\xa0\x80",             /* U+2800 Braille blank */
        "\xf3\xa0\x81\x81",         /* U+E0041 a tag */
        "\xef\xb8\x8f",
        "\xe2\x80\x8e",
        "\xe2\x81\xa0",
        NULL};
    /* beside something else they have a use: Persian, families of emoji */
    static const char *const good[] = {
        "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xb1",
        "a\xc2\xa0"
        "b",
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
        "\xf4\x8f\xbf\xbd",
        "\xdf\xbf",
        NULL};
    int i;

    for (i = 0; nothing[i]; i++) {
        ck_assert_field(
            rensei_field_text("owner", nothing[i], 40, 1, test_pool, &err), err,
            "owner");
        ck_assert_str_eq(err.text,
                         "owner must have a character that can be seen.");
    }
    for (i = 0; good[i]; i++) {
        ck_assert_ok(
            rensei_field_text("owner", good[i], 40, 0, test_pool, &err), err);
    }
}
END_TEST

/* A name that a list, or the line of a log, shows as another. */
START_TEST(texts_in_disguise)
{
    static const char *const bad[] = {"nimda\xe2\x80\xae",
                                      "a\xe2\x80\xaa"
                                      "b",
                                      "a\xe2\x81\xa6"
                                      "b",
                                      "a\xe2\x81\xa9"
                                      "b",
                                      "a\xe2\x80\xa8"
                                      "b",
                                      "a\xe2\x80\xa9"
                                      "b",
                                      NULL};
    int i;

    for (i = 0; bad[i]; i++) {
        ck_assert_field(
            rensei_field_text("name", bad[i], 40, 1, test_pool, &err), err,
            "name");
        ck_assert_str_eq(err.text, "name must not have control characters.");
    }
}
END_TEST

START_TEST(filters)
{
    char *longest = apr_pcalloc(test_pool, 1002);

    memset(longest, 'x', 1000);
    ck_assert_ok(rensei_field_filter("f", longest, test_pool, &err), err);
    ck_assert_ok(rensei_field_filter("f", NULL, test_pool, &err), err);
    ck_assert_ok(rensei_field_filter("f", "", test_pool, &err), err);
    longest[1000] = 'x';
    ck_assert_field(rensei_field_filter("f", longest, test_pool, &err), err,
                    "f");
    ck_assert_field(rensei_field_filter("f", "\xff", test_pool, &err), err,
                    "f");
}
END_TEST

START_TEST(scope_filter)
{
    const char *out;

    ck_assert_ok(
        rensei_field_scope_filter(&out, "workers:read", test_pool, &err), err);
    ck_assert_str_eq(out, " workers:read ");
    ck_assert_ok(rensei_field_scope_filter(&out, NULL, test_pool, &err), err);
    ck_assert_ptr_null(out);
    ck_assert_field(rensei_field_scope_filter(&out, "a b", test_pool, &err),
                    err, "scope");
    ck_assert_field(rensei_field_scope_filter(&out, "", test_pool, &err), err,
                    "scope");
}
END_TEST

START_TEST(unknown_members)
{
    static const char *const names[] = {"a", "b", NULL};

    ck_assert_ok(rensei_body_known(test_json("{\"b\":1,\"a\":2}"), names,
                                   test_pool, &err),
                 err);
    ck_assert_field(rensei_body_known(test_json("{\"a\":1,\"A\":2}"), names,
                                      test_pool, &err),
                    err, "A");
}
END_TEST

START_TEST(integers)
{
    static const char *const bad[] = {
        "{\"n\":true}", "{\"n\":5.0}", "{\"n\":\"5\"}", "{\"n\":0}",
        "{\"n\":11}",   "{\"n\":[5]}", "{\"n\":-5}",    NULL};
    apr_int64_t n = 77;
    int i;

    ck_assert_int_eq(
        rensei_body_int(&n, test_json("{}"), "n", 1, 10, test_pool, &err), 0);
    ck_assert_int_eq(n, 77);
    ck_assert_int_eq(rensei_body_int(&n, test_json("{\"n\":10}"), "n", 1, 10,
                                     test_pool, &err),
                     1);
    ck_assert_int_eq(n, 10);
    ck_assert_int_eq(rensei_body_int(&n, test_json("{\"n\":null}"), "n", 1, 10,
                                     test_pool, &err),
                     1);
    ck_assert_int_eq(n, 0);
    for (i = 0; bad[i]; i++) {
        ck_assert_int_eq(
            rensei_body_int(&n, test_json(bad[i]), "n", 1, 10, test_pool, &err),
            -1);
        ck_assert_int_eq(err.code, RENSEI_E_INVALID_REQUEST);
        ck_assert_str_eq(err.field, "n");
    }
}
END_TEST

/* 1970 as text would be 0, and 0 means never; seconds in place of
 * milliseconds would be 1970 as well. */
START_TEST(times)
{
    static const char *const bad[] = {"{\"t\":\"1970-01-01T00:00:00Z\"}",
                                      "{\"t\":\"soon\"}",
                                      "{\"t\":\"\"}",
                                      "{\"t\":1769860800}",
                                      "{\"t\":0}",
                                      "{\"t\":true}",
                                      "{\"t\":1769860800000.5}",
                                      NULL};
    apr_int64_t t = 0;
    int i;

    ck_assert_int_eq(rensei_body_time(&t, test_json("{\"t\":1769860800000}"),
                                      "t", test_pool, &err),
                     1);
    ck_assert_int_eq(t, APR_INT64_C(1769860800000));
    ck_assert_int_eq(
        rensei_body_time(&t, test_json("{\"t\":\"2026-01-31T12:00:01Z\"}"), "t",
                         test_pool, &err),
        1);
    ck_assert_int_eq(t, APR_INT64_C(1769860801000));
    for (i = 0; bad[i]; i++) {
        ck_assert_int_eq(
            rensei_body_time(&t, test_json(bad[i]), "t", test_pool, &err), -1);
        ck_assert_str_eq(err.field, "t");
    }
    ck_assert_int_eq(t, APR_INT64_C(1769860801000));
    ck_assert_int_eq(
        rensei_body_time(&t, test_json("{\"t\":null}"), "t", test_pool, &err),
        1);
    ck_assert_int_eq(t, 0);
}
END_TEST

START_TEST(scopes)
{
    static const char *const bad[] = {"{\"s\":\"a b\"}", "{\"s\":null}",
                                      "{\"s\":[1]}",     "{\"s\":[\"a b\"]}",
                                      "{\"s\":[\"\"]}",  "{\"s\":[\"a\",null]}",
                                      "{\"s\":{}}",      NULL};
    rensei_scopes_t s;
    int i;

    ck_assert_int_eq(
        rensei_body_scopes(&s, test_json("{\"s\":[\"a\",\"b:c\",\"a\"]}"), "s",
                           test_pool, &err),
        1);
    ck_assert_str_eq(rensei_scopes_text(&s, test_pool), "a b:c");
    ck_assert_int_eq(
        rensei_body_scopes(&s, test_json("{\"s\":[]}"), "s", test_pool, &err),
        1);
    ck_assert_int_eq(s.count, 0);
    ck_assert_int_eq(
        rensei_body_scopes(&s, test_json("{}"), "s", test_pool, &err), 0);
    for (i = 0; bad[i]; i++) {
        ck_assert_int_eq(
            rensei_body_scopes(&s, test_json(bad[i]), "s", test_pool, &err),
            -1);
        ck_assert_str_eq(err.field, "s");
    }
}
END_TEST

static rensei_page_t page;

static apr_status_t page_open(int limit, const char *cursor)
{
    return rensei_page_open(&page, RENSEI_CURSOR_KEY, limit, cursor, test_pool,
                            &err);
}

#define KEY_ID "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"

START_TEST(limits)
{
    ck_assert_ok(page_open(0, NULL), err);
    ck_assert_int_eq(page.limit, RENSEI_PAGE_DEFAULT);
    ck_assert_ok(page_open(RENSEI_PAGE_MAX, NULL), err);
    ck_assert_int_eq(page.limit, RENSEI_PAGE_MAX);
    ck_assert_field(page_open(RENSEI_PAGE_MAX + 1, NULL), err, "limit");
    ck_assert_field(page_open(-1, NULL), err, "limit");
}
END_TEST

START_TEST(cursors)
{
    const char *good = rensei_cursor_text('k', 123, KEY_ID, test_pool);
    const char *const bad[] = {
        "",
        "x",
        apr_pstrcat(test_pool, good, "A", NULL),
        apr_pstrndup(test_pool, good, strlen(good) - 1),
        rensei_cursor_text('c', 123, KEY_ID, test_pool),
        rensei_cursor_text('k', -1, KEY_ID, test_pool),
        rensei_cursor_text('k', 123, "' OR 1=1", test_pool),
        rensei_cursor_text('k', 123, "", test_pool),
        rensei_cursor_text('k', 123, KEY_ID "." KEY_ID, test_pool),
        "k123." KEY_ID,
        apr_pstrcat(test_pool, good, good, good, good, NULL),
        NULL};
    int i;

    ck_assert_ok(page_open(1, good), err);
    ck_assert_int_eq(page.n, 123);
    ck_assert_str_eq(page.id, KEY_ID);
    for (i = 0; bad[i]; i++) {
        ck_assert_field(page_open(1, bad[i]), err, "cursor");
    }
}
END_TEST

Suite *suite_field(void)
{
    TCase *tc;
    Suite *s = test_suite("field", &tc);

    tcase_add_test(tc, texts_that_pass);
    tcase_add_test(tc, texts_that_do_not);
    tcase_add_test(tc, texts_that_cannot_be_seen);
    tcase_add_test(tc, texts_in_disguise);
    tcase_add_test(tc, filters);
    tcase_add_test(tc, scope_filter);
    tcase_add_test(tc, unknown_members);
    tcase_add_test(tc, integers);
    tcase_add_test(tc, times);
    tcase_add_test(tc, scopes);
    tcase_add_test(tc, limits);
    tcase_add_test(tc, cursors);
    return s;
}
