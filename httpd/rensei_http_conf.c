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

/* An AuthType that is an expression may be anything. */
static int has_expression(const ap_directive_t *tree)
{
    for (; tree; tree = tree->next) {
        if ((strcasecmp(tree->directive, "AuthType") == 0 && tree->args &&
             strstr(tree->args, "%{")) ||
            has_expression(tree->first_child)) {
            return 1;
        }
    }
    return 0;
}

/* One directive or section, without what follows. */
static int has_bearer(const ap_directive_t *d)
{
    ap_directive_t alone = *d;

    alone.next = NULL;
    return rensei_http_conf_uses(&alone, "AuthType", "Bearer") ||
           has_expression(&alone);
}

static int is_vhost(const ap_directive_t *d)
{
    return strcasecmp(d->directive, "<VirtualHost") == 0;
}

int rensei_http_conf_bearer(const ap_directive_t *tree, const char *handler)
{
    const ap_directive_t *d;
    int outside = 0, anywhere = 0;

    for (d = tree; d; d = d->next) {
        anywhere = anywhere || has_bearer(d);
        outside = outside || (!is_vhost(d) && has_bearer(d));
    }
    for (d = tree; d; d = d->next) {
        ap_directive_t alone = *d;

        alone.next = NULL;
        if (rensei_http_conf_handler(&alone, handler) &&
            !(is_vhost(d) ? outside || has_bearer(d) : anywhere)) {
            return 0;
        }
    }
    return 1;
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
