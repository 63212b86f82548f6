/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_id.h"

#include <apr_strings.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *rensei_ctl_user_name(uid_t uid, apr_pool_t *p)
{
    const struct passwd *pw = getpwuid(uid);

    return pw ? apr_pstrdup(p, pw->pw_name)
              : apr_psprintf(p, "uid:%lu", (unsigned long)uid);
}

rensei_actor_t rensei_ctl_actor(apr_pool_t *p)
{
    rensei_actor_t actor = {.type = "operator"};
    const char *sudo = getuid() == 0 ? getenv("SUDO_USER") : NULL;

    /* Only root's word for it counts: anybody else could set SUDO_USER. */
    actor.id = sudo && rensei_id_safe(sudo, strlen(sudo))
                   ? apr_pstrdup(p, sudo)
                   : rensei_ctl_user_name(getuid(), p);
    return actor;
}

static int set_groups(uid_t uid, gid_t gid)
{
    const struct passwd *pw = getpwuid(uid);

    return pw ? initgroups(pw->pw_name, gid) : setgroups(1, &gid);
}

/* What another user may have put into his folder (a link, a database made to
 * break SQLite) is not to be opened with root's rights. So root works as the
 * owner, and what SQLite creates is the owner's by itself. The effective ids
 * alone, so that rensei_ctl_user_return can undo it. */
rensei_ctl_exit_e rensei_ctl_user_become(uid_t uid, gid_t gid)
{
    if (geteuid() != 0 || uid == 0) {
        return RENSEI_CTL_OK;
    }
    if (set_groups(uid, gid) || setegid(gid) || seteuid(uid)) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "Cannot work as the store's owner: %s.",
                              strerror(errno));
    }
    return RENSEI_CTL_OK;
}

void rensei_ctl_user_return(void)
{
    /* Nothing but the removal of an empty file comes after this; where it
     * fails, that removal does. */
    if (getuid() == 0 && (seteuid(0) || setegid(getgid()))) {
        return;
    }
}
