/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_client_auth.h"
#include "rensei_id.h"
#include "rensei_page.h"

#include <apr_strings.h>
#include <time.h>

static rensei_err_t err;
static rensei_client_t got;
static rensei_client_spec_t spec;
static rensei_client_page_t page;
static const char *secret;

#define ABSENT "m2m_0123456789abcdef0123456789abcdef"

static apr_status_t spec_read(const char *json, int creating)
{
    return rensei_client_spec_read(&spec, test_json(json), creating, test_pool,
                                   &err);
}

static apr_status_t create_by(const rensei_org_t *org, const char *json,
                              const rensei_grantor_t *by)
{
    ck_assert_ok(spec_read(json, 1), err);
    return rensei_client_create(&got, &secret, test_store(), org->id, &spec,
                                rensei_vocab_default(), by, &test_actor,
                                test_pool, &err);
}

static apr_status_t create(const rensei_org_t *org, const char *json)
{
    return create_by(org, json, NULL);
}

static apr_status_t update_by(const rensei_org_t *org, const char *id,
                              const char *json, const rensei_grantor_t *by)
{
    ck_assert_ok(spec_read(json, 0), err);
    return rensei_client_update(&got, test_store(), org->id, id, &spec,
                                rensei_vocab_default(), by, &test_actor,
                                test_pool, &err);
}

static apr_status_t update(const rensei_org_t *org, const char *id,
                           const char *json)
{
    return update_by(org, id, json, NULL);
}

static apr_status_t end(const rensei_org_t *org, const char *id,
                        const char *reason)
{
    return rensei_client_revoke(&got, test_store(), org->id, id, reason,
                                &test_actor, test_pool, &err);
}

static apr_status_t get(const rensei_org_t *org, const char *id)
{
    return rensei_client_get(&got, test_store(), org->id, id, test_pool, &err);
}

static apr_status_t authenticate(const char *id, const char *presented)
{
    return rensei_client_auth_secret(&got, test_store(), id, presented, NULL,
                                     &test_actor, test_pool, &err);
}

static apr_status_t list(const rensei_org_t *org,
                         const rensei_client_filter_t *filter)
{
    return rensei_client_list(&page, test_store(), org->id, filter, test_pool,
                              &err);
}

static int listed(const rensei_org_t *org, rensei_client_filter_t filter)
{
    ck_assert_ok(list(org, &filter), err);
    return page.count;
}

/* --- reading a body --- */

START_TEST(spec_whole)
{
    ck_assert_ok(
        spec_read("{\"name\":\"CI\",\"scopes\":[\"workers:read\"],"
                  "\"description\":\"a\\nb\",\"owner\":\"Ada\","
                  "\"trustedMetadata\":{\"a\":[1]},\"tokenLifetime\":60,"
                  "\"expiresAt\":\"2027-01-01T00:00:00Z\","
                  "\"workspaceId\":\"ws_01ARZ3NDEKTSV4RRFFQ69G5FAV\"}",
                  1),
        err);
    ck_assert_uint_eq(spec.set, 0x0ff);
    ck_assert_str_eq(spec.name, "CI");
    ck_assert_str_eq(spec.description, "a\nb");
    ck_assert_str_eq(spec.owner, "Ada");
    ck_assert_int_eq(spec.token_lifetime, 60);
    ck_assert_int_eq(spec.expires_at, APR_INT64_C(1798761600000));
    ck_assert_int_eq(json_object_size(spec.trusted_metadata), 1);
    ck_assert_ok(spec_read("{\"status\":\"inactive\"}", 0), err);
    ck_assert_uint_eq(spec.set, RENSEI_CLIENT_STATUS);
}
END_TEST

START_TEST(spec_null_clears)
{
    ck_assert_ok(spec_read("{\"description\":null,\"owner\":null,"
                           "\"trustedMetadata\":null,\"tokenLifetime\":null,"
                           "\"expiresAt\":null}",
                           0),
                 err);
    ck_assert_uint_eq(spec.set, 0x076);
    ck_assert_ptr_null(spec.description);
    ck_assert_ptr_null(spec.trusted_metadata);
    ck_assert_int_eq(spec.expires_at, 0);
}
END_TEST

START_TEST(spec_errors_name_the_field)
{
    static const struct {
        const char *json, *field;
        int creating;
    } bad[] = {
        {"{\"scopes\":[]}", "name", 1},
        {"{\"name\":\"a\"}", "scopes", 1},
        {"{\"name\":null,\"scopes\":[]}", "name", 1},
        {"{\"name\":\"a\",\"scopes\":null}", "scopes", 1},
        {"{\"name\":\"a\",\"scopes\":\"workers:read\"}", "scopes", 1},
        {"{\"name\":\"a\",\"scopes\":[],\"status\":\"active\"}", "status", 1},
        {"{\"name\":\"a\",\"scopes\":[],\"color\":1}", "color", 1},
        {"{\"name\":\"a\",\"scopes\":[],\"clientSecret\":\"x\"}",
         "clientSecret", 1},
        {"{\"name\":7}", "name", 0},
        {"{\"name\":\"\"}", "name", 0},
        {"{\"name\":\"a\\tb\"}", "name", 0},
        {"{\"name\":\" a\"}", "name", 0},
        {"{\"owner\":\"\"}", "owner", 0},
        {"{\"description\":\"a\\u0007\"}", "description", 0},
        {"{\"trustedMetadata\":[]}", "trustedMetadata", 0},
        {"{\"trustedMetadata\":\"x\"}", "trustedMetadata", 0},
        {"{\"tokenLifetime\":59}", "tokenLifetime", 0},
        {"{\"tokenLifetime\":86401}", "tokenLifetime", 0},
        {"{\"tokenLifetime\":true}", "tokenLifetime", 0},
        {"{\"tokenLifetime\":60.0}", "tokenLifetime", 0},
        {"{\"expiresAt\":1769860800}", "expiresAt", 0},
        {"{\"expiresAt\":\"1970-01-01T00:00:00Z\"}", "expiresAt", 0},
        {"{\"secretExpiresAt\":1769860800}", "secretExpiresAt", 0},
        {"{\"secretExpiresAt\":\"soon\"}", "secretExpiresAt", 0},
        {"{\"status\":\"revoked\"}", "status", 0},
        {"{\"status\":null}", "status", 0},
        {"{\"workspaceId\":\"ws_01ARZ3NDEKTSV4RRFFQ69G5FAV\"}", "workspaceId",
         0},
    };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_field(spec_read(bad[i].json, bad[i].creating), err,
                        bad[i].field);
    }
    ck_assert_err(spec_read("{}", 0), err, RENSEI_E_INVALID_REQUEST);
}
END_TEST

START_TEST(spec_sizes)
{
    char *text = apr_palloc(test_pool, RENSEI_METADATA_MAX + 1);
    json_t *body = test_json("{\"trustedMetadata\":{}}");
    json_t *meta = json_object_get(body, "trustedMetadata");

    memset(text, 'x', RENSEI_METADATA_MAX);
    text[RENSEI_METADATA_MAX - 8] = '\0'; /* {"a":"…"} */
    json_object_set_new(meta, "a", json_string(text));
    ck_assert_ok(rensei_client_spec_read(&spec, body, 0, test_pool, &err), err);
    text[RENSEI_METADATA_MAX - 8] = 'x';
    text[RENSEI_METADATA_MAX - 7] = '\0';
    json_object_set_new(meta, "a", json_string(text));
    ck_assert_field(rensei_client_spec_read(&spec, body, 0, test_pool, &err),
                    err, "trustedMetadata");
}
END_TEST

/* --- creating --- */

START_TEST(created)
{
    rensei_org_t org = test_org("Acme");
    rensei_event_t ev;

    ck_assert_ok(
        create(&org,
               "{\"name\":\"CI\",\"scopes\":[\"workers:read\",\"*\"],"
               "\"owner\":\"Ada\",\"trustedMetadata\":{\"tier\":\"gold\"},"
               "\"tokenLifetime\":600}"),
        err);
    ck_assert(rensei_id_valid(RENSEI_ID_CLIENT, got.id, strlen(got.id)));
    ck_assert(
        rensei_secret_valid(RENSEI_SECRET_CLIENT, secret, strlen(secret)));
    ck_assert_ok(get(&org, got.id), err);
    ck_assert_str_eq(got.org, org.id);
    ck_assert_ptr_null(got.workspace);
    ck_assert_str_eq(got.name, "CI");
    ck_assert_ptr_null(got.description);
    ck_assert_str_eq(got.owner, "Ada");
    ck_assert_str_eq(rensei_scopes_text(&got.scopes, test_pool),
                     "workers:read *");
    ck_assert_str_eq(
        json_string_value(json_object_get(got.trusted_metadata, "tier")),
        "gold");
    ck_assert_str_eq(got.status, "active");
    ck_assert_int_eq(got.token_lifetime, 600);
    ck_assert_str_eq(got.secret_last4, secret + strlen(secret) - 4);
    ck_assert_int_eq(got.created_at, test_now_ms());
    ck_assert_str_eq(got.created_by, "root");
    ck_assert_int_eq(got.expires_at, 0);
    ck_assert_int_eq(got.revoked_at, 0);
    ck_assert_int_eq(got.last_used_at, 0);
    ck_assert_int_eq(got.org_active, 1);
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "m2m.client_created");
    ck_assert_str_eq(ev.target, got.id);
    ck_assert_ptr_nonnull(strstr(ev.details, "\"name\":\"CI\""));
}
END_TEST

/* The secret is shown once and stored nowhere: only its digest is. */
START_TEST(secret_is_nowhere_in_the_store)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = test_client(&org, "CI", "workers:read", &secret);
    const char *hex = secret + 5;
    char digest[RENSEI_DIGEST_LEN + 1];

    rensei_digest(digest, secret, strlen(secret));
    ck_assert_str_eq(test_sql_value("SELECT secret_digest FROM rensei_clients"),
                     digest);
    ck_assert_int_eq(
        test_sql_count(apr_psprintf(
            test_pool,
            "rensei_audit WHERE details LIKE '%%%s%%' OR details LIKE "
            "'%%%s%%'",
            hex, digest + 7)),
        0);
    ck_assert_ptr_null(strstr(
        rensei_json_dump(
            rensei_json_own(rensei_client_json(&c, NULL, test_pool), test_pool),
            test_pool),
        digest + 7));
}
END_TEST

START_TEST(creating_needs_what_one_has)
{
    rensei_org_t org = test_org("Acme");
    rensei_grantor_t narrow =
        test_grantor(RENSEI_CLASS_ORG, "org:write workers:read");
    rensei_grantor_t all = test_grantor(RENSEI_CLASS_ORG, "*");

    ck_assert_ok(create_by(&org,
                           "{\"name\":\"a\",\"scopes\":[\"workers:read\"]}",
                           &narrow),
                 err);
    ck_assert_err(create_by(&org,
                            "{\"name\":\"a\",\"scopes\":[\"workers:write\"]}",
                            &narrow),
                  err, RENSEI_E_FORBIDDEN);
    ck_assert_err(
        create_by(&org, "{\"name\":\"a\",\"scopes\":[\"*\"]}", &narrow), err,
        RENSEI_E_FORBIDDEN);
    ck_assert_ok(create_by(&org, "{\"name\":\"a\",\"scopes\":[\"*\"]}", &all),
                 err);
    /* No client ever has a key's scopes. */
    ck_assert_field(
        create_by(&org, "{\"name\":\"a\",\"scopes\":[\"org:read\"]}", &all),
        err, "scopes");
    ck_assert_field(create(&org, "{\"name\":\"a\",\"scopes\":[\"nonsense\"]}"),
                    err, "scopes");
    ck_assert_int_eq(test_sql_count("rensei_clients"), 2);
    ck_assert_int_eq(
        test_sql_count("rensei_audit WHERE event = 'm2m.client_created'"), 2);
}
END_TEST

START_TEST(no_scopes_no_power)
{
    rensei_org_t org = test_org("Acme");

    ck_assert_ok(create(&org, "{\"name\":\"a\",\"scopes\":[]}"), err);
    ck_assert_int_eq(got.scopes.count, 0);
}
END_TEST

START_TEST(workspace_of_ones_own)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Other");
    rensei_workspace_t own = test_workspace(&org, "w");
    rensei_workspace_t foreign = test_workspace(&other, "w");
    const char body[] = "{\"name\":\"a\",\"scopes\":[],\"workspaceId\":\"%s\"}";

    ck_assert_ok(create(&org, apr_psprintf(test_pool, body, own.id)), err);
    ck_assert_str_eq(got.workspace, own.id);
    ck_assert_err(create(&org, apr_psprintf(test_pool, body, foreign.id)), err,
                  RENSEI_E_NOT_FOUND);
    ck_assert_str_eq(err.field, "workspaceId");
    ck_assert_err(create(&org, apr_psprintf(test_pool, body,
                                            "ws_01ARZ3NDEKTSV4RRFFQ69G5FAV")),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_field(create(&org, apr_psprintf(test_pool, body, "w")), err,
                    "workspaceId");
    ck_assert_int_eq(test_sql_count("rensei_clients"), 1);
    test_client(&org, "and the store goes on", "", NULL);
}
END_TEST

START_TEST(organisation_must_be_there)
{
    rensei_org_t nobody = {.id = "org_01ARZ3NDEKTSV4RRFFQ69G5FAV"};

    ck_assert_err(create(&nobody, "{\"name\":\"a\",\"scopes\":[]}"), err,
                  RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(test_sql_count("rensei_audit"), 0);
}
END_TEST

START_TEST(expiry_is_to_come)
{
    rensei_org_t org = test_org("Acme");
    const char body[] =
        "{\"name\":\"a\",\"scopes\":[],\"expiresAt\":%" APR_INT64_T_FMT "}";
    apr_int64_t now = test_now_ms();

    ck_assert_field(create(&org, apr_psprintf(test_pool, body, now)), err,
                    "expiresAt");
    ck_assert_ok(create(&org, apr_psprintf(test_pool, body, now + 1000)), err);
    ck_assert_str_eq(got.status, "active");
    test_later(1);
    ck_assert_ok(get(&org, got.id), err);
    ck_assert_str_eq(got.status, "expired");
    ck_assert_int_eq(rensei_client_usable(&got, test_now_ms()), 0);
    ck_assert_int_eq(rensei_client_usable(&got, test_now_ms() - 1), 1);
}
END_TEST

START_TEST(the_secrets_expiry_is_to_come)
{
    rensei_org_t org = test_org("Acme");
    const char body[] = "{\"name\":\"a\",\"scopes\":[],\"secretExpiresAt\":"
                        "%" APR_INT64_T_FMT "}";
    apr_int64_t now = test_now_ms();

    ck_assert_field(create(&org, apr_psprintf(test_pool, body, now)), err,
                    "secretExpiresAt");
    ck_assert_ok(create(&org, apr_psprintf(test_pool, body, now + 1000)), err);
    ck_assert_int_eq(got.secret_expires_at, now + 1000);
    ck_assert_int_eq(got.expires_at, 0);
    ck_assert_ok(authenticate(got.id, secret), err);
    test_later(1);
    ck_assert_err(authenticate(got.id, secret), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_ok(get(&org, got.id), err);
    ck_assert_str_eq(got.status, "active");
}
END_TEST

START_TEST(hostile_fields)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_filter_t filter = {0};
    json_t *body;
    int i;

    for (i = 0; test_sql_attacks[i]; i++) {
        const char *text = test_sql_attacks[i];

        body =
            rensei_json_own(json_pack("{s:s, s:s, s:s, s:[], s:{s:s}}", "name",
                                      text, "description", text, "owner", text,
                                      "scopes", "trustedMetadata", text, text),
                            test_pool);
        ck_assert_ok(create(&org, rensei_json_dump(body, test_pool)), err);
        ck_assert_str_eq(got.name, text);
        ck_assert_str_eq(got.description, text);
        ck_assert_str_eq(got.owner, text);
        ck_assert_str_eq(
            json_string_value(json_object_get(got.trusted_metadata, text)),
            text);
        filter.name = filter.owner = text;
        ck_assert_int_eq(listed(&org, filter), 1);
        ck_assert_ok(end(&org, got.id, text), err);
        ck_assert_str_eq(got.revoke_reason, text);
        ck_assert_err(get(&org, text), err, RENSEI_E_NOT_FOUND);
        ck_assert_err(authenticate(text, text), err, RENSEI_E_INVALID_CLIENT);
    }
    ck_assert_int_eq(test_sql_count("rensei_clients"), i);
}
END_TEST

/* --- listing --- */

START_TEST(listed_newest_first_and_stable)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_filter_t filter = {.limit = 2};
    const char *order = "";
    int i;

    for (i = 0; i < 7; i++) {
        test_client(&org, apr_itoa(test_pool, i), "", NULL);
        test_later(i == 3); /* some in the same millisecond */
    }
    do {
        ck_assert_ok(list(&org, &filter), err);
        for (i = 0; i < page.count; i++) {
            order = apr_pstrcat(test_pool, order, page.client[i].name, NULL);
        }
        filter.cursor = page.next_cursor;
        test_later(1);
        test_client(&org, "new", "", NULL);
    } while (page.next_cursor);
    ck_assert_int_eq(strlen(order), 7); /* each once, no new one */
    ck_assert_int_eq(strspn(order, "654"), 3);
    ck_assert_int_eq(strspn(order + 3, "3210"), 4);
}
END_TEST

START_TEST(filters)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t a, b, c, d;

    a = test_client(&org, "a", "workers:read sessions:read", NULL);
    b = test_client(&org, "b", "workers:read", NULL);
    c = test_client(&org, "b", "*", NULL);
    ck_assert_ok(
        create(&org, apr_psprintf(test_pool,
                                  "{\"name\":\"d\",\"scopes\":[],\"owner\":"
                                  "\"Ada\",\"expiresAt\":%" APR_INT64_T_FMT "}",
                                  test_now_ms() + 5000)),
        err);
    d = got;
    ck_assert_int_eq(listed(&org, (rensei_client_filter_t){0}), 4);
    ck_assert_int_eq(listed(&org, (rensei_client_filter_t){.name = "b"}), 2);
    ck_assert_int_eq(listed(&org, (rensei_client_filter_t){.name = "B"}), 0);
    ck_assert_int_eq(listed(&org, (rensei_client_filter_t){.owner = "Ada"}), 1);
    ck_assert_str_eq(page.client[0].id, d.id);
    ck_assert_int_eq(
        listed(&org, (rensei_client_filter_t){.name = "a", .owner = "Ada"}), 0);
    ck_assert_int_eq(
        listed(&org, (rensei_client_filter_t){.scope = "workers:read"}), 2);
    ck_assert_int_eq(
        listed(&org, (rensei_client_filter_t){.scope = "sessions:read"}), 1);
    ck_assert_str_eq(page.client[0].id, a.id);
    /* Exact: not a part of one, nor in other letters, nor a pattern. */
    ck_assert_int_eq(listed(&org, (rensei_client_filter_t){.scope = "workers"}),
                     0);
    ck_assert_int_eq(
        listed(&org, (rensei_client_filter_t){.scope = "WORKERS:READ"}), 0);
    ck_assert_int_eq(
        listed(&org, (rensei_client_filter_t){.scope = "workers_read"}), 0);
    ck_assert_int_eq(
        listed(&org, (rensei_client_filter_t){.scope = "workers%"}), 0);
    ck_assert_int_eq(listed(&org, (rensei_client_filter_t){.scope = "*"}), 1);
    ck_assert_str_eq(page.client[0].id, c.id);

    ck_assert_ok(update(&org, b.id, "{\"status\":\"inactive\"}"), err);
    ck_assert_ok(end(&org, c.id, NULL), err);
    test_later(5);
    ck_assert_int_eq(listed(&org, (rensei_client_filter_t){.status = "active"}),
                     1);
    ck_assert_str_eq(page.client[0].id, a.id);
    ck_assert_int_eq(
        listed(&org, (rensei_client_filter_t){.status = "inactive"}), 1);
    ck_assert_str_eq(page.client[0].status, "inactive");
    ck_assert_int_eq(
        listed(&org, (rensei_client_filter_t){.status = "expired"}), 1);
    ck_assert_str_eq(page.client[0].id, d.id);
    ck_assert_int_eq(
        listed(&org, (rensei_client_filter_t){.status = "revoked"}), 1);
    ck_assert_str_eq(page.client[0].id, c.id);
    ck_assert_int_eq(
        listed(&org,
               (rensei_client_filter_t){.name = "b", .status = "revoked"}),
        1);
}
END_TEST

START_TEST(bad_filters)
{
    rensei_org_t org = test_org("Acme");

    ck_assert_field(list(&org, &(rensei_client_filter_t){.status = "gone"}),
                    err, "status");
    ck_assert_field(list(&org, &(rensei_client_filter_t){.scope = "a b"}), err,
                    "scope");
    ck_assert_field(list(&org, &(rensei_client_filter_t){.name = "\xff"}), err,
                    "name");
    ck_assert_field(list(&org, &(rensei_client_filter_t){.owner = "\xff"}), err,
                    "owner");
    ck_assert_field(list(&org, &(rensei_client_filter_t){.cursor = "x"}), err,
                    "cursor");
    ck_assert_field(list(&org, &(rensei_client_filter_t){.limit = 501}), err,
                    "limit");
}
END_TEST

/* Among many that do not match, one that does is found by following the
 * cursor, and no page looks at more than RENSEI_SCAN_MAX. */
START_TEST(rare_clients_are_found_page_by_page)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t rare = test_client(&org, "rare", "agents:write", NULL);
    rensei_client_filter_t filter = {.scope = "agents:write"};
    int pages = 0, found = 0;

    test_sql(apr_psprintf(
        test_pool,
        "INSERT INTO rensei_clients (id, org_id, name, scopes, status, "
        "secret_digest, secret_last4, created_at, updated_at, created_by) "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < 25000) SELECT 'm2m_' || SUBSTR('0000000000000000000000000"
        "00000000' || i, LENGTH('' || i) + 2), '%s', 'x', 'workers:read', "
        "'active', 'd', '0000', %" APR_INT64_T_FMT " + i / 2, 1, 'x' FROM n",
        org.id, rare.created_at + 1));
    do {
        ck_assert_ok(list(&org, &filter), err);
        found += page.count;
        filter.cursor = page.next_cursor;
        pages++;
    } while (page.next_cursor);
    ck_assert_int_eq(found, 1);
    ck_assert_int_eq(pages, 25000 / RENSEI_SCAN_MAX + 1);
}
END_TEST

/* --- changing --- */

/* Whether a token is stale is told by updated_at alone, also where two gateways
 * change a client in one millisecond, or the second one's clock is behind. */
START_TEST(each_change_is_a_later_version)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = test_client(&org, "c", "workers:read", NULL);
    apr_int64_t before = c.updated_at;
    int i;

    for (i = 0; i < 4; i++) {
        test_later(i == 2 ? -3600 : 0);
        ck_assert_ok(update(&org, c.id, "{\"name\":\"new\"}"), err);
        ck_assert_int_eq(got.updated_at, before + 1);
        before = got.updated_at;
    }
    ck_assert_ok(rensei_client_revoke(&got, test_store(), org.id, c.id, NULL,
                                      &test_actor, test_pool, &err),
                 err);
    ck_assert_int_eq(got.updated_at, before + 1);
}
END_TEST

START_TEST(updated)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = test_client(&org, "old", "workers:read", NULL);
    rensei_event_t ev;

    test_later(60);
    ck_assert_ok(
        update(&org, c.id,
               "{\"name\":\"new\",\"description\":\"d\",\"owner\":\"o\","
               "\"scopes\":[\"agents:read\"],\"trustedMetadata\":{\"a\":1},"
               "\"tokenLifetime\":60,\"expiresAt\":\"2027-01-01T00:00:00Z\"}"),
        err);
    ck_assert_ok(get(&org, c.id), err);
    ck_assert_str_eq(got.name, "new");
    ck_assert_str_eq(got.description, "d");
    ck_assert_str_eq(got.owner, "o");
    ck_assert_str_eq(rensei_scopes_text(&got.scopes, test_pool), "agents:read");
    ck_assert_int_eq(got.token_lifetime, 60);
    ck_assert_int_eq(got.expires_at, APR_INT64_C(1798761600000));
    ck_assert_int_eq(got.updated_at, test_now_ms());
    ck_assert_int_eq(got.created_at, c.created_at);
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "m2m.client_updated");
    ck_assert_ptr_nonnull(strstr(ev.details, "\"fields\":[\"name\","));
    ck_assert_ptr_nonnull(strstr(ev.details, "\"scopes\":[\"agents:read\"]"));
    ck_assert_str_eq(test_sql_value("SELECT subject FROM rensei_changes"),
                     c.id);

    ck_assert_ok(update(&org, c.id,
                        "{\"description\":null,\"owner\":null,"
                        "\"trustedMetadata\":null,\"tokenLifetime\":null,"
                        "\"expiresAt\":null}"),
                 err);
    ck_assert_str_eq(got.name, "new"); /* what is not set stays */
    ck_assert_ptr_null(got.description);
    ck_assert_ptr_null(got.owner);
    ck_assert_ptr_null(got.trusted_metadata);
    ck_assert_int_eq(got.token_lifetime, 0);
    ck_assert_int_eq(got.expires_at, 0);
}
END_TEST

/* A change of something else must not bring an inactive client back, nor
 * store the "expired" that it only seems to be. */
START_TEST(update_keeps_the_status)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = test_client(&org, "c", "", NULL);

    ck_assert_ok(update(&org, c.id, "{\"status\":\"inactive\"}"), err);
    ck_assert_ok(update(&org, c.id, "{\"name\":\"d\"}"), err);
    ck_assert_str_eq(got.status, "inactive");
    ck_assert_int_eq(rensei_client_usable(&got, test_now_ms()), 0);
    ck_assert_ok(update(&org, c.id, "{\"expiresAt\":\"2026-01-31T12:00:00Z\"}"),
                 err);
    ck_assert_str_eq(got.status, "expired");
    ck_assert_ok(update(&org, c.id, "{\"expiresAt\":null}"), err);
    ck_assert_str_eq(got.status, "inactive");
    ck_assert_ok(update(&org, c.id, "{\"status\":\"active\"}"), err);
    ck_assert_str_eq(got.status, "active");
    ck_assert_int_eq(rensei_client_usable(&got, test_now_ms()), 1);
}
END_TEST

START_TEST(scopes_that_stay_need_no_grantor)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c =
        test_client(&org, "c", "workers:read sessions:write", NULL);
    rensei_grantor_t by = test_grantor(RENSEI_CLASS_ORG, "agents:read");

    ck_assert_ok(update_by(&org, c.id,
                           "{\"scopes\":[\"sessions:write\",\"agents:read\"]}",
                           &by),
                 err);
    ck_assert_str_eq(rensei_scopes_text(&got.scopes, test_pool),
                     "sessions:write agents:read");
    /* Once gone, it is the grantor's to give back, and he lacks it. */
    ck_assert_err(update_by(&org, c.id, "{\"scopes\":[\"workers:read\"]}", &by),
                  err, RENSEI_E_FORBIDDEN);
    ck_assert_err(update_by(&org, c.id, "{\"scopes\":[\"*\"]}", &by), err,
                  RENSEI_E_FORBIDDEN);
    ck_assert_field(update(&org, c.id, "{\"scopes\":[\"org:write\"]}"), err,
                    "scopes");
    ck_assert_ok(get(&org, c.id), err);
    ck_assert_str_eq(rensei_scopes_text(&got.scopes, test_pool),
                     "sessions:write agents:read");
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
}
END_TEST

START_TEST(revoked_once)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = test_client(&org, "c", "", NULL);
    rensei_event_t ev;
    apr_int64_t when = test_now_ms();

    ck_assert_ok(end(&org, c.id, "left"), err);
    ck_assert_str_eq(got.status, "revoked");
    ck_assert_int_eq(got.revoked_at, when);
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "m2m.client_revoked");
    ck_assert_str_eq(ev.details, "{\"reason\":\"left\"}");
    ck_assert_str_eq(test_sql_value("SELECT subject FROM rensei_changes"),
                     c.id);
    test_later(10);
    ck_assert_ok(end(&org, c.id, "again"), err);
    ck_assert_int_eq(got.revoked_at, when);
    ck_assert_str_eq(got.revoke_reason, "left");
    ck_assert_int_eq(test_last_event(org.id).seq, ev.seq);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
    ck_assert_err(update(&org, c.id, "{\"name\":\"x\"}"), err,
                  RENSEI_E_CONFLICT);
    ck_assert_field(end(&org, c.id, "a\nb"), err, "reason");
}
END_TEST

START_TEST(one_organisation_never_reaches_another)
{
    rensei_org_t org = test_org("Acme"), other = test_org("Other");
    rensei_client_t c = test_client(&org, "c", "workers:read", NULL);

    ck_assert_err(get(&other, c.id), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(update(&other, c.id, "{\"name\":\"x\"}"), err,
                  RENSEI_E_NOT_FOUND);
    ck_assert_err(end(&other, c.id, NULL), err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(listed(&other, (rensei_client_filter_t){0}), 0);
    ck_assert_int_eq(
        listed(&other, (rensei_client_filter_t){.scope = "workers:read"}), 0);
    ck_assert_int_eq(listed(&other, (rensei_client_filter_t){.name = "c"}), 0);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
    ck_assert_ok(get(&org, c.id), err);
    ck_assert_str_eq(got.name, "c");
    ck_assert_str_eq(got.status, "active");
    /* As an absent one, to the letter. */
    ck_assert_err(get(&other, ABSENT), err, RENSEI_E_NOT_FOUND);
    ck_assert_str_eq(err.text, "There is no such client.");
    ck_assert_err(get(&other, c.id), err, RENSEI_E_NOT_FOUND);
    ck_assert_str_eq(err.text, "There is no such client.");
}
END_TEST

START_TEST(found_in_any_organisation)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = test_client(&org, "c", "", NULL);

    ck_assert_ok(rensei_client_find(&got, test_store(), c.id, test_pool, &err),
                 err);
    ck_assert_str_eq(got.org, org.id);
    ck_assert_int_eq(got.org_active, 1);
    ck_assert_ok(rensei_org_set_status(&org, test_store(), org.id, "suspended",
                                       &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(rensei_client_find(&got, test_store(), c.id, test_pool, &err),
                 err);
    ck_assert_int_eq(got.org_active, 0);
    ck_assert_int_eq(rensei_client_usable(&got, test_now_ms()), 0);
    ck_assert_err(
        rensei_client_find(&got, test_store(), ABSENT, test_pool, &err), err,
        RENSEI_E_NOT_FOUND);
    ck_assert_err(rensei_client_find(&got, test_store(), "x", test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
}
END_TEST

/* --- authenticating --- */

/* Asserts a failure that tells nothing, and an event that tells why. */
static void refused(const char *id, const char *presented, const char *org,
                    const char *target, const char *reason)
{
    rensei_event_t ev;
    int events = test_sql_count("rensei_audit");

    ck_assert_err(authenticate(id, presented), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_str_eq(err.text, "The client id or secret is not valid.");
    ck_assert_ptr_null(err.field);
    ck_assert_ptr_null(err.cause);
    ck_assert_int_eq(test_sql_count("rensei_audit"), events + 1);
    ev = test_last_event(org);
    ck_assert_str_eq(ev.event, "m2m.auth_failed");
    ck_assert_str_eq(ev.target, target);
    ck_assert_str_eq(ev.details, apr_pstrcat(test_pool, "{\"reason\":\"",
                                             reason, "\"}", NULL));
    ck_assert_str_eq(ev.actor.ip, "192.0.2.1");
}

START_TEST(authenticated)
{
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = test_client(&org, "c", "workers:read", &secret);
    int events = test_sql_count("rensei_audit");

    ck_assert_ok(authenticate(c.id, secret), err);
    ck_assert_str_eq(got.id, c.id);
    ck_assert_str_eq(got.org, org.id);
    ck_assert_int_eq(test_sql_count("rensei_audit"), events);
}
END_TEST

/* Of this thread, in us, whatever else the machine does. */
static apr_time_t processor_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return apr_time_from_sec(t.tv_sec) + t.tv_nsec / 1000;
}

/* The least of several. */
static apr_time_t refusal_time(const char *id, const char *presented)
{
    apr_time_t least = apr_time_from_sec(60);
    int i;

    for (i = 0; i < 5; i++) {
        apr_time_t since = processor_time();

        ck_assert_err(authenticate(id, presented), err,
                      RENSEI_E_INVALID_CLIENT);
        since = processor_time() - since;
        least = since < least ? since : least;
    }
    return least;
}

/* The time of a refusal must not tell who is unknown: a digest is computed for
 * nobody, too. Of a secret so long that its digest is nearly all of the time;
 * without one a refusal would take a hundredth. */
START_TEST(a_digest_for_nobody)
{
    const apr_size_t n = 4000000;
    char *presented = memset(apr_palloc(test_pool, n + 1), 'x', n);
    rensei_org_t org = test_org("Acme");
    rensei_client_t c = test_client(&org, "c", "", &secret);
    apr_time_t known;

    presented[n] = '\0';
    known = refusal_time(c.id, presented);
    ck_assert_int_gt(refusal_time(ABSENT, presented) * 2, known);
    ck_assert_int_gt(refusal_time("nobody", presented) * 2, known);
}
END_TEST

START_TEST(all_failures_look_alike)
{
    rensei_org_t org = test_org("Acme");
    const char *other_secret;
    rensei_client_t c = test_client(&org, "c", "", &secret);

    test_client(&org, "d", "", &other_secret);
    refused(c.id, other_secret, org.id, c.id, "wrong_secret");
    refused(c.id, "", org.id, c.id, "wrong_secret");
    refused(ABSENT, secret, "", ABSENT, "unknown_client");
    refused("nobody", secret, "", "malformed", "unknown_client");
    refused("", "", "", "malformed", "unknown_client");
    refused("\xff\xfe", "\xff", "", "malformed", "unknown_client");

    ck_assert_ok(update(&org, c.id, "{\"status\":\"inactive\"}"), err);
    refused(c.id, secret, org.id, c.id, "inactive");
    ck_assert_ok(update(&org, c.id, "{\"status\":\"active\"}"), err);
    ck_assert_ok(authenticate(c.id, secret), err);

    ck_assert_ok(update(&org, c.id, "{\"expiresAt\":\"2026-01-31T12:00:00Z\"}"),
                 err);
    refused(c.id, secret, org.id, c.id, "expired");
    ck_assert_ok(update(&org, c.id, "{\"expiresAt\":null}"), err);

    ck_assert_ok(rensei_org_set_status(&org, test_store(), org.id, "suspended",
                                       &test_actor, test_pool, &err),
                 err);
    refused(c.id, secret, org.id, c.id, "organisation_suspended");
    ck_assert_ok(rensei_org_set_status(&org, test_store(), org.id, "active",
                                       &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(authenticate(c.id, secret), err);

    ck_assert_ok(end(&org, c.id, NULL), err);
    refused(c.id, secret, org.id, c.id, "revoked");
    refused(c.id, other_secret, org.id, c.id, "wrong_secret");
}
END_TEST

START_TEST(json_of_a_client)
{
    rensei_org_t org = test_org("Acme");
    json_t *json;

    ck_assert_ok(create(&org, "{\"name\":\"c\",\"scopes\":[\"*\"],"
                              "\"trustedMetadata\":{\"a\":1}}"),
                 err);
    json =
        rensei_json_own(rensei_client_json(&got, secret, test_pool), test_pool);
    ck_assert_str_eq(json_string_value(json_object_get(json, "clientId")),
                     got.id);
    ck_assert_str_eq(json_string_value(json_object_get(json, "clientSecret")),
                     secret);
    ck_assert_str_eq(json_string_value(json_object_get(json, "orgId")), org.id);
    ck_assert(json_is_null(json_object_get(json, "workspaceId")));
    ck_assert(json_is_null(json_object_get(json, "lastUsedAt")));
    ck_assert_int_eq(json_integer_value(json_object_get(json, "createdAt")),
                     test_now_ms());
    ck_assert_str_eq(
        rensei_json_dump(json_object_get(json, "scopes"), test_pool),
        "[\"*\"]");
    ck_assert_str_eq(
        rensei_json_dump(json_object_get(json, "trustedMetadata"), test_pool),
        "{\"a\":1}");
    json =
        rensei_json_own(rensei_client_json(&got, NULL, test_pool), test_pool);
    ck_assert_ptr_null(json_object_get(json, "clientSecret"));
    ck_assert_int_eq(json_object_size(json), 24);
}
END_TEST

Suite *suite_client(void)
{
    TCase *tc;
    Suite *s = test_suite("client", &tc);

    tcase_add_test(tc, spec_whole);
    tcase_add_test(tc, spec_null_clears);
    tcase_add_test(tc, spec_errors_name_the_field);
    tcase_add_test(tc, spec_sizes);
    tcase_add_test(tc, created);
    tcase_add_test(tc, secret_is_nowhere_in_the_store);
    tcase_add_test(tc, creating_needs_what_one_has);
    tcase_add_test(tc, no_scopes_no_power);
    tcase_add_test(tc, workspace_of_ones_own);
    tcase_add_test(tc, organisation_must_be_there);
    tcase_add_test(tc, expiry_is_to_come);
    tcase_add_test(tc, the_secrets_expiry_is_to_come);
    tcase_add_test(tc, hostile_fields);
    tcase_add_test(tc, listed_newest_first_and_stable);
    tcase_add_test(tc, filters);
    tcase_add_test(tc, bad_filters);
    tcase_add_test(tc, rare_clients_are_found_page_by_page);
    tcase_add_test(tc, each_change_is_a_later_version);
    tcase_add_test(tc, updated);
    tcase_add_test(tc, update_keeps_the_status);
    tcase_add_test(tc, scopes_that_stay_need_no_grantor);
    tcase_add_test(tc, revoked_once);
    tcase_add_test(tc, one_organisation_never_reaches_another);
    tcase_add_test(tc, found_in_any_organisation);
    tcase_add_test(tc, authenticated);
    tcase_add_test(tc, all_failures_look_alike);
    tcase_add_test(tc, a_digest_for_nobody);
    tcase_add_test(tc, json_of_a_client);
    return s;
}
