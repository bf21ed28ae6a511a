/* scheduler.c - the engine thread: admit, step, decode, deliver.  State diagram in engine.h. */
#include "engine/engine.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define RECENT 0.99              /* weight of the past: about the last hundred turns count */
#define REFERENCE_MAX_SECONDS 20 /* of the first sentence, as a voice for the later ones */

static void stream_finish(struct slot *s, const struct err *failure)
{
    struct jabbertts_stream *st = s->stream;
    struct jabbertts *tts = st->tts;
    pthread_mutex_lock(&tts->lock);
    if (failure)
        st->failure = *failure;
    if (!failure)
        tts->load.n_finished++;
    else if (failure->code == ERR_CANCELLED)
        tts->load.n_cancelled++;
    else
        tts->load.n_failed++;
    double now = engine_now();
    st->progress.elapsed_s = now - st->submitted;
    tts->recent_hold = tts->recent_hold > 0 ? 0.8 * tts->recent_hold + 0.2 * (now - s->since)
                                            : now - s->since;
    st->state = STREAM_DONE;
    s->stream = NULL;
    engine_tell(st);
    pthread_mutex_unlock(&tts->lock);
    ar_reset(s->ar);
}

static int piece_prompt(struct jabbertts *tts, struct slot *s, struct prompt *p, struct err *e)
{
    struct jabbertts_stream *st = s->stream;
    const struct spec_lm *lm = &tts->model.spec.lm;
    struct prompt_reference ref = st->reference;
    int n_ref = st->has_reference, rc;
    int32_t *codes = NULL;
    if (!n_ref && s->piece > 0 && s->n_first > 0) {
        codes = mem_try((size_t)s->n_first * (size_t)lm->n_codebook, sizeof *codes);
        if (!codes)
            return err_set(e, ERR_MEMORY, "out of memory for a prompt");
        for (int t = 0; t < s->n_first; t++)
            for (int q = 0; q < lm->n_codebook; q++)
                codes[(size_t)q * (size_t)s->n_first + (size_t)t] =
                    s->first[(size_t)t * (size_t)lm->n_codebook + (size_t)q];
        ref = (struct prompt_reference){st->pieces.piece[0].text, codes, s->n_first};
        n_ref = 1;
    }
    rc = prompt_build(p, tts->model.tokenizer, lm, &ref, n_ref, st->pieces.piece[s->piece].text,
                      false, e);
    mem_free(codes);
    return rc;
}

/* A sentence that runs away must end: far more sound than anyone needs for so many bytes. */
static int piece_max_frames(const struct jabbertts *tts, const struct slot *s)
{
    const struct spec_codec *c = &tts->model.spec.codec;
    const struct jabbertts_stream *st = s->stream;
    double seconds = 4 + 0.15 * (double)strlen(st->pieces.piece[s->piece].text);
    int n = (int)(seconds * c->sample_rate / c->frame_samples) + 1;
    if (n > codec_max_frames(tts->model.codec))
        n = codec_max_frames(tts->model.codec);
    if (st->max_frames > 0 && n > st->max_frames - st->progress.n_frame)
        n = st->max_frames - st->progress.n_frame;
    return n;
}

static int piece_start(struct jabbertts *tts, struct slot *s, struct err *e)
{
    struct jabbertts_stream *st = s->stream;
    struct prompt p;
    prompt_init(&p, tts->model.spec.lm.n_codebook);
    int rc = piece_prompt(tts, s, &p, e);
    if (rc == 0) {
        struct ar_params params = st->params;
        params.stream = (uint32_t)s->piece;
        params.max_frames = piece_max_frames(tts, s);
        rc = ar_start(s->ar, &p, &params, e);
    }
    if (rc == 0)
        prefix_restore(tts->prefix, &p, ar_slot(s->ar));
    pthread_mutex_lock(&tts->lock);
    st->progress.n_token += p.n_column - p.n_prefix;
    pthread_mutex_unlock(&tts->lock);
    prompt_done(&p);
    codec_stream_reset(s->codec);
    s->n_pending = 0;
    return rc;
}

/* Hand n samples to the reader; room was checked before. */
static void deliver(struct jabbertts_stream *st, const float *pcm, size_t n)
{
    pthread_mutex_lock(&st->tts->lock);
    if (st->progress.first_audio_s < 0)
        st->progress.first_audio_s = engine_now() - st->submitted;
    for (size_t i = 0; i < n; i++)
        st->ring[(st->ring_head + st->ring_len + i) % st->ring_size] = pcm ? pcm[i] : 0;
    bool none = st->ring_len == 0;
    st->ring_len += n;
    st->progress.n_sample += n;
    st->tts->load.audio_s += (double)n / st->tts->model.spec.codec.sample_rate;
    if (none)
        engine_tell(st);
    pthread_mutex_unlock(&st->tts->lock);
}

static void decode_pending(struct jabbertts *tts, struct slot *s)
{
    int n_codebook = tts->model.spec.lm.n_codebook, n = s->n_pending;
    if (n == 0)
        return;
    for (int t = 0; t < n; t++)
        for (int q = 0; q < n_codebook; q++)
            tts->chunk[q * n + t] = s->frames[t * n_codebook + q];
    codec_decode(tts->model.codec, s->codec, tts->chunk, n, tts->pcm, tts->model.exec);
    s->n_pending = 0;
    s->n_chunk = s->n_chunk * 2 < ENGINE_CHUNK_FRAMES ? s->n_chunk * 2 : ENGINE_CHUNK_FRAMES;
    deliver(s->stream, tts->pcm, (size_t)n * (size_t)tts->model.spec.codec.frame_samples);
}

static void take_frame(struct jabbertts *tts, struct slot *s)
{
    size_t n_codebook = (size_t)tts->model.spec.lm.n_codebook;
    const int32_t *codes = ar_codes(s->ar);
    memcpy(s->frames + (size_t)s->n_pending * n_codebook, codes, n_codebook * sizeof *codes);
    s->n_pending++;
    if (s->piece == 0 && s->n_first < s->cap_first)
        memcpy(s->first + (size_t)s->n_first++ * n_codebook, codes, n_codebook * sizeof *codes);
    pthread_mutex_lock(&tts->lock);
    s->stream->progress.n_frame++;
    tts->load.n_frame++;
    pthread_mutex_unlock(&tts->lock);
    if (s->n_pending >= s->n_chunk)
        decode_pending(tts, s);
    if (ar_n_frame(s->ar) == 1) /* after the first sound, which somebody waits for */
        prefix_save(tts->prefix, ar_prompt(s->ar), ar_slot(s->ar), s->stream->has_reference);
}

static void piece_end(struct jabbertts *tts, struct slot *s, bool truncated)
{
    struct jabbertts_stream *st = s->stream;
    decode_pending(tts, s);
    pthread_mutex_lock(&tts->lock);
    st->progress.piece++;
    st->progress.n_truncated += truncated;
    tts->load.n_truncated += truncated;
    pthread_mutex_unlock(&tts->lock);
    if (s->piece + 1 < st->pieces.n)
        s->pause = (size_t)st->pieces.piece[s->piece].pause_ms *
                   (size_t)tts->model.spec.codec.sample_rate / 1000;
    s->piece++;
    ar_reset(s->ar);
}

/* Next piece, or the end of the stream.  True while the slot has something to step. */
static bool slot_continue(struct jabbertts *tts, struct slot *s)
{
    struct jabbertts_stream *st = s->stream;
    struct err e = {0};
    if (ar_state(s->ar) != AR_IDLE)
        return true;
    if (s->pause) {
        deliver(st, NULL, s->pause);
        s->pause = 0;
    }
    bool spent = st->max_frames > 0 && st->progress.n_frame >= st->max_frames;
    if (s->piece >= st->pieces.n || spent) {
        pthread_mutex_lock(&tts->lock);
        st->progress.n_truncated += st->pieces.n - s->piece;
        tts->load.n_truncated += (uint64_t)(st->pieces.n - s->piece);
        pthread_mutex_unlock(&tts->lock);
        stream_finish(s, NULL);
        return false;
    }
    if (piece_start(tts, s, &e) < 0) {
        stream_finish(s, &e);
        return false;
    }
    return true;
}

static void slot_take(struct slot *s, struct jabbertts_stream *st)
{
    s->stream = st;
    s->piece = s->n_pending = s->n_first = 0;
    s->n_chunk = 1; /* sound as early as possible, then larger chunks */
    s->pause = 0;
    s->since = engine_now();
    st->state = STREAM_ACTIVE;
}

/* With the lock held: queued streams into free slots, cancelled ones out. */
static void admit(struct jabbertts *tts)
{
    for (int i = 0; i < tts->n_slot && tts->queue; i++) {
        if (tts->slots[i].stream)
            continue;
        struct jabbertts_stream *st = tts->queue;
        tts->queue = st->next;
        tts->n_queued--;
        slot_take(&tts->slots[i], st);
    }
}

/* With the lock held: streams that have waited longer than their deadline. */
static void expire(struct jabbertts *tts, double now)
{
    struct err late = {0};
    for (struct jabbertts_stream *st = tts->queue, *next; st; st = next) {
        next = st->next;
        if (now < st->deadline)
            continue;
        err_set(&late, ERR_DEADLINE, "the deadline of %.6g s passed while the request was waiting",
                st->deadline - st->submitted);
        engine_drop(st, &late);
        engine_tell(st);
    }
}

/* With the lock held: sleep until something changes or the next deadline. */
static void wait_for_work(struct jabbertts *tts)
{
    double next = INFINITY;
    struct timespec t;
    for (int i = 0; i < tts->n_slot; i++)
        if (tts->slots[i].stream)
            next = fmin(next, tts->slots[i].stream->deadline);
    for (const struct jabbertts_stream *st = tts->queue; st; st = st->next)
        next = fmin(next, st->deadline);
    if (next > 1e12) {
        pthread_cond_wait(&tts->wake, &tts->lock);
        return;
    }
    t.tv_sec = (time_t)next;
    t.tv_nsec = (long)((next - floor(next)) * 1e9);
    pthread_cond_timedwait(&tts->wake, &tts->lock, &t);
}

/* With the lock held: is there anything the engine could do now?  Fills can[] per slot. */
static bool runnable(struct jabbertts *tts, bool *can, double now)
{
    const struct spec_codec *c = &tts->model.spec.codec;
    /* A turn may add one chunk and one pause. */
    size_t room = (size_t)ENGINE_CHUNK_FRAMES * (size_t)c->frame_samples + (size_t)c->sample_rate;
    bool any = tts->jobs != NULL;
    for (int i = 0; i < tts->n_slot; i++) {
        struct jabbertts_stream *st = tts->slots[i].stream;
        can[i] = st && (st->cancel || tts->closing || now >= st->deadline ||
                        st->ring_size - st->ring_len >= room);
        any = any || can[i];
    }
    return any;
}

static void run_jobs(struct jabbertts *tts)
{
    pthread_mutex_lock(&tts->lock);
    struct job *j = tts->jobs;
    if (j)
        tts->jobs = j->next;
    pthread_mutex_unlock(&tts->lock);
    if (!j)
        return;
    j->rc = codec_encode(tts->model.codec, j->pcm, j->n_sample, j->codes, tts->model.exec, &j->err);
    pthread_mutex_lock(&tts->lock);
    j->done = true;
    pthread_cond_broadcast(&tts->job_done);
    pthread_mutex_unlock(&tts->lock);
}

static void turn(struct jabbertts *tts, const bool *can, bool closing)
{
    struct ar *ars[LIMIT_SLOTS];
    struct slot *owner[LIMIT_SLOTS];
    int n = 0;
    for (int i = 0; i < tts->n_slot; i++) {
        struct slot *s = &tts->slots[i];
        if (!can[i])
            continue;
        pthread_mutex_lock(&tts->lock);
        bool cancelled = s->stream->cancel || closing;
        pthread_mutex_unlock(&tts->lock);
        struct err e = {ERR_CANCELLED, "cancelled"};
        bool late = !cancelled && engine_now() >= s->stream->deadline;
        if (late)
            err_set(&e, ERR_DEADLINE, "the deadline of %.6g s passed with %d of %d sentences spoken",
                    s->stream->deadline - s->stream->submitted, s->piece, s->stream->pieces.n);
        if (cancelled || late) {
            stream_finish(s, &e);
        } else if (slot_continue(tts, s)) {
            ars[n] = s->ar;
            owner[n++] = s;
        }
    }
    if (n == 0)
        return;
    ar_step(tts->model.lm, ars, n, tts->model.exec);
    for (int i = 0; i < n; i++) {
        enum ar_state state = ar_state(ars[i]);
        if (state == AR_FRAME)
            take_frame(tts, owner[i]);
        else if (state == AR_STOPPED || state == AR_LIMIT)
            piece_end(tts, owner[i], state == AR_LIMIT);
    }
}

/* With the lock held: what a turn cost and gave. */
static void account(struct jabbertts *tts, double seconds, int n_frame)
{
    const struct spec_codec *c = &tts->model.spec.codec;
    tts->load.batch = n_frame;
    tts->load.busy_s += seconds;
    tts->recent_busy = RECENT * tts->recent_busy + seconds;
    tts->recent_sound = RECENT * tts->recent_sound + n_frame * (double)c->frame_samples /
                                                         c->sample_rate;
}

void *engine_main(void *arg)
{
    struct jabbertts *tts = arg;
    bool can[LIMIT_SLOTS];
    pthread_mutex_lock(&tts->lock);
    for (;;) {
        double now = engine_now();
        expire(tts, now);
        admit(tts);
        bool any = runnable(tts, can, now), closing = tts->closing;
        if (closing && !any)
            break;
        if (!any) {
            wait_for_work(tts);
            continue;
        }
        uint64_t n_frame = tts->load.n_frame;
        pthread_mutex_unlock(&tts->lock);
        run_jobs(tts);
        double start = engine_now();
        turn(tts, can, closing);
        pthread_mutex_lock(&tts->lock);
        account(tts, engine_now() - start, (int)(tts->load.n_frame - n_frame));
    }
    pthread_mutex_unlock(&tts->lock);
    return NULL;
}

/* --- slots --- */

static int slot_new(struct jabbertts *tts, struct slot *s, struct err *e)
{
    const struct spec *m = &tts->model.spec;
    size_t n_codebook = (size_t)m->lm.n_codebook;
    int rc;
    s->cap_first = REFERENCE_MAX_SECONDS * m->codec.sample_rate / m->codec.frame_samples;
    s->frames = mem_try(ENGINE_CHUNK_FRAMES * n_codebook, sizeof *s->frames);
    s->first = mem_try((size_t)s->cap_first * n_codebook, sizeof *s->first);
    if (!s->frames || !s->first)
        return err_set(e, ERR_MEMORY, "out of memory for a slot");
    if ((rc = ar_new(tts->model.lm, tts->n_context, &s->ar, e)) < 0)
        return rc;
    return codec_stream_new(tts->model.codec, &s->codec, e);
}

int engine_slots_new(struct jabbertts *tts, struct err *e)
{
    const struct spec *m = &tts->model.spec;
    tts->slots = mem_try((size_t)tts->n_slot, sizeof *tts->slots);
    tts->chunk = mem_try((size_t)m->lm.n_codebook * ENGINE_CHUNK_FRAMES, sizeof *tts->chunk);
    tts->pcm = mem_try((size_t)m->codec.frame_samples * ENGINE_CHUNK_FRAMES, sizeof *tts->pcm);
    if (!tts->slots || !tts->chunk || !tts->pcm)
        return err_set(e, ERR_MEMORY, "out of memory for %d slots", tts->n_slot);
    for (int i = 0; i < tts->n_slot; i++) {
        int rc = slot_new(tts, &tts->slots[i], e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void engine_slots_free(struct jabbertts *tts)
{
    for (int i = 0; tts->slots && i < tts->n_slot; i++) {
        struct slot *s = &tts->slots[i];
        ar_free(s->ar);
        codec_stream_free(s->codec);
        mem_free(s->frames);
        mem_free(s->first);
    }
    mem_free(tts->slots);
    mem_free(tts->chunk);
    mem_free(tts->pcm);
}
