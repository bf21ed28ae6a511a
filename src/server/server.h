/* server.h - the HTTP server: the OpenAI speech API over one engine.
 *
 *     struct server_options o;
 *     server_options_init(&o);
 *     if (server_start(&o, &s, &e) < 0) ...     e.msg says why; the model is open, the port bound
 *     puts(server_url(s));
 *     ...                                        requests are served on threads of the server's own
 *     server_stop(s, 30);                        no new requests; those that run may end
 *
 * Inside: daemon.h.  Threads: server_start, server_stop and server_free from one thread. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H
#include <stdbool.h>
#include "base/err.h"
#include "jabbertts.h"
#include "store/bucket.h"

enum server_log { SERVER_LOG_TEXT, SERVER_LOG_JSON, SERVER_LOG_NONE };

/* What the list of models says of one beyond what its file does. */
struct server_model {
    const char *name, *licence, *licence_url; /* licence: an id as cc-by-nc-sa-4.0, or "" */
    bool non_commercial;
};

struct server_options {
    struct jabbertts_options engine;  /* with several models, they have names */
    const struct server_model *about; /* [n_about], for models that have such facts */
    int n_about;
    const char *host;       /* to listen on: listen.h */
    const char *systemd[2]; /* of the environment: LISTEN_PID, LISTEN_FDS; NULL */
    int port;               /* 0: any free one */
    int wyoming;            /* port of the Wyoming protocol; 0: none */
    const char *voice_dir;  /* of users' voices, or a URL of PostgreSQL; NULL: none are kept */
    const char *jobs; /* where files and batches are kept: a file of SQLite, which is made if its
                             * directory is there, or a URL of PostgreSQL; NULL: nowhere */
    struct bucket_options bucket; /* for contents of files; where NULL: none */
    int bucket_above_kib;         /* smaller ones stay in the database */
    int batch_mb, batch_lines;    /* of an uploaded file: MiB, requests in it */
    int batch_open;               /* batches of one key that have not ended */
    int batch_rows;               /* lines of batches spoken together */
    int batch_days;               /* that sounds and ended batches are kept */
    const char *model_name; /* ids of the first in the API, with commas; NULL: its file's name */
    int workers;            /* threads that parse, encode and answer */
    int max_connections;
    int max_input_chars;      /* code points of `input` */
    int max_body_kib;         /* of a JSON request */
    double header_timeout_s;  /* to send a request's headers */
    double body_timeout_s;    /* to send its body */
    double idle_timeout_s;    /* no byte moved, either way */
    double request_timeout_s; /* a whole request, when its client names no shorter time */
    bool strict;              /* unknown fields are errors */
    bool fallback;            /* what the model does not read is spoken by espeak-ng */
    bool refuse_silence; /* a text without a letter or digit is an error, not a short silence */
    const char *cors_origins; /* of web pages that may call, beside our own: origin.h */
    const char *hosts;        /* names the server is known by, with commas; "": on loopback without
                                 keys those of loopback, elsewhere any */
    const char *base_path;    /* "/tts": also answer below this path; "" */
    int spool_mb;             /* MiB of bodies and answers kept in files, all together */
    const char *spool_dir;    /* of those files; NULL: /var/tmp */
    const char *cache_dir;    /* where finished answers are kept, to be sent again; NULL: nowhere */
    int cache_mb;             /* MiB of them */
    enum server_log log;
    bool log_text;             /* the texts too */
    const char *api_keys_file; /* keys.h has the form; NULL: none */
    const char *api_keys;      /* a list; NULL: none.  Without any key everyone may ask */
    int rate_limit;            /* requests a minute of a key that names no other; 0: no limit */
    bool public_lists;         /* models and voices are listed without a key */
    const char *tls_cert, *tls_key; /* PEM files; NULL: plain HTTP */
};

struct server;
void server_options_init(struct server_options *o);
/* Strings in o are borrowed until server_stop. */
int server_start(const struct server_options *o, struct server **ret, struct err *e);
/* Can keys and certificates be read?  Nothing is started. */
int server_check(const struct server_options *o, struct err *e);
/* Read keys, certificate and lexicon again; when something is bad, what was there stays. */
int server_reload(struct server *s, struct err *e);
void server_note(struct server *s, const char *line); /* to the log, without waiting */
const char *server_url(const struct server *s);       /* http://127.0.0.1:8000 */
const char *server_wyoming(const struct server *s);   /* 127.0.0.1:10200, or NULL */
const char *server_model(const struct server *s);     /* its id in the API */
/* Refuse new requests, give those that run drain_s seconds, cancel the rest, free everything. */
void server_stop(struct server *s, double drain_s);

#endif
