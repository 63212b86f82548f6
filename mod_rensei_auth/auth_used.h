/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * When each API key and client was used last, and from where, and how often a
 * key was: counted by each request in memory that all children share, written
 * to the store in batches by the watchdog of one of them, and when a child
 * ends. What was not written when all of httpd is killed is lost.
 */
#ifndef AUTH_USED_H
#define AUTH_USED_H

#include "rensei_store.h"

#include <apr_network_io.h>
#include <httpd.h>

/** Before children are forked. */
void auth_used_post_config(server_rec *main_server);

/** Counts a use. No I/O, no lock.
 * @param store the number of its store in the live state, less than 0 for none
 * @param id[0..n) of the key or client
 * @param at epoch ms @param from the address it came from, or NULL */
void auth_used_note(int store, const char *id, apr_size_t n, apr_int64_t at,
                    const apr_sockaddr_t *from);

/** Is there anything to write to that store? */
int auth_used_waiting(int store);

/** Is there so much that it had better be written now? */
int auth_used_crowded(void);

/** Writes what was counted since the last time. What could not be written
 * waits for the next. */
void auth_used_flush(int store, rensei_store_t *st, apr_pool_t *p);

#endif
