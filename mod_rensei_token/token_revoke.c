/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * POST /api/oauth/revoke (RFC 7009).
 */
#include "rensei_introspect.h"
#include "rensei_http_reply.h"
#include "token_call.h"
#include "token_routes.h"

static apr_status_t token_end(token_call_t *call, const char *token)
{
    rensei_revoker_t by = {0};
    token_caller_t caller;
    const char *client;
    apr_status_t rv = token_call_open(call);

    if (rv == APR_SUCCESS) {
        rv = token_caller_authenticate(&caller, call, RENSEI_STR("org:write"));
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    by.org = caller.org;
    by.client = caller.client;
    by.workspace = caller.workspace;
    by.actor = call->actor;
    rv = rensei_introspect_revoke(&client, call->store, call->issuer.ring,
                                  &call->policy->expect, &by, token,
                                  call->r->pool, &call->err);
    if (rv == APR_SUCCESS && client) {
        token_changed(client);
    }
    return rv;
}

int token_revoke_post(request_rec *r, const rensei_route_match_t *m)
{
    token_call_t call = {0};
    const char *token;
    apr_status_t rv = token_caller_start(&token, &call, r, NULL);

    if (rv == APR_SUCCESS) {
        rv = token_end(&call, token);
    }
    token_call_close(&call);
    return rv == APR_SUCCESS ? rensei_http_reply(r, HTTP_OK, json_object())
                             : token_call_refuse(&call);
}
