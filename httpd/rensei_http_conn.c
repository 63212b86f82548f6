/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_conn.h"
#include "rensei_http_log.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONN_KEY "rensei:conn"

static int file_see(apr_uint64_t *device, apr_uint64_t *file, const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return 0;
    }
    *device = (apr_uint64_t)st.st_dev;
    *file = (apr_uint64_t)st.st_ino;
    return 1;
}

static apr_status_t away(rensei_err_t *err, const char *cause)
{
    rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                   "The store is not available at the moment.");
    err->cause = cause;
    return APR_EGENERAL;
}

/* All three: where -shm is opened for reading alone, it is so for every
 * connection of this process, as long as there is one. */
static int writable(const char *path, apr_pool_t *p)
{
    static const char *const rest[] = {"", "-wal", "-shm"};
    int i;

    for (i = 0; i < 3; i++) {
        const char *name = apr_pstrcat(p, path, rest[i], NULL);

        if (faccessat(AT_FDCWD, name, W_OK, AT_EACCESS) != 0 &&
            errno != ENOENT) {
            return 0;
        }
    }
    return 1;
}

/* Which file mod_dbd has opened cannot be seen: a child that started while the
 * file was away has one that was made anew, and is nowhere now, but takes the
 * -wal beside the file that came back for its own. So of SQLite's, mod_dbd's
 * handle is asked for its name and nothing else. */
static apr_status_t conn_make(rensei_http_conn_t **out, ap_dbd_t *dbd,
                              apr_pool_t *p, rensei_err_t *err)
{
    rensei_http_conn_t *c = apr_pcalloc(dbd->pool, sizeof(*c));
    rensei_store_t *st;
    const char *path = NULL;
    apr_status_t rv;

    c->driver = dbd->driver;
    c->handle = dbd->handle;
    c->prepared = dbd->prepared;
    c->pool = dbd->pool;
    rensei_store_lazy(&st, NULL, NULL, rensei_sys_default(), p);
    rv = rensei_store_attach(st, c->driver, c->handle, c->prepared, c->pool, p,
                             err);
    if (rv == APR_SUCCESS) {
        rv = rensei_store_file(&path, st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return away(err, err->cause ? err->cause : err->text);
    }
    if (path && *path) {
        c->path = apr_pstrdup(c->pool, path);
    }
    apr_hash_set(dbd->prepared, CONN_KEY, APR_HASH_KEY_STRING, c);
    *out = c;
    return APR_SUCCESS;
}

static apr_status_t handle_close(void *data)
{
    rensei_http_conn_t *c = data;

    return apr_dbd_close(c->driver, c->handle);
}

/* Opens the file that is there now, beside mod_dbd's. Between two looks that
 * show the same file it was that one. */
static apr_status_t reopen(rensei_http_conn_t *c, ap_dbd_t *dbd, apr_pool_t *p,
                           rensei_err_t *err)
{
    rensei_http_conn_t *old = c->own ? c : NULL;
    rensei_http_conn_t fresh = *c;
    const char *cause = NULL;

    apr_pool_create(&fresh.pool, dbd->pool);
    if (!file_see(&fresh.device, &fresh.file, c->path) ||
        apr_dbd_open_ex(c->driver, fresh.pool, c->path, &fresh.handle,
                        &cause) != APR_SUCCESS) {
        cause = cause ? apr_pstrdup(p, cause) : "the store's file is gone";
        apr_pool_destroy(fresh.pool);
        return away(err, cause);
    }
    if (!rensei_http_conn_current(&fresh)) {
        apr_dbd_close(c->driver, fresh.handle);
        apr_pool_destroy(fresh.pool);
        return away(err, "the store's file is being replaced");
    }
    if (old) {
        apr_pool_destroy(old->pool);
    }
    fresh.prepared = apr_hash_make(fresh.pool);
    fresh.ready = 0;
    fresh.own = 1;
    fresh.readonly = 0;
    *c = fresh;
    apr_pool_cleanup_register(c->pool, c, handle_close, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

static apr_status_t renew(rensei_http_conn_t *c, ap_dbd_t *dbd, server_rec *s,
                          apr_pool_t *p, rensei_err_t *err)
{
    struct stat st;
    int first = !c->own, readonly = c->readonly;
    apr_status_t rv;

    if (stat(c->path, &st) != 0) {
        return away(err,
                    apr_psprintf(p, "the store's file %s is gone", c->path));
    }
    if (!writable(c->path, p)) {
        return away(err, apr_psprintf(p,
                                      "the store's file %s, or its -wal or "
                                      "-shm, cannot be written to",
                                      c->path));
    }
    rv = reopen(c, dbd, p, err);
    if (rv != APR_SUCCESS || first) {
        return rv;
    }
    if (readonly) {
        ap_log_error(RSLOG_MARK, APLOG_NOTICE, 0, s,
                     RSLOG(0121) "the store's file can be written to again: a "
                                 "connection was opened anew to %s",
                     c->path);
    }
    else {
        ap_log_error(RSLOG_MARK, APLOG_NOTICE, 0, s,
                     RSLOG(0120) "the store's file was replaced: a connection "
                                 "goes on with the new %s",
                     c->path);
    }
    return APR_SUCCESS;
}

apr_status_t rensei_http_conn_get(rensei_http_conn_t **out, ap_dbd_t *dbd,
                                  server_rec *s, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;

    *out = apr_hash_get(dbd->prepared, CONN_KEY, APR_HASH_KEY_STRING);
    if (!*out) {
        rv = conn_make(out, dbd, p, err);
    }
    if (rv == APR_SUCCESS &&
        ((*out)->readonly || !rensei_http_conn_current(*out))) {
        rv = renew(*out, dbd, s, p, err);
    }
    return rv;
}

int rensei_http_conn_current(const rensei_http_conn_t *c)
{
    apr_uint64_t device, file;

    return !c->path || (file_see(&device, &file, c->path) &&
                        device == c->device && file == c->file);
}

int rensei_http_conn_empty(const rensei_http_conn_t *c)
{
    struct stat st;

    return c->path && stat(c->path, &st) == 0 && st.st_size == 0;
}
