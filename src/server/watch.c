/* watch.c - the thread that looks after connections: a client that is gone, or too slow.
 *
 * The HTTP library does not look at a connection that sleeps until its sound is ready, so a client
 * that hangs up meanwhile would be noticed only by the first bytes sent to it.  Here every socket
 * is watched for the other side's closing; a client that half-closes (shutdown of its sending side)
 * counts as gone, as in other servers. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/daemon.h"
#include "server/watch.h"

#define TICK_MS 250

/* (server's lock) Shuts the socket down and counts the connection no more; the HTTP library then
 * closes it. */
static void watch_close(struct server *s, struct conn *c)
{
    if (!c->closed) {
        c->closed = true;
        s->n_conn--;
    }
    shutdown(c->fd, SHUT_RDWR);
}

/* (server's lock) Has the request a body that has not come yet? */
static bool watch_receives(const struct conn *c)
{
    struct request *r = c->request;
    if (!r)
        return false;
    pthread_mutex_lock(&r->lock);
    bool receives = !r->complete;
    pthread_mutex_unlock(&r->lock);
    return receives;
}

/* (server's lock) */
static bool watch_older(const struct conn *a, const struct conn *b)
{
    return a->since.tv_sec != b->since.tv_sec ? a->since.tv_sec < b->since.tv_sec
                                              : a->since.tv_nsec < b->since.tv_nsec;
}

/* (server's lock) Close the connection that was idle for longest, or has sent its request for
 * longest without an end; when all are being answered, the new one. */
static void watch_make_room(struct server *s, struct conn *fresh)
{
    struct conn *idle = NULL, *slow = NULL;
    for (struct conn *c = s->conns; c; c = c->next) { /* the oldest come last */
        if (c == fresh || c->closed)
            continue;
        if (!c->request && (!idle || c->peer_gone || (!idle->peer_gone && watch_older(c, idle))))
            idle = c;
        else if (watch_receives(c))
            slow = c;
    }
    struct conn *out = idle ? idle : slow ? slow : fresh;
    watch_close(s, out);
    s->n_evicted++;
}

/* (server's lock) */
static bool watch_keep_fd(struct server *s, struct conn *c)
{
    if (c->fd >= s->n_fd) {
        int n = c->fd + 64;
        struct conn **grown = mem_grow(s->by_fd, (size_t)n, sizeof(struct conn *));
        if (!grown)
            return false;
        memset(grown + s->n_fd, 0, (size_t)(n - s->n_fd) * sizeof(struct conn *));
        s->by_fd = grown;
        s->n_fd = n;
    }
    s->by_fd[c->fd] = c;
    return true;
}

void watch_add(struct server *s, struct conn *c)
{
    struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET, .data.fd = c->fd};
    clock_gettime(CLOCK_MONOTONIC, &c->since);
    pthread_mutex_lock(&s->lock);
    c->next = s->conns;
    c->link = &s->conns;
    if (c->next)
        c->next->link = &c->next;
    s->conns = c;
    bool kept = watch_keep_fd(s, c);
    if (++s->n_conn > s->o.max_connections)
        watch_make_room(s, c);
    pthread_mutex_unlock(&s->lock);
    /* Failing only means that its end is noticed later.  Closing the socket removes it. */
    if (kept)
        epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, c->fd, &ev);
}

void watch_remove(struct server *s, struct conn *c)
{
    pthread_mutex_lock(&s->lock);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    if (c->fd < s->n_fd && s->by_fd[c->fd] == c)
        s->by_fd[c->fd] = NULL;
    s->n_conn -= !c->closed;
    pthread_mutex_unlock(&s->lock);
}

/* (server's lock) Are there bytes that came and are not read yet? */
static bool watch_has_unread(const struct conn *c)
{
    int n = 0;
    return ioctl(c->fd, FIONREAD, &n) == 0 && n > 0;
}

/* (server's lock) The other side has closed.  What has come of its request is read first; then a
 * request that is not whole will never be, and the library, which would wait for its body until the
 * timeout, is told. */
static void watch_end_upload(struct server *s, struct conn *c)
{
    if (c->closed || watch_has_unread(c))
        return;
    if (watch_receives(c) || (!c->request && c->peer_gone > 2))
        watch_close(s, c);
}

/* (server's lock, so the request exists) Run its handler: something happened to it. */
static void watch_tell(struct conn *c, bool is_late)
{
    struct request *r = c->request;
    bool tell = false;
    pthread_mutex_lock(&r->lock);
    if (r->route && r->route->kind == ROUTE_STREAM && r->complete && !r->gone) {
        tell = is_late ? !r->late && !r->ready : true;
        if (is_late)
            r->late = r->late || tell;
        else
            r->gone = true;
    }
    pthread_mutex_unlock(&r->lock);
    if (tell)
        http_schedule(r);
}

/* (server's lock) Give up what runs for this connection. */
static void watch_leave(struct server *s, struct conn *c)
{
    c->peer_gone = c->peer_gone ? c->peer_gone : 1;
    if (c->request)
        watch_tell(c, false);
    watch_end_upload(s, c);
}

static void peer_closed(struct server *s, int fd)
{
    pthread_mutex_lock(&s->lock);
    if (fd < s->n_fd && s->by_fd[fd])
        watch_leave(s, s->by_fd[fd]);
    pthread_mutex_unlock(&s->lock);
}

void watch_leave_all(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct conn *c = s->conns; c; c = c->next) {
        watch_leave(s, c);
        watch_close(s, c);
    }
    pthread_mutex_unlock(&s->lock);
}

/* (server's lock) Has its answer not begun in the time its client gives it? */
static bool watch_is_overdue(const struct conn *c)
{
    struct request *r = c->request;
    if (!r)
        return false;
    pthread_mutex_lock(&r->lock);
    bool overdue =
        r->answer_by_s > 0 && !r->ready && http_seconds_since(&r->started) > r->answer_by_s;
    pthread_mutex_unlock(&r->lock);
    return overdue;
}

/* Too slow with its request?  A request that is complete has its own deadline. */
static bool is_late(const struct server *s, const struct conn *c)
{
    if (!c->request)
        return http_seconds_since(&c->since) >
               (c->used ? s->o.idle_timeout_s : s->o.header_timeout_s);
    return watch_receives(c) && http_seconds_since(&c->request->started) > s->o.body_timeout_s;
}

static void tick(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct conn *c = s->conns; c; c = c->next) {
        if (c->peer_gone) {
            c->peer_gone++;
            watch_end_upload(s, c);
        }
        if (watch_is_overdue(c))
            watch_tell(c, true);
        if (is_late(s, c))
            watch_close(s, c);
    }
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
            peer_closed(s, ev[i].data.fd);
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
    mem_free(s->by_fd);
}
