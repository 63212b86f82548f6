/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_expiry.h"

static const rensei_actor_t actor = {.id = "rensei", .type = "system"};

/* What can end, each with an index of its own to find it by. */
typedef struct way_t {
    rensei_sql_e due, noticed;
    const char *kind;
    const char *field; /* what a later end would be given to */
} way_t;

static const way_t ways[] = {
    {RENSEI_SQL_EXPIRING_CLIENTS, RENSEI_SQL_CLIENT_NOTICED, "client",
     "expiresAt"},
    {RENSEI_SQL_EXPIRING_SECRETS, RENSEI_SQL_SECRET_NOTICED, "client",
     "secretExpiresAt"},
    {RENSEI_SQL_EXPIRING_KEYS, RENSEI_SQL_KEY_NOTICED, "key", "expiresAt"},
};

#define WAYS (int)(sizeof(ways) / sizeof(ways[0]))

typedef struct due_t {
    const char *id, *org, *name, *owner;
    apr_int64_t expires_at;
} due_t;

static due_t due_read(const rensei_rows_t *rows, int i)
{
    due_t d = {rensei_rows_text(rows, i, 0), rensei_rows_text(rows, i, 1),
               rensei_rows_text(rows, i, 2), rensei_rows_text(rows, i, 3),
               rensei_rows_int(rows, i, 4)};

    return d;
}

/* @param changed 0 where somebody else was quicker, or the credential was
 *   revoked or got another end since it was found */
static apr_status_t notice_add(int *changed, const way_t *way, const due_t *d,
                               rensei_store_t *st, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *end = rensei_store_num(d->expires_at, p);
    const char *args[] = {end, d->id, end, end};
    json_t *details;
    apr_status_t rv =
        rensei_store_exec(changed, st, way->noticed, args, p, err);

    if (rv != APR_SUCCESS || *changed == 0) {
        return rv;
    }
    details = rensei_json_own(
        json_pack("{s:s, s:s, s:s?, s:s, s:s}", "kind", way->kind, "name",
                  d->name, "owner", d->owner, "expiresAt",
                  rensei_time_iso(d->expires_at, p), "field", way->field),
        p);
    return rensei_audit_append(st, "credential.expiring", d->org, &actor, d->id,
                               details, p, err);
}

static apr_status_t notice(int *count, const way_t *way, const due_t *d,
                           rensei_store_t *st, apr_pool_t *p, rensei_err_t *err)
{
    int changed = 0;
    apr_status_t rv = rensei_store_begin(st, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = notice_add(&changed, way, d, st, p, err);
    rv = rensei_store_end(st, rv, p, err);
    if (rv == APR_SUCCESS) {
        *count += changed;
    }
    return rv;
}

static apr_status_t way_sweep(int *count, const way_t *way, rensei_store_t *st,
                              apr_int64_t within_ms, int limit, apr_pool_t *p,
                              rensei_err_t *err)
{
    apr_int64_t now = rensei_store_now_ms(st);
    const char *args[] = {rensei_store_num(now, p), rensei_store_num(now, p),
                          rensei_store_num(now + within_ms, p),
                          rensei_store_num(limit, p)};
    /* the statement for clients asks for the time once more, first */
    const char *const *its =
        way->due == RENSEI_SQL_EXPIRING_CLIENTS ? args : args + 1;
    rensei_rows_t rows;
    apr_status_t rv = rensei_store_select(&rows, st, way->due, its, p, err);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < rows.count; i++) {
        due_t d = due_read(&rows, i);

        rv = notice(count, way, &d, st, p, err);
    }
    return rv;
}

apr_status_t rensei_expiry_sweep(int *count, rensei_store_t *st,
                                 apr_int64_t within_ms, int limit,
                                 apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    *count = 0;
    for (i = 0; rv == APR_SUCCESS && i < WAYS && *count < limit; i++) {
        rv = way_sweep(count, &ways[i], st, within_ms, limit - *count, p, err);
    }
    return rv;
}
