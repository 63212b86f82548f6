/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/* What a token is for, and what it carries: audiences (RFC 8707), the profile
 * of RFC 9068, custom claims. */
#include "unit_store.h"
#include "rensei_grant.h"

#include <apr_strings.h>

#define API "https://api.example.com/v1"
#define URN "urn:example:billing"

static rensei_err_t err;
static rensei_org_t org;
static rensei_client_t client;
static const char *secret;
static rensei_issuer_t issuer;
static rensei_token_t token;
static rensei_jws_t jws;

static apr_status_t create(const char *json)
{
    rensei_client_spec_t spec;

    memset(&err, 0, sizeof(err));
    if (rensei_client_spec_read(&spec, test_json(json), 1, test_pool, &err) !=
        APR_SUCCESS) {
        return APR_EGENERAL;
    }
    return rensei_client_create(&client, &secret, test_store(), org.id, &spec,
                                rensei_vocab_default(), NULL, &test_actor,
                                test_pool, &err);
}

static apr_status_t update(const char *json)
{
    rensei_client_spec_t spec;

    memset(&err, 0, sizeof(err));
    if (rensei_client_spec_read(&spec, test_json(json), 0, test_pool, &err) !=
        APR_SUCCESS) {
        return APR_EGENERAL;
    }
    return rensei_client_update(&client, test_store(), org.id, client.id, &spec,
                                rensei_vocab_default(), NULL, &test_actor,
                                test_pool, &err);
}

static void begin(const char *json)
{
    rensei_ring_t *ring;
    const char *key = "0123456789abcdef0123456789abcdef";

    ck_assert_int_eq(rensei_ring_create(&ring, test_pool), APR_SUCCESS);
    ck_assert_ok(rensei_ring_add_secret(ring, key, strlen(key), NULL, &err),
                 err);
    issuer = (rensei_issuer_t){.ring = ring,
                               .issuer = "rensei-platform",
                               .audience = "rensei-api",
                               .lifetime = 3600,
                               .vocab = rensei_vocab_default()};
    org = test_org("Acme");
    ck_assert_ok(create(json), err);
}

static apr_status_t grant_for(const char *const *resources)
{
    rensei_token_request_t req = {.grant_type = "client_credentials",
                                  .client_id = client.id,
                                  .client_secret = secret,
                                  .resources = resources};

    memset(&token, 0, sizeof(token));
    return test_grant_token(&token, test_store(), &issuer, &req, &test_actor,
                            test_pool, &err);
}

/* The resources asked for, and NULL. */
#define grant(...) grant_for((const char *const[]){__VA_ARGS__})

/* All claims of the token just issued, unchecked. */
static json_t *issued(void)
{
    ck_assert_ok(rensei_jws_verify(&jws, token.access_token,
                                   strlen(token.access_token), issuer.ring,
                                   test_pool, &err),
                 err);
    return test_json(apr_pstrmemdup(test_pool, jws.payload.p, jws.payload.n));
}

static const char *claim(const char *name)
{
    const json_t *value = json_object_get(issued(), name);

    return value ? rensei_json_dump(value, test_pool) : "absent";
}

/* Does a gateway of that audience take the token? */
static int taken_by(const char *audience)
{
    rensei_expect_t want = {"rensei-platform", audience, 10};
    rensei_claims_t claims;

    issued();
    return rensei_claims_read(&claims, &jws, &want, apr_time_sec(test_now),
                              test_pool, &err) == APR_SUCCESS;
}

static int tokens_issued(void)
{
    return test_sql_count("rensei_audit WHERE event = 'm2m.token_issued'");
}

static void template_set(const char *text)
{
    rensei_template_t *t;

    ck_assert_ok(rensei_template_parse(&t, text, test_pool, &err), err);
    issuer.template = t;
}

#define TWO \
    "{\"name\":\"c\",\"scopes\":[],\"audiences\":[\"" API "\",\"" URN "\"]}"

/* --- audiences --- */

START_TEST(the_issuers_unless_asked)
{
    begin(TWO);
    ck_assert_ok(grant(NULL), err);
    ck_assert_str_eq(claim("aud"), "\"rensei-api\"");
    ck_assert_ok(grant_for(NULL), err);
    ck_assert_str_eq(claim("aud"), "\"rensei-api\"");
    ck_assert_ptr_null(strstr(test_last_event(org.id).details, "audiences"));
}
END_TEST

START_TEST(exactly_what_was_asked)
{
    begin(TWO);
    ck_assert_ok(grant(API, NULL), err);
    ck_assert_str_eq(claim("aud"), "\"" API "\"");
    ck_assert_ptr_nonnull(
        strstr(test_last_event(org.id).details, "\"audiences\":[\"" API "\"]"));
    ck_assert(taken_by(API));
    ck_assert(!taken_by("rensei-api"));
    ck_assert(!taken_by(URN));
    ck_assert_ok(grant(URN, API, NULL), err);
    ck_assert_str_eq(claim("aud"), "[\"" URN "\",\"" API "\"]");
    ck_assert(taken_by(API));
    ck_assert(taken_by(URN));
    ck_assert(!taken_by("rensei-api"));
    ck_assert_ok(grant(URN, "rensei-api", NULL), err);
    ck_assert_str_eq(claim("aud"), "[\"" URN "\",\"rensei-api\"]");
    ck_assert_ok(grant("rensei-api", NULL), err);
    ck_assert_str_eq(claim("aud"), "\"rensei-api\"");
    ck_assert_ok(grant(API, API, API, NULL), err);
    ck_assert_str_eq(claim("aud"), "\"" API "\"");
}
END_TEST

START_TEST(nothing_else)
{
    static const char *const bad[] = {"https://api.example.com/v1/",
                                      "https://api.example.com/v",
                                      "https://API.example.com/v1",
                                      "https://api.example.com/v1#x",
                                      "https://api.example.com",
                                      "https://evil.example.com/",
                                      API " " URN,
                                      "rensei-ap",
                                      "RENSEI-API",
                                      "*",
                                      "",
                                      " ",
                                      "\"",
                                      "\xff",
                                      NULL};
    int i;

    begin(TWO);
    for (i = 0; bad[i]; i++) {
        ck_assert_err(grant(bad[i], NULL), err, RENSEI_E_INVALID_TARGET);
        ck_assert_err(grant(API, bad[i], NULL), err, RENSEI_E_INVALID_TARGET);
        ck_assert_err(grant(bad[i], API, NULL), err, RENSEI_E_INVALID_TARGET);
        ck_assert_ptr_null(token.access_token);
    }
    ck_assert_str_eq(rensei_code_name(err.code), "invalid_target");
    ck_assert_int_eq(rensei_code_status(err.code), 400);
    ck_assert_int_eq(tokens_issued(), 0);
    ck_assert_ok(update("{\"audiences\":null}"), err);
    ck_assert_err(grant(API, NULL), err, RENSEI_E_INVALID_TARGET);
    ck_assert_ok(grant("rensei-api", NULL), err);
}
END_TEST

START_TEST(all_that_a_client_can_have)
{
    const char *list = "", *asked[RENSEI_AUDIENCES_MAX + 3];
    json_t *aud;
    int i;

    for (i = 0; i < RENSEI_AUDIENCES_MAX; i++) {
        asked[i] = apr_psprintf(test_pool, "%0200d", i);
        list =
            apr_psprintf(test_pool, "%s%s\"%s\"", list, i ? "," : "", asked[i]);
    }
    begin(apr_psprintf(
        test_pool, "{\"name\":\"c\",\"scopes\":[],\"audiences\":[%s]}", list));
    asked[i++] = "rensei-api";
    asked[i++] = asked[0];
    asked[i] = NULL;
    ck_assert_ok(grant_for(asked), err);
    aud = json_object_get(issued(), "aud");
    ck_assert_int_eq(json_array_size(aud), RENSEI_AUDIENCES_MAX + 1);
    ck_assert(taken_by("rensei-api"));
}
END_TEST

START_TEST(audiences_of_a_client)
{
    json_t *json;
    char *longest = apr_palloc(test_pool, RENSEI_AUDIENCE_LEN_MAX + 2);
    const char *many = "";
    int i;

    begin("{\"name\":\"c\",\"scopes\":[],\"audiences\":[\"" API
          "\",\"name\",\"" API "\"]}");
    json = rensei_json_own(rensei_client_json(&client, NULL, test_pool),
                           test_pool);
    ck_assert_str_eq(
        rensei_json_dump(json_object_get(json, "audiences"), test_pool),
        "[\"" API "\",\"name\"]");
    ck_assert_ok(update("{\"audiences\":[\"other\"]}"), err);
    ck_assert_int_eq(client.audiences.count, 1);
    ck_assert_ptr_nonnull(
        strstr(test_last_event(org.id).details, "\"fields\":[\"audiences\"]"));
    ck_assert_ok(update("{\"name\":\"d\"}"), err);
    ck_assert_int_eq(client.audiences.count, 1);
    ck_assert_ok(update("{\"audiences\":[]}"), err);
    ck_assert_int_eq(client.audiences.count, 0);

    memset(longest, 'a', RENSEI_AUDIENCE_LEN_MAX + 1);
    longest[RENSEI_AUDIENCE_LEN_MAX] = '\0';
    ck_assert_ok(
        update(apr_psprintf(test_pool, "{\"audiences\":[\"%s\"]}", longest)),
        err);
    ck_assert_field(
        update(apr_psprintf(test_pool, "{\"audiences\":[\"%sa\"]}", longest)),
        err, "audiences");
    for (i = 0; i <= RENSEI_AUDIENCES_MAX; i++) {
        many = apr_psprintf(test_pool, "%s%s\"a%d\"", many, i ? "," : "", i);
    }
    ck_assert_field(
        update(apr_psprintf(test_pool, "{\"audiences\":[%s]}", many)), err,
        "audiences");
    ck_assert_str_eq(client.audiences.scope[0].p, longest);
}
END_TEST

START_TEST(audiences_that_are_none)
{
    static const char *const bad[] = {
        "\"" API "\"",   "{}",          "7",           "[7]",
        "[null]",        "[\"\"]",      "[\"a b\"]",   "[\" \"]",
        "[\"a\",\"\"]",  "[\"a\\t\"]",  "[\"a\\\"\"]", "[\"a\\\\\"]",
        "[\"\\u00e9\"]", "[\"a#b\"]",   "[\"#\"]",     "[\"\\u007f\"]",
        "[[\"a\"]]",     "[{\"a\":1}]", NULL};
    rensei_client_spec_t spec = {.set = RENSEI_CLIENT_AUDIENCES};
    rensei_str_t blank = RENSEI_STR("a b");
    int i;

    begin(TWO);
    for (i = 0; bad[i]; i++) {
        ck_assert_field(
            update(apr_psprintf(test_pool, "{\"audiences\":%s}", bad[i])), err,
            "audiences");
    }
    /* A blank would make two of one, by whatever way it comes. */
    spec.audiences = (rensei_audiences_t){1, &blank};
    ck_assert_field(rensei_client_update(&client, test_store(), org.id,
                                         client.id, &spec,
                                         rensei_vocab_default(), NULL,
                                         &test_actor, test_pool, &err),
                    err, "audiences");
    ck_assert_int_eq(client.audiences.count, 2);
}
END_TEST

/* --- RFC 9068 --- */

START_TEST(profile_of_rfc_9068)
{
    begin("{\"name\":\"c\",\"scopes\":[\"workers:read\",\"agents:read\"]}");
    ck_assert_ok(grant(NULL), err);
    ck_assert_str_eq(claim("client_id"), "absent");
    ck_assert_str_eq(claim("scope"), "absent");
    issuer.rfc9068 = 1;
    ck_assert_ok(grant(NULL), err);
    ck_assert_str_eq(claim("client_id"),
                     apr_psprintf(test_pool, "\"%s\"", client.id));
    ck_assert_str_eq(claim("scope"), "\"workers:read agents:read\"");
    ck_assert_str_eq(claim("scopes"), "[\"workers:read\",\"agents:read\"]");
    ck_assert_int_eq(json_object_size(issued()), 10);
    /* {"alg":"HS256","typ":"at+jwt",... in whatever order */
    ck_assert_str_eq(
        rensei_ring_key_header(rensei_ring_signer(issuer.ring), RENSEI_TYP_AT)
            .p,
        apr_pstrmemdup(test_pool, token.access_token,
                       strcspn(token.access_token, ".")));
    ck_assert(taken_by("rensei-api"));
}
END_TEST

/* --- custom claims --- */

START_TEST(custom_claims)
{
    begin("{\"name\":\"c\",\"scopes\":[],\"owner\":\"Ada\","
          "\"trustedMetadata\":{\"plan\":{\"tier\":\"gold\"},\"sub\":\"x\"}}");
    template_set("{\"tier\":{{client.trusted_metadata.plan.tier}},"
                 "\"team\":{\"by\":{{client.owner}}},"
                 "\"none\":{{client.trusted_metadata.none}},"
                 "\"meta\":{{client.trusted_metadata}}}");
    ck_assert_ok(grant(NULL), err);
    ck_assert_str_eq(claim("tier"), "\"gold\"");
    ck_assert_str_eq(claim("team"), "{\"by\":\"Ada\"}");
    ck_assert_str_eq(claim("none"), "absent");
    ck_assert_str_eq(claim("meta"),
                     "{\"plan\":{\"tier\":\"gold\"},\"sub\":\"x\"}");
    ck_assert_str_eq(claim("sub"),
                     apr_psprintf(test_pool, "\"%s\"", client.id));
    ck_assert_int_eq(json_object_size(issued()), 11);
    ck_assert(taken_by("rensei-api"));
    ck_assert_ok(update("{\"trustedMetadata\":null}"), err);
    ck_assert_ok(grant(NULL), err);
    ck_assert_str_eq(claim("tier"), "absent");
    ck_assert_str_eq(claim("meta"), "absent");
}
END_TEST

/* A value of n bytes as JSON: {"a":"…"} */
static const char *metadata_of(int n)
{
    char *text = apr_palloc(test_pool, (apr_size_t)n + 1);

    memset(text, 'x', (apr_size_t)n);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + n - 2, "\"}", 3);
    return text;
}

static const char *body_of(const char *metadata)
{
    return apr_psprintf(test_pool,
                        "{\"name\":\"c\",\"scopes\":[\"*\"],"
                        "\"trustedMetadata\":%s}",
                        metadata);
}

/* The largest that is taken at creation goes into a token, under a key whose
 * signatures are the longest (as long as this HS256 one and 470 bytes more,
 * which is what the limit leaves), and what the token of it is, is read. */
START_TEST(the_largest_metadata_makes_a_token)
{
    const apr_size_t longest_sig = RENSEI_SIG_LEN_MAX * 4 / 3;

    begin(body_of(metadata_of(RENSEI_METADATA_MAX)));
    template_set("{\"https://example.com/metadata\":"
                 "{{client.trusted_metadata}}}");
    issuer.rfc9068 = 1;
    ck_assert_ok(grant(NULL), err);
    ck_assert(taken_by("rensei-api"));
    ck_assert_uint_lt(strlen(token.access_token) + longest_sig,
                      RENSEI_TOKEN_LEN_MAX);
    ck_assert_field(create(body_of(metadata_of(RENSEI_METADATA_MAX + 1))), err,
                    "trustedMetadata");
}
END_TEST

START_TEST(all_together_are_limited_as_well)
{
    char *scopes = "";
    rensei_str_t many[40];
    rensei_vocab_t vocab = {{40, many}, {0, NULL}};
    rensei_client_spec_t spec;
    int i;

    begin(body_of(metadata_of(3000)));
    for (i = 0; i < 40; i++) {
        many[i] = rensei_str(apr_psprintf(test_pool, "%040d", i));
        scopes = apr_psprintf(test_pool, "%s%s\"%s\"", scopes, i ? "," : "",
                              many[i].p);
    }
    ck_assert_ok(
        rensei_client_spec_read(
            &spec,
            test_json(apr_psprintf(test_pool, "{\"scopes\":[%s]}", scopes)), 0,
            test_pool, &err),
        err);
    ck_assert_field(rensei_client_update(&client, test_store(), org.id,
                                         client.id, &spec, &vocab, NULL,
                                         &test_actor, test_pool, &err),
                    err, "trustedMetadata");
    ck_assert_ok(update("{\"trustedMetadata\":null}"), err);
    ck_assert_ok(rensei_client_update(&client, test_store(), org.id, client.id,
                                      &spec, &vocab, NULL, &test_actor,
                                      test_pool, &err),
                 err);
    ck_assert_field(update(apr_psprintf(test_pool, "{\"trustedMetadata\":%s}",
                                        metadata_of(3000))),
                    err, "trustedMetadata");
}
END_TEST

static const char *nested(int depth)
{
    const char *out = "\"x\"";

    while (depth-- > 0) {
        out = apr_pstrcat(test_pool, depth % 2 ? "[" : "{\"a\":", out,
                          depth % 2 ? "]" : "}", NULL);
    }
    return out;
}

START_TEST(metadata_that_no_gateway_could_read)
{
    const char *many = "";
    int i;

    begin(body_of(nested(RENSEI_METADATA_DEPTH_MAX)));
    ck_assert_field(create(body_of(nested(RENSEI_METADATA_DEPTH_MAX + 1))), err,
                    "trustedMetadata");
    for (i = 0; i < RENSEI_JSON_MEMBERS_MAX; i++) {
        many = apr_psprintf(test_pool, "%s%s\"%d\":1", many, i ? "," : "", i);
    }
    ck_assert_ok(create(body_of(apr_psprintf(test_pool, "{%s}", many))), err);
    ck_assert_field(
        create(body_of(apr_psprintf(test_pool, "{%s,\"a\":1}", many))), err,
        "trustedMetadata");
    ck_assert_field(create(body_of(apr_psprintf(
                        test_pool, "{\"o\":[{%s,\"a\":1}]}", many))),
                    err, "trustedMetadata");
    /* Escapes do no harm where a template puts it. */
    ck_assert_ok(
        create(body_of("{\"a\\\"\\\\\\n\":\"\\u0001\\ud83d\\ude00\"}")), err);
    template_set("{\"m\":{{client.trusted_metadata}}}");
    ck_assert_ok(grant(NULL), err);
    ck_assert(taken_by("rensei-api"));
}
END_TEST

static void metadata_force(const char *text)
{
    test_sql(apr_psprintf(
        test_pool, "UPDATE rensei_clients SET trusted_metadata = '%s'", text));
}

/* Metadata of an earlier version: no token that nobody can use, but an error
 * that says why, for the log as well. */
START_TEST(metadata_that_is_too_much_at_issuing)
{
    begin("{\"name\":\"c\",\"scopes\":[]}");
    template_set("{\"m\":{{client.trusted_metadata}}}");
    metadata_force(metadata_of(8000));
    ck_assert_err(grant(NULL), err, RENSEI_E_INTERNAL);
    ck_assert_ptr_nonnull(strstr(err.text, "too long"));
    ck_assert_ptr_nonnull(strstr(err.cause, client.id));
    /* Which keeps it from being renamed no more than from being made less. */
    ck_assert_ok(update("{\"name\":\"d\"}"), err);
    metadata_force(nested(16));
    ck_assert_err(grant(NULL), err, RENSEI_E_INTERNAL);
    ck_assert_ptr_nonnull(strstr(err.text, "nested"));
    ck_assert_ptr_nonnull(strstr(err.cause, client.id));
    ck_assert_ptr_null(token.access_token);
    ck_assert_int_eq(tokens_issued(), 0);
    ck_assert_ok(update("{\"trustedMetadata\":{}}"), err);
    ck_assert_ok(grant(NULL), err);
}
END_TEST

Suite *suite_target(void)
{
    TCase *tc;
    Suite *s = test_suite("target", &tc);

    tcase_add_test(tc, the_issuers_unless_asked);
    tcase_add_test(tc, exactly_what_was_asked);
    tcase_add_test(tc, nothing_else);
    tcase_add_test(tc, all_that_a_client_can_have);
    tcase_add_test(tc, audiences_of_a_client);
    tcase_add_test(tc, audiences_that_are_none);
    tcase_add_test(tc, profile_of_rfc_9068);
    tcase_add_test(tc, custom_claims);
    tcase_add_test(tc, the_largest_metadata_makes_a_token);
    tcase_add_test(tc, all_together_are_limited_as_well);
    tcase_add_test(tc, metadata_that_no_gateway_could_read);
    tcase_add_test(tc, metadata_that_is_too_much_at_issuing);
    return s;
}
