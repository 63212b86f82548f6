/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Two readers of JSON, which must not read one text as two things: what the
 * scanner takes jansson takes, with the same members and values.
 */
#include "fuzz.h"

#include <string.h>

static json_t *value_of(const rensei_json_member_t *m, apr_pool_t *p)
{
    rensei_str_t text;

    if (m->type == RENSEI_JSON_STRING) {
        text = rensei_json_unescape(m, p);
        return rensei_json_own(json_stringn(text.p, text.n), p);
    }
    return rensei_json_own(
        json_loadb(m->value.p, m->value.n, JSON_DECODE_ANY, NULL), p);
}

static void check_array(const rensei_json_member_t *m, const json_t *array,
                        apr_pool_t *p)
{
    rensei_json_member_t element;
    apr_size_t at = 0, i = 0;

    while (rensei_json_next(&element, m->value, &at)) {
        FUZZ_HOLDS(json_equal(value_of(&element, p), json_array_get(array, i)));
        i++;
    }
    FUZZ_HOLDS(i == json_array_size(array));
}

static void check_member(const rensei_json_member_t *m, const json_t *value,
                         apr_pool_t *p)
{
    apr_int64_t number;

    FUZZ_HOLDS(json_equal(value_of(m, p), value));
    if (m->type == RENSEI_JSON_ARRAY) {
        check_array(m, value, p);
    }
    if (rensei_json_int(m, &number, APR_INT64_MIN, APR_INT64_MAX)) {
        FUZZ_HOLDS(json_is_integer(value) &&
                   json_integer_value(value) == number);
    }
}

static void check_text(json_t *value, apr_pool_t *p)
{
    const char *text = rensei_json_canonical(value, p);
    rensei_err_t err = {0};
    json_t *again = NULL;

    FUZZ_HOLDS(text != NULL);
    FUZZ_HOLDS(rensei_json_load(&again, text, strlen(text), p, &err) ==
               APR_SUCCESS);
    FUZZ_HOLDS(strcmp(text, rensei_json_canonical(again, p)) == 0);
}

void fuzz_json(const char *text, apr_size_t n, apr_pool_t *p)
{
    rensei_json_object_t object;
    rensei_err_t err = {0};
    json_t *value = NULL;
    int i, taken = rensei_json_load(&value, text, n, p, &err) == APR_SUCCESS;

    if (taken) {
        check_text(value, p);
    }
    if (rensei_json_scan(&object, text, n) != APR_SUCCESS) {
        return;
    }
    FUZZ_HOLDS(taken && json_object_size(value) == (size_t)object.count);
    for (i = 0; i < object.count; i++) {
        const rensei_json_member_t *m = &object.member[i];

        check_member(m, json_object_getn(value, m->name.p, m->name.n), p);
    }
}
