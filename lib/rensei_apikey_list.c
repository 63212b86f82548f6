/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_apikey_row.h"
#include "rensei_apikey_spec.h"
#include "rensei_field.h"
#include "rensei_page.h"

static rensei_page_way_t way_choose(const rensei_apikey_filter_t *f)
{
    if (f->name) {
        return (rensei_page_way_t){RENSEI_SQL_KEY_LIST_NAME,
                                   RENSEI_SQL_KEY_FLOOR_NAME, f->name};
    }
    if (f->owner) {
        return (rensei_page_way_t){RENSEI_SQL_KEY_LIST_OWNER,
                                   RENSEI_SQL_KEY_FLOOR_OWNER, f->owner};
    }
    return (rensei_page_way_t){RENSEI_SQL_KEY_LIST, RENSEI_SQL_KEY_FLOOR, NULL};
}

static apr_status_t filter_check(const rensei_apikey_filter_t *f,
                                 const char **pattern, apr_pool_t *p,
                                 rensei_err_t *err)
{
    static const char *const choices[] = {"active", "exhausted", "expired",
                                          "revoked", NULL};
    apr_status_t rv = rensei_field_filter("name", f->name, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_field_filter("owner", f->owner, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_type_check("type", f->type, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_field_choice("status", f->status, choices, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_field_scope_filter(pattern, f->scope, p, err);
    }
    return rv;
}

static apr_status_t list_select(rensei_rows_t *rows, rensei_store_t *st,
                                const char *org, const rensei_page_way_t *way,
                                const rensei_page_t *page,
                                const rensei_apikey_filter_t *f,
                                const char *pattern, apr_pool_t *p,
                                rensei_err_t *err)
{
    const char *args[] = {org,
                          way->key,
                          rensei_store_num(page->n, p),
                          page->id,
                          rensei_store_num(page->floor_n, p),
                          page->floor_id,
                          f->owner,
                          f->owner,
                          f->type,
                          f->type,
                          pattern,
                          pattern,
                          f->status,
                          rensei_store_num(rensei_store_now_ms(st), p),
                          f->status,
                          rensei_store_num(page->limit + 1, p)};

    return rensei_store_select(rows, st, way->list, args, p, err);
}

static apr_status_t page_read(rensei_apikey_page_t *out,
                              const rensei_page_t *page,
                              const rensei_rows_t *rows, apr_int64_t now,
                              apr_pool_t *p, rensei_err_t *err)
{
    rensei_apikey_t *last = NULL;
    apr_status_t rv = APR_SUCCESS;
    int i;

    out->count = rows->count > page->limit ? page->limit : rows->count;
    out->key = apr_pcalloc(p, sizeof(*out->key) * out->count + 1);
    for (i = 0; i < out->count && rv == APR_SUCCESS; i++) {
        last = &out->key[i];
        rv = rensei_apikey_row(last, rows, i, now, p, err);
    }
    out->next_cursor =
        rensei_page_next(page, rows->count, last ? last->created_at : 0,
                         last ? last->id : "", p);
    return rv;
}

apr_status_t rensei_apikey_list(rensei_apikey_page_t *out, rensei_store_t *st,
                                const char *org,
                                const rensei_apikey_filter_t *f, apr_pool_t *p,
                                rensei_err_t *err)
{
    const rensei_page_way_t way = way_choose(f);
    const char *pattern;
    rensei_page_t page;
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_page_open(&page, RENSEI_CURSOR_KEY, f->limit, f->cursor, p, err);

    if (rv == APR_SUCCESS) {
        rv = filter_check(f, &pattern, p, err);
    }
    if (rv == APR_SUCCESS &&
        (f->scope || f->status || f->type || (f->name && f->owner))) {
        rv = rensei_page_floor(&page, st, way.floor, org, way.key, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = list_select(&rows, st, org, &way, &page, f, pattern, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = page_read(out, &page, &rows, rensei_store_now_ms(st), p, err);
    }
    return rv;
}
