/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Answers: JSON with a status, never cached; and the one place where an
 * error of lib/ becomes an answer and a line in the log.
 */
#ifndef RENSEI_HTTP_REPLY_H
#define RENSEI_HTTP_REPLY_H

#include "rensei_audit.h"
#include "rensei_err.h"
#include "rensei_principal.h"

#include <httpd.h>
#include <jansson.h>
#include <util_filter.h>

/** Passes on a JSON text (which lives as long as the request) as the whole body
 * of the response, with `Cache-Control: no-store` and
 * `X-Content-Type-Options: nosniff`.
 * @param to the filter that gets it
 * @return what that filter returned */
apr_status_t rensei_http_pass_json(ap_filter_t *to, request_rec *r,
                                   const char *text);

/** Writes body (whose reference is dropped) with `Cache-Control: no-store`
 * and `X-Content-Type-Options: nosniff`. For a handler to return: OK, with
 * r->status set. */
int rensei_http_reply(request_rec *r, int status, json_t *body);

/** The same with a body that is text already. */
int rensei_http_reply_text(request_rec *r, int status, const char *text);

/** Answers an error: `{"error","error_description"[,"field"]}`; Retry-After
 * on 503 and 429. Logs it once: code UNAVAILABLE and INTERNAL at error level
 * with the cause, all others at info. For a handler to return. */
int rensei_http_reply_error(request_rec *r, const rensei_err_t *err);

/** The same error as JSON text, for who answers by another way. */
const char *rensei_http_error_text(const rensei_err_t *err, apr_pool_t *p);

/** The actor of a request, for the audit trail: the principal, or anonymous
 * where it is NULL; the peer's address (r->useragent_ip); the request's id
 * (UNIQUE_ID of mod_unique_id, else r->log_id). */
rensei_actor_t rensei_http_actor(request_rec *r, const rensei_principal_t *pr);

#endif
