/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_id.h"

#include <apr_general.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const rensei_ctl_option_t rensei_ctl_common_options[] = {
    {"store", "DRIVER:PARAMS",
     "the store: sqlite3:FILE or pgsql:CONNINFO; else $RENSEI_STORE", 0},
    {"json", NULL, "print one JSON value, for scripts", 0},
    {"help", NULL, "say more about a command, or a group of them", 0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_group_t rensei_ctl_groups[] = {
    {"org", "Organisations: the boundary that nothing crosses.",
     rensei_ctl_org_commands},
    {"org api-keys", "API keys of an organisation.",
     rensei_ctl_apikey_commands},
    {"workspace", "Workspaces: parts of an organisation.",
     rensei_ctl_workspace_commands},
    {"m2m-clients",
     "M2M clients: what exchanges an id and a secret for tokens.",
     rensei_ctl_client_commands},
    {"m2m-clients rotate",
     "Rotation of a client's secret: a new one beside the old one, then alone.",
     rensei_ctl_rotate_commands},
    {"workers", "Workers: daemons that registered with a registration key.",
     rensei_ctl_worker_commands},
    {"credentials", "Clients and keys in one list: who owns what, is it used?",
     rensei_ctl_credentials_commands},
    {"audit", "The audit trail.", rensei_ctl_audit_commands},
    {"audit", "The audit trail as a whole.", rensei_ctl_chain_commands},
    {"db", "The store itself.", rensei_ctl_db_commands},
    {"secret", "Secrets that tokens are signed with.",
     rensei_ctl_secret_commands},
    {"signing-key",
     "Key pairs that tokens are signed with, for RenseiSigningKey: whoever\n"
     "verifies them needs no secret, but the public half.",
     rensei_ctl_signing_key_commands},
    {NULL, NULL, NULL}};

/* Whoever pastes a key where its id belongs has put it into the process list
 * and into his shell's history. Say so, and never repeat it. */
static int has_secret(const char *word)
{
    static const char *const marks[] = {RENSEI_API_KEY_MARK, "m2ms_"};

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); ++i) {
        const char *at = strstr(word, marks[i]);
        if (at && strlen(at) >= strlen(marks[i]) + 32) {
            return 1;
        }
    }
    return 0;
}

static rensei_ctl_exit_e refuse_secrets(int argc, const char *const *argv)
{
    for (int i = 1; i < argc; ++i) {
        if (has_secret(argv[i])) {
            return rensei_ctl_say(
                RENSEI_CTL_USAGE,
                "argument %d is a secret. Give ids (key_..., m2m_...); and as "
                "it now stands in the process list and in your shell's "
                "history, revoke it.",
                i);
        }
    }
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e run(rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc;

    if ((rc = rensei_ctl_secret_begin(ctl)) == RENSEI_CTL_OK) {
        rc = ctl->command->run(ctl);
        rensei_ctl_secret_end(ctl);
    }
    return rc;
}

/* A full disk behind `> file` must not look like success. */
static rensei_ctl_exit_e flush(rensei_ctl_exit_e rc)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && rc == RENSEI_CTL_OK) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "The result could not be written to stdout.");
    }
    return rc;
}

int main(int argc, const char *const *argv, const char *const *env)
{
    rensei_ctl_t ctl = {.path = "", .secret_fd = -1};
    rensei_ctl_exit_e rc;

    umask(077);
    if (apr_app_initialize(&argc, &argv, &env) != APR_SUCCESS) {
        return RENSEI_CTL_FAILED;
    }
    atexit(apr_terminate);
    apr_pool_create(&ctl.p, NULL);
    ctl.actor = rensei_ctl_actor(ctl.p);

    if ((rc = refuse_secrets(argc, argv)) == RENSEI_CTL_OK &&
        (rc = rensei_ctl_parse(&ctl, argc, argv)) == RENSEI_CTL_OK) {
        if (rensei_ctl_option(&ctl, "help")) {
            rensei_ctl_help(&ctl);
        }
        else {
            rc = run(&ctl);
        }
        rc = flush(rc);
    }
    apr_pool_destroy(ctl.p);
    return rc;
}
