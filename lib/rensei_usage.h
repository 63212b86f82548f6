/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The use of credentials, as a gateway counts it in memory and writes it to
 * the store from time to time.
 */
#ifndef RENSEI_USAGE_H
#define RENSEI_USAGE_H

#include "rensei_store.h"

typedef struct rensei_usage_t {
    apr_int64_t at;    /* of the latest; epoch ms */
    const char *ip;    /* from where that was, or NULL: not known */
    apr_int64_t count; /* how many, this one included */
} rensei_usage_t;

/** That of one key or client. */
typedef struct rensei_used_t {
    const char *id; /* key_... or m2m_... */
    rensei_usage_t usage;
} rensei_used_t;

/** Adds used[0..n) to what the store has, in the transaction in hand: many with
 * each statement. Ids that it does not have are passed over.
 * @param used in the order of the ids, each once: keys that were made together
 *   are together in the file, and are written together; and what gateways lock
 *   in the same order does not make one wait for the other in a circle
 * @return err UNAVAILABLE */
apr_status_t rensei_usage_write(rensei_store_t *st, const rensei_used_t *used,
                                int n, apr_pool_t *p, rensei_err_t *err);

#endif
