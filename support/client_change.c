/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_client.h"

#include <apr_strings.h>

static const rensei_ctl_column_t fields[] = {
    {"Client id", "clientId"},
    {"Name", "name"},
    {"Description", "description"},
    {"Status", "status"},
    {"Organisation", "orgId"},
    {"Workspace", "workspaceId"},
    {"Scopes", "scopes"},
    {"Owner", "owner"},
    {"Authentication", "tokenEndpointAuthMethod"},
    {"Audiences", "audiences"},
    {"Metadata", "trustedMetadata"},
    {"Token lifetime", "tokenLifetime"},
    {"Secret ends in", "secretLast4"},
    {"Secret expires", "secretExpiresAt"},
    {"Next secret ends in", "nextSecretLast4"},
    {"Expires", "expiresAt"},
    {"Created", "createdAt"},
    {"Updated", "updatedAt"},
    {"Last used", "lastUsedAt"},
    {"Revoked", "revokedAt"},
    {NULL, NULL}};

/* ---- the body of a creation, and of a change ---- */

/* What there is an option to take away; in a change, null does that. */
static const struct {
    const char *option, *without, *member;
} removable[] = {{"description", "no-description", "description"},
                 {"owner", "no-owner", "owner"},
                 {"metadata", "no-metadata", "trustedMetadata"},
                 {"lifetime", "no-lifetime", "tokenLifetime"},
                 {"expires", "no-expires", "expiresAt"},
                 {"secret-expires", "no-secret-expires", "secretExpiresAt"}};

static void set_text(json_t *body, const char *member, const char *value)
{
    if (value) {
        json_object_set_new(body, member, json_string(value));
    }
}

static void set_int(json_t *body, const char *member, apr_int64_t value)
{
    if (value) {
        json_object_set_new(body, member, json_integer(value));
    }
}

static rensei_ctl_exit_e set_numbers(json_t *body, rensei_ctl_t *ctl)
{
    apr_int64_t expires = 0, secret_expires = 0, lifetime = 0;
    rensei_ctl_exit_e rc;

    if ((rc = rensei_ctl_option_time(&expires, ctl, "expires", 1)) !=
            RENSEI_CTL_OK ||
        (rc = rensei_ctl_option_time(&secret_expires, ctl, "secret-expires",
                                     1)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_option_int(&lifetime, ctl, "lifetime",
                                    RENSEI_LIFETIME_MIN,
                                    RENSEI_LIFETIME_MAX)) != RENSEI_CTL_OK) {
        return rc;
    }
    set_int(body, "tokenLifetime", lifetime);
    set_int(body, "expiresAt", expires);
    set_int(body, "secretExpiresAt", secret_expires);
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e set_files(json_t *body, rensei_ctl_t *ctl)
{
    json_t *jwks = NULL, *metadata = NULL;
    rensei_ctl_exit_e rc;

    if ((rc = rensei_ctl_option_json(&jwks, ctl, "jwks")) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_option_json(&metadata, ctl, "metadata")) !=
            RENSEI_CTL_OK) {
        return rc;
    }
    if (jwks) {
        json_object_set(body, "jwks", jwks);
    }
    if (metadata) {
        json_object_set(body, "trustedMetadata", metadata);
    }
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e set_removed(json_t *body, rensei_ctl_t *ctl)
{
    for (size_t i = 0; i < sizeof(removable) / sizeof(removable[0]); ++i) {
        if (!rensei_ctl_option(ctl, removable[i].without)) {
            continue;
        }
        if (rensei_ctl_option(ctl, removable[i].option)) {
            return rensei_ctl_usage(ctl, "--%s and --%s exclude each other.",
                                    removable[i].option, removable[i].without);
        }
        json_object_set_new(body, removable[i].member, json_null());
    }
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_client_body(json_t **out, rensei_ctl_t *ctl)
{
    json_t *audiences = rensei_ctl_option_all(ctl, "audience");
    rensei_ctl_exit_e rc;

    *out = rensei_json_own(json_object(), ctl->p);
    set_text(*out, "name", rensei_ctl_option(ctl, "name"));
    set_text(*out, "description", rensei_ctl_option(ctl, "description"));
    set_text(*out, "owner", rensei_ctl_option(ctl, "owner"));
    set_text(*out, "status", rensei_ctl_option(ctl, "status"));
    set_text(*out, "tokenEndpointAuthMethod",
             rensei_ctl_option(ctl, "auth-method"));
    if (rensei_ctl_option(ctl, "scopes")) {
        json_object_set_new(*out, "scopes", rensei_ctl_scopes_json(ctl));
    }
    if (audiences) {
        json_object_set_new(*out, "audiences", audiences);
    }
    if ((rc = set_numbers(*out, ctl)) != RENSEI_CTL_OK ||
        (rc = set_files(*out, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    return set_removed(*out, ctl);
}

/* ---- show, update ---- */

rensei_ctl_exit_e rensei_ctl_client_show(rensei_ctl_t *ctl)
{
    rensei_client_t client;
    const char *org = NULL;
    rensei_ctl_exit_e rc = rensei_ctl_client_org(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_client_get(&client, ctl->store, org, ctl->arg, ctl->p,
                          &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl, rensei_client_json(&client, NULL, ctl->p),
                           fields);
}

static rensei_ctl_exit_e patch_make(rensei_client_spec_t *out,
                                    rensei_ctl_t *ctl)
{
    json_t *body;
    rensei_ctl_exit_e rc = rensei_ctl_client_body(&body, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (json_object_size(body) == 0) {
        return rensei_ctl_usage(ctl, "Say what to change.");
    }
    if (rensei_client_spec_read(out, body, 0, ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_client_update(rensei_ctl_t *ctl)
{
    rensei_client_spec_t patch;
    rensei_client_t client;
    rensei_vocab_t vocab;
    const char *org = NULL;
    rensei_ctl_exit_e rc;

    if ((rc = patch_make(&patch, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_vocab(&vocab, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_client_org(&org, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_client_update(&client, ctl->store, org, ctl->arg, &patch, &vocab,
                             NULL, &ctl->actor, ctl->p,
                             &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl, rensei_client_json(&client, NULL, ctl->p),
                           fields);
}

const rensei_ctl_option_t rensei_ctl_client_update_options[] = {
    {"org", "ORG", "its organisation; without, it is found by its id", 0},
    {"name", "NAME", "what it is for", 0},
    {"status", "STATUS", "inactive suspends it, active lets it go on", 0},
    {"scopes", "\"A B\"", "its scopes from now on, separated by spaces", 0},
    {"vocabulary", "\"A B\"",
     "the scopes there are, where the server has RenseiScopes", 0},
    {"description", "TEXT", "more about it", 0},
    {"no-description", NULL, "none", 0},
    {"owner", "WHO", "who answers for it", 0},
    {"no-owner", NULL, "nobody", 0},
    {"auth-method", "METHOD",
     "client_secret_basic, client_secret_post or private_key_jwt", 0},
    {"jwks", "FILE", "its public keys, all of them (private_key_jwt)", 0},
    {"audience", "AUD", "what its tokens can be asked for: all of them",
     RENSEI_CTL_REPEATS},
    {"metadata", "FILE", "a JSON object of facts for the server's RenseiClaims",
     0},
    {"no-metadata", NULL, "none", 0},
    {"lifetime", "SECONDS", "of its tokens", 0},
    {"no-lifetime", NULL, "the server's", 0},
    {"expires", "WHEN", "a time such as 2030-01-31T12:00:00Z, or 90d", 0},
    {"no-expires", NULL, "it has no end", 0},
    {"secret-expires", "TIME", "when its secret ends; in the same way", 0},
    {"no-secret-expires", NULL, "its secret has no end", 0},
    {NULL, NULL, NULL, 0}};
