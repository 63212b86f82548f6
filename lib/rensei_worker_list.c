/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_worker_row.h"
#include "rensei_field.h"
#include "rensei_page.h"

static rensei_page_way_t way_choose(const rensei_worker_filter_t *f)
{
    if (f->hostname) {
        return (rensei_page_way_t){RENSEI_SQL_WORKER_LIST_HOST,
                                   RENSEI_SQL_WORKER_FLOOR_HOST, f->hostname};
    }
    if (f->key) {
        return (rensei_page_way_t){RENSEI_SQL_WORKER_LIST_KEY,
                                   RENSEI_SQL_WORKER_FLOOR_KEY, f->key};
    }
    return (rensei_page_way_t){RENSEI_SQL_WORKER_LIST, RENSEI_SQL_WORKER_FLOOR,
                               NULL};
}

static apr_status_t filter_check(const rensei_worker_filter_t *f, apr_pool_t *p,
                                 rensei_err_t *err)
{
    static const char *const choices[] = {"active", "revoked", NULL};
    apr_status_t rv = rensei_field_filter("hostname", f->hostname, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_field_filter("keyId", f->key, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_field_filter("region", f->region, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_field_choice("status", f->status, choices, p, err);
    }
    return rv;
}

static apr_status_t list_select(rensei_rows_t *rows, rensei_store_t *st,
                                const char *org, const rensei_page_way_t *way,
                                const rensei_page_t *page,
                                const rensei_worker_filter_t *f, apr_pool_t *p,
                                rensei_err_t *err)
{
    const char *args[] = {org,
                          way->key,
                          rensei_store_num(page->n, p),
                          page->id,
                          rensei_store_num(page->floor_n, p),
                          page->floor_id,
                          f->key,
                          f->key,
                          f->region,
                          f->region,
                          f->status,
                          f->status,
                          rensei_store_num(page->limit + 1, p)};

    return rensei_store_select(rows, st, way->list, args, p, err);
}

static void page_read(rensei_worker_page_t *out, const rensei_page_t *page,
                      const rensei_rows_t *rows, apr_int64_t now, apr_pool_t *p)
{
    rensei_worker_t *last = NULL;
    int i;

    out->count = rows->count > page->limit ? page->limit : rows->count;
    out->worker = apr_pcalloc(p, sizeof(*out->worker) * out->count + 1);
    for (i = 0; i < out->count; i++) {
        last = &out->worker[i];
        rensei_worker_row(last, rows, i, now);
    }
    out->next_cursor =
        rensei_page_next(page, rows->count, last ? last->created_at : 0,
                         last ? last->id : "", p);
}

apr_status_t rensei_worker_list(rensei_worker_page_t *out, rensei_store_t *st,
                                const char *org,
                                const rensei_worker_filter_t *f, apr_pool_t *p,
                                rensei_err_t *err)
{
    const rensei_page_way_t way = way_choose(f);
    rensei_page_t page;
    rensei_rows_t rows;
    apr_status_t rv = rensei_page_open(&page, RENSEI_CURSOR_WORKER, f->limit,
                                       f->cursor, p, err);

    if (rv == APR_SUCCESS) {
        rv = filter_check(f, p, err);
    }
    if (rv == APR_SUCCESS &&
        (f->region || f->status || (f->hostname && f->key))) {
        rv = rensei_page_floor(&page, st, way.floor, org, way.key, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = list_select(&rows, st, org, &way, &page, f, p, err);
    }
    if (rv == APR_SUCCESS) {
        page_read(out, &page, &rows, rensei_store_now_ms(st), p);
    }
    return rv;
}
