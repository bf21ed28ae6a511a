#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/options.h"

static const char usage[] = "usage: jabbertts serve [OPTION]...\n\n"
                            "Serve the OpenAI speech API over HTTP until SIGINT or SIGTERM: "
                            "requests that run then may end,\n"
                            "a second signal ends them too.\n";

/* Wait for a signal to stop.  The server's threads have these blocked, so it comes here. */
static void wait_for_signal(const sigset_t *set)
{
    int sig;
    sigwait(set, &sig);
}

int cmd_serve(int argc, char **argv)
{
    struct options o;
    struct server *server;
    struct err e = {0};
    sigset_t stop;
    char dir[4096];
    int n_arg, code = options_load(&o, argc, argv, usage, &n_arg);
    if (code >= 0)
        return code;
    if (n_arg > 0) {
        code = cli_usage(argv[0], "unexpected argument \"%s\"", argv[1]);
        options_done(&o);
        return code;
    }
    o.server.voice_dir = cli_voice_dir(o.server.voice_dir, dir, sizeof dir);
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    if (server_start(&o.server, &server, &e) < 0) {
        code = cli_fail("%s", e.msg);
    } else {
        fprintf(stderr, "jabbertts %s serves %s at %s/v1\n", jabbertts_version(),
                server_model(server), server_url(server));
        wait_for_signal(&stop);
        fputs("stopping; once more to stop at once\n", stderr);
        pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
        server_stop(server, o.drain_timeout_s);
        code = CLI_OK;
    }
    options_done(&o);
    return code;
}
