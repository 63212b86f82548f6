/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "token_conf.h"
#include "token_worker_conf.h"
#include "mod_rensei_auth.h"
#include "rensei_client.h"
#include "rensei_grant.h"
#include "rensei_http_conf.h"
#include "rensei_http_log.h"

#include <apr_strings.h>
#include <apr_uri.h>

#include <stdlib.h>
#include <strings.h>

#define DIR_LIFETIME "RenseiTokenLifetime"
#define DIR_CLAIMS "RenseiClaims"
#define DIR_PROFILE "RenseiTokenProfile"
#define DIR_AUTHORIZATION "RenseiAuthorizationEndpoint"

#define ENV_LIFETIME "M2M_TOKEN_LIFETIME"

APLOG_USE_MODULE(rensei_token);

void *token_conf_create(apr_pool_t *p, server_rec *s)
{
    token_conf_t *c = apr_pcalloc(p, sizeof(*c));
#define X(type, name, unset) c->name = unset;
    TOKEN_CONF_MEMBERS(X)
#undef X
    return c;
}

void *token_conf_merge(apr_pool_t *p, void *basev, void *addv)
{
    const token_conf_t *base = basev, *add = addv;
    token_conf_t *c = token_conf_create(p, NULL);
#define X(type, name, unset) \
    c->name = add->name != (type)(unset) ? add->name : base->name;
    TOKEN_CONF_MEMBERS(X)
#undef X
    return c;
}

static token_conf_t *conf_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &rensei_token_module);
}

const token_conf_t *token_conf(const server_rec *s)
{
    return conf_of(s);
}

void token_conf_child_init(apr_pool_t *p, server_rec *s)
{
    for (; s; s = s->next) {
        /* A virtual host without a directive of ours has the very struct of
         * the main server, and may have another store. */
        token_conf_t *own = apr_pmemdup(p, conf_of(s), sizeof(*own));

        own->group = token_group_create(p);
        ap_set_module_config(s->module_config, &rensei_token_module, own);
    }
}

/* ---- directives ---- */

static int lifetime_parse(apr_int64_t *out, const char *text)
{
    return rensei_int_parse(out, text, strlen(text), RENSEI_LIFETIME_MIN,
                            RENSEI_LIFETIME_MAX);
}

static const char *cmd_lifetime(cmd_parms *cmd, void *dir, const char *arg)
{
    if (!lifetime_parse(&conf_of(cmd->server)->lifetime, arg)) {
        return apr_psprintf(cmd->pool,
                            DIR_LIFETIME
                            " takes a number of seconds from %d to %d, for "
                            "instance \"" DIR_LIFETIME " 3600\"",
                            RENSEI_LIFETIME_MIN, RENSEI_LIFETIME_MAX);
    }
    return NULL;
}

static const char *cmd_claims(cmd_parms *cmd, void *dir, const char *arg)
{
    rensei_err_t err = {0};

    if (rensei_template_parse(&conf_of(cmd->server)->claims, arg, cmd->pool,
                              &err) != APR_SUCCESS) {
        return apr_psprintf(cmd->pool,
                            DIR_CLAIMS ": %s It takes a JSON object in single "
                                       "quotes, for instance " DIR_CLAIMS
                                       " '{\"team\": {{ client.owner }}}'",
                            err.text);
    }
    return NULL;
}

static const char *cmd_profile(cmd_parms *cmd, void *dir, const char *arg)
{
    int rfc9068 = strcasecmp(arg, "rfc9068") == 0;

    if (!rfc9068 && strcasecmp(arg, "default") != 0) {
        return apr_psprintf(cmd->pool,
                            DIR_PROFILE " takes 'default' or 'rfc9068' (typ "
                                        "at+jwt, claims client_id and scope), "
                                        "not '%s'",
                            arg);
    }
    conf_of(cmd->server)->rfc9068 = rfc9068;
    return NULL;
}

/* Nothing in it that would have to be escaped in a URL (RFC 3986 2). */
static int url_characters(const char *url)
{
    return url[strspn(url, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "abcdefghijklmnopqrstuvwxyz"
                           "0123456789-._~:/?#[]@!$&'()*+,;=%")] == '\0';
}

/* An absolute http or https URL, without a fragment or a user. */
static int url_parse(apr_uri_t *uri, const char *url, apr_pool_t *p)
{
    return url_characters(url) && apr_uri_parse(p, url, uri) == APR_SUCCESS &&
           uri->scheme && uri->hostname && *uri->hostname && !uri->user &&
           !uri->fragment &&
           (strcasecmp(uri->scheme, "https") == 0 ||
            strcasecmp(uri->scheme, "http") == 0);
}

/* A query is part of it where there is one (RFC 6749 3.1). */
static const char *cmd_authorization(cmd_parms *cmd, void *dir, const char *arg)
{
    apr_uri_t uri;

    if (!url_parse(&uri, arg, cmd->pool)) {
        return apr_psprintf(cmd->pool,
                            DIR_AUTHORIZATION
                            " takes an absolute http or https URL without "
                            "fragment, for instance \"" DIR_AUTHORIZATION
                            " https://login.example.com/authorize\", not '%s'",
                            arg);
    }
    conf_of(cmd->server)->authorization_url = arg;
    return NULL;
}

const command_rec token_commands[] = {
    AP_INIT_TAKE1(DIR_LIFETIME, cmd_lifetime, NULL, RSRC_CONF,
                  "seconds that an access token is valid, 60 to 86400, where "
                  "the client has no lifetime of its own"),
    AP_INIT_TAKE1(DIR_CLAIMS, cmd_claims, NULL, RSRC_CONF,
                  "custom claims of access tokens: a JSON object with "
                  "placeholders such as {{ client.owner }}"),
    AP_INIT_TAKE1(DIR_PROFILE, cmd_profile, NULL, RSRC_CONF,
                  "'default', or 'rfc9068' for tokens as RFC 9068 has them"),
    AP_INIT_TAKE1(DIR_AUTHORIZATION, cmd_authorization, NULL, RSRC_CONF,
                  "authorization_endpoint of the metadata: another server's"),
    AP_INIT_TAKE1(DIR_WORKER_LIFETIME, token_worker_cmd_lifetime, NULL,
                  RSRC_CONF, "seconds that a runtime token is valid"),
    AP_INIT_TAKE_ARGV(DIR_WORKER_SCOPES, token_worker_cmd_scopes, NULL,
                      RSRC_CONF, "the scopes of runtime tokens"),
    AP_INIT_TAKE1(DIR_WORKER_HEARTBEAT, token_worker_cmd_heartbeat, NULL,
                  RSRC_CONF, "seconds between a worker's heartbeats"),
    AP_INIT_TAKE1(DIR_WORKER_POLL, token_worker_cmd_poll, NULL, RSRC_CONF,
                  "seconds between a worker's questions for work"),
    {NULL},
};

/* ---- what configtest refuses ---- */

/* The lifetime where no directive says one. The environment is not looked at
 * while directives are read: its value may be no use to this configuration.
 * @return 1, or 0 for a value that is not fit to be one */
static int lifetime_default(apr_int64_t *out)
{
    const char *text = getenv(ENV_LIFETIME);

    *out = RENSEI_TOKEN_LIFETIME_DEFAULT;
    return !text || !*text || lifetime_parse(out, text);
}

static apr_int64_t lifetime_limit(server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(rensei_auth_policy) *policy =
        APR_RETRIEVE_OPTIONAL_FN(rensei_auth_policy);

    return policy ? policy(s)->limits.token_lifetime : 0;
}

static int lifetime_fits(const char *directive, apr_int64_t said,
                         apr_int64_t limit, const server_rec *s)
{
    if (limit == 0 || said <= limit) {
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
                 RSLOG(0080) "%s: \"%s %" APR_INT64_T_FMT
                             "\" is more than " RENSEI_LIMITS_TOKEN_LIFETIME
                             " allows there; write \"%s %" APR_INT64_T_FMT
                             "\", or less",
                 s->server_hostname ? s->server_hostname : "the main server",
                 directive, said, directive, limit);
    return 0;
}

/* What a directive says is meant; the default is only taken for want of it,
 * and gives way. */
static int lifetimes_fit(server_rec *s)
{
    for (; s; s = s->next) {
        const token_conf_t *c = conf_of(s);
        apr_int64_t limit = lifetime_limit(s);

        if (!lifetime_fits(DIR_LIFETIME, c->lifetime, limit, s) ||
            !lifetime_fits(DIR_WORKER_LIFETIME, c->worker_lifetime, limit, s)) {
            return 0;
        }
    }
    return 1;
}

static void defaults_set(server_rec *s, apr_int64_t lifetime)
{
    for (; s; s = s->next) {
        token_conf_t *c = conf_of(s);

        if (!c->lifetime) {
            c->lifetime = lifetime;
        }
        if (c->rfc9068 < 0) {
            c->rfc9068 = 0;
        }
    }
}

int token_conf_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                     server_rec *s)
{
    int used = rensei_http_conf_handler(ap_conftree, TOKEN_HANDLER);
    apr_int64_t lifetime;

    if (!lifetime_default(&lifetime) && used) {
        ap_log_error(
            APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
            RSLOG(0150) "the environment's " ENV_LIFETIME
                        " must be a number of seconds from %d to %d, for "
                        "instance "
                        "3600; correct it, or unset it and write " DIR_LIFETIME,
            RENSEI_LIFETIME_MIN, RENSEI_LIFETIME_MAX);
        return rensei_http_conf_refuse();
    }
    if (used && !lifetimes_fit(s)) {
        return rensei_http_conf_refuse();
    }
    if (!token_worker_conf_check(s)) {
        return rensei_http_conf_refuse();
    }
    defaults_set(s, lifetime);
    if (used && rensei_http_conf_auth(s, "SetHandler " TOKEN_HANDLER) != OK) {
        return rensei_http_conf_refuse();
    }
    return used ? rensei_http_conf_store(ap_conftree, s,
                                         "SetHandler " TOKEN_HANDLER)
                : OK;
}
