/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The Authorization header (RFC 9110 11.6.2): which scheme, which credential;
 * and of Basic the id and the secret of a client in it (RFC 7617, with the
 * parts form-encoded as RFC 6749 2.3.1 has it).
 */
#ifndef RENSEI_AUTHORIZATION_H
#define RENSEI_AUTHORIZATION_H

#include "rensei_err.h"
#include "rensei_str.h"

typedef enum {
    RENSEI_SCHEME_OTHER,     /* another one, or none at all */
    RENSEI_SCHEME_MALFORMED, /* another one, and Bearer joined behind it by
                                httpd, which makes two headers one */
    RENSEI_SCHEME_BEARER,
    RENSEI_SCHEME_BASIC
} rensei_scheme_e;

/** @param credential what follows the scheme and the blanks, to the end;
 *   points into header; untouched where the scheme is neither of ours
 * @param header its value, NULL where there is none
 * @param basic whether Basic is a scheme of ours here */
rensei_scheme_e rensei_authorization_read(rensei_str_t *credential,
                                          const char *header, int basic);

/** Is it a b64token (RFC 6750 2.1)? Not in one are the blank, and the comma
 * with which httpd joins two headers. */
int rensei_authorization_valid(rensei_str_t credential);

/** @param text what follows "Basic" and the blank
 * @param id, secret in p; the caller wipes the secret after use
 * @return err INVALID_REQUEST */
apr_status_t rensei_authorization_basic(const char **id, const char **secret,
                                        const char *text, apr_pool_t *p,
                                        rensei_err_t *err);

#endif
