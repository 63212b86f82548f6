/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_whoami.h"
#include "auth_conf.h"
#include "auth_request.h"
#include "rensei_http_body.h"
#include "rensei_http_log.h"
#include "rensei_http_reply.h"

APLOG_USE_MODULE(rensei_auth);

int auth_whoami_handler(request_rec *r)
{
    const auth_request_t *a = auth_request_peek(r);

    if (!r->handler || strcmp(r->handler, "rensei-whoami") != 0) {
        return DECLINED;
    }
    if (!a || !a->principal) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      RSLOG(0041) "%s has 'SetHandler rensei-whoami', but "
                                  "nobody was authenticated there; say "
                                  "'AuthType Bearer' and a Require line",
                      r->uri);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    rensei_http_body_discard(r);
    return rensei_http_reply(r, HTTP_OK,
                             rensei_principal_json(a->principal, r->pool));
}
