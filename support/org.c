/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_org.h"

#define ORGS_AT_ONCE 200

static const rensei_ctl_column_t columns[] = {{"ID", "orgId"},
                                              {"Name", "name"},
                                              {"Status", "status"},
                                              {"Created", "createdAt"},
                                              {NULL, NULL}};

static rensei_ctl_exit_e create(rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);
    rensei_org_t org;

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_org_create(&org, ctl->store, ctl->arg, &ctl->actor, ctl->p,
                          &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl, rensei_org_json(&org, ctl->p), columns);
}

static rensei_ctl_exit_e list(rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);
    json_t *rows = rensei_json_own(json_array(), ctl->p);
    const char *after = NULL;
    rensei_org_t *orgs;
    int count;

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    do {
        if (rensei_org_list(&orgs, &count, ctl->store, after, ORGS_AT_ONCE,
                            ctl->p, &ctl->err) != APR_SUCCESS) {
            return rensei_ctl_fail(ctl);
        }
        for (int i = 0; i < count; ++i) {
            json_array_append_new(rows, rensei_org_json(&orgs[i], ctl->p));
            after = orgs[i].name;
        }
    } while (count == ORGS_AT_ONCE);
    return rensei_ctl_show_rows(ctl, json_incref(rows), "orgs", NULL, columns);
}

static rensei_ctl_exit_e set_status(rensei_ctl_t *ctl, const char *status)
{
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);
    rensei_org_t org;

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_org_get(&org, ctl->store, ctl->arg, ctl->p, &ctl->err) !=
            APR_SUCCESS ||
        rensei_org_set_status(&org, ctl->store, org.id, status, &ctl->actor,
                              ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl, rensei_org_json(&org, ctl->p), columns);
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
    {"ID", "orgId"},
    {"Name", "name"},
    {"Clients", "clients"},
    {"Keys", "keys"},
    {"Workers", "workers"},
    {"Workspaces", "workspaces"},
    {"Revoked tokens", "revokedTokens"},
    {NULL, NULL}};

static rensei_ctl_exit_e delete (rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);
    rensei_removed_t removed;
    rensei_org_t org;
    json_t *shown;

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_org_get(&org, ctl->store, ctl->arg, ctl->p, &ctl->err) !=
            APR_SUCCESS ||
        rensei_org_delete(&removed, ctl->store, org.id,
                          rensei_ctl_option(ctl, "confirm"), &ctl->actor,
                          ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    shown = json_pack("{s:s, s:s}", "orgId", org.id, "name", org.name);
    json_object_update_new(shown, rensei_removed_json(&removed));
    return rensei_ctl_show(ctl, shown, removed_columns);
}

static const rensei_ctl_option_t delete_options[] = {
    {"confirm", "NAME", "the organisation's name, to be sure",
     RENSEI_CTL_REQUIRED},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_org_commands[] = {
    {"org create", "NAME", "Create an organisation",
     "Names are unique. Wherever an organisation is asked for, its id or its\n"
     "name will do.\n"
     "\n"
     "Example:\n"
     "  renseictl org create acme\n",
     NULL, create},
    {"org list", NULL, "List all organisations",
     "Example:\n"
     "  renseictl org list --json | jq -r '.orgs[].orgId'\n",
     NULL, list},
    {"org suspend", "ORG", "Switch an organisation off",
     "All its clients, tokens, keys and workers stop: a gateway that runs on\n"
     "this store refuses them within a second. Nothing is lost; \"org "
     "resume\"\n"
     "switches them on again. ORG is an id or a name.\n"
     "\n"
     "Example:\n"
     "  renseictl org suspend acme\n",
     NULL, suspend},
    {"org resume", "ORG", "Switch a suspended organisation on again",
     "ORG is an id or a name.\n"
     "\n"
     "Example:\n"
     "  renseictl org resume acme\n",
     NULL, resume},
    {"org delete", "ORG", "Delete an organisation and all that it has",
     "Its clients, keys, workers and workspaces are gone for good. It must be\n"
     "suspended first, for as long as it takes to know that nobody misses it.\n"
     "Its audit trail stays, and is read by its id (audit --org ORG_ID); that\n"
     "id is never given again, its name is free.\n"
     "\n"
     "Example:\n"
     "  renseictl org suspend acme\n"
     "  renseictl org delete acme --confirm acme\n",
     delete_options, delete},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
