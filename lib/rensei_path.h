/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Paths, compared with the patterns of a module's table of routes.
 */
#ifndef RENSEI_PATH_H
#define RENSEI_PATH_H

#include <apr_pools.h>

#define RENSEI_PATH_PARAMS_MAX 3

/** Is path one that the pattern stands for? Of a pattern a segment `{…}` is
 * any one segment, which is not empty; a pattern has RENSEI_PATH_PARAMS_MAX
 * of them at most, or it stands for nothing.
 * @param param the segments that stand for `{…}`, in order, in p; those that
 *   the pattern has not stay as they are. Filled in part when it is not */
int rensei_path_match(const char *param[RENSEI_PATH_PARAMS_MAX],
                      const char *pattern, const char *path, apr_pool_t *p);

#endif
