/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_json.h"
#include "rensei_principal.h"

START_TEST(kinds)
{
    static const rensei_kind_e all[] = {RENSEI_KIND_M2M, RENSEI_KIND_KEY,
                                        RENSEI_KIND_WORKER};
    rensei_kind_e kind;

    for (int i = 0; i < 3; i++) {
        ck_assert(rensei_kind_parse(&kind, rensei_kind_name(all[i])));
        ck_assert_int_eq(kind, all[i]);
    }
    ck_assert_str_eq(rensei_kind_name(RENSEI_KIND_KEY), "key");
    ck_assert(!rensei_kind_parse(&kind, "M2M"));
    ck_assert(!rensei_kind_parse(&kind, ""));
    ck_assert(!rensei_kind_parse(&kind, "keys"));
    /* a set of kinds is not a kind */
    ck_assert_str_eq(rensei_kind_name(RENSEI_KIND_M2M | RENSEI_KIND_KEY),
                     "unknown");
}
END_TEST

static const char *shown(const rensei_principal_t *pr)
{
    json_t *v =
        rensei_json_own(rensei_principal_json(pr, test_pool), test_pool);

    return rensei_json_dump(v, test_pool);
}

START_TEST(of_a_token)
{
    static const rensei_str_t scopes[] = {{"agents:read", 11}, {"*", 1}};
    rensei_principal_t pr = {.kind = RENSEI_KIND_M2M,
                             .cls = RENSEI_CLASS_M2M,
                             .sub = "m2m_1",
                             .org = "org_1",
                             .workspace = "ws_1",
                             .credential = "tok_1",
                             .scopes = {2, scopes},
                             .expires_at = TEST_NOW_S * 1000};

    ck_assert_str_eq(shown(&pr),
                     "{\"kind\":\"m2m\",\"sub\":\"m2m_1\",\"orgId\":\"org_1\","
                     "\"workspaceId\":\"ws_1\",\"scopes\":[\"agents:read\","
                     "\"*\"],\"credential\":\"tok_1\","
                     "\"expiresAt\":\"2026-01-31T12:00:00.000Z\"}");
}
END_TEST

START_TEST(of_a_key)
{
    rensei_principal_t pr = {.kind = RENSEI_KIND_KEY,
                             .cls = RENSEI_CLASS_REGISTRATION,
                             .sub = "key_1",
                             .org = "org_1",
                             .credential = "key_1"};

    ck_assert_str_eq(shown(&pr),
                     "{\"kind\":\"key\",\"sub\":\"key_1\",\"orgId\":\"org_1\","
                     "\"workspaceId\":null,\"scopes\":[],\"keyType\":"
                     "\"worker_registration\",\"credential\":\"key_1\","
                     "\"expiresAt\":null}");
    pr.cls = RENSEI_CLASS_ORG;
    ck_assert_ptr_nonnull(strstr(shown(&pr), "\"keyType\":\"org\""));
    pr.cls = RENSEI_CLASS_USER;
    ck_assert_ptr_nonnull(strstr(shown(&pr), "\"keyType\":\"user\""));
}
END_TEST

Suite *suite_principal(void)
{
    TCase *tc;
    Suite *s = test_suite("principal", &tc);

    tcase_add_test(tc, kinds);
    tcase_add_test(tc, of_a_token);
    tcase_add_test(tc, of_a_key);
    return s;
}
