/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The audit trail. An event is written in the transaction of the change that
 * it tells of: neither is ever there without the other. Events of an
 * organisation are numbered without gaps; pages run from the newest back, by
 * number, so they stay stable while new ones arrive.
 *
 * The events of an organisation are a chain: each has a hash over itself and
 * the hash of the one before it, so that who changes one has to change all
 * that follow (rensei_audit_chain.h).
 */
#ifndef RENSEI_AUDIT_H
#define RENSEI_AUDIT_H

#include "rensei_json.h"
#include "rensei_store.h"

/** Who did it, and from where. */
typedef struct rensei_actor_t {
    const char *id;         /* key_…, m2m_…, an operator's login name */
    const char *type;       /* "api_key" "m2m_client" "worker" "operator"
                               "anonymous" "system" */
    const char *ip;         /* NULL where there is none */
    const char *request_id; /* httpd's unique id of the request, or NULL */
    int muted; /* too many attempts of his failed: a further one is refused
                  with SLOW_DOWN and leaves no event */
} rensei_actor_t;

typedef struct rensei_event_t {
    const char *id;    /* evt_… */
    const char *event; /* "m2m.client_created" and so on (docs/api.md) */
    apr_int64_t at;    /* epoch ms */
    const char *org;   /* "" for what belongs to no organisation */
    rensei_actor_t actor;
    const char *target;
    const char *details;  /* JSON object text */
    apr_int64_t seq;      /* its number in its organisation, from 1 */
    const char *hash;     /* of the chain; NULL: from before there was one */
    const char *previous; /* the hash of the one before it, "" for the first;
                             NULL where it is not known (in a list) */
} rensei_event_t;

#define RENSEI_AUDIT_SYSTEM_ORG ""

/** An event to be. */
typedef struct rensei_audit_entry_t {
    const char *event;
    const char *org; /* RENSEI_AUDIT_SYSTEM_ORG where none is concerned */
    const rensei_actor_t *actor;
    const char *target;
    const json_t *details;    /* an object, not taken over; no secrets, and no
                                 fractions (their text differs between
                                 languages, and it is hashed). NULL is what
                                 json_pack gives without memory: refused */
    const char *details_text; /* the same as canonical JSON, in place of it */
} rensei_audit_entry_t;

/** Appends events, inside the caller's transaction: each organisation's in
 * the order given, with one change of its head however many they are. The
 * heads are locked in one order, so that two that append for the same
 * organisations wait for each other, and never in a circle. Once committed,
 * the store's witness is told of each.
 * @param n at least 1
 * @return err INTERNAL where no transaction is open */
apr_status_t rensei_audit_append_all(rensei_store_t *st,
                                     const rensei_audit_entry_t *entry, int n,
                                     apr_pool_t *p, rensei_err_t *err);

/** Appends one. */
apr_status_t rensei_audit_append(rensei_store_t *st, const char *event,
                                 const char *org, const rensei_actor_t *actor,
                                 const char *target, const json_t *details,
                                 apr_pool_t *p, rensei_err_t *err);

/** What goes with each change of something that gateways know: its event, and
 * the word to all of them that what they know of it is out of date.
 * @param target what changed, by id
 * @param details taken over; json_object() for none */
apr_status_t rensei_audit_change(rensei_store_t *st, const char *event,
                                 const char *org, const rensei_actor_t *actor,
                                 const char *target, json_t *details,
                                 apr_pool_t *p, rensei_err_t *err);

typedef struct rensei_audit_filter_t {
    const char *event, *actor, *target; /* exact; NULL for any */
    apr_int64_t since, until;           /* epoch ms, since inclusive, until
                                           exclusive; 0 for open */
    int limit;                          /* 1 to RENSEI_PAGE_MAX; 0: default */
    const char *cursor;                 /* of the page before, or NULL */
} rensei_audit_filter_t;

#define RENSEI_PAGE_DEFAULT 50
#define RENSEI_PAGE_MAX 500

typedef struct rensei_event_page_t {
    int count;
    rensei_event_t *event;
    const char *next_cursor; /* NULL on the last page */
} rensei_event_page_t;

/** A page of an organisation's events, newest first. With a filter it can be
 * short, or empty, and still have a cursor (see rensei_page.h).
 * @return err INVALID_REQUEST naming `cursor` or `limit` */
apr_status_t rensei_audit_list(rensei_event_page_t *out, rensei_store_t *st,
                               const char *org,
                               const rensei_audit_filter_t *filter,
                               apr_pool_t *p, rensei_err_t *err);

/** As the admin API and the export show it; a new reference. */
json_t *rensei_event_json(const rensei_event_t *ev, apr_pool_t *p);

#endif
