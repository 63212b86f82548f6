/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The JSON bodies: of an OAuth request, and what clients, keys and workers
 * are made of. What was taken, written down and read again, is taken again.
 */
#include "fuzz.h"
#include "rensei_apikey.h"
#include "rensei_client.h"
#include "rensei_enroll.h"
#include "rensei_form.h"

#include <string.h>

static const rensei_param_t special[] = {{"resource", RENSEI_PARAM_MANY},
                                         {"max_token_age", RENSEI_PARAM_NUMBER},
                                         {NULL, RENSEI_PARAM_ONE}};

/* An error always says what is wrong, and never is one of ours. */
static int taken(apr_status_t rv, const rensei_err_t *err)
{
    FUZZ_HOLDS(rv == APR_SUCCESS ||
               (err->text && rensei_code_status(err->code) < 500));
    return rv == APR_SUCCESS;
}

static void check_params(const json_t *body, apr_pool_t *p)
{
    json_t *params = rensei_json_own(json_deep_copy(body), p);
    json_t *once;
    rensei_err_t err = {0};

    if (!taken(rensei_params_check(params, special, p, &err), &err)) {
        return;
    }
    once = rensei_json_own(json_deep_copy(params), p);
    FUZZ_HOLDS(taken(rensei_params_check(params, special, p, &err), &err));
    FUZZ_HOLDS(json_equal(once, params));
}

static void check_client(const json_t *body, int creating, apr_pool_t *p)
{
    rensei_client_spec_t spec, again;
    rensei_err_t err = {0};

    if (!taken(rensei_client_spec_read(&spec, body, creating, p, &err), &err)) {
        return;
    }
    FUZZ_HOLDS(spec.set != 0);
    FUZZ_HOLDS(!creating || (spec.name && spec.scopes.count >= 0));
    FUZZ_HOLDS(!spec.name || strlen(spec.name) <= RENSEI_NAME_MAX);
    FUZZ_HOLDS(spec.audiences.count <= RENSEI_AUDIENCES_MAX);
    FUZZ_HOLDS(
        taken(rensei_client_spec_read(&again, body, creating, p, &err), &err));
    FUZZ_HOLDS(again.set == spec.set && again.expires_at == spec.expires_at &&
               again.token_lifetime == spec.token_lifetime);
}

static void check_key(const json_t *body, apr_pool_t *p)
{
    rensei_apikey_spec_t spec;
    rensei_apikey_patch_t patch;
    rensei_err_t err = {0};

    if (taken(rensei_apikey_spec_read(&spec, body, p, &err), &err)) {
        FUZZ_HOLDS(spec.max_uses >= 0 && spec.expires_at >= 0);
    }
    if (taken(rensei_apikey_patch_read(&patch, body, p, &err), &err)) {
        FUZZ_HOLDS(patch.set != 0);
    }
}

/* What it says it can do is kept as JSON: that has to be an array. */
static void check_worker(const json_t *body, int takes_token, apr_pool_t *p)
{
    rensei_enroll_spec_t spec;
    rensei_err_t err = {0};
    json_t *list;

    if (!taken(rensei_enroll_spec_read(&spec, body, takes_token, p, &err),
               &err)) {
        return;
    }
    FUZZ_HOLDS(spec.hostname && spec.max_agents > 0 &&
               spec.max_agents <= RENSEI_WORKER_AGENTS_MAX);
    FUZZ_HOLDS(!takes_token || spec.token);
    if (spec.capabilities) {
        list = rensei_json_own(json_loads(spec.capabilities, 0, NULL), p);
        FUZZ_HOLDS(json_is_array(list) &&
                   json_array_size(list) <= RENSEI_WORKER_CAPABILITIES_MAX);
    }
}

void fuzz_body(const char *text, apr_size_t n, apr_pool_t *p)
{
    rensei_err_t err = {0};
    json_t *body = NULL;

    if (!taken(rensei_json_load(&body, text, n, p, &err), &err)) {
        return;
    }
    check_params(body, p);
    check_client(body, 0, p);
    check_client(body, 1, p);
    check_key(body, p);
    check_worker(body, 0, p);
    check_worker(body, 1, p);
}
