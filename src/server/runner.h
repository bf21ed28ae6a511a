/* runner.h - speaks the lines of batches: a thread that claims them, several at a time, as requests
 * in the background, and stores what became of each.
 *
 *     if (runner_start(s, &s->runner, &e) < 0) ...
 *     runner_wake(s->runner);         a batch was added or cancelled
 *     runner_stop(s->runner);         what it speaks is given back
 *     runner_free(s->runner);
 *
 * Threads: runner_wake any; start and stop from one. */
#ifndef SERVER_RUNNER_H
#define SERVER_RUNNER_H
#include <stdbool.h>
#include "base/err.h"

#define BATCH_ENDPOINT "/v1/audio/speech"

struct server;
struct runner;

int runner_start(struct server *s, struct runner **ret, struct err *e);
void runner_wake(struct runner *r); /* NULL is fine */
void runner_stop(struct runner *r); /* NULL is fine, and twice, too */
void runner_free(struct runner *r); /* stops it first */

/* The batch whose line comes next, oldest first: of the owner with the fewest lines in hand, the
 * oldest that may have a line that waits; -1: none. */
struct runner_batch {
    const char *owner;
    int n_running; /* lines in hand */
    bool dry;      /* it has no line that waits */
};
int runner_choose(const struct runner_batch *b, int n);

#endif
