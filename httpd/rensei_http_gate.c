/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_gate.h"
#include "rensei_sys.h"

struct rensei_http_gate_t {
    int all; /* places */
    sem_t places;
    apr_time_t full_since; /* that nobody was quick; 0: it is not full */
    sem_t turn;
    apr_interval_time_t patience;
};

rensei_http_gate_t *rensei_http_gate_create(int places,
                                            apr_interval_time_t patience,
                                            apr_pool_t *p)
{
    rensei_http_gate_t *gate = apr_pcalloc(p, sizeof(*gate));

    gate->all = places;
    sem_init(&gate->places, 0, (unsigned)places);
    sem_init(&gate->turn, 0, 1);
    gate->patience = patience;
    return gate;
}

/* Since when it has been full; now, where nobody found it so before. */
static apr_time_t full_since(rensei_http_gate_t *gate, apr_time_t now)
{
    apr_time_t since = 0;

    __atomic_compare_exchange_n(&gate->full_since, &since, now, 0,
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return since != 0 ? since : now;
}

int rensei_http_gate_enter(rensei_http_gate_t *gate, apr_time_t *entered)
{
    apr_time_t now = rensei_sys_elapsed();
    apr_time_t end;

    *entered = now;
    if (sem_trywait(&gate->places) == 0) {
        return 1;
    }
    end = full_since(gate, now) + RENSEI_HTTP_GATE_PATIENCE;
    if (now >= end || !rensei_sys_wait(&gate->places, end)) {
        return 0;
    }
    *entered = rensei_sys_elapsed();
    return 1;
}

/* One who took long says nothing of how it goes now: with a store that takes
 * five seconds for each, those who come would go on waiting for the next to
 * leave. */
void rensei_http_gate_leave(rensei_http_gate_t *gate, apr_time_t entered)
{
    if (__atomic_load_n(&gate->full_since, __ATOMIC_SEQ_CST) != 0 &&
        rensei_sys_elapsed() - entered < RENSEI_HTTP_GATE_PATIENCE) {
        __atomic_store_n(&gate->full_since, 0, __ATOMIC_SEQ_CST);
    }
    sem_post(&gate->places);
}

int rensei_http_gate_busy(rensei_http_gate_t *gate)
{
    int free = 0;

    sem_getvalue(&gate->places, &free);
    return free < gate->all;
}

int rensei_http_gate_turn(rensei_http_gate_t *gate, apr_time_t entered)
{
    return rensei_sys_wait(&gate->turn, entered + gate->patience);
}

void rensei_http_gate_next(rensei_http_gate_t *gate)
{
    sem_post(&gate->turn);
}
