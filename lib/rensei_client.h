/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * M2M clients: what exchanges an id and a secret for access tokens. Each
 * function takes the organisation it works in, and the statement itself is
 * bound to it: another organisation's client is not found, as an absent one.
 */
#ifndef RENSEI_CLIENT_H
#define RENSEI_CLIENT_H

#include "rensei_audience.h"
#include "rensei_audit.h"
#include "rensei_usage.h"

#define RENSEI_LIFETIME_MIN 60 /* seconds, of a client's tokens */
#define RENSEI_LIFETIME_MAX 86400
#define RENSEI_NAME_MAX 100 /* bytes */
#define RENSEI_DESCRIPTION_MAX 1000
#define RENSEI_JWKS_MAX 16384 /* bytes of jwks as JSON */
#define RENSEI_CLIENT_KEYS_MAX 10

/* trustedMetadata: so much that a token with all of it can still be read
 * (rensei_json_scan) and is no longer than RENSEI_TOKEN_LEN_MAX, whatever key
 * signs it. */
#define RENSEI_METADATA_MAX 4096    /* bytes as JSON */
#define RENSEI_METADATA_DEPTH_MAX 8 /* the object itself is 1 deep */
/* Bytes that it, the scopes and the audiences may have together. */
#define RENSEI_METADATA_AND_MORE_MAX 4800

/* Ways of a client to authenticate (tokenEndpointAuthMethod; RFC 7591 2). */
#define RENSEI_AUTH_BASIC "client_secret_basic"
#define RENSEI_AUTH_POST "client_secret_post"
#define RENSEI_AUTH_JWT "private_key_jwt"

typedef struct rensei_client_t {
    const char *id;
    const char *org;
    const char *workspace; /* or NULL */
    const char *name;
    const char *description; /* or NULL */
    const char *owner;       /* or NULL */
    rensei_scopes_t scopes;
    json_t *trusted_metadata;      /* an object or NULL; the pool's */
    const char *status;            /* "active" "inactive" "expired" "revoked" */
    apr_int64_t token_lifetime;    /* seconds, 0: the virtual host's */
    const char *auth_method;       /* RENSEI_AUTH_…; NULL: BASIC or POST */
    json_t *jwks;                  /* {"keys":[…]} of AUTH_JWT, else NULL; the
                                      pool's */
    rensei_audiences_t audiences;  /* beside the issuer's own */
    const char *secret_last4;      /* NULL: it has no secret (AUTH_JWT) */
    const char *next_secret_last4; /* of a rotation under way, or NULL */
    apr_int64_t secret_expires_at; /* not the next one; ms, 0: none */
    apr_int64_t created_at, updated_at; /* epoch ms */
    const char *created_by;
    apr_int64_t expires_at, revoked_at, last_used_at; /* epoch ms, 0: none */
    const char *revoke_reason;                        /* or NULL */
    const char *last_used_ip;                         /* or NULL */
    int org_active; /* its organisation, and its workspace, are not suspended */
    const char *suspended; /* "organisation" "workspace", or NULL */
    int recalled;          /* by the store's memory, not read: */
    apr_int64_t as_of;     /* as it is while this is the newest change */

    /* Which of its tokens are dead (rensei_revocation.h): those issued up to
     * a time (epoch ms, 0: none), and some one by one, NULL-terminated. Only
     * rensei_client_find reads the latter; from other functions the list is
     * empty and there may be more. */
    apr_int64_t tokens_after;
    const char **revoked_jti; /* unexpired; RENSEI_REVOKED_KNOWN_MAX at most */
    int revoked_more;         /* there may be more: ask rensei_token_revoked */
} rensei_client_t;

#define RENSEI_REVOKED_KNOWN_MAX 8

/** Which members a rensei_client_spec_t sets. */
#define RENSEI_CLIENT_NAME 0x001
#define RENSEI_CLIENT_DESCRIPTION 0x002
#define RENSEI_CLIENT_OWNER 0x004
#define RENSEI_CLIENT_SCOPES 0x008
#define RENSEI_CLIENT_METADATA 0x010
#define RENSEI_CLIENT_LIFETIME 0x020
#define RENSEI_CLIENT_EXPIRES 0x040
#define RENSEI_CLIENT_WORKSPACE 0x080
#define RENSEI_CLIENT_STATUS 0x100
#define RENSEI_CLIENT_AUTH_METHOD 0x200
#define RENSEI_CLIENT_JWKS 0x400
#define RENSEI_CLIENT_AUDIENCES 0x800
#define RENSEI_CLIENT_SECRET_EXPIRES 0x1000

/** What a caller asks for, when he creates (status not allowed) or changes
 * (workspace not allowed). */
typedef struct rensei_client_spec_t {
    unsigned set; /* of RENSEI_CLIENT_…; a set member of NULL or 0 clears */
    const char *name, *description, *owner, *workspace, *status;
    const char *auth_method;
    rensei_scopes_t scopes;
    rensei_audiences_t audiences;
    json_t *trusted_metadata, *jwks;
    apr_int64_t token_lifetime, expires_at, secret_expires_at;
} rensei_client_spec_t;

/** Reads a JSON body. Unknown members, wrong types, bad values are refused,
 * naming the field. expiresAt, secretExpiresAt: epoch ms or an ISO 8601
 * string; jwks: {"keys":[…]} of 1 to RENSEI_CLIENT_KEYS_MAX public keys that
 * rensei_ring_add_jwk takes; audiences: an array.
 * @param creating whether name and scopes are required */
apr_status_t rensei_client_spec_read(rensei_client_spec_t *out,
                                     const json_t *body, int creating,
                                     apr_pool_t *p, rensei_err_t *err);

/** Creates a client, with event m2m.client_created. AUTH_JWT needs jwks, which
 * no other method takes.
 * @param secret its secret in the clear, once, in p; NULL of AUTH_JWT
 * @param by whose scopes bound those given (NULL: an operator)
 * @return err INVALID_REQUEST naming the field, FORBIDDEN for a scope that
 *   the creator lacks, NOT_FOUND for a workspace of another organisation */
apr_status_t rensei_client_create(rensei_client_t *out, const char **secret,
                                  rensei_store_t *st, const char *org,
                                  const rensei_client_spec_t *spec,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

apr_status_t rensei_client_get(rensei_client_t *out, rensei_store_t *st,
                               const char *org, const char *id, apr_pool_t *p,
                               rensei_err_t *err);

typedef struct rensei_client_filter_t {
    const char *name, *scope, *status, *owner; /* exact; NULL for any */
    int limit;
    const char *cursor;
} rensei_client_filter_t;

typedef struct rensei_client_page_t {
    int count;
    rensei_client_t *client;
    const char *next_cursor;
} rensei_client_page_t;

/** A page, newest first; stable while clients are added or removed. Filtered
 * by scope or status it can be short, or empty, and still have a cursor (see
 * rensei_page.h). */
apr_status_t rensei_client_list(rensei_client_page_t *out, rensei_store_t *st,
                                const char *org,
                                const rensei_client_filter_t *filter,
                                apr_pool_t *p, rensei_err_t *err);

/** Changes what spec sets, with event m2m.client_updated naming the fields
 * and a change of the client's id. A revoked client is not changed
 * (CONFLICT). Scopes it did not have must be the grantor's to give.
 * To AUTH_JWT (together with jwks) is a way without return: its secrets end
 * at once, and the way back, which would leave it without any, is refused
 * (INVALID_REQUEST naming tokenEndpointAuthMethod): a client that is to have
 * a secret again is a new client.
 * A secret that has ended does not come back by a later secretExpiresAt, or
 * none (CONFLICT): a rotation gives the client a new one. */
apr_status_t rensei_client_update(rensei_client_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const rensei_client_spec_t *spec,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

/** Revokes for good, with event m2m.client_revoked and a change of the
 * client's id. Of a client revoked before, the first time and reason stand,
 * and nothing is written. */
apr_status_t rensei_client_revoke(rensei_client_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const char *reason,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

/* Rotation of the secret: start makes a second one, and both are good until
 * complete ends the old one, or cancel the new one. A client has one rotation
 * at a time. Each has an event, m2m.secret_rotation_started, _completed,
 * _cancelled, and a change of the client's id. */

/** @param secret the new one, once, in p
 * @param expires_at when the old one ends (epoch ms), in place of an end that
 *   it had; 0 keeps that, or else it ends when the rotation is completed. One
 *   that has ended stays so, whatever is said here.
 * @return err CONFLICT where one is under way, the client is revoked or has
 *   no secret (AUTH_JWT), INVALID_REQUEST naming secretExpiresAt, NOT_FOUND */
apr_status_t rensei_client_rotate_start(rensei_client_t *out,
                                        const char **secret, rensei_store_t *st,
                                        const char *org, const char *id,
                                        apr_int64_t expires_at,
                                        const rensei_actor_t *actor,
                                        apr_pool_t *p, rensei_err_t *err);

/** The new secret becomes the secret; the old one ends at once.
 * @return err CONFLICT where none is under way, NOT_FOUND */
apr_status_t rensei_client_rotate_complete(rensei_client_t *out,
                                           rensei_store_t *st, const char *org,
                                           const char *id,
                                           const rensei_actor_t *actor,
                                           apr_pool_t *p, rensei_err_t *err);

/** Drops the new secret, and the old one's end with it.
 * @return err CONFLICT where none is under way, or the old secret has ended:
 *   an ended secret never comes back; NOT_FOUND */
apr_status_t rensei_client_rotate_cancel(rensei_client_t *out,
                                         rensei_store_t *st, const char *org,
                                         const char *id,
                                         const rensei_actor_t *actor,
                                         apr_pool_t *p, rensei_err_t *err);

/** What the gateway needs to know of a token's client, of any organisation.
 * @return err NOT_FOUND, UNAVAILABLE */
apr_status_t rensei_client_find(rensei_client_t *out, rensei_store_t *st,
                                const char *id, apr_pool_t *p,
                                rensei_err_t *err);

/** Is the client, and its organisation, fit to be used now (ms)? */
int rensei_client_usable(const rensei_client_t *c, apr_int64_t now_ms);

/** As docs/api.md shows it (camelCase, epoch ms), never a digest; a new
 * reference. secret: NULL, or the one to show once (a rotation's is shown
 * beside the client, as nextClientSecret, by who answers). */
json_t *rensei_client_json(const rensei_client_t *c, const char *secret,
                           apr_pool_t *p);

#endif
