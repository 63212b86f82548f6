/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The end of an organisation or a workspace: that part of rensei_org.h.
 */
#include "rensei_field.h"
#include "rensei_id.h"
#include "rensei_org.h"

#include <string.h>

/* What is to go. */
typedef struct going_t {
    const char *what; /* for sentences */
    const char *org;
    const char *workspace; /* NULL: all of the organisation */
    const char *name, *status;
} going_t;

json_t *rensei_removed_json(const rensei_removed_t *r)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i}", "clients", r->clients, "keys",
                     r->keys, "workers", r->workers, "workspaces",
                     r->workspaces, "revokedTokens", r->revoked_tokens);
}

static apr_status_t fit_check(const going_t *g, const char *confirm,
                              apr_pool_t *p, rensei_err_t *err)
{
    if (strcmp(g->status, "suspended") != 0) {
        return rensei_err_setf(err, p, RENSEI_E_CONFLICT,
                               "The %s is active: suspend it first, and see "
                               "that nobody misses it.",
                               g->what);
    }
    if (confirm == NULL || strcmp(confirm, g->name) != 0) {
        return rensei_err_field(err, p, "confirm",
                                "confirm must be the name of the %s.", g->what);
    }
    return APR_SUCCESS;
}

/* Each table before those that it refers to. */
static apr_status_t contents_delete(rensei_removed_t *out, const going_t *g,
                                    rensei_store_t *st, apr_pool_t *p,
                                    rensei_err_t *err)
{
    const char *args[] = {g->org, g->workspace, g->workspace,
                          g->org, g->workspace, g->workspace};
    const struct {
        rensei_sql_e stmt;
        int *count;
    } steps[] = {{RENSEI_SQL_DELETE_REVOKED, &out->revoked_tokens},
                 {RENSEI_SQL_DELETE_WORKERS, &out->workers},
                 {RENSEI_SQL_DELETE_KEYS, &out->keys},
                 {RENSEI_SQL_DELETE_CLIENTS, &out->clients}};
    apr_status_t rv = APR_SUCCESS;
    size_t i;

    for (i = 0; rv == APR_SUCCESS && i < sizeof(steps) / sizeof(steps[0]);
         i++) {
        rv = rensei_store_exec(steps[i].count, st, steps[i].stmt, args, p, err);
    }
    return rv;
}

static apr_status_t itself_delete(rensei_removed_t *out, const going_t *g,
                                  rensei_store_t *st, apr_pool_t *p,
                                  rensei_err_t *err)
{
    const char *args[] = {g->org, g->workspace};
    apr_status_t rv;

    if (g->workspace) {
        return rensei_store_exec(&out->workspaces, st,
                                 RENSEI_SQL_WORKSPACE_DELETE, args, p, err);
    }
    rv = rensei_store_exec(&out->workspaces, st, RENSEI_SQL_DELETE_WORKSPACES,
                           args, p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_store_exec(NULL, st, RENSEI_SQL_ORG_DELETE, args, p, err);
    }
    return rv;
}

static apr_status_t all_delete(rensei_removed_t *out, const going_t *g,
                               rensei_store_t *st, const rensei_actor_t *actor,
                               apr_pool_t *p, rensei_err_t *err)
{
    const char *subject = g->workspace ? g->workspace : g->org;
    const char *event = g->workspace ? "workspace.deleted" : "org.deleted";
    apr_status_t rv = contents_delete(out, g, st, p, err);

    if (rv == APR_SUCCESS) {
        rv = itself_delete(out, g, st, p, err);
    }
    if (rv == APR_SUCCESS) {
        json_t *details = json_pack("{s:s, s:o}", "name", g->name, "removed",
                                    rensei_removed_json(out));

        rv = rensei_audit_change(st, event, g->org, actor, subject, details, p,
                                 err);
    }
    return rv;
}

/* Locked: what is added to it meanwhile waits, and then finds nothing. */
static apr_status_t org_hold(going_t *g, rensei_store_t *st, apr_pool_t *p,
                             rensei_err_t *err)
{
    rensei_org_t org = {0};
    apr_status_t rv =
        rensei_store_exec(NULL, st, RENSEI_SQL_ORG_LOCK, &g->org, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_org_get(&org, st, g->org, p, err);
    }
    if (rv == APR_SUCCESS) {
        g->name = org.name;
        g->status = org.status;
    }
    return rv;
}

static apr_status_t workspace_hold(going_t *g, rensei_store_t *st,
                                   apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {g->org, g->workspace};
    rensei_workspace_t ws = {0};
    apr_status_t rv =
        rensei_store_exec(NULL, st, RENSEI_SQL_WORKSPACE_LOCK, args, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_workspace_get(&ws, st, g->org, g->workspace, p, err);
    }
    if (rv == APR_SUCCESS) {
        g->name = ws.name;
        g->status = ws.status;
    }
    return rv;
}

static apr_status_t end(rensei_removed_t *out, going_t *g, rensei_store_t *st,
                        const char *confirm, const rensei_actor_t *actor,
                        apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv =
        g->workspace ? workspace_hold(g, st, p, err) : org_hold(g, st, p, err);

    if (rv == APR_SUCCESS) {
        rv = fit_check(g, confirm, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = all_delete(out, g, st, actor, p, err);
    }
    return rv;
}

static apr_status_t delete_once(rensei_removed_t *out, going_t *g,
                                rensei_store_t *st, const char *confirm,
                                const rensei_actor_t *actor, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv = rensei_store_begin(st, p, err);

    memset(out, 0, sizeof(*out));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = end(out, g, st, confirm, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

/* Once more where it failed: on PostgreSQL somebody may just have added to it
 * what was not there yet when the rest was deleted. */
static apr_status_t going_delete(rensei_removed_t *out, going_t *g,
                                 rensei_store_t *st, const char *confirm,
                                 const rensei_actor_t *actor, apr_pool_t *p,
                                 rensei_err_t *err)
{
    apr_status_t rv = delete_once(out, g, st, confirm, actor, p, err);

    return rv != APR_SUCCESS && err->code == RENSEI_E_UNAVAILABLE
               ? delete_once(out, g, st, confirm, actor, p, err)
               : rv;
}

apr_status_t rensei_org_delete(rensei_removed_t *out, rensei_store_t *st,
                               const char *org, const char *confirm,
                               const rensei_actor_t *actor, apr_pool_t *p,
                               rensei_err_t *err)
{
    going_t g = {.what = "organisation", .org = org};

    if (!rensei_id_valid(RENSEI_ID_ORG, org, strlen(org))) {
        return rensei_err_set(err, RENSEI_E_NOT_FOUND,
                              "There is no such organisation.");
    }
    return going_delete(out, &g, st, confirm, actor, p, err);
}

apr_status_t rensei_workspace_delete(rensei_removed_t *out, rensei_store_t *st,
                                     const char *org, const char *id,
                                     const char *confirm,
                                     const rensei_actor_t *actor, apr_pool_t *p,
                                     rensei_err_t *err)
{
    going_t g = {.what = "workspace", .org = org, .workspace = id};

    if (!rensei_id_valid(RENSEI_ID_ORG, org, strlen(org)) ||
        !rensei_id_valid(RENSEI_ID_WORKSPACE, id, strlen(id))) {
        return rensei_err_set(err, RENSEI_E_NOT_FOUND,
                              "There is no such workspace.");
    }
    return going_delete(out, &g, st, confirm, actor, p, err);
}
