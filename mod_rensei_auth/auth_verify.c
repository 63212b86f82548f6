/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_verify.h"
#include "auth_conf.h"
#include "auth_live.h"
#include "auth_owner.h"
#include "auth_used.h"
#include "rensei_client.h"
#include "rensei_http_basic.h"
#include "rensei_http_reply.h"
#include "rensei_http_store.h"
#include "rensei_id.h"
#include "rensei_revocation.h"

#include <apr_strings.h>
#include <openssl/crypto.h>

static apr_status_t refuse(rensei_err_t *err, const char *text)
{
    return rensei_err_set(err, RENSEI_E_INVALID_TOKEN, text);
}

/* An absent owner is a bad credential; a store that failed is not. */
static apr_status_t absent(rensei_err_t *err, apr_status_t rv, const char *text)
{
    return err->code == RENSEI_E_NOT_FOUND ? refuse(err, text) : rv;
}

static apr_status_t check_state(const auth_owner_t *k, apr_int64_t now_ms,
                                rensei_err_t *err)
{
    switch ((owner_state_e)k->o.state) {
    case OWNER_REVOKED:
        return refuse(err, "The credential has been revoked.");
    case OWNER_SUSPENDED:
        return refuse(err, "The client is suspended.");
    case OWNER_ORG_SUSPENDED:
        return refuse(err, "The organisation is suspended.");
    case OWNER_GOOD:
        break;
    }
    if (k->o.expires_at != 0 && now_ms >= k->o.expires_at) {
        return refuse(err, "The credential has expired.");
    }
    return APR_SUCCESS;
}

/* ---- API keys ---- */

static const char *text_of(rensei_str_t s, apr_pool_t *p)
{
    return s.n > 0 ? apr_pstrmemdup(p, s.p, s.n) : NULL;
}

static apr_status_t verify_key(rensei_principal_t *pr, request_rec *r,
                               rensei_str_t credential, int accept,
                               rensei_err_t *err)
{
    auth_owner_t *k = apr_palloc(r->pool, sizeof(*k));
    apr_int64_t now = apr_time_as_msec(r->request_time);
    auth_asked_t asked = {.text = credential};
    apr_status_t rv;

    if (!rensei_secret_valid(RENSEI_SECRET_KEY, credential.p, credential.n)) {
        return refuse(err, "The API key is malformed.");
    }
    rv = auth_owner_get(k, r, auth_ask_key, &asked, err);
    if (rv != APR_SUCCESS) {
        return absent(err, rv, "The API key is not known.");
    }
    rv = check_state(k, now, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (k->o.cls == RENSEI_CLASS_REGISTRATION ? !(accept & ACCEPT_REGISTRATION)
                                              : !(accept & RENSEI_KIND_KEY)) {
        return refuse(err, "An API key of this type is not accepted here.");
    }
    pr->kind = RENSEI_KIND_KEY;
    pr->cls = k->o.cls;
    pr->sub = pr->credential = text_of(k->id, r->pool);
    pr->org = text_of(k->org, r->pool);
    pr->workspace = text_of(k->workspace, r->pool);
    pr->expires_at = k->o.expires_at;
    auth_used_note(auth_server_conf(r->server)->store, pr->sub, now);
    return rensei_scopes_parse(&pr->scopes, k->scopes.p, k->scopes.n, r->pool,
                               err);
}

/* ---- tokens ---- */

static void principal_of_claims(rensei_principal_t *pr,
                                const rensei_claims_t *c, apr_pool_t *p)
{
    int worker = c->typ == RENSEI_TYP_WORKER;

    pr->kind = worker ? RENSEI_KIND_WORKER : RENSEI_KIND_M2M;
    pr->cls = worker ? RENSEI_CLASS_WORKER : RENSEI_CLASS_M2M;
    pr->sub = text_of(c->sub, p);
    pr->org = text_of(c->org, p);
    pr->workspace = text_of(c->workspace, p);
    pr->credential = c->jti.n > 0 ? text_of(c->jti, p) : pr->sub;
    pr->scopes = c->scopes;
    pr->expires_at = c->exp * 1000;
    pr->claims = c->payload;
}

/* Few tokens are ever revoked one by one; where they are more than the cache
 * keeps of a client, the store is asked about each. */
static apr_status_t ask_revoked(int *revoked, request_rec *r, rensei_str_t sub,
                                rensei_str_t jti, rensei_err_t *err)
{
    const char *client = apr_pstrmemdup(r->pool, sub.p, sub.n);
    const char *text = apr_pstrmemdup(r->pool, jti.p, jti.n);
    rensei_http_store_t *h;
    rensei_store_t *st;
    apr_status_t rv = rensei_http_store_open(&h, &st, r->server, r->pool, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_token_revoked(revoked, st, client, text, r->pool, err);
        rensei_http_store_close(h);
    }
    return rv;
}

static int names(rensei_str_t list, rensei_str_t jti)
{
    const char *at = list.p, *end = list.p + list.n;

    while (at < end) {
        const char *blank = memchr(at, ' ', (apr_size_t)(end - at));
        rensei_str_t one = {at, (apr_size_t)((blank ? blank : end) - at)};
        if (rensei_str_eq(one, jti)) {
            return 1;
        }
        at += one.n + 1;
    }
    return 0;
}

static apr_status_t check_token(const auth_owner_t *k, request_rec *r,
                                const rensei_claims_t *c, rensei_err_t *err)
{
    static const char *none[] = {NULL};
    rensei_client_t cut_off = {.tokens_after = k->o.tokens_after,
                               .revoked_jti = none};
    int revoked =
        names(k->more, c->jti) || rensei_token_dead(&cut_off, c->jti, c->iat);
    apr_status_t rv = APR_SUCCESS;

    if (!revoked && k->o.many && c->jti.n > 0) {
        rv = ask_revoked(&revoked, r, c->sub, c->jti, err);
    }
    if (rv == APR_SUCCESS && revoked) {
        rv = refuse(err, "The token has been revoked.");
    }
    return rv;
}

/* What the token says was true when it was issued; what its owner may do now
 * is for the store to say. */
static apr_status_t check_owner(rensei_principal_t *pr, request_rec *r,
                                const rensei_claims_t *c, rensei_err_t *err)
{
    auth_owner_t *k = apr_palloc(r->pool, sizeof(*k));
    auth_asked_t asked = {.text = c->sub};
    rensei_scopes_t now_has;
    apr_status_t rv;

    rv = auth_owner_get(k, r,
                        pr->kind == RENSEI_KIND_WORKER ? auth_ask_worker
                                                       : auth_ask_client,
                        &asked, err);
    if (rv != APR_SUCCESS) {
        return absent(err, rv, "The token's client is not known.");
    }
    if (!rensei_str_eq(k->org, c->org)) {
        return refuse(err, "The token's organisation is not its client's.");
    }
    rv = check_state(k, apr_time_as_msec(r->request_time), err);
    if (rv == APR_SUCCESS && pr->kind == RENSEI_KIND_M2M) {
        rv = check_token(k, r, c, err);
    }
    else if (rv == APR_SUCCESS && !rensei_str_eq(k->more, c->reg)) {
        rv = refuse(err, "The token's registration key is not its worker's.");
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_scopes_parse(&now_has, k->scopes.p, k->scopes.n, r->pool,
                                 err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_scopes_narrow(&pr->scopes, &c->scopes, &now_has, r->pool);
    }
    return rv;
}

static apr_status_t verify_token(rensei_principal_t *pr, request_rec *r,
                                 rensei_str_t credential, int accept,
                                 rensei_err_t *err)
{
    const rensei_policy_t *pol = &auth_server_conf(r->server)->policy;
    rensei_expect_t expect = pol->expect;
    rensei_jws_t jws;
    rensei_claims_t claims;
    apr_status_t rv;

    if (!pol->ring) {
        rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                       "Tokens cannot be checked at the moment.");
        err->cause = "no signing secret could be read at the last start";
        return APR_EGENERAL;
    }
    rv = rensei_jws_verify(&jws, credential.p, credential.n, pol->ring, r->pool,
                           err);
    if (rv == APR_SUCCESS) {
        expect.audience = auth_conf_audience(r);
        rv = rensei_claims_read(&claims, &jws, &expect,
                                apr_time_sec(r->request_time), r->pool, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    principal_of_claims(pr, &claims, r->pool);
    if (!(accept & pr->kind)) {
        return APR_SUCCESS; /* the caller says so */
    }
    return pol->stateless ? APR_SUCCESS : check_owner(pr, r, &claims, err);
}

/* ---- */

static int is_key(rensei_str_t c)
{
    return c.n >= 4 && memcmp(c.p, RENSEI_API_KEY_MARK, 4) == 0;
}

static int is_token(rensei_str_t c)
{
    const char *dot = memchr(c.p, '.', c.n);
    const char *end = c.p + c.n;

    dot = dot ? memchr(dot + 1, '.', (apr_size_t)(end - dot - 1)) : NULL;
    return dot && !memchr(dot + 1, '.', (apr_size_t)(end - dot - 1));
}

apr_status_t auth_verify(const rensei_principal_t **out, request_rec *r,
                         rensei_str_t credential, int accept, rensei_err_t *err)
{
    rensei_principal_t *pr = apr_pcalloc(r->pool, sizeof(*pr));
    apr_status_t rv;

    if (is_key(credential)) {
        if (!(accept & (RENSEI_KIND_KEY | ACCEPT_REGISTRATION)) ||
            !auth_conf_has_store(auth_server_conf(r->server))) {
            return refuse(err, "API keys are not accepted here.");
        }
        rv = verify_key(pr, r, credential, accept, err);
    }
    else if (is_token(credential)) {
        rv = verify_token(pr, r, credential, accept, err);
    }
    else {
        rv = refuse(err, "The credential is neither a token nor an API key.");
    }
    if (rv == APR_SUCCESS && pr->kind != RENSEI_KIND_KEY &&
        !(accept & pr->kind)) {
        rv = refuse(err, "A credential of this kind is not accepted here.");
    }
    *out = pr;
    return rv;
}

/* ---- a client's own secret ---- */

static apr_status_t throttled(request_rec *r, const char *id, rensei_err_t *err)
{
    int seconds = auth_live_wait(r->server, id, r->useragent_ip);

    if (seconds == 0) {
        return APR_SUCCESS;
    }
    apr_table_setn(r->err_headers_out, "Retry-After",
                   apr_psprintf(r->pool, "%d", seconds));
    return rensei_err_set(err, RENSEI_E_SLOW_DOWN,
                          "Too many attempts failed; wait.");
}

/* Whoever shows a secret that the cache knows to be right need not wait. */
static apr_status_t secret_owner(auth_owner_t *k, request_rec *r,
                                 auth_asked_t *asked, rensei_err_t *err)
{
    rensei_actor_t actor;
    apr_status_t rv;

    if (auth_owner_recall(k, r, asked)) {
        return APR_SUCCESS;
    }
    rv = throttled(r, asked->id, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    actor = rensei_http_actor(r, NULL);
    actor.muted = auth_live_wait(r->server, "", r->useragent_ip) > 0;
    asked->actor = &actor;
    rv = auth_owner_fetch(k, r, auth_ask_secret, asked, err);
    if (rv == APR_SUCCESS || (err->code != RENSEI_E_INVALID_CLIENT &&
                              err->code != RENSEI_E_SLOW_DOWN)) {
        return rv;
    }
    auth_live_failed(r->server, asked->id, r->useragent_ip);
    return err->code == RENSEI_E_INVALID_CLIENT
               ? refuse(err, "The client id or secret is not valid.")
               : rv;
}

/* As with its token, which it would have to ask for, and be allowed. */
static apr_status_t check_audience(const auth_owner_t *k, request_rec *r,
                                   rensei_err_t *err)
{
    const char *wanted = auth_conf_audience(r);

    if (strcmp(wanted, auth_server_conf(r->server)->policy.expect.audience) ==
            0 ||
        names(k->more, rensei_str(wanted))) {
        return APR_SUCCESS;
    }
    return refuse(err, "The client is not allowed for this audience.");
}

apr_status_t auth_verify_secret(const rensei_principal_t **out, request_rec *r,
                                rensei_str_t basic, rensei_err_t *err)
{
    rensei_principal_t *pr = apr_pcalloc(r->pool, sizeof(*pr));
    auth_owner_t *k = apr_palloc(r->pool, sizeof(*k));
    auth_asked_t asked = {.text = basic, .server = r->server};
    apr_status_t rv;

    if (!auth_conf_has_store(auth_server_conf(r->server))) {
        return refuse(err, "Client secrets are not accepted here.");
    }
    rv =
        rensei_http_basic_read(&asked.id, &asked.secret, basic.p, r->pool, err);
    if (rv == APR_SUCCESS) {
        rv = secret_owner(k, r, &asked, err);
        OPENSSL_cleanse((void *)asked.secret, strlen(asked.secret));
    }
    if (rv == APR_SUCCESS) {
        rv = check_state(k, apr_time_as_msec(r->request_time), err);
    }
    if (rv == APR_SUCCESS) {
        rv = check_audience(k, r, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    pr->claims = k->claims;
    pr->kind = RENSEI_KIND_M2M;
    pr->cls = RENSEI_CLASS_M2M;
    pr->sub = pr->credential = text_of(k->id, r->pool);
    pr->org = text_of(k->org, r->pool);
    pr->workspace = text_of(k->workspace, r->pool);
    pr->expires_at = k->o.expires_at;
    *out = pr;
    return rensei_scopes_parse(&pr->scopes, k->scopes.p, k->scopes.n, r->pool,
                               err);
}
