/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Lists of scopes and of audiences. A list that is taken is written down in
 * one way, and nothing gives a scope that nobody holds.
 */
#include "fuzz.h"
#include "rensei_audience.h"

#include <string.h>

static int same(const rensei_scopes_t *a, const rensei_scopes_t *b)
{
    int i;

    for (i = 0; i < a->count && i < b->count; i++) {
        if (!rensei_str_eq(a->scope[i], b->scope[i])) {
            return 0;
        }
    }
    return a->count == b->count;
}

static void check_granted(const rensei_scopes_t *set, apr_pool_t *p)
{
    const rensei_vocab_t *vocab = rensei_vocab_default();
    const char *text = rensei_scopes_text(set, p);
    rensei_class_e cls;
    int i;

    for (cls = RENSEI_CLASS_M2M; cls <= RENSEI_CLASS_WORKER; cls++) {
        for (i = 0; i < set->count; i++) {
            int granted = rensei_scope_granted(vocab, cls, set, set->scope[i]);

            FUZZ_HOLDS(granted == rensei_vocab_has(vocab, cls, set->scope[i]));
            FUZZ_HOLDS(granted == rensei_scope_granted_text(vocab, cls,
                                                            rensei_str(text),
                                                            set->scope[i]));
        }
        FUZZ_HOLDS(!rensei_scope_granted(vocab, cls, set, RENSEI_STR("*")));
    }
}

static void check_scopes(const rensei_scopes_t *set, apr_pool_t *p)
{
    const char *text = rensei_scopes_text(set, p);
    rensei_scopes_t again, narrowed, none = {0, NULL};
    rensei_err_t err = {0};

    FUZZ_HOLDS(set->count <= RENSEI_SCOPES_MAX);
    FUZZ_HOLDS(rensei_scopes_parse(&again, text, strlen(text), p, &err) ==
               APR_SUCCESS);
    FUZZ_HOLDS(same(set, &again));
    rensei_scopes_split(&again, text, strlen(text), p);
    FUZZ_HOLDS(same(set, &again));
    FUZZ_HOLDS(rensei_scopes_narrow(&narrowed, set, &none, p) == APR_SUCCESS &&
               narrowed.count == 0);
    check_granted(set, p);
}

void fuzz_scope(const char *text, apr_size_t n, apr_pool_t *p)
{
    rensei_scopes_t set;
    rensei_audiences_t list, again;
    rensei_err_t err = {0};

    if (rensei_scopes_parse(&set, text, n, p, &err) == APR_SUCCESS) {
        check_scopes(&set, p);
    }
    else {
        FUZZ_HOLDS(err.code == RENSEI_E_INVALID_SCOPE && err.text);
    }
    if (rensei_audiences_parse(&list, fuzz_string(text, n, p), p, &err) ==
        APR_SUCCESS) {
        FUZZ_HOLDS(rensei_audiences_parse(&again, rensei_scopes_text(&list, p),
                                          p, &err) == APR_SUCCESS);
        FUZZ_HOLDS(same(&list, &again));
        FUZZ_HOLDS(rensei_audiences_check(&list, p, &err) == APR_SUCCESS);
    }
}
