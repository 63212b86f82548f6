/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_bearer.h"
#include "auth_conf.h"
#include "auth_expiry.h"
#include "auth_request.h"
#include "auth_verify.h"
#include "rensei_authorization.h"
#include "rensei_http_log.h"

#include <http_core.h>
#include <http_request.h>
#include <strings.h>

APLOG_USE_MODULE(rensei_auth);

/* A subrequest, or what an internal redirect led to, carries the header of
 * the request it came from; the crypto need not run twice. What the location
 * takes is asked again, and so is authorization. */
static const rensei_principal_t *known_before(auth_request_t *mine,
                                              request_rec *r,
                                              const char *header, int accept)
{
    const request_rec *from = r->prev ? r->prev : r->main;

    for (; header && from; from = from->prev ? from->prev : from->main) {
        const auth_request_t *a = auth_request_peek(from);
        if (a && a->principal && from->server == r->server &&
            strcmp(a->header, header) == 0 && (a->accepted & accept) &&
            strcmp(a->audience, auth_conf_audience(r)) == 0) {
            mine->accepted = a->accepted;
            return a->principal;
        }
    }
    return NULL;
}

static apr_status_t malformed(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                          "The Authorization header must be given once, "
                          "as Bearer and one credential.");
}

/* What is no credential at all never verifies; so only one that did not is
 * looked through. */
static apr_status_t verify(const rensei_principal_t **out, request_rec *r,
                           rensei_str_t credential, int accept,
                           rensei_err_t *err)
{
    apr_status_t rv;

    if (credential.n > RENSEI_TOKEN_LEN_MAX) {
        rv = rensei_err_set(err, RENSEI_E_INVALID_TOKEN,
                            "The credential is too long.");
    }
    else {
        rv = auth_verify(out, r, credential, accept, err);
    }
    return rv == APR_SUCCESS || rensei_authorization_valid(credential)
               ? rv
               : malformed(err);
}

static apr_status_t authenticate(const rensei_principal_t **out,
                                 auth_request_t *a, request_rec *r,
                                 const char *header, rensei_err_t *err)
{
    rensei_str_t credential = {NULL, 0};
    int accept = auth_conf_accept(r);
    apr_status_t rv;

    *out = known_before(a, r, header, accept);
    if (*out) {
        return APR_SUCCESS;
    }
    switch (rensei_authorization_read(&credential, header,
                                      accept & ACCEPT_SECRET)) {
    case RENSEI_SCHEME_OTHER:
        return APR_SUCCESS;
    case RENSEI_SCHEME_MALFORMED:
        return malformed(err);
    case RENSEI_SCHEME_BASIC:
        a->accepted = ACCEPT_SECRET;
        return auth_verify_secret(out, r, credential, err);
    case RENSEI_SCHEME_BEARER:
        break;
    }
    rv = verify(out, r, credential, accept, err);
    if (rv == APR_SUCCESS && *out) {
        a->accepted = (*out)->cls == RENSEI_CLASS_REGISTRATION
                          ? ACCEPT_REGISTRATION
                          : (int)(*out)->kind;
    }
    return rv;
}

/* A provider of ours waits for a principal that there will never be. httpd
 * would go on to answer 500, and say nothing of why. */
static int without_type(request_rec *r)
{
    const auth_request_t *a = auth_request_peek(r);

    if (!a || !a->wanted) {
        return DECLINED;
    }
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                  RSLOG(0042) "%s has a 'Require rensei-...' line, but no "
                              "'AuthType Bearer' to give it a credential; "
                              "denied",
                  r->uri);
    return HTTP_FORBIDDEN;
}

/* Mostly written so. */
static int is_bearer(const char *type)
{
    return strcmp(type, "Bearer") == 0 || strcasecmp(type, "Bearer") == 0;
}

int auth_bearer_check(request_rec *r)
{
    const char *type = ap_auth_type(r);
    const char *header = apr_table_get(r->headers_in, "Authorization");
    const rensei_principal_t *pr = NULL;
    rensei_err_t err = {0};
    auth_request_t *a;

    if (!type) {
        return without_type(r);
    }
    if (!is_bearer(type)) {
        return DECLINED;
    }
    if (r->method_number == M_TRACE) { /* it would echo the credential */
        rensei_err_set(&err, RENSEI_E_METHOD, "TRACE is not allowed here.");
        return auth_refuse(r, &err);
    }
    a = auth_request(r);
    if (authenticate(&pr, a, r, header, &err) != APR_SUCCESS) {
        return auth_refuse(r, &err);
    }
    if (!pr) {
        return auth_refuse_missing(r);
    }
    a->principal = pr;
    a->header = header;
    a->audience = auth_conf_audience(r);
    if (auth_dir_conf(r)->expiry_header > 0) {
        auth_expiry_header(r, pr->owner_expires_at);
    }
    r->user = (char *)pr->sub;
    r->ap_auth_type = (char *)type;
    return OK;
}
