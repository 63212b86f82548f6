/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The path of a request against patterns as our tables have them. One that
 * fits is the pattern with its parts put in.
 */
#include "fuzz.h"
#include "rensei_path.h"

#include <apr_strings.h>
#include <string.h>

static const char *const patterns[] = {
    "/api/oauth/token",
    "/api/admin/m2m-clients/{id}",
    "/api/admin/m2m-clients/{id}/secrets/rotate/start",
    "/api/org/{orgId}/keys/{keyId}/rotate",
    "/.well-known/oauth-authorization-server/{a}/{b}/{c}",
    "/{a}/{b}/{c}/{d}",
    NULL,
};

static const char *filled_in(const char *pattern, const char *const *param,
                             apr_pool_t *p)
{
    const char *out = "", *open = strchr(pattern, '{');

    for (; open; open = strchr(pattern, '{')) {
        out = apr_pstrcat(
            p, out, apr_pstrmemdup(p, pattern, (apr_size_t)(open - pattern)),
            *param++, NULL);
        pattern = strchr(open, '}') + 1;
    }
    return apr_pstrcat(p, out, pattern, NULL);
}

void fuzz_path(const char *text, apr_size_t n, apr_pool_t *p)
{
    const char *path = fuzz_string(text, n, p);
    int i, j;

    for (i = 0; patterns[i]; i++) {
        const char *param[RENSEI_PATH_PARAMS_MAX] = {NULL};

        if (!rensei_path_match(param, patterns[i], path, p)) {
            continue;
        }
        for (j = 0; j < RENSEI_PATH_PARAMS_MAX && param[j]; j++) {
            FUZZ_HOLDS(*param[j] && !strchr(param[j], '/'));
        }
        FUZZ_HOLDS(strcmp(path, filled_in(patterns[i], param, p)) == 0);
    }
}
