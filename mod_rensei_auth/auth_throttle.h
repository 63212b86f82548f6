/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The throttle on guessing: how many attempts failed lately, for each client
 * together with the address that tried, in shared memory, so that it counts
 * for all children. By both together, so that nobody can lock a client out
 * who comes from elsewhere.
 *
 * A fixed table of small sets. A new pair takes the place of the one in its
 * set whose time is nearest its end; the names are a keyed hash, so that
 * nobody chooses which that is.
 */
#ifndef AUTH_THROTTLE_H
#define AUTH_THROTTLE_H

#include <apr.h>

#define THROTTLE_PLACES 16384
#define THROTTLE_WAYS 4

typedef struct throttle_place_t {
    apr_uint64_t name;  /* 0: free */
    apr_uint32_t ends;  /* seconds of the monotonic clock */
    apr_uint32_t count; /* failures since the window began */
} throttle_place_t;

/** What the live state holds of it. */
typedef struct throttle_t {
    unsigned char key[16]; /* random, made with the memory */
    throttle_place_t place[THROTTLE_PLACES];
} throttle_t;

/** How a virtual host throttles: RenseiThrottle. */
typedef struct throttle_limit_t {
    int failures; /* 0: off */
    int seconds;
} throttle_limit_t;

/** Seconds until that pair may try again, 0: now.
 * @param now seconds of a monotonic clock */
int auth_throttle_wait(throttle_t *t, const throttle_limit_t *limit,
                       const char *subject, const char *address,
                       apr_uint32_t now);

/** Counts a failure. */
void auth_throttle_failed(throttle_t *t, const throttle_limit_t *limit,
                          const char *subject, const char *address,
                          apr_uint32_t now);

#endif
