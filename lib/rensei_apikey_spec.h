/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What a key's fields may be, for rensei_apikey.c: a spec is checked there
 * again, whether it came from JSON or from a command line.
 */
#ifndef RENSEI_APIKEY_SPEC_H
#define RENSEI_APIKEY_SPEC_H

#include "rensei_apikey.h"

/** Checks all of a spec but the scopes, which the grantor decides.
 * @param now epoch ms: a new key expires later than this */
apr_status_t rensei_apikey_spec_check(const rensei_apikey_spec_t *spec,
                                      apr_int64_t now, apr_pool_t *p,
                                      rensei_err_t *err);

/** Checks all of a patch but the scopes, and what the key's type asks for.
 * At least one member must be set. */
apr_status_t rensei_apikey_patch_check(const rensei_apikey_patch_t *patch,
                                       apr_pool_t *p, rensei_err_t *err);

/** What a patch sets, as it is called in JSON; a new reference to an array. */
json_t *rensei_apikey_patch_fields(const rensei_apikey_patch_t *patch);

/** Is type a key type? NULL passes. */
apr_status_t rensei_apikey_type_check(const char *field, const char *type,
                                      apr_pool_t *p, rensei_err_t *err);

#endif
