/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_page.h"
#include "rensei_audit.h"
#include "rensei_b64.h"
#include "rensei_str.h"

#include <apr_strings.h>
#include <string.h>

#define CURSOR_MAX 128 /* characters */

/* "c1769860800000.m2m_…", in base64url so that nobody builds on it. */
const char *rensei_cursor_text(char kind, apr_int64_t n, const char *id,
                               apr_pool_t *p)
{
    const char *plain =
        apr_psprintf(p, "%c%" APR_INT64_T_FMT ".%s", kind, n, id);
    apr_size_t len = strlen(plain);
    char *out = apr_palloc(p, RENSEI_B64URL_LEN(len) + 1);

    rensei_b64url_encode(out, plain, len);
    return out;
}

static int id_fits(char kind, const char *id)
{
    apr_size_t n = strlen(id);
    apr_int64_t number;

    switch (kind) {
    case RENSEI_CURSOR_CLIENT:
        return rensei_id_valid(RENSEI_ID_CLIENT, id, n);
    case RENSEI_CURSOR_KEY:
        return rensei_id_valid(RENSEI_ID_KEY, id, n);
    case RENSEI_CURSOR_WORKER:
        return rensei_id_valid(RENSEI_ID_WORKER, id, n);
    case RENSEI_CURSOR_CREDENTIAL:
        return rensei_id_valid(RENSEI_ID_CLIENT, id, n) ||
               rensei_id_valid(RENSEI_ID_KEY, id, n);
    default:
        return rensei_int_parse(&number, id, n, 0, APR_INT64_MAX);
    }
}

static int cursor_read(rensei_page_t *out, const char *text, apr_pool_t *p)
{
    apr_size_t n = strlen(text), len;
    char *plain, *dot;

    if (n > CURSOR_MAX) {
        return 0;
    }
    plain = apr_pcalloc(p, n + 1);
    if (rensei_b64url_decode(plain, &len, text, n) != APR_SUCCESS ||
        strlen(plain) != len || plain[0] != out->kind) {
        return 0;
    }
    dot = strchr(plain, '.');
    if (dot == NULL || !id_fits(out->kind, dot + 1)) {
        return 0;
    }
    out->id = dot + 1;
    return rensei_int_parse(&out->n, plain + 1, (apr_size_t)(dot - plain - 1),
                            0, APR_INT64_MAX);
}

apr_status_t rensei_page_open(rensei_page_t *out, char kind, int limit,
                              const char *cursor, apr_pool_t *p,
                              rensei_err_t *err)
{
    memset(out, 0, sizeof(*out));
    out->kind = kind;
    out->limit = limit ? limit : RENSEI_PAGE_DEFAULT;
    out->n = APR_INT64_MAX;
    out->id = "";
    out->floor_id = "";
    if (out->limit < 1 || out->limit > RENSEI_PAGE_MAX) {
        return rensei_err_field(err, p, "limit", "limit must be 1 to %d.",
                                RENSEI_PAGE_MAX);
    }
    if (cursor && !cursor_read(out, cursor, p)) {
        return rensei_err_field(err, p, "cursor",
                                "cursor is not one that this list gave.");
    }
    return APR_SUCCESS;
}

apr_status_t rensei_page_floor(rensei_page_t *page, rensei_store_t *st,
                               rensei_sql_e stmt, const char *org,
                               const char *key, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *args[] = {org, key, rensei_store_num(page->n, p), page->id,
                          rensei_store_num(RENSEI_SCAN_MAX - 1, p)};
    rensei_rows_t rows;
    apr_status_t rv = rensei_store_select(&rows, st, stmt, args, p, err);

    if (rv == APR_SUCCESS && rows.count > 0) {
        page->floor_n = rensei_rows_int(&rows, 0, 0);
        page->floor_id = rensei_rows_text(&rows, 0, 1);
        page->floored = 1;
    }
    return rv;
}

const char *rensei_page_next(const rensei_page_t *page, int found,
                             apr_int64_t n, const char *id, apr_pool_t *p)
{
    if (found > page->limit) {
        return rensei_cursor_text(page->kind, n, id, p);
    }
    if (page->floored) {
        return rensei_cursor_text(page->kind, page->floor_n, page->floor_id, p);
    }
    return NULL;
}
