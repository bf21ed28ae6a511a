/* daemon.h - inside of the server: what its threads share.
 *
 * Threads: fields marked (lock) are guarded by the server's lock; the rest is constant while
 * requests are served. */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "base/buf.h"
#include "server/download.h"
#include "server/keys.h"
#include "server/listen.h"
#include "server/logger.h"
#include "server/metrics.h"
#include "server/queue.h"
#include "server/request.h"
#include "server/server.h"
#include "server/spool.h"
#include "server/tls.h"

#define MODEL_NAMES 32

struct MHD_Daemon;
struct jobs;
struct runner;
struct tally;
struct takes;

struct conn {                  /* one TCP connection */
    struct conn *next, **link; /* (server's lock) newest first */
    int fd;
    bool closed; /* (server's lock) its socket is shut down; the library has not noticed yet */
    struct request *request; /* (server's lock) NULL: between requests */
    struct timespec since;   /* (server's lock) when it was accepted or fell idle */
    bool used;               /* (server's lock) a request has come */
    int peer_gone; /* (server's lock) ticks of the watch since the client closed its side */
    char *target;  /* of its last request, as it came */
};

struct server {
    struct server_options o;
    struct jabbertts *tts;
    struct jabbertts_store *store; /* NULL: none */
    struct jobs *jobs;             /* NULL: none */
    struct bucket *bucket;         /* NULL: none */
    struct takes *takes;           /* NULL: none are kept */
    struct runner *runner;         /* NULL: none */
    struct MHD_Daemon *daemon;
    struct wyoming *wyoming; /* NULL: not asked for */
    struct queue queue;
    struct metrics metrics;
    struct keys keys;
    struct tally *tally; /* NULL: this server counts the rates of keys by itself */
    struct logger logger;
    struct spool_budget spool;
    struct downloads downloads;
    struct tls tls;
    struct listen listen;
    bool check_host;                /* only for loopback's own names */
    struct jabbertts_model *models; /* owned, as is model_ids: the engine's options */
    char (*model_ids)[128];
    const char *model_id;                 /* of the first */
    const char *model_names[MODEL_NAMES]; /* of the first, as the option names it; may be none */
    int n_model_name;
    char model_name_list[1024]; /* whose words they are */
    long started;               /* seconds since 1970 */
    int watch_fd;
    pthread_t watch;
    bool has_watch;

    pthread_mutex_t lock;
    struct conn *conns;  /* (lock) */
    struct conn **by_fd; /* (lock) [n_fd] */
    int n_fd;            /* (lock) */
    int n_conn;          /* (lock) of conns, those that are not closed */
    uint64_t n_evicted;  /* (lock) connections closed to make room for others */
    int n_request;       /* (lock) in progress */
    int n_socket;        /* (lock) WebSockets open */
    bool stopping;       /* (lock) */
    bool closing;        /* (lock) the watch thread ends */
};

int server_connections(struct server *s);
double server_evicted(struct server *s);
int http_start(struct server *s, int listen_fd, struct err *e); /* http.c: the HTTP library */

/* models.c: the model that answers to this id; NULL: none. */
struct jabbertts *models_find(struct server *s, const char *id);
/* Fails with FAULT_NO_MODEL, and proposes the nearest. */
int models_refuse(struct server *s, const char *id, struct api_error *e);
long models_created(const struct server *s, const char *path); /* seconds since 1970 */

#endif
