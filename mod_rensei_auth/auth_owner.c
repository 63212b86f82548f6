/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_owner.h"
#include "auth_conf.h"
#include "auth_live.h"
#include "rensei_apikey.h"
#include "mod_rensei_auth.h"
#include "rensei_client_auth.h"
#include "rensei_http_log.h"
#include "rensei_http_store.h"
#include "rensei_worker.h"

#include <apr_strings.h>
#include <stddef.h>

APLOG_USE_MODULE(rensei_auth);

#define CACHE_DEFAULT (8 * 1024 * 1024)

_Static_assert(sizeof(owner_slot_t) <= RENSEI_CACHE_VALUE_MAX,
               "an owner fits a slot of the cache");

static rensei_cache_t *cache;

void auth_owner_child_init(apr_pool_t *p, server_rec *s)
{
    apr_int64_t bytes = auth_server_conf(s)->cache_size;
    rensei_err_t err = {0};

    if (rensei_cache_create(&cache,
                            bytes > 0 ? (apr_size_t)bytes : CACHE_DEFAULT,
                            rensei_sys_default(), p, &err)) {
        cache = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     RSLOG(0020) "no cache in this process, each request asks "
                                 "the store: %s",
                     err.text);
    }
}

/* ---- what is remembered ---- */

static rensei_str_t part(const owner_slot_t *o, apr_uint16_t from,
                         apr_uint16_t to)
{
    rensei_str_t s = {o->text + from, (apr_size_t)(to - from)};
    return s;
}

static int still_holds(const owner_slot_t *o)
{
    int i;

    for (i = 0; i < 3; i++) {
        if (auth_live_generation(o->bucket[i]) != o->generation[i]) {
            return 0;
        }
    }
    return 1;
}

static int recall(auth_owner_t *k, request_rec *r, rensei_cache_name_t name)
{
    const owner_slot_t *o = &k->o;

    if (!cache || !auth_live_fresh(r->server) ||
        rensei_cache_get(cache, name, &k->o) == 0 || !still_holds(o)) {
        return 0;
    }
    k->id = part(o, o->id, o->org);
    k->org = part(o, o->org, o->workspace);
    k->workspace = part(o, o->workspace, o->scopes);
    k->scopes = part(o, o->scopes, o->more);
    k->more = part(o, o->more, o->claims);
    k->claims = part(o, o->claims, o->end);
    return 1;
}

static apr_uint16_t lay(owner_slot_t *o, apr_size_t *at, rensei_str_t s)
{
    apr_uint16_t from = (apr_uint16_t)*at;
    if (s.n > 0) {
        memcpy(o->text + *at, s.p, s.n);
    }
    *at += s.n;
    return from;
}

static void remember(auth_owner_t *k, rensei_cache_name_t name)
{
    owner_slot_t *o = &k->o;
    apr_size_t at = 0;

    if (!cache || k->id.n + k->org.n + k->workspace.n + k->scopes.n +
                          k->more.n + k->claims.n >
                      sizeof(o->text)) {
        return;
    }
    o->id = lay(o, &at, k->id);
    o->org = lay(o, &at, k->org);
    o->workspace = lay(o, &at, k->workspace);
    o->scopes = lay(o, &at, k->scopes);
    o->more = lay(o, &at, k->more);
    o->claims = lay(o, &at, k->claims);
    o->end = (apr_uint16_t)at;
    rensei_cache_put(cache, name, o, offsetof(owner_slot_t, text) + at);
}

static void depends_on(owner_slot_t *o, int i, const char *subject)
{
    o->bucket[i] = auth_live_bucket(subject, strlen(subject));
    o->generation[i] = auth_live_generation(o->bucket[i]);
}

static void depends_on_both(owner_slot_t *o, const char *id, const char *org)
{
    depends_on(o, 0, id);
    depends_on(o, 1, org);
    o->bucket[2] = o->bucket[1];
    o->generation[2] = o->generation[1];
}

/* ---- asking the store ---- */

static owner_state_e state_of(int revoked, int suspended, int org_active)
{
    if (revoked) {
        return OWNER_REVOKED;
    }
    if (!org_active) {
        return OWNER_ORG_SUSPENDED;
    }
    return suspended ? OWNER_SUSPENDED : OWNER_GOOD;
}

apr_status_t auth_ask_key(auth_owner_t *k, rensei_store_t *st,
                          const auth_asked_t *asked, apr_pool_t *p,
                          rensei_err_t *err)
{
    rensei_apikey_t key;
    apr_status_t rv =
        rensei_apikey_find(&key, st, asked->text.p, asked->text.n, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    k->o.expires_at = key.expires_at;
    k->o.state = state_of(key.revoked_at != 0, 0, key.org_active);
    k->o.cls = key.cls;
    k->id = rensei_str(key.id);
    k->org = rensei_str(key.org);
    k->workspace = rensei_str(key.workspace);
    k->scopes = rensei_str(rensei_scopes_text(&key.scopes, p));
    depends_on_both(&k->o, key.id, key.org);
    return APR_SUCCESS;
}

static APR_OPTIONAL_FN_TYPE(rensei_token_claims) * token_claims;

void auth_owner_retrieve(void)
{
    token_claims = APR_RETRIEVE_OPTIONAL_FN(rensei_token_claims);
}

static void client_known(auth_owner_t *k, const rensei_client_t *c,
                         apr_pool_t *p)
{
    const char *revoked = "";
    int i;

    for (i = 0; c->revoked_jti && c->revoked_jti[i]; i++) {
        revoked = apr_pstrcat(p, revoked, c->revoked_jti[i], " ", NULL);
    }
    k->o.expires_at = c->expires_at;
    k->o.tokens_after = c->tokens_after;
    k->o.many = c->revoked_more != 0;
    k->o.state = state_of(c->revoked_at != 0,
                          strcmp(c->status, "inactive") == 0, c->org_active);
    k->id = rensei_str(c->id);
    k->org = rensei_str(c->org);
    k->workspace = rensei_str(c->workspace);
    k->scopes = rensei_str(rensei_scopes_text(&c->scopes, p));
    k->more = rensei_str(revoked);
    depends_on_both(&k->o, c->id, c->org);
}

apr_status_t auth_ask_client(auth_owner_t *k, rensei_store_t *st,
                             const auth_asked_t *asked, apr_pool_t *p,
                             rensei_err_t *err)
{
    rensei_client_t c;
    const char *id = apr_pstrmemdup(p, asked->text.p, asked->text.n);
    apr_status_t rv = rensei_client_find(&c, st, id, p, err);

    if (rv == APR_SUCCESS) {
        client_known(k, &c, p);
    }
    return rv;
}

apr_status_t auth_ask_worker(auth_owner_t *k, rensei_store_t *st,
                             const auth_asked_t *asked, apr_pool_t *p,
                             rensei_err_t *err)
{
    rensei_worker_t w;
    const char *id = apr_pstrmemdup(p, asked->text.p, asked->text.n);
    apr_status_t rv = rensei_worker_find(&w, st, id, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    k->o.state = state_of(w.revoked_at != 0 || w.key_revoked, 0, w.org_active);
    k->id = rensei_str(w.id);
    k->org = rensei_str(w.org);
    k->workspace = rensei_str(w.workspace);
    k->scopes = RENSEI_STR("*");
    k->more = rensei_str(w.key);
    k->o.expires_at = w.key_expires_at;
    depends_on(&k->o, 0, w.id);
    depends_on(&k->o, 1, w.org);
    depends_on(&k->o, 2, w.key);
    return APR_SUCCESS;
}

apr_status_t auth_ask_secret(auth_owner_t *k, rensei_store_t *st,
                             const auth_asked_t *asked, apr_pool_t *p,
                             rensei_err_t *err)
{
    rensei_client_t c;
    apr_status_t rv =
        rensei_client_auth_secret(&c, st, asked->id, asked->secret,
                                  RENSEI_AUTH_BASIC, asked->actor, p, err);

    if (rv == APR_SUCCESS) {
        client_known(k, &c, p);
        k->more = rensei_str(rensei_scopes_text(&c.audiences, p));
        if (token_claims) {
            k->claims = rensei_str(token_claims(asked->server, &c, p));
        }
        if (c.secret_expires_at != 0 &&
            (c.expires_at == 0 || c.secret_expires_at < c.expires_at)) {
            k->o.expires_at = c.secret_expires_at;
        }
    }
    return rv;
}

/* Virtual hosts with different stores share the process and its cache: what
 * one store says of a credential is nothing to the others. */
static rensei_cache_name_t cache_name(const auth_asked_t *asked,
                                      const request_rec *r)
{
    rensei_cache_name_t name =
        rensei_cache_name(cache, asked->text.p, asked->text.n);
    name.w[1] += (apr_uint64_t)auth_server_conf(r->server)->store;
    if (asked->secret) { /* its claims are this virtual host's */
        name.w[0] ^= (apr_uint64_t)(apr_uintptr_t)r->server;
    }
    return name;
}

int auth_owner_recall(auth_owner_t *k, request_rec *r,
                      const auth_asked_t *asked)
{
    return cache && recall(k, r, cache_name(asked, r));
}

/* Asks the store, and then the cache knows. */
apr_status_t auth_owner_fetch(auth_owner_t *k, request_rec *r, auth_ask_fn *ask,
                              const auth_asked_t *asked, rensei_err_t *err)
{
    rensei_http_store_t *h;
    rensei_store_t *st;
    apr_uint64_t begun;
    apr_status_t rv;

    memset(k, 0, sizeof(*k));
    begun = auth_live_begin();
    rv = rensei_http_store_open(&h, &st, r->server, r->pool, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = ask(k, st, asked, r->pool, err);
    rensei_http_store_close(h);
    if (rv == APR_SUCCESS && cache && auth_live_end(begun) &&
        auth_server_conf(r->server)->store >= 0) {
        remember(k, cache_name(asked, r));
    }
    return rv;
}

apr_status_t auth_owner_get(auth_owner_t *k, request_rec *r, auth_ask_fn *ask,
                            const auth_asked_t *asked, rensei_err_t *err)
{
    return auth_owner_recall(k, r, asked)
               ? APR_SUCCESS
               : auth_owner_fetch(k, r, ask, asked, err);
}
