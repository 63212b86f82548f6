/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_bearer.h"
#include "auth_conf.h"
#include "auth_request.h"
#include "auth_verify.h"

#include <apr_lib.h>
#include <http_core.h>
#include <http_request.h>
#include <strings.h>

typedef enum {
    HEADER_NONE,
    HEADER_MALFORMED,
    HEADER_BEARER,
    HEADER_BASIC
} header_e;

/* b64token (RFC 6750 2.1). Not in it are the blank, and the comma with which
 * httpd joins two Authorization headers. */
static int is_credential(rensei_str_t c)
{
    apr_size_t i = 0;

    while (i < c.n && (apr_isalnum(c.p[i]) || strchr("-._~+/", c.p[i]))) {
        i++;
    }
    while (i > 0 && i < c.n && c.p[i] == '=') {
        i++;
    }
    return c.n > 0 && i == c.n;
}

/* Some other scheme first, ours joined behind it by httpd. */
static int has_second(const char *header)
{
    const char *comma = header;

    while ((comma = strchr(comma, ',')) != NULL) {
        comma += strspn(comma, ", \t");
        if (strncasecmp(comma, "Bearer ", 7) == 0) {
            return 1;
        }
    }
    return 0;
}

static int is_scheme(const char *header, const char *scheme, apr_size_t n)
{
    return strncasecmp(header, scheme, n) == 0 &&
           (header[n] == '\0' || !apr_isalnum(header[n]));
}

/* @param credential what follows the scheme */
static header_e read_header(rensei_str_t *credential, const char *header,
                            int accept)
{
    if (!header) {
        return HEADER_NONE;
    }
    if ((accept & ACCEPT_SECRET) && is_scheme(header, "Basic", 5)) {
        *credential = rensei_str(header + 5 + strspn(header + 5, " "));
        return HEADER_BASIC;
    }
    if (!is_scheme(header, "Bearer", 6)) {
        return has_second(header) ? HEADER_MALFORMED : HEADER_NONE;
    }
    *credential = rensei_str(header + 6 + strspn(header + 6, " "));
    return is_credential(*credential) ? HEADER_BEARER : HEADER_MALFORMED;
}

/* A subrequest, or what an internal redirect led to, carries the header of
 * the request it came from; the crypto need not run twice. What the location
 * takes is asked again, and so is authorization. */
static const rensei_principal_t *known_before(request_rec *r,
                                              const char *header, int accept)
{
    const request_rec *from = r->prev ? r->prev : r->main;

    for (; header && from; from = from->prev ? from->prev : from->main) {
        const auth_request_t *a = auth_request_peek(from);
        if (a && a->principal && from->server == r->server &&
            strcmp(a->header, header) == 0 && (a->accepted & accept) &&
            strcmp(a->audience, auth_conf_audience(r)) == 0) {
            auth_request(r)->accepted = a->accepted;
            return a->principal;
        }
    }
    return NULL;
}

static apr_status_t authenticate(const rensei_principal_t **out, request_rec *r,
                                 const char *header, rensei_err_t *err)
{
    rensei_str_t credential = {NULL, 0};
    int accept = auth_conf_accept(r);
    apr_status_t rv;

    *out = known_before(r, header, accept);
    if (*out) {
        return APR_SUCCESS;
    }
    switch (read_header(&credential, header, accept)) {
    case HEADER_NONE:
        return APR_SUCCESS;
    case HEADER_MALFORMED:
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The Authorization header must be given once, "
                              "as Bearer and one credential.");
    case HEADER_BASIC:
        auth_request(r)->accepted = ACCEPT_SECRET;
        return auth_verify_secret(out, r, credential, err);
    case HEADER_BEARER:
        break;
    }
    if (credential.n > RENSEI_TOKEN_LEN_MAX) {
        return rensei_err_set(err, RENSEI_E_INVALID_TOKEN,
                              "The credential is too long.");
    }
    rv = auth_verify(out, r, credential, accept, err);
    if (rv == APR_SUCCESS) {
        auth_request(r)->accepted = (*out)->cls == RENSEI_CLASS_REGISTRATION
                                        ? ACCEPT_REGISTRATION
                                        : (int)(*out)->kind;
    }
    return rv;
}

int auth_bearer_check(request_rec *r)
{
    const char *type = ap_auth_type(r);
    const char *header = apr_table_get(r->headers_in, "Authorization");
    const rensei_principal_t *pr = NULL;
    rensei_err_t err = {0};
    auth_request_t *a;

    if (!type || strcasecmp(type, "Bearer") != 0) {
        return DECLINED;
    }
    if (r->method_number == M_TRACE) { /* it would echo the credential */
        rensei_err_set(&err, RENSEI_E_METHOD, "TRACE is not allowed here.");
        return auth_refuse(r, &err);
    }
    if (authenticate(&pr, r, header, &err) != APR_SUCCESS) {
        return auth_refuse(r, &err);
    }
    if (!pr) {
        return auth_refuse_missing(r);
    }
    a = auth_request(r);
    a->principal = pr;
    a->header = header;
    a->audience = auth_conf_audience(r);
    r->user = (char *)pr->sub;
    r->ap_auth_type = (char *)type;
    return OK;
}
