/* export_check.c - an exported folder in ONNX Runtime against our kernels in floats, on the same
 * numbers: a prompt whole and in parts, sequences of different lengths together, frames, greedy
 * paths, sound at once and in stretches, codes of a sound. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/engine.h"
#include "jabbertts_tools.h"
#include "model/model.h"

#define SEQUENCES 3
#define FRAMES    40  /* of sound, and of a greedy path */
#define CONTEXT   256 /* columns of a sequence at most */

struct export_check {
    struct model model[2]; /* ours, theirs */
    struct buf report;
    double limit; /* of differences, in parts of the peak */
    int n_over;
};

static const int prompt_length[SEQUENCES] = {97, 13, 40};

/* The largest difference in parts of the peak. */
static double export_distance(const float *a, const float *b, size_t n)
{
    double peak = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        peak = fmax(peak, fabs((double)a[i]));
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    }
    return worst / fmax(peak, 1e-30);
}

static void export_say(struct export_check *c, const char *what, double worst)
{
    bool over = !(worst <= c->limit);
    c->n_over += over;
    buf_add_format(&c->report, "%-44s %.1e%s\n", what, worst, over ? "  over the limit" : "");
}

/* --- language model --- */

static void export_columns(const struct spec_lm *s, int n, int32_t *columns)
{
    uint32_t seed = 1;
    for (int i = 0; i < n * (1 + s->n_codebook); i++) {
        int place = i % (1 + s->n_codebook);
        seed = seed * 1664525u + 1013904223u; /* Numerical Recipes' generator */
        columns[i] = (int32_t)((seed >> 8) % (uint32_t)(place ? s->codebook_size : s->n_vocab));
    }
}

struct export_runs { /* of one model */
    struct lm *lm;
    struct kern_exec *exec;
    struct lm_slot *slot[SEQUENCES + 1];
    float *logits; /* [SEQUENCES + 1, rows] */
};

static void export_feed(const struct export_runs *r, const struct lm_feed *feeds, int n)
{
    lm_slow(r->lm, feeds, n, r->exec);
}

/* Prompts of all sequences, a step of all together; the first prompt once more, in parts. */
static void export_run_slow(const struct export_runs *r, const int32_t *columns, size_t width)
{
    size_t rows = (size_t)lm_n_head_row(r->lm);
    struct lm_feed feeds[SEQUENCES];
    for (int i = 0; i < SEQUENCES; i++)
        feeds[i] = (struct lm_feed){r->slot[i], columns, prompt_length[i], NULL, NULL};
    export_feed(r, feeds, SEQUENCES);
    for (int i = 0; i < SEQUENCES; i++)
        feeds[i] =
            (struct lm_feed){r->slot[i], columns + width, 1, NULL, r->logits + rows * (size_t)i};
    export_feed(r, feeds, SEQUENCES);
    struct lm_slot *last = r->slot[SEQUENCES];
    for (int t = 0, n; t < prompt_length[0]; t += n) {
        n = prompt_length[0] - t < 31 ? prompt_length[0] - t : 31;
        struct lm_feed part = {last, columns + width * (size_t)t, n, NULL,
                               r->logits + rows * SEQUENCES};
        export_feed(r, &part, 1);
    }
}

/* Greedy frames behind the last sequence's prompt. */
static void export_run_greedy(const struct export_runs *r, const struct spec_lm *s, int32_t *path)
{
    size_t width = 1 + (size_t)s->n_codebook;
    struct lm_batch *b = lm_batch(r->lm);
    const float *logits = r->logits + (size_t)lm_n_head_row(r->lm) * SEQUENCES;
    for (int f = 0; f < FRAMES; f++) {
        int32_t *column = path + (size_t)f * width;
        int best = 0;
        for (int i = 1; i < s->semantic_end - s->semantic_begin + 1; i++) /* no end */
            best = logits[i] > logits[best] ? i : best;
        column[0] = s->semantic_begin + best;
        column[1] = best;
        struct lm_feed feed = {r->slot[SEQUENCES], column, 1, b->hidden, (float *)logits};
        for (int k = 1; k < s->n_codebook; k++) {
            if (k == 1)
                lm_fast_begin(r->lm, b->hidden, column + 1, 1, b->logits, r->exec);
            else
                lm_fast_step(r->lm, column + k, 1, k, b->logits, r->exec);
            column[1 + k] = 0;
            for (int i = 1; i < lm_n_candidate(r->lm, k); i++)
                if (b->logits[i] > b->logits[column[1 + k]])
                    column[1 + k] = i;
        }
        export_feed(r, &feed, 1);
    }
}

static int export_runs_open(struct export_runs *r, struct model *m, struct err *e)
{
    *r = (struct export_runs){.lm = m->lm, .exec = m->exec};
    r->logits = mem_try((size_t)(SEQUENCES + 1) * (size_t)lm_n_head_row(m->lm), sizeof(float));
    int rc = r->logits ? 0 : err_set(e, ERR_MEMORY, "out of memory for a check");
    for (int i = 0; i <= SEQUENCES && rc == 0; i++)
        rc = lm_slot_new(m->lm, CONTEXT, &r->slot[i], e);
    return rc;
}

static void export_runs_close(struct export_runs *r)
{
    for (int i = 0; i <= SEQUENCES; i++)
        lm_slot_free(r->slot[i]);
    mem_free(r->logits);
}

static void export_compare_lm(struct export_check *c, const struct export_runs *r,
                              const int32_t *columns, int32_t *const *path)
{
    const struct spec_lm *s = &c->model[0].spec.lm;
    size_t rows = (size_t)lm_n_head_row(c->model[0].lm), width = 1 + (size_t)s->n_codebook;
    int same = 0;
    for (int k = 0; k < 2; k++)
        export_run_slow(&r[k], columns, width);
    export_say(c, "slow: sequences of different lengths together",
               export_distance(r[0].logits, r[1].logits, rows * SEQUENCES));
    export_say(
        c, "slow: a prompt in parts",
        export_distance(r[0].logits + rows * SEQUENCES, r[1].logits + rows * SEQUENCES, rows));
    for (int k = 0; k < 2; k++)
        export_run_greedy(&r[k], s, path[k]);
    while (same < FRAMES && memcmp(path[0] + (size_t)same * width, path[1] + (size_t)same * width,
                                   width * sizeof **path) == 0)
        same++;
    buf_add_format(&c->report, "%-44s %d of %d\n", "greedy frames that are equal", same, FRAMES);
    c->n_over += same < FRAMES && c->limit < 1e-3; /* rounded weights may take other paths */
}

static int export_check_lm(struct export_check *c, struct err *e)
{
    const struct spec_lm *s = &c->model[0].spec.lm;
    size_t width = 1 + (size_t)s->n_codebook;
    struct export_runs r[2] = {0};
    int32_t *columns = mem_try((size_t)prompt_length[0] * width, sizeof *columns);
    int32_t *path[2] = {mem_try(FRAMES * width, sizeof **path),
                        mem_try(FRAMES * width, sizeof **path)};
    int rc =
        columns && path[0] && path[1] ? 0 : err_set(e, ERR_MEMORY, "out of memory for a check");
    for (int k = 0; k < 2 && rc == 0; k++)
        rc = export_runs_open(&r[k], &c->model[k], e);
    if (rc == 0) {
        export_columns(s, prompt_length[0], columns);
        export_compare_lm(c, r, columns, path);
    }
    for (int k = 0; k < 2; k++) {
        export_runs_close(&r[k]);
        mem_free(path[k]);
    }
    mem_free(columns);
    return rc;
}

/* --- codec --- */

/* Codes to sound in stretches of n frames. */
static int export_decode(struct model *m, const int32_t *codes, int n, float *pcm, struct err *e)
{
    struct codec_stream *s;
    int32_t part[LIMIT_CODEBOOKS * FRAMES];
    int Q = m->spec.codec.n_codebook, rc = codec_stream_new(m->codec, &s, e);
    for (int t = 0, k; t < FRAMES && rc == 0; t += k) {
        k = FRAMES - t < n ? FRAMES - t : n;
        for (int q = 0; q < Q; q++)
            memcpy(part + q * k, codes + q * FRAMES + t, (size_t)k * sizeof *part);
        codec_decode(m->codec, s, part, k, pcm + (size_t)t * (size_t)m->spec.codec.frame_samples,
                     m->exec);
    }
    if (rc == 0)
        codec_stream_free(s);
    return rc;
}

static int export_check_encoder(struct export_check *c, const float *pcm, struct err *e)
{
    const struct spec_codec *s = &c->model[0].spec.codec;
    int n = s->n_codebook * FRAMES, same = 0, rc = 0;
    int32_t codes[2][LIMIT_CODEBOOKS * FRAMES];
    for (int k = 0; k < 2 && rc == 0; k++) {
        struct codec *encoder;
        rc = model_encoder(&c->model[k], &encoder, e);
        if (rc == 0)
            rc = codec_encode(encoder, pcm, (size_t)FRAMES * (size_t)s->frame_samples, codes[k],
                              c->model[k].exec, e);
    }
    for (int i = 0; i < n && rc == 0; i++)
        same += codes[0][i] == codes[1][i];
    buf_add_format(&c->report, "%-44s %d of %d\n", "codes of a sound that are equal", same, n);
    c->n_over +=
        rc == 0 && isfinite(c->limit) && same < n - n / 20; /* the last books are nearly tied */
    return rc;
}

static int export_check_codec(struct export_check *c, struct err *e)
{
    static const int stretch[] = {FRAMES, 1, 7};
    const struct spec_codec *s = &c->model[0].spec.codec;
    size_t n = (size_t)FRAMES * (size_t)s->frame_samples;
    int32_t codes[LIMIT_CODEBOOKS * FRAMES];
    float *pcm[2] = {mem_try(n, sizeof **pcm), mem_try(n, sizeof **pcm)};
    int rc = pcm[0] && pcm[1] ? 0 : err_set(e, ERR_MEMORY, "out of memory for a check");
    for (int i = 0; i < s->n_codebook * FRAMES; i++)
        codes[i] = i * 37 % s->residual_size;
    if (rc == 0)
        rc = export_decode(&c->model[0], codes, FRAMES, pcm[0], e);
    for (size_t i = 0; i < sizeof stretch / sizeof *stretch && rc == 0; i++) {
        char what[64];
        rc = export_decode(&c->model[1], codes, stretch[i], pcm[1], e);
        snprintf(what, sizeof what, "decoder: stretches of %d frames", stretch[i]);
        if (rc == 0)
            export_say(c, what, export_distance(pcm[0], pcm[1], n));
    }
    if (rc == 0 && s->has_encoder)
        rc = export_check_encoder(c, pcm[0], e);
    mem_free(pcm[0]);
    mem_free(pcm[1]);
    return rc;
}

/* --- all --- */

static int export_check_run(struct export_check *c, const struct jabbertts_export_options *o,
                            struct err *e)
{
    struct model_options own = {.f32 = true, .max_batch = SEQUENCES}, theirs = own;
    theirs.ort = (struct ort_place){o->directory, o->onnx_library, NULL};
    int rc = model_open(&c->model[0], o->input, &own, e);
    if (rc == 0)
        rc = model_open(&c->model[1], o->input, &theirs, e);
    if (rc == 0)
        rc = export_check_lm(c, e);
    if (rc == 0)
        rc = export_check_codec(c, e);
    return rc < 0 ? rc : model_check(&c->model[1], e);
}

int jabbertts_export_check(const struct jabbertts_export_options *o, char **ret,
                           struct jabbertts_error *error)
{
    /* Numbers at random are no speech, which int8's scales are made for. */
    struct export_check c = {.limit = !o->type || strcmp(o->type, "f32") == 0 ? 1e-4
                                      : strcmp(o->type, "f16") == 0           ? 3e-2
                                                                              : INFINITY};
    struct err e = {0};
    buf_init(&c.report, 1 << 16);
    int rc = export_check_run(&c, o, &e);
    model_close(&c.model[1]);
    model_close(&c.model[0]);
    if (rc == 0) {
        if (isfinite(c.limit))
            buf_add_format(&c.report, "%-44s %.0e of the peak\n", "limit", c.limit);
        else
            buf_add_format(&c.report,
                           "limit: none; an evaluation of %s against the model says what was lost "
                           "of speech\n",
                           o->directory);
        *ret = strdup(buf_str(&c.report));
    }
    if (rc == 0 && !*ret)
        rc = err_set(&e, ERR_MEMORY, "out of memory for a report");
    buf_done(&c.report);
    return rc < 0 ? engine_return(error, &e, rc) : c.n_over;
}
