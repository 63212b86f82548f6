/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Asks two servers in turn, some milliseconds each, for a while: what the
 * machine does to the one it does to the other. Each connection has one request
 * on its way; in each turn there are as many requests, and none is on its way
 * when it ends.
 *
 * turns SECONDS CONNECTIONS TURN FILE LIMIT METHOD BODY TYPE PORT PATH PORT
 * PATH
 *
 * FILE: the Authorization of each request is the next of its first LIMIT
 * lines. Prints a line for each server: requests, and how many were not
 * answered by 200. Connections that a server closes are opened again.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define SERVERS 2
#define ANSWER_MAX 65536
#define REQUEST_MAX 16384
#define LATENCY_MAX 1000000 /* microseconds */

typedef struct wire_t {
    int fd;
    double asked; /* when */
    size_t n;     /* bytes of the answer so far */
    char answer[ANSWER_MAX];
} wire_t;

typedef struct server_t {
    int port, poll;
    char **request;
    size_t *length;
    wire_t *wire;
    long next, done, bad;
    double seconds;
    unsigned *latency; /* how many answers took so many microseconds */
} server_t;

static int requests, wires;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *zeros(size_t n, size_t size)
{
    void *out = calloc(n, size);

    if (!out) {
        fail("memory");
    }
    return out;
}

/* Formatted before the clock starts: one credential costs the client what
 * 10,000 do. */
static void read_requests(server_t *s, char **arg, const char *path)
{
    FILE *file = fopen(arg[4], "r");
    int limit = atoi(arg[5]);
    char *line = NULL, text[REQUEST_MAX];
    size_t size = 0;

    if (!file) {
        fail(arg[4]);
    }
    s->request = zeros((size_t)limit, sizeof(*s->request));
    s->length = zeros((size_t)limit, sizeof(*s->length));
    for (requests = 0; requests < limit; requests++) {
        int n = 0;

        if (getline(&line, &size, file) < 0) {
            break;
        }
        line[strcspn(line, "\r\n")] = '\0';
        n = snprintf(text, sizeof(text),
                     "%s %s HTTP/1.1\r\nHost: localhost\r\n"
                     "Authorization: %s\r\n",
                     arg[6], path, line);
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      *arg[7] ? "Content-Type: %s\r\nContent-Length: %zu\r\n"
                                "\r\n%s"
                              : "\r\n",
                      arg[8], strlen(arg[7]), arg[7]);
        s->request[requests] = strdup(text);
        s->length[requests] = (size_t)n;
    }
    free(line);
    fclose(file);
}

static void wire_open(server_t *s, wire_t *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)s->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};
    int one = 1;

    w->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
        setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
        epoll_ctl(s->poll, EPOLL_CTL_ADD, w->fd, &event) != 0) {
        fail("connection");
    }
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ask(server_t *s, wire_t *w)
{
    int which = (int)(s->next++ % requests);

    w->n = 0;
    w->asked = seconds();
    if (write(w->fd, s->request[which], s->length[which]) !=
        (ssize_t)s->length[which]) {
        fail("request");
    }
}

static int is_whole(const wire_t *w)
{
    const char *body = strstr(w->answer, "\r\n\r\n"), *length;

    if (!body) {
        return 0;
    }
    length = strcasestr(w->answer, "\r\ncontent-length:");
    if (length && length < body) {
        return w->n >=
               (size_t)(body + 4 - w->answer) + strtoul(length + 17, NULL, 10);
    }
    return w->n >= 5 && strcmp(w->answer + w->n - 5, "0\r\n\r\n") == 0;
}

static void count_latency(server_t *s, double took)
{
    long us = (long)(took * 1e6);

    s->latency[us < LATENCY_MAX ? us : LATENCY_MAX - 1]++;
}

/* What that part of the answers took at the most. */
static long latency_of(const server_t *s, double part)
{
    long seen = 0, us;

    for (us = 0; us < LATENCY_MAX - 1; us++) {
        seen += s->latency[us];
        if ((double)seen >= part * (double)s->done) {
            break;
        }
    }
    return us;
}

/* @return 1 when the answer is there */
static int receive(server_t *s, wire_t *w)
{
    ssize_t n = read(w->fd, w->answer + w->n, ANSWER_MAX - 1 - w->n);

    if (n > 0) {
        w->n += (size_t)n;
        w->answer[w->n] = '\0';
        if (!is_whole(w)) {
            return 0;
        }
        s->bad += strncmp(w->answer, "HTTP/1.1 200 ", 13) != 0;
        n = strcasestr(w->answer, "\r\nconnection: close") == NULL;
    }
    else {
        s->bad++;
    }
    if (n <= 0) {
        close(w->fd);
        wire_open(s, w);
    }
    s->done++;
    count_latency(s, seconds() - w->asked);
    return 1;
}

static void turn(server_t *s, int many)
{
    struct epoll_event event[64];
    double began = seconds();
    int sent, got = 0, i;

    for (sent = 0; sent < wires && sent < many; sent++) {
        ask(s, &s->wire[sent]);
    }
    while (got < sent) {
        int n = epoll_wait(s->poll, event, 64, 60000);

        if (n <= 0) {
            fail("no answer");
        }
        for (i = 0; i < n; i++) {
            wire_t *w = event[i].data.ptr;

            if (receive(s, w)) {
                got++;
                if (sent < many) {
                    ask(s, w);
                    sent++;
                }
            }
        }
    }
    s->seconds += seconds() - began;
}

static void server_make(server_t *s, char **arg, int port, const char *path)
{
    int i;

    s->port = port;
    s->poll = epoll_create1(0);
    s->wire = zeros((size_t)wires, sizeof(*s->wire));
    s->latency = zeros(LATENCY_MAX, sizeof(*s->latency));
    read_requests(s, arg, path);
    for (i = 0; i < wires; i++) {
        wire_open(s, &s->wire[i]);
    }
}

int main(int argc, char **argv)
{
    server_t server[SERVERS] = {{0}};
    double end;
    int i, many;

    if (argc != 9 + 2 * SERVERS) {
        fprintf(stderr, "%s: see its source\n", argv[0]);
        return 2;
    }
    wires = atoi(argv[2]);
    many = atoi(argv[3]);
    for (i = 0; i < SERVERS; i++) {
        server_make(&server[i], argv, atoi(argv[9 + 2 * i]), argv[10 + 2 * i]);
    }
    end = seconds() + atof(argv[1]);
    while (seconds() < end) { /* A B B A */
        turn(&server[0], many);
        turn(&server[1], many);
        turn(&server[1], many);
        turn(&server[0], many);
    }
    for (i = 0; i < SERVERS; i++) {
        printf("%ld %ld %f %ld %ld\n", server[i].done, server[i].bad,
               server[i].seconds, latency_of(&server[i], 0.5),
               latency_of(&server[i], 0.99));
    }
    return 0;
}
