/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_store.h"
#include "mod_rensei_auth.h"
#include "rensei_http_conn.h"
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
    const char *failed; /* why there is no connection, or NULL */
};

static APR_OPTIONAL_FN_TYPE(ap_dbd_open) * dbd_open;
static APR_OPTIONAL_FN_TYPE(ap_dbd_close) * dbd_close;
static APR_OPTIONAL_FN_TYPE(rensei_auth_witness) * auth_witness;
static APR_OPTIONAL_FN_TYPE(rensei_auth_turn) * auth_turn;

void rensei_http_store_retrieve(void)
{
    dbd_open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    dbd_close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
    auth_witness = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_witness);
    auth_turn = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_turn);
}

void rensei_http_store_child_init(apr_pool_t *p, server_rec *s)
{
    rensei_turn_use(auth_turn ? auth_turn() : NULL);
}

int rensei_http_store_available(void)
{
    return dbd_open && dbd_close;
}

/* Runs once for each store, by rensei_http_store_close or by its pool. A
 * connection must not go back into mod_dbd's pool inside a transaction: the
 * next user's changes would be part of it. */
static apr_status_t give_back(void *data)
{
    rensei_http_store_t *h = data;

    if (h->dbd) {
        rensei_store_rollback(h->store);
        dbd_close(h->server, h->dbd);
        h->dbd = NULL;
    }
    return APR_SUCCESS;
}

static apr_status_t unavailable(rensei_err_t *err, const char *cause)
{
    rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                   "The store is not available at the moment.");
    err->cause = cause;
    return APR_EGENERAL;
}

/* mod_dbd makes the file anew where there is none. To put our tables into
 * that, while httpd runs, would be to forget all that it knew. */
static apr_status_t not_empty(rensei_http_store_t *h, rensei_err_t *err)
{
    int version = 0;
    apr_status_t rv = rensei_store_version(&version, h->store, h->pool, err);

    if (rv == APR_SUCCESS && version == 0) {
        return unavailable(err,
                           "the store's file was replaced by an empty one");
    }
    return rv;
}

/* Nobody else prepares on this connection meanwhile: it is ours until it is
 * given back. */
static apr_status_t make_ready(rensei_http_store_t *h, rensei_err_t *err)
{
    int version = 0;

    if (h->conn->ready) {
        return APR_SUCCESS;
    }
    if (rensei_store_setup(h->store, h->pool, err) != APR_SUCCESS ||
        (h->conn->replaced && not_empty(h, err) != APR_SUCCESS) ||
        rensei_store_migrate(h->store, h->pool, err) != APR_SUCCESS ||
        rensei_store_version(&version, h->store, h->pool, err) != APR_SUCCESS) {
        return unavailable(err, err->cause ? err->cause : err->text);
    }
    if (version != RENSEI_SCHEMA_VERSION) {
        return unavailable(err, "the database has another schema version");
    }
    if (!rensei_http_conn_current(h->conn)) {
        return unavailable(err, "the store's file was replaced just now");
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
    return make_ready(h, err);
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
    h->dbd = dbd_open(h->pool, h->server);
    if (!h->dbd) {
        h->failed = "mod_dbd gave no connection";
        return unavailable(err, h->failed);
    }
    apr_pool_cleanup_register(h->pool, h, give_back, apr_pool_cleanup_null);
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

apr_status_t rensei_http_store_open(rensei_http_store_t **out,
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

apr_uint64_t rensei_http_store_file(const rensei_http_store_t *h)
{
    return h->dbd && h->conn && h->conn->path ? h->conn->file : 0;
}

void rensei_http_store_close(rensei_http_store_t *h)
{
    if (h->dbd) {
        apr_pool_cleanup_run(h->pool, h, give_back);
    }
}
