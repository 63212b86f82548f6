/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_prefork.h"
#include "auth_conf.h"

#include <ap_mpm.h>
#include <apr_allocator.h>
#include <apr_thread_mutex.h>
#include <scoreboard.h>
#include <unistd.h>

/* mod_dbd's pools are below p, as those of connections and requests are: while
 * the watchdog's thread opens a connection to the store, or closes one, the
 * other takes memory from the same allocator. */
void auth_prefork_child_init(apr_pool_t *p, server_rec *main_server)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(p);
    apr_thread_mutex_t *lock;

    if (allocator && !apr_allocator_mutex_get(allocator) &&
        apr_thread_mutex_create(&lock, APR_THREAD_MUTEX_NESTED,
                                main_server->process->pool) == APR_SUCCESS) {
        apr_allocator_mutex_set(allocator, lock);
    }
}

/* @return this child's place in the scoreboard, or -1 */
static int my_place(void)
{
    pid_t me = getpid();
    int i, n = 0;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &n);
    for (i = 0; i < n; i++) {
        const process_score *score = ap_get_scoreboard_process(i);

        if (score && score->pid == me) {
            return i;
        }
    }
    return -1;
}

int auth_prefork_interrupted(void)
{
    const worker_score *score;
    int place;

    if (auth_conf_threaded()) {
        return 0;
    }
    place = my_place();
    score = place >= 0 ? ap_get_scoreboard_worker_from_indexes(place, 0) : NULL;
    return !score || (score->status != SERVER_READY &&
                      score->status != SERVER_BUSY_KEEPALIVE);
}
