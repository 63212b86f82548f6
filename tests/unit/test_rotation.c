/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_client_auth.h"
#include "rensei_id.h"

#include <apr_strings.h>

#define ABSENT "m2m_0123456789abcdef0123456789abcdef"

static rensei_err_t err;
static rensei_org_t org;
static rensei_client_t client;
static const char *old, *next;

static void begin(void)
{
    org = test_org("Acme");
    client = test_client(&org, "CI", "workers:read", &old);
    next = NULL;
}

static apr_status_t start(apr_int64_t expires_at)
{
    return rensei_client_rotate_start(&client, &next, test_store(), org.id,
                                      client.id, expires_at, &test_actor,
                                      test_pool, &err);
}

static apr_status_t complete(void)
{
    return rensei_client_rotate_complete(
        &client, test_store(), org.id, client.id, &test_actor, test_pool, &err);
}

static apr_status_t cancel(void)
{
    return rensei_client_rotate_cancel(&client, test_store(), org.id, client.id,
                                       &test_actor, test_pool, &err);
}

static apr_status_t authenticate(const char *secret)
{
    rensei_client_t got;

    return rensei_client_auth_secret(&got, test_store(), client.id, secret,
                                     NULL, &test_actor, test_pool, &err);
}

static void good(const char *secret)
{
    ck_assert_ok(authenticate(secret), err);
}

static void bad(const char *secret, const char *reason)
{
    ck_assert_err(authenticate(secret), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_str_eq(err.text, "The client id or secret is not valid.");
    ck_assert_str_eq(
        test_last_event(org.id).details,
        apr_pstrcat(test_pool, "{\"reason\":\"", reason, "\"}", NULL));
}

/* Asserts the newest event, and that the gateways were told. */
static void told(const char *event, const char *details, int changes)
{
    rensei_event_t ev = test_last_event(org.id);

    ck_assert_str_eq(ev.event, event);
    ck_assert_str_eq(ev.target, client.id);
    ck_assert_str_eq(ev.actor.id, "root");
    ck_assert_str_eq(ev.details, details);
    ck_assert_int_eq(test_sql_count(apr_pstrcat(
                         test_pool, "rensei_changes WHERE subject = '",
                         client.id, "'", NULL)),
                     changes);
}

/* What is written when nothing is: to compare before and after. */
static int writes(void)
{
    return test_sql_count("rensei_audit") + test_sql_count("rensei_changes");
}

START_TEST(both_secrets_are_good_until_the_end)
{
    begin();
    test_later(60);
    ck_assert_ok(start(0), err);
    ck_assert(rensei_secret_valid(RENSEI_SECRET_CLIENT, next, strlen(next)));
    ck_assert_str_ne(next, old);
    ck_assert_str_eq(client.secret_last4, old + strlen(old) - 4);
    ck_assert_str_eq(client.next_secret_last4, next + strlen(next) - 4);
    ck_assert_int_eq(client.secret_expires_at, 0);
    ck_assert_int_eq(client.updated_at, test_now_ms());
    told("m2m.secret_rotation_started",
         apr_psprintf(test_pool,
                      "{\"nextSecretLast4\":\"%s\",\"secretExpiresAt\":null}",
                      client.next_secret_last4),
         1);
    good(old);
    good(next);
    test_later(1000000);
    good(old);
    good(next);
    bad("m2ms_", "wrong_secret");
}
END_TEST

START_TEST(completed)
{
    begin();
    ck_assert_ok(start(test_now_ms() + 60000), err);
    ck_assert_ok(complete(), err);
    ck_assert_str_eq(client.secret_last4, next + strlen(next) - 4);
    ck_assert_ptr_null(client.next_secret_last4);
    ck_assert_int_eq(client.secret_expires_at, 0);
    told("m2m.secret_rotation_completed",
         apr_psprintf(test_pool, "{\"secretLast4\":\"%s\"}",
                      client.secret_last4),
         2);
    good(next);
    bad(old, "wrong_secret");
    test_later(61); /* the old one's end is not the new one's */
    good(next);
}
END_TEST

START_TEST(cancelled)
{
    begin();
    ck_assert_ok(start(test_now_ms() + 60000), err);
    ck_assert_ok(cancel(), err);
    ck_assert_str_eq(client.secret_last4, old + strlen(old) - 4);
    ck_assert_ptr_null(client.next_secret_last4);
    ck_assert_int_eq(client.secret_expires_at, 0);
    told("m2m.secret_rotation_cancelled",
         apr_psprintf(test_pool, "{\"nextSecretLast4\":\"%s\"}",
                      next + strlen(next) - 4),
         2);
    good(old);
    bad(next, "wrong_secret");
    test_later(61);
    good(old);
}
END_TEST

START_TEST(one_at_a_time)
{
    const char *first;
    int before;

    begin();
    before = writes();
    ck_assert_err(complete(), err, RENSEI_E_CONFLICT);
    ck_assert_err(cancel(), err, RENSEI_E_CONFLICT);
    ck_assert_int_eq(writes(), before);
    ck_assert_ok(start(0), err);
    first = next;
    before = writes();
    next = NULL;
    ck_assert_err(start(0), err, RENSEI_E_CONFLICT);
    ck_assert_ptr_null(next);
    ck_assert_int_eq(writes(), before);
    good(first); /* which the second attempt did not replace */
    ck_assert_ok(complete(), err);
    ck_assert_err(complete(), err, RENSEI_E_CONFLICT);
    ck_assert_err(cancel(), err, RENSEI_E_CONFLICT);
    good(first);
    ck_assert_ok(start(0), err);
    good(first);
    good(next);
}
END_TEST

START_TEST(the_old_one_can_have_an_end)
{
    begin();
    ck_assert_ok(start(test_now_ms() + 60000), err);
    ck_assert_int_eq(client.secret_expires_at, test_now_ms() + 60000);
    test_now += 59999 * 1000;
    good(old);
    test_now += 1000;
    bad(old, "secret_expired");
    good(next);
    /* An ended secret never comes back, by whatever way. */
    ck_assert_err(cancel(), err, RENSEI_E_CONFLICT);
    bad(old, "secret_expired");
    ck_assert_err(start(0), err, RENSEI_E_CONFLICT);
    bad(old, "secret_expired");
    ck_assert_ok(complete(), err);
    good(next);
    bad(old, "wrong_secret");
}
END_TEST

/* @param at of the only secret, or in a rotation the old one; 0: never */
static apr_status_t ends(apr_int64_t at)
{
    rensei_client_spec_t spec = {.set = RENSEI_CLIENT_SECRET_EXPIRES,
                                 .secret_expires_at = at};

    return rensei_client_update(&client, test_store(), org.id, client.id, &spec,
                                rensei_vocab_default(), NULL, &test_actor,
                                test_pool, &err);
}

/* A client with but one secret, which has ended, has none. */
START_TEST(an_only_secret_that_ended)
{
    int before;

    begin();
    ck_assert_ok(ends(test_now_ms() + 1000), err);
    good(old);
    test_later(1);
    bad(old, "secret_expired");
    bad("", "wrong_secret");
    /* Nor does the secret come back, by whatever way. */
    before = writes();
    ck_assert_err(ends(0), err, RENSEI_E_CONFLICT);
    ck_assert_err(ends(test_now_ms() + 1), err, RENSEI_E_CONFLICT);
    ck_assert_int_eq(writes(), before);
    ck_assert_ok(ends(test_now_ms()), err);
    ck_assert_ok(start(0), err);
    bad(old, "secret_expired");
    good(next);
    ck_assert_err(ends(0), err, RENSEI_E_CONFLICT);
    ck_assert_err(cancel(), err, RENSEI_E_CONFLICT);
    ck_assert_ok(complete(), err);
    ck_assert_int_eq(client.secret_expires_at, 0);
    good(next);
    bad(old, "wrong_secret");
}
END_TEST

START_TEST(an_end_said_later_does_not_revive)
{
    apr_int64_t ended;

    begin();
    ended = test_now_ms();
    ck_assert_ok(ends(ended), err);
    ck_assert_ok(start(ended + 60000), err);
    ck_assert_int_eq(client.secret_expires_at, ended);
    bad(old, "secret_expired");
}
END_TEST

START_TEST(a_rotation_keeps_the_end_or_replaces_it)
{
    apr_int64_t end;

    begin();
    end = test_now_ms() + 60000;
    ck_assert_ok(ends(end), err);
    ck_assert_ok(start(0), err);
    ck_assert_int_eq(client.secret_expires_at, end);
    told("m2m.secret_rotation_started",
         apr_psprintf(test_pool,
                      "{\"nextSecretLast4\":\"%s\",\"secretExpiresAt\":"
                      "%" APR_INT64_T_FMT "}",
                      client.next_secret_last4, end),
         2);
    ck_assert_ok(cancel(), err);
    ck_assert_int_eq(client.secret_expires_at, 0);
    ck_assert_ok(ends(end), err);
    ck_assert_ok(start(end + 60000), err);
    ck_assert_int_eq(client.secret_expires_at, end + 60000);
    test_later(60);
    good(old);
    test_later(60);
    bad(old, "secret_expired");
    good(next);
}
END_TEST

START_TEST(ends_that_are_none)
{
    int before;

    begin();
    before = writes();
    ck_assert_field(start(test_now_ms()), err, "secretExpiresAt");
    ck_assert_field(start(1), err, "secretExpiresAt");
    ck_assert_field(start(-1), err, "secretExpiresAt");
    ck_assert_field(start(APR_INT64_C(253402300800000)), err,
                    "secretExpiresAt");
    ck_assert_ptr_null(next);
    ck_assert_int_eq(writes(), before);
    ck_assert_ok(start(test_now_ms() + 1), err);
}
END_TEST

START_TEST(only_ones_own_and_only_live_clients)
{
    rensei_org_t other;
    int before;

    begin();
    other = test_org("Other");
    before = writes();
    ck_assert_err(rensei_client_rotate_start(&client, &next, test_store(),
                                             other.id, client.id, 0,
                                             &test_actor, test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_str_eq(err.text, "There is no such client.");
    ck_assert_err(rensei_client_rotate_start(&client, &next, test_store(),
                                             org.id, ABSENT, 0, &test_actor,
                                             test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_err(rensei_client_rotate_complete(&client, test_store(), org.id,
                                                "x", &test_actor, test_pool,
                                                &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(writes(), before);
    client = test_client(&org, "another", "", &old);
    ck_assert_ok(start(0), err);
    ck_assert_err(rensei_client_rotate_complete(&client, test_store(), other.id,
                                                client.id, &test_actor,
                                                test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_err(rensei_client_rotate_cancel(&client, test_store(), other.id,
                                              client.id, &test_actor, test_pool,
                                              &err),
                  err, RENSEI_E_NOT_FOUND);
    good(old);
    good(next);
    ck_assert_ok(rensei_client_revoke(&client, test_store(), org.id, client.id,
                                      NULL, &test_actor, test_pool, &err),
                 err);
    bad(next, "revoked");
    before = writes();
    ck_assert_err(complete(), err, RENSEI_E_CONFLICT);
    ck_assert_err(cancel(), err, RENSEI_E_CONFLICT);
    ck_assert_err(start(0), err, RENSEI_E_CONFLICT);
    ck_assert_int_eq(writes(), before);
}
END_TEST

START_TEST(the_new_secret_is_nowhere_in_the_store)
{
    char digest[RENSEI_DIGEST_LEN + 1];
    json_t *json;

    begin();
    ck_assert_ok(start(0), err);
    rensei_digest(digest, next, strlen(next));
    ck_assert_str_eq(
        test_sql_value("SELECT next_secret_digest FROM rensei_clients"),
        digest);
    ck_assert_int_eq(test_sql_count(apr_psprintf(
                         test_pool,
                         "rensei_audit WHERE details LIKE '%%%s%%' OR details "
                         "LIKE '%%%s%%'",
                         next + 5, digest + 7)),
                     0);
    json = rensei_json_own(rensei_client_json(&client, NULL, test_pool),
                           test_pool);
    ck_assert_str_eq(
        json_string_value(json_object_get(json, "nextSecretLast4")),
        next + strlen(next) - 4);
    ck_assert(json_is_null(json_object_get(json, "secretExpiresAt")));
    ck_assert_ptr_null(strstr(rensei_json_dump(json, test_pool), digest + 7));
    ck_assert_ptr_null(strstr(rensei_json_dump(json, test_pool), next));
    ck_assert_ok(complete(), err);
    ck_assert_str_eq(test_sql_value("SELECT secret_digest FROM rensei_clients"),
                     digest);
    ck_assert_str_eq(
        test_sql_value("SELECT next_secret_digest FROM rensei_clients"), "");
}
END_TEST

START_TEST(no_randomness_no_rotation)
{
    begin();
    test_random_broken = 1;
    ck_assert_err(start(0), err, RENSEI_E_UNAVAILABLE);
    test_random_broken = 0;
    ck_assert_ptr_null(next);
    good(old);
    ck_assert_ok(start(0), err);
}
END_TEST

/* A rotation and its event are one: no secret that the trail does not know. */
START_TEST(no_event_no_rotation)
{
    begin();
    test_sql("ALTER TABLE rensei_audit RENAME TO gone");
    ck_assert_err(start(0), err, RENSEI_E_UNAVAILABLE);
    ck_assert_ptr_null(next);
    test_sql("ALTER TABLE gone RENAME TO rensei_audit");
    ck_assert_err(complete(), err, RENSEI_E_CONFLICT);
    good(old);
}
END_TEST

Suite *suite_rotation(void)
{
    TCase *tc;
    Suite *s = test_suite("rotation", &tc);

    tcase_add_test(tc, both_secrets_are_good_until_the_end);
    tcase_add_test(tc, completed);
    tcase_add_test(tc, cancelled);
    tcase_add_test(tc, one_at_a_time);
    tcase_add_test(tc, the_old_one_can_have_an_end);
    tcase_add_test(tc, an_only_secret_that_ended);
    tcase_add_test(tc, an_end_said_later_does_not_revive);
    tcase_add_test(tc, a_rotation_keeps_the_end_or_replaces_it);
    tcase_add_test(tc, ends_that_are_none);
    tcase_add_test(tc, only_ones_own_and_only_live_clients);
    tcase_add_test(tc, the_new_secret_is_nowhere_in_the_store);
    tcase_add_test(tc, no_randomness_no_rotation);
    tcase_add_test(tc, no_event_no_rotation);
    return s;
}
