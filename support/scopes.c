/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_str.h"

#include <string.h>

rensei_ctl_exit_e rensei_ctl_vocab(rensei_vocab_t *out, rensei_ctl_t *ctl)
{
    const char *words = rensei_ctl_option(ctl, "vocabulary");
    rensei_scopes_t scopes;

    *out = *rensei_vocab_default();
    if (!words) {
        return RENSEI_CTL_OK;
    }
    if (rensei_scopes_parse(&scopes, words, strlen(words), ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    if (rensei_scopes_has(&scopes, RENSEI_STR("*"))) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED,
                              "--vocabulary: * stands for all of a "
                              "vocabulary, and is not in it.");
    }
    out->m2m = out->key = scopes;
    return RENSEI_CTL_OK;
}

/* One element a word, repeated and bad ones too: lib/ judges them. */
json_t *rensei_ctl_scopes_json(const rensei_ctl_t *ctl)
{
    const char *at = rensei_ctl_option(ctl, "scopes");
    json_t *out = json_array();

    for (at += strspn(at, " "); *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        json_array_append_new(out, json_stringn(at, n));
        at += n;
    }
    return out;
}
