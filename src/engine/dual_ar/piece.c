/* piece.c - from a piece of text to its sound: prompt, frames, decoding, handing over. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "engine/dual_ar/dual_ar.h"

#define REFERENCE_MAX_SECONDS 20  /* of the first sentence, as a voice for the later ones */
#define RECENT                0.9 /* weight of the past in a running mean */

static void piece_mean(double *m, double v)
{
    *m = *m > 0 ? RECENT * *m + (1 - RECENT) * v : v;
}

/* --- codes -------------------------------------------------------------------------------------
 */

/* n frames of codes [n, Q] as the codec takes them, codebook first. */
static void piece_transpose(const int32_t *frames, int n, int n_codebook, int32_t *codes)
{
    for (int t = 0; t < n; t++)
        for (int q = 0; q < n_codebook; q++)
            codes[q * n + t] = frames[t * n_codebook + q];
}

/* At most n_max frames of a piece that is made, as a reference; ref->codes is the caller's. */
static int piece_as_reference(const struct dual_ar *d, const struct jabbertts_stream *s, int i,
                              int n_max, struct prompt_reference *ref, struct err *e)
{
    const struct piece *p = &work_of(s)->piece[i];
    int n = p->made.n_frame < n_max ? p->made.n_frame : n_max,
        n_codebook = d->model.spec.lm.n_codebook;
    int32_t *codes = mem_try((size_t)n * (size_t)n_codebook, sizeof *codes);
    if (!codes)
        return err_set(e, ERR_MEMORY, "out of memory for a prompt");
    piece_transpose(p->made.codes, n, n_codebook, codes);
    *ref = (struct prompt_reference){s->ask.pieces.piece[i].text, codes, n};
    return 0;
}

/* --- prompt ------------------------------------------------------------------------------------
 */

struct beginning { /* of a prompt: a voice's clips, then what was said before */
    struct prompt_reference clip[LIMIT_REFERENCES + LIMIT_CONTEXT_SENTENCES];
    int n, n_lent; /* the first n_lent are not freed */
};

static void beginning_done(struct beginning *b)
{
    for (int i = b->n_lent; i < b->n; i++)
        mem_free((void *)(uintptr_t)b->clip[i].codes);
}

static bool piece_same_voice(const struct jabbertts_stream *s, int i, int j)
{
    const char *a = s->ask.pieces.piece[i].voice, *b = s->ask.pieces.piece[j].voice;
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The first sentence that piece i hears.  Not always the last n_context of them: the window starts
 * anew with one sentence when it is full, so that a prompt mostly goes on where the one before it
 * ended, whose keys and values are known, and is not fed again from the moved beginning. */
static int piece_context_from(const struct dual_ar *d, const struct jabbertts_stream *s, int i,
                              int n_used)
{
    const struct work *w = work_of(s);
    int n_context = w->n_context;
    if (n_context == 0 || i == 0)
        return i;
    int from = i - 1 - (i - 1) % n_context, room = d->n_context - d->n_context / 4 - n_used;
    for (int j = i - 1; j >= from; j--) {
        room -= w->piece[j].made.n_frame + (int)strlen(s->ask.pieces.piece[j].text);
        if (room < 0)
            return j + 1;
    }
    return from;
}

static int piece_begin_prompt(const struct dual_ar *d, const struct slot *slot, struct beginning *b,
                              struct err *e)
{
    const struct jabbertts_stream *s = slot->stream;
    const struct work *w = work_of(s);
    int i = slot->i_piece, rc = 0, n_used = 0;
    const struct references *voice = w->piece[i].voice.n ? &w->piece[i].voice : &w->voice;
    for (b->n = 0; b->n < voice->n; b->n++) {
        b->clip[b->n] = voice->clip[b->n];
        n_used += voice->clip[b->n].n_frame;
    }
    b->n_lent = b->n;
    int from = piece_context_from(d, s, i, n_used);
    if (b->n == 0 && i > 0 && from > 0 && w->piece[0].made.n_frame > 0) {
        int n_max = REFERENCE_MAX_SECONDS * d->tts->rate / d->tts->frame_samples;
        if ((rc = piece_as_reference(d, s, 0, n_max, &b->clip[b->n], e)) == 0)
            b->n++;
    }
    for (int j = from; j < i && rc == 0; j++) {
        const struct piece *p = &w->piece[j];
        if (p->made.n_frame == 0 || p->made.truncated || !piece_same_voice(s, i, j))
            continue;
        if ((rc = piece_as_reference(d, s, j, p->made.n_frame, &b->clip[b->n], e)) == 0)
            b->n++;
    }
    return rc;
}

static int piece_prompt(const struct dual_ar *d, const struct slot *slot, struct prompt *p,
                        struct err *e)
{
    const struct model *m = &d->model;
    struct beginning b = {.n = 0};
    int rc = piece_begin_prompt(d, slot, &b, e);
    struct prompt_parts parts = {
        .refs = b.clip, .n_ref = b.n, .text = slot->stream->ask.pieces.piece[slot->i_piece].text};
    if (rc == 0)
        rc = prompt_build(p, m->tokenizer, &m->spec.lm, &parts, e);
    beginning_done(&b);
    return rc;
}

static int piece_max_frames(const struct dual_ar *d, const struct slot *slot)
{
    const struct jabbertts_stream *s = slot->stream;
    int most = work_of(s)->max_frames;
    int n = policy_max_frames(strlen(s->ask.pieces.piece[slot->i_piece].text), d->frame_s,
                              codec_max_frames(d->model.codec));
    return most > 0 && n > most ? most : n;
}

static int piece_start_(struct dual_ar *d, struct slot *slot, struct err *e)
{
    struct jabbertts_stream *s = slot->stream;
    struct piece *p = &work_of(s)->piece[slot->i_piece];
    struct ar_params params = work_of(s)->params;
    struct prompt prompt;
    params.stream = policy_reading_stream(slot->i_piece, p->n_before);
    params.max_frames = p->cap = piece_max_frames(d, slot);
    params.weigh = p->whole;
    p->made.codes =
        mem_try((size_t)p->cap * (size_t)d->model.spec.lm.n_codebook, sizeof *p->made.codes);
    if (!p->made.codes)
        return err_set(e, ERR_MEMORY, "out of memory for %d frames", p->cap);
    prompt_init(&prompt, d->model.spec.lm.n_codebook);
    int rc = gguf_check(d->model.file, e);
    if (rc == 0)
        rc = piece_prompt(d, slot, &prompt, e);
    if (rc == 0)
        rc = ar_start(slot->ar, &prompt, &params, e);
    if (rc == 0 && (s->ask.text || p->whole))
        rc = focus_begin(d, &p->made.focus, s->ask.pieces.piece[slot->i_piece].text, slot->ar, e);
    if (rc == 0)
        prefix_restore(d->prefix, &prompt, ar_slot(slot->ar));
    struct out *o = stream_out(s, engine_lock(d->tts));
    o->progress.n_token += p->counted ? 0 : prompt.n_column - prompt.n_prefix;
    p->counted = true;
    engine_unlock(d->tts);
    prompt_done(&prompt);
    return rc;
}

void piece_take_back(struct slot *slot)
{
    struct work *w = work_of(slot->stream);
    struct piece *p = &w->piece[--w->i_next];
    repair_forget(p);
    p->state = PIECE_WAITING;
    w->n_speaking--;
    ar_reset(slot->ar);
    slot->stream = NULL;
}

static void piece_take_frame(struct dual_ar *d, struct slot *slot)
{
    size_t n_codebook = (size_t)d->model.spec.lm.n_codebook;
    struct work *w = work_of(slot->stream);
    struct piece *p = &w->piece[slot->i_piece];
    memcpy(p->made.codes + (size_t)p->made.n_frame++ * n_codebook, ar_codes(slot->ar),
           n_codebook * sizeof *p->made.codes);
    focus_frame(d, &p->made.focus);
    if (p->made.n_frame == 2 && (w->n_context == 0 || slot->i_piece == 0))
        /* not after the first frame, whose sound a listener waits for */
        prefix_save(d->prefix, ar_prompt(slot->ar), ar_slot(slot->ar), w->voice.n > 0);
}

/* The piece is there: its best reading. */
static void piece_made(struct dual_ar *d, struct slot *slot)
{
    struct work *w = work_of(slot->stream);
    struct piece *p = &w->piece[slot->i_piece];
    bool in_slot = ar_n_frame(slot->ar) == p->made.n_frame; /* not a reading before the last */
    p->state = PIECE_MADE;
    w->n_speaking--;
    if (w->n_context && in_slot && !p->made.truncated &&
        slot->i_piece + 1 < slot->stream->ask.pieces.n)
        prefix_save_said(d->prefix, ar_prompt(slot->ar), ar_frames(slot->ar), ar_n_frame(slot->ar),
                         ar_slot(slot->ar));
    ar_reset(slot->ar);
    slot->stream = NULL;
    piece_mean(&engine_lock(d->tts)->piece_s, engine_now() - slot->since);
    engine_unlock(d->tts);
}

void piece_start(struct dual_ar *d, struct slot *slot)
{
    struct err e = {0};
    struct text_piece *p = &slot->stream->ask.pieces.piece[slot->i_piece];
    int rc = text_piece_read(p, &work_of(slot->stream)->text, &e);
    if (rc == 0 && !p->text[0]) { /* silence only */
        piece_made(d, slot);
        return;
    }
    if (rc == 0)
        rc = piece_start_(d, slot, &e);
    if (rc < 0)
        slot->stream->sound.broken = e;
}

/* A reading has ended: another follows, or the piece is there. */
static void piece_took(struct dual_ar *d, struct slot *slot, bool truncated)
{
    if (repair_weigh(d, slot, truncated))
        piece_start(d, slot);
    else
        piece_made(d, slot);
}

/* The weights passed the checks of loading, but what they give is not finite. */
static void piece_break(const struct dual_ar *d, struct jabbertts_stream *s)
{
    err_set(&s->sound.broken, ERR_IO,
            "the model \"%.64s\" gave numbers that are not finite: its file is damaged, get it or "
            "convert it again",
            d->tts->name);
}

void piece_step(struct dual_ar *d, struct slot *const *slots, int n)
{
    struct ar *ars[LIMIT_SLOTS];
    bool prompts = false;
    for (int i = 0; i < n; i++) {
        ars[i] = slots[i]->ar;
        prompts = prompts || ar_state(ars[i]) == AR_READY;
    }
    bool beside = pool_busy(d->model.pool);
    double begin = engine_now();
    ar_step(d->model.lm, ars, n, d->model.exec);
    double seconds = engine_now() - begin;
    if (!prompts)
        piece_mean(&d->step_s[n], beside ? seconds / 2 : seconds);
    if (beside)
        d->beside_s += seconds;
    for (int i = 0; i < n; i++)
        model_check(&d->model, &slots[i]->stream->sound.broken);
    for (int i = 0; i < n; i++) {
        enum ar_state state = ar_state(ars[i]);
        if (state == AR_FRAME)
            piece_take_frame(d, slots[i]);
        else if (state == AR_STOPPED || state == AR_LIMIT)
            piece_took(d, slots[i], state == AR_LIMIT);
        else if (state == AR_BROKEN)
            piece_break(d, slots[i]->stream);
    }
}

/* --- sound -------------------------------------------------------------------------------------
 */

/* The head piece of c is decoded, or the request's limit reached (spent). */
static void piece_end(struct decoder *c, bool spent)
{
    struct jabbertts_stream *s = c->stream;
    struct work *w = work_of(s);
    int i = s->sound.i_head;
    struct piece *p = &w->piece[i];
    if (p->n_decoded)
        stream_write(s, c->finished, finish_end(c->finish, c->finished), 0);
    struct piece_end end = {.spoken = !spent,
                            .n_truncated = spent ? s->ask.pieces.n - i : p->made.truncated,
                            .last = spent || i + 1 == s->ask.pieces.n};
    double shift = (double)finish_shift(c->finish) / c->d->tts->rate;
    if (focus_times(c->d, &p->made.focus, &s->ask.pieces.piece[i], shift, s->sound.time))
        end.time = s->sound.time;
    focus_done(&p->made.focus);
    w->decoder = NULL;
    c->stream = NULL;
    stream_end_piece(s, &end);
    i -= w->n_context;                         /* those behind it are heard by the next piece, */
    if (i > 0 || (i == 0 && w->voice.n > 0)) { /* and the first may be all later ones' reference */
        mem_free(w->piece[i].made.codes);
        w->piece[i].made.codes = NULL;
    }
}

/* Frames that the request's limit leaves; INT_MAX: any. */
static int piece_left(const struct jabbertts_stream *s)
{
    int most = work_of(s)->max_frames;
    return most > 0 ? most - s->sound.n_frame : INT_MAX;
}

static const struct piece *piece_head(const struct decoder *c)
{
    return &work_of(c->stream)->piece[c->stream->sound.i_head];
}

void piece_settle(struct decoder *c)
{
    const struct piece *p = piece_head(c);
    if (piece_left(c->stream) == 0)
        piece_end(c, true);
    else if (p->state == PIECE_MADE && p->n_decoded == p->made.n_frame)
        piece_end(c, false);
}

int piece_ready(const struct decoder *c)
{
    const struct piece *p = piece_head(c);
    int n = piece_waiting(p), left = piece_left(c->stream);
    bool all = p->state == PIECE_MADE || n >= left;
    return policy_chunk(n < left ? n : left, work_of(c->stream)->n_chunk, all,
                        c->stream->ask.background);
}

static void decode_job(void *decoder)
{
    struct decoder *c = decoder;
    const struct model *m = &c->d->model;
    double begin = engine_now();
    codec_decode(m->codec, c->codec, c->codes, c->n_frame, c->pcm, m->job_exec);
    c->seconds = engine_now() - begin;
}

void piece_decode(struct dual_ar *d, struct decoder *c)
{
    const struct piece *p = piece_head(c);
    int n_codebook = d->model.spec.lm.n_codebook;
    c->n_frame = piece_ready(c);
    piece_transpose(p->made.codes + p->n_decoded * n_codebook, c->n_frame, n_codebook, c->codes);
    d->decoding = c;
    d->beside_s = 0;
    pool_start(d->model.pool, decode_job, c);
}

/* Where the i-th piece stands in the text, as enum finish_place. */
static int piece_place(const struct text_pieces *p, int i)
{
    bool continues = i > 0 && p->piece[i - 1].goes_on, last = i + 1 == p->n;
    return (i == 0 ? FINISH_FIRST : 0) | (continues ? FINISH_CONTINUES : 0) |
           (last ? FINISH_LAST : 0) | (p->piece[i].goes_on ? FINISH_GOES_ON : 0);
}

void piece_hand_over(struct dual_ar *d)
{
    struct decoder *c = d->decoding;
    pool_finish(d->model.pool);
    d->decoding = NULL;
    piece_mean(&d->codec_s, (c->seconds - fmin(d->beside_s, c->seconds) / 2) / c->n_frame);
    struct jabbertts_stream *s = c->stream;
    if (s && !codec_stream_is_finite(c->codec))
        piece_break(d, s);
    if (!s || s->sound.broken.code)
        return;
    if (model_check(&d->model, &s->sound.broken) < 0)
        return;
    struct work *w = work_of(s);
    int i = s->sound.i_head;
    if (w->piece[i].n_decoded == 0)
        finish_begin(c->finish, piece_place(&s->ask.pieces, i));
    w->piece[i].n_decoded += c->n_frame;
    size_t n = (size_t)c->n_frame * (size_t)d->tts->frame_samples;
    stream_write(s, c->finished, finish_run(c->finish, c->pcm, n, c->finished), c->n_frame);
    w->n_chunk = w->n_chunk * 2 < POLICY_CHUNK_FRAMES ? w->n_chunk * 2 : POLICY_CHUNK_FRAMES;
    piece_settle(c);
}
