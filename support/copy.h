/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What `db backup` and `db restore` share: files, and what a copy holds.
 */
#ifndef RENSEICTL_COPY_H
#define RENSEICTL_COPY_H

#include "renseictl.h"
#include "rensei_backup.h"

/** The folder that a file is in, as an absolute path where it can be found
 * out. */
const char *rensei_ctl_folder(apr_pool_t *p, const char *file);

/** Writes a folder's entries to the disk. @return 1, or 0 with errno */
int rensei_ctl_folder_sync(const char *folder);

/** Removes a database, and what SQLite puts beside one. */
void rensei_ctl_copy_remove(apr_pool_t *p, const char *file);

/** A file name as JSON can hold it: `?` for what is not UTF-8. */
const char *rensei_ctl_text(apr_pool_t *p, const char *name);

/** Prints what a copy holds. @param head an object whose reference it takes,
 * with what else is to be shown: "file", "store", "replaced" */
rensei_ctl_exit_e rensei_ctl_held_show(rensei_ctl_t *ctl, json_t *head,
                                       const rensei_backup_t *held);

#endif
