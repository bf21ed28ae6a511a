#include "store/takes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libavutil/mem.h>
#include <libavutil/murmur3.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define MAGIC   "JBRTTAKE"
#define VERSION 1
#define ENDING  ".take"
#define PART    (64 << 10) /* bytes hashed at a time */

struct takes {
    char *dir;
    size_t limit;
    pthread_mutex_t lock;
    struct takes_counts counts; /* (lock) */
    size_t n_added;             /* (lock) bytes since the directory was read */
    unsigned serial;            /* (lock) of files being written */
};

struct take_writer {
    struct takes *takes;
    struct take_header header;
    int fd;
    char path[PATH_MAX];
    bool failed;
};

bool takes_is_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == TAKES_NAME && !name[TAKES_NAME];
}

static void takes_path(const struct takes *t, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s" ENDING, t->dir, name);
}

/* --- the directory --- */

struct take_file {
    char name[TAKES_NAME + sizeof ENDING];
    size_t n_bytes;
    struct timespec used;
};

static int takes_compare(const void *a, const void *b)
{
    const struct timespec *x = &((const struct take_file *)a)->used;
    const struct timespec *y = &((const struct take_file *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* A file that its writer died of is locked by nobody. */
static void takes_sweep(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(dir, name, 0);
    if (fd >= 0)
        close(fd);
}

/* The takes in the directory, oldest use first; returns how many.  *ret is to be freed. */
static size_t takes_list(int dir, struct take_file **ret)
{
    size_t n = 0, cap = 0;
    struct take_file *file = NULL;
    struct stat st;
    int copy = dup(dir);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    for (struct dirent *f; d && (f = readdir(d));) {
        const char *end = strstr(f->d_name, ENDING);
        if (end != f->d_name + TAKES_NAME)
            continue;
        if (end[sizeof ENDING - 1]) {
            takes_sweep(dir, f->d_name);
            continue;
        }
        if (fstatat(dir, f->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        if (n == cap) {
            struct take_file *more = mem_grow(file, cap = 2 * cap + 64, sizeof *file);
            if (!more)
                break;
            file = more;
        }
        memcpy(file[n].name, f->d_name, sizeof file[n].name);
        file[n].n_bytes = (size_t)st.st_size;
        file[n++].used = st.st_mtim;
    }
    if (d)
        closedir(d);
    else if (copy >= 0)
        close(copy);
    if (n > 0)
        qsort(file, n, sizeof *file, takes_compare);
    *ret = file;
    return n;
}

/* Read the directory, and make room if there is more than the limit.  The lock is held. */
static void takes_look(struct takes *t)
{
    struct take_file *file = NULL;
    int dir = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t n = dir < 0 ? 0 : takes_list(dir, &file), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += file[i].n_bytes;
    bool full = sum > t->limit;
    for (size_t i = 0; full && i < n && sum > t->limit - t->limit / 10; i++)
        if (unlinkat(dir, file[i].name, 0) == 0) {
            sum -= file[i].n_bytes;
            t->counts.n_evicted++;
        }
    t->counts.bytes = sum;
    t->n_added = 0;
    mem_free(file);
    if (dir >= 0)
        close(dir);
}

int takes_open(const char *dir, size_t limit, struct takes **ret, struct err *e)
{
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make the directory %s: %s", dir, strerror(errno));
    if (access(dir, R_OK | W_OK | X_OK) < 0)
        return err_set(e, ERR_IO, "cannot keep takes in %s: %s", dir, strerror(errno));
    if (strlen(dir) + TAKES_NAME + 64 > PATH_MAX)
        return err_set(e, ERR_ARGUMENT, "the path of the directory of takes is too long");
    struct takes *t = mem_try(1, sizeof *t);
    if (!t || !(t->dir = mem_strndup(dir, PATH_MAX))) {
        mem_free(t);
        return err_set(e, ERR_MEMORY, "out of memory for a directory of takes");
    }
    t->limit = limit;
    pthread_mutex_init(&t->lock, NULL);
    takes_look(t);
    *ret = t;
    return 0;
}

void takes_close(struct takes *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    mem_free(t->dir);
    mem_free(t);
}

void takes_count(struct takes *t, struct takes_counts *ret)
{
    pthread_mutex_lock(&t->lock);
    *ret = t->counts;
    pthread_mutex_unlock(&t->lock);
}

/* --- reading --- */

/* Of all but the hash itself. */
static int takes_hash(int fd, const struct take_header *head, uint8_t ret[16])
{
    struct AVMurMur3 *h = av_murmur3_alloc();
    char *part = mem_try(PART, 1);
    size_t n = (size_t)head->n_bytes;
    off_t at = sizeof *head;
    ssize_t got = h && part ? 1 : -1;
    if (h) {
        av_murmur3_init(h);
        av_murmur3_update(h, (const uint8_t *)head, offsetof(struct take_header, hash));
    }
    for (; n > 0 && got > 0; n -= got > 0 ? (size_t)got : 0, at += got) {
        got = pread(fd, part, n < PART ? n : PART, at);
        if (got > 0)
            av_murmur3_update(h, (const uint8_t *)part, (size_t)got);
    }
    if (h)
        av_murmur3_final(h, ret);
    av_free(h);
    mem_free(part);
    return n == 0 && got > 0 ? 0 : -1;
}

static bool takes_is_sound(int fd, const char *name, struct stored_take *ret)
{
    struct take_header h;
    struct stat st;
    uint8_t hash[16];
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof h ||
        pread(fd, &h, sizeof h, 0) != sizeof h || memcmp(h.magic, MAGIC, sizeof h.magic) != 0 ||
        h.version != VERSION || memcmp(h.name, name, sizeof h.name) != 0 ||
        h.n_bytes != (uint64_t)st.st_size - sizeof h || !memchr(h.type, 0, sizeof h.type) ||
        takes_hash(fd, &h, hash) < 0 || memcmp(h.hash, hash, sizeof hash) != 0)
        return false;
    *ret = (struct stored_take){.fd = fd, .offset = sizeof h, .n_bytes = (size_t)h.n_bytes};
    memcpy(ret->type, h.type, sizeof ret->type);
    return true;
}

bool takes_find(struct takes *t, const char *name, struct stored_take *ret)
{
    char path[PATH_MAX];
    takes_path(t, name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool found = fd >= 0 && takes_is_sound(fd, name, ret);
    if (found)
        futimens(fd, NULL); /* used now; no matter if it cannot be said */
    else if (fd >= 0) {
        unlink(path);
        close(fd);
    }
    pthread_mutex_lock(&t->lock);
    t->counts.n_hit += found;
    t->counts.n_miss += !found;
    t->counts.n_lost += fd >= 0 && !found;
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* --- writing --- */

struct take_writer *takes_begin(struct takes *t, const char *name, const char *type)
{
    struct take_writer *w = mem_try(1, sizeof *w);
    if (!w)
        return NULL;
    w->takes = t;
    w->header.version = VERSION;
    memcpy(w->header.magic, MAGIC, sizeof w->header.magic);
    memcpy(w->header.name, name, TAKES_NAME);
    snprintf(w->header.type, sizeof w->header.type, "%s", type);
    pthread_mutex_lock(&t->lock);
    unsigned serial = t->serial++;
    pthread_mutex_unlock(&t->lock);
    takes_path(t, name, w->path);
    size_t n = strlen(w->path);
    snprintf(w->path + n, sizeof w->path - n, ".%ld-%u", (long)getpid(), serial);
    w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    w->failed = w->fd < 0 || flock(w->fd, LOCK_EX | LOCK_NB) < 0 ||
                lseek(w->fd, sizeof w->header, SEEK_SET) < 0;
    return w;
}

void takes_write(struct take_writer *w, const void *data, size_t n)
{
    if (!w || w->failed)
        return;
    w->failed = w->header.n_bytes + n + sizeof w->header > w->takes->limit;
    for (size_t done = 0; done < n && !w->failed;) {
        ssize_t more = write(w->fd, (const char *)data + done, n - done);
        done += more > 0 ? (size_t)more : 0;
        w->failed = more <= 0 && errno != EINTR;
    }
    w->header.n_bytes += n;
}

static void takes_free_writer(struct take_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    mem_free(w);
}

bool takes_end(struct take_writer *w, const void *head, size_t n_head)
{
    char path[PATH_MAX], name[TAKES_NAME + 1] = "";
    if (!w)
        return false;
    struct takes *t = w->takes;
    struct take_header *h = &w->header;
    size_t n = sizeof *h + (size_t)h->n_bytes;
    memcpy(name, h->name, TAKES_NAME);
    takes_path(t, name, path);
    bool kept = !w->failed && n_head <= h->n_bytes &&
                pwrite(w->fd, head, n_head, sizeof *h) == (ssize_t)n_head &&
                takes_hash(w->fd, h, h->hash) == 0 && pwrite(w->fd, h, sizeof *h, 0) == sizeof *h &&
                rename(w->path, path) == 0;
    if (!kept && w->fd >= 0)
        unlink(w->path);
    takes_free_writer(w);
    pthread_mutex_lock(&t->lock);
    t->counts.n_kept += kept;
    t->counts.n_lost += !kept;
    t->counts.bytes += kept ? n : 0;
    t->n_added += kept ? n : 0;
    if (t->counts.bytes > t->limit || t->n_added > t->limit / 16)
        takes_look(t);
    pthread_mutex_unlock(&t->lock);
    return kept;
}

void takes_drop(struct take_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        unlink(w->path);
    takes_free_writer(w);
}
