/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_org.h"

#define WORKSPACES_AT_ONCE 200

static const rensei_ctl_column_t columns[] = {
    {"ID", "workspaceId"},     {"Name", "name"},         {"Status", "status"},
    {"Organisation", "orgId"}, {"Created", "createdAt"}, {NULL, NULL}};

static const rensei_ctl_option_t options[] = {
    {"org", "ORG", "the organisation, by id or name", 1},
    {NULL, NULL, NULL, 0}};

static rensei_ctl_exit_e create(rensei_ctl_t *ctl)
{
    rensei_workspace_t ws;
    const char *org;
    rensei_ctl_exit_e rc = rensei_ctl_org_open(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_workspace_create(&ws, ctl->store, org, ctl->arg, &ctl->actor,
                                ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl, rensei_workspace_json(&ws, ctl->p), columns);
}

static rensei_ctl_exit_e list(rensei_ctl_t *ctl)
{
    json_t *rows = rensei_json_own(json_array(), ctl->p);
    const char *org, *after = NULL;
    rensei_ctl_exit_e rc = rensei_ctl_org_open(&org, ctl);
    rensei_workspace_t *ws;
    int count;

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    do {
        if (rensei_workspace_list(&ws, &count, ctl->store, org, after,
                                  WORKSPACES_AT_ONCE, ctl->p,
                                  &ctl->err) != APR_SUCCESS) {
            return rensei_ctl_fail(ctl);
        }
        for (int i = 0; i < count; ++i) {
            json_array_append_new(rows, rensei_workspace_json(&ws[i], ctl->p));
            after = ws[i].name;
        }
    } while (count == WORKSPACES_AT_ONCE);
    return rensei_ctl_show_rows(ctl, json_incref(rows), "workspaces", NULL,
                                columns);
}

/* The workspace that the argument names, by id or name. */
static rensei_ctl_exit_e find(rensei_workspace_t *ws, rensei_ctl_t *ctl)
{
    const char *org;
    rensei_ctl_exit_e rc = rensei_ctl_org_open(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_workspace_get(ws, ctl->store, org, ctl->arg, ctl->p,
                             &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e set_status(rensei_ctl_t *ctl, const char *status)
{
    rensei_workspace_t ws;
    rensei_ctl_exit_e rc = find(&ws, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_workspace_set_status(&ws, ctl->store, ws.org, ws.id, status,
                                    &ctl->actor, ctl->p,
                                    &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl, rensei_workspace_json(&ws, ctl->p), columns);
}

static rensei_ctl_exit_e suspend(rensei_ctl_t *ctl)
{
    return set_status(ctl, "suspended");
}

static rensei_ctl_exit_e resume(rensei_ctl_t *ctl)
{
    return set_status(ctl, "active");
}

static const rensei_ctl_column_t removed_columns[] = {
    {"ID", "workspaceId"},
    {"Name", "name"},
    {"Organisation", "orgId"},
    {"Clients", "clients"},
    {"Keys", "keys"},
    {"Workers", "workers"},
    {"Revoked tokens", "revokedTokens"},
    {NULL, NULL}};

static rensei_ctl_exit_e delete (rensei_ctl_t *ctl)
{
    rensei_removed_t removed;
    rensei_workspace_t ws;
    json_t *shown;
    rensei_ctl_exit_e rc = find(&ws, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_workspace_delete(&removed, ctl->store, ws.org, ws.id,
                                rensei_ctl_option(ctl, "confirm"), &ctl->actor,
                                ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    shown = json_pack("{s:s, s:s, s:s}", "workspaceId", ws.id, "name", ws.name,
                      "orgId", ws.org);
    json_object_update_new(shown, rensei_removed_json(&removed));
    return rensei_ctl_show(ctl, shown, removed_columns);
}

static const rensei_ctl_option_t delete_options[] = {
    {"org", "ORG", "the organisation, by id or name", RENSEI_CTL_REQUIRED},
    {"confirm", "NAME", "the workspace's name, to be sure",
     RENSEI_CTL_REQUIRED},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_workspace_commands[] = {
    {"workspace create", "NAME", "Create a workspace in an organisation",
     "The name is unique in its organisation.\n"
     "\n"
     "Example:\n"
     "  renseictl workspace create --org acme default\n",
     options, create},
    {"workspace list", NULL, "List the workspaces of an organisation",
     "Example:\n"
     "  renseictl workspace list --org acme\n",
     options, list},
    {"workspace suspend", "WORKSPACE", "Switch a workspace off",
     "The clients, tokens, keys and workers that are bound to it stop, those\n"
     "of the rest of the organisation go on. \"workspace resume\" switches "
     "them\n"
     "on again. WORKSPACE is an id or a name.\n"
     "\n"
     "Example:\n"
     "  renseictl workspace suspend --org acme staging\n",
     options, suspend},
    {"workspace resume", "WORKSPACE", "Switch a suspended workspace on again",
     "WORKSPACE is an id or a name.\n"
     "\n"
     "Example:\n"
     "  renseictl workspace resume --org acme staging\n",
     options, resume},
    {"workspace delete", "WORKSPACE",
     "Delete a workspace and all that is bound to it",
     "Its clients, keys and workers are gone for good. It must be suspended\n"
     "first. What happened to them stays in the organisation's audit trail.\n"
     "\n"
     "Example:\n"
     "  renseictl workspace suspend --org acme staging\n"
     "  renseictl workspace delete --org acme staging --confirm staging\n",
     delete_options, delete},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
