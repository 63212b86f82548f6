/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_expiry.h"

#include <apr_strings.h>
#include <apr_thread_proc.h>

#define DAY APR_INT64_C(86400)
#define WITHIN (14 * DAY * 1000)
#define NOTICES "rensei_audit WHERE event = 'credential.expiring'"

static rensei_err_t err;

static int sweep_at_most(int limit)
{
    int count = -1;

    ck_assert_ok(rensei_expiry_sweep(&count, test_store(), WITHIN, limit,
                                     test_pool, &err),
                 err);
    return count;
}

static int sweep(void)
{
    return sweep_at_most(100);
}

static apr_int64_t ahead(apr_int64_t seconds)
{
    return test_now_ms() + seconds * 1000;
}

static void set(const char *table, const char *id, const char *column,
                apr_int64_t value)
{
    test_sql(apr_psprintf(
        test_pool, "UPDATE %s SET %s = %" APR_INT64_T_FMT " WHERE id = '%s'",
        table, column, value, id));
}

static rensei_apikey_t key(const rensei_org_t *org, apr_int64_t expires_at)
{
    rensei_apikey_t k = test_key(org, "k", "org", "org:read", NULL);

    if (expires_at) {
        set("rensei_keys", k.id, "expires_at", expires_at);
    }
    return k;
}

static rensei_client_t client(const rensei_org_t *org, apr_int64_t expires_at,
                              apr_int64_t secret_expires_at)
{
    rensei_client_t c = test_client(org, "c", "sessions:read", NULL);

    if (expires_at) {
        set("rensei_clients", c.id, "expires_at", expires_at);
    }
    if (secret_expires_at) {
        set("rensei_clients", c.id, "secret_expires_at", secret_expires_at);
    }
    return c;
}

START_TEST(once_for_each_end)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Bolt");
    rensei_apikey_t k = key(&org, ahead(14 * DAY));
    rensei_event_t ev;

    key(&other, ahead(14 * DAY + 1));
    ck_assert_int_eq(sweep(), 1);
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "credential.expiring");
    ck_assert_str_eq(ev.target, k.id);
    ck_assert_str_eq(ev.actor.id, "rensei");
    ck_assert_str_eq(ev.actor.type, "system");
    ck_assert_ptr_null(ev.actor.ip);
    ck_assert_str_eq(ev.details, "{\"expiresAt\":\"2026-02-14T12:00:00.000Z\","
                                 "\"field\":\"expiresAt\",\"kind\":\"key\","
                                 "\"name\":\"k\",\"owner\":\"Ops\"}");
    ck_assert_int_eq(sweep(), 0);
    test_later(2);
    ck_assert_int_eq(sweep(), 1);
    ck_assert_str_eq(test_last_event(other.id).event, "credential.expiring");

    set("rensei_keys", k.id, "expires_at", ahead(3 * DAY));
    ck_assert_int_eq(sweep(), 1);
    ck_assert_int_eq(sweep(), 0);
    ck_assert_int_eq(test_sql_count(NOTICES), 3);
}
END_TEST

START_TEST(not_of_what_goes_on_or_has_ended)
{
    rensei_org_t org = test_org("Acme");

    key(&org, 0);
    key(&org, test_now_ms());
    key(&org, ahead(14 * DAY) + 1);
    client(&org, 0, 0);
    client(&org, test_now_ms(), 0);
    client(&org, 0, test_now_ms());
    /* it can get no token any more, so its end is no news */
    client(&org, ahead(DAY), test_now_ms());
    set("rensei_keys", key(&org, ahead(DAY)).id, "revoked_at", 1);
    set("rensei_clients", client(&org, ahead(DAY), ahead(DAY)).id, "revoked_at",
        1);
    ck_assert_int_eq(sweep(), 0);
    ck_assert_int_eq(test_sql_count(NOTICES), 0);
}
END_TEST

static const char *field_of_last(const rensei_org_t *org)
{
    json_t *details = test_json(test_last_event(org->id).details);

    return json_string_value(json_object_get(details, "field"));
}

START_TEST(a_client_or_its_secret_whichever_is_first)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = client(&org, ahead(5 * DAY), ahead(2 * DAY));

    ck_assert_int_eq(sweep(), 1);
    ck_assert_str_eq(field_of_last(&org), "secretExpiresAt");
    ck_assert_int_eq(sweep(), 0);
    set("rensei_clients", c.id, "secret_expires_at", ahead(6 * DAY));
    ck_assert_int_eq(sweep(), 1);
    ck_assert_str_eq(field_of_last(&org), "expiresAt");
    ck_assert_int_eq(sweep(), 0);
    test_sql("UPDATE rensei_clients SET expires_at = NULL");
    ck_assert_int_eq(sweep(), 1);
    ck_assert_str_eq(field_of_last(&org), "secretExpiresAt");
    ck_assert_int_eq(sweep(), 0);
}
END_TEST

/* The old secret's end is worth a notice; after it, the client's own. */
START_TEST(in_a_rotation)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = client(&org, ahead(5 * DAY), 0);
    const char *secret;

    ck_assert_ok(rensei_client_rotate_start(&c, &secret, test_store(), org.id,
                                            c.id, ahead(DAY), &test_actor,
                                            test_pool, &err),
                 err);
    ck_assert_int_eq(sweep(), 1);
    ck_assert_str_eq(field_of_last(&org), "secretExpiresAt");
    test_later(DAY);
    ck_assert_int_eq(sweep(), 1);
    ck_assert_str_eq(field_of_last(&org), "expiresAt");
    ck_assert_int_eq(sweep(), 0);
}
END_TEST

START_TEST(so_many_at_a_time)
{
    rensei_org_t org = test_org("Acme");
    int i;

    for (i = 0; i < 3; i++) {
        key(&org, ahead(DAY));
        client(&org, ahead(DAY), 0);
    }
    ck_assert_int_eq(sweep_at_most(2), 2);
    ck_assert_int_eq(sweep_at_most(2), 2);
    ck_assert_int_eq(sweep_at_most(4), 2);
    ck_assert_int_eq(sweep_at_most(4), 0);
    ck_assert_int_eq(test_sql_count(NOTICES), 6);
}
END_TEST

/* ---- several at the same time ---- */

#define SWEEPERS 4
#define CREDENTIALS 40

static void *APR_THREAD_FUNC run(apr_thread_t *t, void *data)
{
    apr_pool_t *p;
    rensei_store_t *st;
    rensei_err_t mine = {0};
    int *total = data, count = 1, tries;

    apr_pool_create(&p, NULL);
    if (rensei_store_open(&st, test_store_driver(), test_store_params(),
                          test_sys, p, &mine) == APR_SUCCESS) {
        /* the others hold the store in between */
        for (tries = 0; tries < 100 && count > 0; tries++) {
            if (rensei_expiry_sweep(&count, st, WITHIN, 7, p, &mine)) {
                count += 1; /* go on */
                *total -= 1;
            }
            *total += count;
        }
    }
    apr_pool_destroy(p);
    return NULL;
}

START_TEST(each_notice_once_whoever_writes_it)
{
    rensei_org_t org = test_org("Acme");
    apr_thread_t *thread[SWEEPERS];
    int total[SWEEPERS] = {0}, i, sum = 0;
    apr_status_t rv;

    for (i = 0; i < CREDENTIALS; i++) {
        key(&org, ahead(DAY + i));
    }
    for (i = 0; i < SWEEPERS; i++) {
        ck_assert_int_eq(
            apr_thread_create(&thread[i], NULL, run, &total[i], test_pool), 0);
    }
    for (i = 0; i < SWEEPERS; i++) {
        apr_thread_join(&rv, thread[i]);
        sum += total[i];
    }
    ck_assert_int_eq(sum, CREDENTIALS);
    ck_assert_int_eq(test_sql_count(NOTICES), CREDENTIALS);
}
END_TEST

/* A mark without its event would be a notice that nobody ever gets. */
START_TEST(a_notice_and_its_event_are_one)
{
    rensei_org_t org = test_org("Acme");
    int count;

    key(&org, ahead(DAY));
    test_sql("ALTER TABLE rensei_audit RENAME TO hidden");
    ck_assert_err(
        rensei_expiry_sweep(&count, test_store(), WITHIN, 10, test_pool, &err),
        err, RENSEI_E_UNAVAILABLE);
    ck_assert_int_eq(count, 0);
    test_sql("ALTER TABLE hidden RENAME TO rensei_audit");
    ck_assert_int_eq(
        test_sql_count("rensei_keys WHERE expiry_notice IS NOT NULL"), 0);
    ck_assert_int_eq(sweep(), 1);
}
END_TEST

Suite *suite_expiry(void)
{
    TCase *tc;
    Suite *s = test_suite("expiry", &tc);

    tcase_add_test(tc, once_for_each_end);
    tcase_add_test(tc, not_of_what_goes_on_or_has_ended);
    tcase_add_test(tc, a_client_or_its_secret_whichever_is_first);
    tcase_add_test(tc, in_a_rotation);
    tcase_add_test(tc, so_many_at_a_time);
    tcase_add_test(tc, each_notice_once_whoever_writes_it);
    tcase_add_test(tc, a_notice_and_its_event_are_one);
    return s;
}
