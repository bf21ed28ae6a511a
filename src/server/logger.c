#include "server/logger.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define POLL_MS   200 /* how often a stuck pipe is looked at, and whether it is the end */
#define STOP_S    1
#define WRITE_MAX 4096 /* a pipe that poll says is writable takes PIPE_BUF bytes at once */

_Static_assert(WRITE_MAX <= PIPE_BUF, "more than a pipe takes without waiting");

/* (lock) The next bytes of the ring as one piece. */
static size_t logger_peek(const struct logger *l, char *to, size_t max)
{
    size_t n = l->n_byte < max ? l->n_byte : max;
    size_t first = LOGGER_BYTES - l->head < n ? LOGGER_BYTES - l->head : n;
    memcpy(to, l->ring + l->head, first);
    memcpy(to + first, l->ring, n - first);
    return n;
}

/* (lock) */
static bool logger_put(struct logger *l, const char *s, size_t n)
{
    if (LOGGER_BYTES - l->n_byte < n + 1)
        return false;
    size_t at = (l->head + l->n_byte) % LOGGER_BYTES;
    size_t first = LOGGER_BYTES - at < n ? LOGGER_BYTES - at : n;
    memcpy(l->ring + at, s, first);
    memcpy(l->ring, s + first, n - first);
    l->ring[(at + n) % LOGGER_BYTES] = '\n';
    l->n_byte += n + 1;
    return true;
}

/* Bytes written, 0 if there is no room now. */
static size_t logger_write(const char *s, size_t n)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&p, 1, POLL_MS) <= 0)
        return 0;
    ssize_t done = write(STDERR_FILENO, s, n);
    if (done > 0)
        return (size_t)done;
    /* The reader is gone: drop the queue. */
    return done < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static double logger_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *logger_main(void *arg)
{
    struct logger *l = arg;
    char block[WRITE_MAX], told[80];
    double end = 0;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        if (l->n_untold > 0) {
            snprintf(told, sizeof told, "log: %llu lines were dropped",
                     (unsigned long long)l->n_untold);
            if (logger_put(l, told, strlen(told)))
                l->n_untold = 0;
        }
        if (l->closing && end == 0)
            end = logger_now() + STOP_S;
        if (l->closing && (l->n_byte == 0 || logger_now() > end))
            break;
        if (l->n_byte == 0) {
            pthread_cond_wait(&l->wake, &l->lock);
            continue;
        }
        size_t n = logger_peek(l, block, sizeof block);
        pthread_mutex_unlock(&l->lock);
        n = logger_write(block, n);
        pthread_mutex_lock(&l->lock);
        l->head = (l->head + n) % LOGGER_BYTES;
        l->n_byte -= n;
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

int logger_start(struct logger *l, struct err *e)
{
    *l = (struct logger){.ring = mem_try(LOGGER_BYTES, 1)};
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->wake, NULL);
    int rc = l->ring ? pthread_create(&l->thread, NULL, logger_main, l) : ENOMEM;
    l->running = rc == 0;
    return rc == 0 ? 0 : err_set(e, ERR_IO, "cannot start the log's thread: %s", strerror(rc));
}

void logger_stop(struct logger *l)
{
    if (l->running) {
        pthread_mutex_lock(&l->lock);
        l->closing = true;
        pthread_cond_signal(&l->wake);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
        pthread_cond_destroy(&l->wake);
        pthread_mutex_destroy(&l->lock);
    }
    l->running = false;
    mem_free(l->ring);
    l->ring = NULL;
}

void logger_line(struct logger *l, const char *line)
{
    size_t n = strlen(line);
    pthread_mutex_lock(&l->lock);
    if (!logger_put(l, line, n)) {
        l->n_dropped++;
        l->n_untold++;
    }
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
}

uint64_t logger_dropped(struct logger *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t n = l->n_dropped;
    pthread_mutex_unlock(&l->lock);
    return n;
}
