/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_conf.h"
#include "rensei_http_log.h"

#include <http_core.h>

#include <string.h>
#include <strings.h>

/* Not ap_getword_conf: it copies into a pool for each line of the tree. */
static int first_arg_is(const char *args, const char *want)
{
    const char *word = args + strspn(args, " \t");
    const char stop[] = {*word, '\0'};
    apr_size_t n;

    if (*word == '"' || *word == '\'') {
        word++;
        n = strcspn(word, stop);
    }
    else {
        n = strcspn(word, " \t");
    }
    return n == strlen(want) && strncasecmp(word, want, n) == 0;
}

int rensei_http_conf_uses(const ap_directive_t *tree, const char *directive,
                          const char *arg)
{
    for (; tree; tree = tree->next) {
        if (strcasecmp(tree->directive, directive) == 0 &&
            (!arg || (tree->args && first_arg_is(tree->args, arg)))) {
            return 1;
        }
        if (rensei_http_conf_uses(tree->first_child, directive, arg)) {
            return 1;
        }
    }
    return 0;
}

int rensei_http_conf_handler(const ap_directive_t *tree, const char *handler)
{
    return rensei_http_conf_uses(tree, "SetHandler", handler) ||
           rensei_http_conf_uses(tree, "AddHandler", handler);
}

int rensei_http_conf_store(const ap_directive_t *tree, server_rec *s,
                           const char *who)
{
    if (!ap_find_linked_module("mod_dbd.c")) {
        ap_log_error(
            RSLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
            RSLOG(0103) "%s needs a store, and mod_dbd is not "
                        "loaded: add \"LoadModule dbd_module "
                        "modules/mod_dbd.so\" (on Debian: a2enmod dbd)",
            who);
        return rensei_http_conf_refuse();
    }
    if (!rensei_http_conf_uses(tree, "DBDriver", NULL)) {
        ap_log_error(
            RSLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
            RSLOG(0104) "%s needs a store, and none is configured: "
                        "add \"DBDriver sqlite3\" and \"DBDParams "
                        "/var/lib/rensei/store.db\" (or \"DBDriver pgsql\" and "
                        "\"DBDParams host=... dbname=...\")",
            who);
        return rensei_http_conf_refuse();
    }
    return OK;
}

int rensei_http_conf_auth(server_rec *s, const char *who)
{
    if (!ap_find_linked_module("mod_rensei_auth.c")) {
        ap_log_error(RSLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
                     RSLOG(0105) "%s needs mod_rensei_auth, which is not "
                                 "loaded: add \"LoadModule rensei_auth_module "
                                 "modules/mod_rensei_auth.so\"",
                     who);
        return rensei_http_conf_refuse();
    }
    return OK;
}

int rensei_http_conf_running(void)
{
    return ap_state_query(AP_SQ_CONFIG_GEN) > 1;
}

int rensei_http_conf_refuse(void)
{
    return rensei_http_conf_running() ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
