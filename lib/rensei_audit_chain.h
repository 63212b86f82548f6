/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The chain that an organisation's audit events are: their hashes, reading
 * them from the oldest on, checking them, and taking away the oldest.
 *
 * The hash of an event is the lower-case hex SHA-256 of the text
 * "rensei-audit-1\n" and then, each as a netstring ("5:hello,"; NULL is
 * "-,"): the hash of the event before it ("" for the first), orgId, seq, id,
 * event, at, actor, actorType, target, ip, requestId and details, as the
 * export shows them: `at` as ISO 8601 text, details as rensei_json_canonical
 * writes it.
 *
 * The head of an organisation says how many events there are, and the hash of
 * the last. Its anchor says where the chain begins, by the number and the
 * hash of the last event that is not part of it: none; the last from before
 * there were hashes; the last that was pruned.
 */
#ifndef RENSEI_AUDIT_CHAIN_H
#define RENSEI_AUDIT_CHAIN_H

#include "rensei_audit.h"

#define RENSEI_AUDIT_HASH_LEN 64

/** The hash of an event that follows on ev->previous. */
apr_status_t rensei_audit_hash(const char **out, const rensei_event_t *ev,
                               apr_pool_t *p, rensei_err_t *err);

typedef struct rensei_audit_head_t {
    int exists;
    apr_int64_t seq;  /* of the newest event, 0 for none */
    const char *hash; /* its hash, "" for none */
    apr_int64_t anchor_seq;
    const char *anchor_hash;
} rensei_audit_head_t;

/** Reads the head; an organisation without events has none. */
apr_status_t rensei_audit_head(rensei_audit_head_t *out, rensei_store_t *st,
                               const char *org, apr_pool_t *p,
                               rensei_err_t *err);

/** The first organisation after `after`, by id, that has or should have a
 * trail, NULL for none. That of no organisation comes before all.
 * @param after RENSEI_AUDIT_SYSTEM_ORG for the first */
apr_status_t rensei_audit_org_after(const char **out, rensei_store_t *st,
                                    const char *after, apr_pool_t *p,
                                    rensei_err_t *err);

/** An event on the way, and its pool, which is cleared after a while.
 * @return APR_SUCCESS to go on; else err is set, and the walk is over */
typedef apr_status_t rensei_audit_event_fn(void *baton,
                                           const rensei_event_t *ev,
                                           apr_pool_t *p, rensei_err_t *err);

/** Reads events from the oldest on, in pages: as many as there may be, they
 * take the memory of one page.
 * @param head as read before; read again where a number is missing, because
 *   it can have been pruned meanwhile
 * @param after,last from after + 1 to last */
apr_status_t rensei_audit_walk(rensei_store_t *st, const char *org,
                               rensei_audit_head_t *head, apr_int64_t after,
                               apr_int64_t last, rensei_audit_event_fn *fn,
                               void *baton, apr_pool_t *p, rensei_err_t *err);

/** The numbers of the first and the last event in a span of time: after as
 * for rensei_audit_walk. Clocks of gateways differ, so between the two can be
 * one of another time; but no number is left out, so the run can be checked.
 * @param since,until as in rensei_audit_filter_t */
apr_status_t rensei_audit_span(apr_int64_t *after, apr_int64_t *last,
                               rensei_store_t *st, const char *org,
                               apr_int64_t since, apr_int64_t until,
                               apr_pool_t *p, rensei_err_t *err);

/** What is wrong with an event, or with the number of one that is missing.
 * @param id NULL where it is missing */
typedef void rensei_audit_problem_fn(void *baton, apr_int64_t seq,
                                     const char *id, const char *what);

typedef struct rensei_audit_verdict_t {
    apr_int64_t events;   /* that have a hash, and were checked */
    apr_int64_t unhashed; /* from before there were hashes: they prove nothing
                           */
    apr_int64_t problems;
    rensei_audit_head_t head; /* when it began: the events up to here */
    int known; /* the hash asked for is in the chain, or its anchor */
} rensei_audit_verdict_t;

/** Checks an organisation's chain, while others go on to append and prune.
 * @param hash one that is known from elsewhere, or NULL
 * @return APR_SUCCESS also with problems: see out->problems */
apr_status_t rensei_audit_verify(rensei_audit_verdict_t *out,
                                 rensei_store_t *st, const char *org,
                                 const char *hash, rensei_audit_problem_fn *fn,
                                 void *baton, apr_pool_t *p, rensei_err_t *err);

typedef struct rensei_audit_pruned_t {
    apr_int64_t count;
    apr_int64_t up_to; /* the number of the last of them, 0 for none */
    const char *hash;  /* its hash, NULL where it had none */
} rensei_audit_pruned_t;

/** Deletes the oldest events, up to the first that is not older than `before`
 * (epoch ms), and moves the anchor; in transactions of at most
 * RENSEI_PRUNE_BATCH events, each with an event audit.pruned of its own.
 * @param dry_run only counts them */
apr_status_t rensei_audit_prune(rensei_audit_pruned_t *out, rensei_store_t *st,
                                const char *org, apr_int64_t before,
                                int dry_run, const rensei_actor_t *actor,
                                apr_pool_t *p, rensei_err_t *err);

#define RENSEI_PRUNE_BATCH 10000

/** An event of a row of the statements that read events. */
void rensei_event_read(rensei_event_t *out, const rensei_rows_t *rows, int i);

#endif
