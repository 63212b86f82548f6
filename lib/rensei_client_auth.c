/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_client_auth.h"
#include "rensei_assertion.h"
#include "rensei_client_row.h"
#include "rensei_client_spec.h"
#include "rensei_forget.h"
#include "rensei_id.h"

#include <apr_strings.h>
#include <string.h>

/* Looked up in place of what is no id at all. */
#define NOBODY "m2m_00000000000000000000000000000000"

#define SKEW 10 /* seconds by which a client's clock may differ */

/* One attempt of a client to say who it is. */
typedef struct attempt_t {
    rensei_client_t *client; /* filled where it is known */
    rensei_store_t *st;
    const char *id; /* as it was given */
    int formed;     /* the id has the form of one */
    int known;
    int recalled; /* by the store's memory, which knows changes up to as_of */
    apr_int64_t as_of;
    rensei_rows_t rows;
    const rensei_actor_t *actor;
    apr_pool_t *p;
    rensei_err_t *err;
} attempt_t;

int rensei_client_usable(const rensei_client_t *c, apr_int64_t now_ms)
{
    return c->org_active && c->revoked_at == 0 &&
           (c->expires_at == 0 || c->expires_at > now_ms) &&
           strcmp(c->status, "inactive") != 0;
}

/* By the memory, where there is one. */
static apr_status_t row_read(attempt_t *a, const char *id)
{
    const rensei_memory_t *memory = rensei_store_remembers(a->st);

    a->recalled =
        memory && memory->recall(memory->baton, &a->rows, &a->as_of, id, a->p);
    return a->recalled
               ? APR_SUCCESS
               : rensei_store_select(&a->rows, a->st, RENSEI_SQL_CLIENT_DIGEST,
                                     &id, a->p, a->err);
}

static void row_remember(const attempt_t *a)
{
    const rensei_memory_t *memory = rensei_store_remembers(a->st);
    const rensei_client_t *c = a->client;
    const char *subjects[] = {c->id, c->org, c->workspace, NULL};

    if (memory) {
        memory->remember(memory->baton, c->id, subjects, &a->rows);
    }
}

static apr_status_t client_read(attempt_t *a)
{
    apr_status_t rv;

    a->formed =
        a->id && rensei_id_valid(RENSEI_ID_CLIENT, a->id, strlen(a->id));
    rv = row_read(a, a->formed ? a->id : NOBODY);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    a->known = a->rows.count > 0;
    if (a->known) {
        rv = rensei_client_row(a->client, &a->rows, 0,
                               rensei_store_now_ms(a->st), a->p, a->err);
    }
    if (rv == APR_SUCCESS && a->known && !a->recalled) {
        row_remember(a);
    }
    a->client->recalled = a->known && a->recalled;
    a->client->as_of = a->as_of;
    return rv;
}

/* Notes the failure, and why, for the audit trail alone. */
static apr_status_t fail(attempt_t *a, const char *reason, const char *text)
{
    json_t *details =
        rensei_json_own(json_pack("{s:s}", "reason", reason), a->p);
    apr_status_t rv;

    if (a->actor->muted) {
        return rensei_err_set(a->err, RENSEI_E_SLOW_DOWN,
                              "Too many attempts failed; wait.");
    }
    rv = rensei_store_begin(a->st, a->p, a->err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_audit_append(
        a->st, "m2m.auth_failed",
        a->known ? a->client->org : RENSEI_AUDIT_SYSTEM_ORG, a->actor,
        a->formed ? a->id : "malformed", details, a->p, a->err);
    rv = rensei_store_end(a->st, rv, a->p, a->err);
    return rv == APR_SUCCESS
               ? rensei_err_set(a->err, RENSEI_E_INVALID_CLIENT, text)
               : rv;
}

/* Why a client may not be used that has proved who it is, or NULL. */
static const char *unusable(const attempt_t *a)
{
    const rensei_client_t *c = a->client;

    if (rensei_client_usable(c, rensei_store_now_ms(a->st))) {
        return NULL;
    }
    if (c->suspended) {
        return strcmp(c->suspended, "workspace") == 0
                   ? "workspace_suspended"
                   : "organisation_suspended";
    }
    return c->status;
}

apr_int64_t rensei_client_auth_end(const rensei_client_t *c)
{
    if (c->secret_expires_at != 0 &&
        (c->expires_at == 0 || c->secret_expires_at < c->expires_at)) {
        return c->secret_expires_at;
    }
    return c->expires_at;
}

/* ---- secrets ---- */

/* Why this secret is not one of the client's, or NULL. Both digests are
 * compared whatever the first one gives, and for an unknown client as well:
 * time tells nothing. */
static const char *secret_wrong(attempt_t *a, const char *secret)
{
    const char *digest =
        a->known ? rensei_client_row_digest(&a->rows, 0) : NULL;
    const char *next =
        a->known ? rensei_client_row_next_digest(&a->rows, 0) : NULL;
    char shown[RENSEI_DIGEST_LEN + 1] = "";
    int is_old, is_next;

    rensei_digest(shown, secret, strlen(secret));
    is_old = rensei_digest_same(digest, shown);
    is_next = rensei_digest_same(next, shown);

    if (!a->known) {
        return "unknown_client";
    }
    if (is_next) {
        /* it is the old one that ends then */
        a->client->secret_expires_at = 0;
        return NULL;
    }
    if (!is_old) {
        return "wrong_secret";
    }
    return a->client->secret_expires_at &&
                   a->client->secret_expires_at <= rensei_store_now_ms(a->st)
               ? "secret_expired"
               : NULL;
}

/* @param method NULL: however it came */
static int method_allowed(const attempt_t *a, const char *method)
{
    return !method || !a->client->auth_method ||
           strcmp(method, a->client->auth_method) == 0;
}

static const char *secret_refused(attempt_t *a, const char *secret,
                                  const char *method)
{
    const char *why = secret_wrong(a, secret);

    if (!why) {
        why = unusable(a);
    }
    return !why && !method_allowed(a, method) ? "wrong_method" : why;
}

/* What another gateway has changed, the memory follows a moment later. To let
 * in who was let in until then does no harm, since a token is recorded for the
 * client as it is in the store. But a secret that was made there just now is
 * good here at once: nobody is refused by memory. */
static apr_status_t forget(attempt_t *a)
{
    rensei_store_memory(a->st, NULL);
    memset(a->client, 0, sizeof(*a->client));
    return client_read(a);
}

apr_status_t rensei_client_auth_secret(rensei_client_t *out, rensei_store_t *st,
                                       const char *id, const char *secret,
                                       const char *method,
                                       const rensei_actor_t *actor,
                                       apr_pool_t *p, rensei_err_t *err)
{
    attempt_t a = {
        .client = out, .st = st, .id = id, .actor = actor, .p = p, .err = err};
    const char *why;
    apr_status_t rv = client_read(&a);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    why = secret_refused(&a, secret, method);
    if (why && a.recalled) {
        rv = forget(&a);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        why = secret_refused(&a, secret, method);
    }
    return why ? fail(&a, why, "The client id or secret is not valid.")
               : APR_SUCCESS;
}

apr_status_t rensei_client_auth_refuse(rensei_client_t *c, rensei_store_t *st,
                                       const char *reason,
                                       const rensei_actor_t *actor,
                                       apr_pool_t *p, rensei_err_t *err)
{
    attempt_t a = {.client = c,
                   .st = st,
                   .id = c->id,
                   .formed = 1,
                   .known = 1,
                   .actor = actor,
                   .p = p,
                   .err = err};

    return fail(&a, reason, "The client id or secret is not valid.");
}

/* ---- assertions ---- */

/* Notes that it was used; of several attempts at the same time one alone is
 * the first. Its jti is the client's choice, so another client's may be the
 * same. */
static apr_status_t assertion_use(int *first, const attempt_t *a,
                                  const rensei_assertion_t *assertion)
{
    char digest[RENSEI_DIGEST_LEN + 1];
    const char *name = apr_pstrcat(a->p, a->id, " ", assertion->jti, NULL);
    const char *args[] = {
        digest, rensei_store_num(rensei_forget_at(assertion->exp), a->p)};
    apr_status_t rv;

    rensei_digest(digest, name, strlen(name));
    if (digest[0] == '\0') {
        return rensei_err_set(a->err, RENSEI_E_UNAVAILABLE,
                              "A digest could not be computed.");
    }
    /* Alone it could not be tried again when the connection is lost: done
     * twice, it would be a replay. */
    rv = rensei_store_begin(a->st, a->p, a->err);
    if (rv == APR_SUCCESS) {
        rv = rensei_store_exec(first, a->st, RENSEI_SQL_ASSERTION_INSERT, args,
                               a->p, a->err);
        rv = rensei_store_end(a->st, rv, a->p, a->err);
    }
    /* One in sixteen, by chance, tidies up, for all of them. */
    if (rv == APR_SUCCESS && digest[RENSEI_DIGEST_LEN - 1] == '0') {
        rensei_forget_some(a->st, RENSEI_SQL_ASSERTION_FORGET, a->p);
    }
    return rv;
}

static apr_status_t assertion_fail(attempt_t *a, const char *reason)
{
    const char *cause = a->err->cause;
    apr_status_t rv = fail(a, reason, "The client assertion is not valid.");

    if (a->err->code == RENSEI_E_INVALID_CLIENT) {
        a->err->cause = cause ? cause : reason;
    }
    return rv;
}

/* An id has 128 random bits, so it does no harm that the signature of an
 * unknown client's assertion is not computed, and that time can tell. */
static apr_status_t assertion_check(attempt_t *a, const char *assertion,
                                    const char *const *audiences, int again)
{
    static const char *const nothing[] = {NULL};
    rensei_assertion_t checked;
    const char *why;
    int first = 0;
    apr_status_t rv;

    if (!a->known || !a->client->jwks) {
        return assertion_fail(a, a->known ? "wrong_method" : "unknown_client");
    }
    rv = rensei_assertion_verify(&checked, assertion, a->client->jwks, a->id,
                                 audiences ? audiences : nothing,
                                 rensei_store_now_ms(a->st) / 1000, SKEW, a->p,
                                 a->err);
    if (rv != APR_SUCCESS) {
        return a->err->code == RENSEI_E_INVALID_CLIENT
                   ? assertion_fail(a, "wrong_assertion")
                   : rv;
    }
    why = unusable(a);
    if (why) {
        return assertion_fail(a, why);
    }
    rv = assertion_use(&first, a, &checked);
    if (rv == APR_SUCCESS && !first && !again) {
        rv = assertion_fail(a, "assertion_replayed");
    }
    return rv;
}

apr_status_t rensei_client_auth_assertion(
    rensei_client_t *out, rensei_store_t *st, const char *id,
    const char *assertion, const char *const *audiences, int again,
    const rensei_actor_t *actor, apr_pool_t *p, rensei_err_t *err)
{
    attempt_t a = {
        .client = out, .st = st, .id = id, .actor = actor, .p = p, .err = err};
    apr_status_t rv;

    err->cause = NULL;
    /* It is noted in the store in any case: memory would save little, and a
     * refusal by it could not be tried again. */
    rensei_store_memory(st, NULL);
    rv = client_read(&a);
    return rv == APR_SUCCESS ? assertion_check(&a, assertion, audiences, again)
                             : rv;
}
