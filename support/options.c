/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_json.h"
#include "rensei_str.h"

#include <apr_strings.h>
#include <string.h>

const rensei_ctl_option_t *rensei_ctl_option_find(
    const rensei_ctl_option_t *options, const char *name, apr_size_t n)
{
    for (; options && options->name; ++options) {
        if (strlen(options->name) == n && !strncmp(options->name, name, n)) {
            return options;
        }
    }
    return NULL;
}

const char *rensei_ctl_option(const rensei_ctl_t *ctl, const char *name)
{
    return apr_table_get(ctl->options, name);
}

static int append(void *array, const char *name, const char *value)
{
    return json_array_append_new(array, json_string(value)) == 0;
}

json_t *rensei_ctl_option_all(const rensei_ctl_t *ctl, const char *name)
{
    json_t *out;

    if (!rensei_ctl_option(ctl, name)) {
        return NULL;
    }
    out = json_array();
    apr_table_do(append, out, ctl->options, name, NULL);
    return out;
}

static int begins(const char *path, const char *words)
{
    apr_size_t n = strlen(words);

    return !strncmp(path, words, n) && (path[n] == ' ' || path[n] == '\0');
}

/* Takes a word that extends the path: to a command, or to the way to one. */
static rensei_ctl_exit_e take_path(rensei_ctl_t *ctl, const char *word)
{
    const char *path =
        *ctl->path ? apr_pstrcat(ctl->p, ctl->path, " ", word, NULL) : word;
    int known = 0;

    for (const rensei_ctl_group_t *g = rensei_ctl_groups; g->path; ++g) {
        for (const rensei_ctl_command_t *c = g->commands; c->path; ++c) {
            if (!strcmp(c->path, path)) {
                ctl->command = c;
            }
            known |= *word && begins(c->path, path);
        }
    }
    if (!known) {
        return rensei_ctl_usage(ctl, "There is no command \"%s\".", path);
    }
    ctl->path = path;
    return RENSEI_CTL_OK;
}

/* Is the command also the beginning of others, and this word one of them?
 * ("audit", "audit verify"; one that takes an argument never is.) */
static int leads_on(const rensei_ctl_t *ctl, const char *word)
{
    const char *path = apr_pstrcat(ctl->p, ctl->path, " ", word, NULL);

    for (const rensei_ctl_group_t *g = rensei_ctl_groups; g->path; ++g) {
        for (const rensei_ctl_command_t *c = g->commands; c->path; ++c) {
            if (!ctl->command->arg && !strcmp(c->path, path)) {
                return 1;
            }
        }
    }
    return 0;
}

/* As help writes it: "FILE..." */
static int takes_several(const rensei_ctl_command_t *command)
{
    return strstr(command->arg, "...") != NULL;
}

static rensei_ctl_exit_e take_word(rensei_ctl_t *ctl, const char *word)
{
    if (!*ctl->path && !strcmp(word, "help")) {
        apr_table_set(ctl->options, "help", "");
        return RENSEI_CTL_OK;
    }
    if (!ctl->command || leads_on(ctl, word)) {
        return take_path(ctl, word);
    }
    if (!ctl->command->arg) {
        return rensei_ctl_usage(
            ctl, "\"%s\" takes no argument, but got \"%s\".", ctl->path, word);
    }
    if (ctl->arg && !takes_several(ctl->command)) {
        return rensei_ctl_usage(
            ctl, "\"%s\" takes one argument, but got \"%s\" and \"%s\".",
            ctl->path, ctl->arg, word);
    }
    ctl->arg = ctl->arg ? ctl->arg : word;
    APR_ARRAY_PUSH(ctl->args, const char *) = word;
    return RENSEI_CTL_OK;
}

/* Takes --name, --name=value or --name value; *used is set where the next
 * word was the value. */
static rensei_ctl_exit_e take_option(rensei_ctl_t *ctl, const char *word,
                                     const char *next, int *used)
{
    const char *name = word + 2;
    apr_size_t n = strcspn(name, "=");
    const char *value = name[n] ? name + n + 1 : NULL;
    const rensei_ctl_option_t *opt =
        rensei_ctl_option_find(rensei_ctl_common_options, name, n);

    if (!opt && ctl->command) {
        opt = rensei_ctl_option_find(ctl->command->options, name, n);
    }
    if (!opt || word[1] != '-') {
        return rensei_ctl_usage(ctl, "There is no option %.*s%s%s.",
                                (int)(name - word + n), word,
                                *ctl->path ? " of " : "", ctl->path);
    }
    if (rensei_ctl_option(ctl, opt->name) &&
        !(opt->flags & RENSEI_CTL_REPEATS)) {
        return rensei_ctl_usage(ctl, "--%s is given twice.", opt->name);
    }
    if (!opt->value && value) {
        return rensei_ctl_usage(ctl, "--%s takes no value.", opt->name);
    }
    if (opt->value && !value) {
        if (!next || !strncmp(next, "--", 2)) {
            return rensei_ctl_usage(ctl, "--%s wants a value: %s.", opt->name,
                                    opt->value);
        }
        value = next;
        *used = 1;
    }
    apr_table_addn(ctl->options, opt->name, value ? value : "");
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e check_complete(rensei_ctl_t *ctl)
{
    if (rensei_ctl_option(ctl, "help")) {
        return RENSEI_CTL_OK;
    }
    if (!ctl->command) {
        return rensei_ctl_usage(ctl, *ctl->path ? "Say what to do with it."
                                                : "Say what to do.");
    }
    if (ctl->command->arg && !ctl->arg) {
        return rensei_ctl_usage(ctl, "\"%s\" wants its argument, %s.",
                                ctl->path, ctl->command->arg);
    }
    for (const rensei_ctl_option_t *o = ctl->command->options; o && o->name;
         ++o) {
        if (o->flags & RENSEI_CTL_REQUIRED &&
            !rensei_ctl_option(ctl, o->name)) {
            return rensei_ctl_usage(ctl, "\"%s\" wants --%s %s: %s.", ctl->path,
                                    o->name, o->value, o->help);
        }
    }
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_parse(rensei_ctl_t *ctl, int argc,
                                   const char *const *argv)
{
    rensei_ctl_exit_e rc = RENSEI_CTL_OK;
    int words_only = 0;

    ctl->options = apr_table_make(ctl->p, 8);
    ctl->args = apr_array_make(ctl->p, 2, sizeof(const char *));
    for (int i = 1; i < argc && rc == RENSEI_CTL_OK; ++i) {
        const char *word = argv[i];
        int used = 0;

        if (!words_only && !strcmp(word, "--")) {
            words_only = 1;
        }
        else if (!words_only && word[0] == '-' && word[1] == '-') {
            rc = take_option(ctl, word, argv[i + 1], &used);
        }
        else if (!words_only && word[0] == '-') {
            rc = rensei_ctl_usage(ctl, "There is no option %s.", word);
        }
        else {
            rc = take_word(ctl, word);
        }
        i += used;
    }
    return rc == RENSEI_CTL_OK ? check_complete(ctl) : rc;
}

rensei_ctl_exit_e rensei_ctl_option_int(apr_int64_t *out, rensei_ctl_t *ctl,
                                        const char *name, apr_int64_t min,
                                        apr_int64_t max)
{
    const char *value = rensei_ctl_option(ctl, name);

    if (value && !rensei_int_parse(out, value, strlen(value), min, max)) {
        return rensei_ctl_usage(ctl,
                                "--%s wants a number from %" APR_INT64_T_FMT
                                " to %" APR_INT64_T_FMT ".",
                                name, min, max);
    }
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_option_time(apr_int64_t *out, rensei_ctl_t *ctl,
                                         const char *name, int direction)
{
    const char *value = rensei_ctl_option(ctl, name);
    apr_int64_t seconds;

    if (!value || rensei_time_parse(out, value)) {
        return RENSEI_CTL_OK;
    }
    if (rensei_span_parse(&seconds, value)) {
        *out = rensei_sys_now_ms(rensei_sys_default()) +
               direction * seconds * 1000;
        return RENSEI_CTL_OK;
    }
    return rensei_ctl_usage(ctl,
                            "--%s wants a time such as 2030-01-31T12:00:00Z, "
                            "or 12h or 90d %s now.",
                            name, direction > 0 ? "from" : "before");
}
