/* speech.c - POST /v1/audio/speech.
 *
 *     request -> params -> engine -> samples -> encoder -> chunk -> reply, its bytes or events
 *
 * speech_run is called whenever something happened and moves what there is as far as it goes: it
 * stops at an empty engine (which calls again when there is sound) and at a full reply (which calls
 * again when the client has taken some).  The status is decided when the first sound is there, so
 * that whatever fails before has a status of its own. */
#include <gnutls/gnutls.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/near.h"
#include "server/http.h"
#include "server/params.h"

#define READ_SAMPLES   4096
#define PCM_HZ         24000 /* what OpenAI's clients take pcm to be */
#define WAV_HEADER     44
#define LOG_TEXT_BYTES 4096

struct speech {
    struct speech_params params;
    struct jabbertts_stream *stream;
    struct jabbertts_encoder *encoder;
    struct buf chunk; /* encoded, not yet handed over; with stream false the whole sound */
    int out_hz;       /* of wav and pcm */
    bool started;     /* the reply is on its way */
    bool done;
    float pcm[READ_SAMPLES];
};

static void speech_free(struct speech *sp)
{
    jabbertts_stream_free(sp->stream);
    jabbertts_encoder_free(sp->encoder);
    params_done(&sp->params);
    buf_done(&sp->chunk);
    mem_free(sp);
}

/* --- the request --- */

static int check_content_type(const struct request *r, struct api_error *e)
{
    const char *type = http_header(r, "Content-Type");
    size_t n = type ? strcspn(type, "; \t") : 0;
    if (!type || (n == 16 && strncasecmp(type, "application/json", 16) == 0))
        return 0;
    return api_fail(e, FAULT_CONTENT_TYPE, NULL,
                    "the body is %.64s, must be JSON; send the header Content-Type: "
                    "application/json",
                    type);
}

/* How long the client is going to wait, at most the server's own limit. */
static double deadline(const struct request *r)
{
    const char *s = http_header(r, "X-Stainless-Timeout");
    double limit = r->server->o.request_timeout_s, t = s ? strtod(s, NULL) : 0;
    return t > 0 && t < limit ? t : limit;
}

static void ignore(void *cookie, const struct jabbertts_stored *v)
{
    (void)cookie;
    (void)v;
}

static bool voice_known(struct server *s, const char *voice)
{
    const char *name, *target;
    for (int i = 0; (name = jabbertts_voice_name(s->tts, i)); i++)
        if (strcmp(name, voice) == 0)
            return true;
    for (int i = 0; (name = jabbertts_voice_alias(s->tts, i, &target)); i++)
        if (strcmp(name, voice) == 0)
            return true;
    return strcmp(voice, "default") == 0 ||
           (s->store &&
            jabbertts_store_get(s->store, JABBERTTS_VOICE, voice, ignore, NULL, NULL) == 0);
}

static int fail_voice(struct server *s, const char *voice, struct api_error *e)
{
    const char *name, *target;
    struct near near;
    int n = 0;
    near_init(&near, voice);
    for (int i = 0; (name = jabbertts_voice_name(s->tts, i)); i++, n++)
        near_try(&near, name);
    for (int i = 0; (name = jabbertts_voice_alias(s->tts, i, &target)); i++, n++)
        near_try(&near, name);
    const char *best = near_found(&near);
    return api_fail(e, FAULT_INVALID_VALUE, "voice",
                    "there is no voice '%.64s'%s%s%s GET /v1/audio/voices lists %d.", voice,
                    best ? "; did you mean '" : ".", best ? best : "", best ? "'?" : "", n);
}

static int submit(struct request *r, struct speech *sp, struct api_error *e)
{
    struct server *s = r->server;
    const struct speech_params *p = &sp->params;
    struct jabbertts_request q;
    struct jabbertts_error why;
    jabbertts_request_init(&q);
    q.text = p->input;
    q.voice = strcmp(p->voice, "default") ? p->voice : NULL;
    q.seed = (uint64_t)p->seed;
    q.temperature = (float)p->temperature;
    q.top_p = (float)p->top_p;
    q.repetition_penalty = (float)p->repetition_penalty;
    q.language = p->language;
    q.instructions = p->instructions;
    q.model = models_engine(p->model);
    q.deadline_s = deadline(r);
    int rc = jabbertts_submit(s->tts, &q, &sp->stream, &why);
    if (rc >= 0)
        return 0;
    if (rc != JABBERTTS_ERR_NOT_FOUND)
        return api_fail_engine(e, "input", &why);
    if (q.model)
        return api_fail_engine(e, "voice", &why);
    /* A language that espeak-ng does not know is not found either. */
    return voice_known(s, p->voice) ? api_fail_engine(e, "language", &why)
                                    : fail_voice(s, p->voice, e);
}

static int speech_collect(void *cookie, const void *data, size_t n)
{
    return buf_add(&((struct speech *)cookie)->chunk, data, n);
}

/* After submit, which says what rate the sound has. */
static int speech_open_encoder(struct speech *sp, struct api_error *e)
{
    const struct speech_params *p = &sp->params;
    struct jabbertts_error why;
    struct jabbertts_encoder_options o = {.format = params_format_name(p->response_format),
                                          .in_hz = jabbertts_stream_rate(sp->stream),
                                          .out_hz = p->sample_rate,
                                          .speed = p->speed,
                                          .sink = speech_collect,
                                          .cookie = sp};
    if (!o.out_hz && p->response_format == FORMAT_PCM)
        o.out_hz = PCM_HZ;
    sp->out_hz = o.out_hz ? o.out_hz : o.in_hz;
    if (jabbertts_encoder_new(&o, &sp->encoder, &why) < 0)
        return api_fail_engine(e, "sample_rate", &why);
    return 0;
}

static int check_model(const struct server *s, const char *id, struct api_error *e)
{
    if (models_known(s, id))
        return 0;
    const char *best = models_nearest(s, id);
    return api_fail(e, FAULT_NO_MODEL, "model",
                    "there is no model '%.64s'%s%s%s GET /v1/models lists those there are.", id,
                    best ? "; did you mean '" : ".", best ? best : "", best ? "'?" : "");
}

static void begin_stats(struct request *r, const struct speech_params *p)
{
    struct speech_stats *t = &r->stats;
    t->format = params_format_name(p->response_format);
    snprintf(t->voice, sizeof t->voice, "%s", p->voice);
    t->n_char = p->n_char;
    if (r->server->o.log_text)
        t->text = mem_strndup(p->input, LOG_TEXT_BYTES);
}

/* What the engine made of it, before its stream goes. */
static void end_stats(struct request *r, const struct speech *sp)
{
    struct speech_stats *t = &r->stats;
    struct jabbertts_progress p;
    jabbertts_stream_progress(sp->stream, &p);
    t->audio_s = (double)p.n_sample / jabbertts_stream_rate(sp->stream);
    t->queue_s = p.wait_s;
    t->first_audio_s = p.first_audio_s;
    t->made_s = p.elapsed_s - (p.wait_s > 0 ? p.wait_s : 0);
}

static void on_sound(void *cookie)
{
    http_schedule(cookie);
}

static int speech_begin(struct request *r, struct api_error *e)
{
    struct param_limits limits = {r->server->o.max_input_chars, r->server->o.strict};
    struct speech *sp = mem_try(1, sizeof *sp);
    if (!sp)
        return api_fail(e, FAULT_MEMORY, NULL, "out of memory for a request");
    buf_init(&sp->chunk, HTTP_WHOLE_BYTES);
    if (check_content_type(r, e) < 0 ||
        params_parse(r->body.data, r->body.len, &limits, &sp->params, e) < 0 ||
        check_model(r->server, sp->params.model, e) < 0 || submit(r, sp, e) < 0 ||
        speech_open_encoder(sp, e) < 0) {
        speech_free(sp);
        return -1;
    }
    buf_done(&r->body);
    begin_stats(r, &sp->params);
    r->speech = sp;
    jabbertts_stream_on_ready(sp->stream, on_sound, r);
    return 0;
}

/* --- the reply --- */

static void set_headers(struct request *r, const struct speech *sp)
{
    const struct speech_params *p = &sp->params;
    const char *type = params_format_type(p->response_format);
    r->reply.status = 200;
    r->reply.type = p->sse ? "text/event-stream; charset=utf-8" : type;
    if (!p->sse)
        http_reply_header(r, "Content-Disposition", "attachment; filename=\"speech.%s\"",
                          params_format_name(p->response_format));
    http_reply_header(r, "Cache-Control", "no-cache");
    http_reply_header(r, "X-Accel-Buffering", "no");
    http_reply_header(r, "x-jabbertts-seed", "%lld", (long long)p->seed);
    if (p->ignored[0])
        http_reply_header(r, "x-jabbertts-warning", "unknown fields ignored: %s", p->ignored);
}

static int write_event(struct request *r, const char *name, json_t *json)
{
    struct buf b;
    char *s = json ? json_dumps(json, JSON_COMPACT) : NULL;
    buf_init(&b, HTTP_WHOLE_BYTES);
    int rc = s ? buf_add_format(&b, "%s%s%sdata: ", name ? "event: " : "", name ? name : "",
                                name ? "\n" : "")
               : ERR_MEMORY;
    if (rc == 0)
        rc = buf_add_str(&b, s);
    if (rc == 0)
        rc = buf_add_str(&b, "\n\n");
    if (rc == 0)
        rc = http_write(r, b.data, b.len);
    buf_done(&b);
    free(s);
    json_decref(json);
    return rc;
}

static int write_delta(struct request *r, const struct buf *chunk)
{
    gnutls_datum_t raw = {(unsigned char *)chunk->data, (unsigned)chunk->len}, text;
    if (gnutls_base64_encode2(&raw, &text) < 0)
        return ERR_MEMORY;
    json_t *json = json_pack("{s:s,s:s%}", "type", "speech.audio.delta", "audio", text.data,
                             (size_t)text.size);
    gnutls_free(text.data);
    return write_event(r, NULL, json);
}

/* Hand over what is encoded. */
static int speech_flush(struct request *r, struct speech *sp)
{
    int rc = 0;
    if (!sp->params.stream)
        return 0;
    if (!sp->started) {
        set_headers(r, sp);
        r->reply.stream = true;
        sp->started = true;
        http_ready(r);
    }
    if (sp->chunk.len > 0)
        rc = sp->params.sse ? write_delta(r, &sp->chunk)
                            : http_write(r, sp->chunk.data, sp->chunk.len);
    buf_clear(&sp->chunk);
    return rc;
}

/* A client must never take a broken sound for a whole one. */
static void speech_fail(struct request *r, struct speech *sp, const struct api_error *e)
{
    sp->done = true;
    end_stats(r, sp);
    if (!sp->started) {
        http_reply_error(r, e);
        http_ready(r);
        return;
    }
    r->error = *e;
    if (sp->params.sse)
        write_event(r, "error", api_error_json(e));
    http_write_end(r, !sp->params.sse);
}

static void end_events(struct request *r, const struct jabbertts_progress *p)
{
    int n_in = p->n_token, n_out = p->n_frame;
    write_event(r, NULL,
                json_pack("{s:s,s:{s:i,s:i,s:i}}", "type", "speech.audio.done", "usage",
                          "input_tokens", n_in, "output_tokens", n_out, "total_tokens",
                          n_in + n_out));
    http_write(r, "data: [DONE]\n\n", 14);
}

static void send_whole(struct request *r, struct speech *sp)
{
    if (sp->params.response_format == FORMAT_WAV)
        jabbertts_wav_header(sp->out_hz, (sp->chunk.len - WAV_HEADER) / 2,
                             (unsigned char *)sp->chunk.data);
    set_headers(r, sp);
    buf_done(&r->reply.body);
    r->reply.body = sp->chunk;
    buf_init(&sp->chunk, HTTP_WHOLE_BYTES);
    http_ready(r);
}

static void speech_finish(struct request *r, struct speech *sp)
{
    struct jabbertts_error why;
    struct jabbertts_progress p;
    struct api_error e;
    jabbertts_stream_progress(sp->stream, &p);
    if (p.n_truncated > 0) {
        api_fail(&e, FAULT_INCOMPLETE, NULL,
                 "the model did not come to the end of %d of %d sentences; try another seed, or "
                 "shorter sentences",
                 p.n_truncated, p.n_piece);
        speech_fail(r, sp, &e);
        return;
    }
    if (jabbertts_encoder_finish(sp->encoder, &why) < 0 || speech_flush(r, sp) < 0) {
        api_fail(&e, FAULT_INTERNAL, NULL, "the sound could not be encoded");
        speech_fail(r, sp, &e);
        return;
    }
    sp->done = true;
    end_stats(r, sp);
    if (!sp->params.stream) {
        send_whole(r, sp);
        return;
    }
    if (sp->params.sse)
        end_events(r, &p);
    http_write_end(r, false);
}

/* Move sound until the engine has none or the client takes none. */
static void speech_pump(struct request *r, struct speech *sp)
{
    struct jabbertts_error why = {0};
    struct api_error e;
    while (!sp->done && http_has_room(r)) {
        int n = jabbertts_try_read(sp->stream, sp->pcm, READ_SAMPLES, &why);
        if (n == JABBERTTS_AGAIN)
            return;
        if (n == 0) {
            speech_finish(r, sp);
            return;
        }
        if (n > 0)
            n = jabbertts_encoder_write(sp->encoder, sp->pcm, (size_t)n, &why);
        if (n >= 0 && speech_flush(r, sp) < 0)
            n = why.code = JABBERTTS_ERR_MEMORY;
        if (n < 0) {
            api_fail_engine(&e, NULL, &why);
            speech_fail(r, sp, &e);
        }
    }
}

void speech_run(struct request *r)
{
    struct api_error e = {0};
    if (!r->speech && r->reply.status == 0 && speech_begin(r, &e) < 0) {
        http_reply_error(r, &e);
        http_ready(r);
    }
    struct speech *sp = r->speech;
    if (!sp)
        return;
    if (!http_gone(r)) {
        speech_pump(r, sp);
        return;
    }
    if (!sp->done) {
        jabbertts_cancel(sp->stream);
        r->stats.cancelled = true;
        api_fail(&e, FAULT_CANCELLED, NULL, "the client closed the connection");
        speech_fail(r, sp, &e);
    }
    if (http_over(r)) {
        r->speech = NULL;
        speech_free(sp);
    }
}
