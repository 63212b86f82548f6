/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The last credential of a connection, with what the cache knew of it. A client
 * that keeps its connection mostly shows the same one again: then its text is
 * compared, and neither hashed nor looked for in memory that all threads share.
 * Whether what was known still holds is asked each time, as of what the cache
 * has.
 */
#ifndef AUTH_LAST_H
#define AUTH_LAST_H

#include "auth_owner.h"

/** Is it the same again?
 * @param space what the credential is held against; another is no match
 * @param o set if so, and asked's name, too @return 1 if so, or 0 */
int auth_last_get(owner_slot_t *o, auth_asked_t *asked, const request_rec *r,
                  apr_uint64_t space);

/** From now on it is that one, if the connection goes on, and does not change
 * its credential all the time. */
void auth_last_put(const owner_slot_t *o, const auth_asked_t *asked,
                   const request_rec *r, apr_uint64_t space);

#endif
