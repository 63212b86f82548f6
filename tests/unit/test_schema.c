/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/* Stores of earlier versions, with what was in them. */
#include "unit_store.h"
#include "rensei_client_auth.h"
#include "rensei_grant.h"
#include "rensei_id.h"
#include "rensei_revocation.h"
#include "rensei_schema.h"
#include "rensei_worker.h"

#include <apr_strings.h>

static rensei_err_t err;

#define ORG "org_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define WS "ws_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define CLIENT "m2m_0123456789abcdef0123456789abcdef"
#define REVOKED "m2m_00000000000000000000000000000001"
#define KEY "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define WORKER "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define SECRET \
    "m2ms_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define TOKEN                                                             \
    "rsk_live_00112233445566778899aabbccddeeff00112233445566778899aabbcc" \
    "ddeeff"

static const char *digest_of(const char *secret)
{
    char *out = apr_palloc(test_pool, RENSEI_DIGEST_LEN + 1);

    rensei_digest(out, secret, strlen(secret));
    return out;
}

/* As the build of version 1 left it. */
static void version_1_make(void)
{
    const char *const *ddl;

    for (ddl = rensei_schema_step(1); *ddl; ddl++) {
        test_sql(*ddl);
    }
    test_sql("INSERT INTO rensei_schema (version, applied_at) VALUES (1, 1)");
    test_sql("INSERT INTO rensei_orgs (id, name, status, created_at, "
             "updated_at) VALUES ('" ORG "', 'Acme', 'active', 1, 1)");
    test_sql("INSERT INTO rensei_workspaces (id, org_id, name, created_at) "
             "VALUES ('" WS "', '" ORG "', 'w', 2)");
    test_sql(apr_psprintf(
        test_pool,
        "INSERT INTO rensei_clients (id, org_id, workspace_id, name, "
        "description, owner, scopes, trusted_metadata, status, "
        "token_lifetime, secret_digest, secret_last4, created_at, "
        "updated_at, created_by, expires_at, last_used_at) VALUES ('" CLIENT
        "', '" ORG "', '" WS "', 'CI', 'd', 'Ada', 'workers:read *', "
        "'{\"tier\":\"gold\"}', 'active', 600, '%s', 'eeff', 3, 4, 'root', "
        "1798761600000, 5)",
        digest_of(SECRET)));
    test_sql("INSERT INTO rensei_clients (id, org_id, name, scopes, status, "
             "secret_digest, secret_last4, created_at, updated_at, "
             "created_by, revoked_at, revoke_reason) VALUES ('" REVOKED
             "', '" ORG "', 'gone', '', 'inactive', 'd', '0000', 6, 7, 'x', "
             "8, 'left')");
    test_sql(apr_psprintf(
        test_pool,
        "INSERT INTO rensei_keys (id, org_id, name, type, owner, scopes, "
        "digest, prefix, created_at, created_by, uses) VALUES ('" KEY "', '" ORG
        "', 'k', 'worker_registration', 'Ops', "
        "'workers:register', '%s', 'rsk_live_0011', 9, 'root', 0)",
        digest_of(TOKEN)));
    test_sql("INSERT INTO rensei_workers (id, org_id, key_id, hostname, "
             "max_agents, created_at) VALUES ('" WORKER "', '" ORG "', '" KEY
             "', 'h', 1, 10)");
    test_sql("INSERT INTO rensei_audit_heads (org_id, seq) VALUES ('" ORG
             "', 1)");
    test_sql("INSERT INTO rensei_audit (org_id, seq, id, event, at, actor, "
             "actor_type, target, details) VALUES ('" ORG
             "', 1, 'evt_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'm2m.client_created', "
             "3, 'root', 'operator', '" CLIENT "', '{\"a\":1}')");
    test_sql("UPDATE rensei_sequence SET value = 7");
    test_sql("INSERT INTO rensei_changes (seq, subject, at) VALUES (7, "
             "'" CLIENT "', 4)");
}

static rensei_store_t *migrated(void)
{
    rensei_store_t *st = test_store();
    int version;

    ck_assert_ok(rensei_store_version(&version, st, test_pool, &err), err);
    ck_assert_int_eq(version, RENSEI_SCHEMA_VERSION);
    return st;
}

START_TEST(a_client_of_version_1_is_as_it_was)
{
    rensei_client_t c;
    rensei_store_t *st;

    version_1_make();
    st = migrated();
    ck_assert_ok(rensei_client_get(&c, st, ORG, CLIENT, test_pool, &err), err);
    ck_assert_str_eq(c.workspace, WS);
    ck_assert_str_eq(c.name, "CI");
    ck_assert_str_eq(c.description, "d");
    ck_assert_str_eq(c.owner, "Ada");
    ck_assert_str_eq(rensei_scopes_text(&c.scopes, test_pool),
                     "workers:read *");
    ck_assert_str_eq(rensei_json_dump(c.trusted_metadata, test_pool),
                     "{\"tier\":\"gold\"}");
    ck_assert_str_eq(c.status, "active");
    ck_assert_int_eq(c.token_lifetime, 600);
    ck_assert_str_eq(c.secret_last4, "eeff");
    ck_assert_int_eq(c.created_at, 3);
    ck_assert_int_eq(c.updated_at, 4);
    ck_assert_str_eq(c.created_by, "root");
    ck_assert_int_eq(c.expires_at, APR_INT64_C(1798761600000));
    ck_assert_int_eq(c.last_used_at, 5);
    ck_assert_int_eq(c.org_active, 1);
    ck_assert_ok(rensei_client_auth_secret(&c, st, CLIENT, SECRET, NULL,
                                           &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(rensei_client_get(&c, st, ORG, REVOKED, test_pool, &err), err);
    ck_assert_str_eq(c.status, "revoked");
    ck_assert_str_eq(c.revoke_reason, "left");
}
END_TEST

START_TEST(what_version_2_adds_is_empty)
{
    rensei_client_t c;
    rensei_store_t *st;

    version_1_make();
    st = migrated();
    ck_assert_ok(rensei_client_find(&c, st, CLIENT, test_pool, &err), err);
    ck_assert_ptr_null(c.auth_method);
    ck_assert_ptr_null(c.jwks);
    ck_assert_int_eq(c.audiences.count, 0);
    ck_assert_ptr_null(c.next_secret_last4);
    ck_assert_int_eq(c.secret_expires_at, 0);
    ck_assert_int_eq(c.tokens_after, 0);
    ck_assert_ptr_null(c.revoked_jti[0]);
    ck_assert_int_eq(c.revoked_more, 0);
    ck_assert_int_eq(rensei_token_dead(&c, RENSEI_STR("x"), 0), 0);
}
END_TEST

START_TEST(all_else_is_as_it_was)
{
    rensei_store_t *st;
    rensei_apikey_t key;
    rensei_worker_t worker;
    rensei_event_t ev;
    rensei_rows_t rows;

    version_1_make();
    st = migrated();
    ck_assert_ok(
        rensei_apikey_find(&key, st, TOKEN, strlen(TOKEN), test_pool, &err),
        err);
    ck_assert_str_eq(key.id, KEY);
    ck_assert_str_eq(key.owner, "Ops");
    ck_assert_ok(rensei_worker_find(&worker, st, WORKER, test_pool, &err), err);
    ck_assert_str_eq(worker.key, KEY);
    ev = test_last_event(ORG);
    ck_assert_str_eq(ev.event, "m2m.client_created");
    ck_assert_str_eq(ev.details, "{\"a\":1}");
    ck_assert_ok(rensei_store_changes(&rows, st, 0, 10, test_pool, &err), err);
    ck_assert_int_eq(rows.count, 1);
    ck_assert_int_eq(rensei_rows_int(&rows, 0, 0), 7);
    ck_assert_str_eq(test_sql_lines("SELECT version FROM rensei_schema "
                                    "ORDER BY version",
                                    0),
                     "1\n2\n3");
}
END_TEST

START_TEST(a_client_of_version_1_takes_what_is_new)
{
    rensei_store_t *st;
    rensei_client_spec_t spec;
    rensei_client_t c;
    const char *secret;

    version_1_make();
    st = migrated();
    ck_assert_ok(
        rensei_client_spec_read(&spec, test_json("{\"audiences\":[\"urn:x\"]}"),
                                0, test_pool, &err),
        err);
    ck_assert_ok(rensei_client_update(&c, st, ORG, CLIENT, &spec,
                                      rensei_vocab_default(), NULL, &test_actor,
                                      test_pool, &err),
                 err);
    ck_assert_int_eq(c.audiences.count, 1);
    ck_assert_ok(rensei_client_rotate_start(&c, &secret, st, ORG, CLIENT, 0,
                                            &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(rensei_client_revoke_tokens(&c, st, ORG, CLIENT, &test_actor,
                                             test_pool, &err),
                 err);
    ck_assert_int_eq(c.tokens_after, test_now_ms());
    ck_assert_int_eq(test_last_event(ORG).seq, 4);
}
END_TEST

/* A step that fails leaves the store as it was, down to the last column: the
 * build of version 1 can go on with it, and the next attempt is the same. */
START_TEST(half_a_step_is_none)
{
    rensei_store_t *st;
    int version;

    version_1_make();
    test_sql("CREATE TABLE rensei_assertions (digest TEXT)");
    st = test_store_again(test_pool);
    ck_assert_err(rensei_store_migrate(st, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    ck_assert_ok(rensei_store_version(&version, st, test_pool, &err), err);
    ck_assert_int_eq(version, 1);
    test_sql("ALTER TABLE rensei_clients ADD COLUMN tokens_after BIGINT");
    test_sql("ALTER TABLE rensei_clients DROP COLUMN tokens_after");
    test_sql("DROP TABLE rensei_assertions");
    ck_assert_ok(rensei_store_migrate(st, test_pool, &err), err);
    migrated();
}
END_TEST

Suite *suite_schema(void)
{
    TCase *tc;
    Suite *s = test_suite("schema", &tc);

    tcase_add_test(tc, a_client_of_version_1_is_as_it_was);
    tcase_add_test(tc, what_version_2_adds_is_empty);
    tcase_add_test(tc, all_else_is_as_it_was);
    tcase_add_test(tc, a_client_of_version_1_takes_what_is_new);
    tcase_add_test(tc, half_a_step_is_none);
    return s;
}
