/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Whose turn it is to write to SQLite, among the threads of a process.
 *
 * SQLite has one writer at a time, and would sort this out by itself. But
 * apr_dbd's driver waits for the other writer inside a mutex of the whole
 * process, the same one that this writer needs for its next statement: it
 * cannot go on before the waiting has timed out. So the threads queue here,
 * before they ask the database.
 */
#ifndef RENSEI_TURN_H
#define RENSEI_TURN_H

#include <apr_pools.h>
#include <apr_time.h>

/** One turn for all that call this with the same pool: httpd's modules, each
 * of which has a copy of this code. Before there are threads.
 * @param p lives as long as the process */
void rensei_turn_share(apr_pool_t *p);

/** Waits for the turn, at most so long. @return 1, or 0 when time is up */
int rensei_turn_take(apr_interval_time_t patience);

/** Gives it back; any thread may. */
void rensei_turn_give(void);

#endif
