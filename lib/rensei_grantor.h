/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What a grantor may do with credentials at all, before it is asked which
 * scopes are his to give (rensei_scope.h): nobody makes, changes or takes over
 * what reaches further than he does. An operator (NULL) may do all.
 */
#ifndef RENSEI_GRANTOR_H
#define RENSEI_GRANTOR_H

#include "rensei_scope.h"

/** May he administer clients? An org key may, and an M2M client's token, which
 * a server can be told to let in.
 * @return err FORBIDDEN */
apr_status_t rensei_grantor_clients(const rensei_grantor_t *by,
                                    rensei_err_t *err);

/** May he administer keys? An org key may, and nothing else: a key of another
 * type would reach past his vocabulary, and outlive him.
 * @return err FORBIDDEN */
apr_status_t rensei_grantor_keys(const rensei_grantor_t *by, rensei_err_t *err);

/** Whoever is bound to a workspace has to do with its credentials alone, not
 * with the organisation's own or another workspace's.
 * @param workspace the credential's, NULL: the organisation's own
 * @return err FORBIDDEN */
apr_status_t rensei_grantor_reaches(const rensei_grantor_t *by,
                                    const char *workspace, apr_pool_t *p,
                                    rensei_err_t *err);

/** Does he hold all that a credential of that class has? To be asked where
 * its secret is handed out. A scope that the vocabulary lacks is asked for as
 * well, as the secret is good in other virtual hosts, too, which may have it:
 * he has to hold it by its name, or `*`.
 * @return err FORBIDDEN */
apr_status_t rensei_grantor_holds(const rensei_grantor_t *by,
                                  const rensei_vocab_t *vocab,
                                  rensei_class_e cls,
                                  const rensei_scopes_t *scopes, apr_pool_t *p,
                                  rensei_err_t *err);

#endif
