/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Pages of a list, newest first. A cursor says below which row the next page
 * starts, so pages stay stable while rows are added; it is opaque to clients
 * and checked when it comes back.
 *
 * A filter that no index serves reads rows that it does not return. So that a
 * rare match among a million rows costs no more than any other page, a page
 * looks at RENSEI_SCAN_MAX rows and no further: it can then be short, even
 * empty, and still have a cursor.
 */
#ifndef RENSEI_PAGE_H
#define RENSEI_PAGE_H

#include "rensei_id.h"
#include "rensei_store.h"

#define RENSEI_SCAN_MAX 10000

typedef struct rensei_page_t {
    char kind;     /* of the list: a cursor of another kind is refused */
    int limit;     /* rows of this page */
    apr_int64_t n; /* the page starts below (n, id) */
    const char *id;
    apr_int64_t floor_n; /* and ends at (floor_n, floor_id) */
    const char *floor_id;
    int floored; /* there are rows below the floor */
} rensei_page_t;

/** The statements of a list for the filter that has an index. */
typedef struct rensei_page_way_t {
    rensei_sql_e list, floor;
    const char *key; /* of the index, or NULL */
} rensei_page_way_t;

/** Reads what the caller asked for.
 * @param kind RENSEI_CURSOR_…
 * @param limit 1 to RENSEI_PAGE_MAX, 0 for RENSEI_PAGE_DEFAULT
 * @param cursor NULL for the first page
 * @return err INVALID_REQUEST naming `limit` or `cursor` */
apr_status_t rensei_page_open(rensei_page_t *out, char kind, int limit,
                              const char *cursor, apr_pool_t *p,
                              rensei_err_t *err);

#define RENSEI_CURSOR_CLIENT 'c'
#define RENSEI_CURSOR_KEY 'k'
#define RENSEI_CURSOR_WORKER 'w'
#define RENSEI_CURSOR_CREDENTIAL 'i' /* a client's or a key's id */
#define RENSEI_CURSOR_AUDIT 'a' /* n a sequence number, id a number as well */

/** Sets the floor RENSEI_SCAN_MAX rows below the start.
 * @param stmt one of the FLOOR statements
 * @param key its key, or NULL */
apr_status_t rensei_page_floor(rensei_page_t *page, rensei_store_t *st,
                               rensei_sql_e stmt, const char *org,
                               const char *key, apr_pool_t *p,
                               rensei_err_t *err);

/** The cursor for the page after this, NULL for the last.
 * @param found how many rows there were, asked for limit + 1
 * @param n,id the last row that goes on this page */
const char *rensei_page_next(const rensei_page_t *page, int found,
                             apr_int64_t n, const char *id, apr_pool_t *p);

/** A cursor's text. */
const char *rensei_cursor_text(char kind, apr_int64_t n, const char *id,
                               apr_pool_t *p);

#endif
