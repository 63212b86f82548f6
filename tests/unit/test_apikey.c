/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_id.h"

#include <apr_strings.h>

static rensei_err_t err;
static rensei_apikey_t got;
static rensei_apikey_spec_t spec;
static rensei_apikey_page_t page;
static const char *token;

#define ABSENT "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"

static apr_status_t spec_read(const char *json)
{
    return rensei_apikey_spec_read(&spec, test_json(json), test_pool, &err);
}

static apr_status_t create_by(const rensei_org_t *org, const char *json,
                              const rensei_grantor_t *by)
{
    ck_assert_ok(spec_read(json), err);
    return rensei_apikey_create(&got, &token, test_store(), org->id, &spec,
                                rensei_vocab_default(), by, &test_actor,
                                test_pool, &err);
}

static apr_status_t create(const rensei_org_t *org, const char *json)
{
    return create_by(org, json, NULL);
}

static apr_status_t get(const rensei_org_t *org, const char *id)
{
    return rensei_apikey_get(&got, test_store(), org->id, id, test_pool, &err);
}

static apr_status_t find(const char *presented)
{
    return rensei_apikey_find(&got, test_store(), presented, strlen(presented),
                              test_pool, &err);
}

static apr_status_t end(const rensei_org_t *org, const char *id,
                        const char *reason)
{
    return rensei_apikey_revoke(&got, test_store(), org->id, id, reason,
                                &test_actor, test_pool, &err);
}

static apr_status_t list(const rensei_org_t *org,
                         const rensei_apikey_filter_t *filter)
{
    return rensei_apikey_list(&page, test_store(), org->id, filter, test_pool,
                              &err);
}

static int listed(const rensei_org_t *org, rensei_apikey_filter_t filter)
{
    ck_assert_ok(list(org, &filter), err);
    return page.count;
}

START_TEST(classes)
{
    rensei_class_e cls;

    ck_assert(rensei_apikey_class(&cls, "user"));
    ck_assert_int_eq(cls, RENSEI_CLASS_USER);
    ck_assert(rensei_apikey_class(&cls, "worker_registration"));
    ck_assert_int_eq(cls, RENSEI_CLASS_REGISTRATION);
    ck_assert(rensei_apikey_class(&cls, "org"));
    ck_assert_int_eq(cls, RENSEI_CLASS_ORG);
    ck_assert(!rensei_apikey_class(&cls, "m2m"));
    ck_assert(!rensei_apikey_class(&cls, "ORG"));
    ck_assert(!rensei_apikey_class(&cls, ""));
}
END_TEST

START_TEST(spec_errors_name_the_field)
{
    static const struct {
        const char *json, *field;
    } bad[] = {
        {"{\"keyType\":\"org\",\"scopes\":[],\"owner\":\"o\"}", "name"},
        {"{\"name\":\"a\",\"scopes\":[]}", "keyType"},
        {"{\"name\":\"a\",\"keyType\":\"root\",\"scopes\":[]}", "keyType"},
        {"{\"name\":\"a\",\"keyType\":\"org\",\"owner\":\"o\"}", "scopes"},
        {"{\"name\":\"a\",\"keyType\":\"org\",\"scopes\":[]}", "owner"},
        {"{\"name\":\"a\",\"keyType\":\"org\",\"scopes\":[],\"owner\":\"\"}",
         "owner"},
        {"{\"name\":\"a\",\"keyType\":\"user\",\"scopes\":[]}", "userId"},
        {"{\"name\":\"a\",\"keyType\":\"user\",\"scopes\":[],\"userId\":\"u\","
         "\"maxUses\":1}",
         "maxUses"},
        {"{\"name\":\"a\",\"keyType\":\"worker_registration\",\"scopes\":[],"
         "\"maxUses\":0}",
         "maxUses"},
        {"{\"name\":\"a\",\"keyType\":\"user\",\"scopes\":[],\"userId\":\"u\","
         "\"token\":\"x\"}",
         "token"},
        {"{\"name\":\"a\",\"keyType\":\"user\",\"scopes\":[\"a b\"],"
         "\"userId\":\"u\"}",
         "scopes"},
        {"{\"name\":\"a\",\"keyType\":\"user\",\"scopes\":[],\"userId\":\"u\","
         "\"expiresAt\":\"later\"}",
         "expiresAt"},
        {"{\"name\":\"a\",\"keyType\":\"user\",\"scopes\":[],\"userId\":\"u\","
         "\"workspaceId\":\"w\"}",
         "workspaceId"},
    };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_field(spec_read(bad[i].json), err, bad[i].field);
    }
}
END_TEST

START_TEST(created)
{
    rensei_org_t org = test_org("Acme");
    rensei_workspace_t ws = test_workspace(&org, "w");
    rensei_event_t ev;
    char digest[RENSEI_DIGEST_LEN + 1];

    ck_assert_ok(
        create(&org, apr_psprintf(
                         test_pool,
                         "{\"name\":\"Deploy\",\"keyType\":\"org\",\"scopes\":"
                         "[\"org:read\",\"workers:read\"],\"owner\":\"Ada\","
                         "\"workspaceId\":\"%s\",\"expiresAt\":"
                         "\"2027-01-01T00:00:00Z\"}",
                         ws.id)),
        err);
    ck_assert(rensei_id_valid(RENSEI_ID_KEY, got.id, strlen(got.id)));
    ck_assert(rensei_secret_valid(RENSEI_SECRET_KEY, token, strlen(token)));
    ck_assert_ok(get(&org, got.id), err);
    ck_assert_str_eq(got.org, org.id);
    ck_assert_str_eq(got.workspace, ws.id);
    ck_assert_str_eq(got.name, "Deploy");
    ck_assert_str_eq(got.type, "org");
    ck_assert_int_eq(got.cls, RENSEI_CLASS_ORG);
    ck_assert_str_eq(got.owner, "Ada");
    ck_assert_ptr_null(got.user_id);
    ck_assert_str_eq(rensei_scopes_text(&got.scopes, test_pool),
                     "org:read workers:read");
    ck_assert_int_eq(strlen(got.prefix), RENSEI_KEY_PREFIX_LEN);
    ck_assert_int_eq(strncmp(got.prefix, token, RENSEI_KEY_PREFIX_LEN), 0);
    ck_assert_str_eq(got.status, "active");
    ck_assert_int_eq(got.created_at, test_now_ms());
    ck_assert_str_eq(got.created_by, "root");
    ck_assert_int_eq(got.expires_at, APR_INT64_C(1798761600000));
    ck_assert_int_eq(got.max_uses, 0);
    ck_assert_int_eq(got.org_active, 1);

    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "api_key.created");
    ck_assert_str_eq(ev.target, got.id);
    rensei_digest(digest, token, strlen(token));
    ck_assert_str_eq(test_sql_value("SELECT digest FROM rensei_keys"), digest);
    ck_assert_ptr_null(strstr(ev.details, token + 20));
    ck_assert_ptr_null(strstr(ev.details, digest + 7));
}
END_TEST

START_TEST(types_have_their_own_scopes)
{
    rensei_org_t org = test_org("Acme");

    ck_assert_ok(create(&org, "{\"name\":\"r\",\"keyType\":"
                              "\"worker_registration\",\"scopes\":"
                              "[\"workers:register\"],\"maxUses\":5}"),
                 err);
    ck_assert_int_eq(got.max_uses, 5);
    ck_assert_int_eq(got.cls, RENSEI_CLASS_REGISTRATION);
    ck_assert_field(create(&org, "{\"name\":\"r\",\"keyType\":"
                                 "\"worker_registration\",\"scopes\":[\"*\"]}"),
                    err, "scopes");
    ck_assert_field(create(&org, "{\"name\":\"u\",\"keyType\":\"user\","
                                 "\"userId\":\"u\",\"scopes\":"
                                 "[\"workers:register\"]}"),
                    err, "scopes");
    ck_assert_field(create(&org, "{\"name\":\"u\",\"keyType\":\"user\","
                                 "\"userId\":\"u\",\"scopes\":"
                                 "[\"agents:read\"]}"),
                    err, "scopes");
    ck_assert_int_eq(test_sql_count("rensei_keys"), 1);
}
END_TEST

/* Escalation: whatever a key holds, it gives no more; and what is not an
 * org key gives none, not even its own scopes. */
START_TEST(nobody_gives_what_he_lacks)
{
    rensei_org_t org = test_org("Acme");
    const char *star = "{\"name\":\"k\",\"keyType\":\"org\",\"owner\":\"o\","
                       "\"scopes\":[\"*\"]}";
    const char *read = "{\"name\":\"k\",\"keyType\":\"user\",\"userId\":\"u\","
                       "\"scopes\":[\"sessions:read\"]}";
    const char *reg = "{\"name\":\"k\",\"keyType\":\"worker_registration\","
                      "\"scopes\":[\"workers:register\"]}";
    const char *none = "{\"name\":\"k\",\"keyType\":\"user\",\"userId\":\"u\","
                       "\"scopes\":[]}";
    rensei_grantor_t all = test_grantor(RENSEI_CLASS_ORG, "*");
    rensei_grantor_t writer =
        test_grantor(RENSEI_CLASS_ORG, "org:write sessions:read");
    rensei_grantor_t user = test_grantor(RENSEI_CLASS_USER, "*");
    rensei_grantor_t m2m = test_grantor(RENSEI_CLASS_M2M, "*");
    rensei_grantor_t registrar =
        test_grantor(RENSEI_CLASS_REGISTRATION, "workers:register");

    ck_assert_ok(create_by(&org, star, &all), err);
    ck_assert_ok(create_by(&org, reg, &all), err);
    ck_assert_ok(create_by(&org, read, &writer), err);
    ck_assert_ok(create_by(&org, none, &writer), err);
    ck_assert_int_eq(test_sql_count("rensei_keys"), 4);

    ck_assert_err(create_by(&org, star, &writer), err, RENSEI_E_FORBIDDEN);
    ck_assert_err(create_by(&org, reg, &writer), err, RENSEI_E_FORBIDDEN);
    ck_assert_err(create_by(&org, read, &user), err, RENSEI_E_FORBIDDEN);
    ck_assert_err(create_by(&org, none, &user), err, RENSEI_E_FORBIDDEN);
    ck_assert_err(create_by(&org, none, &m2m), err, RENSEI_E_FORBIDDEN);
    ck_assert_err(create_by(&org, reg, &registrar), err, RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(test_sql_count("rensei_keys"), 4);
    ck_assert_int_eq(
        test_sql_count("rensei_audit WHERE event = 'api_key.created'"), 4);
}
END_TEST

START_TEST(workspace_and_organisation_must_fit)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Other");
    rensei_org_t nobody = {.id = "org_01ARZ3NDEKTSV4RRFFQ69G5FAV"};
    rensei_workspace_t foreign = test_workspace(&other, "w");
    const char body[] = "{\"name\":\"k\",\"keyType\":\"user\",\"userId\":\"u\","
                        "\"scopes\":[],\"workspaceId\":\"%s\"}";

    ck_assert_err(create(&org, apr_psprintf(test_pool, body, foreign.id)), err,
                  RENSEI_E_NOT_FOUND);
    ck_assert_str_eq(err.field, "workspaceId");
    ck_assert_err(create(&nobody, "{\"name\":\"k\",\"keyType\":\"user\","
                                  "\"userId\":\"u\",\"scopes\":[]}"),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(test_sql_count("rensei_keys"), 0);
    test_key(&org, "and the store goes on", "user", "", NULL);
}
END_TEST

START_TEST(expiry)
{
    rensei_org_t org = test_org("Acme");
    const char body[] = "{\"name\":\"k\",\"keyType\":\"user\",\"userId\":\"u\","
                        "\"scopes\":[],\"expiresAt\":%" APR_INT64_T_FMT "}";

    ck_assert_field(create(&org, apr_psprintf(test_pool, body, test_now_ms())),
                    err, "expiresAt");
    ck_assert_ok(
        create(&org, apr_psprintf(test_pool, body, test_now_ms() + 1000)), err);
    ck_assert_ok(find(token), err);
    ck_assert_str_eq(got.status, "active");
    test_later(1);
    ck_assert_ok(find(token), err); /* in whatever state */
    ck_assert_str_eq(got.status, "expired");
}
END_TEST

START_TEST(found_by_the_token)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_t k = test_key(&org, "k", "user", "sessions:read", &token);
    char *wrong = apr_pstrdup(test_pool, token);

    test_key(&org, "other", "user", "", NULL);
    ck_assert_ok(find(token), err);
    ck_assert_str_eq(got.id, k.id);
    ck_assert_str_eq(got.org, org.id);
    ck_assert_int_eq(got.org_active, 1);

    wrong[72] = wrong[72] == '0' ? '1' : '0';
    ck_assert_err(find(wrong), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(find(""), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(find(apr_pstrcat(test_pool, token, "0", NULL)), err,
                  RENSEI_E_NOT_FOUND);
    ck_assert_err(find("\xff"), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(find("rsk_live_' OR 1=1 --"), err, RENSEI_E_NOT_FOUND);

    ck_assert_ok(rensei_org_set_status(&org, test_store(), org.id, "suspended",
                                       &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(find(token), err);
    ck_assert_int_eq(got.org_active, 0);
}
END_TEST

START_TEST(revoked_once)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_t k = test_key(&org, "k", "user", "", &token);
    apr_int64_t when = test_now_ms();
    rensei_event_t ev;

    ck_assert_ok(end(&org, k.id, "lost"), err);
    ck_assert_str_eq(got.status, "revoked");
    ck_assert_int_eq(got.revoked_at, when);
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "api_key.revoked");
    ck_assert_str_eq(ev.details, "{\"reason\":\"lost\"}");
    ck_assert_str_eq(test_sql_value("SELECT subject FROM rensei_changes"),
                     k.id);
    test_later(5);
    ck_assert_ok(end(&org, k.id, NULL), err);
    ck_assert_int_eq(got.revoked_at, when);
    ck_assert_str_eq(got.revoke_reason, "lost");
    ck_assert_int_eq(test_last_event(org.id).seq, ev.seq);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
    ck_assert_ok(find(token), err);
    ck_assert_str_eq(got.status, "revoked");
}
END_TEST

START_TEST(one_organisation_never_reaches_another)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Other");
    rensei_apikey_t k = test_key(&org, "k", "org", "org:read", NULL);

    ck_assert_err(get(&other, k.id), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(end(&other, k.id, NULL), err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(listed(&other, (rensei_apikey_filter_t){0}), 0);
    ck_assert_int_eq(listed(&other, (rensei_apikey_filter_t){.name = "k"}), 0);
    ck_assert_int_eq(
        listed(&other, (rensei_apikey_filter_t){.scope = "org:read"}), 0);
    ck_assert_err(get(&org, ABSENT), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(end(&org, ABSENT, NULL), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(get(&org, "' OR 1=1 --"), err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
    ck_assert_ok(get(&org, k.id), err);
    ck_assert_str_eq(got.status, "active");
}
END_TEST

START_TEST(listed_and_filtered)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_filter_t filter = {.limit = 2};
    rensei_apikey_t a = test_key(&org, "a", "org", "org:read", NULL);
    int n = 0;

    test_later(1);
    test_key(&org, "b", "user", "sessions:read sessions:write", NULL);
    test_later(1);
    test_key(&org, "c", "worker_registration", "workers:register", NULL);
    do {
        ck_assert_ok(list(&org, &filter), err);
        ck_assert_str_eq(page.key[0].name, n == 0 ? "c" : "a");
        n += page.count;
        filter.cursor = page.next_cursor;
        test_later(1);
        test_key(&org, "new", "user", "", NULL);
    } while (page.next_cursor);
    ck_assert_int_eq(n, 3);

    ck_assert_int_eq(listed(&org, (rensei_apikey_filter_t){.type = "org"}), 1);
    ck_assert_str_eq(page.key[0].id, a.id);
    ck_assert_int_eq(
        listed(&org, (rensei_apikey_filter_t){.scope = "sessions:write"}), 1);
    ck_assert_int_eq(
        listed(&org, (rensei_apikey_filter_t){.scope = "sessions_write"}), 0);
    ck_assert_int_eq(listed(&org, (rensei_apikey_filter_t){.name = "new"}), 2);
    ck_assert_int_eq(listed(&org, (rensei_apikey_filter_t){.owner = "Ops"}), 5);
    ck_assert_int_eq(
        listed(&org, (rensei_apikey_filter_t){.owner = "Ops", .name = "a"}), 1);
    ck_assert_ok(end(&org, a.id, NULL), err);
    ck_assert_int_eq(
        listed(&org, (rensei_apikey_filter_t){.status = "revoked"}), 1);
    ck_assert_int_eq(listed(&org, (rensei_apikey_filter_t){.status = "active"}),
                     4);
    ck_assert_int_eq(
        listed(&org, (rensei_apikey_filter_t){.status = "expired"}), 0);
}
END_TEST

START_TEST(bad_filters)
{
    rensei_org_t org = test_org("Acme");

    ck_assert_field(list(&org, &(rensei_apikey_filter_t){.status = "inactive"}),
                    err, "status");
    ck_assert_field(list(&org, &(rensei_apikey_filter_t){.type = "m2m"}), err,
                    "type");
    ck_assert_field(list(&org, &(rensei_apikey_filter_t){.scope = ""}), err,
                    "scope");
    ck_assert_field(list(&org, &(rensei_apikey_filter_t){.cursor = "?"}), err,
                    "cursor");
    ck_assert_field(list(&org, &(rensei_apikey_filter_t){.limit = -1}), err,
                    "limit");
}
END_TEST

START_TEST(hostile_fields)
{
    rensei_org_t org = test_org("Acme");
    int i;

    for (i = 0; test_sql_attacks[i]; i++) {
        const char *text = test_sql_attacks[i];
        json_t *body = rensei_json_own(
            json_pack("{s:s, s:s, s:s, s:s, s:[]}", "name", text, "keyType",
                      "user", "owner", text, "userId", text, "scopes"),
            test_pool);

        ck_assert_ok(create(&org, rensei_json_dump(body, test_pool)), err);
        ck_assert_str_eq(got.name, text);
        ck_assert_str_eq(got.owner, text);
        ck_assert_str_eq(got.user_id, text);
        ck_assert_int_eq(listed(&org, (rensei_apikey_filter_t){.name = text}),
                         1);
        ck_assert_ok(end(&org, got.id, text), err);
        ck_assert_str_eq(got.revoke_reason, text);
    }
    ck_assert_int_eq(test_sql_count("rensei_keys"), i);
}
END_TEST

static void used(const char *id, apr_int64_t at, const char *ip,
                 apr_int64_t count)
{
    rensei_usage_t usage = {.at = at, .ip = ip, .count = count};

    ck_assert_ok(rensei_apikey_used(test_store(), id, &usage, test_pool, &err),
                 err);
}

static void used_last(const rensei_org_t *org, const char *id, apr_int64_t at,
                      const char *ip, apr_int64_t count)
{
    ck_assert_ok(get(org, id), err);
    ck_assert_int_eq(got.last_used_at, at);
    if (ip) {
        ck_assert_str_eq(got.last_used_ip, ip);
    }
    else {
        ck_assert_ptr_null(got.last_used_ip);
    }
    ck_assert_int_eq(got.usage_count, count);
}

START_TEST(last_use_never_moves_back)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_t k = test_key(&org, "k", "user", "", NULL);
    rensei_apikey_t other = test_key(&org, "other", "user", "", NULL);
    int events = test_sql_count("rensei_audit");

    used_last(&org, k.id, 0, NULL, 0);
    used(k.id, 2000, "192.0.2.1", 3);
    used_last(&org, k.id, 2000, "192.0.2.1", 3);
    used(k.id, 999, "192.0.2.2", 4); /* of a child that was slower to say so */
    used_last(&org, k.id, 2000, "192.0.2.1", 7);
    used(k.id, 10000, "2001:db8::1", 1);
    used_last(&org, k.id, 10000, "2001:db8::1", 8);
    used(k.id, 10001, NULL, 1);
    used_last(&org, k.id, 10001, NULL, 9);
    used(ABSENT, 1, NULL, 1);
    used_last(&org, other.id, 0, NULL, 0);
    ck_assert_int_eq(test_sql_count("rensei_audit"), events);
}
END_TEST

START_TEST(json_of_a_key)
{
    rensei_org_t org = test_org("Acme");
    rensei_apikey_t k = test_key(&org, "k", "org", "*", &token);
    json_t *json =
        rensei_json_own(rensei_apikey_json(&k, token, test_pool), test_pool);

    ck_assert_str_eq(json_string_value(json_object_get(json, "keyId")), k.id);
    ck_assert_str_eq(json_string_value(json_object_get(json, "token")), token);
    ck_assert_str_eq(json_string_value(json_object_get(json, "keyType")),
                     "org");
    ck_assert_str_eq(json_string_value(json_object_get(json, "createdAt")),
                     "2026-01-31T12:00:00.000Z");
    ck_assert(json_is_null(json_object_get(json, "expiresAt")));
    ck_assert_str_eq(
        rensei_json_dump(json_object_get(json, "scopes"), test_pool),
        "[\"*\"]");
    json = rensei_json_own(rensei_apikey_json(&k, NULL, test_pool), test_pool);
    ck_assert_ptr_null(json_object_get(json, "token"));
    ck_assert_int_eq(json_object_size(json), 22);
    ck_assert_ptr_null(json_object_get(json, "uses"));
    ck_assert_int_eq(json_integer_value(json_object_get(json, "usageCount")),
                     0);
    ck_assert(json_is_null(json_object_get(json, "previousEndsAt")));
    k = test_key(&org, "r", "worker_registration", "workers:register", NULL);
    json = rensei_json_own(rensei_apikey_json(&k, NULL, test_pool), test_pool);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "uses")), 0);
}
END_TEST

Suite *suite_apikey(void)
{
    TCase *tc;
    Suite *s = test_suite("apikey", &tc);

    tcase_add_test(tc, classes);
    tcase_add_test(tc, spec_errors_name_the_field);
    tcase_add_test(tc, created);
    tcase_add_test(tc, types_have_their_own_scopes);
    tcase_add_test(tc, nobody_gives_what_he_lacks);
    tcase_add_test(tc, workspace_and_organisation_must_fit);
    tcase_add_test(tc, expiry);
    tcase_add_test(tc, found_by_the_token);
    tcase_add_test(tc, revoked_once);
    tcase_add_test(tc, one_organisation_never_reaches_another);
    tcase_add_test(tc, listed_and_filtered);
    tcase_add_test(tc, bad_filters);
    tcase_add_test(tc, hostile_fields);
    tcase_add_test(tc, last_use_never_moves_back);
    tcase_add_test(tc, json_of_a_key);
    return s;
}
