/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The rotation of a client's secret: that part of rensei_client.h.
 */
#include "rensei_client_change.h"
#include "rensei_field.h"
#include "rensei_id.h"

#include <apr_strings.h>
#include <string.h>

static apr_status_t conflict(rensei_err_t *err, const char *text)
{
    return rensei_err_set(err, RENSEI_E_CONFLICT, text);
}

static apr_status_t expiry_check(apr_int64_t expires_at, apr_int64_t now,
                                 apr_pool_t *p, rensei_err_t *err)
{
    if (expires_at != 0 && expires_at <= now) {
        return rensei_err_field(err, p, "secretExpiresAt",
                                "secretExpiresAt must be in the future.");
    }
    return rensei_field_time("secretExpiresAt", expires_at, p, err);
}

/* A secret in the making. */
typedef struct next_t {
    const char *secret;
    const char *last4;
    char digest[RENSEI_DIGEST_LEN + 1];
    apr_int64_t expires_at; /* said for the old one's end; ms, 0: nothing */
} next_t;

static apr_status_t next_make(next_t *out, rensei_store_t *st, apr_pool_t *p,
                              rensei_err_t *err)
{
    apr_status_t rv = rensei_secret_new(&out->secret, RENSEI_SECRET_CLIENT,
                                        rensei_store_sys(st), p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    out->last4 = apr_pstrdup(p, out->secret + strlen(out->secret) - 4);
    rensei_digest(out->digest, out->secret, strlen(out->secret));
    if (out->digest[0] == '\0') {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "A digest could not be computed.");
    }
    return APR_SUCCESS;
}

/* @param digest,last4 of the next secret; NULL: there is none any more */
static apr_status_t next_write(const rensei_client_t *c, const char *digest,
                               const char *last4, apr_int64_t expires_at,
                               rensei_store_t *st, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *now = rensei_store_num(rensei_store_now_ms(st), p);
    const char *args[] = {
        digest, last4, rensei_store_opt(expires_at, p), now, now, c->org, c->id,
    };

    return rensei_store_exec(NULL, st, RENSEI_SQL_CLIENT_ROTATE, args, p, err);
}

/* When the old secret is to end, that has an end or none so far: not said is
 * not taken away. */
static apr_int64_t old_ends(const rensei_client_t *c, apr_int64_t said,
                            apr_int64_t now)
{
    return said == 0 || rensei_client_secret_ended(c, now)
               ? c->secret_expires_at
               : said;
}

static apr_status_t start(rensei_client_t *out, const next_t *next,
                          rensei_store_t *st, const char *org, const char *id,
                          const rensei_actor_t *actor, apr_pool_t *p,
                          rensei_err_t *err)
{
    apr_int64_t ends = 0;
    apr_status_t rv = rensei_client_hold(out, NULL, st, org, id, p, err);

    if (rv == APR_SUCCESS && out->secret_last4 == NULL) {
        rv = conflict(err, "The client has no secret: it authenticates by "
                           "private_key_jwt.");
    }
    if (rv == APR_SUCCESS && out->next_secret_last4) {
        rv = conflict(err, "A rotation is under way: complete or cancel it "
                           "first.");
    }
    if (rv == APR_SUCCESS) {
        ends = old_ends(out, next->expires_at, rensei_store_now_ms(st));
        rv = next_write(out, next->digest, next->last4, ends, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_client_tell(out, st, "m2m.secret_rotation_started", org, id,
                                json_pack("{s:s, s:o}", "nextSecretLast4",
                                          next->last4, "secretExpiresAt",
                                          rensei_answer_ms(ends)),
                                actor, p, err);
    }
    return rv;
}

apr_status_t rensei_client_rotate_start(rensei_client_t *out,
                                        const char **secret, rensei_store_t *st,
                                        const char *org, const char *id,
                                        apr_int64_t expires_at,
                                        const rensei_actor_t *actor,
                                        apr_pool_t *p, rensei_err_t *err)
{
    next_t next = {.expires_at = expires_at};
    apr_status_t rv = expiry_check(expires_at, rensei_store_now_ms(st), p, err);

    if (rv == APR_SUCCESS) {
        rv = next_make(&next, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_client_begin(st, id, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = start(out, &next, st, org, id, actor, p, err);
    rv = rensei_store_end(st, rv, p, err);
    if (rv == APR_SUCCESS) {
        *secret = next.secret;
    }
    return rv;
}

/* The client, which has a rotation under way. */
static apr_status_t rotating_hold(rensei_client_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_client_hold(out, NULL, st, org, id, p, err);

    if (rv == APR_SUCCESS && out->next_secret_last4 == NULL) {
        rv = conflict(err, "No rotation is under way: start one first.");
    }
    return rv;
}

static apr_status_t complete(rensei_client_t *out, rensei_store_t *st,
                             const char *org, const char *id,
                             const rensei_actor_t *actor, apr_pool_t *p,
                             rensei_err_t *err)
{
    const char *now = rensei_store_num(rensei_store_now_ms(st), p);
    const char *args[] = {now, now, org, id};
    apr_status_t rv = rotating_hold(out, st, org, id, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_store_exec(NULL, st, RENSEI_SQL_CLIENT_SUCCEED, args, p,
                               err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_client_tell(
            out, st, "m2m.secret_rotation_completed", org, id,
            json_pack("{s:s}", "secretLast4", out->next_secret_last4), actor, p,
            err);
    }
    return rv;
}

apr_status_t rensei_client_rotate_complete(rensei_client_t *out,
                                           rensei_store_t *st, const char *org,
                                           const char *id,
                                           const rensei_actor_t *actor,
                                           apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_client_begin(st, id, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = complete(out, st, org, id, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

static apr_status_t cancel(rensei_client_t *out, rensei_store_t *st,
                           const char *org, const char *id,
                           const rensei_actor_t *actor, apr_pool_t *p,
                           rensei_err_t *err)
{
    apr_status_t rv = rotating_hold(out, st, org, id, p, err);

    if (rv == APR_SUCCESS &&
        rensei_client_secret_ended(out, rensei_store_now_ms(st))) {
        rv = conflict(err, "The old secret has ended: the rotation can only "
                           "be completed.");
    }
    if (rv == APR_SUCCESS) {
        rv = next_write(out, NULL, NULL, 0, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_client_tell(
            out, st, "m2m.secret_rotation_cancelled", org, id,
            json_pack("{s:s}", "nextSecretLast4", out->next_secret_last4),
            actor, p, err);
    }
    return rv;
}

apr_status_t rensei_client_rotate_cancel(rensei_client_t *out,
                                         rensei_store_t *st, const char *org,
                                         const char *id,
                                         const rensei_actor_t *actor,
                                         apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_client_begin(st, id, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = cancel(out, st, org, id, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}
