/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * AuthType Bearer: from the Authorization header to a principal, once a
 * request.
 */
#ifndef AUTH_BEARER_H
#define AUTH_BEARER_H

#include <httpd.h>

/** Hook check_authn. */
int auth_bearer_check(request_rec *r);

#endif
