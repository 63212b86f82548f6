/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_inventory.h"
#include "rensei_page.h"

#include <apr_strings.h>

#define DAY 86400

static rensei_err_t err;
static rensei_inventory_page_t page;

static apr_status_t list(const rensei_org_t *org,
                         const rensei_inventory_filter_t *filter)
{
    return rensei_inventory_list(&page, test_store(), org->id, filter,
                                 test_pool, &err);
}

/* The names on the page, a blank behind each. */
static const char *names(const rensei_org_t *org,
                         rensei_inventory_filter_t filter)
{
    const char *out = "";
    int i;

    ck_assert_ok(list(org, &filter), err);
    for (i = 0; i < page.count; i++) {
        out = apr_pstrcat(test_pool, out, page.credential[i].name, " ", NULL);
    }
    return out;
}

#define ck_assert_names(want, org, ...) \
    ck_assert_str_eq(names(org, (rensei_inventory_filter_t){__VA_ARGS__}), want)

/* Sets a column of the client or key of that name. */
static void set(const char *table, const char *name, const char *column,
                apr_int64_t value)
{
    test_sql(apr_psprintf(
        test_pool, "UPDATE %s SET %s = %" APR_INT64_T_FMT " WHERE name = '%s'",
        table, column, value, name));
}

static apr_int64_t ahead(apr_int64_t seconds)
{
    return test_now_ms() + seconds * 1000;
}

static rensei_apikey_t key(const rensei_org_t *org, const char *name)
{
    return test_key(org, name, "org", "org:read", NULL);
}

static rensei_client_t client(const rensei_org_t *org, const char *name)
{
    return test_client(org, name, "sessions:read", NULL);
}

START_TEST(both_kinds_newest_first)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Bolt");

    client(&org, "c1");
    test_later(1);
    key(&org, "k1");
    test_later(1);
    client(&other, "x1");
    key(&other, "x2");
    key(&org, "k2");
    test_later(1);
    client(&org, "c2");
    ck_assert_names("c2 k2 k1 c1 ", &org, 0);
    ck_assert_ptr_null(page.next_cursor);
    ck_assert_str_eq(page.credential[0].kind, "client");
    ck_assert_ptr_null(page.credential[0].key_type);
    ck_assert_str_eq(page.credential[1].kind, "key");
    ck_assert_str_eq(page.credential[1].key_type, "org");
}
END_TEST

START_TEST(what_has_ended_is_not_in_it)
{
    rensei_org_t org = test_org("Acme");

    client(&org, "live");
    client(&org, "revoked");
    client(&org, "expired");
    client(&org, "secretless");
    client(&org, "inactive");
    set("rensei_clients", "revoked", "revoked_at", test_now_ms());
    set("rensei_clients", "expired", "expires_at", test_now_ms());
    set("rensei_clients", "secretless", "secret_expires_at", test_now_ms());
    test_sql("UPDATE rensei_clients SET status = 'inactive' "
             "WHERE name = 'inactive'");
    test_later(1);
    key(&org, "live-key");
    key(&org, "revoked-key");
    key(&org, "expired-key");
    set("rensei_keys", "revoked-key", "revoked_at", test_now_ms());
    set("rensei_keys", "expired-key", "expires_at", test_now_ms());

    ck_assert_ok(list(&org, &(rensei_inventory_filter_t){0}), err);
    ck_assert_int_eq(page.count, 3);
    ck_assert_str_eq(page.credential[0].name, "live-key");
    ck_assert_str_eq(page.credential[0].status, "active");
    ck_assert_int_eq(
        strcmp(page.credential[1].status, page.credential[2].status) != 0, 1);
}
END_TEST

START_TEST(a_secrets_end_counts)
{
    rensei_org_t org = test_org("Acme");

    client(&org, "c");
    set("rensei_clients", "c", "expires_at", ahead(10 * DAY));
    ck_assert_names("c ", &org, 0);
    ck_assert_int_eq(page.credential[0].expires_at, ahead(10 * DAY));
    set("rensei_clients", "c", "secret_expires_at", ahead(11 * DAY));
    ck_assert_names("c ", &org, 0);
    ck_assert_int_eq(page.credential[0].expires_at, ahead(10 * DAY));
    set("rensei_clients", "c", "secret_expires_at", ahead(2 * DAY));
    ck_assert_names("c ", &org, 0);
    ck_assert_int_eq(page.credential[0].expires_at, ahead(2 * DAY));
    test_sql("UPDATE rensei_clients SET expires_at = NULL");
    ck_assert_names("c ", &org, 0);
    ck_assert_int_eq(page.credential[0].expires_at, ahead(2 * DAY));
}
END_TEST

/* Once the next secret is there, the old one's end is not the client's. */
START_TEST(in_a_rotation_the_next_secret_goes_on)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = client(&org, "c");
    const char *secret;

    ck_assert_ok(rensei_client_rotate_start(&c, &secret, test_store(), org.id,
                                            c.id, ahead(60), &test_actor,
                                            test_pool, &err),
                 err);
    ck_assert_names("c ", &org, 0);
    ck_assert_int_eq(page.credential[0].expires_at, ahead(60));
    test_later(60);
    ck_assert_names("c ", &org, 0);
    ck_assert_int_eq(page.credential[0].expires_at, 0);
}
END_TEST

START_TEST(unused_since_the_last_use_or_ever)
{
    rensei_org_t org = test_org("Acme");

    client(&org, "old-used");
    client(&org, "old-unused");
    key(&org, "old-key");
    key(&org, "used-key");
    test_later(50 * DAY);
    set("rensei_clients", "old-used", "last_used_at", test_now_ms());
    set("rensei_keys", "used-key", "last_used_at", ahead(-45 * DAY));
    client(&org, "new");
    ck_assert_names("old-unused old-key ", &org, .unused_for = 45 * DAY);
    ck_assert_names("old-unused old-key ", &org, .unused_for = 50 * DAY - 1);
    ck_assert_names("", &org, .unused_for = 50 * DAY);
    test_later(1);
    ck_assert_names("old-unused old-key ", &org, .unused_for = 50 * DAY);
    ck_assert_int_eq(
        strstr(names(&org, (rensei_inventory_filter_t){.unused_for = 45 * DAY}),
               "used-key ") != NULL,
        1);
}
END_TEST

START_TEST(expiring_within)
{
    rensei_org_t org = test_org("Acme");

    client(&org, "never");
    client(&org, "secret");
    test_later(1);
    key(&org, "key");
    set("rensei_clients", "secret", "secret_expires_at", ahead(14 * DAY));
    set("rensei_keys", "key", "expires_at", ahead(15 * DAY));
    ck_assert_names("secret ", &org, .expiring_within = 14 * DAY);
    ck_assert_names("", &org, .expiring_within = 14 * DAY - 1);
    ck_assert_names("key secret ", &org, .expiring_within = 15 * DAY);
    ck_assert_names("key secret ", &org, .expiring_within = 3650 * DAY);
}
END_TEST

START_TEST(without_owner_and_by_class)
{
    rensei_org_t org = test_org("Acme");

    client(&org, "orphan");
    client(&org, "owned");
    test_sql("UPDATE rensei_clients SET owner = 'ada' WHERE name = 'owned'");
    test_later(1);
    key(&org, "org-key");
    test_later(1);
    test_key(&org, "user-key", "user", "sessions:read", NULL);
    test_later(1);
    test_key(&org, "reg-key", "worker_registration", "workers:register", NULL);
    test_sql("UPDATE rensei_keys SET owner = NULL WHERE name <> 'org-key'");

    ck_assert_names("reg-key user-key orphan ", &org, .without_owner = 1);
    ck_assert_names("user-key org-key ", &org, .cls = "standing");
    ck_assert_str_eq(page.credential[0].cls, "standing");
    ck_assert_names("user-key ", &org, .cls = "standing", .without_owner = 1);
    ck_assert_ok(list(&org, &(rensei_inventory_filter_t){.cls = "minting"}),
                 err);
    ck_assert_int_eq(page.count, 3);
    ck_assert_str_eq(page.credential[0].name, "reg-key");
    ck_assert_str_eq(page.credential[0].cls, "minting");
    ck_assert_str_eq(page.credential[1].kind, "client");
}
END_TEST

START_TEST(a_used_up_registration_key)
{
    rensei_org_t org = test_org("Acme");

    test_key(&org, "r", "worker_registration", "workers:register", NULL);
    test_sql("UPDATE rensei_keys SET max_uses = 2, uses = 1");
    ck_assert_names("r ", &org, 0);
    ck_assert_str_eq(page.credential[0].status, "active");
    test_sql("UPDATE rensei_keys SET uses = 2");
    ck_assert_names("r ", &org, 0);
    ck_assert_str_eq(page.credential[0].status, "exhausted");
}
END_TEST

/* All made in the same moment, so that only the ids tell them apart. */
START_TEST(pages_are_stable)
{
    rensei_org_t org = test_org("Acme");
    rensei_inventory_filter_t filter = {.limit = 2};
    const char *seen = "";
    int i, total = 0, pages = 0;

    for (i = 0; i < 5; i++) {
        client(&org, apr_psprintf(test_pool, "c%d", i));
        key(&org, apr_psprintf(test_pool, "k%d", i));
    }
    do {
        ck_assert_ok(list(&org, &filter), err);
        ck_assert_int_eq(page.count, 2);
        for (i = 0; i < page.count; i++) {
            const char *id = page.credential[i].id;
            ck_assert_ptr_null(strstr(seen, id));
            seen = apr_pstrcat(test_pool, seen, id, " ", NULL);
            total++;
        }
        filter.cursor = page.next_cursor;
        client(&org, apr_psprintf(test_pool, "later%d", pages++));
        test_sql("UPDATE rensei_clients SET created_at = created_at + 1 "
                 "WHERE name LIKE 'later%'");
    } while (filter.cursor && pages < 9);
    ck_assert_int_eq(total, 10);
    ck_assert_int_eq(pages, 5);
}
END_TEST

/* More of one list than a scan looks at, and a match below. Without a common
 * floor the key would come before clients that were not looked at yet, and a
 * page after it would skip them. */
START_TEST(a_scan_is_bounded)
{
    rensei_org_t org = test_org("Acme");
    rensei_inventory_filter_t filter = {.without_owner = 1, .limit = 5};
    int pages = 0, found = 0;

    client(&org, "oldest");
    test_later(1);
    key(&org, "middle");
    test_sql("UPDATE rensei_keys SET owner = NULL");
    test_sql(apr_psprintf(
        test_pool,
        "INSERT INTO rensei_clients (id, org_id, name, owner, scopes, status, "
        "secret_digest, secret_last4, created_at, updated_at, created_by) "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < %d) SELECT 'm2m_0000000000000000000000000' || "
        "CAST(1000000 + i AS TEXT), '%s', 'bulk', 'ada', '', 'active', "
        "'', '', %" APR_INT64_T_FMT " + i, 0, 'x' FROM n",
        RENSEI_SCAN_MAX + 100, org.id, test_now_ms()));
    do {
        ck_assert_ok(list(&org, &filter), err);
        found += page.count;
        pages++;
        filter.cursor = page.next_cursor;
    } while (filter.cursor && pages < 9);
    ck_assert_int_eq(found, 2);
    ck_assert_int_eq(pages, 2);
    ck_assert_str_eq(page.credential[0].name, "middle");
    ck_assert_str_eq(page.credential[1].name, "oldest");
}
END_TEST

START_TEST(bad_parameters_name_the_field)
{
    rensei_org_t org = test_org("Acme");
    const rensei_client_t c = client(&org, "c");
    rensei_inventory_filter_t f = {.cls = "sitting"};

    ck_assert_field(list(&org, &f), err, "class");
    f = (rensei_inventory_filter_t){.limit = RENSEI_PAGE_MAX + 1};
    ck_assert_field(list(&org, &f), err, "limit");
    f = (rensei_inventory_filter_t){.limit = -1};
    ck_assert_field(list(&org, &f), err, "limit");
    f = (rensei_inventory_filter_t){
        .cursor = rensei_cursor_text(RENSEI_CURSOR_CLIENT, 1, c.id, test_pool)};
    ck_assert_field(list(&org, &f), err, "cursor");
    f.cursor =
        rensei_cursor_text(RENSEI_CURSOR_CREDENTIAL, 1, org.id, test_pool);
    ck_assert_field(list(&org, &f), err, "cursor");
    f.cursor = rensei_cursor_text(RENSEI_CURSOR_CREDENTIAL, 1, c.id, test_pool);
    ck_assert_ok(list(&org, &f), err);
}
END_TEST

START_TEST(as_json)
{
    rensei_org_t org = test_org("Acme");
    json_t *out;

    key(&org, "k");
    test_later(3 * DAY + 5);
    set("rensei_keys", "k", "expires_at", ahead(2 * DAY - 1));
    ck_assert_names("k ", &org, 0);
    out = rensei_json_own(
        rensei_credential_json(&page.credential[0], test_now_ms(), test_pool),
        test_pool);
    ck_assert_ptr_nonnull(out);
    json_object_del(out, "credentialId");
    ck_assert_str_eq(
        rensei_json_dump(out, test_pool),
        "{\"kind\":\"key\",\"keyType\":\"org\",\"class\":\"standing\","
        "\"name\":\"k\",\"owner\":\"Ops\",\"scopes\":[\"org:read\"],"
        "\"workspaceId\":null,\"status\":\"active\","
        "\"createdAt\":\"2026-01-31T12:00:00.000Z\",\"ageDays\":3,"
        "\"lastUsedAt\":null,\"unusedDays\":3,"
        "\"expiresAt\":\"2026-02-05T12:00:04.000Z\",\"expiresInDays\":1}");
}
END_TEST

Suite *suite_inventory(void)
{
    TCase *tc;
    Suite *s = test_suite("inventory", &tc);

    tcase_add_test(tc, both_kinds_newest_first);
    tcase_add_test(tc, what_has_ended_is_not_in_it);
    tcase_add_test(tc, a_secrets_end_counts);
    tcase_add_test(tc, in_a_rotation_the_next_secret_goes_on);
    tcase_add_test(tc, unused_since_the_last_use_or_ever);
    tcase_add_test(tc, expiring_within);
    tcase_add_test(tc, without_owner_and_by_class);
    tcase_add_test(tc, a_used_up_registration_key);
    tcase_add_test(tc, pages_are_stable);
    tcase_add_test(tc, a_scan_is_bounded);
    tcase_add_test(tc, bad_parameters_name_the_field);
    tcase_add_test(tc, as_json);
    return s;
}
