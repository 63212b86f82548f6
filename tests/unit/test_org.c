/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_id.h"

#include <apr_strings.h>

static rensei_err_t err;
static rensei_org_t got;

static apr_status_t create(const char *name)
{
    return rensei_org_create(&got, test_store(), name, &test_actor, test_pool,
                             &err);
}

static apr_status_t get(const char *id_or_name)
{
    return rensei_org_get(&got, test_store(), id_or_name, test_pool, &err);
}

static apr_status_t set_status(const char *org, const char *status)
{
    return rensei_org_set_status(&got, test_store(), org, status, &test_actor,
                                 test_pool, &err);
}

START_TEST(created_and_found)
{
    rensei_org_t org = test_org("Acme");
    rensei_event_t ev = test_last_event(org.id);

    ck_assert(rensei_id_valid(RENSEI_ID_ORG, org.id, strlen(org.id)));
    ck_assert_str_eq(org.status, "active");
    ck_assert_int_eq(org.created_at, test_now_ms());
    ck_assert_ok(get(org.id), err);
    ck_assert_str_eq(got.name, "Acme");
    ck_assert_ok(get("Acme"), err);
    ck_assert_str_eq(got.id, org.id);
    ck_assert_int_eq(got.created_at, org.created_at);
    ck_assert_str_eq(ev.event, "org.created");
    ck_assert_str_eq(ev.target, org.id);
}
END_TEST

START_TEST(absent_ones)
{
    static const char *const absent[] = {
        "",     "acme", "Acm", "Acme%", "org_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "\xff", NULL};
    int i;

    test_org("Acme");
    for (i = 0; absent[i]; i++) {
        ck_assert_err(get(absent[i]), err, RENSEI_E_NOT_FOUND);
    }
}
END_TEST

START_TEST(names_are_unique)
{
    test_org("Acme");
    ck_assert_err(create("Acme"), err, RENSEI_E_CONFLICT);
    ck_assert_str_eq(err.field, "name");
    ck_assert_int_eq(test_sql_count("rensei_orgs"), 1);
    ck_assert_int_eq(test_sql_count("rensei_audit"), 1);
    ck_assert_ok(create("acme"), err);
}
END_TEST

START_TEST(bad_names)
{
    char longest[102] = {0};

    memset(longest, 'x', 100);
    ck_assert_ok(create(longest), err);
    longest[100] = 'x';
    ck_assert_field(create(longest), err, "name");
    ck_assert_field(create(""), err, "name");
    ck_assert_field(create(NULL), err, "name");
    ck_assert_field(create("a\nb"), err, "name");
    ck_assert_field(create(" a"), err, "name");
    /* It would be found in place of the organisation with that id. */
    ck_assert_field(create("org_01ARZ3NDEKTSV4RRFFQ69G5FAV"), err, "name");
    ck_assert_int_eq(test_sql_count("rensei_orgs"), 1);
}
END_TEST

START_TEST(hostile_names)
{
    rensei_workspace_t ws;
    int i;

    for (i = 0; test_sql_attacks[i]; i++) {
        rensei_org_t org = test_org(test_sql_attacks[i]);

        ck_assert_ok(get(test_sql_attacks[i]), err);
        ck_assert_str_eq(got.id, org.id);
        test_workspace(&org, test_sql_attacks[i]);
        ck_assert_ok(rensei_workspace_get(&ws, test_store(), org.id,
                                          test_sql_attacks[i], test_pool, &err),
                     err);
        ck_assert_str_eq(ws.name, test_sql_attacks[i]);
        ck_assert_int_eq(test_sql_count("rensei_orgs"), i + 1);
    }
}
END_TEST

START_TEST(no_randomness_no_organisation)
{
    test_store();
    test_random_broken = 1;
    ck_assert_err(create("Acme"), err, RENSEI_E_UNAVAILABLE);
    test_random_broken = 0;
    ck_assert_int_eq(test_sql_count("rensei_orgs"), 0);
}
END_TEST

START_TEST(listed_by_name)
{
    rensei_org_t *all;
    int n;

    test_org("b");
    test_org("a");
    test_org("c");
    ck_assert_ok(
        rensei_org_list(&all, &n, test_store(), NULL, 2, test_pool, &err), err);
    ck_assert_int_eq(n, 2);
    ck_assert_str_eq(all[0].name, "a");
    ck_assert_str_eq(all[1].name, "b");
    ck_assert_ok(
        rensei_org_list(&all, &n, test_store(), "b", 0, test_pool, &err), err);
    ck_assert_int_eq(n, 1);
    ck_assert_str_eq(all[0].name, "c");
    ck_assert_field(
        rensei_org_list(&all, &n, test_store(), NULL, 501, test_pool, &err),
        err, "limit");
}
END_TEST

START_TEST(suspended_and_resumed)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Other");
    rensei_event_t ev;

    ck_assert_ok(set_status(org.id, "suspended"), err);
    ck_assert_str_eq(got.status, "suspended");
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "org.suspended");
    ck_assert_str_eq(test_sql_value("SELECT subject FROM rensei_changes"),
                     org.id);
    ck_assert_ok(get(other.id), err);
    ck_assert_str_eq(got.status, "active");

    ck_assert_ok(set_status(org.id, "suspended"), err); /* once more */
    ck_assert_int_eq(test_last_event(org.id).seq, ev.seq);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);

    ck_assert_ok(set_status(org.id, "active"), err);
    ck_assert_str_eq(got.status, "active");
    ck_assert_str_eq(test_last_event(org.id).event, "org.resumed");
    ck_assert_int_eq(test_sql_count("rensei_changes"), 2);
}
END_TEST

START_TEST(status_of_what)
{
    rensei_org_t org = test_org("Acme");

    ck_assert_field(set_status(org.id, "gone"), err, "status");
    ck_assert_err(set_status("org_01ARZ3NDEKTSV4RRFFQ69G5FAV", "active"), err,
                  RENSEI_E_NOT_FOUND);
    ck_assert_err(set_status("Acme", "active"), err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
    ck_assert_int_eq(test_sql_count("rensei_audit"), 1);
    ck_assert_ok(create("and the store goes on"), err);
}
END_TEST

START_TEST(workspaces)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Other");
    rensei_workspace_t ws = test_workspace(&org, "build"), again, *all;
    int n;

    ck_assert(rensei_id_valid(RENSEI_ID_WORKSPACE, ws.id, strlen(ws.id)));
    ck_assert_str_eq(test_last_event(org.id).event, "workspace.created");
    ck_assert_ok(rensei_workspace_get(&again, test_store(), org.id, ws.id,
                                      test_pool, &err),
                 err);
    ck_assert_str_eq(again.name, "build");
    ck_assert_str_eq(again.org, org.id);
    ck_assert_ok(rensei_workspace_get(&again, test_store(), org.id, "build",
                                      test_pool, &err),
                 err);
    ck_assert_str_eq(again.id, ws.id);
    ck_assert_err(rensei_workspace_get(&again, test_store(), other.id, ws.id,
                                       test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_err(rensei_workspace_get(&again, test_store(), other.id, "build",
                                       test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_ok(rensei_workspace_list(&all, &n, test_store(), other.id, NULL,
                                       0, test_pool, &err),
                 err);
    ck_assert_int_eq(n, 0);
    test_workspace(&org, "a");
    ck_assert_ok(rensei_workspace_list(&all, &n, test_store(), org.id, NULL, 0,
                                       test_pool, &err),
                 err);
    ck_assert_int_eq(n, 2);
    ck_assert_str_eq(all[0].name, "a");
    ck_assert_str_eq(all[1].id, ws.id);
}
END_TEST

START_TEST(workspace_names)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Other");
    rensei_workspace_t ws = test_workspace(&org, "build");

    test_workspace(&other, "build"); /* each organisation has its own */
    ck_assert_err(rensei_workspace_create(&ws, test_store(), org.id, "build",
                                          &test_actor, test_pool, &err),
                  err, RENSEI_E_CONFLICT);
    ck_assert_field(rensei_workspace_create(&ws, test_store(), org.id,
                                            "ws_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                                            &test_actor, test_pool, &err),
                    err, "name");
    ck_assert_err(rensei_workspace_create(&ws, test_store(),
                                          "org_01ARZ3NDEKTSV4RRFFQ69G5FAV", "x",
                                          &test_actor, test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(test_sql_count("rensei_workspaces"), 2);
    test_workspace(&org, "and the store goes on");
}
END_TEST

START_TEST(json_of_both)
{
    rensei_org_t org = {"org_1", "A\"b", "active", APR_INT64_C(1769860800000)};
    rensei_workspace_t ws = {"ws_1", "org_1", "w", "suspended",
                             APR_INT64_C(1769860800000)};
    json_t *o = rensei_json_own(rensei_org_json(&org, test_pool), test_pool);
    json_t *w =
        rensei_json_own(rensei_workspace_json(&ws, test_pool), test_pool);

    ck_assert(json_equal(
        o,
        test_json("{\"orgId\":\"org_1\",\"name\":\"A\\\"b\",\"status\":"
                  "\"active\",\"createdAt\":\"2026-01-31T12:00:00.000Z\"}")));
    ck_assert(json_equal(
        w, test_json("{\"workspaceId\":\"ws_1\",\"orgId\":\"org_1\",\"name\":"
                     "\"w\",\"status\":\"suspended\",\"createdAt\":"
                     "\"2026-01-31T12:00:00.000Z\"}")));
}
END_TEST

Suite *suite_org(void)
{
    TCase *tc;
    Suite *s = test_suite("org", &tc);

    tcase_add_test(tc, created_and_found);
    tcase_add_test(tc, absent_ones);
    tcase_add_test(tc, names_are_unique);
    tcase_add_test(tc, bad_names);
    tcase_add_test(tc, hostile_names);
    tcase_add_test(tc, no_randomness_no_organisation);
    tcase_add_test(tc, listed_by_name);
    tcase_add_test(tc, suspended_and_resumed);
    tcase_add_test(tc, status_of_what);
    tcase_add_test(tc, workspaces);
    tcase_add_test(tc, workspace_names);
    tcase_add_test(tc, json_of_both);
    return s;
}
