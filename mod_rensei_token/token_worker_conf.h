/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The directives about workers: how long their runtime tokens live, what is in
 * them, and how often workers are told to call.
 */
#ifndef TOKEN_WORKER_CONF_H
#define TOKEN_WORKER_CONF_H

#include "rensei_scope.h"
#include "token_conf.h"

#define DIR_WORKER_LIFETIME "RenseiWorkerTokenLifetime"
#define DIR_WORKER_SCOPES "RenseiWorkerScopes"
#define DIR_WORKER_HEARTBEAT "RenseiWorkerHeartbeat"
#define DIR_WORKER_POLL "RenseiWorkerPoll"

/* For the table of commands. */
const char *token_worker_cmd_lifetime(cmd_parms *cmd, void *dir,
                                      const char *arg);
const char *token_worker_cmd_scopes(cmd_parms *cmd, void *dir, int argc,
                                    char *const argv[]);
const char *token_worker_cmd_heartbeat(cmd_parms *cmd, void *dir,
                                       const char *arg);
const char *token_worker_cmd_poll(cmd_parms *cmd, void *dir, const char *arg);

/** In the check_config hook, after that of mod_rensei_auth: refuses scopes
 * that are in no vocabulary, and sets what was not said.
 * @return 1, or 0 with all said in the log */
int token_worker_conf_check(server_rec *s);

/** What runtime tokens may do: RenseiWorkerScopes, or else of the default what
 * the virtual host's vocabulary has, as one who declares his own need not know
 * of workers. */
const rensei_scopes_t *token_worker_scopes(const token_conf_t *conf,
                                           const rensei_vocab_t *vocab,
                                           apr_pool_t *p);

#endif
