/* pool.c - threads take task numbers from one atomic ticket.
 *
 * ticket = generation << 32 | next task.  A run writes its task, argument and count into the one of
 * two descriptors that its generation picks, then publishes the ticket.  A thread reads the
 * descriptor and claims a task by compare-and-swap: if that succeeds the generation has not moved
 * on, so what it read was whole (a descriptor is only written again two generations later).  The
 * caller waits for the tasks, not for the threads: one that the system does not run delays nothing.
 *
 * The owner's runs and the job's are two lanes, each with its own ticket. */
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

#define SPIN_NS 200000 /* polling before sleeping: longer than the gaps between a frame's runs */

struct worker {
    struct pool *pool;
    pthread_t thread;
    int index;
};

struct run {
    _Atomic(pool_task) task;
    _Atomic(void *) arg;
    atomic_uint n_task;
};

struct lane { /* cache lines of their own for what all threads write */
    struct run runs[2];
    char apart1[64];
    _Atomic uint64_t ticket;
    char apart2[64];
    atomic_uint n_done;
    char apart3[64];
    atomic_bool caller_sleeps;
    pthread_cond_t done;
};

enum { OWNER, JOB, N_LANE };
enum job_state { NO_JOB, JOB_WAITS, JOB_RUNS };

struct pool {
    int n_thread, n_started;
    struct worker *workers; /* [n_thread - 1] */
    bool spin;
    struct lane lane[N_LANE];
    void (*job)(void *arg);
    void *job_arg;
    atomic_int job_state;
    atomic_bool stop;
    atomic_int sleepers;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

/* Number of the thread that runs a job, on that thread; else -1. */
static _Thread_local int job_thread = -1;

/* --- cores --- */

static long pool_read_number(const char *format, int cpu)
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
            long c = pool_read_number(core, cpu), k = pool_read_number(package, cpu);
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

static bool has_task(struct lane *l)
{
    uint64_t t = atomic_load(&l->ticket);
    return (uint32_t)t < atomic_load(&l->runs[t >> 32 & 1].n_task);
}

/* One task of a lane; false when none is left.  The last one done wakes the caller. */
static bool take_task(struct pool *p, struct lane *l, int i_thread)
{
    uint64_t t = atomic_load(&l->ticket);
    for (;;) {
        struct run *r = &l->runs[t >> 32 & 1];
        uint32_t i = (uint32_t)t, n = atomic_load(&r->n_task);
        pool_task task = atomic_load(&r->task);
        void *arg = atomic_load(&r->arg);
        if (i >= n)
            return false;
        if (!atomic_compare_exchange_weak(&l->ticket, &t, t + 1))
            continue;
        task(arg, (int)i, i_thread);
        if (atomic_fetch_add(&l->n_done, 1) + 1 == n && atomic_load(&l->caller_sleeps)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&l->done);
            pthread_mutex_unlock(&p->lock);
        }
        return true;
    }
}

static void wake_sleepers(struct pool *p)
{
    if (atomic_load(&p->sleepers) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

/* The job, if no thread has taken it yet. */
static bool take_job(struct pool *p, int i_thread)
{
    int waits = JOB_WAITS;
    if (atomic_load(&p->job_state) != JOB_WAITS ||
        !atomic_compare_exchange_strong(&p->job_state, &waits, JOB_RUNS))
        return false;
    job_thread = i_thread;
    p->job(p->job_arg);
    job_thread = -1;
    atomic_store(&p->job_state, NO_JOB);
    wake_sleepers(p);
    return true;
}

/* --- waiting --- */

/* The condition that a thread waits for: work, or for the owner the end of the job.
 */
typedef bool (*awaited)(struct pool *p);

static bool worker_news(struct pool *p)
{
    return has_task(&p->lane[OWNER]) || has_task(&p->lane[JOB]) ||
           atomic_load(&p->job_state) == JOB_WAITS || atomic_load(&p->stop);
}

static bool owner_news(struct pool *p)
{
    return has_task(&p->lane[JOB]) || atomic_load(&p->job_state) != JOB_RUNS;
}

static bool is_done(const struct lane *l, uint32_t n)
{
    return atomic_load(&l->n_done) == n;
}

/* Polls for SPIN_NS until what(p) is true, or with a lane until its n tasks are done; returns
 * whether that happened. */
static bool spin(struct pool *p, awaited what, const struct lane *l, uint32_t n)
{
    int64_t end = 0;
    do {
        for (int i = 0; i < 64; i++) {
            if (l ? is_done(l, n) : what(p))
                return true;
            if (!p->spin)
                return false;
            relax();
        }
        if (end == 0)
            end = now_ns() + SPIN_NS;
    } while (now_ns() < end);
    return false;
}

static void wait_for(struct pool *p, awaited what)
{
    if (spin(p, what, NULL, 0))
        return;
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (!what(p))
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

static void wait_done(struct pool *p, struct lane *l, uint32_t n)
{
    if (spin(p, NULL, l, n))
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&l->caller_sleeps, true);
    while (!is_done(l, n))
        pthread_cond_wait(&l->done, &p->lock);
    atomic_store(&l->caller_sleeps, false);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    for (;;) {
        wait_for(p, worker_news);
        if (atomic_load(&p->stop))
            return NULL;
        while (take_job(p, w->index) || take_task(p, &p->lane[OWNER], w->index) ||
               take_task(p, &p->lane[JOB], w->index))
            ;
    }
}

/* --- public --- */

int pool_default_threads(void)
{
    int cores = physical_cores();
    return cores > POOL_MAX_THREADS ? POOL_MAX_THREADS : cores;
}

int pool_new(int n_thread, struct pool **ret, struct err *e)
{
    int cores = physical_cores();
    if (n_thread == 0)
        n_thread = pool_default_threads();
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
    p->spin = n_thread <= cores; /* else polling takes time from threads that work */
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (int i = 0; i < N_LANE; i++)
        pthread_cond_init(&p->lane[i].done, NULL);
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
    pool_finish(p);
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_started; i++)
        pthread_join(p->workers[i].thread, NULL);
    for (int i = 0; i < N_LANE; i++)
        pthread_cond_destroy(&p->lane[i].done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->workers);
    mem_free(p);
}

int pool_threads(const struct pool *p)
{
    return p->n_thread;
}

void pool_run(struct pool *p, pool_task task, void *arg, int n_task)
{
    struct lane *l = &p->lane[job_thread < 0 ? OWNER : JOB];
    int i_thread = job_thread < 0 ? 0 : job_thread;
    if (p->n_thread == 1 || n_task <= 1) {
        for (int i = 0; i < n_task; i++)
            task(arg, i, i_thread);
        return;
    }
    uint32_t generation = (uint32_t)(atomic_load(&l->ticket) >> 32) + 1;
    struct run *r = &l->runs[generation & 1];
    atomic_store(&r->task, task);
    atomic_store(&r->arg, arg);
    atomic_store(&r->n_task, (unsigned)n_task);
    atomic_store(&l->n_done, 0);
    atomic_store(&l->ticket, (uint64_t)generation << 32);
    wake_sleepers(p);
    while (take_task(p, l, i_thread))
        ;
    wait_done(p, l, (uint32_t)n_task);
}

void pool_start(struct pool *p, void (*job)(void *arg), void *arg)
{
    if (p->n_thread == 1) {
        job(arg);
        return;
    }
    p->job = job;
    p->job_arg = arg;
    atomic_store(&p->job_state, JOB_WAITS);
    wake_sleepers(p);
}

bool pool_busy(const struct pool *p)
{
    return atomic_load(&p->job_state) != NO_JOB;
}

void pool_finish(struct pool *p)
{
    while (pool_busy(p)) {
        while (take_job(p, 0) || take_task(p, &p->lane[JOB], 0))
            ;
        if (pool_busy(p))
            wait_for(p, owner_news);
    }
}
