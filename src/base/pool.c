/* pool.c - threads take task numbers from one atomic ticket.
 *
 * ticket = generation << 32 | next task.  A run writes its task, argument and count into the one of
 * two descriptors that its generation picks, then publishes the ticket.  A thread reads the
 * descriptor and claims a task by compare-and-swap: if that succeeds the generation has not moved on,
 * so what it read was whole (a descriptor is only written again two generations later).  The caller
 * waits for the tasks, not for the threads: one that the system has put aside holds nobody up. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define SPIN_NS 200000 /* looking before sleeping: longer than the gaps between the runs of a frame */

struct worker { struct pool *pool; pthread_t thread; int index; };

struct run { _Atomic(pool_task) task; _Atomic(void *) arg; atomic_uint n_task; };

struct pool {
    int n_thread, n_started;
    struct worker *workers; /* [n_thread - 1] */
    bool spin;
    struct run runs[2];
    char apart1[64]; /* cache lines of their own for what all threads write */
    _Atomic uint64_t ticket;
    char apart2[64];
    atomic_uint n_done;
    char apart3[64];
    atomic_bool stop, caller_sleeps;
    atomic_int sleepers;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
};

/* --- cores --- */

static long read_number(const char *format, int cpu)
{
    char path[96];
    long v = -1;
    snprintf(path, sizeof path, format, cpu);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%ld", &v) != 1)
        v = -1;
    if (f)
        fclose(f);
    return v;
}

/* Cores' worth of time that a container's limit leaves; 0 without a limit. */
static int quota_cores(void)
{
    long quota = 0, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (f && fscanf(f, "%ld %ld", &quota, &period) != 2) /* "max": no limit */
        period = 0;
    if (f)
        fclose(f);
    return period > 0 && quota > 0 ? (int)((quota + period - 1) / period) : 0;
}

/* Physical cores this process may use: two hardware threads of one core share what kernels need. */
static int physical_cores(void)
{
    static const char core[] = "/sys/devices/system/cpu/cpu%d/topology/core_id";
    static const char package[] = "/sys/devices/system/cpu/cpu%d/topology/physical_package_id";
    long seen[CPU_SETSIZE][2];
    cpu_set_t set;
    int n = 0, quota = quota_cores();
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    else
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &set))
                continue;
            long c = read_number(core, cpu), k = read_number(package, cpu);
            bool known = false;
            for (int i = 0; i < n && c >= 0; i++)
                known |= seen[i][0] == c && seen[i][1] == k;
            if (!known) {
                seen[n][0] = c;
                seen[n++][1] = k;
            }
        }
    if (quota > 0 && n > quota)
        n = quota;
    return n < 1 ? 1 : n;
}

/* --- runs --- */

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Tasks of one generation until none is left.  The last one done wakes the caller. */
static void take_tasks(struct pool *p, uint32_t generation, int i_thread)
{
    struct run *r = &p->runs[generation & 1];
    uint64_t t = atomic_load(&p->ticket);
    for (;;) {
        uint32_t i = (uint32_t)t, n = atomic_load(&r->n_task);
        pool_task task = atomic_load(&r->task);
        void *arg = atomic_load(&r->arg);
        if (t >> 32 != generation || i >= n)
            return;
        if (!atomic_compare_exchange_weak(&p->ticket, &t, t + 1))
            continue;
        task(arg, (int)i, i_thread);
        if (atomic_fetch_add(&p->n_done, 1) + 1 == n && atomic_load(&p->caller_sleeps)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
        t = atomic_load(&p->ticket);
    }
}

static bool is_news(struct pool *p, uint32_t seen)
{
    return (uint32_t)(atomic_load(&p->ticket) >> 32) != seen || atomic_load(&p->stop);
}

static bool is_done(struct pool *p, uint32_t n)
{
    return atomic_load(&p->n_done) == n;
}

/* Look at what(p, value) for SPIN_NS; false when it stayed false. */
static bool spin(struct pool *p, bool (*what)(struct pool *, uint32_t), uint32_t value)
{
    if (what(p, value))
        return true;
    if (!p->spin)
        return false;
    int64_t end = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 64; i++) {
            if (what(p, value))
                return true;
            relax();
        }
    } while (now_ns() < end);
    return false;
}

/* Wait for a generation other than seen. */
static uint32_t wait_generation(struct pool *p, uint32_t seen)
{
    if (!spin(p, is_news, seen)) {
        pthread_mutex_lock(&p->lock);
        atomic_fetch_add(&p->sleepers, 1);
        while (!is_news(p, seen))
            pthread_cond_wait(&p->wake, &p->lock);
        atomic_fetch_sub(&p->sleepers, 1);
        pthread_mutex_unlock(&p->lock);
    }
    return (uint32_t)(atomic_load(&p->ticket) >> 32);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    uint32_t seen = 0;
    for (;;) {
        seen = wait_generation(p, seen);
        if (atomic_load(&p->stop))
            return NULL;
        take_tasks(p, seen, w->index);
    }
}

int pool_new(int n_thread, struct pool **ret, struct err *e)
{
    int cores = physical_cores();
    if (n_thread == 0)
        n_thread = cores > POOL_MAX_THREADS ? POOL_MAX_THREADS : cores;
    if (n_thread < 1 || n_thread > POOL_MAX_THREADS)
        return err_set(e, ERR_ARGUMENT, "threads is %d, must be 1 to %d", n_thread,
                       POOL_MAX_THREADS);
    struct pool *p = mem_try(1, sizeof *p);
    struct worker *workers = mem_try((size_t)n_thread, sizeof *workers);
    if (!p || !workers) {
        mem_free(p);
        mem_free(workers);
        return err_set(e, ERR_MEMORY, "out of memory for %d threads", n_thread);
    }
    p->n_thread = n_thread;
    p->workers = workers;
    p->spin = n_thread <= cores; /* with too few cores spinning keeps others from working */
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int i = 0; i < n_thread - 1; i++) {
        workers[i] = (struct worker){.pool = p, .index = i + 1};
        int rc = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        if (rc != 0) {
            pool_free(p);
            return err_set(e, ERR_IO, "cannot start thread %d: %s", i + 1, strerror(rc));
        }
        p->n_started++;
    }
    *ret = p;
    return 0;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_started; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->workers);
    mem_free(p);
}

int pool_threads(const struct pool *p)
{
    return p->n_thread;
}

static void wait_done(struct pool *p, uint32_t n)
{
    if (spin(p, is_done, n))
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_sleeps, true);
    while (!is_done(p, n))
        pthread_cond_wait(&p->done, &p->lock);
    atomic_store(&p->caller_sleeps, false);
    pthread_mutex_unlock(&p->lock);
}

void pool_run(struct pool *p, pool_task task, void *arg, int n_task)
{
    if (p->n_thread == 1 || n_task <= 1) {
        for (int i = 0; i < n_task; i++)
            task(arg, i, 0);
        return;
    }
    uint32_t generation = (uint32_t)(atomic_load(&p->ticket) >> 32) + 1;
    struct run *r = &p->runs[generation & 1];
    atomic_store(&r->task, task);
    atomic_store(&r->arg, arg);
    atomic_store(&r->n_task, (unsigned)n_task);
    atomic_store(&p->n_done, 0);
    atomic_store(&p->ticket, (uint64_t)generation << 32);
    if (atomic_load(&p->sleepers) > 0) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
    }
    take_tasks(p, generation, 0);
    wait_done(p, (uint32_t)n_task);
}
