/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What is remembered only until it has expired: revoked tokens and used
 * assertions. A little of what has expired is forgotten each time that
 * something new is remembered.
 */
#ifndef RENSEI_FORGET_H
#define RENSEI_FORGET_H

#include "rensei_store.h"

/** How long after its expiry it is remembered (seconds): longer than any
 * difference between clocks that a verifier allows, or a revoked token would
 * come back to life, and an assertion could be played again, for a moment. */
#define RENSEI_REMEMBER_AFTER 3600

/** Until when (epoch ms) to remember what expires at exp_s (seconds). */
apr_int64_t rensei_forget_at(apr_int64_t exp_s);

/** Runs one of the FORGET statements. In a transaction of its own, after that
 * of the caller: two that forget the same rows wait for each other. That it
 * fails does not matter: the next one does it. */
void rensei_forget_some(rensei_store_t *st, rensei_sql_e stmt, apr_pool_t *p);

#endif
