/* http.h - inside of the server: one request and its reply.
 *
 *                body complete            reply is set            sent or broken off
 *   RECEIVING ------------------> RUNNING ------------> SENDING ---------------------> (freed)
 *       |  error known early                               ^
 *       +--------------------------------------------------+
 *
 * A handler is a row of the route table (routes.c) and a function that reads the request and sets
 * its reply; it never sees the HTTP library.  Three kinds:
 *   - ROUTE_QUICK runs on the HTTP thread: it must not block.
 *   - ROUTE_WORK runs on a worker thread while the connection sleeps: it may block.
 *   - ROUTE_STREAM runs on a worker thread each time something happened (the request came, sound
 *     is ready, the client has taken bytes or is gone), never twice at a time, until the request is
 *     freed.  It sets a streaming reply when it has the first bytes, then writes to it.
 *
 * Threads: the HTTP library's own; workers; watch, which notices clients that are gone or too slow.
 * A request's fields marked (lock) are guarded by its lock, the rest belongs to whichever thread
 * runs it.  Order of locks: server, request, queue.  The engine is never called with one held. */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H
#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "base/buf.h"
#include "base/err.h"
#include "server/keys.h"
#include "server/metrics.h"
#include "server/server.h"

#define HTTP_OUT_BYTES   (256 << 10) /* encoded sound waiting for a slow client */
#define HTTP_WHOLE_BYTES (256 << 20) /* a body that is sent whole */
#define HTTP_PATH_BYTES  1024
#define HTTP_HEADERS     24 /* of a reply */

struct MHD_Connection;
struct request;

/* --- errors: errors.c ---------------------------------------------------------------------- */

/* What went wrong, as a client sees it; the table in errors.c gives status, type and code. */
enum fault {
    FAULT_NONE,
    FAULT_BAD_JSON,
    FAULT_MISSING, /* a required field */
    FAULT_WRONG_TYPE,
    FAULT_INVALID_VALUE,
    FAULT_TOO_LONG, /* a string */
    FAULT_TOO_SHORT,
    FAULT_UNKNOWN_FIELD,
    FAULT_UNSUPPORTED,
    FAULT_NO_KEY,
    FAULT_BAD_KEY,
    FAULT_NO_URL,
    FAULT_NO_MODEL,
    FAULT_NOT_FOUND,
    FAULT_METHOD,
    FAULT_TIMEOUT,
    FAULT_BODY_TOO_LARGE,
    FAULT_URL_TOO_LONG,
    FAULT_CONTENT_TYPE,
    FAULT_RATE,
    FAULT_BUSY,
    FAULT_STOPPING,
    FAULT_CANCELLED,
    FAULT_INCOMPLETE, /* a limit ended the sound before the text was spoken */
    FAULT_MEMORY,
    FAULT_INTERNAL,
    N_FAULT
};

struct api_error {
    enum fault fault;
    char param[64]; /* ""; no field is to blame */
    char message[640];
    double retry_after_s; /* > 0: when to try again */
};

/* Fill e and return -1.  param may be NULL. */
int api_fail(struct api_error *e, enum fault fault, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The engine's error as the client's.  param: the field it is about, if known. */
int api_fail_engine(struct api_error *e, const char *param, const struct jabbertts_error *from);
int api_status(enum fault fault);
const char *api_code(enum fault fault);
/* {"error":{"message","type","param","code"}}; NULL when out of memory */
json_t *api_error_json(const struct api_error *e);

/* --- requests: http.c ---------------------------------------------------------------------- */

enum route_kind { ROUTE_QUICK, ROUTE_WORK, ROUTE_STREAM };

enum route_access {
    ACCESS_KEY,
    ACCESS_LIST, /* needs no key with the option public_lists */
    ACCESS_PUBLIC
};

struct route {
    const char *method, *path; /* a path that ends in '*' takes the rest as the argument */
    const char *name;          /* in logs and metrics */
    void (*run)(struct request *r);
    enum route_kind kind;
    int max_body_kib; /* 0: no body; -1: the option max_body_kib */
    enum route_access access;
    bool is_quiet; /* not logged unless it fails */
};
const struct route *route_find(const char *method, const char *path, const char **argument);
/* "GET, POST": what a path answers to; false: there is no such path. */
bool route_methods(const char *path, char *ret, size_t n);

struct reply {
    int status;       /* 0: not set */
    const char *type; /* static; NULL: no body */
    struct buf body;
    struct {
        char name[40], value[768];
    } header[HTTP_HEADERS];
    int n_header;
    bool stream; /* the body is what http_write adds, as it comes */
};

struct speech_stats {   /* of a speech request, for logs and metrics */
    const char *format; /* static; NULL: not one, or refused before anything was known */
    char voice[64];
    char *text; /* with the option log_text */
    size_t n_char;
    double queue_s, first_audio_s,
        made_s; /* from its head to the start, to sound; start to end; < 0: no */
    double audio_s;
    bool cancelled;
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
    struct key *key; /* NULL: not known */
    struct quota quota;
    char origin[128];                                /* of a web page that may call; "" */
    char client_id[64], trace_id[33], parent_id[17]; /* as the client sent them; "" */
    int n_retry;
    struct speech_stats stats;
    struct timespec started;
    struct buf body;
    size_t body_dropped; /* bytes over the limit, not kept */
    bool running;        /* the handler has been started */
    struct reply reply;
    struct api_error error; /* of the reply, for logs and metrics */
    size_t n_sent;
    double first_byte_s;   /* < 0: none yet */
    struct speech *speech; /* of ROUTE_STREAM */

    pthread_mutex_t lock;
    bool ready;     /* (lock) the reply is set: send it */
    bool suspended; /* (lock) the connection sleeps */
    bool complete;  /* (lock) the body is here */
    bool gone;      /* (lock) the client has left or the server stops: give up */
    bool over;      /* (lock) HTTP has finished with it: free it */
    struct buf out; /* (lock) of a streaming reply, not yet sent; sent up to out_head */
    size_t out_head;
    bool out_end, out_broken; /* (lock) no more will come; not all of it */
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
bool http_gone(struct request *r);     /* give up: nobody will read it */
bool http_over(struct request *r);     /* and free what the handler keeps in r->speech */

/* Run the request's handler on a worker soon (again, if it runs now).  Any thread. */
void http_schedule(struct request *r);

/* --- server: server.c ---------------------------------------------------------------------- */

struct queue { /* work.c */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct request *first, *last;
    pthread_t thread[64];
    int n_thread;
    int n_blocking; /* ROUTE_WORK running now: at most half of the threads */
    bool open, closing;
};
int queue_start(struct queue *q, int n_thread, struct err *e);
void queue_stop(struct queue *q); /* empties it first */
void queue_push(struct queue *q, struct request *r);

struct conn {                  /* one TCP connection */
    struct conn *next, **link; /* (server's lock) */
    int fd;
    uint64_t serial;
    struct request *request; /* (server's lock) NULL: between requests */
    struct timespec since;   /* (server's lock) when it was accepted or fell idle */
    bool used;               /* (server's lock) a request has come */
    bool peer_gone;          /* (server's lock) it has closed its side */
};

struct server {
    struct server_options o;
    struct jabbertts *tts;
    struct jabbertts_store *store; /* NULL: none */
    struct MHD_Daemon *daemon;
    struct queue queue;
    struct metrics metrics;
    struct keys keys;
    struct buf tls_cert, tls_key;
    char url[128], model_id[128];
    long model_created; /* seconds since 1970 */
    int watch_fd;
    pthread_t watch;
    bool has_watch;

    pthread_mutex_t lock;
    struct conn *conns; /* (lock) */
    uint64_t n_serial;  /* (lock) */
    int n_request;      /* (lock) in progress */
    bool stopping;      /* (lock) */
    bool closing;       /* (lock) the watch thread ends */
};

int server_connections(struct server *s);
double http_seconds_since(const struct timespec *t);
int http_start(struct server *s, int listen_fd, struct err *e); /* http.c: the HTTP library */
int watch_start(struct server *s, struct err *e);               /* watch.c */
void watch_stop(struct server *s);
void watch_leave_all(struct server *s); /* cut every connection, give up what runs for it */
void watch_add(struct server *s, struct conn *c);
void request_free(struct request *r);
void log_request(const struct request *r);                /* log.c */
int tls_read(struct server *s, struct err *e);            /* tls.c */
int access_check(struct request *r, struct api_error *e); /* access.c: key and rate */
void access_origin(struct request *r);                    /* which web page asks */
void access_preflight(struct request *r);                 /* OPTIONS */
void access_headers(struct request *r);                   /* of every reply */

/* --- handlers ------------------------------------------------------------------------------ */

void speech_run(struct request *r);  /* speech.c */
void models_list(struct request *r); /* models.c */
void models_get(struct request *r);
void audio_models_list(struct request *r);
void voices_list(struct request *r); /* voices.c */
void voices_add(struct request *r);
void voices_get(struct request *r);
void voices_remove(struct request *r);
void consents_list(struct request *r);
void consents_add(struct request *r);
void consents_get(struct request *r);
void consents_rename(struct request *r);
void consents_remove(struct request *r);
void page_file(struct request *r); /* page.c */
void page_openapi(struct request *r);
void health_live(struct request *r); /* health.c */
void health_ready(struct request *r);
void metrics_get(struct request *r);

/* True when the model answers to this id. */
bool models_known(const struct server *s, const char *id);
const char *models_engine(const char *id); /* what a jabbertts_request calls this id */
const char *models_nearest(const struct server *s, const char *id);

#endif
