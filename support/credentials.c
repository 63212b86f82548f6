/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_inventory.h"

#include <string.h>

static const rensei_ctl_column_t columns[] = {{"ID", "credentialId"},
                                              {"Kind", "kind"},
                                              {"Type", "keyType"},
                                              {"Class", "class"},
                                              {"Name", "name"},
                                              {"Owner", "owner"},
                                              {"Status", "status"},
                                              {"Age (days)", "ageDays"},
                                              {"Last used", "lastUsedAt"},
                                              {"Unused (days)", "unusedDays"},
                                              {"Expires", "expiresAt"},
                                              {"In (days)", "expiresInDays"},
                                              {"Scopes", "scopes"},
                                              {NULL, NULL}};

static rensei_ctl_exit_e span_read(apr_int64_t *seconds, rensei_ctl_t *ctl,
                                   const char *name)
{
    const char *value = rensei_ctl_option(ctl, name);

    if (value && !rensei_span_parse(seconds, value)) {
        return rensei_ctl_usage(
            ctl, "--%s wants a span of time such as 45d, 12h or 90s.", name);
    }
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e filter_read(rensei_inventory_filter_t *out,
                                     rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc;

    out->limit = RENSEI_PAGE_MAX;
    out->without_owner = rensei_ctl_option(ctl, "without-owner") != NULL;
    out->cls = rensei_ctl_option(ctl, "class");
    if ((rc = span_read(&out->unused_for, ctl, "unused-for")) ==
        RENSEI_CTL_OK) {
        rc = span_read(&out->expiring_within, ctl, "expiring-within");
    }
    return rc;
}

static rensei_ctl_exit_e credentials(rensei_ctl_t *ctl)
{
    rensei_inventory_filter_t filter = {.cursor = NULL};
    json_t *rows = rensei_json_own(json_array(), ctl->p);
    rensei_inventory_page_t page;
    const char *org;
    rensei_ctl_exit_e rc = filter_read(&filter, ctl);

    if (rc != RENSEI_CTL_OK ||
        (rc = rensei_ctl_org_open(&org, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    do {
        if (rensei_inventory_list(&page, ctl->store, org, &filter, ctl->p,
                                  &ctl->err) != APR_SUCCESS) {
            return rensei_ctl_fail(ctl);
        }
        for (int i = 0; i < page.count; ++i) {
            json_array_append_new(
                rows, rensei_credential_json(&page.credential[i],
                                             rensei_store_now_ms(ctl->store),
                                             ctl->p));
        }
    } while ((filter.cursor = page.next_cursor) != NULL);
    return rensei_ctl_show_rows(ctl, json_incref(rows), "credentials", NULL,
                                columns);
}

static const rensei_ctl_option_t options[] = {
    {"org", "ORG", "the organisation, by id or name", 1},
    {"unused-for", "SPAN", "only what was not used for so long, such as 45d",
     0},
    {"expiring-within", "SPAN", "only what ends within so long, such as 14d",
     0},
    {"without-owner", NULL, "only what has no owner", 0},
    {"class", "CLASS", "only these: standing or minting", 0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_credentials_commands[] = {
    {"credentials", NULL, "List all credentials of an organisation",
     "Its clients and keys in one list, the newest first, with age, use, "
     "owner\n"
     "and end; without those that are revoked or have expired. What was never\n"
     "used is unused since it was created. A standing credential (a user or "
     "an\n"
     "org key) is itself sent with each call; a minting one (a client, a\n"
     "registration key) is exchanged for tokens that soon end. A SPAN is a\n"
     "number and d, h, m or s.\n"
     "\n"
     "Examples:\n"
     "  renseictl credentials --org acme --unused-for 45d\n"
     "  renseictl credentials --org acme --expiring-within 14d --json\n"
     "  renseictl credentials --org acme --class standing --without-owner\n",
     options, credentials},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
