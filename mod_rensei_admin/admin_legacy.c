/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * POST /api/org/api-keys, as the service before this one had it. Each answer,
 * an error as well, says that it is deprecated (RFC 9745), when it ends (RFC
 * 8594) and what comes after it (RFC 5829).
 */
#include "admin.h"
#include "admin_conf.h"

#include <ap_expr.h>
#include <http_core.h>
#include <apr_strings.h>

static const char *deprecation(const admin_conf_t *conf, apr_pool_t *p)
{
    return conf->legacy_deprecation == ADMIN_NO_DATE
               ? "true"
               : apr_psprintf(p, "@%" APR_INT64_T_FMT,
                              conf->legacy_deprecation);
}

static const char *http_date(apr_int64_t seconds, apr_pool_t *p)
{
    char *text = apr_palloc(p, APR_RFC822_DATE_LEN);

    apr_rfc822_date(text, apr_time_from_sec(seconds));
    return text;
}

/* The successor has the caller's organisation in its path: who is not known is
 * not told of it. */
static void headers_set(request_rec *r)
{
    const admin_conf_t *conf = admin_conf(r->server);
    const rensei_principal_t *pr = admin_principal(r);
    apr_table_t *out = r->err_headers_out;

    apr_table_setn(out, "Deprecation", deprecation(conf, r->pool));
    if (conf->legacy_sunset != ADMIN_NO_DATE) {
        apr_table_setn(out, "Sunset", http_date(conf->legacy_sunset, r->pool));
    }
    if (pr && pr->org) {
        apr_table_setn(out, "Link",
                       apr_pstrcat(r->pool, "</api/org/", pr->org,
                                   "/keys>; rel=\"successor-version\"", NULL));
    }
}

void admin_legacy_headers(request_rec *r)
{
    if (strcmp(r->uri, ADMIN_LEGACY_PATH) == 0) {
        headers_set(r);
    }
}

/* SetHandler takes effect only after authorization; this is what it says. */
static int ours(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *err = NULL, *handler = core->handler;

    if (core->expr_handler) {
        handler = ap_expr_str_exec(r, core->expr_handler, &err);
    }
    return !err && handler && strcmp(handler, ADMIN_HANDLER) == 0;
}

/* A request whose first line cannot be read comes here, too, and has no uri. */
void admin_legacy_error(request_rec *r)
{
    if (r->uri && ours(r) && strcmp(r->uri, ADMIN_LEGACY_PATH) == 0) {
        headers_set(r);
    }
}

int admin_legacy_access(request_rec *r)
{
    admin_legacy_error(r);
    return DECLINED;
}
