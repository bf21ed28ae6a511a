/* pool.h - parallel for over a fixed set of threads, and one job beside it.
 *
 * pool_run calls task(arg, i, thread) once for every i in [0, n_task) and returns when all are
 * done; the calling thread works too.  Tasks are handed out in order but run on any thread, so a
 * task must write only what belongs to its i.  thread in [0, pool_threads) picks scratch memory.
 * Waiting spins for a bounded time, then sleeps; it is for tasks, so a thread that another program
 * keeps from its core delays a run by no more than the task it holds.
 *
 * pool_start gives a job to another thread of the pool while the caller goes on; the job may call
 * pool_run, too.  Threads without anything else to do serve the caller's tasks first, then the
 * job's.
 *
 *     pool_start(p, decode, chunk);
 *     pool_run(p, task, arg, n);        both go on at the same time
 *     pool_finish(p);                   works on the job's tasks until it is done
 *
 * Threads: a pool belongs to one thread, its owner, who alone calls pool_start, pool_busy and
 * pool_finish; pool_run is called by the owner and by the job, never by tasks. */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include <stdbool.h>
#include "base/err.h"

#define POOL_MAX_THREADS 256

typedef void (*pool_task)(void *arg, int i_task, int i_thread);

struct pool;
/* n_thread in [1, POOL_MAX_THREADS]; 0 = one per physical core this process may use. */
int pool_new(int n_thread, struct pool **ret, struct err *e);
int pool_default_threads(void);
void pool_free(struct pool *p);
int pool_threads(const struct pool *p);
void pool_run(struct pool *p, pool_task task, void *arg, int n_task);

/* One job at a time: not while pool_busy.  With one thread it is done when pool_start returns. */
void pool_start(struct pool *p, void (*job)(void *arg), void *arg);
bool pool_busy(const struct pool *p);
void pool_finish(struct pool *p); /* also when none was started */

#endif
