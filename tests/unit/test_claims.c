/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The claims of a token whose signature holds: an issuer can be wrong, out
 * of date, or another one that shares the secret.
 */
#include "unit.h"
#include "rensei_jwt.h"

#include <apr_strings.h>

#define WORKER "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define KEY "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define M2M "m2m_0123456789abcdef0123456789abcdef"

static const rensei_expect_t want = {"rensei-platform", "rensei-api", 10};

/* A good M2M token's claims, with one of them replaced (value: JSON text) or
 * removed (value NULL). */
static json_t *base_claims(rensei_typ_e typ)
{
    json_t *v = json_pack(
        "{ss ss ss ss s[ss] ss sI sI ss}", "iss", "rensei-platform", "aud",
        "rensei-api", "org_id", "org_1", "workspace_id", "ws_1", "scopes",
        "agents:read", "sessions:read", "jti", "tok_1", "iat",
        (json_int_t)TEST_NOW_S, "exp", (json_int_t)(TEST_NOW_S + 3600), "sub",
        typ == RENSEI_TYP_WORKER ? WORKER : M2M);

    ck_assert_ptr_nonnull(v);
    if (typ == RENSEI_TYP_WORKER) {
        json_object_set_new(v, "reg", json_string(KEY));
    }
    return rensei_json_own(v, test_pool);
}

static const char *claims_with(rensei_typ_e typ, const char *name,
                               const char *value)
{
    json_t *v = base_claims(typ);
    const char *text;

    json_object_del(v, name);
    text = rensei_json_dump(v, test_pool);
    if (!value) {
        return text;
    }
    return apr_psprintf(test_pool, "{\"%s\":%s,%s", name, value, text + 1);
}

static apr_status_t read_text(rensei_claims_t *out, rensei_typ_e typ,
                              const char *payload, rensei_err_t *err)
{
    rensei_jws_t jws = {rensei_str(payload), typ, NULL};

    return rensei_claims_read(out, &jws, &want, TEST_NOW_S, test_pool, err);
}

static rensei_claims_t taken_text(rensei_typ_e typ, const char *payload)
{
    rensei_claims_t c;
    rensei_err_t err;

    ck_assert_ok(read_text(&c, typ, payload, &err), err);
    return c;
}

static rensei_claims_t taken(const char *name, const char *value)
{
    return taken_text(RENSEI_TYP_M2M, claims_with(RENSEI_TYP_M2M, name, value));
}

/* Refused, with a sentence that has `part` in it and nothing of the token. */
static void refuse_text(rensei_typ_e typ, const char *payload, const char *part)
{
    rensei_claims_t c = {.exp = -7};
    rensei_err_t err = {RENSEI_E_NONE, NULL, NULL, NULL};

    ck_assert_msg(read_text(&c, typ, payload, &err) != APR_SUCCESS,
                  "accepted: %s", payload);
    ck_assert_int_eq(err.code, RENSEI_E_INVALID_TOKEN);
    ck_assert_msg(strstr(err.text, part) != NULL, "%s: %s", payload, err.text);
    ck_assert_int_eq(err.text[strlen(err.text) - 1], '.');
    ck_assert_ptr_null(strstr(err.text, "zzz"));
    ck_assert_ptr_null(strpbrk(err.text, "\"\\"));
    ck_assert_int_eq(c.exp, -7);
}

static void refuse(const char *name, const char *value, const char *part)
{
    refuse_text(RENSEI_TYP_M2M, claims_with(RENSEI_TYP_M2M, name, value), part);
}

static void refuse_each(const char *name, const char *const *values,
                        const char *part)
{
    for (; *values; values++) {
        refuse(name, *values, part);
    }
}

#define ck_text(s, lit)                                                      \
    ck_assert_msg(rensei_str_eq((s), RENSEI_STR(lit)), "'%.*s' is not '%s'", \
                  (int)(s).n, (s).p, lit)

START_TEST(m2m)
{
    const char *payload =
        rensei_json_dump(base_claims(RENSEI_TYP_M2M), test_pool);
    rensei_claims_t c = taken_text(RENSEI_TYP_M2M, payload);

    ck_assert_int_eq(c.typ, RENSEI_TYP_M2M);
    ck_text(c.sub, M2M);
    ck_text(c.org, "org_1");
    ck_text(c.workspace, "ws_1");
    ck_text(c.jti, "tok_1");
    ck_assert_uint_eq(c.reg.n, 0);
    ck_assert_str_eq(rensei_scopes_text(&c.scopes, test_pool),
                     "agents:read sessions:read");
    ck_assert_int_eq(c.iat, TEST_NOW_S);
    ck_assert_int_eq(c.exp, TEST_NOW_S + 3600);
    ck_assert_ptr_eq(c.payload.p, payload);
    ck_assert_uint_eq(c.payload.n, strlen(payload));
}
END_TEST

START_TEST(worker)
{
    const char *payload =
        rensei_json_dump(base_claims(RENSEI_TYP_WORKER), test_pool);
    rensei_claims_t c = taken_text(RENSEI_TYP_WORKER, payload);

    ck_assert_int_eq(c.typ, RENSEI_TYP_WORKER);
    ck_text(c.sub, WORKER);
    ck_text(c.reg, KEY);
}
END_TEST

START_TEST(optional_claims)
{
    ck_assert_uint_eq(taken("workspace_id", NULL).workspace.n, 0);
    ck_assert_uint_eq(taken("workspace_id", "null").workspace.n, 0);
    ck_assert_uint_eq(taken("jti", NULL).jti.n, 0);
    ck_assert_int_eq(taken("iat", NULL).iat, 0);
    /* claims that are not ours, with names that begin or end as ours do */
    taken("a", "\"x\"");
    taken("au", "[]");
    taken("audience", "\"x\"");
    taken("expires", "0");
    taken("xsub", "1");
    taken("EXP", "1");
    taken("nested", "{\"exp\":0,\"sub\":[{\"aud\":null}]}");
    ck_assert_uint_eq(taken("reg", "12").reg.n, 0);
}
END_TEST

/* A token of another issuer that has the same secret, as test and production
 * of one owner do. */
START_TEST(issuer)
{
    static const char *const bad[] = {"\"zzz\"",
                                      "\"\"",
                                      "null",
                                      "1",
                                      "[\"rensei-platform\"]",
                                      "{}",
                                      "\"rensei-platform \"",
                                      "\"Rensei-Platform\"",
                                      "\"rensei-platfor\"",
                                      "\"rensei-platform.zzz\"",
                                      NULL};
    rensei_expect_t nobody = want;
    rensei_jws_t jws = {rensei_str(claims_with(RENSEI_TYP_M2M, "iss", "\"\"")),
                        RENSEI_TYP_M2M, NULL};
    rensei_claims_t c;
    rensei_err_t err;

    refuse("iss", NULL, "issuer (iss)");
    refuse_each("iss", bad, "issuer (iss)");
    taken("iss", "\"rensei-platform\"");
    taken("iss", "\"rensei\\u002dplatform\"");
    /* an expectation left empty is not fulfilled by an empty claim */
    nobody.issuer = "";
    ck_assert_err(
        rensei_claims_read(&c, &jws, &nobody, TEST_NOW_S, test_pool, &err), err,
        RENSEI_E_INVALID_TOKEN);
}
END_TEST

/* RFC 8725 3.9: a token that a client got for another service, which now
 * presents it here. */
START_TEST(audience)
{
    static const char *const bad[] = {"\"zzz\"",
                                      "\"\"",
                                      "null",
                                      "1",
                                      "true",
                                      "{}",
                                      "[]",
                                      "[\"zzz\"]",
                                      "[[\"rensei-api\"]]",
                                      "{\"rensei-api\":1}",
                                      "\"rensei-api,zzz\"",
                                      "[\"rensei-ap\"]",
                                      "\"RENSEI-API\"",
                                      "[\"rensei-api\",1]",
                                      "[null,\"rensei-api\"]",
                                      "\"rensei-api zzz\"",
                                      NULL};

    refuse("aud", NULL, "audience (aud)");
    refuse_each("aud", bad, "audience (aud)");
    taken("aud", "\"rensei-api\"");
    taken("aud", "[\"rensei-api\"]");
    taken("aud", "[\"other\", \"rensei-api\" ]");
    taken("aud", "[\"rensei\\u002dapi\",\"other\"]");
}
END_TEST

static const char *number(apr_int64_t n)
{
    return apr_psprintf(test_pool, "%" APR_INT64_T_FMT, n);
}

static const char *const no_seconds[] = {"null",
                                         "\"1769864400\"",
                                         "1769864400.0",
                                         "1769864400.5",
                                         "1.769864400e9",
                                         "-1769864400",
                                         "true",
                                         "[1769864400]",
                                         "{}",
                                         "9007199254740993",
                                         "1e12",
                                         NULL};

/* A token without an end, or with one that is read as none, never ends. */
START_TEST(expiry)
{
    refuse("exp", NULL, "(exp)");
    refuse_each("exp", no_seconds, "(exp)");
    refuse("exp", "0", "expired");
    refuse("exp", number(TEST_NOW_S - 3600), "expired");
    refuse("exp", number(TEST_NOW_S - want.skew), "expired");
    taken("exp", number(TEST_NOW_S - want.skew + 1));
    taken("exp", number(TEST_NOW_S + 1));
    taken("exp", "9007199254740992");
}
END_TEST

START_TEST(not_before)
{
    refuse_each("nbf", no_seconds, "(nbf)");
    refuse("nbf", number(TEST_NOW_S + want.skew + 1), "not valid yet");
    refuse("nbf", "9007199254740992", "not valid yet");
    taken("nbf", number(TEST_NOW_S + want.skew));
    taken("nbf", number(TEST_NOW_S));
    taken("nbf", "0");
}
END_TEST

/* A token from the future is one whose issuer's clock, or honesty, is off. */
START_TEST(issued_at)
{
    refuse_each("iat", no_seconds, "(iat)");
    refuse("iat", number(TEST_NOW_S + want.skew + 1), "(iat)");
    ck_assert_int_eq(taken("iat", number(TEST_NOW_S + want.skew)).iat,
                     TEST_NOW_S + want.skew);
    taken("iat", number(TEST_NOW_S - 86400));
}
END_TEST

static const char *const no_ids[] = {
    "null", "1", "\"\"", "[\"m2m_1\"]", "{}", "\"zzz zzz\"",
    "\"zzz\\r\\nX-Rensei-Org: zzz\"", "\"zzz\\u000a\"", "\"zzz/zzz\"",
    "\"zzz%20\"", "\"z\\u00e9\"", "\"zzz,zzz\"", "\"\\\"zzz\"",
    /* 65 characters */
    "\"zzz4567890123456789012345678901234567890123456789012345678901234z\"",
    NULL};

/* What is in these goes into a header for the backend: a line break in one
 * is a header of the sender's own. */
START_TEST(identifiers)
{
    static const struct {
        const char *name, *part;
        int required;
    } rows[] = {
        {"sub", "subject (sub)", 1},
        {"org_id", "organisation (org_id)", 1},
        {"workspace_id", "workspace (workspace_id)", 0},
        {"jti", "(jti)", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const *bad = no_ids;

        if (strcmp(rows[i].name, "workspace_id") == 0) {
            bad++; /* null: an absent one */
        }
        refuse_each(rows[i].name, bad, rows[i].part);
        if (rows[i].required) {
            refuse(rows[i].name, NULL, rows[i].part);
        }
        taken(rows[i].name, "\"A.b-c_d:9\"");
    }
    ck_text(taken("org_id", "\"org\\u005f1\"").org, "org_1");
}
END_TEST

/* The live state is asked for by `sub`: an M2M token that names a worker, or
 * a runtime token that names a client, is judged by the wrong one's. */
START_TEST(subject_of_type)
{
    const rensei_typ_e w = RENSEI_TYP_WORKER;

    refuse("sub", "\"" WORKER "\"", "subject (sub)");
    refuse("sub", "\"" KEY "\"", "subject (sub)");
    refuse_text(w, claims_with(w, "sub", "\"" M2M "\""), "subject (sub)");
    refuse_text(w, claims_with(w, "sub", "\"" KEY "\""), "subject (sub)");
    refuse_text(w, claims_with(w, "sub", "\"wkr_1\""), "subject (sub)");
    refuse_text(w, claims_with(w, "sub", NULL), "subject (sub)");
    /* a client of the original service */
    ck_text(taken("sub", "\"svc:build-1\"").sub, "svc:build-1");
}
END_TEST

START_TEST(registration)
{
    const rensei_typ_e w = RENSEI_TYP_WORKER;

    refuse_text(w, claims_with(w, "reg", NULL), "(reg)");
    refuse_text(w, claims_with(w, "reg", "null"), "(reg)");
    refuse_text(w, claims_with(w, "reg", "\"" WORKER "\""), "(reg)");
    refuse_text(w, claims_with(w, "reg", "\"key_1\""), "(reg)");
    taken_text(w, claims_with(w, "reg", "\"" KEY "\""));
}
END_TEST

static const char *scopes_of(rensei_claims_t c)
{
    return rensei_scopes_text(&c.scopes, test_pool);
}

START_TEST(scopes)
{
    static const char *const bad[] = {"null",
                                      "1",
                                      "{}",
                                      "\"agents:read\"",
                                      "[\"\"]",
                                      "[1]",
                                      "[null]",
                                      "[\"a b\"]",
                                      "[[\"agents:read\"]]",
                                      "[\"agents:read\",\"\\u0022\"]",
                                      "[\"zzz\\n\"]",
                                      "{\"agents:read\":true}",
                                      NULL};

    refuse("scopes", NULL, "scopes");
    refuse_each("scopes", bad, "scopes");
    ck_assert_str_eq(scopes_of(taken("scopes", "[]")), "");
    ck_assert_str_eq(scopes_of(taken("scopes", "[\"*\"]")), "*");
    ck_assert_str_eq(scopes_of(taken("scopes", "[ \"b\" ,\"a\",\"b\"]")),
                     "b a");
    ck_assert_str_eq(scopes_of(taken("scopes", "[\"agents\\u003aread\"]")),
                     "agents:read");
}
END_TEST

static const char *many_scopes(int count)
{
    const char *text = "[";

    for (int i = 0; i < count; i++) {
        text = apr_psprintf(test_pool, "%s%s\"s%d\"", text, i ? "," : "", i);
    }
    return apr_pstrcat(test_pool, text, "]", NULL);
}

START_TEST(scopes_many)
{
    ck_assert_int_eq(
        taken("scopes", many_scopes(RENSEI_SCOPES_MAX)).scopes.count,
        RENSEI_SCOPES_MAX);
    refuse("scopes", many_scopes(RENSEI_SCOPES_MAX + 1), "scopes");
}
END_TEST

/* `scope` with value, and no `scopes`. */
static const char *scope_string(const char *value)
{
    json_t *v = base_claims(RENSEI_TYP_M2M);
    const char *text;

    json_object_del(v, "scopes");
    text = rensei_json_dump(v, test_pool);
    return apr_psprintf(test_pool, "{\"scope\":%s,%s", value, text + 1);
}

/* RFC 9068 2.2.3. */
START_TEST(scope_as_string)
{
    const rensei_typ_e t = RENSEI_TYP_M2M;

    ck_assert_str_eq(scopes_of(taken_text(t, scope_string("\"a b\""))), "a b");
    ck_assert_str_eq(scopes_of(taken_text(t, scope_string("\"\""))), "");
    ck_assert_str_eq(scopes_of(taken_text(t, scope_string("\"a\\u0020b\""))),
                     "a b");
    refuse_text(t, scope_string("[\"a\"]"), "scopes");
    refuse_text(t, scope_string("null"), "scopes");
    refuse_text(t, scope_string("\"a\\tb\""), "scopes");
    /* beside `scopes` it adds nothing, and a bad `scopes` is not made good */
    ck_assert_str_eq(scopes_of(taken("scope", "\"* more\"")),
                     "agents:read sessions:read");
    refuse_text(t, "{\"scope\":\"a\",\"scopes\":null}", "");
}
END_TEST

START_TEST(payload_json)
{
    static const char *const rows[] = {
        "", "[]", "null", "\"{}\"", "{", "{}{}", "{\"exp\":1,}",
    };
    const char *good = rensei_json_dump(base_claims(RENSEI_TYP_M2M), test_pool);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        refuse_text(RENSEI_TYP_M2M, rows[i], "JSON");
    }
    refuse_text(RENSEI_TYP_M2M, "{}", "");
    /* the first `exp` for one reader, the last for another */
    refuse_text(RENSEI_TYP_M2M,
                apr_psprintf(test_pool, "{\"exp\":9999999999,%s", good + 1),
                "JSON");
    refuse_text(
        RENSEI_TYP_M2M,
        apr_psprintf(test_pool, "{\"x\":{\"a\":1,\"a\":2},%s", good + 1),
        "JSON");
    taken_text(
        RENSEI_TYP_M2M,
        apr_psprintf(test_pool, "{\"x\":{\"a\":1,\"b\":2},%s", good + 1));
}
END_TEST

Suite *suite_claims(void)
{
    TCase *tc;
    Suite *s = test_suite("claims", &tc);

    tcase_add_test(tc, m2m);
    tcase_add_test(tc, worker);
    tcase_add_test(tc, optional_claims);
    tcase_add_test(tc, issuer);
    tcase_add_test(tc, audience);
    tcase_add_test(tc, expiry);
    tcase_add_test(tc, not_before);
    tcase_add_test(tc, issued_at);
    tcase_add_test(tc, identifiers);
    tcase_add_test(tc, subject_of_type);
    tcase_add_test(tc, registration);
    tcase_add_test(tc, scopes);
    tcase_add_test(tc, scopes_many);
    tcase_add_test(tc, scope_as_string);
    tcase_add_test(tc, payload_json);
    return s;
}
