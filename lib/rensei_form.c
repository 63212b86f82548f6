/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_form.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/crypto.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = apr_tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *rensei_form_decode(const char *s, apr_size_t n, apr_pool_t *p)
{
    char *out = apr_palloc(p, n + 1);
    apr_size_t len = 0;
    apr_size_t i;

    for (i = 0; i < n; i++) {
        char c = s[i];

        if (c == '+') {
            c = ' ';
        }
        else if (c == '%') {
            int high = n - i > 2 ? hex_value(s[i + 1]) : -1;
            int low = n - i > 2 ? hex_value(s[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return rensei_utf8_valid(out, len) ? out : NULL;
}

static rensei_param_e param_kind(const rensei_param_t *special,
                                 const char *name)
{
    for (; special && special->name; special++) {
        if (strcmp(special->name, name) == 0) {
            return special->kind;
        }
    }
    return RENSEI_PARAM_ONE;
}

static apr_status_t too_many(apr_pool_t *p, rensei_err_t *err)
{
    return rensei_err_setf(err, p, RENSEI_E_INVALID_REQUEST,
                           "There are more than %d parameters.",
                           RENSEI_PARAMS_MAX);
}

static apr_status_t no_memory(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_UNAVAILABLE, "There is no memory.");
}

/* @return what jansson does: 0, or -1 when out of memory */
static int param_put(json_t *params, rensei_param_e kind, const char *name,
                     const char *value)
{
    json_t *there = json_object_get(params, name);

    if (kind != RENSEI_PARAM_MANY) {
        return json_object_set_new(params, name, json_string(value));
    }
    if (there) {
        return json_array_append_new(there, json_string(value));
    }
    return json_object_set_new(params, name, json_pack("[s]", value));
}

static apr_status_t param_add(json_t *params, rensei_param_e kind,
                              const char *name, const char *value,
                              apr_pool_t *p, rensei_err_t *err)
{
    json_t *there = json_object_get(params, name);

    if (there && kind != RENSEI_PARAM_MANY) {
        return rensei_err_field(err, p, name,
                                "A parameter is given more than once.");
    }
    if (json_object_size(params) == RENSEI_PARAMS_MAX ||
        json_array_size(there) == RENSEI_PARAMS_MAX) {
        return too_many(p, err);
    }
    return param_put(params, kind, name, value) == 0 ? APR_SUCCESS
                                                     : no_memory(err);
}

/* One `name=value` of a form. An empty value is kept for now, so that the
 * name given a second time is found out. */
static apr_status_t pair_add(json_t *params, const rensei_param_t *special,
                             const char *text, apr_size_t n, apr_pool_t *p,
                             rensei_err_t *err)
{
    const char *sign = memchr(text, '=', n);
    apr_size_t len = sign ? (apr_size_t)(sign - text) : n;
    const char *name = rensei_form_decode(text, len, p);
    const char *value =
        sign ? rensei_form_decode(sign + 1, n - len - 1, p) : "";
    apr_status_t rv;

    if (!name || !value || !*name) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "A parameter is not well encoded.");
    }
    rv = param_add(params, param_kind(special, name), name, value, p, err);
    OPENSSL_cleanse((void *)value, sign ? strlen(value) : 0);
    return rv;
}

static int is_empty(const json_t *value)
{
    return json_is_array(value) ? json_array_size(value) == 0
                                : json_string_length(value) == 0;
}

static void drop_empty(json_t *params)
{
    const char *name;
    json_t *value;
    void *next;
    size_t i;

    json_object_foreach_safe(params, next, name, value)
    {
        for (i = json_array_size(value); i-- > 0;) {
            if (is_empty(json_array_get(value, i))) {
                json_array_remove(value, i);
            }
        }
        if (is_empty(value)) {
            json_object_del(params, name);
        }
    }
}

apr_status_t rensei_form_read(json_t **out, const rensei_param_t *special,
                              const char *text, apr_size_t n, apr_pool_t *p,
                              rensei_err_t *err)
{
    json_t *params = rensei_json_own(json_object(), p);
    apr_size_t at = 0;

    if (!params) {
        return no_memory(err);
    }
    while (at < n) {
        const char *end = memchr(text + at, '&', n - at);
        apr_size_t len = end ? (apr_size_t)(end - text) - at : n - at;

        if (len > 0) {
            apr_status_t rv = pair_add(params, special, text + at, len, p, err);

            if (rv != APR_SUCCESS) {
                return rv;
            }
        }
        at += len + 1;
    }
    drop_empty(params);
    *out = params;
    return APR_SUCCESS;
}

static int all_strings(const json_t *array)
{
    size_t i;

    for (i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i))) {
            return 0;
        }
    }
    return 1;
}

/* What goes in place of a member of a JSON body: a new reference, NULL for
 * one of the wrong type. */
static json_t *param_of(json_t *value, rensei_param_e kind, apr_pool_t *p)
{
    if (kind == RENSEI_PARAM_MANY) {
        if (json_is_string(value)) {
            return json_pack("[O]", value);
        }
        return json_is_array(value) && all_strings(value) ? json_incref(value)
                                                          : NULL;
    }
    if (kind == RENSEI_PARAM_NUMBER && json_is_integer(value)) {
        return json_string(apr_psprintf(
            p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(value)));
    }
    return json_is_string(value) ? json_incref(value) : NULL;
}

apr_status_t rensei_params_check(json_t *params, const rensei_param_t *special,
                                 apr_pool_t *p, rensei_err_t *err)
{
    const char *name;
    json_t *value, *param;
    void *next;

    json_object_foreach_safe(params, next, name, value)
    {
        rensei_param_e kind = param_kind(special, name);

        param = param_of(value, kind, p);
        if (!param) {
            return rensei_err_field(err, p, name,
                                    kind == RENSEI_PARAM_MANY
                                        ? "Each must be a string, or an array "
                                          "of strings."
                                    : kind == RENSEI_PARAM_NUMBER
                                        ? "It must be a whole number."
                                        : "Each parameter must be a string.");
        }
        json_object_iter_set_new(params, json_object_key_to_iter(name), param);
        if (json_is_array(param) && json_array_size(param) == 0) {
            json_object_del(params, name);
        }
    }
    return APR_SUCCESS;
}
