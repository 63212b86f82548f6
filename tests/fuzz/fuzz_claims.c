/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * What is behind the signature: HEADER LF PAYLOAD, signed here. A token whose
 * claims are taken is one that a second reader, jansson, reads the same.
 */
#include "fuzz.h"
#include "rensei_id.h"

#include <string.h>

static const rensei_expect_t want = {"rensei-platform", "rensei-api", 30};

static int same_text(const json_t *claims, const char *name, rensei_str_t text)
{
    const json_t *value = json_object_get(claims, name);

    return json_is_string(value) &&
           rensei_str_eq(text, (rensei_str_t){json_string_value(value),
                                              json_string_length(value)});
}

static int safe(rensei_str_t id)
{
    return rensei_id_safe(id.p, id.n);
}

static void check_ids(const rensei_claims_t *c, const json_t *claims)
{
    FUZZ_HOLDS(safe(c->sub) && same_text(claims, "sub", c->sub));
    FUZZ_HOLDS(safe(c->org) && same_text(claims, "org_id", c->org));
    FUZZ_HOLDS(c->jti.n == 0 ||
               (safe(c->jti) && same_text(claims, "jti", c->jti)));
    FUZZ_HOLDS(c->workspace.n == 0 ||
               (safe(c->workspace) &&
                same_text(claims, "workspace_id", c->workspace)));
    FUZZ_HOLDS(c->typ != RENSEI_TYP_WORKER ||
               (rensei_id_valid(RENSEI_ID_WORKER, c->sub.p, c->sub.n) &&
                rensei_id_valid(RENSEI_ID_KEY, c->reg.p, c->reg.n)));
    FUZZ_HOLDS(c->typ == RENSEI_TYP_WORKER ||
               (!rensei_id_valid(RENSEI_ID_WORKER, c->sub.p, c->sub.n) &&
                !rensei_id_valid(RENSEI_ID_KEY, c->sub.p, c->sub.n)));
}

static int has_audience(const json_t *aud)
{
    const json_t *item;
    size_t i;

    if (json_is_string(aud)) {
        return strcmp(json_string_value(aud), want.audience) == 0;
    }
    json_array_foreach(aud, i, item)
    {
        if (strcmp(json_string_value(item), want.audience) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Every scope is one that the token names, in whichever claim. */
static void check_scopes(const rensei_claims_t *c, const json_t *claims)
{
    const json_t *list = json_object_get(claims, "scopes");
    int i;

    for (i = 0; i < c->scopes.count; i++) {
        rensei_str_t s = c->scopes.scope[i];
        size_t at, found = 0;

        FUZZ_HOLDS(rensei_scope_valid(s.p, s.n));
        for (at = 0; at < json_array_size(list); at++) {
            found |= rensei_str_eq(
                s, rensei_str(json_string_value(json_array_get(list, at))));
        }
        FUZZ_HOLDS(found || !list);
    }
    FUZZ_HOLDS(list || json_is_string(json_object_get(claims, "scope")));
}

static void check_claims(const rensei_claims_t *c, apr_pool_t *p)
{
    rensei_err_t err = {0};
    json_t *claims = NULL;

    FUZZ_HOLDS(rensei_json_load(&claims, c->payload.p, c->payload.n, p, &err) ==
               APR_SUCCESS);
    check_ids(c, claims);
    check_scopes(c, claims);
    FUZZ_HOLDS(same_text(claims, "iss", rensei_str(want.issuer)));
    FUZZ_HOLDS(has_audience(json_object_get(claims, "aud")));
    FUZZ_HOLDS(c->exp + want.skew > FUZZ_NOW_S);
    FUZZ_HOLDS(c->iat <= FUZZ_NOW_S + want.skew);
    FUZZ_HOLDS(json_integer_value(json_object_get(claims, "exp")) == c->exp);
}

void fuzz_claims(const char *text, apr_size_t n, apr_pool_t *p)
{
    static rensei_ring_t *ring;
    const char *token;
    rensei_claims_t claims;
    rensei_jws_t jws;
    rensei_err_t err = {0};

    if (!ring) {
        ring = fuzz_ring("{\"keys\":[" FUZZ_HS256 "]}");
    }
    token = fuzz_signed(ring, text, n, p);
    if (!token || rensei_jws_verify(&jws, token, strlen(token), ring, p,
                                    &err) != APR_SUCCESS) {
        return;
    }
    if (rensei_claims_read(&claims, &jws, &want, FUZZ_NOW_S, p, &err) ==
        APR_SUCCESS) {
        check_claims(&claims, p);
    }
    else {
        FUZZ_HOLDS(err.code == RENSEI_E_INVALID_TOKEN && err.text);
    }
}
