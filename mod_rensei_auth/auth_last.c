/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_last.h"
#include "auth_conf.h"

#include <openssl/crypto.h>
#include <string.h>

#define WORD sizeof(apr_uint64_t)
#define TEXT_MAX 1024 /* bytes; a longer one is not remembered */
/* So many others in a row: the connection is a proxy's, whose callers take
 * turns. It is not looked at any more. */
#define OTHERS_MAX 8

/* As long as the connection. */
typedef struct last_t {
    apr_uint64_t space;
    rensei_cache_name_t name;
    apr_size_t n; /* bytes of text */
    int others;   /* since it was the same for the last time */
    owner_slot_t o;
    char text[TEXT_MAX];
} last_t;

static apr_status_t wipe(void *data)
{
    last_t *last = data;

    OPENSSL_cleanse(last->text, last->n);
    return APR_SUCCESS;
}

static last_t *last_of(const conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &rensei_auth_module);
}

static apr_uint64_t word(const char *p)
{
    apr_uint64_t w;

    memcpy(&w, p, WORD);
    return w;
}

/* Of n bytes, WORD or more; in a time that goes by n alone. Behind a proxy, who
 * shows a credential and whose was the last may be two. */
static int same(const char *a, const char *b, apr_size_t n)
{
    apr_uint64_t differs = word(a + n - WORD) ^ word(b + n - WORD);
    apr_size_t i;

    for (i = 0; i + WORD < n; i += WORD) {
        differs |= word(a + i) ^ word(b + i);
    }
    return differs == 0;
}

int auth_last_get(owner_slot_t *o, auth_asked_t *asked, const request_rec *r,
                  apr_uint64_t space)
{
    last_t *last = last_of(r->connection);

    if (!last || last->others == OTHERS_MAX) {
        return 0;
    }
    if (last->space != space || last->n != asked->text.n ||
        !same(last->text, asked->text.p, last->n)) {
        last->others++;
        return 0;
    }
    last->others = 0;
    asked->name = last->name;
    memcpy(o, &last->o, owner_slot_size(&last->o));
    return 1;
}

static last_t *last_make(conn_rec *c)
{
    last_t *last = apr_palloc(c->pool, sizeof(*last));

    last->n = 0;
    last->others = 0;
    apr_pool_cleanup_register(c->pool, last, wipe, apr_pool_cleanup_null);
    ap_set_module_config(c->conn_config, &rensei_auth_module, last);
    return last;
}

/* HTTP/2 has a conn_rec for each request: there is nothing to remember. */
static int goes_on(const conn_rec *c)
{
    return c->keepalives > 0 && !c->master;
}

void auth_last_put(const owner_slot_t *o, const auth_asked_t *asked,
                   const request_rec *r, apr_uint64_t space)
{
    rensei_str_t text = asked->text;
    conn_rec *c = r->connection;
    last_t *last = last_of(c);

    if (text.n < WORD || text.n > TEXT_MAX || !goes_on(c)) {
        return;
    }
    if (!last) {
        last = last_make(c);
    }
    if (last->others == OTHERS_MAX) {
        return;
    }
    if (last->n > text.n) {
        wipe(last);
    }
    last->space = space;
    last->name = asked->name;
    last->n = text.n;
    memcpy(last->text, text.p, text.n);
    memcpy(&last->o, o, owner_slot_size(o));
}
