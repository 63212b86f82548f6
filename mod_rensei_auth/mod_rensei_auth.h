/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What mod_rensei_auth gives the other two modules: optional functions, to be
 * retrieved in the optional_fn_retrieve hook. It owns the policy of each
 * virtual host (keys, issuer, audience, vocabulary) and the live state (the
 * generations that make a cached answer invalid).
 */
#ifndef MOD_RENSEI_AUTH_H
#define MOD_RENSEI_AUTH_H

#include "rensei_client.h"
#include "rensei_jwt.h"
#include "rensei_principal.h"

#include <apr_optional.h>
#include <httpd.h>

/** What one virtual host believes and issues. Read only, until the next
 * restart. */
typedef struct rensei_policy_t {
    const rensei_ring_t *ring; /* NULL: no key could be read; answer 503 */
    rensei_expect_t expect;
    const rensei_vocab_t *vocab;
    int stateless; /* RenseiRevocation expiry: tokens by signature alone */
    const char *base_url; /* RenseiBaseURL, or NULL: as the request says */
} rensei_policy_t;

/** What mod_rensei_token gives back: the custom claims that a token of this
 * client would have in this virtual host, as the text of a JSON object in p. */
APR_DECLARE_OPTIONAL_FN(const char *, rensei_token_claims,
                        (server_rec * s, const rensei_client_t *client,
                         apr_pool_t *p));

/** The policy of a virtual host; never NULL at request time. */
APR_DECLARE_OPTIONAL_FN(const rensei_policy_t *, rensei_auth_policy,
                        (server_rec * s));

/** The principal of a request that AuthType Bearer authenticated, else NULL.
 * Lives as long as the request. */
APR_DECLARE_OPTIONAL_FN(const rensei_principal_t *, rensei_auth_principal,
                        (request_rec * r));

/** To be called after COMMIT and before the answer, with the id of the
 * client, key, worker or organisation that changed: no child of this httpd
 * uses what it had cached of it from then on. */
APR_DECLARE_OPTIONAL_FN(void, rensei_auth_changed, (const char *subject));

/** Seconds until that client may try its secret again from that address, 0:
 * now (RenseiThrottle). Ask before trying; then a right secret has to wait,
 * too, or the answer would tell it. Of client "": until further failures from
 * that address, of whatever client, are worth recording. */
APR_DECLARE_OPTIONAL_FN(int, rensei_auth_wait,
                        (server_rec * s, const char *client,
                         const char *address));

/** A client's secret was wrong, or there is no such client. */
APR_DECLARE_OPTIONAL_FN(void, rensei_auth_failed,
                        (server_rec * s, const char *client,
                         const char *address));

#endif
