/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_log.h"

#include <apr_strings.h>
#include <pthread.h>
#include <string.h>

#define AGAIN apr_time_from_sec(5)
#define CAUSES 8
#define CAUSE_MAX 120

typedef struct said_t {
    char cause[CAUSE_MAX];
    apr_time_t at; /* monotonic is not needed: a line too many does no harm */
    unsigned unsaid;
} said_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static said_t said[CAUSES];

/* Its own, or the one that was said longest ago. */
static said_t *find(const char *cause)
{
    said_t *oldest = &said[0];
    int i;

    for (i = 0; i < CAUSES; i++) {
        if (strncmp(said[i].cause, cause, CAUSE_MAX - 1) == 0) {
            return &said[i];
        }
        if (said[i].at < oldest->at) {
            oldest = &said[i];
        }
    }
    memset(oldest, 0, sizeof(*oldest));
    apr_cpystrn(oldest->cause, cause, CAUSE_MAX);
    return oldest;
}

const char *rensei_http_log_due(const char *cause, apr_pool_t *p)
{
    apr_time_t now = apr_time_now();
    unsigned unsaid = 0;
    said_t *s;
    int due;

    pthread_mutex_lock(&lock);
    s = find(cause ? cause : "");
    due = now - s->at >= AGAIN || now < s->at;
    if (due) {
        unsaid = s->unsaid;
        s->unsaid = 0;
        s->at = now;
    }
    else {
        s->unsaid++;
    }
    pthread_mutex_unlock(&lock);
    if (!due) {
        return NULL;
    }
    return unsaid ? apr_psprintf(p, " (and %u like it before)", unsaid) : "";
}
