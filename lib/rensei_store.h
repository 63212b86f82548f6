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

/** The same without setting it up: leaves the file as it is. */
apr_status_t rensei_store_connect(rensei_store_t **out, const char *driver,
                                  const char *params, const rensei_sys_t *sys,
                                  apr_pool_t *p, rensei_err_t *err);

/** Gets the connection, when the first statement is about to be run: calls
 * rensei_store_attach, and what else the connection needs. Tried again with
 * the next statement after it failed. */
typedef apr_status_t rensei_store_connect_fn(rensei_store_t *st, void *baton,
                                             rensei_err_t *err);

/** A store over a connection that somebody else owns (mod_dbd), and that is
 * asked for only when it is needed. */
void rensei_store_lazy(rensei_store_t **out, rensei_store_connect_fn *connect,
                       void *baton, const rensei_sys_t *sys, apr_pool_t *p);

/** Gives the store its connection.
 * @param prepared the hash that lives as long as the connection, where our
 *   prepared statements are kept (ap_dbd_t's)
 * @param conn_pool the connection's pool
 * @return err INTERNAL for a driver that we do not know, the text in p */
apr_status_t rensei_store_attach(rensei_store_t *st,
                                 const apr_dbd_driver_t *driver,
                                 apr_dbd_t *handle, apr_hash_t *prepared,
                                 apr_pool_t *conn_pool, apr_pool_t *p,
                                 rensei_err_t *err);

/** The connection is its owner's again. The store's next statement asks for one
 * anew. */
void rensei_store_detach(rensei_store_t *st);

/** Replaces a lost connection of PostgreSQL, before a statement is tried once
 * more. @return other than APR_SUCCESS: there is none, or it is not to be */
typedef apr_status_t rensei_store_renew_fn(void *baton);

/** Sets it, in place of apr_dbd_check_conn. */
void rensei_store_renewal(rensei_store_t *st, rensei_store_renew_fn *renew,
                          void *baton);

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

/** The file that a SQLite connection is on: its path without links, as it was
 * when the file was opened. NULL for PostgreSQL. Reads nothing of the file. */
apr_status_t rensei_store_file(const char **file, rensei_store_t *st,
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
 * many as the statement has `%s`. A statement that failed because the schema
 * changed under it (SQLite), or outside a transaction because the connection
 * was lost (PostgreSQL), is tried once more: so outside of one, it must change
 * nothing.
 * @return err UNAVAILABLE with the driver's words as cause */
apr_status_t rensei_store_select(rensei_rows_t *out, rensei_store_t *st,
                                 rensei_sql_e stmt, const char *const *args,
                                 apr_pool_t *p, rensei_err_t *err);

/** Runs a statement that changes rows; *changed, where not NULL, is how many.
 * Where the connection is lost it is not tried again: it may have been done.
 * What has to outlast the loss of a connection that nobody used for a while
 * has a transaction of its own, whose BEGIN finds that out. */
apr_status_t rensei_store_exec(int *changed, rensei_store_t *st,
                               rensei_sql_e stmt, const char *const *args,
                               apr_pool_t *p, rensei_err_t *err);

/** Rows that somebody keeps who knows when they are out of date. */
typedef struct rensei_memory_t {
    /** @param as_of the number of a change (rensei_store_sequence): while it
     *   is the newest in the store, the row is there as it is here
     * @return 1, the row's cells in p; 0: the store is to be asked */
    int (*recall)(void *baton, rensei_rows_t *out, apr_int64_t *as_of,
                  const char *id, apr_pool_t *p);
    /** Of a row that recall did not know.
     * @param subjects what it depends on, up to a NULL: it holds until one of
     *   them is said to have changed (rensei_store_changed) */
    void (*remember)(void *baton, const char *id, const char *const *subjects,
                     const rensei_rows_t *row);
    void *baton;
} rensei_memory_t;

/** Gives the store a memory, which lives as long as it. */
void rensei_store_memory(rensei_store_t *st, const rensei_memory_t *memory);

/** The memory, or NULL. */
const rensei_memory_t *rensei_store_remembers(const rensei_store_t *st);

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

/** Did a change fail because SQLite could open the file for reading alone?
 * Such a connection stays what it is when the file can be written to again. */
int rensei_store_readonly(const rensei_store_t *st);

/** The pool of the transaction in hand, NULL where there is none: what is
 * allocated in it is there until the end of the transaction was told. */
apr_pool_t *rensei_store_transaction(const rensei_store_t *st);

/** Who is told of each audit event after its COMMIT, in the order they were
 * appended, never of one that was rolled back. He runs before the caller of
 * COMMIT goes on, and must not use the store.
 * @param p a pool for temporary work */
struct rensei_event_t;
typedef void rensei_witness_fn(void *baton, const struct rensei_event_t *ev,
                               apr_pool_t *p);
void rensei_store_witness(rensei_store_t *st, rensei_witness_fn *fn,
                          void *baton);

/** Is there one? */
int rensei_store_witnessed(const rensei_store_t *st);

/** Keeps the event for the witness until the transaction in hand ends.
 * @param ev lives as long as the pool of the transaction */
void rensei_store_tell(rensei_store_t *st, const struct rensei_event_t *ev);

/** Appends to the change sequence, in the transaction in hand: tells every
 * gateway that what it knows of this subject is out of date. Sequence numbers
 * have no gaps and are visible in order; rows older than RENSEI_CHANGES_KEPT
 * are forgotten, a few each time. */
apr_status_t rensei_store_changed(rensei_store_t *st, const char *subject,
                                  apr_pool_t *p, rensei_err_t *err);

/** How long a change can be followed (ms). */
#define RENSEI_CHANGES_KEPT (3600 * 1000)

/** The changes after `since`, at most `limit`: rows of (seq, subject, at).
 * Where a number is missing, or all up to rensei_store_sequence, they were
 * forgotten: then everything has to count as changed. */
apr_status_t rensei_store_changes(rensei_rows_t *out, rensei_store_t *st,
                                  apr_int64_t since, int limit, apr_pool_t *p,
                                  rensei_err_t *err);

/** What tells one change from another that has its number in another history
 * of the same store: where it was put back to an earlier state, or a standby
 * took over that had not got all, numbers are given again.
 * @return its subject and time as text, NULL where it is not there
 * @param rows of rensei_store_changes */
const char *rensei_store_change_mark(const rensei_rows_t *rows, int row,
                                     apr_pool_t *p);

/** The newest sequence number, and the mark of the change `since`. */
apr_status_t rensei_store_sequence_since(apr_int64_t *seq, const char **mark,
                                         rensei_store_t *st, apr_int64_t since,
                                         apr_pool_t *p, rensei_err_t *err);

/** The newest sequence number, 0 for none. */
apr_status_t rensei_store_sequence(apr_int64_t *seq, rensei_store_t *st,
                                   apr_pool_t *p, rensei_err_t *err);

/** Decimal text of a number, for args. */
const char *rensei_store_num(apr_int64_t n, apr_pool_t *p);

/** The same of a number whose 0 means none: NULL for 0. */
const char *rensei_store_opt(apr_int64_t n, apr_pool_t *p);

#endif
