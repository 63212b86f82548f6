/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The directives of mod_rensei_token, and what `apachectl configtest` refuses
 * of them.
 */
#ifndef TOKEN_CONF_H
#define TOKEN_CONF_H

#include "rensei_template.h"
#include "token_group.h"

#include <httpd.h>
#include <http_config.h>

#define TOKEN_HANDLER "rensei-token"

/* Each member once: TYPE, NAME, the value that means "not said here". The
 * struct, its creation and its merge are all made of this list. */
#define TOKEN_CONF_MEMBERS(X)                         \
    X(apr_int64_t, lifetime, 0) /* seconds */         \
    X(rensei_template_t *, claims, NULL)              \
    X(int, rfc9068, -1)                               \
    X(const char *, authorization_url, NULL)          \
    X(apr_int64_t, worker_lifetime, 0)  /* seconds */ \
    X(apr_int64_t, worker_heartbeat, 0) /* seconds */ \
    X(apr_int64_t, worker_poll, 0)      /* seconds */ \
    X(const rensei_scopes_t *, worker_scopes, NULL)

typedef struct token_conf_t {
#define X(type, name, unset) type name;
    TOKEN_CONF_MEMBERS(X)
#undef X
    token_group_t *group; /* of this process */
} token_conf_t;

/* All else is built hidden; AP_MODULE_DECLARE_DATA would not undo that. */
extern module rensei_token_module __attribute__((visibility("default")));
extern const command_rec token_commands[];

void *token_conf_create(apr_pool_t *p, server_rec *s);
void *token_conf_merge(apr_pool_t *p, void *base, void *add);

/** A virtual host's; when requests come, lifetime, rfc9068 and what is about
 * workers are set. */
const token_conf_t *token_conf(const server_rec *s);

/** The child_init hook. */
void token_conf_child_init(apr_pool_t *p, server_rec *s);

/** The check_config hook. */
int token_conf_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                     server_rec *s);

#endif
