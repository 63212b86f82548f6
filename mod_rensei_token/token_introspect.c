/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * POST /api/oauth/introspect (RFC 7662).
 */
#include "rensei_introspect.h"
#include "rensei_http_reply.h"
#include "token_call.h"
#include "token_routes.h"

#include <apr_strings.h>

#define AGE_MAX 315360000 /* seconds: ten years */

static const rensei_param_t special[] = {
    {"required_scopes", RENSEI_PARAM_MANY},
    {"max_token_age", RENSEI_PARAM_NUMBER},
    {NULL},
};

static apr_status_t scopes_param(rensei_scopes_t *out, token_call_t *call)
{
    const json_t *list = json_object_get(call->params, "required_scopes");
    apr_pool_t *p = call->r->pool;
    const char *text = "";
    rensei_err_t wrong;
    size_t i;

    for (i = 0; i < json_array_size(list); i++) {
        text = apr_pstrcat(p, text, json_string_value(json_array_get(list, i)),
                           " ", NULL);
    }
    if (rensei_scopes_parse(out, text, strlen(text), p, &wrong) !=
        APR_SUCCESS) {
        return rensei_err_field(&call->err, p, "required_scopes", "%s",
                                wrong.text);
    }
    return APR_SUCCESS;
}

static apr_status_t age_param(apr_int64_t *out, token_call_t *call)
{
    const char *text = token_call_param(call, "max_token_age");

    *out = -1;
    if (text && !rensei_int_parse(out, text, strlen(text), 0, AGE_MAX)) {
        return rensei_err_field(&call->err, call->r->pool, "max_token_age",
                                "max_token_age must be a number of seconds "
                                "from 0 to %d.",
                                AGE_MAX);
    }
    return APR_SUCCESS;
}

static apr_status_t introspect(json_t **answer, token_call_t *call,
                               rensei_question_t *q)
{
    token_caller_t caller;
    apr_status_t rv = token_call_open(call);

    if (rv == APR_SUCCESS) {
        rv = token_caller_authenticate(&caller, call, RENSEI_STR("org:read"));
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    q->org = caller.org;
    return rensei_introspect(answer, call->store, &call->issuer,
                             &call->policy->expect, q, call->r->pool,
                             &call->err);
}

int token_introspect_post(request_rec *r, const rensei_route_match_t *m)
{
    token_call_t call = {0};
    rensei_question_t q = {0};
    json_t *answer = NULL;
    apr_status_t rv = token_caller_start(&q.token, &call, r, special);

    if (rv == APR_SUCCESS) {
        rv = scopes_param(&q.required, &call);
    }
    if (rv == APR_SUCCESS) {
        rv = age_param(&q.max_age, &call);
    }
    if (rv == APR_SUCCESS) {
        rv = introspect(&answer, &call, &q);
    }
    token_call_close(&call);
    return rv == APR_SUCCESS ? rensei_http_reply(r, HTTP_OK, answer)
                             : token_call_refuse(&call);
}
