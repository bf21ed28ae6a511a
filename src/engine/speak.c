/* speak.c - from pieces to sound: prompt, frames, decoding, handing over. */
#include "engine/engine.h"

#include <math.h>
#include <string.h>

#define REFERENCE_MAX_SECONDS 20  /* of the first sentence, as a voice for the later ones */
#define RECENT                0.9 /* weight of the past in a running mean */

static void mean(double *m, double v)
{
    *m = *m > 0 ? RECENT * *m + (1 - RECENT) * v : v;
}

/* --- codes -------------------------------------------------------------------------------------
 */

/* The first piece's codes as a reference, codebook first; free ref->codes. */
static int first_as_reference(const struct jabbertts_stream *st, struct prompt_reference *ref,
                              struct err *e)
{
    const struct spec *spec = &st->tts->model.spec;
    const struct piece *p = &st->piece[0];
    int n = REFERENCE_MAX_SECONDS * spec->codec.sample_rate / spec->codec.frame_samples;
    int n_codebook = spec->lm.n_codebook;
    if (n > p->n_frame)
        n = p->n_frame;
    int32_t *codes = mem_try((size_t)n * (size_t)n_codebook, sizeof *codes);
    if (!codes)
        return err_set(e, ERR_MEMORY, "out of memory for a prompt");
    for (int t = 0; t < n; t++)
        for (int q = 0; q < n_codebook; q++)
            codes[q * n + t] = p->codes[t * n_codebook + q];
    *ref = (struct prompt_reference){st->pieces.piece[0].text, codes, n};
    return 0;
}

static int speak_build_prompt(const struct slot *s, struct prompt *p, struct err *e)
{
    const struct jabbertts_stream *st = s->stream;
    const struct model *m = &st->tts->model;
    struct prompt_reference ref = st->reference;
    int32_t *own = NULL;
    int n_ref = st->has_reference, rc;
    if (st->piece[s->i_piece].reference.codes) {
        ref = st->piece[s->i_piece].reference;
        n_ref = 1;
    } else if (!n_ref && s->i_piece > 0 && st->piece[0].n_frame > 0) {
        if ((rc = first_as_reference(st, &ref, e)) < 0)
            return rc;
        own = (int32_t *)(uintptr_t)ref.codes;
        n_ref = 1;
    }
    rc = prompt_build(p, m->tokenizer, &m->spec.lm, &ref, n_ref, st->pieces.piece[s->i_piece].text,
                      false, e);
    mem_free(own);
    return rc;
}

/* A sentence that runs away must end: far more sound than anyone needs for so many bytes. */
static int max_frames(const struct slot *s)
{
    const struct jabbertts_stream *st = s->stream;
    const struct jabbertts *tts = st->tts;
    double seconds = 4 + 0.15 * (double)strlen(st->pieces.piece[s->i_piece].text);
    int n = (int)(seconds / engine_frame_s(tts)) + 1, longest = codec_max_frames(tts->model.codec);
    if (n > longest)
        n = longest;
    return st->max_frames > 0 && n > st->max_frames ? st->max_frames : n;
}

static int speak_start_(struct jabbertts *tts, struct slot *s, struct err *e)
{
    struct jabbertts_stream *st = s->stream;
    struct piece *p = &st->piece[s->i_piece];
    struct ar_params params = st->params;
    struct prompt prompt;
    params.stream = (uint32_t)s->i_piece;
    params.max_frames = p->cap = max_frames(s);
    p->codes = mem_try((size_t)p->cap * (size_t)tts->model.spec.lm.n_codebook, sizeof *p->codes);
    if (!p->codes)
        return err_set(e, ERR_MEMORY, "out of memory for %d frames", p->cap);
    prompt_init(&prompt, tts->model.spec.lm.n_codebook);
    int rc = speak_build_prompt(s, &prompt, e);
    if (rc == 0)
        rc = ar_start(s->ar, &prompt, &params, e);
    if (rc == 0)
        prefix_restore(tts->prefix, &prompt, ar_slot(s->ar));
    pthread_mutex_lock(&tts->lock);
    st->progress.n_token += prompt.n_column - prompt.n_prefix;
    pthread_mutex_unlock(&tts->lock);
    prompt_done(&prompt);
    return rc;
}

static void speak_take_frame(struct jabbertts *tts, struct slot *s)
{
    size_t n_codebook = (size_t)tts->model.spec.lm.n_codebook;
    struct piece *p = &s->stream->piece[s->i_piece];
    memcpy(p->codes + (size_t)p->n_frame++ * n_codebook, ar_codes(s->ar),
           n_codebook * sizeof *p->codes);
    s->stream->n_ahead++;
    if (p->n_frame == 2) /* not after the first, whose sound somebody waits for */
        prefix_save(tts->prefix, ar_prompt(s->ar), ar_slot(s->ar), s->stream->has_reference);
}

static void piece_made(struct jabbertts *tts, struct slot *s, bool truncated)
{
    struct jabbertts_stream *st = s->stream;
    st->piece[s->i_piece].state = PIECE_MADE;
    st->piece[s->i_piece].truncated = truncated;
    st->n_speaking--;
    ar_reset(s->ar);
    s->stream = NULL;
    pthread_mutex_lock(&tts->lock);
    mean(&tts->piece_s, engine_now() - s->since);
    pthread_mutex_unlock(&tts->lock);
}

void speak_start(struct jabbertts *tts, struct slot *s)
{
    struct err e = {0};
    if (!s->stream->pieces.piece[s->i_piece].text[0]) { /* silence only */
        piece_made(tts, s, false);
        return;
    }
    if (speak_start_(tts, s, &e) < 0)
        s->stream->broken = e;
}

void speak_step(struct jabbertts *tts, struct slot *const *slots, int n)
{
    struct ar *ars[LIMIT_SLOTS];
    bool prompts = false;
    for (int i = 0; i < n; i++) {
        ars[i] = slots[i]->ar;
        prompts = prompts || ar_state(ars[i]) == AR_READY;
    }
    bool beside = pool_busy(tts->model.pool);
    double begin = engine_now();
    ar_step(tts->model.lm, ars, n, tts->model.exec);
    double seconds = engine_now() - begin;
    if (!prompts)
        mean(&tts->step_s[n], beside ? seconds / 2 : seconds);
    if (beside)
        tts->beside_s += seconds;
    for (int i = 0; i < n; i++) {
        enum ar_state state = ar_state(ars[i]);
        if (state == AR_FRAME)
            speak_take_frame(tts, slots[i]);
        else if (state == AR_STOPPED || state == AR_LIMIT)
            piece_made(tts, slots[i], state == AR_LIMIT);
    }
}

/* --- sound -------------------------------------------------------------------------------------
 */

/* n samples (NULL: silence) to the reader.  Room for a piece is there; an effect may need more. */
static void hand_over(struct jabbertts_stream *st, const float *pcm, size_t n, int n_frame)
{
    struct jabbertts *tts = st->tts;
    float *to;
    pthread_mutex_lock(&tts->lock);
    bool none = st->n_sound == 0;
    if (stream_reserve(st, n, &st->broken) < 0)
        n = 0;
    if (n > 0 && st->progress.first_audio_s < 0)
        st->progress.first_audio_s = engine_now() - st->submitted;
    to = st->sound + st->sound_head + st->n_sound;
    if (n > 0 && pcm)
        memcpy(to, pcm, n * sizeof *pcm);
    else if (n > 0)
        memset(to, 0, n * sizeof *to);
    st->n_sound += n;
    st->progress.n_sample += n;
    st->progress.n_frame += n_frame;
    tts->load.n_frame += (uint64_t)n_frame;
    tts->load.audio_s += (double)n / tts->model.spec.codec.sample_rate;
    if (none && n > 0)
        stream_tell(st);
    pthread_mutex_unlock(&tts->lock);
}

static void pause_after(struct jabbertts_stream *st, int i_piece)
{
    size_t n = (size_t)st->pieces.piece[i_piece].pause_ms *
               (size_t)st->tts->model.spec.codec.sample_rate / 1000;
    if (n > 0)
        hand_over(st, NULL, n, 0);
}

/* The head piece is decoded, or the request's limit reached (spent). */
static void head_done(struct jabbertts *tts, struct jabbertts_stream *st, bool spent)
{
    struct piece *p = &st->piece[st->i_head];
    size_t first = p->n_decoded ? p->first : st->progress.n_sample;
    int n_truncated = spent ? st->pieces.n - st->i_head : p->truncated;
    pthread_mutex_lock(&tts->lock);
    st->progress.piece += !spent;
    st->progress.n_truncated += n_truncated;
    tts->load.n_truncated += (uint64_t)n_truncated;
    stream_mark_piece(st, st->i_head, first, false);
    st->i_head++;
    st->decoder->stream = NULL;
    st->decoder = NULL;
    st->complete = spent || st->i_head == st->pieces.n;
    pthread_mutex_unlock(&tts->lock);
    if (st->i_head > 1 || st->has_reference) {
        mem_free(p->codes); /* the first piece's are still a reference */
        p->codes = NULL;
    }
    if (!st->complete)
        pause_after(st, st->i_head - 1);
    pthread_mutex_lock(&tts->lock);
    stream_mark_piece(st, st->i_head - 1, first, true);
    pthread_mutex_unlock(&tts->lock);
}

static bool speak_has_effect(const struct text_piece *p)
{
    return p->rate != 1 || p->volume != 1;
}

/* What the effect has ready; none of it counts as frames, which were counted before. */
static void drain_effect(struct jabbertts *tts, struct decoder *d)
{
    size_t n_max = (size_t)tts->model.spec.codec.frame_samples * ENGINE_CHUNK_FRAMES;
    int n;
    while ((n = effect_read(d->effect, d->pcm, (int)n_max)) > 0)
        hand_over(d->stream, d->pcm, (size_t)n, 0);
}

/* n finished samples to the reader, changed as the piece asks. */
static void hand_over_finished(struct jabbertts *tts, struct decoder *d, size_t n, int n_frame)
{
    struct jabbertts_stream *st = d->stream;
    const struct text_piece *text = &st->pieces.piece[st->i_head];
    if (!speak_has_effect(text)) {
        hand_over(st, d->finished, n, n_frame);
        return;
    }
    if (!d->effect && effect_new(tts->model.spec.codec.sample_rate, &d->effect, &st->broken) < 0)
        return;
    if (n_frame > 0 && st->piece[st->i_head].n_decoded == n_frame) /* the first */
        effect_begin(d->effect, text->rate, text->volume);
    if (effect_write(d->effect, d->finished, (int)n, &st->broken) < 0)
        return;
    hand_over(st, d->pcm, 0, n_frame);
    drain_effect(tts, d);
}

static void hand_over_chunk(struct jabbertts *tts, struct decoder *d)
{
    const struct jabbertts_stream *st = d->stream;
    size_t n = (size_t)d->n_frame * (size_t)tts->model.spec.codec.frame_samples;
    if (st->piece[st->i_head].n_decoded == d->n_frame) /* the first */
        finish_begin(d->finish, (st->i_head == 0 ? FINISH_FIRST : 0) |
                                    (st->i_head + 1 == st->pieces.n ? FINISH_LAST : 0));
    hand_over_finished(tts, d, finish_run(d->finish, d->pcm, n, d->finished), d->n_frame);
}

/* If no more of the head piece is to come, it is done; spent: nor more of the request. */
static void end_piece(struct jabbertts *tts, struct decoder *d, bool spent)
{
    struct jabbertts_stream *st = d->stream;
    const struct piece *p = &st->piece[st->i_head];
    if (!spent && (p->state != PIECE_MADE || p->n_decoded < p->n_frame))
        return;
    if (p->n_decoded)
        hand_over_finished(tts, d, finish_end(d->finish, d->finished), 0);
    if (d->effect && p->n_decoded && speak_has_effect(&st->pieces.piece[st->i_head])) {
        effect_end(d->effect);
        drain_effect(tts, d);
    }
    head_done(tts, st, spent);
}

int speak_ready(struct jabbertts *tts, struct decoder *d)
{
    const struct jabbertts_stream *st = d->stream;
    const struct piece *p = &st->piece[st->i_head];
    int n = p->n_frame - p->n_decoded, left = st->max_frames - st->progress.n_frame;
    if (n > ENGINE_CHUNK_FRAMES)
        n = ENGINE_CHUNK_FRAMES;
    d->last = st->max_frames > 0 && n >= left;
    if (d->last)
        n = left;
    if (n == 0)
        end_piece(tts, d, d->last);
    return n >= st->n_chunk || p->state == PIECE_MADE || d->last ? n : 0;
}

static void decode_job(void *decoder)
{
    struct decoder *d = decoder;
    const struct model *m = &d->tts->model;
    double begin = engine_now();
    codec_decode(m->codec, d->codec, d->codes, d->n_frame, d->pcm, m->job_exec);
    d->seconds = engine_now() - begin;
}

void speak_decode(struct jabbertts *tts, struct decoder *d)
{
    const struct piece *p = &d->stream->piece[d->stream->i_head];
    int n_codebook = tts->model.spec.lm.n_codebook, n = speak_ready(tts, d);
    const int32_t *codes = p->codes + p->n_decoded * n_codebook;
    for (int t = 0; t < n; t++)
        for (int q = 0; q < n_codebook; q++)
            d->codes[q * n + t] = codes[t * n_codebook + q];
    d->n_frame = n;
    tts->decoding = d;
    tts->beside_s = 0;
    pool_start(tts->model.pool, decode_job, d);
}

void speak_hand_over(struct jabbertts *tts)
{
    struct decoder *d = tts->decoding;
    pool_finish(tts->model.pool);
    tts->decoding = NULL;
    mean(&tts->codec_s, (d->seconds - fmin(tts->beside_s, d->seconds) / 2) / d->n_frame);
    if (!d->stream)
        return;
    struct jabbertts_stream *st = d->stream;
    struct piece *p = &st->piece[st->i_head];
    if (p->n_decoded == 0)
        p->first = st->progress.n_sample;
    p->n_decoded += d->n_frame;
    st->n_ahead -= d->n_frame;
    hand_over_chunk(tts, d);
    st->n_chunk = st->n_chunk * 2 < ENGINE_CHUNK_FRAMES ? st->n_chunk * 2 : ENGINE_CHUNK_FRAMES;
    end_piece(tts, d, d->last);
}

/* --- memory ------------------------------------------------------------------------------------
 */

static int decoder_init(struct jabbertts *tts, struct decoder *d, struct err *e)
{
    const struct spec *m = &tts->model.spec;
    d->tts = tts;
    d->codes = mem_try((size_t)m->lm.n_codebook * ENGINE_CHUNK_FRAMES, sizeof *d->codes);
    d->pcm = mem_try((size_t)m->codec.frame_samples * ENGINE_CHUNK_FRAMES, sizeof *d->pcm);
    if (!d->codes || !d->pcm)
        return err_set(e, ERR_MEMORY, "out of memory for a decoder");
    int rc = finish_new(m->codec.sample_rate, (double)m->codec.gain_db, &d->finish, e);
    if (rc < 0)
        return rc;
    d->finished =
        mem_try(finish_room(d->finish, (size_t)m->codec.frame_samples * ENGINE_CHUNK_FRAMES),
                sizeof *d->finished);
    if (!d->finished)
        return err_set(e, ERR_MEMORY, "out of memory for a decoder");
    return codec_stream_new(tts->model.codec, &d->codec, e);
}

int speak_init(struct jabbertts *tts, struct err *e)
{
    int rc;
    tts->slots = mem_try((size_t)tts->n_slot, sizeof *tts->slots);
    tts->decoders = mem_try((size_t)tts->n_slot, sizeof *tts->decoders);
    if (!tts->slots || !tts->decoders)
        return err_set(e, ERR_MEMORY, "out of memory for %d slots", tts->n_slot);
    struct prefix_options prefix = {(size_t)tts->prefix_mb << 20, tts->prefix_dir,
                                    gguf_path(tts->model.file), tts->isa,
                                    kern_type_name(lm_kv_type(tts->model.lm))};
    rc = prefix_cache_new(&prefix, &tts->prefix, e);
    for (int i = 0; i < tts->n_slot && rc == 0; i++) {
        rc = ar_new(tts->model.lm, tts->n_context, &tts->slots[i].ar, e);
        if (rc == 0)
            rc = decoder_init(tts, &tts->decoders[i], e);
    }
    return rc;
}

void speak_done(struct jabbertts *tts)
{
    if (tts->decoding)
        pool_finish(tts->model.pool);
    for (int i = 0; tts->slots && tts->decoders && i < tts->n_slot; i++) {
        ar_free(tts->slots[i].ar);
        codec_stream_free(tts->decoders[i].codec);
        effect_free(tts->decoders[i].effect);
        finish_free(tts->decoders[i].finish);
        mem_free(tts->decoders[i].finished);
        mem_free(tts->decoders[i].codes);
        mem_free(tts->decoders[i].pcm);
    }
    prefix_cache_free(tts->prefix);
    mem_free(tts->slots);
    mem_free(tts->decoders);
    tts->prefix = NULL;
    tts->slots = NULL;
    tts->decoders = NULL;
    tts->decoding = NULL;
}
