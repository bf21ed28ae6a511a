/* route.h - the one table of paths and their handlers.
 *
 * A handler is a row of the table (route.c) and a function that reads the request and sets its
 * reply; it never sees the HTTP library.  Three kinds:
 *   - ROUTE_QUICK runs on the HTTP thread: it must not block.
 *   - ROUTE_WORK runs on a worker thread while the connection sleeps: it may block.
 *   - ROUTE_STREAM runs on a worker thread each time something happened (the request came, sound
 *     is ready, the client has taken bytes or is gone), never twice at a time, until the request is
 *     freed.  It sets a streaming reply when it has the first bytes, then writes to it.
 *
 * Threads: any; the table is constant. */
#ifndef SERVER_ROUTE_H
#define SERVER_ROUTE_H
#include <stdbool.h>
#include <stddef.h>

#define ROUTE_FILE_KIB (-2)

struct request;

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
    int max_body_kib; /* 0: no body; -1: the option max_body_kib; ROUTE_FILE_KIB: batch_mb */
    enum route_access access;
    bool is_quiet; /* not logged unless it fails */
};
const struct route *route_find(const char *method, const char *path, const char **argument);
/* The path below the option base_path; a path that is not below it stays as it is. */
const char *route_below(const char *base, const char *path);
/* "GET, POST": what a path answers to; false: there is no such path. */
bool route_methods(const char *path, char *ret, size_t n);

/* The handlers. */
void speech_run(struct request *r);       /* speech.c */
void phonemize_run(struct request *r);    /* phonemize.c */
void speech_batch_run(struct request *r); /* speech_batch.c */
void websocket_open(struct request *r);   /* websocket.c */
void models_list(struct request *r);      /* models.c */
void models_get(struct request *r);
void audio_models_list(struct request *r);
void downloads_get(struct request *r);  /* download.c */
void references_add(struct request *r); /* fish.c */
void references_list(struct request *r);
void references_remove(struct request *r);
void takes_get(struct request *r);   /* kept.c */
void voices_list(struct request *r); /* voices.c */
void voices_add(struct request *r);
void voices_get(struct request *r);
void voices_remove(struct request *r);
void voices_combine(struct request *r);
void consents_list(struct request *r);
void consents_add(struct request *r);
void consents_get(struct request *r);
void consents_rename(struct request *r);
void consents_remove(struct request *r);
void files_list(struct request *r); /* files.c */
void files_add(struct request *r);
void files_get(struct request *r);
void files_remove(struct request *r);
void batches_list(struct request *r); /* batches.c */
void batches_add(struct request *r);
void batches_get(struct request *r);
void batches_cancel(struct request *r);
void page_file(struct request *r); /* page.c */
void page_openapi(struct request *r);
void health_live(struct request *r); /* health.c */
void health_ready(struct request *r);
void metrics_get(struct request *r);

#endif
