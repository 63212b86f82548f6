/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_verify.h"
#include "auth_conf.h"
#include "auth_live.h"
#include "auth_owner.h"
#include "auth_token.h"
#include "auth_used.h"
#include "rensei_authorization.h"
#include "rensei_client.h"
#include "rensei_http_reply.h"
#include "rensei_http_store.h"
#include "rensei_id.h"

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

/* ---- the principal ---- */

/* What is found out about a credential: as long as the request. */
typedef struct found_t {
    rensei_principal_t pr;
    auth_owner_t k;
} found_t;

static const char *text_of(rensei_str_t s)
{
    return s.n > 0 ? s.p : NULL;
}

/* Nothing is copied: k lives as long as the request. The scopes become a set
 * when somebody asks for one (auth_request_principal). */
static void principal_of(rensei_principal_t *pr, const auth_owner_t *k)
{
    pr->sub = k->id.p;
    pr->org = text_of(k->org);
    pr->workspace = text_of(k->workspace);
    pr->credential = k->jti.n > 0 ? k->jti.p : pr->sub;
    pr->expires_at = pr->owner_expires_at = k->o.expires_at;
    pr->scopes = (rensei_scopes_t){0, NULL};
    pr->scopes_text = k->scopes;
    pr->claims = k->claims;
}

/* ---- API keys ---- */

static apr_status_t key_owner(auth_owner_t *k, request_rec *r,
                              rensei_str_t credential, rensei_err_t *err)
{
    auth_asked_t asked = {.what = ASKED_KEY, .text = credential};
    apr_status_t rv;

    if (auth_owner_recall(k, r, &asked)) {
        return APR_SUCCESS;
    }
    if (!rensei_secret_valid(RENSEI_SECRET_KEY, credential.p, credential.n)) {
        return refuse(err, "The API key is malformed.");
    }
    rv = auth_owner_fetch(k, r, auth_ask_key, &asked, err);
    return rv == APR_SUCCESS ? rv
                             : absent(err, rv, "The API key is not known.");
}

static apr_status_t verify_key(found_t *found, request_rec *r,
                               rensei_str_t credential, int accept,
                               rensei_err_t *err)
{
    rensei_principal_t *pr = &found->pr;
    auth_owner_t *k = &found->k;
    apr_int64_t now = apr_time_as_msec(r->request_time);
    apr_status_t rv = key_owner(k, r, credential, err);

    if (rv == APR_SUCCESS) {
        rv = auth_owner_check(k, now, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (k->o.cls == RENSEI_CLASS_REGISTRATION ? !(accept & ACCEPT_REGISTRATION)
                                              : !(accept & RENSEI_KIND_KEY)) {
        return refuse(err, "An API key of this type is not accepted here.");
    }
    pr->kind = RENSEI_KIND_KEY;
    pr->cls = k->o.cls;
    principal_of(pr, k);
    auth_used_note(auth_server_conf(r->server)->store, k->id.p, k->id.n, now,
                   r->useragent_addr);
    return APR_SUCCESS;
}

/* ---- tokens ---- */

static apr_status_t verify_token(found_t *found, request_rec *r,
                                 rensei_str_t credential, int accept,
                                 rensei_err_t *err)
{
    rensei_principal_t *pr = &found->pr;
    auth_owner_t *k = &found->k;
    apr_status_t rv = auth_token_owner(k, r, credential, accept, err);

    if (rv == APR_SUCCESS) {
        pr->kind = k->o.kind;
        pr->cls = k->o.cls;
        principal_of(pr, k);
        pr->expires_at = k->o.ends_at;
    }
    return rv;
}

/* ---- */

static int is_key(rensei_str_t c)
{
    return c.n >= 4 && memcmp(c.p, RENSEI_API_KEY_MARK, 4) == 0;
}

apr_status_t auth_verify(const rensei_principal_t **out, request_rec *r,
                         rensei_str_t credential, int accept, rensei_err_t *err)
{
    found_t *found = apr_palloc(r->pool, sizeof(*found));

    *out = &found->pr;
    if (!is_key(credential)) {
        return verify_token(found, r, credential, accept, err);
    }
    if (!(accept & (RENSEI_KIND_KEY | ACCEPT_REGISTRATION)) ||
        !auth_conf_has_store(auth_server_conf(r->server))) {
        return refuse(err, "API keys are not accepted here.");
    }
    return verify_key(found, r, credential, accept, err);
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
    auth_asked_t by;
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
    by = *asked;
    by.actor = &actor;
    rv = auth_owner_fetch(k, r, auth_ask_secret, &by, err);
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
        auth_owner_names(k->more, rensei_str(wanted))) {
        return APR_SUCCESS;
    }
    return refuse(err, "The client is not allowed for this audience.");
}

apr_status_t auth_verify_secret(const rensei_principal_t **out, request_rec *r,
                                rensei_str_t basic, rensei_err_t *err)
{
    found_t *found = apr_palloc(r->pool, sizeof(*found));
    rensei_principal_t *pr = &found->pr;
    auth_owner_t *k = &found->k;
    auth_asked_t asked = {
        .what = ASKED_SECRET, .text = basic, .server = r->server};
    apr_status_t rv;

    if (!auth_conf_has_store(auth_server_conf(r->server))) {
        return refuse(err, "Client secrets are not accepted here.");
    }
    rv = rensei_authorization_basic(&asked.id, &asked.secret, basic.p, r->pool,
                                    err);
    if (rv == APR_SUCCESS) {
        rv = secret_owner(k, r, &asked, err);
        OPENSSL_cleanse((void *)asked.secret, strlen(asked.secret));
    }
    if (rv == APR_SUCCESS) {
        rv = auth_owner_check(k, apr_time_as_msec(r->request_time), err);
    }
    if (rv == APR_SUCCESS) {
        rv = check_audience(k, r, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    auth_used_note(auth_server_conf(r->server)->store, k->id.p, k->id.n,
                   apr_time_as_msec(r->request_time), r->useragent_addr);
    pr->kind = RENSEI_KIND_M2M;
    pr->cls = RENSEI_CLASS_M2M;
    principal_of(pr, k);
    *out = pr;
    return APR_SUCCESS;
}
