/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_revocation.h"
#include "rensei_client_change.h"
#include "rensei_forget.h"
#include "rensei_id.h"

#include <string.h>

static apr_status_t token_tell(rensei_store_t *st, const char *org,
                               const char *client_id, const char *jti,
                               const rensei_actor_t *actor, apr_pool_t *p,
                               rensei_err_t *err)
{
    return rensei_audit_change(st, "m2m.token_revoked", org, actor, client_id,
                               json_pack("{s:s}", "jti", jti), p, err);
}

static apr_status_t token_end(rensei_store_t *st, const char *org,
                              const char *client_id, const char *jti,
                              apr_int64_t until, const rensei_actor_t *actor,
                              apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {jti, org, client_id, rensei_store_num(until, p),
                          rensei_store_num(rensei_store_now_ms(st), p)};
    rensei_client_t client;
    int changed = 0;
    apr_status_t rv = rensei_client_get(&client, st, org, client_id, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_store_exec(&changed, st, RENSEI_SQL_REVOKED_INSERT, args, p,
                               err);
    }
    if (rv == APR_SUCCESS && changed > 0) {
        rv = token_tell(st, org, client_id, jti, actor, p, err);
    }
    return rv;
}

apr_status_t rensei_token_revoke(rensei_store_t *st, const char *org,
                                 const char *client_id, const char *jti,
                                 apr_int64_t exp_s, const rensei_actor_t *actor,
                                 apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t until = rensei_forget_at(exp_s);
    apr_status_t rv;

    if (!rensei_id_safe(jti, strlen(jti))) {
        return rensei_err_field(err, p, "jti", "jti is not an identifier.");
    }
    if (until <= rensei_store_now_ms(st)) {
        return APR_SUCCESS;
    }
    rv = rensei_client_begin(st, client_id, p, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = token_end(st, org, client_id, jti, until, actor, p, err);
    rv = rensei_store_end(st, rv, p, err);
    if (rv == APR_SUCCESS) {
        rensei_forget_some(st, RENSEI_SQL_REVOKED_FORGET, p);
    }
    return rv;
}

apr_status_t rensei_token_revoked(int *yes, rensei_store_t *st,
                                  const char *client_id, const char *jti,
                                  apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {client_id, jti};
    rensei_rows_t rows;
    apr_status_t rv;

    *yes = 0;
    if (!rensei_id_safe(jti, strlen(jti))) {
        return APR_SUCCESS;
    }
    rv = rensei_store_select(&rows, st, RENSEI_SQL_REVOKED_FIND, args, p, err);
    if (rv == APR_SUCCESS) {
        *yes = rows.count > 0;
    }
    return rv;
}

/* When a cut-off counts from: past the one before, whose later tokens may have
 * been issued within a millisecond after it, and past all that has an event,
 * be it of a gateway whose clock is ahead of ours. This one's own event comes
 * first: it locks the trail, so that no token is recorded beside it. */
static apr_status_t cut_off_time(apr_int64_t *at, const rensei_client_t *c,
                                 rensei_store_t *st, apr_pool_t *p,
                                 rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv = rensei_store_select(&rows, st, RENSEI_SQL_AUDIT_LATEST,
                                          &c->org, p, err);

    if (rv == APR_SUCCESS) {
        *at = rensei_rows_int(&rows, 0, 0);
        if (c->tokens_after && c->tokens_after + 1 > *at) {
            *at = c->tokens_after + 1;
        }
    }
    return rv;
}

static apr_status_t cut_off(rensei_client_t *out, rensei_store_t *st,
                            const char *org, const char *id,
                            const rensei_actor_t *actor, apr_pool_t *p,
                            rensei_err_t *err)
{
    const char *now = rensei_store_num(rensei_store_now_ms(st), p);
    const char *args[] = {NULL, now, now, org, id};
    apr_int64_t at;
    rensei_client_t was;
    apr_status_t rv = rensei_client_hold(&was, NULL, st, org, id, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_client_tell(out, st, "m2m.token_revoked", org, id,
                                json_pack("{s:b}", "all", 1), actor, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = cut_off_time(&at, &was, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        args[0] = rensei_store_num(at, p);
        rv = rensei_store_exec(NULL, st, RENSEI_SQL_CLIENT_CUT_OFF, args, p,
                               err);
    }
    return rv == APR_SUCCESS ? rensei_client_get(out, st, org, id, p, err) : rv;
}

apr_status_t rensei_client_revoke_tokens(rensei_client_t *out,
                                         rensei_store_t *st, const char *org,
                                         const char *id,
                                         const rensei_actor_t *actor,
                                         apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_client_begin(st, id, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = cut_off(out, st, org, id, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

int rensei_token_dead(const rensei_client_t *c, rensei_str_t jti,
                      apr_int64_t iat_s)
{
    apr_int64_t ms;
    int i;

    for (i = 0; c->revoked_jti && c->revoked_jti[i]; i++) {
        if (rensei_str_eq(jti, rensei_str(c->revoked_jti[i]))) {
            return 1;
        }
    }
    if (c->tokens_after == 0) {
        return 0;
    }
    if (!rensei_id_time(&ms, RENSEI_ID_TOKEN, jti.p, jti.n)) {
        ms = iat_s * 1000;
    }
    return ms <= c->tokens_after;
}
