/* server.c - start, serve, stop. */
#include <ctype.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/daemon.h"
#include "server/runner.h"
#include "server/tally.h"
#include "server/watch.h"
#include "server/wyoming.h"
#include "store/db.h"
#include "store/jobs.h"
#include "store/takes.h"

/* With its default, the kernel would buffer megabytes of sound for a client that does not read. */
#define OTHER_FILES 64

void server_options_init(struct server_options *o)
{
    *o = (struct server_options){.host = "127.0.0.1",
                                 .port = 8000,
                                 .workers = 4,
                                 .max_connections = 1000,
                                 .max_input_chars = 4096,
                                 .max_body_kib = 1024,
                                 .header_timeout_s = 15,
                                 .body_timeout_s = 60,
                                 .idle_timeout_s = 75,
                                 .request_timeout_s = 600,
                                 .cors_origins = "local",
                                 .hosts = "",
                                 .base_path = "",
                                 .spool_mb = 512,
                                 .cache_mb = 1024,
                                 .batch_mb = 200,
                                 .batch_lines = 100000,
                                 .batch_open = 100,
                                 .batch_rows = 8,
                                 .batch_days = 30,
                                 .public_lists = true};
    jabbertts_options_init(&o->engine);
}

/* An id goes into URLs and metrics. */
static void clean_name(char *name)
{
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-/:", *p))
            *p = '-';
}

/* What the option names, with commas. */
static void server_list_names(struct server *s)
{
    char *p = s->model_name_list;
    snprintf(p, sizeof s->model_name_list, "%s", s->o.model_name);
    while (*(p += strspn(p, ", ")) && s->n_model_name < MODEL_NAMES) {
        size_t n = strcspn(p, ", ");
        char *next = p + n + (p[n] != 0);
        p[n] = 0;
        clean_name(p);
        s->model_names[s->n_model_name++] = p;
        p = next;
    }
}

/* A given name, else the model file's without directory and suffix; the built-in voice has a name
 * of its own. */
static void name_model(const char *given, const char *path, char to[128])
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *name = given ? given : slash ? slash + 1 : path ? path : "jabber-tiny";
    snprintf(to, 128, "%s", name);
    char *dot = given ? NULL : strrchr(to, '.');
    if (dot && strcmp(dot, ".gguf") == 0)
        *dot = 0;
    clean_name(to);
}

static int name_models(struct server *s, struct err *e)
{
    struct jabbertts_options *o = &s->o.engine;
    const struct jabbertts_model one = {.path = o->model}, *from = o->n_model ? o->models : &one;
    int n = o->n_model ? o->n_model : 1;
    s->models = mem_try((size_t)n, sizeof *s->models);
    s->model_ids = mem_try((size_t)n, sizeof *s->model_ids);
    if (!s->models || !s->model_ids)
        return err_set(e, ERR_MEMORY, "out of memory for a list of models");
    if (s->o.model_name)
        server_list_names(s);
    for (int i = 0; i < n; i++) {
        const char *given = i == 0 && s->n_model_name ? s->model_names[0] : from[i].name;
        name_model(given, from[i].path, s->model_ids[i]);
        s->models[i] = (struct jabbertts_model){s->model_ids[i], from[i].path};
    }
    o->models = s->models;
    o->n_model = n;
    s->model_id = s->model_ids[0];
    s->started = time(NULL);
    return 0;
}

/* Keys and certificates: at the start, and again when told to. */
static int server_load(struct keys *keys, struct tls *tls, const struct server_options *o,
                       struct err *e)
{
    int rc = keys_load(keys, o->api_keys_file, o->api_keys, o->rate_limit, e);
    return rc < 0 ? rc : tls_load(tls, o->tls_cert, o->tls_key, e);
}

int server_check(const struct server_options *o, struct err *e)
{
    struct keys keys = {.n_key = 0};
    struct tls tls = {.ready = false};
    struct jabbertts *tts = NULL;
    struct jabbertts_options lexicon = o->engine;
    struct jabbertts_error why;
    int rc = server_load(&keys, &tls, o, e);
    keys_done(&keys);
    tls_done(&tls);
    lexicon.model = "espeak-ng"; /* no weights are loaded to read a lexicon */
    lexicon.n_model = 0;
    lexicon.aliases = NULL;
    lexicon.store = NULL;
    if (rc == 0 && lexicon.lexicon && (rc = jabbertts_open(&lexicon, &tts, &why)) < 0)
        err_set(e, rc, "%s", why.message);
    jabbertts_close(tts);
    return rc;
}

int server_reload(struct server *s, struct err *e)
{
    int rc = server_check(&s->o, e); /* all or nothing; the engine reads its lexicon itself */
    return rc < 0 ? rc : server_load(&s->keys, &s->tls, &s->o, e);
}

void server_note(struct server *s, const char *line)
{
    logger_line(&s->logger, line);
}

/* Files for connections, and for what the rest of the program has open. */
static void raise_limits(struct server *s)
{
    struct rlimit files;
    char line[200];
    rlim_t want = (rlim_t)s->o.max_connections * 2 + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    if (files.rlim_cur < want) {
        files.rlim_cur = files.rlim_max < want ? files.rlim_max : want;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= want)
        return;
    /* A connection may have a body or an answer in a file. */
    long most = ((long)files.rlim_cur - OTHER_FILES) / 2;
    s->o.max_connections = most < 1 ? 1 : (int)most;
    snprintf(line, sizeof line,
             "the limit of open files is %ld: at most %d connections instead of those asked for",
             (long)files.rlim_cur, s->o.max_connections);
    server_note(s, line);
}

static int server_open_jobs(struct server *s, struct err *e)
{
    int rc = s->o.jobs ? jobs_open(s->o.jobs, &s->jobs, e) : 0;
    if (rc == 0 && s->jobs && db_is_url(s->o.jobs))
        rc = tally_start(&s->keys, s->o.jobs, &s->tally, e);
    if (rc < 0 || !s->jobs || !s->o.bucket.where)
        return rc;
    if ((rc = bucket_open(&s->o.bucket, &s->bucket, e)) == 0)
        jobs_use_bucket(s->jobs, s->bucket, (size_t)s->o.bucket_above_kib << 10);
    return rc;
}

static int server_open_engine(struct server *s, struct err *e)
{
    struct jabbertts_error why;
    int rc = 0;
    if (s->o.voice_dir && (rc = jabbertts_store_open(s->o.voice_dir, &s->store, &why)) < 0)
        return err_set(e, rc, "%s", why.message);
    s->o.engine.store = s->store;
    if ((rc = jabbertts_open(&s->o.engine, &s->tts, &why)) < 0)
        return err_set(e, rc, "%s", why.message);
    if (s->o.cache_dir &&
        (rc = takes_open(s->o.cache_dir, (size_t)s->o.cache_mb << 20, &s->takes, e)) < 0)
        return rc;
    return server_open_jobs(s, e);
}

static int server_start_(struct server *s, struct err *e)
{
    int rc;
    if ((rc = logger_start(&s->logger, e)) < 0 ||
        (rc = listen_open(s->o.host, s->o.port, s->o.systemd, s->o.tls_cert != NULL, &s->listen,
                          e)) < 0)
        return rc;
    raise_limits(s);
    tls_use(&s->tls);
    if ((rc = name_models(s, e)) < 0 || (rc = server_load(&s->keys, &s->tls, &s->o, e)) < 0 ||
        (rc = server_open_engine(s, e)) < 0)
        return rc;
    /* On loopback without keys, the Host header alone tells requests of web pages from others. */
    s->check_host = s->listen.is_loopback && !keys_wanted(&s->keys);
    if ((rc = queue_start(&s->queue, s->o.workers, e)) < 0 || (rc = watch_start(s, e)) < 0 ||
        (s->jobs && (rc = runner_start(s, &s->runner, e)) < 0))
        return rc;
    rc = http_start(s, s->listen.fd, e);
    if (rc == 0)
        s->listen.fd = -1; /* the library's now */
    return rc == 0 && s->o.wyoming > 0 ? wyoming_start(s, s->o.wyoming, &s->wyoming, e) : rc;
}

int server_start(const struct server_options *o, struct server **ret, struct err *e)
{
    struct server *s = mem_try(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_MEMORY, "out of memory for the server");
    s->o = *o;
    s->watch_fd = -1;
    s->listen.fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    metrics_init(&s->metrics);
    spool_budget_init(&s->spool, (size_t)o->spool_mb << 20, o->spool_dir);
    downloads_init(&s->downloads);
    int rc = server_start_(s, e);
    if (rc < 0)
        server_stop(s, 0);
    else
        *ret = s;
    return rc;
}

const char *server_url(const struct server *s)
{
    return s->listen.url;
}

const char *server_model(const struct server *s)
{
    return s->model_id;
}

int server_connections(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->n_conn;
    pthread_mutex_unlock(&s->lock);
    return n;
}

double server_evicted(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    double n = (double)s->n_evicted;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static int n_request(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->n_request;
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* Wait until no request is left, at most so many seconds. */
static void wait_requests(struct server *s, double seconds)
{
    struct timespec begin, pause = {.tv_nsec = 20000000};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (n_request(s) > 0 && http_seconds_since(&begin) < seconds)
        nanosleep(&pause, NULL);
}

const char *server_wyoming(const struct server *s)
{
    return s->wyoming ? wyoming_url(s->wyoming) : NULL;
}

void server_stop(struct server *s, double drain_s)
{
    wyoming_stop(s->wyoming);
    if (s->daemon) {
        pthread_mutex_lock(&s->lock);
        s->stopping = true;
        pthread_mutex_unlock(&s->lock);
        int fd = MHD_quiesce_daemon(s->daemon);
        if (fd >= 0)
            close(fd);
        runner_stop(s->runner);
        wait_requests(s, drain_s);
        watch_leave_all(s);
        /* No connection may be suspended in the HTTP library when it stops. */
        wait_requests(s, 60);
        MHD_stop_daemon(s->daemon);
    }
    watch_stop(s);
    queue_stop(&s->queue);
    runner_free(s->runner);
    jobs_close(s->jobs);
    bucket_close(s->bucket);
    jabbertts_close(s->tts);
    jabbertts_store_close(s->store);
    takes_close(s->takes);
    if (s->listen.fd >= 0)
        close(s->listen.fd);
    listen_done(&s->listen);
    tally_stop(s->tally);
    keys_done(&s->keys);
    metrics_done(&s->metrics);
    tls_done(&s->tls);
    downloads_done(&s->downloads);
    spool_budget_done(&s->spool);
    logger_stop(&s->logger);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->models);
    mem_free(s->model_ids);
    mem_free(s);
}
