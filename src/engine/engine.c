/* engine.c - the public functions of jabbertts.h: open, submit, read, cancel, voices. */
#include "engine/engine.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audio/audio.h"

#define RING_SECONDS 8 /* sound made ahead of its reader */

/* The two lists of codes are one list under two names. */
#define SAME(name) ((int)JABBERTTS_##name == (int)name)
_Static_assert(SAME(ERR_ARGUMENT) && SAME(ERR_NOT_FOUND) && SAME(ERR_FORMAT) &&
                   SAME(ERR_UNSUPPORTED) && SAME(ERR_LIMIT) && SAME(ERR_MEMORY) &&
                   SAME(ERR_IO) && SAME(ERR_BUSY) && SAME(ERR_CANCELLED) &&
                   SAME(ERR_INTERNAL),
               "jabbertts.h and err.h disagree");

int engine_return(struct jabbertts_error *to, const struct err *from, int rc)
{
    if (to && rc < 0) {
        to->code = rc;
        snprintf(to->message, sizeof to->message, "%s", from->msg);
    }
    return rc;
}

double engine_seconds_since(const struct timespec *t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) * 1e-9;
}

const char *jabbertts_version(void)
{
    return JABBERTTS_VERSION;
}

/* --- open and close --- */

/* The built-in voice: beside the program (build tree, installed tree), then the data directory. */
int engine_model_path(const char *given, char *path, size_t n, struct err *e)
{
    static const char *const beside[] = {"../models", "../share/jabbertts", "../../models"};
    char exe[PATH_MAX];
    if (given) {
        if ((size_t)snprintf(path, n, "%s", given) >= n)
            return err_set(e, ERR_ARGUMENT, "model path is longer than %zu bytes", n - 1);
        return 0;
    }
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len > 0) {
        exe[len] = 0;
        char *slash = strrchr(exe, '/');
        if (slash)
            *slash = 0;
        for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
            int m = snprintf(path, n, "%s/%s/jabber-tiny.gguf", exe, beside[i]);
            if (m > 0 && (size_t)m < n && access(path, R_OK) == 0)
                return 0;
        }
    }
    snprintf(path, n, "%s/jabber-tiny.gguf", JABBERTTS_DATA_DIR);
    if (access(path, R_OK) == 0)
        return 0;
    return err_set(e, ERR_NOT_FOUND,
                   "cannot find the built-in voice jabber-tiny.gguf (looked beside the program and "
                   "in %s); name a model with --model", JABBERTTS_DATA_DIR);
}

void jabbertts_options_init(struct jabbertts_options *o)
{
    *o = (struct jabbertts_options){.slots = 4, .queue = 64};
}

static int check_options(const struct jabbertts_options *o, struct err *e)
{
    if (o->threads < 0 || o->threads > POOL_MAX_THREADS)
        return err_set(e, ERR_ARGUMENT, "threads is %d, must be 0 (all cores) to %d", o->threads,
                       POOL_MAX_THREADS);
    if (o->slots < 1 || o->slots > LIMIT_SLOTS)
        return err_set(e, ERR_ARGUMENT, "slots is %d, must be 1 to %d", o->slots, LIMIT_SLOTS);
    if (o->queue < 0 || o->queue > 65536)
        return err_set(e, ERR_ARGUMENT, "queue is %d, must be 0 to 65536", o->queue);
    if (o->context < 0)
        return err_set(e, ERR_ARGUMENT, "context is %d, must not be negative", o->context);
    return 0;
}

static int engine_start(struct jabbertts *tts, const struct jabbertts_options *o, struct err *e)
{
    char path[PATH_MAX];
    struct model_options m = {.n_thread = o->threads, .isa = o->isa, .max_batch = o->slots};
    int rc;
    if ((rc = check_options(o, e)) < 0 ||
        (rc = engine_model_path(o->model, path, sizeof path, e)) < 0 ||
        (rc = model_open(&tts->model, path, &m, e)) < 0)
        return rc;
    int longest = tts->model.spec.lm.slow.n_position;
    if (o->context > longest)
        return err_set(e, ERR_ARGUMENT, "context is %d, this model's is %d", o->context, longest);
    tts->n_context = o->context ? o->context : longest;
    tts->n_slot = o->slots;
    tts->n_queue_max = o->queue;
    if ((rc = engine_slots_new(tts, e)) < 0)
        return rc;
    if (pthread_create(&tts->thread, NULL, engine_main, tts) != 0)
        return err_set(e, ERR_IO, "cannot start the engine thread: %s", strerror(errno));
    tts->has_thread = true;
    return 0;
}

int jabbertts_open(const struct jabbertts_options *o, struct jabbertts **ret,
                   struct jabbertts_error *error)
{
    struct err e = {0};
    struct jabbertts *tts = mem_try(1, sizeof *tts);
    if (!tts)
        return engine_return(error, &e, err_set(&e, ERR_MEMORY, "out of memory"));
    pthread_mutex_init(&tts->lock, NULL);
    pthread_cond_init(&tts->wake, NULL);
    pthread_cond_init(&tts->job_done, NULL);
    int rc = engine_start(tts, o, &e);
    if (rc < 0)
        jabbertts_close(tts);
    else
        *ret = tts;
    return engine_return(error, &e, rc);
}

void jabbertts_close(struct jabbertts *tts)
{
    if (!tts)
        return;
    if (tts->has_thread) {
        pthread_mutex_lock(&tts->lock);
        tts->closing = true;
        pthread_cond_signal(&tts->wake);
        pthread_mutex_unlock(&tts->lock);
        pthread_join(tts->thread, NULL);
    }
    engine_slots_free(tts);
    model_close(&tts->model);
    pthread_cond_destroy(&tts->job_done);
    pthread_cond_destroy(&tts->wake);
    pthread_mutex_destroy(&tts->lock);
    mem_free(tts);
}

int jabbertts_sample_rate(const struct jabbertts *tts)
{
    return tts->model.spec.codec.sample_rate;
}

int jabbertts_frame_samples(const struct jabbertts *tts)
{
    return tts->model.spec.codec.frame_samples;
}

int jabbertts_n_codebook(const struct jabbertts *tts)
{
    return tts->model.spec.lm.n_codebook;
}

const char *jabbertts_isa(const struct jabbertts *tts)
{
    return kern_exec_isa(tts->model.exec);
}

int jabbertts_threads(const struct jabbertts *tts)
{
    return pool_threads(tts->model.pool);
}

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

static int stream_fill(struct jabbertts *tts, const struct jabbertts_request *r,
                       struct jabbertts_stream *s, struct err *e)
{
    const struct spec_codec *c = &tts->model.spec.codec;
    struct text_options text = {.frontend = tts->model.spec.espeak_ipa ? TEXT_IPA : TEXT_PLAIN,
                                .language = r->language};
    int rc;
    if (!r->text)
        return err_set(e, ERR_ARGUMENT, "there is no text");
    if (!(r->max_seconds >= 0 && r->max_seconds <= LIMIT_AUDIO_SECONDS))
        return err_set(e, ERR_ARGUMENT, "max_seconds is %g, must be 0 (no limit) to %d",
                       r->max_seconds, LIMIT_AUDIO_SECONDS);
    if ((rc = read_sampling(tts, r, &s->params, e)) < 0 || (rc = find_voice(tts, r, s, e)) < 0 ||
        (rc = text_split(r->text, strlen(r->text), &text, &s->pieces, e)) < 0)
        return rc;
    if (r->max_seconds > 0)
        s->max_frames = (int)ceil(r->max_seconds * c->sample_rate / c->frame_samples);
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
    text_pieces_done(&s->pieces);
    mem_free(s->ring);
    pthread_cond_destroy(&s->readable);
    mem_free(s);
}

static int enqueue(struct jabbertts *tts, struct jabbertts_stream *s, struct err *e)
{
    int rc = 0;
    pthread_mutex_lock(&tts->lock);
    if (tts->n_queued >= tts->n_queue_max + tts->n_slot) {
        rc = err_set(e, ERR_BUSY, "%d requests are waiting already; try again later",
                     tts->n_queued);
    } else {
        struct jabbertts_stream **p = &tts->queue;
        while (*p)
            p = &(*p)->next;
        *p = s;
        tts->n_queued++;
        pthread_cond_signal(&tts->wake);
    }
    pthread_mutex_unlock(&tts->lock);
    return rc;
}

int jabbertts_submit(struct jabbertts *tts, const struct jabbertts_request *r,
                     struct jabbertts_stream **ret, struct jabbertts_error *error)
{
    struct err e = {0};
    struct jabbertts_stream *s = mem_try(1, sizeof *s);
    if (!s)
        return engine_return(error, &e, err_set(&e, ERR_MEMORY, "out of memory"));
    s->tts = tts;
    pthread_cond_init(&s->readable, NULL);
    clock_gettime(CLOCK_MONOTONIC, &s->submitted);
    int rc = stream_fill(tts, r, s, &e);
    if (rc == 0)
        rc = enqueue(tts, s, &e);
    if (rc < 0)
        stream_delete(s);
    else
        *ret = s;
    return engine_return(error, &e, rc);
}

/* --- read, cancel, free --- */

int jabbertts_read(struct jabbertts_stream *s, float *pcm, int n_max, struct jabbertts_error *error)
{
    struct jabbertts *tts = s->tts;
    struct err e = {0};
    int n = 0;
    pthread_mutex_lock(&tts->lock);
    while (s->ring_len == 0 && s->state != STREAM_DONE)
        pthread_cond_wait(&s->readable, &tts->lock);
    if (s->failure.code) {
        e = s->failure;
        n = e.code;
    } else {
        for (; n < n_max && s->ring_len > 0; n++, s->ring_len--) {
            pcm[n] = s->ring[s->ring_head];
            s->ring_head = (s->ring_head + 1) % s->ring_size;
        }
        pthread_cond_signal(&tts->wake);
    }
    pthread_mutex_unlock(&tts->lock);
    return engine_return(error, &e, n);
}

void jabbertts_cancel(struct jabbertts_stream *s)
{
    struct jabbertts *tts = s->tts;
    pthread_mutex_lock(&tts->lock);
    s->cancel = true;
    if (s->state == STREAM_QUEUED) {
        struct jabbertts_stream **p = &tts->queue;
        while (*p && *p != s)
            p = &(*p)->next;
        if (*p) {
            *p = s->next;
            tts->n_queued--;
        }
        s->state = STREAM_DONE;
        err_set(&s->failure, ERR_CANCELLED, "cancelled");
        pthread_cond_broadcast(&s->readable);
    }
    pthread_cond_signal(&tts->wake);
    pthread_mutex_unlock(&tts->lock);
}

void jabbertts_stream_free(struct jabbertts_stream *s)
{
    if (!s)
        return;
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
        p->elapsed_s = engine_seconds_since(&s->submitted);
    pthread_mutex_unlock(&s->tts->lock);
}

/* --- voices --- */

const char *jabbertts_voice_name(const struct jabbertts *tts, int i)
{
    const struct voice *v = voices_at(tts->model.voices, i);
    return v ? v->name : NULL;
}

const char *jabbertts_voice_alias(const struct jabbertts *tts, int i, const char **name)
{
    return voices_alias(tts->model.voices, i, name);
}

const char *jabbertts_voice_default(const struct jabbertts *tts)
{
    return voices_default(tts->model.voices);
}

/* Run codec_encode on the engine thread and wait for it. */
static int encode_clip(struct jabbertts *tts, const float *pcm, size_t n_sample, int32_t *codes,
                       struct err *e)
{
    struct job j = {.pcm = pcm, .n_sample = n_sample, .codes = codes};
    pthread_mutex_lock(&tts->lock);
    struct job **p = &tts->jobs;
    while (*p)
        p = &(*p)->next;
    *p = &j;
    pthread_cond_signal(&tts->wake);
    while (!j.done)
        pthread_cond_wait(&tts->job_done, &tts->lock);
    pthread_mutex_unlock(&tts->lock);
    if (j.rc < 0)
        *e = j.err;
    return j.rc;
}

static int voice_text(const struct jabbertts *tts, const char *text, char **ret, struct err *e)
{
    if (!text || !*text)
        return err_set(e, ERR_ARGUMENT,
                       "a reference clip needs its transcript (--voice-text): what is said in it");
    if (strlen(text) > LIMIT_VOICE_TEXT_BYTES)
        return err_set(e, ERR_LIMIT, "the transcript has %zu bytes, the limit is %d", strlen(text),
                       LIMIT_VOICE_TEXT_BYTES);
    if (tts->model.spec.espeak_ipa)
        return text_phonemes(text, NULL, ret, e);
    *ret = mem_strndup(text, LIMIT_VOICE_TEXT_BYTES);
    return *ret ? 0 : err_set(e, ERR_MEMORY, "out of memory for a transcript");
}

static int voice_make(struct jabbertts *tts, const float *pcm, size_t n_sample, const char *text,
                      struct jabbertts_voice *v, struct err *e)
{
    int hz = tts->model.spec.codec.sample_rate, rc;
    if (n_sample < (size_t)hz / 2)
        return err_set(e, ERR_ARGUMENT, "the clip is %.2f s long, at least 0.5 s are needed",
                       (double)n_sample / hz);
    if (n_sample > (size_t)hz * LIMIT_REFERENCE_SECONDS)
        return err_set(e, ERR_LIMIT, "the clip is %.1f s long, the limit is %d s",
                       (double)n_sample / hz, LIMIT_REFERENCE_SECONDS);
    v->n_frame = codec_n_frames(tts->model.codec, n_sample);
    v->codes = mem_try((size_t)v->n_frame * (size_t)tts->model.spec.lm.n_codebook,
                       sizeof *v->codes);
    if (!v->codes)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    if ((rc = voice_text(tts, text, &v->text, e)) < 0)
        return rc;
    return encode_clip(tts, pcm, n_sample, v->codes, e);
}

int jabbertts_voice_from_pcm(struct jabbertts *tts, const float *pcm, size_t n_sample,
                             const char *text, struct jabbertts_voice **ret,
                             struct jabbertts_error *error)
{
    struct err e = {0};
    struct jabbertts_voice *v = mem_try(1, sizeof *v);
    int rc = v ? voice_make(tts, pcm, n_sample, text, v, &e)
               : err_set(&e, ERR_MEMORY, "out of memory for a voice");
    if (rc < 0)
        jabbertts_voice_free(v);
    else
        *ret = v;
    return engine_return(error, &e, rc);
}

int jabbertts_voice_from_file(struct jabbertts *tts, const char *path, const char *text,
                              struct jabbertts_voice **ret, struct jabbertts_error *error)
{
    struct err e = {0};
    float *pcm;
    size_t n;
    int rc = audio_decode_file(path, tts->model.spec.codec.sample_rate, LIMIT_REFERENCE_SECONDS,
                               &pcm, &n, &e);
    if (rc < 0)
        return engine_return(error, &e, rc);
    rc = jabbertts_voice_from_pcm(tts, pcm, n, text, ret, error);
    mem_free(pcm);
    return rc;
}

void jabbertts_voice_free(struct jabbertts_voice *v)
{
    if (!v)
        return;
    mem_free(v->text);
    mem_free(v->codes);
    mem_free(v);
}
