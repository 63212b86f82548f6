/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The live state: what makes a revocation take effect at once, in every child
 * of this httpd. In shared memory that outlives graceful restarts are
 *
 * - a generation for each of 4096 buckets of identifiers. What was read from
 *   the store is remembered with the generations of the identifiers that it
 *   depends on, and holds while they are the same. Who changes the store
 *   bumps them after COMMIT, before it answers;
 * - for each store, up to which change sequence number this machine has
 *   followed it, and when. Every child has a watchdog thread that wants to
 *   poll; a compare-and-swap on the time of the next poll decides which does.
 *   A child that dies is thereby replaced at the next tick;
 * - the throttle on guessing (auth_throttle.h).
 *
 * The order of the two steps in a bump, and of the reads in
 * auth_live_begin and auth_live_end, is what makes it right: see there.
 */
#ifndef AUTH_LIVE_H
#define AUTH_LIVE_H

#include "rensei_turn.h"

#include <httpd.h>

/** How many different stores the virtual hosts can have. */
#define AUTH_LIVE_STORES 16

/** Is mod_watchdog there? */
int auth_live_watchdog_available(void);

/** Finds or makes the shared memory, numbers the stores of the virtual hosts,
 * registers the poll. */
int auth_live_post_config(apr_pool_t *p, server_rec *main_server);

/** In a child, before it serves. */
void auth_live_child_init(apr_pool_t *p, server_rec *main_server);

/** All that is cached of this identifier is out of date, from now on. */
void auth_live_changed(const char *subject);

/** A token for "now", taken before the store is read. */
apr_uint64_t auth_live_begin(void);

/** Has nothing at all changed since auth_live_begin? Ask after the
 * generations to remember were taken; when not, do not remember. */
int auth_live_end(apr_uint64_t begun);

/** The generation of an identifier, and the number of its bucket. */
apr_uint32_t auth_live_bucket(const char *subject, apr_size_t n);
apr_uint32_t auth_live_generation(apr_uint32_t bucket);

/** Are these n buckets of these generations still? */
int auth_live_unchanged(const apr_uint32_t *bucket,
                        const apr_uint32_t *generation, int n);

/** The writers' turn of this httpd, for rensei_turn_use; NULL: there is no
 * live state. */
rensei_turn_t *auth_live_turn(void);

/** Seconds until that client may try again from that address, 0: now. */
int auth_live_wait(const server_rec *s, const char *subject,
                   const char *address);

/** It tried, and failed. */
void auth_live_failed(const server_rec *s, const char *subject,
                      const char *address);

/** Up to which change that virtual host's store was followed: the generations
 * tell of all changes up to it. Ask before the generations. */
apr_uint64_t auth_live_sequence(const server_rec *s);

/** Was that virtual host's store followed within its RenseiMaxStaleness? */
int auth_live_fresh(const server_rec *s);

/** Has somebody seen that virtual host's store with our tables, since httpd was
 * started? And: somebody has. */
int auth_live_filled(const server_rec *s);
void auth_live_seen_filled(const server_rec *s);

#endif
