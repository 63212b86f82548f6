/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_enroll.h"
#include "rensei_field.h"

#include <string.h>

#define HOSTNAME_MAX 255 /* bytes; RFC 1035 2.3.4 */
#define MACHINE_ID_MAX 128
#define WORD_MAX 64 /* version, region, status, a capability */

/* `scopes` is no field here: what a worker may do is for the virtual host to
 * say. */
static const char *const names[] = {
    "hostname",     "maxAgents",        "version", "machineId", "region",
    "capabilities", "activeAgentCount", "status",  NULL,
};
static const char *const names_and_token[] = {
    "registrationToken",
    "hostname",
    "maxAgents",
    "version",
    "machineId",
    "region",
    "capabilities",
    "activeAgentCount",
    "status",
    NULL,
};

static apr_status_t token_read(rensei_enroll_spec_t *out, const json_t *body,
                               apr_pool_t *p, rensei_err_t *err)
{
    const json_t *value = json_object_get(body, "registrationToken");

    /* Not copied: the caller wipes it where it is. */
    out->token = json_string_value(value);
    return out->token && *out->token
               ? APR_SUCCESS
               : rensei_err_field(err, p, "registrationToken",
                                  "registrationToken is required: a "
                                  "registration key.");
}

static apr_status_t texts_read(rensei_enroll_spec_t *out, const json_t *body,
                               apr_pool_t *p, rensei_err_t *err)
{
    const struct {
        const char *name, **value;
        apr_size_t max;
    } text[] = {
        {"version", &out->version, WORD_MAX},
        {"machineId", &out->machine_id, MACHINE_ID_MAX},
        {"region", &out->region, WORD_MAX},
        {"status", &out->status, WORD_MAX},
    };
    apr_status_t rv = APR_SUCCESS;
    apr_size_t i;

    if (rensei_body_text(&out->hostname, body, "hostname", p, err) < 0) {
        return APR_EGENERAL;
    }
    rv = rensei_field_needed("hostname", out->hostname, HOSTNAME_MAX, p, err);
    for (i = 0; i < sizeof(text) / sizeof(text[0]) && rv == APR_SUCCESS; i++) {
        if (rensei_body_text(text[i].value, body, text[i].name, p, err) < 0) {
            return APR_EGENERAL;
        }
        rv = rensei_field_text(text[i].name, *text[i].value, text[i].max, 0, p,
                               err);
    }
    return rv;
}

static apr_status_t numbers_read(rensei_enroll_spec_t *out, const json_t *body,
                                 apr_pool_t *p, rensei_err_t *err)
{
    const json_t *active = json_object_get(body, "activeAgentCount");

    out->active_agents = RENSEI_WORKER_UNSAID;
    if (rensei_body_int(&out->max_agents, body, "maxAgents", 1,
                        RENSEI_WORKER_AGENTS_MAX, p, err) < 0) {
        return APR_EGENERAL;
    }
    if (out->max_agents == 0) {
        return rensei_err_field(err, p, "maxAgents", "maxAgents is required.");
    }
    if (!json_is_null(active) &&
        rensei_body_int(&out->active_agents, body, "activeAgentCount", 0,
                        RENSEI_WORKER_AGENTS_MAX, p, err) < 0) {
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

static apr_status_t capabilities_check(const json_t *list, apr_pool_t *p,
                                       rensei_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;
    size_t i, n = json_array_size(list);

    if (!json_is_array(list) || n > RENSEI_WORKER_CAPABILITIES_MAX) {
        return rensei_err_field(err, p, "capabilities",
                                "capabilities must be an array of at most %d "
                                "strings.",
                                RENSEI_WORKER_CAPABILITIES_MAX);
    }
    for (i = 0; i < n && rv == APR_SUCCESS; i++) {
        const char *one = json_string_value(json_array_get(list, i));

        rv = one ? rensei_field_text("capabilities", one, WORD_MAX, 0, p, err)
                 : rensei_err_field(err, p, "capabilities",
                                    "capabilities must be strings.");
    }
    return rv;
}

static apr_status_t capabilities_read(rensei_enroll_spec_t *out,
                                      const json_t *body, apr_pool_t *p,
                                      rensei_err_t *err)
{
    const json_t *list = json_object_get(body, "capabilities");
    apr_status_t rv;

    if (list == NULL || json_is_null(list)) {
        return APR_SUCCESS;
    }
    rv = capabilities_check(list, p, err);
    if (rv == APR_SUCCESS) {
        out->capabilities = rensei_json_dump(list, p);
        if (out->capabilities == NULL) {
            rv = rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                                "There is no memory for the capabilities.");
        }
    }
    return rv;
}

apr_status_t rensei_enroll_spec_read(rensei_enroll_spec_t *out,
                                     const json_t *body, int takes_token,
                                     apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv =
        rensei_body_known(body, takes_token ? names_and_token : names, p, err);

    memset(out, 0, sizeof(*out));
    if (rv == APR_SUCCESS && takes_token) {
        rv = token_read(out, body, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = texts_read(out, body, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = numbers_read(out, body, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = capabilities_read(out, body, p, err);
    }
    return rv;
}
