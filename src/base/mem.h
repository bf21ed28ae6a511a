/* mem.h - memory with three lifetimes.
 *
 * mem_alloc and friends abort when memory is out: for small, fixed sizes.  Any size that came
 * from input, and everything on the load path, uses mem_try, which returns NULL.  An arena holds
 * what dies together: a model's packed weights, a request's strings.
 *
 * Threads: the plain functions any; an arena belongs to one thread at a time. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stdbool.h>
#include <stddef.h>

void *mem_alloc(size_t n_bytes);      /* zeroed; aborts when out of memory */
void *mem_try(size_t n, size_t size); /* zeroed n * size bytes, or NULL (also on overflow) */
void *mem_grow(void *p, size_t n, size_t size); /* realloc to n * size; NULL: p is still valid */
char *mem_strdup(const char *s);                /* aborts when out of memory */
char *mem_strndup(const char *s, size_t n);     /* at most n bytes of s, NUL added; may be NULL */
void mem_free(void *p);                         /* NULL is fine */

/* Arena: bump allocation from large chunks, huge pages where the system has them, all freed at
 * once.  Pages are only backed when touched. */
struct mem_arena;
struct mem_arena *mem_arena_new(size_t chunk_bytes);        /* NULL when out of memory */
void *mem_arena_alloc(struct mem_arena *a, size_t n_bytes); /* zeroed, 64-byte aligned, or NULL */
/* Many arrays with one check behind them: n * size bytes as above; what fails (a NULL too) makes
 * mem_arena_failed true for good. */
void *mem_arena_array(struct mem_arena *a, size_t n, size_t size);
bool mem_arena_failed(const struct mem_arena *a);
void mem_arena_free(struct mem_arena *a);

/* One large zeroed block, page aligned, backed lazily (KV caches); NULL when out of memory. */
void *mem_pages_new(size_t n_bytes);
void mem_pages_free(void *p, size_t n_bytes);
void mem_pages_drop(void *p, size_t n_bytes); /* give the backing back; reads as zero again */

/* Resident bytes of this process, and in *whole (may be NULL) those of its address space; 0 where
 * the system does not tell. */
size_t mem_process_bytes(size_t *whole);

#endif
