/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_limits.h"

#include <apr_strings.h>

#define ABSENT "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define DAY APR_INT64_C(86400)

static rensei_err_t err;
static rensei_org_t org;
static rensei_apikey_t key, got;
static const char *first, *second;

static void begin(const char *type, const char *scopes)
{
    org = test_org("Acme");
    key = test_key(&org, "CI", type, scopes, &first);
    second = NULL;
}

static apr_status_t rotate_by(apr_int64_t grace, const rensei_grantor_t *by)
{
    return rensei_apikey_rotate(&got, &second, test_store(), org.id, key.id,
                                grace, rensei_vocab_default(), by, &test_actor,
                                test_pool, &err);
}

static apr_status_t rotate(apr_int64_t grace)
{
    return rotate_by(grace, NULL);
}

static apr_status_t update_by(const char *json, const rensei_grantor_t *by)
{
    rensei_apikey_patch_t patch;
    apr_status_t rv =
        rensei_apikey_patch_read(&patch, test_json(json), test_pool, &err);

    return rv == APR_SUCCESS
               ? rensei_apikey_update(&got, test_store(), org.id, key.id,
                                      &patch, rensei_vocab_default(), by,
                                      &test_actor, test_pool, &err)
               : rv;
}

static apr_status_t update(const char *json)
{
    return update_by(json, NULL);
}

static apr_status_t find(const char *presented)
{
    return rensei_apikey_find(&got, test_store(), presented, strlen(presented),
                              test_pool, &err);
}

static void good(const char *presented)
{
    ck_assert_ok(find(presented), err);
    ck_assert_str_eq(got.id, key.id);
    ck_assert_str_eq(got.status, "active");
}

static void gone(const char *presented)
{
    ck_assert_err(find(presented), err, RENSEI_E_NOT_FOUND);
}

static void told(const char *event, const char *details, int changes)
{
    rensei_event_t ev = test_last_event(org.id);

    ck_assert_str_eq(ev.event, event);
    ck_assert_str_eq(ev.target, key.id);
    ck_assert_str_eq(ev.details, details);
    ck_assert_int_eq(
        test_sql_count(apr_pstrcat(
            test_pool, "rensei_changes WHERE subject = '", key.id, "'", NULL)),
        changes);
}

static int writes(void)
{
    return test_sql_count("rensei_changes") + test_sql_count("rensei_audit");
}

static void expires_in(apr_int64_t seconds)
{
    test_sql(apr_psprintf(test_pool,
                          "UPDATE rensei_keys SET expires_at = "
                          "%" APR_INT64_T_FMT,
                          test_now_ms() + seconds * 1000));
}

START_TEST(both_tokens_until_the_grace_ends)
{
    begin("org", "org:read");
    ck_assert_ok(rotate(60), err);
    ck_assert_str_eq(got.id, key.id);
    ck_assert_str_ne(second, first);
    ck_assert_int_eq(got.rotated_at, test_now_ms());
    ck_assert_int_eq(got.updated_at, test_now_ms());
    ck_assert_int_eq(got.previous_ends_at, test_now_ms() + 60000);
    ck_assert_int_eq(strncmp(second, got.prefix, strlen(got.prefix)), 0);
    ck_assert_str_ne(got.prefix, key.prefix);
    told("api_key.rotated",
         apr_psprintf(test_pool,
                      "{\"graceSeconds\":60,\"previousEndsAt\":\"%s\","
                      "\"secretLast4\":\"%s\"}",
                      rensei_time_iso(test_now_ms() + 60000, test_pool),
                      second + strlen(second) - 4),
         1);
    good(first);
    ck_assert_int_eq(got.expires_at, test_now_ms() + 60000);
    good(second);
    ck_assert_int_eq(got.expires_at, 0);

    test_now += apr_time_from_msec(59999);
    good(first);
    test_now += apr_time_from_msec(1);
    gone(first);
    good(second);
}
END_TEST

START_TEST(without_grace_the_old_one_ends_at_once)
{
    begin("user", "sessions:read");
    ck_assert_ok(rotate(0), err);
    ck_assert_int_eq(got.previous_ends_at, test_now_ms());
    gone(first);
    good(second);
    ck_assert_int_eq(
        test_sql_count("rensei_keys WHERE previous_digest IS NULL"), 1);
}
END_TEST

START_TEST(never_past_its_own_expiry)
{
    apr_int64_t end;

    begin("org", "org:read");
    expires_in(30);
    end = test_now_ms() + 30000;
    ck_assert_ok(rotate(3600), err);
    ck_assert_int_eq(got.expires_at, end);
    ck_assert_int_eq(got.previous_ends_at, end);
    good(first);
    ck_assert_int_eq(got.expires_at, end);
    good(second);
    ck_assert_int_eq(got.expires_at, end);
    test_later(30);
    gone(first);
    ck_assert_ok(find(second), err);
    ck_assert_str_eq(got.status, "expired");
}
END_TEST

/* Three tokens at a time would be one that nobody knows of. And who has to
 * end a leaked one must not have to wait for a grace. */
START_TEST(one_grace_at_a_time)
{
    const char *leaked;
    int before;

    begin("org", "org:read");
    ck_assert_ok(rotate(60), err);
    leaked = second;
    before = writes();
    ck_assert_err(rotate(60), err, RENSEI_E_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.text, "2026-01-31T12:01:00.000Z"));
    ck_assert_ptr_nonnull(strstr(err.text, "graceSeconds 0"));
    ck_assert_int_eq(writes(), before);
    good(first);
    good(leaked);

    ck_assert_ok(rotate(0), err);
    gone(first);
    gone(leaked);
    good(second);

    ck_assert_ok(rotate(60), err);
    test_later(60);
    leaked = second;
    ck_assert_ok(rotate(60), err);
    good(leaked);
    good(second);
}
END_TEST

START_TEST(dead_keys_are_not_rotated_or_changed)
{
    int before;

    begin("org", "org:read");
    expires_in(10);
    test_later(10);
    before = writes();
    ck_assert_err(rotate(0), err, RENSEI_E_CONFLICT);
    ck_assert_err(update("{\"name\":\"x\"}"), err, RENSEI_E_CONFLICT);
    expires_in(10);
    ck_assert_int_eq(writes(), before);
    ck_assert_ok(rensei_apikey_revoke(&got, test_store(), org.id, key.id, NULL,
                                      &test_actor, test_pool, &err),
                 err);
    before = writes();
    ck_assert_err(rotate(0), err, RENSEI_E_CONFLICT);
    ck_assert_err(update("{\"name\":\"x\"}"), err, RENSEI_E_CONFLICT);
    ck_assert_int_eq(writes(), before);
}
END_TEST

/* Revoking ends whatever token there is. */
START_TEST(revoked_in_its_grace)
{
    begin("org", "org:read");
    ck_assert_ok(rotate(60), err);
    ck_assert_ok(rensei_apikey_revoke(&got, test_store(), org.id, key.id, NULL,
                                      &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(find(first), err);
    ck_assert_str_eq(got.status, "revoked");
    ck_assert_ok(find(second), err);
    ck_assert_str_eq(got.status, "revoked");
}
END_TEST

START_TEST(grace_has_bounds)
{
    begin("org", "org:read");
    ck_assert_field(rotate(-1), err, "graceSeconds");
    ck_assert_field(rotate(RENSEI_APIKEY_GRACE_MAX + 1), err, "graceSeconds");
    ck_assert_ok(rotate(RENSEI_APIKEY_GRACE_MAX), err);
    ck_assert_int_eq(got.previous_ends_at, test_now_ms() + 30 * DAY * 1000);
}
END_TEST

/* The token gives all that the key gives: who may only write to the
 * organisation would otherwise take over its strongest key. */
START_TEST(rotation_is_for_who_holds_the_scopes)
{
    rensei_grantor_t writer = test_grantor(RENSEI_CLASS_ORG, "org:write");
    rensei_grantor_t same =
        test_grantor(RENSEI_CLASS_ORG, "org:write org:read");
    rensei_grantor_t all = test_grantor(RENSEI_CLASS_ORG, "*");
    rensei_grantor_t user = test_grantor(RENSEI_CLASS_USER, "*");
    rensei_grantor_t m2m = test_grantor(RENSEI_CLASS_M2M, "*");
    int before;

    begin("org", "org:read org:write");
    before = writes();
    ck_assert_err(rotate_by(0, &writer), err, RENSEI_E_FORBIDDEN);
    ck_assert_err(rotate_by(0, &user), err, RENSEI_E_FORBIDDEN);
    ck_assert_err(rotate_by(0, &m2m), err, RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(writes(), before);
    good(first);
    ck_assert_ok(rotate_by(0, &same), err);
    ck_assert_ok(rotate_by(0, &all), err);
}
END_TEST

START_TEST(registration_keys_are_for_a_star_to_rotate)
{
    rensei_grantor_t writer = test_grantor(RENSEI_CLASS_ORG, "org:write");
    rensei_grantor_t all = test_grantor(RENSEI_CLASS_ORG, "*");

    begin("worker_registration", "workers:register");
    ck_assert_err(rotate_by(0, &writer), err, RENSEI_E_FORBIDDEN);
    ck_assert_ok(rotate_by(0, &all), err);
}
END_TEST

/* Another virtual host of the same store may have a scope that is in no
 * vocabulary here: whoever gets the token there has it. He can take it away
 * first. */
START_TEST(a_scope_of_elsewhere_has_to_be_held)
{
    rensei_grantor_t reader = test_grantor(RENSEI_CLASS_ORG, "org:read");
    rensei_grantor_t all = test_grantor(RENSEI_CLASS_ORG, "*");

    begin("org", "org:read");
    test_sql("UPDATE rensei_keys SET scopes = 'org:read other:host'");
    ck_assert_err(rotate_by(0, &reader), err, RENSEI_E_FORBIDDEN);
    ck_assert_ok(rotate_by(0, &all), err);
    ck_assert_ok(update("{\"scopes\":[\"org:read\"]}"), err);
    ck_assert_ok(rotate_by(0, &reader), err);
}
END_TEST

START_TEST(changed)
{
    begin("user", "sessions:read sessions:write");
    test_later(5);
    ck_assert_ok(update("{\"name\":\"new\",\"owner\":\"bob\","
                        "\"scopes\":[\"sessions:read\"]}"),
                 err);
    ck_assert_str_eq(got.name, "new");
    ck_assert_str_eq(got.owner, "bob");
    ck_assert_str_eq(rensei_scopes_text(&got.scopes, test_pool),
                     "sessions:read");
    ck_assert_int_eq(got.updated_at, test_now_ms());
    ck_assert_int_eq(got.created_at, key.created_at);
    told("api_key.updated",
         "{\"fields\":[\"name\",\"owner\",\"scopes\"],\"owner\":\"bob\","
         "\"scopes\":[\"sessions:read\"]}",
         1);
    good(first);
    ck_assert_ok(update("{\"owner\":null}"), err);
    ck_assert_ptr_null(got.owner);
    ck_assert_str_eq(got.name, "new");
    told("api_key.updated", "{\"fields\":[\"owner\"],\"owner\":null}", 2);
    ck_assert_ok(update("{\"scopes\":[]}"), err);
    ck_assert_int_eq(got.scopes.count, 0);
}
END_TEST

START_TEST(what_cannot_be_changed)
{
    static const struct {
        const char *json, *field;
    } bad[] = {
        {"{\"name\":\"\"}", "name"},
        {"{\"name\":null}", "name"},
        {"{\"owner\":null}", "owner"},
        {"{\"owner\":\" \"}", "owner"},
        {"{\"scopes\":null}", "scopes"},
        {"{\"scopes\":[\"workers:register\"]}", "scopes"},
        {"{\"scopes\":[\"no:such\"]}", "scopes"},
        {"{\"expiresAt\":null}", "expiresAt"},
        {"{\"keyType\":\"user\"}", "keyType"},
        {"{\"workspaceId\":null}", "workspaceId"},
        {"{\"userId\":\"u\"}", "userId"},
        {"{\"maxUses\":5}", "maxUses"},
        {"{\"status\":\"active\"}", "status"},
    };
    size_t i;
    int before;

    begin("org", "org:read");
    before = writes();
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_field(update(bad[i].json), err, bad[i].field);
    }
    ck_assert_err(update("{}"), err, RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(writes(), before);
}
END_TEST

START_TEST(registration_keys_keep_their_one_scope)
{
    begin("worker_registration", "workers:register");
    ck_assert_field(update("{\"scopes\":[]}"), err, "scopes");
    ck_assert_field(update("{\"scopes\":[\"*\"]}"), err, "scopes");
    ck_assert_field(
        update("{\"scopes\":[\"workers:register\",\"sessions:read\"]}"), err,
        "scopes");
    ck_assert_ok(update("{\"scopes\":[\"workers:register\"]}"), err);
    ck_assert_ok(update("{\"name\":\"n\"}"), err);
    ck_assert_str_eq(rensei_scopes_text(&got.scopes, test_pool),
                     "workers:register");
}
END_TEST

/* What a key has already is not given again, so who holds less can still
 * rename it and take from it; but adds only what he holds. */
START_TEST(added_scopes_are_the_grantors)
{
    rensei_grantor_t narrow =
        test_grantor(RENSEI_CLASS_ORG, "org:write sessions:read");
    int before;

    begin("org", "org:read");
    ck_assert_ok(
        update_by("{\"scopes\":[\"org:read\",\"sessions:read\"]}", &narrow),
        err);
    before = writes();
    ck_assert_err(update_by("{\"scopes\":[\"*\"]}", &narrow), err,
                  RENSEI_E_FORBIDDEN);
    ck_assert_err(
        update_by("{\"scopes\":[\"org:read\",\"sessions:write\"]}", &narrow),
        err, RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(writes(), before);
    ck_assert_ok(update_by("{\"scopes\":[\"sessions:read\"]}", &narrow), err);
    ck_assert_err(update_by("{\"scopes\":[\"org:read\"]}", &narrow), err,
                  RENSEI_E_FORBIDDEN);
    ck_assert_ok(update_by("{\"name\":\"n\"}", &narrow), err);
}
END_TEST

START_TEST(nobody_else_changes_keys)
{
    static const rensei_class_e classes[] = {
        RENSEI_CLASS_M2M, RENSEI_CLASS_USER, RENSEI_CLASS_REGISTRATION,
        RENSEI_CLASS_WORKER};
    size_t i;
    int before;

    begin("user", "");
    before = writes();
    for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        rensei_grantor_t by = test_grantor(classes[i], "*");
        ck_assert_err(update_by("{\"name\":\"n\"}", &by), err,
                      RENSEI_E_FORBIDDEN);
    }
    ck_assert_int_eq(writes(), before);
}
END_TEST

START_TEST(a_workspace_is_not_left)
{
    rensei_grantor_t bound = test_grantor(RENSEI_CLASS_ORG, "*");
    rensei_workspace_t mine, other;

    begin("org", "org:read");
    mine = test_workspace(&org, "mine");
    other = test_workspace(&org, "other");
    bound.workspace = mine.id;
    ck_assert_err(update_by("{\"name\":\"n\"}", &bound), err,
                  RENSEI_E_FORBIDDEN);
    ck_assert_ptr_nonnull(strstr(err.text, mine.id));
    ck_assert_err(rotate_by(0, &bound), err, RENSEI_E_FORBIDDEN);
    test_sql(apr_psprintf(
        test_pool, "UPDATE rensei_keys SET workspace_id = '%s'", other.id));
    ck_assert_err(rotate_by(0, &bound), err, RENSEI_E_FORBIDDEN);
    test_sql(apr_psprintf(
        test_pool, "UPDATE rensei_keys SET workspace_id = '%s'", mine.id));
    ck_assert_ok(update_by("{\"name\":\"n\"}", &bound), err);
    ck_assert_ok(rotate_by(0, &bound), err);
}
END_TEST

/* One that may not be made like this any more may not be prolonged. */
START_TEST(policies_bind)
{
    rensei_limits_t limits = {.owner = 1, .expiry = 1};
    rensei_grantor_t by = test_grantor(RENSEI_CLASS_ORG, "*");

    begin("user", "sessions:read");
    by.limits = &limits;
    ck_assert_err(rotate_by(0, &by), err, RENSEI_E_FORBIDDEN);
    ck_assert_field(update_by("{\"owner\":null}", &by), err, "owner");
    ck_assert_ok(update_by("{\"owner\":\"bob\"}", &by), err);
    ck_assert_ok(update_by("{\"name\":\"n\"}", &by), err);
    expires_in(60);
    ck_assert_ok(rotate_by(0, &by), err);
}
END_TEST

START_TEST(one_organisation_never_reaches_another)
{
    rensei_org_t mine;
    int before;

    begin("org", "org:read");
    mine = org;
    org = test_org("Other");
    before = writes();
    ck_assert_err(rotate(0), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(update("{\"name\":\"x\"}"), err, RENSEI_E_NOT_FOUND);
    org = mine;
    key.id = ABSENT;
    ck_assert_err(rotate(0), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(update("{\"name\":\"x\"}"), err, RENSEI_E_NOT_FOUND);
    key.id = "key_' OR '1'='1";
    ck_assert_err(rotate(0), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(update("{\"name\":\"x\"}"), err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(writes(), before);
    ck_assert_ok(find(first), err);
}
END_TEST

START_TEST(no_randomness_no_rotation)
{
    begin("org", "org:read");
    test_random_broken = 1;
    ck_assert_err(rotate(0), err, RENSEI_E_UNAVAILABLE);
    test_random_broken = 0;
    good(first);
}
END_TEST

START_TEST(used_up)
{
    rensei_apikey_filter_t filter = {.status = "exhausted"};
    rensei_apikey_page_t page;

    begin("worker_registration", "workers:register");
    test_sql("UPDATE rensei_keys SET max_uses = 2, uses = 1");
    good(first);
    ck_assert_int_eq(got.uses, 1);
    ck_assert_ok(rensei_apikey_list(&page, test_store(), org.id, &filter,
                                    test_pool, &err),
                 err);
    ck_assert_int_eq(page.count, 0);
    test_sql("UPDATE rensei_keys SET uses = 2");
    ck_assert_ok(find(first), err);
    ck_assert_str_eq(got.status, "exhausted");
    ck_assert_ok(rensei_apikey_list(&page, test_store(), org.id, &filter,
                                    test_pool, &err),
                 err);
    ck_assert_int_eq(page.count, 1);
    filter.status = "active";
    ck_assert_ok(rensei_apikey_list(&page, test_store(), org.id, &filter,
                                    test_pool, &err),
                 err);
    ck_assert_int_eq(page.count, 0);
}
END_TEST

Suite *suite_apikey_change(void)
{
    TCase *tc;
    Suite *s = test_suite("apikey_change", &tc);

    tcase_add_test(tc, both_tokens_until_the_grace_ends);
    tcase_add_test(tc, without_grace_the_old_one_ends_at_once);
    tcase_add_test(tc, never_past_its_own_expiry);
    tcase_add_test(tc, one_grace_at_a_time);
    tcase_add_test(tc, dead_keys_are_not_rotated_or_changed);
    tcase_add_test(tc, revoked_in_its_grace);
    tcase_add_test(tc, grace_has_bounds);
    tcase_add_test(tc, rotation_is_for_who_holds_the_scopes);
    tcase_add_test(tc, registration_keys_are_for_a_star_to_rotate);
    tcase_add_test(tc, a_scope_of_elsewhere_has_to_be_held);
    tcase_add_test(tc, changed);
    tcase_add_test(tc, what_cannot_be_changed);
    tcase_add_test(tc, registration_keys_keep_their_one_scope);
    tcase_add_test(tc, added_scopes_are_the_grantors);
    tcase_add_test(tc, nobody_else_changes_keys);
    tcase_add_test(tc, a_workspace_is_not_left);
    tcase_add_test(tc, policies_bind);
    tcase_add_test(tc, one_organisation_never_reaches_another);
    tcase_add_test(tc, no_randomness_no_rotation);
    tcase_add_test(tc, used_up);
    return s;
}
