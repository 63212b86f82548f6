/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "copy.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* SQLite's locks (sqlite.org/src, os.h: PENDING_BYTE): a byte in here is
 * locked by whoever has read from the database, as long as it is open. */
#define LOCKS_AT 0x40000000
#define LOCKS_LENGTH 512

typedef struct restore_t {
    rensei_ctl_t *ctl;
    const char *from, *to;
    int from_fd;
    struct stat was;   /* the store that is there; st_nlink 0: none is */
    char *copy;        /* beside it; NULL until it is there */
    const char *aside; /* where the old one goes */
    int lock_fd;
    rensei_backup_t held;
} restore_t;

static int has_bytes(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && st.st_size > 0;
}

/* ---- what is restored ---- */

static rensei_ctl_exit_e from_open(restore_t *r)
{
    struct stat st;

    r->from_fd = open(r->from, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (r->from_fd < 0 || fstat(r->from_fd, &st) != 0) {
        return rensei_ctl_say(errno == ENOENT ? RENSEI_CTL_NOT_FOUND
                                              : RENSEI_CTL_FAILED,
                              "Cannot read %s: %s.", r->from, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED, "%s is not a file.", r->from);
    }
    if (r->was.st_nlink && st.st_dev == r->was.st_dev &&
        st.st_ino == r->was.st_ino) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED, "%s is the store itself.",
                              r->from);
    }
    if (has_bytes(apr_pstrcat(r->ctl->p, r->from, "-wal", NULL)) ||
        has_bytes(apr_pstrcat(r->ctl->p, r->from, "-journal", NULL))) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED,
                              "%s is not by itself a store: a part of it is "
                              "in the -wal or -journal file beside it.",
                              r->from);
    }
    return RENSEI_CTL_OK;
}

static int bytes_copy(int to, int from)
{
    char buffer[65536];
    ssize_t n, done, put;

    while ((n = read(from, buffer, sizeof(buffer))) > 0) {
        for (done = 0; done < n; done += put) {
            if ((put = write(to, buffer + done, (size_t)(n - done))) <= 0) {
                return 0;
            }
        }
    }
    return n == 0 && fsync(to) == 0;
}

static rensei_ctl_exit_e copy_make(restore_t *r)
{
    char *name = apr_pstrcat(r->ctl->p, r->to, ".restore-XXXXXX", NULL);
    int fd = mkstemp(name);
    int done;

    if (fd < 0) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "Cannot create a file beside %s: %s.", r->to,
                              strerror(errno));
    }
    r->copy = name;
    done = bytes_copy(fd, r->from_fd);
    if (close(fd) != 0 || !done) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot write %s: %s.", name,
                              strerror(errno));
    }
    return RENSEI_CTL_OK;
}

/* The copy and not the backup: that stays as it is, and what was read once
 * without a fault need not be the same the next time. */
static rensei_ctl_exit_e copy_check(restore_t *r)
{
    rensei_ctl_t *ctl = r->ctl;
    json_t *details;

    if (rensei_backup_check(&r->held, r->copy, ctl->p, &ctl->err)) {
        rensei_ctl_say(RENSEI_CTL_REFUSED,
                       "%s cannot be restored; the store "
                       "is as it was.",
                       r->from);
        return rensei_ctl_fail(ctl);
    }
    details = rensei_json_own(json_pack("{s:i, s:I, s:I}", "schemaVersion",
                                        r->held.version, "sequence",
                                        (json_int_t)r->held.sequence, "events",
                                        (json_int_t)r->held.events),
                              ctl->p);
    if (rensei_backup_adopt(r->copy, rensei_sys_default(), &ctl->actor, details,
                            ctl->p, &ctl->err)) {
        return rensei_ctl_fail(ctl);
    }
    return RENSEI_CTL_OK;
}

/* ---- the store that is there ---- */

static const char *program_of(pid_t pid, apr_pool_t *p)
{
    char name[64] = "";
    FILE *f = fopen(apr_psprintf(p, "/proc/%ld/comm", (long)pid), "re");

    if (f) {
        if (!fgets(name, sizeof(name), f)) {
            *name = '\0';
        }
        fclose(f);
    }
    name[strcspn(name, "\n")] = '\0';
    return *name ? apr_psprintf(p, "process %ld, %s", (long)pid, name)
                 : apr_psprintf(p, "process %ld", (long)pid);
}

static rensei_ctl_exit_e in_use(const restore_t *r, struct flock *by)
{
    const char *who = "another process";

    if (fcntl(r->lock_fd, F_GETLK, by) == 0 && by->l_type != F_UNLCK &&
        by->l_pid > 0) {
        who = program_of(by->l_pid, r->ctl->p);
    }
    return rensei_ctl_say(RENSEI_CTL_REFUSED,
                          "The store is in use (%s). Stop httpd first, and "
                          "whatever else has it open.",
                          who);
}

/* Keeps all others out, until lock_fd is closed; as would the close of any
 * other descriptor of that file, so SQLite must not have it open here. */
static rensei_ctl_exit_e lock(restore_t *r)
{
    struct flock all = {.l_type = F_WRLCK,
                        .l_whence = SEEK_SET,
                        .l_start = LOCKS_AT,
                        .l_len = LOCKS_LENGTH};

    if (!r->was.st_nlink) {
        return RENSEI_CTL_OK;
    }
    r->lock_fd = open(r->to, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (r->lock_fd < 0) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot open %s: %s.", r->to,
                              strerror(errno));
    }
    if (fcntl(r->lock_fd, F_SETLK, &all) != 0) {
        return errno == EACCES || errno == EAGAIN
                   ? in_use(r, &all)
                   : rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot lock %s: %s.",
                                    r->to, strerror(errno));
    }
    return RENSEI_CTL_OK;
}

static void unlock(restore_t *r)
{
    if (r->lock_fd >= 0) {
        close(r->lock_fd);
        r->lock_fd = -1;
    }
}

/* Whole in one file, if that can be had: it may be damaged, which is why
 * there is a restore. */
static rensei_ctl_exit_e settle(restore_t *r)
{
    rensei_err_t unused = {0};
    rensei_ctl_exit_e rc = lock(r);

    unlock(r);
    if (rc == RENSEI_CTL_OK && r->was.st_nlink) {
        rensei_backup_settle(r->to, r->ctl->p, &unused);
    }
    return rc == RENSEI_CTL_OK ? lock(r) : rc;
}

static rensei_ctl_exit_e cannot_move(const restore_t *r)
{
    return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot put %s aside as %s: %s.",
                          r->to, r->aside, strerror(errno));
}

/* What belongs to the old file alone: read together with the new one it would
 * be written over that. What is left of it has changes in it that are
 * nowhere else, so it goes with the old one. */
static rensei_ctl_exit_e rests_move(const restore_t *r)
{
    static const char *const rests[] = {"-wal", "-journal", NULL};
    apr_pool_t *p = r->ctl->p;

    for (int i = 0; rests[i]; ++i) {
        const char *rest = apr_pstrcat(p, r->to, rests[i], NULL);
        const char *to = apr_pstrcat(p, r->aside, rests[i], NULL);
        int failed = has_bytes(rest) ? rename(rest, to) : unlink(rest);
        if (failed && errno != ENOENT) {
            return cannot_move(r);
        }
    }
    unlink(apr_pstrcat(p, r->to, "-shm", NULL));
    return RENSEI_CTL_OK;
}

/* One that is free, for two in a second as well. */
static void aside_name(restore_t *r)
{
    apr_pool_t *p = r->ctl->p;
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    struct stat st;
    const char *name;

    strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    name = apr_pstrcat(p, r->to, ".replaced-", when, NULL);
    r->aside = name;
    for (int i = 2; lstat(r->aside, &st) == 0; ++i) {
        r->aside = apr_psprintf(p, "%s-%d", name, i);
    }
}

/* ---- in its place ---- */

static int like_the_old(const restore_t *r)
{
    struct stat st;

    if (!r->was.st_nlink) {
        return 1;
    }
    if (lstat(r->copy, &st) != 0) {
        return 0;
    }
    if ((st.st_uid != r->was.st_uid || st.st_gid != r->was.st_gid) &&
        chown(r->copy, r->was.st_uid, r->was.st_gid) != 0) {
        return 0;
    }
    return chmod(r->copy, r->was.st_mode & 0777) == 0;
}

static int copy_sync(const restore_t *r)
{
    int fd = open(r->copy, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int done = fd >= 0 && fsync(fd) == 0;

    return fd >= 0 && close(fd) == 0 && done;
}

/* At no moment is there no file, where the file system can do that. (A second
 * name for the old one would do as well, but be left behind by a crash: and a
 * database with two names has two -wal files.) */
static int swap(const restore_t *r)
{
    if (!r->was.st_nlink) {
        return rename(r->copy, r->to) == 0;
    }
    if (renameat2(AT_FDCWD, r->copy, AT_FDCWD, r->to, RENAME_EXCHANGE) == 0) {
        return rename(r->copy, r->aside) == 0;
    }
    return (errno == EINVAL || errno == ENOSYS) &&
           rename(r->to, r->aside) == 0 && rename(r->copy, r->to) == 0;
}

static rensei_ctl_exit_e put_in_place(restore_t *r)
{
    rensei_ctl_exit_e rc;

    if (!like_the_old(r) || !copy_sync(r)) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "Cannot give %s the owner and mode of the "
                              "store: %s.",
                              r->copy, strerror(errno));
    }
    aside_name(r);
    if ((rc = rests_move(r)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (!swap(r) ||
        !rensei_ctl_folder_sync(rensei_ctl_folder(r->ctl->p, r->to))) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "Cannot put %s in the place of %s, and that "
                              "aside as %s: %s. Look which of them are there.",
                              r->copy, r->to, r->aside, strerror(errno));
    }
    r->copy = NULL;
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e show(const restore_t *r)
{
    rensei_ctl_t *ctl = r->ctl;
    json_t *head =
        json_pack("{s:s, s:s}", "store", rensei_ctl_text(ctl->p, r->to), "file",
                  rensei_ctl_text(ctl->p, r->from));

    if (r->was.st_nlink) {
        json_object_set_new(head, "replaced",
                            json_string(rensei_ctl_text(ctl->p, r->aside)));
    }
    rensei_ctl_say(RENSEI_CTL_OK, "What was revoked since the backup was made "
                                  "is valid again: see docs/backup.md.");
    return rensei_ctl_held_show(ctl, head, &r->held);
}

/* Who the store's files shall belong to is who works on them from here on. */
static rensei_ctl_exit_e owner_become(restore_t *r)
{
    const char *owner = rensei_ctl_option(r->ctl, "owner");

    if (r->was.st_nlink && owner) {
        return rensei_ctl_usage(r->ctl, "--owner is for a store that is not "
                                        "there; this one's owner stays.");
    }
    if (owner) {
        return rensei_ctl_owner_become(owner);
    }
    return r->was.st_nlink
               ? rensei_ctl_user_become(r->was.st_uid, r->was.st_gid)
               : RENSEI_CTL_OK;
}

static rensei_ctl_exit_e restore(restore_t *r)
{
    rensei_ctl_exit_e rc = from_open(r);

    rc = rc == RENSEI_CTL_OK ? owner_become(r) : rc;
    if (rc == RENSEI_CTL_OK) {
        rc = lock(r); /* before the work, and again after it */
        unlock(r);
    }
    rc = rc == RENSEI_CTL_OK ? copy_make(r) : rc;
    rc = rc == RENSEI_CTL_OK ? copy_check(r) : rc;
    rc = rc == RENSEI_CTL_OK ? settle(r) : rc;
    rc = rc == RENSEI_CTL_OK ? put_in_place(r) : rc;
    unlock(r);
    if (rc != RENSEI_CTL_OK && r->copy) {
        rensei_ctl_copy_remove(r->ctl->p, r->copy);
    }
    return rc;
}

const rensei_ctl_option_t rensei_ctl_restore_options[] = {
    {"owner", "USER", "as root, where no store is there: whose it shall be", 0},
    {NULL, NULL, NULL, 0}};

rensei_ctl_exit_e rensei_ctl_db_restore(rensei_ctl_t *ctl)
{
    restore_t r = {.ctl = ctl, .from = ctl->arg, .from_fd = -1, .lock_fd = -1};
    rensei_ctl_exit_e rc = rensei_ctl_store_path(&r.to, ctl);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (!r.to) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED,
                              "PostgreSQL has its own tool for this: stop "
                              "httpd, then pg_restore --clean --if-exists "
                              "--single-transaction --dbname=DATABASE %s; see "
                              "docs/backup.md for what else.",
                              ctl->arg);
    }
    if (lstat(r.to, &r.was) != 0 && errno != ENOENT) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot look at %s: %s.", r.to,
                              strerror(errno));
    }
    if (r.was.st_nlink && !S_ISREG(r.was.st_mode)) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "%s is not a file.", r.to);
    }
    rc = restore(&r);
    if (r.from_fd >= 0) {
        close(r.from_fd);
    }
    return rc == RENSEI_CTL_OK ? show(&r) : rc;
}
