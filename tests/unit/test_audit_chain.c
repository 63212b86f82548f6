/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_audit_chain.h"

#include <apr_strings.h>

#define DAY_S 86400

static rensei_err_t err;

static void append(const char *org, const char *event)
{
    rensei_store_t *st = test_store();

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append(st, event, org, &test_actor, "t",
                                     test_json("{}"), test_pool, &err),
                 err);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
}

static void append_many(const char *org, int n)
{
    while (n-- > 0) {
        append(org, "e");
    }
}

static rensei_audit_head_t head_of(const char *org)
{
    rensei_audit_head_t head;

    ck_assert_ok(rensei_audit_head(&head, test_store(), org, test_pool, &err),
                 err);
    return head;
}

/* ---- verifying ---- */

static const char *found; /* "SEQ what; SEQ what; " */

static void note(void *baton, apr_int64_t seq, const char *id, const char *what)
{
    found = apr_psprintf(test_pool, "%s%" APR_INT64_T_FMT " %s; ", found, seq,
                         what);
}

static rensei_audit_verdict_t verify_for(const char *org, const char *hash)
{
    rensei_audit_verdict_t v;

    found = "";
    ck_assert_ok(rensei_audit_verify(&v, test_store(), org, hash, note, NULL,
                                     test_pool, &err),
                 err);
    return v;
}

static void assert_intact(const char *org, int events)
{
    rensei_audit_verdict_t v = verify_for(org, NULL);

    ck_assert_str_eq(found, "");
    ck_assert_int_eq(v.problems, 0);
    ck_assert_int_eq(v.events, events);
}

/* Exactly that is found in org_1, and org_2 is as intact as ever. */
static void assert_found(const char *want)
{
    rensei_audit_verdict_t v = verify_for("org_1", NULL);

    ck_assert_msg(strstr(found, want) == found && *want, "%s", found);
    ck_assert_int_gt(v.problems, 0);
    assert_intact("org_2", 3);
}

/* Six events of org_1, three of org_2. */
static void two_chains(void)
{
    int i;

    for (i = 0; i < 3; i++) {
        append("org_1", "e");
        append("org_2", "e");
        append("org_1", "e");
    }
}

START_TEST(chain_of_each_organisation)
{
    rensei_audit_verdict_t v;

    two_chains();
    append("", "e");
    assert_intact("org_1", 6);
    assert_intact("org_2", 3);
    assert_intact("", 1);
    v = verify_for("org_1", NULL);
    ck_assert_int_eq(v.head.seq, 6);
    ck_assert_str_eq(v.head.hash, test_last_event("org_1").hash);
    ck_assert_str_ne(v.head.hash, test_last_event("org_2").hash);
    assert_intact("org_none", 0);
}
END_TEST

/* By hand, with sha256sum, of the text that docs/audit.md describes. */
START_TEST(hash_of_a_known_event)
{
    rensei_event_t ev = {.id = "evt_1",
                         .event = "e",
                         .at = APR_INT64_C(1769860800123),
                         .org = "org_1",
                         .actor = {.id = "root", .type = "operator"},
                         .target = "m2m_\xc3\xa9",
                         .details = "{}",
                         .seq = 1,
                         .previous = ""};
    const char *hash;

    ck_assert_ok(rensei_audit_hash(&hash, &ev, test_pool, &err), err);
    ck_assert_str_eq(
        hash,
        "414434fb4b9ced60e83f746decae6470197ef9fe73b5e4c268c1911640df35a8");
}
END_TEST

START_TEST(details_in_their_one_form)
{
    const json_t *value = test_json(
        "{\"b\":\"\\u001f\\n\\u00e9\\\\u001F/\",\"a\":{\"d\":1,\"c\":[]}}");

    ck_assert_str_eq(rensei_json_canonical(value, test_pool),
                     "{\"a\":{\"c\":[],\"d\":1},"
                     "\"b\":\"\\u001f\\n\xc3\xa9\\\\u001F/\"}");
}
END_TEST

/* Each column is under the hash: whichever is changed, it shows. */
START_TEST(changed_event_is_found)
{
    static const char *const changes[] = {
        "id = 'evt_x'",    "event = 'f'",           "at = at + 1",
        "actor = 'eve'",   "actor_type = 'x'",      "target = NULL",
        "target = ''",     "ip = '192.0.2.2'",      "ip = NULL",
        "request_id = ''", "details = '{\"a\":1}'", NULL};
    int i;

    two_chains();
    test_sql("CREATE TABLE kept AS SELECT * FROM rensei_audit");
    for (i = 0; changes[i]; i++) {
        test_sql(apr_psprintf(test_pool,
                              "UPDATE rensei_audit SET %s "
                              "WHERE org_id = 'org_1' AND seq = 4",
                              changes[i]));
        assert_found("4 does not fit its hash");
        ck_assert_int_eq(verify_for("org_1", NULL).problems, 1);
        test_sql("DELETE FROM rensei_audit");
        test_sql("INSERT INTO rensei_audit SELECT * FROM kept");
        assert_intact("org_1", 6);
    }
}
END_TEST

/* Text that moves from one column to the next is not the same text. */
START_TEST(fields_do_not_run_into_each_other)
{
    rensei_event_t ev = {.id = "i",
                         .event = "ab",
                         .org = "",
                         .target = "c",
                         .actor = {.id = "x", .type = "t"},
                         .details = "{}",
                         .previous = ""};
    const char *one, *two;

    ck_assert_ok(rensei_audit_hash(&one, &ev, test_pool, &err), err);
    ev.id = "ia";
    ev.event = "b";
    ck_assert_ok(rensei_audit_hash(&two, &ev, test_pool, &err), err);
    ck_assert_str_ne(one, two);
    ev.id = "i,2:ab";
    ev.event = "";
    ck_assert_ok(rensei_audit_hash(&two, &ev, test_pool, &err), err);
    ck_assert_str_ne(one, two);
}
END_TEST

START_TEST(missing_events_are_found)
{
    two_chains();
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1' AND seq = 3");
    assert_found("3 is missing; ");
    ck_assert_int_eq(verify_for("org_1", NULL).problems, 1);
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1' AND seq = 4");
    assert_found("3 is missing, and all up to 4; ");
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1' AND seq = 1");
    assert_found("1 is missing; 3 is missing, and all up to 4; ");
}
END_TEST

START_TEST(cut_off_tail_is_found)
{
    two_chains();
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1' AND seq > 4");
    assert_found("5 is missing, and all up to 6; ");
    test_sql("UPDATE rensei_audit_heads SET seq = 4 WHERE org_id = 'org_1'");
    assert_found("4 is the last, but not the one that the head");
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1'");
    assert_found("1 is missing, and all up to 4; ");
}
END_TEST

START_TEST(added_events_are_found)
{
    two_chains();
    test_sql("INSERT INTO rensei_audit SELECT org_id, 7, 'evt_x', event, at, "
             "actor, actor_type, target, ip, request_id, details, hash "
             "FROM rensei_audit WHERE org_id = 'org_1' AND seq = 6");
    assert_found("7 stands after the end of the trail");
    test_sql("UPDATE rensei_audit_heads SET seq = 7 WHERE org_id = 'org_1'");
    assert_found("7 does not fit its hash");
    test_sql("DELETE FROM rensei_audit WHERE seq = 7");
    test_sql("UPDATE rensei_audit_heads SET seq = 6 WHERE org_id = 'org_1'");
    test_sql("INSERT INTO rensei_audit SELECT org_id, 0, 'evt_x', event, at, "
             "actor, actor_type, target, ip, request_id, details, NULL "
             "FROM rensei_audit WHERE org_id = 'org_1' AND seq = 6");
    assert_found("0 stands before the beginning of the chain");
}
END_TEST

START_TEST(moved_events_are_found)
{
    two_chains();
    test_sql("UPDATE rensei_audit SET seq = 99 WHERE org_id = 'org_1' "
             "AND seq = 2");
    test_sql("UPDATE rensei_audit SET seq = 2 WHERE org_id = 'org_1' "
             "AND seq = 5");
    test_sql("UPDATE rensei_audit SET seq = 5 WHERE seq = 99");
    assert_found("2 does not fit its hash");
    verify_for("org_1", NULL);
    ck_assert_ptr_nonnull(strstr(found, "5 does not fit its hash"));
}
END_TEST

/* An event of another organisation, in place of one's own. */
START_TEST(event_of_another_chain_is_found)
{
    two_chains();
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1' AND seq = 2");
    test_sql("INSERT INTO rensei_audit SELECT 'org_1', seq, id, event, at, "
             "actor, actor_type, target, ip, request_id, details, hash "
             "FROM rensei_audit WHERE org_id = 'org_2' AND seq = 2");
    assert_found("2 does not fit its hash");
}
END_TEST

/* Who can write the database can make a chain anew; it does not have a hash
 * that somebody noted elsewhere. */
START_TEST(known_hash_is_looked_for)
{
    const char *second, *last;

    two_chains();
    second = test_sql_value("SELECT hash FROM rensei_audit "
                            "WHERE org_id = 'org_1' AND seq = 2");
    last = head_of("org_1").hash;
    ck_assert_int_eq(verify_for("org_1", second).known, 1);
    ck_assert_int_eq(verify_for("org_1", last).known, 1);
    ck_assert_int_eq(verify_for("org_2", last).known, 0);
    ck_assert_int_eq(verify_for("org_1", NULL).known, 0);
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1'");
    test_sql("DELETE FROM rensei_audit_heads WHERE org_id = 'org_1'");
    append_many("org_1", 6);
    assert_intact("org_1", 6);
    ck_assert_int_eq(verify_for("org_1", second).known, 0);
}
END_TEST

START_TEST(lost_head_is_found)
{
    two_chains();
    test_sql("DELETE FROM rensei_audit_heads WHERE org_id = 'org_1'");
    assert_found("1 and all that followed: the head is missing");
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1'");
    assert_intact("org_1", 0); /* there is no such organisation */
}
END_TEST

START_TEST(organisation_without_a_trail_is_found)
{
    rensei_org_t org;

    ck_assert_ok(rensei_org_create(&org, test_store(), "Acme", &test_actor,
                                   test_pool, &err),
                 err);
    assert_intact(org.id, 1);
    test_sql("DELETE FROM rensei_audit");
    test_sql("UPDATE rensei_audit_heads SET seq = 0, hash = ''");
    verify_for(org.id, NULL);
    ck_assert_str_eq(found, "1 and all that followed: the head is missing; ");
    test_sql("DELETE FROM rensei_audit_heads");
    verify_for(org.id, NULL);
    ck_assert_str_eq(found, "1 and all that followed: the head is missing; ");
}
END_TEST

/* More than a page, so that the chain goes on from page to page. */
START_TEST(chain_over_many_pages)
{
    enum { N = 1203 };
    rensei_store_t *st = test_store();
    rensei_audit_entry_t *entry =
        apr_pcalloc(test_pool, N * sizeof(rensei_audit_entry_t));
    int i;

    for (i = 0; i < N; i++) {
        entry[i] = (rensei_audit_entry_t){.event = "e",
                                          .org = "org_1",
                                          .actor = &test_actor,
                                          .details_text = "{}"};
    }
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append_all(st, entry, N, test_pool, &err), err);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
    assert_intact("org_1", N);
    test_sql("UPDATE rensei_audit SET event = 'f' WHERE seq = 501");
    verify_for("org_1", NULL);
    ck_assert_ptr_eq(strstr(found, "501 does not fit"), found);
}
END_TEST

static void prune_at_once(void *baton, apr_int64_t seq, const char *id,
                          const char *what)
{
    rensei_audit_pruned_t out;

    if (seq == 10) {
        ck_assert_ok(rensei_audit_prune(&out, test_store(), "org_1",
                                        *(apr_int64_t *)baton, 0, &test_actor,
                                        test_pool, &err),
                     err);
        ck_assert_int_eq(out.up_to, 700);
    }
    note(NULL, seq, id, what);
}

/* While the first page is read, events are pruned from it and from the
 * second: they are not missing. */
START_TEST(verify_while_events_are_pruned)
{
    rensei_audit_verdict_t v;
    apr_int64_t before;

    append_many("org_1", 700);
    test_later(10);
    before = test_now_ms();
    append_many("org_1", 500);
    test_sql("UPDATE rensei_audit SET event = 'f' WHERE seq = 10");
    found = "";
    ck_assert_ok(rensei_audit_verify(&v, test_store(), "org_1", NULL,
                                     prune_at_once, &before, test_pool, &err),
                 err);
    ck_assert_int_eq(v.problems, 1);
    ck_assert_int_eq(v.events, 500 + 500);
    assert_intact("org_1", 501);
}
END_TEST

/* One that nobody pruned is. */
START_TEST(events_missing_behind_those_pruned_meanwhile)
{
    rensei_audit_verdict_t v;
    apr_int64_t before;

    append_many("org_1", 700);
    test_later(10);
    before = test_now_ms();
    append_many("org_1", 500);
    test_sql("UPDATE rensei_audit SET event = 'f' WHERE seq = 10");
    test_sql("DELETE FROM rensei_audit WHERE seq BETWEEN 701 AND 703");
    found = "";
    ck_assert_ok(rensei_audit_verify(&v, test_store(), "org_1", NULL,
                                     prune_at_once, &before, test_pool, &err),
                 err);
    ck_assert_int_eq(v.problems, 2);
    ck_assert_ptr_nonnull(strstr(found, "701 is missing, and all up to 703"));
}
END_TEST

/* ---- events from before there were hashes ---- */

static void old_events(const char *org, int n)
{
    append_many(org, n);
    test_sql("UPDATE rensei_audit SET hash = NULL");
    test_sql("UPDATE rensei_audit_heads SET hash = '', anchor_seq = seq");
}

START_TEST(old_events_prove_nothing)
{
    rensei_audit_verdict_t v;

    old_events("org_1", 4);
    v = verify_for("org_1", NULL);
    ck_assert_int_eq(v.problems, 0);
    ck_assert_int_eq(v.unhashed, 4);
    append_many("org_1", 2);
    v = verify_for("org_1", NULL);
    ck_assert_str_eq(found, "");
    ck_assert_int_eq(v.unhashed, 4);
    ck_assert_int_eq(v.events, 2);
    test_sql("UPDATE rensei_audit SET hash = NULL WHERE seq = 5");
    verify_for("org_1", NULL);
    ck_assert_ptr_eq(strstr(found, "5 has no hash"), found);
}
END_TEST

START_TEST(old_events_are_pruned_first)
{
    rensei_audit_pruned_t out;
    rensei_audit_verdict_t v;
    apr_int64_t before;

    old_events("org_1", 2);
    test_later(10);
    before = test_now_ms();
    test_sql(apr_psprintf(test_pool,
                          "UPDATE rensei_audit SET at = %" APR_INT64_T_FMT
                          " WHERE seq = 2",
                          before));
    append_many("org_1", 2);
    ck_assert_ok(rensei_audit_prune(&out, test_store(), "org_1", before, 0,
                                    &test_actor, test_pool, &err),
                 err);
    ck_assert_int_eq(out.count, 1);
    ck_assert_ptr_null(out.hash);
    v = verify_for("org_1", NULL);
    ck_assert_str_eq(found, "");
    ck_assert_int_eq(v.unhashed, 1);
    ck_assert_int_eq(v.events, 3);
}
END_TEST

/* ---- appending many ---- */

START_TEST(events_of_several_organisations_at_once)
{
    rensei_store_t *st = test_store();
    const rensei_audit_entry_t entry[] = {
        {"a", "org_2", &test_actor, .details_text = "{}"},
        {"b", "org_1", &test_actor, .details_text = "{}"},
        {"c", "org_2", &test_actor, .details_text = "{}"},
        {"d", "", &test_actor, .details_text = "{}"},
        {"e", "org_1", &test_actor, .details_text = "{}"}};

    append("org_1", "first");
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append_all(st, entry, 5, test_pool, &err), err);
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
    ck_assert_str_eq(test_sql_lines("SELECT event FROM rensei_audit WHERE "
                                    "org_id = 'org_1' ORDER BY seq",
                                    0),
                     "first\nb\ne");
    assert_intact("org_1", 3);
    assert_intact("org_2", 2);
    assert_intact("", 1);
}
END_TEST

/* They go into statements of several sizes: none is left out, nor there twice,
 * nor in another's place. */
START_TEST(any_number_of_events_at_once)
{
    enum { MOST = 35 };
    rensei_store_t *st = test_store();
    rensei_audit_entry_t entry[MOST];
    const char *wanted = "";
    int i, n, all = 0;

    for (n = 1; n <= MOST; n++) {
        for (i = 0; i < n; i++) {
            const char *name = apr_psprintf(test_pool, "%d of %d", i, n);

            entry[i] = (rensei_audit_entry_t){name, "org_1", &test_actor, name,
                                              .details_text = "{}"};
            wanted =
                apr_pstrcat(test_pool, wanted, all++ ? "\n" : "", name, NULL);
        }
        ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
        ck_assert_ok(rensei_audit_append_all(st, entry, n, test_pool, &err),
                     err);
        ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
    }
    ck_assert_str_eq(test_sql_lines("SELECT event FROM rensei_audit WHERE "
                                    "event = target ORDER BY seq",
                                    0),
                     wanted);
    assert_intact("org_1", all);
}
END_TEST

START_TEST(an_event_needs_a_transaction)
{
    rensei_store_t *st = test_store();

    ck_assert_int_ne(rensei_audit_append(st, "e", "org_1", &test_actor, NULL,
                                         test_json("{}"), test_pool, &err),
                     APR_SUCCESS);
    ck_assert_int_eq(err.code, RENSEI_E_INTERNAL);
    ck_assert_int_eq(test_sql_count("rensei_audit"), 0);
}
END_TEST

/* ---- the witness ---- */

static const char *seen; /* "event seq actor; " */
static rensei_event_t last_seen;

static void witness(void *baton, const rensei_event_t *ev, apr_pool_t *p)
{
    seen = apr_psprintf(test_pool, "%s%s %" APR_INT64_T_FMT " %s; ", seen,
                        ev->event, ev->seq, ev->actor.id);
    last_seen = *ev;
    ++*(int *)baton;
}

START_TEST(witness_is_told_after_commit)
{
    rensei_store_t *st = test_store();
    char id[] = "caller-1";
    rensei_actor_t actor = {.id = id, .type = "operator"};
    apr_pool_t *sub;
    int times = 0;

    seen = "";
    append("org_1", "nobody-looks");
    rensei_store_witness(st, witness, &times);
    apr_pool_create(&sub, test_pool);
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append(st, "a", "org_1", &actor, "t",
                                     test_json("{}"), sub, &err),
                 err);
    ck_assert_ok(rensei_audit_append(st, "b", "org_1", &test_actor, NULL,
                                     test_json("{}"), sub, &err),
                 err);
    apr_pool_destroy(sub);
    memset(id, 'x', sizeof(id) - 1);
    ck_assert_str_eq(seen, "");
    ck_assert_ok(rensei_store_commit(st, test_pool, &err), err);
    ck_assert_str_eq(seen, "a 2 caller-1; b 3 root; ");
    ck_assert_int_eq(times, 2);
    append("org_1", "c");
    ck_assert_str_eq(seen, "a 2 caller-1; b 3 root; c 4 root; ");
    ck_assert_str_eq(last_seen.hash, test_last_event("org_1").hash);
    ck_assert_str_eq(last_seen.previous,
                     test_sql_value("SELECT hash FROM rensei_audit "
                                    "WHERE seq = 3"));
}
END_TEST

START_TEST(witness_is_never_told_of_what_was_rolled_back)
{
    static const char *const twice[] = {"org_1", "1",  "i",  "e",  "1",  "a",
                                        "t",     NULL, NULL, NULL, "{}", NULL};
    rensei_store_t *st = test_store();
    apr_pool_t *sub;
    int times = 0;

    seen = "";
    rensei_store_witness(st, witness, &times);
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append(st, "a", "org_1", &test_actor, NULL,
                                     test_json("{}"), test_pool, &err),
                 err);
    rensei_store_rollback(st);
    apr_pool_create(&sub, test_pool);
    ck_assert_ok(rensei_store_begin(st, sub, &err), err);
    ck_assert_ok(rensei_audit_append(st, "b", "org_1", &test_actor, NULL,
                                     test_json("{}"), sub, &err),
                 err);
    apr_pool_destroy(sub); /* abandoned */
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append(st, "c", "org_1", &test_actor, NULL,
                                     test_json("{}"), test_pool, &err),
                 err);
    ck_assert_int_ne(rensei_store_end(st, APR_EGENERAL, test_pool, &err),
                     APR_SUCCESS);
    /* a COMMIT that fails: the same number twice */
    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_ok(rensei_audit_append(st, "f", "org_1", &test_actor, NULL,
                                     test_json("{}"), test_pool, &err),
                 err);
    ck_assert_int_ne(rensei_store_exec(NULL, st, RENSEI_SQL_AUDIT_INSERT, twice,
                                       test_pool, &err),
                     APR_SUCCESS);
    ck_assert_int_ne(rensei_store_commit(st, test_pool, &err), APR_SUCCESS);
    ck_assert_str_eq(seen, "");
    append("org_1", "d");
    ck_assert_str_eq(seen, "d 1 root; ");
}
END_TEST

/* ---- spans, pruning ---- */

static const char *walked;

static apr_status_t walk_note(void *baton, const rensei_event_t *ev,
                              apr_pool_t *p, rensei_err_t *e)
{
    walked = apr_psprintf(test_pool, "%s%" APR_INT64_T_FMT "%s ", walked,
                          ev->seq, ev->previous ? "" : "?");
    return APR_SUCCESS;
}

static const char *walk(const char *org, apr_int64_t after, apr_int64_t last)
{
    rensei_audit_head_t head = head_of(org);

    walked = "";
    ck_assert_ok(rensei_audit_walk(test_store(), org, &head, after, last,
                                   walk_note, NULL, test_pool, &err),
                 err);
    return walked;
}

START_TEST(walks_know_what_an_event_follows_on)
{
    two_chains();
    ck_assert_str_eq(walk("org_1", 0, 6), "1 2 3 4 5 6 ");
    ck_assert_str_eq(walk("org_1", 2, 4), "3 4 ");
    ck_assert_str_eq(walk("org_1", 6, 6), "");
    test_sql("DELETE FROM rensei_audit WHERE seq = 3");
    ck_assert_str_eq(walk("org_1", 0, 6), "1 2 4? 5 6 ");
    ck_assert_str_eq(walk("org_1", 3, 6), "4? 5 6 ");
    ck_assert_str_eq(walk("org_2", 0, 6), "1 2 ");
}
END_TEST

/* Clocks differ: in the run is also what has another time, or it would have a
 * hole. */
START_TEST(span_has_no_holes)
{
    apr_int64_t start = test_now_ms(), after, last;

    append_many("org_1", 2);
    test_later(100);
    append("org_1", "e");
    test_later(-200);
    append("org_1", "e");
    test_later(200);
    append("org_1", "e");
    test_later(100);
    append("org_1", "e");
    ck_assert_ok(rensei_audit_span(&after, &last, test_store(), "org_1",
                                   start + 100000, start + 200000, test_pool,
                                   &err),
                 err);
    ck_assert_int_eq(after, 2);
    ck_assert_int_eq(last, 5);
    ck_assert_ok(rensei_audit_span(&after, &last, test_store(), "org_1",
                                   start + 300000, 0, test_pool, &err),
                 err);
    ck_assert_int_eq(after, last);
}
END_TEST

static rensei_audit_pruned_t prune(const char *org, apr_int64_t before,
                                   int dry_run)
{
    rensei_audit_pruned_t out;

    ck_assert_ok(rensei_audit_prune(&out, test_store(), org, before, dry_run,
                                    &test_actor, test_pool, &err),
                 err);
    return out;
}

START_TEST(pruned_chain_verifies)
{
    rensei_audit_pruned_t out;
    apr_int64_t before;
    const char *hash;
    rensei_event_t ev;

    two_chains();
    hash = head_of("org_1").hash;
    test_later(400 * DAY_S);
    before = test_now_ms();
    append_many("org_1", 2);
    out = prune("org_1", before, 1);
    ck_assert_int_eq(out.count, 6);
    ck_assert_int_eq(test_sql_count("rensei_audit"), 11);
    out = prune("org_1", before, 0);
    ck_assert_int_eq(out.count, 6);
    ck_assert_int_eq(out.up_to, 6);
    ck_assert_str_eq(out.hash, hash);
    ck_assert_int_eq(head_of("org_1").anchor_seq, 6);
    assert_intact("org_1", 3);
    assert_intact("org_2", 3);
    ck_assert_int_eq(verify_for("org_1", hash).known, 1);
    ev = test_last_event("org_1");
    ck_assert_str_eq(ev.event, "audit.pruned");
    ck_assert_str_eq(
        ev.details,
        apr_psprintf(test_pool,
                     "{\"before\":\"%s\",\"count\":6,\"hash\":\"%s\","
                     "\"upTo\":6}",
                     rensei_time_iso(before, test_pool), hash));
    ck_assert_int_eq(prune("org_1", before, 0).count, 0);
    ck_assert_int_eq(test_last_event("org_1").seq, 9);
    /* what is gone cannot be put back, nor more be taken */
    test_sql("INSERT INTO rensei_audit SELECT org_id, 6, 'evt_x', event, at, "
             "actor, actor_type, target, ip, request_id, details, NULL "
             "FROM rensei_audit WHERE org_id = 'org_1' AND seq = 7");
    assert_found("6 stands before the beginning of the chain");
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1' AND seq < 8");
    assert_found("7 is missing; ");
    /* ... not even by an anchor that is moved behind it */
    test_sql("UPDATE rensei_audit_heads SET anchor_seq = 8, anchor_hash = "
             "(SELECT hash FROM rensei_audit WHERE org_id = 'org_1' "
             "AND seq = 8) WHERE org_id = 'org_1'");
    test_sql("DELETE FROM rensei_audit WHERE org_id = 'org_1' AND seq < 9");
    assert_found("8 and all before it were removed, and no event "
                 "audit.pruned says so; ");
}
END_TEST

START_TEST(all_can_be_pruned)
{
    append_many("org_1", 3);
    test_later(10);
    ck_assert_int_eq(prune("org_1", test_now_ms() + DAY_S * 1000, 0).count, 3);
    assert_intact("org_1", 1);
    test_later(10);
    ck_assert_int_eq(prune("org_1", test_now_ms(), 0).count, 1);
    assert_intact("org_1", 1);
    append("org_1", "e");
    assert_intact("org_1", 2);
    ck_assert_int_eq(prune("", test_now_ms(), 0).count, 0);
    ck_assert_int_eq(test_sql_count("rensei_audit WHERE org_id = ''"), 0);
}
END_TEST

/* An older event behind a newer one stays, or the chain had two beginnings. */
START_TEST(prune_stops_at_the_first_that_stays)
{
    apr_int64_t before;

    append_many("org_1", 2);
    test_later(10);
    before = test_now_ms();
    append("org_1", "e");
    test_later(-10);
    append("org_1", "e");
    test_later(20);
    ck_assert_int_eq(prune("org_1", before, 0).count, 2);
    assert_intact("org_1", 3);
}
END_TEST

START_TEST(prune_in_batches)
{
    rensei_audit_pruned_t out;

    test_store();
    append("org_1", "e");
    test_sql("INSERT INTO rensei_audit (org_id, seq, id, event, at, actor, "
             "actor_type, details, hash) WITH RECURSIVE n(i) AS (SELECT 2 "
             "UNION ALL SELECT i + 1 FROM n WHERE i < 25000) SELECT 'org_1', "
             "i, 'evt', 'common', i, 'a', 't', '{}', 'h' FROM n");
    test_sql("UPDATE rensei_audit_heads SET seq = 25000, hash = 'h'");
    test_later(10);
    out = prune("org_1", test_now_ms(), 1);
    ck_assert_int_eq(out.count, 25000);
    out = prune("org_1", test_now_ms(), 0);
    ck_assert_int_eq(out.count, 25000);
    ck_assert_int_eq(out.up_to, 25000);
    assert_intact("org_1", 25000 / RENSEI_PRUNE_BATCH + 1);
}
END_TEST

START_TEST(every_trail_is_listed)
{
    rensei_org_t org;
    const char *id = "";
    const char *ids = "";

    append("", "e");
    append("org_", "e"); /* sorts first; never one of ours */
    ck_assert_ok(rensei_org_create(&org, test_store(), "Acme", &test_actor,
                                   test_pool, &err),
                 err);
    append("org_zz", "e");
    test_sql("DELETE FROM rensei_audit_heads WHERE org_id = 'org_zz'");
    for (;;) {
        ck_assert_ok(
            rensei_audit_org_after(&id, test_store(), id, test_pool, &err),
            err);
        if (!id) {
            break;
        }
        ids = apr_pstrcat(test_pool, ids, id, " ", NULL);
    }
    ck_assert_str_eq(ids, apr_psprintf(test_pool, "org_ %s org_zz ", org.id));
}
END_TEST

/* Of several events one cannot be made: there are none. */
START_TEST(all_of_them_or_none)
{
    rensei_store_t *st = test_store();
    const rensei_audit_entry_t entry[] = {
        {"a", "org_1", &test_actor, .details_text = NULL},
        {"b", "org_2", &test_actor, .details_text = "{}"}};

    ck_assert_ok(rensei_store_begin(st, test_pool, &err), err);
    ck_assert_err(rensei_audit_append_all(st, entry, 2, test_pool, &err), err,
                  RENSEI_E_UNAVAILABLE);
    rensei_store_rollback(st);
    ck_assert_int_eq(head_of("org_2").exists, 0);
}
END_TEST

Suite *suite_audit_chain(void)
{
    TCase *tc;
    Suite *s = test_suite("audit_chain", &tc);

    tcase_add_test(tc, chain_of_each_organisation);
    tcase_add_test(tc, hash_of_a_known_event);
    tcase_add_test(tc, details_in_their_one_form);
    tcase_add_test(tc, changed_event_is_found);
    tcase_add_test(tc, fields_do_not_run_into_each_other);
    tcase_add_test(tc, missing_events_are_found);
    tcase_add_test(tc, cut_off_tail_is_found);
    tcase_add_test(tc, added_events_are_found);
    tcase_add_test(tc, moved_events_are_found);
    tcase_add_test(tc, event_of_another_chain_is_found);
    tcase_add_test(tc, known_hash_is_looked_for);
    tcase_add_test(tc, lost_head_is_found);
    tcase_add_test(tc, organisation_without_a_trail_is_found);
    tcase_add_test(tc, chain_over_many_pages);
    tcase_add_test(tc, verify_while_events_are_pruned);
    tcase_add_test(tc, events_missing_behind_those_pruned_meanwhile);
    tcase_add_test(tc, old_events_prove_nothing);
    tcase_add_test(tc, old_events_are_pruned_first);
    tcase_add_test(tc, events_of_several_organisations_at_once);
    tcase_add_test(tc, any_number_of_events_at_once);
    tcase_add_test(tc, all_of_them_or_none);
    tcase_add_test(tc, an_event_needs_a_transaction);
    tcase_add_test(tc, witness_is_told_after_commit);
    tcase_add_test(tc, witness_is_never_told_of_what_was_rolled_back);
    tcase_add_test(tc, walks_know_what_an_event_follows_on);
    tcase_add_test(tc, span_has_no_holes);
    tcase_add_test(tc, pruned_chain_verifies);
    tcase_add_test(tc, all_can_be_pruned);
    tcase_add_test(tc, prune_stops_at_the_first_that_stays);
    tcase_add_test(tc, prune_in_batches);
    tcase_add_test(tc, every_trail_is_listed);
    return s;
}
