/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "copy.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct backup_t {
    rensei_ctl_t *ctl;
    const char *file;    /* where it shall be; ours, and empty, until then */
    const char *staging; /* a folder beside it, NULL until it is there */
    const char *copy;    /* in that */
    uid_t owner;         /* of the store */
    rensei_backup_t held;
} backup_t;

/* SQLite writes a journal beside what it writes, and it works as the owner of
 * the store: so in a folder of his. And the file is there whole, or empty. */
static rensei_ctl_exit_e stage(backup_t *b, const char *store)
{
    rensei_ctl_t *ctl = b->ctl;
    const char *folder = rensei_ctl_folder(ctl->p, b->file);
    char *name = apr_pstrcat(ctl->p, folder, "/.rensei-backup-XXXXXX", NULL);
    struct stat st;

    if (stat(store, &st) != 0 || !mkdtemp(name)) {
        rensei_ctl_say(RENSEI_CTL_FAILED,
                       "Cannot make a folder in %s, or see the store: %s.",
                       folder, strerror(errno));
        return RENSEI_CTL_FAILED;
    }
    b->staging = name;
    b->copy = apr_pstrcat(ctl->p, name, "/store.db", NULL);
    b->owner = geteuid() == 0 ? st.st_uid : geteuid();
    if (geteuid() == 0 && chown(name, st.st_uid, st.st_gid) != 0) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot give %s away: %s.",
                              name, strerror(errno));
    }
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e copy_make(backup_t *b)
{
    rensei_ctl_t *ctl = b->ctl;
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_ANY);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (faccessat(AT_FDCWD, b->staging, W_OK, AT_EACCESS) != 0) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "The owner of the store, who reads it, cannot "
                              "enter the folder of %s: let him, or choose "
                              "another.",
                              b->file);
    }
    if (rensei_backup_write(ctl->store, b->copy, ctl->p, &ctl->err) ||
        rensei_backup_check(&b->held, b->copy, ctl->p, &ctl->err)) {
        return rensei_ctl_fail(ctl);
    }
    return RENSEI_CTL_OK;
}

static int copy_open(const backup_t *b)
{
    int fd = open(b->copy, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_nlink == 1 && st.st_uid == b->owner) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
        errno = EPERM;
    }
    return -1;
}

/* To the disk, and to the one who asked for it. The folder first: after that
 * nobody can put something else, of root's, in the place of the copy. */
static int copy_own(const backup_t *b)
{
    int fd, done;

    if (geteuid() == 0 && lchown(b->staging, 0, 0) != 0) {
        return 0;
    }
    fd = copy_open(b);
    if (fd < 0) {
        return 0;
    }
    done = fchown(fd, geteuid(), getegid()) == 0 && fchmod(fd, 0600) == 0 &&
           fsync(fd) == 0;
    return close(fd) == 0 && done;
}

static rensei_ctl_exit_e place(backup_t *b)
{
    rensei_ctl_user_return();
    if (!copy_own(b) || rename(b->copy, b->file) != 0 ||
        !rensei_ctl_folder_sync(rensei_ctl_folder(b->ctl->p, b->file))) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot write %s: %s.",
                              b->file, strerror(errno));
    }
    return RENSEI_CTL_OK;
}

static void clear(backup_t *b, rensei_ctl_exit_e rc)
{
    rensei_ctl_user_return();
    if (b->staging) {
        rensei_ctl_copy_remove(b->ctl->p, b->copy);
        rmdir(b->staging);
    }
    if (rc != RENSEI_CTL_OK) {
        unlink(b->file);
    }
}

rensei_ctl_exit_e rensei_ctl_db_backup(rensei_ctl_t *ctl)
{
    backup_t b = {.ctl = ctl, .file = ctl->arg};
    const char *store;
    rensei_ctl_exit_e rc = rensei_ctl_store_path(&store, ctl);
    int fd;

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (!store) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED,
                              "PostgreSQL has its own tool for this: pg_dump "
                              "--format=custom --file=%s DATABASE.",
                              ctl->arg);
    }
    if ((rc = rensei_ctl_private_create(&fd, b.file)) != RENSEI_CTL_OK) {
        return rc;
    }
    close(fd);
    if ((rc = stage(&b, store)) == RENSEI_CTL_OK &&
        (rc = copy_make(&b)) == RENSEI_CTL_OK) {
        rc = place(&b);
    }
    clear(&b, rc);
    return rc == RENSEI_CTL_OK ? rensei_ctl_held_show(
                                     ctl,
                                     json_pack("{s:s}", "file",
                                               rensei_ctl_text(ctl->p, b.file)),
                                     &b.held)
                               : rc;
}
