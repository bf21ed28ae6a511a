/* prepare.c - what a request asks of the model: sampling, voices, pieces. */
#include <math.h>
#include <string.h>

#include "base/near.h"
#include "engine/dual_ar/stock.h"
#include "engine/dual_ar/dual_ar.h"
#include "engine/take.h"
#include "engine/voice_store.h"

#define SAME_VOICE_WITHIN 16 /* pieces; a dialogue comes back to its voices soon */

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

static int read_sampling(const struct model *m, const struct jabbertts_request *r,
                         struct ar_params *p, struct err *e)
{
    const struct spec_sampling *d = &m->spec.sampling;
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

static int fail_voice(const struct voices *voices, const char *name, struct err *e)
{
    const struct voice *v;
    const char *alias, *target;
    struct near near;
    near_init(&near, name);
    for (int i = 0; (v = voices_at(voices, i)); i++)
        near_try(&near, v->name);
    for (int i = 0; (alias = voices_alias(voices, i, &target)); i++)
        near_try(&near, alias);
    const char *best = near_found(&near);
    return err_set(e, ERR_NOT_FOUND, "there is no voice \"%.64s\"%s%s%s", name,
                   best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
}

int prepare_voice(struct jabbertts *tts, const char *name, const char *owner,
                  struct references *ref, struct jabbertts_voice **stored, struct err *e)
{
    const struct voices *voices = tts->model->voices;
    const struct voice *v = voices_find(voices, name);
    name = voices_resolve(voices, name);
    int rc = v || !tts->all->store ? 0 : store_voice(tts, name, owner, stored, e);
    if (rc < 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (!v && !*stored)
        return fail_voice(voices, name, e);
    if (v && dual_ar_of(tts)->stock)
        return stock_voice(tts, v->name, ref, e);
    *ref = v ? (struct references){&v->reference, 1}
             : (struct references){(*stored)->clip, (*stored)->n_clip};
    return 0;
}

static int find_voice(struct jabbertts *tts, const struct jabbertts_request *r, struct work *w,
                      struct err *e)
{
    if (r->reference) {
        if (r->reference->tts != tts)
            return err_set(e, ERR_ARGUMENT,
                           "the reference was made with the model \"%.64s\", the request wants "
                           "\"%.64s\"",
                           r->reference->tts->name, tts->name);
        w->voice = (struct references){r->reference->clip, r->reference->n_clip};
        return 0;
    }
    const char *name = r->voice ? r->voice : voices_default(tts->model->voices);
    if (name && strcmp(name, STOCK_NOBODY) == 0)
        return 0;
    return name ? prepare_voice(tts, name, r->owner, &w->voice, &w->stored, e) : 0;
}

/* The voices of pieces that have their own. */
static int find_voices(struct jabbertts *tts, const char *owner, const struct text_pieces *pieces,
                       struct work *w, struct err *e)
{
    for (int i = 0; i < pieces->n; i++) {
        const char *name = pieces->piece[i].voice;
        struct piece *p = &w->piece[i];
        if (!name)
            continue;
        for (int j = i - 1; j >= 0 && j >= i - SAME_VOICE_WITHIN && p->voice.n == 0; j--)
            if (pieces->piece[j].voice && strcmp(name, pieces->piece[j].voice) == 0)
                p->voice = w->piece[j].voice;
        int rc = p->voice.n ? 0 : prepare_voice(tts, name, owner, &p->voice, &p->stored, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int prepare_stream(struct jabbertts_stream *s, const struct jabbertts_request *r, struct err *e)
{
    struct jabbertts *tts = s->ask.tts;
    struct text_pieces *pieces = &s->ask.pieces;
    struct work *w = s->work = mem_try(1, sizeof *w);
    int rc;
    if (!w || (r->language && !(w->language = mem_strndup(r->language, strlen(r->language)))))
        return err_set(e, ERR_MEMORY, "out of memory for a request");
    w->text = stream_text_options(s, r);
    w->text.language = w->language;
    if ((rc = read_sampling(tts->model, r, &w->params, e)) < 0 ||
        (rc = find_voice(tts, r, w, e)) < 0 ||
        (rc = text_split(r->text, strlen(r->text), &w->text, pieces, e)) < 0 ||
        (rc = text_pieces_begin(pieces, &w->text, e)) < 0)
        return rc;
    if (r->max_seconds > 0)
        w->max_frames = (int)ceil(r->max_seconds * tts->rate / tts->frame_samples);
    w->n_context = r->context_sentences;
    w->repair =
        policy_repair_for((enum policy_repair)r->repair, r->background != 0, tts->file_bytes);
    w->n_chunk = 1; /* sound as early as possible, then larger chunks */
    w->piece = mem_try((size_t)pieces->n, sizeof *w->piece);
    return w->piece ? find_voices(tts, r->owner, pieces, w, e)
                    : err_set(e, ERR_MEMORY, "out of memory for a request");
}

/* The clips that the prompt begins with are the voice, whatever it is called. */
int prepare_identify(struct jabbertts *tts, const struct jabbertts_request *r, struct take *t,
                     struct err *e)
{
    const struct dual_ar *d = dual_ar_of(tts);
    const size_t n_codebook = (size_t)tts->model->spec.lm.n_codebook;
    const int64_t weights = store_fingerprint(tts, "");
    struct work w = {.n_context = 0};
    int rc = find_voice(tts, r, &w, e);
    take_add(t, &weights, sizeof weights);
    take_add(t, &tts->file_bytes, sizeof tts->file_bytes);
    take_add(t, &d->n_context, sizeof d->n_context);
    take_add_string(t, tts->isa);
    take_add_string(t, d->cache);
    take_add_string(t, d->onnx_provider);
    for (int i = 0; rc == 0 && i < w.voice.n; i++) {
        const struct prompt_reference *c = &w.voice.clip[i];
        take_add_string(t, c->text);
        take_add(t, c->codes, (size_t)c->n_frame * n_codebook * sizeof *c->codes);
    }
    jabbertts_voice_free(w.stored);
    return rc;
}

void prepare_forget(struct jabbertts_stream *s)
{
    struct work *w = s->work;
    if (!w)
        return;
    jabbertts_voice_free(w->stored);
    for (int i = 0; w->piece && i < s->ask.pieces.n; i++) {
        repair_forget(&w->piece[i]);
        jabbertts_voice_free(w->piece[i].stored);
    }
    mem_free(w->piece);
    mem_free(w->language);
    mem_free(w);
}
