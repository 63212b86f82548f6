/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_audit_chain.h"
#include "rensei_id.h"
#include "rensei_page.h"

#include <apr_strings.h>
#include <sys/wait.h>
#include <unistd.h>

static rensei_err_t err;
static rensei_event_page_t page;

static void append(const char *org, const char *event, const char *target)
{
    rensei_store_t *st = test_store();

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append(st, event, org, &test_actor, target,
                                     test_json("{}"), test_pool, &err),
                 err);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
}

static apr_status_t list(const char *org, const rensei_audit_filter_t *filter)
{
    return rensei_audit_list(&page, test_store(), org, filter, test_pool, &err);
}

START_TEST(event_is_kept_whole)
{
    rensei_store_t *st = test_store();
    const json_t *details = test_json("{\"name\":\"a'b\\u00e9\",\"n\":[1]}");
    rensei_event_t ev;

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append(st, "m2m.client_created", "org_1",
                                     &test_actor, "m2m_1", details, test_pool,
                                     &err),
                 err);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
    ev = test_last_event("org_1");
    ck_assert(rensei_id_valid(RENSEI_ID_EVENT, ev.id, strlen(ev.id)));
    ck_assert_str_eq(ev.event, "m2m.client_created");
    ck_assert_int_eq(ev.at, test_now_ms());
    ck_assert_str_eq(ev.org, "org_1");
    ck_assert_str_eq(ev.actor.id, "root");
    ck_assert_str_eq(ev.actor.type, "operator");
    ck_assert_str_eq(ev.actor.ip, "192.0.2.1");
    ck_assert_str_eq(ev.actor.request_id, "req-1");
    ck_assert_str_eq(ev.target, "m2m_1");
    ck_assert_str_eq(ev.details, "{\"n\":[1],\"name\":\"a'b\xc3\xa9\"}");
    ck_assert_int_eq(ev.seq, 1);
    ck_assert_uint_eq(strlen(ev.hash), RENSEI_AUDIT_HASH_LEN);
}
END_TEST

START_TEST(numbers_have_no_gaps)
{
    rensei_store_t *st = test_store();

    append("org_1", "e", NULL);
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append(st, "dropped", "org_1", &test_actor, NULL,
                                     test_json("{}"), test_pool, &err),
                 err);
    rensei_store_rollback(st);
    append("org_2", "e", NULL);
    append("org_1", "e", NULL);
    ck_assert_int_eq(test_last_event("org_1").seq, 2);
    ck_assert_int_eq(test_last_event("org_2").seq, 1);
    ck_assert_int_eq(test_sql_count("rensei_audit WHERE event = 'dropped'"), 0);
}
END_TEST

static void append_in_child(int n)
{
    apr_pool_t *p;
    rensei_store_t *st;
    rensei_err_t e;
    int i;

    apr_pool_create(&p, NULL);
    if (rensei_store_open(&st, test_store_driver(), test_store_params(),
                          rensei_sys_default(), p, &e) != APR_SUCCESS) {
        _exit(1);
    }
    for (i = 0; i < n; i++) {
        if (rensei_store_begin(st, p, &e) != APR_SUCCESS ||
            rensei_audit_append(st, "e", "org_1", &test_actor, NULL,
                                test_json("{}"), p, &e) != APR_SUCCESS ||
            rensei_store_commit(st, p, &e) != APR_SUCCESS) {
            _exit(1);
        }
    }
    _exit(0);
}

START_TEST(numbers_of_several_gateways)
{
    enum { CHILDREN = 4, EACH = 10 };
    pid_t pid[CHILDREN];
    int i, status;

    test_store();
    for (i = 0; i < CHILDREN; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            append_in_child(EACH);
        }
    }
    for (i = 0; i < CHILDREN; i++) {
        waitpid(pid[i], &status, 0);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(test_last_event("org_1").seq, CHILDREN * EACH);
    ck_assert_int_eq(test_sql_count("rensei_audit"), CHILDREN * EACH);
}
END_TEST

START_TEST(pages_run_back_and_stay_stable)
{
    rensei_audit_filter_t filter = {.limit = 3};
    int i, seq = 8;

    for (i = 0; i < 8; i++) {
        append("org_1", "e", NULL);
    }
    do {
        ck_assert_ok(list("org_1", &filter), err);
        for (i = 0; i < page.count; i++) {
            ck_assert_int_eq(page.event[i].seq, seq--);
        }
        append("org_1", "new", NULL);
        filter.cursor = page.next_cursor;
    } while (page.next_cursor);
    ck_assert_int_eq(seq, 0);
}
END_TEST

START_TEST(last_full_page_has_no_cursor)
{
    rensei_audit_filter_t filter = {.limit = 2};

    append("org_1", "e", NULL);
    append("org_1", "e", NULL);
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 2);
    ck_assert_ptr_null(page.next_cursor);
    ck_assert_ok(list("org_none", &filter), err);
    ck_assert_int_eq(page.count, 0);
    ck_assert_ptr_null(page.next_cursor);
}
END_TEST

START_TEST(filters_are_exact)
{
    rensei_audit_filter_t filter = {0};

    append("org_1", "m2m.auth_failed", "m2m_a");
    append("org_1", "m2m.auth_failed", "m2m_b");
    append("org_1", "m2m.token_issued", "m2m_a");
    filter.event = "m2m.auth_failed";
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 2);
    filter.target = "m2m_a";
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 1);
    filter.event = "m2m.auth%";
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 0);
    filter.event = NULL;
    filter.actor = "root";
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 2);
    filter.actor = "Root";
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 0);
}
END_TEST

START_TEST(since_and_until)
{
    rensei_audit_filter_t filter = {0};
    apr_int64_t start = test_now_ms();
    int i;

    for (i = 0; i < 5; i++) {
        append("org_1", "e", NULL); /* at start + 0, 10, 20, 30, 40 s */
        test_later(10);
    }
    filter.since = start + 10000; /* inclusive */
    filter.until = start + 30000; /* exclusive */
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 2);
    ck_assert_int_eq(page.event[0].seq, 3);
    ck_assert_int_eq(page.event[1].seq, 2);
    filter.limit = 1;
    ck_assert_ok(list("org_1", &filter), err);
    filter.cursor = page.next_cursor;
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.event[0].seq, 2);
    ck_assert_ptr_null(page.next_cursor);
    filter = (rensei_audit_filter_t){.since = start + 40000};
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 1);
    filter = (rensei_audit_filter_t){.until = start + 10000};
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 1);
    filter = (rensei_audit_filter_t){.since = start + 50000};
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 0);
    ck_assert_ptr_null(page.next_cursor);
}
END_TEST

/* Gateways' clocks differ: the order of the numbers is not that of times. */
START_TEST(clocks_that_disagree)
{
    rensei_audit_filter_t filter = {.since = test_now_ms()};

    append("org_1", "a", NULL);
    test_later(-100);
    append("org_1", "b", NULL); /* too early */
    test_later(50);
    append("org_1", "c", NULL); /* too early */
    test_later(60);
    append("org_1", "d", NULL);
    ck_assert_ok(list("org_1", &filter), err);
    ck_assert_int_eq(page.count, 2);
    ck_assert_str_eq(page.event[0].event, "d");
    ck_assert_str_eq(page.event[1].event, "a");
}
END_TEST

/* One event far back, among many that a filter has to pass over. */
START_TEST(rare_events_are_found_page_by_page)
{
    rensei_audit_filter_t filter = {.event = "rare"};
    int pages = 0, found = 0;

    append("org_1", "rare", NULL);
    test_sql("INSERT INTO rensei_audit (org_id, seq, id, event, at, actor, "
             "actor_type, details) WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL "
             "SELECT i + 1 FROM n WHERE i < 25000) SELECT 'org_1', i, "
             "'evt', 'common', i, 'a', 't', '{}' FROM n");
    test_sql("UPDATE rensei_audit_heads SET seq = 25000");
    do {
        ck_assert_ok(list("org_1", &filter), err);
        found += page.count;
        filter.cursor = page.next_cursor;
        pages++;
    } while (page.next_cursor);
    ck_assert_int_eq(found, 1);
    ck_assert_int_eq(pages, 25000 / RENSEI_SCAN_MAX + 1);
}
END_TEST

START_TEST(one_organisation_never_sees_another)
{
    rensei_audit_filter_t filter = {.limit = 1};

    append("org_1", "e", "m2m_1");
    append("org_1", "e", "m2m_1");
    append("org_2", "e", "m2m_2");
    append("org_2", "e", "m2m_2");
    ck_assert_ok(list("org_1", &filter), err);
    filter.cursor = page.next_cursor; /* used on the other's list */
    filter.limit = 10;
    ck_assert_ok(list("org_2", &filter), err);
    ck_assert_int_eq(page.count, 1);
    ck_assert_str_eq(page.event[0].org, "org_2");
    filter = (rensei_audit_filter_t){.target = "m2m_1"};
    ck_assert_ok(list("org_2", &filter), err);
    ck_assert_int_eq(page.count, 0);
    filter.target = NULL;
    ck_assert_ok(list("", &filter), err);
    ck_assert_int_eq(page.count, 0);
}
END_TEST

START_TEST(bad_pages_are_refused)
{
    rensei_audit_filter_t filter = {.cursor = "bm9uZQ"};

    ck_assert_field(list("org_1", &filter), err, "cursor");
    filter.cursor = rensei_cursor_text('c', 1, "0", test_pool);
    ck_assert_field(list("org_1", &filter), err, "cursor");
    filter.cursor = NULL;
    filter.limit = RENSEI_PAGE_MAX + 1;
    ck_assert_field(list("org_1", &filter), err, "limit");
    filter.limit = 0;
    filter.actor = "\xff";
    ck_assert_field(list("org_1", &filter), err, "actor");
}
END_TEST

/* What a request carries must not be able to keep its event from being
 * written, nor to do anything else. */
START_TEST(hostile_texts)
{
    rensei_store_t *st = test_store();
    rensei_audit_filter_t filter = {0};
    rensei_actor_t actor = {.type = "anonymous"};
    rensei_event_t ev;
    int i;

    for (i = 0; test_sql_attacks[i]; i++) {
        actor.id = actor.request_id = test_sql_attacks[i];
        ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
        ck_assert_ok(rensei_audit_append(st, "e", "org_1", &actor,
                                         test_sql_attacks[i], test_json("{}"),
                                         test_pool, &err),
                     err);
        ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
        ck_assert_str_eq(test_last_event("org_1").target, test_sql_attacks[i]);
        filter.actor = filter.target = test_sql_attacks[i];
        ck_assert_ok(list("org_1", &filter), err);
        ck_assert_int_eq(page.count, 1);
    }
    actor.id = "\xff\xfe";
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append(st, "e", "org_1", &actor, "\xc3",
                                     test_json("{}"), test_pool, &err),
                 err);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
    ev = test_last_event("org_1");
    ck_assert_str_eq(ev.actor.id, "malformed");
    ck_assert_str_eq(ev.target, "malformed");
    ck_assert_ptr_null(ev.actor.ip);
}
END_TEST

START_TEST(json_of_an_event)
{
    rensei_event_t ev = {"evt_1",
                         "e",
                         APR_INT64_C(1769860800123),
                         "org_1",
                         {.id = "root", .type = "operator", .request_id = "r1"},
                         "m2m_1",
                         "{\"a\":1}",
                         7,
                         "ab12",
                         NULL};
    json_t *got = rensei_json_own(rensei_event_json(&ev, test_pool), test_pool);
    json_t *want = test_json(
        "{\"id\":\"evt_1\",\"event\":\"e\",\"at\":\"2026-01-31T12:00:00.123Z\","
        "\"actor\":\"root\",\"actorType\":\"operator\",\"target\":\"m2m_1\","
        "\"orgId\":\"org_1\",\"ip\":null,\"requestId\":\"r1\","
        "\"details\":{\"a\":1},\"seq\":7,\"hash\":\"ab12\"}");

    ck_assert_msg(json_equal(got, want), "%s",
                  rensei_json_dump(got, test_pool));
    ev.previous = "";
    got = rensei_json_own(rensei_event_json(&ev, test_pool), test_pool);
    ck_assert_str_eq(json_string_value(json_object_get(got, "previousHash")),
                     "");
}
END_TEST

Suite *suite_audit(void)
{
    TCase *tc;
    Suite *s = test_suite("audit", &tc);

    tcase_add_test(tc, event_is_kept_whole);
    tcase_add_test(tc, numbers_have_no_gaps);
    tcase_add_test(tc, numbers_of_several_gateways);
    tcase_add_test(tc, pages_run_back_and_stay_stable);
    tcase_add_test(tc, last_full_page_has_no_cursor);
    tcase_add_test(tc, filters_are_exact);
    tcase_add_test(tc, since_and_until);
    tcase_add_test(tc, clocks_that_disagree);
    tcase_add_test(tc, rare_events_are_found_page_by_page);
    tcase_add_test(tc, one_organisation_never_sees_another);
    tcase_add_test(tc, bad_pages_are_refused);
    tcase_add_test(tc, hostile_texts);
    tcase_add_test(tc, json_of_an_event);
    return s;
}
