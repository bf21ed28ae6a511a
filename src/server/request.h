/* request.h - one request and its reply.
 *
 *                body complete            reply is set            sent or broken off
 *   RECEIVING ------------------> RUNNING ------------> SENDING ---------------------> (freed)
 *       |  error known early                               ^
 *       +--------------------------------------------------+
 *
 * Threads: the HTTP library's own; workers; watch.  A request's fields marked (lock) are guarded by
 * its lock, the rest belongs to whichever thread runs it.  Order of locks: server, request, queue.
 * The engine is never called with one held. */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H
#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include "base/buf.h"
#include "server/errors.h"
#include "server/keys.h"
#include "server/route.h"
#include "server/spool.h"

#define HTTP_OUT_BYTES    (64 << 10)  /* encoded sound waiting for a slow client */
#define HTTP_WHOLE_BYTES  (256 << 20) /* a body that is sent whole */
#define HTTP_PATH_BYTES   1024
#define HTTP_HEADER_BYTES (16 << 10) /* of a reply, all its headers */

struct MHD_Connection;
struct metrics;
struct server;

struct reply {
    int status;       /* 0: not set */
    const char *type; /* static; NULL: no body */
    struct spool body;
    int fd; /* or part of a file, 0: none; closed when it is sent, or never to be */
    off_t fd_offset;
    size_t fd_bytes;
    struct buf headers; /* name NUL value NUL ... */
    bool stream;        /* the body is what http_write adds, as it comes */
    bool close;         /* the connection is not used again */
    bool upgrade;       /* it becomes a WebSocket: websocket.h */
};

/* What a handler keeps with its request: the first member of a structure of its own. */
struct request_state {
    void (*free)(struct request_state *state);
    /* What the log line and the metrics say of it, before it is freed; NULL: nothing. */
    void (*log)(const struct request_state *state, json_t *fields);
    void (*count)(const struct request_state *state, struct metrics *m, bool failed);
};

enum task_state { TASK_IDLE, TASK_QUEUED, TASK_RUNNING };

struct request {
    struct server *server;
    struct MHD_Connection *connection;
    struct conn *conn;
    const struct route *route; /* NULL: none matches */
    char method[16], path[HTTP_PATH_BYTES];
    const char *argument; /* rest of the path after the route's '*' */
    char id[40];
    struct key_id key;
    struct quota quota;
    char authority[256];                             /* the host that was asked for; "" */
    char origin[256];                                /* of a web page that may call; "" */
    char client_id[64], trace_id[33], parent_id[17]; /* as the client sent them; "" */
    int n_retry;
    struct timespec started;
    struct spool body;
    int body_rc;         /* < 0: why it is not kept */
    size_t body_dropped; /* bytes of a refused body that came nevertheless */
    bool running;        /* the handler has been started */
    struct reply reply;
    struct api_error error; /* of the reply, for logs and metrics */
    size_t n_sent;
    double first_byte_s;         /* < 0: none yet */
    struct request_state *state; /* the handler's own; NULL: none */

    pthread_mutex_t lock;
    bool ready;         /* (lock) the reply is set: send it */
    bool suspended;     /* (lock) the connection sleeps */
    bool complete;      /* (lock) the body is here */
    bool gone;          /* (lock) the client has left or the server stops: give up */
    bool late;          /* (lock) the answer has not begun in answer_by_s */
    double answer_by_s; /* (lock) since started; 0: no limit */
    bool over;          /* (lock) HTTP has finished with it: free it */
    struct buf out;     /* (lock) of a streaming reply, not yet sent; sent up to out_head */
    size_t out_head;
    bool out_end, out_broken; /* (lock) the body is complete; it was cut short */
    bool out_full;            /* (lock) the writer waits for room */
    enum task_state task;     /* (lock) */
    bool again;               /* (lock) something happened while the task ran */
    struct request *next;     /* (queue's lock) */
};

/* Headers and query of the request; valid until the reply is ready.  NULL: not there. */
const char *http_header(const struct request *r, const char *name);
const char *http_query(const struct request *r, const char *name);

/* Set the reply.  For ROUTE_QUICK and ROUTE_WORK before returning. */
void http_reply_json(struct request *r, int status, json_t *json); /* takes the reference */
void http_reply_text(struct request *r, int status, const char *type, const char *text);
void http_reply_error(struct request *r, const struct api_error *e);
void http_reply_header(struct request *r, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ROUTE_STREAM only.  Send the reply that was set, and for a streaming one what is written until
 * http_write_end; broken: the client must see that the body is not whole. */
void http_ready(struct request *r);
int http_write(struct request *r, const void *data, size_t n); /* 0, ERR_LIMIT or ERR_MEMORY */
void http_write_end(struct request *r, bool broken);
bool http_has_room(struct request *r); /* false: run again when there is */
bool http_gone(struct request *r);     /* the client has left: the handler should end */
/* Run the handler once more if the answer has not begun so many seconds after the request came. */
void http_answer_by(struct request *r, double seconds);

/* Free a request that HTTP has finished with and no worker runs. */
void request_free(struct request *r);

/* Run the request's handler on a worker soon (again, if it runs now).  Any thread. */
void http_schedule(struct request *r);
double http_seconds_since(const struct timespec *t);

#endif
