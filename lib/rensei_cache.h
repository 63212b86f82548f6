/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * A bounded cache for one process and all its threads: small sets, a lock for
 * each, the oldest of a set replaced. It takes memory for what was put into it,
 * up to its bound, and gives none back. It knows nothing of what it keeps: the
 * caller says under which name, and judges by the generations in the value
 * whether it still holds.
 *
 * Names are a MAC of the credential (SipHash, 128 bits, the key random per
 * process): nobody can steer names into one set, or find another credential
 * with the name of one that is kept, and no credential is kept.
 */
#ifndef RENSEI_CACHE_H
#define RENSEI_CACHE_H

#include "rensei_err.h"
#include "rensei_sys.h"

typedef struct rensei_cache_t rensei_cache_t;

typedef struct rensei_cache_name_t {
    apr_uint64_t w[2];
} rensei_cache_name_t;

/** @param bytes what it may take at the most, all included
 * @param value_max bytes of a value; a larger one is not kept
 * @param large asks the system for large pages. They are quicker with
 *   thousands of values; and the first value takes 2 MB, for a process that
 *   serves many connections
 * @return err INVALID_REQUEST for too few bytes (1024 more than 16 values take
 *   are enough), UNAVAILABLE without randomness or memory */
apr_status_t rensei_cache_create(rensei_cache_t **out, apr_size_t bytes,
                                 apr_size_t value_max, int large,
                                 const rensei_sys_t *sys, apr_pool_t *p,
                                 rensei_err_t *err);

/** The name of data[0..n) in this cache.
 * @param space whose it is: the same data has another name in each space */
rensei_cache_name_t rensei_cache_name(const rensei_cache_t *c,
                                      apr_uint64_t space, const void *data,
                                      apr_size_t n);

/** Copies the value to out, which holds value_max bytes.
 * @return its length, 0 when it is not there */
apr_size_t rensei_cache_get(rensei_cache_t *c, rensei_cache_name_t name,
                            void *out);

/** Keeps a copy, in place of an older one of that name or, in a full set, of
 * the one unused longest. @return 1, or 0 where it does not fit, or is empty;
 * an older one of that name is then dropped */
int rensei_cache_put(rensei_cache_t *c, rensei_cache_name_t name,
                     const void *value, apr_size_t n);

/** Drops it, if it is there. */
void rensei_cache_remove(rensei_cache_t *c, rensei_cache_name_t name);

#endif
