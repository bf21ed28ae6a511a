#include "engine/dual_ar/prefix_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libavutil/mem.h>
#include <libavutil/murmur3.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define MAGIC "JBRTTSKV"
#define PAGE  4096
#define PART  ((size_t)1 << 20) /* bytes hashed between two reads */

static size_t prefix_file_columns_bytes(const struct prompt *p)
{
    return (size_t)p->n_prefix * (1 + (size_t)p->n_codebook) * sizeof *p->columns;
}

/* --- hashes --- */

struct part {
    const void *data;
    size_t n;
};

static int prefix_file_hash(const struct part *parts, int n, uint8_t out[16], struct err *e)
{
    struct AVMurMur3 *h = av_murmur3_alloc();
    if (!h)
        return err_set(e, ERR_MEMORY, "out of memory for a hash");
    av_murmur3_init(h);
    for (int i = 0; i < n; i++)
        av_murmur3_update(h, parts[i].data, parts[i].n);
    av_murmur3_final(h, out);
    av_free(h);
    return 0;
}

int prefix_identify(const struct prefix_options *o, struct prefix_identity *ret, struct err *e)
{
    struct AVMurMur3 *h = av_murmur3_alloc();
    uint8_t *part = mem_try(PART, 1);
    FILE *f = fopen(o->model, "rb");
    size_t n;
    int rc = 0;
    memset(ret, 0, sizeof *ret);
    snprintf(ret->program, sizeof ret->program, "%s %s %s", JABBERTTS_VERSION, o->isa, o->cache);
    if (!h || !part)
        rc = err_set(e, ERR_MEMORY, "out of memory for a hash");
    else if (!f)
        rc = err_set(e, ERR_IO, "cannot open %s: %s", o->model, strerror(errno));
    if (rc == 0) {
        av_murmur3_init(h);
        while ((n = fread(part, 1, PART, f)) > 0)
            av_murmur3_update(h, part, n);
        av_murmur3_final(h, ret->model);
        if (ferror(f))
            rc = err_set(e, ERR_IO, "cannot read %s: %s", o->model, strerror(errno));
    }
    if (f)
        fclose(f);
    av_free(h);
    mem_free(part);
    return rc;
}

static int prefix_file_file_name(const char *dir, const struct prefix_key *k, char *path,
                                 struct err *e)
{
    uint8_t hash[16];
    char hex[33];
    struct part parts[] = {{k->identity, sizeof *k->identity},
                           {k->prompt->columns, prefix_file_columns_bytes(k->prompt)}};
    int rc = prefix_file_hash(parts, 2, hash, e);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    if (rc == 0 && snprintf(path, PATH_MAX, "%s/%s.kv", dir, hex) >= PATH_MAX)
        rc = err_set(e, ERR_ARGUMENT, "the path of the prefix directory is too long");
    return rc;
}

/* --- reading --- */

int prefix_file_check(const void *data, size_t n, const struct prefix_key *k, const void **kv,
                      struct err *e)
{
    const struct prompt *p = k->prompt;
    size_t n_kv = k->n_kv;
    struct prefix_header h;
    uint8_t sum[16];
    size_t columns = prefix_file_columns_bytes(p),
           offset = (sizeof h + columns + PAGE - 1) / PAGE * PAGE;
    if (n < sizeof h || (memcpy(&h, data, sizeof h), memcmp(h.magic, MAGIC, sizeof h.magic)))
        return err_set(e, ERR_FORMAT, "not a file of the prefix cache");
    if (h.version != PREFIX_FILE_VERSION || memcmp(&h.identity, k->identity, sizeof h.identity))
        return err_set(e, ERR_UNSUPPORTED,
                       "made for another model, version, instruction set or type of "
                       "keys and values");
    if (h.n_column != (uint32_t)p->n_prefix || h.width != 1 + (uint32_t)p->n_codebook ||
        h.kv_offset != offset || h.kv_bytes != n_kv || n_kv > SIZE_MAX - offset ||
        n != offset + n_kv)
        return err_set(e, ERR_FORMAT, "a file of %zu bytes does not hold %d columns in %zu bytes",
                       n, p->n_prefix, n_kv);
    if (memcmp((const char *)data + sizeof h, p->columns, columns))
        return err_set(e, ERR_FORMAT, "another prompt's");
    struct part part = {(const char *)data + offset, n_kv};
    int rc = prefix_file_hash(&part, 1, sum, e);
    if (rc == 0 && memcmp(sum, h.kv_hash, sizeof sum))
        rc = err_set(e, ERR_FORMAT, "damaged: the hash of its contents is another");
    if (rc == 0)
        *kv = part.data;
    return rc;
}

int prefix_file_read(const char *dir, const struct prefix_key *k, struct prefix_pages *ret,
                     struct err *e)
{
    char path[PATH_MAX];
    struct stat st;
    const void *kv = NULL;
    int rc = prefix_file_file_name(dir, k, path, e);
    if (rc < 0)
        return rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                       strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0) {
        close(fd);
        return err_set(e, ERR_FORMAT, "%s is not a file of the prefix cache", path);
    }
    futimens(fd, NULL); /* the least recently used go first; a failure does not matter */
    size_t n = (size_t)st.st_size, got = 0;
    char *data = n <= PREFIX_DIR_BYTES ? mem_pages_new(n) : NULL;
    for (ssize_t more = 1; data && got < n && more > 0; got += more > 0 ? (size_t)more : 0)
        more = read(fd, data + got, n - got);
    close(fd);
    rc = data && got == n ? prefix_file_check(data, n, k, &kv, e)
                          : err_set(e, ERR_IO, "cannot read its %zu bytes", n);
    if (rc < 0) {
        mem_pages_free(data, n);
        return err_wrap(e, "%s", path);
    }
    *ret = (struct prefix_pages){data, n, kv};
    return 0;
}

/* --- writing --- */

/* The sizes of all *.kv files, and the path of the one that was used least recently. */
static size_t look_around(const char *dir, char *oldest)
{
    char path[PATH_MAX];
    struct stat st;
    struct timespec least = {0, 0};
    size_t total = 0;
    DIR *d = opendir(dir);
    *oldest = 0;
    for (struct dirent *f; d && (f = readdir(d));) {
        size_t n = strlen(f->d_name);
        if (n < 3 || strcmp(f->d_name + n - 3, ".kv") ||
            snprintf(path, sizeof path, "%s/%s", dir, f->d_name) >= (int)sizeof path ||
            lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        total += (size_t)st.st_size;
        bool older = st.st_mtim.tv_sec < least.tv_sec ||
                     (st.st_mtim.tv_sec == least.tv_sec && st.st_mtim.tv_nsec < least.tv_nsec);
        if (!*oldest || older) {
            least = st.st_mtim;
            memcpy(oldest, path, sizeof path);
        }
    }
    if (d)
        closedir(d);
    return total;
}

static void prefix_file_make_room(const char *dir, size_t n_bytes)
{
    char oldest[PATH_MAX];
    while (look_around(dir, oldest) + n_bytes > PREFIX_DIR_BYTES && *oldest && unlink(oldest) == 0)
        ;
}

static int write_parts(FILE *f, const struct prefix_header *h, const struct prompt *p,
                       const void *kv)
{
    static const char zero[PAGE];
    size_t columns = prefix_file_columns_bytes(p), gap = (size_t)h->kv_offset - sizeof *h - columns;
    bool ok = fwrite(h, sizeof *h, 1, f) == 1 && fwrite(p->columns, 1, columns, f) == columns &&
              fwrite(zero, 1, gap, f) == gap && fwrite(kv, 1, h->kv_bytes, f) == h->kv_bytes;
    return ok && fflush(f) == 0 ? 0 : -1;
}

int prefix_file_write(const char *dir, const struct prefix_key *k, const void *kv, struct err *e)
{
    const struct prompt *p = k->prompt;
    size_t n_kv = k->n_kv;
    char path[PATH_MAX], temporary[PATH_MAX + 32];
    struct prefix_header h = {.version = PREFIX_FILE_VERSION,
                              .n_column = (uint32_t)p->n_prefix,
                              .width = 1 + (uint32_t)p->n_codebook,
                              .kv_bytes = n_kv,
                              .identity = *k->identity};
    struct part part = {kv, n_kv};
    int rc;
    memcpy(h.magic, MAGIC, sizeof h.magic);
    h.kv_offset = (sizeof h + prefix_file_columns_bytes(p) + PAGE - 1) / PAGE * PAGE;
    if ((rc = prefix_file_file_name(dir, k, path, e)) < 0 ||
        (rc = prefix_file_hash(&part, 1, h.kv_hash, e)) < 0)
        return rc;
    if (h.kv_offset + n_kv > PREFIX_DIR_BYTES)
        return err_set(e, ERR_LIMIT, "a prefix of %zu bytes, the directory's limit is %zu", n_kv,
                       PREFIX_DIR_BYTES);
    prefix_file_make_room(dir, (size_t)h.kv_offset + n_kv);
    snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    bool bad = !f || write_parts(f, &h, p, kv) < 0;
    bad |= f && fclose(f) != 0;
    if (bad || rename(temporary, path) != 0) {
        rc = err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno));
        if (fd >= 0)
            unlink(temporary);
    }
    return rc;
}
