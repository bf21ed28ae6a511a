/* pool.c - workers take task numbers from one atomic counter.
 *
 * A run is published by bumping `generation`; each worker that has seen it takes tasks until none
 * is left and then counts itself out.  The caller waits until every worker has: so a slow worker can
 * never meet the next run's tasks with this run's function. */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define SPIN 20000 /* rounds of looking before sleeping: about 50 us */

struct worker { struct pool *pool; pthread_t thread; int index; };

struct pool {
    int n_thread, n_started;
    struct worker *workers; /* [n_thread - 1] */
    pool_task task;
    void *arg;
    int n_task;
    int spin;
    atomic_int next, busy;
    atomic_uint generation;
    atomic_bool stop;
    atomic_int sleepers;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void take_tasks(struct pool *p, int i_thread)
{
    int i;
    while ((i = atomic_fetch_add(&p->next, 1)) < p->n_task)
        p->task(p->arg, i, i_thread);
}

/* Wait for a generation other than seen. */
static unsigned wait_generation(struct pool *p, unsigned seen)
{
    unsigned g;
    for (int i = 0; i < p->spin; i++) {
        if ((g = atomic_load(&p->generation)) != seen || atomic_load(&p->stop))
            return g;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while ((g = atomic_load(&p->generation)) == seen && !atomic_load(&p->stop))
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
    return g;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_generation(p, seen);
        if (atomic_load(&p->stop))
            return NULL;
        take_tasks(p, w->index);
        if (atomic_fetch_sub(&p->busy, 1) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

int pool_new(int n_thread, struct pool **ret, struct err *e)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (n_thread == 0)
        n_thread = cores < 1 ? 1 : cores > POOL_MAX_THREADS ? POOL_MAX_THREADS : (int)cores;
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
    p->spin = n_thread <= cores ? SPIN : 0; /* with too few cores spinning keeps others from working */
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

static void wait_done(struct pool *p)
{
    for (int i = 0; i < p->spin; i++) {
        if (atomic_load(&p->busy) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->busy) != 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void pool_run(struct pool *p, pool_task task, void *arg, int n_task)
{
    if (p->n_thread == 1 || n_task <= 1) {
        for (int i = 0; i < n_task; i++)
            task(arg, i, 0);
        return;
    }
    p->task = task;
    p->arg = arg;
    p->n_task = n_task;
    atomic_store(&p->next, 0);
    atomic_store(&p->busy, p->n_started);
    atomic_fetch_add(&p->generation, 1);
    if (atomic_load(&p->sleepers) > 0) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
    }
    take_tasks(p, 0);
    wait_done(p);
}
