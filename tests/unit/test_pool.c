/* test_pool.c - every task runs once, whatever the threads and the gaps between runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/pool.h"

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
        cmocka_unit_test(test_each_task_once),
        cmocka_unit_test(test_more_threads_than_cores),
        cmocka_unit_test(test_unused),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
