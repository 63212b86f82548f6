/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Whose turn it is to write to SQLite, among the threads and processes of a
 * server.
 *
 * SQLite has one writer at a time, and would sort this out by itself. But
 * apr_dbd's driver waits for the other writer inside a mutex of the whole
 * process, the same one that this writer needs for its next statement, and in
 * steps of 100 ms. So writers queue here, before they ask the database.
 *
 * It is about waiting well, not about exclusion, which stays SQLite's: a turn
 * whose holder died, or has had it for half a minute, is taken over by whoever
 * finds out, and should two think they have it for a moment, one of them waits
 * for the other in SQLite.
 */
#ifndef RENSEI_TURN_H
#define RENSEI_TURN_H

#include <apr_time.h>
#include <semaphore.h>

typedef struct rensei_turn_t {
    sem_t free;
    int holder;       /* process id, 0: none, or just changing hands */
    apr_time_t since; /* rensei_sys_elapsed: when it was taken */
} rensei_turn_t;

/** Makes a turn, in memory that processes share. */
void rensei_turn_init(rensei_turn_t *turn);

/** From now on this is the turn; before there are threads. NULL: one of this
 * process alone, which is what counts without this call. */
void rensei_turn_use(rensei_turn_t *turn);

/** Waits for the turn, at most so long. @return 1, or 0 when time is up */
int rensei_turn_take(apr_interval_time_t patience);

/** Gives it back; any thread of the process may. */
void rensei_turn_give(void);

#endif
