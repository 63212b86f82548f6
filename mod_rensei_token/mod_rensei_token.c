/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * mod_rensei_token: the token service. SetHandler rensei-token turns it on;
 * the table of routes says what it answers.
 */
#include "token_call.h"
#include "rensei_http_store.h"
#include "token_conf.h"
#include "rensei_http_log.h"
#include "token_routes.h"
#include "token_url.h"

#include <ap_expr.h>
#include <http_core.h>
#include <http_request.h>

RENSEI_HTTP_LOG_AS(rensei_token);

/* The path of RenseiBaseURL can have as many parts as there are rows. */
static const rensei_route_t routes[] = {
    {M_POST, TOKEN_PATH, token_post},
    {M_POST, TOKEN_INTROSPECT_PATH, token_introspect_post},
    {M_POST, TOKEN_REVOKE_PATH, token_revoke_post},
    {M_POST, "/v1/daemon/register", token_daemon_register},
    {M_POST, "/api/workers/register", token_worker_register},
    {M_POST, "/api/workers/{id}/refresh-token", token_worker_refresh},
    {M_GET, TOKEN_JWKS_PATH, token_jwks_get},
    {M_GET, TOKEN_METADATA_PATH, token_metadata_get},
    {M_GET, TOKEN_METADATA_PATH "/{a}", token_metadata_get},
    {M_GET, TOKEN_METADATA_PATH "/{a}/{b}", token_metadata_get},
    {M_GET, TOKEN_METADATA_PATH "/{a}/{b}/{c}", token_metadata_get},
    {0, NULL, NULL},
};

static int token_handler(request_rec *r)
{
    if (!rensei_http_handles(r, TOKEN_HANDLER)) {
        return DECLINED;
    }
    return rensei_http_route(r, routes);
}

static int set_handler_is(request_rec *r, const char *name)
{
    const core_dir_config *d = ap_get_core_module_config(r->per_dir_config);
    const char *wrong = NULL, *said;

    if (!d->expr_handler) {
        return 0;
    }
    said = ap_expr_str_exec(r, d->expr_handler, &wrong);
    return !wrong && strcmp(said, name) == 0;
}

/* Our paths are no files. Where httpd finds none it looks at each folder on
 * the way with an lstat(), which takes a tenth of what a token does. It takes
 * our word that there is one: <Directory> sections and .htaccess files count
 * as ever, and so do those looks where symbolic links are restricted. Not for
 * a path that somebody (mod_rewrite) has made into another one, which may be a
 * file's. */
static int token_translate(request_rec *r)
{
    if (r->finfo.filetype == APR_NOFILE && r->parsed_uri.path &&
        set_handler_is(r, TOKEN_HANDLER) &&
        strcmp(r->uri, r->parsed_uri.path) == 0) {
        r->finfo.filetype = APR_REG;
    }
    return DECLINED;
}

static const char *rensei_token_claims(server_rec *s,
                                       const rensei_client_t *client,
                                       apr_pool_t *p)
{
    const rensei_template_t *t = token_conf(s)->claims;
    const json_t *claims = t ? rensei_template_claims(t, client, p) : NULL;

    return claims ? rensei_json_dump(claims, p) : "{}";
}

static void token_hooks(apr_pool_t *p)
{
    /* which then knows the limits of each virtual host */
    static const char *const after_auth[] = {"mod_rensei_auth.c", NULL};

    APR_REGISTER_OPTIONAL_FN(rensei_token_claims);
    ap_hook_child_init(rensei_http_store_child_init, NULL, NULL,
                       APR_HOOK_MIDDLE);
    ap_hook_child_init(token_conf_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(token_conf_check, after_auth, NULL, APR_HOOK_MIDDLE);
    ap_hook_optional_fn_retrieve(token_call_retrieve, NULL, NULL,
                                 APR_HOOK_MIDDLE);
    /* last: of a path that another module has mapped we know nothing */
    ap_hook_translate_name(token_translate, NULL, NULL, APR_HOOK_LAST);
    ap_hook_handler(token_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module rensei_token_module = {
    STANDARD20_MODULE_STUFF, NULL,           NULL,        token_conf_create,
    token_conf_merge,        token_commands, token_hooks, AP_MODULE_FLAG_NONE,
};
