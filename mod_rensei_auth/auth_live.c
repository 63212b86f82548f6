/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_live.h"
#include "auth_conf.h"
#include "auth_expiry.h"
#include "auth_gate.h"
#include "auth_prefork.h"
#include "auth_throttle.h"
#include "auth_used.h"
#include "rensei_http_log.h"
#include "rensei_http_store.h"

#include <apr_shm.h>
#include <apr_strings.h>
#include <mod_watchdog.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

APLOG_USE_MODULE(rensei_auth);

#define BUCKETS 4096
#define STORES_MAX AUTH_LIVE_STORES
#define POLL_EVERY apr_time_from_msec(250)
#define SWEEP_EVERY apr_time_from_sec(60)
#define POLL_FAILING apr_time_from_sec(2)
#define SAY_AGAIN apr_time_from_sec(60)
#define POLL_BATCH 1000
#define FAILURES_OF_ADDRESS 10 /* times RenseiThrottle's */
/* How often uses are written: so seldom that writing them takes no more than
 * one part in USED_SHARE of a core's time, within these. */
#define USED_EVERY apr_time_from_sec(5)
#define USED_AT_LEAST apr_time_from_sec(60)
#define USED_SHARE 300
/* Who has not come to an end by then will not. */
#define USED_LOST apr_time_from_sec(60)
#define ENDING apr_time_from_sec(2) /* for what a child writes when it ends */
#define INTERRUPTED_STEP apr_time_from_msec(5)

/* Its layout is part of the key: a build with another one starts afresh. */
#define LIVE_KEY "rensei_auth:live:9"

typedef struct live_store_t {
    apr_uint64_t id;        /* hash of driver and params; 0: free */
    apr_uint64_t seq;       /* followed up to here */
    apr_uint64_t mark;      /* hash of what that change was; 0: not known */
    apr_uint64_t file;      /* that it was read from */
    apr_int64_t synced_at;  /* monotonic microseconds; 0: never */
    apr_int64_t next_poll;  /* monotonic microseconds */
    apr_int64_t next_sweep; /* for notices of expiry; the same */
    apr_int64_t next_flush; /* of uses; the same */
    apr_int64_t flushing;   /* until then somebody is at it; the same */
    apr_int64_t said_at;    /* when its failure was logged; 0: it works */
    apr_uint32_t filled;    /* it has been seen with our tables */
} live_store_t;

typedef struct live_t {
    apr_uint64_t changes; /* moves before any generation does */
    apr_uint32_t generation[BUCKETS];
    live_store_t store[STORES_MAX];
    throttle_t throttle;
    rensei_turn_t turn;
} live_t;

static live_t *live;
static APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) * watchdog_get;
static APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) * watchdog_register;

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)
#define BUMP(x) __atomic_add_fetch(&(x), 1, __ATOMIC_SEQ_CST)

/* Of the machine, the same in all processes, and never stepped. */
static apr_int64_t monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (apr_int64_t)t.tv_sec * APR_USEC_PER_SEC + t.tv_nsec / 1000;
}

/* FNV-1a; identifiers are random, so nothing better is needed. */
static apr_uint64_t hash(apr_uint64_t h, const char *s, apr_size_t n)
{
    apr_size_t i;
    for (i = 0; i < n; i++) {
        h = (h ^ (unsigned char)s[i]) * APR_UINT64_C(0x100000001b3);
    }
    return h;
}

#define HASH_START APR_UINT64_C(0xcbf29ce484222325)

/* ---- generations ---- */

apr_uint32_t auth_live_bucket(const char *subject, apr_size_t n)
{
    apr_uint64_t h = hash(HASH_START, subject, n);
    return (apr_uint32_t)((h ^ (h >> 32)) % BUCKETS);
}

apr_uint32_t auth_live_generation(apr_uint32_t bucket)
{
    return LOAD(live->generation[bucket]);
}

int auth_live_unchanged(const apr_uint32_t *bucket,
                        const apr_uint32_t *generation, int n)
{
    apr_uint32_t moved = 0;
    int i;

    for (i = 0; i < n; i++) {
        moved |= LOAD(live->generation[bucket[i]]) ^ generation[i];
    }
    return moved == 0;
}

/* `changes` first. A reader takes `changes`, reads the store, takes the
 * generations, and looks at `changes` again. If it took a generation after
 * our bump but read the store before our commit, it sees `changes` moved and
 * does not remember; the other way round it could remember the old row under
 * the new generation, for ever. */
void auth_live_changed(const char *subject)
{
    BUMP(live->changes);
    BUMP(live->generation[auth_live_bucket(subject, strlen(subject))]);
}

static void everything_changed(void)
{
    int i;

    BUMP(live->changes);
    for (i = 0; i < BUCKETS; i++) {
        BUMP(live->generation[i]);
    }
}

apr_uint64_t auth_live_begin(void)
{
    return LOAD(live->changes);
}

int auth_live_end(apr_uint64_t begun)
{
    return LOAD(live->changes) == begun;
}

int auth_live_fresh(const server_rec *s)
{
    const auth_server_conf_t *c = auth_server_conf(s);
    apr_int64_t synced;

    if (c->store < 0) {
        return 0;
    }
    synced = LOAD(live->store[c->store].synced_at);
    return synced != 0 &&
           monotonic() - synced <= apr_time_from_sec(c->staleness);
}

/* Not before post_config, and not where there is no store. */
static live_store_t *store_of(const server_rec *s)
{
    int n = auth_server_conf(s)->store;

    return live && n >= 0 ? &live->store[n] : NULL;
}

int auth_live_filled(const server_rec *s)
{
    const live_store_t *ls = store_of(s);

    return ls && LOAD(ls->filled);
}

void auth_live_seen_filled(const server_rec *s)
{
    live_store_t *ls = store_of(s);

    /* Looked at first: a line that all read is not written for nothing. */
    if (ls && !LOAD(ls->filled)) {
        STORE(ls->filled, 1);
    }
}

apr_uint64_t auth_live_sequence(const server_rec *s)
{
    return LOAD(live->store[auth_server_conf(s)->store].seq);
}

rensei_turn_t *auth_live_turn(void)
{
    return live ? &live->turn : NULL;
}

/* ---- the throttle ---- */

static apr_uint32_t monotonic_seconds(void)
{
    return (apr_uint32_t)apr_time_sec(monotonic());
}

/* Failures of one address, whichever clients it names, have a limit of their
 * own: otherwise each made-up id would be worth a row in the audit trail. */
static throttle_limit_t limit_of(const server_rec *s, const char *subject)
{
    throttle_limit_t limit = auth_server_conf(s)->throttle;

    if (*subject == '\0') {
        limit.failures *= FAILURES_OF_ADDRESS;
    }
    return limit;
}

int auth_live_wait(const server_rec *s, const char *subject,
                   const char *address)
{
    throttle_limit_t limit = limit_of(s, subject);

    return auth_throttle_wait(&live->throttle, &limit, subject, address,
                              monotonic_seconds());
}

static void failed(const server_rec *s, const char *subject,
                   const char *address)
{
    throttle_limit_t limit = limit_of(s, subject);

    auth_throttle_failed(&live->throttle, &limit, subject, address,
                         monotonic_seconds());
}

void auth_live_failed(const server_rec *s, const char *subject,
                      const char *address)
{
    failed(s, subject, address);
    failed(s, "", address);
}

/* ---- following the change sequence ---- */

static apr_uint64_t mark_of(const char *text)
{
    return text ? hash(HASH_START, text, strlen(text)) | 1 : 0;
}

/* The first time there is nothing to catch up with, but what was cached
 * before is of an unknown age. */
static apr_status_t start_following(live_store_t *ls, apr_uint64_t seq,
                                    rensei_store_t *st, apr_pool_t *p,
                                    rensei_err_t *err)
{
    const char *mark;
    apr_int64_t newest;
    apr_status_t rv = rensei_store_sequence_since(&newest, &mark, st,
                                                  (apr_int64_t)seq, p, err);

    if (rv == APR_SUCCESS) {
        everything_changed();
        STORE(ls->mark, mark_of(mark));
        STORE(ls->seq, seq);
    }
    return rv;
}

/* Changes are forgotten after a while. Where a number is missing, or all of
 * the last ones are, it is not known what changed; before the number is
 * noted, or a child that dies here would leave the rest with what is old. */
static void follow_to(live_store_t *ls, apr_uint64_t seq)
{
    if (seq != LOAD(ls->seq) + 1) {
        everything_changed();
    }
    STORE(ls->seq, seq);
}

static apr_status_t follow(live_store_t *ls, apr_uint64_t newest,
                           rensei_store_t *st, apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv;
    int i;

    do {
        rv = rensei_store_changes(&rows, st, (apr_int64_t)LOAD(ls->seq),
                                  POLL_BATCH, p, err);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        for (i = 0; i < rows.count; i++) {
            auth_live_changed(rensei_rows_text(&rows, i, 1));
            follow_to(ls, (apr_uint64_t)rensei_rows_int(&rows, i, 0));
            STORE(ls->mark, mark_of(rensei_store_change_mark(&rows, i, p)));
        }
    } while (rows.count == POLL_BATCH);
    if (LOAD(ls->seq) < newest) {
        everything_changed();
        STORE(ls->mark, 0);
        STORE(ls->seq, newest);
    }
    return APR_SUCCESS;
}

/* A store that was put back to an earlier state, or a standby that took over
 * and had not got all, has a smaller sequence than the one followed, or, when
 * it has come that far again, another change by that number; or it is another
 * file: start over. A change that is gone was forgotten, but not while it is
 * the newest. */
static int put_back(live_store_t *ls, apr_uint64_t seq, apr_uint64_t mark,
                    apr_uint64_t file)
{
    apr_uint64_t known = LOAD(ls->mark);
    int other = known != 0 && mark != known;

    return seq < LOAD(ls->seq) || file != LOAD(ls->file) ||
           (other && (mark != 0 || seq == LOAD(ls->seq)));
}

static apr_status_t poll_store(live_store_t *ls, rensei_http_store_t *h,
                               rensei_store_t *st, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_int64_t begun = monotonic(), seq = 0;
    const char *mark;
    apr_status_t rv = rensei_store_sequence_since(
        &seq, &mark, st, (apr_int64_t)LOAD(ls->seq), p, err);
    apr_uint64_t file = rensei_http_store_file(h);

    if (rv == APR_SUCCESS) {
        if (LOAD(ls->synced_at) == 0 ||
            put_back(ls, (apr_uint64_t)seq, mark_of(mark), file)) {
            rv = start_following(ls, (apr_uint64_t)seq, st, p, err);
            STORE(ls->file, rv == APR_SUCCESS ? file : LOAD(ls->file));
        }
        else if ((apr_uint64_t)seq != LOAD(ls->seq)) {
            rv = follow(ls, (apr_uint64_t)seq, st, p, err);
        }
    }
    if (rv == APR_SUCCESS) {
        STORE(ls->synced_at, begun ? begun : 1);
    }
    return rv;
}

/* Whoever is paged wants to know that it began, that it goes on, and that it
 * is over; not four lines a second. */
static void say_failed(server_rec *s, live_store_t *ls, const rensei_err_t *err)
{
    apr_int64_t now = monotonic();

    STORE(ls->next_poll, now + POLL_FAILING);
    if (ls->said_at != 0 && now - ls->said_at < SAY_AGAIN) {
        return;
    }
    ls->said_at = now;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 RSLOG(0010) "cannot follow the changes of the store (what is "
                             "known is trusted for %d s): %s %s",
                 auth_server_conf(s)->staleness, err->text,
                 err->cause ? err->cause : "");
}

static void say_works(server_rec *s, live_store_t *ls)
{
    if (ls->said_at != 0) {
        ls->said_at = 0;
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     RSLOG(0014) "the store can be followed again");
    }
}

static void poll_server(server_rec *s, live_store_t *ls, apr_pool_t *p)
{
    rensei_http_store_t *h;
    rensei_store_t *st;
    rensei_err_t err = {0};
    apr_status_t rv = rensei_http_store_open_own(&h, &st, s, p, &err);

    if (rv == APR_SUCCESS) {
        rv = poll_store(ls, h, st, p, &err);
        rensei_http_store_close(h);
    }
    if (rv == APR_SUCCESS) {
        say_works(s, ls);
    }
    else {
        say_failed(s, ls, &err);
    }
}

/* Only one of all children's threads gets its turn in each interval.
 * @param next when the next one is, in shared memory */
static int my_turn(apr_int64_t *next, apr_int64_t every)
{
    apr_int64_t now = monotonic();
    apr_int64_t due = LOAD(*next);

    return now >= due &&
           __atomic_compare_exchange_n(next, &due, now + every, 0,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Virtual hosts that share a store share the notices in its trail: the
 * longest time that one of them says counts. */
static apr_int64_t notice_of(server_rec *main_server, int store)
{
    apr_int64_t longest = 0;
    server_rec *s;

    for (s = main_server; s; s = s->next) {
        const auth_server_conf_t *c = auth_server_conf(s);
        if (c->store == store && c->expiry_notice > longest) {
            longest = c->expiry_notice;
        }
    }
    return longest;
}

/* Not of a store that cannot be followed: that has been said. */
static void sweep_server(server_rec *main_server, server_rec *s, apr_pool_t *p)
{
    int n = auth_server_conf(s)->store;
    live_store_t *ls = &live->store[n];

    if (LOAD(ls->synced_at) != 0 && ls->said_at == 0 &&
        my_turn(&ls->next_sweep, SWEEP_EVERY) &&
        auth_expiry_sweep(s, notice_of(main_server, n), p)) {
        STORE(ls->next_sweep, monotonic() + POLL_EVERY);
    }
}

/* Only one child writes what all have counted. */
static int flush_turn(live_store_t *ls)
{
    apr_int64_t now = monotonic(), busy = LOAD(ls->flushing);

    if (now < busy || (now < LOAD(ls->next_flush) && !auth_used_crowded())) {
        return 0;
    }
    return __atomic_compare_exchange_n(&ls->flushing, &busy, now + USED_LOST, 0,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* This thread's microseconds of a core. */
static apr_int64_t taken_of_core(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (apr_int64_t)t.tv_sec * APR_USEC_PER_SEC + t.tv_nsec / 1000;
}

/* Not to a store that is away: a child that ends must not wait for it. */
static void flush_used(server_rec *s, int store, apr_pool_t *p)
{
    rensei_http_store_t *h;
    rensei_store_t *st;
    rensei_err_t err = {0};

    if (!auth_used_waiting(store) || live->store[store].said_at != 0 ||
        rensei_http_store_open_own(&h, &st, s, p, &err)) {
        return;
    }
    auth_used_flush(store, st, p);
    rensei_http_store_close(h);
}

static void flush_in_turn(server_rec *s, int store, apr_pool_t *p)
{
    live_store_t *ls = &live->store[store];
    apr_int64_t began = taken_of_core(), pause;

    if (!auth_used_waiting(store) || !flush_turn(ls)) {
        return;
    }
    flush_used(s, store, p);
    pause = (taken_of_core() - began) * USED_SHARE;
    pause = pause < USED_EVERY      ? USED_EVERY
            : pause > USED_AT_LEAST ? USED_AT_LEAST
                                    : pause;
    STORE(ls->next_flush, monotonic() + pause);
    STORE(ls->flushing, 0);
}

/* The watchdog's thread starts before the child is ready, mod_dbd included. And
 * it belongs to a pool that no child ever destroys: it is still at work while
 * the child takes its pools down, mod_dbd's connections among them. So there
 * is no tick before, and none after; whoever ends the child waits here for the
 * one in hand. */
static pthread_mutex_t ticking = PTHREAD_MUTEX_INITIALIZER;
static int ready;

static void follow_store(server_rec *main_server, server_rec *s, int n,
                         apr_pool_t *p)
{
    if (my_turn(&live->store[n].next_poll, POLL_EVERY)) {
        poll_server(s, &live->store[n], p);
    }
    sweep_server(main_server, s, p);
    flush_in_turn(s, n, p);
}

/* Once for each store that some virtual host has. */
static void each_store(server_rec *main_server, int ends, apr_pool_t *pool)
{
    apr_uint32_t seen = 0;
    server_rec *s;

    for (s = main_server; s; s = s->next) {
        int n = auth_server_conf(s)->store;
        apr_pool_t *p;
        if (n < 0 || seen & (1u << n)) {
            continue;
        }
        seen |= 1u << n;
        apr_pool_create(&p, pool);
        if (ends) {
            flush_used(s, n, p);
        }
        else {
            follow_store(main_server, s, n, p);
        }
        apr_pool_destroy(p);
    }
}

static apr_status_t tick(int state, void *data, apr_pool_t *pool)
{
    if (state != AP_WATCHDOG_STATE_RUNNING) {
        return APR_SUCCESS;
    }
    pthread_mutex_lock(&ticking);
    if (ready) {
        each_store(data, 0, pool);
    }
    pthread_mutex_unlock(&ticking);
    return APR_SUCCESS;
}

/* The tick in hand may wait for what the thread below us holds. */
static int ticking_lock(int interrupted)
{
    apr_interval_time_t waited;

    if (!interrupted) {
        return pthread_mutex_lock(&ticking) == 0;
    }
    for (waited = 0; waited < ENDING; waited += INTERRUPTED_STEP) {
        if (pthread_mutex_trylock(&ticking) == 0) {
            return 1;
        }
        apr_sleep(INTERRUPTED_STEP);
    }
    return 0;
}

/* A request that was interrupted with the store has locks that nobody gives
 * back any more, and a connection that mod_dbd's pool would wait for in vain:
 * nothing may be cleaned up then. What was not committed is rolled back, as
 * with any process that ends. And what was used stays with the other
 * processes, unless nobody was interrupted. */
static apr_status_t stop_ticking(void *data)
{
    int interrupted = auth_prefork_interrupted();
    apr_pool_t *p;

    if (!interrupted && auth_gate_watcher()) {
        rensei_http_watcher_hurry(auth_gate_watcher(), ENDING);
    }
    if (!ticking_lock(interrupted) || (interrupted && auth_gate_busy())) {
        _exit(0);
    }
    ready = 0;
    if (!interrupted && apr_pool_create(&p, NULL) == APR_SUCCESS) {
        each_store(data, 1, p);
        apr_pool_destroy(p);
    }
    pthread_mutex_unlock(&ticking);
    return APR_SUCCESS;
}

void auth_live_child_init(apr_pool_t *p, server_rec *main_server)
{
    pthread_mutex_lock(&ticking);
    ready = 1;
    pthread_mutex_unlock(&ticking);
    apr_pool_pre_cleanup_register(p, main_server, stop_ticking);
}

/* ---- setting up ---- */

int auth_live_watchdog_available(void)
{
    watchdog_get = APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    watchdog_register = APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    return watchdog_get && watchdog_register;
}

/* In the process's pool, so that the children of before and after a graceful
 * restart share it. */
static apr_status_t find_memory(server_rec *s)
{
    apr_pool_t *pool = s->process->pool;
    apr_shm_t *shm;
    void *data = NULL;
    apr_status_t rv;

    apr_pool_userdata_get(&data, LIVE_KEY, pool);
    if (data) {
        live = data;
        return APR_SUCCESS;
    }
    rv = apr_shm_create(&shm, sizeof(live_t), NULL, pool);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    live = apr_shm_baseaddr_get(shm);
    memset(live, 0, sizeof(*live));
    rensei_turn_init(&live->turn);
    rv = apr_generate_random_bytes(live->throttle.key,
                                   sizeof(live->throttle.key));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return apr_pool_userdata_set(live, LIVE_KEY, apr_pool_cleanup_null, pool);
}

static int number_store(server_rec *s)
{
    auth_server_conf_t *c = auth_server_conf(s);
    const char *params = c->dbd_params ? c->dbd_params : "";
    apr_uint64_t id = hash(HASH_START, c->dbd_driver, strlen(c->dbd_driver));
    int i;

    id = hash(hash(id, "\n", 1), params, strlen(params)) | 1;
    for (i = 0; i < STORES_MAX; i++) {
        if (live->store[i].id == 0) {
            live->store[i].id = id;
        }
        if (live->store[i].id == id) {
            c->store = i;
            return 1;
        }
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                 RSLOG(0011) "more than %d different stores (DBDParams) since "
                             "httpd was started; stop and start it",
                 STORES_MAX);
    return 0;
}

static int register_poll(apr_pool_t *p, server_rec *main_server)
{
    ap_watchdog_t *w;

    if (!auth_live_watchdog_available() ||
        watchdog_get(&w, "_rensei_", 0, 0, p) != APR_SUCCESS ||
        watchdog_register(w, POLL_EVERY, main_server, tick) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, main_server,
                     RSLOG(0012) "mod_watchdog does not take our poll");
        return 0;
    }
    return 1;
}

int auth_live_post_config(apr_pool_t *p, server_rec *main_server)
{
    server_rec *s;
    int stores = 0;
    apr_status_t rv = find_memory(main_server);

    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, rv, main_server,
                     RSLOG(0013) "no shared memory");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (s = main_server; s; s = s->next) {
        const auth_server_conf_t *c = auth_server_conf(s);
        if (c->sources && auth_conf_has_store(c)) {
            if (number_store(s)) {
                stores++;
            }
        }
    }
    if (stores > 0) {
        auth_used_post_config(main_server);
    }
    return stores == 0 || register_poll(p, main_server)
               ? OK
               : HTTP_INTERNAL_SERVER_ERROR;
}
