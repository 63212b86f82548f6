/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * A page's cursor: the list's letter, and then what a client sent. One that
 * is taken is exactly the one that we would give.
 */
#include "fuzz.h"
#include "rensei_page.h"

#include <string.h>

void fuzz_cursor(const char *text, apr_size_t n, apr_pool_t *p)
{
    static const char kinds[] = {RENSEI_CURSOR_CLIENT, RENSEI_CURSOR_KEY,
                                 RENSEI_CURSOR_WORKER, RENSEI_CURSOR_CREDENTIAL,
                                 RENSEI_CURSOR_AUDIT};
    const char *cursor = fuzz_string(text, n, p);
    rensei_page_t page;
    rensei_err_t err = {0};
    size_t i;

    for (i = 0; i < sizeof(kinds); i++) {
        if (rensei_page_open(&page, kinds[i], 0, cursor, p, &err) !=
            APR_SUCCESS) {
            FUZZ_HOLDS(err.code == RENSEI_E_INVALID_REQUEST && err.text);
            continue;
        }
        FUZZ_HOLDS(page.n >= 0 && strlen(page.id) > 0);
        FUZZ_HOLDS(strcmp(cursor, rensei_cursor_text(kinds[i], page.n, page.id,
                                                     p)) == 0);
    }
}
