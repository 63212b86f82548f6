/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Group commit: the tokens that threads of this process are about to give
 * away at the same time are recorded in one transaction. Whoever comes first
 * leads: it begins the transaction, takes in all that have come meanwhile,
 * and commits for them; who comes later waits for the next one. So a lone
 * request waits for nobody, and a hundred wait for two commits at the most.
 */
#ifndef TOKEN_GROUP_H
#define TOKEN_GROUP_H

#include "rensei_issuance.h"

#include <httpd.h>

typedef struct token_group_t token_group_t;

/** One for each virtual host, as each has its store; before there are
 * threads. */
token_group_t *token_group_create(apr_pool_t *p);

/** Records it: durable, or stale, when this returns APR_SUCCESS. The caller
 * must not hold a connection of the store: the one that leads takes one.
 * @return err UNAVAILABLE */
apr_status_t token_group_record(token_group_t *group,
                                rensei_issuance_t *issuance, request_rec *r,
                                rensei_err_t *err);

#endif
