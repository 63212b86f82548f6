/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_jwt.h"
#include "rensei_template.h"

#include <apr_strings.h>

static rensei_err_t err;
static rensei_template_t *template;

static apr_status_t parse(const char *text)
{
    return rensei_template_parse(&template, text, test_pool, &err);
}

/* A client with this metadata (JSON text, NULL for none). */
static rensei_client_t client_of(const char *metadata)
{
    rensei_client_t c = {.id = "m2m_1", .org = "org_1", .name = "CI"};

    c.workspace = "ws_1";
    if (metadata) {
        ck_assert_ok(rensei_json_load(&c.trusted_metadata, metadata,
                                      strlen(metadata), test_pool, &err),
                     err);
    }
    return c;
}

static const char *filled(const char *text, const rensei_client_t *c)
{
    ck_assert_ok(parse(text), err);
    return rensei_json_dump(rensei_template_claims(template, c, test_pool),
                            test_pool);
}

#define META "client.trusted_metadata"

START_TEST(placeholders)
{
    static const struct {
        const char *text, *claims;
    } table[] = {
        {"{}", "{}"},
        {"{\"a\":1,\"b\":[true,null,\"x\"],\"c\":{\"d\":1.5}}",
         "{\"a\":1,\"b\":[true,null,\"x\"],\"c\":{\"d\":1.5}}"},
        {"{\"a\":{{ client.id }}}", "{\"a\":\"m2m_1\"}"},
        {"{\"a\":{{client.id}}}", "{\"a\":\"m2m_1\"}"},
        {"{\"a\":{{\t\r\n client.id\n}} }", "{\"a\":\"m2m_1\"}"},
        {"{\"a\":{{client.name}},\"b\":{{client.org_id}},"
         "\"c\":{{client.workspace_id}}}",
         "{\"a\":\"CI\",\"b\":\"org_1\",\"c\":\"ws_1\"}"},
        {"{\"a\":{{" META ".s}}}", "{\"a\":\"text\"}"},
        {"{\"a\":{{" META ".n}}}", "{\"a\":7}"},
        {"{\"a\":{{" META ".nul}}}", "{\"a\":null}"},
        {"{\"a\":{{" META ".o.p}}}", "{\"a\":[1,2]}"},
        {"{\"a\":{{" META ".o}}}", "{\"a\":{\"p\":[1,2],\"\":0}}"},
        {"{\"a\":{{" META ".dash-ed_2}}}", "{\"a\":true}"},
        {"{\"a\":[{{" META ".n}},{{" META ".s}}]}", "{\"a\":[7,\"text\"]}"},
        {"{\"a\":{\"b\":{\"c\":{{" META ".n}}}}}", "{\"a\":{\"b\":{\"c\":7}}}"},
        /* what is not there leaves its member, or element, out */
        {"{\"a\":{{client.owner}},\"b\":1}", "{\"b\":1}"},
        {"{\"a\":{{" META ".none}},\"b\":1}", "{\"b\":1}"},
        {"{\"a\":{{" META ".o.none.more}}}", "{}"},
        {"{\"a\":{{" META ".s.t}}}", "{}"},
        {"{\"a\":{{" META ".o.p.0}}}", "{}"},
        {"{\"a\":{{" META ".nul.x}}}", "{}"},
        {"{\"a\":[1,{{client.owner}},2]}", "{\"a\":[1,2]}"},
        {"{\"a\":{\"b\":{{client.owner}}}}", "{\"a\":{}}"},
        /* braces and escapes in strings are the administrator's own */
        {"{\"a\":\"}}\",\"b\":{{client.id}}}",
         "{\"a\":\"}}\",\"b\":\"m2m_1\"}"},
        {"{\"a\":\"\\\"{\",\"b\":{{client.id}}}",
         "{\"a\":\"\\\"{\",\"b\":\"m2m_1\"}"},
        {"{\"a\\\\b\":0}", NULL},
        {"{\"a\":\"\\\\\",\"b\":{{client.id}}}",
         "{\"a\":\"\\\\\",\"b\":\"m2m_1\"}"},
    };
    rensei_client_t c =
        client_of("{\"s\":\"text\",\"n\":7,\"nul\":null,\"dash-ed_2\":true,"
                  "\"o\":{\"p\":[1,2],\"\":0}}");
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].claims) {
            ck_assert_str_eq(filled(table[i].text, &c), table[i].claims);
        }
        else {
            ck_assert_err(parse(table[i].text), err, RENSEI_E_INVALID_REQUEST);
        }
    }
}
END_TEST

START_TEST(all_of_the_metadata)
{
    const char *text = "{\"m\":{{ " META " }}}";
    rensei_client_t c = client_of("{\"a\":{\"b\":[1]}}");

    ck_assert_str_eq(filled(text, &c), "{\"m\":{\"a\":{\"b\":[1]}}}");
    c = client_of(NULL);
    ck_assert_str_eq(filled(text, &c), "{}");
    c = client_of("{}");
    ck_assert_str_eq(filled(text, &c), "{\"m\":{}}");
}
END_TEST

START_TEST(texts_that_are_no_template)
{
    static const char *const bad[] = {
        "", "x", "[]", "\"{{client.id}}\"", "{{client.id}}", "{{" META "}}",
        "{\"a\":1", "{\"a\":1}}", "{\"a\":1,\"a\":2}",
        "{\"a\":{{client.id}},\"a\":{{client.id}}}", "{\"a\":\"x}",
        "{\"a\":\"\\",
        /* no such placeholder */
        "{\"a\":{{}}}", "{\"a\":{{ }}}", "{\"a\":{{client}}}",
        "{\"a\":{{client.}}}", "{\"a\":{{client.secret}}}",
        "{\"a\":{{client.secret_last4}}}", "{\"a\":{{client.ID}}}",
        "{\"a\":{{client.id.x}}}", "{\"a\":{{client.trusted_metadata.}}}",
        "{\"a\":{{client.trusted_metadata..a}}}",
        "{\"a\":{{client.trusted_metadata.a.}}}",
        "{\"a\":{{client.trusted_metadatax}}}",
        "{\"a\":{{client.trusted_metadata.a b}}}",
        "{\"a\":{{client.trusted_metadata.\"a\"}}}",
        "{\"a\":{{client.trusted_metadata.\xc3\xa9}}}", "{\"a\":{{client.id}",
        "{\"a\":{{client.id", "{\"a\":{{client.id} }}",
        "{\"a\":{{{client.id}}}}",
        /* nor in place of a name, beside a value, or in quotes */
        "{{{client.id}}:1}", "{\"x\":{{{client.id}}:1}}",
        "{\"a\":{{client.id}}{{client.id}}}", "{\"a\":\"x\"{{client.id}}}",
        "{\"a\":\"{{ client.id }}\"}", "{\"a\":\"{{client.id\"}",
        "{\"a\":\"x {{ client.id }}\"}", "{\"a\":\"\\u007b{client.id\"}",
        "{\"a\":[\"\\u007b\\u007bclient.id\"]}", "{\"{{client.id\":1}",
        "{\"{{client.id\":1,\"a\":{{client.id}}}",
        /* one too many and one too few are not two that are right */
        "{\"a\":\"\\u007b{client.id\",\"b\":{ {{client.id}}:1}}",
        /* names */
        "{\"\":1}", "{\"a\\\"b\":1}", "{\"a\\\\\":1}", "{\"a\\n\":1}",
        "{\"a\\u0000\":1}", NULL};
    int i;

    for (i = 0; bad[i]; i++) {
        template = NULL;
        memset(&err, 0, sizeof(err));
        ck_assert_msg(parse(bad[i]) != APR_SUCCESS, "%s", bad[i]);
        ck_assert_msg(err.code == RENSEI_E_INVALID_REQUEST, "%s", bad[i]);
        ck_assert_ptr_nonnull(err.text);
        ck_assert_ptr_null(template);
    }
}
END_TEST

/* A custom `sub` or `org_id` would be a token of somebody else. */
START_TEST(registered_names)
{
    static const char *const names[] = {
        "iss",   "sub", "aud",       "exp",       "nbf",
        "iat",   "jti", "org_id",    "scopes",    "workspace_id",
        "scope", "reg", "client_id", "token_use", NULL};
    static const char *const others[] = {
        "is",  "isss", "ISS",   "orgid", "org_ID", "scopess", "clientid",
        "tok", "a",    "audit", "su",    "regs",   "scope_",  NULL};
    int i;

    for (i = 0; names[i]; i++) {
        ck_assert(rensei_claim_registered(rensei_str(names[i])));
        ck_assert_err(parse(apr_psprintf(test_pool, "{\"%s\":1}", names[i])),
                      err, RENSEI_E_INVALID_REQUEST);
        ck_assert_ptr_nonnull(strstr(err.text, names[i]));
        /* by whatever spelling */
        ck_assert_err(parse(apr_psprintf(test_pool, "{\"\\u00%02x%s\":1}",
                                         names[i][0], names[i] + 1)),
                      err, RENSEI_E_INVALID_REQUEST);
        /* but further down it is a name like any other */
        ck_assert_ok(
            parse(apr_psprintf(test_pool, "{\"x\":{\"%s\":1}}", names[i])),
            err);
    }
    for (i = 0; others[i]; i++) {
        ck_assert(!rensei_claim_registered(rensei_str(others[i])));
        ck_assert_ok(parse(apr_psprintf(test_pool, "{\"%s\":1}", others[i])),
                     err);
    }
}
END_TEST

/* The hole: an organisation's administrator writes metadata, the server's
 * administrator the template. Were values pasted as text, the one could add
 * claims of his own, `sub` or `scopes`, to tokens. */
START_TEST(metadata_is_never_more_than_a_value)
{
    static const char *const attacks[] = {
        "\",\"sub\":\"m2m_2\",\"x\":\"",
        "\"",
        "\\",
        "\\\"",
        "}}",
        "}},\"sub\":{{client.org_id",
        "{{ client.org_id }}",
        "{{client.trusted_metadata}}",
        "{{client.trusted_metadata.v}}",
        "\n\r\t\x01\x1f",
        "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
        "%s%n",
        "</script>",
        "",
        NULL};
    rensei_client_t c = {.id = "m2m_1"};
    rensei_json_object_t obj;
    json_t *claims;
    const char *text;
    int i;

    ck_assert_ok(parse("{\"a\":{{" META ".v}},\"b\":{\"c\":{{" META "}}}}"),
                 err);
    for (i = 0; attacks[i]; i++) {
        c.trusted_metadata = rensei_json_own(
            json_pack("{s:s, s:i}", "v", attacks[i], attacks[i], 1), test_pool);
        claims = rensei_template_claims(template, &c, test_pool);
        ck_assert_int_eq(json_object_size(claims), 2);
        ck_assert_str_eq(json_string_value(json_object_get(claims, "a")),
                         attacks[i]);
        ck_assert(json_equal(json_object_get(json_object_get(claims, "b"), "c"),
                             c.trusted_metadata));
        /* ... also for who reads the token. */
        text = rensei_json_dump(claims, test_pool);
        ck_assert_int_eq(rensei_json_scan(&obj, text, strlen(text)),
                         APR_SUCCESS);
        ck_assert_int_eq(obj.count, 2);
        ck_assert_ptr_null(rensei_json_find(&obj, "sub"));
    }
}
END_TEST

/* A name is the client's own as well. */
START_TEST(names_and_owners_are_values_too)
{
    rensei_client_t c = client_of(NULL);

    c.name = "\"}},{{client.org_id}}";
    c.owner = "\\";
    ck_assert_str_eq(
        filled("{\"a\":{{client.name}},\"b\":{{client.owner}}}", &c),
        "{\"a\":\"\\\"}},{{client.org_id}}\",\"b\":\"\\\\\"}");
}
END_TEST

static const char *nested(int depth, const char *inner)
{
    const char *out = inner;
    int i;

    for (i = 0; i < depth; i++) {
        out = apr_pstrcat(test_pool, "{\"a\":", out, "}", NULL);
    }
    return out;
}

START_TEST(limits)
{
    char *text = apr_palloc(test_pool, RENSEI_TEMPLATE_LEN_MAX + 2);
    const char *many = "";
    int i;

    ck_assert_ok(parse(nested(RENSEI_TEMPLATE_DEPTH_MAX, "{{client.id}}")),
                 err);
    ck_assert_err(parse(nested(RENSEI_TEMPLATE_DEPTH_MAX + 1, "{{client.id}}")),
                  err, RENSEI_E_INVALID_REQUEST);
    ck_assert_err(parse(nested(RENSEI_TEMPLATE_DEPTH_MAX, "[]")), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_err(parse(nested(600, "1")), err, RENSEI_E_INVALID_REQUEST);

    memset(text, ' ', RENSEI_TEMPLATE_LEN_MAX + 1);
    memcpy(text, "{}", 2);
    text[RENSEI_TEMPLATE_LEN_MAX + 1] = '\0';
    ck_assert_err(parse(text), err, RENSEI_E_INVALID_REQUEST);
    text[RENSEI_TEMPLATE_LEN_MAX] = '\0';
    ck_assert_ok(parse(text), err);

    for (i = 0; i < RENSEI_TEMPLATE_CLAIMS_MAX; i++) {
        many = apr_psprintf(test_pool, "%s%s\"c%d\":1", many, i ? "," : "", i);
    }
    ck_assert_ok(parse(apr_psprintf(test_pool, "{%s}", many)), err);
    ck_assert_err(parse(apr_psprintf(test_pool, "{%s,\"x\":1}", many)), err,
                  RENSEI_E_INVALID_REQUEST);

    memset(text, 'n', RENSEI_CLAIM_NAME_MAX + 1);
    text[RENSEI_CLAIM_NAME_MAX] = '\0';
    ck_assert_ok(parse(apr_psprintf(test_pool, "{\"%s\":1}", text)), err);
    ck_assert_err(parse(apr_psprintf(test_pool, "{\"%sn\":1}", text)), err,
                  RENSEI_E_INVALID_REQUEST);
}
END_TEST

/* The deepest metadata in the deepest template is what a gateway just reads. */
START_TEST(the_deepest_can_be_read)
{
    rensei_client_t c = client_of(nested(RENSEI_METADATA_DEPTH_MAX, "\"x\""));
    rensei_json_object_t obj;
    const char *text =
        filled(nested(RENSEI_TEMPLATE_DEPTH_MAX, "{{" META "}}"), &c);

    ck_assert_int_eq(rensei_json_scan(&obj, text, strlen(text)), APR_SUCCESS);
    ck_assert_str_eq(
        text,
        nested(RENSEI_METADATA_DEPTH_MAX + RENSEI_TEMPLATE_DEPTH_MAX, "\"x\""));
}
END_TEST

/* The place that configtest names is the place in the directive. */
START_TEST(errors_say_where)
{
    ck_assert_err(
        parse("{\"a\": {{   client.id   }},\n \"b\": {{ client.name }} "
              "x}"),
        err, RENSEI_E_INVALID_REQUEST);
    ck_assert_ptr_nonnull(strstr(err.text, "line 2, column 25"));
    ck_assert_err(parse("{\"a\":{{client.color}}}"), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_ptr_nonnull(strstr(err.text, "{{ client.color }}"));
}
END_TEST

/* All threads share a template: what it gives is nobody else's. */
START_TEST(claims_are_ones_own)
{
    rensei_client_t c = client_of("{\"o\":{}}");
    json_t *first, *second;

    ck_assert_ok(parse("{\"a\":{\"b\":{}},\"o\":{{" META ".o}},\"s\":\"t\"}"),
                 err);
    first = rensei_template_claims(template, &c, test_pool);
    json_object_set_new(json_object_get(first, "a"), "x", json_true());
    json_object_set_new(json_object_get(first, "o"), "x", json_true());
    json_string_set(json_object_get(first, "s"), "changed");
    second = rensei_template_claims(template, &c, test_pool);
    ck_assert_str_eq(rensei_json_dump(second, test_pool),
                     "{\"a\":{\"b\":{}},\"o\":{},\"s\":\"t\"}");
    ck_assert_str_eq(rensei_json_dump(c.trusted_metadata, test_pool),
                     "{\"o\":{}}");
}
END_TEST

Suite *suite_template(void)
{
    TCase *tc;
    Suite *s = test_suite("template", &tc);

    tcase_add_test(tc, placeholders);
    tcase_add_test(tc, all_of_the_metadata);
    tcase_add_test(tc, texts_that_are_no_template);
    tcase_add_test(tc, registered_names);
    tcase_add_test(tc, metadata_is_never_more_than_a_value);
    tcase_add_test(tc, names_and_owners_are_values_too);
    tcase_add_test(tc, limits);
    tcase_add_test(tc, the_deepest_can_be_read);
    tcase_add_test(tc, errors_say_where);
    tcase_add_test(tc, claims_are_ones_own);
    return s;
}
