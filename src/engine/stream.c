/* stream.c - a request's life on the caller's side: submit, read, cancel, free. */
#include "engine/voice_store.h"

#include <math.h>
#include <string.h>

#include "text/clean.h"
#include "text/libespeak.h"

#define SAME_VOICE_WITHIN 16 /* pieces; a dialogue comes back to its voices soon */

/* --- submit --- */

void jabbertts_request_init(struct jabbertts_request *r)
{
    *r = (struct jabbertts_request){.temperature = -1,
                                    .top_p = -1,
                                    .repetition_penalty = -1,
                                    .normalize = 1,
                                    .carry_markers = 1};
}

/* given, or what the model recommends where that is negative, within the parameter's range */
static int read_parameter(const char *name, float given, float recommended, float *ret,
                          struct err *e)
{
    const struct jabbertts_parameter *p = jabbertts_parameter_find(name);
    float v = given < 0 ? recommended : given;
    if (!(v >= (float)p->min && v <= (float)p->max))
        return err_set(e, ERR_ARGUMENT, "%s is %g, must be %g to %g", name, (double)v, p->min,
                       p->max);
    *ret = v;
    return 0;
}

static int read_sampling(const struct jabbertts *tts, const struct jabbertts_request *r,
                         struct ar_params *p, struct err *e)
{
    const struct spec_sampling *d = &tts->model.spec.sampling;
    struct sampler_params *to = &p->sampling;
    int rc;
    p->seed = r->seed;
    if ((rc = read_parameter("temperature", r->temperature, d->temperature, &to->temperature, e)) <
            0 ||
        (rc = read_parameter("top_p", r->top_p, d->top_p, &to->top_p, e)) < 0)
        return rc;
    return read_parameter("repetition_penalty", r->repetition_penalty, d->repetition_penalty,
                          &to->repetition_penalty, e);
}

int engine_voice(struct jabbertts *tts, const char *name, const char *owner,
                 struct prompt_reference *ref, struct jabbertts_voice **stored, struct err *e)
{
    const struct voice *v = voices_find(tts->model.voices, name);
    name = voices_resolve(tts->model.voices, name);
    int rc = v || !tts->store ? 0 : store_voice(tts, name, owner, stored, e);
    if (rc < 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (!v && !*stored)
        return err_set(e, ERR_NOT_FOUND,
                       "there is no voice \"%.64s\"; `jabbertts voices` lists them", name);
    *ref = v ? (struct prompt_reference){v->text, v->codes, v->n_frame}
             : (struct prompt_reference){(*stored)->text, (*stored)->codes, (*stored)->n_frame};
    return 0;
}

static int find_voice(struct jabbertts *tts, const struct jabbertts_request *r,
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
    int rc = engine_voice(tts, name, r->owner, &s->reference, &s->stored, e);
    if (rc < 0)
        return rc;
    s->has_reference = true;
    return 0;
}

/* The voices of pieces that have their own. */
static int find_voices(struct jabbertts *tts, const char *owner, struct jabbertts_stream *s,
                       struct err *e)
{
    for (int i = 0; i < s->pieces.n; i++) {
        const char *name = s->pieces.piece[i].voice;
        struct piece *p = &s->piece[i];
        if (!name)
            continue;
        for (int j = i - 1; j >= 0 && j >= i - SAME_VOICE_WITHIN && !p->reference.codes; j--)
            if (s->pieces.piece[j].voice && strcmp(name, s->pieces.piece[j].voice) == 0)
                p->reference = s->piece[j].reference;
        int rc =
            p->reference.codes ? 0 : engine_voice(tts, name, owner, &p->reference, &p->stored, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

enum text_markup engine_markup(const struct jabbertts_request *r)
{
    return r->ssml > 0 ? TEXT_SSML : r->ssml < 0 ? TEXT_NO_SSML : TEXT_BY_LOOK;
}

static int check_request(const struct jabbertts_request *r, struct err *e)
{
    if (!r->text)
        return err_set(e, ERR_ARGUMENT, "there is no text");
    if (!(r->max_seconds >= 0 && r->max_seconds <= LIMIT_AUDIO_SECONDS))
        return err_set(e, ERR_ARGUMENT, "max_seconds is %g, must be 0 (no limit) to %d",
                       r->max_seconds, LIMIT_AUDIO_SECONDS);
    if (!(r->deadline_s >= 0))
        return err_set(e, ERR_ARGUMENT, "deadline_s is %g, must be 0 (none) or more",
                       r->deadline_s);
    if (r->model && strcmp(r->model, ENGINE_ESPEAK) != 0)
        return err_set(e, ERR_NOT_FOUND,
                       "a request's model is \"%.64s\", must be NULL (the "
                       "engine's own) or " ENGINE_ESPEAK,
                       r->model);
    return 0;
}

static int stream_fill(struct jabbertts *tts, const struct jabbertts_request *r,
                       struct jabbertts_stream *s, struct err *e)
{
    const struct spec_codec *c = &tts->model.spec.codec;
    struct text_options text = {.frontend = tts->model.spec.espeak_ipa ? TEXT_IPA : TEXT_PLAIN,
                                .language = r->language,
                                .marker = marker_named(r->instructions),
                                .markup = engine_markup(r),
                                .as_written = !r->normalize,
                                .loose_markers = !r->carry_markers,
                                .lexicon = tts->lexicon};
    int rc;
    if ((rc = read_sampling(tts, r, &s->params, e)) < 0 || (rc = find_voice(tts, r, s, e)) < 0 ||
        (rc = text_split(r->text, strlen(r->text), &text, &s->pieces, e)) < 0 ||
        (rc = text_pieces_read(&s->pieces, &text, e)) < 0)
        return rc;
    if (r->max_seconds > 0)
        s->max_frames = (int)ceil(r->max_seconds * c->sample_rate / c->frame_samples);
    s->deadline = r->deadline_s > 0 ? s->submitted + r->deadline_s : INFINITY;
    s->piece = mem_try((size_t)s->pieces.n, sizeof *s->piece);
    if (!s->piece)
        return err_set(e, ERR_MEMORY, "out of memory for a request");
    if ((rc = find_voices(tts, r->owner, s, e)) < 0)
        return rc;
    s->n_chunk = 1; /* sound as early as possible, then larger chunks */
    s->progress.n_piece = s->pieces.n;
    s->progress.n_ignored = s->pieces.n_ignored;
    s->progress.wait_s = s->progress.first_audio_s = -1;
    return 0;
}

static void stream_delete(struct jabbertts_stream *s)
{
    engine_espeak_free(s);
    jabbertts_voice_free(s->stored);
    for (int i = 0; s->piece && i < s->pieces.n; i++) {
        mem_free(s->piece[i].codes);
        jabbertts_voice_free(s->piece[i].stored);
    }
    mem_free(s->piece);
    text_pieces_done(&s->pieces);
    mem_free(s->sound);
    pthread_cond_destroy(&s->readable);
    mem_free(s);
}

/* (lock) May it come in? */
static int admit(const struct jabbertts *tts, const struct jabbertts_stream *s, struct err *e)
{
    double wait = engine_wait(tts);
    if (tts->draining)
        return err_set(e, ERR_BUSY, "the engine is shutting down");
    if (s->espeak)
        return 0;
    if (tts->n_open >= tts->n_queue_max + tts->n_slot)
        return err_set(e, ERR_BUSY, "%d requests are open, the limit is %d; try again in %.0f s",
                       tts->n_open, tts->n_queue_max + tts->n_slot, ceil(wait));
    if (tts->max_wait_s > 0 && wait > tts->max_wait_s)
        return err_set(e, ERR_BUSY,
                       "it would start in %.1f s, the limit is %.6g s; try again later", wait,
                       tts->max_wait_s);
    if (s->submitted + wait > s->deadline)
        return err_set(e, ERR_BUSY, "it would start in %.1f s, after its deadline of %.6g s", wait,
                       s->deadline - s->submitted);
    return 0;
}

/* (lock) */
static int enqueue(struct jabbertts *tts, struct jabbertts_stream *s, double *retry_after_s,
                   struct err *e)
{
    struct jabbertts_stream **p = &tts->open;
    int rc = admit(tts, s, e);
    tts->load.n_submitted += !s->espeak; /* which has counted itself */
    if (rc < 0) {
        tts->load.n_refused++;
        *retry_after_s = fmax(1, engine_wait(tts));
    }
    if (rc < 0 || s->espeak)
        return rc;
    while (*p)
        p = &(*p)->next;
    *p = s;
    tts->n_open++;
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
    if (rc == 0)
        rc =
            engine_wants_espeak(tts, r) ? engine_espeak_fill(s, r, &e) : stream_fill(tts, r, s, &e);
    if (rc == 0) {
        pthread_mutex_lock(&tts->lock);
        rc = enqueue(tts, s, &retry_after_s, &e);
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

/* --- read --- */

int jabbertts_stream_rate(const struct jabbertts_stream *s)
{
    return s->espeak ? libespeak_rate() : jabbertts_sample_rate(s->tts);
}

void stream_tell(struct jabbertts_stream *s)
{
    pthread_cond_broadcast(&s->readable);
    if (s->on_ready)
        s->on_ready(s->ready_cookie);
}

/* (lock) What is there: samples, 0 at the end, the failure, or JABBERTTS_AGAIN. */
static int stream_take(struct jabbertts_stream *s, float *pcm, int n_max, struct err *e)
{
    int n = 0;
    if (s->failure.code) {
        *e = s->failure;
        return e->code;
    }
    if (s->n_sound == 0)
        return s->state == STREAM_DONE ? 0 : JABBERTTS_AGAIN;
    n = s->n_sound < (size_t)n_max ? (int)s->n_sound : n_max;
    memcpy(pcm, s->sound + s->sound_head, (size_t)n * sizeof *pcm);
    s->sound_head += (size_t)n;
    s->n_sound -= (size_t)n;
    if (s->state == STREAM_ACTIVE && !s->decoder)
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
    int n = stream_take(s, pcm, n_max, &e);
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
    while ((n = stream_take(s, pcm, n_max, &e)) == JABBERTTS_AGAIN)
        pthread_cond_wait(&s->readable, &s->tts->lock);
    pthread_mutex_unlock(&s->tts->lock);
    return engine_return(error, &e, n);
}

void jabbertts_stream_on_ready(struct jabbertts_stream *s, void (*fn)(void *cookie), void *cookie)
{
    pthread_mutex_lock(&s->tts->lock);
    s->on_ready = fn;
    s->ready_cookie = cookie;
    if (fn && (s->n_sound > 0 || s->state == STREAM_DONE))
        fn(cookie);
    pthread_mutex_unlock(&s->tts->lock);
}

/* --- marks --- */

void stream_mark_piece(struct jabbertts_stream *s, int i_piece, size_t first, bool after_pause)
{
    int hz = jabbertts_stream_rate(s);
    for (int i = 0; i < s->pieces.n_mark; i++) {
        struct text_mark *m = &s->pieces.mark[i];
        if (m->piece != i_piece || (m->share > 1) != after_pause)
            continue;
        double n = (double)(s->progress.n_sample - first);
        m->seconds = ((double)first + (m->share > 1 ? n : m->share * n)) / hz;
    }
}

int jabbertts_stream_mark(const struct jabbertts_stream *s, int i, const char **name,
                          double *seconds)
{
    if (i < 0 || i >= s->pieces.n_mark)
        return JABBERTTS_ERR_NOT_FOUND;
    pthread_mutex_lock(&s->tts->lock);
    *name = s->pieces.mark[i].name;
    *seconds = s->pieces.mark[i].seconds;
    pthread_mutex_unlock(&s->tts->lock);
    return 0;
}

/* --- what the engine thread does to a stream --- */

int stream_reserve(struct jabbertts_stream *s, size_t n, struct err *e)
{
    if (s->sound_head + s->n_sound + n <= s->sound_cap)
        return 0;
    if (s->sound_head > 0) {
        memmove(s->sound, s->sound + s->sound_head, s->n_sound * sizeof *s->sound);
        s->sound_head = 0;
    }
    if (s->n_sound + n <= s->sound_cap)
        return 0;
    float *sound = mem_grow(s->sound, s->n_sound + n, sizeof *sound);
    if (!sound)
        return err_set(e, ERR_MEMORY, "out of memory for %zu samples", s->n_sound + n);
    s->sound = sound;
    s->sound_cap = s->n_sound + n;
    return 0;
}

void stream_end(struct jabbertts_stream *s, const struct err *why)
{
    struct jabbertts *tts = s->tts;
    struct jabbertts_stream **p = &tts->open;
    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
    tts->n_open--;
    tts->n_queued -= s->state == STREAM_QUEUED;
    s->state = STREAM_DONE;
    s->progress.elapsed_s = engine_now() - s->submitted;
    if (why)
        s->failure = *why;
    if (!why)
        tts->load.n_finished++;
    else if (why->code == ERR_CANCELLED)
        tts->load.n_cancelled++;
    else
        tts->load.n_failed++;
    pthread_cond_broadcast(&tts->changed);
}

/* --- cancel, free, progress --- */

void jabbertts_cancel(struct jabbertts_stream *s)
{
    static const struct err cancelled = {ERR_CANCELLED, "cancelled"};
    pthread_mutex_lock(&s->tts->lock);
    s->cancel = true;
    if (s->state == STREAM_QUEUED) {
        stream_end(s, &cancelled);
        pthread_cond_broadcast(&s->readable);
    }
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
