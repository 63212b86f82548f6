/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_request.h"
#include "auth_conf.h"
#include "auth_metadata.h"
#include "auth_token.h"
#include "rensei_http_log.h"
#include "rensei_http_reply.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_core.h>
#include <util_filter.h>

APLOG_USE_MODULE(rensei_auth);

#define CHALLENGE "WWW-Authenticate"
#define FILTER_NAME "RENSEI_ERROR_BODY"
#define RETRY_SECONDS "5"

auth_request_t *auth_request(request_rec *r)
{
    auth_request_t *a = auth_request_peek(r);

    if (!a) {
        a = apr_pcalloc(r->pool, sizeof(*a));
        ap_set_module_config(r->request_config, &rensei_auth_module, a);
    }
    return a;
}

/* In place of the one that had none, which may be another request's. */
static const rensei_principal_t *with_scopes(const rensei_principal_t *pr,
                                             apr_pool_t *p)
{
    rensei_principal_t *whole = apr_pmemdup(p, pr, sizeof(*pr));

    rensei_scopes_split(&whole->scopes, pr->scopes_text.p, pr->scopes_text.n,
                        p);
    return whole;
}

const rensei_principal_t *auth_request_principal(request_rec *r)
{
    auth_request_t *a = auth_request_peek(r);

    if (!a || !a->principal) {
        return NULL;
    }
    if (a->principal->scopes.count == 0 && a->principal->scopes_text.n > 0) {
        a->principal = with_scopes(a->principal, r->pool);
    }
    return a->principal;
}

rensei_str_t auth_request_claims(request_rec *r)
{
    const auth_request_t *a = auth_request_peek(r);
    rensei_str_t none = {NULL, 0};

    if (!a || !a->principal || a->principal->kind == RENSEI_KIND_KEY) {
        return none;
    }
    if (a->principal->claims.n > 0 || a->accepted == ACCEPT_SECRET) {
        return a->principal->claims;
    }
    return auth_token_payload(rensei_str(a->header), r->pool);
}

static const char *realm(request_rec *r)
{
    const char *name = ap_auth_name(r);
    return name ? ap_escape_quotes(r->pool, name) : "rensei";
}

static void challenge(request_rec *r, const char *attributes)
{
    apr_table_setn(r->err_headers_out, CHALLENGE,
                   apr_psprintf(r->pool, "Bearer realm=\"%s\"%s%s", realm(r),
                                attributes, auth_metadata_attribute(r)));
}

/* The other way to authenticate, where there is one. */
static void challenge_basic(request_rec *r)
{
    if (auth_conf_accept(r) & ACCEPT_SECRET) {
        apr_table_addn(r->err_headers_out, CHALLENGE,
                       apr_psprintf(r->pool, "Basic realm=\"%s\"", realm(r)));
    }
}

/* Our sentences have neither quote nor backslash, so they need no escape. */
static void challenge_error(request_rec *r, const rensei_err_t *err,
                            const char *scope)
{
    const char *attributes =
        apr_psprintf(r->pool, ", error=\"%s\", error_description=\"%s\"",
                     rensei_code_name(err->code), err->text);

    if (scope) {
        attributes =
            apr_psprintf(r->pool, "%s, scope=\"%s\"", attributes, scope);
    }
    challenge(r, attributes);
}

int auth_refuse_missing(request_rec *r)
{
    auth_request_t *a = auth_request(r);

    rensei_err_set(&a->err, RENSEI_E_INVALID_TOKEN,
                   "This resource needs a bearer token or an API key in the "
                   "Authorization header.");
    challenge(r, "");
    challenge_basic(r);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  RSLOG(0030) "no bearer credential: %s", r->uri);
    return HTTP_UNAUTHORIZED;
}

static void log_unable(request_rec *r, const rensei_err_t *err)
{
    const char *cause = err->cause ? err->cause : "no cause given";
    const char *more = rensei_http_log_due(cause, r->pool);

    if (more) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      RSLOG(0031) "cannot check a credential: %s: %s%s",
                      err->text, cause, more);
    }
}

int auth_refuse(request_rec *r, const rensei_err_t *err)
{
    auth_request_t *a = auth_request(r);
    int status = rensei_code_status(err->code);

    a->err = *err;
    if (status >= 500) {
        if (status == HTTP_SERVICE_UNAVAILABLE) {
            apr_table_setn(r->err_headers_out, "Retry-After", RETRY_SECONDS);
        }
        log_unable(r, err);
        return status;
    }
    if (status == HTTP_TOO_MANY_REQUESTS &&
        !apr_table_get(r->err_headers_out, "Retry-After")) {
        apr_table_setn(
            r->err_headers_out, "Retry-After",
            apr_psprintf(r->pool, "%d",
                         auth_server_conf(r->server)->throttle.seconds));
    }
    if (status == HTTP_UNAUTHORIZED || status == HTTP_BAD_REQUEST) {
        challenge_error(r, err, NULL);
    }
    if (status == HTTP_UNAUTHORIZED) {
        challenge_basic(r);
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  RSLOG(0032) "credential refused: %s", err->text);
    return status;
}

int auth_refuse_principal(request_rec *r, const char *missing)
{
    auth_request_t *a = auth_request(r);

    if (missing) {
        rensei_err_set(&a->err, RENSEI_E_INSUFFICIENT_SCOPE,
                       "The credential lacks a scope that this needs.");
        challenge_error(r, &a->err, missing);
    }
    else {
        rensei_err_set(&a->err, RENSEI_E_FORBIDDEN,
                       "The credential is good, but not for this.");
        apr_table_unset(r->err_headers_out, CHALLENGE);
    }
    a->missing = missing;
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, RSLOG(0033) "%s may not: %s%s",
                  a->principal->sub, missing ? "lacks scope " : "denied",
                  missing ? missing : "");
    return HTTP_FORBIDDEN;
}

void auth_pass(request_rec *r)
{
    auth_request_t *a = auth_request_peek(r);

    if (a && (a->err.code != RENSEI_E_NONE || a->missing)) {
        memset(&a->err, 0, sizeof(a->err));
        a->missing = NULL;
        apr_table_unset(r->err_headers_out, CHALLENGE);
    }
}

/* ---- the body ---- */

static const char *body_text(const auth_request_t *a, apr_pool_t *p)
{
    if (a->err.code == RENSEI_E_INSUFFICIENT_SCOPE) {
        return apr_psprintf(p,
                            "{\"error\":\"insufficient_scope\","
                            "\"error_description\":\"%s\",\"scope\":\"%s\"}",
                            a->err.text, a->missing);
    }
    return rensei_http_error_text(&a->err, p);
}

/* httpd writes its page and sets its type only after insert_error_filter ran;
 * so the type, too, is set here, when the page comes through. */
static apr_status_t error_body(ap_filter_t *f, apr_bucket_brigade *in)
{
    request_rec *r = f->r;
    const char *text; /* NULL: out of memory */

    apr_brigade_cleanup(in);
    if (f->ctx) { /* the rest of the page */
        return APR_SUCCESS;
    }
    f->ctx = r;
    text = body_text(auth_request(r), r->pool);
    return rensei_http_pass_json(f->next, r, text ? text : "{}");
}

void auth_register_filter(void)
{
    ap_register_output_filter(FILTER_NAME, error_body, NULL,
                              AP_FTYPE_CONTENT_SET);
}

void auth_insert_error_filter(request_rec *r)
{
    const auth_request_t *a = auth_request_peek(r);

    if (a && a->err.code != RENSEI_E_NONE &&
        !ap_response_code_string(r, ap_index_of_response(r->status))) {
        ap_add_output_filter(FILTER_NAME, NULL, r, r->connection);
    }
}
