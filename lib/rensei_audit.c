/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_audit.h"
#include "rensei_audit_chain.h"
#include "rensei_id.h"
#include "rensei_page.h"
#include "rensei_field.h"

#include <apr_strings.h>
#include <string.h>

#define WHO_MAX 256 /* bytes of what tells of a caller */
#define COLS 12
#define ROWS_MAX 16 /* that a statement takes */

/* What comes with a request must not make its event fail: text that the
 * database would not take (PostgreSQL takes UTF-8 alone) is left out. */
static const char *tame(const char *value)
{
    apr_size_t n = value ? strlen(value) : 0;

    return n <= WHO_MAX && (n == 0 || rensei_utf8_valid(value, n))
               ? value
               : "malformed";
}

/* Who, and what, as it goes into the row. */
static apr_status_t event_make(rensei_event_t *out,
                               const rensei_audit_entry_t *e,
                               rensei_store_t *st, apr_pool_t *p,
                               rensei_err_t *err)
{
    out->event = e->event;
    out->org = e->org;
    out->actor.id = tame(e->actor->id);
    out->actor.type = e->actor->type;
    out->actor.ip = tame(e->actor->ip);
    out->actor.request_id = tame(e->actor->request_id);
    out->target = tame(e->target);
    out->details = e->details_text;
    if (out->details == NULL && e->details) {
        out->details = rensei_json_canonical(e->details, p);
    }
    if (out->details == NULL) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "There is no memory for an event's details.");
    }
    return rensei_id_new(&out->id, RENSEI_ID_EVENT, rensei_store_sys(st), p,
                         err);
}

/* Takes n numbers; the head's row stays locked from here to COMMIT.
 * @param hash of the event before the first of them */
static apr_status_t head_take(apr_int64_t *first, const char **hash,
                              rensei_store_t *st, const char *org, int n,
                              apr_pool_t *p, rensei_err_t *err)
{
    const char *count = rensei_store_num(n, p);
    const char *args[] = {org, count, count};
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_AUDIT_NEXT, args, p, err);

    if (rv == APR_SUCCESS && rows.count != 1) {
        rv = rensei_err_set(err, RENSEI_E_INTERNAL,
                            "The audit trail gave no number.");
    }
    if (rv == APR_SUCCESS) {
        *first = rensei_rows_int(&rows, 0, 0) - n + 1;
        *hash = rensei_rows_text(&rows, 0, 1);
    }
    return rv;
}

static void event_args(const char **args, const rensei_event_t *ev,
                       apr_pool_t *p)
{
    const char *row[COLS] = {ev->org,
                             rensei_store_num(ev->seq, p),
                             ev->id,
                             ev->event,
                             rensei_store_num(ev->at, p),
                             ev->actor.id,
                             ev->actor.type,
                             ev->target,
                             ev->actor.ip,
                             ev->actor.request_id,
                             ev->details,
                             ev->hash};

    memcpy(args, row, sizeof(row));
}

/* So chosen that up to 16 events are two statements at the most. */
static const struct {
    int rows;
    rensei_sql_e stmt;
} inserts[] = {
    {ROWS_MAX, RENSEI_SQL_AUDIT_INSERT_16}, {12, RENSEI_SQL_AUDIT_INSERT_12},
    {8, RENSEI_SQL_AUDIT_INSERT_8},         {6, RENSEI_SQL_AUDIT_INSERT_6},
    {4, RENSEI_SQL_AUDIT_INSERT_4},         {3, RENSEI_SQL_AUDIT_INSERT_3},
    {2, RENSEI_SQL_AUDIT_INSERT_2},         {1, RENSEI_SQL_AUDIT_INSERT}};

static apr_status_t events_insert(rensei_store_t *st,
                                  const rensei_event_t *const *ev, int n,
                                  apr_pool_t *p, rensei_err_t *err)
{
    const char *args[COLS * ROWS_MAX];
    apr_status_t rv = APR_SUCCESS;
    int i, which = 0;

    while (n > 0 && rv == APR_SUCCESS) {
        while (inserts[which].rows > n) {
            which++;
        }
        for (i = 0; i < inserts[which].rows; i++) {
            event_args(args + (apr_size_t)i * COLS, ev[i], p);
        }
        rv = rensei_store_exec(NULL, st, inserts[which].stmt, args, p, err);
        ev += inserts[which].rows;
        n -= inserts[which].rows;
    }
    return rv;
}

/* The caller's texts can be gone when the witness is told. */
static void event_tell(rensei_store_t *st, const rensei_event_t *ev)
{
    apr_pool_t *p = rensei_store_transaction(st);
    rensei_event_t *out;

    if (!rensei_store_witnessed(st)) {
        return;
    }
    out = apr_pmemdup(p, ev, sizeof(*ev));
    out->id = apr_pstrdup(p, ev->id);
    out->event = apr_pstrdup(p, ev->event);
    out->org = apr_pstrdup(p, ev->org);
    out->actor.id = apr_pstrdup(p, ev->actor.id);
    out->actor.type = apr_pstrdup(p, ev->actor.type);
    out->actor.ip = apr_pstrdup(p, ev->actor.ip);
    out->actor.request_id = apr_pstrdup(p, ev->actor.request_id);
    out->target = apr_pstrdup(p, ev->target);
    out->details = apr_pstrdup(p, ev->details);
    out->hash = apr_pstrdup(p, ev->hash);
    out->previous = apr_pstrdup(p, ev->previous);
    rensei_store_tell(st, out);
}

/* Numbers them, and makes a chain of them. @param last the hash of the event
 * before the first; becomes the last one's */
static apr_status_t events_link(rensei_event_t *const *ev, int n,
                                apr_int64_t seq, const char **last,
                                rensei_store_t *st, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < n && rv == APR_SUCCESS; i++) {
        ev[i]->at = rensei_store_now_ms(st);
        ev[i]->seq = seq + i;
        ev[i]->previous = *last;
        rv = rensei_audit_hash(&ev[i]->hash, ev[i], p, err);
        *last = ev[i]->hash;
    }
    return rv;
}

/* @param out room for n. @return how many there are of the organisation */
static int events_of(rensei_event_t **out, const char *org, rensei_event_t *ev,
                     int n)
{
    int i, mine = 0;

    for (i = 0; i < n; i++) {
        if (strcmp(ev[i].org, org) == 0) {
            out[mine++] = &ev[i];
        }
    }
    return mine;
}

/* All of them are one organisation's. */
static apr_status_t append_org(rensei_store_t *st, rensei_event_t *const *ev,
                               int n, apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {NULL, ev[0]->org};
    apr_int64_t seq = 0;
    apr_status_t rv = head_take(&seq, &args[0], st, ev[0]->org, n, p, err);
    int i;

    if (rv == APR_SUCCESS) {
        rv = events_link(ev, n, seq, &args[0], st, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = events_insert(st, (const rensei_event_t *const *)ev, n, p, err);
    }
    for (i = 0; i < n && rv == APR_SUCCESS; i++) {
        event_tell(st, ev[i]);
    }
    return rv == APR_SUCCESS
               ? rensei_store_exec(NULL, st, RENSEI_SQL_AUDIT_HASH, args, p,
                                   err)
               : rv;
}

/* The first in order of those after `after`, NULL for none. */
static const char *org_after(const rensei_event_t *ev, int n, const char *after)
{
    const char *out = NULL;
    int i;

    for (i = 0; i < n; i++) {
        if ((after == NULL || strcmp(ev[i].org, after) > 0) &&
            (out == NULL || strcmp(ev[i].org, out) < 0)) {
            out = ev[i].org;
        }
    }
    return out;
}

apr_status_t rensei_audit_append_all(rensei_store_t *st,
                                     const rensei_audit_entry_t *entry, int n,
                                     apr_pool_t *p, rensei_err_t *err)
{
    rensei_event_t *ev = apr_pcalloc(p, sizeof(*ev) * n);
    /* pointers are what is meant: NOLINTNEXTLINE(bugprone-sizeof-expression) */
    rensei_event_t **mine = apr_palloc(p, sizeof(*mine) * n);
    const char *org;
    apr_status_t rv = APR_SUCCESS;
    int i;

    if (rensei_store_transaction(st) == NULL) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "An event needs an open transaction.");
    }
    /* All that can be done before the heads are locked. */
    for (i = 0; i < n && rv == APR_SUCCESS; i++) {
        rv = event_make(&ev[i], &entry[i], st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv; /* the rest have no organisation to be sorted by */
    }
    for (org = org_after(ev, n, NULL); org && rv == APR_SUCCESS;
         org = org_after(ev, n, org)) {
        rv = append_org(st, mine, events_of(mine, org, ev, n), p, err);
    }
    return rv;
}

apr_status_t rensei_audit_append(rensei_store_t *st, const char *event,
                                 const char *org, const rensei_actor_t *actor,
                                 const char *target, const json_t *details,
                                 apr_pool_t *p, rensei_err_t *err)
{
    rensei_audit_entry_t entry = {.event = event,
                                  .org = org,
                                  .actor = actor,
                                  .target = target,
                                  .details = details};

    return rensei_audit_append_all(st, &entry, 1, p, err);
}

apr_status_t rensei_audit_change(rensei_store_t *st, const char *event,
                                 const char *org, const rensei_actor_t *actor,
                                 const char *target, json_t *details,
                                 apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_audit_append(st, event, org, actor, target,
                                          rensei_json_own(details, p), p, err);

    return rv == APR_SUCCESS ? rensei_store_changed(st, target, p, err) : rv;
}

void rensei_event_read(rensei_event_t *out, const rensei_rows_t *rows, int i)
{
    out->id = rensei_rows_text(rows, i, 0);
    out->event = rensei_rows_text(rows, i, 1);
    out->at = rensei_rows_int(rows, i, 2);
    out->org = rensei_rows_text(rows, i, 3);
    out->actor.id = rensei_rows_text(rows, i, 4);
    out->actor.type = rensei_rows_text(rows, i, 5);
    out->actor.ip = rensei_rows_text(rows, i, 6);
    out->actor.request_id = rensei_rows_text(rows, i, 7);
    out->target = rensei_rows_text(rows, i, 8);
    out->details = rensei_rows_text(rows, i, 9);
    out->seq = rensei_rows_int(rows, i, 10);
    out->hash = rensei_rows_text(rows, i, 11);
    out->previous = NULL;
}

static apr_status_t filter_check(const rensei_audit_filter_t *f, apr_pool_t *p,
                                 rensei_err_t *err)
{
    apr_status_t rv = rensei_field_filter("event", f->event, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_field_filter("actor", f->actor, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_field_filter("target", f->target, p, err);
    }
    return rv;
}

/* Events from `since` on are among the numbers that this gives, whatever
 * clocks they were written by. It costs as much as there are of them, so it
 * is found once, and then goes along in the cursor. */
static apr_status_t range_find(rensei_page_t *page, rensei_store_t *st,
                               const char *org, const rensei_audit_filter_t *f,
                               apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t until = f->until ? f->until : APR_INT64_MAX;
    const char *args[] = {org, rensei_store_num(f->since, p),
                          rensei_store_num(until, p)};
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_AUDIT_RANGE, args, p, err);

    if (rv == APR_SUCCESS) {
        page->n = rensei_rows_int(&rows, 0, 1) + 1;
        page->id = rensei_store_num(rensei_rows_int(&rows, 0, 0), p);
    }
    return rv;
}

static apr_status_t head_find(rensei_page_t *page, rensei_store_t *st,
                              const char *org, apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_AUDIT_HEAD, &org, p, err);

    if (rv == APR_SUCCESS) {
        page->n = rows.count ? rensei_rows_int(&rows, 0, 0) + 1 : 1;
        page->id = "0";
    }
    return rv;
}

/* In this list page->id is the lowest number that can be in it at all. */
static apr_status_t page_bound(rensei_page_t *page, rensei_store_t *st,
                               const char *org, const rensei_audit_filter_t *f,
                               apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t lowest = 0;
    apr_status_t rv = APR_SUCCESS;

    if (f->cursor == NULL) {
        rv = f->since > 0 ? range_find(page, st, org, f, p, err)
                          : head_find(page, st, org, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rensei_int_parse(&lowest, page->id, strlen(page->id), 0, APR_INT64_MAX);
    page->floor_n = page->n - RENSEI_SCAN_MAX;
    page->floor_id = page->id;
    page->floored = page->floor_n > lowest && page->floor_n > 1;
    if (!page->floored) {
        page->floor_n = lowest;
    }
    return rv;
}

static apr_status_t page_select(rensei_rows_t *rows, rensei_store_t *st,
                                const char *org, const rensei_page_t *page,
                                const rensei_audit_filter_t *f, apr_pool_t *p,
                                rensei_err_t *err)
{
    const char *args[] = {
        org,
        rensei_store_num(page->n, p),
        rensei_store_num(page->floor_n, p),
        rensei_store_num(f->since, p),
        rensei_store_num(f->until ? f->until : APR_INT64_MAX, p),
        f->event,
        f->event,
        f->actor,
        f->actor,
        f->target,
        f->target,
        rensei_store_num(page->limit + 1, p)};

    return rensei_store_select(rows, st, RENSEI_SQL_AUDIT_LIST, args, p, err);
}

static void page_read(rensei_event_page_t *out, const rensei_page_t *page,
                      const rensei_rows_t *rows, apr_pool_t *p)
{
    int i;
    apr_int64_t last = 0;

    out->count = rows->count > page->limit ? page->limit : rows->count;
    out->event = apr_pcalloc(p, sizeof(*out->event) * out->count + 1);
    for (i = 0; i < out->count; i++) {
        rensei_event_read(&out->event[i], rows, i);
        last = out->event[i].seq;
    }
    out->next_cursor = rensei_page_next(page, rows->count, last, page->id, p);
}

apr_status_t rensei_audit_list(rensei_event_page_t *out, rensei_store_t *st,
                               const char *org,
                               const rensei_audit_filter_t *filter,
                               apr_pool_t *p, rensei_err_t *err)
{
    rensei_page_t page;
    rensei_rows_t rows;
    apr_status_t rv = rensei_page_open(&page, RENSEI_CURSOR_AUDIT,
                                       filter->limit, filter->cursor, p, err);

    if (rv == APR_SUCCESS) {
        rv = filter_check(filter, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = page_bound(&page, st, org, filter, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = page_select(&rows, st, org, &page, filter, p, err);
    }
    if (rv == APR_SUCCESS) {
        page_read(out, &page, &rows, p);
    }
    return rv;
}

json_t *rensei_event_json(const rensei_event_t *ev, apr_pool_t *p)
{
    json_t *details = rensei_json_stored(ev->details, json_object());
    json_t *out = json_pack(
        "{s:s, s:s, s:o, s:s, s:s, s:s?, s:s, s:s?, s:s?, s:o, s:I, s:s?}",
        "id", ev->id, "event", ev->event, "at", rensei_answer_iso(ev->at, p),
        "actor", ev->actor.id, "actorType", ev->actor.type, "target",
        ev->target, "orgId", ev->org, "ip", ev->actor.ip, "requestId",
        ev->actor.request_id, "details", details, "seq", (json_int_t)ev->seq,
        "hash", ev->hash);

    if (ev->previous) {
        rensei_json_set(&out, "previousHash", json_string(ev->previous));
    }
    return out;
}
