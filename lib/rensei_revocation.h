/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The end of access tokens before their time: of one by its jti (RFC 7009),
 * or of all that a client has so far. Issuing goes on; what ends the client
 * itself is rensei_client_revoke.
 *
 * A token of ours has its time of issue, in ms, in its jti (a ULID), so that
 * tokens of the same second as the cut-off can be told apart.
 */
#ifndef RENSEI_REVOCATION_H
#define RENSEI_REVOCATION_H

#include "rensei_client.h"

/** Ends one token of a client of that organisation, with event
 * m2m.token_revoked and a change of the client's id. One that is ended
 * already, or has expired long ago, is left as it is, and nothing is written.
 * @param exp_s its expiry, seconds since the epoch
 * @return err NOT_FOUND where the organisation has no such client,
 *   INVALID_REQUEST for a jti that is no safe identifier */
apr_status_t rensei_token_revoke(rensei_store_t *st, const char *org,
                                 const char *client_id, const char *jti,
                                 apr_int64_t exp_s, const rensei_actor_t *actor,
                                 apr_pool_t *p, rensei_err_t *err);

/** Is that one token of that client ended? (A jti is only its issuer's word
 * for being unique.) Whom its client's revoked_jti does not name, where
 * revoked_more is set. @return err UNAVAILABLE */
apr_status_t rensei_token_revoked(int *yes, rensei_store_t *st,
                                  const char *client_id, const char *jti,
                                  apr_pool_t *p, rensei_err_t *err);

/** Ends all tokens issued to a client up to now, with event m2m.token_revoked
 * {"all":true} and a change of the client's id. out->tokens_after is always
 * later than it was, and not before the last token that was issued, were that
 * by a gateway whose clock is ahead. Tokens issued from then on are good, of
 * the same millisecond as well: rensei_grant_token sees to it.
 * @return err NOT_FOUND, CONFLICT for a revoked client */
apr_status_t rensei_client_revoke_tokens(rensei_client_t *out,
                                         rensei_store_t *st, const char *org,
                                         const char *id,
                                         const rensei_actor_t *actor,
                                         apr_pool_t *p, rensei_err_t *err);

/** Is a token of this client ended, as far as the client tells: is its jti in
 * revoked_jti, or was it issued at or before tokens_after? By its jti's time,
 * or where that is none of ours, by iat_s (0: absent; it is then taken for
 * old). Where it gives 0 and revoked_more is set, rensei_token_revoked has
 * the last word.
 * @param jti n = 0 for a token without */
int rensei_token_dead(const rensei_client_t *c, rensei_str_t jti,
                      apr_int64_t iat_s);

#endif
