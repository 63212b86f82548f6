/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Errors. lib/ logs nothing: a function that fails fills a rensei_err_t and
 * returns a status other than APR_SUCCESS. The caller answers with `text`,
 * and logs `cause` once. One table (rensei_err.c) gives each code its HTTP
 * status and its name on the wire.
 */
#ifndef RENSEI_ERR_H
#define RENSEI_ERR_H

#include <apr_errno.h>
#include <apr_pools.h>

typedef enum {
    RENSEI_E_NONE = 0,
    RENSEI_E_INVALID_REQUEST,    /* 400 invalid_request */
    RENSEI_E_INVALID_CLIENT,     /* 401 invalid_client (RFC 6749 5.2) */
    RENSEI_E_UNSUPPORTED_GRANT,  /* 400 unsupported_grant_type */
    RENSEI_E_INVALID_GRANT,      /* 400 invalid_grant */
    RENSEI_E_UNSUPPORTED_TOKEN,  /* 400 unsupported_token_type (RFC 7009) */
    RENSEI_E_INVALID_SCOPE,      /* 400 invalid_scope */
    RENSEI_E_INVALID_TARGET,     /* 400 invalid_target (RFC 8707 2) */
    RENSEI_E_INVALID_TOKEN,      /* 401 invalid_token (RFC 6750 3.1) */
    RENSEI_E_INSUFFICIENT_SCOPE, /* 403 insufficient_scope */
    RENSEI_E_FORBIDDEN,          /* 403 access_denied */
    RENSEI_E_NOT_FOUND,          /* 404 not_found */
    RENSEI_E_METHOD,             /* 405 method_not_allowed */
    RENSEI_E_CONFLICT,           /* 409 conflict */
    RENSEI_E_TOO_LARGE,          /* 413 invalid_request */
    RENSEI_E_MEDIA_TYPE,         /* 415 invalid_request */
    RENSEI_E_SLOW_DOWN,          /* 429 slow_down */
    RENSEI_E_INTERNAL,           /* 500 server_error */
    RENSEI_E_UNAVAILABLE,        /* 503 temporarily_unavailable */
    RENSEI_E_COUNT
} rensei_code_e;

typedef struct rensei_err_t {
    rensei_code_e code;
    const char *text;  /* for the client: a sentence, never with a secret */
    const char *field; /* the field at fault, or NULL */
    const char *cause; /* for the log alone (a driver's message), or NULL */
} rensei_err_t;

/** Fills *err with a code and a sentence that outlives the pool in use.
 * @return APR_EGENERAL, always, so that a caller can return the call. */
apr_status_t rensei_err_set(rensei_err_t *err, rensei_code_e code,
                            const char *text);

/** As rensei_err_set, the sentence formatted into p. Never pass a secret. */
apr_status_t rensei_err_setf(rensei_err_t *err, apr_pool_t *p,
                             rensei_code_e code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** As rensei_err_setf with RENSEI_E_INVALID_REQUEST, naming a field: a
 * sentence that does not have its name in it gets it put before. */
apr_status_t rensei_err_field(rensei_err_t *err, apr_pool_t *p,
                              const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** The HTTP status of a code, 500 for one that is unknown. */
int rensei_code_status(rensei_code_e code);

/** The `error` of a code as it goes over the wire. */
const char *rensei_code_name(rensei_code_e code);

#endif
