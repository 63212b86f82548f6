/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_worker.h"

#include <apr_strings.h>

#define WORKER "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV"

static rensei_err_t err;
static rensei_worker_t got;

static apr_status_t find(const char *id)
{
    return rensei_worker_find(&got, test_store(), id, test_pool, &err);
}

static rensei_apikey_t registered(const rensei_org_t *org)
{
    rensei_apikey_t k =
        test_key(org, "r", "worker_registration", RENSEI_SCOPE_REGISTER, NULL);

    test_sql(apr_psprintf(test_pool,
                          "INSERT INTO rensei_workers (id, org_id, key_id, "
                          "hostname, max_agents, created_at) VALUES "
                          "('" WORKER "', '%s', '%s', 'host', 4, 1)",
                          org->id, k.id));
    return k;
}

START_TEST(found)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_t k = registered(&org);

    ck_assert_ok(find(WORKER), err);
    ck_assert_str_eq(got.id, WORKER);
    ck_assert_str_eq(got.org, org.id);
    ck_assert_ptr_null(got.workspace);
    ck_assert_str_eq(got.key, k.id);
    ck_assert_int_eq(got.revoked_at, 0);
    ck_assert_int_eq(got.key_live, 1);
    ck_assert_int_eq(got.org_active, 1);
}
END_TEST

START_TEST(absent)
{
    test_store();
    ck_assert_err(find(WORKER), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(find(""), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(find("\xff"), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(find("' OR 1=1 --"), err, RENSEI_E_NOT_FOUND);
}
END_TEST

START_TEST(revoked)
{
    rensei_org_t org = test_org("Acme");

    registered(&org);
    test_sql("UPDATE rensei_workers SET revoked_at = 5");
    ck_assert_ok(find(WORKER), err);
    ck_assert_int_eq(got.revoked_at, 5);
    ck_assert_int_eq(got.key_live, 1);
}
END_TEST

START_TEST(key_revoked)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_t k = registered(&org);

    ck_assert_ok(rensei_apikey_revoke(&k, test_store(), org.id, k.id, NULL,
                                      &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(find(WORKER), err);
    ck_assert_int_eq(got.revoked_at, 0);
    ck_assert_int_eq(got.key_live, 0);
}
END_TEST

START_TEST(key_expired)
{
    rensei_org_t org = test_org("Acme");

    registered(&org);
    test_sql(apr_psprintf(test_pool,
                          "UPDATE rensei_keys SET expires_at = "
                          "%" APR_INT64_T_FMT,
                          test_now_ms() + 1000));
    ck_assert_ok(find(WORKER), err);
    ck_assert_int_eq(got.key_live, 1);
    test_later(1);
    ck_assert_ok(find(WORKER), err);
    ck_assert_int_eq(got.key_live, 0);
}
END_TEST

START_TEST(organisation_suspended)
{
    rensei_org_t org = test_org("Acme");

    registered(&org);
    ck_assert_ok(rensei_org_set_status(&org, test_store(), org.id, "suspended",
                                       &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(find(WORKER), err);
    ck_assert_int_eq(got.org_active, 0);
}
END_TEST

/* ---- show, list, revoke ---- */

static rensei_worker_page_t page;

/* A worker whose id ends in that digit, as old as the digit is small. */
static const char *add(const rensei_apikey_t *k, int i, const char *host,
                       const char *region)
{
    const char *id =
        apr_psprintf(test_pool, "wkr_01ARZ3NDEKTSV4RRFFQ69G5F%02d", i);

    test_sql(apr_psprintf(
        test_pool,
        "INSERT INTO rensei_workers (id, org_id, key_id, hostname, max_agents, "
        "region, created_at) VALUES ('%s', '%s', '%s', '%s', 4, '%s', %d)",
        id, k->org, k->id, host, region, 1000 + i));
    return id;
}

static rensei_apikey_t a_key(const rensei_org_t *org)
{
    return test_key(org, "r", "worker_registration", RENSEI_SCOPE_REGISTER,
                    NULL);
}

static apr_status_t list(const rensei_org_t *org,
                         const rensei_worker_filter_t *f)
{
    return rensei_worker_list(&page, test_store(), org->id, f, test_pool, &err);
}

static int listed(const rensei_org_t *org, rensei_worker_filter_t f)
{
    ck_assert_ok(list(org, &f), err);
    return page.count;
}

static apr_status_t end(const rensei_org_t *org, const char *id,
                        const char *reason)
{
    return rensei_worker_revoke(&got, test_store(), org->id, id, reason,
                                &test_actor, test_pool, &err);
}

START_TEST(shown_to_its_organisation)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Bolt");
    json_t *shown;

    registered(&org);
    ck_assert_ok(
        rensei_worker_get(&got, test_store(), org.id, WORKER, test_pool, &err),
        err);
    shown = rensei_json_own(rensei_worker_json(&got, test_pool), test_pool);
    ck_assert_int_eq(json_object_size(shown), 17);
    ck_assert_str_eq(json_string_value(json_object_get(shown, "workerId")),
                     WORKER);
    ck_assert_str_eq(json_string_value(json_object_get(shown, "status")),
                     "active");
    ck_assert_int_eq(json_integer_value(json_object_get(shown, "maxAgents")),
                     4);
    ck_assert(json_is_null(json_object_get(shown, "activeAgentCount")));
    ck_assert(json_is_null(json_object_get(shown, "lastSeenAt")));
    ck_assert_int_eq(json_array_size(json_object_get(shown, "capabilities")),
                     0);
    ck_assert_str_eq(json_string_value(json_object_get(shown, "createdAt")),
                     "1970-01-01T00:00:00.001Z");
    ck_assert_err(rensei_worker_get(&got, test_store(), other.id, WORKER,
                                    test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_err(
        rensei_worker_get(&got, test_store(), org.id, "x", test_pool, &err),
        err, RENSEI_E_NOT_FOUND);
}
END_TEST

START_TEST(listed_newest_first_in_pages)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Bolt");
    rensei_apikey_t k = a_key(&org);
    rensei_worker_filter_t f = {.limit = 2};
    int i;

    for (i = 0; i < 5; i++) {
        add(&k, i, "h", "eu");
    }
    ck_assert_int_eq(listed(&org, f), 2);
    ck_assert_str_eq(page.worker[0].id, "wkr_01ARZ3NDEKTSV4RRFFQ69G5F04");
    f.cursor = page.next_cursor;
    add(&k, 9, "h", "eu"); /* comes meanwhile, and moves nothing */
    ck_assert_int_eq(listed(&org, f), 2);
    ck_assert_str_eq(page.worker[0].id, "wkr_01ARZ3NDEKTSV4RRFFQ69G5F02");
    f.cursor = page.next_cursor;
    ck_assert_int_eq(listed(&org, f), 1);
    ck_assert_ptr_null(page.next_cursor);
    ck_assert_int_eq(listed(&other, (rensei_worker_filter_t){0}), 0);
}
END_TEST

START_TEST(filters)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_t k = a_key(&org), k2 = a_key(&org);
    const char *gone;
    int i;

    add(&k, 1, "h1", "eu");
    add(&k, 2, "h2", "us");
    gone = add(&k2, 3, "h1", "us");
    ck_assert_ok(end(&org, gone, NULL), err);
    ck_assert_int_eq(listed(&org, (rensei_worker_filter_t){.hostname = "h1"}),
                     2);
    ck_assert_int_eq(listed(&org, (rensei_worker_filter_t){.hostname = "H1"}),
                     0);
    ck_assert_int_eq(listed(&org, (rensei_worker_filter_t){.key = k.id}), 2);
    ck_assert_int_eq(listed(&org, (rensei_worker_filter_t){.region = "us"}), 2);
    ck_assert_int_eq(listed(&org, (rensei_worker_filter_t){.status = "active"}),
                     2);
    ck_assert_int_eq(
        listed(&org, (rensei_worker_filter_t){.status = "revoked"}), 1);
    ck_assert_str_eq(page.worker[0].id, gone);
    ck_assert_int_eq(
        listed(&org, (rensei_worker_filter_t){.hostname = "h1", .key = k2.id}),
        1);
    ck_assert_int_eq(
        listed(&org, (rensei_worker_filter_t){.key = k.id, .region = "us"}), 1);
    for (i = 0; test_sql_attacks[i]; i++) {
        ck_assert_int_eq(
            listed(&org,
                   (rensei_worker_filter_t){.hostname = test_sql_attacks[i]}),
            0);
        ck_assert_int_eq(
            listed(&org,
                   (rensei_worker_filter_t){.region = test_sql_attacks[i]}),
            0);
    }
}
END_TEST

START_TEST(list_errors_name_the_parameter)
{
    rensei_org_t org = test_org("Acme");
    const struct {
        rensei_worker_filter_t f;
        const char *field;
    } bad[] = {
        {{.status = "expired"}, "status"}, {{.hostname = "\xff"}, "hostname"},
        {{.key = "\xff"}, "keyId"},        {{.region = "\xff"}, "region"},
        {{.limit = -1}, "limit"},          {{.limit = 501}, "limit"},
        {{.cursor = "x"}, "cursor"},
    };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_field(list(&org, &bad[i].f), err, bad[i].field);
    }
}
END_TEST

START_TEST(ended_for_good)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Bolt");
    rensei_event_t ev;
    apr_int64_t when;
    int changes;

    registered(&org);
    ck_assert_err(end(&other, WORKER, NULL), err, RENSEI_E_NOT_FOUND);
    changes = test_sql_count("rensei_changes");
    ck_assert_ok(end(&org, WORKER, "retired"), err);
    when = got.revoked_at;
    ck_assert_int_eq(when, test_now_ms());
    ck_assert_str_eq(got.status, "revoked");
    ck_assert_str_eq(got.revoke_reason, "retired");
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "worker.revoked");
    ck_assert_str_eq(ev.target, WORKER);
    ck_assert_str_eq(ev.details, "{\"reason\":\"retired\"}");
    ck_assert_int_eq(test_sql_count("rensei_changes"), changes + 1);
    ck_assert_str_eq(test_sql_value("SELECT subject FROM rensei_changes "
                                    "ORDER BY seq DESC LIMIT 1"),
                     WORKER);

    test_later(5);
    ck_assert_ok(end(&org, WORKER, "again"), err);
    ck_assert_int_eq(got.revoked_at, when);
    ck_assert_str_eq(got.revoke_reason, "retired");
    ck_assert_int_eq(
        test_sql_count("rensei_audit WHERE event = 'worker.revoked'"), 1);
    ck_assert_field(end(&org, WORKER, "a\nb"), err, "reason");
    ck_assert_err(end(&org, "x", NULL), err, RENSEI_E_NOT_FOUND);
}
END_TEST

Suite *suite_worker(void)
{
    TCase *tc;
    Suite *s = test_suite("worker", &tc);

    tcase_add_test(tc, found);
    tcase_add_test(tc, absent);
    tcase_add_test(tc, revoked);
    tcase_add_test(tc, key_revoked);
    tcase_add_test(tc, key_expired);
    tcase_add_test(tc, organisation_suspended);
    tcase_add_test(tc, shown_to_its_organisation);
    tcase_add_test(tc, listed_newest_first_in_pages);
    tcase_add_test(tc, filters);
    tcase_add_test(tc, list_errors_name_the_parameter);
    tcase_add_test(tc, ended_for_good);
    return s;
}
