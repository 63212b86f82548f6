/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "admin_conf.h"
#include "rensei_http_conf.h"
#include "rensei_http_log.h"
#include "rensei_json.h"

#include <apr_strings.h>

#define DIR_DEPRECATION "RenseiLegacyDeprecation"
#define DIR_TOKENS "RenseiAdminTokens"
#define DIR_SUNSET "RenseiLegacySunset"

APLOG_USE_MODULE(rensei_admin);

void *admin_conf_create(apr_pool_t *p, server_rec *s)
{
    admin_conf_t *c = apr_pcalloc(p, sizeof(*c));
#define X(type, name, unset) c->name = unset;
    ADMIN_CONF_MEMBERS(X)
#undef X
    return c;
}

void *admin_conf_merge(apr_pool_t *p, void *basev, void *addv)
{
    const admin_conf_t *base = basev, *add = addv;
    admin_conf_t *c = admin_conf_create(p, NULL);
#define X(type, name, unset) \
    c->name = add->name != (unset) ? add->name : base->name;
    ADMIN_CONF_MEMBERS(X)
#undef X
    return c;
}

void *admin_dir_conf_create(apr_pool_t *p, char *dir)
{
    admin_dir_conf_t *c = apr_pcalloc(p, sizeof(*c));
#define X(type, name, unset) c->name = unset;
    ADMIN_DIR_MEMBERS(X)
#undef X
    return c;
}

void *admin_dir_conf_merge(apr_pool_t *p, void *basev, void *addv)
{
    const admin_dir_conf_t *base = basev, *add = addv;
    admin_dir_conf_t *c = admin_dir_conf_create(p, NULL);
#define X(type, name, unset) \
    c->name = add->name != (unset) ? add->name : base->name;
    ADMIN_DIR_MEMBERS(X)
#undef X
    return c;
}

static admin_conf_t *conf_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &rensei_admin_module);
}

const admin_conf_t *admin_conf(const server_rec *s)
{
    return conf_of(s);
}

int admin_conf_m2m(const request_rec *r)
{
    const admin_dir_conf_t *c =
        ap_get_module_config(r->per_dir_config, &rensei_admin_module);

    return c->m2m == 1 && !admin_stateless(r->server);
}

/* ---- directives ---- */

/* A day as YYYY-MM-DD, which begins at midnight UTC. */
static const char *day_parse(apr_int64_t *out, const char *directive,
                             const char *arg, apr_pool_t *p)
{
    apr_int64_t ms;

    if (strlen(arg) != strlen("2027-01-31") ||
        !rensei_time_parse(&ms, apr_pstrcat(p, arg, "T00:00:00Z", NULL)) ||
        ms < 0) {
        return apr_psprintf(p,
                            "%s takes a day as YYYY-MM-DD, for instance \"%s "
                            "2027-01-31\"",
                            directive, directive);
    }
    *out = ms / 1000;
    return NULL;
}

static const char *cmd_deprecation(cmd_parms *cmd, void *dir, const char *arg)
{
    return day_parse(&conf_of(cmd->server)->legacy_deprecation, DIR_DEPRECATION,
                     arg, cmd->pool);
}

static const char *cmd_sunset(cmd_parms *cmd, void *dir, const char *arg)
{
    return day_parse(&conf_of(cmd->server)->legacy_sunset, DIR_SUNSET, arg,
                     cmd->pool);
}

static const char *cmd_tokens(cmd_parms *cmd, void *dir, int on)
{
    ((admin_dir_conf_t *)dir)->m2m = on;
    if (on) {
        conf_of(cmd->server)->tokens = cmd->directive;
    }
    return NULL;
}

/* Not in .htaccess: who may make credentials is not for whoever puts files
 * there. */
const command_rec admin_commands[] = {
    AP_INIT_FLAG(DIR_TOKENS, cmd_tokens, NULL, ACCESS_CONF,
                 "On: tokens of M2M clients may administer clients there"),
    AP_INIT_TAKE1(DIR_DEPRECATION, cmd_deprecation, NULL, RSRC_CONF,
                  "the day from which POST /api/org/api-keys is deprecated"),
    AP_INIT_TAKE1(DIR_SUNSET, cmd_sunset, NULL, RSRC_CONF,
                  "the day on which POST /api/org/api-keys ends"),
    {NULL},
};

/* ---- what configtest refuses ---- */

static const char *day(apr_int64_t seconds, apr_pool_t *p)
{
    return apr_pstrndup(p, rensei_time_iso(seconds * 1000, p),
                        strlen("2027-01-31"));
}

/* Whoever is revoked would go on making credentials until his token expires.
 * A virtual host that has the line only from the main server ignores it. */
static int tokens_revocable(server_rec *main_server)
{
    const ap_directive_t *common = admin_conf(main_server)->tokens;
    server_rec *s;

    for (s = main_server; s; s = s->next) {
        const ap_directive_t *at = admin_conf(s)->tokens;

        if (at && (s == main_server || at != common) && admin_stateless(s)) {
            ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
                         RSLOG(0153) "%s line %d: \"" DIR_TOKENS
                                     " On\": with \"RenseiRevocation "
                                     "expiry\" a token that manages clients "
                                     "cannot be revoked; say "
                                     "\"RenseiRevocation immediate\", or "
                                     "\"" DIR_TOKENS " Off\"",
                         at->filename, at->line_num);
            return 0;
        }
    }
    return 1;
}

static int sunset_fits(server_rec *s, apr_pool_t *p)
{
    for (; s; s = s->next) {
        const admin_conf_t *c = admin_conf(s);

        if (c->legacy_sunset != ADMIN_NO_DATE &&
            c->legacy_sunset < c->legacy_deprecation) {
            ap_log_error(
                APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
                RSLOG(0061) "%s: \"" DIR_SUNSET
                            " %s\" is before \"" DIR_DEPRECATION
                            " %s\": write the later day as " DIR_SUNSET
                            ", an endpoint ends after it is "
                            "deprecated (RFC 8594)",
                s->server_hostname ? s->server_hostname : "the main server",
                day(c->legacy_sunset, p), day(c->legacy_deprecation, p));
            return 0;
        }
    }
    return 1;
}

int admin_conf_check(apr_pool_t *p, server_rec *s)
{
    return sunset_fits(s, p) && tokens_revocable(s) ? OK
                                                    : rensei_http_conf_refuse();
}
