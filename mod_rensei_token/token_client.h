/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * How a caller says who it is at the token service: a client by HTTP Basic, by
 * client_id and client_secret in the body (RFC 6749 2.3.1), or by an assertion
 * (RFC 7523 2.2); where it is taken, an API key as Bearer. By one of these,
 * never by two.
 */
#ifndef TOKEN_CLIENT_H
#define TOKEN_CLIENT_H

#include "rensei_err.h"

#include <httpd.h>
#include <jansson.h>

typedef struct token_client_t {
    const char *id;        /* of the client; NULL: not said */
    const char *secret;    /* the caller wipes it after use */
    const char *assertion; /* or NULL */
    const char *method;    /* RENSEI_AUTH_… */
    const char *key;       /* an API key; nothing else is set then */
    const char *scheme;    /* "Basic", "Bearer": the Authorization header was
                              used, and a 401 has a challenge; or NULL */
} token_client_t;

/** @param out its `scheme` is set also when this fails
 * @param params the body's parameters; out may point into them
 * @param takes_key an API key will do
 * @return err INVALID_REQUEST; INVALID_CLIENT for an authentication scheme, or
 *   a type of assertion, that is not taken */
apr_status_t token_client_read(token_client_t *out, request_rec *r,
                               const json_t *params, int takes_key,
                               rensei_err_t *err);

/** Is there no credential at all? */
int token_client_none(request_rec *r, const json_t *params);

/** Wipes the secret, wherever it is. */
void token_client_wipe(token_client_t *client);

#endif
