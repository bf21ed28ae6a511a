#include "cli/live.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define TICK_MS 100

struct live {
    struct talk *talk;
    pthread_t thread;
    atomic_bool stop;
};

/* Passes what has arrived to the talk.  False at the end of the input. */
static bool live_take(struct live *l)
{
    char text[4096];
    ssize_t n = read(0, text, sizeof text);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    while (n > 0 && talk_add(l->talk, text, (size_t)n) == JABBERTTS_ERR_LIMIT)
        usleep(TICK_MS * 1000); /* the writer is faster than speech: let it wait */
    return n > 0;
}

static void *live_main(void *arg)
{
    struct live *l = arg;
    struct pollfd in = {.fd = 0, .events = POLLIN};
    int quiet_ms = 0;
    for (bool more = true; more && !l->stop;) {
        int n = poll(&in, 1, TICK_MS);
        if (cli_interrupted()) {
            talk_cancel(l->talk);
            return NULL;
        }
        quiet_ms = n > 0 ? 0 : quiet_ms + TICK_MS;
        if (n > 0)
            more = live_take(l);
        else if (quiet_ms == (int)(LIVE_PAUSE_S * 1000))
            talk_flush(l->talk);
    }
    talk_end(l->talk);
    while (!l->stop && !cli_interrupted())
        usleep(TICK_MS * 1000);
    if (cli_interrupted())
        talk_cancel(l->talk);
    return NULL;
}

int live_start(struct talk *t, struct live **ret)
{
    struct live *l = calloc(1, sizeof *l);
    if (!l)
        return cli_fail("out of memory");
    l->talk = t;
    if (pthread_create(&l->thread, NULL, live_main, l) != 0) {
        free(l);
        return cli_fail("cannot start a thread");
    }
    *ret = l;
    return 0;
}

void live_stop(struct live *l)
{
    if (!l)
        return;
    l->stop = true;
    pthread_join(l->thread, NULL);
    free(l);
}
