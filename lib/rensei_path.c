/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_path.h"
#include "rensei_str.h"

#include <apr_strings.h>

/* Takes the next segment, which is not empty, off a path. */
static int segment_next(rensei_str_t *out, const char **path)
{
    if (**path != '/') {
        return 0;
    }
    out->p = *path + 1;
    out->n = strcspn(out->p, "/");
    *path = out->p + out->n;
    return out->n > 0;
}

int rensei_path_match(const char *param[RENSEI_PATH_PARAMS_MAX],
                      const char *pattern, const char *path, apr_pool_t *p)
{
    rensei_str_t want, have;
    int params = 0;

    while (segment_next(&want, &pattern)) {
        if (!segment_next(&have, &path)) {
            return 0;
        }
        if (want.p[0] != '{') {
            if (!rensei_str_eq(want, have)) {
                return 0;
            }
        }
        else if (params == RENSEI_PATH_PARAMS_MAX) {
            return 0;
        }
        else {
            param[params++] = apr_pstrmemdup(p, have.p, have.n);
        }
    }
    return *path == '\0';
}
