/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_client.h"
#include "rensei_revocation.h"

#include <apr_strings.h>
#include <string.h>

static const rensei_ctl_column_t fields[] = {
    {"Client id", "clientId"},
    {"Client secret", "clientSecret"},
    {"Name", "name"},
    {"Description", "description"},
    {"Organisation", "orgId"},
    {"Workspace", "workspaceId"},
    {"Scopes", "scopes"},
    {"Owner", "owner"},
    {"Authentication", "tokenEndpointAuthMethod"},
    {"Audiences", "audiences"},
    {"Metadata", "trustedMetadata"},
    {"Token lifetime", "tokenLifetime"},
    {"Expires", "expiresAt"},
    {"Secret expires", "secretExpiresAt"},
    {"Created", "createdAt"},
    {"Secret in", "secretFile"},
    {NULL, NULL}};

static const rensei_ctl_column_t columns[] = {{"Client id", "clientId"},
                                              {"Name", "name"},
                                              {"Status", "status"},
                                              {"Owner", "owner"},
                                              {"Created", "createdAt"},
                                              {"Last used", "lastUsedAt"},
                                              {"Expires", "expiresAt"},
                                              {"Scopes", "scopes"},
                                              {NULL, NULL}};

static const rensei_ctl_column_t revoked_fields[] = {
    {"Client id", "clientId"}, {"Revoked", "revokedAt"}, {NULL, NULL}};

static const rensei_ctl_column_t tokens_fields[] = {
    {"Client id", "clientId"},
    {"Tokens revoked", "tokensRevokedAt"},
    {NULL, NULL}};

/* A file that waits for a secret which there will not be looks like one that
 * was lost. */
static rensei_ctl_exit_e secret_check(rensei_ctl_t *ctl)
{
    const char *method = rensei_ctl_option(ctl, "auth-method");

    if (method && !strcmp(method, RENSEI_AUTH_JWT) && ctl->secret_path) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED,
                              "--secret-file: a " RENSEI_AUTH_JWT
                              " client has no secret.");
    }
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e spec_make(rensei_client_spec_t *out, rensei_ctl_t *ctl)
{
    json_t *body;
    rensei_ctl_exit_e rc;

    if ((rc = secret_check(ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_client_body(&body, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_client_spec_read(out, body, 1, ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return RENSEI_CTL_OK;
}

/* @param secret NULL for a client that has none */
static rensei_ctl_exit_e show_new(rensei_ctl_t *ctl,
                                  const rensei_client_t *client,
                                  const char *secret)
{
    const char *shown;
    json_t *object;
    rensei_ctl_exit_e rc =
        rensei_ctl_secret_keep(&shown, ctl, secret,
                               apr_pstrcat(ctl->p, "revoke ", client->id,
                                           ", and make another client.", NULL));

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    object = rensei_client_json(client, shown, ctl->p);
    if (!shown) {
        json_object_set_new(object, "secretFile",
                            json_string(ctl->secret_path));
    }
    return rensei_ctl_show(ctl, object, fields);
}

static rensei_ctl_exit_e create(rensei_ctl_t *ctl)
{
    rensei_client_spec_t spec;
    rensei_vocab_t vocab;
    rensei_client_t client;
    const char *org, *secret;
    rensei_ctl_exit_e rc;

    if ((rc = rensei_ctl_vocab(&vocab, ctl)) != RENSEI_CTL_OK ||
        (rc = spec_make(&spec, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_org_open(&org, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_workspace_find(&spec.workspace, ctl, org)) !=
            RENSEI_CTL_OK) {
        return rc;
    }
    spec.set |= spec.workspace ? RENSEI_CLIENT_WORKSPACE : 0;
    if (rensei_client_create(&client, &secret, ctl->store, org, &spec, &vocab,
                             NULL, &ctl->actor, ctl->p,
                             &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return show_new(ctl, &client, secret);
}

static rensei_ctl_exit_e list(rensei_ctl_t *ctl)
{
    rensei_client_filter_t filter = {.limit = RENSEI_PAGE_MAX};
    json_t *rows = rensei_json_own(json_array(), ctl->p);
    rensei_client_page_t page;
    const char *org;
    rensei_ctl_exit_e rc = rensei_ctl_org_open(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    filter.status = rensei_ctl_option(ctl, "status");
    do {
        if (rensei_client_list(&page, ctl->store, org, &filter, ctl->p,
                               &ctl->err) != APR_SUCCESS) {
            return rensei_ctl_fail(ctl);
        }
        for (int i = 0; i < page.count; ++i) {
            json_array_append_new(
                rows, rensei_client_json(&page.client[i], NULL, ctl->p));
        }
    } while ((filter.cursor = page.next_cursor) != NULL);
    return rensei_ctl_show_rows(ctl, json_incref(rows), "clients", NULL,
                                columns);
}

/* Whoever found a leaked secret's client id knows it, and maybe not whose it
 * is: without --org the store is asked. */
rensei_ctl_exit_e rensei_ctl_client_org(const char **org, rensei_ctl_t *ctl)
{
    rensei_client_t client;
    rensei_ctl_exit_e rc;

    if (rensei_ctl_option(ctl, "org")) {
        return rensei_ctl_org_open(org, ctl);
    }
    if ((rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT)) !=
        RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_client_find(&client, ctl->store, ctl->arg, ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    *org = client.org;
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e revoke_client(rensei_ctl_t *ctl)
{
    rensei_client_t client;
    const char *org = NULL;
    rensei_ctl_exit_e rc = rensei_ctl_client_org(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_client_revoke(&client, ctl->store, org, ctl->arg,
                             rensei_ctl_option(ctl, "reason"), &ctl->actor,
                             ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl,
                           json_pack("{s:s, s:I}", "clientId", client.id,
                                     "revokedAt",
                                     (json_int_t)client.revoked_at),
                           revoked_fields);
}

static rensei_ctl_exit_e revoke_tokens(rensei_ctl_t *ctl)
{
    rensei_client_t client;
    const char *org = NULL;
    rensei_ctl_exit_e rc = rensei_ctl_client_org(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_client_revoke_tokens(&client, ctl->store, org, ctl->arg,
                                    &ctl->actor, ctl->p,
                                    &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl,
                           json_pack("{s:s, s:I}", "clientId", client.id,
                                     "tokensRevokedAt",
                                     (json_int_t)client.tokens_after),
                           tokens_fields);
}

static const rensei_ctl_option_t create_options[] = {
    {"org", "ORG", "the organisation, by id or name", RENSEI_CTL_REQUIRED},
    {"name", "NAME", "what it is for", RENSEI_CTL_REQUIRED},
    {"scopes", "\"A B\"", "its scopes, separated by spaces",
     RENSEI_CTL_REQUIRED},
    {"vocabulary", "\"A B\"",
     "the scopes there are, where the server has RenseiScopes", 0},
    {"description", "TEXT", "more about it", 0},
    {"owner", "WHO", "who answers for it", 0},
    {"workspace", "WS", "a workspace to bind it to, by id or name", 0},
    {"auth-method", "METHOD",
     "client_secret_basic, client_secret_post or private_key_jwt", 0},
    {"jwks", "FILE", "its public keys, a JSON Web Key Set (private_key_jwt)",
     0},
    {"audience", "AUD", "what its tokens can be asked for, beside the usual",
     RENSEI_CTL_REPEATS},
    {"metadata", "FILE", "a JSON object of facts for the server's RenseiClaims",
     0},
    {"lifetime", "SECONDS", "of its tokens; else the server's", 0},
    {"expires", "WHEN", "a time such as 2030-01-31T12:00:00Z, or 90d", 0},
    {"secret-expires", "TIME",
     "when its secret ends, unless rotated before; in the same way", 0},
    {"secret-file", "FILE", "write the secret there (0600), print the rest", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t list_options[] = {
    {"org", "ORG", "the organisation, by id or name", RENSEI_CTL_REQUIRED},
    {"status", "STATUS", "only these: active, inactive, expired, revoked", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t revoke_options[] = {
    {"org", "ORG", "its organisation; without, it is found by its id", 0},
    {"reason", "TEXT", "why, for the audit trail", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t id_options[] = {
    {"org", "ORG", "its organisation; without, it is found by its id", 0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_client_commands[] = {
    {"m2m-clients create", NULL, "Create a client, and print its secret once",
     "A client exchanges its id and secret for access tokens that have these\n"
     "scopes, or fewer. \"*\" is every scope that clients can have.\n"
     "\n"
     "Examples:\n"
     "  renseictl m2m-clients create --org acme --name ci \\\n"
     "      --scopes \"sessions:read sessions:write\"\n"
     "  renseictl m2m-clients create --org acme --name nightly --scopes '*' "
     "\\\n"
     "      --expires 90d --secret-file nightly.secret --json\n"
     "  renseictl m2m-clients create --org acme --name deploy \\\n"
     "      --scopes sessions:read --auth-method private_key_jwt \\\n"
     "      --jwks deploy.jwks --audience https://api.example.com/\n",
     create_options, create},
    {"m2m-clients list", NULL, "List the clients of an organisation",
     "Example:\n"
     "  renseictl m2m-clients list --org acme --status active\n",
     list_options, list},
    {"m2m-clients show", "ID", "Show a client, without what is secret",
     "Example:\n"
     "  renseictl m2m-clients show m2m_5f0c...\n",
     id_options, rensei_ctl_client_show},
    {"m2m-clients update", "ID", "Change or suspend a client",
     "What is not named stays. A gateway that runs on this store goes by it\n"
     "within a second: scopes that are taken away are gone from the tokens\n"
     "that it has.\n"
     "\n"
     "Examples:\n"
     "  renseictl m2m-clients update m2m_5f0c... --scopes sessions:read\n"
     "  renseictl m2m-clients update m2m_5f0c... --status inactive\n"
     "  renseictl m2m-clients update m2m_5f0c... --owner bob --no-expires\n",
     rensei_ctl_client_update_options, rensei_ctl_client_update},
    {"m2m-clients revoke", "ID", "Revoke a client for good",
     "Its tokens end with it: a gateway that runs on this store refuses them\n"
     "within a second.\n"
     "\n"
     "Example:\n"
     "  renseictl m2m-clients revoke m2m_5f0c... --reason \"left the team\"\n",
     revoke_options, revoke_client},
    {"m2m-clients revoke-tokens", "ID", "Revoke a client's tokens, not it",
     "Each token that it was given up to now ends; the client goes on, and\n"
     "gets new ones. A gateway on this store follows within a second.\n"
     "\n"
     "Example:\n"
     "  renseictl m2m-clients revoke-tokens m2m_5f0c...\n",
     id_options, revoke_tokens},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
