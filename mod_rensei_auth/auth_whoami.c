/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_whoami.h"
#include "auth_conf.h"
#include "auth_request.h"
#include "rensei_http_body.h"
#include "rensei_http_log.h"
#include "rensei_http_reply.h"
#include "rensei_http_route.h"

APLOG_USE_MODULE(rensei_auth);

int auth_whoami_handler(request_rec *r)
{
    const rensei_principal_t *pr;

    if (!rensei_http_handles(r, "rensei-whoami")) {
        return DECLINED;
    }
    pr = auth_request_principal(r);
    if (!pr) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      RSLOG(0041) "%s has 'SetHandler rensei-whoami', but "
                                  "nobody was authenticated there; say "
                                  "'AuthType Bearer' and a Require line",
                      r->uri);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    rensei_http_body_discard(r);
    return rensei_http_reply(r, HTTP_OK, rensei_principal_json(pr, r->pool));
}
