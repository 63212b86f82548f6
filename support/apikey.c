/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_apikey.h"

#include <apr_strings.h>
#include <string.h>

static const rensei_ctl_column_t fields[] = {{"ID", "keyId"},
                                             {"Token", "token"},
                                             {"Name", "name"},
                                             {"Type", "keyType"},
                                             {"Organisation", "orgId"},
                                             {"Workspace", "workspaceId"},
                                             {"Scopes", "scopes"},
                                             {"Owner", "owner"},
                                             {"User", "userId"},
                                             {"Expires", "expiresAt"},
                                             {"Uses at most", "maxUses"},
                                             {"Created", "createdAt"},
                                             {"Old one ends", "previousEndsAt"},
                                             {"Secret in", "secretFile"},
                                             {NULL, NULL}};

static const rensei_ctl_column_t columns[] = {
    {"ID", "keyId"},          {"Name", "name"},
    {"Type", "keyType"},      {"Status", "status"},
    {"Prefix", "prefix"},     {"Owner", "owner"},
    {"Created", "createdAt"}, {"Last used", "lastUsedAt"},
    {"Uses", "usageCount"},   {"Expires", "expiresAt"},
    {"Scopes", "scopes"},     {NULL, NULL}};

static const rensei_ctl_column_t shown_fields[] = {{"ID", "keyId"},
                                                   {"Name", "name"},
                                                   {"Type", "keyType"},
                                                   {"Status", "status"},
                                                   {"Prefix", "prefix"},
                                                   {"Organisation", "orgId"},
                                                   {"Workspace", "workspaceId"},
                                                   {"Scopes", "scopes"},
                                                   {"Owner", "owner"},
                                                   {"User", "userId"},
                                                   {"Created", "createdAt"},
                                                   {"Expires", "expiresAt"},
                                                   {"Last used", "lastUsedAt"},
                                                   {"From", "lastUsedIp"},
                                                   {"Uses", "usageCount"},
                                                   {"Uses at most", "maxUses"},
                                                   {"Revoked", "revokedAt"},
                                                   {NULL, NULL}};

static const rensei_ctl_column_t revoked_fields[] = {
    {"ID", "keyId"}, {"Revoked", "revokedAt"}, {NULL, NULL}};

/* The body that the admin API takes, so that both obey the same rules. */
static rensei_ctl_exit_e body_make(json_t **out, rensei_ctl_t *ctl)
{
    const char *type = rensei_ctl_option(ctl, "type");
    apr_int64_t expires = 0, max_uses = 0;
    rensei_ctl_exit_e rc;

    if ((rc = rensei_ctl_option_time(&expires, ctl, "expires", 1)) !=
            RENSEI_CTL_OK ||
        (rc = rensei_ctl_option_int(&max_uses, ctl, "max-uses", 1,
                                    APR_INT32_MAX)) != RENSEI_CTL_OK) {
        return rc;
    }
    *out = rensei_json_own(json_pack("{s:s?, s:s?, s:o}", "name",
                                     rensei_ctl_option(ctl, "name"), "keyType",
                                     type ? type : "org", "scopes",
                                     rensei_ctl_scopes_json(ctl)),
                           ctl->p);
    if (rensei_ctl_option(ctl, "owner")) {
        json_object_set_new(*out, "owner",
                            json_string(rensei_ctl_option(ctl, "owner")));
    }
    if (rensei_ctl_option(ctl, "user-id")) {
        json_object_set_new(*out, "userId",
                            json_string(rensei_ctl_option(ctl, "user-id")));
    }
    if (expires) {
        json_object_set_new(*out, "expiresAt",
                            json_string(rensei_time_iso(expires, ctl->p)));
    }
    if (max_uses) {
        json_object_set_new(*out, "maxUses", json_integer(max_uses));
    }
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e spec_make(rensei_apikey_spec_t *out, rensei_ctl_t *ctl)
{
    json_t *body;
    rensei_ctl_exit_e rc = body_make(&body, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_apikey_spec_read(out, body, ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_apikey_show(rensei_ctl_t *ctl,
                                         const rensei_apikey_t *key,
                                         const char *token, const char *lost)
{
    const char *shown;
    json_t *object;
    rensei_ctl_exit_e rc = rensei_ctl_secret_keep(&shown, ctl, token, lost);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    object = rensei_apikey_json(key, shown, ctl->p);
    if (!shown) {
        json_object_set_new(object, "secretFile",
                            json_string(ctl->secret_path));
    }
    return rensei_ctl_show(ctl, object, fields);
}

static rensei_ctl_exit_e create(rensei_ctl_t *ctl)
{
    rensei_apikey_spec_t spec;
    rensei_vocab_t vocab;
    rensei_apikey_t key;
    const char *org, *token;
    rensei_ctl_exit_e rc;

    if ((rc = rensei_ctl_vocab(&vocab, ctl)) != RENSEI_CTL_OK ||
        (rc = spec_make(&spec, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_org_open(&org, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_workspace_find(&spec.workspace, ctl, org)) !=
            RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_apikey_create(&key, &token, ctl->store, org, &spec, &vocab, NULL,
                             &ctl->actor, ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_apikey_show(ctl, &key, token,
                                  apr_pstrcat(ctl->p, "revoke ", key.id,
                                              ", and make another key.", NULL));
}

static rensei_ctl_exit_e list(rensei_ctl_t *ctl)
{
    rensei_apikey_filter_t filter = {.limit = RENSEI_PAGE_MAX};
    json_t *rows = rensei_json_own(json_array(), ctl->p);
    rensei_apikey_page_t page;
    const char *org;
    rensei_ctl_exit_e rc = rensei_ctl_org_open(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    filter.status = rensei_ctl_option(ctl, "status");
    do {
        if (rensei_apikey_list(&page, ctl->store, org, &filter, ctl->p,
                               &ctl->err) != APR_SUCCESS) {
            return rensei_ctl_fail(ctl);
        }
        for (int i = 0; i < page.count; ++i) {
            json_array_append_new(
                rows, rensei_apikey_json(&page.key[i], NULL, ctl->p));
        }
    } while ((filter.cursor = page.next_cursor) != NULL);
    return rensei_ctl_show_rows(ctl, json_incref(rows), "keys", NULL, columns);
}

/* Sets *baton to the organisation that has the key. */
static rensei_ctl_exit_e find_in(rensei_ctl_t *ctl, const char *org,
                                 void *baton)
{
    rensei_apikey_t key;

    if (rensei_apikey_get(&key, ctl->store, org, ctl->arg, ctl->p, &ctl->err) ==
        APR_SUCCESS) {
        *(const char **)baton = org;
        return RENSEI_CTL_OK;
    }
    return ctl->err.code == RENSEI_E_NOT_FOUND ? RENSEI_CTL_OK
                                               : rensei_ctl_fail(ctl);
}

/* Whoever found a leaked key's id knows it, and maybe not whose it is. */
rensei_ctl_exit_e rensei_ctl_apikey_org(const char **org, rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc;

    *org = NULL;
    if (rensei_ctl_option(ctl, "org")) {
        return rensei_ctl_org_open(org, ctl);
    }
    if ((rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT)) ==
            RENSEI_CTL_OK &&
        (rc = rensei_ctl_each_org(ctl, find_in, org)) == RENSEI_CTL_OK &&
        !*org) {
        rc = rensei_ctl_say(RENSEI_CTL_NOT_FOUND, "There is no key \"%s\".",
                            ctl->arg);
    }
    return rc;
}

static rensei_ctl_exit_e show_key(rensei_ctl_t *ctl)
{
    rensei_apikey_t key;
    const char *org = NULL;
    rensei_ctl_exit_e rc = rensei_ctl_apikey_org(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_apikey_get(&key, ctl->store, org, ctl->arg, ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl, rensei_apikey_json(&key, NULL, ctl->p),
                           shown_fields);
}

static rensei_ctl_exit_e revoke_key(rensei_ctl_t *ctl)
{
    rensei_apikey_t key;
    const char *org = NULL;
    rensei_ctl_exit_e rc = rensei_ctl_apikey_org(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_apikey_revoke(&key, ctl->store, org, ctl->arg,
                             rensei_ctl_option(ctl, "reason"), &ctl->actor,
                             ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl,
                           json_pack("{s:s, s:s}", "keyId", key.id, "revokedAt",
                                     rensei_time_iso(key.revoked_at, ctl->p)),
                           revoked_fields);
}

static const rensei_ctl_option_t create_options[] = {
    {"org", "ORG", "the organisation, by id or name", 1},
    {"name", "NAME", "what it is for", 1},
    {"type", "TYPE", "org (the default), user or worker_registration", 0},
    {"scopes", "\"A B\"", "its scopes, separated by spaces", 1},
    {"vocabulary", "\"A B\"",
     "the scopes there are, where the server has RenseiScopes", 0},
    {"owner", "WHO", "who answers for it; an org key needs one", 0},
    {"user-id", "ID", "whose it is; a user key needs one", 0},
    {"workspace", "WS", "a workspace to bind it to, by id or name", 0},
    {"expires", "WHEN", "a time such as 2030-01-31T12:00:00Z, or 90d", 0},
    {"max-uses", "N", "how many workers a registration key registers", 0},
    {"secret-file", "FILE", "write the key there (0600), print all but it", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t list_options[] = {
    {"org", "ORG", "the organisation, by id or name", 1},
    {"status", "STATUS", "only these: active, exhausted, expired or revoked",
     0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t show_options[] = {
    {"org", "ORG", "its organisation; without, all are looked through", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t revoke_options[] = {
    {"org", "ORG", "its organisation; without, all are looked through", 0},
    {"reason", "TEXT", "why, for the audit trail", 0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_apikey_commands[] = {
    {"org api-keys create", NULL, "Create an API key, and print it once",
     "A user key acts for one user, a worker_registration key (its only scope\n"
     "is workers:register) lets workers register, an org key administers the\n"
     "organisation over HTTP. \"*\" is every scope that its type can have.\n"
     "\n"
     "Examples:\n"
     "  renseictl org api-keys create --org acme --name admin --type org \\\n"
     "      --owner alice --scopes \"org:read org:write\"\n"
     "  renseictl org api-keys create --org acme --name runners \\\n"
     "      --type worker_registration --scopes workers:register \\\n"
     "      --expires 90d --max-uses 20 --secret-file runners.key\n",
     create_options, create},
    {"org api-keys list", NULL, "List the API keys of an organisation",
     "Keys are told apart by id, and by their first characters; the keys\n"
     "themselves are not stored.\n"
     "\n"
     "Example:\n"
     "  renseictl org api-keys list --org acme --status active\n",
     list_options, list},
    {"org api-keys show", "ID", "Show an API key, without what is secret",
     "Example:\n"
     "  renseictl org api-keys show key_01J...\n",
     show_options, show_key},
    {"org api-keys update", "ID", "Change an API key's name, owner or scopes",
     "A gateway that runs on this store goes by it within a second. What else\n"
     "a key is (its type, user, workspace, expiry) does not change.\n"
     "\n"
     "Example:\n"
     "  renseictl org api-keys update key_01J... --owner bob \\\n"
     "      --scopes org:read\n",
     rensei_ctl_apikey_update_options, rensei_ctl_apikey_update},
    {"org api-keys rotate", "ID", "Give an API key a new secret",
     "The key keeps its id, scopes and expiry. What was the key until now "
     "goes\n"
     "on for the grace, but no longer than the key itself; with --grace 0 it\n"
     "ends at once, and so does one whose grace still runs.\n"
     "\n"
     "Examples:\n"
     "  renseictl org api-keys rotate key_01J... --grace 7d \\\n"
     "      --secret-file ci.key\n"
     "  renseictl org api-keys rotate key_01J... --grace 0\n",
     rensei_ctl_apikey_rotate_options, rensei_ctl_apikey_rotate},
    {"org api-keys revoke", "ID", "Revoke an API key for good",
     "A gateway that runs on this store refuses it within a second. Give the\n"
     "id (key_...), never the key.\n"
     "\n"
     "Example:\n"
     "  renseictl org api-keys revoke key_01J... --reason \"in a build log\"\n",
     revoke_options, revoke_key},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
