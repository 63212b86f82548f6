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
    return s;
}
