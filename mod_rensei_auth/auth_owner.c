/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_owner.h"
#include "auth_conf.h"
#include "auth_last.h"
#include "auth_live.h"
#include "rensei_apikey.h"
#include "mod_rensei_auth.h"
#include "rensei_client_auth.h"
#include "rensei_http_log.h"
#include "rensei_http_store.h"
#include "rensei_worker.h"

#include <apr_strings.h>

APLOG_USE_MODULE(rensei_auth);

#define ABSENT_BYTES (64 * 1024)
#define ABSENT_MS 1000

/* A key that the store does not have. */
typedef struct absent_t {
    apr_uint64_t begun; /* auth_live_begin, before the store was asked */
    apr_int64_t at;     /* epoch ms */
} absent_t;

static rensei_cache_t *cache;

/* Apart, so that guesses push out guesses, and nobody who is there. */
static rensei_cache_t *absent;

void auth_owner_child_init(apr_pool_t *p, server_rec *s)
{
    apr_size_t bytes = auth_conf_cache(s);
    rensei_err_t err = {0};

    if (rensei_cache_create(&cache, bytes - bytes / AUTH_CACHE_ROWS_SHARE,
                            sizeof(owner_slot_t), auth_conf_threaded(),
                            rensei_sys_default(), p, &err) ||
        rensei_cache_create(&absent, ABSENT_BYTES, sizeof(absent_t), 0,
                            rensei_sys_default(), p, &err)) {
        cache = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     RSLOG(0020) "no cache in this process, each request asks "
                                 "the store: %s",
                     err.text);
    }
}

/* ---- what is remembered ---- */

/* Virtual hosts with different stores share the process and its cache: what
 * one store says of a credential is nothing to the others. A secret's claims
 * and all that a token is held against (keys, issuer, clocks) are the virtual
 * host's own. */
static apr_uint64_t space_of(const request_rec *r, auth_asked_e what)
{
    apr_uint64_t whose = what == ASKED_SECRET || what == ASKED_TOKEN
                             ? (apr_uint64_t)(apr_uintptr_t)r->server
                             : (apr_uint64_t)auth_server_conf(r->server)->store;

    return whose << 2 | (apr_uint64_t)what;
}

static int still_holds(const owner_slot_t *o, const request_rec *r)
{
    if (o->until != 0 && apr_time_as_msec(r->request_time) >= o->until) {
        return 0;
    }
    return o->alone ||
           (auth_live_fresh(r->server) &&
            auth_live_unchanged(o->bucket, o->generation, OWNER_DEPENDS));
}

static rensei_str_t part(const owner_slot_t *o, int i)
{
    const apr_uint16_t *from = &o->from[i];

    return (rensei_str_t){o->text + from[0],
                          (apr_size_t)(from[1] - from[0] - 1)};
}

static void point(auth_owner_t *k)
{
    k->id = part(&k->o, 0);
    k->org = part(&k->o, 1);
    k->workspace = part(&k->o, 2);
    k->scopes = part(&k->o, 3);
    k->more = part(&k->o, 4);
    k->claims = part(&k->o, 5);
    k->jti = part(&k->o, 6);
}

/* A secret is a client's own for good: no connection remembers it. */
static int is_shown(auth_asked_e what)
{
    return what == ASKED_KEY || what == ASKED_TOKEN;
}

static int cache_recall(owner_slot_t *o, request_rec *r, apr_uint64_t space,
                        auth_asked_t *asked)
{
    asked->name = rensei_cache_name(cache, space, asked->text.p, asked->text.n);
    if (rensei_cache_get(cache, asked->name, o) == 0 || !still_holds(o, r)) {
        return 0;
    }
    if (is_shown(asked->what)) {
        auth_last_put(o, asked, r, space);
    }
    return 1;
}

static int last_recall(owner_slot_t *o, request_rec *r, apr_uint64_t space,
                       auth_asked_t *asked)
{
    return is_shown(asked->what) && auth_last_get(o, asked, r, space) &&
           still_holds(o, r);
}

int auth_owner_recall(auth_owner_t *k, request_rec *r, auth_asked_t *asked)
{
    apr_uint64_t space = space_of(r, asked->what);

    if (!cache || (!last_recall(&k->o, r, space, asked) &&
                   !cache_recall(&k->o, r, space, asked))) {
        return 0;
    }
    point(k);
    k->lasting = 1;
    return 1;
}

/* @return 0 where the texts do not fit */
static int lay(owner_slot_t *o, const rensei_str_t text[OWNER_TEXTS])
{
    apr_size_t at = 0;
    int i;

    for (i = 0; i < OWNER_TEXTS; i++) {
        if (text[i].n >= sizeof(o->text) - at) {
            return 0;
        }
        o->from[i] = (apr_uint16_t)at;
        if (text[i].n > 0) {
            memcpy(o->text + at, text[i].p, text[i].n);
        }
        at += text[i].n;
        o->text[at++] = '\0';
    }
    o->from[OWNER_TEXTS] = (apr_uint16_t)at;
    return 1;
}

static rensei_str_t copied(rensei_str_t s, apr_pool_t *p)
{
    return (rensei_str_t){s.n > 0 ? apr_pstrmemdup(p, s.p, s.n) : "", s.n};
}

static void copy_texts(auth_owner_t *k, apr_pool_t *p)
{
    k->id = copied(k->id, p);
    k->org = copied(k->org, p);
    k->workspace = copied(k->workspace, p);
    k->scopes = copied(k->scopes, p);
    k->more = copied(k->more, p);
    k->claims = copied(k->claims, p);
    k->jti = copied(k->jti, p);
}

void auth_owner_settle(auth_owner_t *k, const auth_asked_t *asked,
                       apr_pool_t *p)
{
    const rensei_str_t text[OWNER_TEXTS] = {
        k->id, k->org, k->workspace, k->scopes, k->more, k->claims, k->jti};

    if (!lay(&k->o, text)) {
        copy_texts(k, p);
        return;
    }
    point(k);
    if (cache && k->lasting) {
        rensei_cache_put(cache, asked->name, &k->o, owner_slot_size(&k->o));
    }
}

/* Briefly, and only while nothing at all has changed. */
static int known_absent(request_rec *r, const auth_asked_t *asked)
{
    absent_t a;
    apr_int64_t age;

    if (!cache || asked->what != ASKED_KEY || !auth_live_fresh(r->server) ||
        rensei_cache_get(absent, asked->name, &a) == 0) {
        return 0;
    }
    age = apr_time_as_msec(r->request_time) - a.at;
    return age >= 0 && age < ABSENT_MS && auth_live_end(a.begun);
}

static void remember_absent(request_rec *r, const auth_asked_t *asked,
                            apr_uint64_t begun)
{
    absent_t a = {begun, apr_time_as_msec(r->request_time)};

    if (cache && asked->what == ASKED_KEY) {
        rensei_cache_put(absent, asked->name, &a, sizeof(a));
    }
}

static void depends_on(owner_slot_t *o, int i, const char *subject)
{
    o->bucket[i] = auth_live_bucket(subject, strlen(subject));
    o->generation[i] = auth_live_generation(o->bucket[i]);
}

/* @param workspace,key NULL: it has none, which is nothing to wait for */
static void depends_on_all(owner_slot_t *o, const char *id, const char *org,
                           const char *workspace, const char *key)
{
    depends_on(o, 0, id);
    depends_on(o, 1, org);
    depends_on(o, 2, workspace ? workspace : org);
    depends_on(o, 3, key ? key : org);
}

/* ---- asking the store ---- */

/* @param of what is suspended of what it belongs to: "organisation",
 *   "workspace", NULL */
static owner_state_e state_of(int revoked, int suspended, const char *of)
{
    if (revoked) {
        return OWNER_REVOKED;
    }
    if (of) {
        return *of == 'w' ? OWNER_WORKSPACE_SUSPENDED : OWNER_ORG_SUSPENDED;
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
    k->o.state = state_of(key.revoked_at != 0, 0, key.suspended);
    k->o.cls = key.cls;
    k->id = rensei_str(key.id);
    k->org = rensei_str(key.org);
    k->workspace = rensei_str(key.workspace);
    k->scopes = rensei_str(rensei_scopes_text(&key.scopes, p));
    depends_on_all(&k->o, key.id, key.org, key.workspace, NULL);
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
                          strcmp(c->status, "inactive") == 0, c->suspended);
    k->id = rensei_str(c->id);
    k->org = rensei_str(c->org);
    k->workspace = rensei_str(c->workspace);
    k->scopes = rensei_str(rensei_scopes_text(&c->scopes, p));
    k->more = rensei_str(revoked);
    depends_on_all(&k->o, c->id, c->org, c->workspace, NULL);
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
    k->o.state = state_of(w.revoked_at != 0 || w.key_revoked, 0, w.suspended);
    k->id = rensei_str(w.id);
    k->org = rensei_str(w.org);
    k->workspace = rensei_str(w.workspace);
    k->scopes = RENSEI_STR("*");
    k->more = rensei_str(w.key);
    k->o.expires_at = w.key_expires_at;
    depends_on_all(&k->o, w.id, w.org, w.workspace, w.key);
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
        k->o.expires_at = rensei_client_auth_end(&c);
    }
    return rv;
}

apr_status_t auth_owner_fetch(auth_owner_t *k, request_rec *r, auth_ask_fn *ask,
                              const auth_asked_t *asked, rensei_err_t *err)
{
    rensei_http_store_t *h;
    rensei_store_t *st;
    apr_uint64_t begun;
    apr_status_t rv;

    if (known_absent(r, asked)) {
        return rensei_err_set(err, RENSEI_E_NOT_FOUND, "There is none.");
    }
    memset(k, 0, sizeof(*k));
    begun = auth_live_begin();
    rv = rensei_http_store_open(&h, &st, r->server, r->pool, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = ask(k, st, asked, r->pool, err);
    rensei_http_store_close(h);
    if (rv == APR_SUCCESS) {
        k->lasting =
            auth_live_end(begun) && auth_server_conf(r->server)->store >= 0;
        auth_owner_settle(k, asked, r->pool);
    }
    else if (err->code == RENSEI_E_NOT_FOUND) {
        remember_absent(r, asked, begun);
    }
    return rv;
}

apr_status_t auth_owner_get(auth_owner_t *k, request_rec *r, auth_ask_fn *ask,
                            auth_asked_t *asked, rensei_err_t *err)
{
    return auth_owner_recall(k, r, asked)
               ? APR_SUCCESS
               : auth_owner_fetch(k, r, ask, asked, err);
}

/* ---- what it says ---- */

static apr_status_t refuse(rensei_err_t *err, const char *text)
{
    return rensei_err_set(err, RENSEI_E_INVALID_TOKEN, text);
}

apr_status_t auth_owner_check(const auth_owner_t *k, apr_int64_t now_ms,
                              rensei_err_t *err)
{
    switch ((owner_state_e)k->o.state) {
    case OWNER_REVOKED:
        return refuse(err, "The credential has been revoked.");
    case OWNER_SUSPENDED:
        return refuse(err, "The client is suspended.");
    case OWNER_ORG_SUSPENDED:
        return refuse(err, "The organisation is suspended.");
    case OWNER_WORKSPACE_SUSPENDED:
        return refuse(err, "The workspace is suspended.");
    case OWNER_GOOD:
        break;
    }
    if (k->o.expires_at != 0 && now_ms >= k->o.expires_at) {
        return refuse(err, "The credential has expired.");
    }
    return APR_SUCCESS;
}

int auth_owner_names(rensei_str_t list, rensei_str_t wanted)
{
    const char *at = list.p, *end = list.p + list.n;

    while (at < end) {
        const char *blank = memchr(at, ' ', (apr_size_t)(end - at));
        rensei_str_t one = {at, (apr_size_t)((blank ? blank : end) - at)};
        if (rensei_str_eq(one, wanted)) {
            return 1;
        }
        at += one.n + 1;
    }
    return 0;
}
