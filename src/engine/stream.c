/* stream.c - a request's life on the caller's side: submit, read, cancel, free; and the sound that
 * engines give it. */
#include "engine/chain.h"

#include <math.h>
#include <string.h>

#include "text/clean.h"

/* --- submit ------------------------------------------------------------------------------------
 */

void jabbertts_request_init(struct jabbertts_request *r)
{
    *r = (struct jabbertts_request){.temperature = -1,
                                    .top_p = -1,
                                    .repetition_penalty = -1,
                                    .normalize = 1,
                                    .carry_markers = 1,
                                    .repair = JABBERTTS_REPAIR_LATER};
}

struct text_options stream_text_options(const struct jabbertts_stream *s,
                                        const struct jabbertts_request *r)
{
    const struct jabbertts *tts = s->ask.tts;
    return (struct text_options){
        .frontend = tts->frontend,
        .language = r->language,
        .marker = tts->frontend == TEXT_WORDS ? NULL : marker_named(r->instructions),
        .markup = r->ssml > 0   ? TEXT_SSML
                  : r->ssml < 0 ? TEXT_NO_SSML
                                : TEXT_BY_LOOK,
        .max_piece_chars = tts->piece_chars,
        .as_written = !r->normalize,
        .loose_markers = !r->carry_markers,
        .words = r->words,
        .lexicon = tts->all->lexicon};
}

static int check_request(const struct jabbertts_request *r, struct err *e)
{
    if (!r->text)
        return err_set(e, ERR_ARGUMENT, "there is no text");
    if (!(r->max_seconds >= 0 && r->max_seconds <= LIMIT_AUDIO_SECONDS))
        return err_set(e, ERR_ARGUMENT, "max_seconds is %g, must be 0 (no limit) to %d",
                       r->max_seconds, LIMIT_AUDIO_SECONDS);
    if (r->context_sentences < 0 || r->context_sentences > LIMIT_CONTEXT_SENTENCES)
        return err_set(e, ERR_ARGUMENT, "context_sentences is %d, must be 0 to %d",
                       r->context_sentences, LIMIT_CONTEXT_SENTENCES);
    if (r->repair < JABBERTTS_REPAIR_NONE || r->repair > JABBERTTS_REPAIR_ALL)
        return err_set(e, ERR_ARGUMENT, "repair is %d, must be %d to %d", r->repair,
                       JABBERTTS_REPAIR_NONE, JABBERTTS_REPAIR_ALL);
    if (!(r->deadline_s >= 0))
        return err_set(e, ERR_ARGUMENT, "deadline_s is %g, must be 0 (none) or more",
                       r->deadline_s);
    return 0;
}

/* The model that a request wants. */
static int stream_find_model(struct jabbertts *tts, const struct jabbertts_request *r,
                             struct jabbertts **ret, struct err *e)
{
    *ret = r->model ? jabbertts_model_named(tts, r->model) : tts;
    if (*ret)
        return 0;
    return err_set(e, ERR_NOT_FOUND, "there is no model \"%.64s\"; the default one is \"%.64s\"",
                   r->model, tts->all->model[0]->name);
}

static int stream_room_for_words(struct jabbertts_stream *s, const char *text, struct err *e)
{
    size_t all = 0, most = 0;
    for (int i = 0; i < s->ask.pieces.n; i++) {
        size_t n = (size_t)s->ask.pieces.piece[i].n_word;
        all += n;
        most = n > most ? n : most;
    }
    s->ask.text = mem_strndup(text, strlen(text));
    s->sound.time = mem_try(most + 1, sizeof *s->sound.time);
    s->guarded.word = mem_try(all + 1, sizeof *s->guarded.word);
    return s->ask.text && s->sound.time && s->guarded.word
               ? 0
               : err_set(e, ERR_MEMORY, "out of memory for the words of a text");
}

static int stream_fill(struct jabbertts_stream *s, const struct jabbertts_request *r, struct err *e)
{
    struct ask *a = &s->ask;
    struct out *o = &s->guarded; /* not shared yet, so no lock */
    int rc;
    a->submitted = engine_now();
    a->deadline = r->deadline_s > 0 ? a->submitted + r->deadline_s : INFINITY;
    a->max_samples = SIZE_MAX;
    a->background = r->background != 0;
    s->sound.since = -1;
    if ((rc = a->tts->kind->prepare(s, r, e)) < 0)
        return rc;
    o->progress = (struct jabbertts_progress){.n_piece = a->pieces.n,
                                              .n_ignored = a->pieces.n_ignored,
                                              .wait_s = -1,
                                              .first_audio_s = -1};
    if (r->words && (rc = stream_room_for_words(s, r->text, e)) < 0)
        return rc;
    if (a->pieces.n_mark == 0)
        return 0;
    o->mark_s = mem_try((size_t)a->pieces.n_mark, sizeof *o->mark_s);
    if (!o->mark_s)
        return err_set(e, ERR_MEMORY, "out of memory for a request");
    for (int i = 0; i < a->pieces.n_mark; i++)
        o->mark_s[i] = -1;
    return 0;
}

static void stream_delete(struct jabbertts_stream *s)
{
    s->ask.tts->kind->forget(s);
    effect_free(s->sound.effect);
    text_pieces_done(&s->ask.pieces);
    mem_free(s->guarded.sound);
    mem_free(s->guarded.mark_s);
    mem_free(s->guarded.word);
    mem_free(s->sound.time);
    mem_free(s->ask.text);
    timing_done(&s->sound.heard);
    pthread_cond_destroy(&s->readable);
    mem_free(s);
}

/* Requests in the background wait behind all others, so of those only the number counts. */
static int stream_admit_background(const struct jabbertts_stream *s, const struct front *f,
                                   struct err *e)
{
    if (s->ask.tts->all->draining)
        return err_set(e, ERR_BUSY, "the engine is shutting down");
    if (f->n_background >= LIMIT_BACKGROUND)
        return err_set(e, ERR_BUSY, "%d requests in the background are open, the limit is %d",
                       f->n_background, LIMIT_BACKGROUND);
    return 0;
}

static int stream_enqueue(struct jabbertts_stream *s, struct front *f, double *retry_after_s,
                          struct err *e)
{
    struct jabbertts_stream **p = &f->open;
    struct policy_queue q = engine_queue(s->ask.tts, f);
    int rc = s->ask.background ? stream_admit_background(s, f, e)
                               : policy_admit(&q, s->ask.deadline - s->ask.submitted, e);
    f->load.n_submitted++;
    if (rc < 0) {
        f->load.n_refused++;
        *retry_after_s = fmax(1, policy_wait_s(&q));
        return rc;
    }
    while (*p)
        p = &stream_out(*p, f)->next;
    *p = s;
    f->n_background += s->ask.background;
    f->n_open += !s->ask.background;
    f->n_queued += !s->ask.background;
    pthread_cond_signal(&s->ask.tts->wake);
    return 0;
}

static int stream_submit(struct jabbertts *tts, const struct jabbertts_request *r,
                         struct jabbertts_stream **ret, double *retry_after_s, struct err *e)
{
    struct jabbertts *model;
    int rc;
    if ((rc = check_request(r, e)) < 0 || (rc = stream_find_model(tts, r, &model, e)) < 0)
        return rc;
    struct jabbertts_stream *s = mem_try(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_MEMORY, "out of memory");
    s->ask.tts = model;
    pthread_cond_init(&s->readable, NULL);
    if ((rc = stream_fill(s, r, e)) == 0) {
        rc = stream_enqueue(s, engine_lock(model), retry_after_s, e);
        engine_unlock(model);
    }
    if (rc < 0)
        stream_delete(s);
    else
        *ret = s;
    return rc;
}

int jabbertts_submit(struct jabbertts *tts, const struct jabbertts_request *r,
                     struct jabbertts_stream **ret, struct jabbertts_error *error)
{
    struct err e = {0};
    double retry_after_s = 0;
    struct jabbertts_request named = *r;
    struct jabbertts *model;
    const char *language;
    named.language = engine_language(r->language);
    if (r->fallback && stream_find_model(tts, r, &model, NULL) == 0 &&
        chain_unread(model, &named, &language) > 0)
        return chain_submit(model, &named, ret, error);
    int rc = engine_return(error, &e, stream_submit(tts, &named, ret, &retry_after_s, &e));
    if (error && rc < 0)
        error->retry_after_s = retry_after_s;
    return rc;
}

int jabbertts_unread(struct jabbertts *tts, const struct jabbertts_request *r,
                     const char **language)
{
    struct jabbertts *model;
    return stream_find_model(tts, r, &model, NULL) < 0 ? 0 : chain_unread(model, r, language);
}

/* --- read --------------------------------------------------------------------------------------
 */

int jabbertts_stream_rate(const struct jabbertts_stream *s)
{
    return s->ask.tts->rate;
}

void stream_tell(struct jabbertts_stream *s, struct out *o)
{
    pthread_cond_broadcast(&s->readable);
    if (o->on_ready)
        o->on_ready(o->ready_cookie);
}

/* Takes what is there: samples, 0 at the end, the failure, or JABBERTTS_AGAIN. */
static int stream_take(struct jabbertts_stream *s, struct out *o, float *pcm, int n_max,
                       struct err *e)
{
    if (o->failure.code) {
        *e = o->failure;
        return e->code;
    }
    if (n_max <= 0)
        return err_set(e, ERR_ARGUMENT, "room for %d samples, wanted at least 1", n_max);
    if (o->n == 0)
        return o->state == STREAM_DONE ? 0 : JABBERTTS_AGAIN;
    int n = o->n < (size_t)n_max ? (int)o->n : n_max;
    memcpy(pcm, o->sound + o->head, (size_t)n * sizeof *pcm);
    o->head += (size_t)n;
    o->n -= (size_t)n;
    if (o->state == STREAM_ACTIVE)
        pthread_cond_signal(&s->ask.tts->wake);
    return n;
}

int jabbertts_try_read(struct jabbertts_stream *s, float *pcm, int n_max,
                       struct jabbertts_error *error)
{
    struct err e = {0};
    if (s->chain)
        return chain_read(s->chain, jabbertts_try_read, pcm, n_max, error);
    int n = stream_take(s, stream_out(s, engine_lock(s->ask.tts)), pcm, n_max, &e);
    engine_unlock(s->ask.tts);
    return n == JABBERTTS_AGAIN ? n : engine_return(error, &e, n);
}

int jabbertts_read(struct jabbertts_stream *s, float *pcm, int n_max, struct jabbertts_error *error)
{
    struct err e = {0};
    if (s->chain)
        return chain_read(s->chain, jabbertts_read, pcm, n_max, error);
    struct out *o = stream_out(s, engine_lock(s->ask.tts));
    int n;
    while ((n = stream_take(s, o, pcm, n_max, &e)) == JABBERTTS_AGAIN)
        pthread_cond_wait(&s->readable, &s->ask.tts->all->lock);
    engine_unlock(s->ask.tts);
    return engine_return(error, &e, n);
}

void jabbertts_stream_on_ready(struct jabbertts_stream *s, void (*fn)(void *cookie), void *cookie)
{
    if (s->chain) {
        chain_on_ready(s->chain, fn, cookie);
        return;
    }
    struct out *o = stream_out(s, engine_lock(s->ask.tts));
    o->on_ready = fn;
    o->ready_cookie = cookie;
    if (fn && (o->n > 0 || o->state == STREAM_DONE))
        fn(cookie);
    engine_unlock(s->ask.tts);
}

int jabbertts_stream_mark(const struct jabbertts_stream *s, int i, const char **name,
                          double *seconds)
{
    struct jabbertts *tts = s->ask.tts;
    if (i < 0 || i >= s->ask.pieces.n_mark)
        return JABBERTTS_ERR_NOT_FOUND;
    engine_lock(tts);
    *name = s->ask.pieces.mark[i].name;
    *seconds = s->guarded.mark_s[i];
    engine_unlock(tts);
    return 0;
}

int jabbertts_stream_word(const struct jabbertts_stream *s, int i, struct jabbertts_word *word)
{
    struct jabbertts *tts = s->ask.tts;
    int rc = JABBERTTS_ERR_NOT_FOUND;
    engine_lock(tts);
    if (i >= 0 && i < s->guarded.n_word) {
        *word = s->guarded.word[i];
        rc = 0;
    } else if (i >= 0 && s->ask.text && !s->guarded.all_words && s->guarded.state != STREAM_DONE) {
        rc = JABBERTTS_AGAIN;
    }
    engine_unlock(tts);
    return rc;
}

void jabbertts_stream_progress(const struct jabbertts_stream *s, struct jabbertts_progress *p)
{
    if (s->chain) {
        chain_progress(s->chain, p);
        return;
    }
    engine_lock(s->ask.tts);
    *p = s->guarded.progress;
    if (s->guarded.state != STREAM_DONE)
        p->elapsed_s = engine_now() - s->ask.submitted;
    engine_unlock(s->ask.tts);
}

/* --- cancel, free ------------------------------------------------------------------------------
 */

void jabbertts_cancel(struct jabbertts_stream *s)
{
    static const struct err cancelled = {ERR_CANCELLED, "cancelled"};
    if (s->chain) {
        chain_cancel(s->chain);
        return;
    }
    struct front *f = engine_lock(s->ask.tts);
    struct out *o = stream_out(s, f);
    o->cancel = true;
    if (o->state == STREAM_QUEUED) {
        stream_end(s, f, &cancelled);
        pthread_cond_broadcast(&s->readable);
    }
    pthread_cond_signal(&s->ask.tts->wake);
    engine_unlock(s->ask.tts);
}

void jabbertts_stream_free(struct jabbertts_stream *s)
{
    if (!s)
        return;
    if (s->chain) {
        chain_free(s->chain);
        mem_free(s);
        return;
    }
    jabbertts_stream_on_ready(s, NULL, NULL);
    jabbertts_cancel(s);
    struct out *o = stream_out(s, engine_lock(s->ask.tts));
    while (o->state != STREAM_DONE)
        pthread_cond_wait(&s->readable, &s->ask.tts->all->lock);
    engine_unlock(s->ask.tts);
    stream_delete(s);
}

/* --- what the engine thread does to a stream ---------------------------------------------------
 */

void stream_begin(struct jabbertts_stream *s, struct front *f, double now)
{
    struct out *o = stream_out(s, f);
    if (o->state != STREAM_QUEUED)
        return;
    f->n_queued -= !s->ask.background;
    o->progress.wait_s = now - s->ask.submitted;
    o->state = STREAM_ACTIVE;
}

double stream_runs_dry(const struct jabbertts_stream *s)
{
    const struct sound *d = &s->sound;
    return d->since < 0 ? s->ask.submitted : d->since + (double)d->n_sample / s->ask.tts->rate;
}

double stream_unread_s(const struct jabbertts_stream *s, const struct out *o)
{
    return (double)o->n / s->ask.tts->rate;
}

int stream_reserve(struct out *o, size_t n, struct err *e)
{
    if (o->head + o->n + n <= o->cap)
        return 0;
    if (o->head > 0) {
        memmove(o->sound, o->sound + o->head, o->n * sizeof *o->sound);
        o->head = 0;
    }
    if (o->n + n <= o->cap)
        return 0;
    float *sound = mem_grow(o->sound, o->n + n, sizeof *sound);
    if (!sound)
        return err_set(e, ERR_MEMORY, "out of memory for %zu samples", o->n + n);
    o->sound = sound;
    o->cap = o->n + n;
    return 0;
}

/* Hands n samples (NULL: silence) to the reader, or as many as the request's limit allows. */
static void stream_hand_over(struct jabbertts_stream *s, const float *pcm, size_t n, int n_frame)
{
    struct sound *d = &s->sound;
    struct front *f = engine_lock(s->ask.tts);
    struct out *o = stream_out(s, f);
    bool none = o->n == 0;
    if (n > s->ask.max_samples - d->n_sample) {
        n = s->ask.max_samples - d->n_sample;
        d->cut = true;
    }
    if (stream_reserve(o, n, &d->broken) < 0)
        n = 0;
    if (n > 0 && d->since < 0) {
        d->since = engine_now();
        o->progress.first_audio_s = d->since - s->ask.submitted;
    }
    float *to = o->sound + o->head + o->n;
    if (n > 0 && pcm)
        memcpy(to, pcm, n * sizeof *pcm);
    else if (n > 0)
        memset(to, 0, n * sizeof *to);
    o->n += n;
    o->progress.n_sample = d->n_sample += n;
    o->progress.n_frame = d->n_frame += n_frame;
    f->load.n_frame += (uint64_t)n_frame;
    f->load.audio_s += (double)n / s->ask.tts->rate;
    if (none && n > 0)
        stream_tell(s, o);
    engine_unlock(s->ask.tts);
}

/* Hands over what the effect has ready.  Its frames were counted when they went in. */
static void stream_drain_effect(struct jabbertts_stream *s)
{
    float pcm[2048];
    int n;
    while ((n = effect_read(s->sound.effect, pcm, 2048)) > 0)
        stream_hand_over(s, pcm, (size_t)n, 0);
}

static int stream_begin_piece(struct jabbertts_stream *s)
{
    struct sound *d = &s->sound;
    const struct text_piece *p = &s->ask.pieces.piece[d->i_head];
    d->begun = true;
    d->first = d->n_sample;
    if (p->rate == 1 && p->volume == 1)
        return 0;
    int rc = d->effect ? 0 : effect_new(s->ask.tts->rate, &d->effect, &d->broken);
    if (rc < 0)
        return rc;
    d->changed = true;
    effect_begin(d->effect, p->rate, p->volume);
    return 0;
}

void stream_write(struct jabbertts_stream *s, const float *pcm, size_t n, int n_frame)
{
    struct sound *d = &s->sound;
    if (!d->begun && stream_begin_piece(s) < 0)
        return;
    if (s->ask.text && timing_hear(&d->heard, s->ask.tts->rate, pcm, n) < 0) {
        err_set(&d->broken, ERR_MEMORY, "out of memory for word times");
        return;
    }
    if (!d->changed) {
        stream_hand_over(s, pcm, n, n_frame);
        return;
    }
    if (effect_write(d->effect, pcm, (int)n, &d->broken) < 0)
        return;
    stream_hand_over(s, NULL, 0, n_frame);
    stream_drain_effect(s);
}

/* The sound of the head piece ended with the last sample; after_pause: and the pause behind it. */
static void stream_mark_piece(struct jabbertts_stream *s, struct out *o, bool after_pause)
{
    const struct sound *d = &s->sound;
    double n = (double)(d->n_sample - d->first);
    for (int i = 0; i < s->ask.pieces.n_mark; i++) {
        const struct text_mark *m = &s->ask.pieces.mark[i];
        if (m->piece == d->i_head && (m->share > 1) == after_pause)
            o->mark_s[i] =
                ((double)d->first + (m->share > 1 ? n : m->share * n)) / s->ask.tts->rate;
    }
}

/* The words of the head piece are known: its sound is there, effects and all. */
static void stream_tell_words(struct jabbertts_stream *s, struct out *o,
                              const struct word_time *given)
{
    struct sound *d = &s->sound;
    const struct text_piece *p = &s->ask.pieces.piece[d->i_head];
    double rate = s->ask.tts->rate, first = (double)d->first / rate;
    double heard = (double)timing_samples(&d->heard, s->ask.tts->rate);
    double scale = d->changed && heard > 0 ? (double)(d->n_sample - d->first) / heard : 1;
    if (given != d->time)
        timing_spread(&d->heard, p, d->time);
    timing_settle(&d->heard, p, d->time);
    for (int i = 0; i < p->n_word; i++) {
        const struct text_word *w = &p->word[i];
        double to = first + d->time[i].to * scale;
        struct jabbertts_word *last = o->n_word ? &o->word[o->n_word - 1] : NULL;
        if (last && spoken_joins(s->ask.text, last->end, w->start)) {
            last->end = w->end > last->end ? w->end : last->end;
            last->to_s = to;
            continue;
        }
        o->word[o->n_word++] = (struct jabbertts_word){
            w->start, w->end, first + d->time[i].from * scale, to, o->n_sentence};
    }
    o->n_sentence += p->n_word > 0 && !p->goes_on;
    timing_clear(&d->heard);
}

void stream_end_piece(struct jabbertts_stream *s, const struct piece_end *end)
{
    struct sound *d = &s->sound;
    struct jabbertts *tts = s->ask.tts;
    if (d->changed) {
        effect_end(d->effect);
        stream_drain_effect(s);
    }
    if (!d->begun)
        d->first = d->n_sample;
    struct front *f = engine_lock(tts);
    struct out *o = stream_out(s, f);
    o->progress.piece += end->spoken;
    o->progress.n_truncated += end->n_truncated;
    f->load.n_truncated += (uint64_t)end->n_truncated;
    stream_mark_piece(s, o, false);
    if (s->ask.text)
        stream_tell_words(s, o, end->time);
    o->all_words = end->last;
    engine_unlock(tts);
    size_t pause = (size_t)s->ask.pieces.piece[d->i_head].pause_ms * (size_t)tts->rate / 1000;
    if (!end->last && pause > 0)
        stream_hand_over(s, NULL, pause, 0);
    stream_mark_piece(s, stream_out(s, engine_lock(tts)), true);
    engine_unlock(tts);
    d->i_head++;
    d->begun = d->changed = false;
    d->complete = end->last;
}

void stream_end(struct jabbertts_stream *s, struct front *f, const struct err *why)
{
    struct out *o = stream_out(s, f);
    struct jabbertts_stream **p = &f->open;
    while (*p != s)
        p = &stream_out(*p, f)->next;
    *p = o->next;
    f->n_background -= s->ask.background;
    f->n_open -= !s->ask.background;
    f->n_queued -= o->state == STREAM_QUEUED && !s->ask.background;
    o->state = STREAM_DONE;
    o->progress.elapsed_s = engine_now() - s->ask.submitted;
    if (why)
        o->failure = *why;
    if (!why)
        f->load.n_finished++;
    else if (why->code == ERR_CANCELLED)
        f->load.n_cancelled++;
    else
        f->load.n_failed++;
    pthread_cond_broadcast(&s->ask.tts->all->changed);
}
