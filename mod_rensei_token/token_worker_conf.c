/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "token_worker_conf.h"
#include "mod_rensei_auth.h"
#include "rensei_enroll.h"
#include "rensei_http_log.h"
#include "token_conf.h"

#include <apr_strings.h>

APLOG_USE_MODULE(rensei_token);

#define HEARTBEAT_DEFAULT 30 /* seconds */
#define POLL_DEFAULT 5
#define INTERVAL_MAX 3600

#define SCOPES_DEFAULT "workers:read workers:write sessions:read sessions:write"

static token_conf_t *conf_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &rensei_token_module);
}

/* ---- directives ---- */

static const char *seconds_read(apr_int64_t *out, cmd_parms *cmd,
                                const char *arg, int min, int max,
                                int preferred)
{
    const char *name = cmd->directive->directive;

    return rensei_int_parse(out, arg, strlen(arg), min, max)
               ? NULL
               : apr_psprintf(cmd->pool,
                              "%s takes a number of seconds from %d to %d, "
                              "for instance \"%s %d\", not '%s'",
                              name, min, max, name, preferred, arg);
}

const char *token_worker_cmd_lifetime(cmd_parms *cmd, void *dir,
                                      const char *arg)
{
    return seconds_read(&conf_of(cmd->server)->worker_lifetime, cmd, arg,
                        RENSEI_WORKER_LIFETIME_MIN, RENSEI_WORKER_LIFETIME_MAX,
                        RENSEI_WORKER_LIFETIME_DEFAULT);
}

const char *token_worker_cmd_heartbeat(cmd_parms *cmd, void *dir,
                                       const char *arg)
{
    return seconds_read(&conf_of(cmd->server)->worker_heartbeat, cmd, arg, 1,
                        INTERVAL_MAX, HEARTBEAT_DEFAULT);
}

const char *token_worker_cmd_poll(cmd_parms *cmd, void *dir, const char *arg)
{
    return seconds_read(&conf_of(cmd->server)->worker_poll, cmd, arg, 1,
                        INTERVAL_MAX, POLL_DEFAULT);
}

const char *token_worker_cmd_scopes(cmd_parms *cmd, void *dir, int argc,
                                    char *const argv[])
{
    rensei_scopes_t *set = apr_pcalloc(cmd->pool, sizeof(*set));
    const char *text = "";
    rensei_err_t err = {0};
    int i;

    if (argc == 0) {
        return DIR_WORKER_SCOPES " takes the scopes of runtime tokens, for "
                                 "instance \"" DIR_WORKER_SCOPES
                                 " workers:read workers:write\"";
    }
    for (i = 0; i < argc; i++) {
        text = apr_pstrcat(cmd->pool, text, argv[i], " ", NULL);
    }
    if (rensei_scopes_parse(set, text, strlen(text), cmd->pool, &err)) {
        return apr_psprintf(cmd->pool, DIR_WORKER_SCOPES ": %s", err.text);
    }
    conf_of(cmd->server)->worker_scopes = set;
    return NULL;
}

/* ---- what configtest refuses ---- */

static int in_vocabulary(const rensei_vocab_t *vocab, rensei_str_t scope)
{
    return rensei_str_eq(scope, RENSEI_STR("*")) ||
           rensei_vocab_has(vocab, RENSEI_CLASS_WORKER, scope);
}

static int scopes_fit(const rensei_scopes_t *set, const rensei_vocab_t *vocab,
                      server_rec *s)
{
    int i;

    for (i = 0; i < set->count; i++) {
        rensei_str_t scope = set->scope[i];

        if (!in_vocabulary(vocab, scope)) {
            ap_log_error(
                APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
                RSLOG(0070) "%s: '" DIR_WORKER_SCOPES "' names the scope "
                            "'%.*s', which is not in the vocabulary of tokens "
                            "there; correct it, or add it with 'RenseiScopes "
                            "m2m'",
                s->server_hostname ? s->server_hostname : "the main server",
                (int)scope.n, scope.p);
            return 0;
        }
    }
    return 1;
}

static void defaults_set(token_conf_t *c)
{
    if (!c->worker_lifetime) {
        c->worker_lifetime = RENSEI_WORKER_LIFETIME_DEFAULT;
    }
    if (!c->worker_heartbeat) {
        c->worker_heartbeat = HEARTBEAT_DEFAULT;
    }
    if (!c->worker_poll) {
        c->worker_poll = POLL_DEFAULT;
    }
}

int token_worker_conf_check(server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(rensei_auth_policy) *policy =
        APR_RETRIEVE_OPTIONAL_FN(rensei_auth_policy);

    for (; s && policy; s = s->next) {
        token_conf_t *c = conf_of(s);

        if (c->worker_scopes &&
            !scopes_fit(c->worker_scopes, policy(s)->vocab, s)) {
            return 0;
        }
        defaults_set(c);
    }
    return 1;
}

/* Made here and not kept: virtual hosts can share a configuration of ours,
 * and have vocabularies of their own. */
const rensei_scopes_t *token_worker_scopes(const token_conf_t *conf,
                                           const rensei_vocab_t *vocab,
                                           apr_pool_t *p)
{
    rensei_scopes_t *out;
    rensei_scopes_t all = {0};
    rensei_err_t err = {0};

    if (conf->worker_scopes) {
        return conf->worker_scopes;
    }
    out = apr_pcalloc(p, sizeof(*out));
    rensei_scopes_parse(&all, SCOPES_DEFAULT, strlen(SCOPES_DEFAULT), p, &err);
    rensei_scopes_narrow(out, &all, &vocab->m2m, p);
    return out;
}
