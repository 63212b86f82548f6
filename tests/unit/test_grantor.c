/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_grantor.h"

#define WS "ws_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define OTHER "ws_01ARZ3NDEKTSV4RRFFQ69G5FAW"

static rensei_err_t err;

static const rensei_class_e classes[] = {RENSEI_CLASS_M2M, RENSEI_CLASS_USER,
                                         RENSEI_CLASS_REGISTRATION,
                                         RENSEI_CLASS_ORG, RENSEI_CLASS_WORKER};

START_TEST(who_administers_what)
{
    size_t i;

    for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        rensei_grantor_t by = test_grantor(classes[i], "*");
        int clients = rensei_grantor_clients(&by, &err) == APR_SUCCESS;
        int keys = rensei_grantor_keys(&by, &err) == APR_SUCCESS;

        ck_assert_int_eq(keys, classes[i] == RENSEI_CLASS_ORG);
        ck_assert_int_eq(clients, classes[i] == RENSEI_CLASS_ORG ||
                                      classes[i] == RENSEI_CLASS_M2M);
    }
    ck_assert_ok(rensei_grantor_clients(NULL, &err), err);
    ck_assert_ok(rensei_grantor_keys(NULL, &err), err);
}
END_TEST

static apr_status_t create(const rensei_org_t *org, const rensei_grantor_t *by)
{
    rensei_client_spec_t spec = {.set =
                                     RENSEI_CLIENT_NAME | RENSEI_CLIENT_SCOPES,
                                 .name = "c",
                                 .scopes = test_scopes("sessions:read")};
    const char *secret;
    rensei_client_t client;

    return rensei_client_create(&client, &secret, test_store(), org->id, &spec,
                                rensei_vocab_default(), by, &test_actor,
                                test_pool, &err);
}

/* sessions:read is in both vocabularies, so a user's key holds it: but no
 * client is his to make. */
START_TEST(clients_are_made_by_those_alone)
{
    rensei_org_t org = test_org("Acme");
    size_t i;

    for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        rensei_grantor_t by = test_grantor(classes[i], "sessions:read");

        if (classes[i] == RENSEI_CLASS_ORG || classes[i] == RENSEI_CLASS_M2M) {
            ck_assert_ok(create(&org, &by), err);
        }
        else {
            ck_assert_err(create(&org, &by), err, RENSEI_E_FORBIDDEN);
        }
    }
    ck_assert_int_eq(test_sql_count("rensei_clients"), 2);
}
END_TEST

START_TEST(workspaces)
{
    rensei_grantor_t by = test_grantor(RENSEI_CLASS_ORG, "*");

    ck_assert_ok(rensei_grantor_reaches(&by, NULL, test_pool, &err), err);
    ck_assert_ok(rensei_grantor_reaches(&by, WS, test_pool, &err), err);
    ck_assert_ok(rensei_grantor_reaches(NULL, WS, test_pool, &err), err);
    by.workspace = WS;
    ck_assert_ok(rensei_grantor_reaches(&by, WS, test_pool, &err), err);
    ck_assert_err(rensei_grantor_reaches(&by, NULL, test_pool, &err), err,
                  RENSEI_E_FORBIDDEN);
    ck_assert_err(rensei_grantor_reaches(&by, OTHER, test_pool, &err), err,
                  RENSEI_E_FORBIDDEN);
}
END_TEST

static apr_status_t holds(const char *held, rensei_class_e cls,
                          const char *scopes)
{
    rensei_grantor_t by = test_grantor(RENSEI_CLASS_ORG, held);
    rensei_scopes_t set = test_scopes(scopes);

    return rensei_grantor_holds(&by, rensei_vocab_default(), cls, &set,
                                test_pool, &err);
}

START_TEST(what_is_held)
{
    rensei_scopes_t unknown = test_scopes("other:host");

    ck_assert_ok(holds("sessions:read", RENSEI_CLASS_M2M, "sessions:read"),
                 err);
    ck_assert_ok(holds("sessions:read", RENSEI_CLASS_M2M, ""), err);
    ck_assert_ok(holds("*", RENSEI_CLASS_M2M, "*"), err);
    ck_assert_err(holds("sessions:read", RENSEI_CLASS_M2M, "*"), err,
                  RENSEI_E_FORBIDDEN);
    ck_assert_err(
        holds("sessions:read", RENSEI_CLASS_M2M, "sessions:read agents:read"),
        err, RENSEI_E_FORBIDDEN);
    /* not in this vocabulary, but maybe in another virtual host's */
    ck_assert_err(
        holds("sessions:read", RENSEI_CLASS_M2M, "sessions:read other:host"),
        err, RENSEI_E_FORBIDDEN);
    ck_assert_ok(holds("other:host", RENSEI_CLASS_M2M, "other:host"), err);
    ck_assert_ok(holds("*", RENSEI_CLASS_M2M, "other:host"), err);
    ck_assert_ok(rensei_grantor_holds(NULL, rensei_vocab_default(),
                                      RENSEI_CLASS_M2M, &unknown, test_pool,
                                      &err),
                 err);
}
END_TEST

Suite *suite_grantor(void)
{
    TCase *tc;
    Suite *s = test_suite("grantor", &tc);

    tcase_add_test(tc, who_administers_what);
    tcase_add_test(tc, clients_are_made_by_those_alone);
    tcase_add_test(tc, workspaces);
    tcase_add_test(tc, what_is_held);
    return s;
}
