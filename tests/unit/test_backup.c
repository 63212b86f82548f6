/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_backup.h"
#include "rensei_conn.h"
#include "rensei_schema.h"

#include <apr_file_io.h>
#include <apr_strings.h>

static rensei_err_t err;

static apr_status_t copy_remove(void *file)
{
    return apr_file_remove(file, test_pool);
}

/* Beside the store, with a name that is no good SQL as it is. */
static const char *copy_place(void)
{
    char *file =
        apr_pstrcat(test_pool, test_store_params(), "-o'clock.db", NULL);

    apr_pool_cleanup_register(test_pool, file, copy_remove,
                              apr_pool_cleanup_null);
    return file;
}

static const char *copy_made(void)
{
    const char *file = copy_place();

    ck_assert_ok(rensei_backup_write(test_store(), file, test_pool, &err), err);
    return file;
}

/* Runs SQL on a copy. */
static void copy_sql(const char *file, const char *sql)
{
    rensei_store_t *st;
    apr_pool_t *p;

    apr_pool_create(&p, test_pool);
    ck_assert_ok(rensei_store_connect(&st, "sqlite3", file, test_sys, p, &err),
                 err);
    ck_assert_ok(rensei_conn_text(NULL, rensei_store_conn(st), sql, p, &err),
                 err);
    apr_pool_destroy(p);
}

static rensei_backup_t looked_at(const char *file)
{
    rensei_backup_t out;

    ck_assert_ok(rensei_backup_check(&out, file, test_pool, &err), err);
    return out;
}

static void some_things(void)
{
    rensei_org_t org = test_org("Acme");

    test_workspace(&org, "w");
    test_client(&org, "a", "workers:read", NULL);
    test_client(&org, "b", "workers:read", NULL);
    test_key(&org, "k", "worker_registration", "workers:register", NULL);
}

START_TEST(a_copy_holds_what_the_store_does)
{
    rensei_backup_t held;

    some_things();
    held = looked_at(copy_made());
    ck_assert_int_eq(held.version, RENSEI_SCHEMA_VERSION);
    ck_assert_int_eq(held.orgs, test_sql_count("rensei_orgs"));
    ck_assert_int_eq(held.workspaces, 1);
    ck_assert_int_eq(held.clients, 2);
    ck_assert_int_eq(held.keys, 1);
    ck_assert_int_eq(held.workers, 0);
    ck_assert_int_eq(held.events, test_sql_count("rensei_audit"));
    ck_assert_int_eq(
        held.sequence,
        strtol(test_sql_value("SELECT value FROM rensei_sequence"), NULL, 10));
}
END_TEST

START_TEST(a_copy_is_not_written_over_a_file)
{
    rensei_backup_t held;
    const char *file = copy_made();

    some_things();
    ck_assert_err(rensei_backup_write(test_store(), file, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    ck_assert_str_eq(err.text, "The copy cannot be written.");
    held = looked_at(file);
    ck_assert_int_eq(held.clients, 0);
}
END_TEST

typedef struct spoiled_t {
    const char *sql;
    const char *text; /* of the error, its beginning */
} spoiled_t;

static const spoiled_t spoiled[] = {
    {"UPDATE rensei_workspaces SET org_id='org_of_nobody'",
     "It is damaged: a row belongs to one that is not there."},
    {"DROP TABLE rensei_schema",
     "It is a database, but no store of mod_rensei."},
    {"INSERT INTO rensei_schema (version, applied_at) VALUES (1000, 1)",
     "Its schema is version 1000, newer than this build knows "},
    {"DROP TABLE rensei_workers", "It lacks tables that a store has."},
    {"DELETE FROM rensei_sequence", "It has lost its change sequence."},
};

/* Taken on, each would be a gateway that refuses everybody, or worse: one that
 * does not follow its store. */
START_TEST(a_spoiled_copy_is_refused)
{
    const spoiled_t *s = &spoiled[_i];
    rensei_backup_t held;
    const char *file;

    some_things();
    file = copy_made();
    looked_at(file);
    copy_sql(file, s->sql);
    ck_assert_err(rensei_backup_check(&held, file, test_pool, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_msg(strncmp(err.text, s->text, strlen(s->text)) == 0, "%s: %s",
                  s->sql, err.text);
}
END_TEST

/* Writes bytes into a file. */
static void overwrite(const char *file, apr_off_t at, const char *bytes)
{
    apr_size_t n = strlen(bytes);
    apr_file_t *f;

    ck_assert_int_eq(apr_file_open(&f, file, APR_FOPEN_WRITE | APR_FOPEN_CREATE,
                                   APR_FPROT_UREAD | APR_FPROT_UWRITE,
                                   test_pool),
                     APR_SUCCESS);
    ck_assert_int_eq(apr_file_seek(f, APR_SET, &at), APR_SUCCESS);
    ck_assert_int_eq(apr_file_write_full(f, bytes, n, NULL), APR_SUCCESS);
    apr_file_close(f);
}

START_TEST(what_is_no_database_is_refused)
{
    const char *file = copy_place();
    rensei_backup_t held;

    overwrite(file, 0, "-- a dump of the store, and no database at all --");
    ck_assert_err(rensei_backup_check(&held, file, test_pool, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_err(rensei_backup_settle(file, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    ck_assert_err(
        rensei_backup_adopt(file, test_sys, &test_actor, NULL, test_pool, &err),
        err, RENSEI_E_UNAVAILABLE);
}
END_TEST

/* A page that a disk returned otherwise than it was written. */
START_TEST(a_damaged_page_is_found)
{
    const char *file;
    rensei_backup_t held;

    some_things();
    file = copy_made();
    overwrite(file, 4096, "\xff\xff\xff\xff\xff\xff\xff\xff");
    ck_assert_err(rensei_backup_check(&held, file, test_pool, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
}
END_TEST

/* A gateway that followed the store of before must not take the copy's next
 * change for one that it has seen. */
START_TEST(an_adopted_copy_is_past_what_was_followed)
{
    rensei_backup_t before, after;
    const char *file;

    some_things();
    file = copy_made();
    before = looked_at(file);
    ck_assert_ok(rensei_backup_adopt(file, test_sys, &test_actor,
                                     test_json("{\"from\":\"x\"}"), test_pool,
                                     &err),
                 err);
    after = looked_at(file);
    ck_assert_int_gt(after.sequence, before.sequence + 1000);
    ck_assert_int_eq(after.events, before.events + 1);
    ck_assert_int_eq(after.clients, before.clients);
}
END_TEST

/* What a reader holds open may be in the -wal file alone. */
START_TEST(a_store_in_use_does_not_settle)
{
    rensei_backup_t held;
    rensei_store_t *st;

    some_things();
    ck_assert_err(rensei_backup_settle(test_store_params(), test_pool, &err),
                  err, RENSEI_E_UNAVAILABLE);
    st = test_store();
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_store_end(st, APR_SUCCESS, test_pool, &err), err);
    held = looked_at(test_store_params());
    ck_assert_int_eq(held.clients, 2);
}
END_TEST

START_TEST(postgresql_has_tools_of_its_own)
{
    ck_assert_err(rensei_backup_write(test_store(), "x", test_pool, &err), err,
                  RENSEI_E_INVALID_REQUEST);
}
END_TEST

Suite *suite_backup(void)
{
    TCase *tc;
    Suite *s = test_suite("backup", &tc);

    if (test_pgsql()) {
        tcase_add_test(tc, postgresql_has_tools_of_its_own);
        return s;
    }
    tcase_add_test(tc, a_copy_holds_what_the_store_does);
    tcase_add_test(tc, a_copy_is_not_written_over_a_file);
    tcase_add_loop_test(tc, a_spoiled_copy_is_refused, 0,
                        sizeof(spoiled) / sizeof(spoiled[0]));
    tcase_add_test(tc, what_is_no_database_is_refused);
    tcase_add_test(tc, a_damaged_page_is_found);
    tcase_add_test(tc, an_adopted_copy_is_past_what_was_followed);
    tcase_add_test(tc, a_store_in_use_does_not_settle);
    return s;
}
