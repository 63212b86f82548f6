/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_store.h"
#include "mod_rensei_auth.h"
#include "rensei_http_conn.h"
#include "rensei_http_gate.h"
#include "rensei_http_watch.h"
#include "rensei_schema.h"
#include "rensei_turn.h"

#include <apr_dbd.h>
#include <mod_dbd.h>

struct rensei_http_store_t {
    apr_pool_t *pool;
    server_rec *server;
    ap_dbd_t *dbd; /* NULL until it is needed */
    rensei_http_conn_t *conn;
    rensei_store_t *store;
    const char *failed;       /* why there is no connection, or NULL */
    rensei_http_gate_t *gate; /* NULL: it needs no place */
    apr_time_t entered;
    int inside; /* it has a place */
    int kept;   /* its pool gives back what it has */
    rensei_http_watch_t watch;
};

static APR_OPTIONAL_FN_TYPE(ap_dbd_open) * dbd_open;
static APR_OPTIONAL_FN_TYPE(ap_dbd_close) * dbd_close;
static APR_OPTIONAL_FN_TYPE(rensei_auth_witness) * auth_witness;
static APR_OPTIONAL_FN_TYPE(rensei_auth_turn) * auth_turn;
static APR_OPTIONAL_FN_TYPE(rensei_auth_gate) * auth_gate;
static APR_OPTIONAL_FN_TYPE(rensei_auth_watcher) * auth_watcher;
static APR_OPTIONAL_FN_TYPE(rensei_auth_filled) * auth_filled;
static APR_OPTIONAL_FN_TYPE(rensei_auth_seen_filled) * auth_seen_filled;

void rensei_http_store_retrieve(void)
{
    dbd_open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    dbd_close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
    auth_witness = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_witness);
    auth_turn = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_turn);
    auth_gate = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_gate);
    auth_watcher = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_watcher);
    auth_filled = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_filled);
    auth_seen_filled = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_seen_filled);
}

void rensei_http_store_child_init(apr_pool_t *p, server_rec *s)
{
    rensei_turn_use(auth_turn ? auth_turn() : NULL);
}

int rensei_http_store_available(void)
{
    return dbd_open && dbd_close;
}

/* Run by rensei_http_store_close or by the pool. A connection must not go back
 * into mod_dbd's pool inside a transaction: the next user's changes would be
 * part of it. */
static apr_status_t give_back(void *data)
{
    rensei_http_store_t *h = data;

    if (h->dbd) {
        rensei_store_rollback(h->store);
        if (h->conn && rensei_store_readonly(h->store)) {
            h->conn->readonly = 1;
        }
        rensei_http_watch_end(&h->watch);
        rensei_store_detach(h->store);
        dbd_close(h->server, h->dbd);
        h->dbd = NULL;
    }
    if (h->inside) {
        h->inside = 0;
        rensei_http_gate_leave(h->gate, h->entered);
    }
    h->kept = 0;
    return APR_SUCCESS;
}

static void keep(rensei_http_store_t *h)
{
    if (!h->kept) {
        h->kept = 1;
        apr_pool_cleanup_register(h->pool, h, give_back, apr_pool_cleanup_null);
    }
}

static apr_status_t unavailable(rensei_err_t *err, const char *cause)
{
    rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                   "The store is not available at the moment.");
    err->cause = cause;
    return APR_EGENERAL;
}

apr_status_t rensei_http_store_enter(rensei_http_store_t *h, rensei_err_t *err)
{
    if (!h->gate || h->inside) {
        return APR_SUCCESS;
    }
    if (!rensei_http_gate_enter(h->gate, &h->entered)) {
        return unavailable(err, "too many requests wait for the store");
    }
    h->inside = 1;
    keep(h);
    return APR_SUCCESS;
}

/* Of a connection that was lost. Not when it was ended because it gave no
 * answer: the next one might not either. */
static apr_status_t renew(void *baton)
{
    rensei_http_store_t *h = baton;
    rensei_http_conn_t *c = h->conn;
    apr_status_t rv = APR_TIMEUP;

    if (!rensei_http_watch_ended(&h->watch)) {
        rv = apr_dbd_check_conn(c->driver, h->pool, c->handle);
    }
    if (rv == APR_SUCCESS) {
        rensei_http_watch_again(&h->watch, c->driver, c->handle);
    }
    return rv;
}

static void watch(rensei_http_store_t *h)
{
    rensei_http_watch_begin(&h->watch, auth_watcher ? auth_watcher() : NULL,
                            h->conn->driver, h->conn->handle);
}

/* mod_dbd makes the file anew where there is none. To put our tables into
 * that, while httpd runs, would be to forget all that it knew. */
static apr_status_t emptied(const rensei_http_store_t *h, rensei_err_t *err)
{
    return auth_filled && auth_filled(h->server)
               ? unavailable(err, h->conn->path
                                      ? "the store's file was replaced by an "
                                        "empty one"
                                      : "the database has lost its tables")
               : APR_SUCCESS;
}

/* A migration may take its time. */
static apr_status_t migrate(rensei_http_store_t *h, int version,
                            rensei_err_t *err)
{
    apr_status_t rv = version == 0 ? emptied(h, err) : APR_SUCCESS;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rensei_http_watch_end(&h->watch);
    rv = rensei_store_migrate(h->store, h->pool, err);
    watch(h);
    return rv;
}

static apr_status_t schema_check(rensei_http_store_t *h, rensei_err_t *err)
{
    int version = 0;
    apr_status_t rv = rensei_store_version(&version, h->store, h->pool, err);

    if (rv == APR_SUCCESS && version != RENSEI_SCHEMA_VERSION) {
        rv = migrate(h, version, err);
        if (rv == APR_SUCCESS) {
            rv = rensei_store_version(&version, h->store, h->pool, err);
        }
    }
    if (rv == APR_SUCCESS && version != RENSEI_SCHEMA_VERSION) {
        rv = unavailable(err, "the database has another schema version");
    }
    return rv;
}

/* Nobody else prepares on this connection meanwhile: it is ours until it is
 * given back. */
static apr_status_t make_ready(rensei_http_store_t *h, rensei_err_t *err)
{
    if (h->conn->ready) {
        return APR_SUCCESS;
    }
    /* Before any statement: SQLite takes a -wal beside an empty file for what
     * was left of another, and removes it. */
    if (rensei_http_conn_empty(h->conn) && emptied(h, err) != APR_SUCCESS) {
        return APR_EGENERAL;
    }
    if (rensei_store_setup(h->store, h->pool, err) != APR_SUCCESS ||
        schema_check(h, err) != APR_SUCCESS) {
        return unavailable(err, err->cause ? err->cause : err->text);
    }
    if (!rensei_http_conn_current(h->conn)) {
        return unavailable(err, "the store's file was replaced just now");
    }
    if (auth_seen_filled) {
        auth_seen_filled(h->server);
    }
    h->conn->ready = 1;
    return APR_SUCCESS;
}

static apr_status_t attach(rensei_http_store_t *h, rensei_err_t *err)
{
    rensei_http_conn_t *c;

    if (rensei_http_conn_get(&h->conn, h->dbd, h->server, h->pool, err) !=
        APR_SUCCESS) {
        return APR_EGENERAL;
    }
    c = h->conn;
    if (rensei_store_attach(h->store, c->driver, c->handle, c->prepared,
                            c->pool, h->pool, err) != APR_SUCCESS) {
        return unavailable(err, err->cause ? err->cause : err->text);
    }
    rensei_store_renewal(h->store, renew, h);
    watch(h);
    return make_ready(h, err);
}

static ap_dbd_t *take_turn(rensei_http_store_t *h)
{
    ap_dbd_t *dbd;

    if (!h->gate) {
        return dbd_open(h->pool, h->server);
    }
    if (!rensei_http_gate_turn(h->gate, h->entered)) {
        return NULL;
    }
    dbd = dbd_open(h->pool, h->server);
    rensei_http_gate_next(h->gate);
    return dbd;
}

static apr_status_t connect_now(rensei_store_t *st, void *baton,
                                rensei_err_t *err)
{
    rensei_http_store_t *h = baton;

    /* What failed once fails again: not every statement of a request is to
     * wait for a database that is away. */
    if (h->failed) {
        return unavailable(err, h->failed);
    }
    if (rensei_http_store_enter(h, err) != APR_SUCCESS) {
        h->failed = err->cause;
        return APR_EGENERAL;
    }
    h->dbd = take_turn(h);
    if (!h->dbd) {
        rensei_http_store_close(h);
        h->failed = "mod_dbd gave no connection";
        return unavailable(err, h->failed);
    }
    keep(h);
    if (attach(h, err) != APR_SUCCESS) {
        h->failed = err->cause;
        rensei_http_store_close(h);
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

static void set_witness(rensei_http_store_t *h)
{
    void *baton = NULL;
    rensei_witness_fn *fn =
        auth_witness ? auth_witness(h->server, &baton) : NULL;

    rensei_store_witness(h->store, fn, baton);
}

apr_status_t rensei_http_store_open_own(rensei_http_store_t **out,
                                        rensei_store_t **store, server_rec *s,
                                        apr_pool_t *p, rensei_err_t *err)
{
    rensei_http_store_t *h;

    if (!rensei_http_store_available()) {
        return unavailable(err, "mod_dbd is not loaded");
    }
    h = apr_pcalloc(p, sizeof(*h));
    h->pool = p;
    h->server = s;
    rensei_store_lazy(&h->store, connect_now, h, rensei_sys_default(), p);
    set_witness(h);
    *out = h;
    *store = h->store;
    return APR_SUCCESS;
}

apr_status_t rensei_http_store_open(rensei_http_store_t **out,
                                    rensei_store_t **store, server_rec *s,
                                    apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_http_store_open_own(out, store, s, p, err);

    if (rv == APR_SUCCESS && auth_gate) {
        (*out)->gate = auth_gate(s);
    }
    return rv;
}

apr_uint64_t rensei_http_store_file(const rensei_http_store_t *h)
{
    return h->dbd && h->conn && h->conn->path ? h->conn->file : 0;
}

void rensei_http_store_close(rensei_http_store_t *h)
{
    if (h->kept) {
        apr_pool_cleanup_run(h->pool, h, give_back);
    }
}
