/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_org.h"

#define WORKSPACES_AT_ONCE 200

static const rensei_ctl_column_t columns[] = {{"ID", "workspaceId"},
                                              {"Name", "name"},
                                              {"Organisation", "orgId"},
                                              {"Created", "createdAt"},
                                              {NULL, NULL}};

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
    {NULL, NULL, NULL, NULL, NULL, NULL}};
