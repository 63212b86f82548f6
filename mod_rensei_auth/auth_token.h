/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * From a token to what it gives: what was verified once is remembered, for as
 * long as the token itself holds and nothing has changed of whom it depends
 * on. What a location asks beyond that is asked each time.
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "auth_owner.h"

/** What a token says, its scopes narrowed to what its owner has now.
 * @param k its o.kind, o.cls, o.ends_at and jti are set as well; claims is the
 *   payload, or empty where the cache knew (auth_request_claims has it)
 * @param accept the kinds that the location takes
 * @return err INVALID_TOKEN, or UNAVAILABLE where we cannot know */
apr_status_t auth_token_owner(auth_owner_t *k, request_rec *r,
                              rensei_str_t token, int accept,
                              rensei_err_t *err);

/** The payload of a token that was verified; n = 0 for what is none. */
rensei_str_t auth_token_payload(rensei_str_t token, apr_pool_t *p);

#endif
