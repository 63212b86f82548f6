/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_conf.h"
#include "auth_audit_log.h"
#include "auth_check.h"
#include "auth_gate.h"
#include "auth_limits.h"
#include "rensei_http_url.h"
#include "auth_secret.h"
#include "rensei_id.h"
#include "rensei_json.h"

#include <ap_mpm.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>

/* Room for some 50,000 credentials, and 20,000 clients that ask for tokens;
 * what is not used takes no memory. */
#define CACHE_DEFAULT (48 * 1024 * 1024)

#define DEFAULT_ACCEPT (RENSEI_KIND_M2M | RENSEI_KIND_KEY)

void *auth_server_conf_create(apr_pool_t *p, server_rec *s)
{
    auth_server_conf_t *c = apr_pcalloc(p, sizeof(*c));
#define X(type, name, unset) c->name = unset;
    AUTH_SERVER_MEMBERS(X)
#undef X
    c->store = -1;
    return c;
}

void *auth_server_conf_merge(apr_pool_t *p, void *basev, void *addv)
{
    const auth_server_conf_t *base = basev, *add = addv;
    auth_server_conf_t *c = auth_server_conf_create(p, NULL);
#define X(type, name, unset) \
    c->name = add->name != (type)unset ? add->name : base->name;
    AUTH_SERVER_MEMBERS(X)
#undef X
    return c;
}

void *auth_dir_conf_create(apr_pool_t *p, char *dir)
{
    auth_dir_conf_t *c = apr_pcalloc(p, sizeof(*c));
#define X(type, name, unset) c->name = unset;
    AUTH_DIR_MEMBERS(X)
#undef X
    return c;
}

void *auth_dir_conf_merge(apr_pool_t *p, void *basev, void *addv)
{
    const auth_dir_conf_t *base = basev, *add = addv;
    auth_dir_conf_t *c = auth_dir_conf_create(p, NULL);
#define X(type, name, unset) \
    c->name = add->name != (type)unset ? add->name : base->name;
    AUTH_DIR_MEMBERS(X)
#undef X
    return c;
}

int auth_conf_accept(const request_rec *r)
{
    int accept = auth_dir_conf(r)->accept;
    return accept ? accept : DEFAULT_ACCEPT;
}

const char *auth_conf_audience(const request_rec *r)
{
    const char *audience = auth_dir_conf(r)->audience;
    return audience ? audience
                    : auth_server_conf(r->server)->policy.expect.audience;
}

int auth_conf_has_store(const auth_server_conf_t *c)
{
    return c->dbd_driver && c->dbd_params;
}

apr_size_t auth_conf_cache(const server_rec *s)
{
    apr_int64_t bytes = auth_server_conf(s)->cache_size;

    return bytes > 0 ? (apr_size_t)bytes : CACHE_DEFAULT;
}

int auth_conf_threaded(void)
{
    int threads = 0;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    return threads > 1;
}

int auth_conf_immediate(const auth_server_conf_t *c)
{
    return c->revocation != REVOCATION_EXPIRY;
}

/* ---- directives ---- */

static const char *cmd_secret(cmd_parms *cmd, void *dir, int argc,
                              char *const argv[])
{
    auth_server_conf_t *c = auth_server_conf(cmd->server);
    apr_array_header_t *list =
        apr_array_make(cmd->pool, argc, sizeof(auth_source_t));
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    int i;

    if (wrong) {
        return wrong;
    }
    if (argc == 0) {
        return DIR_SECRET " takes env:NAME, file:/PATH or exec:/COMMAND";
    }
    for (i = 0; i < argc; i++) {
        auth_source_t *src = apr_array_push(list);
        memset(src, 0, sizeof(*src));
        src->text = apr_pstrdup(cmd->pool, argv[i]);
        /* Never repeat the argument: it may be the secret itself. */
        if (!auth_source_valid(src->text)) {
            return DIR_SECRET " takes env:NAME, file:/absolute/path or "
                              "exec:/absolute/command, never the secret itself";
        }
    }
    c->secrets = list;
    return NULL;
}

static const char *key_option(auth_source_t *src, cmd_parms *cmd,
                              const char *arg)
{
    if (strncmp(arg, "alg=", 4) == 0 && arg[4]) {
        src->alg = apr_pstrdup(cmd->pool, arg + 4);
        return NULL;
    }
    if (strncmp(arg, "kid=", 4) == 0 && arg[4]) {
        src->kid = apr_pstrdup(cmd->pool, arg + 4);
        return NULL;
    }
    return apr_psprintf(cmd->pool,
                        DIR_SIGNING_KEY ": '%s' is neither alg=NAME nor "
                                        "kid=NAME",
                        arg);
}

/* One line a key; the first of a server signs, all verify. */
static const char *cmd_signing_key(cmd_parms *cmd, void *dir, int argc,
                                   char *const argv[])
{
    auth_server_conf_t *c = auth_server_conf(cmd->server);
    apr_array_header_t *list = (apr_array_header_t *)c->keys;
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    auth_source_t *src;
    int i;

    if (wrong) {
        return wrong;
    }
    if (argc == 0 || !auth_source_valid(argv[0])) {
        return DIR_SIGNING_KEY " takes file:/absolute/path.pem (or env:NAME, "
                               "exec:/absolute/command), never the key itself, "
                               "and then alg=NAME and kid=NAME if they are not "
                               "to be taken from the key";
    }
    if (!list) {
        list = apr_array_make(cmd->pool, 2, sizeof(auth_source_t));
        c->keys = list;
    }
    src = apr_array_push(list);
    memset(src, 0, sizeof(*src));
    src->pem = 1;
    src->text = apr_pstrdup(cmd->pool, argv[0]);
    for (i = 1; i < argc && !wrong; i++) {
        wrong = key_option(src, cmd, argv[i]);
    }
    return wrong;
}

static const char *set_text(cmd_parms *cmd, const char **slot, const char *arg)
{
    if (*arg == '\0' || !rensei_utf8_valid(arg, strlen(arg))) {
        return apr_psprintf(cmd->pool, "%s takes a name or URL, not empty",
                            cmd->cmd->name);
    }
    *slot = arg;
    return NULL;
}

static const char *cmd_issuer(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    return wrong ? wrong
                 : set_text(cmd, &auth_server_conf(cmd->server)->issuer, arg);
}

static const char *cmd_base_url(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    if (wrong) {
        return wrong;
    }
    if (!rensei_http_url_valid(arg, cmd->temp_pool)) {
        return DIR_BASE_URL " takes the URL by which clients know this server, "
                            "such as https://auth.example, without query, "
                            "fragment or a slash at its end";
    }
    auth_server_conf(cmd->server)->base_url = arg;
    return NULL;
}

/* In a location: what the tokens that it takes are for. */
static const char *cmd_audience(cmd_parms *cmd, void *dir, const char *arg)
{
    return set_text(cmd,
                    cmd->path ? &((auth_dir_conf_t *)dir)->audience
                              : &auth_server_conf(cmd->server)->audience,
                    arg);
}

static const char *set_number(cmd_parms *cmd, apr_int64_t *out, const char *arg,
                              apr_int64_t min, apr_int64_t max,
                              const char *unit)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    if (wrong) {
        return wrong;
    }
    if (!rensei_int_parse(out, arg, strlen(arg), min, max)) {
        return apr_psprintf(cmd->pool,
                            "%s takes %s, %" APR_INT64_T_FMT
                            " to %" APR_INT64_T_FMT ", not '%s'",
                            cmd->cmd->name, unit, min, max, arg);
    }
    return NULL;
}

static const char *cmd_skew(cmd_parms *cmd, void *dir, const char *arg)
{
    apr_int64_t n = 0;
    const char *wrong = set_number(cmd, &n, arg, 0, 300, "seconds");
    auth_server_conf(cmd->server)->skew = (int)n;
    return wrong;
}

static const char *cmd_staleness(cmd_parms *cmd, void *dir, const char *arg)
{
    apr_int64_t n = 0;
    const char *wrong = set_number(cmd, &n, arg, 1, 86400, "seconds");
    auth_server_conf(cmd->server)->staleness = (int)n;
    return wrong;
}

static const char *cmd_cache(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (wrong) {
        return wrong;
    }
    return set_number(cmd, &auth_server_conf(cmd->server)->cache_size, arg,
                      65536, APR_INT64_C(8) << 30, "bytes for each process");
}

static const char *cmd_throttle(cmd_parms *cmd, void *dir, const char *arg)
{
    auth_server_conf_t *c = auth_server_conf(cmd->server);
    const char *slash = strchr(arg, '/');
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    apr_int64_t failures = 0, seconds = 0;

    if (wrong) {
        return wrong;
    }
    if (strcasecmp(arg, "off") != 0 &&
        (!slash ||
         !rensei_int_parse(&failures, arg, (apr_size_t)(slash - arg), 1,
                           100000) ||
         !rensei_int_parse(&seconds, slash + 1, strlen(slash + 1), 1, 86400))) {
        return apr_psprintf(cmd->pool,
                            DIR_THROTTLE " takes FAILURES/SECONDS, such as "
                                         "10/60, or 'off', not '%s'",
                            arg);
    }
    c->throttle_failures = (int)failures;
    c->throttle_seconds = (int)seconds;
    return NULL;
}

static const char *cmd_revocation(cmd_parms *cmd, void *dir, const char *arg)
{
    auth_server_conf_t *c = auth_server_conf(cmd->server);
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    if (wrong) {
        return wrong;
    }
    if (strcasecmp(arg, "immediate") == 0) {
        c->revocation = REVOCATION_IMMEDIATE;
    }
    else if (strcasecmp(arg, "expiry") == 0) {
        c->revocation = REVOCATION_EXPIRY;
    }
    else {
        return DIR_REVOCATION " takes 'immediate' (asks the store) or "
                              "'expiry' (tokens by signature alone)";
    }
    return NULL;
}

static const char *cmd_scopes(cmd_parms *cmd, void *dir, int argc,
                              char *const argv[])
{
    auth_server_conf_t *c = auth_server_conf(cmd->server);
    rensei_scopes_t *set = apr_pcalloc(cmd->pool, sizeof(*set));
    rensei_err_t err = {0};
    const char *text = "";
    int i;
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    if (wrong) {
        return wrong;
    }
    if (argc < 2 ||
        (strcasecmp(argv[0], "m2m") != 0 && strcasecmp(argv[0], "key") != 0)) {
        return apr_psprintf(cmd->pool,
                            DIR_SCOPES
                            " takes 'm2m' or 'key' and the scopes "
                            "of that vocabulary, for example: " DIR_SCOPES
                            " m2m orders:read orders:write, not "
                            "'%s'",
                            cmd->directive->args);
    }
    for (i = 1; i < argc; i++) {
        text = apr_pstrcat(cmd->pool, text, argv[i], " ", NULL);
    }
    if (rensei_scopes_parse(set, text, strlen(text), cmd->pool, &err)) {
        return apr_psprintf(cmd->pool, DIR_SCOPES ": %s", err.text);
    }
    if (rensei_scopes_has(set, RENSEI_STR("*"))) {
        return DIR_SCOPES " lists what '*' stands for; leave '*' out";
    }
    *(strcasecmp(argv[0], "m2m") == 0 ? &c->m2m_scopes : &c->key_scopes) = set;
    return NULL;
}

static const char *cmd_accept(cmd_parms *cmd, void *dirv, const char *arg)
{
    auth_dir_conf_t *dir = dirv;
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    rensei_kind_e kind;

    if (wrong) {
        return wrong;
    }
    if (strcmp(arg, "client-secret") == 0) {
        dir->accept |= ACCEPT_SECRET;
        auth_check_note_key(cmd);
        return NULL;
    }
    if (strcmp(arg, "registration") == 0) {
        dir->accept |= ACCEPT_REGISTRATION;
        auth_check_note_key(cmd);
        return NULL;
    }
    if (!rensei_kind_parse(&kind, arg)) {
        return apr_psprintf(cmd->pool,
                            DIR_ACCEPT " takes one or more of 'm2m', 'key', "
                                       "'worker', 'registration' and "
                                       "'client-secret', not '%s'",
                            arg);
    }
    dir->accept |= kind;
    if (kind == RENSEI_KIND_KEY) {
        auth_check_note_key(cmd);
    }
    return NULL;
}

static const char *cmd_forward(cmd_parms *cmd, void *dirv, int on)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);

    if (wrong) {
        return wrong;
    }
    ((auth_dir_conf_t *)dirv)->forward = on;
    return NULL;
}

static const char *cmd_metadata(cmd_parms *cmd, void *dirv, int on)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);

    if (wrong) {
        return wrong;
    }
    ((auth_dir_conf_t *)dirv)->metadata = on;
    return NULL;
}

/* "region" to RENSEI_CLAIM_REGION and X-Rensei-Claim-Region. */
/* Another claim of the list that would go by the same variable: a token that
 * has only one of the two would fill it with either. */
static const char *forward_taken(const apr_array_header_t *list,
                                 const char *claim, const char *variable)
{
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const forward_claim_t *f = &APR_ARRAY_IDX(list, i, forward_claim_t);
        if (strcmp(f->variable, variable) == 0 &&
            strcmp(f->claim, claim) != 0) {
            return f->claim;
        }
    }
    return NULL;
}

static const char *cmd_forward_claim(cmd_parms *cmd, void *dirv,
                                     const char *arg)
{
    auth_dir_conf_t *dir = dirv;
    apr_array_header_t *list = (apr_array_header_t *)dir->claims;
    forward_claim_t *f;
    const char *taken;
    char *variable = apr_pstrcat(cmd->pool, "RENSEI_CLAIM_", arg, NULL);
    char *header = apr_pstrcat(cmd->pool, "X-Rensei-Claim-", arg, NULL);
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    char *c;

    if (wrong) {
        return wrong;
    }
    if (arg[strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-")] ||
        !*arg) {
        return apr_psprintf(cmd->pool,
                            DIR_FORWARD_CLAIM " takes names of claims, of "
                                              "letters, digits, _ and -, not "
                                              "'%s'",
                            arg);
    }
    for (c = variable; *c; c++) {
        *c = *c == '-' ? '_' : (char)apr_toupper(*c);
    }
    for (c = header; *c; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    taken = forward_taken(list, arg, variable);
    if (taken) {
        return apr_psprintf(cmd->pool,
                            DIR_FORWARD_CLAIM " %s: '%s' is forwarded as %s, "
                                              "too; leave one of them out",
                            arg, taken, variable);
    }
    if (!list) {
        list = apr_array_make(cmd->pool, 4, sizeof(forward_claim_t));
        dir->claims = list;
    }
    f = apr_array_push(list);
    f->claim = arg;
    f->variable = variable;
    f->header = header;
    return NULL;
}

static const char *cmd_expiry_notice(cmd_parms *cmd, void *dir, const char *arg)
{
    auth_server_conf_t *c = auth_server_conf(cmd->server);
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    if (wrong) {
        return wrong;
    }
    if (strcasecmp(arg, "off") == 0) {
        c->expiry_notice = 0;
        return NULL;
    }
    if (!rensei_duration_parse(&c->expiry_notice, arg, strlen(arg))) {
        return apr_psprintf(cmd->pool,
                            DIR_EXPIRY_NOTICE " takes a span of time such as "
                                              "14d, 12h, 30m or 90s (at most "
                                              "3650d), or 'off', not '%s'",
                            arg);
    }
    return NULL;
}

static const char *cmd_expiry_header(cmd_parms *cmd, void *dirv, int on)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_LIMIT);

    if (wrong) {
        return wrong;
    }
    ((auth_dir_conf_t *)dirv)->expiry_header = on;
    return NULL;
}

/* mod_dbd's own directives, which httpd hands to each module that names them:
 * which virtual hosts share a store is known nowhere else. */
static const char *cmd_dbd_driver(cmd_parms *cmd, void *dir, const char *arg)
{
    auth_server_conf(cmd->server)->dbd_driver = arg;
    return NULL;
}

static const char *cmd_dbd_params(cmd_parms *cmd, void *dir, const char *arg)
{
    auth_server_conf(cmd->server)->dbd_params = arg;
    return NULL;
}

const command_rec auth_commands[] = {
    AP_INIT_TAKE_ARGV(DIR_SECRET, cmd_secret, NULL, RSRC_CONF,
                      "where the HS256 secret comes from: env:NAME, file:PATH "
                      "or exec:COMMAND; more of them: earlier secrets that "
                      "still verify"),
    AP_INIT_TAKE_ARGV(DIR_SIGNING_KEY, cmd_signing_key, NULL, RSRC_CONF,
                      "a key for tokens, as PEM: file:/PATH, alg=NAME, "
                      "kid=NAME; the first signs, all verify"),
    AP_INIT_TAKE1(DIR_ISSUER, cmd_issuer, NULL, RSRC_CONF,
                  "the 'iss' of tokens, issued and accepted"),
    AP_INIT_TAKE1(DIR_AUDIENCE, cmd_audience, NULL, RSRC_CONF | OR_AUTHCFG,
                  "the 'aud' of tokens, issued and accepted"),
    AP_INIT_TAKE1(DIR_BASE_URL, cmd_base_url, NULL, RSRC_CONF,
                  "the URL by which clients know this server"),
    AP_INIT_TAKE1(DIR_SKEW, cmd_skew, NULL, RSRC_CONF,
                  "seconds by which clocks may differ"),
    AP_INIT_TAKE_ARGV(DIR_SCOPES, cmd_scopes, NULL, RSRC_CONF,
                      "'m2m' or 'key', and the scopes of that vocabulary"),
    AP_INIT_TAKE1(DIR_REVOCATION, cmd_revocation, NULL, RSRC_CONF,
                  "'immediate' or 'expiry'"),
    AP_INIT_TAKE1(DIR_STALENESS, cmd_staleness, NULL, RSRC_CONF,
                  "seconds that what is known is trusted while the store is "
                  "away"),
    AP_INIT_TAKE1(DIR_THROTTLE, cmd_throttle, NULL, RSRC_CONF,
                  "FAILURES/SECONDS of a client from one address before it "
                  "has to wait, or 'off'"),
    AP_INIT_TAKE1(DIR_CACHE, cmd_cache, NULL, RSRC_CONF,
                  "bytes of each process's cache of credentials"),
    AP_INIT_TAKE1(DIR_WAITERS, auth_gate_waiters, NULL, RSRC_CONF,
                  "how many requests of a process may wait for the store at "
                  "one time"),
    AP_INIT_TAKE1(DIR_TIMEOUT, auth_gate_timeout, NULL, RSRC_CONF,
                  "seconds after which a connection to PostgreSQL that gives "
                  "no answer is ended"),
    AP_INIT_TAKE1(RENSEI_LIMITS_KEY_AGE, auth_limits_age, NULL, RSRC_CONF,
                  "how far away a key's end may be, such as 90d, or 'off'"),
    AP_INIT_TAKE1(RENSEI_LIMITS_TOKEN_LIFETIME, auth_limits_lifetime, NULL,
                  RSRC_CONF, "how long any token may live, or 'off'"),
    AP_INIT_TAKE1(RENSEI_LIMITS_CREDENTIALS, auth_limits_credentials, NULL,
                  RSRC_CONF,
                  "how many clients and keys an organisation may have, or "
                  "'off'"),
    AP_INIT_FLAG(RENSEI_LIMITS_REQUIRE_OWNER, auth_limits_owner, NULL,
                 RSRC_CONF, "a client or key is made with an owner only"),
    AP_INIT_FLAG(RENSEI_LIMITS_REQUIRE_EXPIRY, auth_limits_expiry, NULL,
                 RSRC_CONF, "a client or key is made with an end only"),
    AP_INIT_ITERATE(DIR_ACCEPT, cmd_accept, NULL, ACCESS_CONF | OR_AUTHCFG,
                    "kinds of credential: m2m, key, worker, registration, "
                    "client-secret"),
    AP_INIT_FLAG(DIR_FORWARD, cmd_forward, NULL, ACCESS_CONF | OR_AUTHCFG,
                 "give the backend X-Rensei-* headers instead of the "
                 "credential"),
    AP_INIT_ITERATE(DIR_FORWARD_CLAIM, cmd_forward_claim, NULL,
                    ACCESS_CONF | OR_AUTHCFG,
                    "claims of a token that the application gets"),
    AP_INIT_FLAG(DIR_METADATA, cmd_metadata, NULL, ACCESS_CONF | OR_AUTHCFG,
                 "publish RFC 9728 metadata of this location, and name it in "
                 "the challenge"),
    AP_INIT_TAKE1(
        DIR_EXPIRY_NOTICE, cmd_expiry_notice, NULL, RSRC_CONF,
        "how long before its end a credential is said to expire, such "
        "as 14d, or 'off'"),
    AP_INIT_FLAG(DIR_EXPIRY_HEADER, cmd_expiry_header, NULL,
                 ACCESS_CONF | OR_AUTHCFG,
                 "say in answers when the caller's credential expires"),
    AP_INIT_TAKE1(DIR_AUDIT_LOG, auth_audit_log_directive, NULL, RSRC_CONF,
                  "a file or '|program' that gets a copy of each audit event"),
    AP_INIT_TAKE1("DBDriver", cmd_dbd_driver, NULL, RSRC_CONF,
                  "mod_dbd's; noted here to know who shares a store"),
    AP_INIT_TAKE1("DBDParams", cmd_dbd_params, NULL, RSRC_CONF,
                  "mod_dbd's; noted here to know who shares a store"),
    {NULL}};
