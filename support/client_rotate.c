/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_client.h"
#include "rensei_field.h"

#include <apr_strings.h>

static const rensei_ctl_column_t start_fields[] = {
    {"Client id", "clientId"},
    {"New secret", "nextClientSecret"},
    {"It ends in", "nextSecretLast4"},
    {"The old one ends in", "secretLast4"},
    {"The old one expires", "secretExpiresAt"},
    {"New secret in", "secretFile"},
    {NULL, NULL}};

static const rensei_ctl_column_t end_fields[] = {
    {"Client id", "clientId"},
    {"Name", "name"},
    {"Its secret ends in", "secretLast4"},
    {"It expires", "secretExpiresAt"},
    {NULL, NULL}};

/* As the admin API answers. */
static rensei_ctl_exit_e show_started(rensei_ctl_t *ctl,
                                      const rensei_client_t *client,
                                      const char *secret)
{
    const char *shown;
    json_t *object;
    rensei_ctl_exit_e rc = rensei_ctl_secret_keep(
        &shown, ctl, secret,
        apr_pstrcat(ctl->p, "run \"renseictl m2m-clients rotate cancel ",
                    client->id, "\", and start again; the old secret goes on.",
                    NULL));

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    object = json_pack("{s:s, s:s, s:s, s:o}", "clientId", client->id,
                       "nextSecretLast4", client->next_secret_last4,
                       "secretLast4", client->secret_last4, "secretExpiresAt",
                       rensei_answer_ms(client->secret_expires_at));
    json_object_set_new(object, shown ? "nextClientSecret" : "secretFile",
                        json_string(shown ? shown : ctl->secret_path));
    return rensei_ctl_show(ctl, object, start_fields);
}

static rensei_ctl_exit_e start(rensei_ctl_t *ctl)
{
    rensei_client_t client;
    apr_int64_t expires = 0;
    const char *org = NULL, *secret;
    rensei_ctl_exit_e rc;

    if ((rc = rensei_ctl_option_time(&expires, ctl, "expires", 1)) !=
            RENSEI_CTL_OK ||
        (rc = rensei_ctl_client_org(&org, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_client_rotate_start(&client, &secret, ctl->store, org, ctl->arg,
                                   expires, &ctl->actor, ctl->p,
                                   &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return show_started(ctl, &client, secret);
}

/* One of the two ends of a rotation. */
typedef apr_status_t end_fn(rensei_client_t *out, rensei_store_t *st,
                            const char *org, const char *id,
                            const rensei_actor_t *actor, apr_pool_t *p,
                            rensei_err_t *err);

static rensei_ctl_exit_e end(rensei_ctl_t *ctl, end_fn *fn)
{
    rensei_client_t client;
    const char *org = NULL;
    rensei_ctl_exit_e rc = rensei_ctl_client_org(&org, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (fn(&client, ctl->store, org, ctl->arg, &ctl->actor, ctl->p,
           &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl, rensei_client_json(&client, NULL, ctl->p),
                           end_fields);
}

static rensei_ctl_exit_e complete(rensei_ctl_t *ctl)
{
    return end(ctl, rensei_client_rotate_complete);
}

static rensei_ctl_exit_e cancel(rensei_ctl_t *ctl)
{
    return end(ctl, rensei_client_rotate_cancel);
}

static const rensei_ctl_option_t start_options[] = {
    {"org", "ORG", "its organisation; without, it is found by its id", 0},
    {"expires", "WHEN",
     "when the old secret ends by itself: a time, or 7d; else on completion",
     0},
    {"secret-file", "FILE", "write the secret there (0600), print the rest", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t end_options[] = {
    {"org", "ORG", "its organisation; without, it is found by its id", 0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_rotate_commands[] = {
    {"m2m-clients rotate start", "ID", "Give a client a second secret",
     "Both secrets work until the rotation is completed or cancelled, so that\n"
     "the service can change over without a pause. Tokens are not touched.\n"
     "\n"
     "Example:\n"
     "  renseictl m2m-clients rotate start m2m_5f0c... --expires 7d \\\n"
     "      --secret-file new.secret\n",
     start_options, start},
    {"m2m-clients rotate complete", "ID", "End the old secret of a rotation",
     "The old secret is refused from now on; the new one alone is good.\n"
     "\n"
     "Example:\n"
     "  renseictl m2m-clients rotate complete m2m_5f0c...\n",
     end_options, complete},
    {"m2m-clients rotate cancel", "ID", "Drop the new secret of a rotation",
     "The new secret is refused from now on; the old one goes on, without an\n"
     "end.\n"
     "\n"
     "Example:\n"
     "  renseictl m2m-clients rotate cancel m2m_5f0c...\n",
     end_options, cancel},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
