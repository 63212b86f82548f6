/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_grant.h"
#include "rensei_client_auth.h"
#include "rensei_client_spec.h"
#include "rensei_field.h"
#include "rensei_id.h"
#include "rensei_json_write.h"

#include <apr_strings.h>
#include <string.h>

#define TRIES 3 /* at a token whose client changes while it is made */

/* One token in the making. */
typedef struct making_t {
    rensei_client_t client;
    rensei_scopes_t scopes;
    rensei_str_t found[RENSEI_AUDIENCES_MAX + 1];
    rensei_audiences_t audiences; /* of found; none: the issuer's */
    const char *jti;
    apr_int64_t issued_ms; /* what the jti says, of the client's logical time */
    apr_int64_t iat, exp;  /* seconds */
} making_t;

static apr_status_t missing(const char *field, apr_pool_t *p, rensei_err_t *err)
{
    return rensei_err_field(err, p, field, "%s is missing.", field);
}

static apr_status_t request_check(const rensei_token_request_t *req,
                                  apr_pool_t *p, rensei_err_t *err)
{
    if (req->grant_type == NULL) {
        return missing("grant_type", p, err);
    }
    if (strcmp(req->grant_type, "client_credentials") != 0) {
        return rensei_err_set(err, RENSEI_E_UNSUPPORTED_GRANT,
                              "The grant type must be client_credentials.");
    }
    return APR_SUCCESS;
}

static const char *method_of(const rensei_token_request_t *req)
{
    if (req->auth_method == NULL) {
        return req->client_assertion ? RENSEI_AUTH_JWT : RENSEI_AUTH_POST;
    }
    return strcmp(req->auth_method, "client_secret_json") == 0
               ? RENSEI_AUTH_POST
               : req->auth_method;
}

apr_status_t rensei_grant_authenticate(rensei_client_t *out, rensei_store_t *st,
                                       const rensei_issuer_t *iss,
                                       const rensei_token_request_t *req,
                                       const rensei_actor_t *actor,
                                       apr_pool_t *p, rensei_err_t *err)
{
    const char *method = method_of(req);
    int by_key = rensei_client_by_key(method);

    if (req->client_secret && req->client_assertion) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The client authenticates in two ways.");
    }
    if (by_key && req->client_assertion == NULL) {
        return missing("client_assertion", p, err);
    }
    if (by_key) {
        return rensei_client_auth_assertion(
            out, st, req->client_id, req->client_assertion,
            iss->assertion_audiences, req->again, actor, p, err);
    }
    if (req->client_id == NULL) {
        return missing("client_id", p, err);
    }
    if (req->client_secret == NULL) {
        return missing("client_secret", p, err);
    }
    return rensei_client_auth_secret(out, st, req->client_id,
                                     req->client_secret, method, actor, p, err);
}

/* A scope of the client's, literally or by its `*`. `*` itself is never
 * "granted", so it has to be there as it is. */
static int scope_held(const rensei_vocab_t *vocab, const rensei_client_t *c,
                      rensei_str_t scope)
{
    if (rensei_str_eq(scope, RENSEI_STR("*"))) {
        return rensei_scopes_has(&c->scopes, scope);
    }
    return rensei_scope_granted(vocab, RENSEI_CLASS_M2M, &c->scopes, scope);
}

static apr_status_t scopes_narrow(making_t *m, const char *asked,
                                  const rensei_vocab_t *vocab, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv;
    int i;

    if (asked == NULL) {
        m->scopes = m->client.scopes;
        return APR_SUCCESS;
    }
    rv = rensei_scopes_parse(&m->scopes, asked, strlen(asked), p, err);
    if (rv == APR_SUCCESS && m->scopes.count == 0) {
        rv = rensei_err_set(err, RENSEI_E_INVALID_SCOPE,
                            "The scope asked for is empty.");
    }
    for (i = 0; rv == APR_SUCCESS && i < m->scopes.count; i++) {
        rensei_str_t scope = m->scopes.scope[i];

        if (!scope_held(vocab, &m->client, scope)) {
            rv = rensei_err_setf(err, p, RENSEI_E_INVALID_SCOPE,
                                 "The client does not have the scope '%.*s'.",
                                 (int)scope.n, scope.p);
        }
    }
    return rv;
}

/* RFC 8707 2.2: the token is for what was asked for, and nothing else. */
static apr_status_t audiences_choose(making_t *m, const char *const *asked,
                                     const rensei_issuer_t *iss,
                                     rensei_err_t *err)
{
    int i;

    m->audiences = (rensei_audiences_t){0, m->found};
    for (i = 0; asked && asked[i]; i++) {
        rensei_str_t one = rensei_str(asked[i]);

        if (!rensei_str_eq(one, rensei_str(iss->audience)) &&
            !rensei_scopes_has(&m->client.audiences, one)) {
            return rensei_err_set(err, RENSEI_E_INVALID_TARGET,
                                  "The client may not have a token for a "
                                  "resource that it asks for.");
        }
        /* Each one is among so many that can be, and is there once. */
        if (!rensei_scopes_has(&m->audiences, one)) {
            m->found[m->audiences.count++] = one;
        }
    }
    return APR_SUCCESS;
}

/* A token issued after a cut-off lives, one issued before is dead, and there
 * is nothing between them: a cut-off of this very millisecond, or by a gateway
 * whose clock is ahead, moves what the jti says to after it. */
static void time_set(making_t *m, apr_int64_t now_ms)
{
    apr_int64_t cut_off = m->client.tokens_after;

    m->issued_ms = cut_off && now_ms <= cut_off ? cut_off + 1 : now_ms;
}

/* The client's own lifetime, or the virtual host's, but not beyond what is
 * allowed there, nor the client's own end. A client may have got its lifetime
 * elsewhere, or before that limit. */
static void lifetime_set(making_t *m, const rensei_issuer_t *iss,
                         apr_int64_t now_ms)
{
    const rensei_client_t *c = &m->client;

    m->iat = now_ms / 1000;
    m->exp = m->iat + rensei_limits_lifetime(
                          iss->limits, c->token_lifetime ? c->token_lifetime
                                                         : iss->lifetime);
    if (c->expires_at && m->exp > c->expires_at / 1000) {
        m->exp = c->expires_at / 1000;
    }
}

/* RFC 7519 4.1.3: one is a string. */
static void aud_put(rensei_json_text_t *w, const making_t *m,
                    const rensei_issuer_t *iss, apr_pool_t *p)
{
    const rensei_audiences_t *set = &m->audiences;

    if (set->count > 1) {
        rensei_json_put_list(w, "aud", set);
        return;
    }
    rensei_json_put_text(
        w, "aud",
        set->count ? apr_pstrmemdup(p, set->scope[0].p, set->scope[0].n)
                   : iss->audience);
}

/* A custom claim never stands for one of ours: a template that names one is
 * refused when the configuration is read. */
static int custom_put(rensei_json_text_t *w, const rensei_template_t *t,
                      const rensei_client_t *c, apr_pool_t *p)
{
    json_t *claims = rensei_template_claims(t, c, p), *value;
    const char *name, *text;

    json_object_foreach(claims, name, value)
    {
        text = rensei_json_dump(value, p);
        if (text == NULL) {
            return 0;
        }
        rensei_json_put_raw(w, name, text);
    }
    return claims != NULL;
}

/* @return NULL when out of memory: a claim left out could be one that limits */
static const char *claims_text(const making_t *m, const rensei_issuer_t *iss,
                               apr_pool_t *p)
{
    const rensei_client_t *c = &m->client;
    rensei_json_text_t w;

    rensei_json_begin(&w, p);
    rensei_json_put_text(&w, "sub", c->id);
    rensei_json_put_text(&w, "org_id", c->org);
    rensei_json_put_text(&w, "workspace_id", c->workspace);
    rensei_json_put_list(&w, "scopes", &m->scopes);
    rensei_json_put_text(&w, "iss", iss->issuer);
    aud_put(&w, m, iss, p);
    rensei_json_put_int(&w, "iat", m->iat);
    rensei_json_put_int(&w, "exp", m->exp);
    rensei_json_put_text(&w, "jti", m->jti);
    if (iss->rfc9068) {
        rensei_json_put_text(&w, "client_id", c->id);
        rensei_json_put_text(&w, "scope", rensei_scopes_text(&m->scopes, p));
    }
    if (iss->template && !custom_put(&w, iss->template, c, p)) {
        return NULL;
    }
    return rensei_json_finish(&w);
}

/* The claims as text that a gateway can read: metadata from before it was
 * limited as it is now can be too much. */
static apr_status_t claims_write(const char **out, const making_t *m,
                                 const rensei_issuer_t *iss, apr_pool_t *p,
                                 rensei_err_t *err)
{
    rensei_json_object_t obj;

    *out = claims_text(m, iss, p);
    if (*out == NULL) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "There is no memory for the claims.");
    }
    if (iss->template &&
        rensei_json_scan(&obj, *out, strlen(*out)) != APR_SUCCESS) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "The custom claims are nested too deeply, or "
                              "have too many members.");
    }
    return APR_SUCCESS;
}

static apr_status_t token_sign(const char **out, making_t *m,
                               const rensei_issuer_t *iss,
                               const rensei_sys_t *sys, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *typ = iss->rfc9068 ? RENSEI_TYP_ACCESS : "JWT";
    const char *claims = NULL;
    apr_status_t rv =
        rensei_id_new_at(&m->jti, RENSEI_ID_TOKEN, m->issued_ms, sys, p, err);

    if (rv == APR_SUCCESS && iss->ring == NULL) {
        rv = rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                            "There is no key to sign with.");
    }
    if (rv == APR_SUCCESS) {
        rv = claims_write(&claims, m, iss, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_jws_sign(out, iss->ring, typ, claims, p, err);
    }
    if (rv != APR_SUCCESS && err->code == RENSEI_E_INTERNAL) {
        err->cause = apr_psprintf(p, "a token for the client %s", m->client.id);
    }
    return rv;
}

/* The token itself stays out of it. Canonical: the names are sorted. */
static const char *issued_details(const making_t *m, apr_pool_t *p)
{
    rensei_json_text_t w;

    rensei_json_begin(&w, p);
    if (m->audiences.count) {
        rensei_json_put_list(&w, "audiences", &m->audiences);
    }
    rensei_json_put_int(&w, "expiresAt", m->exp * 1000);
    rensei_json_put_text(&w, "jti", m->jti);
    rensei_json_put_list(&w, "scopes", &m->scopes);
    return rensei_json_finish(&w);
}

/* Whoever asked has proved by now that he is the client. */
static void issuance_set(rensei_issuance_t *out, const making_t *m,
                         const char *token, const rensei_actor_t *actor,
                         apr_pool_t *p)
{
    out->token.access_token = token;
    out->token.expires_in = m->exp - m->iat;
    out->token.scope = rensei_scopes_text(&m->scopes, p);
    out->client = m->client.id;
    out->org = m->client.org;
    out->client_version = m->client.updated_at;
    out->recalled = m->client.recalled;
    out->as_of = m->client.as_of;
    out->actor = *actor;
    out->actor.id = m->client.id;
    out->actor.type = "m2m_client";
    out->details = issued_details(m, p);
    out->stale = 0;
}

static apr_status_t grant_try(rensei_issuance_t *out, rensei_store_t *st,
                              const rensei_issuer_t *iss,
                              const rensei_token_request_t *req,
                              const rensei_actor_t *actor, apr_pool_t *p,
                              rensei_err_t *err)
{
    making_t m = {.jti = NULL};
    const char *token;
    apr_int64_t now = rensei_store_now_ms(st);
    apr_status_t rv = request_check(req, p, err);

    out->token.credential_expires_at = 0;
    if (rv == APR_SUCCESS) {
        rv = rensei_grant_authenticate(&m.client, st, iss, req, actor, p, err);
    }
    if (rv == APR_SUCCESS) {
        out->token.credential_expires_at = rensei_client_auth_end(&m.client);
        rv = scopes_narrow(&m, req->scope, iss->vocab, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = audiences_choose(&m, req->resources, iss, err);
    }
    if (rv == APR_SUCCESS) {
        time_set(&m, now);
        lifetime_set(&m, iss, now);
    }
    /* The client's last second: an expires_in of 0 helps nobody, and within
     * RenseiClockSkew other machines would take the token after its end. */
    if (rv == APR_SUCCESS && m.exp <= m.iat) {
        rv = rensei_client_auth_refuse(&m.client, st, "expired", actor, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = token_sign(&token, &m, iss, rensei_store_sys(st), p, err);
    }
    if (rv == APR_SUCCESS) {
        issuance_set(out, &m, token, actor, p);
    }
    return rv;
}

apr_status_t rensei_grant_make(rensei_issuance_t *out, rensei_store_t *st,
                               const rensei_issuer_t *iss,
                               const rensei_token_request_t *req,
                               const rensei_actor_t *actor, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_status_t rv = grant_try(out, st, iss, req, actor, p, err);

    /* Another gateway may have given the client just now what it asks for:
     * nobody is refused by memory. */
    if (rv != APR_SUCCESS && rensei_store_remembers(st) &&
        (err->code == RENSEI_E_INVALID_SCOPE ||
         err->code == RENSEI_E_INVALID_TARGET)) {
        rensei_store_memory(st, NULL);
        rv = grant_try(out, st, iss, req, actor, p, err);
    }
    return rv;
}

static apr_status_t unsettled(rensei_err_t *err)
{
    rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                   "The client is being changed; try again.");
    err->cause = "the client changed again and again";
    return APR_EGENERAL;
}

apr_status_t rensei_grant_token(rensei_issuance_t *out, rensei_store_t *st,
                                const rensei_issuer_t *iss,
                                const rensei_token_request_t *req,
                                const rensei_actor_t *actor,
                                rensei_grant_record_fn *record, void *baton,
                                apr_pool_t *p, rensei_err_t *err)
{
    rensei_token_request_t asked = *req;
    apr_status_t rv = APR_SUCCESS;
    int i;

    out->stale = 1;
    for (i = 0; rv == APR_SUCCESS && out->stale && i < TRIES; i++) {
        asked.again = i > 0;
        rv = rensei_grant_make(out, st, iss, &asked, actor, p, err);
        if (rv == APR_SUCCESS) {
            rv = record(baton, out, err);
        }
    }
    return rv == APR_SUCCESS && out->stale ? unsettled(err) : rv;
}
