/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "admin.h"
#include "rensei_inventory.h"
#include "rensei_json.h"

static apr_status_t span_param(admin_call_t *c, apr_int64_t *seconds,
                               const char *name)
{
    const char *text = admin_param(c, name);

    if (text && !rensei_span_parse(seconds, text)) {
        return rensei_err_field(&c->err, c->p, name,
                                "%s must be a span of time such as 45d, 12h, "
                                "30m or 90s, of at most 3650 days.",
                                name);
    }
    return APR_SUCCESS;
}

/* "?without_owner" alone: a parameter without a value counts as absent
 * elsewhere, but here it would give more than was asked for. */
static int named_alone(const char *args, const char *name)
{
    apr_size_t n = strlen(name);
    const char *at = args;

    while (at) {
        if (strncmp(at, name, n) == 0) {
            const char *end = at + n + (at[n] == '=');

            if (*end == '&' || *end == '\0') {
                return 1;
            }
        }
        at = strchr(at, '&');
        at = at ? at + 1 : NULL;
    }
    return 0;
}

static apr_status_t flag_param(admin_call_t *c, int *flag, const char *name)
{
    const char *text = admin_param(c, name);

    *flag = text ? strcmp(text, "true") == 0 : named_alone(c->r->args, name);
    if (text && !*flag && strcmp(text, "false") != 0) {
        return rensei_err_field(&c->err, c->p, name,
                                "%s must be true or false.", name);
    }
    return APR_SUCCESS;
}

static apr_status_t inventory_list(admin_call_t *c,
                                   rensei_inventory_page_t *page)
{
    static const char *const known[] = {
        "unused_for", "expiring_within", "without_owner",
        "class",      "limit",           "cursor",
        NULL};
    rensei_inventory_filter_t filter = {0};
    apr_status_t rv = admin_query(c, known);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    filter.cls = admin_param(c, "class");
    filter.cursor = admin_param(c, "cursor");
    if ((rv = span_param(c, &filter.unused_for, "unused_for")) != APR_SUCCESS ||
        (rv = span_param(c, &filter.expiring_within, "expiring_within")) !=
            APR_SUCCESS ||
        (rv = flag_param(c, &filter.without_owner, "without_owner")) !=
            APR_SUCCESS ||
        (rv = admin_limit(c, &filter.limit)) != APR_SUCCESS ||
        (rv = admin_open(c)) != APR_SUCCESS) {
        return rv;
    }
    return rensei_inventory_list(page, c->store, c->org, &filter, c->p,
                                 &c->err);
}

/* GET /api/org/{orgId}/credentials */
int admin_credential_list(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_inventory_page_t page;
    apr_int64_t now;
    json_t *items;
    int i;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        inventory_list(&c, &page) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    now = rensei_store_now_ms(c.store);
    items = json_array();
    for (i = 0; i < page.count; i++) {
        json_array_append_new(
            items, rensei_credential_json(&page.credential[i], now, c.p));
    }
    return admin_page(&c, "credentials", items, page.next_cursor);
}
