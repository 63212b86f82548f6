/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * A client's id and secret in an Authorization header (RFC 7617, with the
 * parts form-encoded as RFC 6749 2.3.1 has it).
 */
#ifndef RENSEI_HTTP_BASIC_H
#define RENSEI_HTTP_BASIC_H

#include "rensei_err.h"

/** @param text what follows "Basic" and the blank
 * @param id, secret in p; the caller wipes the secret after use
 * @return err INVALID_REQUEST */
apr_status_t rensei_http_basic_read(const char **id, const char **secret,
                                    const char *text, apr_pool_t *p,
                                    rensei_err_t *err);

#endif
