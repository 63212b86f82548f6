/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_scope.h"

#include <apr_strings.h>

#define STAR RENSEI_STR("*")
#define REGISTER RENSEI_STR(RENSEI_SCOPE_REGISTER)

#define BAD_SCOPE                                                    \
    "A scope is empty, too long, or has a character that scopes do " \
    "not have."

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const rensei_str_t m2m_default[] = {
    {"workers:read", 12},   {"workers:write", 13}, {"sessions:read", 13},
    {"sessions:write", 14}, {"agents:read", 11},   {"agents:write", 12}};

static const rensei_str_t key_default[] = {
    {"sessions:read", 13},   {"sessions:write", 14},   {"workflows:read", 14},
    {"workflows:write", 15}, {"workers:register", 16}, {"org:read", 8},
    {"org:write", 9}};

const rensei_vocab_t *rensei_vocab_default(void)
{
    static const rensei_vocab_t vocab = {{COUNT(m2m_default), m2m_default},
                                         {COUNT(key_default), key_default}};

    return &vocab;
}

/* RFC 6749 3.3, scope-token: %x21 / %x23-5B / %x5D-7E */
static const unsigned char scope_char[256] = {
    [0x21] = 1, [0x23 ... 0x5b] = 1, [0x5d ... 0x7e] = 1};

apr_size_t rensei_scope_span(const char *s, apr_size_t n)
{
    const char *at = s, *end = s + n;

    while (at < end && scope_char[(unsigned char)*at]) {
        at++;
    }
    return (apr_size_t)(at - s);
}

int rensei_scope_valid(const char *s, apr_size_t n)
{
    return n > 0 && n <= RENSEI_SCOPE_LEN_MAX && rensei_scope_span(s, n) == n;
}

int rensei_scopes_has(const rensei_scopes_t *set, rensei_str_t scope)
{
    int i;

    for (i = 0; i < set->count; i++) {
        if (rensei_str_eq(set->scope[i], scope)) {
            return 1;
        }
    }
    return 0;
}

static void set_keep(rensei_scopes_t *out, const rensei_str_t *scope, int count,
                     apr_pool_t *p)
{
    out->count = count;
    out->scope = NULL;
    if (count > 0) {
        out->scope = apr_pmemdup(p, scope, (apr_size_t)count * sizeof(*scope));
    }
}

/* The next run of characters that are not spaces; n = 0 at the end. */
static rensei_str_t next_word(rensei_str_t *rest)
{
    rensei_str_t word = {rest->p, 0};
    apr_size_t from = 0, to;

    while (from < rest->n && rest->p[from] == ' ') {
        from++;
    }
    for (to = from; to < rest->n && rest->p[to] != ' '; to++) {
    }
    word.p = rest->p + from;
    word.n = to - from;
    rest->p += to;
    rest->n -= to;
    return word;
}

apr_status_t rensei_scopes_parse(rensei_scopes_t *out, const char *text,
                                 apr_size_t n, apr_pool_t *p, rensei_err_t *err)
{
    rensei_str_t found[RENSEI_SCOPES_MAX];
    rensei_scopes_t set = {0, found};
    rensei_str_t rest = {text, n}, word;

    while ((word = next_word(&rest)).n > 0) {
        if (!rensei_scope_valid(word.p, word.n)) {
            return rensei_err_set(err, RENSEI_E_INVALID_SCOPE, BAD_SCOPE);
        }
        if (rensei_scopes_has(&set, word)) {
            continue;
        }
        if (set.count == RENSEI_SCOPES_MAX) {
            return rensei_err_set(err, RENSEI_E_INVALID_SCOPE,
                                  "There are too many scopes.");
        }
        found[set.count++] = word;
    }
    set_keep(out, found, set.count, p);
    return APR_SUCCESS;
}

void rensei_scopes_split(rensei_scopes_t *out, const char *text, apr_size_t n,
                         apr_pool_t *p)
{
    rensei_str_t found[RENSEI_SCOPES_MAX];
    const char *at = text, *end = text + n;
    int count = 0;

    while (at < end && count < RENSEI_SCOPES_MAX) {
        const char *blank = memchr(at, ' ', (apr_size_t)(end - at));
        const char *to = blank ? blank : end;

        found[count++] = (rensei_str_t){at, (apr_size_t)(to - at)};
        at = to + 1;
    }
    set_keep(out, found, count, p);
}

const char *rensei_scopes_text(const rensei_scopes_t *set, apr_pool_t *p)
{
    apr_size_t len = 1;
    char *text, *at;
    int i;

    for (i = 0; i < set->count; i++) {
        len += set->scope[i].n + 1;
    }
    at = text = apr_palloc(p, len);
    for (i = 0; i < set->count; i++) {
        if (i > 0) {
            *at++ = ' ';
        }
        memcpy(at, set->scope[i].p, set->scope[i].n);
        at += set->scope[i].n;
    }
    *at = '\0';
    return text;
}

int rensei_vocab_knows(const rensei_vocab_t *v, rensei_str_t scope)
{
    return !rensei_str_eq(scope, STAR) && (rensei_scopes_has(&v->m2m, scope) ||
                                           rensei_scopes_has(&v->key, scope));
}

/* workers:register makes workers, and with them runtime tokens: it is left
 * out of every other class's vocabulary, so that no `*` reaches it. */
int rensei_vocab_has(const rensei_vocab_t *v, rensei_class_e cls,
                     rensei_str_t scope)
{
    int registers = rensei_str_eq(scope, REGISTER);

    if (cls == RENSEI_CLASS_REGISTRATION) {
        return registers && rensei_scopes_has(&v->key, scope);
    }
    if (registers || rensei_str_eq(scope, STAR)) {
        return 0;
    }
    switch (cls) {
    case RENSEI_CLASS_M2M:
    case RENSEI_CLASS_WORKER:
        return rensei_scopes_has(&v->m2m, scope);
    case RENSEI_CLASS_USER:
        return rensei_scopes_has(&v->key, scope);
    case RENSEI_CLASS_ORG:
        return rensei_scopes_has(&v->m2m, scope) ||
               rensei_scopes_has(&v->key, scope);
    default:
        return 0;
    }
}

int rensei_scope_granted(const rensei_vocab_t *v, rensei_class_e cls,
                         const rensei_scopes_t *held, rensei_str_t scope)
{
    return (rensei_scopes_has(held, scope) || rensei_scopes_has(held, STAR)) &&
           rensei_vocab_has(v, cls, scope);
}

static int text_has(rensei_str_t text, rensei_str_t scope)
{
    const char *at = text.p, *end = at + text.n;

    while (at && (apr_size_t)(end - at) >= scope.n) {
        const char *to = at + scope.n;

        if ((to == end || *to == ' ') && memcmp(at, scope.p, scope.n) == 0) {
            return 1;
        }
        at = memchr(at, ' ', (apr_size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return 0;
}

int rensei_scope_granted_text(const rensei_vocab_t *v, rensei_class_e cls,
                              rensei_str_t held, rensei_str_t scope)
{
    return (text_has(held, scope) || text_has(held, STAR)) &&
           rensei_vocab_has(v, cls, scope);
}

apr_status_t rensei_scopes_narrow(rensei_scopes_t *out,
                                  const rensei_scopes_t *held,
                                  const rensei_scopes_t *limit, apr_pool_t *p)
{
    rensei_str_t *kept;
    int i;

    if (rensei_scopes_has(limit, STAR)) {
        *out = *held;
        return APR_SUCCESS;
    }
    if (rensei_scopes_has(held, STAR)) {
        *out = *limit;
        return APR_SUCCESS;
    }
    out->count = 0;
    out->scope = kept = apr_palloc(p, (apr_size_t)held->count * sizeof(*kept));
    for (i = 0; i < held->count; i++) {
        if (rensei_scopes_has(limit, held->scope[i])) {
            kept[out->count++] = held->scope[i];
        }
    }
    return APR_SUCCESS;
}

/* Whose `*` covers all that a `*` of class cls would give. */
static int star_covers(const rensei_grantor_t *by, rensei_class_e cls)
{
    return rensei_scopes_has(&by->held, STAR) &&
           (by->cls == RENSEI_CLASS_ORG || by->cls == cls);
}

static int may_give(const rensei_vocab_t *v, rensei_class_e cls,
                    rensei_str_t scope, const rensei_grantor_t *by)
{
    if (by == NULL) {
        return 1;
    }
    if (rensei_str_eq(scope, STAR)) {
        return star_covers(by, cls);
    }
    /* an org key does not register workers itself, so it never holds this */
    if (rensei_str_eq(scope, REGISTER)) {
        return by->cls == RENSEI_CLASS_ORG && star_covers(by, cls);
    }
    return rensei_scope_granted(v, by->cls, &by->held, scope);
}

apr_status_t rensei_scopes_assignable(const rensei_vocab_t *v,
                                      rensei_class_e cls,
                                      const rensei_scopes_t *want,
                                      const rensei_grantor_t *by, apr_pool_t *p,
                                      rensei_err_t *err)
{
    int i;

    for (i = 0; i < want->count; i++) {
        rensei_str_t scope = want->scope[i];
        int is_star = rensei_str_eq(scope, STAR);

        if (!rensei_scope_valid(scope.p, scope.n)) {
            return rensei_err_field(err, p, "scopes", "%s", BAD_SCOPE);
        }
        if (is_star ? cls == RENSEI_CLASS_REGISTRATION
                    : !rensei_vocab_has(v, cls, scope)) {
            return rensei_err_field(
                err, p, "scopes",
                "The scope '%.*s' cannot be given to this kind of credential.",
                (int)scope.n, scope.p);
        }
        if (!may_give(v, cls, scope, by)) {
            return rensei_err_setf(err, p, RENSEI_E_FORBIDDEN,
                                   "The scope '%.*s' is not yours to give.",
                                   (int)scope.n, scope.p);
        }
    }
    return APR_SUCCESS;
}
