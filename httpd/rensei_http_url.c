/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_url.h"

#include <apr_strings.h>
#include <apr_uri.h>
#include <http_core.h>
#include <http_protocol.h>

const char *rensei_http_base_url(request_rec *r, const char *configured)
{
    const char *url;
    apr_size_t n;

    if (configured) {
        return configured;
    }
    /* The Host header has been checked by httpd: it is a name and a port. */
    url = ap_construct_url(r->pool, "", r);
    n = strlen(url);
    return n > 0 && url[n - 1] == '/' ? apr_pstrmemdup(r->pool, url, n - 1)
                                      : url;
}

int rensei_http_url_valid(const char *url, apr_pool_t *p)
{
    apr_uri_t u;
    apr_size_t n = strlen(url);

    return apr_uri_parse(p, url, &u) == APR_SUCCESS && u.scheme &&
           (strcmp(u.scheme, "https") == 0 || strcmp(u.scheme, "http") == 0) &&
           u.hostname && *u.hostname && !u.user && !u.query && !u.fragment &&
           url[n - 1] != '/' && !strpbrk(url, " \"\\<>");
}
