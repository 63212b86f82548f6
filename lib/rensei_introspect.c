/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_introspect.h"
#include "rensei_apikey.h"
#include "rensei_field.h"
#include "rensei_id.h"
#include "rensei_revocation.h"
#include "rensei_worker.h"

#include <apr_strings.h>
#include <string.h>

/* One credential under inspection. */
typedef struct looking_t {
    rensei_store_t *st;
    const rensei_ring_t *ring;
    const rensei_expect_t *expect;
    const char *org;
    rensei_claims_t claims; /* of a token */
    rensei_client_t client; /* of an M2M token */
    rensei_inspected_t *out;
    apr_pool_t *p;
    rensei_err_t *err;
} looking_t;

/* A credential that is not good is an answer, and no error. */
static apr_status_t unless(const rensei_err_t *err, rensei_code_e code,
                           apr_status_t rv)
{
    return rv != APR_SUCCESS && err->code == code ? APR_SUCCESS : rv;
}

static const char *text_of(rensei_str_t s, apr_pool_t *p)
{
    return s.n > 0 ? apr_pstrmemdup(p, s.p, s.n) : NULL;
}

static int is_key(rensei_str_t c)
{
    apr_size_t n = strlen(RENSEI_API_KEY_MARK);

    return c.n >= n && memcmp(c.p, RENSEI_API_KEY_MARK, n) == 0;
}

/* ---- API keys ---- */

static int key_live(const rensei_apikey_t *key, const char *org,
                    apr_int64_t now_ms)
{
    return strcmp(key->org, org) == 0 && key->org_active &&
           key->revoked_at == 0 &&
           (key->expires_at == 0 || key->expires_at > now_ms);
}

static apr_status_t key_look(looking_t *l, rensei_str_t credential)
{
    rensei_inspected_t *out = l->out;
    rensei_apikey_t key;
    apr_status_t rv;

    if (!rensei_secret_valid(RENSEI_SECRET_KEY, credential.p, credential.n)) {
        return APR_SUCCESS;
    }
    rv = rensei_apikey_find(&key, l->st, credential.p, credential.n, l->p,
                            l->err);
    if (rv != APR_SUCCESS) {
        return unless(l->err, RENSEI_E_NOT_FOUND, rv);
    }
    out->active = key_live(&key, l->org, rensei_store_now_ms(l->st));
    out->kind = RENSEI_KIND_KEY;
    out->cls = key.cls;
    out->sub = key.id;
    out->workspace = key.workspace;
    out->scopes = key.scopes;
    out->iat = key.created_at / 1000;
    out->exp = key.expires_at / 1000;
    return APR_SUCCESS;
}

/* ---- tokens ---- */

/* @param mine 1 for a token whose signature and claims hold, and which is of
 *   the organisation; 0 for any other */
static apr_status_t token_read(int *mine, looking_t *l, rensei_str_t token)
{
    rensei_expect_t any = *l->expect;
    apr_int64_t now = rensei_store_now_ms(l->st) / 1000;
    rensei_jws_t jws;
    apr_status_t rv;

    any.audience = NULL;
    *mine = 0;
    rv = rensei_jws_verify(&jws, token.p, token.n, l->ring, l->p, l->err);
    if (rv == APR_SUCCESS) {
        rv = rensei_claims_read(&l->claims, &jws, &any, now, l->p, l->err);
    }
    if (rv != APR_SUCCESS) {
        return unless(l->err, RENSEI_E_INVALID_TOKEN, rv);
    }
    *mine = rensei_str_eq(l->claims.org, rensei_str(l->org));
    return APR_SUCCESS;
}

static apr_status_t client_read(int *found, looking_t *l)
{
    const char *id = text_of(l->claims.sub, l->p);
    apr_status_t rv = rensei_client_find(&l->client, l->st, id, l->p, l->err);

    *found = rv == APR_SUCCESS && strcmp(l->client.org, l->org) == 0;
    return unless(l->err, RENSEI_E_NOT_FOUND, rv);
}

static apr_status_t token_dead(int *dead, looking_t *l)
{
    const char *jti = text_of(l->claims.jti, l->p);

    *dead = rensei_token_dead(&l->client, l->claims.jti, l->claims.iat);
    if (*dead || !jti || !l->client.revoked_more) {
        return APR_SUCCESS;
    }
    return rensei_token_revoked(dead, l->st, l->client.id, jti, l->p, l->err);
}

static apr_status_t m2m_look(looking_t *l)
{
    int found, dead = 1;
    apr_status_t rv = client_read(&found, l);

    if (rv != APR_SUCCESS || !found ||
        !rensei_client_usable(&l->client, rensei_store_now_ms(l->st))) {
        return rv;
    }
    rv = token_dead(&dead, l);
    if (rv == APR_SUCCESS && !dead) {
        l->out->active = 1;
        l->out->kind = RENSEI_KIND_M2M;
        l->out->cls = RENSEI_CLASS_M2M;
        rv = rensei_scopes_narrow(&l->out->scopes, &l->claims.scopes,
                                  &l->client.scopes, l->p);
    }
    return rv;
}

static apr_status_t worker_look(looking_t *l)
{
    rensei_worker_t w;
    apr_status_t rv = rensei_worker_find(
        &w, l->st, text_of(l->claims.sub, l->p), l->p, l->err);

    if (rv != APR_SUCCESS) {
        return unless(l->err, RENSEI_E_NOT_FOUND, rv);
    }
    l->out->active = strcmp(w.org, l->org) == 0 && w.org_active &&
                     w.revoked_at == 0 && w.key_live;
    l->out->kind = RENSEI_KIND_WORKER;
    l->out->cls = RENSEI_CLASS_WORKER;
    l->out->scopes = l->claims.scopes;
    return APR_SUCCESS;
}

static apr_status_t token_look(looking_t *l, rensei_str_t token)
{
    rensei_inspected_t *out = l->out;
    const rensei_claims_t *c = &l->claims;
    int mine;
    apr_status_t rv = token_read(&mine, l, token);

    if (rv != APR_SUCCESS || !mine ||
        c->exp <= rensei_store_now_ms(l->st) / 1000) {
        return rv;
    }
    rv = c->typ == RENSEI_TYP_WORKER ? worker_look(l) : m2m_look(l);
    out->sub = text_of(c->sub, l->p);
    out->workspace = text_of(c->workspace, l->p);
    out->jti = text_of(c->jti, l->p);
    out->iat = c->iat;
    out->exp = c->exp;
    out->payload = c->payload;
    return rv;
}

apr_status_t rensei_inspect(rensei_inspected_t *out, rensei_store_t *st,
                            const rensei_ring_t *ring,
                            const rensei_expect_t *expect, const char *org,
                            rensei_str_t credential, apr_pool_t *p,
                            rensei_err_t *err)
{
    looking_t l = {.st = st,
                   .ring = ring,
                   .expect = expect,
                   .org = org,
                   .out = out,
                   .p = p,
                   .err = err};

    memset(out, 0, sizeof(*out));
    return is_key(credential) ? key_look(&l, credential)
                              : token_look(&l, credential);
}

/* ---- the answer ---- */

static int satisfies(const rensei_inspected_t *in, const rensei_question_t *q,
                     const rensei_vocab_t *vocab, apr_int64_t now)
{
    int i;

    /* A token that does not say when it was issued may be of any age. */
    if (q->max_age >= 0 && (in->iat == 0 || now - in->iat > q->max_age)) {
        return 0;
    }
    for (i = 0; i < q->required.count; i++) {
        if (!rensei_scope_granted(vocab, in->cls, &in->scopes,
                                  q->required.scope[i])) {
            return 0;
        }
    }
    return 1;
}

static const char *token_use(rensei_kind_e kind)
{
    switch (kind) {
    case RENSEI_KIND_M2M:
        return "m2m";
    case RENSEI_KIND_WORKER:
        return "runtime";
    case RENSEI_KIND_KEY:
        break;
    }
    return "api_key";
}

/* Claims that are ours go where RFC 7662 has them, the others together. */
static void claims_share(json_t **answer, json_t **custom, const json_t *claims)
{
    static const char *const same[] = {"aud", "iss", "nbf", "iat", "exp", NULL};
    const char *name;
    json_t *value;
    int i;

    for (i = 0; same[i]; i++) {
        value = json_object_get(claims, same[i]);
        if (value) {
            rensei_json_set(answer, same[i], json_incref(value));
        }
    }
    json_object_foreach((json_t *)claims, name, value)
    {
        if (!rensei_claim_registered(rensei_str(name))) {
            rensei_json_set(custom, name, json_incref(value));
        }
    }
}

static void key_share(json_t **answer, const rensei_inspected_t *in,
                      const char *issuer)
{
    rensei_json_set(answer, "iss", json_string(issuer));
    rensei_json_set(answer, "iat", json_integer(in->iat));
    if (in->exp) {
        rensei_json_set(answer, "exp", json_integer(in->exp));
    }
}

static void text_set(json_t **answer, const char *name, const char *text)
{
    if (text) {
        rensei_json_set(answer, name, json_string(text));
    }
}

static json_t *answer_make(const rensei_inspected_t *in, const char *org,
                           apr_pool_t *p)
{
    json_t *out = json_object();

    rensei_json_set(&out, "active", json_true());
    text_set(&out, "token_use", token_use(in->kind));
    text_set(&out, "token_type", "Bearer");
    text_set(&out, "scope", rensei_scopes_text(&in->scopes, p));
    rensei_json_set(&out, "scopes", rensei_answer_scopes(&in->scopes));
    if (in->kind == RENSEI_KIND_M2M) {
        text_set(&out, "client_id", in->sub);
    }
    text_set(&out, "sub", in->sub);
    text_set(&out, "jti", in->jti);
    text_set(&out, "org_id", org);
    text_set(&out, "workspace_id", in->workspace);
    return out;
}

static apr_status_t no_memory(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                          "There is no memory for the answer.");
}

static apr_status_t answer_fill(json_t **answer, const rensei_inspected_t *in,
                                const char *issuer, apr_pool_t *p,
                                rensei_err_t *err)
{
    json_t *custom = json_object();
    json_t *claims;

    if (in->kind == RENSEI_KIND_KEY) {
        key_share(answer, in, issuer);
    }
    else if (rensei_json_load(&claims, in->payload.p, in->payload.n, p, err) !=
             APR_SUCCESS) {
        json_decref(custom);
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "The claims could not be read.");
    }
    else {
        claims_share(answer, &custom, claims);
    }
    rensei_json_set(answer, "custom_claims", custom);
    return *answer ? APR_SUCCESS : no_memory(err);
}

apr_status_t rensei_introspect(json_t **out, rensei_store_t *st,
                               const rensei_issuer_t *iss,
                               const rensei_expect_t *expect,
                               const rensei_question_t *q, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_int64_t now = rensei_store_now_ms(st) / 1000;
    rensei_inspected_t in;
    json_t *answer;
    apr_status_t rv = rensei_inspect(&in, st, iss->ring, expect, q->org,
                                     rensei_str(q->token), p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!in.active || !satisfies(&in, q, iss->vocab, now)) {
        *out = json_pack("{s:b}", "active", 0);
        return *out ? APR_SUCCESS : no_memory(err);
    }
    answer = answer_make(&in, q->org, p);
    rv = answer_fill(&answer, &in, iss->issuer, p, err);
    if (rv != APR_SUCCESS) {
        json_decref(answer);
        return rv;
    }
    *out = answer;
    return APR_SUCCESS;
}

/* ---- revocation ---- */

static apr_status_t unsupported(rensei_err_t *err, const char *text)
{
    return rensei_err_set(err, RENSEI_E_UNSUPPORTED_TOKEN, text);
}

/* What stands against revoking a token of this organisation's. */
static apr_status_t revocable(const looking_t *l, const rensei_revoker_t *by)
{
    if (l->claims.typ == RENSEI_TYP_WORKER) {
        return unsupported(l->err, "A worker's token is not revoked here: "
                                   "revoke the worker.");
    }
    if (by->client && !rensei_str_eq(l->claims.sub, rensei_str(by->client))) {
        return rensei_err_set(l->err, RENSEI_E_INVALID_GRANT,
                              "The token was issued to another client.");
    }
    if (by->workspace &&
        !rensei_str_eq(l->claims.workspace, rensei_str(by->workspace))) {
        return rensei_err_set(l->err, RENSEI_E_INVALID_GRANT,
                              "The token was issued to a client outside of "
                              "your workspace.");
    }
    if (l->claims.jti.n == 0) {
        return unsupported(l->err, "The token has no identifier (jti) by "
                                   "which it could be revoked.");
    }
    return APR_SUCCESS;
}

static apr_status_t token_end(const char **client, looking_t *l,
                              const rensei_revoker_t *by)
{
    int found, dead = 1;
    apr_status_t rv = client_read(&found, l);

    if (rv == APR_SUCCESS && found) {
        rv = token_dead(&dead, l);
    }
    if (rv != APR_SUCCESS || dead) {
        return rv;
    }
    rv = rensei_token_revoke(l->st, l->org, l->client.id,
                             text_of(l->claims.jti, l->p), l->claims.exp,
                             &by->actor, l->p, l->err);
    if (rv == APR_SUCCESS) {
        *client = l->client.id;
    }
    return rv;
}

apr_status_t rensei_introspect_revoke(const char **client, rensei_store_t *st,
                                      const rensei_ring_t *ring,
                                      const rensei_expect_t *expect,
                                      const rensei_revoker_t *by,
                                      const char *token, apr_pool_t *p,
                                      rensei_err_t *err)
{
    looking_t l = {.st = st,
                   .ring = ring,
                   .expect = expect,
                   .org = by->org,
                   .p = p,
                   .err = err};
    int mine;
    apr_status_t rv;

    *client = NULL;
    if (is_key(rensei_str(token))) {
        return unsupported(err, "An API key is not revoked here: delete the "
                                "key.");
    }
    rv = token_read(&mine, &l, rensei_str(token));
    if (rv != APR_SUCCESS || !mine) {
        return rv;
    }
    rv = revocable(&l, by);
    return rv == APR_SUCCESS ? token_end(client, &l, by) : rv;
}
