/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Organisations, the boundary that nothing crosses, and their workspaces.
 */
#ifndef RENSEI_ORG_H
#define RENSEI_ORG_H

#include "rensei_audit.h"

typedef struct rensei_org_t {
    const char *id;
    const char *name;
    const char *status; /* "active" or "suspended" */
    apr_int64_t created_at;
} rensei_org_t;

typedef struct rensei_workspace_t {
    const char *id;
    const char *org;
    const char *name;
    const char *status; /* "active" or "suspended" */
    apr_int64_t created_at;
} rensei_workspace_t;

/** Creates an organisation. Names are unique; 1 to 100 bytes of UTF-8 without
 * control characters. @return err CONFLICT naming `name` */
apr_status_t rensei_org_create(rensei_org_t *out, rensei_store_t *st,
                               const char *name, const rensei_actor_t *actor,
                               apr_pool_t *p, rensei_err_t *err);

/** By id or by name. @return err NOT_FOUND */
apr_status_t rensei_org_get(rensei_org_t *out, rensei_store_t *st,
                            const char *id_or_name, apr_pool_t *p,
                            rensei_err_t *err);

/** Ends the transaction that adds something to an organisation, as
 * rensei_store_end does; where it failed because the organisation was deleted
 * at the same time, err is NOT_FOUND. */
apr_status_t rensei_org_store_end(rensei_store_t *st, apr_status_t rv,
                                  const char *org, apr_pool_t *p,
                                  rensei_err_t *err);

/** All, by name, from after `after` (NULL: the start), at most limit. */
apr_status_t rensei_org_list(rensei_org_t **out, int *count, rensei_store_t *st,
                             const char *after, int limit, apr_pool_t *p,
                             rensei_err_t *err);

/** Switches an organisation off ("suspended") or on ("active"): its
 * credentials stop at once, or go on. Idempotent. Event
 * org.suspended / org.resumed, and a change of the organisation's id. */
apr_status_t rensei_org_set_status(rensei_org_t *out, rensei_store_t *st,
                                   const char *org, const char *status,
                                   const rensei_actor_t *actor, apr_pool_t *p,
                                   rensei_err_t *err);

/** Creates a workspace; the name is unique in its organisation. */
apr_status_t rensei_workspace_create(rensei_workspace_t *out,
                                     rensei_store_t *st, const char *org,
                                     const char *name,
                                     const rensei_actor_t *actor, apr_pool_t *p,
                                     rensei_err_t *err);

apr_status_t rensei_workspace_get(rensei_workspace_t *out, rensei_store_t *st,
                                  const char *org, const char *id_or_name,
                                  apr_pool_t *p, rensei_err_t *err);

apr_status_t rensei_workspace_list(rensei_workspace_t **out, int *count,
                                   rensei_store_t *st, const char *org,
                                   const char *after, int limit, apr_pool_t *p,
                                   rensei_err_t *err);

/** As rensei_org_set_status, of a workspace: what is bound to it stops, or
 * goes on. Events workspace.suspended / workspace.resumed, and a change of
 * the workspace's id. */
apr_status_t rensei_workspace_set_status(rensei_workspace_t *out,
                                         rensei_store_t *st, const char *org,
                                         const char *id, const char *status,
                                         const rensei_actor_t *actor,
                                         apr_pool_t *p, rensei_err_t *err);

/** How much went with an organisation or a workspace. */
typedef struct rensei_removed_t {
    int clients, keys, workers, workspaces, revoked_tokens;
} rensei_removed_t;

/** Deletes a suspended organisation with all that it has, for good: clients,
 * keys, workers, workspaces, in one transaction. What stays is its audit
 * trail, by its id, with a last event org.deleted that has its name and how
 * much was removed; and a change of its id, so that no gateway uses what it
 * had cached. No id is ever given twice, its name is free again.
 * @param confirm its name: an id is easily mistaken
 * @return err CONFLICT while it is active, INVALID_REQUEST naming confirm,
 *   NOT_FOUND */
apr_status_t rensei_org_delete(rensei_removed_t *out, rensei_store_t *st,
                               const char *org, const char *confirm,
                               const rensei_actor_t *actor, apr_pool_t *p,
                               rensei_err_t *err);

/** As rensei_org_delete, of a workspace: with the clients and keys that are
 * bound to it, and their workers. Event workspace.deleted in the
 * organisation's trail, a change of the workspace's id. */
apr_status_t rensei_workspace_delete(rensei_removed_t *out, rensei_store_t *st,
                                     const char *org, const char *id,
                                     const char *confirm,
                                     const rensei_actor_t *actor, apr_pool_t *p,
                                     rensei_err_t *err);

/** As the event has it; a new reference. */
json_t *rensei_removed_json(const rensei_removed_t *r);

/** What is suspended of what a credential belongs to, as its row says:
 * "organisation" or "workspace"; NULL where both are active, or it has no
 * workspace. */
const char *rensei_org_standing(const rensei_rows_t *rows, int row, int col);

json_t *rensei_org_json(const rensei_org_t *org, apr_pool_t *p);
json_t *rensei_workspace_json(const rensei_workspace_t *ws, apr_pool_t *p);

#endif
