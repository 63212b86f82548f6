/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_throttle.h"

#include <apr_siphash.h>
#include <string.h>

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* Subject and address, hashed one with the other's hash as half of the key:
 * no way of splitting them otherwise gives the same name. */
static apr_uint64_t name_of(const throttle_t *t, const char *subject,
                            const char *address)
{
    unsigned char key[16];
    apr_uint64_t h = apr_siphash24(subject, strlen(subject), t->key);

    memcpy(key, t->key, sizeof(key));
    memcpy(key + 8, &h, 8);
    return apr_siphash24(address, strlen(address), key) | 1;
}

static throttle_place_t *set_of(throttle_t *t, apr_uint64_t name)
{
    apr_uint64_t set = (name >> 8) % (THROTTLE_PLACES / THROTTLE_WAYS);
    return &t->place[set * THROTTLE_WAYS];
}

static int over(const throttle_place_t *p, apr_uint32_t now)
{
    return (apr_int32_t)(LOAD(p->ends) - now) <= 0;
}

static throttle_place_t *find(throttle_place_t *set, apr_uint64_t name)
{
    int i;

    for (i = 0; i < THROTTLE_WAYS; i++) {
        if (LOAD(set[i].name) == name) {
            return &set[i];
        }
    }
    return NULL;
}

/* The place whose time ends first; a free one ended long ago. */
static throttle_place_t *oldest(throttle_place_t *set, apr_uint32_t now)
{
    throttle_place_t *found = &set[0];
    int i;

    for (i = 1; i < THROTTLE_WAYS; i++) {
        if ((apr_int32_t)(LOAD(set[i].ends) - now) <
            (apr_int32_t)(LOAD(found->ends) - now)) {
            found = &set[i];
        }
    }
    return found;
}

int auth_throttle_wait(throttle_t *t, const throttle_limit_t *limit,
                       const char *subject, const char *address,
                       apr_uint32_t now)
{
    apr_uint64_t name = name_of(t, subject, address);
    const throttle_place_t *p = find(set_of(t, name), name);

    if (limit->failures == 0 || !p || over(p, now) ||
        LOAD(p->count) < (apr_uint32_t)limit->failures) {
        return 0;
    }
    return (int)(LOAD(p->ends) - now);
}

/* Two that race for a place cost each other a count at the most. */
void auth_throttle_failed(throttle_t *t, const throttle_limit_t *limit,
                          const char *subject, const char *address,
                          apr_uint32_t now)
{
    apr_uint64_t name = name_of(t, subject, address);
    throttle_place_t *set = set_of(t, name);
    throttle_place_t *p = find(set, name);

    if (limit->failures == 0) {
        return;
    }
    if (!p || over(p, now)) {
        p = p ? p : oldest(set, now);
        STORE(p->count, 0);
        STORE(p->ends, now + (apr_uint32_t)limit->seconds);
        STORE(p->name, name);
    }
    __atomic_add_fetch(&p->count, 1, __ATOMIC_RELAXED);
}
