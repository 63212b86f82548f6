/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_limits.h"
#include "rensei_json.h"

static const rensei_limits_t *limits_of(const rensei_grantor_t *by)
{
    static const rensei_limits_t none = {0};

    return by && by->limits ? by->limits : &none;
}

static apr_status_t owner_check(const rensei_limits_t *l, const char *owner,
                                apr_pool_t *p, rensei_err_t *err)
{
    if (!l->owner || owner) {
        return APR_SUCCESS;
    }
    return rensei_err_field(err, p, "owner",
                            RENSEI_LIMITS_REQUIRE_OWNER
                            " is On: owner must name a person or a team.");
}

static apr_status_t expiry_check(const rensei_limits_t *l,
                                 apr_int64_t expires_at, apr_pool_t *p,
                                 rensei_err_t *err)
{
    if (!l->expiry || expires_at) {
        return APR_SUCCESS;
    }
    return rensei_err_field(err, p, "expiresAt",
                            RENSEI_LIMITS_REQUIRE_EXPIRY
                            " is On: expiresAt must be given.");
}

static int too_old(const rensei_limits_t *l, apr_int64_t expires_at,
                   apr_int64_t now)
{
    return l->key_age && (expires_at == 0 || expires_at > now + l->key_age);
}

static const char *age_text(const rensei_limits_t *l, apr_pool_t *p)
{
    return rensei_duration_text(l->key_age / 1000, p);
}

apr_status_t rensei_limits_key(const rensei_grantor_t *by, unsigned what,
                               const char *owner, apr_int64_t expires_at,
                               apr_int64_t now, apr_pool_t *p,
                               rensei_err_t *err)
{
    const rensei_limits_t *l = limits_of(by);
    apr_status_t rv = APR_SUCCESS;

    if (what & RENSEI_LIMIT_OWNER) {
        rv = owner_check(l, owner, p, err);
    }
    if (rv == APR_SUCCESS && what & RENSEI_LIMIT_EXPIRY &&
        too_old(l, expires_at, now)) {
        return rensei_err_field(
            err, p, "expiresAt",
            RENSEI_LIMITS_KEY_AGE
            " is %s: expiresAt must be given, and not be later than %s.",
            age_text(l, p), rensei_time_iso(now + l->key_age, p));
    }
    if (rv == APR_SUCCESS && what & RENSEI_LIMIT_EXPIRY) {
        rv = expiry_check(l, expires_at, p, err);
    }
    return rv;
}

apr_status_t rensei_limits_rotate(const rensei_grantor_t *by,
                                  apr_int64_t expires_at, apr_int64_t now,
                                  apr_pool_t *p, rensei_err_t *err)
{
    const rensei_limits_t *l = limits_of(by);

    if (too_old(l, expires_at, now)) {
        return rensei_err_setf(err, p, RENSEI_E_FORBIDDEN,
                               RENSEI_LIMITS_KEY_AGE
                               " is %s, and this key ends later, or never: "
                               "create another in its place.",
                               age_text(l, p));
    }
    if (l->expiry && expires_at == 0) {
        return rensei_err_set(err, RENSEI_E_FORBIDDEN,
                              RENSEI_LIMITS_REQUIRE_EXPIRY
                              " is On, and this key never ends: create "
                              "another in its place.");
    }
    return APR_SUCCESS;
}

apr_status_t rensei_limits_client(const rensei_grantor_t *by, unsigned what,
                                  const char *owner, apr_int64_t expires_at,
                                  apr_int64_t token_lifetime, apr_pool_t *p,
                                  rensei_err_t *err)
{
    const rensei_limits_t *l = limits_of(by);
    apr_status_t rv = APR_SUCCESS;

    if (what & RENSEI_LIMIT_OWNER) {
        rv = owner_check(l, owner, p, err);
    }
    if (rv == APR_SUCCESS && what & RENSEI_LIMIT_EXPIRY) {
        rv = expiry_check(l, expires_at, p, err);
    }
    if (rv == APR_SUCCESS && what & RENSEI_LIMIT_LIFETIME &&
        rensei_limits_lifetime(l, token_lifetime) < token_lifetime) {
        rv = rensei_err_field(err, p, "tokenLifetime",
                              RENSEI_LIMITS_TOKEN_LIFETIME
                              " is %s: tokenLifetime must be at most %d.",
                              rensei_duration_text(l->token_lifetime, p),
                              (int)l->token_lifetime);
    }
    return rv;
}

/* The row of the organisation stands for its number of credentials: SQLite
 * has one writer at a time, PostgreSQL makes the next one wait for this row,
 * and then sees what was committed meanwhile. */
static apr_status_t org_lock(rensei_store_t *st, const char *org, apr_pool_t *p,
                             rensei_err_t *err)
{
    int changed;
    apr_status_t rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_ORG_LOCK, &org, p, err);

    if (rv == APR_SUCCESS && changed == 0) {
        rv = rensei_err_set(err, RENSEI_E_NOT_FOUND,
                            "There is no such organisation.");
    }
    return rv;
}

apr_status_t rensei_limits_count(const rensei_grantor_t *by, rensei_store_t *st,
                                 const char *org, apr_pool_t *p,
                                 rensei_err_t *err)
{
    const rensei_limits_t *l = limits_of(by);
    const char *now = rensei_store_num(rensei_store_now_ms(st), p);
    const char *args[] = {org, now, org, now};
    rensei_rows_t rows;
    apr_status_t rv;

    if (l->credentials == 0) {
        return APR_SUCCESS;
    }
    rv = org_lock(st, org, p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_store_select(&rows, st, RENSEI_SQL_ORG_LIVE, args, p, err);
    }
    if (rv == APR_SUCCESS && rensei_rows_int(&rows, 0, 0) >= l->credentials) {
        rv = rensei_err_setf(err, p, RENSEI_E_FORBIDDEN,
                             RENSEI_LIMITS_CREDENTIALS
                             " is %" APR_INT64_T_FMT
                             ", and the organisation has that many clients "
                             "and keys: revoke one first.",
                             l->credentials);
    }
    return rv;
}

apr_int64_t rensei_limits_lifetime(const rensei_limits_t *l,
                                   apr_int64_t seconds)
{
    return l && l->token_lifetime && seconds > l->token_lifetime
               ? l->token_lifetime
               : seconds;
}
