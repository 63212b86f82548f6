/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_audit_chain.h"

#include <apr_strings.h>
#include <string.h>

typedef struct check_t {
    rensei_store_t *st;
    const char *org;
    const char *hash; /* that is to be found, or NULL */
    rensei_audit_verdict_t *out;
    rensei_audit_head_t head; /* as last read: its anchor can move on */
    apr_int64_t newest;       /* event, whatever the head says */
    apr_int64_t seq;          /* of the event before */
    int pruned;               /* an event tells of the anchor */
    char last[RENSEI_AUDIT_HASH_LEN + 1]; /* its hash */
    rensei_audit_problem_fn *fn;
    void *baton;
} check_t;

static void problem(check_t *c, apr_int64_t seq, const char *id,
                    const char *what)
{
    c->out->problems++;
    c->fn(c->baton, seq, id, what);
}

static void missing(check_t *c, apr_int64_t first, apr_int64_t last,
                    apr_pool_t *p)
{
    problem(c, first, NULL,
            first == last ? "is missing"
                          : apr_psprintf(p,
                                         "is missing, and all up to "
                                         "%" APR_INT64_T_FMT,
                                         last));
}

/* The anchor stands where it stood at the start, or further on, when somebody
 * prunes meanwhile: numbers up to it are not missed. */
static void check_number(check_t *c, const rensei_event_t *ev, apr_pool_t *p)
{
    if (ev->seq > c->seq + 1 && ev->seq > c->head.anchor_seq + 1) {
        apr_int64_t first = c->seq + 1;
        if (first <= c->head.anchor_seq) {
            first = c->head.anchor_seq + 1;
        }
        missing(c, first, ev->seq - 1, p);
    }
}

/* Before the chain stand only events from before there were hashes; where the
 * anchor has one, all before it was pruned. */
static void check_unhashed(check_t *c, const rensei_event_t *ev)
{
    if (ev->hash || *c->out->head.anchor_hash || ev->seq < 1) {
        problem(c, ev->seq, ev->id,
                "stands before the beginning of the chain: it was put there");
        return;
    }
    c->out->unhashed++;
}

static apr_status_t check_hash(check_t *c, const rensei_event_t *ev,
                               apr_pool_t *p, rensei_err_t *err)
{
    const char *right = NULL;
    apr_status_t rv;

    c->out->events++;
    if (ev->hash == NULL) {
        problem(c, ev->seq, ev->id, "has no hash: it was put there");
        return APR_SUCCESS;
    }
    if (ev->previous == NULL) {
        return APR_SUCCESS; /* what it follows on is missing */
    }
    rv = rensei_audit_hash(&right, ev, p, err);
    if (rv == APR_SUCCESS && strcmp(right, ev->hash) != 0) {
        problem(c, ev->seq, ev->id,
                "does not fit its hash: it was changed, or moved here, or the "
                "hash of the event before it was");
    }
    return rv;
}

/* Is this the event of the pruning that set the anchor? */
static void check_pruned(check_t *c, const rensei_event_t *ev)
{
    const rensei_audit_head_t *head = &c->out->head;
    json_t *details;
    const char *hash;

    if (strcmp(ev->event, "audit.pruned") != 0) {
        return;
    }
    details = json_loads(ev->details, 0, NULL);
    hash = json_string_value(json_object_get(details, "hash"));
    if (hash && strcmp(hash, head->anchor_hash) == 0 &&
        json_integer_value(json_object_get(details, "upTo")) ==
            head->anchor_seq) {
        c->pruned = 1;
    }
    json_decref(details);
}

static apr_status_t check_event(void *baton, const rensei_event_t *ev,
                                apr_pool_t *p, rensei_err_t *err)
{
    check_t *c = baton;
    apr_status_t rv = APR_SUCCESS;

    if (ev->seq <= c->out->head.anchor_seq) {
        check_unhashed(c, ev);
    }
    else {
        check_number(c, ev, p);
        check_pruned(c, ev);
        rv = check_hash(c, ev, p, err);
    }
    if (c->hash && ev->hash && strcmp(c->hash, ev->hash) == 0) {
        c->out->known = 1;
    }
    c->seq = ev->seq;
    apr_cpystrn(c->last, ev->hash ? ev->hash : "", sizeof(c->last));
    return rv;
}

static apr_status_t check_end(check_t *c, apr_pool_t *p, rensei_err_t *err)
{
    const rensei_audit_head_t *then = &c->out->head;
    rensei_audit_head_t now;
    apr_status_t rv = rensei_audit_head(&now, c->st, c->org, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* An anchor of before there were hashes is the migration's. */
    if (*then->anchor_hash && !c->pruned) {
        problem(c, then->anchor_seq, NULL,
                "and all before it were removed, and no event audit.pruned "
                "says so");
    }
    if (c->seq < then->seq) {
        if (now.anchor_seq < then->seq) {
            missing(c,
                    c->seq < now.anchor_seq ? now.anchor_seq + 1 : c->seq + 1,
                    then->seq, p);
        }
    }
    else if (strcmp(c->last, then->hash) != 0) {
        problem(c, c->seq, NULL,
                "is the last, but not the one that the head of the trail "
                "names: one of the two was replaced");
    }
    if (c->newest > then->seq) {
        problem(c, c->newest, NULL,
                "stands after the end of the trail: it was put there");
    }
    return APR_SUCCESS;
}

/* Where there is no head, or one of no event, which none ever was, there can
 * be no event, and no organisation either: its first event is that it was
 * created. */
static apr_status_t check_headless(check_t *c, apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv = rensei_store_select(&rows, c->st, RENSEI_SQL_ORG_BY_ID,
                                          &c->org, p, err);

    if (rv == APR_SUCCESS && (rows.count > 0 || c->newest > 0)) {
        problem(c, 1, NULL, "and all that followed: the head is missing");
    }
    return rv;
}

/* The newest event before the head: events that come in between are known to
 * the head, so one that it does not know was put there. */
static apr_status_t begin(check_t *c, apr_pool_t *p, rensei_err_t *err)
{
    rensei_audit_head_t *head = &c->out->head;
    rensei_rows_t rows;
    apr_status_t rv = rensei_store_select(&rows, c->st, RENSEI_SQL_AUDIT_LAST,
                                          &c->org, p, err);

    if (rv == APR_SUCCESS) {
        c->newest = rensei_rows_int(&rows, 0, 0);
        rv = rensei_audit_head(head, c->st, c->org, p, err);
    }
    if (rv == APR_SUCCESS) {
        c->head = *head;
        c->seq = head->anchor_seq;
        apr_cpystrn(c->last, head->anchor_hash, sizeof(c->last));
        c->out->known = c->hash && strcmp(c->hash, head->anchor_hash) == 0;
    }
    return rv;
}

apr_status_t rensei_audit_verify(rensei_audit_verdict_t *out,
                                 rensei_store_t *st, const char *org,
                                 const char *hash, rensei_audit_problem_fn *fn,
                                 void *baton, apr_pool_t *p, rensei_err_t *err)
{
    check_t c = {.st = st,
                 .org = org,
                 .hash = hash,
                 .out = out,
                 .fn = fn,
                 .baton = baton};
    apr_status_t rv;

    memset(out, 0, sizeof(*out));
    rv = begin(&c, p, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!out->head.exists || out->head.seq == 0) {
        return check_headless(&c, p, err);
    }
    rv = rensei_audit_walk(st, org, &c.head, APR_INT64_MIN, out->head.seq,
                           check_event, &c, p, err);
    return rv == APR_SUCCESS ? check_end(&c, p, err) : rv;
}
