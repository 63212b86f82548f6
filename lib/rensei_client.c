/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_client_change.h"
#include "rensei_client_spec.h"
#include "rensei_field.h"
#include "rensei_grantor.h"
#include "rensei_id.h"
#include "rensei_limits.h"
#include "rensei_org.h"

#include <apr_strings.h>
#include <string.h>

static apr_status_t client_select(rensei_client_t *out, rensei_rows_t *rows,
                                  rensei_store_t *st, rensei_sql_e stmt,
                                  const char *const *args, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv = rensei_store_select(rows, st, stmt, args, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (rows->count == 0) {
        return rensei_client_none(err);
    }
    return rensei_client_row(out, rows, 0, rensei_store_now_ms(st), p, err);
}

apr_status_t rensei_client_get(rensei_client_t *out, rensei_store_t *st,
                               const char *org, const char *id, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *args[] = {org, id};
    rensei_rows_t rows;

    if (!rensei_id_valid(RENSEI_ID_CLIENT, id, strlen(id))) {
        return rensei_client_none(err);
    }
    return client_select(out, &rows, st, RENSEI_SQL_CLIENT_GET, args, p, err);
}

/* After the client's row: a token that is ended between the two is then in
 * both readings dead, or in the later one. */
static apr_status_t revoked_read(rensei_client_t *out, rensei_store_t *st,
                                 apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {out->id, rensei_store_num(rensei_store_now_ms(st), p),
                          rensei_store_num(RENSEI_REVOKED_KNOWN_MAX + 1, p)};
    rensei_rows_t rows;
    const char **jti;
    int i;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_REVOKED_OF, args, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    jti = apr_pcalloc(p, (RENSEI_REVOKED_KNOWN_MAX + 1) * sizeof(*jti));
    for (i = 0; i < rows.count && i < RENSEI_REVOKED_KNOWN_MAX; i++) {
        jti[i] = rensei_rows_text(&rows, i, 0);
    }
    out->revoked_jti = jti;
    out->revoked_more = rows.count > RENSEI_REVOKED_KNOWN_MAX;
    return APR_SUCCESS;
}

apr_status_t rensei_client_find(rensei_client_t *out, rensei_store_t *st,
                                const char *id, apr_pool_t *p,
                                rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv;

    if (!rensei_id_valid(RENSEI_ID_CLIENT, id, strlen(id))) {
        return rensei_client_none(err);
    }
    rv = client_select(out, &rows, st, RENSEI_SQL_CLIENT_FIND, &id, p, err);
    return rv == APR_SUCCESS ? revoked_read(out, st, p, err) : rv;
}

/* What spec sets, over what the client has. */
static void spec_apply(rensei_client_t *c, const rensei_client_spec_t *spec)
{
    if (spec->set & RENSEI_CLIENT_NAME) {
        c->name = spec->name;
    }
    if (spec->set & RENSEI_CLIENT_DESCRIPTION) {
        c->description = spec->description;
    }
    if (spec->set & RENSEI_CLIENT_OWNER) {
        c->owner = spec->owner;
    }
    if (spec->set & RENSEI_CLIENT_SCOPES) {
        c->scopes = spec->scopes;
    }
    if (spec->set & RENSEI_CLIENT_METADATA) {
        c->trusted_metadata = spec->trusted_metadata;
    }
    if (spec->set & RENSEI_CLIENT_LIFETIME) {
        c->token_lifetime = spec->token_lifetime;
    }
    if (spec->set & RENSEI_CLIENT_EXPIRES) {
        c->expires_at = spec->expires_at;
    }
    if (spec->set & RENSEI_CLIENT_WORKSPACE) {
        c->workspace = spec->workspace;
    }
    if (spec->set & RENSEI_CLIENT_AUTH_METHOD) {
        c->auth_method = spec->auth_method;
    }
    if (spec->set & RENSEI_CLIENT_JWKS) {
        c->jwks = spec->jwks;
    }
    if (spec->set & RENSEI_CLIENT_AUDIENCES) {
        c->audiences = spec->audiences;
    }
    if (spec->set & RENSEI_CLIENT_SECRET_EXPIRES) {
        c->secret_expires_at = spec->secret_expires_at;
    }
}

static const char *object_text(const json_t *object, apr_pool_t *p)
{
    return object ? rensei_json_dump(object, p) : NULL;
}

static const char *audiences_text(const rensei_client_t *c, apr_pool_t *p)
{
    return c->audiences.count ? rensei_scopes_text(&c->audiences, p) : NULL;
}

/* @param secret NULL: it has none, and an empty digest */
static apr_status_t digest_make(char digest[RENSEI_DIGEST_LEN + 1],
                                const char *secret, rensei_err_t *err)
{
    digest[0] = '\0';
    if (secret == NULL) {
        return APR_SUCCESS;
    }
    rensei_digest(digest, secret, strlen(secret));
    if (digest[0] == '\0') {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "A digest could not be computed.");
    }
    return APR_SUCCESS;
}

static apr_status_t client_insert(const rensei_client_t *c, const char *secret,
                                  rensei_store_t *st, apr_pool_t *p,
                                  rensei_err_t *err)
{
    char digest[RENSEI_DIGEST_LEN + 1];
    const char *now = rensei_store_num(c->created_at, p);
    const char *args[] = {c->id,
                          c->workspace,
                          c->name,
                          c->description,
                          c->owner,
                          rensei_scopes_text(&c->scopes, p),
                          object_text(c->trusted_metadata, p),
                          rensei_store_opt(c->token_lifetime, p),
                          digest,
                          c->secret_last4 ? c->secret_last4 : "",
                          now,
                          now,
                          c->created_by,
                          rensei_store_opt(c->expires_at, p),
                          c->auth_method,
                          object_text(c->jwks, p),
                          audiences_text(c, p),
                          rensei_store_opt(c->secret_expires_at, p),
                          c->org,
                          c->workspace,
                          c->workspace};
    int changed;
    apr_status_t rv = digest_make(digest, secret, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_CLIENT_INSERT, args, p, err);
    if (rv == APR_SUCCESS && changed == 0) {
        rv = rensei_err_set(err, RENSEI_E_NOT_FOUND,
                            c->workspace ? "There is no such workspace."
                                         : "There is no such organisation.");
        err->field = c->workspace ? "workspaceId" : NULL;
    }
    return rv;
}

static json_t *created_details(const rensei_client_t *c)
{
    return json_pack("{s:s, s:o, s:s?, s:o, s:s?, s:o, s:s*}", "name", c->name,
                     "scopes", rensei_answer_scopes(&c->scopes), "workspaceId",
                     c->workspace, "expiresAt", rensei_answer_ms(c->expires_at),
                     "secretLast4", c->secret_last4, "secretExpiresAt",
                     rensei_answer_ms(c->secret_expires_at),
                     "tokenEndpointAuthMethod", c->auth_method);
}

/* All of a new client but its row. */
static apr_status_t client_make(rensei_client_t *out, const char **secret,
                                rensei_store_t *st, const char *org,
                                const rensei_client_spec_t *spec,
                                const rensei_actor_t *actor, apr_pool_t *p,
                                rensei_err_t *err)
{
    const rensei_sys_t *sys = rensei_store_sys(st);
    apr_status_t rv;

    *secret = NULL;
    memset(out, 0, sizeof(*out));
    spec_apply(out, spec);
    rv = rensei_client_spec_fits(spec, NULL, out, p, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    out->org = org;
    out->status = "active";
    out->created_by = actor->id;
    out->created_at = out->updated_at = rensei_store_now_ms(st);
    rv = rensei_id_new(&out->id, RENSEI_ID_CLIENT, sys, p, err);
    if (rv != APR_SUCCESS || rensei_client_by_key(out->auth_method)) {
        return rv;
    }
    rv = rensei_secret_new(secret, RENSEI_SECRET_CLIENT, sys, p, err);
    if (rv == APR_SUCCESS) {
        out->secret_last4 = apr_pstrdup(p, *secret + strlen(*secret) - 4);
    }
    return rv;
}

static apr_status_t reach_check(const rensei_grantor_t *by,
                                const char *workspace, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv = rensei_grantor_clients(by, err);

    return rv == APR_SUCCESS ? rensei_grantor_reaches(by, workspace, p, err)
                             : rv;
}

static apr_status_t client_add(rensei_client_t *out, const char *secret,
                               rensei_store_t *st, const rensei_grantor_t *by,
                               const rensei_actor_t *actor, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *org = out->org, *id = out->id;
    json_t *details = rensei_json_own(created_details(out), p);
    apr_status_t rv = rensei_limits_count(by, st, org, p, err);

    if (rv == APR_SUCCESS) {
        rv = client_insert(out, secret, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_audit_append(st, "m2m.client_created", org, actor, id,
                                 details, p, err);
    }
    if (rv == APR_SUCCESS) {
        /* As the store has it, in memory of its own. */
        rv = rensei_client_get(out, st, org, id, p, err);
    }
    return rv;
}

apr_status_t rensei_client_create(rensei_client_t *out, const char **secret,
                                  rensei_store_t *st, const char *org,
                                  const rensei_client_spec_t *spec,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    const char *made;
    apr_status_t rv =
        rensei_client_spec_check(spec, 1, rensei_store_now_ms(st), p, err);

    if (rv == APR_SUCCESS && spec->workspace &&
        !rensei_id_valid(RENSEI_ID_WORKSPACE, spec->workspace,
                         strlen(spec->workspace))) {
        rv = rensei_err_field(err, p, "workspaceId",
                              "workspaceId is not the id of a workspace.");
    }
    if (rv == APR_SUCCESS) {
        rv = reach_check(by, spec->workspace, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_scopes_assignable(vocab, RENSEI_CLASS_M2M, &spec->scopes,
                                      by, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_limits_client(by, RENSEI_LIMIT_ALL, spec->owner,
                                  spec->expires_at, spec->token_lifetime, p,
                                  err);
    }
    if (rv == APR_SUCCESS) {
        rv = client_make(out, &made, st, org, spec, actor, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_store_begin(st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = client_add(out, made, st, by, actor, p, err);
    rv = rensei_org_store_end(st, rv, org, p, err);
    if (rv == APR_SUCCESS) {
        *secret = made;
    }
    return rv;
}

/* Only what is new has to be the grantor's: an administrator who may do less
 * than the client can still rename it. */
static apr_status_t scopes_check(const rensei_client_t *c,
                                 const rensei_client_spec_t *spec,
                                 const rensei_vocab_t *vocab,
                                 const rensei_grantor_t *by, apr_pool_t *p,
                                 rensei_err_t *err)
{
    rensei_str_t added[RENSEI_SCOPES_MAX];
    rensei_scopes_t set = {0, added};
    int i;

    if (!(spec->set & RENSEI_CLIENT_SCOPES)) {
        return APR_SUCCESS;
    }
    if (spec->scopes.count > RENSEI_SCOPES_MAX) {
        return rensei_err_field(err, p, "scopes", "There are too many scopes.");
    }
    for (i = 0; i < spec->scopes.count; i++) {
        if (!rensei_scopes_has(&c->scopes, spec->scopes.scope[i])) {
            added[set.count++] = spec->scopes.scope[i];
        }
    }
    return rensei_scopes_assignable(vocab, RENSEI_CLASS_M2M, &set, by, p, err);
}

static apr_status_t client_write(const rensei_client_t *c, const char *status,
                                 rensei_store_t *st, apr_pool_t *p,
                                 rensei_err_t *err)
{
    const char *now = rensei_store_num(rensei_store_now_ms(st), p);
    const char *args[] = {c->name,
                          c->description,
                          c->owner,
                          rensei_scopes_text(&c->scopes, p),
                          object_text(c->trusted_metadata, p),
                          status,
                          rensei_store_opt(c->token_lifetime, p),
                          rensei_store_opt(c->expires_at, p),
                          c->auth_method,
                          object_text(c->jwks, p),
                          audiences_text(c, p),
                          rensei_store_opt(c->secret_expires_at, p),
                          now,
                          now,
                          c->org,
                          c->id};
    int changed;
    apr_status_t rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_CLIENT_UPDATE, args, p, err);

    return rv == APR_SUCCESS && changed == 0 ? rensei_client_none(err) : rv;
}

static json_t *updated_details(const rensei_client_spec_t *spec)
{
    json_t *out = json_pack("{s:o}", "fields", rensei_client_spec_fields(spec));

    if (spec->set & RENSEI_CLIENT_SCOPES) {
        rensei_json_set(&out, "scopes", rensei_answer_scopes(&spec->scopes));
    }
    if (spec->set & RENSEI_CLIENT_STATUS) {
        rensei_json_set(&out, "status", json_string(spec->status));
    }
    if (spec->set & RENSEI_CLIENT_SECRET_EXPIRES) {
        rensei_json_set(&out, "secretExpiresAt",
                        rensei_answer_ms(spec->secret_expires_at));
    }
    return out;
}

/* It has keys from now on: a secret that nobody looks after any more must not
 * be left to be found. */
static apr_status_t client_disarm(const rensei_client_t *c, rensei_store_t *st,
                                  apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {c->org, c->id};

    return rensei_store_exec(NULL, st, RENSEI_SQL_CLIENT_DISARM, args, p, err);
}

/* @param was,now the client before and after */
static apr_status_t revival_check(const rensei_client_t *was,
                                  const rensei_client_t *now,
                                  apr_int64_t now_ms, rensei_err_t *err)
{
    if (rensei_client_secret_ended(was, now_ms) &&
        !rensei_client_secret_ended(now, now_ms)) {
        return rensei_err_set(err, RENSEI_E_CONFLICT,
                              "The secret has ended for good: rotate it.");
    }
    return APR_SUCCESS;
}

/* A new end that makes an expired client live again makes one more of them. */
static apr_status_t limits_check(const rensei_client_t *was,
                                 const rensei_client_spec_t *spec,
                                 rensei_store_t *st, const rensei_grantor_t *by,
                                 apr_pool_t *p, rensei_err_t *err)
{
    const unsigned what =
        (spec->set & RENSEI_CLIENT_OWNER ? RENSEI_LIMIT_OWNER : 0) |
        (spec->set & RENSEI_CLIENT_EXPIRES ? RENSEI_LIMIT_EXPIRY : 0) |
        (spec->set & RENSEI_CLIENT_LIFETIME ? RENSEI_LIMIT_LIFETIME : 0);
    apr_status_t rv = rensei_limits_client(
        by, what, spec->owner, spec->expires_at, spec->token_lifetime, p, err);

    if (rv == APR_SUCCESS && what & RENSEI_LIMIT_EXPIRY &&
        strcmp(was->status, "expired") == 0) {
        rv = rensei_limits_count(by, st, was->org, p, err);
    }
    return rv;
}

static apr_status_t client_change(rensei_client_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const rensei_client_spec_t *spec,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    rensei_client_t was;
    const char *status;
    apr_status_t rv = rensei_client_hold(&was, &status, st, org, id, p, err);

    if (rv == APR_SUCCESS) {
        rv = reach_check(by, was.workspace, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = scopes_check(&was, spec, vocab, by, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = limits_check(&was, spec, st, by, p, err);
    }
    if (rv == APR_SUCCESS) {
        *out = was;
        spec_apply(out, spec);
        rv = rensei_client_spec_fits(spec, &was, out, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = revival_check(&was, out, rensei_store_now_ms(st), err);
    }
    if (rv == APR_SUCCESS) {
        rv = client_write(
            out, spec->set & RENSEI_CLIENT_STATUS ? spec->status : status, st,
            p, err);
    }
    if (rv == APR_SUCCESS && was.secret_last4 &&
        rensei_client_by_key(out->auth_method)) {
        rv = client_disarm(out, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_client_tell(out, st, "m2m.client_updated", org, id,
                                updated_details(spec), actor, p, err);
    }
    return rv;
}

apr_status_t rensei_client_update(rensei_client_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const rensei_client_spec_t *spec,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv;

    rv = rensei_client_spec_check(spec, 0, rensei_store_now_ms(st), p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_client_begin(st, id, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = client_change(out, st, org, id, spec, vocab, by, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

static apr_status_t client_end(rensei_client_t *out, rensei_store_t *st,
                               const char *org, const char *id,
                               const char *reason, const rensei_actor_t *actor,
                               apr_pool_t *p, rensei_err_t *err)
{
    const char *now = rensei_store_num(rensei_store_now_ms(st), p);
    const char *args[] = {now, reason, now, now, org, id};
    int changed;
    apr_status_t rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_CLIENT_REVOKE, args, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (changed == 0) {
        return rensei_client_get(out, st, org, id, p, err);
    }
    return rensei_client_tell(out, st, "m2m.client_revoked", org, id,
                              json_pack("{s:s?}", "reason", reason), actor, p,
                              err);
}

apr_status_t rensei_client_revoke(rensei_client_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const char *reason,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv;

    rv = rensei_field_text("reason", reason, RENSEI_DESCRIPTION_MAX, 0, p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_client_begin(st, id, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = client_end(out, st, org, id, reason, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}
