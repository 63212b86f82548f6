/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_err.h"

#include <apr_strings.h>

typedef struct code_t {
    int status;
    const char *name;
} code_t;

static const code_t codes[RENSEI_E_COUNT] = {
    [RENSEI_E_NONE] = {500, "server_error"},
    [RENSEI_E_INVALID_REQUEST] = {400, "invalid_request"},
    [RENSEI_E_INVALID_CLIENT] = {401, "invalid_client"},
    [RENSEI_E_UNSUPPORTED_GRANT] = {400, "unsupported_grant_type"},
    [RENSEI_E_INVALID_GRANT] = {400, "invalid_grant"},
    [RENSEI_E_UNSUPPORTED_TOKEN] = {400, "unsupported_token_type"},
    [RENSEI_E_INVALID_SCOPE] = {400, "invalid_scope"},
    [RENSEI_E_INVALID_TARGET] = {400, "invalid_target"},
    [RENSEI_E_INVALID_TOKEN] = {401, "invalid_token"},
    [RENSEI_E_INSUFFICIENT_SCOPE] = {403, "insufficient_scope"},
    [RENSEI_E_FORBIDDEN] = {403, "access_denied"},
    [RENSEI_E_NOT_FOUND] = {404, "not_found"},
    [RENSEI_E_METHOD] = {405, "method_not_allowed"},
    [RENSEI_E_CONFLICT] = {409, "conflict"},
    [RENSEI_E_TOO_LARGE] = {413, "invalid_request"},
    [RENSEI_E_MEDIA_TYPE] = {415, "invalid_request"},
    [RENSEI_E_SLOW_DOWN] = {429, "slow_down"},
    [RENSEI_E_INTERNAL] = {500, "server_error"},
    [RENSEI_E_UNAVAILABLE] = {503, "temporarily_unavailable"},
};

static const code_t *code_row(rensei_code_e code)
{
    unsigned i = (unsigned)code;

    return &codes[i < RENSEI_E_COUNT ? i : RENSEI_E_INTERNAL];
}

apr_status_t rensei_err_set(rensei_err_t *err, rensei_code_e code,
                            const char *text)
{
    err->code = code;
    err->text = text;
    err->field = NULL;
    err->cause = NULL;
    return APR_EGENERAL;
}

apr_status_t rensei_err_setf(rensei_err_t *err, apr_pool_t *p,
                             rensei_code_e code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    rensei_err_set(err, code, apr_pvsprintf(p, fmt, ap));
    va_end(ap);
    return APR_EGENERAL;
}

apr_status_t rensei_err_field(rensei_err_t *err, apr_pool_t *p,
                              const char *field, const char *fmt, ...)
{
    const char *text;
    va_list ap;

    va_start(ap, fmt);
    text = apr_pvsprintf(p, fmt, ap);
    va_end(ap);
    if (!strstr(text, field)) {
        text = apr_psprintf(p, "%.64s: %s", field, text);
    }
    rensei_err_set(err, RENSEI_E_INVALID_REQUEST, text);
    err->field = field;
    return APR_EGENERAL;
}

int rensei_code_status(rensei_code_e code)
{
    return code_row(code)->status;
}

const char *rensei_code_name(rensei_code_e code)
{
    return code_row(code)->name;
}
