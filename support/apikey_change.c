/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_apikey.h"

#include <apr_strings.h>
#include <string.h>

static const rensei_ctl_column_t updated_fields[] = {
    {"ID", "keyId"},      {"Name", "name"},         {"Owner", "owner"},
    {"Scopes", "scopes"}, {"Updated", "updatedAt"}, {NULL, NULL}};

/* ---- rotate ---- */

static rensei_ctl_exit_e grace_read(apr_int64_t *seconds, rensei_ctl_t *ctl)
{
    const char *text = rensei_ctl_option(ctl, "grace");

    *seconds = 0;
    if (strcmp(text, "0") == 0 ||
        (rensei_duration_parse(seconds, text, strlen(text)) &&
         *seconds <= RENSEI_APIKEY_GRACE_MAX)) {
        return RENSEI_CTL_OK;
    }
    return rensei_ctl_usage(ctl,
                            "--grace wants 0, or a time such as 30m or 7d, up "
                            "to 30d.");
}

rensei_ctl_exit_e rensei_ctl_apikey_rotate(rensei_ctl_t *ctl)
{
    rensei_apikey_t key;
    rensei_vocab_t vocab;
    apr_int64_t grace_s;
    const char *org = NULL, *token;
    rensei_ctl_exit_e rc;

    if ((rc = grace_read(&grace_s, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_vocab(&vocab, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_apikey_org(&org, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_apikey_rotate(&key, &token, ctl->store, org, ctl->arg, grace_s,
                             &vocab, NULL, &ctl->actor, ctl->p,
                             &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_apikey_show(ctl, &key, token,
                                  apr_pstrcat(ctl->p, "rotate ", key.id,
                                              " again, with --grace 0.", NULL));
}

const rensei_ctl_option_t rensei_ctl_apikey_rotate_options[] = {
    {"grace", "TIME",
     "how long the present key goes on: 30m, 7d, up to 30d; 0: it ends now",
     RENSEI_CTL_REQUIRED},
    {"org", "ORG", "its organisation; without, all are looked through", 0},
    {"secret-file", "FILE", "write the key there (0600), print all but it", 0},
    {NULL, NULL, NULL, 0}};

/* ---- update ---- */

/* The body that the admin API takes, so that both obey the same rules. */
static rensei_ctl_exit_e body_make(json_t **out, rensei_ctl_t *ctl)
{
    const char *name = rensei_ctl_option(ctl, "name");
    const char *owner = rensei_ctl_option(ctl, "owner");

    *out = rensei_json_own(json_object(), ctl->p);
    if (owner && rensei_ctl_option(ctl, "no-owner")) {
        return rensei_ctl_usage(ctl, "--owner and --no-owner exclude each "
                                     "other.");
    }
    if (name) {
        json_object_set_new(*out, "name", json_string(name));
    }
    if (owner || rensei_ctl_option(ctl, "no-owner")) {
        json_object_set_new(*out, "owner",
                            owner ? json_string(owner) : json_null());
    }
    if (rensei_ctl_option(ctl, "scopes")) {
        json_object_set_new(*out, "scopes", rensei_ctl_scopes_json(ctl));
    }
    return json_object_size(*out) > 0
               ? RENSEI_CTL_OK
               : rensei_ctl_usage(ctl, "Say what to change: --name, --owner, "
                                       "--no-owner or --scopes.");
}

rensei_ctl_exit_e rensei_ctl_apikey_update(rensei_ctl_t *ctl)
{
    rensei_apikey_patch_t patch;
    rensei_apikey_t key;
    rensei_vocab_t vocab;
    const char *org = NULL;
    json_t *body;
    rensei_ctl_exit_e rc;

    if ((rc = body_make(&body, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_vocab(&vocab, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_apikey_org(&org, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_apikey_patch_read(&patch, body, ctl->p, &ctl->err) !=
            APR_SUCCESS ||
        rensei_apikey_update(&key, ctl->store, org, ctl->arg, &patch, &vocab,
                             NULL, &ctl->actor, ctl->p,
                             &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl, rensei_apikey_json(&key, NULL, ctl->p),
                           updated_fields);
}

const rensei_ctl_option_t rensei_ctl_apikey_update_options[] = {
    {"org", "ORG", "its organisation; without, all are looked through", 0},
    {"name", "NAME", "what it is for", 0},
    {"owner", "WHO", "who answers for it", 0},
    {"no-owner", NULL, "nobody; an org key needs one", 0},
    {"scopes", "\"A B\"", "its scopes from now on, separated by spaces", 0},
    {"vocabulary", "\"A B\"",
     "the scopes there are, where the server has RenseiScopes", 0},
    {NULL, NULL, NULL, 0}};
