/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_audit_chain.h"

#include <apr_strings.h>

typedef struct prune_t {
    rensei_store_t *st;
    const char *org;
    apr_int64_t before;
    const rensei_actor_t *actor;
} prune_t;

/* The next events that are to go: those after `after` that are older, up to
 * the first that is not. An older one behind that stays: a chain has one
 * beginning. */
static apr_status_t batch_find(rensei_audit_pruned_t *out, const prune_t *pr,
                               apr_int64_t after, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *args[] = {pr->org, rensei_store_num(after, p),
                          rensei_store_num(RENSEI_PRUNE_BATCH, p)};
    rensei_rows_t rows = {0};
    apr_status_t rv = rensei_store_select(
        &rows, pr->st, RENSEI_SQL_AUDIT_OLDEST, args, p, err);
    int n = 0;

    out->count = out->up_to = 0;
    out->hash = NULL;
    while (n < rows.count && rensei_rows_int(&rows, n, 1) < pr->before) {
        n++;
    }
    if (n > 0) {
        out->count = n;
        out->up_to = rensei_rows_int(&rows, n - 1, 0);
        out->hash = rensei_rows_text(&rows, n - 1, 2);
    }
    return rv;
}

static apr_status_t batch_delete(const rensei_audit_pruned_t *b,
                                 const prune_t *pr, apr_pool_t *p,
                                 rensei_err_t *err)
{
    const char *up_to = rensei_store_num(b->up_to, p);
    const char *delete_args[] = {pr->org, up_to};
    const char *anchor_args[] = {up_to, b->hash ? b->hash : "", pr->org, up_to};
    json_t *details;
    apr_status_t rv = rensei_store_exec(NULL, pr->st, RENSEI_SQL_AUDIT_DELETE,
                                        delete_args, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_store_exec(NULL, pr->st, RENSEI_SQL_AUDIT_ANCHOR,
                               anchor_args, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    details = rensei_json_own(
        json_pack("{s:I, s:I, s:s?, s:o}", "count", (json_int_t)b->count,
                  "upTo", (json_int_t)b->up_to, "hash", b->hash, "before",
                  json_string(rensei_time_iso(pr->before, p))),
        p);
    return rensei_audit_append(pr->st, "audit.pruned", pr->org, pr->actor,
                               *pr->org ? pr->org : NULL, details, p, err);
}

static apr_status_t batch_in_tx(rensei_audit_pruned_t *out, const prune_t *pr,
                                apr_pool_t *p, rensei_err_t *err)
{
    /* One that prunes at the same time waits here, and then finds less. */
    apr_status_t rv = rensei_store_exec(NULL, pr->st, RENSEI_SQL_AUDIT_LOCK,
                                        &pr->org, p, err);

    if (rv == APR_SUCCESS) {
        rv = batch_find(out, pr, 0, p, err);
    }
    return rv == APR_SUCCESS && out->count > 0 ? batch_delete(out, pr, p, err)
                                               : rv;
}

static apr_status_t batch_prune(rensei_audit_pruned_t *out, const prune_t *pr,
                                apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_store_begin(pr->st, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = batch_in_tx(out, pr, p, err);
    return rensei_store_end(pr->st, rv, p, err);
}

apr_status_t rensei_audit_prune(rensei_audit_pruned_t *out, rensei_store_t *st,
                                const char *org, apr_int64_t before,
                                int dry_run, const rensei_actor_t *actor,
                                apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t now = rensei_store_now_ms(st);
    /* Never what it writes itself. */
    prune_t pr = {st, org, before < now ? before : now, actor};
    rensei_audit_pruned_t batch = {0};
    apr_pool_t *sub;
    apr_status_t rv;

    out->count = out->up_to = 0;
    out->hash = NULL;
    apr_pool_create(&sub, p);
    do {
        apr_pool_clear(sub);
        rv = dry_run ? batch_find(&batch, &pr, out->up_to, sub, err)
                     : batch_prune(&batch, &pr, sub, err);
        if (rv == APR_SUCCESS && batch.count > 0) {
            out->count += batch.count;
            out->up_to = batch.up_to;
            out->hash = batch.hash ? apr_pstrdup(p, batch.hash) : NULL;
        }
    } while (rv == APR_SUCCESS && batch.count == RENSEI_PRUNE_BATCH);
    if (rv == APR_SUCCESS) {
        apr_pool_destroy(sub); /* else the error's words can be in there */
    }
    return rv;
}
