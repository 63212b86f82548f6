/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_route.h"
#include "rensei_http_body.h"
#include "rensei_http_reply.h"

#include <http_protocol.h>
#include <apr_strings.h>

static const char *allow_add(const char *allow, int method, apr_pool_t *p)
{
    const char *name =
        method == M_GET ? "GET, HEAD" : ap_method_name_of(p, method);

    return allow ? apr_pstrcat(p, allow, ", ", name, NULL) : name;
}

static int not_found(request_rec *r)
{
    rensei_err_t err = {0};

    rensei_http_body_discard(r);
    rensei_err_set(&err, RENSEI_E_NOT_FOUND, "There is nothing at this path.");
    return rensei_http_reply_error(r, &err);
}

static int method_not_allowed(request_rec *r, const char *allow)
{
    rensei_err_t err = {0};

    rensei_http_body_discard(r);
    apr_table_setn(r->headers_out, "Allow", allow);
    rensei_err_setf(&err, r->pool, RENSEI_E_METHOD, "This path takes only %s.",
                    allow);
    return rensei_http_reply_error(r, &err);
}

int rensei_http_route(request_rec *r, const rensei_route_t *routes)
{
    const rensei_route_t *route;
    const char *allow = NULL;

    for (route = routes; route->pattern; route++) {
        rensei_route_match_t m = {{NULL}};

        if (!rensei_path_match(m.param, route->pattern, r->uri, r->pool)) {
            continue;
        }
        if (route->method == r->method_number) {
            return route->fn(r, &m);
        }
        allow = allow_add(allow, route->method, r->pool);
    }
    return allow ? method_not_allowed(r, allow) : not_found(r);
}
