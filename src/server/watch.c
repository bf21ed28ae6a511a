/* watch.c - the thread that looks after connections: a client that is gone, or too slow.
 *
 * The HTTP library does not look at a connection that sleeps until its sound is ready, so a client
 * that hangs up meanwhile would be noticed only by the first bytes sent to it.  Here every socket
 * is watched for the other side's closing; a client that half-closes (shutdown of its sending side)
 * counts as gone, as in other servers. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/daemon.h"
#include "server/watch.h"

#define TICK_MS 250

void watch_add(struct server *s, struct conn *c)
{
    struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET};
    clock_gettime(CLOCK_MONOTONIC, &c->since);
    pthread_mutex_lock(&s->lock);
    c->serial = ++s->n_serial;
    c->next = s->conns;
    c->link = &s->conns;
    if (c->next)
        c->next->link = &c->next;
    s->conns = c;
    pthread_mutex_unlock(&s->lock);
    ev.data.u64 = c->serial;
    /* Failing only means that its end is noticed later.  Closing the socket removes it. */
    epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, c->fd, &ev);
}

/* Give up what runs for this connection.  With the server's lock held, so the request exists. */
static void watch_leave(struct conn *c)
{
    struct request *r = c->request;
    bool tell = false;
    c->peer_gone = true;
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    if (r->route && r->route->kind == ROUTE_STREAM && !r->gone && r->complete) {
        r->gone = true;
        tell = true;
    }
    pthread_mutex_unlock(&r->lock);
    if (tell)
        http_schedule(r);
}

static void peer_closed(struct server *s, uint64_t serial)
{
    pthread_mutex_lock(&s->lock);
    struct conn *c = s->conns;
    while (c && c->serial != serial)
        c = c->next;
    if (c)
        watch_leave(c);
    pthread_mutex_unlock(&s->lock);
}

void watch_leave_all(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct conn *c = s->conns; c; c = c->next) {
        watch_leave(c);
        shutdown(c->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->lock);
}

/* Too slow with its request?  A request that is complete has its own deadline. */
static bool is_late(const struct server *s, const struct conn *c)
{
    struct request *r = c->request;
    if (!r)
        return http_seconds_since(&c->since) >
               (c->used ? s->o.idle_timeout_s : s->o.header_timeout_s);
    pthread_mutex_lock(&r->lock);
    bool complete = r->complete;
    pthread_mutex_unlock(&r->lock);
    return !complete && http_seconds_since(&r->started) > s->o.body_timeout_s;
}

static void tick(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct conn *c = s->conns; c; c = c->next)
        if (is_late(s, c))
            shutdown(c->fd, SHUT_RDWR); /* the HTTP library sees it and closes */
    pthread_mutex_unlock(&s->lock);
}

static bool closing(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    bool yes = s->closing;
    pthread_mutex_unlock(&s->lock);
    return yes;
}

static void *watch(void *arg)
{
    struct server *s = arg;
    struct epoll_event ev[64];
    while (!closing(s)) {
        int n = epoll_wait(s->watch_fd, ev, 64, TICK_MS);
        for (int i = 0; i < n; i++)
            peer_closed(s, ev[i].data.u64);
        tick(s);
    }
    return NULL;
}

int watch_start(struct server *s, struct err *e)
{
    s->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->watch_fd < 0)
        return err_set(e, ERR_IO, "cannot watch connections: %s", strerror(errno));
    int rc = pthread_create(&s->watch, NULL, watch, s);
    if (rc != 0)
        return err_set(e, ERR_IO, "cannot start the watch thread: %s", strerror(rc));
    s->has_watch = true;
    return 0;
}

void watch_stop(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_mutex_unlock(&s->lock);
    if (s->has_watch)
        pthread_join(s->watch, NULL);
    if (s->watch_fd >= 0)
        close(s->watch_fd);
}
