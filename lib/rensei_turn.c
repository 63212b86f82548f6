/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_turn.h"
#include "rensei_sys.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* How long to wait before asking whether the holder is still there. */
#define SLICE apr_time_from_msec(100)

/* No transaction takes so long. Whoever has had it for longer is no more, and
 * his process id is another program's by now; nobody is to wait for that. */
#define TOO_LONG apr_time_from_sec(30)

/* A semaphore, not a mutex: a request's pool, whose cleanup rolls back, may go
 * in another thread than the one that began. */
static rensei_turn_t own;
static pthread_once_t own_made = PTHREAD_ONCE_INIT;
static rensei_turn_t *used;

void rensei_turn_init(rensei_turn_t *turn)
{
    sem_init(&turn->free, 1, 1);
    turn->holder = 0;
    turn->since = 0;
}

void rensei_turn_use(rensei_turn_t *turn)
{
    used = turn;
}

static void own_make(void)
{
    rensei_turn_init(&own);
}

static rensei_turn_t *turn_get(void)
{
    if (used) {
        return used;
    }
    pthread_once(&own_made, own_make);
    return &own;
}

/* Of several that find this out at the same time one gets it. */
static int held_too_long(rensei_turn_t *turn)
{
    apr_time_t now = rensei_sys_elapsed();
    apr_time_t since = __atomic_load_n(&turn->since, __ATOMIC_ACQUIRE);

    return now - since > TOO_LONG &&
           __atomic_compare_exchange_n(&turn->since, &since, now, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Takes it from one who is no more. One who died while it changed hands left
 * no name: after a whole slice nobody is still changing hands. */
static int take_over(rensei_turn_t *turn)
{
    int holder = __atomic_load_n(&turn->holder, __ATOMIC_ACQUIRE);

    if (holder != 0 && (kill(holder, 0) == 0 || errno != ESRCH)) {
        return held_too_long(turn);
    }
    return __atomic_compare_exchange_n(&turn->holder, &holder, getpid(), 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void note_holder(rensei_turn_t *turn)
{
    __atomic_store_n(&turn->since, rensei_sys_elapsed(), __ATOMIC_RELEASE);
    __atomic_store_n(&turn->holder, getpid(), __ATOMIC_RELEASE);
}

int rensei_turn_take(apr_interval_time_t patience)
{
    rensei_turn_t *turn = turn_get();
    apr_time_t now = rensei_sys_elapsed(), end = now + patience;

    for (;;) {
        apr_time_t slice = end - now < SLICE ? end : now + SLICE;

        if (rensei_sys_wait(&turn->free, slice)) {
            note_holder(turn);
            return 1;
        }
        if (slice < end && take_over(turn)) {
            note_holder(turn);
            return 1;
        }
        now = rensei_sys_elapsed();
        if (now >= end) {
            return 0;
        }
    }
}

void rensei_turn_give(void)
{
    rensei_turn_t *turn = turn_get();

    __atomic_store_n(&turn->holder, 0, __ATOMIC_RELEASE);
    /* One turn, however many there were: a turn that was taken over can have
     * been given back by both. */
    while (sem_trywait(&turn->free) == 0) {
    }
    sem_post(&turn->free);
}
