/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "admin.h"
#include "rensei_json.h"

/* The latest time that an ISO 8601 text of four digits of year can say. */
#define TIME_MS_MAX APR_INT64_C(253402300799999)

/* A time as epoch milliseconds or as ISO 8601. 0 would read as "open", so the
 * epoch itself, before anything of ours, is not a bound. */
static apr_status_t time_param(admin_call_t *c, apr_int64_t *ms,
                               const char *name)
{
    const char *text = admin_param(c, name);
    apr_int64_t at = 0;

    if (!text) {
        return APR_SUCCESS;
    }
    if (!rensei_int_parse(&at, text, strlen(text), 1, TIME_MS_MAX) &&
        (!rensei_time_parse(&at, text) || at < 1)) {
        return rensei_err_field(&c->err, c->p, name,
                                "%s must be a time after 1970, in ISO 8601 "
                                "or in milliseconds since the epoch.",
                                name);
    }
    *ms = at;
    return APR_SUCCESS;
}

static apr_status_t audit_list(admin_call_t *c, rensei_event_page_t *page)
{
    static const char *const known[] = {"limit",  "cursor", "event", "actor",
                                        "target", "since",  "until", NULL};
    rensei_audit_filter_t filter = {0};
    apr_status_t rv = admin_query(c, known);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    filter.event = admin_param(c, "event");
    filter.actor = admin_param(c, "actor");
    filter.target = admin_param(c, "target");
    filter.cursor = admin_param(c, "cursor");
    if ((rv = admin_limit(c, &filter.limit)) != APR_SUCCESS ||
        (rv = time_param(c, &filter.since, "since")) != APR_SUCCESS ||
        (rv = time_param(c, &filter.until, "until")) != APR_SUCCESS ||
        (rv = admin_open(c)) != APR_SUCCESS) {
        return rv;
    }
    return rensei_audit_list(page, c->store, c->org, &filter, c->p, &c->err);
}

/* GET /api/org/{orgId}/audit */
int admin_audit_list(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_event_page_t page;
    json_t *items;
    int i;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        audit_list(&c, &page) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    items = json_array();
    for (i = 0; i < page.count; i++) {
        json_array_append_new(items, rensei_event_json(&page.event[i], c.p));
    }
    return admin_page(&c, "events", items, page.next_cursor);
}
