/* A thread of a server that somebody else commands: what it tries fails, what the server needs does
 * not.  In a child process, since there is no way back. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "server/sandbox.h"

struct attempt {
    char inside[64], outside[64]; /* directories */
    struct sockaddr_in listener;
    bool files; /* the kernel has Landlock */
    char failed[600];
};

static void want(struct attempt *a, bool holds, const char *what)
{
    if (!holds && !*a->failed)
        snprintf(a->failed, sizeof a->failed, "%s (%s)", what, strerror(errno));
}

static bool opens(const char *dir, const char *name, int flags)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, flags, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool connects(const struct attempt *a)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool done = connect(fd, (const struct sockaddr *)&a->listener, sizeof a->listener) == 0;
    close(fd);
    return done;
}

static void *compromised(void *arg)
{
    struct attempt *a = arg;
    char name[] = "/bin/true", *const argv[] = {name, NULL};
    want(a, execv(argv[0], argv) < 0 && (errno == EPERM || errno == EACCES), "a program runs");
    want(a, ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0, "a process is traced");
    want(a, socket(AF_INET, SOCK_DGRAM, 0) < 0, "datagrams can be sent");
    want(a, !connects(a), "another server is called");
    want(a, opens("/etc", "passwd", O_RDONLY), "the system's files cannot be read");
    want(a, opens(a->inside, "voice", O_RDWR | O_CREAT), "its own files cannot be written");
    if (a->files) {
        want(a, !opens(a->outside, "secret", O_RDONLY), "a file of others is read");
        want(a, !opens(a->outside, "new", O_WRONLY | O_CREAT), "a file is made elsewhere");
        want(a, !opens("/usr/lib", "jabbertts-test", O_WRONLY | O_CREAT), "the system is changed");
    }
    return NULL;
}

static int confined(struct attempt *a, bool connect)
{
    struct sandbox s = {.place = {a->inside, "/nowhere"}, .write = {true}, .n_place = 2};
    struct err e = {0};
    pthread_t thread;
    s.connect = connect;
    int rc = sandbox_files(&s, &e);
    a->files = rc == 0;
    if (rc >= 0)
        rc = sandbox_calls(&s, &e);
    if (rc < 0)
        want(a, false, e.msg);
    else if (connect)
        want(a, connects(a), "the store cannot be called");
    else if (pthread_create(&thread, NULL, compromised, a) == 0)
        pthread_join(thread, NULL);
    if (*a->failed)
        fprintf(stderr, "%s\n", a->failed);
    return *a->failed != 0;
}

static void try_confined(bool connect)
{
    struct attempt a = {.inside = "/tmp/sandbox-in-XXXXXX", .outside = "/tmp/sandbox-out-XXXXXX"};
    char path[128], command[200];
    socklen_t n = sizeof a.listener;
    int status = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
    a.listener.sin_family = AF_INET;
    a.listener.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&a.listener, n), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a.listener, &n), 0);
    assert_non_null(mkdtemp(a.inside));
    assert_non_null(mkdtemp(a.outside));
    snprintf(path, sizeof path, "%s/secret", a.outside);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    pid_t child = fork();
    if (child == 0)
        _exit(confined(&a, connect));
    assert_int_equal(waitpid(child, &status, 0), child);
    close(fd);
    snprintf(command, sizeof command, "rm -r %s %s", a.inside, a.outside);
    assert_int_equal(system(command), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_compromised(void **state)
{
    (void)state;
    try_confined(false);
}

static void test_store_elsewhere(void **state)
{
    (void)state;
    try_confined(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compromised),
        cmocka_unit_test(test_store_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
