/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The configuration of mod_rensei_auth: its directives, how a virtual host
 * inherits them, and the checks that `apachectl configtest` makes.
 */
#ifndef AUTH_CONF_H
#define AUTH_CONF_H

#include "auth_secret.h"
#include "auth_throttle.h"
#include "mod_rensei_auth.h"

#include <apr_tables.h>
#include <http_config.h>

#define DIR_SECRET "RenseiSecret"
#define DIR_SIGNING_KEY "RenseiSigningKey"
#define DIR_ISSUER "RenseiIssuer"
#define DIR_AUDIENCE "RenseiAudience"
#define DIR_BASE_URL "RenseiBaseURL"
#define DIR_SKEW "RenseiClockSkew"
#define DIR_SCOPES "RenseiScopes"
#define DIR_REVOCATION "RenseiRevocation"
#define DIR_STALENESS "RenseiMaxStaleness"
#define DIR_CACHE "RenseiCacheSize"
#define DIR_THROTTLE "RenseiThrottle"
#define DIR_ACCEPT "RenseiAccept"
#define DIR_FORWARD "RenseiForward"
#define DIR_FORWARD_CLAIM "RenseiForwardClaim"
#define DIR_METADATA "RenseiResourceMetadata"
#define DIR_EXPIRY_NOTICE "RenseiExpiryNotice"
#define DIR_EXPIRY_HEADER "RenseiExpiryHeader"

#define ENV_SECRET "M2M_JWT_SECRET"

typedef struct auth_audit_log_t auth_audit_log_t;

typedef enum {
    REVOCATION_UNSET = 0,
    REVOCATION_IMMEDIATE,
    REVOCATION_EXPIRY
} revocation_e;

/* Each member once: TYPE, NAME, the value that means "not said here". The
 * struct, its creation and its merge are all made of this list. */
#define AUTH_SERVER_MEMBERS(X)                                          \
    X(const apr_array_header_t *, secrets, NULL) /* of auth_source_t */ \
    X(const apr_array_header_t *, keys, NULL)    /* of auth_source_t */ \
    X(const char *, issuer, NULL)                                       \
    X(const char *, audience, NULL)                                     \
    X(const char *, base_url, NULL)                                     \
    X(int, skew, -1)                                                    \
    X(const rensei_scopes_t *, m2m_scopes, NULL)                        \
    X(const rensei_scopes_t *, key_scopes, NULL)                        \
    X(revocation_e, revocation, REVOCATION_UNSET)                       \
    X(int, staleness, -1)                                               \
    X(int, throttle_failures, -1)                                       \
    X(int, throttle_seconds, -1)                                        \
    X(apr_int64_t, cache_size, -1)                                      \
    X(int, store_waiters, -1)                                           \
    X(int, store_timeout, -1)          /* seconds */                    \
    X(apr_int64_t, expiry_notice, -1)  /* seconds; 0: off */            \
    X(apr_int64_t, limit_age, -1)      /* seconds; 0: off */            \
    X(apr_int64_t, limit_lifetime, -1) /* seconds; 0: off */            \
    X(apr_int64_t, limit_credentials, -1)                               \
    X(int, require_owner, -1)                                           \
    X(int, require_expiry, -1)                                          \
    X(const char *, audit_log, NULL)                                    \
    X(const char *, dbd_driver, NULL)                                   \
    X(const char *, dbd_params, NULL)

typedef struct auth_server_conf_t {
#define X(type, name, unset) type name;
    AUTH_SERVER_MEMBERS(X)
#undef X
    /* made of the above when all of the configuration is read */
    const apr_array_header_t *sources; /* keys and secrets; NULL: not used */
    rensei_policy_t policy;
    rensei_vocab_t vocab;
    throttle_limit_t throttle;
    auth_audit_log_t *audit_log_open; /* NULL: none */
    int store; /* number of its store in the live state, -1: none */
} auth_server_conf_t;

/* What RenseiAccept says beside the kinds: a client's own id and secret; a
 * registration key, which opens registration and nothing else. */
#define ACCEPT_SECRET 8
#define ACCEPT_REGISTRATION 16

#define AUTH_DIR_MEMBERS(X)                                     \
    X(int, accept, 0) /* of rensei_kind_e, and ACCEPT_SECRET */ \
    X(int, forward, -1)                                         \
    X(const char *, audience, NULL)                             \
    X(int, metadata, -1)                                        \
    X(int, expiry_header, -1)                                   \
    X(const apr_array_header_t *, claims, NULL) /* of forward_claim_t */

/* A claim that goes to the application: RenseiForwardClaim. */
typedef struct forward_claim_t {
    const char *claim, *variable, *header;
} forward_claim_t;

typedef struct auth_dir_conf_t {
#define X(type, name, unset) type name;
    AUTH_DIR_MEMBERS(X)
#undef X
} auth_dir_conf_t;

extern const command_rec auth_commands[];
/* All else is built hidden; AP_MODULE_DECLARE_DATA would not undo that. */
extern module rensei_auth_module __attribute__((visibility("default")));

void *auth_server_conf_create(apr_pool_t *p, server_rec *s);
void *auth_server_conf_merge(apr_pool_t *p, void *base, void *add);
void *auth_dir_conf_create(apr_pool_t *p, char *dir);
void *auth_dir_conf_merge(apr_pool_t *p, void *base, void *add);

static inline auth_server_conf_t *auth_server_conf(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &rensei_auth_module);
}

static inline const auth_dir_conf_t *auth_dir_conf(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &rensei_auth_module);
}

/** What a request's location takes: kinds, and ACCEPT_SECRET. */
int auth_conf_accept(const request_rec *r);

/** The audience that tokens need there. */
const char *auth_conf_audience(const request_rec *r);

/** Does the virtual host have mod_dbd's directives for a store? */
int auth_conf_has_store(const auth_server_conf_t *conf);

/** What a process may cache, in bytes (RenseiCacheSize); a part of it, one in
 * AUTH_CACHE_ROWS_SHARE, is for the rows of clients (auth_rows.h). */
apr_size_t auth_conf_cache(const server_rec *main_server);
#define AUTH_CACHE_ROWS_SHARE 3

/** Has a process several threads for requests? Not with mpm_prefork. */
int auth_conf_threaded(void);

/** Is revocation immediate there? */
int auth_conf_immediate(const auth_server_conf_t *conf);

#endif
