/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_org.h"
#include "rensei_field.h"
#include "rensei_id.h"

#include <apr_strings.h>
#include <string.h>

#define NAME_MAX_BYTES 100

/* A name that reads as an id could stand in for another's. */
static apr_status_t name_check(const char *name, rensei_id_e type,
                               apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_field_needed("name", name, NAME_MAX_BYTES, p, err);

    if (rv == APR_SUCCESS && rensei_id_valid(type, name, strlen(name))) {
        rv = rensei_err_field(err, p, "name", "name must not be an id.");
    }
    return rv;
}

static apr_status_t no_org(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_NOT_FOUND,
                          "There is no such organisation.");
}

static apr_status_t no_workspace(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_NOT_FOUND,
                          "There is no such workspace.");
}

static apr_status_t name_taken(const char *what, apr_pool_t *p,
                               rensei_err_t *err)
{
    rensei_err_setf(err, p, RENSEI_E_CONFLICT,
                    "There is %s of that name already.", what);
    err->field = "name";
    return APR_EGENERAL;
}

static void org_read(rensei_org_t *out, const rensei_rows_t *rows, int i)
{
    out->id = rensei_rows_text(rows, i, 0);
    out->name = rensei_rows_text(rows, i, 1);
    out->status = rensei_rows_text(rows, i, 2);
    out->created_at = rensei_rows_int(rows, i, 3);
}

static void workspace_read(rensei_workspace_t *out, const rensei_rows_t *rows,
                           int i)
{
    out->id = rensei_rows_text(rows, i, 0);
    out->org = rensei_rows_text(rows, i, 1);
    out->name = rensei_rows_text(rows, i, 2);
    out->status = rensei_rows_text(rows, i, 3);
    out->created_at = rensei_rows_int(rows, i, 4);
}

static apr_status_t org_insert(const rensei_org_t *org, rensei_store_t *st,
                               const rensei_actor_t *actor, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *now = rensei_store_num(org->created_at, p);
    const char *args[] = {org->id, org->name, now, now};
    int changed;
    apr_status_t rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_ORG_INSERT, args, p, err);

    if (rv == APR_SUCCESS && changed == 0) {
        rv = name_taken("an organisation", p, err);
    }
    if (rv == APR_SUCCESS) {
        json_t *details = json_pack("{s:s}", "name", org->name);

        rv = rensei_audit_append(st, "org.created", org->id, actor, org->id,
                                 rensei_json_own(details, p), p, err);
    }
    return rv;
}

apr_status_t rensei_org_create(rensei_org_t *out, rensei_store_t *st,
                               const char *name, const rensei_actor_t *actor,
                               apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = name_check(name, RENSEI_ID_ORG, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_id_new(&out->id, RENSEI_ID_ORG, rensei_store_sys(st), p,
                           err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_store_begin(st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    out->name = apr_pstrdup(p, name);
    out->status = "active";
    out->created_at = rensei_store_now_ms(st);
    rv = org_insert(out, st, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

apr_status_t rensei_org_get(rensei_org_t *out, rensei_store_t *st,
                            const char *id_or_name, apr_pool_t *p,
                            rensei_err_t *err)
{
    int by_id = rensei_id_valid(RENSEI_ID_ORG, id_or_name, strlen(id_or_name));
    rensei_rows_t rows;
    rensei_err_t unfit;
    apr_status_t rv;

    if (rensei_field_filter("name", id_or_name, p, &unfit) != APR_SUCCESS) {
        return no_org(err);
    }
    rv = rensei_store_select(
        &rows, st, by_id ? RENSEI_SQL_ORG_BY_ID : RENSEI_SQL_ORG_BY_NAME,
        &id_or_name, p, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (rows.count == 0) {
        return no_org(err);
    }
    org_read(out, &rows, 0);
    return APR_SUCCESS;
}

/* PostgreSQL: the row refers to one that another transaction has taken away,
 * and whose end it waited for. The drivers give no code for that. */
apr_status_t rensei_org_store_end(rensei_store_t *st, apr_status_t rv,
                                  const char *org, apr_pool_t *p,
                                  rensei_err_t *err)
{
    rensei_org_t found;
    rensei_err_t second = {0};

    rv = rensei_store_end(st, rv, p, err);
    if (rv != APR_SUCCESS && err->code == RENSEI_E_UNAVAILABLE &&
        rensei_org_get(&found, st, org, p, &second) != APR_SUCCESS &&
        second.code == RENSEI_E_NOT_FOUND) {
        *err = second;
    }
    return rv;
}

static apr_status_t list_check(const char **after, int *limit, apr_pool_t *p,
                               rensei_err_t *err)
{
    *after = *after ? *after : "";
    *limit = *limit ? *limit : RENSEI_PAGE_DEFAULT;
    if (*limit < 1 || *limit > RENSEI_PAGE_MAX) {
        return rensei_err_field(err, p, "limit", "limit must be 1 to %d.",
                                RENSEI_PAGE_MAX);
    }
    return rensei_field_filter("after", *after, p, err);
}

apr_status_t rensei_org_list(rensei_org_t **out, int *count, rensei_store_t *st,
                             const char *after, int limit, apr_pool_t *p,
                             rensei_err_t *err)
{
    rensei_rows_t rows;
    int i;
    apr_status_t rv = list_check(&after, &limit, p, err);

    if (rv == APR_SUCCESS) {
        const char *args[] = {after, rensei_store_num(limit, p)};

        rv = rensei_store_select(&rows, st, RENSEI_SQL_ORG_LIST, args, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *count = rows.count;
    *out = apr_pcalloc(p, sizeof(**out) * rows.count + 1);
    for (i = 0; i < rows.count; i++) {
        org_read(&(*out)[i], &rows, i);
    }
    return APR_SUCCESS;
}

static apr_status_t org_status_set(rensei_org_t *out, rensei_store_t *st,
                                   const char *org, const char *status,
                                   const rensei_actor_t *actor, apr_pool_t *p,
                                   rensei_err_t *err)
{
    const char *args[] = {status, rensei_store_num(rensei_store_now_ms(st), p),
                          org, status};
    const char *event =
        strcmp(status, "active") == 0 ? "org.resumed" : "org.suspended";
    int changed;
    apr_status_t rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_ORG_STATUS, args, p, err);

    if (rv == APR_SUCCESS && changed) {
        rv = rensei_audit_change(st, event, org, actor, org, json_object(), p,
                                 err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_org_get(out, st, org, p, err);
    }
    return rv;
}

static const char *const statuses[] = {"active", "suspended", NULL};

apr_status_t rensei_org_set_status(rensei_org_t *out, rensei_store_t *st,
                                   const char *org, const char *status,
                                   const rensei_actor_t *actor, apr_pool_t *p,
                                   rensei_err_t *err)
{
    apr_status_t rv;

    if (!rensei_id_valid(RENSEI_ID_ORG, org, strlen(org))) {
        return no_org(err);
    }
    rv = rensei_field_choice("status", status, statuses, p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_store_begin(st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = org_status_set(out, st, org, status, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

static apr_status_t workspace_insert(const rensei_workspace_t *ws,
                                     rensei_store_t *st,
                                     const rensei_actor_t *actor, apr_pool_t *p,
                                     rensei_err_t *err)
{
    const char *args[] = {ws->id, ws->org, ws->name,
                          rensei_store_num(ws->created_at, p)};
    rensei_org_t org;
    int changed = 0;
    apr_status_t rv = rensei_org_get(&org, st, ws->org, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_store_exec(&changed, st, RENSEI_SQL_WORKSPACE_INSERT, args,
                               p, err);
    }
    if (rv == APR_SUCCESS && changed == 0) {
        rv = name_taken("a workspace", p, err);
    }
    if (rv == APR_SUCCESS) {
        json_t *details = json_pack("{s:s}", "name", ws->name);

        rv = rensei_audit_append(st, "workspace.created", ws->org, actor,
                                 ws->id, rensei_json_own(details, p), p, err);
    }
    return rv;
}

apr_status_t rensei_workspace_create(rensei_workspace_t *out,
                                     rensei_store_t *st, const char *org,
                                     const char *name,
                                     const rensei_actor_t *actor, apr_pool_t *p,
                                     rensei_err_t *err)
{
    apr_status_t rv;

    if (!rensei_id_valid(RENSEI_ID_ORG, org, strlen(org))) {
        return no_org(err);
    }
    rv = name_check(name, RENSEI_ID_WORKSPACE, p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_id_new(&out->id, RENSEI_ID_WORKSPACE, rensei_store_sys(st),
                           p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_store_begin(st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    out->org = apr_pstrdup(p, org);
    out->name = apr_pstrdup(p, name);
    out->status = "active";
    out->created_at = rensei_store_now_ms(st);
    rv = workspace_insert(out, st, actor, p, err);
    return rensei_org_store_end(st, rv, org, p, err);
}

apr_status_t rensei_workspace_get(rensei_workspace_t *out, rensei_store_t *st,
                                  const char *org, const char *id_or_name,
                                  apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {org, id_or_name};
    int by_id =
        rensei_id_valid(RENSEI_ID_WORKSPACE, id_or_name, strlen(id_or_name));
    rensei_rows_t rows;
    rensei_err_t unfit;
    apr_status_t rv;

    if (rensei_field_filter("org", org, p, &unfit) != APR_SUCCESS ||
        rensei_field_filter("name", id_or_name, p, &unfit) != APR_SUCCESS) {
        return no_workspace(err);
    }
    rv = rensei_store_select(&rows, st,
                             by_id ? RENSEI_SQL_WORKSPACE_BY_ID
                                   : RENSEI_SQL_WORKSPACE_BY_NAME,
                             args, p, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (rows.count == 0) {
        return no_workspace(err);
    }
    workspace_read(out, &rows, 0);
    return APR_SUCCESS;
}

apr_status_t rensei_workspace_list(rensei_workspace_t **out, int *count,
                                   rensei_store_t *st, const char *org,
                                   const char *after, int limit, apr_pool_t *p,
                                   rensei_err_t *err)
{
    rensei_rows_t rows;
    int i;
    apr_status_t rv = list_check(&after, &limit, p, err);

    if (rv == APR_SUCCESS) {
        const char *args[] = {org, after, rensei_store_num(limit, p)};

        rv = rensei_store_select(&rows, st, RENSEI_SQL_WORKSPACE_LIST, args, p,
                                 err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    *count = rows.count;
    *out = apr_pcalloc(p, sizeof(**out) * rows.count + 1);
    for (i = 0; i < rows.count; i++) {
        workspace_read(&(*out)[i], &rows, i);
    }
    return APR_SUCCESS;
}

const char *rensei_org_standing(const rensei_rows_t *rows, int row, int col)
{
    const char *standing = rensei_rows_text(rows, row, col);

    return strcmp(standing, "active") == 0 ? NULL : standing;
}

static apr_status_t workspace_status_set(rensei_workspace_t *out,
                                         rensei_store_t *st, const char *org,
                                         const char *id, const char *status,
                                         const rensei_actor_t *actor,
                                         apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {status, org, id, status};
    const char *event = strcmp(status, "active") == 0 ? "workspace.resumed"
                                                      : "workspace.suspended";
    int changed;
    apr_status_t rv = rensei_store_exec(
        &changed, st, RENSEI_SQL_WORKSPACE_STATUS, args, p, err);

    if (rv == APR_SUCCESS && changed) {
        rv = rensei_audit_change(st, event, org, actor, id, json_object(), p,
                                 err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_workspace_get(out, st, org, id, p, err);
    }
    return rv;
}

apr_status_t rensei_workspace_set_status(rensei_workspace_t *out,
                                         rensei_store_t *st, const char *org,
                                         const char *id, const char *status,
                                         const rensei_actor_t *actor,
                                         apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv;

    if (!rensei_id_valid(RENSEI_ID_ORG, org, strlen(org)) ||
        !rensei_id_valid(RENSEI_ID_WORKSPACE, id, strlen(id))) {
        return no_workspace(err);
    }
    rv = rensei_field_choice("status", status, statuses, p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_store_begin(st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = workspace_status_set(out, st, org, id, status, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

json_t *rensei_org_json(const rensei_org_t *org, apr_pool_t *p)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "orgId", org->id, "name",
                     org->name, "status", org->status, "createdAt",
                     rensei_answer_iso(org->created_at, p));
}

json_t *rensei_workspace_json(const rensei_workspace_t *ws, apr_pool_t *p)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "workspaceId", ws->id,
                     "orgId", ws->org, "name", ws->name, "status", ws->status,
                     "createdAt", rensei_answer_iso(ws->created_at, p));
}
