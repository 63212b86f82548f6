/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The template of custom claims. One that is taken gives an object, for any
 * client, with none of the claims that have a meaning of their own.
 */
#include "fuzz.h"
#include "rensei_template.h"

#include <string.h>

/* What is in a client's metadata stays a value, whatever it looks like. */
#define METADATA                                                        \
    "{\"plan\":{\"tier\":\"\\\",\\\"sub\\\":\\\"root\"},\"a\":[1,null," \
    "\"{{ client.id }}\"],\"\":0}"

static void check_claims(const rensei_template_t *t, const rensei_client_t *c,
                         apr_pool_t *p)
{
    json_t *claims = rensei_template_claims(t, c, p), *again = NULL, *value;
    const char *text, *name;
    rensei_err_t err = {0};

    FUZZ_HOLDS(json_is_object(claims) &&
               json_object_size(claims) <= RENSEI_TEMPLATE_CLAIMS_MAX);
    json_object_foreach(claims, name, value)
    {
        FUZZ_HOLDS(*name && strlen(name) <= RENSEI_CLAIM_NAME_MAX);
        FUZZ_HOLDS(!rensei_claim_registered(rensei_str(name)));
    }
    text = rensei_json_dump(claims, p);
    FUZZ_HOLDS(text && rensei_json_load(&again, text, strlen(text), p, &err) ==
                           APR_SUCCESS);
    FUZZ_HOLDS(json_equal(claims, again));
}

void fuzz_template(const char *text, apr_size_t n, apr_pool_t *p)
{
    rensei_client_t full = {.id = "m2m_0123456789abcdef0123456789abcdef",
                            .org = "org_01HZZZZZZZZZZZZZZZZZZZZZZZ",
                            .workspace = "ws_01HZZZZZZZZZZZZZZZZZZZZZZZ",
                            .name = "\"}, \"sub\": \"root",
                            .owner = "{{ client.id }}"};
    rensei_client_t bare = {.id = full.id, .org = full.org, .name = "n"};
    rensei_template_t *t = NULL;
    rensei_err_t err = {0};

    if (rensei_template_parse(&t, fuzz_string(text, n, p), p, &err) !=
        APR_SUCCESS) {
        FUZZ_HOLDS(err.code == RENSEI_E_INVALID_REQUEST && err.text);
        return;
    }
    full.trusted_metadata = fuzz_value(METADATA, p);
    check_claims(t, &full, p);
    check_claims(t, &bare, p);
}
