/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The directives that say what an organisation's own administrators are held
 * to in a virtual host (rensei_limits.h).
 */
#ifndef AUTH_LIMITS_H
#define AUTH_LIMITS_H

#include "auth_conf.h"

/** Functions of the table of directives; each takes "off". */
const char *auth_limits_age(cmd_parms *cmd, void *dir, const char *arg);
const char *auth_limits_lifetime(cmd_parms *cmd, void *dir, const char *arg);
const char *auth_limits_credentials(cmd_parms *cmd, void *dir, const char *arg);
const char *auth_limits_owner(cmd_parms *cmd, void *dir, int on);
const char *auth_limits_expiry(cmd_parms *cmd, void *dir, int on);

/** The limits of a virtual host, when all of its configuration is read. */
void auth_limits_set(rensei_limits_t *out, const auth_server_conf_t *conf);

#endif
