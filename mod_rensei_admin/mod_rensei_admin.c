/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * mod_rensei_admin: the registry of clients, keys and workers, and the audit
 * trail, over HTTP. SetHandler rensei-admin turns it on, in a location that
 * AuthType Bearer protects; the table of routes says what it answers.
 */
#include "admin.h"
#include "admin_conf.h"
#include "mod_rensei_auth.h"
#include "rensei_http_conf.h"
#include "rensei_http_log.h"

#include <http_protocol.h>
#include <http_request.h>

APLOG_USE_MODULE(rensei_admin);
RENSEI_HTTP_LOG_AS(rensei_admin);

static APR_OPTIONAL_FN_TYPE(rensei_auth_policy) * auth_policy;
static APR_OPTIONAL_FN_TYPE(rensei_auth_principal) * auth_principal;
static APR_OPTIONAL_FN_TYPE(rensei_auth_changed) * auth_changed;

const rensei_principal_t *admin_principal(request_rec *r)
{
    return auth_principal ? auth_principal(r) : NULL;
}

const rensei_vocab_t *admin_vocab(server_rec *s)
{
    return auth_policy(s)->vocab;
}

int admin_stateless(const server_rec *s)
{
    return auth_policy && auth_policy((server_rec *)s)->stateless;
}

const rensei_limits_t *admin_limits(server_rec *s)
{
    return &auth_policy(s)->limits;
}

void admin_announce(const char *id)
{
    auth_changed(id);
}

#define CLIENTS "/api/admin/m2m-clients"
#define KEYS "/api/org/{orgId}/keys"
#define WORKERS "/api/org/{orgId}/workers"

static const rensei_route_t routes[] = {
    {M_POST, CLIENTS, admin_client_create},
    {M_GET, CLIENTS, admin_client_list},
    {M_DELETE, CLIENTS, admin_client_delete_query},
    {M_GET, CLIENTS "/{id}", admin_client_get},
    {M_PATCH, CLIENTS "/{id}", admin_client_patch},
    {M_DELETE, CLIENTS "/{id}", admin_client_delete},
    {M_POST, CLIENTS "/{id}/secrets/rotate/start", admin_rotate_start},
    {M_POST, CLIENTS "/{id}/secrets/rotate", admin_rotate_complete},
    {M_POST, CLIENTS "/{id}/secrets/rotate/cancel", admin_rotate_cancel},
    {M_POST, CLIENTS "/{id}/tokens/revoke", admin_tokens_revoke},
    {M_POST, KEYS, admin_key_create},
    {M_GET, KEYS, admin_key_list},
    {M_GET, KEYS "/{keyId}", admin_key_get},
    {M_PATCH, KEYS "/{keyId}", admin_key_patch},
    {M_DELETE, KEYS "/{keyId}", admin_key_delete},
    {M_POST, KEYS "/{keyId}/rotate", admin_key_rotate},
    {M_POST, ADMIN_LEGACY_PATH, admin_key_create_legacy},
    {M_GET, WORKERS, admin_worker_list},
    {M_GET, WORKERS "/{id}", admin_worker_get},
    {M_DELETE, WORKERS "/{id}", admin_worker_delete},
    {M_GET, "/api/org/{orgId}/audit", admin_audit_list},
    {M_GET, "/api/org/{orgId}/credentials", admin_credential_list},
    {0, NULL, NULL},
};

static int admin_handler(request_rec *r)
{
    if (!rensei_http_handles(r, ADMIN_HANDLER)) {
        return DECLINED;
    }
    admin_legacy_headers(r);
    return rensei_http_route(r, routes);
}

static void admin_retrieve(void)
{
    auth_policy = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_policy);
    auth_principal = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_principal);
    auth_changed = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_changed);
    rensei_http_store_retrieve();
}

static int admin_check_config(apr_pool_t *pconf, apr_pool_t *plog,
                              apr_pool_t *ptemp, server_rec *s)
{
    admin_retrieve(); /* httpd does it later, and not for configtest */
    if (admin_conf_check(ptemp, s) != OK) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!rensei_http_conf_handler(ap_conftree, ADMIN_HANDLER)) {
        return OK;
    }
    if (rensei_http_conf_auth(s, "SetHandler " ADMIN_HANDLER) != OK) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!rensei_http_conf_bearer(ap_conftree, ADMIN_HANDLER)) {
        ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
                     RSLOG(0152) "\"SetHandler " ADMIN_HANDLER
                                 "\" needs to know who calls; say \"AuthType "
                                 "Bearer\" and \"Require rensei-key-type "
                                 "org\" in the same section");
        return rensei_http_conf_refuse();
    }
    return rensei_http_conf_store(ap_conftree, s, "SetHandler " ADMIN_HANDLER);
}

static void admin_hooks(apr_pool_t *p)
{
    /* which then knows how each virtual host revokes */
    static const char *const after_auth[] = {"mod_rensei_auth.c", NULL};

    ap_hook_child_init(rensei_http_store_child_init, NULL, NULL,
                       APR_HOOK_MIDDLE);
    ap_hook_check_config(admin_check_config, after_auth, NULL, APR_HOOK_MIDDLE);
    ap_hook_optional_fn_retrieve(admin_retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(admin_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_access(admin_legacy_access, NULL, NULL, APR_HOOK_FIRST,
                         AP_AUTH_INTERNAL_PER_URI);
    ap_hook_insert_error_filter(admin_legacy_error, NULL, NULL,
                                APR_HOOK_MIDDLE);
}

module rensei_admin_module = {
    STANDARD20_MODULE_STUFF,
    admin_dir_conf_create,
    admin_dir_conf_merge,
    admin_conf_create,
    admin_conf_merge,
    admin_commands,
    admin_hooks,
    AP_MODULE_FLAG_NONE,
};
