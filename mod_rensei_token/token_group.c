/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "token_group.h"
#include "rensei_http_store.h"

#include <apr_strings.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#define GROUP_MAX 256 /* tokens in one transaction */
#define CAUSE_MAX 200

typedef enum {
    WAITS = 0, /* in the queue */
    LEADS,     /* first in the queue, and nobody leads */
    OVER
} wait_e;

/* One that waits; on its thread's stack. A semaphore each, not a condition
 * variable: whoever is woken by one of those waits for the mutex once more. */
typedef struct waiting_t {
    rensei_issuance_t *issuance;
    wait_e state;
    sem_t woken;
    struct waiting_t *next;
    apr_status_t rv;
    rensei_code_e code;
    char cause[CAUSE_MAX]; /* a copy: the leader's pool goes */
} waiting_t;

struct token_group_t {
    pthread_mutex_t lock;
    waiting_t *first, **end;
    int led; /* somebody leads, or has been told to */
};

token_group_t *token_group_create(apr_pool_t *p)
{
    token_group_t *group = apr_pcalloc(p, sizeof(*group));

    pthread_mutex_init(&group->lock, NULL);
    group->end = &group->first;
    return group;
}

/* Takes from the queue; the members keep their order. */
static int group_take(waiting_t **members, token_group_t *group)
{
    int n = 0;

    pthread_mutex_lock(&group->lock);
    while (group->first && n < GROUP_MAX) {
        members[n++] = group->first;
        group->first = group->first->next;
    }
    if (!group->first) {
        group->end = &group->first;
    }
    pthread_mutex_unlock(&group->lock);
    return n;
}

static apr_status_t members_record(waiting_t *const *members, int n,
                                   rensei_store_t *st, apr_pool_t *p,
                                   rensei_err_t *err)
{
    rensei_issuance_t *list[GROUP_MAX];
    apr_status_t rv;
    int i;

    for (i = 0; i < n; i++) {
        list[i] = members[i]->issuance;
    }
    rv = rensei_issuance_record(st, list, n, p, err);
    return rensei_store_end(st, rv, p, err);
}

/* The queue is looked at when the transaction has begun, not before: while
 * this one waited for another process's to end, more have come. */
static int group_record(waiting_t **members, token_group_t *group,
                        apr_status_t *rv, rensei_store_t *st, apr_pool_t *p,
                        rensei_err_t *err)
{
    int n;

    *rv = rensei_store_begin(st, p, err);
    n = group_take(members, group);
    if (*rv == APR_SUCCESS) {
        *rv = members_record(members, n, st, p, err);
    }
    return n;
}

/* Its memory is gone when it is woken. */
static void member_wake(waiting_t *member, wait_e state)
{
    member->state = state;
    sem_post(&member->woken);
}

/* The next one in the queue leads, if there is one. */
static void lead_pass(token_group_t *group)
{
    waiting_t *next;

    pthread_mutex_lock(&group->lock);
    next = group->first;
    group->led = next != NULL;
    pthread_mutex_unlock(&group->lock);
    if (next) {
        member_wake(next, LEADS);
    }
}

/* Tells each what became of its token. */
static void group_end(waiting_t *const *members, int n, apr_status_t rv,
                      const rensei_err_t *err)
{
    int i;

    for (i = 0; i < n; i++) {
        members[i]->rv = rv;
        if (rv != APR_SUCCESS) {
            members[i]->code = err->code;
            apr_cpystrn(members[i]->cause, err->cause ? err->cause : "",
                        CAUSE_MAX);
        }
        member_wake(members[i], OVER);
    }
}

static void group_lead(token_group_t *group, rensei_http_store_t *handle,
                       rensei_store_t *st, apr_pool_t *pool)
{
    waiting_t *members[GROUP_MAX];
    rensei_err_t err = {0};
    apr_status_t rv;
    apr_pool_t *p;
    int n;

    apr_pool_create(&p, pool);
    n = group_record(members, group, &rv, st, p, &err);
    rensei_http_store_close(handle);
    /* first, so that the next group is on its way meanwhile */
    lead_pass(group);
    group_end(members, n, rv, &err);
    apr_pool_destroy(p);
}

/* @return 1 when it leads */
static int join(token_group_t *group, waiting_t *me)
{
    int leads;

    pthread_mutex_lock(&group->lock);
    *group->end = me;
    group->end = &me->next;
    leads = !group->led;
    group->led = 1;
    pthread_mutex_unlock(&group->lock);
    return leads;
}

static void wake_await(waiting_t *me)
{
    while (sem_wait(&me->woken) != 0 && errno == EINTR) {
    }
}

static void wait_or_lead(waiting_t *me, token_group_t *group,
                         rensei_http_store_t *handle, rensei_store_t *st,
                         apr_pool_t *p)
{
    int leads;

    sem_init(&me->woken, 0, 0);
    leads = join(group, me);
    if (!leads) {
        wake_await(me);
        leads = me->state == LEADS;
    }
    if (leads) {
        /* it is the first in the queue, and so in its own group */
        group_lead(group, handle, st, p);
        wake_await(me);
    }
    sem_destroy(&me->woken);
}

/* Each has a place among those who wait for the store, not the leader alone:
 * a store that hangs keeps all of them waiting. */
apr_status_t token_group_record(token_group_t *group,
                                rensei_issuance_t *issuance, request_rec *r,
                                rensei_err_t *err)
{
    waiting_t me = {.issuance = issuance, .state = WAITS};
    rensei_http_store_t *handle;
    rensei_store_t *st;
    apr_status_t rv =
        rensei_http_store_open(&handle, &st, r->server, r->pool, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_http_store_enter(handle, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    wait_or_lead(&me, group, handle, st, r->pool);
    rensei_http_store_close(handle);
    if (me.rv != APR_SUCCESS) {
        rensei_err_set(err, me.code,
                       "The store is not available at the moment.");
        err->cause = apr_pstrdup(r->pool, me.cause);
    }
    return me.rv;
}
