/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * A connection of mod_dbd's pool, as our modules use it: is it ready (settings,
 * migrations), and is the SQLite file it is on still the one by that name?
 *
 * Who has a file open goes on with it when it was removed, or another one was
 * put in its place: what he writes then is acknowledged, and lost. mod_dbd
 * does not look, makes a file where there is none, and lets nobody drop a
 * connection; so our modules open the file themselves beside mod_dbd's, which
 * stays for those who have statements prepared on it, and open it anew where
 * it was replaced. Where there is none, the store is away. The same goes for a
 * file that may not be written to: SQLite opens it for reading alone, and such
 * a connection never writes again.
 */
#ifndef RENSEI_HTTP_CONN_H
#define RENSEI_HTTP_CONN_H

#include "rensei_store.h"

#include <httpd.h>
#include <mod_dbd.h>

typedef struct rensei_http_conn_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_hash_t *prepared;
    apr_pool_t *pool; /* all of these live as long as it */
    const char *path; /* of the SQLite file; NULL: PostgreSQL */
    apr_uint64_t device, file;
    int ready;    /* for the caller: what is done once for a connection */
    int own;      /* opened by us beside mod_dbd's, and device and file known */
    int readonly; /* it cannot write, and never will: to be opened again */
} rensei_http_conn_t;

/** The connection for what mod_dbd gave, on the file that is there now. Kept
 * in dbd->prepared, so that all our modules share it.
 * @param p for temporary work
 * @return err UNAVAILABLE with the cause */
apr_status_t rensei_http_conn_get(rensei_http_conn_t **out, ap_dbd_t *dbd,
                                  server_rec *s, apr_pool_t *p,
                                  rensei_err_t *err);

/** Is the file still that one? Once this was true after a statement was run,
 * `renseictl db restore` leaves the file alone while the connection is open:
 * SQLite holds a lock on it. */
int rensei_http_conn_current(const rensei_http_conn_t *c);

/** Is there nothing at all in the SQLite file? */
int rensei_http_conn_empty(const rensei_http_conn_t *c);

#endif
