/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What the configuration as a whole has to satisfy, which `apachectl
 * configtest` checks, and what is made of it then: each virtual host's policy
 * and keys.
 */
#ifndef AUTH_CHECK_H
#define AUTH_CHECK_H

#include <httpd.h>
#include <http_config.h>

/** Remembers a scope that a Require line names, to be looked up when all of
 * the configuration has been read; of an .htaccess file, looks it up.
 * @return NULL, or what is wrong */
const char *auth_check_note_scope(cmd_parms *cmd, const char *scope);

/** Notes that some Require line is ours. */
void auth_check_note_provider(cmd_parms *cmd);

/** Notes a line that accepts keys. */
void auth_check_note_key(cmd_parms *cmd);

/* hooks */
int auth_check_pre_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp);
int auth_check_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *main_server);
int auth_check_open_logs(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                         server_rec *main_server);
int auth_check_post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                           server_rec *main_server);

#endif
