/* repair.c - a reading of a piece is looked at when it is made: is it good enough, or shall another
 * be made?  policy.h decides, by what is measured here without listening. */
#include <string.h>

#include "engine/dual_ar/dual_ar.h"

#define LOOP_FRAMES 24 /* longest stretch whose repetition is looked for */

static void repair_free(struct reading *r)
{
    mem_free(r->codes);
    focus_done(&r->focus);
    *r = (struct reading){0};
}

void repair_forget(struct piece *p)
{
    repair_free(&p->made);
    repair_free(&p->best);
    p->n_before = 0;
}

/* Frames of the longest run that says again what was said just before it. */
static int repair_loop(const struct reading *r, int n_codebook)
{
    int longest = 0;
    for (int back = 1; back <= LOOP_FRAMES && back < r->n_frame; back++) {
        int run = 0;
        for (int i = back; i < r->n_frame; i++) {
            run = r->codes[i * n_codebook] == r->codes[(i - back) * n_codebook] ? run + 1 : 0;
            longest = run >= back && run > longest ? run : longest;
        }
    }
    return longest;
}

/* Frames that a text takes at the pace of the voice's clips; 0: they have no transcript. */
static double repair_usual_frames(const struct work *w, const struct piece *p, const char *text)
{
    const struct references *voice = p->voice.n ? &p->voice : &w->voice;
    size_t n_byte = 0;
    int n_frame = 0;
    for (int i = 0; i < voice->n; i++) {
        size_t n = strlen(voice->clip[i].text);
        n_byte += n;
        n_frame += n ? voice->clip[i].n_frame : 0;
    }
    return n_byte ? (double)n_frame / (double)n_byte * (double)strlen(text) : 0;
}

static void repair_look(const struct dual_ar *d, const struct slot *slot, struct reading *r)
{
    const struct jabbertts_stream *s = slot->stream;
    const struct work *w = work_of(s);
    const char *text = s->ask.pieces.piece[slot->i_piece].text;
    r->seen = (struct policy_reading){
        .seconds = r->n_frame * d->frame_s,
        .usual_s = repair_usual_frames(w, &w->piece[slot->i_piece], text) * d->frame_s,
        .left_out = focus_left_out(&r->focus),
        .loop_s = repair_loop(r, d->model.spec.lm.n_codebook) * d->frame_s,
        /* Who wants no more than so much gets a sentence that does not end. */
        .endless = r->truncated && (w->max_frames == 0 || r->n_frame < w->max_frames),
        .likelihood = ar_likelihood(slot->ar),
    };
}

bool repair_weigh(struct dual_ar *d, struct slot *slot, bool truncated)
{
    struct jabbertts_stream *s = slot->stream;
    struct piece *p = &work_of(s)->piece[slot->i_piece];
    p->made.truncated = truncated;
    if (!policy_is_judged(work_of(s)->repair, slot->i_piece))
        return false;
    repair_look(d, slot, &p->made);
    if (!p->best.codes || policy_is_better(&p->made.seen, &p->best.seen)) {
        struct reading better = p->made;
        p->made = p->best;
        p->best = better;
    }
    repair_free(&p->made);
    if (!policy_wants_another(&p->best.seen, p->n_before + 1)) {
        p->made = p->best;
        p->best = (struct reading){0};
        return false;
    }
    p->n_before++;
    struct front *f = engine_lock(d->tts);
    stream_out(s, f)->progress.n_repaired++;
    f->load.n_repaired++;
    engine_unlock(d->tts);
    return true;
}
