/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * JSON written as it goes (RFC 8259), for what is written often: the claims of
 * a token, its event, its answer. jansson's tree of values, and its way of
 * writing character by character, cost more there than all else together.
 *
 *     rensei_json_text_t w;
 *     rensei_json_begin(&w, p);
 *     rensei_json_put_text(&w, "sub", id);
 *     rensei_json_put_int(&w, "exp", exp);
 *     text = rensei_json_finish(&w);
 *
 * One object; its members are in the order given, and the caller sees to it
 * that none is there twice.
 */
#ifndef RENSEI_JSON_WRITE_H
#define RENSEI_JSON_WRITE_H

#include "rensei_scope.h"

typedef struct rensei_json_text_t {
    char *buf;
    apr_size_t n, size;
    apr_pool_t *p;
} rensei_json_text_t;

/** Begins an object, whose text is in p. */
void rensei_json_begin(rensei_json_text_t *w, apr_pool_t *p);

/** Adds a member. name: ASCII that needs no escape; value: well-formed UTF-8
 * (whatever the store has taken), which is escaped as jansson escapes; NULL:
 * no member is added. */
void rensei_json_put_text(rensei_json_text_t *w, const char *name,
                          const char *value);
void rensei_json_put_int(rensei_json_text_t *w, const char *name,
                         apr_int64_t value);

/** Adds an array of strings. */
void rensei_json_put_list(rensei_json_text_t *w, const char *name,
                          const rensei_scopes_t *values);

/** Adds a member whose value is JSON already. */
void rensei_json_put_raw(rensei_json_text_t *w, const char *name,
                         const char *json);

/** Ends the object. */
const char *rensei_json_finish(rensei_json_text_t *w);

#endif
