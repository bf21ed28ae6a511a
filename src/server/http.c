/* http.c - requests and replies over libmicrohttpd; its types end here and in watch.c. */
#include "server/access.h"
#include "server/daemon.h"
#include "server/head.h"
#include "server/log.h"
#include "server/watch.h"
#include "server/websocket.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <microhttpd.h>

#include "base/mem.h"

#define CONNECTION_MEMORY (64 << 10) /* request line and headers, and a reply's next bytes */
#define BODY_HARD_FACTOR  4          /* bodies over this many times the limit are not read */
#define TARGET_BYTES      (16 << 10)
#define SPARE_CONNECTIONS 16 /* accepted over the limit while older ones are closed for them */

const char *http_header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *http_query(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* --- what handlers on workers tell the HTTP thread --- */

/* With r's lock held. */
static void resume(struct request *r)
{
    if (r->suspended) {
        r->suspended = false;
        MHD_resume_connection(r->connection);
    }
}

void http_ready(struct request *r)
{
    pthread_mutex_lock(&r->lock);
    r->ready = true;
    resume(r);
    pthread_mutex_unlock(&r->lock);
}

int http_write(struct request *r, const void *data, size_t n)
{
    pthread_mutex_lock(&r->lock);
    /* Otherwise a reader that is always slightly behind fills the buffer with bytes already sent.
     */
    if (r->out_head > 0) {
        r->out.len -= r->out_head;
        memmove(r->out.data, r->out.data + r->out_head, r->out.len);
        r->out_head = 0;
    }
    int rc = buf_add(&r->out, data, n);
    if (r->ready)
        resume(r);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

void http_write_end(struct request *r, bool broken)
{
    pthread_mutex_lock(&r->lock);
    r->out_end = true;
    r->out_broken = r->out_broken || broken;
    if (r->ready)
        resume(r);
    pthread_mutex_unlock(&r->lock);
}

bool http_has_room(struct request *r)
{
    pthread_mutex_lock(&r->lock);
    bool room = r->out.len - r->out_head < HTTP_OUT_BYTES;
    r->out_full = !room;
    pthread_mutex_unlock(&r->lock);
    return room;
}

bool http_gone(struct request *r)
{
    pthread_mutex_lock(&r->lock);
    bool gone = r->gone;
    pthread_mutex_unlock(&r->lock);
    return gone;
}

void http_answer_by(struct request *r, double seconds)
{
    pthread_mutex_lock(&r->lock);
    r->answer_by_s = seconds;
    pthread_mutex_unlock(&r->lock);
}

/* With r's lock held: once queued, r may run and be freed. */
static void schedule(struct request *r)
{
    if (r->task != TASK_IDLE) {
        r->again = true;
        return;
    }
    r->task = TASK_QUEUED;
    queue_push(&r->server->queue, r);
}

void http_schedule(struct request *r)
{
    pthread_mutex_lock(&r->lock);
    schedule(r);
    pthread_mutex_unlock(&r->lock);
}

/* --- sending --- */

static ssize_t read_out(void *cookie, uint64_t pos, char *to, size_t max)
{
    struct request *r = cookie;
    bool room = false;
    ssize_t n;
    (void)pos;
    pthread_mutex_lock(&r->lock);
    size_t have = r->out.len - r->out_head;
    if (have > 0) {
        n = (ssize_t)(have < max ? have : max);
        memcpy(to, r->out.data + r->out_head, (size_t)n);
        r->out_head += (size_t)n;
        r->n_sent += (size_t)n;
        if (r->out_head == r->out.len) {
            buf_clear(&r->out);
            r->out_head = 0;
        }
        room = r->out_full && r->out.len - r->out_head < HTTP_OUT_BYTES / 2;
        if (room)
            r->out_full = false;
    } else if (r->out_end) {
        n = r->out_broken ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        n = 0;
        r->suspended = true;
        MHD_suspend_connection(r->connection);
    }
    pthread_mutex_unlock(&r->lock);
    if (room)
        http_schedule(r);
    return n;
}

static ssize_t read_body(void *cookie, uint64_t pos, char *to, size_t max)
{
    const struct request *r = cookie;
    ssize_t n = spool_read(&r->reply.body, (size_t)pos, to, max);
    return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Signature: MHD_UpgradeHandler. */
static void on_upgrade(void *cookie, struct MHD_Connection *connection, void *state,
                       const char *extra, size_t n_extra, MHD_socket fd,
                       struct MHD_UpgradeResponseHandle *handle)
{
    (void)cookie;
    (void)connection;
    websocket_upgraded(state, extra, n_extra, fd, handle);
}

static struct MHD_Response *make_response(struct request *r)
{
    struct reply *p = &r->reply;
    struct spool *body = &p->body;
    if (p->upgrade)
        return MHD_create_response_for_upgrade(on_upgrade, NULL);
    if (p->stream)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32 << 10, read_out, r, NULL);
    r->n_sent = p->fd > 0 ? p->fd_bytes : body->len;
    if (p->fd > 0) {
        struct MHD_Response *m =
            MHD_create_response_from_fd_at_offset64(p->fd_bytes, p->fd, (uint64_t)p->fd_offset);
        p->fd = m ? 0 : p->fd; /* the library's now */
        return m;
    }
    if (body->len > 0)
        return MHD_create_response_from_callback(body->len, 32 << 10, read_body, r, NULL);
    return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_reply(struct request *r)
{
    struct reply *p = &r->reply;
    if (p->status == 0)
        http_reply_error(r, &(struct api_error){.fault = FAULT_INTERNAL,
                                                .message = "the request got no answer"});
    struct MHD_Response *m = make_response(r);
    if (!m)
        return MHD_NO;
    if (p->type)
        MHD_add_response_header(m, "Content-Type", p->type);
    if (p->close)
        MHD_add_response_header(m, "Connection", "close");
    access_headers(r);
    for (size_t at = 0; at < p->headers.len;) {
        const char *name = p->headers.data + at, *value = name + strlen(name) + 1;
        MHD_add_response_header(m, name, value);
        at = (size_t)(value + strlen(value) + 1 - p->headers.data);
    }
    r->first_byte_s = http_seconds_since(&r->started);
    enum MHD_Result ok = MHD_queue_response(r->connection, (unsigned)p->status, m);
    MHD_destroy_response(m);
    return ok;
}

/* --- receiving --- */

static void http_make_id(char id[40])
{
    unsigned char random[16] = {0};
    if (getrandom(random, sizeof random, 0) < 0)
        clock_gettime(CLOCK_REALTIME, (struct timespec *)random);
    size_t n = (size_t)snprintf(id, 40, "req_");
    for (size_t i = 0; i < sizeof random; i++, n += 2)
        snprintf(id + n, 40 - n, "%02x", random[i]);
}

static struct conn *conn_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void copy_header(const struct request *r, const char *name, char *to, size_t n)
{
    const char *s = http_header(r, name);
    snprintf(to, n, "%s", s ? s : "");
}

static bool is_hex(const char *s, size_t n)
{
    return strspn(s, "0123456789abcdef") >= n;
}

/* The ids by which the client knows this request.
 * traceparent: https://www.w3.org/TR/trace-context/, version-trace-parent-flags */
static void read_ids(struct request *r)
{
    char trace[56], retry[16];
    copy_header(r, "X-Client-Request-Id", r->client_id, sizeof r->client_id);
    copy_header(r, "X-Stainless-Retry-Count", retry, sizeof retry);
    copy_header(r, "traceparent", trace, sizeof trace);
    long n = strtol(retry, NULL, 10);
    r->n_retry = n > 0 && n < 100 ? (int)n : 0;
    if (strlen(trace) >= 55 && is_hex(trace, 2) && trace[2] == '-' && is_hex(trace + 3, 32) &&
        trace[35] == '-' && is_hex(trace + 36, 16) && trace[52] == '-') {
        snprintf(r->trace_id, sizeof r->trace_id, "%.32s", trace + 3);
        snprintf(r->parent_id, sizeof r->parent_id, "%.16s", trace + 36);
    }
}

static struct request *request_new(struct server *s, struct MHD_Connection *connection,
                                   const char *method)
{
    struct request *r = mem_try(1, sizeof *r);
    if (!r)
        return NULL;
    r->server = s;
    r->connection = connection;
    r->conn = conn_of(connection);
    r->first_byte_s = -1;
    clock_gettime(CLOCK_MONOTONIC, &r->started);
    pthread_mutex_init(&r->lock, NULL);
    spool_init(&r->body, &s->spool, 0);
    spool_init(&r->reply.body, &s->spool, HTTP_WHOLE_BYTES);
    buf_init(&r->reply.headers, HTTP_HEADER_BYTES);
    buf_init(&r->out, 2 * HTTP_OUT_BYTES);
    http_make_id(r->id);
    snprintf(r->method, sizeof r->method, "%s", method);
    pthread_mutex_lock(&s->lock);
    r->conn->request = r;
    r->conn->used = true;
    s->n_request++;
    pthread_mutex_unlock(&s->lock);
    return r;
}

void request_free(struct request *r)
{
    struct server *s = r->server;
    log_request(r);
    if (r->state)
        r->state->free(r->state);
    spool_done(&r->body);
    spool_done(&r->reply.body);
    if (r->reply.fd > 0)
        close(r->reply.fd);
    buf_done(&r->reply.headers);
    buf_done(&r->out);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
    pthread_mutex_lock(&s->lock);
    s->n_request--;
    pthread_mutex_unlock(&s->lock);
}

static int body_limit_kib(const struct request *r)
{
    int kib = r->route ? r->route->max_body_kib : 0;
    if (kib == ROUTE_FILE_KIB)
        return (r->server->o.batch_mb << 10) + 16; /* the form around the file */
    return kib < 0 ? r->server->o.max_body_kib : kib;
}

static bool server_stopping(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

/* Why the body is not kept. */
static int fail_body(const struct request *r, int rc, const char *length, struct api_error *e)
{
    if (rc == ERR_LIMIT)
        return api_fail(e, FAULT_BODY_TOO_LARGE, NULL, "the body is %s bytes, the limit is %d KiB",
                        length, body_limit_kib(r));
    if (rc == ERR_BUSY) {
        api_fail(e, FAULT_BUSY, NULL,
                 "there is no room for the body beside those of other requests; try again later");
        e->retry_after_s = 5;
        return -1;
    }
    return api_fail(e, FAULT_STORAGE, NULL, "the body cannot be kept: no room on the disk?");
}

static int check_route(struct request *r, const char *path, struct api_error *e)
{
    char methods[64];
    r->route = route_find(r->method, path, &r->argument);
    if (!r->route && route_methods(path, methods, sizeof methods)) {
        http_reply_header(r, "Allow", "%s", methods);
        return api_fail(e, FAULT_METHOD, NULL, "%s does not answer to %s, only to %s", path,
                        r->method, methods);
    }
    if (!r->route)
        return api_fail(e, FAULT_NO_URL, NULL, "there is nothing at %s %s", r->method, path);
    if (server_stopping(r->server)) {
        api_fail(e, FAULT_STOPPING, NULL, "the server is stopping; try again in a moment");
        e->retry_after_s = 5;
        return -1;
    }
    return 0;
}

/* What can be refused before the body is read. */
static int check_head(struct request *r, struct api_error *e)
{
    const char *length = http_header(r, "Content-Length");
    const char *path = route_below(r->server->o.base_path, r->path);
    if (access_check_host(r, e) < 0)
        return -1;
    access_find_origin(r);
    if (strcmp(r->method, "OPTIONS") == 0)
        return access_preflight(r, path, e);
    if (check_route(r, path, e) < 0 || access_check_origin(r, e) < 0 || access_check(r, e) < 0)
        return -1;
    r->body.max = (size_t)body_limit_kib(r) << 10;
    unsigned long long n = length ? strtoull(length, NULL, 10) : 0;
    int rc = n > r->body.max ? ERR_LIMIT : spool_reserve(&r->body, (size_t)n);
    return rc < 0 ? fail_body(r, rc, length, e) : 0;
}

/* A refused body that is longer than this is not read. */
static size_t hard_limit(const struct request *r)
{
    size_t n = (size_t)r->server->o.max_body_kib * 1024 * BODY_HARD_FACTOR;
    size_t of_route = (size_t)body_limit_kib(r) << 10;
    return n > of_route ? n : of_route;
}

/* The request's head has come.  When it is refused the body is read all the same and the answer
 * sent behind it: a client that still writes may not see an answer that is followed by a reset.  A
 * huge body is not read, nor anything behind a head that is no HTTP: answer at once, the connection
 * is closed. */
static enum MHD_Result on_head(struct request *r, const char *target, const char *version)
{
    struct api_error e = {0};
    bool sound = head_read(r, target, version, &e) == 0;
    if (sound) {
        read_ids(r);
        if (check_head(r, &e) == 0 && r->reply.status == 0)
            return MHD_YES;
    }
    if (e.fault)
        http_reply_error(r, &e);
    r->ready = r->running = true;
    const char *length = http_header(r, "Content-Length");
    r->reply.close = !sound || (length && strtoull(length, NULL, 10) > hard_limit(r));
    return r->reply.close ? send_reply(r) : MHD_YES;
}

static enum MHD_Result on_body(struct request *r, const char *data, size_t n)
{
    if (!r->ready && r->body_rc == 0)
        r->body_rc = spool_add(&r->body, data, n);
    if (r->ready || r->body_rc < 0)
        r->body_dropped += n;
    return r->body_dropped > hard_limit(r) ? MHD_NO : MHD_YES;
}

/* Start the handler; true: its reply is ready. */
static bool http_start_(struct request *r)
{
    struct api_error e;
    bool quick = r->route->kind == ROUTE_QUICK;
    if (r->body_rc < 0) {
        fail_body(r, r->body_rc, "too many", &e);
        http_reply_error(r, &e);
        return true;
    }
    if (quick) {
        r->route->run(r);
        return true;
    }
    pthread_mutex_lock(&r->server->lock);
    pthread_mutex_lock(&r->lock);
    r->gone = r->conn->peer_gone;
    r->suspended = true;
    MHD_suspend_connection(r->connection);
    pthread_mutex_unlock(&r->lock);
    pthread_mutex_unlock(&r->server->lock);
    http_schedule(r);
    return false;
}

static enum MHD_Result on_complete(struct request *r)
{
    bool ready;
    pthread_mutex_lock(&r->lock);
    r->complete = true;
    ready = r->ready;
    if (!ready && r->running) { /* woken for nothing */
        r->suspended = true;
        MHD_suspend_connection(r->connection);
    }
    pthread_mutex_unlock(&r->lock);
    if (ready)
        return send_reply(r);
    if (r->running)
        return MHD_YES;
    r->running = true;
    return http_start_(r) ? send_reply(r) : MHD_YES;
}

/* The target as it came; the library decodes it before it tells. */
static void *on_target(void *cookie, const char *target, struct MHD_Connection *connection)
{
    struct conn *c = conn_of(connection);
    (void)cookie;
    mem_free(c->target);
    c->target = mem_strndup(target, TARGET_BYTES);
    return NULL;
}

/* Signature: MHD_AccessHandlerCallback. */
static enum MHD_Result on_access(void *cookie, struct MHD_Connection *connection, const char *path,
                                 const char *method, const char *version, const char *data,
                                 size_t *n_data, void **state)
{
    struct request *r = *state;
    (void)path;
    if (!r) {
        r = *state = request_new(cookie, connection, method);
        return r ? on_head(r, r->conn->target ? r->conn->target : "", version) : MHD_NO;
    }
    if (*n_data > 0) {
        size_t n = *n_data;
        *n_data = 0;
        return on_body(r, data, n);
    }
    return on_complete(r);
}

/* The reply was sent or broken off: the connection is free for the next request. */
static void on_done(void *cookie, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode why)
{
    struct server *s = cookie;
    struct request *r = *state;
    (void)connection;
    (void)why;
    if (!r)
        return;
    *state = NULL;
    pthread_mutex_lock(&s->lock);
    r->conn->request = NULL;
    clock_gettime(CLOCK_MONOTONIC, &r->conn->since);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_lock(&r->lock);
    r->gone = r->over = true;
    bool now = r->task == TASK_IDLE && !r->state;
    if (!now)
        schedule(r);
    pthread_mutex_unlock(&r->lock); /* from here on a worker may have freed it */
    if (now)
        request_free(r);
}

static void on_connection(void *cookie, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct server *s = cookie;
    struct conn *c = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        c = *context = mem_alloc(sizeof *c);
        c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        watch_add(s, c);
        return;
    }
    watch_remove(s, c);
    mem_free(c->target);
    mem_free(c);
}

static void on_log(void *cookie, const char *format, va_list args)
{
    struct server *s = cookie;
    char line[512] = "http: ";
    if (s->o.log == SERVER_LOG_NONE)
        return;
    vsnprintf(line + 6, sizeof line - 6, format, args);
    line[strcspn(line, "\r\n")] = 0;
    logger_line(&s->logger, line);
}

int http_start(struct server *s, int listen_fd, struct err *e)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
                     MHD_USE_ERROR_LOG;
    /* The library only reads these; certificates come by the callback, so that they can change. */
    struct MHD_OptionItem more[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)(intptr_t)tls_retrieve},
        {MHD_OPTION_END, 0, NULL}};
    if (s->o.tls_cert)
        flags |= MHD_USE_TLS;
    else
        more[0].option = MHD_OPTION_END;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_ARRAY, more,
#if MHD_VERSION >= 0x01000000 /* before, the option means something else; head.c checks */
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
#endif
        MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)s->o.max_connections + SPARE_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(s->o.idle_timeout_s < 1 ? 1 : s->o.idle_timeout_s),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED,
        on_done, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
    return s->daemon ? 0 : err_set(e, ERR_IO, "cannot start the HTTP server: %s", strerror(errno));
}
