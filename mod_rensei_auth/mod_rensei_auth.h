/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What mod_rensei_auth gives the other two modules: optional functions, to be
 * retrieved in the optional_fn_retrieve hook. It owns the policy of each
 * virtual host (keys, issuer, audience, vocabulary) and the live state (the
 * generations that make a cached answer invalid).
 */
#ifndef MOD_RENSEI_AUTH_H
#define MOD_RENSEI_AUTH_H

#include "rensei_http_gate.h"
#include "rensei_http_watch.h"
#include "rensei_client.h"
#include "rensei_jwt.h"
#include "rensei_limits.h"
#include "rensei_principal.h"
#include "rensei_turn.h"

#include <apr_optional.h>
#include <httpd.h>

/** What one virtual host believes and issues. Read only, until the next
 * restart. */
typedef struct rensei_policy_t {
    const rensei_ring_t *ring; /* NULL: no key could be read; answer 503 */
    rensei_expect_t expect;
    const rensei_vocab_t *vocab;
    int stateless; /* RenseiRevocation expiry: tokens by signature alone */
    const char *base_url;   /* RenseiBaseURL, or NULL: as the request says */
    rensei_limits_t limits; /* what who makes credentials here is held to */
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

/** Counts a use of a key, or of a client's secret, that this module did not
 * authenticate itself: now, and from the address of the request. */
APR_DECLARE_OPTIONAL_FN(void, rensei_auth_used,
                        (request_rec * r, const char *id));

/** The caller of r has proved who he is, by a credential that ends then (epoch
 * ms, 0: never): says so in the answer, where the location has
 * RenseiExpiryHeader On. For requests that AuthType Bearer did not
 * authenticate, which does it by itself. */
APR_DECLARE_OPTIONAL_FN(void, rensei_auth_expires,
                        (request_rec * r, apr_int64_t expires_at));

/** Who writes down the audit events of a virtual host once they are committed
 * (RenseiAuditLog), for rensei_store_witness: NULL for nobody. The stores
 * that rensei_http_store_open gives have him already. */
APR_DECLARE_OPTIONAL_FN(rensei_witness_fn *, rensei_auth_witness,
                        (server_rec * s, void **baton));

/** The memory of a virtual host's store (RenseiCacheSize), for who reads
 * clients again and again: rows hold as long as nothing of what they depend on
 * has changed, on this machine at once, and the store was followed within
 * RenseiMaxStaleness. In r->pool. NULL: none. */
APR_DECLARE_OPTIONAL_FN(const rensei_memory_t *, rensei_auth_memory,
                        (request_rec * r));

/** The turn in which all processes of this httpd write to SQLite. */
APR_DECLARE_OPTIONAL_FN(rensei_turn_t *, rensei_auth_turn, (void));

/** Has somebody seen that virtual host's store with our tables, since httpd was
 * started? And: somebody has. */
APR_DECLARE_OPTIONAL_FN(int, rensei_auth_filled, (server_rec * s));
APR_DECLARE_OPTIONAL_FN(void, rensei_auth_seen_filled, (server_rec * s));

/** Where requests for the store of that virtual host queue in this process
 * (RenseiStoreWaiters). NULL: none */
APR_DECLARE_OPTIONAL_FN(rensei_http_gate_t *, rensei_auth_gate,
                        (server_rec * s));

/** Who ends connections of this process that give no answer
 * (RenseiStoreTimeout). NULL: nobody */
APR_DECLARE_OPTIONAL_FN(rensei_http_watcher_t *, rensei_auth_watcher, (void));

/** A client's secret was wrong, or there is no such client. */
APR_DECLARE_OPTIONAL_FN(void, rensei_auth_failed,
                        (server_rec * s, const char *client,
                         const char *address));

#endif
