/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_store.h"
#include "rensei_schema.h"
#include "rensei_turn.h"

#include <apr_dbd.h>
#include <mod_dbd.h>

/* Under this name a connection that is ready carries a mark. All our modules
 * share it, as they share the connections. */
#define READY_KEY "rensei:ready"

struct rensei_http_store_t {
    apr_pool_t *pool;
    server_rec *server;
    ap_dbd_t *dbd;
    rensei_store_t *store; /* NULL until it is wrapped */
};

static APR_OPTIONAL_FN_TYPE(ap_dbd_open) * dbd_open;
static APR_OPTIONAL_FN_TYPE(ap_dbd_close) * dbd_close;

void rensei_http_store_retrieve(void)
{
    dbd_open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    dbd_close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
}

void rensei_http_store_child_init(apr_pool_t *p, server_rec *s)
{
    rensei_turn_share(p);
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

    if (h->store) {
        rensei_store_rollback(h->store);
    }
    dbd_close(h->server, h->dbd);
    return APR_SUCCESS;
}

static apr_status_t unavailable(rensei_err_t *err, const char *cause)
{
    rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                   "The store is not available at the moment.");
    err->cause = cause;
    return APR_EGENERAL;
}

/* Nobody else prepares on this connection meanwhile: it is ours until it is
 * given back. The mark lives as long as the connection. */
static apr_status_t make_ready(rensei_http_store_t *h, rensei_err_t *err)
{
    apr_hash_t *prepared = h->dbd->prepared;
    int version = 0;
    int *mark;

    if (apr_hash_get(prepared, READY_KEY, APR_HASH_KEY_STRING)) {
        return APR_SUCCESS;
    }
    if (rensei_store_setup(h->store, h->pool, err) != APR_SUCCESS ||
        rensei_store_migrate(h->store, h->pool, err) != APR_SUCCESS ||
        rensei_store_version(&version, h->store, h->pool, err) != APR_SUCCESS) {
        return unavailable(err, err->cause ? err->cause : err->text);
    }
    if (version != RENSEI_SCHEMA_VERSION) {
        return unavailable(err, "the database has another schema version");
    }
    mark = apr_palloc(h->dbd->pool, sizeof(*mark));
    *mark = version;
    apr_hash_set(prepared, READY_KEY, APR_HASH_KEY_STRING, mark);
    return APR_SUCCESS;
}

static apr_status_t wrap(rensei_http_store_t *h, rensei_err_t *err)
{
    ap_dbd_t *dbd = h->dbd;

    if (rensei_store_wrap(&h->store, dbd->driver, dbd->handle, dbd->prepared,
                          dbd->pool, rensei_sys_default(), h->pool,
                          err) != APR_SUCCESS) {
        h->store = NULL;
        return unavailable(err, err->cause ? err->cause : err->text);
    }
    return make_ready(h, err);
}

apr_status_t rensei_http_store_open(rensei_http_store_t **out,
                                    rensei_store_t **store, server_rec *s,
                                    apr_pool_t *p, rensei_err_t *err)
{
    rensei_http_store_t *h = apr_pcalloc(p, sizeof(*h));
    apr_status_t rv;

    if (!rensei_http_store_available()) {
        return unavailable(err, "mod_dbd is not loaded");
    }
    h->pool = p;
    h->server = s;
    h->dbd = dbd_open(p, s);
    if (!h->dbd) {
        return unavailable(err, "mod_dbd gave no connection");
    }
    apr_pool_cleanup_register(p, h, give_back, apr_pool_cleanup_null);
    rv = wrap(h, err);
    if (rv != APR_SUCCESS) {
        rensei_http_store_close(h);
        return rv;
    }
    *out = h;
    *store = h->store;
    return APR_SUCCESS;
}

void rensei_http_store_close(rensei_http_store_t *h)
{
    apr_pool_cleanup_run(h->pool, h, give_back);
}
