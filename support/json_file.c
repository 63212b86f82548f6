/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_SIZE_MAX 65536 /* bytes; the admin API takes no more either */

rensei_ctl_exit_e rensei_ctl_file_read(char **text, apr_size_t *n,
                                       const char *path, apr_pool_t *p)
{
    char *buf = apr_palloc(p, FILE_SIZE_MAX + 1);
    FILE *f = fopen(path, "re");
    int failed;

    if (!f) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot open %s: %s.", path,
                              strerror(errno));
    }
    *n = fread(buf, 1, FILE_SIZE_MAX + 1, f);
    failed = ferror(f) ? errno : 0;
    fclose(f);
    if (failed) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "Cannot read %s: %s.", path,
                              strerror(failed));
    }
    if (*n > FILE_SIZE_MAX) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED, "%s is larger than %d bytes.",
                              path, FILE_SIZE_MAX);
    }
    *text = buf;
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_option_json(json_t **out, rensei_ctl_t *ctl,
                                         const char *name)
{
    const char *path = rensei_ctl_option(ctl, name);
    char *text = NULL;
    apr_size_t n = 0;
    rensei_ctl_exit_e rc;

    if (!path) {
        return RENSEI_CTL_OK;
    }
    if ((rc = rensei_ctl_file_read(&text, &n, path, ctl->p)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_json_load(out, text, n, ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED, "--%s: %s: %s", name, path,
                              ctl->err.text);
    }
    return RENSEI_CTL_OK;
}
