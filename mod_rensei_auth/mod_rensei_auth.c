/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * mod_rensei_auth: AuthType Bearer, the Require providers, and the state that
 * makes revocation immediate. This file is the list of what it hooks into.
 */

#include "mod_rensei_auth.h"
#include "auth_audit_log.h"
#include "auth_bearer.h"
#include "auth_check.h"
#include "auth_conf.h"
#include "auth_expiry.h"
#include "auth_forward.h"
#include "auth_gate.h"
#include "auth_live.h"
#include "auth_metadata.h"
#include "auth_prefork.h"
#include "auth_request.h"
#include "auth_require.h"
#include "auth_rows.h"
#include "auth_owner.h"
#include "auth_used.h"
#include "auth_whoami.h"
#include "rensei_http_log.h"
#include "rensei_http_store.h"

#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>
#include <apr_optional_hooks.h>
#include <mod_proxy.h>

RENSEI_HTTP_LOG_AS(rensei_auth);

static const rensei_policy_t *rensei_auth_policy(server_rec *s)
{
    return &auth_server_conf(s)->policy;
}

static const rensei_principal_t *rensei_auth_principal(request_rec *r)
{
    return auth_request_principal(r);
}

static void rensei_auth_changed(const char *subject)
{
    auth_live_changed(subject);
}

static int rensei_auth_wait(server_rec *s, const char *client,
                            const char *address)
{
    return auth_live_wait(s, client, address);
}

static void rensei_auth_failed(server_rec *s, const char *client,
                               const char *address)
{
    auth_live_failed(s, client, address);
}

static rensei_turn_t *rensei_auth_turn(void)
{
    return auth_live_turn();
}

static rensei_http_gate_t *rensei_auth_gate(server_rec *s)
{
    return auth_gate_of(s);
}

static int rensei_auth_filled(server_rec *s)
{
    return auth_live_filled(s);
}

static void rensei_auth_seen_filled(server_rec *s)
{
    auth_live_seen_filled(s);
}

static rensei_http_watcher_t *rensei_auth_watcher(void)
{
    return auth_gate_watcher();
}

static const rensei_memory_t *rensei_auth_memory(request_rec *r)
{
    return auth_rows_memory(r);
}

static void rensei_auth_used(request_rec *r, const char *id)
{
    auth_used_note(auth_server_conf(r->server)->store, id, strlen(id),
                   apr_time_as_msec(r->request_time), r->useragent_addr);
}

static void rensei_auth_expires(request_rec *r, apr_int64_t expires_at)
{
    if (auth_dir_conf(r)->expiry_header > 0) {
        auth_expiry_header(r, expires_at);
    }
}

static rensei_witness_fn *rensei_auth_witness(server_rec *s, void **baton)
{
    return auth_audit_log_witness(s, baton);
}

static void register_hooks(apr_pool_t *p)
{
    static const char *const before_core[] = {"core.c", NULL};
    static const char *const after_dbd[] = {"mod_dbd.c", NULL};
    static const char *const before_cache[] = {"mod_cache.c", NULL};
    /* it lets everybody pass where there is no AuthType */
    static const char *const before_authn_core[] = {"mod_authn_core.c", NULL};

    ap_hook_pre_config(auth_check_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(auth_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_open_logs(auth_check_open_logs, NULL, before_core,
                      APR_HOOK_REALLY_FIRST);
    ap_hook_open_logs(auth_audit_log_open, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(auth_check_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_optional_fn_retrieve(auth_owner_retrieve, NULL, NULL,
                                 APR_HOOK_MIDDLE);
    ap_hook_optional_fn_retrieve(rensei_http_store_retrieve, NULL, NULL,
                                 APR_HOOK_MIDDLE);
    ap_hook_child_init(auth_prefork_child_init, NULL, NULL,
                       APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(auth_owner_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(auth_rows_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(rensei_http_store_child_init, NULL, NULL,
                       APR_HOOK_MIDDLE);
    ap_hook_child_init(auth_gate_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(auth_live_child_init, after_dbd, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(auth_forward_child_init, NULL, NULL, APR_HOOK_MIDDLE);

    ap_hook_post_read_request(auth_forward_drop_forged, NULL, NULL,
                              APR_HOOK_REALLY_FIRST);
    ap_hook_check_authn(auth_bearer_check, NULL, before_authn_core,
                        APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_URI);
    ap_hook_check_authz(auth_require_check, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_URI);
    auth_require_register(p);
    ap_hook_fixups(auth_forward_environment, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(proxy, fixups, auth_forward_proxy, NULL, NULL,
                      APR_HOOK_MIDDLE);
    ap_hook_handler(auth_forward_handler, NULL, before_cache,
                    APR_HOOK_REALLY_FIRST);
    ap_hook_handler(auth_whoami_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(auth_metadata_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(auth_insert_error_filter, NULL, NULL,
                                APR_HOOK_LAST);
    auth_register_filter();

    APR_REGISTER_OPTIONAL_FN(rensei_auth_policy);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_principal);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_changed);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_wait);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_failed);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_witness);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_expires);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_used);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_memory);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_turn);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_gate);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_watcher);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_filled);
    APR_REGISTER_OPTIONAL_FN(rensei_auth_seen_filled);
}

AP_DECLARE_MODULE(rensei_auth) = {
    STANDARD20_MODULE_STUFF, auth_dir_conf_create,
    auth_dir_conf_merge,     auth_server_conf_create,
    auth_server_conf_merge,  auth_commands,
    register_hooks,          0};
