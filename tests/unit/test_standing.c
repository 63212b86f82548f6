/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Organisations and workspaces that are switched off, and on again, or end.
 */
#include "unit_store.h"
#include "rensei_client_auth.h"
#include "rensei_grant.h"
#include "rensei_revocation.h"
#include "rensei_worker.h"

#include <apr_strings.h>

#define WORKER "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define OTHER_WORKER "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAW"

static rensei_err_t err;
static rensei_removed_t gone;

/* An organisation with one of everything in a workspace, and one beside. */
typedef struct place_t {
    rensei_org_t org;
    rensei_workspace_t ws;
    rensei_client_t in, out; /* of the workspace; of none */
    const char *in_secret, *out_secret;
    rensei_apikey_t key;
    const char *token;
} place_t;

static rensei_client_t client_in(const rensei_org_t *org, const char *workspace,
                                 const char **secret)
{
    rensei_client_spec_t spec = {.set =
                                     RENSEI_CLIENT_NAME | RENSEI_CLIENT_SCOPES |
                                     (workspace ? RENSEI_CLIENT_WORKSPACE : 0),
                                 .name = "c",
                                 .workspace = workspace,
                                 .scopes = test_scopes("agents:read")};
    rensei_client_t c;

    ck_assert_ok(rensei_client_create(&c, secret, test_store(), org->id, &spec,
                                      rensei_vocab_default(), NULL, &test_actor,
                                      test_pool, &err),
                 err);
    return c;
}

static rensei_apikey_t registration_in(const rensei_org_t *org,
                                       const char *workspace,
                                       const char **token)
{
    rensei_apikey_spec_t spec = {.name = "r",
                                 .type = "worker_registration",
                                 .workspace = workspace,
                                 .scopes = test_scopes(RENSEI_SCOPE_REGISTER)};
    rensei_apikey_t k;

    ck_assert_ok(rensei_apikey_create(&k, token, test_store(), org->id, &spec,
                                      rensei_vocab_default(), NULL, &test_actor,
                                      test_pool, &err),
                 err);
    return k;
}

static void worker_row(const char *id, const place_t *a, const char *workspace)
{
    test_sql(apr_psprintf(test_pool,
                          "INSERT INTO rensei_workers (id, org_id, "
                          "workspace_id, key_id, hostname, max_agents, "
                          "created_at) VALUES ('%s', '%s', %s, '%s', 'host', "
                          "4, 1)",
                          id, a->org.id, workspace, a->key.id));
}

static place_t place(const char *name)
{
    place_t a = {.org = test_org(name)};

    a.ws = test_workspace(&a.org, "main");
    a.in = client_in(&a.org, a.ws.id, &a.in_secret);
    a.out = client_in(&a.org, NULL, &a.out_secret);
    a.key = registration_in(&a.org, a.ws.id, &a.token);
    return a;
}

static apr_status_t authenticate(const char *id, const char *secret)
{
    rensei_client_t c;

    return rensei_client_auth_secret(&c, test_store(), id, secret, NULL,
                                     &test_actor, test_pool, &err);
}

/* What the gateway and the token service ask. */
static void stands(const place_t *a, const char *suspended_in,
                   const char *suspended_out)
{
    rensei_client_t c;
    rensei_apikey_t k;

    ck_assert_ok(
        rensei_client_find(&c, test_store(), a->in.id, test_pool, &err), err);
    ck_assert_pstr_eq(c.suspended, suspended_in);
    ck_assert_int_eq(c.org_active, suspended_in == NULL);
    ck_assert_int_eq(rensei_client_usable(&c, test_now_ms()),
                     suspended_in == NULL);
    ck_assert_ok(
        rensei_client_find(&c, test_store(), a->out.id, test_pool, &err), err);
    ck_assert_pstr_eq(c.suspended, suspended_out);
    ck_assert_int_eq(c.org_active, suspended_out == NULL);
    ck_assert_ok(rensei_apikey_find(&k, test_store(), a->token,
                                    strlen(a->token), test_pool, &err),
                 err);
    ck_assert_pstr_eq(k.suspended, suspended_in);
    ck_assert_int_eq(k.org_active, suspended_in == NULL);
}

static rensei_workspace_t workspace_status(const place_t *a, const char *status)
{
    rensei_workspace_t ws;

    ck_assert_ok(rensei_workspace_set_status(&ws, test_store(), a->org.id,
                                             a->ws.id, status, &test_actor,
                                             test_pool, &err),
                 err);
    return ws;
}

static void org_status(const place_t *a, const char *status)
{
    rensei_org_t org;

    ck_assert_ok(rensei_org_set_status(&org, test_store(), a->org.id, status,
                                       &test_actor, test_pool, &err),
                 err);
}

static const char *changed_last(void)
{
    return test_sql_value(
        "SELECT subject FROM rensei_changes ORDER BY seq DESC LIMIT 1");
}

START_TEST(a_workspace_switched_off_and_on)
{
    place_t a = place("Acme"), b = place("Bolt");
    rensei_workspace_t ws;
    rensei_event_t ev;

    ck_assert_str_eq(a.ws.status, "active");
    stands(&a, NULL, NULL);
    ws = workspace_status(&a, "suspended");
    ck_assert_str_eq(ws.status, "suspended");
    ck_assert_str_eq(ws.id, a.ws.id);
    ev = test_last_event(a.org.id);
    ck_assert_str_eq(ev.event, "workspace.suspended");
    ck_assert_str_eq(ev.target, a.ws.id);
    ck_assert_str_eq(changed_last(), a.ws.id);
    stands(&a, "workspace", NULL);
    stands(&b, NULL, NULL);

    ck_assert_str_eq(workspace_status(&a, "active").status, "active");
    ck_assert_str_eq(test_last_event(a.org.id).event, "workspace.resumed");
    stands(&a, NULL, NULL);
}
END_TEST

START_TEST(the_same_again_is_nothing_new)
{
    place_t a = place("Acme");
    int events;

    workspace_status(&a, "suspended");
    events = test_sql_count("rensei_audit");
    ck_assert_str_eq(workspace_status(&a, "suspended").status, "suspended");
    ck_assert_int_eq(test_sql_count("rensei_audit"), events);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
}
END_TEST

START_TEST(the_organisation_comes_first)
{
    place_t a = place("Acme");

    workspace_status(&a, "suspended");
    org_status(&a, "suspended");
    stands(&a, "organisation", "organisation");
    org_status(&a, "active");
    stands(&a, "workspace", NULL);
}
END_TEST

START_TEST(no_token_of_a_suspended_workspace)
{
    place_t a = place("Acme");

    ck_assert_ok(authenticate(a.in.id, a.in_secret), err);
    workspace_status(&a, "suspended");
    ck_assert_err(authenticate(a.in.id, a.in_secret), err,
                  RENSEI_E_INVALID_CLIENT);
    ck_assert_str_eq(err.text, "The client id or secret is not valid.");
    ck_assert_str_eq(test_last_event(a.org.id).details,
                     "{\"reason\":\"workspace_suspended\"}");
    ck_assert_ok(authenticate(a.out.id, a.out_secret), err);
}
END_TEST

START_TEST(its_workers)
{
    place_t a = place("Acme");
    rensei_worker_t w;

    worker_row(WORKER, &a, apr_psprintf(test_pool, "'%s'", a.ws.id));
    worker_row(OTHER_WORKER, &a, "NULL");
    workspace_status(&a, "suspended");
    ck_assert_ok(rensei_worker_find(&w, test_store(), WORKER, test_pool, &err),
                 err);
    ck_assert_str_eq(w.suspended, "workspace");
    ck_assert_int_eq(w.org_active, 0);
    ck_assert_ok(
        rensei_worker_find(&w, test_store(), OTHER_WORKER, test_pool, &err),
        err);
    ck_assert_ptr_null(w.suspended);
    ck_assert_int_eq(w.org_active, 1);
}
END_TEST

/* Attack: another organisation's workspace, by its id. */
START_TEST(a_workspace_of_another)
{
    place_t a = place("Acme"), b = place("Bolt");
    rensei_workspace_t ws;
    static const char *const absent[] = {
        "", "main", "ws_01ARZ3NDEKTSV4RRFFQ69G5FAV", "\xff", NULL};
    int i;

    ck_assert_err(rensei_workspace_set_status(&ws, test_store(), b.org.id,
                                              a.ws.id, "suspended", &test_actor,
                                              test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    for (i = 0; absent[i]; i++) {
        ck_assert_err(rensei_workspace_set_status(&ws, test_store(), a.org.id,
                                                  absent[i], "suspended",
                                                  &test_actor, test_pool, &err),
                      err, RENSEI_E_NOT_FOUND);
    }
    ck_assert_field(rensei_workspace_set_status(&ws, test_store(), a.org.id,
                                                a.ws.id, "gone", &test_actor,
                                                test_pool, &err),
                    err, "status");
    stands(&a, NULL, NULL);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
}
END_TEST

/* ---- the end ---- */

static apr_status_t org_delete(const char *id, const char *confirm)
{
    return rensei_org_delete(&gone, test_store(), id, confirm, &test_actor,
                             test_pool, &err);
}

static apr_status_t workspace_delete(const place_t *a, const char *id,
                                     const char *confirm)
{
    return rensei_workspace_delete(&gone, test_store(), a->org.id, id, confirm,
                                   &test_actor, test_pool, &err);
}

static int rows(const char *table, const rensei_org_t *org)
{
    return test_sql_count(
        apr_psprintf(test_pool, "%s WHERE org_id = '%s'", table, org->id));
}

static void token_revoke(const place_t *a)
{
    ck_assert_ok(rensei_token_revoke(test_store(), a->org.id, a->in.id, "tok_1",
                                     test_now_ms() / 1000 + 60, &test_actor,
                                     test_pool, &err),
                 err);
}

START_TEST(an_organisation_ends)
{
    static const char *const tables[] = {"rensei_clients", "rensei_keys",
                                         "rensei_workers", "rensei_workspaces",
                                         "rensei_revoked_tokens"};
    place_t a = place("Acme"), b = place("Bolt");
    rensei_org_t org;
    rensei_client_t c;
    rensei_event_t ev;
    int events, changes, i;

    worker_row(WORKER, &a, "NULL");
    worker_row(OTHER_WORKER, &b, "NULL");
    token_revoke(&a);
    token_revoke(&b);
    org_status(&a, "suspended");
    events = rows("rensei_audit", &a.org);
    changes = test_sql_count("rensei_changes");
    ck_assert_ok(org_delete(a.org.id, "Acme"), err);

    ck_assert_int_eq(gone.clients, 2);
    ck_assert_int_eq(gone.keys, 1);
    ck_assert_int_eq(gone.workers, 1);
    ck_assert_int_eq(gone.workspaces, 1);
    ck_assert_int_eq(gone.revoked_tokens, 1);
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(rows(tables[i], &a.org), 0);
        ck_assert_int_gt(rows(tables[i], &b.org), 0);
    }
    ck_assert_err(rensei_org_get(&org, test_store(), a.org.id, test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_err(
        rensei_client_find(&c, test_store(), a.in.id, test_pool, &err), err,
        RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(test_sql_count("rensei_changes"), changes + 1);
    ck_assert_str_eq(changed_last(), a.org.id);
    stands(&b, NULL, NULL);

    ck_assert_int_eq(rows("rensei_audit", &a.org), events + 1);
    ev = test_last_event(a.org.id);
    ck_assert_str_eq(ev.event, "org.deleted");
    ck_assert_str_eq(ev.target, a.org.id);
    ck_assert(json_equal(
        test_json(ev.details),
        test_json("{\"name\":\"Acme\",\"removed\":{\"clients\":2,\"keys\":1,"
                  "\"workers\":1,\"workspaces\":1,\"revokedTokens\":1}}")));
}
END_TEST

START_TEST(its_name_is_free_and_its_id_is_not)
{
    place_t a = place("Acme");
    rensei_org_t again;

    org_status(&a, "suspended");
    ck_assert_ok(org_delete(a.org.id, "Acme"), err);
    again = test_org("Acme");
    ck_assert_str_ne(again.id, a.org.id);
    ck_assert_err(org_delete(a.org.id, "Acme"), err, RENSEI_E_NOT_FOUND);
}
END_TEST

/* What is still in use does not end by a slip. */
START_TEST(an_organisation_that_stays)
{
    place_t a = place("Acme");
    int events = test_sql_count("rensei_audit");

    ck_assert_err(org_delete(a.org.id, "Acme"), err, RENSEI_E_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.text, "suspend it first"));
    ck_assert_int_eq(test_sql_count("rensei_audit"), events);
    org_status(&a, "suspended");
    ck_assert_field(org_delete(a.org.id, "Bolt"), err, "confirm");
    ck_assert_field(org_delete(a.org.id, ""), err, "confirm");
    ck_assert_field(org_delete(a.org.id, NULL), err, "confirm");
    ck_assert_field(org_delete(a.org.id, a.org.id), err, "confirm");
    ck_assert_err(org_delete("Acme", "Acme"), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(org_delete("\xff", "Acme"), err, RENSEI_E_NOT_FOUND);
    org_status(&a, "active");
    stands(&a, NULL, NULL);
}
END_TEST

START_TEST(a_workspace_ends)
{
    place_t a = place("Acme"), b = place("Bolt");
    rensei_client_t c;
    rensei_event_t ev;
    int changes;

    /* One worker is bound to the workspace, the other is there by its key. */
    worker_row(WORKER, &a, apr_psprintf(test_pool, "'%s'", a.ws.id));
    worker_row(OTHER_WORKER, &a, "NULL");
    token_revoke(&a);
    ck_assert_err(workspace_delete(&a, a.ws.id, "main"), err,
                  RENSEI_E_CONFLICT);
    workspace_status(&a, "suspended");
    ck_assert_field(workspace_delete(&a, a.ws.id, "Main"), err, "confirm");
    ck_assert_err(workspace_delete(&b, a.ws.id, "main"), err,
                  RENSEI_E_NOT_FOUND);
    changes = test_sql_count("rensei_changes");
    ck_assert_ok(workspace_delete(&a, a.ws.id, "main"), err);

    ck_assert_int_eq(gone.clients, 1);
    ck_assert_int_eq(gone.keys, 1);
    ck_assert_int_eq(gone.workers, 2);
    ck_assert_int_eq(gone.workspaces, 1);
    ck_assert_int_eq(gone.revoked_tokens, 1);
    ck_assert_err(
        rensei_client_find(&c, test_store(), a.in.id, test_pool, &err), err,
        RENSEI_E_NOT_FOUND);
    ck_assert_ok(
        rensei_client_find(&c, test_store(), a.out.id, test_pool, &err), err);
    ck_assert_ptr_null(c.suspended);
    ck_assert_int_eq(test_sql_count("rensei_changes"), changes + 1);
    ck_assert_str_eq(changed_last(), a.ws.id);
    ev = test_last_event(a.org.id);
    ck_assert_str_eq(ev.event, "workspace.deleted");
    ck_assert_str_eq(ev.target, a.ws.id);
    stands(&b, NULL, NULL);
    ck_assert_err(workspace_delete(&a, a.ws.id, "main"), err,
                  RENSEI_E_NOT_FOUND);
}
END_TEST

Suite *suite_standing(void)
{
    TCase *tc;
    Suite *s = test_suite("standing", &tc);

    tcase_add_test(tc, a_workspace_switched_off_and_on);
    tcase_add_test(tc, the_same_again_is_nothing_new);
    tcase_add_test(tc, the_organisation_comes_first);
    tcase_add_test(tc, no_token_of_a_suspended_workspace);
    tcase_add_test(tc, its_workers);
    tcase_add_test(tc, a_workspace_of_another);
    tcase_add_test(tc, an_organisation_ends);
    tcase_add_test(tc, its_name_is_free_and_its_id_is_not);
    tcase_add_test(tc, an_organisation_that_stays);
    tcase_add_test(tc, a_workspace_ends);
    return s;
}
