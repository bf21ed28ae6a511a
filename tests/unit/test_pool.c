/* test_pool.c - every task runs once, whatever the threads and the gaps between runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/pool.h"
#include "base/mem_test.h"

#define N_TASK 1000

struct seen {
    int count[N_TASK]; /* written by its task only: the thread sanitizer watches that */
    atomic_int bad_thread;
    int n_thread;
};

static void count_task(void *arg, int i, int i_thread)
{
    struct seen *s = arg;
    s->count[i]++;
    if (i_thread < 0 || i_thread >= s->n_thread)
        atomic_fetch_add(&s->bad_thread, 1);
}

static void run_many(int n_thread, int n_run)
{
    struct pool *p;
    struct seen s = {.n_thread = n_thread};
    assert_int_equal(pool_new(n_thread, &p, NULL), 0);
    assert_int_equal(pool_threads(p), n_thread);
    int expect[N_TASK] = {0};
    for (int r = 0; r < n_run; r++) {
        int n = r % 7 == 0 ? 0 : r * 37 % N_TASK + 1;
        pool_run(p, count_task, &s, n);
        for (int i = 0; i < n; i++)
            expect[i]++;
        if (r % 50 == 49) /* long enough for the workers to fall asleep */
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    for (int i = 0; i < N_TASK; i++)
        assert_int_equal(s.count[i], expect[i]);
    assert_int_equal(atomic_load(&s.bad_thread), 0);
    pool_free(p);
}

static void test_each_task_once(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++)
        run_many(n, 300);
}

static void test_more_threads_than_cores(void **state)
{
    (void)state;
    run_many(33, 100);
}

static void test_unused(void **state)
{
    (void)state;
    struct pool *p;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pool_new(i % 5, &p, NULL), 0);
        assert_true(pool_threads(p) >= 1);
        pool_free(p);
    }
    pool_free(NULL);
}

/* --- a job beside runs --- */

struct beside {
    struct pool *p;
    struct seen s;
    int n_run, n_done; /* of the job's runs */
};

static void beside_job(void *arg)
{
    struct beside *b = arg;
    for (b->n_done = 0; b->n_done < b->n_run; b->n_done++)
        pool_run(b->p, count_task, &b->s, b->n_done % 3 ? N_TASK : 1);
}

static int runs_of(int n_run) /* each task but the first has a part in */
{
    return n_run - (n_run + 2) / 3;
}

static void run_beside(int n_thread)
{
    struct beside b = {.s = {.n_thread = n_thread}};
    struct seen own = {.n_thread = n_thread};
    int n_own = 0, n_all = 0, n_most = 0;
    assert_int_equal(pool_new(n_thread, &b.p, NULL), 0);
    assert_false(pool_busy(b.p));
    pool_finish(b.p);
    for (int j = 0; j < 40; j++) {
        b.n_run = j * 5 % 23;
        pool_start(b.p, beside_job, &b);
        assert_true(n_thread > 1 || !pool_busy(b.p));
        for (int r = 0; r < j % 7; r++, n_own++)
            pool_run(b.p, count_task, &own, N_TASK);
        if (j % 9 == 0) /* long enough for everybody to fall asleep */
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        pool_finish(b.p);
        assert_false(pool_busy(b.p));
        assert_int_equal(b.n_done, b.n_run);
        n_all += b.n_run;
        n_most += runs_of(b.n_run);
    }
    for (int i = 0; i < N_TASK; i++) {
        assert_int_equal(own.count[i], n_own);
        assert_int_equal(b.s.count[i], i ? n_most : n_all);
    }
    assert_int_equal(atomic_load(&b.s.bad_thread) + atomic_load(&own.bad_thread), 0);
    pool_start(b.p, beside_job, &b);
    pool_free(b.p); /* waits for it */
    assert_int_equal(b.n_done, b.n_run);
}

static void test_job_beside_runs(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++)
        run_beside(n);
}

/* --- a thread that is kept from its core --- */

static atomic_int held, let_go;
static pthread_t other; /* the worker's, once a task has run there */
static atomic_int has_other;

static void hold(int signal)
{
    (void)signal;
    atomic_store(&held, 1);
    while (!atomic_load(&let_go))
        ;
}

static void find_task(void *arg, int i, int i_thread)
{
    (void)arg;
    (void)i;
    if (i_thread == 1 && !atomic_load(&has_other)) {
        other = pthread_self();
        atomic_store(&has_other, 1);
    }
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* The signal handler stands for a scheduler that has put the worker aside, between runs: pool_run
 * must not wait for it (a pool that does hangs here, and the alarm ends the test). */
static void test_absent_thread(void **state)
{
    (void)state;
    struct pool *p;
    struct seen s = {.n_thread = 2};
    struct sigaction act = {.sa_handler = hold};
    assert_int_equal(pool_new(2, &p, NULL), 0);
    while (!atomic_load(&has_other))
        pool_run(p, find_task, NULL, 8);
    sigaction(SIGUSR1, &act, NULL);
    alarm(20);
    pthread_kill(other, SIGUSR1);
    while (!atomic_load(&held))
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    for (int r = 0; r < 10; r++)
        pool_run(p, count_task, &s, N_TASK);
    atomic_store(&let_go, 1);
    for (int r = 0; r < 10; r++)
        pool_run(p, count_task, &s, N_TASK);
    alarm(0);
    for (int i = 0; i < N_TASK; i++)
        assert_int_equal(s.count[i], 20);
    pool_free(p);
}

/* Nothing to do costs nothing: the threads sleep. */
static void test_idle(void **state)
{
    (void)state;
    struct pool *p;
    struct seen s = {.n_thread = 2};
    assert_int_equal(pool_new(2, &p, NULL), 0);
    pool_run(p, count_task, &s, N_TASK);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    clock_t start = clock();
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 0.02); /* a tenth of the time */
    pool_free(p);
}

static void test_arguments(void **state)
{
    (void)state;
    struct pool *p = NULL;
    struct err e = {0};
    assert_int_equal(pool_new(-1, &p, &e), ERR_ARGUMENT);
    assert_int_equal(pool_new(POOL_MAX_THREADS + 1, &p, &e), ERR_ARGUMENT);
    for (long n = 0; n < 2; n++) {
        mem_fail_after(n);
        assert_int_equal(pool_new(2, &p, &e), ERR_MEMORY);
        mem_fail_after(-1);
    }
    assert_null(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_task_once), cmocka_unit_test(test_more_threads_than_cores),
        cmocka_unit_test(test_unused),         cmocka_unit_test(test_job_beside_runs),
        cmocka_unit_test(test_absent_thread),  cmocka_unit_test(test_idle),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
