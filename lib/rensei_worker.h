/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Workers: daemons that registered with a registration key and hold runtime
 * tokens. Here they are looked up, listed and revoked; how one registers and
 * gets its tokens is in rensei_enroll.h.
 */
#ifndef RENSEI_WORKER_H
#define RENSEI_WORKER_H

#include "rensei_audit.h"

#define RENSEI_WORKER_UNSAID (-1)

typedef struct rensei_worker_t {
    const char *id;
    const char *org;
    const char *workspace;      /* or NULL */
    const char *key;            /* the registration key's id */
    apr_int64_t revoked_at;     /* of the worker; epoch ms, 0: live */
    int key_live;               /* its registration key counts now */
    int key_revoked;            /* it is revoked */
    apr_int64_t key_expires_at; /* of that; epoch ms, 0: never */
    int org_active; /* its organisation, and its workspace, are not suspended */
    const char *suspended; /* "organisation" "workspace", or NULL */

    /* What it said of itself when it last registered; NULL or 0 for what it
     * did not say. */
    const char *hostname;
    apr_int64_t max_agents;
    const char *version, *machine_id, *region;
    const char *capabilities;  /* the text of a JSON array of strings */
    apr_int64_t active_agents; /* or RENSEI_WORKER_UNSAID */
    const char *reported_status;

    const char *status;       /* "active" "revoked" */
    apr_int64_t created_at;   /* epoch ms */
    apr_int64_t last_seen_at; /* it registered or refreshed; 0: never */
    const char *revoke_reason;
} rensei_worker_t;

/** A worker of any organisation, in whatever state: what the gateway asks.
 * @return err NOT_FOUND, UNAVAILABLE */
apr_status_t rensei_worker_find(rensei_worker_t *out, rensei_store_t *st,
                                const char *id, apr_pool_t *p,
                                rensei_err_t *err);

/** A worker of this organisation. @return err NOT_FOUND, UNAVAILABLE */
apr_status_t rensei_worker_get(rensei_worker_t *out, rensei_store_t *st,
                               const char *org, const char *id, apr_pool_t *p,
                               rensei_err_t *err);

typedef struct rensei_worker_filter_t {
    const char *hostname, *key, *status, *region; /* exact; NULL for any */
    int limit;                                    /* 0: the default */
    const char *cursor;
} rensei_worker_filter_t;

typedef struct rensei_worker_page_t {
    int count;
    rensei_worker_t *worker;
    const char *next_cursor; /* NULL on the last page */
} rensei_worker_page_t;

/** A page of an organisation's workers, newest first. With a filter by status
 * or region it can be short, or empty, and still have a cursor
 * (rensei_page.h).
 * @return err INVALID_REQUEST naming the parameter */
apr_status_t rensei_worker_list(rensei_worker_page_t *out, rensei_store_t *st,
                                const char *org,
                                const rensei_worker_filter_t *filter,
                                apr_pool_t *p, rensei_err_t *err);

/** Ends a worker for good, with event worker.revoked and a change of its id:
 * its runtime tokens die, and its machine is refused by the key that it
 * registered with. One that is revoked already stays as it is, without an
 * event.
 * @param reason NULL, or why; bounded as a client's
 * @return err NOT_FOUND, INVALID_REQUEST naming `reason`, UNAVAILABLE */
apr_status_t rensei_worker_revoke(rensei_worker_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const char *reason,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

/** As docs/api.md shows it (camelCase, ISO 8601); a new reference. */
json_t *rensei_worker_json(const rensei_worker_t *w, apr_pool_t *p);

#endif
