/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_expiry.h"
#include "auth_conf.h"
#include "rensei_expiry.h"
#include "rensei_http_log.h"
#include "rensei_http_store.h"

#include <apr_time.h>

APLOG_USE_MODULE(rensei_auth);

#define HEADER "Rensei-Credential-Expires"

/* Notices at one go: the thread that writes them also follows the changes of
 * the store, which must not wait. */
#define AT_ONCE 50

int auth_expiry_sweep(server_rec *s, apr_int64_t within, apr_pool_t *p)
{
    rensei_http_store_t *h;
    rensei_store_t *st;
    rensei_err_t err = {0};
    int count = 0;
    apr_status_t rv;

    if (within == 0) {
        return 0;
    }
    rv = rensei_http_store_open_own(&h, &st, s, p, &err);
    if (rv == APR_SUCCESS) {
        rv = rensei_expiry_sweep(&count, st, within * 1000, AT_ONCE, p, &err);
        rensei_http_store_close(h);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     RSLOG(0090) "cannot write notices of credentials that "
                                 "expire, and will try again: %s %s",
                     err.text, err.cause ? err.cause : "");
    }
    return rv == APR_SUCCESS && count == AT_ONCE;
}

void auth_expiry_header(request_rec *r, apr_int64_t expires_at)
{
    apr_int64_t within = auth_server_conf(r->server)->expiry_notice * 1000;
    apr_int64_t left = expires_at - apr_time_as_msec(r->request_time);
    char *text;

    if (expires_at == 0 || within == 0 || left > within) {
        return;
    }
    /* The headers of a subrequest that becomes the request (DirectoryIndex)
     * are added to those that are there. */
    if (r->main && apr_table_get(r->main->err_headers_out, HEADER)) {
        return;
    }
    text = apr_palloc(r->pool, APR_RFC822_DATE_LEN);
    apr_rfc822_date(text, apr_time_from_msec(expires_at));
    apr_table_setn(r->err_headers_out, HEADER, text);
}
