/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Who stands behind a credential, and whether he still counts: asked of the
 * cache, and where that does not know, or its knowledge is out of date, of
 * the store.
 */
#ifndef AUTH_OWNER_H
#define AUTH_OWNER_H

#include "rensei_audit.h"
#include "rensei_cache.h"
#include "rensei_str.h"

#include <httpd.h>

/* What the store says of a credential's owner: of an API key, or of the
 * client or worker behind a token. It is what the cache keeps: flat, with the
 * generations that it depends on. */
typedef enum {
    OWNER_GOOD = 0,
    OWNER_REVOKED,
    OWNER_SUSPENDED,
    OWNER_ORG_SUSPENDED
} owner_state_e;

typedef struct owner_slot_t {
    apr_int64_t expires_at;   /* epoch ms, 0: never */
    apr_int64_t tokens_after; /* epoch ms: tokens issued up to then are dead */
    apr_uint32_t bucket[3]; /* itself, its organisation, its registration key */
    apr_uint32_t generation[3];
    unsigned char state; /* owner_state_e */
    unsigned char cls;   /* rensei_class_e, of a key */
    unsigned char many;  /* more tokens are revoked than are named here */
    /* where each begins in text; the next one's begin ends it */
    apr_uint16_t id, org, workspace, scopes, more, claims, end;
    char text[RENSEI_CACHE_VALUE_MAX - 64];
} owner_slot_t;

/** An owner, when its texts may be longer than the cache keeps. */
typedef struct auth_owner_t {
    owner_slot_t o;
    rensei_str_t id, org, workspace, scopes;
    rensei_str_t more;   /* of a client: the jti of each revoked token, and a
                            blank; where it showed its secret, its
                            audiences; of a worker: its registration key */
    rensei_str_t claims; /* of a client that showed its secret: a JSON object */
} auth_owner_t;

/** What is asked about: a key, the id of a client or worker, or what follows
 * "Basic". The cache knows it by this text. */
typedef struct auth_asked_t {
    rensei_str_t text;
    const char *id, *secret; /* of a Basic header */
    const rensei_actor_t *actor;
    server_rec *server;
} auth_asked_t;

/** The four ways to ask the store: for a key, a client, a worker, a client
 * that shows its secret. @return err NOT_FOUND, INVALID_CLIENT, UNAVAILABLE */
typedef apr_status_t auth_ask_fn(auth_owner_t *k, rensei_store_t *st,
                                 const auth_asked_t *asked, apr_pool_t *p,
                                 rensei_err_t *err);
auth_ask_fn auth_ask_key, auth_ask_client, auth_ask_worker, auth_ask_secret;

/** In the optional_fn_retrieve hook. */
void auth_owner_retrieve(void);

/** Before a child serves: makes its cache. */
void auth_owner_child_init(apr_pool_t *p, server_rec *main_server);

/** Does the cache know, and does what it knows still hold? No I/O. */
int auth_owner_recall(auth_owner_t *k, request_rec *r,
                      const auth_asked_t *asked);

/** Asks the store, and then the cache knows. @return as auth_ask_fn */
apr_status_t auth_owner_fetch(auth_owner_t *k, request_rec *r, auth_ask_fn *ask,
                              const auth_asked_t *asked, rensei_err_t *err);

/** The one, or else the other. */
apr_status_t auth_owner_get(auth_owner_t *k, request_rec *r, auth_ask_fn *ask,
                            const auth_asked_t *asked, rensei_err_t *err);

#endif
