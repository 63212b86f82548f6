/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_worker_row.h"
#include "rensei_client.h"
#include "rensei_field.h"
#include "rensei_id.h"

#include <string.h>

static apr_status_t id_check(const char *id, rensei_err_t *err)
{
    return rensei_id_valid(RENSEI_ID_WORKER, id, strlen(id))
               ? APR_SUCCESS
               : rensei_err_set(err, RENSEI_E_NOT_FOUND,
                                "There is no such worker.");
}

apr_status_t rensei_worker_find(rensei_worker_t *out, rensei_store_t *st,
                                const char *id, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv = id_check(id, err);

    return rv == APR_SUCCESS ? rensei_worker_select(
                                   out, st, RENSEI_SQL_WORKER_FIND, &id, p, err)
                             : rv;
}

apr_status_t rensei_worker_get(rensei_worker_t *out, rensei_store_t *st,
                               const char *org, const char *id, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *args[] = {org, id};
    apr_status_t rv = id_check(id, err);

    return rv == APR_SUCCESS ? rensei_worker_select(
                                   out, st, RENSEI_SQL_WORKER_GET, args, p, err)
                             : rv;
}

static apr_status_t worker_end(rensei_worker_t *out, rensei_store_t *st,
                               const char *org, const char *id,
                               const char *reason, const rensei_actor_t *actor,
                               apr_pool_t *p, rensei_err_t *err)
{
    const char *args[] = {rensei_store_num(rensei_store_now_ms(st), p), reason,
                          org, id};
    int changed;
    apr_status_t rv =
        rensei_store_exec(&changed, st, RENSEI_SQL_WORKER_REVOKE, args, p, err);

    if (rv == APR_SUCCESS && changed) {
        rv = rensei_audit_change(st, "worker.revoked", org, actor, id,
                                 json_pack("{s:s?}", "reason", reason), p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_worker_get(out, st, org, id, p, err);
    }
    return rv;
}

apr_status_t rensei_worker_revoke(rensei_worker_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const char *reason,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv = id_check(id, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_field_text("reason", reason, RENSEI_DESCRIPTION_MAX, 0, p,
                               err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_store_begin(st, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = worker_end(out, st, org, id, reason, actor, p, err);
    return rensei_store_end(st, rv, p, err);
}

static json_t *capabilities_json(const rensei_worker_t *w)
{
    return rensei_json_stored(w->capabilities, json_array());
}

json_t *rensei_worker_json(const rensei_worker_t *w, apr_pool_t *p)
{
    json_t *active = w->active_agents == RENSEI_WORKER_UNSAID
                         ? json_null()
                         : json_integer(w->active_agents);
    json_t *out = json_pack(
        "{s:s, s:s, s:s?, s:s, s:s, s:s?, s:I, s:s?, s:s?, s:o, s:o, s:s?}",
        "workerId", w->id, "orgId", w->org, "workspaceId", w->workspace,
        "keyId", w->key, "hostname", w->hostname, "machineId", w->machine_id,
        "maxAgents", (json_int_t)w->max_agents, "version", w->version, "region",
        w->region, "capabilities", capabilities_json(w), "activeAgentCount",
        active, "reportedStatus", w->reported_status);

    rensei_json_merge(
        &out, json_pack("{s:s, s:o, s:o, s:o, s:s?}", "status", w->status,
                        "createdAt", rensei_answer_iso(w->created_at, p),
                        "lastSeenAt", rensei_answer_iso(w->last_seen_at, p),
                        "revokedAt", rensei_answer_iso(w->revoked_at, p),
                        "revokeReason", w->revoke_reason));
    return out;
}
