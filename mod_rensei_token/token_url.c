/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "token_url.h"
#include "rensei_http_url.h"

#include <apr_strings.h>
#include <strings.h>

static int among(const apr_array_header_t *names, const char *host, int wild)
{
    int i;

    for (i = 0; names && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);

        if (wild ? ap_strcasecmp_match(host, name) == 0
                 : strcasecmp(host, name) == 0) {
            return 1;
        }
    }
    return 0;
}

/* On the machine itself, any of its own names will do. */
static int is_loopback(const conn_rec *c, const char *host)
{
    const char *ip = c->local_ip;

    return (strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0) &&
           (strcasecmp(host, "localhost") == 0 ||
            strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0);
}

/* Is the request's Host this virtual host's, and its port, where it has one,
 * that of the server or the connection? */
static int host_is_ours(const request_rec *r)
{
    const server_rec *s = r->server;
    apr_port_t port = r->parsed_uri.port_str ? r->parsed_uri.port : 0;

    if (port && port != s->port && port != r->connection->local_addr->port) {
        return 0;
    }
    return !r->hostname || strcasecmp(r->hostname, s->server_hostname) == 0 ||
           among(s->names, r->hostname, 0) ||
           among(s->wild_names, r->hostname, 1) ||
           is_loopback(r->connection, r->hostname);
}

const char *const *token_url_audiences(request_rec *r,
                                       const rensei_policy_t *policy)
{
    static const char *const none[] = {NULL};
    const char *base = rensei_http_base_url(r, policy->base_url);
    const char **out;

    if (!policy->base_url && !host_is_ours(r)) {
        return none;
    }
    out = apr_pcalloc(r->pool, 5 * sizeof(*out));
    out[0] = base;
    out[1] = apr_pstrcat(r->pool, base, TOKEN_PATH, NULL);
    out[2] = apr_pstrcat(r->pool, base, TOKEN_INTROSPECT_PATH, NULL);
    out[3] = apr_pstrcat(r->pool, base, TOKEN_REVOKE_PATH, NULL);
    return out;
}
