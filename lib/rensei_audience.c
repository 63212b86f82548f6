/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_audience.h"

#include <apr_strings.h>

/* %x21 / %x24-5B / %x5D-7E */
static const unsigned char audience_char[256] = {
    [0x21] = 1, [0x24 ... 0x5b] = 1, [0x5d ... 0x7e] = 1};

/* A list in the making. */
typedef struct making_t {
    rensei_str_t found[RENSEI_AUDIENCES_MAX];
    rensei_audiences_t set; /* of found */
    apr_pool_t *p;
    rensei_err_t *err;
} making_t;

int rensei_audience_valid(const char *s, apr_size_t n)
{
    apr_size_t i;

    if (n == 0 || n > RENSEI_AUDIENCE_LEN_MAX) {
        return 0;
    }
    for (i = 0; i < n; i++) {
        if (!audience_char[(unsigned char)s[i]]) {
            return 0;
        }
    }
    return 1;
}

static apr_status_t add(making_t *m, rensei_str_t one)
{
    if (!one.p || !rensei_audience_valid(one.p, one.n)) {
        return rensei_err_field(m->err, m->p, "audiences",
                                "audiences has an item that is no URI or name "
                                "of 1 to %d bytes.",
                                RENSEI_AUDIENCE_LEN_MAX);
    }
    if (rensei_scopes_has(&m->set, one)) {
        return APR_SUCCESS;
    }
    if (m->set.count == RENSEI_AUDIENCES_MAX) {
        return rensei_err_field(m->err, m->p, "audiences",
                                "audiences can have at most %d items.",
                                RENSEI_AUDIENCES_MAX);
    }
    m->found[m->set.count++] = one;
    return APR_SUCCESS;
}

static void keep(rensei_audiences_t *out, const making_t *m)
{
    apr_size_t size = (apr_size_t)m->set.count * sizeof(*m->found);

    out->count = m->set.count;
    out->scope = apr_pmemdup(m->p, m->found, size);
}

apr_status_t rensei_audiences_parse(rensei_audiences_t *out, const char *text,
                                    apr_pool_t *p, rensei_err_t *err)
{
    making_t m = {.set = {0, m.found}, .p = p, .err = err};
    rensei_str_t one = {text, 0};
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && *one.p) {
        one.n = strcspn(one.p, " ");
        rv = add(&m, one);
        one.p += one.n;
        one.p += *one.p == ' ';
    }
    keep(out, &m);
    return rv;
}

apr_status_t rensei_audiences_read(rensei_audiences_t *out, const json_t *list,
                                   apr_pool_t *p, rensei_err_t *err)
{
    making_t m = {.set = {0, m.found}, .p = p, .err = err};
    rensei_str_t one;
    const json_t *item;
    apr_status_t rv = APR_SUCCESS;
    size_t i;

    if (!json_is_array(list) && !json_is_null(list)) {
        return rensei_err_field(err, p, "audiences",
                                "audiences must be an array.");
    }
    for (i = 0; rv == APR_SUCCESS && i < json_array_size(list); i++) {
        item = json_array_get(list, i);
        one.n = json_string_length(item);
        one.p = apr_pstrmemdup(p, json_string_value(item), one.n);
        rv = add(&m, one);
    }
    keep(out, &m);
    return rv;
}

apr_status_t rensei_audiences_check(const rensei_audiences_t *set,
                                    apr_pool_t *p, rensei_err_t *err)
{
    making_t m = {.set = {0, m.found}, .p = p, .err = err};
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < set->count; i++) {
        rv = add(&m, set->scope[i]);
    }
    return rv;
}
