#include "hub/part.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define LINE_BYTES 128

static void part_name(const struct part *p, const char *suffix, char to[4200])
{
    snprintf(to, 4200, "%s%s", p->path, suffix);
}

int part_fail(const char *path, struct err *e)
{
    int why = errno;
    if (why == ENOSPC || why == EDQUOT || why == EFBIG)
        return err_set(e, ERR_LIMIT,
                       "the disk is full (%s: %s): make room and pull again, it goes on where it "
                       "stopped",
                       path, strerror(why));
    return err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(why));
}

static uint64_t chunk_bytes(const struct part *p, int i)
{
    uint64_t at = (uint64_t)i * PART_CHUNK;
    return p->size - at < PART_CHUNK ? p->size - at : PART_CHUNK;
}

uint64_t part_bytes(const struct part *p)
{
    uint64_t n = (uint64_t)p->n_done * PART_CHUNK;
    bool last = p->n_chunk > 0 && p->state[p->n_chunk - 1] == PART_DONE;
    return last ? n - PART_CHUNK + chunk_bytes(p, p->n_chunk - 1) : n;
}

static int part_read(const struct part *p, int i)
{
    uint64_t n = chunk_bytes(p, i), at = (uint64_t)i * PART_CHUNK;
    for (uint64_t have = 0; have < n;) {
        ssize_t got = pread(p->fd, p->block + have, n - have, (off_t)(at + have));
        if (got <= 0)
            return -1;
        have += (uint64_t)got;
    }
    return 0;
}

/* --- the journal --- */

int part_parse(const char *line, int *index, struct digest_value *sha256)
{
    char *end;
    if (*line < '0' || *line > '9')
        return -1;
    errno = 0;
    long v = strtol(line, &end, 10);
    if (errno || v > INT_MAX || *end != ' ')
        return -1;
    *index = (int)v;
    return digest_parse(end + 1, sha256) == 0 && sha256->kind == DIGEST_SHA256 ? 0 : -1;
}

static void part_head(const struct part *p, char line[LINE_BYTES])
{
    snprintf(line, LINE_BYTES, "jabbertts-part 1 %" PRIu64 " %s\n", p->size,
             p->wanted.kind == DIGEST_NONE ? "-" : p->wanted.hex);
}

/* A chunk that the journal names counts if it is in the file as it came. */
static void part_recall(struct part *p, const char *line)
{
    struct digest_value noted, found;
    struct digest d;
    int i;
    if (part_parse(line, &i, &noted) < 0 || i >= p->n_chunk || p->state[i] == PART_DONE ||
        part_read(p, i) < 0 || digest_begin(&d, DIGEST_SHA256, 0, NULL) < 0)
        return;
    digest_add(&d, p->block, chunk_bytes(p, i));
    digest_end(&d, &found);
    if (digest_same(&noted, &found)) {
        p->state[i] = PART_DONE;
        p->n_done++;
    }
}

/* *keep: bytes of the journal that stay; 0: it is another file's. */
static int part_resume(struct part *p, const char *journal, const struct digest_watch *watch,
                       long *keep, struct err *e)
{
    char line[LINE_BYTES], wanted[LINE_BYTES];
    int rc = 0;
    FILE *f = fopen(journal, "r");
    *keep = 0;
    part_head(p, wanted);
    if (!f)
        return 0;
    if (fgets(line, sizeof line, f) && !strcmp(line, wanted)) {
        *keep = ftell(f);
        while (rc == 0 && fgets(line, sizeof line, f)) {
            size_t n = strcspn(line, "\n");
            if (line[n] != '\n') /* torn */
                break;
            line[n] = 0;
            part_recall(p, line);
            *keep = ftell(f);
            if (watch && watch->step(watch->cookie, part_bytes(p)))
                rc = err_set(e, ERR_CANCELLED, "stopped");
        }
    }
    fclose(f);
    return rc;
}

static int part_note(struct part *p, const char *line, struct err *e)
{
    size_t n = strlen(line);
    return write(p->journal, line, n) == (ssize_t)n ? 0 : part_fail(p->path, e);
}

static int part_open_journal(struct part *p, const char *journal, long keep, struct err *e)
{
    char line[LINE_BYTES];
    p->journal = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (p->journal < 0 || ftruncate(p->journal, keep) < 0)
        return part_fail(journal, e);
    part_head(p, line);
    return keep ? 0 : part_note(p, line, e);
}

/* --- the whole --- */

/* Let the hash of the whole see what now lies at the front. */
static int part_advance(struct part *p, struct err *e)
{
    while (p->front < p->n_chunk && p->state[p->front] == PART_DONE) {
        if (part_read(p, p->front) < 0)
            return err_set(e, ERR_IO, "cannot read %s.part: %s", p->path, strerror(errno));
        digest_add(&p->whole, p->block, chunk_bytes(p, p->front));
        p->front++;
    }
    return 0;
}

int part_open(struct part *p, const char *path, uint64_t size, const struct digest_value *wanted,
              const struct digest_watch *watch, struct err *e)
{
    char name[4200], journal[4200];
    uint64_t n_chunk = (size + PART_CHUNK - 1) / PART_CHUNK;
    *p = (struct part){.size = size, .wanted = *wanted, .fd = -1, .journal = -1};
    if (n_chunk > 1 << 20)
        return err_set(e, ERR_LIMIT, "%s has %" PRIu64 " bytes, the limit is 4 TiB", path, size);
    snprintf(p->path, sizeof p->path, "%s", path);
    part_name(p, ".part", name);
    part_name(p, ".chunks", journal);
    p->n_chunk = (int)n_chunk;
    p->state = mem_try(n_chunk, 1);
    p->block = mem_try(PART_CHUNK, 1);
    if (!p->state || !p->block)
        return err_set(e, ERR_MEMORY, "out of memory for a download");
    p->fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (p->fd < 0)
        return part_fail(name, e);
    long keep;
    int rc = part_resume(p, journal, watch, &keep, e);
    if (rc == 0 && ftruncate(p->fd, (off_t)size) < 0)
        rc = part_fail(name, e);
    if (rc < 0 || (rc = part_open_journal(p, journal, keep, e)) < 0 ||
        (rc = digest_begin(&p->whole, wanted->kind, size, e)) < 0)
        return rc;
    return part_advance(p, e);
}

void part_close(struct part *p)
{
    digest_end(&p->whole, NULL);
    if (p->fd >= 0)
        close(p->fd);
    if (p->journal >= 0)
        close(p->journal);
    mem_free(p->state);
    mem_free(p->block);
    *p = (struct part){.fd = -1, .journal = -1};
}

int part_take(struct part *p, int max, uint64_t *first, uint64_t *end)
{
    int i = p->front, n = 0;
    while (i < p->n_chunk && p->state[i] != PART_FREE)
        i++;
    while (n < max && i + n < p->n_chunk && p->state[i + n] == PART_FREE)
        p->state[i + n++] = PART_TAKEN;
    if (n == 0)
        return -1;
    *first = (uint64_t)i * PART_CHUNK;
    *end = i + n == p->n_chunk ? p->size : (uint64_t)(i + n) * PART_CHUNK;
    return 0;
}

void part_give(struct part *p, uint64_t first, uint64_t end)
{
    for (uint64_t at = first - first % PART_CHUNK; at < end; at += PART_CHUNK)
        if (p->state[at / PART_CHUNK] == PART_TAKEN)
            p->state[at / PART_CHUNK] = PART_FREE;
}

int part_write(struct part *p, uint64_t at, const void *data, size_t n, struct err *e)
{
    const char *from = data;
    while (n > 0) {
        ssize_t put = pwrite(p->fd, from, n, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return part_fail(p->path, e);
        from += put;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

int part_chunk(struct part *p, uint64_t at, const struct digest_value *sha256, struct err *e)
{
    char line[LINE_BYTES];
    int i = (int)(at / PART_CHUNK);
    if (p->state[i] == PART_DONE)
        return 0;
    snprintf(line, sizeof line, "%d %s\n", i, sha256->hex);
    int rc = part_note(p, line, e);
    if (rc < 0)
        return rc;
    p->state[i] = PART_DONE;
    p->n_done++;
    return part_advance(p, e);
}

int part_finish(struct part *p, struct err *e)
{
    char name[4200], journal[4200];
    struct digest_value found = {0};
    part_name(p, ".part", name);
    part_name(p, ".chunks", journal);
    digest_end(&p->whole, &found);
    if (p->wanted.kind != DIGEST_NONE && !digest_same(&found, &p->wanted)) {
        unlink(name);
        unlink(journal);
        return err_set(
            e, ERR_FORMAT,
            "%s has the hash %.16s..., the hub says %.16s...: what came is damaged and was "
            "removed; pull again, and if it comes so again, look for a proxy that changes it",
            p->path, found.hex, p->wanted.hex);
    }
    if (fsync(p->fd) < 0 || rename(name, p->path) < 0)
        return part_fail(p->path, e);
    unlink(journal);
    return 0;
}
