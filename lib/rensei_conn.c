/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_conn.h"
#include "rensei_turn.h"

#include <apr_strings.h>
#include <string.h>

#define TURN_PATIENCE apr_time_from_sec(5)
#define SCHEMA_TRIES 20 /* of a statement that a change of schema outran */

/* The isolation that our locks are made for: each statement sees what those
 * committed for which it has waited. A database can have another default. And
 * whoever waits for a row, wherever it is locked, gives up as with SQLite. In
 * the transaction, not the session: a pooler hands sessions around. */
#define PGSQL_BEGIN                          \
    "BEGIN ISOLATION LEVEL READ COMMITTED; " \
    "SET LOCAL lock_timeout = '5s'"

/* What is to be run, and where its result goes. */
typedef struct call_t {
    const char *sql;
    const char *name;        /* to be prepared as; NULL: as it stands */
    const char *const *args; /* of what is prepared */
    rensei_rows_t *rows;     /* NULL: gives none */
    int changed;
} call_t;

static apr_status_t unavailable(const char *what, const char *why,
                                apr_pool_t *p, rensei_err_t *err)
{
    rensei_err_set(err, RENSEI_E_UNAVAILABLE, "The store is not available.");
    why = why ? why : "no reason given";
    /* The first line: PostgreSQL's second one can show the row. */
    err->cause =
        apr_psprintf(p, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
    return APR_EGENERAL;
}

static const char *driver_error(const rensei_conn_t *c)
{
    return apr_dbd_error(c->driver, c->handle, 0);
}

/* Copies the cell out: PostgreSQL's result goes when its last row is read. */
static const char *cell_copy(const rensei_conn_t *c, apr_dbd_row_t *row,
                             int col, apr_pool_t *p)
{
    const char *value = NULL;

    /* apr_dbd_get_entry gives "" for a NULL of PostgreSQL. */
    if (apr_dbd_datum_get(c->driver, row, col, APR_DBD_TYPE_STRING, &value) !=
        APR_SUCCESS) {
        return NULL;
    }
    return apr_pstrdup(p, value);
}

static void rows_copy(rensei_rows_t *out, const rensei_conn_t *c,
                      apr_dbd_results_t *res, apr_pool_t *p)
{
    apr_dbd_row_t *row = NULL;
    int tuples = apr_dbd_num_tuples(c->driver, res);
    int col;

    out->cols = apr_dbd_num_cols(c->driver, res);
    out->count = 0;
    out->cell = apr_pcalloc(p, sizeof(*out->cell) * tuples * out->cols + 1);
    /* To the end, so that the driver lets go of the result. */
    while (apr_dbd_get_row(c->driver, p, res, &row, -1) == 0) {
        for (col = 0; col < out->cols; col++) {
            out->cell[out->count * out->cols + col] = cell_copy(c, row, col, p);
        }
        out->count++;
    }
}

/* The statement as prepared on this connection, prepared now if it was not,
 * or if `again`. Lazily, because mod_dbd's own way prepares before the tables
 * are there, and fails for good. */
static apr_dbd_prepared_t *prepared(rensei_conn_t *c, const call_t *call,
                                    int again)
{
    const char *name = call->name;
    apr_dbd_prepared_t *old =
        apr_hash_get(c->prepared, name, APR_HASH_KEY_STRING);
    apr_dbd_prepared_t *out = NULL;

    if (old && !again) {
        return old;
    }
    /* Without a label PostgreSQL's driver sends the text each time: a server
     * that restarted has forgotten what had a label. */
    if (apr_dbd_prepare(c->driver, c->pool, c->handle, call->sql,
                        c->sqlite ? name : NULL, &out) != 0) {
        /* The old one is dead. It would go on failing when the schema is good
         * again, and say nothing of the schema. */
        apr_hash_set(c->prepared, name, APR_HASH_KEY_STRING, NULL);
        return NULL;
    }
    apr_hash_set(c->prepared, old ? name : apr_pstrdup(c->pool, name),
                 APR_HASH_KEY_STRING, out);
    return out;
}

static int call_stmt(rensei_conn_t *c, call_t *call, int again,
                     apr_dbd_results_t **res, apr_pool_t *p)
{
    apr_dbd_prepared_t *stmt = prepared(c, call, again && c->sqlite);
    /* The driver's parameter lacks a const; it only reads. The 0 is their
     * number, which APR ignores: the driver has counted them. */
    const char **args = (const char **)call->args;

    if (stmt == NULL) {
        return -1;
    }
    if (call->rows) {
        return apr_dbd_pselect(c->driver, p, c->handle, res, stmt, 1, 0, args);
    }
    return apr_dbd_pquery(c->driver, p, c->handle, &call->changed, stmt, 0,
                          args);
}

static int call_text(rensei_conn_t *c, call_t *call, apr_dbd_results_t **res,
                     apr_pool_t *p)
{
    if (call->rows) {
        return apr_dbd_select(c->driver, p, c->handle, res, call->sql, 1);
    }
    return apr_dbd_query(c->driver, c->handle, &call->changed, call->sql);
}

static int call_once(rensei_conn_t *c, call_t *call, int again, apr_pool_t *p)
{
    apr_dbd_results_t *res = NULL;
    int rc = call->name ? call_stmt(c, call, again, &res, p)
                        : call_text(c, call, &res, p);

    if (rc == 0 && call->rows) {
        rows_copy(call->rows, c, res, p);
    }
    return rc;
}

/* Is it worth another try?
 * SQLite: when another connection changed the schema, what was prepared (by
 * the legacy call, which the driver uses) fails for good. It failed before it
 * did anything, so it may be tried again in a transaction as well; and only
 * then: other errors can have ended the transaction, and what followed would
 * be committed on its own.
 * PostgreSQL: when the connection was lost, which is replaced; never in a
 * transaction, whose first half went with the connection, nor what changes
 * something: it may be the answer that was lost. */
static int worth_retry(rensei_conn_t *c, const call_t *call, apr_pool_t *p)
{
    const char *why;

    if (c->sqlite) {
        /* the second is what a statement says that died in an earlier call,
         * when the schema could not be read */
        why = driver_error(c);
        return why && (strcmp(why, "database schema has changed") == 0 ||
                       strcmp(why, "not an error") == 0);
    }
    if (c->tx || (call->name && !call->rows)) {
        return 0;
    }
    return (c->renew
                ? c->renew(c->renew_baton)
                : apr_dbd_check_conn(c->driver, p, c->handle)) == APR_SUCCESS;
}

/* What the log calls it. */
static const char *call_name(const call_t *call)
{
    return call->name ? call->name : call->sql;
}

/* What SQLite says of a statement that died before it was run (worth_retry) is
 * what it said of the last one that was. That one must not have failed. */
static void error_forget(rensei_conn_t *c)
{
    int changed;

    if (c->sqlite) {
        apr_dbd_query(c->driver, c->handle, &changed, "SELECT 1");
    }
}

static apr_status_t call_failed(rensei_conn_t *c, const call_t *call,
                                apr_pool_t *p, rensei_err_t *err)
{
    const char *why = driver_error(c);
    apr_status_t rv = unavailable(call_name(call), why, p, err);

    c->tx_failed = 1;
    if (c->sqlite && why &&
        strcmp(why, "attempt to write a readonly database") == 0) {
        c->readonly = 1;
    }
    error_forget(c);
    return rv;
}

/* Who changes the schema of SQLite may change it again between our preparing
 * and running. SQLite's own calls try some fifty times. */
static int call_tried(rensei_conn_t *c, call_t *call, apr_pool_t *p)
{
    int most = c->sqlite ? SCHEMA_TRIES : 1, again;
    int rc = call_once(c, call, 0, p);

    for (again = 0; rc != 0 && again < most && worth_retry(c, call, p);
         again++) {
        rc = call_once(c, call, 1, p);
    }
    return rc;
}

static apr_status_t call_run(rensei_conn_t *c, call_t *call, apr_pool_t *p,
                             rensei_err_t *err)
{
    if (c->tx && c->tx_failed) {
        return unavailable(call_name(call), "the transaction failed before", p,
                           err);
    }
    return call_tried(c, call, p) == 0 ? APR_SUCCESS
                                       : call_failed(c, call, p, err);
}

apr_status_t rensei_conn_text(rensei_rows_t *out, rensei_conn_t *c,
                              const char *sql, apr_pool_t *p, rensei_err_t *err)
{
    call_t call = {.sql = sql, .rows = out};

    return call_run(c, &call, p, err);
}

static apr_status_t take_turn(rensei_conn_t *c, apr_pool_t *p,
                              rensei_err_t *err)
{
    if (c->sqlite && !rensei_turn_take(TURN_PATIENCE)) {
        return unavailable("BEGIN", "too many writers are waiting", p, err);
    }
    c->has_turn = c->sqlite;
    return APR_SUCCESS;
}

static void give_turn(rensei_conn_t *c)
{
    if (c->has_turn) {
        c->has_turn = 0;
        rensei_turn_give();
    }
}

apr_status_t rensei_conn_stmt(rensei_rows_t *out, int *changed,
                              rensei_conn_t *c, rensei_sql_e stmt,
                              const char *const *args, apr_pool_t *p,
                              rensei_err_t *err)
{
    call_t call = {.sql = rensei_sql_text(stmt, c->sqlite),
                   .name = rensei_sql_name(stmt),
                   .args = args,
                   .rows = out};
    int alone = out == NULL && c->tx == NULL;
    apr_status_t rv = APR_SUCCESS;

    if (alone) {
        rv = take_turn(c, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = call_run(c, &call, p, err);
    }
    if (alone) {
        give_turn(c);
    }
    if (changed) {
        *changed = call.changed;
    }
    return rv;
}

static void tx_over(rensei_conn_t *c)
{
    c->tx = NULL;
    give_turn(c);
}

static apr_status_t tx_cleanup(void *baton)
{
    rensei_conn_t *c = baton;
    int changed;

    if (apr_dbd_query(c->driver, c->handle, &changed, "ROLLBACK") != 0) {
        error_forget(c); /* SQLite had done it */
    }
    tx_over(c);
    return APR_SUCCESS;
}

/* What begins and ends a transaction comes with each of them, so that SQLite
 * is not to parse it each time. PostgreSQL takes one statement at a time of
 * what is prepared, and its BEGIN is two. */
static apr_status_t begin_or_commit(rensei_conn_t *c, const char *sqlite,
                                    const char *pgsql, const char *name,
                                    apr_pool_t *p, rensei_err_t *err)
{
    call_t call = {.sql = c->sqlite ? sqlite : pgsql,
                   .name = c->sqlite ? name : NULL};

    return call_run(c, &call, p, err);
}

apr_status_t rensei_conn_begin(rensei_conn_t *c, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_status_t rv;

    if (c->tx) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "A transaction is open already.");
    }
    rv = take_turn(c, p, err);
    if (rv == APR_SUCCESS) {
        /* Not apr_dbd_transaction_start: on a stale connection PostgreSQL's
         * dereferences NULL, and either commits what is abandoned. */
        rv = begin_or_commit(c, "BEGIN IMMEDIATE", PGSQL_BEGIN, "rensei:BEGIN",
                             p, err);
    }
    if (rv != APR_SUCCESS) {
        give_turn(c);
        return rv;
    }
    c->tx = p;
    c->tx_failed = 0;
    apr_pool_cleanup_register(p, c, tx_cleanup, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

apr_status_t rensei_conn_commit(rensei_conn_t *c, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv;

    if (c->tx == NULL) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "No transaction is open.");
    }
    /* PostgreSQL answers COMMIT of a failed transaction with success, having
     * rolled it back; so the statement is not even sent then. */
    rv = begin_or_commit(c, "COMMIT", "COMMIT", "rensei:COMMIT", p, err);
    if (rv != APR_SUCCESS) {
        rensei_conn_rollback(c);
        return rv;
    }
    apr_pool_cleanup_kill(c->tx, c, tx_cleanup);
    tx_over(c);
    return APR_SUCCESS;
}

void rensei_conn_rollback(rensei_conn_t *c)
{
    if (c->tx) {
        apr_pool_cleanup_run(c->tx, c, tx_cleanup);
    }
}

apr_status_t rensei_conn_end(rensei_conn_t *c, apr_status_t rv, apr_pool_t *p,
                             rensei_err_t *err)
{
    if (rv == APR_SUCCESS) {
        return rensei_conn_commit(c, p, err);
    }
    rensei_conn_rollback(c);
    return rv;
}

int rensei_conn_locked(const rensei_err_t *err)
{
    return err->cause && strstr(err->cause, "locked") != NULL;
}
