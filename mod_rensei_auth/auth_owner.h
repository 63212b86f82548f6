/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Who stands behind a credential, and whether he still counts: asked of the
 * cache, and where that does not know, or its knowledge is out of date, of
 * the store. What a token says, once it was verified, is remembered in the
 * same way.
 */
#ifndef AUTH_OWNER_H
#define AUTH_OWNER_H

#include "rensei_audit.h"
#include "rensei_cache.h"
#include "rensei_str.h"

#include <httpd.h>
#include <stddef.h>

/* What the store says of a credential's owner: of an API key, or of the
 * client or worker behind a token; or what a token says, its scopes narrowed
 * to what its owner has. It is what the cache keeps: flat, with the
 * generations that it depends on. */
typedef enum {
    OWNER_GOOD = 0,
    OWNER_REVOKED,
    OWNER_SUSPENDED,
    OWNER_ORG_SUSPENDED,
    OWNER_WORKSPACE_SUSPENDED
} owner_state_e;

#define OWNER_DEPENDS 4
#define OWNER_TEXTS 7
#define OWNER_TEXT_MAX 384 /* bytes; of more, nothing is remembered */

typedef struct owner_slot_t {
    apr_int64_t expires_at;   /* epoch ms, 0: never */
    apr_int64_t tokens_after; /* epoch ms: tokens issued up to then are dead */
    apr_int64_t ends_at;      /* of a token: its exp, epoch ms */
    apr_int64_t until; /* of a token: when to look at it anew, epoch ms */
    /* itself, its organisation, its workspace, its registration key */
    apr_uint32_t bucket[OWNER_DEPENDS];
    apr_uint32_t generation[OWNER_DEPENDS];
    unsigned char state; /* owner_state_e */
    unsigned char cls;   /* rensei_class_e, of a key or token */
    unsigned char kind;  /* rensei_kind_e, of a token */
    unsigned char many;  /* more tokens are revoked than are named here */
    unsigned char alone; /* a token by its signature alone: on no generation */
    /* where each begins in text; the next one's begin ends it */
    apr_uint16_t from[OWNER_TEXTS + 1];
    char text[OWNER_TEXT_MAX];
} owner_slot_t;

/** Its bytes, of the texts as many as there are. */
static inline apr_size_t owner_slot_size(const owner_slot_t *o)
{
    return offsetof(owner_slot_t, text) + o->from[OWNER_TEXTS];
}

/** An owner, when its texts may be longer than the cache keeps. Each text ends
 * with a NUL, which does not count. */
typedef struct auth_owner_t {
    owner_slot_t o;
    int lasting; /* what it depends on is known, so it may be remembered */
    rensei_str_t id, org, workspace, scopes;
    rensei_str_t more;   /* of a client: the jti of each revoked token, and a
                            blank; where it showed its secret, its
                            audiences; of a worker: its registration key; of a
                            token: its audiences, a NUL between two */
    rensei_str_t claims; /* of a client that showed its secret: a JSON object */
    rensei_str_t jti;    /* of a token */
} auth_owner_t;

/** What is asked about; each kind of it is a space of its own in the cache. */
typedef enum {
    ASKED_KEY,
    ASKED_OWNER, /* the id of a client or worker */
    ASKED_SECRET,
    ASKED_TOKEN
} auth_asked_e;

/** A key, the id of a client or worker, what follows "Basic", or a token. The
 * cache knows it by this text. */
typedef struct auth_asked_t {
    auth_asked_e what;
    rensei_str_t text;
    const char *id, *secret; /* of a Basic header */
    const rensei_actor_t *actor;
    server_rec *server;
    rensei_cache_name_t name; /* made by auth_owner_recall */
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
int auth_owner_recall(auth_owner_t *k, request_rec *r, auth_asked_t *asked);

/** Copies the texts, wherever they are, into k, or, where they are too long for
 * that, into p. Then the cache knows, where k is lasting and they were not too
 * long. After auth_owner_recall. */
void auth_owner_settle(auth_owner_t *k, const auth_asked_t *asked,
                       apr_pool_t *p);

/** Asks the store, and then the cache knows. After auth_owner_recall.
 * @return as auth_ask_fn */
apr_status_t auth_owner_fetch(auth_owner_t *k, request_rec *r, auth_ask_fn *ask,
                              const auth_asked_t *asked, rensei_err_t *err);

/** The one, or else the other. */
apr_status_t auth_owner_get(auth_owner_t *k, request_rec *r, auth_ask_fn *ask,
                            auth_asked_t *asked, rensei_err_t *err);

/** Does he still count? @return err INVALID_TOKEN, with why not */
apr_status_t auth_owner_check(const auth_owner_t *k, apr_int64_t now_ms,
                              rensei_err_t *err);

/** Is that one of a list of names, each with a blank behind it or between? */
int auth_owner_names(rensei_str_t list, rensei_str_t wanted);

#endif
