/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * libFuzzer's two functions, around the target that FUZZ_TARGET names.
 */
#include "fuzz.h"

#include <apr_general.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return apr_initialize() == APR_SUCCESS ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    apr_pool_t *p = NULL;

    apr_pool_create(&p, NULL);
    FUZZ_TARGET((const char *)data, n, p);
    apr_pool_destroy(p);
    return 0;
}
