/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_limits.h"
#include "rensei_client.h"
#include "rensei_json.h"

#include <apr_strings.h>
#include <strings.h>

#define CREDENTIALS_MAX APR_INT64_C(1000000000)

static int is_off(const char *arg)
{
    return strcasecmp(arg, "off") == 0;
}

/* Off is 0, so that a virtual host can take back what the server says. */
const char *auth_limits_age(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    apr_int64_t n = 0;

    if (wrong) {
        return wrong;
    }
    if (!is_off(arg) && !rensei_duration_parse(&n, arg, strlen(arg))) {
        return apr_psprintf(cmd->pool,
                            "%s takes how old a key may become, such as 90d "
                            "or 12h, at most 3650d, or 'off', not '%s'",
                            cmd->cmd->name, arg);
    }
    auth_server_conf(cmd->server)->limit_age = n;
    return NULL;
}

const char *auth_limits_lifetime(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    apr_int64_t n = 0;

    if (wrong) {
        return wrong;
    }
    if (!is_off(arg) && (!rensei_duration_parse(&n, arg, strlen(arg)) ||
                         n < RENSEI_LIFETIME_MIN || n > RENSEI_LIFETIME_MAX)) {
        return apr_psprintf(cmd->pool,
                            "%s takes seconds, or a time such as 15m or 1h, "
                            "from %d seconds to %d, or 'off', not '%s'",
                            cmd->cmd->name, RENSEI_LIFETIME_MIN,
                            RENSEI_LIFETIME_MAX, arg);
    }
    auth_server_conf(cmd->server)->limit_lifetime = n;
    return NULL;
}

const char *auth_limits_credentials(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    apr_int64_t n = 0;

    if (wrong) {
        return wrong;
    }
    if (!is_off(arg) &&
        !rensei_int_parse(&n, arg, strlen(arg), 1, CREDENTIALS_MAX)) {
        return apr_psprintf(
            cmd->pool,
            "%s takes a number of clients and keys, 1 to %" APR_INT64_T_FMT
            ", or 'off', not '%s'",
            cmd->cmd->name, CREDENTIALS_MAX, arg);
    }
    auth_server_conf(cmd->server)->limit_credentials = n;
    return NULL;
}

const char *auth_limits_owner(cmd_parms *cmd, void *dir, int on)
{
    auth_server_conf(cmd->server)->require_owner = on;
    return ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
}

const char *auth_limits_expiry(cmd_parms *cmd, void *dir, int on)
{
    auth_server_conf(cmd->server)->require_expiry = on;
    return ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
}

/* Not said is no limit. */
void auth_limits_set(rensei_limits_t *out, const auth_server_conf_t *conf)
{
    out->key_age = conf->limit_age > 0 ? conf->limit_age * 1000 : 0;
    out->token_lifetime = conf->limit_lifetime > 0 ? conf->limit_lifetime : 0;
    out->credentials =
        conf->limit_credentials > 0 ? conf->limit_credentials : 0;
    out->owner = conf->require_owner > 0;
    out->expiry = conf->require_expiry > 0;
}
