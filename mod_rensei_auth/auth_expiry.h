/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What is said of credentials that are about to end: in the audit trail, by
 * the watchdog (RenseiExpiryNotice); in the answers to requests that such a
 * credential was used for (RenseiExpiryHeader).
 */
#ifndef AUTH_EXPIRY_H
#define AUTH_EXPIRY_H

#include <httpd.h>

/** Writes the notices that are due in s's store. Does I/O: never on a
 * request's way. @param within seconds ahead; 0: none are due
 * @return 1: there may be more */
int auth_expiry_sweep(server_rec *s, apr_int64_t within, apr_pool_t *p);

/** Says in the answer to r, whatever that will be, when its credential ends;
 * if it does within RenseiExpiryNotice. To be called where RenseiExpiryHeader
 * is On. @param expires_at epoch ms, 0: never */
void auth_expiry_header(request_rec *r, apr_int64_t expires_at);

#endif
