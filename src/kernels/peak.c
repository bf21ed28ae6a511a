/* peak.c - the machine's highest rates, which those of whole models are compared with. */
#include <string.h>
#include <time.h>

#include "kernels/ops.h"

#define PEAK_BYTES  ((size_t)256 << 20) /* beyond any cache that two cores get to themselves */
#define PEAK_TASK   ((size_t)1 << 20)
#define PEAK_ROUNDS 200000 /* of products in a task: some milliseconds */
#define PEAK_RUNS   5

struct peak_job {
    const struct kern_ops *ops;
    const uint64_t *memory;
    double products[POOL_MAX_THREADS];
    uint64_t sink[POOL_MAX_THREADS];
};

static void peak_products(void *arg, int i, int i_thread)
{
    struct peak_job *j = arg;
    (void)i;
    j->products[i_thread] += (double)j->ops->peak(PEAK_ROUNDS);
}

static void peak_read(void *arg, int i, int i_thread)
{
    struct peak_job *j = arg;
    size_t n = PEAK_TASK / sizeof *j->memory;
    const uint64_t *p = j->memory + (size_t)i * n;
    uint64_t sum[8] = {0};
    for (size_t k = 0; k < n; k += 8)
        for (int l = 0; l < 8; l++)
            sum[l] ^= p[k + (size_t)l];
    for (int l = 0; l < 8; l++)
        j->sink[i_thread] ^= sum[l];
}

static double peak_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int kern_exec_peak(struct kern_exec *x, struct kern_peak *ret, struct err *e)
{
    struct pool *pool = kern_exec_pool(x);
    struct peak_job j = {.ops = kern_exec_ops(x)};
    /* An arena, since weights are in one, too: small pages cost a third of the rate. */
    struct mem_arena *arena = mem_arena_new(PEAK_BYTES);
    char *memory = arena ? mem_arena_alloc(arena, PEAK_BYTES) : NULL;
    if (!memory) {
        mem_arena_free(arena);
        return err_set(e, ERR_MEMORY, "out of memory for measuring it: 256 MB are needed");
    }
    memset(memory, 1, PEAK_BYTES);
    j.memory = (const uint64_t *)(const void *)memory;
    *ret = (struct kern_peak){0};
    for (int i = 0; i < PEAK_RUNS; i++) { /* the best of them */
        double begin = peak_now(), products = 0;
        memset(j.products, 0, sizeof j.products);
        pool_run(pool, peak_products, &j, pool_threads(pool) * 2);
        for (int t = 0; t < pool_threads(pool); t++)
            products += j.products[t];
        products /= peak_now() - begin;
        ret->products = products > ret->products ? products : ret->products;
        begin = peak_now();
        pool_run(pool, peak_read, &j, (int)(PEAK_BYTES / PEAK_TASK));
        double bytes = (double)PEAK_BYTES / (peak_now() - begin);
        ret->bytes = bytes > ret->bytes ? bytes : ret->bytes;
    }
    mem_arena_free(arena);
    return 0;
}
