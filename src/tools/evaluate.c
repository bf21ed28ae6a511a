/* evaluate.c - jabbertts_eval: how far a quantized model is from its original.
 *
 * The original says the sentences; both are then fed what it drew (teacher forcing), and their
 * distributions are compared at each decision: the Kullback-Leibler divergence of the quantized one
 * from the original, sum p log(p / q) in nats, at temperature 1 over what can be drawn (S.
 * Kullback, R. A. Leibler, "On Information and Sufficiency", 1951), and whether both hold the same
 * candidate for the most likely one.  Both codecs decode the same codes: signal-to-noise ratio 10
 * log10(sum x^2 / sum (x - y)^2), and the distances of audio/spectrum.h. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "audio/spectrum.h"
#include "jabbertts_tools.h"
#include "base/buf.h"
#include "engine/dual_ar/onnx.h"
#include "engine/engine.h"
#include "model/export.h"
#include "tools/sample.h"

struct divergence {
    double sum, max;
    long n, n_same;
};

struct side { /* one of the two models */
    struct model model;
    struct lm_slot *slot;
    struct codec_stream *stream;
    float *hidden, *logits, *pcm;
};

struct eval {
    struct side a, b; /* the original, the quantized */
    struct sample sample;
    struct divergence slow, fast;
    int32_t *codes; /* [Q, SAMPLE_FRAMES] */
    double signal, noise, convergence, magnitude;
    long n_frame;
};

/* --- distributions --- */

static int best(const float *v, int n)
{
    int k = 0;
    for (int i = 1; i < n; i++)
        if (v[i] > v[k])
            k = i;
    return k;
}

static double log_sum(const float *v, int n, double top)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += exp((double)v[i] - top);
    return top + log(sum);
}

static void compare(struct eval *v, int n, struct divergence *d)
{
    const float *a = v->a.logits, *b = v->b.logits;
    int best_a = best(a, n), best_b = best(b, n);
    double za = log_sum(a, n, (double)a[best_a]), zb = log_sum(b, n, (double)b[best_b]), kl = 0;
    for (int i = 0; i < n; i++) {
        double p = (double)a[i] - za;
        kl += exp(p) * (p - ((double)b[i] - zb));
    }
    d->sum += kl;
    d->max = kl > d->max ? kl : d->max;
    d->n++;
    d->n_same += best_a == best_b;
}

static void evaluate_feed(struct side *s, const int32_t *columns, int n)
{
    struct lm_feed f = {s->slot, columns, n, s->hidden, s->logits};
    lm_slow(s->model.lm, &f, 1, s->model.exec);
}

/* Residual codes of the frame whose hidden states both sides hold. */
static void compare_fast(struct eval *v, const int32_t *column)
{
    const struct lm *lm = v->a.model.lm;
    struct side *side[2] = {&v->a, &v->b};
    int n_codebook = lm_spec(lm)->n_codebook;
    for (int k = 1; k < n_codebook; k++) {
        for (int i = 0; i < 2; i++) {
            struct side *s = side[i];
            if (k == 1)
                lm_fast_begin(s->model.lm, s->hidden, column + 1, 1, s->logits, s->model.exec);
            else
                lm_fast_step(s->model.lm, column + k, 1, k, s->logits, s->model.exec);
        }
        compare(v, lm_n_candidate(lm, k), &v->fast);
    }
}

static void compare_sentence(struct eval *v)
{
    const struct sample *s = &v->sample;
    const struct lm *lm = v->a.model.lm;
    struct side *side[2] = {&v->a, &v->b};
    for (int i = 0; i < 2; i++) {
        lm_slot_reset(side[i]->slot);
        evaluate_feed(side[i], s->prompt.columns, s->prompt.n_column);
    }
    compare(v, lm_n_head_row(lm), &v->slow);
    for (int t = 0; t < s->n_frame; t++) {
        const int32_t *column = s->columns + t * (1 + s->prompt.n_codebook);
        compare_fast(v, column);
        if (lm_slot_length(v->a.slot) == lm_slot_capacity(v->a.slot))
            break;
        for (int i = 0; i < 2; i++)
            evaluate_feed(side[i], column, 1);
        compare(v, lm_n_head_row(lm), &v->slow);
    }
}

/* --- sound --- */

static int compare_sound(struct eval *v, struct err *e)
{
    const struct sample *s = &v->sample;
    struct side *side[2] = {&v->a, &v->b};
    struct spectrum_distance d;
    size_t n = (size_t)s->n_frame * (size_t)v->a.model.spec.codec.frame_samples;
    if (s->n_frame == 0)
        return 0;
    sample_codes(s, 0, s->n_frame, v->codes);
    for (int i = 0; i < 2; i++) {
        codec_stream_reset(side[i]->stream);
        codec_decode(side[i]->model.codec, side[i]->stream, v->codes, s->n_frame, side[i]->pcm,
                     side[i]->model.exec);
    }
    for (size_t i = 0; i < n; i++) {
        double x = (double)v->a.pcm[i], y = (double)v->b.pcm[i];
        v->signal += x * x;
        v->noise += (x - y) * (x - y);
    }
    int rc = spectrum_compare(v->a.pcm, v->b.pcm, n, &d, e);
    if (rc < 0)
        return rc;
    v->n_frame += s->n_frame;
    v->convergence += d.convergence * s->n_frame;
    v->magnitude += d.magnitude * s->n_frame;
    return 0;
}

/* --- opening --- */

static int side_open(struct side *s, const char *model, const struct model_options *o,
                     struct err *e)
{
    char path[4096];
    struct model_options its = *o;
    int rc = engine_model_path(model, path, sizeof path, e);
    if (rc == 0 && onnx_is_folder(path)) { /* exported: ONNX Runtime computes */
        its.ort.dir = model;
        strncat(path, "/" EXPORT_METADATA, sizeof path - strlen(path) - 1);
    }
    if (rc < 0 || (rc = model_open(&s->model, path, &its, e)) < 0)
        return rc;
    const struct spec *p = &s->model.spec;
    size_t n_logit = (size_t)lm_n_head_row(s->model.lm);
    if (n_logit < (size_t)p->lm.codebook_size)
        n_logit = (size_t)p->lm.codebook_size;
    s->hidden = mem_try((size_t)p->lm.slow.dim, sizeof *s->hidden);
    s->logits = mem_try(n_logit, sizeof *s->logits);
    s->pcm = mem_try((size_t)SAMPLE_FRAMES * (size_t)p->codec.frame_samples, sizeof *s->pcm);
    if (!s->hidden || !s->logits || !s->pcm)
        return err_set(e, ERR_MEMORY, "out of memory for the evaluation");
    if ((rc = lm_slot_new(s->model.lm, p->lm.slow.n_position, &s->slot, e)) < 0)
        return rc;
    return codec_stream_new(s->model.codec, &s->stream, e);
}

static void side_close(struct side *s)
{
    lm_slot_free(s->slot);
    codec_stream_free(s->stream);
    mem_free(s->hidden);
    mem_free(s->logits);
    mem_free(s->pcm);
    model_close(&s->model);
}

/* The same decisions, the same codes, the same samples: else there is nothing to compare. */
static int evaluate_check_pair(const struct eval *v, struct err *e)
{
    const struct spec *a = &v->a.model.spec, *b = &v->b.model.spec;
    const struct {
        const char *what;
        int a, b;
    } pairs[] = {{"codebooks", a->lm.n_codebook, b->lm.n_codebook},
                 {"codes in a book", a->lm.codebook_size, b->lm.codebook_size},
                 {"tokens", a->lm.n_vocab, b->lm.n_vocab},
                 {"first semantic token", a->lm.semantic_begin, b->lm.semantic_begin},
                 {"last semantic token", a->lm.semantic_end, b->lm.semantic_end},
                 {"positions", a->lm.slow.n_position, b->lm.slow.n_position},
                 {"samples in a frame", a->codec.frame_samples, b->codec.frame_samples}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].a != pairs[i].b)
            return err_set(e, ERR_ARGUMENT,
                           "the models differ in %s, %d and %d: one is not made from "
                           "the other",
                           pairs[i].what, pairs[i].a, pairs[i].b);
    return 0;
}

/* --- report --- */

static json_t *divergence_json(const struct divergence *d)
{
    double n = d->n ? (double)d->n : 1;
    return json_pack("{s:f, s:f, s:f, s:I}", "kl_mean", d->sum / n, "kl_max", d->max,
                     "top1_agreement", (double)d->n_same / n, "decisions", (json_int_t)d->n);
}

static json_t *evaluate_report(const struct eval *v)
{
    double n = v->n_frame ? (double)v->n_frame : 1;
    /* Equal to the last bit: JSON has no infinity. */
    json_t *snr = v->noise > 0 ? json_real(10 * log10(v->signal / v->noise)) : json_null();
    return json_pack("{s:s, s:s, s:i, s:I, s:o, s:o, s:{s:o, s:f, s:f}}", "model",
                     gguf_path(v->b.model.file), "reference", gguf_path(v->a.model.file),
                     "sentences", v->sample.pieces.n, "frames", (json_int_t)v->n_frame, "slow",
                     divergence_json(&v->slow), "fast", divergence_json(&v->fast), "codec",
                     "snr_db", snr, "spectral_convergence", v->convergence / n,
                     "log_magnitude_distance", v->magnitude / n);
}

static char *table(const struct eval *v)
{
    const struct divergence *d[2] = {&v->slow, &v->fast};
    double n = v->n_frame ? (double)v->n_frame : 1;
    struct buf b;
    buf_init(&b, 1 << 16);
    buf_add_format(&b, "%s against %s: %d sentences, %ld frames\n", gguf_path(v->b.model.file),
                   gguf_path(v->a.model.file), v->sample.pieces.n, v->n_frame);
    for (int i = 0; i < 2; i++)
        buf_add_format(&b, "%s: divergence %.6f nats (most %.4f), same first choice %.4f of %ld\n",
                       i ? "fast" : "slow", d[i]->sum / (double)d[i]->n, d[i]->max,
                       (double)d[i]->n_same / (double)d[i]->n, d[i]->n);
    buf_add_format(&b,
                   "codec: %.2f dB signal to noise, spectral convergence %.5f, log magnitude "
                   "distance %.5f\n",
                   v->noise > 0 ? 10 * log10(v->signal / v->noise) : INFINITY, v->convergence / n,
                   v->magnitude / n);
    return buf_take(&b);
}

static int evaluate(struct eval *v, const struct jabbertts_eval_options *o, struct err *e)
{
    struct model_options a = {.n_thread = o->threads, .max_batch = 1}, b = a;
    int rc;
    b.cache = o->cache;
    if ((rc = side_open(&v->a, o->reference, &a, e)) < 0 ||
        (rc = side_open(&v->b, o->model, &b, e)) < 0 || (rc = evaluate_check_pair(v, e)) < 0 ||
        (rc = sample_open(&v->sample, &v->a.model, o->text, e)) < 0)
        return rc;
    v->codes =
        mem_try((size_t)SAMPLE_FRAMES * (size_t)v->a.model.spec.lm.n_codebook, sizeof *v->codes);
    if (!v->codes)
        return err_set(e, ERR_MEMORY, "out of memory for the evaluation");
    while (rc == 0 && (rc = sample_next(&v->sample, e)) > 0) {
        compare_sentence(v);
        rc = compare_sound(v, e);
        if (rc == 0 && o->progress)
            o->progress(o->cookie, (double)v->sample.next / v->sample.pieces.n);
    }
    return rc;
}

int jabbertts_eval(const struct jabbertts_eval_options *o, int json, char **ret,
                   struct jabbertts_error *error)
{
    struct err e = {0};
    struct eval v = {0};
    char *text = NULL;
    int rc = evaluate(&v, o, &e);
    if (rc == 0) {
        json_t *j = json ? evaluate_report(&v) : NULL;
        text = json ? j ? json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(8)) : NULL : table(&v);
        json_decref(j);
        if (text)
            *ret = text;
        else
            rc = err_set(&e, ERR_MEMORY, "out of memory for the report");
    }
    sample_done(&v.sample);
    side_close(&v.a);
    side_close(&v.b);
    mem_free(v.codes);
    return engine_return(error, &e, rc);
}
