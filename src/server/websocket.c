#include "server/websocket.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "base/buf.h"
#include "base/mem.h"
#include "server/access.h"
#include "server/ask.h"
#include "server/daemon.h"
#include "server/faces.h"
#include "server/talk.h"
#include "server/timed.h"

#define MAX_SOCKETS   64
#define MESSAGE_BYTES (64 << 10)
#define SEND_MS       30000  /* a client that accepts no bytes for this long counts as gone, */
#define RECEIVE_MS    600000 /* as does one that sends nothing */
#define READ_SAMPLES  2048
#define GUID          "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

struct message {
    struct message *next;
    size_t n;
    char text[];
};

struct socket {
    struct server *server;
    struct MHD_UpgradeResponseHandle *handle;
    int fd;
    char *owner;    /* of voices that may be used; NULL: all */
    bool is_eleven; /* ElevenLabs' messages */
    json_t *fields; /* of the speech request, as far as they are known */
    pthread_mutex_t lock;
    wslay_event_context_ptr frames; /* (lock) */
    struct buf extra;               /* came with the request's head, read up to */
    size_t n_extra;
    struct message *first, **last; /* came, not handled yet: the reader's */

    struct speech_params params;
    struct talk *talk; /* NULL: nothing is spoken */
    struct jabbertts_encoder *encoder;
    struct buf sound; /* encoded, not yet sent */
    size_t n_sample;  /* that were sent, at the model's rate */
    pthread_t speaker;
};

/* --- handshake ---------------------------------------------------------------------------------
 */

int websocket_accept(const char *key, char accept[32])
{
    char text[WEBSOCKET_KEY_BYTES + sizeof GUID];
    unsigned char hash[20];
    gnutls_datum_t raw = {hash, sizeof hash}, coded;
    if (strlen(key) >= WEBSOCKET_KEY_BYTES)
        return ERR_LIMIT;
    int n = snprintf(text, sizeof text, "%s" GUID, key);
    if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, (size_t)n, hash) < 0 ||
        gnutls_base64_encode2(&raw, &coded) < 0)
        return ERR_MEMORY;
    snprintf(accept, 32, "%.*s", (int)coded.size, coded.data);
    gnutls_free(coded.data);
    return 0;
}

static int websocket_check(struct request *r, char accept[32], struct api_error *e)
{
    const char *upgrade = http_header(r, "Upgrade"), *key = http_header(r, "Sec-WebSocket-Key");
    const char *version = http_header(r, "Sec-WebSocket-Version");
    if (!upgrade || strcasecmp(upgrade, "websocket") != 0 || !key || strlen(key) != 24)
        return api_fail(e, FAULT_INVALID_VALUE, NULL,
                        "this address is a WebSocket: send Upgrade: websocket and a "
                        "Sec-WebSocket-Key of 24 letters");
    if (!version || strcmp(version, "13") != 0)
        return api_fail(e, FAULT_INVALID_VALUE, NULL, "Sec-WebSocket-Version must be 13");
    return websocket_accept(key, accept) < 0
               ? api_fail(e, FAULT_MEMORY, NULL, "out of memory for a WebSocket")
               : 0;
}

void websocket_open(struct request *r)
{
    struct api_error e;
    char accept[32];
    json_t *fields = json_object();
    int rc = websocket_check(r, accept, &e);
    if (rc == 0 && strcmp(r->route->name, "stream-input") == 0)
        rc = faces_stream_input(r, fields, &e);
    json_decref(fields);
    if (rc < 0) {
        http_reply_error(r, &e);
        return;
    }
    r->reply.status = 101;
    r->reply.upgrade = true;
    http_reply_header(r, "Upgrade", "websocket");
    http_reply_header(r, "Sec-WebSocket-Accept", "%s", accept);
}

/* --- frames ------------------------------------------------------------------------------------
 */

static ssize_t socket_recv(wslay_event_context_ptr frames, uint8_t *to, size_t n, int flags,
                           void *cookie)
{
    struct socket *k = cookie;
    (void)flags;
    size_t left = k->extra.len - k->n_extra;
    if (left > 0) {
        size_t take = n < left ? n : left;
        memcpy(to, k->extra.data + k->n_extra, take);
        k->n_extra += take;
        return (ssize_t)take;
    }
    ssize_t got = recv(k->fd, to, n, MSG_DONTWAIT);
    if (got > 0)
        return got;
    bool later = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    wslay_event_set_error(frames, later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t socket_send(wslay_event_context_ptr frames, const uint8_t *data, size_t n, int flags,
                           void *cookie)
{
    struct socket *k = cookie;
    struct pollfd out = {.fd = k->fd, .events = POLLOUT};
    (void)flags;
    ssize_t sent =
        poll(&out, 1, SEND_MS) > 0 ? send(k->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
    if (sent < 0)
        wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return sent;
}

/* Only noted here, since acting on it may mean waiting for the speaking thread, which needs the
 * lock. */
static void socket_message(wslay_event_context_ptr frames,
                           const struct wslay_event_on_msg_recv_arg *arg, void *cookie)
{
    struct socket *k = cookie;
    if (wslay_is_ctrl_frame(arg->opcode))
        return;
    struct message *m = mem_try(1, sizeof *m + arg->msg_length + 1);
    if (!m) { /* the client must know that it was not heard */
        static const char why[] = "out of memory for a message";
        wslay_event_queue_close(frames, WSLAY_CODE_INTERNAL_SERVER_ERROR, (const uint8_t *)why,
                                sizeof why - 1);
        wslay_event_shutdown_read(frames);
        return;
    }
    if (arg->msg_length) /* of an empty message arg->msg is NULL */
        memcpy(m->text, arg->msg, arg->msg_length);
    m->n = arg->msg_length;
    *k->last = m;
    k->last = &m->next;
}

static int socket_write(struct socket *k, int opcode, const void *data, size_t n)
{
    const struct wslay_event_msg m = {(uint8_t)opcode, data, n};
    pthread_mutex_lock(&k->lock);
    int rc = wslay_event_queue_msg(k->frames, &m);
    if (rc == 0)
        rc = wslay_event_send(k->frames);
    pthread_mutex_unlock(&k->lock);
    return rc == 0 ? 0 : ERR_IO;
}

/* Takes the reference. */
static int socket_say(struct socket *k, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    int rc = text ? socket_write(k, WSLAY_TEXT_FRAME, text, strlen(text)) : ERR_MEMORY;
    free(text);
    json_decref(json);
    return rc;
}

static int socket_fail(struct socket *k, const struct api_error *e)
{
    json_t *error = api_error_json(e), *said;
    if (k->is_eleven)
        said = json_pack("{s:s, s:s, s:i}", "message", e->message, "error", "bad_request", "code",
                         1008);
    else
        said = json_pack("{s:s, s:O}", "type", "error", "error", json_object_get(error, "error"));
    int rc = socket_say(k, said);
    json_decref(error);
    return rc;
}

/* --- sound -------------------------------------------------------------------------------------
 */

static int socket_collect(void *cookie, const void *data, size_t n)
{
    return buf_add(&((struct socket *)cookie)->sound, data, n);
}

static int socket_flush(struct socket *k)
{
    int rc = 0;
    if (k->sound.len > 0 && k->is_eleven)
        rc = socket_say(k, json_pack("{s:o, s:n, s:n}", "audio",
                                     timed_audio(k->sound.data, k->sound.len), "isFinal",
                                     "alignment"));
    else if (k->sound.len > 0)
        rc = socket_write(k, WSLAY_BINARY_FRAME, k->sound.data, k->sound.len);
    buf_clear(&k->sound);
    return rc;
}

static int speaker_run(struct socket *k, struct jabbertts_error *e)
{
    float pcm[READ_SAMPLES];
    int n, rc = 0;
    while (rc == 0 && (n = talk_read(k->talk, pcm, READ_SAMPLES, e)) != 0) {
        rc = n < 0 ? n : jabbertts_encoder_write(k->encoder, pcm, (size_t)n, e);
        if (rc == 0)
            rc = socket_flush(k);
        k->n_sample += rc == 0 ? (size_t)n : 0;
    }
    if (rc == 0)
        rc = jabbertts_encoder_finish(k->encoder, e);
    return rc == 0 ? socket_flush(k) : rc;
}

static void *socket_speak(void *cookie)
{
    struct socket *k = cookie;
    struct jabbertts_error e = {0};
    struct api_error why;
    int rc = speaker_run(k, &e);
    if (rc == JABBERTTS_ERR_CANCELLED)
        return NULL;
    if (rc < 0 && e.code) {
        api_fail_engine(&why, NULL, &e);
        rc = socket_fail(k, &why);
    } else if (rc == 0) {
        rc = socket_say(k, k->is_eleven ? json_pack("{s:n, s:b}", "audio", "isFinal", 1)
                                        : json_pack("{s:s, s:f}", "type", "done", "seconds",
                                                    (double)k->n_sample / talk_rate(k->talk)));
    }
    if (rc < 0)
        shutdown(k->fd, SHUT_RDWR); /* the reader finds out */
    return NULL;
}

/* --- a talk ------------------------------------------------------------------------------------
 */

/* Whether it is spoken to its end or cancelled. */
static void socket_close_talk(struct socket *k)
{
    if (!k->talk)
        return;
    pthread_join(k->speaker, NULL);
    talk_free(k->talk);
    jabbertts_encoder_free(k->encoder);
    params_done(&k->params);
    buf_clear(&k->sound);
    k->talk = NULL;
    k->encoder = NULL;
}

/* The fields so far, as a request whose text is still to come. */
static int socket_read_fields(struct socket *k, struct api_error *e)
{
    const struct param_limits limits = {k->server->o.max_input_chars, k->server->o.strict};
    json_t *all = json_pack("{s:s, s:s, s:s}", "model", "tts-1", "input", "a", "response_format",
                            k->is_eleven ? "mp3" : "pcm");
    json_object_update(all, k->fields);
    char *text = json_dumps(all, JSON_COMPACT);
    int rc = text ? params_parse(text, strlen(text), &limits, &k->params, e)
                  : api_fail(e, FAULT_MEMORY, NULL, "out of memory for a request");
    free(text);
    json_decref(all);
    return rc == 0 && ask_check_model(k->server, k->params.model, e) < 0
               ? (params_done(&k->params), -1)
               : rc;
}

static int socket_open_talk(struct socket *k, struct api_error *e)
{
    struct jabbertts_error why;
    struct jabbertts_model_info model;
    struct jabbertts_request *r = &k->params.request;
    if (socket_read_fields(k, e) < 0)
        return -1;
    jabbertts_model_info(models_find(k->server, k->params.model), &model);
    r->model = model.name;
    r->owner = k->owner;
    r->ssml = -1;
    r->deadline_s = k->server->o.request_timeout_s;
    r->fallback = k->server->o.fallback;
    int rc = talk_new(k->server->tts, r, &k->talk, &why);
    struct jabbertts_encoder_options *how = &k->params.encoder;
    if (rc == 0) {
        how->in_hz = talk_rate(k->talk);
        how->out_hz = how->out_hz || strcmp(how->format, "pcm") != 0 ? how->out_hz : 24000;
        how->sink = socket_collect;
        how->cookie = k;
        rc = jabbertts_encoder_new(how, &k->encoder, &why);
    }
    k->n_sample = 0;
    if (rc == 0 && pthread_create(&k->speaker, NULL, socket_speak, k) == 0)
        return 0;
    if (rc == 0)
        why = (struct jabbertts_error){.code = JABBERTTS_ERR_MEMORY,
                                       .message = "no thread for a talk"};
    talk_free(k->talk);
    jabbertts_encoder_free(k->encoder);
    params_done(&k->params);
    k->talk = NULL;
    k->encoder = NULL;
    return api_fail_engine(e, "voice", &why);
}

static int socket_text(struct socket *k, const char *text, struct api_error *e)
{
    if (!k->talk && socket_open_talk(k, e) < 0)
        return -1;
    int rc = talk_add(k->talk, text, strlen(text));
    return rc == JABBERTTS_ERR_LIMIT
               ? api_fail(e, FAULT_TOO_LONG, "text", "over 1 MiB of text waits to be spoken")
               : 0;
}

/* Barge-in: nothing more is sent of what was said so far. */
static int socket_cancel(struct socket *k)
{
    double rate = k->talk ? talk_rate(k->talk) : 1;
    if (k->talk)
        talk_cancel(k->talk);
    socket_close_talk(k);
    double sent = k->n_sample / rate;
    k->n_sample = 0;
    return socket_say(k, json_pack("{s:s, s:f}", "type", "cancelled", "seconds", sent));
}

/* --- messages ----------------------------------------------------------------------------------
 */

/* {"type": "start" | "text" | "flush" | "end" | "cancel"} */
static int socket_ours(struct socket *k, json_t *o, struct api_error *e)
{
    const char *type = json_string_value(json_object_get(o, "type"));
    const char *text = json_string_value(json_object_get(o, "text"));
    if (type && strcmp(type, "start") == 0) {
        socket_close_talk(k);
        json_object_del(o, "type");
        json_object_clear(k->fields);
        json_object_update(k->fields, o);
        return socket_open_talk(k, e);
    }
    if (type && strcmp(type, "text") == 0 && text)
        return socket_text(k, text, e);
    if (type && strcmp(type, "flush") == 0)
        return k->talk ? (talk_flush(k->talk), 0) : 0;
    if (type && strcmp(type, "end") == 0) {
        if (k->talk)
            talk_end(k->talk);
        return 0;
    }
    if (type && strcmp(type, "cancel") == 0)
        return socket_cancel(k) < 0 ? api_fail(e, FAULT_CANCELLED, NULL, "it has left") : 0;
    return api_fail(e, FAULT_INVALID_VALUE, "type",
                    "a message's type must be start, text (with \"text\"), flush, end or cancel");
}

/* {"text": " ", "voice_settings"}, {"text": "...", "flush": true}, {"text": ""} */
static int socket_eleven(struct socket *k, json_t *o, struct api_error *e)
{
    const char *text = json_string_value(json_object_get(o, "text"));
    const json_t *speed = json_object_get(json_object_get(o, "voice_settings"), "speed");
    if (!text)
        return api_fail(e, FAULT_MISSING, "text", "a message has no text");
    if (json_is_number(speed))
        json_object_set_new(k->fields, "speed", json_real(json_number_value(speed)));
    if (!*text) {
        if (k->talk)
            talk_end(k->talk);
        return 0;
    }
    if (socket_text(k, text, e) < 0)
        return -1;
    if (json_is_true(json_object_get(o, "flush")))
        talk_flush(k->talk);
    return 0;
}

static int socket_handle(struct socket *k, const struct message *m)
{
    struct api_error e = {0};
    json_error_t why;
    json_t *o = json_loadb(m->text, m->n, 0, &why);
    int rc = json_is_object(o)
                 ? (k->is_eleven ? socket_eleven : socket_ours)(k, o, &e)
                 : api_fail(&e, FAULT_BAD_JSON, NULL, "a message is not a JSON object");
    json_decref(o);
    return rc < 0 ? socket_fail(k, &e) : 0;
}

/* What came, in order. */
static int socket_handle_all(struct socket *k)
{
    int rc = 0;
    while (k->first) {
        struct message *m = k->first;
        k->first = m->next;
        if (!k->first)
            k->last = &k->first;
        rc = rc == 0 ? socket_handle(k, m) : rc;
        mem_free(m);
    }
    return rc;
}

/* --- the connection ----------------------------------------------------------------------------
 */

static void socket_read_all(struct socket *k)
{
    struct pollfd in = {.fd = k->fd, .events = POLLIN};
    for (int rc = 0; rc == 0;) {
        if (k->n_extra == k->extra.len && poll(&in, 1, RECEIVE_MS) <= 0)
            return;
        pthread_mutex_lock(&k->lock);
        rc = wslay_event_recv(k->frames);
        if (rc == 0 && wslay_event_want_write(k->frames)) /* pong, close */
            rc = wslay_event_send(k->frames);
        bool closed = wslay_event_get_close_received(k->frames) ||
                      !wslay_event_want_read(k->frames); /* a broken frame ends it */
        pthread_mutex_unlock(&k->lock);
        if (rc == 0)
            rc = socket_handle_all(k);
        if (closed)
            return;
    }
}

static void socket_free(struct socket *k)
{
    if (k->talk)
        talk_cancel(k->talk);
    socket_close_talk(k);
    while (k->first) {
        struct message *m = k->first;
        k->first = m->next;
        mem_free(m);
    }
    if (k->frames)
        wslay_event_context_free(k->frames);
    json_decref(k->fields);
    buf_done(&k->extra);
    buf_done(&k->sound);
    mem_free(k->owner);
    pthread_mutex_destroy(&k->lock);
    pthread_mutex_lock(&k->server->lock);
    k->server->n_socket--;
    pthread_mutex_unlock(&k->server->lock);
    MHD_upgrade_action(k->handle, MHD_UPGRADE_ACTION_CLOSE);
    mem_free(k);
}

static void *socket_main(void *cookie)
{
    struct socket *k = cookie;
    static const struct wslay_event_callbacks calls = {.recv_callback = socket_recv,
                                                       .send_callback = socket_send,
                                                       .on_msg_recv_callback = socket_message};
    if (wslay_event_context_server_init(&k->frames, &calls, k) == 0) {
        wslay_event_config_set_max_recv_msg_length(k->frames, MESSAGE_BYTES);
        socket_read_all(k);
    }
    socket_free(k);
    return NULL;
}

static bool socket_has_room(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    bool room = s->n_socket < MAX_SOCKETS && !s->stopping;
    s->n_socket += room;
    pthread_mutex_unlock(&s->lock);
    return room;
}

void websocket_upgraded(struct request *r, const void *extra, size_t n_extra, int fd,
                        struct MHD_UpgradeResponseHandle *handle)
{
    struct socket *k = socket_has_room(r->server) ? mem_alloc(sizeof *k) : NULL;
    const char *owner = access_owner(r);
    pthread_attr_t detached;
    pthread_t thread;
    struct api_error e;
    if (!k) {
        MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
        return;
    }
    *k = (struct socket){.server = r->server, .handle = handle, .fd = fd, .fields = json_object()};
    k->last = &k->first;
    k->owner = owner ? mem_strndup(owner, strlen(owner)) : NULL;
    k->is_eleven = strcmp(r->route->name, "stream-input") == 0;
    if (k->is_eleven)
        faces_stream_input(r, k->fields, &e);
    pthread_mutex_init(&k->lock, NULL);
    buf_init(&k->extra, MESSAGE_BYTES);
    buf_init(&k->sound, 4 << 20);
    buf_add(&k->extra, extra, n_extra);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &detached, socket_main, k) != 0)
        socket_free(k);
    pthread_attr_destroy(&detached);
}
