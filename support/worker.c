/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_worker.h"

#include <apr_strings.h>

static const rensei_ctl_column_t columns[] = {
    {"ID", "workerId"},         {"Hostname", "hostname"},
    {"Status", "status"},       {"Agents", "maxAgents"},
    {"Region", "region"},       {"Version", "version"},
    {"Created", "createdAt"},   {"Last seen", "lastSeenAt"},
    {"Registered by", "keyId"}, {NULL, NULL}};

static const rensei_ctl_column_t fields[] = {
    {"ID", "workerId"},
    {"Organisation", "orgId"},
    {"Workspace", "workspaceId"},
    {"Registered by", "keyId"},
    {"Hostname", "hostname"},
    {"Machine", "machineId"},
    {"Agents at most", "maxAgents"},
    {"Agents active", "activeAgentCount"},
    {"Version", "version"},
    {"Region", "region"},
    {"Capabilities", "capabilities"},
    {"Says of itself", "reportedStatus"},
    {"Status", "status"},
    {"Created", "createdAt"},
    {"Last seen", "lastSeenAt"},
    {"Revoked", "revokedAt"},
    {"Why", "revokeReason"},
    {NULL, NULL}};

static const rensei_ctl_column_t revoked_fields[] = {
    {"ID", "workerId"}, {"Revoked", "revokedAt"}, {NULL, NULL}};

static rensei_ctl_exit_e list(rensei_ctl_t *ctl)
{
    rensei_worker_filter_t filter = {.limit = RENSEI_PAGE_MAX};
    json_t *rows = rensei_json_own(json_array(), ctl->p);
    rensei_worker_page_t page;
    const char *org;
    rensei_ctl_exit_e rc = rensei_ctl_org_open(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    filter.hostname = rensei_ctl_option(ctl, "hostname");
    filter.key = rensei_ctl_option(ctl, "key");
    filter.region = rensei_ctl_option(ctl, "region");
    filter.status = rensei_ctl_option(ctl, "status");
    do {
        if (rensei_worker_list(&page, ctl->store, org, &filter, ctl->p,
                               &ctl->err) != APR_SUCCESS) {
            return rensei_ctl_fail(ctl);
        }
        for (int i = 0; i < page.count; ++i) {
            json_array_append_new(rows,
                                  rensei_worker_json(&page.worker[i], ctl->p));
        }
    } while ((filter.cursor = page.next_cursor) != NULL);
    return rensei_ctl_show_rows(ctl, json_incref(rows), "workers", NULL,
                                columns);
}

/* Whose worker it is: an id says nothing of the organisation. */
static rensei_ctl_exit_e find(rensei_worker_t *out, rensei_ctl_t *ctl)
{
    const char *org = NULL;
    apr_status_t rv;
    rensei_ctl_exit_e rc =
        rensei_ctl_option(ctl, "org")
            ? rensei_ctl_org_open(&org, ctl)
            : rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    rv = org ? rensei_worker_get(out, ctl->store, org, ctl->arg, ctl->p,
                                 &ctl->err)
             : rensei_worker_find(out, ctl->store, ctl->arg, ctl->p, &ctl->err);
    return rv == APR_SUCCESS ? RENSEI_CTL_OK : rensei_ctl_fail(ctl);
}

static rensei_ctl_exit_e show(rensei_ctl_t *ctl)
{
    rensei_worker_t worker;
    rensei_ctl_exit_e rc = find(&worker, ctl);

    return rc == RENSEI_CTL_OK
               ? rensei_ctl_show(ctl, rensei_worker_json(&worker, ctl->p),
                                 fields)
               : rc;
}

static rensei_ctl_exit_e revoke_worker(rensei_ctl_t *ctl)
{
    rensei_worker_t worker, ended;
    rensei_ctl_exit_e rc = find(&worker, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_worker_revoke(&ended, ctl->store, worker.org, worker.id,
                             rensei_ctl_option(ctl, "reason"), &ctl->actor,
                             ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl,
                           json_pack("{s:s, s:s}", "workerId", ended.id,
                                     "revokedAt",
                                     rensei_time_iso(ended.revoked_at, ctl->p)),
                           revoked_fields);
}

static const rensei_ctl_option_t list_options[] = {
    {"org", "ORG", "the organisation, by id or name", 1},
    {"hostname", "NAME", "only those of this host", 0},
    {"key", "ID", "only those that this key registered", 0},
    {"region", "NAME", "only those that said they are there", 0},
    {"status", "STATUS", "only these: active or revoked", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t show_options[] = {
    {"org", "ORG", "its organisation; another's worker is not found", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t revoke_options[] = {
    {"org", "ORG", "its organisation; another's worker is not found", 0},
    {"reason", "TEXT", "why, for the audit trail", 0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_worker_commands[] = {
    {"workers list", NULL, "List the workers of an organisation",
     "Daemons that registered with a registration key. \"Last seen\" is when\n"
     "one registered, or got its latest runtime token.\n"
     "\n"
     "Example:\n"
     "  renseictl workers list --org acme --status active\n",
     list_options, list},
    {"workers show", "ID", "Show a worker",
     "Example:\n"
     "  renseictl workers show wkr_01J...\n",
     show_options, show},
    {"workers revoke", "ID", "Revoke a worker for good",
     "A gateway that runs on this store refuses its runtime token within a\n"
     "second, and the machine (a daemon that gives a machineId) cannot\n"
     "register with the same key again. To end all workers of a key, revoke\n"
     "the key: \"renseictl org api-keys revoke\".\n"
     "\n"
     "Example:\n"
     "  renseictl workers revoke wkr_01J... --reason \"host retired\"\n",
     revoke_options, revoke_worker},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
