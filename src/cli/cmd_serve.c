#include <signal.h>
#include <stdio.h>

#include "cli/options.h"

int cmd_serve(struct options *o)
{
    struct server *server;
    struct err e = {0};
    sigset_t stop;
    char dir[4096];
    int sig;
    o->server.voice_dir = cli_voice_dir(o->server.voice_dir, dir, sizeof dir);
    /* The server's threads have these blocked too, so they come to sigwait. */
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    int rc = server_start(&o->server, &server, &e);
    if (rc < 0)
        return rc == ERR_ARGUMENT ? cli_usage("serve", "%s", e.msg) : cli_fail("%s", e.msg);
    cli_note("jabbertts %s serves %s at %s/v1", jabbertts_version(), server_model(server),
             server_url(server));
    sigwait(&stop, &sig);
    cli_note("stopping; once more to stop at once");
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
    server_stop(server, o->drain_timeout_s);
    return CLI_OK;
}
