#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* The only data that the signal handler reads, since it may interrupt any code. */
static struct range {
    atomic_uintptr_t from, to; /* from 0: not in use */
    atomic_bool broken;
} ranges[MAP_MAX];
static atomic_uintptr_t page_bytes;
static struct sigaction previous;
static pthread_mutex_t ranges_lock = PTHREAD_MUTEX_INITIALIZER;

struct map {
    char *path;
    void *data;
    size_t n;
    int fd;
    struct stat st;
    struct range *range;
};

/* Maps zeros from the missing page to the end: the pages behind it are missing as well. */
static void map_on_fault(int signal, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr, page = atomic_load(&page_bytes);
    int saved = errno;
    (void)context;
    for (int i = 0; i < MAP_MAX; i++) {
        struct range *r = &ranges[i];
        uintptr_t from = atomic_load(&r->from), to = atomic_load(&r->to);
        if (from == 0 || at < from || at >= to)
            continue;
        at -= at % page;
        if (mmap((void *)at, to - at, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
            MAP_FAILED)
            break;
        atomic_store(&r->broken, true);
        errno = saved;
        return;
    }
    sigaction(signal, &previous,
              NULL); /* not a map of ours: the access is repeated and reaches that handler */
}

/* (ranges_lock) Called for every map, since other code may have replaced the handler. */
static void map_install(void)
{
    struct sigaction a = {.sa_sigaction = map_on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER}, now;
    atomic_store(&page_bytes, (uintptr_t)sysconf(_SC_PAGESIZE));
    sigemptyset(&a.sa_mask);
    if (sigaction(SIGBUS, NULL, &now) == 0 && now.sa_sigaction == map_on_fault)
        return;
    sigaction(SIGBUS, &a, &previous);
}

static struct range *map_register(const void *data, size_t n)
{
    struct range *r = NULL;
    pthread_mutex_lock(&ranges_lock);
    map_install();
    for (int i = 0; i < MAP_MAX && !r; i++)
        if (atomic_load(&ranges[i].from) == 0)
            r = &ranges[i];
    if (r) {
        atomic_store(&r->broken, false);
        atomic_store(&r->to, (uintptr_t)data + n);
        atomic_store(&r->from, (uintptr_t)data);
    }
    pthread_mutex_unlock(&ranges_lock);
    return r;
}

static int map_open_(struct map *m, const char *path, struct err *e)
{
    m->path = mem_strndup(path, strlen(path));
    if (!m->path)
        return err_set(e, ERR_MEMORY, "out of memory for a file");
    m->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (m->fd < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                       strerror(errno));
    if (fstat(m->fd, &m->st) < 0 || !S_ISREG(m->st.st_mode) || m->st.st_size <= 0)
        return err_set(e, ERR_FORMAT, "%s is empty, or no regular file", path);
    void *data = mmap(NULL, (size_t)m->st.st_size, PROT_READ, MAP_PRIVATE, m->fd, 0);
    if (data == MAP_FAILED)
        return err_set(e, ERR_IO, "cannot map %s: %s", path, strerror(errno));
    m->data = data;
    m->n = (size_t)m->st.st_size;
    m->range = map_register(m->data, m->n);
    return m->range ? 0 : err_set(e, ERR_LIMIT, "%d files are mapped, the limit", MAP_MAX);
}

int map_open(const char *path, struct map **ret, struct err *e)
{
    struct map *m = mem_try(1, sizeof *m);
    if (!m)
        return err_set(e, ERR_MEMORY, "out of memory for a file");
    m->fd = -1;
    int rc = map_open_(m, path, e);
    if (rc < 0)
        map_close(m);
    else
        *ret = m;
    return rc;
}

void map_close(struct map *m)
{
    if (!m)
        return;
    if (m->range)
        atomic_store(&m->range->from, 0);
    if (m->data)
        munmap(m->data, m->n);
    if (m->fd >= 0)
        close(m->fd);
    mem_free(m->path);
    mem_free(m);
}

const void *map_data(const struct map *m)
{
    return m->data;
}

size_t map_bytes(const struct map *m)
{
    return m->n;
}

bool map_is_whole(const struct map *m)
{
    return !atomic_load(&m->range->broken);
}

int map_check(const struct map *m, struct err *e)
{
    struct stat now;
    if (fstat(m->fd, &now) < 0)
        return err_set(e, ERR_IO, "cannot look at %s: %s", m->path, strerror(errno));
    if (now.st_size < m->st.st_size || !map_is_whole(m))
        return err_set(e, ERR_IO,
                       "%s was cut short while it was in use, from %zu to %lld bytes; put it back "
                       "and start again",
                       m->path, m->n, (long long)now.st_size);
    if (now.st_size != m->st.st_size || now.st_mtim.tv_sec != m->st.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != m->st.st_mtim.tv_nsec)
        return err_set(
            e, ERR_IO,
            "%s was written to while it was in use; start again to use what is there now "
            "(a file that replaces it by rename does no harm)",
            m->path);
    return 0;
}

bool map_is_replaced(const struct map *m)
{
    struct stat now;
    return stat(m->path, &now) < 0 || now.st_dev != m->st.st_dev || now.st_ino != m->st.st_ino;
}
