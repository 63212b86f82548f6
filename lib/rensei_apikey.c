/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_apikey_change.h"
#include "rensei_apikey_row.h"
#include "rensei_apikey_spec.h"
#include "rensei_client.h"
#include "rensei_field.h"
#include "rensei_grantor.h"
#include "rensei_limits.h"
#include "rensei_org.h"

#include <apr_strings.h>
#include <string.h>

static apr_status_t key_select(rensei_apikey_t *out, rensei_rows_t *rows,
                               rensei_store_t *st, rensei_sql_e stmt,
                               const char *const *args, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_status_t rv = rensei_store_select(rows, st, stmt, args, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (rows->count == 0) {
        return rensei_apikey_none(err);
    }
    return rensei_apikey_row(out, rows, 0, rensei_store_now_ms(st), p, err);
}

apr_status_t rensei_apikey_get(rensei_apikey_t *out, rensei_store_t *st,
                               const char *org, const char *id, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *args[] = {org, id};
    rensei_rows_t rows;

    if (!rensei_id_valid(RENSEI_ID_KEY, id, strlen(id))) {
        return rensei_apikey_none(err);
    }
    return key_select(out, &rows, st, RENSEI_SQL_KEY_GET, args, p, err);
}

apr_status_t rensei_apikey_find(rensei_apikey_t *out, rensei_store_t *st,
                                const char *token, apr_size_t n, apr_pool_t *p,
                                rensei_err_t *err)
{
    char digest[RENSEI_DIGEST_LEN + 1];
    const char *args[] = {digest, digest, digest,
                          rensei_store_num(rensei_store_now_ms(st), p)};
    rensei_rows_t rows;
    apr_status_t rv;

    if (!rensei_secret_valid(RENSEI_SECRET_KEY, token, n)) {
        return rensei_apikey_none(err);
    }
    /* Found by an index, not compared in constant time: how far a digest of
     * a guess agrees with a stored one tells nothing of the key. */
    rensei_digest(digest, token, n);
    rv = key_select(out, &rows, st, RENSEI_SQL_KEY_FIND, args, p, err);
    /* Its grace ends no later than the key does. */
    if (rv == APR_SUCCESS && rensei_apikey_row_previous(&rows, 0)) {
        out->expires_at = out->previous_ends_at;
    }
    return rv;
}

static apr_status_t key_insert(const rensei_apikey_t *k, const char *digest,
                               rensei_store_t *st, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *args[] = {k->id,
                          k->workspace,
                          k->name,
                          k->type,
                          k->owner,
                          k->user_id,
                          rensei_scopes_text(&k->scopes, p),
                          digest,
                          k->prefix,
                          rensei_store_num(k->created_at, p),
                          k->created_by,
                          rensei_store_opt(k->expires_at, p),
                          rensei_store_opt(k->max_uses, p),
                          k->org,
                          k->workspace,
                          k->workspace};
    int changed;
    apr_status_t rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_KEY_INSERT, args, p, err);

    if (rv == APR_SUCCESS && changed == 0) {
        rv = rensei_err_set(err, RENSEI_E_NOT_FOUND,
                            k->workspace ? "There is no such workspace."
                                         : "There is no such organisation.");
        err->field = k->workspace ? "workspaceId" : NULL;
    }
    return rv;
}

static json_t *created_details(const rensei_apikey_t *k, const char *last4,
                               apr_pool_t *p)
{
    return json_pack(
        "{s:s, s:s, s:o, s:s?, s:s?, s:s?, s:o, s:s}", "name", k->name,
        "keyType", k->type, "scopes", rensei_answer_scopes(&k->scopes), "owner",
        k->owner, "userId", k->user_id, "workspaceId", k->workspace,
        "expiresAt", rensei_answer_iso(k->expires_at, p), "secretLast4", last4);
}

static apr_status_t key_make(rensei_apikey_t *out, rensei_apikey_token_t *token,
                             rensei_store_t *st, const char *org,
                             const rensei_apikey_spec_t *spec,
                             const rensei_actor_t *actor, apr_pool_t *p,
                             rensei_err_t *err)
{
    apr_status_t rv =
        rensei_id_new(&out->id, RENSEI_ID_KEY, rensei_store_sys(st), p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_token(token, st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    out->org = org;
    out->workspace = spec->workspace;
    out->name = spec->name;
    out->type = spec->type;
    out->owner = spec->owner;
    out->user_id = spec->user_id;
    out->scopes = spec->scopes;
    out->prefix = token->prefix;
    out->created_at = rensei_store_now_ms(st);
    out->created_by = actor->id;
    out->expires_at = spec->expires_at;
    out->max_uses = spec->max_uses;
    return APR_SUCCESS;
}

static apr_status_t key_add(rensei_apikey_t *out,
                            const rensei_apikey_token_t *token,
                            rensei_store_t *st, const rensei_grantor_t *by,
                            const rensei_actor_t *actor, apr_pool_t *p,
                            rensei_err_t *err)
{
    const char *org = out->org, *id = out->id;
    json_t *details = rensei_json_own(created_details(out, token->last4, p), p);
    apr_status_t rv = rensei_limits_count(by, st, org, p, err);

    if (rv == APR_SUCCESS) {
        rv = key_insert(out, token->digest, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_audit_append(st, "api_key.created", org, actor, id, details,
                                 p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_get(out, st, org, id, p, err);
    }
    return rv;
}

static apr_status_t grant_check(const rensei_apikey_spec_t *spec,
                                const rensei_vocab_t *vocab,
                                const rensei_grantor_t *by, apr_int64_t now,
                                apr_pool_t *p, rensei_err_t *err)
{
    rensei_class_e cls = RENSEI_CLASS_USER;
    apr_status_t rv = rensei_grantor_keys(by, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_grantor_reaches(by, spec->workspace, p, err);
    }
    if (rv == APR_SUCCESS) {
        rensei_apikey_class(&cls, spec->type);
        rv = rensei_scopes_assignable(vocab, cls, &spec->scopes, by, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_limits_key(by, RENSEI_LIMIT_ALL, spec->owner,
                               spec->expires_at, now, p, err);
    }
    return rv;
}

apr_status_t rensei_apikey_create(rensei_apikey_t *out, const char **token,
                                  rensei_store_t *st, const char *org,
                                  const rensei_apikey_spec_t *spec,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_int64_t now = rensei_store_now_ms(st);
    rensei_apikey_token_t made;
    apr_status_t rv = rensei_apikey_spec_check(spec, now, p, err);

    memset(out, 0, sizeof(*out));
    if (rv == APR_SUCCESS) {
        rv = grant_check(spec, vocab, by, now, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = key_make(out, &made, st, org, spec, actor, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_store_begin(st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = key_add(out, &made, st, by, actor, p, err);
    rv = rensei_org_store_end(st, rv, org, p, err);
    if (rv == APR_SUCCESS) {
        *token = made.text;
    }
    return rv;
}

static apr_status_t key_end(rensei_apikey_t *out, rensei_store_t *st,
                            const char *org, const char *id, const char *reason,
                            const rensei_actor_t *actor, apr_pool_t *p,
                            rensei_err_t *err)
{
    const char *args[] = {rensei_store_num(rensei_store_now_ms(st), p), reason,
                          org, id};
    int changed;
    apr_status_t rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_KEY_REVOKE, args, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (changed == 0) {
        return rensei_apikey_get(out, st, org, id, p, err);
    }
    return rensei_apikey_tell(out, st, "api_key.revoked", org, id,
                              json_pack("{s:s?}", "reason", reason), actor, p,
                              err);
}

apr_status_t rensei_apikey_revoke(rensei_apikey_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const char *reason,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv =
        rensei_field_text("reason", reason, RENSEI_DESCRIPTION_MAX, 0, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_begin(st, id, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = key_end(out, st, org, id, reason, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

apr_status_t rensei_apikey_used(rensei_store_t *st, const char *id,
                                const rensei_usage_t *usage, apr_pool_t *p,
                                rensei_err_t *err)
{
    const char *at = rensei_store_num(usage->at, p);
    const char *args[] = {
        rensei_store_num(usage->count, p), at, usage->ip, at, at, id};

    return rensei_store_exec(NULL, st, RENSEI_SQL_KEY_USED, args, p, err);
}

static void times_set(json_t **out, const rensei_apikey_t *k, apr_pool_t *p)
{
    rensei_json_merge(
        out, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "createdAt",
                       rensei_answer_iso(k->created_at, p), "updatedAt",
                       rensei_answer_iso(k->updated_at, p), "expiresAt",
                       rensei_answer_iso(k->expires_at, p), "revokedAt",
                       rensei_answer_iso(k->revoked_at, p), "rotatedAt",
                       rensei_answer_iso(k->rotated_at, p), "previousEndsAt",
                       rensei_answer_iso(k->previous_ends_at, p), "lastUsedAt",
                       rensei_answer_iso(k->last_used_at, p)));
}

json_t *rensei_apikey_json(const rensei_apikey_t *k, const char *token,
                           apr_pool_t *p)
{
    json_t *out = json_pack(
        "{s:s, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:o, s:s, s:s, s:s, s:s?}",
        "keyId", k->id, "name", k->name, "keyType", k->type, "orgId", k->org,
        "workspaceId", k->workspace, "owner", k->owner, "userId", k->user_id,
        "scopes", rensei_answer_scopes(&k->scopes), "prefix", k->prefix,
        "status", k->status, "createdBy", k->created_by, "revokeReason",
        k->revoke_reason);

    times_set(&out, k, p);
    rensei_json_merge(&out, json_pack("{s:s?, s:I, s:o}", "lastUsedIp",
                                      k->last_used_ip, "usageCount",
                                      (json_int_t)k->usage_count, "maxUses",
                                      rensei_answer_ms(k->max_uses)));
    if (k->cls == RENSEI_CLASS_REGISTRATION) {
        rensei_json_set(&out, "uses", json_integer(k->uses));
    }
    if (token) {
        rensei_json_set(&out, "token", json_string(token));
    }
    return out;
}
