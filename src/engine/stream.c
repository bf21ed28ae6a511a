/* stream.c - a request's life on the caller's side: submit, read, cancel, free. */
#include "engine/engine.h"

#include "text/clean.h"

#include <math.h>
#include <string.h>

#include "text/libespeak.h"

#define RING_SECONDS 8 /* sound made ahead of its reader */

/* --- submit --- */

void jabbertts_request_init(struct jabbertts_request *r)
{
    *r = (struct jabbertts_request){.temperature = -1, .top_p = -1, .repetition_penalty = -1};
}

static int check_range(const char *name, float v, float low, float high, struct err *e)
{
    if (v >= low && v <= high)
        return 0;
    return err_set(e, ERR_ARGUMENT, "%s is %g, must be %g to %g", name, (double)v, (double)low,
                   (double)high);
}

static int read_sampling(const struct jabbertts *tts, const struct jabbertts_request *r,
                         struct ar_params *p, struct err *e)
{
    const struct spec_sampling *d = &tts->model.spec.sampling;
    int rc;
    p->seed = r->seed;
    p->sampling.temperature = r->temperature < 0 ? d->temperature : r->temperature;
    p->sampling.top_p = r->top_p < 0 ? d->top_p : r->top_p;
    p->sampling.repetition_penalty =
        r->repetition_penalty < 0 ? d->repetition_penalty : r->repetition_penalty;
    if ((rc = check_range("temperature", p->sampling.temperature, 0, 2, e)) < 0 ||
        (rc = check_range("top_p", p->sampling.top_p, 1e-6f, 1, e)) < 0)
        return rc;
    return check_range("repetition_penalty", p->sampling.repetition_penalty, 1, 2, e);
}

static int find_voice(const struct jabbertts *tts, const struct jabbertts_request *r,
                      struct jabbertts_stream *s, struct err *e)
{
    if (r->reference) {
        s->reference = (struct prompt_reference){r->reference->text, r->reference->codes,
                                                 r->reference->n_frame};
        s->has_reference = true;
        return 0;
    }
    const char *name = r->voice ? r->voice : voices_default(tts->model.voices);
    if (!name)
        return 0;
    const struct voice *v = voices_find(tts->model.voices, name);
    if (!v)
        return err_set(e, ERR_NOT_FOUND,
                       "this model has no voice \"%.64s\"; `jabbertts voices` lists them", name);
    s->reference = (struct prompt_reference){v->text, v->codes, v->n_frame};
    s->has_reference = true;
    return 0;
}

static int check_request(const struct jabbertts_request *r, struct err *e)
{
    if (!r->text)
        return err_set(e, ERR_ARGUMENT, "there is no text");
    if (!(r->max_seconds >= 0 && r->max_seconds <= LIMIT_AUDIO_SECONDS))
        return err_set(e, ERR_ARGUMENT, "max_seconds is %g, must be 0 (no limit) to %d",
                       r->max_seconds, LIMIT_AUDIO_SECONDS);
    if (!(r->deadline_s >= 0))
        return err_set(e, ERR_ARGUMENT, "deadline_s is %g, must be 0 (none) or more", r->deadline_s);
    if (r->model && strcmp(r->model, ENGINE_ESPEAK) != 0)
        return err_set(e, ERR_NOT_FOUND, "a request's model is \"%.64s\", must be NULL (the "
                       "engine's own) or " ENGINE_ESPEAK, r->model);
    return 0;
}

static int stream_fill(struct jabbertts *tts, const struct jabbertts_request *r,
                       struct jabbertts_stream *s, struct err *e)
{
    const struct spec_codec *c = &tts->model.spec.codec;
    struct text_options text = {.frontend = tts->model.spec.espeak_ipa ? TEXT_IPA : TEXT_PLAIN,
                                .language = r->language,
                                .marker = marker_named(r->instructions)};
    int rc;
    if ((rc = read_sampling(tts, r, &s->params, e)) < 0 || (rc = find_voice(tts, r, s, e)) < 0 ||
        (rc = text_split(r->text, strlen(r->text), &text, &s->pieces, e)) < 0)
        return rc;
    for (int i = 0; i < s->pieces.n; i++)
        if ((rc = text_piece_read(&s->pieces.piece[i], &text, e)) < 0)
            return rc;
    if (r->max_seconds > 0)
        s->max_frames = (int)ceil(r->max_seconds * c->sample_rate / c->frame_samples);
    s->deadline = r->deadline_s > 0 ? s->submitted + r->deadline_s : INFINITY;
    s->ring_size = (size_t)RING_SECONDS * (size_t)c->sample_rate +
                   (size_t)ENGINE_CHUNK_FRAMES * (size_t)c->frame_samples;
    s->ring = mem_try(s->ring_size, sizeof *s->ring);
    if (!s->ring)
        return err_set(e, ERR_MEMORY, "out of memory for a request");
    s->progress.n_piece = s->pieces.n;
    s->progress.first_audio_s = -1;
    return 0;
}

static void stream_delete(struct jabbertts_stream *s)
{
    engine_espeak_free(s);
    text_pieces_done(&s->pieces);
    mem_free(s->ring);
    pthread_cond_destroy(&s->readable);
    mem_free(s);
}

/* (lock) */
static int enqueue(struct jabbertts *tts, struct jabbertts_stream *s, struct err *e)
{
    struct jabbertts_stream **p = &tts->queue;
    tts->load.n_submitted++;
    if (tts->n_queued >= tts->n_queue_max + tts->n_slot) {
        tts->load.n_refused++;
        return err_set(e, ERR_BUSY, "%d requests are waiting already; try again in %.0f s",
                       tts->n_queued, ceil(engine_wait(tts)));
    }
    while (*p)
        p = &(*p)->next;
    *p = s;
    tts->n_queued++;
    pthread_cond_signal(&tts->wake);
    return 0;
}

int jabbertts_submit(struct jabbertts *tts, const struct jabbertts_request *r,
                     struct jabbertts_stream **ret, struct jabbertts_error *error)
{
    struct err e = {0};
    double retry_after_s = 0;
    struct jabbertts_stream *s = mem_try(1, sizeof *s);
    if (!s)
        return engine_return(error, &e, err_set(&e, ERR_MEMORY, "out of memory"));
    s->tts = tts;
    pthread_cond_init(&s->readable, NULL);
    s->submitted = engine_now();
    int rc = check_request(r, &e);
    if (rc == 0 && engine_wants_espeak(tts, r)) {
        rc = engine_espeak_fill(s, r, &e);
    } else if (rc == 0 && (rc = stream_fill(tts, r, s, &e)) == 0) {
        pthread_mutex_lock(&tts->lock);
        rc = enqueue(tts, s, &e);
        if (rc < 0)
            retry_after_s = fmax(1, engine_wait(tts));
        pthread_mutex_unlock(&tts->lock);
    }
    if (rc < 0)
        stream_delete(s);
    else
        *ret = s;
    engine_return(error, &e, rc);
    if (error && rc < 0)
        error->retry_after_s = retry_after_s;
    return rc;
}

/* --- read, cancel, free --- */

int jabbertts_stream_rate(const struct jabbertts_stream *s)
{
    return s->espeak ? libespeak_rate() : jabbertts_sample_rate(s->tts);
}

void engine_tell(struct jabbertts_stream *s)
{
    pthread_cond_broadcast(&s->readable);
    if (s->on_ready)
        s->on_ready(s->ready_cookie);
}

/* (lock) What is there: samples, 0 at the end, the failure, or JABBERTTS_AGAIN. */
static int take(struct jabbertts_stream *s, float *pcm, int n_max, struct err *e)
{
    int n = 0;
    if (s->failure.code) {
        *e = s->failure;
        return e->code;
    }
    if (s->ring_len == 0)
        return s->state == STREAM_DONE ? 0 : JABBERTTS_AGAIN;
    for (; n < n_max && s->ring_len > 0; n++, s->ring_len--) {
        pcm[n] = s->ring[s->ring_head];
        s->ring_head = (s->ring_head + 1) % s->ring_size;
    }
    pthread_cond_signal(&s->tts->wake);
    return n;
}

int jabbertts_try_read(struct jabbertts_stream *s, float *pcm, int n_max,
                       struct jabbertts_error *error)
{
    struct err e = {0};
    if (s->espeak)
        return engine_return(error, &e, engine_espeak_read(s, pcm, n_max, &e));
    pthread_mutex_lock(&s->tts->lock);
    int n = take(s, pcm, n_max, &e);
    pthread_mutex_unlock(&s->tts->lock);
    return n == JABBERTTS_AGAIN ? n : engine_return(error, &e, n);
}

int jabbertts_read(struct jabbertts_stream *s, float *pcm, int n_max, struct jabbertts_error *error)
{
    struct err e = {0};
    int n;
    if (s->espeak)
        return engine_return(error, &e, engine_espeak_read(s, pcm, n_max, &e));
    pthread_mutex_lock(&s->tts->lock);
    while ((n = take(s, pcm, n_max, &e)) == JABBERTTS_AGAIN)
        pthread_cond_wait(&s->readable, &s->tts->lock);
    pthread_mutex_unlock(&s->tts->lock);
    return engine_return(error, &e, n);
}

void jabbertts_stream_on_ready(struct jabbertts_stream *s, void (*fn)(void *cookie), void *cookie)
{
    pthread_mutex_lock(&s->tts->lock);
    s->on_ready = fn;
    s->ready_cookie = cookie;
    if (fn && (s->ring_len > 0 || s->state == STREAM_DONE))
        fn(cookie);
    pthread_mutex_unlock(&s->tts->lock);
}

void engine_drop(struct jabbertts_stream *s, const struct err *why)
{
    struct jabbertts *tts = s->tts;
    struct jabbertts_stream **p = &tts->queue;
    while (*p && *p != s)
        p = &(*p)->next;
    if (*p) {
        *p = s->next;
        tts->n_queued--;
    }
    s->state = STREAM_DONE;
    s->failure = *why;
    s->progress.elapsed_s = engine_now() - s->submitted;
    if (why->code == ERR_CANCELLED)
        tts->load.n_cancelled++;
    else
        tts->load.n_failed++;
}

void jabbertts_cancel(struct jabbertts_stream *s)
{
    static const struct err cancelled = {ERR_CANCELLED, "cancelled"};
    pthread_mutex_lock(&s->tts->lock);
    if (s->state == STREAM_QUEUED) {
        engine_drop(s, &cancelled);
        pthread_cond_broadcast(&s->readable);
    }
    s->cancel = true;
    pthread_cond_signal(&s->tts->wake);
    pthread_mutex_unlock(&s->tts->lock);
}

void jabbertts_stream_free(struct jabbertts_stream *s)
{
    if (!s)
        return;
    jabbertts_stream_on_ready(s, NULL, NULL);
    jabbertts_cancel(s);
    pthread_mutex_lock(&s->tts->lock);
    while (s->state != STREAM_DONE)
        pthread_cond_wait(&s->readable, &s->tts->lock);
    pthread_mutex_unlock(&s->tts->lock);
    stream_delete(s);
}

void jabbertts_stream_progress(const struct jabbertts_stream *s, struct jabbertts_progress *p)
{
    pthread_mutex_lock(&s->tts->lock);
    *p = s->progress;
    if (s->state != STREAM_DONE)
        p->elapsed_s = engine_now() - s->submitted;
    pthread_mutex_unlock(&s->tts->lock);
}
