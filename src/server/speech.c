/* speech.c - POST /v1/audio/speech: fields, the pump, and its sink, which is the reply.
 *
 * speech_run is called whenever something happened and lets the pump move what there is.  The
 * status is decided when the first sound is there, so that whatever fails before has a status of
 * its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "server/access.h"
#include "server/ask.h"
#include "server/daemon.h"
#include "server/faces.h"
#include "server/fish.h"
#include "server/kept.h"
#include "server/log.h"
#include "server/timed.h"
#include "store/takes.h"

#define LOG_TEXT_BYTES 4096
#define CHARS_PER_S    16.0 /* of English, read aloud: about 150 words a minute */

enum speech_shape { /* of the answer */
                    SPEECH_SOUND,
                    SPEECH_EVENTS,
                    SPEECH_TIMES,     /* one JSON, with times */
                    SPEECH_CAPTIONED, /* the same in Kokoro's shape, */
                    SPEECH_LINES      /* or a line of it for each stretch of sound */
};

struct speech {
    struct request_state state;
    struct request *request;
    struct speech_params params;
    struct jabbertts_format format;
    struct pump *pump;
    enum speech_shape shape;
    struct captions captions; /* with times */
    int n_told;               /* words of them that the client knows, */
    int n_sentence_told;      /* and words of whole sentences */
    struct spool whole;       /* with stream false: the sound so far */
    int spool_rc;             /* < 0: the error that kept it from being stored */
    struct kept_sound
        *download;             /* the same, to be fetched later; NULL: not asked for, or no room */
    char take[TAKES_NAME + 1]; /* its name; "": it is not kept */
    struct take_writer *keeping;
    bool found;   /* it was kept, and is the answer */
    bool started; /* the reply is on its way */
    bool done;

    /* Fields of the log line of a request that has ended. */
    char voice[64];
    char *text; /* with the option log_text */
    bool cancelled;
    double audio_s, queue_s, first_audio_s; /* the last two are < 0 if it did not get that far */
    double made_s;                          /* from the start to the end */
    int n_repaired;                         /* times that a sentence was made again */
};

/* --- log and metrics --- */

static void speech_log(const struct request_state *state, json_t *o)
{
    const struct speech *sp = (const struct speech *)state;
    log_set_string(o, "format", sp->format.name);
    log_set_string(o, "voice", sp->voice);
    if (sp->found)
        log_set_string(o, "take", sp->take);
    json_object_set_new(o, "characters", json_integer((json_int_t)sp->params.n_char));
    log_set_seconds(o, "audio_seconds", sp->audio_s);
    log_set_seconds(o, "first_audio_seconds", sp->first_audio_s);
    if (sp->audio_s > 0)
        log_set_seconds(o, "rtf", sp->made_s / sp->audio_s);
    if (sp->n_repaired > 0)
        json_object_set_new(o, "repaired", json_integer(sp->n_repaired));
    log_set_string(o, "text", sp->text);
}

static void speech_count(const struct request_state *state, struct metrics *m, bool failed)
{
    const struct speech *sp = (const struct speech *)state;
    if (sp->found)
        return;
    if (sp->cancelled)
        metrics_add(m, METRIC_CANCELLATIONS, "", 1);
    metrics_add(m, METRIC_CHARACTERS, "", (double)sp->params.n_char);
    metrics_add(m, METRIC_AUDIO_SECONDS, "", sp->audio_s);
    if (sp->first_audio_s >= 0)
        metrics_add(m, METRIC_FIRST_AUDIO_SECONDS, "", sp->first_audio_s);
    if (sp->queue_s >= 0)
        metrics_add(m, METRIC_QUEUE_SECONDS, "", sp->queue_s);
    if (sp->audio_s > 0 && !failed) {
        metrics_add(m, METRIC_SPEECH_SECONDS, "", sp->audio_s);
        metrics_add(m, METRIC_RTF, "", sp->made_s / sp->audio_s);
    }
}

/* What the engine reports about it. */
static void speech_end(struct speech *sp)
{
    struct jabbertts_progress p;
    pump_progress(sp->pump, &p);
    sp->done = true;
    sp->audio_s = pump_seconds(sp->pump);
    sp->queue_s = p.wait_s;
    sp->first_audio_s = p.first_audio_s;
    sp->n_repaired = p.n_repaired;
    sp->made_s = p.elapsed_s - (p.wait_s > 0 ? p.wait_s : 0);
}

static void speech_free(struct request_state *state)
{
    struct speech *sp = (struct speech *)state;
    pump_free(sp->pump);
    takes_drop(sp->keeping);
    params_done(&sp->params);
    spool_done(&sp->whole);
    downloads_free(sp->download);
    captions_done(&sp->captions);
    mem_free(sp->text);
    mem_free(sp);
}

/* --- the request --- */

static int check_content_type(const struct request *r, struct api_error *e)
{
    const char *type = http_header(r, "Content-Type");
    size_t n = type ? strcspn(type, "; \t") : 0;
    /* A page of another site can send anything but JSON without asking. */
    if ((n == 16 && strncasecmp(type, "application/json", 16) == 0) ||
        (strcmp(r->route->name, "fish") == 0 && (fish_is_packed(r) || fish_is_form(r))))
        return 0;
    return api_fail(e, FAULT_CONTENT_TYPE, NULL,
                    "the body is %.64s, must be JSON; send the header Content-Type: "
                    "application/json",
                    type ? type : "of no type");
}

/* For how long the client waits for the answer to begin, as OpenAI's clients announce it; its sound
 * may take longer.  0: it does not say. */
static double client_patience(const struct request *r)
{
    const char *s = http_header(r, "X-Stainless-Timeout");
    double t = s ? strtod(s, NULL) : 0;
    return t > 0 && t < 1e6 ? t : 0;
}

/* What cannot be spoken in time is refused before it is begun: at once by its own length, which no
 * retry changes, or for now because of what waits before it.  As fast as the engine was recently;
 * it may be faster, so a third is allowed for. */
static int check_time(const struct request *r, const struct speech_params *p, struct api_error *e)
{
    const struct server *s = r->server;
    double patience = client_patience(r);
    struct jabbertts_load l;
    jabbertts_load(s->tts, &l);
    double needs = (double)p->n_char / CHARS_PER_S * l.rtf * (p->request.model ? 0 : 1);
    double limit = s->o.request_timeout_s;
    if (!p->stream && patience > 0 && patience < limit)
        limit = patience; /* then the answer begins at its end */
    if (needs > limit * 4 / 3)
        return api_fail(e, FAULT_TOO_LONG, "input",
                        "speaking %zu characters takes about %.0f s here, and the request may take "
                        "%.0f s; split the text%s",
                        p->n_char, needs, limit,
                        limit < s->o.request_timeout_s ? ", or ask for a stream" : "");
    if (patience > 0 && l.wait_s > patience * 4 / 3) {
        api_fail(e, FAULT_BUSY, NULL,
                 "the sound would begin in about %.0f s, later than the %.3g s that the client "
                 "waits",
                 l.wait_s, patience);
        e->retry_after_s = l.wait_s - patience;
        return -1;
    }
    return 0;
}

/* --- the reply: the pump's sink --- */

static const char *speech_type(const struct speech *sp)
{
    return sp->shape == SPEECH_EVENTS  ? "text/event-stream; charset=utf-8"
           : sp->shape == SPEECH_SOUND ? sp->format.type
                                       : "application/json";
}

static void set_headers(struct request *r, const struct speech *sp)
{
    const struct speech_params *p = &sp->params;
    if (r->reply.status == 0) {
        r->reply.status = 200;
        r->reply.type = speech_type(sp);
    }
    if (sp->shape == SPEECH_SOUND)
        http_reply_header(r, "Content-Disposition", "attachment; filename=\"speech.%s\"",
                          sp->format.name);
    http_reply_header(r, "Cache-Control", "no-cache");
    http_reply_header(r, "X-Accel-Buffering", "no");
    http_reply_header(r, "x-jabbertts-seed", "%llu", (unsigned long long)p->request.seed);
    if (sp->n_repaired > 0) /* of an answer that is sent when it is whole */
        http_reply_header(r, "x-jabbertts-repaired", "%d", sp->n_repaired);
    if (sp->download)
        http_reply_header(r, "X-Download-Path", "/download/%s.%s", r->id, sp->format.name);
    else if (p->download && sp->found)
        http_reply_header(r, "X-Download-Path", "/audio/takes/%s", sp->take);
    if (p->ignored[0])
        http_reply_header(r, "x-jabbertts-warning", "unknown fields ignored: %s", p->ignored);
    if (p->unread)
        http_reply_header(r, "x-jabbertts-warning",
                          "the text has a script that the model does not read; try the model "
                          "espeak-ng with the voice %s, or the server's option fallback",
                          p->unread);
}

/* Sent bytes are also kept. */
static int speech_put(struct request *r, const void *data, size_t n)
{
    takes_write(((struct speech *)r->state)->keeping, data, n);
    return http_write(r, data, n);
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
        rc = speech_put(r, b.data, b.len);
    buf_done(&b);
    free(s);
    json_decref(json);
    return rc;
}

static int write_delta(struct request *r, const void *data, size_t n)
{
    return write_event(
        r, NULL,
        json_pack("{s:s, s:o}", "type", "speech.audio.delta", "audio", timed_audio(data, n)));
}

/* The words that are new, in events of their own; a sentence when it is whole (all: the last one
 * is). */
static int write_times(struct request *r, struct speech *sp, bool all)
{
    struct captions *c = &sp->captions;
    const struct jabbertts_stream *stream = pump_stream(sp->pump);
    int rc = stream ? captions_take(c, stream) : 0, whole = c->n, n_word = c->n;
    if (rc < 0)
        return rc;
    while (!all && whole > 0 && c->word[whole - 1].sentence == c->word[c->n - 1].sentence)
        whole--;
    rc = 0;
    if (sp->params.times & PARAM_TIMES_WORD && c->n > sp->n_told)
        rc = write_event(r, NULL, timed_event(c, sp->n_told, false));
    sp->n_told = n_word;
    if (rc == 0 && sp->params.times & PARAM_TIMES_SENTENCE && whole > sp->n_sentence_told) {
        c->n = whole;
        rc = write_event(r, NULL, timed_event(c, sp->n_sentence_told, true));
        c->n = n_word;
        sp->n_sentence_told = whole;
    }
    return rc;
}

/* A line of Kokoro's: sound, and the words that are new. */
static int write_line(struct request *r, struct speech *sp, const void *data, size_t n)
{
    const struct jabbertts_stream *stream = pump_stream(sp->pump);
    int rc = stream ? captions_take(&sp->captions, stream) : 0;
    json_t *json = rc < 0 ? NULL
                          : timed_kokoro(&sp->captions, sp->n_told, sp->params.return_timestamps,
                                         sp->format.type, data, n);
    char *s = json ? json_dumps(json, JSON_COMPACT) : NULL;
    sp->n_told = sp->captions.n;
    rc = s ? speech_put(r, s, strlen(s)) : ERR_MEMORY;
    if (rc == 0)
        rc = speech_put(r, "\n", 1);
    free(s);
    json_decref(json);
    return rc;
}

static void speech_start(struct request *r, struct speech *sp)
{
    if (sp->started)
        return;
    set_headers(r, sp);
    if (sp->keeping)
        kept_announce(r, sp->take, false);
    r->reply.stream = true;
    sp->started = true;
    http_ready(r);
}

static int speech_write(void *cookie, const void *data, size_t n)
{
    struct speech *sp = cookie;
    downloads_add(&sp->download, data, n);
    if (!sp->params.stream) {
        if (sp->shape == SPEECH_SOUND)
            takes_write(sp->keeping, data, n);
        return sp->spool_rc = spool_add(&sp->whole, data, n);
    }
    speech_start(sp->request, sp);
    if (sp->shape == SPEECH_LINES)
        return write_line(sp->request, sp, data, n);
    if (sp->shape == SPEECH_SOUND)
        return speech_put(sp->request, data, n);
    int rc = write_delta(sp->request, data, n);
    return rc < 0 || !sp->params.times ? rc : write_times(sp->request, sp, false);
}

static bool speech_has_room(void *cookie)
{
    return http_has_room(((struct speech *)cookie)->request);
}

static void speech_wake(void *cookie)
{
    http_schedule(((struct speech *)cookie)->request);
}

static int speech_submit(struct request *r, struct speech *sp, struct api_error *e)
{
    const struct asker who = {.owner = access_owner(r),
                              .deadline_s = r->server->o.request_timeout_s,
                              .sink = {speech_write, speech_has_room, speech_wake, sp}};
    return ask_submit(r->server, &sp->params, &who, &sp->pump, e);
}

/* The name of what is asked for.  What has none is not kept, and why shows when it is submitted. */
static void speech_name(struct request *r, struct speech *sp)
{
    char also[128];
    const struct speech_params *p = &sp->params;
    snprintf(also, sizeof also, "%d %.9g %d %d %d", sp->shape, p->volume, p->times,
             p->return_timestamps, r->server->o.refuse_silence);
    if (jabbertts_take_name(r->server->tts, &p->request, &p->encoder, also, sp->take, NULL) < 0)
        sp->take[0] = 0;
}

/* Is the answer there already?  Then it is the reply. */
static bool speech_find(struct request *r, struct speech *sp)
{
    speech_name(r, sp);
    sp->found = sp->take[0] && kept_reply(r, sp->take);
    if (sp->found)
        set_headers(r, sp);
    return sp->found;
}

/* What shape the answer gets: by its path and fields. */
static int speech_choose_shape(const struct request *r, struct speech *sp, struct api_error *e)
{
    struct speech_params *p = &sp->params;
    if (strcmp(r->route->name, "timestamps") == 0) {
        sp->shape = SPEECH_TIMES;
        p->stream = p->stream_format = 0;
        p->times = p->times ? p->times : PARAM_TIMES_WORD | PARAM_TIMES_SENTENCE;
    } else if (strcmp(r->route->name, "captioned") == 0) {
        sp->shape = p->stream ? SPEECH_LINES : SPEECH_CAPTIONED;
        p->stream_format = 0;
    } else {
        sp->shape = p->stream_format ? SPEECH_EVENTS : SPEECH_SOUND;
        p->stream = p->stream || p->stream_format; /* events have no length to wait for */
        if (p->times && sp->shape != SPEECH_EVENTS)
            return api_fail(e, FAULT_INVALID_VALUE, "timestamp_granularities",
                            "'timestamp_granularities' wants \"stream_format\": \"sse\", or POST "
                            "/v1/audio/speech/timestamps");
    }
    p->request.words = p->times || sp->shape >= SPEECH_CAPTIONED;
    sp->captions.text = p->request.text;
    sp->captions.speed = p->encoder.speed > 0 ? p->encoder.speed : 1;
    return 0;
}

/* What the engine is asked for. */
static int speech_ask(struct request *r, struct speech *sp, struct api_error *e)
{
    struct takes *takes = r->server->takes;
    if (check_time(r, &sp->params, e) < 0 || speech_submit(r, sp, e) < 0)
        return -1;
    if (sp->params.download)
        sp->download = downloads_new(r->server, access_owner(r));
    if (takes && sp->take[0])
        sp->keeping = takes_begin(takes, sp->take, speech_type(sp));
    http_answer_by(r, client_patience(r));
    return 0;
}

static int speech_begin(struct request *r, struct api_error *e)
{
    struct speech *sp = mem_try(1, sizeof *sp);
    if (!sp)
        return api_fail(e, FAULT_MEMORY, NULL, "out of memory for a request");
    sp->state = (struct request_state){speech_free, speech_log, speech_count};
    sp->request = r;
    sp->first_audio_s = sp->queue_s = -1;
    spool_init(&sp->whole, &r->server->spool, HTTP_WHOLE_BYTES);
    if (check_content_type(r, e) < 0 || faces_read(r, &sp->params, e) < 0 ||
        speech_choose_shape(r, sp, e) < 0 || ask_check_model(r->server, sp->params.model, e) < 0) {
        speech_free(&sp->state);
        return -1;
    }
    jabbertts_format_find(sp->params.encoder.format, &sp->format);
    snprintf(sp->voice, sizeof sp->voice, "%s",
             sp->params.request.voice ? sp->params.request.voice : "default");
    if (r->server->takes && ask_prepare(r->server, &sp->params, access_owner(r), e) == 0 &&
        speech_find(r, sp)) {
        sp->done = true;
    } else if (speech_ask(r, sp, e) < 0) {
        speech_free(&sp->state);
        return -1;
    }
    spool_done(&r->body);
    if (r->server->o.log_text)
        sp->text = mem_strndup(sp->params.request.text, LOG_TEXT_BYTES);
    r->state = &sp->state;
    if (sp->done)
        http_ready(r);
    return 0;
}

/* A client must be able to tell that the sound is incomplete. */
static void speech_fail(struct request *r, struct speech *sp, const struct api_error *e)
{
    speech_end(sp);
    if (!sp->started) {
        http_reply_error(r, e);
        http_ready(r);
        return;
    }
    r->error = *e;
    if (sp->shape == SPEECH_EVENTS)
        write_event(r, "error", api_error_json(e));
    http_write_end(r, sp->shape != SPEECH_EVENTS);
}

static void end_events(struct request *r, struct speech *sp)
{
    struct jabbertts_progress p;
    if (sp->params.times)
        write_times(r, sp, true);
    pump_progress(sp->pump, &p);
    write_event(r, NULL,
                json_pack("{s:s,s:{s:i,s:i,s:i},s:o*}", "type", "speech.audio.done", "usage",
                          "input_tokens", p.n_token, "output_tokens", p.n_frame, "total_tokens",
                          p.n_token + p.n_frame, "repaired",
                          p.n_repaired > 0 ? json_integer(p.n_repaired) : NULL));
    speech_put(r, "data: [DONE]\n\n", 14);
}

/* The sound is complete, and its header has the length. */
static bool speech_keep(struct speech *sp)
{
    unsigned char head[JABBERTTS_HEAD_MAX];
    struct take_writer *w = sp->keeping;
    size_t n = sp->shape == SPEECH_SOUND ? pump_head(sp->pump, head) : 0;
    sp->keeping = NULL;
    return takes_end(w, head, n);
}

static void speech_publish(struct request *r, struct speech *sp)
{
    unsigned char head[JABBERTTS_HEAD_MAX];
    char name[80];
    snprintf(name, sizeof name, "%s.%s", r->id, sp->format.name);
    downloads_publish(r->server, sp->download, name, sp->format.type, head,
                      pump_head(sp->pump, head));
    sp->download = NULL;
}

/* One JSON with the sound and its times. */
static void send_timed(struct request *r, struct speech *sp)
{
    const struct jabbertts_stream *stream = pump_stream(sp->pump);
    const char *sound = spool_data(&sp->whole);
    json_t *json = NULL;
    if (sound && (!stream || captions_take(&sp->captions, stream) >= 0))
        json = sp->shape == SPEECH_TIMES
                   ? timed_whole(&sp->captions, &sp->params, sp->audio_s / sp->captions.speed,
                                 sound, sp->whole.len)
                   : timed_kokoro(&sp->captions, 0, sp->params.return_timestamps, sp->format.type,
                                  sound, sp->whole.len);
    if (json) {
        http_reply_json(r, 200, json);
        const char *answer = r->reply.status == 200 ? spool_data(&r->reply.body) : NULL;
        takes_write(sp->keeping, answer, answer ? r->reply.body.len : 0);
        if (answer && speech_keep(sp))
            kept_announce(r, sp->take, true);
    } else
        http_reply_error(r, &(struct api_error){.fault = FAULT_MEMORY,
                                                .message = "out of memory for an answer"});
    http_ready(r);
}

static void send_whole(struct request *r, struct speech *sp)
{
    unsigned char head[JABBERTTS_HEAD_MAX];
    size_t n = pump_head(sp->pump, head);
    if (n > 0)
        spool_rewrite(&sp->whole, head, n);
    set_headers(r, sp);
    speech_publish(r, sp); /* before the client can know */
    if (sp->shape != SPEECH_SOUND) {
        send_timed(r, sp);
        return;
    }
    if (speech_keep(sp))
        kept_announce(r, sp->take, true);
    spool_done(&r->reply.body);
    r->reply.body = sp->whole;
    spool_init(&sp->whole, &r->server->spool, HTTP_WHOLE_BYTES);
    http_ready(r);
}

static void speech_finish(struct request *r, struct speech *sp)
{
    speech_end(sp);
    if (!sp->params.stream) {
        send_whole(r, sp);
        return;
    }
    speech_start(r, sp);
    speech_publish(r, sp);
    if (sp->shape == SPEECH_EVENTS)
        end_events(r, sp);
    else if (sp->shape == SPEECH_LINES)
        write_line(r, sp, "", 0); /* the last words, which are known when all is made */
    speech_keep(sp);
    http_write_end(r, false);
}

/* There is no room for the whole sound. */
static void fail_room(int rc, struct api_error *e)
{
    if (rc == ERR_BUSY) {
        api_fail(e, FAULT_BUSY, NULL,
                 "there is no room for the whole sound beside other answers; try again later, or "
                 "ask for it as a stream");
        e->retry_after_s = 5;
    } else {
        api_fail(e, FAULT_STORAGE, NULL,
                 "the whole sound cannot be kept: %s; ask for it as a stream",
                 rc == ERR_LIMIT ? "it is over 256 MiB" : "no room on the disk?");
    }
}

static void speech_pump(struct request *r, struct speech *sp)
{
    struct jabbertts_error why = {0};
    struct api_error e;
    int step = pump_run(sp->pump, &why);
    if (step == PUMP_END) {
        speech_finish(r, sp);
    } else if (step == PUMP_SHORT) {
        ask_fail_short(sp->pump, &e);
        speech_fail(r, sp, &e);
    } else if (step < 0) {
        if (sp->spool_rc < 0)
            fail_room(sp->spool_rc, &e);
        else
            api_fail_engine(&e, NULL, &why);
        speech_fail(r, sp, &e);
    }
}

static bool speech_is_late(const struct request *r, const struct speech *sp)
{
    double patience = client_patience(r);
    return !sp->started && patience > 0 && http_seconds_since(&r->started) > patience;
}

void speech_run(struct request *r)
{
    struct api_error e = {0};
    if (!r->state && r->reply.status == 0 && speech_begin(r, &e) < 0) {
        http_reply_error(r, &e);
        http_ready(r);
    }
    struct speech *sp = (struct speech *)r->state;
    if (!sp || sp->done)
        return;
    if (!http_gone(r) && speech_is_late(r, sp)) {
        pump_cancel(sp->pump);
        api_fail(&e, FAULT_TIMEOUT, NULL,
                 "the answer did not begin in the %.3g s that the client waits",
                 client_patience(r));
        speech_fail(r, sp, &e);
        return;
    }
    if (!http_gone(r)) {
        speech_pump(r, sp);
        return;
    }
    pump_cancel(sp->pump);
    sp->cancelled = true;
    api_fail(&e, FAULT_CANCELLED, NULL, "the client closed the connection");
    speech_fail(r, sp, &e);
}
