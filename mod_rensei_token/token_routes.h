/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What mod_rensei_token answers, for its table of routes.
 */
#ifndef TOKEN_ROUTES_H
#define TOKEN_ROUTES_H

#include "rensei_http_route.h"

rensei_route_fn token_post, token_introspect_post, token_revoke_post;
rensei_route_fn token_jwks_get, token_metadata_get;
rensei_route_fn token_daemon_register, token_worker_register,
    token_worker_refresh;

#endif
