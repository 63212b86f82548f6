/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The directives of the admin API, and what it takes of mod_rensei_auth.
 */
#ifndef ADMIN_CONF_H
#define ADMIN_CONF_H

#include "rensei_limits.h"
#include "rensei_principal.h"

#include <httpd.h>
#include <http_config.h>

/* All else is built hidden; AP_MODULE_DECLARE_DATA would not undo that. */
extern module rensei_admin_module __attribute__((visibility("default")));

#define ADMIN_HANDLER "rensei-admin"
#define ADMIN_LEGACY_PATH "/api/org/api-keys"
#define ADMIN_NO_DATE (-1)

/* Each member once, as in auth_conf.h; days as seconds since the epoch. */
#define ADMIN_CONF_MEMBERS(X)                         \
    X(apr_int64_t, legacy_deprecation, ADMIN_NO_DATE) \
    X(apr_int64_t, legacy_sunset, ADMIN_NO_DATE)      \
    X(const ap_directive_t *, tokens, NULL) /* RenseiAdminTokens On */

typedef struct admin_conf_t {
#define X(type, name, unset) type name;
    ADMIN_CONF_MEMBERS(X)
#undef X
} admin_conf_t;

#define ADMIN_DIR_MEMBERS(X) X(int, m2m, -1)

typedef struct admin_dir_conf_t {
#define X(type, name, unset) type name;
    ADMIN_DIR_MEMBERS(X)
#undef X
} admin_dir_conf_t;

extern const command_rec admin_commands[];
void *admin_dir_conf_create(apr_pool_t *p, char *dir);
void *admin_dir_conf_merge(apr_pool_t *p, void *base, void *add);
void *admin_conf_create(apr_pool_t *p, server_rec *s);
void *admin_conf_merge(apr_pool_t *p, void *base, void *add);
const admin_conf_t *admin_conf(const server_rec *s);

/** May tokens of M2M clients administer clients where this request went? Not
 * where they cannot be revoked, whatever the directive says. */
int admin_conf_m2m(const request_rec *r);

/** What configtest refuses of it. @return OK, or what the hook returns */
int admin_conf_check(apr_pool_t *p, server_rec *s);

/** Who calls, or NULL. */
const rensei_principal_t *admin_principal(request_rec *r);

/** Are tokens believed until they expire there (RenseiRevocation expiry)? */
int admin_stateless(const server_rec *s);

/** The vocabularies of the virtual host. */
const rensei_vocab_t *admin_vocab(server_rec *s);

/** What the caller is held to in the virtual host. */
const rensei_limits_t *admin_limits(server_rec *s);

/** Makes every child forget what it knows of the object. */
void admin_announce(const char *id);

#endif
