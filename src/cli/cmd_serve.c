#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/confine.h"

/* --- in the background: the caller's process ends when the server listens, or cannot --- */

/* $XDG_STATE_HOME/jabbertts/serve.log, for its owner; the directories are made. */
static int serve_log(char *path, size_t n)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && *state == '/')
        snprintf(path, n, "%s/jabbertts/serve.log", state);
    else
        snprintf(path, n, "%s/.local/state/jabbertts/serve.log", home && *home ? home : "/var");
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0700); /* what is wrong shows when the file is opened */
        *p = '/';
    }
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The server's side: a child of which *ready is to be told.  The caller's side does not return. */
static int serve_detach(int *ready)
{
    int fd[2], status;
    char told = 0;
    pid_t child;
    if (pipe(fd) < 0 || (child = fork()) < 0)
        return cli_fail("cannot start a process: %s", strerror(errno));
    if (child == 0) {
        close(fd[0]);
        setsid();
        *ready = fd[1];
        return 0;
    }
    close(fd[1]);
    if (read(fd[0], &told, 1) == 1)
        _exit(CLI_OK);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : CLI_FAILED);
}

/* It listens: from here on its messages go to the log. */
static int serve_told(int ready)
{
    char path[PATH_MAX];
    int log = serve_log(path, sizeof path), nothing = open("/dev/null", O_RDWR);
    if (log < 0 || nothing < 0)
        return cli_fail("cannot write %s: %s", path, strerror(errno));
    cli_note("its log is %s; it ends with: kill %ld", path, (long)getpid());
    dup2(nothing, 0);
    dup2(nothing, 1);
    dup2(log, 2);
    close(nothing);
    close(log);
    if (write(ready, "", 1) != 1)
        return CLI_FAILED;
    close(ready);
    return 0;
}

/* --- serving --- */

/* Without a sandbox: asked for, or needed by the compiler's instruments, which write their own
 * files and look into their own process. */
static bool serve_open(const struct options *o)
{
#ifdef JABBERTTS_INSTRUMENTED
    (void)o;
    return true;
#else
    return o->sandbox == 0;
#endif
}

static void serve_reload(struct server *server)
{
    struct err e = {0};
    char line[sizeof e.msg + 64];
    if (server_reload(server, &e) < 0) {
        snprintf(line, sizeof line, "reload: %s; what was there stays", e.msg);
        server_note(server, line);
    } else {
        server_note(server, "reload: keys, certificate and lexicon were read again");
    }
}

/* Until a signal says to stop. */
static void serve_wait(struct server *server, const sigset_t *signals)
{
    int sig;
    while (sigwait(signals, &sig) == 0 && sig == SIGHUP)
        serve_reload(server);
}

/* 0, or the exit code. */
static int serve_confined(const struct confine *c, const struct options *o)
{
    struct err e = {0};
    int code = o->user ? confine_user(o->user, o) : 0;
    if (code == 0 && !serve_open(o) && sandbox_calls(&c->sandbox, &e) < 0)
        code = cli_fail("%s", e.msg);
    return code;
}

static int serve_until_signal(const struct options *o, const struct confine *c, int ready)
{
    struct server *server;
    struct err e = {0};
    sigset_t signals;
    int code = 0;
    /* The server's threads have these blocked too, so they come to sigwait. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN); /* a reader of the log that is gone, */
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow: failed writes, not our end */
    int rc = server_start(&o->server, &server, &e);
    if (rc < 0)
        return rc == ERR_ARGUMENT ? cli_usage("serve", "%s", e.msg) : cli_fail("%s", e.msg);
    const char *url = server_url(server);
    cli_note("jabbertts %s serves %s at %s%s", jabbertts_version(), server_model(server), url,
             strncmp(url, "unix:", 5) ? "/v1" : "");
    if (server_wyoming(server))
        cli_note("and the Wyoming protocol at tcp://%s", server_wyoming(server));
    if ((code = serve_confined(c, o)) == 0 && (ready < 0 || (code = serve_told(ready)) == 0)) {
        serve_wait(server, &signals);
        server_note(server, "stopping; once more to stop at once");
    }
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    server_stop(server, o->drain_timeout_s);
    return code;
}

/* The bucket's key: from its file, which has the form of Amazon's own, else from the environment.
 */
static int serve_read_bucket_key(struct options *o)
{
    static const char *const names[] = {"aws_access_key_id", "aws_secret_access_key",
                                        "aws_session_token"};
    char line[2200], name[32], value[2048];
    struct bucket_options *b = &o->server.bucket;
    const char **to[] = {&b->key_id, &b->secret, &b->token};
    FILE *f = o->bucket_keys_file ? fopen(o->bucket_keys_file, "r") : NULL;
    if (!b->where)
        return 0;
    if (o->bucket_keys_file && !f)
        return cli_fail("cannot read the bucket's key in %s: %s", o->bucket_keys_file,
                        strerror(errno));
    while (f && fgets(line, sizeof line, f))
        for (int i = 0; i < 3; i++)
            if (sscanf(line, " %31[a-z_] = %2047s", name, value) == 2 &&
                strcmp(name, names[i]) == 0) {
                memcpy(o->bucket_key[i], value, sizeof value);
                *to[i] = o->bucket_key[i];
            }
    if (f)
        fclose(f);
    if (!o->bucket_keys_file) {
        b->key_id = getenv("AWS_ACCESS_KEY_ID");
        b->secret = getenv("AWS_SECRET_ACCESS_KEY");
        b->token = getenv("AWS_SESSION_TOKEN");
    }
    return b->key_id && b->secret
               ? 0
               : cli_usage("serve", "the bucket needs a key: $AWS_ACCESS_KEY_ID and "
                                    "$AWS_SECRET_ACCESS_KEY, or --bucket-keys-file");
}

#define STORE_PATH 4096

/* One database has all, where one is named; else both are files of one directory. */
static void serve_choose_stores(struct options *o, char dir[STORE_PATH], char jobs[STORE_PATH + 16])
{
    struct server_options *s = &o->server;
    if (s->jobs && strstr(s->jobs, "://"))
        s->voice_dir = s->jobs;
    s->voice_dir = cli_voice_dir(s->voice_dir, dir, STORE_PATH);
    if (s->jobs)
        return;
    snprintf(jobs, STORE_PATH + 16, strstr(s->voice_dir, "://") ? "%s" : "%s/jobs.sqlite",
             s->voice_dir);
    s->jobs = jobs;
}

int cmd_serve(struct options *o)
{
    char dir[STORE_PATH], jobs[STORE_PATH + 16];
    int ready = -1, code = 0;
    serve_choose_stores(o, dir, jobs);
    if ((code = serve_read_bucket_key(o)))
        return code;
    o->server.systemd[0] = getenv("LISTEN_PID");
    o->server.systemd[1] = getenv("LISTEN_FDS");
    if (o->background && (code = serve_detach(&ready)))
        return code;
    struct confine c;
    /* espeak-ng calls the user's sound server when it starts, though nothing is played here. */
    setenv("PULSE_SERVER", "unix:/dev/null", 1);
    struct err e = {0};
    confine_places(&c, o);
    if (!serve_open(o) && sandbox_files(&c.sandbox, &e) < 0)
        code = cli_fail("%s", e.msg);
    else
        code = serve_until_signal(o, &c, ready);
    confine_free(&c);
    return code;
}
