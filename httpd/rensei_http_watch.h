/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Ends connections to PostgreSQL on which somebody has waited for too long
 * (RenseiStoreTimeout). libpq waits without limit for a server that took the
 * statement and does not answer; shutting its socket down, from another
 * thread, makes it give up with an error.
 *
 * SQLite's driver has limits of its own.
 */
#ifndef RENSEI_HTTP_WATCH_H
#define RENSEI_HTTP_WATCH_H

#include <apr_dbd.h>
#include <apr_time.h>
#include <httpd.h>

/* Of a process. */
typedef struct rensei_http_watcher_t rensei_http_watcher_t;

/* One use of a connection; all 0 before the first call. */
typedef struct rensei_http_watch_t {
    rensei_http_watcher_t *watcher; /* NULL: it is not watched */
    struct rensei_http_watch_t *next, **link;
    apr_time_t since;
    int socket;
    int ended; /* it took too long */
} rensei_http_watch_t;

/** Are connections of that driver ("pgsql") watched? */
int rensei_http_watch_for(const char *driver);

/** In child_init: starts the thread that watches.
 * @param timeout after which a connection is ended */
rensei_http_watcher_t *rensei_http_watcher_create(apr_interval_time_t timeout,
                                                  server_rec *s);

/** The process is about to end: from now on nobody waits longer than that. */
void rensei_http_watcher_hurry(rensei_http_watcher_t *watcher,
                               apr_interval_time_t timeout);

/** From now on the connection is watched. Nothing happens where it is not
 * PostgreSQL's, or the watcher is NULL. */
void rensei_http_watch_begin(rensei_http_watch_t *w,
                             rensei_http_watcher_t *watcher,
                             const apr_dbd_driver_t *driver, apr_dbd_t *handle);

/** The same use goes on with another socket: the lost one was replaced. */
void rensei_http_watch_again(rensei_http_watch_t *w,
                             const apr_dbd_driver_t *driver, apr_dbd_t *handle);

/** No longer. */
void rensei_http_watch_end(rensei_http_watch_t *w);

/** Was it ended, because it took too long? */
int rensei_http_watch_ended(rensei_http_watch_t *w);

#endif
