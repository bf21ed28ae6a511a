/* server.c - start, serve, stop. */
#include <ctype.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/daemon.h"
#include "server/watch.h"

/* With its default the kernel would keep megabytes of sound for a client that does not read. */
#define SEND_BYTES (128 << 10)

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
                                 .cors_origins = "*",
                                 .public_lists = true};
    jabbertts_options_init(&o->engine);
}

/* The model file's name without directory and suffix; the built-in voice has a name of its own. */
static void name_model(struct server *s)
{
    const char *path = s->o.engine.model, *name = path ? strrchr(path, '/') : NULL;
    struct stat st;
    name = s->o.model_name ? s->o.model_name : name ? name + 1 : path ? path : "jabber-tiny";
    snprintf(s->model_id, sizeof s->model_id, "%s", name);
    char *dot = s->o.model_name ? NULL : strrchr(s->model_id, '.');
    if (dot && strcmp(dot, ".gguf") == 0)
        *dot = 0;
    for (char *p = s->model_id; *p; p++) /* it goes into URLs and metrics */
        if (!isalnum((unsigned char)*p) && !strchr("._-/:", *p))
            *p = '-';
    s->model_created = path && stat(path, &st) == 0 ? st.st_mtime : time(NULL);
}

static int listen_on(const struct addrinfo *a, int *ret)
{
    int on = 1, ahead = SEND_BYTES,
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &ahead, sizeof ahead); /* connections inherit it */
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
        *ret = fd;
        return 0;
    }
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static int open_socket(const struct server_options *o, int *ret, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    char port[16];
    snprintf(port, sizeof port, "%d", o->port);
    int rc = getaddrinfo(o->host, port, &hints, &list);
    if (rc != 0)
        return err_set(e, ERR_ARGUMENT, "cannot listen on \"%.128s\": %s", o->host,
                       gai_strerror(rc));
    rc = -1;
    for (const struct addrinfo *a = list; a && rc < 0; a = a->ai_next)
        rc = listen_on(a, ret);
    freeaddrinfo(list);
    return rc == 0 ? 0
                   : err_set(e, ERR_IO, "cannot listen on %.128s port %d: %s", o->host, o->port,
                             strerror(errno));
}

static void name_url(struct server *s, int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    bool six = strchr(s->o.host, ':') != NULL;
    int port = s->o.port;
    if (getsockname(fd, (struct sockaddr *)&a, &n) == 0)
        port = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                             : ((struct sockaddr_in *)&a)->sin_port);
    snprintf(s->url, sizeof s->url, "http%s://%s%.64s%s:%d", s->o.tls_cert ? "s" : "",
             six ? "[" : "", s->o.host, six ? "]" : "", port);
}

static int server_start_(struct server *s, struct err *e)
{
    struct jabbertts_error why;
    int fd = -1, rc;
    if ((rc = open_socket(&s->o, &fd, e)) < 0)
        return rc;
    name_url(s, fd);
    name_model(s);
    rc = keys_load(&s->keys, s->o.api_keys_file, s->o.api_keys, s->o.rate_limit, e);
    if (rc == 0 && s->o.voice_dir &&
        (rc = jabbertts_store_open(s->o.voice_dir, &s->store, &why)) < 0)
        err_set(e, rc, "%s", why.message);
    s->o.engine.store = s->store;
    if (rc == 0 && (rc = jabbertts_open(&s->o.engine, &s->tts, &why)) < 0)
        err_set(e, rc, "%s", why.message);
    if (rc < 0 || (rc = queue_start(&s->queue, s->o.workers, e)) < 0 ||
        (rc = watch_start(s, e)) < 0 || (rc = http_start(s, fd, e)) < 0)
        close(fd);
    return rc;
}

int server_start(const struct server_options *o, struct server **ret, struct err *e)
{
    struct server *s = mem_try(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_MEMORY, "out of memory for the server");
    s->o = *o;
    s->watch_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    metrics_init(&s->metrics);
    int rc = server_start_(s, e);
    if (rc < 0)
        server_stop(s, 0);
    else
        *ret = s;
    return rc;
}

const char *server_url(const struct server *s)
{
    return s->url;
}

const char *server_model(const struct server *s)
{
    return s->model_id;
}

int server_connections(struct server *s)
{
    int n = 0;
    pthread_mutex_lock(&s->lock);
    for (const struct conn *c = s->conns; c; c = c->next)
        n++;
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

void server_stop(struct server *s, double drain_s)
{
    if (s->daemon) {
        pthread_mutex_lock(&s->lock);
        s->stopping = true;
        pthread_mutex_unlock(&s->lock);
        int fd = MHD_quiesce_daemon(s->daemon);
        if (fd >= 0)
            close(fd);
        wait_requests(s, drain_s);
        watch_leave_all(s);
        /* Nothing may sleep in the HTTP library when it stops. */
        wait_requests(s, 60);
        MHD_stop_daemon(s->daemon);
    }
    watch_stop(s);
    queue_stop(&s->queue);
    jabbertts_close(s->tts);
    jabbertts_store_close(s->store);
    keys_done(&s->keys);
    metrics_done(&s->metrics);
    buf_done(&s->tls_cert);
    buf_done(&s->tls_key);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}
