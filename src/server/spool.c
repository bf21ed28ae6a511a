#include "server/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"

void spool_budget_init(struct spool_budget *b, size_t limit, const char *dir)
{
    *b = (struct spool_budget){.limit = limit, .dir = dir};
    pthread_mutex_init(&b->lock, NULL);
}

void spool_budget_done(struct spool_budget *b)
{
    pthread_mutex_destroy(&b->lock);
}

size_t spool_budget_used(struct spool_budget *b)
{
    pthread_mutex_lock(&b->lock);
    size_t used = b->used;
    pthread_mutex_unlock(&b->lock);
    return used;
}

void spool_init(struct spool *s, struct spool_budget *b, size_t max)
{
    *s = (struct spool){.budget = b, .max = max, .fd = -1};
    buf_init(&s->memory, SPOOL_MEMORY);
}

static void spool_unmap(struct spool *s)
{
    if (s->map)
        munmap(s->map, s->n_map);
    s->map = NULL;
    s->n_map = 0;
}

void spool_done(struct spool *s)
{
    spool_unmap(s);
    if (s->fd >= 0)
        close(s->fd);
    if (s->reserved > 0) {
        pthread_mutex_lock(&s->budget->lock);
        s->budget->used -= s->reserved;
        pthread_mutex_unlock(&s->budget->lock);
    }
    buf_done(&s->memory);
    spool_init(s, s->budget, s->max);
}

int spool_reserve(struct spool *s, size_t n)
{
    struct spool_budget *b = s->budget;
    if (n > s->max)
        return ERR_LIMIT;
    if (n <= SPOOL_MEMORY || n <= s->reserved)
        return 0;
    size_t more = n - s->reserved;
    pthread_mutex_lock(&b->lock);
    int rc = more > b->limit || b->used > b->limit - more ? ERR_BUSY : 0;
    if (rc == 0) {
        b->used += more;
        s->reserved = n;
    }
    pthread_mutex_unlock(&b->lock);
    return rc;
}

static int spool_open_in(const char *dir)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/jabbertts-XXXXXX", dir) >= (int)sizeof path)
        return -1;
    int fd = mkstemp(path);
    if (fd >= 0) {
        unlink(path);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
}

static int spool_write(int fd, size_t pos, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = pwrite(fd, data, n, (off_t)pos);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return ERR_IO;
        pos += (size_t)done;
        data += done;
        n -= (size_t)done;
    }
    return 0;
}

/* What is in memory goes to a file. */
static int spool_to_file(struct spool *s)
{
    s->fd = spool_open_in(s->budget->dir ? s->budget->dir : "/var/tmp");
    if (s->fd < 0 && !s->budget->dir)
        s->fd = spool_open_in("/tmp");
    if (s->fd < 0)
        return ERR_IO;
    int rc = spool_write(s->fd, 0, buf_str(&s->memory), s->memory.len);
    buf_done(&s->memory);
    return rc;
}

int spool_add(struct spool *s, const void *data, size_t n)
{
    int rc;
    if (n > s->max || s->len > s->max - n)
        return ERR_LIMIT;
    if (s->fd < 0 && s->len + n <= SPOOL_MEMORY) {
        rc = buf_add(&s->memory, data, n);
        s->len += rc == 0 ? n : 0;
        return rc;
    }
    /* By halves more than is there, so that the budget's lock is seldom asked. */
    size_t want = s->len + n;
    if (want > s->reserved) {
        size_t ahead = want + want / 2 < s->max ? want + want / 2 : s->max;
        if (spool_reserve(s, ahead) < 0 && (rc = spool_reserve(s, want)) < 0)
            return rc;
    }
    spool_unmap(s);
    if (s->fd < 0 && (rc = spool_to_file(s)) < 0)
        return rc;
    rc = spool_write(s->fd, s->len, data, n);
    s->len += rc == 0 ? n : 0;
    return rc;
}

int spool_rewrite(struct spool *s, const void *data, size_t n)
{
    if (n > s->len)
        return ERR_ARGUMENT;
    if (s->fd >= 0)
        return spool_write(s->fd, 0, data, n);
    memcpy(s->memory.data, data, n);
    return 0;
}

const char *spool_data(struct spool *s)
{
    if (s->fd < 0)
        return buf_str(&s->memory);
    if (!s->map) {
        void *p = mmap(NULL, s->len, PROT_READ, MAP_PRIVATE, s->fd, 0);
        if (p == MAP_FAILED)
            return NULL;
        s->map = p;
        s->n_map = s->len;
    }
    return s->map;
}

ssize_t spool_read(const struct spool *s, size_t pos, void *to, size_t n)
{
    size_t have = pos < s->len ? s->len - pos : 0;
    n = n < have ? n : have;
    if (s->fd >= 0)
        return pread(s->fd, to, n, (off_t)pos);
    if (n > 0)
        memcpy(to, s->memory.data + pos, n);
    return (ssize_t)n;
}
