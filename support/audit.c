/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

static const rensei_ctl_column_t columns[] = {
    {"Time", "at"},       {"Event", "event"}, {"Actor", "actor"},
    {"Target", "target"}, {"From", "ip"},     {"Details", "details"},
    {NULL, NULL}};

static rensei_ctl_exit_e filter_read(rensei_audit_filter_t *out,
                                     rensei_ctl_t *ctl)
{
    apr_int64_t limit = RENSEI_PAGE_DEFAULT;
    rensei_ctl_exit_e rc;

    if ((rc = rensei_ctl_option_int(&limit, ctl, "limit", 1,
                                    RENSEI_PAGE_MAX)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_option_time(&out->since, ctl, "since", -1)) !=
            RENSEI_CTL_OK ||
        (rc = rensei_ctl_option_time(&out->until, ctl, "until", -1)) !=
            RENSEI_CTL_OK) {
        return rc;
    }
    out->limit = (int)limit;
    out->event = rensei_ctl_option(ctl, "event");
    out->actor = rensei_ctl_option(ctl, "actor");
    out->target = rensei_ctl_option(ctl, "target");
    out->cursor = rensei_ctl_option(ctl, "cursor");
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e audit(rensei_ctl_t *ctl)
{
    rensei_audit_filter_t filter = {.limit = 0};
    rensei_event_page_t page;
    const char *org = RENSEI_AUDIT_SYSTEM_ORG;
    json_t *rows;
    rensei_ctl_exit_e rc = filter_read(&filter, ctl);

    if (rc == RENSEI_CTL_OK) {
        rc = rensei_ctl_option(ctl, "org")
                 ? rensei_ctl_trail_open(&org, ctl)
                 : rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);
    }
    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_audit_list(&page, ctl->store, org, &filter, ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    rows = json_array();
    for (int i = 0; i < page.count; ++i) {
        json_array_append_new(rows, rensei_event_json(&page.event[i], ctl->p));
    }
    return rensei_ctl_show_rows(ctl, rows, "events", page.next_cursor, columns);
}

static const rensei_ctl_option_t options[] = {
    {"org", "ORG", "an organisation's events; without, those of none", 0},
    {"event", "NAME", "only these, such as m2m.client_revoked", 0},
    {"actor", "ID", "only what this key, client or operator did", 0},
    {"target", "ID", "only what happened to this one", 0},
    {"since", "WHEN", "a time such as 2030-01-31T12:00:00Z, or 24h ago", 0},
    {"until", "WHEN", "the same; that moment is not included", 0},
    {"limit", "N", "at most so many, up to 500; else 50", 0},
    {"cursor", "CURSOR", "go on where the page before ended", 0},
    {NULL, NULL, NULL, 0}};

static const char help[] =
    "Without --org: the events that belong to no organisation, such as an\n"
    "attempt to log in as a client that does not exist. \"audit\" alone does\n"
    "the same as \"audit list\"; see also audit verify, export and prune.\n"
    "\n"
    "Examples:\n"
    "  renseictl audit --org acme --since 24h\n"
    "  renseictl audit --org acme --event m2m.auth_failed --json\n";

const rensei_ctl_command_t rensei_ctl_audit_commands[] = {
    {"audit", NULL, "Show the audit trail, the newest first", help, options,
     audit},
    {"audit list", NULL, "The same as \"audit\"", help, options, audit},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
