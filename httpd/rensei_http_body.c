/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_body.h"
#include "rensei_http_log.h"

#include <http_core.h>
#include <http_protocol.h>
#include <util_filter.h>
#include <apr_strings.h>
#include <openssl/crypto.h>

#include <strings.h>

#define BODY_JSON "application/json"
#define BODY_FORM "application/x-www-form-urlencoded"

/* What is read of a body; it may have a secret in it, so that each buffer is
 * wiped before it is let go. */
typedef struct body_t {
    char *text;
    apr_size_t n, size;
} body_t;

/* Over our limit, or over a smaller LimitRequestBody. */
static apr_status_t too_large(request_rec *r, rensei_err_t *err)
{
    /* What is left is not worth reading, whatever httpd does with a 413. */
    r->connection->keepalive = AP_CONN_CLOSE;
    return rensei_err_set(err, RENSEI_E_TOO_LARGE, "The body is too large.");
}

/* Is it known, before a byte is read, that the body is over the limit? An
 * unreadable length is left to httpd, which refuses it when we read. */
static int length_over_limit(request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t n = 0;

    return length && ap_parse_strict_length(&n, length) && n > RENSEI_BODY_MAX;
}

static void body_wipe(body_t *b)
{
    if (b->text) {
        OPENSSL_cleanse(b->text, b->size);
    }
}

static void body_append(body_t *b, const char *data, apr_size_t n,
                        apr_pool_t *p)
{
    if (b->size - b->n < n) {
        body_t old = *b;

        b->size = old.size * 2 > old.n + n ? old.size * 2 : old.n + n;
        b->text = apr_palloc(p, b->size);
        if (old.n > 0) {
            memcpy(b->text, old.text, old.n);
        }
        body_wipe(&old);
    }
    memcpy(b->text + b->n, data, n);
    b->n += n;
}

/* Takes the data out of a brigade. APR_EOF at the end of the body, APR_ENOSPC
 * over the limit. */
static apr_status_t brigade_take(body_t *b, apr_bucket_brigade *bb,
                                 apr_pool_t *p)
{
    apr_bucket *e;

    for (e = APR_BRIGADE_FIRST(bb); e != APR_BRIGADE_SENTINEL(bb);
         e = APR_BUCKET_NEXT(e)) {
        const char *data;
        apr_size_t n;
        apr_status_t rv;

        if (APR_BUCKET_IS_EOS(e)) {
            return APR_EOF;
        }
        if (APR_BUCKET_IS_METADATA(e)) {
            continue;
        }
        rv = apr_bucket_read(e, &data, &n, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (n > RENSEI_BODY_MAX - b->n) {
            return APR_ENOSPC;
        }
        if (n > 0) {
            body_append(b, data, n, p);
        }
    }
    return APR_SUCCESS;
}

/* @return APR_EOF when all of the body is in b */
static apr_status_t body_drain(body_t *b, request_rec *r)
{
    apr_bucket_brigade *bb =
        apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t rv;

    do {
        rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES,
                            APR_BLOCK_READ, HUGE_STRING_LEN);
        if (rv == APR_EOF) {
            rv = APR_INCOMPLETE; /* the peer went away before the end */
        }
        else if (rv == APR_SUCCESS) {
            rv = brigade_take(b, bb, r->pool);
        }
        apr_brigade_cleanup(bb);
    } while (rv == APR_SUCCESS);
    apr_brigade_destroy(bb);
    return rv;
}

/* A body that is not well sent (bad chunks, an early end) is answered as our
 * own errors are; the rest (a timeout, a filter that has answered by itself)
 * is httpd's to end. */
static apr_status_t read_failed(apr_status_t rv, int *http_status,
                                request_rec *r, rensei_err_t *err)
{
    int status = ap_map_http_request_error(rv, HTTP_BAD_REQUEST);

    ap_log_rerror(RSLOG_MARK, APLOG_INFO, rv, r,
                  RSLOG(0106) "the request body could not be read");
    r->connection->keepalive = AP_CONN_CLOSE;
    if (status != HTTP_BAD_REQUEST) {
        *http_status = status;
        apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    }
    return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                          "The body could not be read to its end.");
}

static apr_status_t body_read(body_t *b, int *http_status, request_rec *r,
                              rensei_err_t *err)
{
    apr_status_t rv = body_drain(b, r);

    if (rv == APR_EOF) {
        return APR_SUCCESS;
    }
    body_wipe(b);
    if (rv == APR_ENOSPC) {
        return too_large(r, err);
    }
    return read_failed(rv, http_status, r, err);
}

static const char *trimmed(const char *s, apr_pool_t *p)
{
    apr_size_t n;

    s += strspn(s, " \t");
    n = strlen(s);
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t')) {
        n--;
    }
    return apr_pstrmemdup(p, s, n);
}

/* Do the parameters of a media type say UTF-8, or nothing of a charset? */
static int params_utf8(const char *params, apr_pool_t *p)
{
    while (*params) {
        const char *value = ap_getword(p, &params, ';');
        const char *name = trimmed(ap_getword(p, &value, '='), p);

        value = trimmed(value, p);
        if (strcasecmp(name, "charset") == 0 &&
            strcasecmp(value, "utf-8") != 0 &&
            strcasecmp(value, "\"utf-8\"") != 0) {
            return 0;
        }
    }
    return 1;
}

/* Is the body of that type, as UTF-8? */
static int media_is(request_rec *r, const char *type)
{
    const char *rest = apr_table_get(r->headers_in, "Content-Type");
    const char *said;

    if (!rest) {
        return 0;
    }
    said = trimmed(ap_getword(r->pool, &rest, ';'), r->pool);
    return strcasecmp(said, type) == 0 && params_utf8(rest, r->pool);
}

static apr_status_t media_unknown(request_rec *r, const char *wanted,
                                  rensei_err_t *err)
{
    rensei_http_body_discard(r);
    return rensei_err_setf(err, r->pool, RENSEI_E_MEDIA_TYPE,
                           "The Content-Type must be %s, in UTF-8.", wanted);
}

static apr_status_t parse_json(json_t **out, body_t *b, request_rec *r,
                               rensei_err_t *err)
{
    if (b->n == 0) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The body is empty; a JSON object is needed.");
    }
    return rensei_json_load(out, b->text, b->n, r->pool, err);
}

apr_status_t rensei_http_body_json(json_t **out, int *http_status,
                                   request_rec *r, rensei_err_t *err)
{
    body_t b = {NULL, 0, 0};
    apr_status_t rv;

    *http_status = 0;
    if (length_over_limit(r)) {
        return too_large(r, err);
    }
    if (!media_is(r, BODY_JSON)) {
        return media_unknown(r, BODY_JSON, err);
    }
    rv = body_read(&b, http_status, r, err);
    if (rv == APR_SUCCESS) {
        rv = parse_json(out, &b, r, err);
        body_wipe(&b);
    }
    return rv;
}

/* Whether there is a body is known for sure only at its end: one in chunks,
 * or of HTTP/2, has no length. */
apr_status_t rensei_http_body_json_opt(json_t **out, int *http_status,
                                       request_rec *r, rensei_err_t *err)
{
    body_t b = {NULL, 0, 0};
    apr_status_t rv;

    *http_status = 0;
    if (length_over_limit(r)) {
        return too_large(r, err);
    }
    rv = body_read(&b, http_status, r, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (b.n == 0) {
        *out = rensei_json_own(json_object(), r->pool);
    }
    else if (!media_is(r, BODY_JSON)) {
        rv = media_unknown(r, BODY_JSON, err);
    }
    else {
        rv = parse_json(out, &b, r, err);
    }
    body_wipe(&b);
    return rv;
}

apr_status_t rensei_http_body_params(json_t **out,
                                     const rensei_param_t *special,
                                     int *http_status, request_rec *r,
                                     rensei_err_t *err)
{
    int form = media_is(r, BODY_FORM);
    body_t b = {NULL, 0, 0};
    apr_status_t rv;

    *http_status = 0;
    if (length_over_limit(r)) {
        return too_large(r, err);
    }
    if (!form && !media_is(r, BODY_JSON)) {
        return media_unknown(r, BODY_FORM " or " BODY_JSON, err);
    }
    rv = body_read(&b, http_status, r, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (form) {
        rv = rensei_form_read(out, special, b.text, b.n, r->pool, err);
    }
    else {
        rv = parse_json(out, &b, r, err);
        if (rv == APR_SUCCESS) {
            rv = rensei_params_check(*out, special, r->pool, err);
        }
    }
    body_wipe(&b);
    return rv;
}

apr_status_t rensei_http_query(json_t **out, request_rec *r,
                               const char *const *known, rensei_err_t *err)
{
    const char *args = r->args ? r->args : "";
    apr_status_t rv =
        rensei_form_read(out, NULL, args, strlen(args), r->pool, err);
    const char *name;
    json_t *value;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    json_object_foreach(*out, name, value)
    {
        const char *const *k = known;

        while (*k && strcmp(*k, name) != 0) {
            k++;
        }
        if (!*k) {
            return rensei_err_field(err, r->pool, name,
                                    "There is no such query parameter here.");
        }
    }
    return APR_SUCCESS;
}

/* Reads on, keeping nothing, until the end or the limit. */
static apr_status_t drop_rest(request_rec *r)
{
    apr_bucket_brigade *bb =
        apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_off_t left = RENSEI_BODY_MAX;
    apr_status_t rv;
    int end = 0;

    do {
        apr_off_t n = 0;

        rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES,
                            APR_BLOCK_READ, HUGE_STRING_LEN);
        if (rv == APR_SUCCESS) {
            end = !APR_BRIGADE_EMPTY(bb) &&
                  APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));
            rv = apr_brigade_length(bb, 1, &n);
            left -= n;
        }
        apr_brigade_cleanup(bb);
    } while (rv == APR_SUCCESS && !end && left > 0);
    apr_brigade_destroy(bb);
    return end ? APR_SUCCESS : APR_ENOSPC;
}

/* Will the connection end after the answer, so that nothing needs reading? A
 * stream of HTTP/2 always says so; but if its body is left, the stream is
 * reset, and clients (curl) take that for an error in place of the answer. */
static int closes(const conn_rec *c)
{
    return !c->master && c->keepalive == AP_CONN_CLOSE;
}

void rensei_http_body_discard(request_rec *r)
{
    if (r->main || closes(r->connection) || !ap_request_has_body(r)) {
        return;
    }
    if (r->expecting_100 || length_over_limit(r) ||
        drop_rest(r) != APR_SUCCESS) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
}

void rensei_http_body_wipe(json_t *value)
{
    if (json_is_string(value)) {
        OPENSSL_cleanse((void *)json_string_value(value),
                        json_string_length(value));
    }
}
