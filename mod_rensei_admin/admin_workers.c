/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "admin.h"
#include "rensei_worker.h"

static apr_status_t worker_list(admin_call_t *c, rensei_worker_page_t *page)
{
    static const char *const known[] = {"limit",  "cursor", "hostname", "keyId",
                                        "status", "region", NULL};
    rensei_worker_filter_t filter = {0};
    apr_status_t rv = admin_query(c, known);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    filter.hostname = admin_param(c, "hostname");
    filter.key = admin_param(c, "keyId");
    filter.status = admin_param(c, "status");
    filter.region = admin_param(c, "region");
    filter.cursor = admin_param(c, "cursor");
    rv = admin_limit(c, &filter.limit);
    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    return rv == APR_SUCCESS ? rensei_worker_list(page, c->store, c->org,
                                                  &filter, c->p, &c->err)
                             : rv;
}

/* GET /api/org/{orgId}/workers */
int admin_worker_list(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_worker_page_t page;
    json_t *items;
    int i;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        worker_list(&c, &page) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    items = json_array();
    for (i = 0; i < page.count; i++) {
        json_array_append_new(items, rensei_worker_json(&page.worker[i], c.p));
    }
    return admin_page(&c, "workers", items, page.next_cursor);
}

/* GET /api/org/{orgId}/workers/{id} */
int admin_worker_get(request_rec *r, const rensei_route_match_t *m)
{
    static const char *const known[] = {NULL};
    admin_call_t c;
    rensei_worker_t worker;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        admin_id(&c, m->param[1]) != APR_SUCCESS ||
        admin_query(&c, known) != APR_SUCCESS ||
        admin_open(&c) != APR_SUCCESS ||
        rensei_worker_get(&worker, c.store, c.org, m->param[1], c.p, &c.err) !=
            APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(&c, HTTP_OK, rensei_worker_json(&worker, c.p));
}

/* As of clients and keys (admin_key_reached). */
static apr_status_t worker_reached(admin_call_t *c, const char *id)
{
    rensei_worker_t worker;
    apr_status_t rv;

    if (!c->grantor.workspace) {
        return APR_SUCCESS;
    }
    rv = rensei_worker_get(&worker, c->store, c->org, id, c->p, &c->err);
    return rv == APR_SUCCESS ? rensei_grantor_reaches(
                                   &c->grantor, worker.workspace, c->p, &c->err)
                             : rv;
}

static apr_status_t worker_revoke(admin_call_t *c, rensei_worker_t *worker,
                                  const char *id)
{
    static const char *const known[] = {"reason", NULL};
    apr_status_t rv = admin_query(c, known);

    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv == APR_SUCCESS) {
        rv = worker_reached(c, id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_worker_revoke(worker, c->store, c->org, id,
                              admin_param(c, "reason"), &c->actor, c->p,
                              &c->err);
    admin_changed(c, rv, id);
    return rv;
}

/* DELETE /api/org/{orgId}/workers/{id} */
int admin_worker_delete(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_worker_t worker;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        admin_id(&c, m->param[1]) != APR_SUCCESS ||
        worker_revoke(&c, &worker, m->param[1]) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(&c, HTTP_OK,
                       json_pack("{s:s, s:s}", "workerId", worker.id,
                                 "revokedAt",
                                 rensei_time_iso(worker.revoked_at, c.p)));
}
