/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * A form. What is made of it, written down as a form again, gives the same.
 */
#include "fuzz.h"
#include "rensei_form.h"

#include <apr_strings.h>
#include <string.h>

static const rensei_param_t special[] = {{"resource", RENSEI_PARAM_MANY},
                                         {"max_token_age", RENSEI_PARAM_NUMBER},
                                         {NULL, RENSEI_PARAM_ONE}};

static const char *escaped(const char *s, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(s) * 3 + 1), *to = out;

    for (; *s; s++, to += 3) {
        apr_snprintf(to, 4, "%%%02X", (unsigned char)*s);
    }
    *to = '\0';
    return out;
}

static const char *pair(const char *form, const char *name, const json_t *value,
                        apr_pool_t *p)
{
    FUZZ_HOLDS(json_string_length(value) > 0);
    return apr_pstrcat(p, form, "&", escaped(name, p), "=",
                       escaped(json_string_value(value), p), NULL);
}

static const char *form_of(const json_t *params, apr_pool_t *p)
{
    const char *out = "", *name;
    json_t *value, *item;
    size_t i;

    json_object_foreach((json_t *)params, name, value)
    {
        if (!json_is_array(value)) {
            out = pair(out, name, value, p);
        }
        json_array_foreach(value, i, item)
        {
            out = pair(out, name, item, p);
        }
    }
    return out;
}

void fuzz_form(const char *text, apr_size_t n, apr_pool_t *p)
{
    json_t *params = NULL, *again = NULL;
    rensei_err_t err = {0};
    const char *form;

    if (rensei_form_read(&params, special, text, n, p, &err) != APR_SUCCESS) {
        FUZZ_HOLDS(err.code == RENSEI_E_INVALID_REQUEST && err.text);
        return;
    }
    FUZZ_HOLDS(json_object_size(params) <= RENSEI_PARAMS_MAX);
    form = form_of(params, p);
    FUZZ_HOLDS(rensei_form_read(&again, special, form, strlen(form), p, &err) ==
               APR_SUCCESS);
    FUZZ_HOLDS(json_equal(params, again));
}
