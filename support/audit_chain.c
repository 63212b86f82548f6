/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_audit_chain.h"
#include "rensei_json.h"

#include <apr_strings.h>
#include <stdio.h>
#include <string.h>

#define PROBLEMS_SHOWN 100 /* of a trail */

/* ---- which trails ---- */

typedef rensei_ctl_exit_e trail_fn(rensei_ctl_t *ctl, const char *org,
                                   void *baton);

static rensei_ctl_exit_e every_trail(rensei_ctl_t *ctl, trail_fn *fn,
                                     void *baton)
{
    const char *org = RENSEI_AUDIT_SYSTEM_ORG;
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);

    while (rc == RENSEI_CTL_OK && org) {
        rc = fn(ctl, org, baton);
        if (rc == RENSEI_CTL_OK &&
            rensei_audit_org_after(&org, ctl->store, org, ctl->p, &ctl->err) !=
                APR_SUCCESS) {
            rc = rensei_ctl_fail(ctl);
        }
    }
    return rc;
}

/* @param all what to do where the command line does not say */
static rensei_ctl_exit_e each_trail(rensei_ctl_t *ctl, int all, trail_fn *fn,
                                    void *baton)
{
    int of_org = rensei_ctl_option(ctl, "org") != NULL;
    int of_none = rensei_ctl_option(ctl, "system") != NULL;
    int of_all = rensei_ctl_option(ctl, "all") != NULL;
    const char *org = RENSEI_AUDIT_SYSTEM_ORG;
    rensei_ctl_exit_e rc;

    if (of_org + of_none + of_all > 1 ||
        (!all && of_org + of_none + of_all == 0)) {
        return rensei_ctl_usage(
            ctl, "Say whose trail: one of --org ORG, --system and --all.");
    }
    if (!of_org && !of_none) {
        return every_trail(ctl, fn, baton);
    }
    rc = of_org ? rensei_ctl_trail_open(&org, ctl)
                : rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);
    return rc == RENSEI_CTL_OK ? fn(ctl, org, baton) : rc;
}

#define WHOSE                                                          \
    {"org", "ORG", "an organisation's; a deleted one's by its id", 0}, \
    {                                                                  \
        "system", NULL, "that of what belongs to no organisation", 0   \
    }

/* Of no organisation: null. */
static json_t *org_json(const char *org)
{
    return *org ? json_string(org) : json_null();
}

/* ---- verify ---- */

typedef struct verify_t {
    const char *hash; /* --head, or NULL */
    json_t *trails;
    apr_int64_t problems;
    int known;
} verify_t;

typedef struct found_t {
    json_t *problems;
    const char *org;
} found_t;

static void note_problem(void *baton, apr_int64_t seq, const char *id,
                         const char *what)
{
    const found_t *f = baton;

    if (json_array_size(f->problems) == PROBLEMS_SHOWN) {
        return;
    }
    json_array_append_new(f->problems,
                          json_pack("{s:I, s:s?, s:s}", "seq", (json_int_t)seq,
                                    "id", id, "problem", what));
    rensei_ctl_say(RENSEI_CTL_FAILED,
                   "%s: event %" APR_INT64_T_FMT "%s%s%s %s.",
                   *f->org ? f->org : "no organisation", seq, id ? " (" : "",
                   id ? id : "", id ? ")" : "", what);
}

static json_t *verdict_json(const char *org, const rensei_audit_verdict_t *v,
                            json_t *problems)
{
    return json_pack(
        "{s:o, s:b, s:I, s:I, s:I, s:I, s:s, s:I, s:o}", "orgId", org_json(org),
        "intact", v->problems == 0, "events", (json_int_t)v->events, "unhashed",
        (json_int_t)v->unhashed, "from", (json_int_t)v->head.anchor_seq + 1,
        "to", (json_int_t)v->head.seq, "head", v->head.hash, "problemCount",
        (json_int_t)v->problems, "problems", problems);
}

static rensei_ctl_exit_e verify_trail(rensei_ctl_t *ctl, const char *org,
                                      void *baton)
{
    verify_t *v = baton;
    found_t found = {json_array(), org};
    rensei_audit_verdict_t verdict;

    if (rensei_audit_verify(&verdict, ctl->store, org, v->hash, note_problem,
                            &found, ctl->p, &ctl->err) != APR_SUCCESS) {
        json_decref(found.problems);
        return rensei_ctl_fail(ctl);
    }
    if (verdict.problems > PROBLEMS_SHOWN) {
        rensei_ctl_say(
            RENSEI_CTL_FAILED, "%s: and %" APR_INT64_T_FMT " more like these.",
            *org ? org : "no organisation", verdict.problems - PROBLEMS_SHOWN);
    }
    v->problems += verdict.problems;
    v->known |= verdict.known;
    json_array_append_new(v->trails,
                          verdict_json(org, &verdict, found.problems));
    return RENSEI_CTL_OK;
}

static int hash_valid(const char *hash)
{
    return strlen(hash) == RENSEI_AUDIT_HASH_LEN &&
           hash[strspn(hash, "0123456789abcdef")] == '\0';
}

static const rensei_ctl_column_t verify_columns[] = {
    {"Organisation", "orgId"}, {"Intact", "intact"}, {"Events", "events"},
    {"From", "from"},          {"To", "to"},         {"Unhashed", "unhashed"},
    {"Head", "head"},          {NULL, NULL}};

static rensei_ctl_exit_e verify(rensei_ctl_t *ctl)
{
    verify_t v = {.hash = rensei_ctl_option(ctl, "head")};
    rensei_ctl_exit_e rc;

    if (v.hash && !hash_valid(v.hash)) {
        return rensei_ctl_usage(ctl, "--head wants the hash of an event, 64 "
                                     "digits of 0-9 and a-f.");
    }
    v.trails = rensei_json_own(json_array(), ctl->p);
    rc = each_trail(ctl, 1, verify_trail, &v);
    if (rc == RENSEI_CTL_OK) {
        rc = rensei_ctl_show_rows(ctl, json_incref(v.trails), "trails", NULL,
                                  verify_columns);
    }
    if (rc == RENSEI_CTL_OK && v.hash && !v.known) {
        rc = rensei_ctl_say(RENSEI_CTL_FAILED,
                            "No event there has the hash of --head: it was "
                            "pruned, or the trail was written anew.");
    }
    return rc == RENSEI_CTL_OK && v.problems ? RENSEI_CTL_FAILED : rc;
}

/* ---- export ---- */

typedef struct export_t {
    apr_int64_t since, until, after;
} export_t;

static apr_status_t export_event(void *baton, const rensei_event_t *ev,
                                 apr_pool_t *p, rensei_err_t *err)
{
    json_t *json = rensei_event_json(ev, p);
    int failed = !json || json_dumpf(json, stdout, JSON_COMPACT) != 0 ||
                 putchar('\n') == EOF;

    json_decref(json);
    return failed ? rensei_err_set(err, RENSEI_E_INTERNAL,
                                   "Standard output takes no more.")
                  : APR_SUCCESS;
}

static apr_status_t export_run(rensei_ctl_t *ctl, const char *org,
                               const export_t *e)
{
    rensei_audit_head_t head;
    apr_int64_t after = 0, last;
    apr_status_t rv =
        rensei_audit_head(&head, ctl->store, org, ctl->p, &ctl->err);

    last = head.seq;
    if (rv == APR_SUCCESS && (e->since || e->until)) {
        rv = rensei_audit_span(&after, &last, ctl->store, org, e->since,
                               e->until, ctl->p, &ctl->err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_audit_walk(ctl->store, org, &head,
                               after > e->after ? after : e->after, last,
                               export_event, NULL, ctl->p, &ctl->err);
    }
    return rv;
}

static rensei_ctl_exit_e export_trail(rensei_ctl_t *ctl, const char *org,
                                      void *baton)
{
    if (export_run(ctl, org, baton) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return fflush(stdout) == 0
               ? RENSEI_CTL_OK
               : rensei_ctl_say(RENSEI_CTL_FAILED,
                                "Standard output takes no more.");
}

static rensei_ctl_exit_e export_all(rensei_ctl_t *ctl)
{
    export_t e = {0, 0, 0};
    rensei_ctl_exit_e rc;

    if ((rc = rensei_ctl_option_time(&e.since, ctl, "since", -1)) !=
            RENSEI_CTL_OK ||
        (rc = rensei_ctl_option_time(&e.until, ctl, "until", -1)) !=
            RENSEI_CTL_OK ||
        (rc = rensei_ctl_option_int(&e.after, ctl, "after", 0,
                                    APR_INT64_MAX)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (e.after && rensei_ctl_option(ctl, "all")) {
        return rensei_ctl_usage(ctl, "--after is a number in one trail; with "
                                     "--all it says nothing.");
    }
    return each_trail(ctl, 0, export_trail, &e);
}

/* ---- prune ---- */

typedef struct prune_t {
    apr_int64_t before;
    int dry_run;
    json_t *trails;
} prune_t;

static rensei_ctl_exit_e prune_trail(rensei_ctl_t *ctl, const char *org,
                                     void *baton)
{
    const prune_t *pr = baton;
    rensei_audit_pruned_t out;

    if (rensei_audit_prune(&out, ctl->store, org, pr->before, pr->dry_run,
                           &ctl->actor, ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    json_array_append_new(
        pr->trails,
        json_pack("{s:o, s:I, s:I, s:s?, s:b}", "orgId", org_json(org), "count",
                  (json_int_t)out.count, "upTo", (json_int_t)out.up_to, "hash",
                  out.hash, "dryRun", pr->dry_run));
    return RENSEI_CTL_OK;
}

static const rensei_ctl_column_t pruned_columns[] = {{"Organisation", "orgId"},
                                                     {"Pruned", "count"},
                                                     {"Up to", "upTo"},
                                                     {"Hash", "hash"},
                                                     {NULL, NULL}};

static const rensei_ctl_column_t dry_columns[] = {{"Organisation", "orgId"},
                                                  {"Would be pruned", "count"},
                                                  {"Up to", "upTo"},
                                                  {"Hash", "hash"},
                                                  {NULL, NULL}};

static rensei_ctl_exit_e prune(rensei_ctl_t *ctl)
{
    prune_t pr = {0, rensei_ctl_option(ctl, "dry-run") != NULL, NULL};
    rensei_ctl_exit_e rc =
        rensei_ctl_option_time(&pr.before, ctl, "older-than", -1);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (pr.before > rensei_sys_now_ms(rensei_sys_default())) {
        return rensei_ctl_usage(ctl, "--older-than names a time to come.");
    }
    pr.trails = rensei_json_own(json_array(), ctl->p);
    rc = each_trail(ctl, 0, prune_trail, &pr);
    return rc == RENSEI_CTL_OK
               ? rensei_ctl_show_rows(ctl, json_incref(pr.trails), "trails",
                                      NULL,
                                      pr.dry_run ? dry_columns : pruned_columns)
               : rc;
}

/* ---- commands ---- */

static const rensei_ctl_option_t verify_options[] = {
    WHOSE,
    {"all", NULL, "all there are; so it is without any of the three", 0},
    {"head", "HASH", "a hash known from elsewhere; it must be there", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t export_options[] = {
    WHOSE,
    {"all", NULL, "one after the other", 0},
    {"since", "WHEN", "from the first event of that time, or of 24h ago, on",
     0},
    {"until", "WHEN", "up to the last event before that time", 0},
    {"after", "SEQ", "only what follows on that number", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t prune_options[] = {
    {"older-than", "WHEN", "400d, or a time: events from before that",
     RENSEI_CTL_REQUIRED},
    WHOSE,
    {"all", NULL, "each one", 0},
    {"dry-run", NULL, "only say how many that would be", 0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_chain_commands[] = {
    {"audit verify", NULL, "Check that nobody changed the audit trail",
     "Reads each trail from its beginning, and says which event was changed,\n"
     "is missing, was put there or moved; whether the end was cut off. Exit\n"
     "status 1 when there is any. Who can write the database can write a "
     "whole\n"
     "trail anew: give --head a hash from where he cannot write (a log of\n"
     "RenseiAuditLog, an export, a print-out).\n"
     "\n"
     "Examples:\n"
     "  renseictl audit verify\n"
     "  renseictl audit verify --org acme --head 8a31...\n",
     verify_options, verify},
    {"audit export", NULL, "Write the audit trail as lines of JSON",
     "The oldest first, each with its hash and that of the one before it, so\n"
     "that who gets it can check it (docs/audit.md).\n"
     "\n"
     "Examples:\n"
     "  renseictl audit export --org acme --since 2030-01-01T00:00:00Z\n"
     "  renseictl audit export --org acme --after 1200 >> acme.jsonl\n",
     export_options, export_all},
    {"audit prune", NULL, "Delete the oldest events",
     "Up to the first that is not that old, for what follows must remain one\n"
     "chain. It is noted as audit.pruned. Verify first: what was changed in\n"
     "the part that goes cannot be found out later.\n"
     "\n"
     "Examples:\n"
     "  renseictl audit prune --all --older-than 400d --dry-run\n"
     "  renseictl audit verify && renseictl audit prune --all --older-than "
     "400d\n",
     prune_options, prune},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
