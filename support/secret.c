/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <unistd.h>

#define SECRET_BYTES ((size_t)32)

static const rensei_ctl_column_t file_fields[] = {{"Secret in", "file"},
                                                  {NULL, NULL}};

static rensei_ctl_exit_e make(char out[SECRET_BYTES * 2 + 1])
{
    static const char hex[] = "0123456789abcdef";
    const rensei_sys_t *sys = rensei_sys_default();
    unsigned char raw[SECRET_BYTES];

    if (sys->random(sys->baton, raw, sizeof(raw)) != APR_SUCCESS) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "There is no randomness.");
    }
    for (size_t i = 0; i < SECRET_BYTES; ++i) {
        out[i * 2] = hex[raw[i] >> 4];
        out[i * 2 + 1] = hex[raw[i] & 15];
    }
    out[SECRET_BYTES * 2] = '\0';
    OPENSSL_cleanse(raw, sizeof(raw));
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e to_stdout(const rensei_ctl_t *ctl, const char *secret)
{
    if (rensei_ctl_option(ctl, "json")) {
        return rensei_ctl_show(ctl, json_pack("{s:s}", "secret", secret),
                               file_fields);
    }
    puts(secret);
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e to_file(const rensei_ctl_t *ctl, const char *secret,
                                 const char *path)
{
    rensei_ctl_exit_e rc;
    int fd;

    if ((rc = rensei_ctl_private_create(&fd, path)) != RENSEI_CTL_OK) {
        return rc;
    }
    if ((rc = rensei_ctl_private_write(fd, path, secret)) != RENSEI_CTL_OK) {
        unlink(path);
        return rc;
    }
    return rensei_ctl_show(ctl, json_pack("{s:s}", "file", path), file_fields);
}

static rensei_ctl_exit_e new_secret(rensei_ctl_t *ctl)
{
    const char *path = rensei_ctl_option(ctl, "out");
    char secret[SECRET_BYTES * 2 + 1];
    rensei_ctl_exit_e rc = make(secret);

    if (rc == RENSEI_CTL_OK) {
        rc = path ? to_file(ctl, secret, path) : to_stdout(ctl, secret);
    }
    OPENSSL_cleanse(secret, sizeof(secret));
    return rc;
}

static const rensei_ctl_option_t options[] = {
    {"out", "FILE", "write it there (0600); an existing file is left", 0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_secret_commands[] = {
    {"secret new", NULL, "Make a secret to sign tokens with",
     "32 random bytes as 64 hex digits, for RenseiSecret or M2M_JWT_SECRET.\n"
     "It needs no store.\n"
     "\n"
     "Examples:\n"
     "  sudo renseictl secret new --out /etc/apache2/rensei.secret\n"
     "  M2M_JWT_SECRET=$(renseictl secret new) make run\n",
     options, new_secret},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
