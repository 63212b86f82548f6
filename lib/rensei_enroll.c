/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_enroll.h"
#include "rensei_apikey.h"
#include "rensei_field.h"
#include "rensei_id.h"
#include "rensei_worker_row.h"

#include <string.h>

static apr_status_t dead(rensei_err_t *err, const char *text)
{
    return rensei_err_set(err, RENSEI_E_INVALID_TOKEN, text);
}

static apr_status_t key_expired(rensei_err_t *err)
{
    return dead(err, "The registration key has expired.");
}

static apr_status_t suspended(const char *what, rensei_err_t *err)
{
    return dead(err, strcmp(what, "workspace") == 0
                         ? "The workspace is suspended."
                         : "The organisation is suspended.");
}

/* ---- the runtime token ---- */

static json_t *claims_make(const rensei_worker_t *w,
                           const rensei_enroller_t *by, const char *jti,
                           apr_int64_t iat, apr_int64_t exp)
{
    return json_pack("{s:s, s:s, s:s*, s:o, s:s, s:s, s:I, s:I, s:s, s:s}",
                     "sub", w->id, "org_id", w->org, "workspace_id",
                     w->workspace, "scopes", rensei_answer_scopes(by->scopes),
                     "iss", by->issuer, "aud", by->audience, "iat",
                     (json_int_t)iat, "exp", (json_int_t)exp, "jti", jti, "reg",
                     w->key);
}

/* It does not outlive the registration key. */
static apr_status_t lifetime_set(rensei_enrolled_t *out,
                                 const rensei_enroller_t *by, apr_int64_t iat,
                                 rensei_err_t *err)
{
    apr_int64_t exp = iat + by->lifetime;
    apr_int64_t end = out->worker.key_expires_at / 1000;

    if (end != 0 && exp > end) {
        exp = end;
    }
    out->expires_at = exp * 1000;
    return exp > iat ? APR_SUCCESS : key_expired(err);
}

static apr_status_t token_sign(rensei_enrolled_t *out, const char **jti,
                               rensei_store_t *st, const rensei_enroller_t *by,
                               apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t now = rensei_store_now_ms(st);
    apr_status_t rv = lifetime_set(out, by, now / 1000, err);
    json_t *claims;

    if (rv == APR_SUCCESS && by->ring == NULL) {
        rv = rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                            "There is no key to sign with.");
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_id_new_at(jti, RENSEI_ID_TOKEN, now, rensei_store_sys(st),
                              p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    claims = rensei_json_own(
        claims_make(&out->worker, by, *jti, now / 1000, out->expires_at / 1000),
        p);
    if (claims == NULL) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "The claims could not be written.");
    }
    return rensei_jws_sign(&out->token, by->ring, RENSEI_TYP_RUNTIME,
                           rensei_json_dump(claims, p), p, err);
}

/* ---- registration ---- */

/* Why the key did not count a use; in the transaction that tried. */
static apr_status_t key_refused(const rensei_apikey_t *key, apr_int64_t now,
                                apr_pool_t *p, rensei_err_t *err)
{
    if (key->cls != RENSEI_CLASS_REGISTRATION) {
        return rensei_err_set(err, RENSEI_E_FORBIDDEN,
                              "Workers register with a key of type "
                              "worker_registration alone.");
    }
    if (key->revoked_at) {
        return dead(err, "The registration key has been revoked.");
    }
    if (key->expires_at && key->expires_at <= now) {
        return key_expired(err);
    }
    if (key->suspended) {
        return suspended(key->suspended, err);
    }
    return rensei_err_setf(err, p, RENSEI_E_FORBIDDEN,
                           "The registration key is used up: its maxUses is "
                           "%" APR_INT64_T_FMT ".",
                           key->max_uses);
}

/* A key that came as Bearer has been counted as used already, by who let it
 * in. */
static apr_status_t key_use(rensei_apikey_t *key, rensei_store_t *st,
                            const rensei_enroller_t *by, const char *org,
                            const char *id, int in_body,
                            const rensei_actor_t *actor, apr_pool_t *p,
                            rensei_err_t *err)
{
    apr_int64_t now = rensei_store_now_ms(st);
    const char *at = rensei_store_num(now, p);
    const char *args[] = {in_body ? "1" : "0", at, at, actor->ip, org, id, at};
    int changed;
    apr_status_t rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_KEY_ENROLL, args, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_get(key, st, org, id, p, err);
    }
    if (rv == APR_SUCCESS && !changed) {
        rv = key_refused(key, now, p, err);
    }
    if (rv == APR_SUCCESS &&
        !rensei_scope_granted(by->vocab, key->cls, &key->scopes,
                              RENSEI_STR(RENSEI_SCOPE_REGISTER))) {
        rv = rensei_err_set(err, RENSEI_E_FORBIDDEN,
                            "The key lacks the scope workers:register.");
    }
    return rv;
}

static const char *active_agents(const rensei_enroll_spec_t *spec,
                                 apr_pool_t *p)
{
    return spec->active_agents == RENSEI_WORKER_UNSAID
               ? NULL
               : rensei_store_num(spec->active_agents, p);
}

static apr_status_t worker_insert(const char **id, rensei_store_t *st,
                                  const rensei_apikey_t *key,
                                  const rensei_enroll_spec_t *spec,
                                  apr_pool_t *p, rensei_err_t *err)
{
    const char *now = rensei_store_num(rensei_store_now_ms(st), p);
    apr_status_t rv =
        rensei_id_new(id, RENSEI_ID_WORKER, rensei_store_sys(st), p, err);

    if (rv == APR_SUCCESS) {
        const char *args[] = {*id,
                              key->org,
                              key->workspace,
                              key->id,
                              spec->machine_id,
                              now,
                              spec->hostname,
                              rensei_store_num(spec->max_agents, p),
                              spec->version,
                              spec->region,
                              spec->capabilities,
                              active_agents(spec, p),
                              spec->status,
                              now};

        rv =
            rensei_store_exec(NULL, st, RENSEI_SQL_WORKER_INSERT, args, p, err);
    }
    return rv;
}

static apr_status_t worker_update(const rensei_worker_t *w, rensei_store_t *st,
                                  const rensei_enroll_spec_t *spec,
                                  apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {spec->hostname,
                          rensei_store_num(spec->max_agents, p),
                          spec->version,
                          spec->region,
                          spec->capabilities,
                          active_agents(spec, p),
                          spec->status,
                          rensei_store_num(rensei_store_now_ms(st), p),
                          w->org,
                          w->id};
    int changed = 0;
    apr_status_t rv = APR_SUCCESS;

    if (!w->revoked_at) {
        rv = rensei_store_exec(&changed, st, RENSEI_SQL_WORKER_AGAIN, args, p,
                               err);
    }
    if (rv == APR_SUCCESS && !changed) {
        rv = rensei_err_setf(err, p, RENSEI_E_FORBIDDEN,
                             "The worker %s of this machine was revoked; it "
                             "cannot register with this key any more.",
                             w->id);
    }
    return rv;
}

/* The worker that the machine is by this key, as a row that is there. */
static apr_status_t worker_put(rensei_enrolled_t *out, rensei_store_t *st,
                               const rensei_apikey_t *key,
                               const rensei_enroll_spec_t *spec, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *args[] = {key->id, spec->machine_id};
    const char *id = NULL;
    apr_status_t rv = APR_SUCCESS;

    if (spec->machine_id) {
        rv = rensei_worker_select(&out->worker, st, RENSEI_SQL_WORKER_MACHINE,
                                  args, p, err);
        out->again = rv == APR_SUCCESS;
    }
    if (out->again) {
        id = out->worker.id;
        rv = worker_update(&out->worker, st, spec, p, err);
    }
    else if (rv == APR_SUCCESS || err->code == RENSEI_E_NOT_FOUND) {
        rv = worker_insert(&id, st, key, spec, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_worker_get(&out->worker, st, key->org, id, p, err);
    }
    return rv;
}

static json_t *registered_details(const rensei_enrolled_t *e, const char *jti,
                                  apr_pool_t *p)
{
    const rensei_worker_t *w = &e->worker;
    json_t *out = json_pack(
        "{s:s, s:s, s:s?, s:I, s:s?, s:s?, s:s, s:o}", "keyId", w->key,
        "hostname", w->hostname, "machineId", w->machine_id, "maxAgents",
        (json_int_t)w->max_agents, "version", w->version, "region", w->region,
        "jti", jti, "expiresAt", rensei_answer_iso(e->expires_at, p));

    if (e->again) {
        rensei_json_set(&out, "again", json_true());
    }
    return out;
}

static apr_status_t register_all(rensei_enrolled_t *out, rensei_store_t *st,
                                 const rensei_enroller_t *by, const char *org,
                                 const char *key_id,
                                 const rensei_enroll_spec_t *spec,
                                 const rensei_actor_t *actor, apr_pool_t *p,
                                 rensei_err_t *err)
{
    rensei_actor_t who = *actor;
    rensei_apikey_t key;
    const char *jti;
    apr_status_t rv =
        key_use(&key, st, by, org, key_id, spec->token != NULL, actor, p, err);

    if (rv == APR_SUCCESS) {
        rv = worker_put(out, st, &key, spec, p, err);
    }
    if (rv == APR_SUCCESS) {
        /* Before the commit: no event tells of a token that nobody got. */
        rv = token_sign(out, &jti, st, by, p, err);
    }
    if (rv == APR_SUCCESS) {
        who.id = key.id;
        who.type = "api_key";
        rv = rensei_audit_append(
            st, "worker.registered", org, &who, out->worker.id,
            rensei_json_own(registered_details(out, jti, p), p), p, err);
    }
    return rv;
}

apr_status_t rensei_enroll_by_key(rensei_enrolled_t *out, rensei_store_t *st,
                                  const rensei_enroller_t *by, const char *org,
                                  const char *key,
                                  const rensei_enroll_spec_t *spec,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv = rensei_store_begin(st, p, err);

    memset(out, 0, sizeof(*out));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = register_all(out, st, by, org, key, spec, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

apr_status_t rensei_enroll_by_token(rensei_enrolled_t *out, rensei_store_t *st,
                                    const rensei_enroller_t *by,
                                    const rensei_enroll_spec_t *spec,
                                    const rensei_actor_t *actor, apr_pool_t *p,
                                    rensei_err_t *err)
{
    rensei_apikey_t key;
    apr_status_t rv =
        rensei_apikey_find(&key, st, spec->token, strlen(spec->token), p, err);

    if (rv != APR_SUCCESS && err->code == RENSEI_E_NOT_FOUND) {
        return dead(err, "The registration key is not known.");
    }
    return rv == APR_SUCCESS ? rensei_enroll_by_key(out, st, by, key.org,
                                                    key.id, spec, actor, p, err)
                             : rv;
}

/* ---- refresh ---- */

static apr_status_t worker_check(const rensei_worker_t *w, rensei_err_t *err)
{
    if (w->revoked_at) {
        return dead(err, "The worker has been revoked.");
    }
    if (w->key_revoked) {
        return dead(err, "The worker's registration key has been revoked.");
    }
    if (!w->key_live) {
        return dead(err, "The worker's registration key has expired.");
    }
    return w->suspended ? suspended(w->suspended, err) : APR_SUCCESS;
}

static apr_status_t refresh_all(rensei_enrolled_t *out, rensei_store_t *st,
                                const rensei_enroller_t *by, const char *org,
                                const char *id, const rensei_actor_t *actor,
                                apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {rensei_store_num(rensei_store_now_ms(st), p), org,
                          id};
    json_t *details;
    const char *jti;
    apr_status_t rv =
        rensei_store_exec(NULL, st, RENSEI_SQL_WORKER_SEEN, args, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_worker_get(&out->worker, st, org, id, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = worker_check(&out->worker, err);
    }
    if (rv == APR_SUCCESS) {
        rv = token_sign(out, &jti, st, by, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    details = json_pack("{s:s, s:o}", "jti", jti, "expiresAt",
                        rensei_answer_iso(out->expires_at, p));
    return rensei_audit_append(st, "worker.refreshed", org, actor, id,
                               rensei_json_own(details, p), p, err);
}

apr_status_t rensei_enroll_refresh(rensei_enrolled_t *out, rensei_store_t *st,
                                   const rensei_enroller_t *by, const char *org,
                                   const char *worker,
                                   const rensei_actor_t *actor, apr_pool_t *p,
                                   rensei_err_t *err)
{
    apr_status_t rv = rensei_store_begin(st, p, err);

    memset(out, 0, sizeof(*out));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = refresh_all(out, st, by, org, worker, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}
