/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_token.h"
#include "auth_conf.h"
#include "rensei_b64.h"
#include "rensei_http_store.h"
#include "rensei_revocation.h"

#include <apr_strings.h>

static apr_status_t refuse(rensei_err_t *err, const char *text)
{
    return rensei_err_set(err, RENSEI_E_INVALID_TOKEN, text);
}

/* ---- its owner ---- */

/* Few tokens are ever revoked one by one; where they are more than the cache
 * keeps of a client, the store is asked about each. The answer may be
 * remembered under the generations that were taken before it was asked: to
 * revoke a token moves its client's. */
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

static apr_status_t check_token(const auth_owner_t *k, request_rec *r,
                                const rensei_claims_t *c, rensei_err_t *err)
{
    static const char *none[] = {NULL};
    rensei_client_t cut_off = {.tokens_after = k->o.tokens_after,
                               .revoked_jti = none};
    int revoked = auth_owner_names(k->more, c->jti) ||
                  rensei_token_dead(&cut_off, c->jti, c->iat);
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
static apr_status_t check_owner(const auth_owner_t *own, request_rec *r,
                                const rensei_claims_t *c, rensei_err_t *err)
{
    apr_status_t rv;

    if (!rensei_str_eq(own->org, c->org)) {
        return refuse(err, "The token's organisation is not its client's.");
    }
    rv = auth_owner_check(own, apr_time_as_msec(r->request_time), err);
    if (rv == APR_SUCCESS && c->typ != RENSEI_TYP_WORKER) {
        rv = check_token(own, r, c, err);
    }
    else if (rv == APR_SUCCESS && !rensei_str_eq(own->more, c->reg)) {
        rv = refuse(err, "The token's registration key is not its worker's.");
    }
    return rv;
}

/* @param now_has the owner's scopes, which mostly are the token's */
static apr_status_t narrow(auth_owner_t *k, rensei_str_t now_has,
                           const rensei_claims_t *c, apr_pool_t *p)
{
    rensei_scopes_t set, left;
    apr_status_t rv;

    k->scopes = rensei_str(rensei_scopes_text(&c->scopes, p));
    if (rensei_str_eq(k->scopes, now_has)) {
        return APR_SUCCESS;
    }
    rensei_scopes_split(&set, now_has.p, now_has.n, p);
    rv = rensei_scopes_narrow(&left, &c->scopes, &set, p);
    if (rv == APR_SUCCESS) {
        k->scopes = rensei_str(rensei_scopes_text(&left, p));
    }
    return rv;
}

/* The token is good while nothing changes of its owner, and gives no more than
 * he has. */
static apr_status_t bind_owner(auth_owner_t *k, request_rec *r,
                               rensei_claims_t *c, rensei_err_t *err)
{
    auth_owner_t *own = apr_palloc(r->pool, sizeof(*own));
    auth_asked_t asked = {.what = ASKED_OWNER, .text = c->sub};
    apr_status_t rv = auth_owner_get(
        own, r, c->typ == RENSEI_TYP_WORKER ? auth_ask_worker : auth_ask_client,
        &asked, err);

    if (rv != APR_SUCCESS) {
        return err->code == RENSEI_E_NOT_FOUND
                   ? refuse(err, "The token's client is not known.")
                   : rv;
    }
    rv = check_owner(own, r, c, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    memcpy(k->o.bucket, own->o.bucket, sizeof(k->o.bucket));
    memcpy(k->o.generation, own->o.generation, sizeof(k->o.generation));
    k->lasting = own->lasting;
    k->o.expires_at = own->o.expires_at;
    if (k->o.expires_at != 0 && k->o.expires_at < k->o.until) {
        k->o.until = k->o.expires_at;
    }
    return narrow(k, own->scopes, c, r->pool);
}

/* ---- what it says ---- */

/* A NUL between two, which none has in it. */
static rensei_str_t audiences_of(const rensei_json_member_t *aud, apr_pool_t *p)
{
    rensei_json_member_t one;
    apr_size_t at = 0;
    char *text, *to;

    if (aud->type != RENSEI_JSON_ARRAY) {
        return rensei_json_unescape(aud, p);
    }
    text = to = apr_palloc(p, aud->value.n);
    while (rensei_json_next(&one, aud->value, &at)) {
        rensei_str_t name = rensei_json_unescape(&one, p);

        memcpy(to, name.p, name.n);
        to += name.n;
        *to++ = '\0';
    }
    return (rensei_str_t){text, (apr_size_t)(to - text)};
}

static int is_for(const auth_owner_t *k, const char *audience)
{
    const char *at = k->more.p, *end = at + k->more.n;

    for (; at < end; at += strlen(at) + 1) {
        if (strcmp(at, audience) == 0) {
            return 1;
        }
    }
    return 0;
}

static apr_status_t read_claims(rensei_claims_t *out, request_rec *r,
                                rensei_str_t token, rensei_err_t *err)
{
    const rensei_policy_t *pol = &auth_server_conf(r->server)->policy;
    rensei_expect_t expect = pol->expect;
    rensei_jws_t jws;
    apr_status_t rv;

    if (!pol->ring) {
        rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                       "Tokens cannot be checked at the moment.");
        err->cause = "no signing secret could be read at the last start";
        return APR_EGENERAL;
    }
    rv = rensei_jws_verify(&jws, token.p, token.n, pol->ring, r->pool, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    expect.audience = auth_conf_audience(r);
    return rensei_claims_read(out, &jws, &expect, apr_time_sec(r->request_time),
                              r->pool, err);
}

static void set_texts(auth_owner_t *k, const rensei_claims_t *c, apr_pool_t *p)
{
    k->id = c->sub;
    k->org = c->org;
    k->workspace = c->workspace;
    k->jti = c->jti;
    k->more = audiences_of(&c->aud, p);
}

static void set_facts(auth_owner_t *k, const rensei_claims_t *c,
                      const rensei_policy_t *pol)
{
    int worker = c->typ == RENSEI_TYP_WORKER;

    memset(k, 0, sizeof(*k));
    k->o.kind = worker ? RENSEI_KIND_WORKER : RENSEI_KIND_M2M;
    k->o.cls = worker ? RENSEI_CLASS_WORKER : RENSEI_CLASS_M2M;
    k->o.ends_at = c->exp * 1000;
    k->o.until = (c->exp + pol->expect.skew) * 1000;
    k->o.alone = pol->stateless != 0;
    k->lasting = k->o.alone;
}

static apr_status_t not_accepted(rensei_err_t *err)
{
    return refuse(err, "A credential of this kind is not accepted here.");
}

static int is_token(rensei_str_t c)
{
    const char *dot = memchr(c.p, '.', c.n);
    const char *end = c.p + c.n;

    dot = dot ? memchr(dot + 1, '.', (apr_size_t)(end - dot - 1)) : NULL;
    return dot && !memchr(dot + 1, '.', (apr_size_t)(end - dot - 1));
}

/* Only what is good in all respects is remembered. */
static apr_status_t learn(auth_owner_t *k, request_rec *r,
                          const auth_asked_t *asked, int accept,
                          rensei_err_t *err)
{
    const rensei_policy_t *pol = &auth_server_conf(r->server)->policy;
    rensei_claims_t c;
    apr_status_t rv;

    rv = read_claims(&c, r, asked->text, err);
    if (rv != APR_SUCCESS) {
        return is_token(asked->text)
                   ? rv
                   : refuse(err, "The credential is neither a token nor an "
                                 "API key.");
    }
    set_facts(k, &c, pol);
    if (!(accept & k->o.kind)) {
        return not_accepted(err);
    }
    if (pol->stateless) {
        k->scopes = rensei_str(rensei_scopes_text(&c.scopes, r->pool));
    }
    else {
        rv = bind_owner(k, r, &c, err);
    }
    if (rv == APR_SUCCESS) {
        set_texts(k, &c, r->pool);
        auth_owner_settle(k, asked, r->pool);
        k->claims = c.payload;
    }
    return rv;
}

apr_status_t auth_token_owner(auth_owner_t *k, request_rec *r,
                              rensei_str_t token, int accept, rensei_err_t *err)
{
    auth_asked_t asked = {.what = ASKED_TOKEN, .text = token};

    if (!auth_owner_recall(k, r, &asked) || !is_for(k, auth_conf_audience(r))) {
        return learn(k, r, &asked, accept, err);
    }
    return accept & k->o.kind ? APR_SUCCESS : not_accepted(err);
}

rensei_str_t auth_token_payload(rensei_str_t token, apr_pool_t *p)
{
    const char *end = token.p + token.n;
    const char *from = memchr(token.p, '.', token.n);
    const char *to =
        from ? memchr(from + 1, '.', (apr_size_t)(end - from - 1)) : NULL;
    rensei_str_t out = {NULL, 0};
    char *bytes;

    if (to) {
        bytes = apr_palloc(p, (apr_size_t)(to - from));
        if (rensei_b64url_decode(bytes, &out.n, from + 1,
                                 (apr_size_t)(to - from - 1)) == APR_SUCCESS) {
            out.p = bytes;
        }
    }
    return out;
}
