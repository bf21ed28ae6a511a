/* Files that change while they are mapped. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/map.h"

#define N_PAGE 8

static char path[64], other[64];
static size_t page;

static void write_file(const char *name, char c, size_t n)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        fputc(c, f);
    assert_int_equal(fclose(f), 0);
}

static struct map *open_file(void)
{
    struct map *m = NULL;
    struct err e;
    write_file(path, 'x', N_PAGE * page);
    if (map_open(path, &m, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(map_bytes(m), N_PAGE * page);
    assert_int_equal(map_check(m, &e), 0);
    return m;
}

static void test_cut_short(void **state)
{
    struct map *m = open_file(), *second = NULL;
    struct err e;
    (void)state;
    write_file(other, 'y', page);
    assert_int_equal(map_open(other, &second, &e), 0);
    assert_int_equal(truncate(path, (off_t)page), 0);
    const volatile char *data = map_data(m);
    assert_int_equal(data[0], 'x');
    assert_true(map_is_whole(m));
    for (size_t i = 1; i < N_PAGE; i++)
        assert_int_equal(data[i * page], 0); /* SIGBUS without the handler */
    assert_false(map_is_whole(m));
    assert_int_equal(map_check(m, &e), ERR_IO);
    assert_non_null(strstr(e.msg, "cut short"));
    write_file(path, 'x', N_PAGE * page); /* what was read is no better now */
    assert_int_equal(map_check(m, &e), ERR_IO);
    assert_true(map_is_whole(second) && map_check(second, &e) == 0);
    map_close(m);
    map_close(second);
}

static void test_written_over(void **state)
{
    struct map *m = open_file();
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    struct err e;
    (void)state;
    write_file(path, 'y', N_PAGE * page);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0); /* not within one tick */
    assert_int_equal(map_check(m, &e), ERR_IO);
    assert_non_null(strstr(e.msg, "written to"));
    assert_false(map_is_replaced(m));
    map_close(m);
}

static void test_replaced(void **state)
{
    struct map *m = open_file();
    struct err e;
    (void)state;
    write_file(other, 'y', 3);
    assert_false(map_is_replaced(m));
    assert_int_equal(rename(other, path), 0);
    assert_true(map_is_replaced(m));
    assert_int_equal(((const char *)map_data(m))[N_PAGE * page - 1], 'x');
    assert_int_equal(map_check(m, &e), 0);
    unlink(path);
    assert_true(map_is_replaced(m));
    assert_int_equal(map_check(m, &e), 0);
    map_close(m);
}

/* A fault that is not in one of our maps ends the process, as it would without us. */
static void test_faults_elsewhere(void **state)
{
    struct map *m = open_file();
    int status = 0;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct map *again;
        signal(SIGBUS, SIG_DFL); /* cmocka has one that returns */
        signal(SIGALRM, SIG_DFL);
        if (map_open(path, &again, NULL) < 0)
            _exit(0);
        alarm(5); /* a handler that only returns would run for ever */
        FILE *f = fopen(path, "rb");
        const volatile char *data = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fileno(f), 0);
        if (truncate(path, 0) == 0)
            status = data[0];
        _exit(status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) != 0);
    map_close(m);
}

static void test_no_file(void **state)
{
    struct map *m;
    struct err e;
    (void)state;
    write_file(path, 'x', 0);
    assert_int_equal(map_open(path, &m, &e), ERR_FORMAT);
    assert_int_equal(map_open("/tmp", &m, &e), ERR_FORMAT);
    unlink(path);
    assert_int_equal(map_open(path, &m, &e), ERR_NOT_FOUND);
    map_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_short), cmocka_unit_test(test_written_over),
        cmocka_unit_test(test_replaced),  cmocka_unit_test(test_faults_elsewhere),
        cmocka_unit_test(test_no_file),
    };
    page = (size_t)sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof path, "/tmp/test_map-%d", (int)getpid());
    snprintf(other, sizeof other, "/tmp/test_map-%d-other", (int)getpid());
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(other);
    return rc;
}
