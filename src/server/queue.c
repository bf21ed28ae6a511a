#include "server/queue.h"

#include <string.h>

#include "server/daemon.h"

/* The next request whose turn it is; blocking ones leave half of the threads to streams.
 * With the queue's lock held. */
static struct request *queue_take(struct queue *q)
{
    struct request *before = NULL, *r = q->first;
    while (r && r->route->kind == ROUTE_WORK && q->n_blocking >= q->max_blocking) {
        before = r;
        r = r->next;
    }
    if (!r)
        return NULL;
    if (before)
        before->next = r->next;
    else
        q->first = r->next;
    if (q->last == r)
        q->last = before;
    q->n_blocking += r->route->kind == ROUTE_WORK;
    return r;
}

/* Run r's handler; afterwards it is free for the next call, or freed. */
static void queue_run(struct request *r)
{
    pthread_mutex_lock(&r->lock);
    r->task = TASK_RUNNING;
    r->again = false;
    pthread_mutex_unlock(&r->lock);
    r->route->run(r);
    if (r->route->kind == ROUTE_WORK)
        http_ready(r);
    pthread_mutex_lock(&r->lock);
    bool again = r->again && r->route->kind == ROUTE_STREAM, over = r->over && !again;
    /* A request that is over stays marked as running, so that a late http_schedule does not queue
     * it. */
    r->task = again ? TASK_QUEUED : over ? TASK_RUNNING : TASK_IDLE;
    pthread_mutex_unlock(&r->lock);
    if (again)
        queue_push(&r->server->queue, r);
    else if (over)
        request_free(r);
}

static void *queue_worker(void *arg)
{
    struct queue *q = arg;
    pthread_mutex_lock(&q->lock);
    for (;;) {
        struct request *r = queue_take(q);
        if (!r) {
            if (q->closing && !q->first)
                break;
            pthread_cond_wait(&q->wake, &q->lock);
            continue;
        }
        bool blocking = r->route->kind == ROUTE_WORK;
        pthread_mutex_unlock(&q->lock);
        queue_run(r);
        pthread_mutex_lock(&q->lock);
        q->n_blocking -= blocking;
        if (blocking && q->first)
            pthread_cond_signal(&q->wake);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

int queue_start(struct queue *q, int n_thread, struct err *e)
{
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, NULL);
    q->open = true;
    q->max_blocking = n_thread / 2 > 0 ? n_thread / 2 : 1;
    for (; q->n_thread < n_thread; q->n_thread++) {
        int rc = pthread_create(&q->thread[q->n_thread], NULL, queue_worker, q);
        if (rc != 0)
            return err_set(e, ERR_IO, "cannot start worker thread %d: %s", q->n_thread + 1,
                           strerror(rc));
    }
    return 0;
}

void queue_stop(struct queue *q)
{
    if (!q->open)
        return;
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->lock);
    for (int i = 0; i < q->n_thread; i++)
        pthread_join(q->thread[i], NULL);
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
}

void queue_push(struct queue *q, struct request *r)
{
    pthread_mutex_lock(&q->lock);
    r->next = NULL;
    if (q->last)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
}
