/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_grantor.h"

#include <string.h>

apr_status_t rensei_grantor_clients(const rensei_grantor_t *by,
                                    rensei_err_t *err)
{
    if (by && by->cls != RENSEI_CLASS_ORG && by->cls != RENSEI_CLASS_M2M) {
        return rensei_err_set(err, RENSEI_E_FORBIDDEN,
                              "Only a key of type org can administer clients.");
    }
    return APR_SUCCESS;
}

apr_status_t rensei_grantor_keys(const rensei_grantor_t *by, rensei_err_t *err)
{
    if (by && by->cls != RENSEI_CLASS_ORG) {
        return rensei_err_set(err, RENSEI_E_FORBIDDEN,
                              "Only a key of type org can administer keys.");
    }
    return APR_SUCCESS;
}

apr_status_t rensei_grantor_reaches(const rensei_grantor_t *by,
                                    const char *workspace, apr_pool_t *p,
                                    rensei_err_t *err)
{
    if (by == NULL || by->workspace == NULL ||
        (workspace && strcmp(workspace, by->workspace) == 0)) {
        return APR_SUCCESS;
    }
    return rensei_err_setf(err, p, RENSEI_E_FORBIDDEN,
                           "You are bound to the workspace %s, and so is all "
                           "that you make or change: its workspaceId must be "
                           "this one.",
                           by->workspace);
}

/* Does he hold a scope that the vocabulary lacks? Another virtual host of the
 * same store may have it, and this one again some day. */
static int holds_unknown(const rensei_grantor_t *by, rensei_class_e cls,
                         rensei_str_t scope)
{
    return by == NULL || rensei_scopes_has(&by->held, scope) ||
           (rensei_scopes_has(&by->held, RENSEI_STR("*")) &&
            (by->cls == RENSEI_CLASS_ORG || by->cls == cls));
}

apr_status_t rensei_grantor_holds(const rensei_grantor_t *by,
                                  const rensei_vocab_t *vocab,
                                  rensei_class_e cls,
                                  const rensei_scopes_t *scopes, apr_pool_t *p,
                                  rensei_err_t *err)
{
    rensei_str_t *known =
        apr_palloc(p, (apr_size_t)(scopes->count + 1) * sizeof(*known));
    rensei_scopes_t want = {0, known};
    int i;

    for (i = 0; i < scopes->count; i++) {
        rensei_str_t scope = scopes->scope[i];

        if (rensei_str_eq(scope, RENSEI_STR("*")) ||
            rensei_vocab_has(vocab, cls, scope)) {
            known[want.count++] = scope;
        }
        else if (!holds_unknown(by, cls, scope)) {
            return rensei_err_setf(err, p, RENSEI_E_FORBIDDEN,
                                   "The scope '%.*s', which is not in the "
                                   "vocabulary here, is not yours to give: "
                                   "take it from the credential first.",
                                   (int)scope.n, scope.p);
        }
    }
    return rensei_scopes_assignable(vocab, cls, &want, by, p, err);
}
