/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_reply.h"
#include "rensei_http_log.h"
#include "rensei_json.h"

#include <http_protocol.h>
#include <apr_strings.h>

/* Seconds after which a client may well try again, where nobody said. */
#define RETRY_UNAVAILABLE "5"
#define RETRY_SLOW_DOWN "60"

#define FIELD_LEN_MAX 100 /* a longer name is the client's own; not echoed */

int rensei_http_reply(request_rec *r, int status, json_t *body)
{
    const char *text = rensei_json_dump(body, r->pool);

    json_decref(body);
    return text ? rensei_http_reply_text(r, status, text)
                : HTTP_INTERNAL_SERVER_ERROR;
}

/* Not by ap_rwrite, which copies it into a buffer of 8 KB, for more to come. */
apr_status_t rensei_http_pass_json(ap_filter_t *to, request_rec *r,
                                   const char *text)
{
    apr_size_t n = strlen(text);
    apr_bucket_alloc_t *list = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, list);

    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)n);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(text, n, r->pool, list));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(list));
    return ap_pass_brigade(to, bb);
}

/* What becomes of it is httpd's: a peer that is gone needs no answer. */
int rensei_http_reply_text(request_rec *r, int status, const char *text)
{
    r->status = status;
    rensei_http_pass_json(r->output_filters, r, text);
    return OK;
}

/* error_description takes %x20-21 / %x23-5B / %x5D-7E and nothing else (RFC
 * 6749 5.2, RFC 6750 3); our sentences may quote what the client sent. */
static const char *description(const char *text, apr_pool_t *p)
{
    char *out = apr_pstrdup(p, text);
    char *c;

    for (c = out; *c; c++) {
        if (*c == '"') {
            *c = '\'';
        }
        else if (*c < 0x20 || *c > 0x7e || *c == '\\') {
            *c = '?';
        }
    }
    return out;
}

static json_t *error_json(const rensei_err_t *err, apr_pool_t *p)
{
    json_t *body = json_object();
    const char *text = err->text ? err->text : rensei_code_name(err->code);

    json_object_set_new(body, "error",
                        json_string(rensei_code_name(err->code)));
    json_object_set_new(body, "error_description",
                        json_string(description(text, p)));
    if (err->field && strlen(err->field) <= FIELD_LEN_MAX) {
        json_object_set_new(body, "field", json_string(err->field));
    }
    return body;
}

static void error_log(request_rec *r, const rensei_err_t *err)
{
    const char *name = rensei_code_name(err->code);
    const char *text = err->text ? err->text : "";

    if (err->code == RENSEI_E_UNAVAILABLE || err->code == RENSEI_E_INTERNAL) {
        const char *cause = err->cause ? err->cause : "no cause given";
        const char *more = rensei_http_log_due(cause, r->pool);

        if (more) {
            ap_log_rerror(RSLOG_MARK, APLOG_ERR, 0, r,
                          RSLOG(0101) "%s: %s (%s)%s", name, text, cause, more);
        }
        return;
    }
    ap_log_rerror(RSLOG_MARK, APLOG_INFO, 0, r,
                  RSLOG(0102) "refused, %s: %s%s%s%s%s", name, text,
                  err->field ? " field " : "", err->field ? err->field : "",
                  err->cause ? " cause " : "", err->cause ? err->cause : "");
}

int rensei_http_reply_error(request_rec *r, const rensei_err_t *err)
{
    int status = rensei_code_status(err->code);
    const char *wait = status == HTTP_SERVICE_UNAVAILABLE ? RETRY_UNAVAILABLE
                       : status == HTTP_TOO_MANY_REQUESTS ? RETRY_SLOW_DOWN
                                                          : NULL;

    error_log(r, err);
    if (wait && !apr_table_get(r->headers_out, "Retry-After")) {
        apr_table_setn(r->headers_out, "Retry-After", wait);
    }
    return rensei_http_reply(r, status, error_json(err, r->pool));
}

const char *rensei_http_error_text(const rensei_err_t *err, apr_pool_t *p)
{
    json_t *body = error_json(err, p);
    const char *text = rensei_json_dump(body, p);

    json_decref(body);
    return text;
}

static const char *actor_type(const rensei_principal_t *pr)
{
    if (!pr) {
        return "anonymous";
    }
    switch (pr->kind) {
    case RENSEI_KIND_M2M:
        return "m2m_client";
    case RENSEI_KIND_KEY:
        return "api_key";
    case RENSEI_KIND_WORKER:
        return "worker";
    }
    return "anonymous";
}

rensei_actor_t rensei_http_actor(request_rec *r, const rensei_principal_t *pr)
{
    const char *id = apr_table_get(r->subprocess_env, "UNIQUE_ID");
    rensei_actor_t actor = {0};

    actor.id = pr ? pr->sub : "anonymous";
    actor.type = actor_type(pr);
    actor.ip = r->useragent_ip;
    actor.request_id = id ? id : r->log_id;
    return actor;
}
