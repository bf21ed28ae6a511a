/* pool.h - parallel for over a fixed set of threads.
 *
 * pool_run calls task(arg, i, thread) once for every i in [0, n_task) and returns when all are
 * done; the calling thread works too.  Tasks are handed out in order but run on any thread, so a
 * task must write only what belongs to its i.  thread in [0, pool_threads) picks scratch memory.
 * Waiting spins for a bounded time, then sleeps; it is for tasks, so a thread that another program keeps
 * from its core delays a run by no more than the task it holds.
 *
 * Threads: one thread at a time may call pool_run; tasks must not. */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include "base/err.h"

#define POOL_MAX_THREADS 256

typedef void (*pool_task)(void *arg, int i_task, int i_thread);

struct pool;
/* n_thread in [1, POOL_MAX_THREADS]; 0 = one per physical core this process may use. */
int pool_new(int n_thread, struct pool **ret, struct err *e);
void pool_free(struct pool *p);
int pool_threads(const struct pool *p);
void pool_run(struct pool *p, pool_task task, void *arg, int n_task);

#endif
