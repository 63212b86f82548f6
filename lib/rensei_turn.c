/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_turn.h"

#include <pthread.h>

#include <apr_pools.h>

#define SHARED_KEY "rensei:turn"

/* A flag under a mutex, rather than the mutex itself: a request's pool, whose
 * cleanup rolls back, may go in another thread than the one that began. */
typedef struct turn_t {
    pthread_mutex_t guard;
    pthread_cond_t given;
    int taken;
} turn_t;

static turn_t own = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
static turn_t *turn = &own;

/* What is shared is no part of a module's image, which may be unloaded. */
void rensei_turn_share(apr_pool_t *p)
{
    void *shared = NULL;

    apr_pool_userdata_get(&shared, SHARED_KEY, p);
    if (!shared) {
        turn_t *made = apr_pcalloc(p, sizeof(*made));
        pthread_mutex_init(&made->guard, NULL);
        pthread_cond_init(&made->given, NULL);
        shared = made;
        apr_pool_userdata_set(shared, SHARED_KEY, apr_pool_cleanup_null, p);
    }
    turn = shared;
}

int rensei_turn_take(apr_interval_time_t patience)
{
    apr_time_t end = apr_time_now() + patience;
    struct timespec until = {apr_time_sec(end), apr_time_usec(end) * 1000};
    int late = 0;
    int got;

    pthread_mutex_lock(&turn->guard);
    while (turn->taken && !late) {
        late = pthread_cond_timedwait(&turn->given, &turn->guard, &until) != 0;
    }
    got = !turn->taken;
    turn->taken = 1;
    pthread_mutex_unlock(&turn->guard);
    return got;
}

void rensei_turn_give(void)
{
    pthread_mutex_lock(&turn->guard);
    turn->taken = 0;
    pthread_cond_signal(&turn->given);
    pthread_mutex_unlock(&turn->guard);
}
