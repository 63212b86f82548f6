/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Changing a key, and giving it a new token: that part of rensei_apikey.h.
 */
#include "rensei_apikey_change.h"
#include "rensei_apikey_spec.h"
#include "rensei_client.h"
#include "rensei_field.h"
#include "rensei_grantor.h"
#include "rensei_limits.h"

#include <apr_strings.h>
#include <string.h>

apr_status_t rensei_apikey_none(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_NOT_FOUND, "There is no such key.");
}

apr_status_t rensei_apikey_begin(rensei_store_t *st, const char *id,
                                 apr_pool_t *p, rensei_err_t *err)
{
    if (!rensei_id_valid(RENSEI_ID_KEY, id, strlen(id))) {
        return rensei_apikey_none(err);
    }
    return rensei_store_begin(st, p, err);
}

apr_status_t rensei_apikey_tell(rensei_apikey_t *out, rensei_store_t *st,
                                const char *event, const char *org,
                                const char *id, json_t *details,
                                const rensei_actor_t *actor, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv =
        rensei_audit_change(st, event, org, actor, id, details, p, err);

    return rv == APR_SUCCESS ? rensei_apikey_get(out, st, org, id, p, err) : rv;
}

apr_status_t rensei_apikey_token(rensei_apikey_token_t *out, rensei_store_t *st,
                                 apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_secret_new(&out->text, RENSEI_SECRET_KEY,
                                        rensei_store_sys(st), p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    out->prefix = apr_pstrndup(p, out->text, RENSEI_KEY_PREFIX_LEN);
    out->last4 = apr_pstrdup(p, out->text + strlen(out->text) - 4);
    rensei_digest(out->digest, out->text, strlen(out->text));
    if (out->digest[0] == '\0') {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "A digest could not be computed.");
    }
    return APR_SUCCESS;
}

/* Locks the row and reads it: what was read stays true until it is written.
 * Only a key that is still good for something is changed. */
static apr_status_t key_hold(rensei_apikey_t *out, rensei_store_t *st,
                             const char *org, const char *id, apr_pool_t *p,
                             rensei_err_t *err)
{
    const char *args[] = {org, id};
    apr_status_t rv =
        rensei_store_exec(NULL, st, RENSEI_SQL_KEY_LOCK, args, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_get(out, st, org, id, p, err);
    }
    if (rv == APR_SUCCESS && (strcmp(out->status, "revoked") == 0 ||
                              strcmp(out->status, "expired") == 0)) {
        rv = rensei_err_setf(err, p, RENSEI_E_CONFLICT,
                             "The key is %s: create a new one.", out->status);
    }
    return rv;
}

/* May the grantor have to do with this key at all? */
static apr_status_t reach_check(const rensei_apikey_t *k,
                                const rensei_grantor_t *by, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv = rensei_grantor_keys(by, err);

    return rv == APR_SUCCESS ? rensei_grantor_reaches(by, k->workspace, p, err)
                             : rv;
}

/* ---- update ---- */

/* A registration key opens registration and nothing else, and without that
 * would be nothing. */
static int registers_alone(const rensei_scopes_t *scopes)
{
    return scopes->count == 1 &&
           rensei_scopes_has(scopes, RENSEI_STR(RENSEI_SCOPE_REGISTER));
}

/* Only what is new has to be the grantor's: an administrator who may do less
 * than the key can still take scopes away from it. */
static apr_status_t scopes_check(const rensei_apikey_t *k,
                                 const rensei_apikey_patch_t *patch,
                                 const rensei_vocab_t *vocab,
                                 const rensei_grantor_t *by, apr_pool_t *p,
                                 rensei_err_t *err)
{
    rensei_str_t added[RENSEI_SCOPES_MAX];
    rensei_scopes_t set = {0, added};
    int i;

    if (!(patch->set & RENSEI_APIKEY_SCOPES)) {
        return APR_SUCCESS;
    }
    if (k->cls == RENSEI_CLASS_REGISTRATION &&
        !registers_alone(&patch->scopes)) {
        return rensei_err_field(err, p, "scopes",
                                "scopes of a key of type worker_registration "
                                "is " RENSEI_SCOPE_REGISTER ", and no other.");
    }
    if (patch->scopes.count > RENSEI_SCOPES_MAX) {
        return rensei_err_field(err, p, "scopes", "There are too many scopes.");
    }
    for (i = 0; i < patch->scopes.count; i++) {
        if (!rensei_scopes_has(&k->scopes, patch->scopes.scope[i])) {
            added[set.count++] = patch->scopes.scope[i];
        }
    }
    return rensei_scopes_assignable(vocab, k->cls, &set, by, p, err);
}

static apr_status_t owner_check(const rensei_apikey_t *k,
                                const rensei_apikey_patch_t *patch,
                                const rensei_grantor_t *by, apr_int64_t now,
                                apr_pool_t *p, rensei_err_t *err)
{
    if (!(patch->set & RENSEI_APIKEY_OWNER)) {
        return APR_SUCCESS;
    }
    if (patch->owner == NULL && k->cls == RENSEI_CLASS_ORG) {
        return rensei_err_field(err, p, "owner",
                                "owner is required for a key of type org.");
    }
    return rensei_limits_key(by, RENSEI_LIMIT_OWNER, patch->owner,
                             k->expires_at, now, p, err);
}

static apr_status_t patch_write(const rensei_apikey_t *k,
                                const rensei_apikey_patch_t *patch,
                                rensei_store_t *st, apr_pool_t *p,
                                rensei_err_t *err)
{
    const char *args[] = {
        patch->set & RENSEI_APIKEY_NAME ? patch->name : k->name,
        patch->set & RENSEI_APIKEY_OWNER ? patch->owner : k->owner,
        rensei_scopes_text(
            patch->set & RENSEI_APIKEY_SCOPES ? &patch->scopes : &k->scopes, p),
        rensei_store_num(rensei_store_now_ms(st), p),
        k->org,
        k->id,
    };

    return rensei_store_exec(NULL, st, RENSEI_SQL_KEY_UPDATE, args, p, err);
}

static json_t *updated_details(const rensei_apikey_patch_t *patch)
{
    json_t *out =
        json_pack("{s:o}", "fields", rensei_apikey_patch_fields(patch));

    if (patch->set & RENSEI_APIKEY_SCOPES) {
        rensei_json_set(&out, "scopes", rensei_answer_scopes(&patch->scopes));
    }
    if (patch->set & RENSEI_APIKEY_OWNER) {
        rensei_json_set(&out, "owner",
                        patch->owner ? json_string(patch->owner) : json_null());
    }
    return out;
}

static apr_status_t key_change(rensei_apikey_t *out, rensei_store_t *st,
                               const char *org, const char *id,
                               const rensei_apikey_patch_t *patch,
                               const rensei_vocab_t *vocab,
                               const rensei_grantor_t *by,
                               const rensei_actor_t *actor, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_status_t rv = key_hold(out, st, org, id, p, err);

    if (rv == APR_SUCCESS) {
        rv = reach_check(out, by, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = scopes_check(out, patch, vocab, by, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = owner_check(out, patch, by, rensei_store_now_ms(st), p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = patch_write(out, patch, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_tell(out, st, "api_key.updated", org, id,
                                updated_details(patch), actor, p, err);
    }
    return rv;
}

apr_status_t rensei_apikey_update(rensei_apikey_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const rensei_apikey_patch_t *patch,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv = rensei_apikey_patch_check(patch, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_begin(st, id, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = key_change(out, st, org, id, patch, vocab, by, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

/* ---- rotate ---- */

/* A third token beside the two would be one that nobody remembers; who has to
 * end all of them can do so at once. */
static apr_status_t grace_check(const rensei_apikey_t *k, apr_int64_t grace_s,
                                apr_int64_t now, apr_pool_t *p,
                                rensei_err_t *err)
{
    if (grace_s > 0 && k->previous_ends_at > now) {
        return rensei_err_setf(err, p, RENSEI_E_CONFLICT,
                               "The grace of the last rotation runs until %s: "
                               "wait, or send graceSeconds 0, which ends all "
                               "older tokens of the key now.",
                               rensei_time_iso(k->previous_ends_at, p));
    }
    return APR_SUCCESS;
}

static apr_int64_t grace_end(const rensei_apikey_t *k, apr_int64_t grace_s,
                             apr_int64_t now)
{
    apr_int64_t end = now + grace_s * 1000;

    return k->expires_at && k->expires_at < end ? k->expires_at : end;
}

static apr_status_t token_write(const rensei_apikey_t *k,
                                const rensei_apikey_token_t *token,
                                apr_int64_t grace_s, apr_int64_t ends_at,
                                apr_int64_t now, rensei_store_t *st,
                                apr_pool_t *p, rensei_err_t *err)
{
    const char *when = rensei_store_num(now, p);
    const char *args[] = {grace_s > 0 ? "keep" : NULL,
                          rensei_store_num(ends_at, p),
                          token->digest,
                          token->prefix,
                          when,
                          when,
                          k->org,
                          k->id};

    return rensei_store_exec(NULL, st, RENSEI_SQL_KEY_ROTATE, args, p, err);
}

/* May the grantor have this key's token, and is the key to go on? */
static apr_status_t rotate_check(const rensei_apikey_t *k, apr_int64_t grace_s,
                                 const rensei_vocab_t *vocab,
                                 const rensei_grantor_t *by, apr_int64_t now,
                                 apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = reach_check(k, by, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_grantor_holds(by, vocab, k->cls, &k->scopes, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_limits_rotate(by, k->expires_at, now, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = grace_check(k, grace_s, now, p, err);
    }
    return rv;
}

static apr_status_t key_rotate(
    rensei_apikey_t *out, const rensei_apikey_token_t *token,
    rensei_store_t *st, const char *org, const char *id, apr_int64_t grace_s,
    const rensei_vocab_t *vocab, const rensei_grantor_t *by,
    const rensei_actor_t *actor, apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t now = rensei_store_now_ms(st), ends_at = 0;
    apr_status_t rv = key_hold(out, st, org, id, p, err);

    if (rv == APR_SUCCESS) {
        rv = rotate_check(out, grace_s, vocab, by, now, p, err);
    }
    if (rv == APR_SUCCESS) {
        ends_at = grace_end(out, grace_s, now);
        rv = token_write(out, token, grace_s, ends_at, now, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_tell(out, st, "api_key.rotated", org, id,
                                json_pack("{s:I, s:o, s:s}", "graceSeconds",
                                          (json_int_t)grace_s, "previousEndsAt",
                                          rensei_answer_iso(ends_at, p),
                                          "secretLast4", token->last4),
                                actor, p, err);
    }
    return rv;
}

apr_status_t rensei_apikey_rotate(rensei_apikey_t *out, const char **token,
                                  rensei_store_t *st, const char *org,
                                  const char *id, apr_int64_t grace_s,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    rensei_apikey_token_t made;
    apr_status_t rv;

    if (grace_s < 0 || grace_s > RENSEI_APIKEY_GRACE_MAX) {
        return rensei_err_field(err, p, "graceSeconds",
                                "graceSeconds must be 0 to %d.",
                                RENSEI_APIKEY_GRACE_MAX);
    }
    rv = rensei_apikey_token(&made, st, p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_begin(st, id, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = key_rotate(out, &made, st, org, id, grace_s, vocab, by, actor, p, err);
    rv = rensei_store_end(st, rv, p, err);
    if (rv == APR_SUCCESS) {
        *token = made.text;
    }
    return rv;
}
