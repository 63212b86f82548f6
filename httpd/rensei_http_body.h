/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Reading a request's body, bounded, and as what its Content-Type says.
 */
#ifndef RENSEI_HTTP_BODY_H
#define RENSEI_HTTP_BODY_H

#include "rensei_form.h"

#include <httpd.h>

#define RENSEI_BODY_MAX 65536 /* bytes */

/** Reads the body as one JSON object (application/json, charset UTF-8 or
 * none said).
 * @return err MEDIA_TYPE, TOO_LARGE, INVALID_REQUEST (also for an empty
 *   body). A Content-Length over the limit is refused unread. Errors of the
 *   transport itself (a client that goes away, a timeout: 408) are returned
 *   as an HTTP status in *http_status, which is 0 otherwise. */
apr_status_t rensei_http_body_json(json_t **out, int *http_status,
                                   request_rec *r, rensei_err_t *err);

/** As rensei_http_body_json, where none is needed: a request without a body,
 * or with an empty one of whatever type, gives an object without members. */
apr_status_t rensei_http_body_json_opt(json_t **out, int *http_status,
                                       request_rec *r, rensei_err_t *err);

/** Reads the parameters of an OAuth request: form (RFC 6749 appendix B) or a
 * JSON object of strings; one given twice is refused, as is one that is not a
 * string, or not UTF-8, or has a NUL in it. An empty parameter of a form
 * counts as absent (RFC 6749 3.2).
 * @param out name to string value; to an array of strings, with one at least,
 *   for RENSEI_PARAM_MANY; a number as its text
 * @param special those that may be otherwise; NULL for none */
apr_status_t rensei_http_body_params(json_t **out,
                                     const rensei_param_t *special,
                                     int *http_status, request_rec *r,
                                     rensei_err_t *err);

/** Parses r->args in the same way; names outside `known` (NULL-terminated)
 * are refused, naming them. */
apr_status_t rensei_http_query(json_t **out, request_rec *r,
                               const char *const *known, rensei_err_t *err);

/** Reads and drops what is left of the body, where none belongs (GET, DELETE)
 * or none is wanted any more, so that the connection can go on. A body over
 * RENSEI_BODY_MAX, or one that the client has yet to be asked for, is not
 * read: the connection is closed after the answer instead. */
void rensei_http_body_discard(request_rec *r);

/** Wipes a string value of a parsed body, once it was used: a secret. value
 * may be NULL. */
void rensei_http_body_wipe(json_t *value);

#endif
