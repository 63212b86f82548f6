/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "copy.h"

#include "rensei_str.h"

#include <apr_strings.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const rensei_ctl_column_t fields[] = {
    {"Store", "store"},
    {"File", "file"},
    {"Schema version", "schemaVersion"},
    {"Organisations", "orgs"},
    {"Workspaces", "workspaces"},
    {"M2M clients", "clients"},
    {"API keys", "keys"},
    {"Workers", "workers"},
    {"Audit events", "events"},
    {"Change sequence", "sequence"},
    {"Replaced store", "replaced"},
    {NULL, NULL}};

const char *rensei_ctl_folder(apr_pool_t *p, const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *folder =
        slash ? apr_pstrmemdup(p, file, (apr_size_t)(slash - file) + 1) : ".";
    char *real = realpath(folder, NULL);
    const char *out = apr_pstrdup(p, real ? real : folder);

    free(real);
    return out;
}

int rensei_ctl_folder_sync(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int done = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return done;
}

void rensei_ctl_copy_remove(apr_pool_t *p, const char *file)
{
    unlink(file);
    unlink(apr_pstrcat(p, file, "-journal", NULL));
    unlink(apr_pstrcat(p, file, "-wal", NULL));
    unlink(apr_pstrcat(p, file, "-shm", NULL));
}

const char *rensei_ctl_text(apr_pool_t *p, const char *name)
{
    char *out = apr_pstrdup(p, name);

    if (!rensei_utf8_valid(out, strlen(out))) {
        for (char *c = out; *c; ++c) {
            *c = (unsigned char)*c < 0x80 ? *c : '?';
        }
    }
    return out;
}

rensei_ctl_exit_e rensei_ctl_held_show(rensei_ctl_t *ctl, json_t *head,
                                       const rensei_backup_t *held)
{
    json_object_update_new(
        head,
        json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "schemaVersion",
                  held->version, "orgs", (json_int_t)held->orgs, "workspaces",
                  (json_int_t)held->workspaces, "clients",
                  (json_int_t)held->clients, "keys", (json_int_t)held->keys,
                  "workers", (json_int_t)held->workers, "events",
                  (json_int_t)held->events, "sequence",
                  (json_int_t)held->sequence));
    return rensei_ctl_show(ctl, head, fields);
}
