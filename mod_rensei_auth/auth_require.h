/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The Require providers (`Require rensei-scope a b`), which only compare the
 * principal with what was parsed at start, and the hook that gives a denial
 * its RFC 6750 answer.
 */
#ifndef AUTH_REQUIRE_H
#define AUTH_REQUIRE_H

#include <httpd.h>

void auth_require_register(apr_pool_t *p);

/** Hook auth_checker, before all others. */
int auth_require_check(request_rec *r);

#endif
