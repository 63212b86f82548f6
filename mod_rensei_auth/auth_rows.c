/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_rows.h"
#include "auth_conf.h"
#include "auth_live.h"
#include "rensei_cache.h"

#include <stddef.h>
#include <string.h>

#define COLS_MAX 40
#define TEXT_MAX 1024 /* bytes; a longer row is not remembered */
#define DEPENDS 3
#define SPACE 0x526f7773 /* names of rows are no others' */
#define IS_NULL 0xffff

/* A row, flat, with the generations that it depends on. */
typedef struct slot_t {
    apr_uint32_t bucket[DEPENDS], generation[DEPENDS];
    apr_uint16_t depends, cols;
    apr_uint16_t at[COLS_MAX]; /* of text, or IS_NULL */
    char text[TEXT_MAX];       /* cells, each with its NUL */
} slot_t;

/* Of one request. */
typedef struct rows_t {
    rensei_memory_t memory;
    const server_rec *server;
    apr_uint64_t begun; /* before the store was asked */
} rows_t;

static rensei_cache_t *cache; /* NULL: there is no room for one */

void auth_rows_child_init(apr_pool_t *p, server_rec *s)
{
    apr_size_t bytes = auth_conf_cache(s) / AUTH_CACHE_ROWS_SHARE;
    rensei_err_t err;

    if (rensei_cache_create(&cache, bytes, sizeof(slot_t), rensei_sys_default(),
                            p, &err) != APR_SUCCESS) {
        cache = NULL;
    }
}

static rensei_cache_name_t name_of(const rows_t *rows, const char *id)
{
    apr_uint64_t store = (apr_uint64_t)auth_server_conf(rows->server)->store;

    return rensei_cache_name(cache, SPACE + (store << 32), id, strlen(id));
}

static int holds(const slot_t *slot)
{
    int i;

    for (i = 0; i < slot->depends; i++) {
        if (auth_live_generation(slot->bucket[i]) != slot->generation[i]) {
            return 0;
        }
    }
    return 1;
}

static int recall(void *baton, rensei_rows_t *out, const char *id,
                  apr_pool_t *p)
{
    rows_t *rows = baton;
    slot_t *slot = apr_palloc(p, sizeof(*slot));
    int i;

    rows->begun = auth_live_begin();
    if (!auth_live_fresh(rows->server) ||
        rensei_cache_get(cache, name_of(rows, id), slot) == 0 || !holds(slot)) {
        return 0;
    }
    out->count = 1;
    out->cols = slot->cols;
    out->cell = apr_palloc(p, sizeof(*out->cell) * slot->cols);
    for (i = 0; i < slot->cols; i++) {
        out->cell[i] = slot->at[i] == IS_NULL ? NULL : slot->text + slot->at[i];
    }
    return 1;
}

static apr_size_t flatten(slot_t *slot, const rensei_rows_t *row)
{
    apr_size_t n = 0;
    int i;

    if (row->cols > COLS_MAX) {
        return 0;
    }
    slot->cols = (apr_uint16_t)row->cols;
    for (i = 0; i < row->cols; i++) {
        const char *cell = rensei_rows_text(row, 0, i);
        apr_size_t len = cell ? strlen(cell) + 1 : 0;

        if (n + len > TEXT_MAX) {
            return 0;
        }
        slot->at[i] = cell ? (apr_uint16_t)n : IS_NULL;
        if (cell) {
            memcpy(slot->text + n, cell, len);
        }
        n += len;
    }
    return offsetof(slot_t, text) + n;
}

static void remember(void *baton, const char *id, const char *const *subjects,
                     const rensei_rows_t *row)
{
    const rows_t *rows = baton;
    slot_t slot;
    apr_size_t n = flatten(&slot, row);

    if (n == 0) {
        return;
    }
    for (slot.depends = 0; subjects[slot.depends]; slot.depends++) {
        const char *subject = subjects[slot.depends];

        slot.bucket[slot.depends] = auth_live_bucket(subject, strlen(subject));
        slot.generation[slot.depends] =
            auth_live_generation(slot.bucket[slot.depends]);
    }
    /* Had it changed while it was read, it would be kept as what it was. */
    if (auth_live_end(rows->begun)) {
        rensei_cache_put(cache, name_of(rows, id), &slot, n);
    }
}

const rensei_memory_t *auth_rows_memory(request_rec *r)
{
    rows_t *rows;

    if (!cache || auth_server_conf(r->server)->store < 0) {
        return NULL;
    }
    rows = apr_pcalloc(r->pool, sizeof(*rows));
    rows->memory.recall = recall;
    rows->memory.remember = remember;
    rows->memory.baton = rows;
    rows->server = r->server;
    return &rows->memory;
}
