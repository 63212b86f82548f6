/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The use of a credential, as a gateway counts it in memory and writes it to
 * the store from time to time.
 */
#ifndef RENSEI_USAGE_H
#define RENSEI_USAGE_H

#include <apr.h>

typedef struct rensei_usage_t {
    apr_int64_t at;    /* of the latest; epoch ms */
    const char *ip;    /* from where that was, or NULL: not known */
    apr_int64_t count; /* how many, this one included */
} rensei_usage_t;

#endif
