/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_gate.h"
#include "auth_live.h"
#include "rensei_str.h"

#include <ap_mpm.h>
#include <apr_strings.h>
#include <stdlib.h>

#define TIMEOUT_SECONDS 10 /* seconds */
#define CONNECT_SECONDS "5"

static rensei_http_gate_t *gates[AUTH_LIVE_STORES];
static rensei_http_watcher_t *watcher;

/* ---- directives ---- */

static const char *number(int *out, cmd_parms *cmd, const char *arg,
                          apr_int64_t max, const char *what)
{
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_int64_t n = 0;

    if (wrong) {
        return wrong;
    }
    if (!rensei_int_parse(&n, arg, strlen(arg), 1, max)) {
        return apr_psprintf(cmd->pool,
                            "%s takes %s, 1 to %" APR_INT64_T_FMT ", not '%s'",
                            cmd->cmd->name, what, max, arg);
    }
    *out = (int)n;
    return NULL;
}

const char *auth_gate_waiters(cmd_parms *cmd, void *dir, const char *arg)
{
    return number(&auth_server_conf(cmd->server)->store_waiters, cmd, arg,
                  100000, "a number of requests in each process");
}

const char *auth_gate_timeout(cmd_parms *cmd, void *dir, const char *arg)
{
    return number(&auth_server_conf(cmd->server)->store_timeout, cmd, arg, 3600,
                  "seconds");
}

/* ---- what they stand for ---- */

/* libpq waits for a connection without limit, unless DBDParams or this
 * variable say something else. */
void auth_gate_post_config(server_rec *main_server)
{
    setenv("PGCONNECT_TIMEOUT", CONNECT_SECONDS, 0);
}

/* Three quarters of the threads, for all stores together. With fewer, threads
 * that all ask for tokens wait for each other's place more than for the
 * store. */
static int places_default(int stores)
{
    int threads = 1;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    threads = threads * 3 / 4 / stores;
    return threads > 0 ? threads : 1;
}

/* @param watch set where there is one whose connections are to be watched
 * @return how many stores there are */
static int stores_mark(int has[AUTH_LIVE_STORES], int *watch,
                       const server_rec *s)
{
    int n = 0;

    for (; s; s = s->next) {
        const auth_server_conf_t *c = auth_server_conf(s);

        if (c->store >= 0 && !has[c->store]) {
            has[c->store] = 1;
            *watch |= rensei_http_watch_for(c->dbd_driver);
            n++;
        }
    }
    return n;
}

void auth_gate_child_init(apr_pool_t *p, server_rec *main_server)
{
    const auth_server_conf_t *c = auth_server_conf(main_server);
    int has[AUTH_LIVE_STORES] = {0};
    int watch = 0, stores = stores_mark(has, &watch, main_server);
    apr_interval_time_t timeout = apr_time_from_sec(
        c->store_timeout > 0 ? c->store_timeout : TIMEOUT_SECONDS);
    int i;

    if (stores == 0) {
        return;
    }
    for (i = 0; i < AUTH_LIVE_STORES; i++) {
        int places =
            c->store_waiters > 0 ? c->store_waiters : places_default(stores);

        gates[i] = has[i] ? rensei_http_gate_create(places, timeout, p) : NULL;
    }
    watcher = watch ? rensei_http_watcher_create(timeout, main_server) : NULL;
}

rensei_http_gate_t *auth_gate_of(const server_rec *s)
{
    int store = auth_server_conf(s)->store;

    return store >= 0 ? gates[store] : NULL;
}

rensei_http_watcher_t *auth_gate_watcher(void)
{
    return watcher;
}

int auth_gate_busy(void)
{
    int i;

    for (i = 0; i < AUTH_LIVE_STORES; i++) {
        if (gates[i] && rensei_http_gate_busy(gates[i])) {
            return 1;
        }
    }
    return 0;
}
