/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Audiences: whom a token is for (RFC 7519 4.1.3), and what a client may ask
 * one for (RFC 8707, where they are called resources): the URI of an API, or
 * a plain name. Two are the same when their bytes are.
 */
#ifndef RENSEI_AUDIENCE_H
#define RENSEI_AUDIENCE_H

#include "rensei_scope.h"

#include <jansson.h>

#define RENSEI_AUDIENCES_MAX 16     /* of one client */
#define RENSEI_AUDIENCE_LEN_MAX 255 /* bytes of one */

/** A list of texts, which rensei_scopes_has and rensei_scopes_text take. */
typedef rensei_scopes_t rensei_audiences_t;

/** Is s[0..n) fit to be one: 1 to RENSEI_AUDIENCE_LEN_MAX bytes of printing
 * ASCII without blank, `"` and `\`, and no fragment (RFC 8707 2), so no `#`?
 */
int rensei_audience_valid(const char *s, apr_size_t n);

/* Each: one given twice counts once; err INVALID_REQUEST naming `audiences`
 * for one that is not valid, or more than RENSEI_AUDIENCES_MAX. */

/** Splits at single spaces what rensei_scopes_text joined.
 * @param out points into text, which must live as long as it */
apr_status_t rensei_audiences_parse(rensei_audiences_t *out, const char *text,
                                    apr_pool_t *p, rensei_err_t *err);

/** Reads an array of texts, copied to p; null is an empty one. */
apr_status_t rensei_audiences_read(rensei_audiences_t *out, const json_t *list,
                                   apr_pool_t *p, rensei_err_t *err);

/** Checks a list that was made otherwise. */
apr_status_t rensei_audiences_check(const rensei_audiences_t *set,
                                    apr_pool_t *p, rensei_err_t *err);

#endif
