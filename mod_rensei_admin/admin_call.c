/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "admin.h"
#include "admin_conf.h"
#include "rensei_field.h"
#include "rensei_http_log.h"
#include "rensei_id.h"

#include <http_config.h>
#include <apr_strings.h>

APLOG_USE_MODULE(rensei_admin);

#define SCOPE_READ "org:read"
#define SCOPE_WRITE "org:write"

static apr_status_t no_principal(admin_call_t *c)
{
    ap_log_rerror(
        APLOG_MARK, APLOG_ERR, 0, c->r,
        RSLOG(0151) "%s is served by rensei-admin, but nothing "
                    "authenticated the caller: its location needs \"AuthType "
                    "Bearer\" and a \"Require\" line",
        c->r->uri);
    return rensei_err_set(&c->err, RENSEI_E_FORBIDDEN,
                          "This needs an organisation's key.");
}

/* RFC 6750 3: who may not, though he is known, is told what it would take. */
static apr_status_t lacks_scope(admin_call_t *c, const char *scope)
{
    apr_table_setn(c->r->headers_out, "WWW-Authenticate",
                   apr_pstrcat(c->p, "Bearer error=\"insufficient_scope\", ",
                               "scope=\"", scope, "\"", NULL));
    return rensei_err_setf(&c->err, c->p, RENSEI_E_INSUFFICIENT_SCOPE,
                           "This needs the scope %s.", scope);
}

static apr_status_t start(admin_call_t *c, request_rec *r,
                          const rensei_principal_t **out)
{
    const rensei_principal_t *pr = *out = admin_principal(r);

    memset(c, 0, sizeof(*c));
    c->r = r;
    c->p = r->pool;
    if (!pr) {
        return no_principal(c);
    }
    c->vocab = admin_vocab(r->server);
    c->org = pr->org;
    c->actor = rensei_http_actor(r, pr);
    c->grantor.cls = pr->cls;
    c->grantor.held = pr->scopes;
    c->grantor.limits = admin_limits(r->server);
    c->grantor.workspace = pr->workspace;
    return APR_SUCCESS;
}

static apr_status_t org_key_check(admin_call_t *c, const rensei_principal_t *pr)
{
    const char *scope = c->r->method_number == M_GET ? SCOPE_READ : SCOPE_WRITE;

    if (pr->kind != RENSEI_KIND_KEY || pr->cls != RENSEI_CLASS_ORG) {
        return rensei_err_set(&c->err, RENSEI_E_FORBIDDEN,
                              "This needs an organisation's key.");
    }
    if (!rensei_scope_granted(c->vocab, pr->cls, &pr->scopes,
                              rensei_str(scope))) {
        return lacks_scope(c, scope);
    }
    return APR_SUCCESS;
}

apr_status_t admin_start(admin_call_t *c, request_rec *r)
{
    const rensei_principal_t *pr;
    apr_status_t rv = start(c, r, &pr);

    return rv == APR_SUCCESS ? org_key_check(c, pr) : rv;
}

apr_status_t admin_start_clients(admin_call_t *c, request_rec *r)
{
    const rensei_principal_t *pr;
    apr_status_t rv = start(c, r, &pr);

    if (rv == APR_SUCCESS && pr->kind == RENSEI_KIND_M2M && admin_conf_m2m(r)) {
        return APR_SUCCESS;
    }
    return rv == APR_SUCCESS ? org_key_check(c, pr) : rv;
}

apr_status_t admin_start_org(admin_call_t *c, request_rec *r, const char *org)
{
    apr_status_t rv = admin_start(c, r);

    if (rv == APR_SUCCESS && strcmp(org, c->org) != 0) {
        return rensei_err_set(&c->err, RENSEI_E_NOT_FOUND,
                              "There is no such organisation.");
    }
    return rv;
}

apr_status_t admin_body(admin_call_t *c)
{
    static const char *const none[] = {NULL};
    apr_status_t rv = rensei_http_query(&c->query, c->r, none, &c->err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    return rensei_http_body_json(&c->body, &c->http_status, c->r, &c->err);
}

apr_status_t admin_body_opt(admin_call_t *c, const char *const *known)
{
    static const char *const none[] = {NULL};
    apr_status_t rv = rensei_http_query(&c->query, c->r, none, &c->err);

    if (rv == APR_SUCCESS) {
        rv =
            rensei_http_body_json_opt(&c->body, &c->http_status, c->r, &c->err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_body_known(c->body, known, c->p, &c->err);
    }
    return rv;
}

apr_status_t admin_query(admin_call_t *c, const char *const *known)
{
    rensei_http_body_discard(c->r);
    return rensei_http_query(&c->query, c->r, known, &c->err);
}

apr_status_t admin_open(admin_call_t *c)
{
    return rensei_http_store_open(&c->handle, &c->store, c->r->server, c->p,
                                  &c->err);
}

apr_status_t admin_id(admin_call_t *c, const char *id)
{
    if (rensei_id_safe(id, strlen(id))) {
        return APR_SUCCESS;
    }
    return rensei_err_set(&c->err, RENSEI_E_NOT_FOUND, "There is no such id.");
}

const char *admin_param(const admin_call_t *c, const char *name)
{
    return json_string_value(json_object_get(c->query, name));
}

apr_status_t admin_limit(admin_call_t *c, int *limit)
{
    const char *text = admin_param(c, "limit");
    apr_int64_t n = 0;

    if (text && !rensei_int_parse(&n, text, strlen(text), 1, RENSEI_PAGE_MAX)) {
        return rensei_err_field(&c->err, c->p, "limit",
                                "limit must be a number from 1 to %d.",
                                RENSEI_PAGE_MAX);
    }
    *limit = (int)n;
    return APR_SUCCESS;
}

void admin_changed(const admin_call_t *c, apr_status_t rv, const char *id)
{
    /* A commit whose answer was lost may have been one. */
    if (rv == APR_SUCCESS || c->err.code == RENSEI_E_UNAVAILABLE ||
        c->err.code == RENSEI_E_INTERNAL) {
        admin_announce(id);
    }
}

static void close_store(admin_call_t *c)
{
    if (c->store) {
        rensei_http_store_close(c->handle);
        c->store = NULL;
    }
}

int admin_reply(admin_call_t *c, int status, json_t *body)
{
    close_store(c);
    return rensei_http_reply(c->r, status, body);
}

int admin_created(admin_call_t *c, const char *location, json_t *body)
{
    apr_table_set(c->r->headers_out, "Location", location);
    return admin_reply(c, HTTP_CREATED, body);
}

int admin_page(admin_call_t *c, const char *name, json_t *items,
               const char *next_cursor)
{
    json_t *body = json_object();

    json_object_set_new(body, name, items);
    json_object_set_new(body, "nextCursor",
                        next_cursor ? json_string(next_cursor) : json_null());
    return admin_reply(c, HTTP_OK, body);
}

int admin_fail(admin_call_t *c)
{
    close_store(c);
    if (c->http_status) {
        return c->http_status;
    }
    rensei_http_body_discard(c->r);
    return rensei_http_reply_error(c->r, &c->err);
}
