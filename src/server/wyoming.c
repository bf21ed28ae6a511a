#include "server/wyoming.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "server/announce.h"
#include "server/daemon.h"
#include "server/talk.h"

#define LINE_BYTES      (64 << 10)
#define DATA_BYTES      (1 << 20)
#define MAX_CONNECTIONS 16
#define CHUNK_SAMPLES   1024
#define SEND_S          30  /* a client that accepts no bytes for this long counts as gone, */
#define RECEIVE_S       600 /* as does one that sends nothing */

struct wyoming {
    struct server *server;
    struct listen listen;
    struct announcement *announced; /* NULL: it is not */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct client *clients; /* (lock) */
    int n_client;           /* (lock) */
    bool stopping;          /* (lock) */
};

struct client {
    struct wyoming *w;
    struct client *next; /* (w's lock) */
    int fd;
    pthread_mutex_t lock; /* of writing */
    char in[LINE_BYTES];  /* read ahead */
    size_t n_in;
    struct talk *talk; /* of the synthesis in hand, or NULL, */
    bool streaming;    /* which synthesize-start began */
    pthread_t speaker;
};

/* --- an event ----------------------------------------------------------------------------------
 */

static int wyoming_size(const json_t *o, const char *name, size_t *ret, struct err *e)
{
    const json_t *v = json_object_get(o, name);
    *ret = 0;
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return err_set(e, ERR_FORMAT, "%s is not a whole number from 0 on", name);
    if (json_integer_value(v) > DATA_BYTES)
        return err_set(e, ERR_LIMIT, "%s is %lld, the limit is %d", name,
                       (long long)json_integer_value(v), DATA_BYTES);
    *ret = (size_t)json_integer_value(v);
    return 0;
}

int wyoming_parse(const char *line, size_t n, struct wyoming_head *ret, struct err *e)
{
    json_error_t why;
    json_t *o = json_loadb(line, n, 0, &why);
    const char *type = json_string_value(json_object_get(o, "type"));
    json_t *data = json_object_get(o, "data");
    int rc = 0;
    if (!o)
        rc = err_set(e, ERR_FORMAT, "an event is not JSON: %s", why.text);
    else if (!type || strlen(type) >= sizeof ret->type)
        rc = err_set(e, ERR_FORMAT, "an event has no type, or one of over %zu bytes",
                     sizeof ret->type - 1);
    else if (data && !json_is_object(data) && !json_is_null(data))
        rc = err_set(e, ERR_FORMAT, "an event's data is not an object");
    if (rc == 0 && (rc = wyoming_size(o, "data_length", &ret->n_data, e)) == 0)
        rc = wyoming_size(o, "payload_length", &ret->n_payload, e);
    if (rc == 0) {
        snprintf(ret->type, sizeof ret->type, "%s", type);
        ret->data = json_is_object(data) ? json_incref(data) : json_object();
    }
    json_decref(o);
    return rc;
}

/* --- a connection, in and out ------------------------------------------------------------------
 */

static int client_send_all(struct client *c, const void *data, size_t n)
{
    const char *at = data;
    while (n > 0) {
        ssize_t k = send(c->fd, at, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return ERR_IO;
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

/* Takes the reference to data. */
static int client_send(struct client *c, const char *type, json_t *data, const void *payload,
                       size_t n)
{
    char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;
    struct buf b;
    int rc = data && !text ? ERR_MEMORY : 0;
    buf_init(&b, SIZE_MAX / 2);
    if (rc == 0)
        rc = buf_add_format(&b,
                            "{\"type\":\"%s\",\"version\":\"1.5.0\",\"data_length\":%zu,"
                            "\"payload_length\":%zu}\n",
                            type, text ? strlen(text) : (size_t)0, n);
    if (rc == 0 && text)
        rc = buf_add_str(&b, text);
    if (rc == 0 && n > 0)
        rc = buf_add(&b, payload, n);
    pthread_mutex_lock(&c->lock);
    if (rc == 0)
        rc = client_send_all(c, b.data, b.len);
    pthread_mutex_unlock(&c->lock);
    buf_done(&b);
    free(text);
    json_decref(data);
    return rc;
}

static int client_error(struct client *c, const char *code, const char *text)
{
    return client_send(c, "error", json_pack("{s:s, s:s}", "text", text, "code", code), NULL, 0);
}

/* More bytes; false: it has left. */
static bool client_fill(struct client *c)
{
    ssize_t n;
    do
        n = recv(c->fd, c->in + c->n_in, sizeof c->in - c->n_in, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    c->n_in += (size_t)n;
    return true;
}

static void client_skip(struct client *c, size_t n)
{
    memmove(c->in, c->in + n, c->n_in - n);
    c->n_in -= n;
}

/* The next n bytes, into to (NULL: nowhere). */
static bool client_bytes(struct client *c, size_t n, struct buf *to)
{
    while (n > 0) {
        if (c->n_in == 0 && !client_fill(c))
            return false;
        size_t k = n < c->n_in ? n : c->n_in;
        if (to && buf_add(to, c->in, k) < 0)
            return false;
        client_skip(c, k);
        n -= k;
    }
    return true;
}

/* The next event, with its data; false: the connection is to end. */
static bool client_event(struct client *c, struct wyoming_head *h)
{
    struct err e = {0};
    struct buf data;
    char *end;
    while (!(end = memchr(c->in, '\n', c->n_in))) {
        if (c->n_in == sizeof c->in) {
            client_error(c, "too-long", "an event's line has over 64 KiB");
            return false;
        }
        if (!client_fill(c))
            return false;
    }
    if (wyoming_parse(c->in, (size_t)(end - c->in), h, &e) < 0) {
        client_error(c, "bad-event", e.msg);
        return false; /* where the next event begins is not known */
    }
    client_skip(c, (size_t)(end - c->in) + 1);
    buf_init(&data, DATA_BYTES);
    bool good = client_bytes(c, h->n_data, &data) && client_bytes(c, h->n_payload, NULL);
    json_t *more = good && data.len > 0 ? json_loadb(data.data, data.len, 0, NULL) : NULL;
    if (json_is_object(more))
        json_object_update(h->data, more);
    else if (good && data.len > 0)
        client_error(c, "bad-event", "an event's data is no JSON object");
    good = good && (data.len == 0 || json_is_object(more));
    json_decref(more);
    buf_done(&data);
    if (!good)
        json_decref(h->data);
    return good;
}

/* --- info --------------------------------------------------------------------------------------
 */

static json_t *info_source(void)
{
    return json_pack("{s:s, s:s}", "name", "JabberTTS", "url", "");
}

static void info_voice(json_t *voices, const char *name, const char *language,
                       const char *description)
{
    json_array_append_new(voices, json_pack("{s:s, s:[s], s:o, s:b, s:s, s:s, s:n}", "name", name,
                                            "languages", language, "attribution", info_source(),
                                            "installed", 1, "description", description, "version",
                                            jabbertts_version(), "speakers"));
}

/* Voices of a model, with the other names that they answer to. */
static json_t *info_voices(struct jabbertts *tts)
{
    json_t *voices = json_array();
    struct jabbertts_voice_info v;
    const char *alias, *name;
    for (int i = 0; jabbertts_voice_at(tts, i, &v) == 0; i++)
        info_voice(voices, v.name, v.language && *v.language ? v.language : "en", v.name);
    for (int i = 0; (alias = jabbertts_voice_alias(tts, i, &name)); i++)
        info_voice(voices, alias, "en", name);
    return voices;
}

static int client_info(struct client *c)
{
    struct jabbertts *tts = c->w->server->tts, *model;
    json_t *programs = json_array();
    for (int i = 0; (model = jabbertts_model_at(tts, i)); i++) {
        struct jabbertts_model_info m;
        jabbertts_model_info(model, &m);
        json_array_append_new(
            programs, json_pack("{s:s, s:o, s:b, s:s, s:s, s:o, s:b}", "name",
                                i ? m.name : "jabbertts", "attribution", info_source(), "installed",
                                1, "description", m.name, "version", jabbertts_version(), "voices",
                                info_voices(model), "supports_synthesize_streaming", 1));
    }
    return client_send(c, "info",
                       json_pack("{s:[], s:o, s:[], s:[], s:[], s:[], s:[]}", "asr", "tts",
                                 programs, "handle", "intent", "wake", "mic", "snd"),
                       NULL, 0);
}

/* --- speaking ----------------------------------------------------------------------------------
 */

static json_t *wyoming_format(int rate, size_t n_sample)
{
    return json_pack("{s:i, s:i, s:i, s:I}", "rate", rate, "width", 2, "channels", 1, "timestamp",
                     (json_int_t)(n_sample * 1000 / (size_t)rate));
}

static int speaker_chunk(struct client *c, const float *pcm, int n, size_t before)
{
    unsigned char bytes[2 * CHUNK_SAMPLES];
    for (int i = 0; i < n; i++) {
        float v = pcm[i] < -1 ? -1 : pcm[i] > 1 ? 1 : pcm[i];
        int s = (int)(v * 32767);
        bytes[2 * i] = (unsigned char)(s & 0xff);
        bytes[2 * i + 1] = (unsigned char)((s >> 8) & 0xff);
    }
    return client_send(c, "audio-chunk", wyoming_format(talk_rate(c->talk), before), bytes,
                       2 * (size_t)n);
}

static void *speaker_main(void *arg)
{
    struct client *c = arg;
    struct jabbertts_error e;
    float pcm[CHUNK_SAMPLES];
    size_t n_sample = 0;
    int n, rc = client_send(c, "audio-start", wyoming_format(talk_rate(c->talk), 0), NULL, 0);
    while (rc == 0 && (n = talk_read(c->talk, pcm, CHUNK_SAMPLES, &e)) != 0) {
        if (n < 0) {
            rc = client_error(c, "synthesis-failed", e.message);
            break;
        }
        rc = speaker_chunk(c, pcm, n, n_sample);
        n_sample += (size_t)n;
    }
    if (rc == 0)
        rc = client_send(c, "audio-stop",
                         json_pack("{s:I}", "timestamp",
                                   (json_int_t)(n_sample * 1000 / (size_t)talk_rate(c->talk))),
                         NULL, 0);
    if (rc < 0) /* the client has left, which the reader will notice */
        shutdown(c->fd, SHUT_RDWR);
    return NULL;
}

/* "voice": {"name", "language", "speaker"}; a name may be a model's, or one of its voices. */
static int client_begin(struct client *c, const json_t *data)
{
    const json_t *voice = json_object_get(data, "voice");
    struct jabbertts_request r;
    struct jabbertts_error e;
    jabbertts_request_init(&r);
    r.voice = json_string_value(json_object_get(voice, "name"));
    r.language = json_string_value(json_object_get(voice, "language"));
    r.owner = "";
    r.ssml = -1;
    r.fallback = c->w->server->o.fallback;
    r.deadline_s = c->w->server->o.request_timeout_s;
    if (talk_new(c->w->server->tts, &r, &c->talk, &e) < 0) {
        c->talk = NULL;
        return client_error(c, "bad-request", e.message);
    }
    if (pthread_create(&c->speaker, NULL, speaker_main, c) == 0)
        return 0;
    talk_free(c->talk);
    c->talk = NULL;
    return client_error(c, "busy", "no thread for a synthesis");
}

static int client_text(struct client *c, const json_t *data)
{
    const char *text = json_string_value(json_object_get(data, "text"));
    int rc = text && c->talk ? talk_add(c->talk, text, strlen(text)) : 0;
    if (!text)
        return client_error(c, "bad-request", "an event has no text");
    return rc == JABBERTTS_ERR_LIMIT ? client_error(c, "too-long", "over 1 MiB of text waits") : 0;
}

/* All text is there: wait until it is spoken. */
static void client_end(struct client *c)
{
    if (!c->talk)
        return;
    talk_end(c->talk);
    pthread_join(c->speaker, NULL);
    talk_free(c->talk);
    c->talk = NULL;
}

static int client_synthesize(struct client *c, const json_t *data)
{
    if (c->streaming)
        return 0; /* the same text again, for servers that know no streaming */
    int rc = client_begin(c, data);
    if (rc == 0 && c->talk)
        rc = client_text(c, data);
    client_end(c);
    return rc;
}

static int client_start(struct client *c, const json_t *data)
{
    if (c->streaming)
        return client_error(c, "bad-request", "synthesize-start before synthesize-stop");
    c->streaming = true;
    return client_begin(c, data);
}

static int client_chunk(struct client *c, const json_t *data)
{
    return c->streaming
               ? client_text(c, data)
               : client_error(c, "bad-request", "synthesize-chunk before synthesize-start");
}

static int client_stop(struct client *c, const json_t *data)
{
    (void)data;
    client_end(c);
    c->streaming = false;
    return client_send(c, "synthesize-stopped", NULL, NULL, 0);
}

static int client_describe(struct client *c, const json_t *data)
{
    (void)data;
    return client_info(c);
}

static int client_ping(struct client *c, const json_t *data)
{
    const json_t *text = json_object_get(data, "text");
    return client_send(c, "pong", text ? json_pack("{s:O}", "text", text) : NULL, NULL, 0);
}

static const struct {
    const char *type;
    int (*run)(struct client *c, const json_t *data);
} events[] = {
    {"describe", client_describe},      {"synthesize", client_synthesize},
    {"synthesize-start", client_start}, {"synthesize-chunk", client_chunk},
    {"synthesize-stop", client_stop},   {"ping", client_ping},
};

static int client_handle(struct client *c, const struct wyoming_head *h)
{
    char text[96];
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (strcmp(events[i].type, h->type) == 0)
            return events[i].run(c, h->data);
    snprintf(text, sizeof text, "there is no event \"%s\" here", h->type);
    return client_error(c, "unknown-event", text);
}

/* --- connections -------------------------------------------------------------------------------
 */

static void client_leave(struct client *c)
{
    struct wyoming *w = c->w;
    if (c->talk)
        talk_cancel(c->talk);
    client_end(c);
    pthread_mutex_lock(&w->lock);
    struct client **p = &w->clients;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    w->n_client--;
    close(c->fd);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static void *client_main(void *arg)
{
    struct client *c = arg;
    struct wyoming_head h;
    int rc = 0;
    while (rc == 0 && client_event(c, &h)) {
        rc = client_handle(c, &h);
        json_decref(h.data);
    }
    client_leave(c);
    return NULL;
}

static void wyoming_accept(struct wyoming *w, int fd)
{
    const struct timeval patience = {SEND_S, 0}, silence = {RECEIVE_S, 0};
    pthread_t thread;
    pthread_attr_t detached;
    int on = 1;
    struct client *c = mem_try(1, sizeof *c);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pthread_mutex_lock(&w->lock);
    bool room = c && !w->stopping && w->n_client < MAX_CONNECTIONS;
    if (room) {
        *c = (struct client){.w = w, .next = w->clients, .fd = fd};
        pthread_mutex_init(&c->lock, NULL);
        pthread_attr_init(&detached);
        pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
        room = pthread_create(&thread, &detached, client_main, c) == 0;
        pthread_attr_destroy(&detached);
    }
    if (room) {
        w->clients = c;
        w->n_client++;
    }
    pthread_mutex_unlock(&w->lock);
    if (!room) {
        mem_free(c);
        close(fd);
    }
}

static void *wyoming_main(void *arg)
{
    struct wyoming *w = arg;
    for (;;) {
        int fd = accept(w->listen.fd, NULL, NULL);
        if (fd >= 0)
            wyoming_accept(w, fd);
        else if (errno == EMFILE || errno == ENFILE)
            usleep(100000);
        else if (errno != EINTR && errno != ECONNABORTED)
            return NULL; /* it was shut down */
    }
}

int wyoming_start(struct server *s, int port, struct wyoming **ret, struct err *e)
{
    const char *host = s->o.host && *s->o.host && strncmp(s->o.host, "unix:", 5) != 0 &&
                               strcmp(s->o.host, "systemd") != 0
                           ? s->o.host
                           : "127.0.0.1";
    struct wyoming *w = mem_try(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_MEMORY, "out of memory for the Wyoming server");
    w->server = s;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    int rc = listen_open(host, port, s->o.systemd, false, &w->listen, e);
    if (rc == 0 && pthread_create(&w->thread, NULL, wyoming_main, w) != 0) {
        close(w->listen.fd);
        rc = err_set(e, ERR_MEMORY, "no thread for the Wyoming server");
    }
    if (rc < 0) {
        mem_free(w);
        return rc;
    }
    if (!w->listen.is_loopback) /* else nobody could come */
        w->announced = announce_start("_wyoming._tcp", "JabberTTS", port);
    *ret = w;
    return 0;
}

void wyoming_stop(struct wyoming *w)
{
    if (!w)
        return;
    announce_stop(w->announced);
    shutdown(w->listen.fd, SHUT_RDWR);
    pthread_join(w->thread, NULL);
    close(w->listen.fd);
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    for (struct client *c = w->clients; c; c = c->next)
        shutdown(c->fd, SHUT_RDWR);
    while (w->n_client > 0)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

const char *wyoming_url(const struct wyoming *w)
{
    return w->listen.url + strlen("http://");
}
