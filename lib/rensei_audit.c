/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_audit.h"
#include "rensei_id.h"
#include "rensei_page.h"
#include "rensei_field.h"

#include <string.h>

#define WHO_MAX 256 /* bytes of what tells of a caller */

/* What comes with a request must not make its event fail: text that the
 * database would not take (PostgreSQL takes UTF-8 alone) is left out. */
static const char *tame(const char *value)
{
    apr_size_t n = value ? strlen(value) : 0;

    return n <= WHO_MAX && (n == 0 || rensei_utf8_valid(value, n))
               ? value
               : "malformed";
}

static apr_status_t next_number(const char **seq, rensei_store_t *st,
                                const char *org, apr_pool_t *p,
                                rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_AUDIT_NEXT, &org, p, err);

    if (rv == APR_SUCCESS && rows.count != 1) {
        rv = rensei_err_set(err, RENSEI_E_INTERNAL,
                            "The audit trail gave no number.");
    }
    if (rv == APR_SUCCESS) {
        *seq = rensei_rows_text(&rows, 0, 0);
    }
    return rv;
}

apr_status_t rensei_audit_append(rensei_store_t *st, const char *event,
                                 const char *org, const rensei_actor_t *actor,
                                 const char *target, const json_t *details,
                                 apr_pool_t *p, rensei_err_t *err)
{
    const char *id, *seq;
    const char *text = details ? rensei_json_dump(details, p) : "{}";
    apr_status_t rv;

    rv = rensei_id_new(&id, RENSEI_ID_EVENT, rensei_store_sys(st), p, err);
    if (rv == APR_SUCCESS) {
        rv = next_number(&seq, st, org, p, err);
    }
    if (rv == APR_SUCCESS) {
        const char *args[] = {org,
                              seq,
                              id,
                              event,
                              rensei_store_num(rensei_store_now_ms(st), p),
                              tame(actor->id),
                              actor->type,
                              tame(target),
                              tame(actor->ip),
                              tame(actor->request_id),
                              text ? text : "{}"};

        rv = rensei_store_exec(NULL, st, RENSEI_SQL_AUDIT_INSERT, args, p, err);
    }
    return rv;
}

static void event_read(rensei_event_t *out, const rensei_rows_t *rows, int i)
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
        event_read(&out->event[i], rows, i);
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
    json_t *details = json_loads(ev->details, 0, NULL);

    return json_pack(
        "{s:s, s:s, s:o, s:s, s:s, s:s?, s:s, s:s?, s:s?, s:o}", "id", ev->id,
        "event", ev->event, "at", rensei_answer_iso(ev->at, p), "actor",
        ev->actor.id, "actorType", ev->actor.type, "target", ev->target,
        "orgId", ev->org, "ip", ev->actor.ip, "requestId", ev->actor.request_id,
        "details", details ? details : json_object());
}
