/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

rensei_ctl_exit_e rensei_ctl_private_create(int *fd, const char *path)
{
    *fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fd < 0 && errno == EEXIST) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED,
                              "%s is there already, and is left as it is.",
                              path);
    }
    if (*fd < 0) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot create %s: %s.", path,
                              strerror(errno));
    }
    return RENSEI_CTL_OK;
}

/* No newline at the end: a reader that takes the file as it is, and one that
 * strips, see the same secret. */
rensei_ctl_exit_e rensei_ctl_private_write(int fd, const char *path,
                                           const char *text)
{
    apr_size_t left = strlen(text);
    ssize_t n = 0;
    int failed;

    for (; left > 0; text += n, left -= (apr_size_t)n) {
        if ((n = write(fd, text, left)) <= 0) {
            break;
        }
    }
    failed = left > 0 || fsync(fd) != 0;
    failed |= close(fd) != 0;
    if (failed) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot write %s: %s.", path,
                              strerror(errno));
    }
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_secret_begin(rensei_ctl_t *ctl)
{
    ctl->secret_path = rensei_ctl_option(ctl, "secret-file");
    return ctl->secret_path
               ? rensei_ctl_private_create(&ctl->secret_fd, ctl->secret_path)
               : RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_secret_keep(const char **shown, rensei_ctl_t *ctl,
                                         const char *secret, const char *lost)
{
    rensei_ctl_exit_e rc;

    *shown = ctl->secret_path ? NULL : secret;
    if (!ctl->secret_path) {
        return RENSEI_CTL_OK;
    }
    rc = rensei_ctl_private_write(ctl->secret_fd, ctl->secret_path, secret);
    ctl->secret_fd = -1;
    if (rc != RENSEI_CTL_OK) {
        return rensei_ctl_say(rc, "The new secret is lost: %s", lost);
    }
    ctl->secret_saved = 1;
    return RENSEI_CTL_OK;
}

void rensei_ctl_secret_end(rensei_ctl_t *ctl)
{
    if (!ctl->secret_path || ctl->secret_saved) {
        return;
    }
    if (ctl->secret_fd >= 0) {
        close(ctl->secret_fd);
        ctl->secret_fd = -1;
    }
    rensei_ctl_user_return();
    unlink(ctl->secret_path);
}
