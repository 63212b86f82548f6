/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * How many requests of a process may be with the store, or wait for it, at one
 * time (RenseiStoreWaiters): mod_dbd's pool waits without limit, and a store
 * that hangs would take one thread after the other.
 *
 * Whoever finds no place waits for one while the others come and go; once
 * nobody has been quick for RENSEI_HTTP_GATE_PATIENCE, he is turned away at
 * once.
 */
#ifndef RENSEI_HTTP_GATE_H
#define RENSEI_HTTP_GATE_H

#include <apr_pools.h>
#include <apr_time.h>

#define RENSEI_HTTP_GATE_PATIENCE apr_time_from_sec(1)

typedef struct rensei_http_gate_t rensei_http_gate_t;

/** A gate for the threads of this process.
 * @param patience of one who waits for a connection */
rensei_http_gate_t *rensei_http_gate_create(int places,
                                            apr_interval_time_t patience,
                                            apr_pool_t *p);

/** @param entered for rensei_http_gate_leave
 * @return 1, or 0: turned away */
int rensei_http_gate_enter(rensei_http_gate_t *gate, apr_time_t *entered);

void rensei_http_gate_leave(rensei_http_gate_t *gate, apr_time_t entered);

/** Is anybody inside? Of use where nobody can enter meanwhile. */
int rensei_http_gate_busy(rensei_http_gate_t *gate);

/** Of those inside, one at a time asks mod_dbd for a connection. It makes one
 * inside its lock: if each tried to reach a database that takes the time limit
 * to be out of reach, the last would wait for the sum of them.
 * @return 1, or 0: not within the gate's patience, since it entered */
int rensei_http_gate_turn(rensei_http_gate_t *gate, apr_time_t entered);

/** The next one. */
void rensei_http_gate_next(rensei_http_gate_t *gate);

#endif
