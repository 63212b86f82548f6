/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * A tally: how often each credential was used since somebody last looked, when
 * the latest time was, and from where. Every request adds to it, so adding
 * takes no lock, waits for nobody, and allocates nothing; somebody else takes
 * what has gathered, from time to time, while requests go on adding.
 *
 * It is in memory that processes share which are forked after it was made, so
 * it outlives each of them. It has a fixed number of places, which take memory
 * when they are first used. An id keeps its place while it is in use,
 * and is given another when it comes back.
 */
#ifndef RENSEI_TALLY_H
#define RENSEI_TALLY_H

#include "rensei_err.h"

#define RENSEI_TALLY_ID_MAX 38 /* bytes */
#define RENSEI_TALLY_GROUP_MAX 15
#define RENSEI_TALLY_ADDRESS 16 /* bytes: of IPv6, or of IPv4 mapped to it */

typedef struct rensei_tally_t rensei_tally_t;

typedef struct rensei_tally_entry_t {
    char id[RENSEI_TALLY_ID_MAX + 2]; /* terminated */
    apr_int64_t at;
    unsigned char address[RENSEI_TALLY_ADDRESS]; /* all 0: not known */
    apr_int64_t count;
} rensei_tally_entry_t;

/** @param places a power of two, from 64 on; of 128 bytes each
 * @return err INVALID_REQUEST, or UNAVAILABLE without memory */
apr_status_t rensei_tally_create(rensei_tally_t **out, apr_size_t places,
                                 apr_pool_t *p, rensei_err_t *err);

/** Adds one use.
 * @param group 0 to RENSEI_TALLY_GROUP_MAX: ids of different groups have
 *   nothing to do with each other, and are taken apart
 * @param id[0..n) 16 to RENSEI_TALLY_ID_MAX bytes, the last ones random
 * @param at epoch ms @param address RENSEI_TALLY_ADDRESS bytes
 * @return 0 where no place is left: the use is lost */
int rensei_tally_add(rensei_tally_t *t, int group, const char *id, apr_size_t n,
                     apr_int64_t at, const unsigned char *address);

/** Is there anything to take of that group? Asked often, so it may say yes
 * once too often, but never no. */
int rensei_tally_waiting(const rensei_tally_t *t, int group);

/** Is more than half of it in use? Then it should be taken before long. */
int rensei_tally_crowded(const rensei_tally_t *t);

/** Takes entries of a group, max at the most; what they count is theirs. An
 * id can come twice. Several may take at the same time.
 * @param from where to go on: 0 at the start
 * @return how many, 0 at the end */
int rensei_tally_take(rensei_tally_entry_t *out, int max, apr_size_t *from,
                      rensei_tally_t *t, int group);

/** Gives back what was taken, and could not be written. */
void rensei_tally_return(rensei_tally_t *t, int group,
                         const rensei_tally_entry_t *entry);

#endif
