/* download.h - sounds that can be fetched once more, as Kokoro-FastAPI's clients ask for it
 * (return_download_link).
 *
 *     d = downloads_new(s, owner);            the sound is kept as it is sent
 *     downloads_add(&d, data, n);             no room for more: it is given up, and d is NULL
 *     downloads_publish(s, d, name, type);    it is whole: GET /v1/download/NAME has it
 *
 * At most DOWNLOADS are kept, each for DOWNLOAD_S, all together in a quarter of the room that
 * bodies and answers have; the oldest make room.
 *
 * Threads: any; one that is not published belongs to one. */
#ifndef SERVER_DOWNLOAD_H
#define SERVER_DOWNLOAD_H
#include <pthread.h>
#include "server/spool.h"

#define DOWNLOADS  32
#define DOWNLOAD_S 600

struct server;
struct request;
struct kept_sound;

struct downloads { /* of a server; oldest first */
    pthread_mutex_t lock;
    struct kept_sound *item[DOWNLOADS]; /* (lock) */
    int n;                              /* (lock) */
};
void downloads_init(struct downloads *l);
void downloads_done(struct downloads *l);

/* owner: whose key asked for it, NULL: no key; NULL is returned where memory is out. */
struct kept_sound *downloads_new(struct server *s, const char *owner);
void downloads_free(struct kept_sound *d); /* NULL is fine */
void downloads_add(struct kept_sound **d, const void *data, size_t n);
/* head[0..n) replaces the first bytes.  d may be NULL and is taken over. */
void downloads_publish(struct server *s, struct kept_sound *d, const char *name, const char *type,
                       const void *head, size_t n);

#endif
