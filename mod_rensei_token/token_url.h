/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The URLs under which clients know this service: its paths, behind what
 * RenseiBaseURL or the request says.
 */
#ifndef TOKEN_URL_H
#define TOKEN_URL_H

#include "mod_rensei_auth.h"

#define TOKEN_PATH "/api/oauth/token"
#define TOKEN_INTROSPECT_PATH "/api/oauth/introspect"
#define TOKEN_REVOKE_PATH "/api/oauth/revoke"
#define TOKEN_JWKS_PATH "/.well-known/jwks.json"
#define TOKEN_METADATA_PATH "/.well-known/oauth-authorization-server"

/** What a client's assertion may name as its audience: the issuer's URL, and
 * those of the endpoints; NULL-terminated, in the request's pool. Not by a
 * Host that is none of this virtual host's names: or a server that an
 * assertion was meant for could send it on to us, under its own name. */
const char *const *token_url_audiences(request_rec *r,
                                       const rensei_policy_t *policy);

#endif
