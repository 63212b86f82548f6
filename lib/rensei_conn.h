/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * One connection of apr_dbd, and what differs between the two drivers: when
 * a statement has to be prepared again, when a lost connection may be
 * replaced, how a transaction begins. Only rensei_store.c, rensei_schema.c and
 * rensei_backup.c use it; the rules see a rensei_store_t.
 */
#ifndef RENSEI_CONN_H
#define RENSEI_CONN_H

#include "rensei_store.h"

typedef struct rensei_conn_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_hash_t *prepared; /* name to apr_dbd_prepared_t, for pool's life */
    apr_pool_t *pool;     /* lives as long as the connection */
    int sqlite;           /* else PostgreSQL */
    apr_pool_t *tx;       /* the pool of the transaction in hand, or NULL */
    int tx_failed;        /* a statement of it failed: it must not commit */
    int readonly;         /* see rensei_store_readonly */
    int has_turn;         /* see rensei_turn.h */
    rensei_store_renew_fn *renew; /* NULL: apr_dbd_check_conn */
    void *renew_baton;
} rensei_conn_t;

/** The connection of a store; without a handle where it has none yet. */
rensei_conn_t *rensei_store_conn(rensei_store_t *st);

/** Runs a text without arguments. @param out NULL for one without rows */
apr_status_t rensei_conn_text(rensei_rows_t *out, rensei_conn_t *c,
                              const char *sql, apr_pool_t *p,
                              rensei_err_t *err);

/** Runs a statement by name, as rensei_store_select (out) and
 * rensei_store_exec (changed) say. */
apr_status_t rensei_conn_stmt(rensei_rows_t *out, int *changed,
                              rensei_conn_t *c, rensei_sql_e stmt,
                              const char *const *args, apr_pool_t *p,
                              rensei_err_t *err);

/** As rensei_store_begin, _commit, _rollback, _end say. */
apr_status_t rensei_conn_begin(rensei_conn_t *c, apr_pool_t *p,
                               rensei_err_t *err);
apr_status_t rensei_conn_commit(rensei_conn_t *c, apr_pool_t *p,
                                rensei_err_t *err);
void rensei_conn_rollback(rensei_conn_t *c);
apr_status_t rensei_conn_end(rensei_conn_t *c, apr_status_t rv, apr_pool_t *p,
                             rensei_err_t *err);

/** Did it fail because another connection holds SQLite's lock, so that it
 * may succeed when tried again? */
int rensei_conn_locked(const rensei_err_t *err);

#endif
