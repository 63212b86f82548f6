/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_conn.h"
#include "rensei_schema.h"
#include "rensei_turn.h"

#include <apr_dbd.h>
#include <apr_file_info.h>
#include <apr_strings.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static rensei_err_t err;

static apr_status_t change_note(rensei_store_t *st, const char *subject)
{
    return rensei_store_changed(st, subject, test_pool, &err);
}

static void changed_commit(rensei_store_t *st, const char *subject)
{
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(change_note(st, subject), err);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
}

START_TEST(every_statement_has_text_and_name)
{
    int i, sqlite;

    for (i = 0; i < RENSEI_SQL_COUNT; i++) {
        ck_assert_int_eq(strncmp(rensei_sql_name(i), "rensei:", 7), 0);
        for (sqlite = 0; sqlite < 2; sqlite++) {
            ck_assert_ptr_nonnull(rensei_sql_text(i, sqlite));
            /* White space after a `;` is an error of the sqlite3 driver. */
            ck_assert_ptr_null(strchr(rensei_sql_text(i, sqlite), ';'));
        }
    }
    /* each database has its own words for it, and no other's */
    ck_assert_ptr_nonnull(
        strstr(rensei_sql_text(RENSEI_SQL_AUDIT_INSERT_2, 1), "OR FAIL"));
    ck_assert_ptr_null(
        strstr(rensei_sql_text(RENSEI_SQL_AUDIT_INSERT_2, 0), "OR FAIL"));
}
END_TEST

/* A statement that no rule runs yet, or an argument whose type PostgreSQL
 * cannot infer, would show only in production. */
START_TEST(every_statement_runs)
{
    const char *args[RENSEI_SQL_USES * 4];
    rensei_store_t *st = test_store();
    rensei_rows_t rows;
    int i;

    for (i = 0; i < RENSEI_SQL_USES * 4; i++) {
        args[i] = "1"; /* which nothing has as its id */
    }
    for (i = 0; i < RENSEI_SQL_COUNT; i++) {
        if (strncmp(rensei_sql_text(i, 1), "SELECT", 6) == 0) {
            ck_assert_ok(
                rensei_store_select(&rows, st, i, args, test_pool, &err), err);
        }
        else if (strncmp(rensei_sql_text(i, 1), "UPDATE", 6) == 0 &&
                 !strstr(rensei_sql_text(i, 1), "RETURNING")) {
            ck_assert_ok(rensei_store_exec(NULL, st, i, args, test_pool, &err),
                         err);
        }
    }
}
END_TEST

/* How SQLite would run a statement, a line a step. */
static const char *plan_of(rensei_sql_e stmt)
{
    char *sql = apr_pstrcat(test_pool, "EXPLAIN QUERY PLAN ",
                            rensei_sql_text(stmt, 1), NULL);
    const char *plan;
    char *at;

    for (at = strstr(sql, "%s"); at; at = strstr(at, "%s")) {
        at[0] = at[1] = '\'';
    }
    plan = test_sql_lines(sql, 3);
    return plan ? plan : "";
}

/* Is some table read whole? Not one is `u`, the rows that are the statement's
 * arguments. */
static int scans(const char *plan)
{
    for (; (plan = strstr(plan, "SCAN ")) != NULL; plan += 5) {
        if (strncmp(plan, "SCAN u\n", 7) != 0 &&
            strncmp(plan, "SCAN 32 CONSTANT ROWS\n", 22) != 0) {
            return 1;
        }
    }
    return 0;
}

/* A page must cost the same among a thousand rows and among a million: every
 * statement finds its rows by an index, in the order of the index. But for
 * the one that counts all rows, in a copy that no gateway uses. */
START_TEST(every_statement_has_an_index)
{
    const char *plan;
    int i, seen = 0;

    if (test_pgsql()) {
        return; /* its planner reads small tables whole, and rightly */
    }
    test_store();
    for (i = 0; i < RENSEI_SQL_COUNT; i++) {
        if (strncmp(rensei_sql_text(i, 1), "INSERT", 6) == 0 ||
            i == RENSEI_SQL_HOLDS) {
            continue;
        }
        plan = plan_of(i);
        ck_assert_msg(strstr(plan, "USING ") && !scans(plan) &&
                          !strstr(plan, "TEMP B-TREE"),
                      "%s: %s", rensei_sql_name(i), plan);
        seen++;
    }
    ck_assert_int_gt(seen, 30);
}
END_TEST

START_TEST(lists_have_the_index_of_their_filter)
{
    static const struct {
        rensei_sql_e stmt;
        const char *index;
    } want[] = {
        {RENSEI_SQL_CLIENT_LIST, "INDEX rensei_clients_newest"},
        {RENSEI_SQL_CLIENT_LIST_NAME, "INDEX rensei_clients_name"},
        {RENSEI_SQL_CLIENT_LIST_OWNER, "INDEX rensei_clients_owner"},
        {RENSEI_SQL_CLIENT_FLOOR, "COVERING INDEX rensei_clients_newest"},
        {RENSEI_SQL_CLIENT_FLOOR_NAME, "COVERING INDEX rensei_clients_name"},
        {RENSEI_SQL_CLIENT_FLOOR_OWNER, "COVERING INDEX rensei_clients_owner"},
        {RENSEI_SQL_KEY_LIST, "INDEX rensei_keys_newest"},
        {RENSEI_SQL_KEY_LIST_NAME, "INDEX rensei_keys_name"},
        {RENSEI_SQL_KEY_LIST_OWNER, "INDEX rensei_keys_owner"},
        {RENSEI_SQL_KEY_FLOOR, "COVERING INDEX rensei_keys_newest"},
        {RENSEI_SQL_KEY_FLOOR_NAME, "COVERING INDEX rensei_keys_name"},
        {RENSEI_SQL_KEY_FLOOR_OWNER, "COVERING INDEX rensei_keys_owner"},
        {RENSEI_SQL_AUDIT_RANGE, "COVERING INDEX rensei_audit_at"},
        {RENSEI_SQL_AUDIT_LIST, "INDEX sqlite_autoindex_rensei_audit_1"},
    };
    size_t i;

    if (test_pgsql()) {
        return;
    }
    test_store();
    for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        ck_assert_msg(strstr(plan_of(want[i].stmt), want[i].index) != NULL,
                      "%s: %s", rensei_sql_name(want[i].stmt),
                      plan_of(want[i].stmt));
    }
}
END_TEST

START_TEST(file_is_for_its_owner_alone)
{
    apr_finfo_t fi;

    if (test_pgsql()) {
        return;
    }
    test_store();
    ck_assert_int_eq(
        apr_stat(&fi, test_store_params(), APR_FINFO_PROT, test_pool),
        APR_SUCCESS);
    ck_assert_int_eq(fi.protection, APR_FPROT_UREAD | APR_FPROT_UWRITE);
}
END_TEST

START_TEST(settings_of_sqlite)
{
    rensei_store_t *st = test_store();

    if (test_pgsql()) {
        return;
    }
    ck_assert_ptr_nonnull(st);
    ck_assert_str_eq(test_sql_value("PRAGMA journal_mode"), "wal");
    /* Foreign keys are a setting of the connection, so ask this one: a
     * client of no organisation is refused by the table itself. */
    ck_assert_err(
        rensei_store_exec(NULL, st, RENSEI_SQL_WORKSPACE_INSERT,
                          (const char *const[]){"ws_1", "org_none", "x", "1"},
                          test_pool, &err),
        err, RENSEI_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.cause, "FOREIGN KEY"));
}
END_TEST

START_TEST(open_says_what_is_wrong)
{
    rensei_store_t *st;

    ck_assert_err(
        rensei_store_open(&st, "oracle9", "x", test_sys, test_pool, &err), err,
        RENSEI_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.cause, "oracle9"));
    ck_assert_err(rensei_store_open(&st, "sqlite3", "/nonexistent/x.db",
                                    test_sys, test_pool, &err),
                  err, RENSEI_E_UNAVAILABLE);
}
END_TEST

static void *give_way(void *in_the_way)
{
    usleep(20000);
    unlink(in_the_way);
    return NULL;
}

/* Root's sqlite3 makes -shm as its own and gives it to the file's owner a
 * moment later; until then the server cannot open it. A link in its place is
 * what not even root may open. */
START_TEST(open_waits_for_a_file_that_another_is_making)
{
    char *shm = apr_pstrcat(test_pool, test_store_params(), "-shm", NULL);
    rensei_store_t *st;
    apr_pool_t *p;
    pthread_t other;

    if (test_pgsql()) {
        return;
    }
    apr_pool_create(&p, test_pool);
    ck_assert_ok(rensei_store_migrate(test_store_again(p), p, &err), err);
    apr_pool_destroy(p); /* the last to have it open takes -shm away */
    ck_assert_int_eq(symlink("nowhere", shm), 0);
    ck_assert_err(rensei_store_open(&st, "sqlite3", test_store_params(),
                                    test_sys, test_pool, &err),
                  err, RENSEI_E_UNAVAILABLE); /* it does not go away */
    pthread_create(&other, NULL, give_way, shm);
    ck_assert_ok(rensei_store_open(&st, "sqlite3", test_store_params(),
                                   test_sys, test_pool, &err),
                 err);
    pthread_join(other, NULL);
}
END_TEST

/* The connection of this test's store, from the second attempt on. */
static apr_status_t connect_late(rensei_store_t *st, void *attempts,
                                 rensei_err_t *failed)
{
    rensei_conn_t *c = rensei_store_conn(test_store());

    if (++*(int *)attempts == 1) {
        return rensei_err_set(failed, RENSEI_E_UNAVAILABLE, "not yet");
    }
    return rensei_store_attach(st, c->driver, c->handle, c->prepared, c->pool,
                               test_pool, failed);
}

/* Nothing is connected before it is used, a failure is not kept, and what was
 * detached is connected again. */
START_TEST(a_lazy_store_connects_when_it_is_used)
{
    rensei_store_t *st;
    apr_int64_t seq;
    int attempts = 0;

    rensei_store_lazy(&st, connect_late, &attempts, test_sys, test_pool);
    ck_assert_int_eq(attempts, 0);
    ck_assert_err(rensei_store_sequence(&seq, st, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    ck_assert_int_eq(attempts, 2);
    rensei_store_detach(st);
    changed_commit(st, "m2m_1");
    ck_assert_int_eq(attempts, 3);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
}
END_TEST

/* Others may have the file in use by that name: it is an absolute one. */
START_TEST(a_store_knows_its_file)
{
    const char *file = "";

    ck_assert_ok(rensei_store_file(&file, test_store(), test_pool, &err), err);
    if (test_pgsql()) {
        ck_assert_ptr_null(file);
        return;
    }
    ck_assert_str_eq(file, test_store_params());
}
END_TEST

/* What is read goes on, and a gateway can say why nothing is written. */
START_TEST(a_store_that_cannot_be_written_is_told)
{
    rensei_store_t *st = test_store();
    rensei_rows_t rows;
    apr_int64_t seq;

    if (test_pgsql()) {
        return;
    }
    ck_assert_ok(rensei_conn_text(&rows, rensei_store_conn(st),
                                  "PRAGMA query_only=ON", test_pool, &err),
                 err);
    ck_assert(!rensei_store_readonly(st));
    ck_assert_err(rensei_store_begin(st, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    ck_assert(rensei_store_readonly(st));
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
}
END_TEST

START_TEST(migrate_once)
{
    int version = -1;
    rensei_store_t *st = test_store_again(test_pool);

    ck_assert_ok(rensei_store_version(&version, st, test_pool, &err), err);
    ck_assert_int_eq(version, 0);
    ck_assert_ok(rensei_store_migrate(st, test_pool, &err), err);
    ck_assert_ok(rensei_store_version(&version, st, test_pool, &err), err);
    ck_assert_int_eq(version, RENSEI_SCHEMA_VERSION);
    ck_assert_ok(rensei_store_migrate(st, test_pool, &err), err);
    ck_assert_int_eq(test_sql_count("rensei_schema"), RENSEI_SCHEMA_VERSION);
}
END_TEST

START_TEST(newer_schema_is_refused)
{
    rensei_store_t *st = test_store();

    test_sql("INSERT INTO rensei_schema (version, applied_at) "
             "VALUES (1000, 1)");
    ck_assert_err(rensei_store_migrate(st, test_pool, &err), err,
                  RENSEI_E_INTERNAL);
    ck_assert_ptr_nonnull(strstr(err.text, "1000"));
}
END_TEST

static void migrate_in_child(void)
{
    apr_pool_t *p;
    rensei_store_t *st;
    rensei_err_t e;

    apr_pool_create(&p, NULL);
    if (rensei_store_open(&st, test_store_driver(), test_store_params(),
                          rensei_sys_default(), p, &e) != APR_SUCCESS ||
        rensei_store_migrate(st, p, &e) != APR_SUCCESS) {
        fprintf(stderr, "%s (%s)\n", e.text, e.cause ? e.cause : "-");
        _exit(1);
    }
    apr_pool_destroy(p);
    _exit(0);
}

/* The children of an httpd all open the store at once. */
START_TEST(migrations_at_once)
{
    enum { CHILDREN = 8 };
    pid_t pid[CHILDREN];
    int i, status;

    test_store_params();
    for (i = 0; i < CHILDREN; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            migrate_in_child();
        }
    }
    for (i = 0; i < CHILDREN; i++) {
        ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(test_sql_count("rensei_schema"), RENSEI_SCHEMA_VERSION);
    ck_assert_int_eq(test_sql_count("rensei_sequence"), 1);
}
END_TEST

START_TEST(null_is_told_from_empty)
{
    rensei_store_t *st = test_store();
    const char *id = "evt_x";
    rensei_rows_t rows;

    test_sql("INSERT INTO rensei_audit (org_id, seq, id, event, at, actor, "
             "actor_type, target, ip, request_id, details) VALUES "
             "('o', 1, 'evt_x', 'e', 1, 'a', 't', '', NULL, 'r', '{}')");
    ck_assert_ok(rensei_store_select(
                     &rows, st, RENSEI_SQL_AUDIT_LIST,
                     (const char *const[]){"o", "9", "0", "0", "9", NULL, NULL,
                                           NULL, NULL, NULL, NULL, "5"},
                     test_pool, &err),
                 err);
    ck_assert_int_eq(rows.count, 1);
    ck_assert_str_eq(rensei_rows_text(&rows, 0, 0), id);
    ck_assert_str_eq(rensei_rows_text(&rows, 0, 8), "");
    ck_assert_ptr_null(rensei_rows_text(&rows, 0, 6));
    ck_assert_int_eq(rensei_rows_int(&rows, 0, 6), 0);
    ck_assert_int_eq(rensei_rows_int(&rows, 0, 10), 1);
}
END_TEST

START_TEST(changes_are_numbered_without_gaps)
{
    rensei_store_t *st = test_store();
    apr_int64_t seq = -1;
    rensei_rows_t rows;

    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    ck_assert_int_eq(seq, 0);
    changed_commit(st, "m2m_a");

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(change_note(st, "m2m_dropped"), err);
    rensei_store_rollback(st);

    changed_commit(st, "m2m_b");
    changed_commit(st, "m2m_c");
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    ck_assert_int_eq(seq, 3);
    ck_assert_ok(rensei_store_changes(&rows, st, 1, 10, test_pool, &err), err);
    ck_assert_int_eq(rows.count, 2);
    ck_assert_int_eq(rensei_rows_int(&rows, 0, 0), 2);
    ck_assert_str_eq(rensei_rows_text(&rows, 0, 1), "m2m_b");
    ck_assert_int_eq(rensei_rows_int(&rows, 1, 0), 3);
    ck_assert_ok(rensei_store_changes(&rows, st, 0, 2, test_pool, &err), err);
    ck_assert_int_eq(rows.count, 2);
}
END_TEST

/* A few with each change, so that the table does not grow for ever; the
 * numbers go on. */
START_TEST(old_changes_are_forgotten)
{
    rensei_store_t *st = test_store();
    rensei_rows_t rows;
    int i;

    for (i = 0; i < 30; i++) {
        changed_commit(st, "m2m_a");
    }
    test_later(RENSEI_CHANGES_KEPT / 1000);
    changed_commit(st, "m2m_b");
    ck_assert_int_eq(test_sql_count("rensei_changes"), 31); /* not yet */
    test_later(1);
    changed_commit(st, "m2m_c");
    ck_assert_int_eq(test_sql_count("rensei_changes"), 12);
    changed_commit(st, "m2m_d");
    ck_assert_ok(rensei_store_changes(&rows, st, 0, 10, test_pool, &err), err);
    ck_assert_int_eq(rows.count, 3);
    ck_assert_int_eq(rensei_rows_int(&rows, 0, 0), 31);
    ck_assert_int_eq(rensei_rows_int(&rows, 2, 0), 33);
}
END_TEST

START_TEST(rollback_leaves_nothing)
{
    rensei_store_t *st = test_store();

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(change_note(st, "m2m_x"), err);
    rensei_store_rollback(st);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
    rensei_store_rollback(st); /* of none: nothing happens */
    changed_commit(st, "m2m_y");
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
}
END_TEST

/* apr_dbd's own transactions commit when their pool goes: half a change. */
START_TEST(abandoned_transaction_is_rolled_back)
{
    rensei_store_t *st = test_store();
    apr_pool_t *p;

    apr_pool_create(&p, test_pool);
    ck_assert_ok(rensei_store_begin(st, p, &err), err);
    ck_assert_ok(change_note(st, "m2m_x"), err);
    apr_pool_destroy(p);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
    changed_commit(st, "m2m_y"); /* and the store goes on */
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
}
END_TEST

START_TEST(end_follows_the_status)
{
    rensei_store_t *st = test_store();

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(change_note(st, "m2m_x"), err);
    ck_assert_int_eq(rensei_store_end(st, APR_EGENERAL, test_pool, &err),
                     APR_EGENERAL);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(change_note(st, "m2m_x"), err);
    ck_assert_ok(rensei_store_end(st, APR_SUCCESS, test_pool, &err), err);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
}
END_TEST

START_TEST(transactions_do_not_nest)
{
    rensei_store_t *st = test_store();

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_err(rensei_store_begin(st, test_pool, &err), err,
                  RENSEI_E_INTERNAL);
    ck_assert_ok(change_note(st, "m2m_x"), err);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
}
END_TEST

/* PostgreSQL answers COMMIT of a failed transaction with success, having
 * rolled it back; and SQLite would commit the half that worked. */
START_TEST(failed_transaction_never_commits)
{
    rensei_store_t *st = test_store();
    const char *const bad[] = {"1", NULL, NULL}; /* NOT NULL violated */

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(change_note(st, "m2m_x"), err);
    ck_assert_err(rensei_store_exec(NULL, st, RENSEI_SQL_CHANGE_INSERT, bad,
                                    test_pool, &err),
                  err, RENSEI_E_UNAVAILABLE);
    ck_assert_err(change_note(st, "m2m_y"), err, RENSEI_E_UNAVAILABLE);
    ck_assert_err(rensei_store_commit(st, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
    changed_commit(st, "m2m_z");
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
}
END_TEST

START_TEST(commit_needs_a_transaction)
{
    ck_assert_err(rensei_store_commit(test_store(), test_pool, &err), err,
                  RENSEI_E_INTERNAL);
}
END_TEST

/* After another connection changed the schema, what the sqlite3 driver
 * prepared before fails for good: outside a transaction, and inside. */
START_TEST(statements_survive_a_change_of_the_schema)
{
    rensei_store_t *st = test_store();
    apr_int64_t seq;

    changed_commit(st, "m2m_a");
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    test_sql("ALTER TABLE rensei_sequence ADD extra TEXT");
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    ck_assert_int_eq(seq, 1);
    test_sql("ALTER TABLE rensei_changes ADD extra TEXT");
    changed_commit(st, "m2m_b");
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    ck_assert_int_eq(seq, 2);
}
END_TEST

/* Another program, which does nothing else. */
static pid_t schema_changer(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        for (;;) {
            test_sql("CREATE TABLE another (a BIGINT); DROP TABLE another");
        }
    }
    return pid;
}

/* ... also when it is changed again before what was prepared anew is run. */
START_TEST(statements_survive_many_changes_of_the_schema)
{
    rensei_store_t *st = test_store();
    apr_int64_t seq;
    pid_t other;
    int i;

    if (test_pgsql()) {
        return;
    }
    changed_commit(st, "m2m_a");
    other = schema_changer();
    ck_assert_int_gt(other, 0);
    for (i = 0; i < 3000; i++) {
        apr_status_t rv = rensei_store_sequence(&seq, st, test_pool, &err);

        if (rv != APR_SUCCESS) {
            kill(other, SIGKILL);
        }
        ck_assert_ok(rv, err);
    }
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
}
END_TEST

/* ... also when it could not be prepared again at first. */
START_TEST(statements_survive_a_table_that_was_away)
{
    rensei_store_t *st = test_store();
    apr_int64_t seq;
    int i;

    changed_commit(st, "m2m_a");
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    test_sql("ALTER TABLE rensei_sequence RENAME TO gone");
    for (i = 0; i < 3; i++) {
        ck_assert_err(rensei_store_sequence(&seq, st, test_pool, &err), err,
                      RENSEI_E_UNAVAILABLE);
    }
    test_sql("ALTER TABLE gone RENAME TO rensei_sequence");
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    ck_assert_int_eq(seq, 1);
    changed_commit(st, "m2m_b");
}
END_TEST

/* As a damaged file has it, or one of a newer SQLite. */
static void sequence_schema(const char *sql, int version)
{
    test_sql(apr_psprintf(test_pool,
                          "PRAGMA writable_schema = ON; "
                          "UPDATE sqlite_master SET sql = '%s' "
                          "WHERE name = 'rensei_sequence'; "
                          "PRAGMA schema_version = %d",
                          sql, version));
}

/* A BEGIN dies with the transaction in which the schema could not be read, and
 * then something fails for a reason of its own. SQLite has no words for a
 * statement that is dead before it is run, and repeats those. */
START_TEST(a_failure_is_not_taken_for_another)
{
    rensei_store_t *st = test_store();
    rensei_conn_t *c = rensei_store_conn(st);
    const char *schema;
    apr_int64_t seq;
    int version;

    if (test_pgsql()) {
        return;
    }
    changed_commit(st, "m2m_a");
    schema = test_sql_value("SELECT sql FROM sqlite_master WHERE "
                            "name = 'rensei_sequence'");
    version = atoi(test_sql_value("PRAGMA schema_version"));
    sequence_schema("out of order", version + 1);
    ck_assert_ok(rensei_conn_begin(c, test_pool, &err), err);
    ck_assert_err(rensei_store_sequence(&seq, st, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    rensei_conn_rollback(c);
    ck_assert_err(rensei_store_sequence(&seq, st, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    sequence_schema(schema, version + 2);
    ck_assert_ok(rensei_conn_begin(c, test_pool, &err), err);
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    rensei_conn_rollback(c);
}
END_TEST

START_TEST(first_use_after_a_change_of_the_schema)
{
    rensei_store_t *st = test_store();
    apr_int64_t seq;
    rensei_rows_t rows;

    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    test_sql("ALTER TABLE rensei_changes ADD extra TEXT");
    ck_assert_ok(rensei_store_changes(&rows, st, 0, 1, test_pool, &err), err);
}
END_TEST

/* What PostgreSQL's driver does to a connection that the server ended: the
 * next statement is lost, unless it is sent again. */
START_TEST(lost_connection_is_replaced)
{
    rensei_store_t *st = test_store();
    apr_int64_t seq;

    if (!test_pgsql()) {
        return;
    }
    changed_commit(st, "m2m_a");
    test_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
             "WHERE pid <> pg_backend_pid() AND datname = current_database()");
    ck_assert_ok(rensei_store_sequence(&seq, st, test_pool, &err), err);
    ck_assert_int_eq(seq, 1);
    test_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
             "WHERE pid <> pg_backend_pid() AND datname = current_database()");
    changed_commit(st, "m2m_b"); /* BEGIN is what meets it */

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(change_note(st, "m2m_lost"), err);
    test_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
             "WHERE pid <> pg_backend_pid() AND datname = current_database()");
    ck_assert_err(change_note(st, "m2m_half"), err, RENSEI_E_UNAVAILABLE);
    ck_assert_err(rensei_store_commit(st, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    changed_commit(st, "m2m_c");
    ck_assert_int_eq(test_sql_count("rensei_changes"), 3);
}
END_TEST

#define EACH 25

/* Notes EACH changes by a connection of its own. @return 1 when all went */
static int write_many(void)
{
    apr_pool_t *p;
    rensei_store_t *st;
    rensei_err_t e = {RENSEI_E_NONE, "not opened", NULL, NULL};
    int i = 0;

    apr_pool_create(&p, NULL);
    if (rensei_store_open(&st, test_store_driver(), test_store_params(),
                          rensei_sys_default(), p, &e) == APR_SUCCESS) {
        while (i < EACH && rensei_store_begin(st, p, &e) == APR_SUCCESS &&
               rensei_store_changed(st, "m2m_x", p, &e) == APR_SUCCESS &&
               rensei_store_commit(st, p, &e) == APR_SUCCESS) {
            i++;
        }
    }
    if (i < EACH) {
        fprintf(stderr, "%s (%s)\n", e.text, e.cause ? e.cause : "-");
    }
    apr_pool_destroy(p);
    return i == EACH;
}

static void written_check(int writers)
{
    apr_int64_t seq;

    ck_assert_ok(rensei_store_sequence(&seq, test_store(), test_pool, &err),
                 err);
    ck_assert_int_eq(seq, writers * EACH);
    ck_assert_int_eq(test_sql_count("rensei_changes"), writers * EACH);
}

START_TEST(writers_of_several_processes)
{
    enum { CHILDREN = 4 };
    pid_t pid[CHILDREN];
    int i, status;

    test_store();
    for (i = 0; i < CHILDREN; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            _exit(!write_many());
        }
    }
    for (i = 0; i < CHILDREN; i++) {
        ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
        ck_assert_int_eq(status, 0);
    }
    written_check(CHILDREN);
}
END_TEST

static void *write_in_thread(void *failed)
{
    *(int *)failed = !write_many();
    return NULL;
}

/* Threads that wait inside apr_dbd's mutex keep the writer itself from going
 * on, unless they take turns (rensei_turn.h): eight of them then came to 34
 * transactions a second in place of 1100, and some failed. */
START_TEST(a_writer_to_sqlite_has_the_turn)
{
    rensei_store_t *st = test_store();
    const char *const bad[] = {NULL, NULL, NULL};
    apr_pool_t *p;

    if (test_pgsql()) {
        return;
    }
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_int_eq(rensei_turn_take(1000), 0);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
    ck_assert_int_eq(rensei_turn_take(0), 1);
    rensei_turn_give();

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    rensei_store_rollback(st);
    ck_assert_int_eq(rensei_turn_take(0), 1);
    rensei_turn_give();

    apr_pool_create(&p, test_pool);
    ck_assert_ok(rensei_store_begin(st, p, &err), err);
    apr_pool_destroy(p);
    ck_assert_int_eq(rensei_turn_take(0), 1);
    rensei_turn_give();

    ck_assert_err(rensei_store_exec(NULL, st, RENSEI_SQL_CHANGE_INSERT, bad,
                                    test_pool, &err),
                  err, RENSEI_E_UNAVAILABLE);
    ck_assert_int_eq(rensei_turn_take(0), 1);
    rensei_turn_give();
}
END_TEST

/* ... also when a statement fails, and with it the COMMIT. */
START_TEST(a_writer_that_fails_gives_the_turn_back)
{
    rensei_store_t *st = test_store();

    if (test_pgsql()) {
        return;
    }
    test_sql("DROP TABLE rensei_sequence");
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_err(change_note(st, "m2m_x"), err, RENSEI_E_UNAVAILABLE);
    ck_assert_err(rensei_store_commit(st, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    ck_assert_int_eq(rensei_turn_take(0), 1);
    rensei_turn_give();
}
END_TEST

START_TEST(writers_of_several_threads)
{
    enum { THREADS = 8 };
    pthread_t thread[THREADS];
    int failed[THREADS];
    int i;

    test_store();
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(
            pthread_create(&thread[i], NULL, write_in_thread, &failed[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
        ck_assert_int_eq(failed[i], 0);
    }
    written_check(THREADS);
}
END_TEST

START_TEST(numbers)
{
    ck_assert_str_eq(rensei_store_num(APR_INT64_MAX, test_pool),
                     "9223372036854775807");
    ck_assert_str_eq(rensei_store_num(0, test_pool), "0");
    ck_assert_ptr_null(rensei_store_opt(0, test_pool));
    ck_assert_str_eq(rensei_store_opt(-1, test_pool), "-1");
    ck_assert_int_eq(rensei_store_now_ms(test_store()), test_now_ms());
    ck_assert_ptr_eq(rensei_store_sys(test_store()), test_sys);
}
END_TEST

Suite *suite_store(void)
{
    TCase *tc;
    Suite *s = test_suite("store", &tc);

    tcase_add_test(tc, every_statement_has_text_and_name);
    tcase_add_test(tc, every_statement_runs);
    tcase_add_test(tc, every_statement_has_an_index);
    tcase_add_test(tc, lists_have_the_index_of_their_filter);
    tcase_add_test(tc, file_is_for_its_owner_alone);
    tcase_add_test(tc, settings_of_sqlite);
    tcase_add_test(tc, open_says_what_is_wrong);
    tcase_add_test(tc, open_waits_for_a_file_that_another_is_making);
    tcase_add_test(tc, a_lazy_store_connects_when_it_is_used);
    tcase_add_test(tc, a_store_knows_its_file);
    tcase_add_test(tc, a_store_that_cannot_be_written_is_told);
    tcase_add_test(tc, migrate_once);
    tcase_add_test(tc, newer_schema_is_refused);
    tcase_add_test(tc, migrations_at_once);
    tcase_add_test(tc, null_is_told_from_empty);
    tcase_add_test(tc, changes_are_numbered_without_gaps);
    tcase_add_test(tc, old_changes_are_forgotten);
    tcase_add_test(tc, rollback_leaves_nothing);
    tcase_add_test(tc, abandoned_transaction_is_rolled_back);
    tcase_add_test(tc, end_follows_the_status);
    tcase_add_test(tc, transactions_do_not_nest);
    tcase_add_test(tc, failed_transaction_never_commits);
    tcase_add_test(tc, commit_needs_a_transaction);
    tcase_add_test(tc, statements_survive_a_change_of_the_schema);
    tcase_add_test(tc, statements_survive_many_changes_of_the_schema);
    tcase_add_test(tc, statements_survive_a_table_that_was_away);
    tcase_add_test(tc, a_failure_is_not_taken_for_another);
    tcase_add_test(tc, first_use_after_a_change_of_the_schema);
    tcase_add_test(tc, lost_connection_is_replaced);
    tcase_add_test(tc, writers_of_several_processes);
    tcase_add_test(tc, a_writer_to_sqlite_has_the_turn);
    tcase_add_test(tc, a_writer_that_fails_gives_the_turn_back);
    tcase_add_test(tc, writers_of_several_threads);
    tcase_add_test(tc, numbers);
    return s;
}
