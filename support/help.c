/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char start_text[] =
    "A new installation, from nothing to a first token:\n"
    "  export RENSEI_STORE=sqlite3:/var/lib/rensei/store.db\n"
    "  sudo renseictl secret new --out /etc/apache2/rensei.secret\n"
    "  sudo install -d -m 700 -o www-data -g www-data /var/lib/rensei\n"
    "  sudo -E renseictl db init --owner www-data\n"
    "  sudo -E renseictl org create acme\n"
    "  sudo -E renseictl m2m-clients create --org acme --name ci \\\n"
    "      --scopes \"sessions:read sessions:write\"\n"
    "  curl https://gateway.example/api/oauth/token -u m2m_... \\\n"
    "      -d grant_type=client_credentials       # asks for the secret\n"
    "\n"
    "Exit status: 0 done, 1 failed (the store, the machine), 2 not "
    "understood,\n"
    "3 not found, 4 refused (against a rule, or in conflict). Errors go to\n"
    "stderr. A secret is printed once, when it is made, and kept nowhere.\n";

/* Is the command at that level, or under it? */
static int under(const char *path, const char *level)
{
    apr_size_t n = strlen(level);

    return n == 0 || (!strncmp(path, level, n) && (path[n] == ' ' || !path[n]));
}

static const char *synopsis(const rensei_ctl_command_t *c, apr_pool_t *p)
{
    return c->arg ? apr_pstrcat(p, c->path, " ", c->arg, NULL) : c->path;
}

static void print_commands(FILE *to, const char *level, apr_pool_t *p)
{
    for (const rensei_ctl_group_t *g = rensei_ctl_groups; g->path; ++g) {
        for (const rensei_ctl_command_t *c = g->commands; c->path; ++c) {
            if (under(c->path, level)) {
                fprintf(to, "  %-30s %s\n", synopsis(c, p), c->summary);
            }
        }
    }
}

static void print_options(FILE *to, const rensei_ctl_option_t *options,
                          apr_pool_t *p)
{
    for (const rensei_ctl_option_t *o = options; o && o->name; ++o) {
        const char *left =
            apr_pstrcat(p, "--", o->name, o->value ? " " : "", o->value, NULL);
        fprintf(to, "  %-27s %s%s%s\n", left, o->help,
                o->flags & RENSEI_CTL_REQUIRED ? " (required)" : "",
                o->flags & RENSEI_CTL_REPEATS ? " (may be repeated)" : "");
    }
}

/* One line: the required options in full, the others as [options]. */
static void print_usage_line(FILE *to, const rensei_ctl_command_t *c,
                             apr_pool_t *p)
{
    fprintf(to, "usage: renseictl %s", synopsis(c, p));
    for (const rensei_ctl_option_t *o = c->options; o && o->name; ++o) {
        if (o->flags & RENSEI_CTL_REQUIRED) {
            fprintf(to, " --%s %s", o->name, o->value);
        }
    }
    fputs(" [options]\n", to);
}

static void help_command(const rensei_ctl_t *ctl)
{
    const rensei_ctl_command_t *c = ctl->command;

    print_usage_line(stdout, c, ctl->p);
    printf("\n%s.\n%s\n", c->summary, c->help);
    puts("Options:");
    print_options(stdout, c->options, ctl->p);
    print_options(stdout, rensei_ctl_common_options, ctl->p);
}

static void help_level(const rensei_ctl_t *ctl)
{
    printf("usage: renseictl %s%sCOMMAND [options]\n\n", ctl->path,
           *ctl->path ? " " : "");
    for (const rensei_ctl_group_t *g = rensei_ctl_groups; g->path; ++g) {
        if (*ctl->path && !strcmp(g->path, ctl->path)) {
            printf("%s\n\n", g->help);
        }
    }
    puts("Commands:");
    print_commands(stdout, ctl->path, ctl->p);
    puts("\nOptions of all of them, anywhere on the line:");
    print_options(stdout, rensei_ctl_common_options, ctl->p);
    printf("\n\"renseictl COMMAND --help\" says more, with examples.\n");
    if (!*ctl->path) {
        printf("\n%s", start_text);
    }
}

void rensei_ctl_help(const rensei_ctl_t *ctl)
{
    if (ctl->command) {
        help_command(ctl);
    }
    else {
        help_level(ctl);
    }
}

rensei_ctl_exit_e rensei_ctl_usage(const rensei_ctl_t *ctl, const char *fmt,
                                   ...)
{
    va_list ap;

    va_start(ap, fmt);
    fprintf(stderr, "renseictl: %s\n", apr_pvsprintf(ctl->p, fmt, ap));
    va_end(ap);
    if (ctl->command) {
        print_usage_line(stderr, ctl->command, ctl->p);
    }
    else {
        fputs("Commands:\n", stderr);
        print_commands(stderr, ctl->path, ctl->p);
    }
    fprintf(stderr, "See: renseictl %s%s--help\n", ctl->path,
            *ctl->path ? " " : "");
    return RENSEI_CTL_USAGE;
}
