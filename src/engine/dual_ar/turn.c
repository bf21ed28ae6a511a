/* turn.c - a turn of the engine thread: describe the state, ask policy.h, carry out its decisions.
 */
#include <string.h>

#include "engine/dual_ar/dual_ar.h"

/* --- what there is -----------------------------------------------------------------------------
 */

static struct policy_ahead turn_ahead(const struct jabbertts_stream *s)
{
    const struct work *w = work_of(s);
    struct policy_ahead a = {0};
    for (int i = s->sound.i_head; i < w->i_next; i++)
        policy_add_piece(&a, piece_waiting(&w->piece[i]), w->piece[i].state == PIECE_MADE);
    return a;
}

/* When a listener will have heard all sound that is made or can be decoded now. */
static double turn_dry(const struct dual_ar *d, const struct jabbertts_stream *s)
{
    return stream_runs_dry(s) + (s->sound.since < 0 ? 0 : turn_ahead(s).n_next * d->frame_s);
}

static struct policy_stream turn_stream(const struct dual_ar *d, const struct jabbertts_stream *s,
                                        const struct out *o)
{
    const struct work *w = work_of(s);
    const struct sound *sound = &s->sound;
    struct policy_stream v = {.dry = turn_dry(d, s),
                              .unread_s = stream_unread_s(s, o),
                              .ahead_s = turn_ahead(s).n_all * d->frame_s,
                              .n_left = s->ask.pieces.n - w->i_next,
                              .n_speaking = w->n_speaking,
                              .begun = o->state == STREAM_ACTIVE,
                              .background = s->ask.background,
                              .heard = sound->since >= 0};
    v.may_begin =
        !sound->broken.code &&
        (w->max_frames == 0 || sound->n_frame + turn_ahead(s).n_all < w->max_frames) &&
        (w->voice.n > 0 || w->i_next == 0 || w->piece[0].state == PIECE_MADE) &&
        (w->n_context == 0 || w->i_next == 0 || w->piece[w->i_next - 1].state == PIECE_MADE);
    if (!w->decoder && !sound->complete && !sound->broken.code && sound->i_head < w->i_next) {
        const struct piece *p = &w->piece[sound->i_head];
        v.head_waits = p->state == PIECE_MADE || (p->made.n_frame > 0 && !p->whole);
    }
    return v;
}

/* All open streams, oldest first; returns how many. */
static int turn_look(struct dual_ar *d, struct front *f)
{
    int n = 0;
    for (struct jabbertts_stream *s = f->open; s; s = stream_out(s, f)->next, n++) {
        d->view[n] = turn_stream(d, s, stream_out(s, f));
        d->viewed[n] = s;
    }
    return n;
}

bool turn_has_work(const struct jabbertts *tts, struct front *f)
{
    for (struct jabbertts_stream *s = f->open; s; s = stream_out(s, f)->next) {
        struct policy_stream v = turn_stream(dual_ar_of(tts), s, stream_out(s, f));
        if (policy_has_work(&v))
            return true;
    }
    return false;
}

/* The decoders that have a piece, and which they are. */
static int turn_decoders(struct dual_ar *d, struct policy_decoder *v, struct decoder **which)
{
    int n = 0;
    for (int i = 0; i <= d->tts->n_slot; i++) {
        struct decoder *c = &d->decoders[i];
        if (c->stream && c != d->decoding && !c->stream->sound.broken.code)
            piece_settle(c);
        if (!c->stream || c->stream->sound.broken.code) /* it ends after this turn */
            continue;
        const struct jabbertts_stream *s = c->stream;
        const struct work *w = work_of(s);
        const struct piece *p = &w->piece[s->sound.i_head];
        v[n] = (struct policy_decoder){.n_waiting = piece_waiting(p),
                                       .n_ready = piece_ready(c),
                                       .dry = turn_dry(d, s),
                                       .heard = s->sound.since >= 0,
                                       .background = s->ask.background,
                                       .running = c == d->decoding};
        which[n++] = c;
    }
    return n;
}

/* --- slots and decoders ------------------------------------------------------------------------
 */

static void turn_give_slot(struct slot *slot, struct jabbertts_stream *s, struct front *f,
                           double now)
{
    struct work *w = work_of(s);
    *slot = (struct slot){.stream = s, .i_piece = w->i_next, .ar = slot->ar, .since = now};
    struct piece *p = &w->piece[w->i_next++];
    p->state = PIECE_SPEAKING;
    p->whole = s->ask.background || policy_is_judged(w->repair, slot->i_piece);
    w->n_speaking++;
    stream_begin(s, f, now);
}

static struct policy_slot turn_slot(const struct dual_ar *d, const struct slot *slot)
{
    const struct jabbertts_stream *s = slot->stream;
    return (struct policy_slot){.head = slot->i_piece == s->sound.i_head,
                                .dry = turn_dry(d, s),
                                .background = s->ask.background,
                                .n_made = work_of(s)->piece[slot->i_piece].made.n_frame};
}

/* Updates the view of one stream. */
static void turn_look_again(struct dual_ar *d, struct front *f, int n_view,
                            struct jabbertts_stream *s)
{
    for (int i = 0; i < n_view; i++)
        if (d->viewed[i] == s)
            d->view[i] = turn_stream(d, s, stream_out(s, f));
}

/* The slot that is free, or becomes so because a stream wants to begin; NULL: neither. */
static struct slot *turn_free_slot(struct dual_ar *d, struct front *f, int n_view)
{
    struct policy_slot v[LIMIT_SLOTS];
    for (int i = 0; i < d->tts->n_slot; i++) {
        if (!d->slots[i].stream)
            return &d->slots[i];
        v[i] = turn_slot(d, &d->slots[i]);
    }
    int i = policy_take_back(d->view, n_view, v, d->tts->n_slot);
    if (i < 0)
        return NULL;
    struct jabbertts_stream *s = d->slots[i].stream;
    piece_take_back(&d->slots[i]);
    turn_look_again(d, f, n_view, s);
    f->n_free++;
    return &d->slots[i];
}

/* Fills fresh with the slots given; returns how many: none when the model has to leave.  Slots in
 * the background count as free: a request that comes finds them so. */
static int turn_fill_slots(struct dual_ar *d, struct front *f, int n_view, double now,
                           struct slot **fresh)
{
    int n = 0, n_slot = d->tts->n_slot;
    struct slot *slot;
    f->n_free = 0;
    for (int i = 0; i < n_slot; i++)
        f->n_free += !d->slots[i].stream;
    while (n < n_slot && !f->leave && (slot = turn_free_slot(d, f, n_view))) {
        int next = policy_next_stream(d->view, n_view, f->n_free, now);
        if (next < 0)
            break;
        turn_give_slot(slot, d->viewed[next], f, now);
        turn_look_again(d, f, n_view, d->viewed[next]);
        fresh[n++] = slot;
        f->n_free--;
    }
    for (int i = 0; i < n_slot; i++)
        f->n_free += d->slots[i].stream && d->slots[i].stream->ask.background;
    f->n_dry = policy_n_dry(d->view, n_view, now);
    return n;
}

/* Room for a whole piece, so that decoding it allocates nothing and never has to stop. */
static int turn_reserve(struct jabbertts_stream *s, struct front *f)
{
    const struct jabbertts *tts = s->ask.tts;
    const struct piece *p = &work_of(s)->piece[s->sound.i_head];
    const struct text_piece *text = &s->ask.pieces.piece[s->sound.i_head];
    size_t n =
        (size_t)(p->state == PIECE_MADE ? p->made.n_frame : p->cap) * (size_t)tts->frame_samples;
    if (text->rate != 1) /* and what the effect holds back */
        n = (size_t)((double)n / text->rate) + (size_t)tts->rate;
    return stream_reserve(stream_out(s, f), n, &s->sound.broken);
}

/* Decoders to head pieces.  True when a stream is left without. */
static bool turn_fill_decoders(struct dual_ar *d, struct front *f, int n_view)
{
    for (int i = 0; i <= d->tts->n_slot; i++) {
        struct decoder *c = &d->decoders[i];
        if (c->stream || c == d->decoding)
            continue;
        int next = policy_next_head(d->view, n_view, i == d->tts->n_slot);
        if (next < 0)
            continue;
        struct jabbertts_stream *s = d->viewed[next];
        d->view[next].head_waits = false;
        if (turn_reserve(s, f) < 0)
            continue;
        c->stream = s;
        work_of(s)->decoder = c;
        codec_stream_reset(c->codec);
    }
    return policy_next_head(d->view, n_view, false) >= 0;
}

void turn_drop(struct jabbertts *tts, struct jabbertts_stream *s)
{
    struct dual_ar *d = dual_ar_of(tts);
    struct work *w = work_of(s);
    for (int i = 0; d->slots && i < tts->n_slot; i++)
        if (d->slots[i].stream == s) {
            ar_reset(d->slots[i].ar);
            d->slots[i].stream = NULL;
        }
    if (w->decoder)
        w->decoder->stream = NULL;
    w->decoder = NULL;
}

/* --- a turn ------------------------------------------------------------------------------------
 */

/* The slots that step in this turn. */
static int turn_choose(struct dual_ar *d, double now, struct slot **step)
{
    struct policy_slot v[LIMIT_SLOTS];
    struct policy_pace pace = {d->frame_s, d->step_s, d->codec_s};
    bool steps[LIMIT_SLOTS];
    int n = 0, n_step = 0;
    for (int i = 0; i < d->tts->n_slot; i++) {
        const struct jabbertts_stream *s = d->slots[i].stream;
        if (!s || s->sound.broken.code)
            continue;
        v[n] = turn_slot(d, &d->slots[i]);
        step[n++] = &d->slots[i];
    }
    policy_choose(v, n, &pace, now, steps);
    for (int i = 0; i < n; i++)
        if (steps[i])
            step[n_step++] = step[i];
    return n_step;
}

/* Hand over the chunk that is done, begin the next. */
static void turn_decode(struct dual_ar *d, bool stepped)
{
    struct policy_decoder v[LIMIT_SLOTS + 1];
    struct decoder *which[LIMIT_SLOTS + 1];
    for (;;) {
        int n = turn_decoders(d, v, which), next = policy_next_chunk(v, n);
        if (d->decoding) {
            if (pool_busy(d->model.pool) &&
                !policy_waits_for_chunk(next < 0 ? NULL : &v[next], stepped))
                return;
            piece_hand_over(d);
            n = turn_decoders(d, v, which);
            next = policy_next_chunk(v, n);
        }
        if (next < 0)
            return;
        piece_decode(d, which[next]);
        if (!policy_waits_for_chunk(&v[next], true))
            return;
        piece_hand_over(d);
    }
}

static bool turn_is_behind(struct dual_ar *d, bool one_without)
{
    struct policy_decoder v[LIMIT_SLOTS + 1];
    struct decoder *which[LIMIT_SLOTS + 1];
    return d->decoding && policy_is_behind(v, turn_decoders(d, v, which), one_without);
}

/* One step of a clip's encoding; true: it is done, or failed. */
static bool turn_encode_step(struct dual_ar *d, struct encode_job *j)
{
    struct codec *encoder;
    if (!j->at && ((j->rc = model_encoder(&d->model, &encoder, &j->err)) < 0 ||
                   (j->rc = codec_encoding_new(encoder, j->n_sample, &j->at, &j->err)) < 0))
        return true;
    if (codec_encoding_step(j->at, j->pcm, j->codes, d->model.exec))
        return false;
    j->rc = codec_encoding_check(j->at, &j->err);
    codec_encoding_free(j->at);
    j->at = NULL;
    return true;
}

/* Encodes one step of the oldest clip; a step is short, so that listeners do not wait. */
static void turn_encode(struct dual_ar *d)
{
    struct front *f = engine_lock(d->tts);
    struct encode_job *j = f->jobs; /* stays there until it is done */
    engine_unlock(d->tts);
    if (!j || !turn_encode_step(d, j))
        return;
    engine_lock(d->tts);
    f->jobs = j->next;
    j->done = true;
    pthread_cond_broadcast(&d->tts->all->changed);
    engine_unlock(d->tts);
}

/* Start, step, decode; returns how many sequences stepped. */
static int turn_speak(struct dual_ar *d, struct slot **fresh, int n_fresh, struct slot **step,
                      int n_step, bool one_without)
{
    for (int i = 0; i < n_fresh; i++)
        piece_start(d, fresh[i]);
    for (int i = n_step - 1; i >= 0; i--)
        if (!step[i]->stream || step[i]->stream->sound.broken.code) /* nothing to say, or failed */
            step[i] = step[--n_step];
    bool behind = turn_is_behind(d, one_without);
    if (n_step > 0 && !behind)
        piece_step(d, step, n_step);
    turn_decode(d, n_step > 0 && !behind);
    return n_step;
}

bool turn_run(struct jabbertts *tts, struct front *f)
{
    struct dual_ar *d = dual_ar_of(tts);
    struct slot *step[LIMIT_SLOTS], *fresh[LIMIT_SLOTS];
    double now = engine_now();
    int n_view = turn_look(d, f), n_fresh = turn_fill_slots(d, f, n_view, now, fresh);
    int n_step = turn_choose(d, now, step), n_decode = d->decoding != NULL;
    bool one_without = turn_fill_decoders(d, f, n_view);
    for (int i = 0; i <= tts->n_slot; i++)
        n_decode += d->decoders[i].stream != NULL;
    if (n_step == 0 && n_decode == 0 && !f->jobs)
        return false;
    uint64_t n_frame = f->load.n_frame;
    engine_unlock(tts);
    n_step = turn_speak(d, fresh, n_fresh, step, n_step, one_without);
    double done = engine_now();
    turn_encode(d);
    engine_lock(tts);
    engine_account(f, done - now, n_step, (double)(f->load.n_frame - n_frame) * d->frame_s);
    return true;
}
