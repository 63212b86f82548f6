/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_usage.h"

#include <apr_strings.h>
#include <stdlib.h>

static rensei_err_t err;

#define KEYS                                                         \
    (2 * RENSEI_SQL_USES + 3) /* three statements, the last not full \
                               */
#define CLIENTS 3

static int by_id(const void *a, const void *b)
{
    return strcmp(((const rensei_used_t *)a)->id,
                  ((const rensei_used_t *)b)->id);
}

static void write_down(rensei_used_t *used, int n)
{
    rensei_store_t *st = test_store();

    qsort(used, (size_t)n, sizeof(*used), by_id);
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_usage_write(st, used, n, test_pool, &err), err);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
}

static const char *name_of(int i)
{
    return apr_psprintf(test_pool, "n%d", i);
}

/* Of each row as "count at ip", so far as the table has them. */
static const char *key_says(const char *id)
{
    return test_sql_value(apr_psprintf(
        test_pool,
        "SELECT usage_count || ' ' || last_used_at || ' ' || last_used_ip "
        "FROM rensei_keys WHERE id = '%s'",
        id));
}

static const char *client_says(const char *id)
{
    return test_sql_value(apr_psprintf(
        test_pool,
        "SELECT last_used_at || ' ' || last_used_ip FROM rensei_clients "
        "WHERE id = '%s'",
        id));
}

START_TEST(many_at_once)
{
    rensei_org_t org = test_org("Acme");
    rensei_used_t used[KEYS + CLIENTS];
    const char *id[KEYS + CLIENTS];
    int i;

    for (i = 0; i < KEYS + CLIENTS; i++) {
        id[i] = i < KEYS
                    ? test_key(&org, name_of(i), "user", "", NULL).id
                    : test_client(&org, name_of(i), "workers:read", NULL).id;
        used[i].id = id[i];
        used[i].usage.at = 1000 + i;
        used[i].usage.ip = apr_psprintf(test_pool, "192.0.2.%d", i);
        used[i].usage.count = i + 1;
    }
    write_down(used, KEYS + CLIENTS);
    for (i = 0; i < KEYS; i++) {
        ck_assert_str_eq(
            key_says(id[i]),
            apr_psprintf(test_pool, "%d %d 192.0.2.%d", i + 1, 1000 + i, i));
    }
    for (; i < KEYS + CLIENTS; i++) {
        ck_assert_str_eq(client_says(id[i]),
                         apr_psprintf(test_pool, "%d 192.0.2.%d", 1000 + i, i));
    }
}
END_TEST

START_TEST(adds_and_never_moves_back)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_t k = test_key(&org, "k", "user", "", NULL);
    rensei_apikey_t other = test_key(&org, "other", "user", "", NULL);
    rensei_used_t used = {k.id, {.at = 2000, .ip = "192.0.2.1", .count = 3}};

    write_down(&used, 1);
    used.usage = (rensei_usage_t){.at = 999, .ip = "192.0.2.2", .count = 4};
    write_down(&used, 1);
    ck_assert_str_eq(key_says(k.id), "7 2000 192.0.2.1");
    used.usage = (rensei_usage_t){.at = 3000, .ip = NULL, .count = 1};
    write_down(&used, 1);
    ck_assert_ptr_nonnull(strstr(
        test_sql_value("SELECT CASE WHEN last_used_ip IS NULL THEN 'none' END "
                       "FROM rensei_keys WHERE name = 'k'"),
        "none"));
    ck_assert_int_eq(test_sql_count("rensei_keys WHERE usage_count = 8 "
                                    "AND last_used_at = 3000"),
                     1);
    ck_assert_str_eq(key_says(other.id), "");
}
END_TEST

START_TEST(ids_that_are_not_there)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_t k = test_key(&org, "k", "user", "", NULL);
    rensei_usage_t usage = {.at = 1000, .ip = "192.0.2.1", .count = 1};
    rensei_used_t used[] = {
        {"key_00000000000000000000000000", usage},
        {k.id, usage},
        {"m2m_00000000000000000000000000000000", usage},
    };

    write_down(used, 3);
    write_down(used, 0);
    ck_assert_str_eq(key_says(k.id), "1 1000 192.0.2.1");
}
END_TEST

Suite *suite_usage(void)
{
    TCase *tc;
    Suite *s = test_suite("usage", &tc);

    tcase_add_test(tc, many_at_once);
    tcase_add_test(tc, adds_and_never_moves_back);
    tcase_add_test(tc, ids_that_are_not_there);
    return s;
}
