/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * How a daemon becomes a worker: with a registration key it registers, once,
 * and gets a runtime token; with that it gets the next one, before it
 * expires. From then on it works without the key.
 */
#ifndef RENSEI_ENROLL_H
#define RENSEI_ENROLL_H

#include "rensei_jwt.h"
#include "rensei_worker.h"

#define RENSEI_WORKER_LIFETIME_MIN 60 /* seconds, of a runtime token */
#define RENSEI_WORKER_LIFETIME_MAX 3600
#define RENSEI_WORKER_LIFETIME_DEFAULT 900
#define RENSEI_WORKER_AGENTS_MAX 100000
#define RENSEI_WORKER_CAPABILITIES_MAX 64

/** What a virtual host puts into runtime tokens. */
typedef struct rensei_enroller_t {
    const rensei_ring_t *ring;
    const char *issuer, *audience;
    apr_int64_t lifetime;          /* seconds */
    const rensei_scopes_t *scopes; /* what its workers may do */
    const rensei_vocab_t *vocab;
} rensei_enroller_t;

/** What a daemon says of itself. */
typedef struct rensei_enroll_spec_t {
    const char *token; /* the registration key; the caller wipes it in the body
                          that it points into. NULL: shown otherwise */
    const char *hostname;
    apr_int64_t max_agents;
    const char *version, *machine_id, *region, *status; /* or NULL */
    const char *capabilities;  /* text of a JSON array of strings, or NULL */
    apr_int64_t active_agents; /* or RENSEI_WORKER_UNSAID */
} rensei_enroll_spec_t;

/** Reads a JSON body (docs/api.md, "Workers").
 * @param takes_token the body has the key, as `registrationToken`
 * @return err INVALID_REQUEST naming the field */
apr_status_t rensei_enroll_spec_read(rensei_enroll_spec_t *out,
                                     const json_t *body, int takes_token,
                                     apr_pool_t *p, rensei_err_t *err);

typedef struct rensei_enrolled_t {
    rensei_worker_t worker;
    int again;              /* a machine that this key had registered before */
    const char *token;      /* the runtime token */
    apr_int64_t expires_at; /* of the token; epoch ms */
} rensei_enrolled_t;

/** Registers a daemon with a key of this organisation, which the caller has
 * authenticated: counts a use of the key, makes the worker, with event
 * worker.registered, and signs its first token. A machineId that the key has
 * registered before is the same worker, with what it says now.
 *
 * All of it is one transaction, so a key of maxUses n never makes more than n
 * workers, however many come at once.
 * @param actor who calls; the event names the key
 * @return err INVALID_TOKEN for a key that is not live; FORBIDDEN for one that
 *   registers no workers, is used up, or whose worker on that machine was
 *   revoked (or revoking it would last until the daemon's next attempt);
 *   UNAVAILABLE */
apr_status_t rensei_enroll_by_key(rensei_enrolled_t *out, rensei_store_t *st,
                                  const rensei_enroller_t *by, const char *org,
                                  const char *key,
                                  const rensei_enroll_spec_t *spec,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

/** As rensei_enroll_by_key, with the key that spec->token is. */
apr_status_t rensei_enroll_by_token(rensei_enrolled_t *out, rensei_store_t *st,
                                    const rensei_enroller_t *by,
                                    const rensei_enroll_spec_t *spec,
                                    const rensei_actor_t *actor, apr_pool_t *p,
                                    rensei_err_t *err);

/** The next runtime token of a worker, which the caller has authenticated by
 * the one before; with event worker.refreshed. Its registration key may be
 * used up, but has to be live.
 * @return err NOT_FOUND; INVALID_TOKEN where the worker, its key or its
 *   organisation does not count any more; UNAVAILABLE */
apr_status_t rensei_enroll_refresh(rensei_enrolled_t *out, rensei_store_t *st,
                                   const rensei_enroller_t *by, const char *org,
                                   const char *worker,
                                   const rensei_actor_t *actor, apr_pool_t *p,
                                   rensei_err_t *err);

#endif
