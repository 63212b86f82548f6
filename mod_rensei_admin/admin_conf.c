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

    return c->m2m == 1;
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

int admin_conf_check(apr_pool_t *p, server_rec *s)
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
            return rensei_http_conf_refuse();
        }
    }
    return OK;
}
