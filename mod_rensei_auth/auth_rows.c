/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_rows.h"
#include "auth_conf.h"
#include "auth_live.h"
#include "rensei_cache.h"

#include <stddef.h>
#include <string.h>

#define COLS_MAX 40
#define TEXT_MAX 2048  /* bytes; a longer row is not remembered */
#define TEXT_SHORT 512 /* most rows are shorter */
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

/* A slot is as long as the longest value: so the few long rows are apart. NULL:
 * there is no room for one. */
enum { SHORT, LONG, CACHES };
static rensei_cache_t *cache[CACHES];
#define LONG_SHARE 4 /* one part in so many */

static void cache_create(int which, apr_size_t bytes, apr_size_t text_max,
                         apr_pool_t *p)
{
    rensei_err_t err;

    if (rensei_cache_create(&cache[which], bytes,
                            offsetof(slot_t, text) + text_max,
                            auth_conf_threaded(), rensei_sys_default(), p,
                            &err) != APR_SUCCESS) {
        cache[which] = NULL;
    }
}

void auth_rows_child_init(apr_pool_t *p, server_rec *s)
{
    apr_size_t bytes = auth_conf_cache(s) / AUTH_CACHE_ROWS_SHARE;
    apr_size_t for_long = bytes / LONG_SHARE;

    cache_create(SHORT, bytes - for_long, TEXT_SHORT, p);
    cache_create(LONG, for_long, TEXT_MAX, p);
}

static rensei_cache_name_t name_of(int which, const rows_t *rows,
                                   const char *id)
{
    apr_uint64_t store = (apr_uint64_t)auth_server_conf(rows->server)->store;

    return rensei_cache_name(cache[which], SPACE + (store << 32), id,
                             strlen(id));
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

static int find(slot_t *slot, const rows_t *rows, const char *id)
{
    int i;

    for (i = 0; i < CACHES; i++) {
        if (cache[i] &&
            rensei_cache_get(cache[i], name_of(i, rows, id), slot) > 0 &&
            holds(slot)) {
            return 1;
        }
    }
    return 0;
}

static int recall(void *baton, rensei_rows_t *out, apr_int64_t *as_of,
                  const char *id, apr_pool_t *p)
{
    rows_t *rows = baton;
    slot_t *slot = apr_palloc(p, sizeof(*slot));
    int i;

    rows->begun = auth_live_begin();
    *as_of = (apr_int64_t)auth_live_sequence(rows->server);
    if (!auth_live_fresh(rows->server) || !find(slot, rows, id)) {
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
    int which = n <= offsetof(slot_t, text) + TEXT_SHORT ? SHORT : LONG;

    if (n == 0 || !cache[which]) {
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
        rensei_cache_put(cache[which], name_of(which, rows, id), &slot, n);
    }
}

const rensei_memory_t *auth_rows_memory(request_rec *r)
{
    rows_t *rows;

    if (auth_server_conf(r->server)->store < 0) {
        return NULL;
    }
    rows = apr_pcalloc(r->pool, sizeof(*rows));
    rows->memory.recall = recall;
    rows->memory.remember = remember;
    rows->memory.baton = rows;
    rows->server = r->server;
    return &rows->memory;
}
