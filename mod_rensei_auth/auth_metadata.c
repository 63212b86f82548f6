/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_metadata.h"
#include "auth_conf.h"
#include "rensei_http_body.h"
#include "rensei_http_reply.h"
#include "rensei_http_route.h"
#include "rensei_http_url.h"
#include "rensei_json.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>

#define WELL_KNOWN "/.well-known/oauth-protected-resource"
#define WELL_KNOWN_LEN (sizeof(WELL_KNOWN) - 1)

static const char *base_of(request_rec *r)
{
    return rensei_http_base_url(r,
                                auth_server_conf(r->server)->policy.base_url);
}

const char *auth_metadata_attribute(request_rec *r)
{
    const char *path = strcmp(r->uri, "/") == 0 ? "" : r->uri;

    if (auth_dir_conf(r)->metadata != 1) {
        return "";
    }
    return apr_psprintf(r->pool, ", resource_metadata=\"%s%s%s\"", base_of(r),
                        WELL_KNOWN, ap_escape_uri(r->pool, path));
}

static json_t *scopes_array(const rensei_vocab_t *v)
{
    json_t *all = json_array();
    int i;

    for (i = 0; i < v->m2m.count; i++) {
        json_array_append_new(
            all, json_stringn(v->m2m.scope[i].p, v->m2m.scope[i].n));
    }
    return all;
}

static json_t *describe(request_rec *r, const char *path)
{
    const auth_server_conf_t *c = auth_server_conf(r->server);
    const char *base = base_of(r);
    json_t *out = json_object();

    json_object_set_new(
        out, "resource",
        json_string(
            apr_pstrcat(r->pool, base, ap_escape_uri(r->pool, path), NULL)));
    json_object_set_new(out, "authorization_servers", json_pack("[s]", base));
    json_object_set_new(out, "scopes_supported", scopes_array(&c->vocab));
    json_object_set_new(out, "bearer_methods_supported",
                        json_pack("[s]", "header"));
    return out;
}

/* What is configured for that path is asked of httpd, as a request for it
 * would be; whether such a request would be let in does not matter. */
static int is_described(request_rec *r, const char *path)
{
    const char *uri = *path ? ap_escape_uri(r->pool, path) : "/";
    request_rec *sub;
    int described;

    /* A credential sent along is not for that: it would be tried. */
    r->headers_in = apr_table_copy(r->pool, r->headers_in);
    apr_table_unset(r->headers_in, "Authorization");
    sub = ap_sub_req_lookup_uri(uri, r, NULL);
    described = auth_dir_conf(sub)->metadata == 1;
    ap_destroy_sub_req(sub);
    return described;
}

static int answer(request_rec *r)
{
    rensei_err_t err = {0};
    const char *path;

    rensei_http_body_discard(r);
    if (r->method_number != M_GET) {
        rensei_err_set(&err, RENSEI_E_METHOD, "Only GET is allowed here.");
        apr_table_setn(r->headers_out, "Allow", "GET, HEAD");
        return rensei_http_reply_error(r, &err);
    }
    path = r->uri + WELL_KNOWN_LEN;
    if (strncmp(r->uri, WELL_KNOWN, WELL_KNOWN_LEN) != 0 ||
        (*path != '/' && *path != '\0') || !is_described(r, path)) {
        rensei_err_set(&err, RENSEI_E_NOT_FOUND,
                       "No protected resource is described here.");
        return rensei_http_reply_error(r, &err);
    }
    return rensei_http_reply(r, HTTP_OK, describe(r, path));
}

int auth_metadata_handler(request_rec *r)
{
    return rensei_http_handles(r, "rensei-resource-metadata") ? answer(r)
                                                              : DECLINED;
}
