/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The store: one connection of apr_dbd (SQLite or PostgreSQL), with our
 * statements prepared on it when they are first used, transactions, and the
 * migrations. It hides what differs between the drivers and what goes wrong
 * with them; the SQL itself is in rensei_sql.c alone, one statement a name.
 *
 * A rensei_store_t serves one thread at a time.
 */
#ifndef RENSEI_STORE_H
#define RENSEI_STORE_H

#include "rensei_err.h"
#include "rensei_sql.h"
#include "rensei_sys.h"

#include <apr_dbd.h>
#include <apr_hash.h>

typedef struct rensei_store_t rensei_store_t;

/** Opens a connection of one's own (renseictl, unit tests) and sets it up as
 * rensei_store_setup does. Closed with p.
 * @param driver "sqlite3" or "pgsql"
 * @param params what DBDParams takes: a file (made, for its owner alone, when
 *   it is not there), or a conninfo string
 * @param sys clock and randomness for all rules on this store */
apr_status_t rensei_store_open(rensei_store_t **out, const char *driver,
                               const char *params, const rensei_sys_t *sys,
                               apr_pool_t *p, rensei_err_t *err);

/** A store over a connection that somebody else owns (mod_dbd).
 * @param prepared the hash that lives as long as the connection, where our
 *   prepared statements are kept (ap_dbd_t's)
 * @param conn_pool the connection's pool; out is allocated in p */
apr_status_t rensei_store_wrap(rensei_store_t **out,
                               const apr_dbd_driver_t *driver,
                               apr_dbd_t *handle, apr_hash_t *prepared,
                               apr_pool_t *conn_pool, const rensei_sys_t *sys,
                               apr_pool_t *p, rensei_err_t *err);

/** Settings that each new connection needs (busy_timeout, WAL and
 * synchronous=FULL on SQLite). */
apr_status_t rensei_store_setup(rensei_store_t *st, apr_pool_t *p,
                                rensei_err_t *err);

/** Brings the schema to the version this build knows: under a lock, each
 * step once, with retries while another process does the same.
 * @return err UNAVAILABLE when the database does not let us, INTERNAL when
 *   the schema is newer than this build. */
apr_status_t rensei_store_migrate(rensei_store_t *st, apr_pool_t *p,
                                  rensei_err_t *err);

/** The schema's version, 0 for an empty database; RENSEI_SCHEMA_VERSION is
 * what this build wants. */
apr_status_t rensei_store_version(int *version, rensei_store_t *st,
                                  apr_pool_t *p, rensei_err_t *err);

const rensei_sys_t *rensei_store_sys(const rensei_store_t *st);
apr_int64_t rensei_store_now_ms(const rensei_store_t *st);

/** Rows, copied whole into the pool; every statement has a LIMIT or a key. */
typedef struct rensei_rows_t {
    int count;
    int cols;
    const char **cell; /* count * cols; NULL is SQL's NULL */
} rensei_rows_t;

const char *rensei_rows_text(const rensei_rows_t *rows, int row, int col);
/** 0 for NULL. */
apr_int64_t rensei_rows_int(const rensei_rows_t *rows, int row, int col);

/** Runs a statement that gives rows. args are texts, NULL for SQL's NULL, as
 * many as the statement has `%s` (rensei_sql_args). A statement that failed
 * because the schema changed under it (SQLite), or outside a transaction
 * because the connection was lost (PostgreSQL), is tried once more.
 * @return err UNAVAILABLE with the driver's words as cause */
apr_status_t rensei_store_select(rensei_rows_t *out, rensei_store_t *st,
                                 rensei_sql_e stmt, const char *const *args,
                                 apr_pool_t *p, rensei_err_t *err);

/** Runs a statement that changes rows; *changed, where not NULL, is how many.
 */
apr_status_t rensei_store_exec(int *changed, rensei_store_t *st,
                               rensei_sql_e stmt, const char *const *args,
                               apr_pool_t *p, rensei_err_t *err);

/** Starts a transaction that writes (BEGIN IMMEDIATE on SQLite). When p goes
 * before the end is said, it is rolled back, never committed. */
apr_status_t rensei_store_begin(rensei_store_t *st, apr_pool_t *p,
                                rensei_err_t *err);
apr_status_t rensei_store_commit(rensei_store_t *st, apr_pool_t *p,
                                 rensei_err_t *err);
void rensei_store_rollback(rensei_store_t *st);

/** Ends the transaction as rv says: commits on APR_SUCCESS, else rolls back.
 * @return rv, or that of a COMMIT that failed */
apr_status_t rensei_store_end(rensei_store_t *st, apr_status_t rv,
                              apr_pool_t *p, rensei_err_t *err);

/** Appends to the change sequence, in the transaction in hand: tells every
 * gateway that what it knows of this subject is out of date. Sequence numbers
 * have no gaps and are visible in order. */
apr_status_t rensei_store_changed(rensei_store_t *st, const char *subject,
                                  apr_pool_t *p, rensei_err_t *err);

/** The changes after `since`, at most `limit`: rows of (seq, subject). */
apr_status_t rensei_store_changes(rensei_rows_t *out, rensei_store_t *st,
                                  apr_int64_t since, int limit, apr_pool_t *p,
                                  rensei_err_t *err);

/** The newest sequence number, 0 for none. */
apr_status_t rensei_store_sequence(apr_int64_t *seq, rensei_store_t *st,
                                   apr_pool_t *p, rensei_err_t *err);

/** Decimal text of a number, for args. */
const char *rensei_store_num(apr_int64_t n, apr_pool_t *p);

/** The same of a number whose 0 means none: NULL for 0. */
const char *rensei_store_opt(apr_int64_t n, apr_pool_t *p);

#endif
