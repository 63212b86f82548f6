/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * From a credential to a principal: which kind it is, whether it is genuine,
 * and whether it still counts. No I/O as long as the cache knows the answer.
 */
#ifndef AUTH_VERIFY_H
#define AUTH_VERIFY_H

#include "mod_rensei_auth.h"
#include "rensei_store.h"

/** Verifies an API key or a token for r's virtual host.
 * @param accept the kinds that the location takes (of rensei_kind_e)
 * @param out lives as long as the request
 * @return err INVALID_TOKEN, or UNAVAILABLE where we cannot know */
apr_status_t auth_verify(const rensei_principal_t **out, request_rec *r,
                         rensei_str_t credential, int accept,
                         rensei_err_t *err);

/** Verifies a client's own id and secret (RenseiAccept client-secret): the
 * principal that its token would give.
 * @param basic what follows "Basic" in the header
 * @return err INVALID_REQUEST, INVALID_TOKEN, SLOW_DOWN, UNAVAILABLE */
apr_status_t auth_verify_secret(const rensei_principal_t **out, request_rec *r,
                                rensei_str_t basic, rensei_err_t *err);

#endif
