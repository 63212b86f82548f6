/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * One table a module says which method and path goes to which function.
 */
#ifndef RENSEI_HTTP_ROUTE_H
#define RENSEI_HTTP_ROUTE_H

#include "rensei_path.h"

#include <httpd.h>

/** The parts of the path that stand for `{…}` in the pattern, in order. */
typedef struct rensei_route_match_t {
    const char *param[RENSEI_PATH_PARAMS_MAX];
} rensei_route_match_t;

/** Answers a request, as an httpd handler: OK, or an HTTP status. */
typedef int rensei_route_fn(request_rec *r, const rensei_route_match_t *m);

typedef struct rensei_route_t {
    int method;          /* M_GET (serves HEAD too), M_POST, … */
    const char *pattern; /* "/api/admin/m2m-clients/{id}": a {…} is one
                            segment, never empty */
    rensei_route_fn *fn;
} rensei_route_t;

/** Finds the row for r and calls it. No row of that path: 404; a row, but
 * none of the method: 405 with Allow; both as JSON errors.
 * @param routes ends with a row of pattern NULL */
int rensei_http_route(request_rec *r, const rensei_route_t *routes);

/** Is the request for that handler? httpd asks each of them of each request,
 * so mostly no, and that is no call. */
static inline int rensei_http_handles(const request_rec *r, const char *handler)
{
    return r->handler && *r->handler == *handler &&
           strcmp(r->handler, handler) == 0;
}

#endif
