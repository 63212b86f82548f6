/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * When each API key was used last: noted in the child's memory by each
 * request, written to the store in batches by the watchdog. A fixed table; a
 * key that finds its place taken by another in the same interval goes without
 * until the next.
 */
#ifndef AUTH_USED_H
#define AUTH_USED_H

#include "rensei_store.h"

/** @param store the number of the key's store in the live state, less than 0
 *   for none @param key its id @param at epoch ms */
void auth_used_note(int store, const char *key, apr_int64_t at);

/** Is there anything to write to that store? */
int auth_used_waiting(int store);

/** Writes what was noted since the last time. What could not be written is
 * noted again. */
void auth_used_flush(int store, rensei_store_t *st, apr_pool_t *p);

#endif
