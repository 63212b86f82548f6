/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_schema.h"
#include "rensei_str.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <string.h>

#define WAL_PATIENCE apr_time_from_sec(5)
#define WAL_PAUSE apr_time_from_msec(20)
#define OPEN_PATIENCE apr_time_from_msec(500)

struct rensei_store_t {
    rensei_conn_t conn; /* without a handle: not connected yet */
    rensei_store_connect_fn *connect;
    void *baton;
    const rensei_sys_t *sys;
    const rensei_memory_t *memory;
    rensei_witness_fn *witness; /* NULL: nobody */
    void *witness_baton;
    apr_array_header_t *told; /* of const struct rensei_event_t *, in the
                                 transaction's pool; NULL: none yet */
};

void rensei_store_lazy(rensei_store_t **out, rensei_store_connect_fn *connect,
                       void *baton, const rensei_sys_t *sys, apr_pool_t *p)
{
    rensei_store_t *st = apr_pcalloc(p, sizeof(*st));

    st->connect = connect;
    st->baton = baton;
    st->sys = sys;
    *out = st;
}

apr_status_t rensei_store_attach(rensei_store_t *st,
                                 const apr_dbd_driver_t *driver,
                                 apr_dbd_t *handle, apr_hash_t *prepared,
                                 apr_pool_t *conn_pool, apr_pool_t *p,
                                 rensei_err_t *err)
{
    const char *name = apr_dbd_name(driver);

    if (strcmp(name, "sqlite3") != 0 && strcmp(name, "pgsql") != 0) {
        return rensei_err_setf(err, p, RENSEI_E_INTERNAL,
                               "The store's driver is %s; it must be sqlite3 "
                               "or pgsql.",
                               name);
    }
    st->conn.driver = driver;
    st->conn.handle = handle;
    st->conn.prepared = prepared;
    st->conn.pool = conn_pool;
    st->conn.sqlite = strcmp(name, "sqlite3") == 0;
    return APR_SUCCESS;
}

void rensei_store_detach(rensei_store_t *st)
{
    st->conn.handle = NULL;
}

void rensei_store_renewal(rensei_store_t *st, rensei_store_renew_fn *renew,
                          void *baton)
{
    st->conn.renew = renew;
    st->conn.renew_baton = baton;
}

static apr_status_t connected(rensei_store_t *st, rensei_err_t *err)
{
    apr_status_t rv;

    if (st->conn.handle) {
        return APR_SUCCESS;
    }
    rv = st->connect(st, st->baton, err);
    if (rv != APR_SUCCESS) {
        /* may be attached already, to one that could not be made ready */
        st->conn.handle = NULL;
    }
    return rv;
}

static apr_status_t open_error(const char *cause, apr_pool_t *p,
                               rensei_err_t *err)
{
    rensei_err_set(err, RENSEI_E_UNAVAILABLE, "The store cannot be opened.");
    err->cause = cause ? apr_pstrdup(p, cause) : NULL;
    return APR_EGENERAL;
}

/* SQLite would create the file readable for all that the umask lets, and
 * -wal and -shm after it. EXCL, because to open and close a file that is
 * there would drop the locks that this process has on it by another
 * connection (POSIX). */
static void file_create(const char *path, apr_pool_t *p)
{
    apr_file_t *file;
    const apr_int32_t flags =
        APR_FOPEN_CREATE | APR_FOPEN_EXCL | APR_FOPEN_WRITE;

    if (path[0] != ':' &&
        apr_file_open(&file, path, flags, APR_FPROT_UREAD | APR_FPROT_UWRITE,
                      p) == APR_SUCCESS) {
        apr_file_close(file);
    }
}

typedef struct opened_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
} opened_t;

static apr_status_t close_cleanup(void *baton)
{
    opened_t *o = baton;

    return apr_dbd_close(o->driver, o->handle);
}

static apr_status_t connect_to(opened_t *out, const char *driver,
                               const char *params, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *cause = NULL;

    apr_dbd_init(p);
    if (apr_dbd_get_driver(p, driver, &out->driver) != APR_SUCCESS) {
        return open_error(
            apr_psprintf(p, "the database driver %s is not installed", driver),
            p, err);
    }
    if (strcmp(driver, "sqlite3") == 0) {
        file_create(params, p);
    }
    if (apr_dbd_open_ex(out->driver, p, params, &out->handle, &cause) !=
        APR_SUCCESS) {
        return open_error(cause, p, err);
    }
    apr_pool_cleanup_register(p, out, close_cleanup, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

apr_status_t rensei_store_connect(rensei_store_t **out, const char *driver,
                                  const char *params, const rensei_sys_t *sys,
                                  apr_pool_t *p, rensei_err_t *err)
{
    opened_t *o = apr_pcalloc(p, sizeof(*o));
    apr_status_t rv = connect_to(o, driver, params, p, err);

    if (rv == APR_SUCCESS) {
        rensei_store_lazy(out, NULL, NULL, sys, p);
        rv = rensei_store_attach(*out, o->driver, o->handle, apr_hash_make(p),
                                 p, p, err);
    }
    return rv;
}

apr_status_t rensei_store_open(rensei_store_t **out, const char *driver,
                               const char *params, const rensei_sys_t *sys,
                               apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_store_connect(out, driver, params, sys, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_store_setup(*out, p, err);
    }
    return rv;
}

/* How long what the first statement on a file met may last and still pass by
 * itself: the change to WAL needs the file alone for a moment; and where root
 * is the first to open it (a sqlite3 typed at night), SQLite makes -wal and
 * -shm as root's, and gives them to the file's owner a moment later. */
static apr_time_t patience(const rensei_err_t *err)
{
    if (rensei_conn_locked(err)) {
        return WAL_PATIENCE;
    }
    return err->cause && strstr(err->cause, "unable to open") ? OPEN_PATIENCE
                                                              : 0;
}

static apr_status_t wal_set(rensei_conn_t *c, apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_time_t start = rensei_sys_elapsed();
    apr_status_t rv;

    rv = rensei_conn_text(&rows, c, "PRAGMA journal_mode=WAL", p, err);
    while (rv != APR_SUCCESS && rensei_sys_elapsed() - start < patience(err)) {
        apr_sleep(WAL_PAUSE);
        rv = rensei_conn_text(&rows, c, "PRAGMA journal_mode=WAL", p, err);
    }
    return rv;
}

apr_status_t rensei_store_setup(rensei_store_t *st, apr_pool_t *p,
                                rensei_err_t *err)
{
    rensei_conn_t *c = &st->conn;
    rensei_rows_t rows;
    apr_status_t rv;

    if (!c->sqlite) {
        return APR_SUCCESS;
    }
    /* First, so that it holds for the rest; and short, because the driver
     * waits inside a mutex of the whole process, up to 16 times. By SELECT:
     * some of these give a row. */
    rv = rensei_conn_text(&rows, c, "PRAGMA busy_timeout=50", p, err);
    if (rv == APR_SUCCESS) {
        rv = wal_set(c, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_conn_text(&rows, c, "PRAGMA synchronous=FULL", p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_conn_text(&rows, c, "PRAGMA foreign_keys=ON", p, err);
    }
    return rv;
}

apr_status_t rensei_store_migrate(rensei_store_t *st, apr_pool_t *p,
                                  rensei_err_t *err)
{
    return rensei_schema_migrate(&st->conn, rensei_store_now_ms(st), p, err);
}

apr_status_t rensei_store_version(int *version, rensei_store_t *st,
                                  apr_pool_t *p, rensei_err_t *err)
{
    return rensei_schema_version(version, &st->conn, p, err);
}

apr_status_t rensei_store_file(const char **file, rensei_store_t *st,
                               apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv;

    *file = NULL;
    if (!st->conn.sqlite) {
        return APR_SUCCESS;
    }
    rv = rensei_conn_text(&rows, &st->conn, "PRAGMA database_list", p, err);
    if (rv == APR_SUCCESS && rows.count && rows.cols == 3) {
        *file = rensei_rows_text(&rows, 0, 2);
    }
    return rv;
}

rensei_conn_t *rensei_store_conn(rensei_store_t *st)
{
    return &st->conn;
}

void rensei_store_memory(rensei_store_t *st, const rensei_memory_t *memory)
{
    st->memory = memory;
}

const rensei_memory_t *rensei_store_remembers(const rensei_store_t *st)
{
    return st->memory;
}

const rensei_sys_t *rensei_store_sys(const rensei_store_t *st)
{
    return st->sys;
}

apr_int64_t rensei_store_now_ms(const rensei_store_t *st)
{
    return rensei_sys_now_ms(st->sys);
}

const char *rensei_rows_text(const rensei_rows_t *rows, int row, int col)
{
    return rows->cell[row * rows->cols + col];
}

apr_int64_t rensei_rows_int(const rensei_rows_t *rows, int row, int col)
{
    const char *cell = rensei_rows_text(rows, row, col);
    apr_int64_t n = 0;

    if (cell) {
        rensei_int_parse(&n, cell, strlen(cell), APR_INT64_MIN, APR_INT64_MAX);
    }
    return n;
}

apr_status_t rensei_store_select(rensei_rows_t *out, rensei_store_t *st,
                                 rensei_sql_e stmt, const char *const *args,
                                 apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = connected(st, err);

    return rv == APR_SUCCESS
               ? rensei_conn_stmt(out, NULL, &st->conn, stmt, args, p, err)
               : rv;
}

apr_status_t rensei_store_exec(int *changed, rensei_store_t *st,
                               rensei_sql_e stmt, const char *const *args,
                               apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = connected(st, err);

    return rv == APR_SUCCESS
               ? rensei_conn_stmt(NULL, changed, &st->conn, stmt, args, p, err)
               : rv;
}

apr_status_t rensei_store_begin(rensei_store_t *st, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv = connected(st, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_conn_begin(&st->conn, p, err);
    }
    if (rv == APR_SUCCESS) {
        st->told = NULL; /* of a transaction that was abandoned */
    }
    return rv;
}

apr_status_t rensei_store_commit(rensei_store_t *st, apr_pool_t *p,
                                 rensei_err_t *err)
{
    const apr_array_header_t *told = st->told;
    apr_status_t rv = rensei_conn_commit(&st->conn, p, err);
    int i;

    st->told = NULL;
    for (i = 0; rv == APR_SUCCESS && told && i < told->nelts; i++) {
        st->witness(st->witness_baton,
                    APR_ARRAY_IDX(told, i, const struct rensei_event_t *), p);
    }
    return rv;
}

void rensei_store_rollback(rensei_store_t *st)
{
    rensei_conn_rollback(&st->conn);
}

apr_status_t rensei_store_end(rensei_store_t *st, apr_status_t rv,
                              apr_pool_t *p, rensei_err_t *err)
{
    if (rv == APR_SUCCESS) {
        return rensei_store_commit(st, p, err);
    }
    rensei_conn_rollback(&st->conn);
    return rv;
}

int rensei_store_readonly(const rensei_store_t *st)
{
    return st->conn.readonly;
}

apr_pool_t *rensei_store_transaction(const rensei_store_t *st)
{
    return st->conn.tx;
}

void rensei_store_witness(rensei_store_t *st, rensei_witness_fn *fn,
                          void *baton)
{
    st->witness = fn;
    st->witness_baton = baton;
}

int rensei_store_witnessed(const rensei_store_t *st)
{
    return st->witness != NULL;
}

void rensei_store_tell(rensei_store_t *st, const struct rensei_event_t *ev)
{
    if (st->told == NULL) {
        st->told = apr_array_make(st->conn.tx, 4, sizeof(void *));
    }
    APR_ARRAY_PUSH(st->told, const struct rensei_event_t *) = ev;
}

/* In the caller's transaction: whoever is here holds the sequence's row, so
 * no two delete the same rows at once. */
static apr_status_t changes_forget(rensei_store_t *st, apr_pool_t *p,
                                   rensei_err_t *err)
{
    const char *before =
        rensei_store_num(rensei_store_now_ms(st) - RENSEI_CHANGES_KEPT, p);

    return rensei_store_exec(NULL, st, RENSEI_SQL_CHANGE_FORGET, &before, p,
                             err);
}

apr_status_t rensei_store_changed(rensei_store_t *st, const char *subject,
                                  apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    const char *args[3];
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_SEQUENCE_NEXT, NULL, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (rows.count != 1) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "The store has lost its change sequence.");
    }
    args[0] = rensei_rows_text(&rows, 0, 0);
    args[1] = subject;
    args[2] = rensei_store_num(rensei_store_now_ms(st), p);
    rv = rensei_store_exec(NULL, st, RENSEI_SQL_CHANGE_INSERT, args, p, err);
    return rv == APR_SUCCESS ? changes_forget(st, p, err) : rv;
}

apr_status_t rensei_store_changes(rensei_rows_t *out, rensei_store_t *st,
                                  apr_int64_t since, int limit, apr_pool_t *p,
                                  rensei_err_t *err)
{
    const char *args[] = {rensei_store_num(since, p),
                          rensei_store_num(limit, p)};

    return rensei_store_select(out, st, RENSEI_SQL_CHANGE_LIST, args, p, err);
}

const char *rensei_store_change_mark(const rensei_rows_t *rows, int row,
                                     apr_pool_t *p)
{
    const char *subject = rensei_rows_text(rows, row, 1);

    return subject ? apr_pstrcat(p, subject, " ",
                                 rensei_rows_text(rows, row, 2), NULL)
                   : NULL;
}

apr_status_t rensei_store_sequence_since(apr_int64_t *seq, const char **mark,
                                         rensei_store_t *st, apr_int64_t since,
                                         apr_pool_t *p, rensei_err_t *err)
{
    const char *arg = rensei_store_num(since, p);
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_SEQUENCE_SINCE, &arg, p, err);

    *seq = 0;
    *mark = NULL;
    if (rv == APR_SUCCESS && rows.count) {
        *seq = rensei_rows_int(&rows, 0, 0);
        *mark = rensei_store_change_mark(&rows, 0, p);
    }
    return rv;
}

apr_status_t rensei_store_sequence(apr_int64_t *seq, rensei_store_t *st,
                                   apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_SEQUENCE_GET, NULL, p, err);

    *seq = rv == APR_SUCCESS && rows.count ? rensei_rows_int(&rows, 0, 0) : 0;
    return rv;
}

const char *rensei_store_num(apr_int64_t n, apr_pool_t *p)
{
    char text[RENSEI_INT_LEN];

    return apr_pstrmemdup(p, text, rensei_int_write(text, n));
}

const char *rensei_store_opt(apr_int64_t n, apr_pool_t *p)
{
    return n ? rensei_store_num(n, p) : NULL;
}
