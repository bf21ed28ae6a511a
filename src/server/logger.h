/* logger.h - lines for standard error, written by a thread of its own, so that a full pipe or a
 * slow disk does not delay other threads.
 *
 *     if (logger_start(&l, &e) < 0) ...
 *     logger_line(&l, "text, without its line break");
 *     logger_stop(&l);                                what waits is written, for a second at most
 *
 * What does not fit into the queue is dropped and counted, and a line says so when there is room.
 *
 * Threads: logger_line from any. */
#ifndef SERVER_LOGGER_H
#define SERVER_LOGGER_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define LOGGER_BYTES (256 << 10) /* waiting lines */

struct logger {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    char *ring;                   /* [LOGGER_BYTES] (lock) n_byte of them wait, from head on */
    size_t head, n_byte;          /* (lock) */
    uint64_t n_dropped, n_untold; /* (lock) lines; since the last line that said so */
    bool closing;                 /* (lock) */
    pthread_t thread;
    bool running;
};
int logger_start(struct logger *l, struct err *e);
void logger_stop(struct logger *l);
void logger_line(struct logger *l, const char *line);
uint64_t logger_dropped(struct logger *l);

#endif
