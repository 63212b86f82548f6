/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What this server is called by those who fetch its metadata.
 */
#ifndef RENSEI_HTTP_URL_H
#define RENSEI_HTTP_URL_H

#include <httpd.h>

/** The scheme and authority of the request, "https://auth.example", without
 * a slash at the end; or `configured`, where that is not NULL: behind a proxy
 * that ends TLS httpd does not know. */
const char *rensei_http_base_url(request_rec *r, const char *configured);

/** Is it an absolute http(s) URL with neither query nor fragment nor a slash
 * at its end? */
int rensei_http_url_valid(const char *url, apr_pool_t *p);

#endif
