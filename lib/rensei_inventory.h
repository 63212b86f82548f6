/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The inventory: an organisation's clients and keys in one list, with what
 * whoever answers for them asks of each. Who owns it, how old is it, is it
 * used, when does it end? What is revoked, or has ended, is not in it.
 */
#ifndef RENSEI_INVENTORY_H
#define RENSEI_INVENTORY_H

#include "rensei_audit.h"
#include "rensei_scope.h"

/** The two classes, by what a thief would have: the secret of a standing
 * credential is sent with each call, and opens what it opens by itself
 * (user and org keys); that of a minting one is exchanged for tokens that soon
 * end (clients, registration keys). */
#define RENSEI_CLASS_STANDING "standing"
#define RENSEI_CLASS_MINTING "minting"

typedef struct rensei_credential_t {
    const char *id;
    const char *kind;     /* "client" "key" */
    const char *key_type; /* as rensei_apikey_t's; NULL of a client */
    const char *cls;      /* RENSEI_CLASS_STANDING, _MINTING */
    const char *name;
    const char *owner;     /* or NULL */
    const char *workspace; /* or NULL */
    rensei_scopes_t scopes;
    const char *status; /* "active"; "inactive" of a client; "exhausted" of a
                           registration key that has been used as often as it
                           may */
    apr_int64_t created_at, last_used_at; /* epoch ms, 0: never */
    apr_int64_t expires_at; /* of a client: of itself or its secret, whichever
                               is first; epoch ms, 0: never */
} rensei_credential_t;

typedef struct rensei_inventory_filter_t {
    apr_int64_t unused_for; /* s since the last use, or since the creation of
                               what was never used; 0: any */
    apr_int64_t expiring_within; /* s; 0: any, also what never ends */
    int without_owner;
    const char *cls; /* NULL: both */
    int limit;
    const char *cursor;
} rensei_inventory_filter_t;

typedef struct rensei_inventory_page_t {
    int count;
    rensei_credential_t *credential;
    const char *next_cursor;
} rensei_inventory_page_t;

/** A page, newest first; stable while credentials are added or removed. It can
 * be short, or empty, and still have a cursor (see rensei_page.h).
 * @return err INVALID_REQUEST naming `class`, `limit` or `cursor` */
apr_status_t rensei_inventory_list(rensei_inventory_page_t *out,
                                   rensei_store_t *st, const char *org,
                                   const rensei_inventory_filter_t *filter,
                                   apr_pool_t *p, rensei_err_t *err);

/** As docs/api.md shows it (camelCase, ISO 8601, whole days); a new
 * reference. @param now epoch ms */
json_t *rensei_credential_json(const rensei_credential_t *c, apr_int64_t now,
                               apr_pool_t *p);

#endif
