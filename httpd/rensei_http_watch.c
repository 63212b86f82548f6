/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_watch.h"
#include "rensei_http_log.h"
#include "rensei_sys.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_EVERY apr_time_from_msec(200)

typedef int socket_fn(const void *conn);

struct rensei_http_watcher_t {
    pthread_mutex_t lock;
    rensei_http_watch_t *first;
    apr_interval_time_t timeout;
    socket_fn *socket_of; /* PQsocket */
    server_rec *server;
};

/* The driver brings libpq with it, and APR loads for all to see. Found when
 * it is needed, so that nothing here is linked with libpq. */
static socket_fn *socket_function(rensei_http_watcher_t *watcher)
{
    void *found;

    if (!watcher->socket_of && (found = dlsym(RTLD_DEFAULT, "PQsocket"))) {
        memcpy(&watcher->socket_of, &found, sizeof(found));
    }
    return watcher->socket_of;
}

/* A duplicate: libpq may close its own at any time, and the number be
 * another's by then. */
static int socket_of(rensei_http_watcher_t *watcher,
                     const apr_dbd_driver_t *driver, apr_dbd_t *handle)
{
    socket_fn *fn = socket_function(watcher);
    int own = fn ? fn(apr_dbd_native_handle(driver, handle)) : -1;

    return own >= 0 ? dup(own) : -1;
}

static void enlist(rensei_http_watch_t *w)
{
    rensei_http_watcher_t *watcher = w->watcher;

    pthread_mutex_lock(&watcher->lock);
    w->link = &watcher->first;
    w->next = watcher->first;
    if (w->next) {
        w->next->link = &w->next;
    }
    watcher->first = w;
    pthread_mutex_unlock(&watcher->lock);
}

int rensei_http_watch_for(const char *driver)
{
    return strcmp(driver, "pgsql") == 0;
}

void rensei_http_watch_begin(rensei_http_watch_t *w,
                             rensei_http_watcher_t *watcher,
                             const apr_dbd_driver_t *driver, apr_dbd_t *handle)
{
    if (!watcher || !rensei_http_watch_for(apr_dbd_name(driver))) {
        return;
    }
    w->socket = socket_of(watcher, driver, handle);
    if (w->socket < 0) {
        return;
    }
    w->watcher = watcher;
    w->since = rensei_sys_elapsed();
    w->ended = 0;
    enlist(w);
}

void rensei_http_watch_again(rensei_http_watch_t *w,
                             const apr_dbd_driver_t *driver, apr_dbd_t *handle)
{
    int fresh, old;

    if (!w->watcher) {
        return;
    }
    fresh = socket_of(w->watcher, driver, handle);
    pthread_mutex_lock(&w->watcher->lock);
    old = w->socket;
    w->socket = fresh;
    pthread_mutex_unlock(&w->watcher->lock);
    if (old >= 0) {
        close(old);
    }
}

void rensei_http_watch_end(rensei_http_watch_t *w)
{
    rensei_http_watcher_t *watcher = w->watcher;

    if (!watcher) {
        return;
    }
    pthread_mutex_lock(&watcher->lock);
    *w->link = w->next;
    if (w->next) {
        w->next->link = w->link;
    }
    pthread_mutex_unlock(&watcher->lock);
    if (w->socket >= 0) {
        close(w->socket);
    }
    w->watcher = NULL;
}

int rensei_http_watch_ended(rensei_http_watch_t *w)
{
    return __atomic_load_n(&w->ended, __ATOMIC_SEQ_CST);
}

void rensei_http_watcher_hurry(rensei_http_watcher_t *watcher,
                               apr_interval_time_t timeout)
{
    pthread_mutex_lock(&watcher->lock);
    if (watcher->timeout > timeout) {
        watcher->timeout = timeout;
    }
    pthread_mutex_unlock(&watcher->lock);
}

/* @return how many were ended */
static int look(rensei_http_watcher_t *watcher)
{
    apr_time_t now = rensei_sys_elapsed();
    rensei_http_watch_t *w;
    int n = 0;

    pthread_mutex_lock(&watcher->lock);
    for (w = watcher->first; w; w = w->next) {
        if (!w->ended && w->socket >= 0 && now - w->since >= watcher->timeout) {
            __atomic_store_n(&w->ended, 1, __ATOMIC_SEQ_CST);
            shutdown(w->socket, SHUT_RDWR);
            n++;
        }
    }
    pthread_mutex_unlock(&watcher->lock);
    return n;
}

/* To the end of the process: also while the child waits for its requests to
 * end. It touches nothing that a pool takes away before. */
static void *watch(void *data)
{
    rensei_http_watcher_t *watcher = data;
    const struct timespec every = {0, LOOK_EVERY * 1000};
    int n;

    for (;;) {
        nanosleep(&every, NULL);
        n = look(watcher);
        if (n > 0) {
            ap_log_error(RSLOG_MARK, APLOG_WARNING, 0, watcher->server,
                         RSLOG(0131) "the store gave no answer for %d s: %d "
                                     "of its connections ended",
                         (int)apr_time_sec(watcher->timeout), n);
        }
    }
    return NULL;
}

/* It must not get the signals that are meant for the MPM's threads. */
static int thread_start(rensei_http_watcher_t *watcher)
{
    sigset_t all, before;
    pthread_t thread;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, NULL, watch, watcher);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        pthread_detach(thread);
    }
    return rc;
}

rensei_http_watcher_t *rensei_http_watcher_create(apr_interval_time_t timeout,
                                                  server_rec *s)
{
    /* from no pool of the child's: the thread outlives them */
    rensei_http_watcher_t *watcher = calloc(1, sizeof(*watcher));
    int rc;

    if (!watcher) {
        return NULL;
    }
    pthread_mutex_init(&watcher->lock, NULL);
    watcher->timeout = timeout;
    watcher->server = s;
    rc = thread_start(watcher);
    if (rc != 0) {
        ap_log_error(RSLOG_MARK, APLOG_ERR, rc, s,
                     RSLOG(0132) "no thread to watch the store's connections: "
                                 "RenseiStoreTimeout does not hold in this "
                                 "process");
        free(watcher);
        return NULL;
    }
    return watcher;
}
