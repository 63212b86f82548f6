/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"

#include <apr_dbd.h>
#include <apr_file_io.h>
#include <apr_strings.h>
#include <unistd.h>

static rensei_store_t *store;
static const char *params;

const rensei_actor_t test_actor = {
    .id = "root", .type = "operator", .ip = "192.0.2.1", .request_id = "req-1"};

const char *const test_sql_attacks[] = {"'; DROP TABLE rensei_clients; --",
                                        "' OR '1'='1",
                                        "%",
                                        "_",
                                        "%s",
                                        "$1",
                                        "?1",
                                        "\\",
                                        "\\' OR 1=1 --",
                                        "\"",
                                        "Robert'); DELETE FROM rensei_orgs; --",
                                        "!%",
                                        "\xc3\xa9\xe2\x82\xac",
                                        NULL};

int test_pgsql(void)
{
    return getenv("RENSEI_TEST_PGSQL") != NULL;
}

const char *test_store_driver(void)
{
    return test_pgsql() ? "pgsql" : "sqlite3";
}

typedef struct raw_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_pool_t *pool;
} raw_t;

static raw_t raw_open(const char *where)
{
    raw_t raw;
    const char *error = "";

    ck_assert_int_eq(apr_pool_create(&raw.pool, NULL), APR_SUCCESS);
    apr_dbd_init(raw.pool);
    ck_assert_int_eq(
        apr_dbd_get_driver(raw.pool, test_store_driver(), &raw.driver),
        APR_SUCCESS);
    ck_assert_msg(apr_dbd_open_ex(raw.driver, raw.pool, where, &raw.handle,
                                  &error) == APR_SUCCESS,
                  "%s", error);
    return raw;
}

static void raw_close(raw_t *raw)
{
    apr_dbd_close(raw->driver, raw->handle);
    apr_pool_destroy(raw->pool);
}

static void raw_run(const char *where, const char *sql)
{
    raw_t raw = raw_open(where);
    int changed;

    ck_assert_msg(apr_dbd_query(raw.driver, raw.handle, &changed, sql) == 0,
                  "%s: %s", sql, apr_dbd_error(raw.driver, raw.handle, 0));
    raw_close(&raw);
}

static const char *schema_name(void)
{
    return apr_psprintf(test_pool, "rensei_unit_%d", (int)getpid());
}

static apr_status_t schema_drop(void *unused)
{
    raw_run(getenv("RENSEI_TEST_PGSQL"),
            apr_psprintf(test_pool, "DROP SCHEMA %s CASCADE", schema_name()));
    store = NULL;
    params = NULL;
    return APR_SUCCESS;
}

static apr_status_t files_remove(void *folder)
{
    static const char *const files[] = {"", "-wal", "-shm", NULL};
    int i;

    for (i = 0; files[i]; i++) {
        apr_file_remove(apr_pstrcat(test_pool, params, files[i], NULL),
                        test_pool);
    }
    apr_dir_remove(folder, test_pool);
    store = NULL;
    params = NULL;
    return APR_SUCCESS;
}

static void place_make(void)
{
    const char *base;
    char *folder;

    if (test_pgsql()) {
        raw_run(getenv("RENSEI_TEST_PGSQL"),
                apr_psprintf(test_pool, "CREATE SCHEMA %s", schema_name()));
        params = apr_psprintf(test_pool, "%s options='-c search_path=%s'",
                              getenv("RENSEI_TEST_PGSQL"), schema_name());
        apr_pool_cleanup_register(test_pool, NULL, schema_drop,
                                  apr_pool_cleanup_null);
        return;
    }
    ck_assert_int_eq(apr_temp_dir_get(&base, test_pool), APR_SUCCESS);
    folder = apr_pstrcat(test_pool, base, "/rensei-unit-XXXXXX", NULL);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    params = apr_pstrcat(test_pool, folder, "/store.db", NULL);
    apr_pool_cleanup_register(test_pool, folder, files_remove,
                              apr_pool_cleanup_null);
}

const char *test_store_params(void)
{
    if (params == NULL) {
        place_make();
    }
    return params;
}

rensei_store_t *test_store_again(apr_pool_t *p)
{
    rensei_store_t *st;
    rensei_err_t err;

    ck_assert_ok(rensei_store_open(&st, test_store_driver(),
                                   test_store_params(), test_sys, p, &err),
                 err);
    return st;
}

rensei_store_t *test_store(void)
{
    rensei_err_t err;

    if (store == NULL) {
        store = test_store_again(test_pool);
        ck_assert_ok(rensei_store_migrate(store, test_pool, &err), err);
    }
    return store;
}

void test_sql(const char *sql)
{
    raw_run(test_store_params(), sql);
}

const char *test_sql_lines(const char *query, int col)
{
    raw_t raw = raw_open(test_store_params());
    apr_dbd_results_t *res = NULL;
    apr_dbd_row_t *row = NULL;
    const char *cell, *out = NULL;

    ck_assert_msg(
        apr_dbd_select(raw.driver, raw.pool, raw.handle, &res, query, 1) == 0,
        "%s: %s", query, apr_dbd_error(raw.driver, raw.handle, 0));
    while (apr_dbd_get_row(raw.driver, raw.pool, res, &row, -1) == 0) {
        cell = apr_dbd_get_entry(raw.driver, row, col);
        out = apr_pstrcat(test_pool, out ? out : "", out ? "\n" : "",
                          cell ? cell : "", NULL);
    }
    raw_close(&raw);
    return out;
}

const char *test_sql_value(const char *query)
{
    return test_sql_lines(query, 0);
}

int test_sql_count(const char *table_and_where)
{
    return (int)strtol(
        test_sql_value(apr_pstrcat(test_pool, "SELECT COUNT(*) FROM ",
                                   table_and_where, NULL)),
        NULL, 10);
}

void test_later(apr_int64_t seconds)
{
    test_now += apr_time_from_sec(seconds);
}

apr_int64_t test_now_ms(void)
{
    return apr_time_as_msec(test_now);
}

rensei_scopes_t test_scopes(const char *text)
{
    rensei_scopes_t out;
    rensei_err_t err;

    ck_assert_ok(rensei_scopes_parse(&out, text, strlen(text), test_pool, &err),
                 err);
    return out;
}

rensei_grantor_t test_grantor(rensei_class_e cls, const char *scopes)
{
    return (rensei_grantor_t){.cls = cls, .held = test_scopes(scopes)};
}

json_t *test_json(const char *text)
{
    json_t *out;
    rensei_err_t err;

    ck_assert_ok(rensei_json_load(&out, text, strlen(text), test_pool, &err),
                 err);
    return out;
}

rensei_org_t test_org(const char *name)
{
    rensei_org_t out;
    rensei_err_t err;

    ck_assert_ok(rensei_org_create(&out, test_store(), name, &test_actor,
                                   test_pool, &err),
                 err);
    return out;
}

rensei_workspace_t test_workspace(const rensei_org_t *org, const char *name)
{
    rensei_workspace_t out;
    rensei_err_t err;

    ck_assert_ok(rensei_workspace_create(&out, test_store(), org->id, name,
                                         &test_actor, test_pool, &err),
                 err);
    return out;
}

rensei_client_t test_client(const rensei_org_t *org, const char *name,
                            const char *scopes, const char **secret)
{
    rensei_client_spec_t spec = {.set =
                                     RENSEI_CLIENT_NAME | RENSEI_CLIENT_SCOPES};
    rensei_client_t out;
    rensei_err_t err;
    const char *unused;

    spec.name = name;
    spec.scopes = test_scopes(scopes);
    ck_assert_ok(rensei_client_create(&out, secret ? secret : &unused,
                                      test_store(), org->id, &spec,
                                      rensei_vocab_default(), NULL, &test_actor,
                                      test_pool, &err),
                 err);
    return out;
}

rensei_apikey_t test_key(const rensei_org_t *org, const char *name,
                         const char *type, const char *scopes,
                         const char **token)
{
    rensei_apikey_spec_t spec = {
        .name = name, .type = type, .owner = "Ops", .user_id = "user-1"};
    rensei_apikey_t out;
    rensei_err_t err;
    const char *unused;

    spec.scopes = test_scopes(scopes);
    ck_assert_ok(rensei_apikey_create(&out, token ? token : &unused,
                                      test_store(), org->id, &spec,
                                      rensei_vocab_default(), NULL, &test_actor,
                                      test_pool, &err),
                 err);
    return out;
}

rensei_event_t test_last_event(const char *org)
{
    rensei_audit_filter_t filter = {NULL, NULL, NULL, 0, 0, 1, NULL};
    rensei_event_page_t page;
    rensei_err_t err;

    ck_assert_ok(
        rensei_audit_list(&page, test_store(), org, &filter, test_pool, &err),
        err);
    ck_assert_int_eq(page.count, 1);
    return page.event[0];
}

static apr_status_t record_alone(void *baton, rensei_issuance_t *made,
                                 rensei_err_t *err)
{
    rensei_store_t *st = baton;
    apr_status_t rv = rensei_store_begin(st, test_pool, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_issuance_record(st, &made, 1, test_pool, err);
        rv = rensei_store_end(st, rv, test_pool, err);
    }
    return rv;
}

apr_status_t test_grant_token(rensei_token_t *out, rensei_store_t *st,
                              const rensei_issuer_t *iss,
                              const rensei_token_request_t *req,
                              const rensei_actor_t *actor, apr_pool_t *p,
                              rensei_err_t *err)
{
    rensei_issuance_t made = {.stale = 1};
    apr_status_t rv = rensei_grant_token(&made, st, iss, req, actor,
                                         record_alone, st, p, err);

    out->credential_expires_at = made.token.credential_expires_at;
    if (rv == APR_SUCCESS) {
        *out = made.token;
    }
    return rv;
}
