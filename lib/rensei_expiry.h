/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Notices of what is about to end: an event credential.expiring in the audit
 * trail, once for each credential and each end that it is given. Whatever
 * reads the trail can then tell its owner, while there is time.
 */
#ifndef RENSEI_EXPIRY_H
#define RENSEI_EXPIRY_H

#include "rensei_audit.h"

/** Writes the notices that are due: for clients (of their own end or their
 * secret's, whichever is first) and keys that have not ended, but will within
 * so long. Several processes and gateways may do it at the same time: each
 * notice is written once. One transaction each, so that nothing waits long,
 * and locks are taken in the order in which everything else takes them.
 * @param count how many were written, also where it fails
 * @param within_ms how far ahead to look
 * @param limit how many to write at most; when count reaches it there may be
 *   more */
apr_status_t rensei_expiry_sweep(int *count, rensei_store_t *st,
                                 apr_int64_t within_ms, int limit,
                                 apr_pool_t *p, rensei_err_t *err);

#endif
