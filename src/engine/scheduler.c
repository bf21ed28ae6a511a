/* scheduler.c - the engine thread: who is served, and when.
 *
 * Slots.  A free slot goes to the stream that has no piece in one and whose sound runs out first; a
 * new stream's has run out when it was submitted.  So short and new texts start within a sentence,
 * whatever a long text has before it.  What is left goes to further pieces of streams that speak
 * already, fewest first, but never the last free slot: a long text does not fill the engine.
 *
 * Turns.  All sequences step together while that is faster than real time, or while nobody's sound
 * is about to run out, or where even those could not keep up; otherwise only those whose sound is.
 *
 * Listeners are taken to have started with the first sample and to have heard all since. */
#include "engine/engine.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define RECENT        0.99 /* weight of the past: about the last hundred turns count */
#define URGENT_S      1.5  /* of sound left */
#define BEHIND_CHUNKS 2    /* of each head piece may wait to be decoded */

/* --- reading the state -------------------------------------------------------------------------
 */

static double sound_seconds(const struct jabbertts *tts, size_t n_sample)
{
    return (double)n_sample / tts->model.spec.codec.sample_rate;
}

/* When a listener has heard all that is made so far. */
static double runs_dry(const struct jabbertts_stream *st)
{
    const struct jabbertts_progress *p = &st->progress;
    if (p->first_audio_s < 0)
        return st->submitted;
    return st->submitted + p->first_audio_s + sound_seconds(st->tts, p->n_sample) +
           st->n_ahead * engine_frame_s(st->tts);
}

static bool startable(const struct jabbertts_stream *st)
{
    double ahead = st->n_ahead * engine_frame_s(st->tts) + sound_seconds(st->tts, st->n_sound);
    if (st->i_next >= st->pieces.n || ahead > ENGINE_AHEAD_SECONDS || st->broken.code)
        return false;
    if (st->max_frames > 0 && st->progress.n_frame + st->n_ahead >= st->max_frames)
        return false;
    return st->has_reference || st->i_next == 0 || st->piece[0].state == PIECE_MADE;
}

/* The head piece has something to decode, and the reader wants it. */
static bool decodable(const struct jabbertts_stream *st)
{
    if (st->decoder || st->complete || st->broken.code || st->i_head >= st->i_next)
        return false;
    const struct piece *p = &st->piece[st->i_head];
    return (p->n_frame > 0 || p->state == PIECE_MADE) &&
           sound_seconds(st->tts, st->n_sound) < ENGINE_SOUND_SECONDS;
}

double engine_wait(const struct jabbertts *tts)
{
    int n_before = tts->n_queued + tts->n_dry + 1 - tts->n_free;
    if (!tts->has_model)
        return 0;
    double wait = tts->loaded ? 0 : tts->load_s;
    return n_before > 0 ? wait + n_before * tts->piece_s / tts->n_slot : wait;
}

/* --- ending ------------------------------------------------------------------------------------
 */

static void scheduler_leave(struct jabbertts *tts, struct jabbertts_stream *st)
{
    for (int i = 0; tts->slots && i < tts->n_slot; i++)
        if (tts->slots[i].stream == st) {
            ar_reset(tts->slots[i].ar);
            tts->slots[i].stream = NULL;
        }
    if (st->decoder)
        st->decoder->stream = NULL;
    st->decoder = NULL;
}

/* (lock) End what is complete, broken, cancelled or late. */
static void end_streams(struct jabbertts *tts, double now)
{
    struct jabbertts_stream *st, *next;
    for (st = tts->open; st; st = next) {
        struct err why = st->broken;
        next = st->next;
        if (st->cancel || tts->closing)
            err_set(&why, ERR_CANCELLED, "cancelled");
        else if (!why.code && !st->complete && now >= st->deadline)
            err_set(&why, ERR_DEADLINE,
                    "the deadline of %.6g s passed with %d of %d sentences spoken",
                    st->deadline - st->submitted, st->progress.piece, st->pieces.n);
        if (!why.code && !st->complete)
            continue;
        scheduler_leave(tts, st);
        stream_end(st, why.code ? &why : NULL);
        stream_tell(st);
    }
}

/* (lock) */
static void fail_all(struct jabbertts *tts, const struct err *why)
{
    for (struct jabbertts_stream *st = tts->open; st; st = st->next)
        st->broken = *why;
    end_streams(tts, engine_now());
    for (struct job *j = tts->jobs; j; j = j->next) {
        j->err = *why;
        j->rc = why->code;
        j->done = true;
    }
    tts->jobs = NULL;
    pthread_cond_broadcast(&tts->changed);
}

/* --- slots and decoders ------------------------------------------------------------------------
 */

/* (lock) The stream whose next piece gets a free slot, or NULL. */
static struct jabbertts_stream *next_stream(struct jabbertts *tts)
{
    struct jabbertts_stream *dry = NULL, *few = NULL;
    for (struct jabbertts_stream *st = tts->open; st; st = st->next) {
        if (!startable(st))
            continue;
        if (st->n_speaking == 0 && (!dry || runs_dry(st) < runs_dry(dry)))
            dry = st;
        /* Before its first sound a stream needs the engine for that. */
        if (st->n_speaking > 0 && st->progress.first_audio_s >= 0 &&
            (!few || st->n_speaking < few->n_speaking))
            few = st;
    }
    return dry ? dry : tts->n_free > 1 ? few : NULL;
}

/* (lock) Fills fresh with the slots that were given; returns how many. */
static int scheduler_fill_slots(struct jabbertts *tts, double now, struct slot **fresh)
{
    struct jabbertts_stream *st;
    int n = 0;
    tts->n_free = tts->n_dry = 0;
    for (int i = 0; i < tts->n_slot; i++)
        tts->n_free += !tts->slots[i].stream;
    for (int i = 0; i < tts->n_slot && tts->n_free > 0; i++) {
        if (tts->slots[i].stream)
            continue;
        if (!(st = next_stream(tts)))
            break;
        tts->slots[i].stream = st;
        tts->slots[i].i_piece = st->i_next;
        tts->slots[i].since = now;
        fresh[n++] = &tts->slots[i];
        st->piece[st->i_next++].state = PIECE_SPEAKING;
        st->n_speaking++;
        tts->n_free--;
        if (st->state == STREAM_QUEUED) {
            tts->n_queued--;
            st->progress.wait_s = now - st->submitted;
        }
        st->state = STREAM_ACTIVE;
    }
    for (st = tts->open; st; st = st->next)
        tts->n_dry += st->state == STREAM_ACTIVE && st->n_speaking == 0 && startable(st) &&
                      runs_dry(st) < now;
    return n;
}

/* (lock) Decoders to head pieces, first to the streams that run dry first.  The room for a whole
 * piece is made here, so that decoding it allocates nothing and never has to stop.  True when a
 * stream is left without. */
static bool fill_decoders(struct jabbertts *tts)
{
    struct jabbertts_stream *st;
    for (int i = 0; i < tts->n_slot; i++) {
        struct decoder *d = &tts->decoders[i];
        struct jabbertts_stream *best = NULL;
        if (d->stream || d == tts->decoding)
            continue;
        for (st = tts->open; st; st = st->next)
            if (decodable(st) && (!best || runs_dry(st) < runs_dry(best)))
                best = st;
        if (!best)
            return false;
        const struct piece *p = &best->piece[best->i_head];
        size_t n_frame = (size_t)(p->state == PIECE_MADE ? p->n_frame : p->cap);
        size_t n = n_frame * (size_t)tts->model.spec.codec.frame_samples;
        const struct text_piece *text = &best->pieces.piece[best->i_head];
        if (text->rate != 1) /* and what the effect holds back */
            n = (size_t)((double)n / text->rate) + (size_t)tts->model.spec.codec.sample_rate;
        if (stream_reserve(best, n, &best->broken) < 0)
            continue;
        d->stream = best;
        best->decoder = d;
        codec_stream_reset(d->codec);
    }
    for (st = tts->open; st && !decodable(st); st = st->next)
        ;
    return st != NULL;
}

/* --- a turn ------------------------------------------------------------------------------------
 */

/* n sequences get a frame each in less than a frame's time; what was never tried is. */
static bool in_time(const struct jabbertts *tts, int n)
{
    return tts->step_s[n] + n * tts->codec_s <= engine_frame_s(tts);
}

/* (lock) The slots that step in this turn. */
static int scheduler_choose(struct jabbertts *tts, double now, struct slot **step)
{
    struct slot *urgent[LIMIT_SLOTS];
    int n = 0, n_urgent = 0;
    for (int i = 0; i < tts->n_slot; i++) {
        struct slot *s = &tts->slots[i];
        if (!s->stream || s->stream->broken.code)
            continue;
        step[n++] = s;
        if (s->i_piece == s->stream->i_head && runs_dry(s->stream) - now < URGENT_S)
            urgent[n_urgent++] = s;
    }
    if (n_urgent == 0 || n_urgent == n || in_time(tts, n) || !in_time(tts, n_urgent))
        return n;
    memcpy(step, urgent, (size_t)n_urgent * sizeof *step);
    return n_urgent;
}

static void run_job(struct jabbertts *tts)
{
    pthread_mutex_lock(&tts->lock);
    struct job *j = tts->jobs;
    if (j)
        tts->jobs = j->next;
    pthread_mutex_unlock(&tts->lock);
    if (!j)
        return;
    struct codec *encoder;
    j->rc = model_encoder(&tts->model, &encoder, &j->err);
    if (j->rc == 0)
        j->rc = codec_encode(encoder, j->pcm, j->n_sample, j->codes, tts->model.exec, &j->err);
    pthread_mutex_lock(&tts->lock);
    j->done = true;
    pthread_cond_broadcast(&tts->changed);
    pthread_mutex_unlock(&tts->lock);
}

/* (lock) What a turn cost and gave. */
static void account(struct jabbertts *tts, double seconds, int n_step, uint64_t n_frame)
{
    tts->load.batch = n_step;
    tts->load.busy_s += seconds;
    tts->recent_busy = RECENT * tts->recent_busy + seconds;
    tts->recent_sound = RECENT * tts->recent_sound + (double)n_frame * engine_frame_s(tts);
}

/* A decoder whose chunk is wanted first: that of the stream that runs dry first; or NULL. */
static struct decoder *next_decoder(struct jabbertts *tts)
{
    struct decoder *best = NULL;
    for (int i = 0; i < tts->n_slot; i++) {
        struct decoder *d = &tts->decoders[i];
        if (d->stream && d != tts->decoding && speak_ready(tts, d) > 0 &&
            (!best || runs_dry(d->stream) < runs_dry(best->stream)))
            best = d;
    }
    return best;
}

/* Whether so much waits to be decoded that making more has to wait. */
static bool is_behind(const struct jabbertts *tts)
{
    int n = 0, most = 0;
    for (int i = 0; i < tts->n_slot; i++) {
        const struct jabbertts_stream *st = tts->decoders[i].stream;
        if (!st)
            continue;
        n += st->piece[st->i_head].n_frame - st->piece[st->i_head].n_decoded;
        most += BEHIND_CHUNKS * ENGINE_CHUNK_FRAMES;
    }
    return n > most;
}

/* Hand over the chunk that is done, begin the next.  A chunk is waited for (with all threads) where
 * there is nothing else to do, and where somebody waits for a first sound. */
static void decode_some(struct jabbertts *tts, bool stepped)
{
    for (;;) {
        struct decoder *next = next_decoder(tts);
        bool first = next && next->stream->progress.first_audio_s < 0;
        if (tts->decoding && (first || !stepped || !pool_busy(tts->model.pool))) {
            speak_hand_over(tts);
            next = next_decoder(tts);
        }
        if (!next || tts->decoding)
            return;
        speak_decode(tts, next);
        if (!first)
            return;
        speak_hand_over(tts);
    }
}

/* (lock, given up meanwhile) False when there is nothing to do. */
static bool turn(struct jabbertts *tts)
{
    struct slot *step[LIMIT_SLOTS], *fresh[LIMIT_SLOTS];
    double now = engine_now();
    int n_fresh = scheduler_fill_slots(tts, now, fresh);
    int n_step = scheduler_choose(tts, now, step), n_decode = 0;
    bool waits = fill_decoders(tts);
    for (int i = 0; i < tts->n_slot; i++)
        n_decode += tts->decoders[i].stream || tts->decoding;
    if (n_step == 0 && n_decode == 0 && !tts->jobs)
        return false;
    uint64_t n_frame = tts->load.n_frame;
    pthread_mutex_unlock(&tts->lock);
    for (int i = 0; i < n_fresh; i++)
        speak_start(tts, fresh[i]);
    for (int i = n_step - 1; i >= 0; i--)
        if (!step[i]->stream || step[i]->stream->broken.code) /* nothing to say, or failed */
            step[i] = step[--n_step];
    bool behind = tts->decoding && (waits || is_behind(tts));
    if (n_step > 0 && !behind)
        speak_step(tts, step, n_step);
    decode_some(tts, n_step > 0 && !behind);
    double done = engine_now();
    run_job(tts);
    pthread_mutex_lock(&tts->lock);
    account(tts, done - now, n_step, tts->load.n_frame - n_frame);
    tts->last_work = engine_now();
    return true;
}

/* (lock) Sleep until something changes, the next deadline, or the time to unload. */
static void wait_for_work(struct jabbertts *tts)
{
    double next = tts->loaded && tts->n_open == 0 && tts->idle_s > 0 ? tts->last_work + tts->idle_s
                                                                     : INFINITY;
    struct timespec t;
    for (const struct jabbertts_stream *st = tts->open; st; st = st->next)
        next = fmin(next, st->deadline);
    if (next > 1e12) {
        pthread_cond_wait(&tts->wake, &tts->lock);
        return;
    }
    t.tv_sec = (time_t)next;
    t.tv_nsec = (long)((next - floor(next)) * 1e9);
    pthread_cond_timedwait(&tts->wake, &tts->lock, &t);
}

/* (lock, given up meanwhile) Bring the weights back. */
static void reload(struct jabbertts *tts)
{
    struct err e = {0};
    double begin = engine_now();
    pthread_mutex_unlock(&tts->lock);
    int rc = engine_load(tts, &e);
    pthread_mutex_lock(&tts->lock);
    tts->last_work = engine_now();
    tts->load_s = tts->last_work - begin;
    tts->loaded = rc == 0;
    if (rc < 0)
        fail_all(tts, &e);
}

static void unload(struct jabbertts *tts)
{
    tts->loaded = false;
    pthread_mutex_unlock(&tts->lock);
    engine_unload(tts);
    pthread_mutex_lock(&tts->lock);
}

void *engine_main(void *arg)
{
    struct jabbertts *tts = arg;
    pthread_mutex_lock(&tts->lock);
    for (;;) {
        end_streams(tts, engine_now());
        if (tts->closing && !tts->jobs)
            break;
        if (!tts->loaded && (tts->open || tts->jobs)) {
            reload(tts);
            continue;
        }
        if (tts->loaded && turn(tts))
            continue;
        if (tts->loaded && !tts->open && tts->idle_s > 0 &&
            engine_now() >= tts->last_work + tts->idle_s)
            unload(tts);
        else
            wait_for_work(tts);
    }
    pthread_mutex_unlock(&tts->lock);
    return NULL;
}
