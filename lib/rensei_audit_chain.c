/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_audit_chain.h"
#include "rensei_sha256.h"

#include <apr_strings.h>
#include <string.h>

#define FORM "rensei-audit-1\n"
#define FIELDS 12
#define PAGE 500

/* ---- the hash ---- */

#define NETSTRING_MORE (RENSEI_INT_LEN + 2) /* what it has beside the text */

/* @return its end */
static char *netstring(char *to, const char *s, apr_size_t n)
{
    if (s == NULL) {
        to[0] = '-';
        to[1] = ',';
        return to + 2;
    }
    to += rensei_int_write(to, (apr_int64_t)n);
    *to++ = ':';
    memcpy(to, s, n);
    to[n] = ',';
    return to + n + 1;
}

static rensei_str_t canonical(const rensei_event_t *ev, apr_pool_t *p)
{
    const char *const field[FIELDS] = {ev->previous,
                                       ev->org,
                                       rensei_store_num(ev->seq, p),
                                       ev->id,
                                       ev->event,
                                       rensei_time_iso(ev->at, p),
                                       ev->actor.id,
                                       ev->actor.type,
                                       ev->target,
                                       ev->actor.ip,
                                       ev->actor.request_id,
                                       ev->details};
    apr_size_t len[FIELDS], size = sizeof(FORM);
    char *text, *end;
    apr_size_t i;

    for (i = 0; i < FIELDS; i++) {
        len[i] = field[i] ? strlen(field[i]) : 0;
        size += len[i] + NETSTRING_MORE;
    }
    text = apr_palloc(p, size);
    memcpy(text, FORM, sizeof(FORM) - 1);
    end = text + sizeof(FORM) - 1;
    for (i = 0; i < FIELDS; i++) {
        end = netstring(end, field[i], len[i]);
    }
    return (rensei_str_t){text, (apr_size_t)(end - text)};
}

apr_status_t rensei_audit_hash(const char **out, const rensei_event_t *ev,
                               apr_pool_t *p, rensei_err_t *err)
{
    static const char digits[] = "0123456789abcdef";
    rensei_str_t text = canonical(ev, p);
    unsigned char md[RENSEI_SHA256_LEN];
    char *hex = apr_palloc(p, 2 * sizeof(md) + 1);
    apr_size_t i;

    if (!rensei_sha256(md, text.p, text.n)) {
        return rensei_err_set(err, RENSEI_E_INTERNAL, "SHA-256 failed.");
    }
    for (i = 0; i < sizeof(md); i++) {
        hex[2 * i] = digits[md[i] >> 4];
        hex[2 * i + 1] = digits[md[i] & 15];
    }
    hex[2 * sizeof(md)] = '\0';
    *out = hex;
    return APR_SUCCESS;
}

/* ---- heads ---- */

apr_status_t rensei_audit_head(rensei_audit_head_t *out, rensei_store_t *st,
                               const char *org, apr_pool_t *p,
                               rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_AUDIT_HEAD, &org, p, err);

    memset(out, 0, sizeof(*out));
    out->hash = out->anchor_hash = "";
    if (rv == APR_SUCCESS && rows.count > 0) {
        out->exists = 1;
        out->seq = rensei_rows_int(&rows, 0, 0);
        out->hash = rensei_rows_text(&rows, 0, 1);
        out->anchor_seq = rensei_rows_int(&rows, 0, 2);
        out->anchor_hash = rensei_rows_text(&rows, 0, 3);
    }
    return rv;
}

apr_status_t rensei_audit_org_after(const char **out, rensei_store_t *st,
                                    const char *after, apr_pool_t *p,
                                    rensei_err_t *err)
{
    const char *args[] = {after, after, after};
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_AUDIT_CHAINS, args, p, err);

    *out =
        rv == APR_SUCCESS && rows.count ? rensei_rows_text(&rows, 0, 0) : NULL;
    return rv;
}

/* ---- walking ---- */

typedef struct walk_t {
    rensei_store_t *st;
    const char *org;
    rensei_audit_head_t *head;
    apr_int64_t seq;                      /* of the event before */
    char hash[RENSEI_AUDIT_HASH_LEN + 1]; /* its hash, "" for none */
    rensei_audit_event_fn *fn;
    void *baton;
    apr_pool_t *p; /* of the whole walk */
} walk_t;

/* The anchor first: the event before it, if there is one still, has no hash
 * that counts. */
static apr_status_t previous_find(rensei_event_t *ev, walk_t *w,
                                  rensei_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;

    if (ev->seq != w->seq + 1 && ev->seq > w->head->anchor_seq + 1) {
        rv = rensei_audit_head(w->head, w->st, w->org, w->p, err);
    }
    if (ev->seq == w->head->anchor_seq + 1) {
        ev->previous = w->head->anchor_hash;
    }
    else if (ev->seq == w->seq + 1 && *w->hash) {
        ev->previous = w->hash;
    }
    return rv;
}

static apr_status_t walk_event(walk_t *w, rensei_event_t *ev, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_status_t rv = previous_find(ev, w, err);

    if (rv == APR_SUCCESS) {
        rv = w->fn(w->baton, ev, p, err);
    }
    w->seq = ev->seq;
    apr_cpystrn(w->hash, ev->hash ? ev->hash : "", sizeof(w->hash));
    return rv;
}

static apr_status_t walk_page(int *count, walk_t *w, apr_int64_t last,
                              apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {w->org, rensei_store_num(w->seq, p),
                          rensei_store_num(last, p), rensei_store_num(PAGE, p)};
    rensei_rows_t rows = {0};
    rensei_event_t ev;
    apr_status_t rv =
        rensei_store_select(&rows, w->st, RENSEI_SQL_AUDIT_RUN, args, p, err);
    int i;

    for (i = 0; i < rows.count && rv == APR_SUCCESS; i++) {
        rensei_event_read(&ev, &rows, i);
        rv = walk_event(w, &ev, p, err);
    }
    *count = rows.count;
    return rv;
}

/* The hash of the event that it starts after. */
static apr_status_t walk_start(walk_t *w, apr_int64_t after, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *args[] = {w->org, NULL, rensei_store_num(after, p), "1"};
    rensei_rows_t rows;
    rensei_event_t ev;
    apr_status_t rv;

    if (after < 1) {
        return APR_SUCCESS;
    }
    args[1] = rensei_store_num(after - 1, p);
    rv = rensei_store_select(&rows, w->st, RENSEI_SQL_AUDIT_RUN, args, p, err);
    if (rv == APR_SUCCESS && rows.count > 0) {
        rensei_event_read(&ev, &rows, 0);
        apr_cpystrn(w->hash, ev.hash ? ev.hash : "", sizeof(w->hash));
    }
    return rv;
}

apr_status_t rensei_audit_walk(rensei_store_t *st, const char *org,
                               rensei_audit_head_t *head, apr_int64_t after,
                               apr_int64_t last, rensei_audit_event_fn *fn,
                               void *baton, apr_pool_t *p, rensei_err_t *err)
{
    walk_t w = {st, org, head, after, "", fn, baton, p};
    apr_pool_t *page;
    int count = 0;
    apr_status_t rv;

    apr_pool_create(&page, p);
    rv = walk_start(&w, after, page, err);
    do {
        apr_pool_clear(page);
        if (rv == APR_SUCCESS) {
            rv = walk_page(&count, &w, last, page, err);
        }
    } while (rv == APR_SUCCESS && count == PAGE);
    if (rv == APR_SUCCESS) {
        apr_pool_destroy(page); /* else the error's words can be in there */
    }
    return rv;
}

apr_status_t rensei_audit_span(apr_int64_t *after, apr_int64_t *last,
                               rensei_store_t *st, const char *org,
                               apr_int64_t since, apr_int64_t until,
                               apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {org, rensei_store_num(since, p),
                          rensei_store_num(until ? until : APR_INT64_MAX, p)};
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_AUDIT_RANGE, args, p, err);

    *after = *last = 0;
    if (rv == APR_SUCCESS && rensei_rows_text(&rows, 0, 0)) {
        *after = rensei_rows_int(&rows, 0, 0) - 1;
        *last = rensei_rows_int(&rows, 0, 1);
    }
    return rv;
}
