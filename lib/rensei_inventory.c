/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_inventory.h"
#include "rensei_field.h"
#include "rensei_page.h"

#include <string.h>

#define MS_PER_DAY APR_INT64_C(86400000)

/* In the order of INVENTORY_COLS in rensei_sql.c. */
enum {
    COL_ID,
    COL_WORKSPACE,
    COL_NAME,
    COL_OWNER,
    COL_SCOPES,
    COL_CREATED_AT,
    COL_LAST_USED_AT,
    COL_EXPIRES_AT,
    COL_KEY_TYPE,
    COL_STATUS
};

static apr_status_t row_read(rensei_credential_t *out,
                             const rensei_rows_t *rows, int i, apr_pool_t *p,
                             rensei_err_t *err)
{
    const char *scopes = rensei_rows_text(rows, i, COL_SCOPES);

    out->id = rensei_rows_text(rows, i, COL_ID);
    out->workspace = rensei_rows_text(rows, i, COL_WORKSPACE);
    out->name = rensei_rows_text(rows, i, COL_NAME);
    out->owner = rensei_rows_text(rows, i, COL_OWNER);
    out->created_at = rensei_rows_int(rows, i, COL_CREATED_AT);
    out->last_used_at = rensei_rows_int(rows, i, COL_LAST_USED_AT);
    out->expires_at = rensei_rows_int(rows, i, COL_EXPIRES_AT);
    out->key_type = rensei_rows_text(rows, i, COL_KEY_TYPE);
    out->status = rensei_rows_text(rows, i, COL_STATUS);
    out->kind = out->key_type ? "key" : "client";
    out->cls =
        out->key_type && strcmp(out->key_type, "worker_registration") != 0
            ? RENSEI_CLASS_STANDING
            : RENSEI_CLASS_MINTING;
    return rensei_scopes_parse(&out->scopes, scopes, strlen(scopes), p, err);
}

static apr_status_t class_check(const char *cls, apr_pool_t *p,
                                rensei_err_t *err)
{
    static const char *const choices[] = {RENSEI_CLASS_STANDING,
                                          RENSEI_CLASS_MINTING, NULL};

    return rensei_field_choice("class", cls, choices, p, err);
}

static int has_clients(const rensei_inventory_filter_t *f)
{
    return !f->cls || strcmp(f->cls, RENSEI_CLASS_MINTING) == 0;
}

/* A page looks no further than the shorter of the two scans reaches: below
 * that, rows of one list could be missing between those of the other. Of two
 * floors at the same time a client's is the higher: "m2m_" sorts behind
 * "key_". */
static apr_status_t floor_set(rensei_page_t *page, rensei_store_t *st,
                              const char *org, int clients, apr_pool_t *p,
                              rensei_err_t *err)
{
    rensei_page_t other = *page;
    apr_status_t rv =
        rensei_page_floor(page, st, RENSEI_SQL_KEY_FLOOR, org, NULL, p, err);

    if (rv != APR_SUCCESS || !clients) {
        return rv;
    }
    rv = rensei_page_floor(&other, st, RENSEI_SQL_CLIENT_FLOOR, org, NULL, p,
                           err);
    if (rv == APR_SUCCESS && other.floored &&
        (!page->floored || other.floor_n >= page->floor_n)) {
        *page = other;
    }
    return rv;
}

static apr_status_t part_select(rensei_rows_t *rows, rensei_store_t *st,
                                rensei_sql_e stmt, const char *org,
                                const rensei_page_t *page,
                                const rensei_inventory_filter_t *f,
                                apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t now = rensei_store_now_ms(st);
    const char *unused =
        f->unused_for ? rensei_store_num(now - f->unused_for * 1000, p) : NULL;
    const char *soon =
        f->expiring_within
            ? rensei_store_num(now + f->expiring_within * 1000, p)
            : NULL;
    const char *now_text = rensei_store_num(now, p);
    const char *args[] = {now_text,
                          org,
                          rensei_store_num(page->n, p),
                          page->id,
                          rensei_store_num(page->floor_n, p),
                          page->floor_id,
                          now_text,
                          unused,
                          unused,
                          soon,
                          soon,
                          f->without_owner ? "" : NULL,
                          f->cls,
                          f->cls,
                          rensei_store_num(page->limit + 1, p)};

    /* the statement for clients asks for the time once more, first */
    return rensei_store_select(
        rows, st, stmt, stmt == RENSEI_SQL_INVENTORY_CLIENTS ? args : args + 1,
        p, err);
}

/* Which of the two lists has the newer row next? @return 1: clients */
static int client_next(const rensei_rows_t *clients, int c,
                       const rensei_rows_t *keys, int k)
{
    if (c >= clients->count || k >= keys->count) {
        return c < clients->count;
    }
    return rensei_rows_int(clients, c, COL_CREATED_AT) >=
           rensei_rows_int(keys, k, COL_CREATED_AT);
}

static apr_status_t page_read(rensei_inventory_page_t *out,
                              const rensei_page_t *page,
                              const rensei_rows_t *clients,
                              const rensei_rows_t *keys, apr_pool_t *p,
                              rensei_err_t *err)
{
    int found = clients->count + keys->count, c = 0, k = 0, i;
    rensei_credential_t *last = NULL;
    apr_status_t rv = APR_SUCCESS;

    out->count = found > page->limit ? page->limit : found;
    out->credential = apr_pcalloc(p, sizeof(*out->credential) * out->count + 1);
    for (i = 0; i < out->count && rv == APR_SUCCESS; i++) {
        last = &out->credential[i];
        rv = client_next(clients, c, keys, k)
                 ? row_read(last, clients, c++, p, err)
                 : row_read(last, keys, k++, p, err);
    }
    out->next_cursor = rensei_page_next(
        page, found, last ? last->created_at : 0, last ? last->id : "", p);
    return rv;
}

apr_status_t rensei_inventory_list(rensei_inventory_page_t *out,
                                   rensei_store_t *st, const char *org,
                                   const rensei_inventory_filter_t *f,
                                   apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t clients = {0}, keys;
    rensei_page_t page;
    apr_status_t rv = rensei_page_open(&page, RENSEI_CURSOR_CREDENTIAL,
                                       f->limit, f->cursor, p, err);

    if (rv == APR_SUCCESS) {
        rv = class_check(f->cls, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = floor_set(&page, st, org, has_clients(f), p, err);
    }
    if (rv == APR_SUCCESS && has_clients(f)) {
        rv = part_select(&clients, st, RENSEI_SQL_INVENTORY_CLIENTS, org, &page,
                         f, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = part_select(&keys, st, RENSEI_SQL_INVENTORY_KEYS, org, &page, f, p,
                         err);
    }
    if (rv == APR_SUCCESS) {
        rv = page_read(out, &page, &clients, &keys, p, err);
    }
    return rv;
}

/* Whole days; a clock that was set back gives no negative age. */
static json_int_t days(apr_int64_t ms)
{
    return ms > 0 ? ms / MS_PER_DAY : 0;
}

json_t *rensei_credential_json(const rensei_credential_t *c, apr_int64_t now,
                               apr_pool_t *p)
{
    apr_int64_t used = c->last_used_at ? c->last_used_at : c->created_at;
    json_t *out = json_pack(
        "{s:s, s:s, s:s?, s:s, s:s, s:s?, s:o, s:s?, s:s}", "credentialId",
        c->id, "kind", c->kind, "keyType", c->key_type, "class", c->cls, "name",
        c->name, "owner", c->owner, "scopes", rensei_answer_scopes(&c->scopes),
        "workspaceId", c->workspace, "status", c->status);

    rensei_json_merge(
        &out, json_pack("{s:o, s:I, s:o, s:I, s:o, s:o}", "createdAt",
                        rensei_answer_iso(c->created_at, p), "ageDays",
                        days(now - c->created_at), "lastUsedAt",
                        rensei_answer_iso(c->last_used_at, p), "unusedDays",
                        days(now - used), "expiresAt",
                        rensei_answer_iso(c->expires_at, p), "expiresInDays",
                        c->expires_at ? json_integer(days(c->expires_at - now))
                                      : json_null()));
    return out;
}
