/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Questions to the configuration as a whole, for the check_config hook: what
 * one directive needs of another module can be refused there, where
 * `apachectl configtest` shows it, and not before (the order of the lines in
 * the file must not matter).
 */
#ifndef RENSEI_HTTP_CONF_H
#define RENSEI_HTTP_CONF_H

#include <httpd.h>
#include <http_config.h>

/** Is the directive anywhere in the tree, in whatever section?
 * @param tree ap_conftree
 * @param directive its name, in any case
 * @param arg what its first argument must be, in any case, the quotes it is
 *   written in not counted; NULL for any */
int rensei_http_conf_uses(const ap_directive_t *tree, const char *directive,
                          const char *arg);

/** Is the handler given to anything, by SetHandler or AddHandler? */
int rensei_http_conf_handler(const ap_directive_t *tree, const char *handler);

/** Does AuthType Bearer stand where it can apply to what the handler is given
 * to: anywhere in the same virtual host or outside of any; for what is outside,
 * in any virtual host as well? Sections merge by what a request asks for, so
 * that it stands in another one is no fault; that it is nowhere is. */
int rensei_http_conf_bearer(const ap_directive_t *tree, const char *handler);

/** Is there what a store needs: mod_dbd, and a DBDriver? If not, says at
 * start what to write, naming `who` needs it ("SetHandler rensei-token").
 * @return OK, or what rensei_http_conf_refuse gives, for the hook to return */
int rensei_http_conf_store(const ap_directive_t *tree, server_rec *s,
                           const char *who);

/** The same for mod_rensei_auth, which the other modules stand on. */
int rensei_http_conf_auth(server_rec *s, const char *who);

/** Is this a restart of a server that runs? */
int rensei_http_conf_running(void);

/** What a hook that checks the configuration returns when it has found, and
 * said, what is wrong: an error, which keeps httpd from starting; in a restart
 * OK, because there it would end the server that runs. What cannot be answered
 * then is answered 503. */
int rensei_http_conf_refuse(void);

#endif
