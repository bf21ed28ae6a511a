/* queue.h - the worker threads: they run the handlers that may block, one request at a time each.
 *
 *     if (queue_start(&q, 4, &e) < 0) ...
 *     queue_push(&q, r);              r's route is run soon, and again if asked for meanwhile
 *     queue_stop(&q);                 empties it first
 *
 * Threads: queue_push from any; start and stop from one. */
#ifndef SERVER_QUEUE_H
#define SERVER_QUEUE_H
#include <pthread.h>
#include <stdbool.h>
#include "base/err.h"

#define QUEUE_THREADS 64

struct request;

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct request *first, *last; /* (lock) */
    pthread_t thread[QUEUE_THREADS];
    int n_thread;       /* of thread: the starting and stopping thread's alone */
    int n_blocking;     /* (lock) ROUTE_WORK running now: */
    int max_blocking;   /* at most so many, so that streams find a thread */
    bool open, closing; /* (lock) closing */
};
int queue_start(struct queue *q, int n_thread, struct err *e);
void queue_stop(struct queue *q);
void queue_push(struct queue *q, struct request *r);

#endif
