/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_scope.h"

#include <apr_strings.h>

static rensei_scopes_t set_of(const char *text)
{
    rensei_scopes_t out;
    rensei_err_t err;

    ck_assert_ok(rensei_scopes_parse(&out, text, strlen(text), test_pool, &err),
                 err);
    return out;
}

static const char *narrowed(const char *held, const char *limit)
{
    rensei_scopes_t h = set_of(held), l = set_of(limit), out;

    ck_assert_int_eq(rensei_scopes_narrow(&out, &h, &l, test_pool),
                     APR_SUCCESS);
    return rensei_scopes_text(&out, test_pool);
}

static int granted(rensei_class_e cls, const char *held, const char *scope)
{
    rensei_scopes_t h = set_of(held);

    return rensei_scope_granted(rensei_vocab_default(), cls, &h,
                                rensei_str(scope));
}

/* NONE when `by` may give that, else the error's code. */
static rensei_code_e assign(rensei_class_e cls, const char *want,
                            const rensei_grantor_t *by)
{
    rensei_scopes_t w = set_of(want);
    rensei_err_t err = {RENSEI_E_NONE, NULL, NULL, NULL};
    apr_status_t rv = rensei_scopes_assignable(rensei_vocab_default(), cls, &w,
                                               by, test_pool, &err);

    ck_assert_int_eq(rv == APR_SUCCESS, err.code == RENSEI_E_NONE);
    if (err.code == RENSEI_E_INVALID_REQUEST) {
        ck_assert_str_eq(err.field, "scopes");
    }
    return err.code;
}

static rensei_code_e assign_by(rensei_class_e cls, const char *want,
                               rensei_class_e giver, const char *held)
{
    rensei_grantor_t by = {.cls = giver, .held = set_of(held)};

    return assign(cls, want, &by);
}

START_TEST(tokens)
{
    char longest[RENSEI_SCOPE_LEN_MAX + 2];

    ck_assert(rensei_scope_valid("a", 1));
    ck_assert(rensei_scope_valid("*", 1));
    ck_assert(rensei_scope_valid("!#[]~", 5));
    ck_assert(rensei_scope_valid("sessions:read", 13));
    ck_assert(!rensei_scope_valid("", 0));
    ck_assert(!rensei_scope_valid("a b", 3));
    ck_assert(!rensei_scope_valid("a\"b", 3));
    ck_assert(!rensei_scope_valid("a\\b", 3));
    ck_assert(!rensei_scope_valid("a\x7f", 2));
    ck_assert(!rensei_scope_valid("a\tb", 3));
    ck_assert(!rensei_scope_valid("\xc3\xa9", 2));
    ck_assert(!rensei_scope_valid("a\0b", 3));
    memset(longest, 'a', sizeof(longest));
    ck_assert(rensei_scope_valid(longest, RENSEI_SCOPE_LEN_MAX));
    ck_assert(!rensei_scope_valid(longest, RENSEI_SCOPE_LEN_MAX + 1));
}
END_TEST

START_TEST(parse)
{
    rensei_scopes_t set = set_of("  b a  b   c ");

    ck_assert_int_eq(set.count, 3);
    ck_assert_str_eq(rensei_scopes_text(&set, test_pool), "b a c");
    ck_assert(rensei_scopes_has(&set, RENSEI_STR("a")));
    ck_assert(!rensei_scopes_has(&set, RENSEI_STR("ab")));
    ck_assert_int_eq(set_of("").count, 0);
    ck_assert_int_eq(set_of("   ").count, 0);
    set = set_of("");
    ck_assert_str_eq(rensei_scopes_text(&set, test_pool), "");
}
END_TEST

START_TEST(parse_bad)
{
    const char *many = "";
    rensei_scopes_t set;
    rensei_err_t err;

    ck_assert_err(rensei_scopes_parse(&set, "a\tb", 3, test_pool, &err), err,
                  RENSEI_E_INVALID_SCOPE);
    ck_assert_err(rensei_scopes_parse(&set, "a\nb", 3, test_pool, &err), err,
                  RENSEI_E_INVALID_SCOPE);
    ck_assert_err(rensei_scopes_parse(&set, "a \"", 3, test_pool, &err), err,
                  RENSEI_E_INVALID_SCOPE);
    for (int i = 0; i <= RENSEI_SCOPES_MAX; i++) {
        many = apr_psprintf(test_pool, "%ss%02d ", many, i);
    }
    ck_assert_err(
        rensei_scopes_parse(&set, many, strlen(many), test_pool, &err), err,
        RENSEI_E_INVALID_SCOPE);
    ck_assert_ok(
        rensei_scopes_parse(&set, many, strlen(many) - 4, test_pool, &err),
        err);
    ck_assert_int_eq(set.count, RENSEI_SCOPES_MAX);
}
END_TEST

START_TEST(vocabularies)
{
    const rensei_vocab_t *v = rensei_vocab_default();

    ck_assert_str_eq(rensei_scopes_text(&v->m2m, test_pool),
                     RENSEI_SCOPES_M2M_DEFAULT);
    ck_assert_str_eq(rensei_scopes_text(&v->key, test_pool),
                     RENSEI_SCOPES_KEY_DEFAULT);
    ck_assert(rensei_vocab_knows(v, RENSEI_STR("org:read")));
    ck_assert(rensei_vocab_knows(v, RENSEI_STR("agents:write")));
    ck_assert(rensei_vocab_knows(v, RENSEI_STR("workers:register")));
    ck_assert(!rensei_vocab_knows(v, RENSEI_STR("*")));
    ck_assert(!rensei_vocab_knows(v, RENSEI_STR("org:admin")));
    ck_assert(!rensei_vocab_has(v, RENSEI_CLASS_ORG, RENSEI_STR("*")));
}
END_TEST

/* One who reads `*` as "everything" lets a client's token into the admin API,
 * or any key register workers. */
START_TEST(star_stays_at_home)
{
    ck_assert(!granted(RENSEI_CLASS_M2M, "*", "org:read"));
    ck_assert(!granted(RENSEI_CLASS_M2M, "*", "workflows:read"));
    ck_assert(!granted(RENSEI_CLASS_WORKER, "*", "org:write"));
    ck_assert(!granted(RENSEI_CLASS_USER, "*", "agents:read"));
    ck_assert(!granted(RENSEI_CLASS_USER, "*", "workers:register"));
    ck_assert(!granted(RENSEI_CLASS_ORG, "*", "workers:register"));
    ck_assert(!granted(RENSEI_CLASS_REGISTRATION, "*", "sessions:read"));
    ck_assert(!granted(RENSEI_CLASS_M2M, "*", "unknown:scope"));
    ck_assert(!granted(RENSEI_CLASS_ORG, "*", "*"));

    ck_assert(granted(RENSEI_CLASS_M2M, "*", "agents:write"));
    ck_assert(granted(RENSEI_CLASS_WORKER, "*", "workers:read"));
    ck_assert(granted(RENSEI_CLASS_USER, "*", "workflows:read"));
    ck_assert(granted(RENSEI_CLASS_ORG, "*", "org:write"));
    ck_assert(granted(RENSEI_CLASS_ORG, "*", "agents:read"));
}
END_TEST

/* A scope that is held but is not of the class's vocabulary comes from a
 * forged row or an older vocabulary: it opens nothing. */
START_TEST(literal_scopes)
{
    ck_assert(!granted(RENSEI_CLASS_M2M, "org:read", "org:read"));
    ck_assert(
        !granted(RENSEI_CLASS_USER, "workers:register", "workers:register"));
    ck_assert(!granted(RENSEI_CLASS_REGISTRATION, "org:read", "org:read"));
    ck_assert(!granted(RENSEI_CLASS_ORG, "org:read", "org:write"));
    ck_assert(!granted(RENSEI_CLASS_ORG, "", "org:read"));

    ck_assert(granted(RENSEI_CLASS_M2M, "agents:read sessions:read",
                      "sessions:read"));
    ck_assert(granted(RENSEI_CLASS_USER, "org:read", "org:read"));
    ck_assert(granted(RENSEI_CLASS_REGISTRATION, "workers:register",
                      "workers:register"));
    ck_assert(granted(RENSEI_CLASS_ORG, "org:read", "org:read"));
}
END_TEST

START_TEST(narrow)
{
    ck_assert_str_eq(narrowed("a b c", "c a"), "a c");
    ck_assert_str_eq(narrowed("a b", "c"), "");
    ck_assert_str_eq(narrowed("", "a"), "");
    ck_assert_str_eq(narrowed("a", ""), "");
    ck_assert_str_eq(narrowed("*", "*"), "*");
    ck_assert_str_eq(narrowed("*", "a b"), "a b");
    ck_assert_str_eq(narrowed("a b", "*"), "a b");
    ck_assert_str_eq(narrowed("*", ""), "");
}
END_TEST

/* Whoever gives what he does not hold makes himself a second credential that
 * can do more than he. */
START_TEST(assign_held)
{
    const rensei_class_e org = RENSEI_CLASS_ORG, m2m = RENSEI_CLASS_M2M;

    ck_assert_int_eq(assign_by(m2m, "agents:read", org, "org:write"),
                     RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(assign_by(m2m, "*", org, "agents:read org:write"),
                     RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(assign_by(org, "org:read", org, "org:write"),
                     RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(assign_by(m2m, "agents:read", org, ""),
                     RENSEI_E_FORBIDDEN);
    /* the giver's star is of a smaller vocabulary than the one given */
    ck_assert_int_eq(assign_by(org, "*", m2m, "*"), RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(assign_by(org, "*", RENSEI_CLASS_USER, "*"),
                     RENSEI_E_FORBIDDEN);

    ck_assert_int_eq(assign_by(m2m, "agents:read", org, "agents:read"),
                     RENSEI_E_NONE);
    ck_assert_int_eq(assign_by(m2m, "*", org, "*"), RENSEI_E_NONE);
    ck_assert_int_eq(assign_by(org, "* org:read", org, "*"), RENSEI_E_NONE);
    ck_assert_int_eq(assign_by(m2m, "", org, ""), RENSEI_E_NONE);
}
END_TEST

START_TEST(assign_vocabulary)
{
    ck_assert_int_eq(assign(RENSEI_CLASS_M2M, "org:read", NULL),
                     RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(assign(RENSEI_CLASS_USER, "agents:read", NULL),
                     RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(assign(RENSEI_CLASS_ORG, "no:such", NULL),
                     RENSEI_E_INVALID_REQUEST);
    /* a scope outside the vocabulary is that, whoever asks */
    ck_assert_int_eq(
        assign_by(RENSEI_CLASS_M2M, "org:read", RENSEI_CLASS_ORG, ""),
        RENSEI_E_INVALID_REQUEST);

    ck_assert_int_eq(assign(RENSEI_CLASS_M2M, "agents:read *", NULL),
                     RENSEI_E_NONE);
    ck_assert_int_eq(assign(RENSEI_CLASS_ORG, "agents:read org:read *", NULL),
                     RENSEI_E_NONE);
}
END_TEST

/* A worker's runtime token is of the M2M vocabulary: who can register workers
 * can make such tokens, so registration is a credential of its own. */
START_TEST(assign_registration)
{
    const rensei_class_e reg = RENSEI_CLASS_REGISTRATION;

    ck_assert_int_eq(assign(reg, "*", NULL), RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(assign(reg, "sessions:read", NULL),
                     RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(assign(reg, "workers:register org:read", NULL),
                     RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(assign(RENSEI_CLASS_USER, "workers:register", NULL),
                     RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(assign(RENSEI_CLASS_ORG, "workers:register", NULL),
                     RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(assign_by(reg, "workers:register", RENSEI_CLASS_ORG,
                               "org:write sessions:read"),
                     RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(assign_by(reg, "workers:register", RENSEI_CLASS_USER, "*"),
                     RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(assign_by(reg, "workers:register", reg, "*"),
                     RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(
        assign_by(reg, "workers:register", reg, "workers:register"),
        RENSEI_E_FORBIDDEN);

    ck_assert_int_eq(assign_by(reg, "workers:register", RENSEI_CLASS_ORG, "*"),
                     RENSEI_E_NONE);
    ck_assert_int_eq(assign(reg, "workers:register", NULL), RENSEI_E_NONE);
}
END_TEST

/* A set that did not come through rensei_scopes_parse: its bytes must not
 * reach an error text. */
START_TEST(assign_unparsed)
{
    rensei_str_t bad = RENSEI_STR("a\r\nX: y");
    rensei_scopes_t want = {1, &bad};
    rensei_err_t err;

    ck_assert_err(rensei_scopes_assignable(rensei_vocab_default(),
                                           RENSEI_CLASS_M2M, &want, NULL,
                                           test_pool, &err),
                  err, RENSEI_E_INVALID_REQUEST);
    ck_assert_ptr_null(strchr(err.text, '\r'));
}
END_TEST

/* What the gateway remembers of a credential is the text: it gives the same
 * answers as the set. */
START_TEST(text_as_set)
{
    static const char *const held[] = {"",
                                       "sessions:read",
                                       "*",
                                       "org:read *",
                                       "sessions:read workers:read",
                                       "sessions:reader",
                                       "xsessions:read"};
    static const char *const scope[] = {
        "sessions:read", "workers:read", "org:read", "*", "sessions:rea", ""};
    const rensei_vocab_t *v = rensei_vocab_default();
    rensei_scopes_t set;

    for (int i = 0; i < 7; i++) {
        rensei_scopes_split(&set, held[i], strlen(held[i]), test_pool);
        ck_assert_str_eq(rensei_scopes_text(&set, test_pool), held[i]);
        for (int j = 0; j < 6; j++) {
            for (int cls = RENSEI_CLASS_M2M; cls <= RENSEI_CLASS_WORKER;
                 cls++) {
                ck_assert_int_eq(
                    rensei_scope_granted_text(v, cls, rensei_str(held[i]),
                                              rensei_str(scope[j])),
                    granted(cls, held[i], scope[j]));
            }
        }
    }
    ck_assert(granted(RENSEI_CLASS_M2M, held[4], scope[1]));
}
END_TEST

Suite *suite_scope(void)
{
    TCase *tc;
    Suite *s = test_suite("scope", &tc);

    tcase_add_test(tc, tokens);
    tcase_add_test(tc, parse);
    tcase_add_test(tc, parse_bad);
    tcase_add_test(tc, vocabularies);
    tcase_add_test(tc, star_stays_at_home);
    tcase_add_test(tc, literal_scopes);
    tcase_add_test(tc, narrow);
    tcase_add_test(tc, assign_held);
    tcase_add_test(tc, assign_vocabulary);
    tcase_add_test(tc, assign_registration);
    tcase_add_test(tc, assign_unparsed);
    tcase_add_test(tc, text_as_set);
    return s;
}
