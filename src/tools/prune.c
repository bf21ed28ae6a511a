/* prune.c - jabbertts_prune: the model speaks, what matters least goes, and the result is judged
 * on sentences that nothing was learned from. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "jabbertts_tools.h"
#include "tools/prune.h"
#include "tools/sample.h"

/* --- what matrices are given --- */

static void prune_collect(void *cookie, const struct kern_linear *l, const struct kern_call *c)
{
    struct prune_matrix *m = l->name ? prune_find(cookie, l->name) : NULL;
    if (!m || m->like)
        return;
    size_t n = (size_t)m->n_in;
    for (int r = 0; r < c->n_row; r++) {
        const float *a = c->in + (size_t)r * n;
        for (size_t i = 0; i < n; i++) {
            double *row = m->products + i * n, ai = (double)a[i];
            for (size_t j = 0; j <= i; j++)
                row[j] += ai * (double)a[j];
        }
    }
    m->n_row += c->n_row;
}

/* The layer that a matrix of that kind is of, and its stack; NULL: of none. */
static struct prune_stack *prune_layer(struct prune *p, const char *tensor, const char *kind,
                                       int *layer)
{
    char name[80];
    for (int i = 0; tensor && i < 2; i++)
        for (*layer = 0; *layer < p->stack[i].s->n_layer; ++*layer) {
            snprintf(name, sizeof name, "%sblk.%d.%s.weight", p->stack[i].prefix, *layer, kind);
            if (strcmp(name, tensor) == 0)
                return &p->stack[i];
        }
    return NULL;
}

/* What is to be added to is what a layer was given. */
static void prune_turn(void *cookie, const struct kern_linear *l, const struct kern_call *c)
{
    int i;
    struct prune_stack *k = prune_layer(cookie, l->name, "attn_output", &i);
    if (!k)
        return;
    size_t dim = (size_t)k->s->dim, n = (size_t)c->n_row * dim;
    for (size_t at = 0; i > 0 && at < n; at += dim) {
        double xx = 1e-30, yy = 1e-30, xy = 0;
        for (size_t d = 0; d < dim; d++) {
            double x = (double)k->x[at + d], y = (double)c->out[at + d];
            xx += x * x;
            yy += y * y;
            xy += x * y;
        }
        k->turn[i - 1] += 1 - xy / sqrt(xx * yy);
    }
    memcpy(k->x, c->out, n * sizeof *k->x);
    k->n_row += i == 0 ? c->n_row : 0;
}

/* a: inputs of the matrix before a gap; d: from what it gave to what is behind the gap. */
static void prune_gap(const struct prune_stack *k, struct prune_matrix *m, const float *behind,
                      int n_row)
{
    size_t n = (size_t)m->n_in, n_out = (size_t)m->n_out;
    for (size_t r = 0; r < (size_t)n_row; r++)
        for (size_t i = 0; i < n; i++)
            for (size_t o = 0; o < n_out; o++)
                m->cross[i * n_out + o] += (double)k->act[r * n + i] *
                                           (double)(behind[r * n_out + o] - k->x[r * n_out + o]);
}

static void prune_bridge(void *cookie, const struct kern_linear *l, const struct kern_call *c)
{
    struct prune *p = cookie;
    int i;
    struct prune_stack *k = prune_layer(p, l->name, "ffn_down", &i);
    prune_collect(p, l, c);
    if (k && prune_find(p, l->name))
        memcpy(k->act, c->in, (size_t)c->n_row * (size_t)k->s->n_ff * sizeof *k->act);
    k = prune_layer(p, l->name, "attn_output", &i);
    if (!k || i == 0)
        return;
    int before = i - 1;
    while (k->gone[before])
        before--;
    if (!k->gone[i] && before < i - 1) {
        char name[80];
        snprintf(name, sizeof name, "%sblk.%d.ffn_down.weight", k->prefix, before);
        prune_gap(k, prune_find(p, name), c->out, c->n_row);
    }
    if (k->gone[i] && before == i - 1)
        memcpy(k->x, c->out, (size_t)c->n_row * (size_t)k->s->dim * sizeof *k->x);
}

/* --- listening --- */

struct prune_sound {
    struct codec_stream *stream;
    int32_t *codes;
    float *pcm;
};

static int prune_sound_new(struct prune_sound *d, const struct model *m, struct err *e)
{
    size_t n = SAMPLE_FRAMES;
    d->codes = mem_try(n * (size_t)m->spec.lm.n_codebook, sizeof *d->codes);
    d->pcm = mem_try(n * (size_t)m->spec.codec.frame_samples, sizeof *d->pcm);
    return d->codes && d->pcm ? codec_stream_new(m->codec, &d->stream, e)
                              : err_set(e, ERR_MEMORY, "out of memory for a sentence's sound");
}

static void prune_sound_done(struct prune_sound *d)
{
    codec_stream_free(d->stream);
    mem_free(d->codes);
    mem_free(d->pcm);
}

static int prune_listen(struct prune *p, const struct jabbertts_prune_options *o, kern_probe probe,
                        struct err *e)
{
    struct sample s;
    struct prune_sound d = {0};
    kern_exec_set_probe(p->model.exec, probe, p);
    int rc = sample_open(&s, &p->model, o->text, e);
    if (rc == 0)
        rc = prune_sound_new(&d, &p->model, e);
    while (rc == 0 && (rc = sample_next(&s, e)) > 0) {
        rc = 0;
        if (p->part == PRUNE_CODEC && s.n_frame > 0) {
            sample_codes(&s, 0, s.n_frame, d.codes);
            codec_stream_reset(d.stream);
            codec_decode(p->model.codec, d.stream, d.codes, s.n_frame, d.pcm, p->model.exec);
        }
        if (o->progress)
            o->progress(o->cookie, 0.8 * s.next / s.pieces.n);
    }
    sample_done(&s);
    prune_sound_done(&d);
    kern_exec_set_probe(p->model.exec, NULL, NULL);
    for (int i = 0; i < p->n_matrix && rc == 0; i++) {
        const struct prune_matrix *m = &p->matrix[i];
        if (!m->like && m->n_row < m->n_in) /* else it would fit what is not there */
            rc = err_set(e, ERR_ARGUMENT,
                         "the text is too short: %.0f rows came to %s, which has %d columns",
                         m->n_row, m->name, m->n_in);
    }
    return rc;
}

/* Whole units go: of few, a share near 1 is none. */
static int prune_something(const struct prune *p, struct err *e)
{
    bool some = p->keep >= 1 || p->part >= PRUNE_WEIGHTS;
    for (int i = 0; i < p->n_matrix; i++)
        some = some || p->matrix[i].cross || prune_kept(&p->matrix[i]) < p->matrix[i].n_in;
    return some ? 0
                : err_set(e, ERR_ARGUMENT,
                          "with %.0f %% kept nothing would go, there is so little of it: keep less",
                          100 * p->keep);
}

static int prune_make(struct prune *p, const struct jabbertts_prune_options *o, const char *path,
                      struct err *e)
{
    struct model_options m = {.n_thread = o->threads, .f32 = true};
    int rc = model_open(&p->model, o->input, &m, e);
    const struct spec_lm *s = &p->model.spec.lm;
    if (rc == 0 && (s->slow.n_layer < 1 || s->fast.n_layer < 1))
        rc = err_set(e, ERR_UNSUPPORTED, "a transformer of this model has no layers");
    if (rc == 0)
        rc = prune_plan(p, e);
    if (rc == 0 && p->part == PRUNE_LAYERS && (rc = prune_listen(p, o, prune_turn, e)) == 0)
        rc = prune_plan_layers(p, e);
    if (rc == 0)
        rc = prune_something(p, e);
    if (rc == 0)
        rc = prune_listen(p, o, p->part == PRUNE_LAYERS ? prune_bridge : prune_collect, e);
    if (rc == 0 && (rc = prune_fit(p, o->threads, e)) == 0)
        rc = prune_write(p, path, e);
    prune_done(p);
    model_close(&p->model);
    return rc;
}

/* --- judging --- */

struct prune_verdict {
    double nats; /* the worse transformer's divergence */
    double db;   /* the codec's signal to noise */
};

static double prune_number(const json_t *j, const char *part, const char *what)
{
    return json_real_value(json_object_get(json_object_get(j, part), what));
}

static int prune_judge(const struct jabbertts_prune_options *o, const char *path,
                       struct prune_verdict *v, struct jabbertts_error *error)
{
    struct jabbertts_eval_options how = {.model = path,
                                         .reference = o->input,
                                         .text = o->judge ? o->judge : sample_held_out,
                                         .threads = o->threads};
    char *text;
    int rc = jabbertts_eval(&how, 1, &text, error);
    if (rc < 0)
        return rc;
    json_t *j = json_loads(text, 0, NULL);
    double slow = prune_number(j, "slow", "kl_mean"), fast = prune_number(j, "fast", "kl_mean");
    const json_t *db = json_object_get(json_object_get(j, "codec"), "snr_db");
    char line[200];
    v->nats = fmax(slow, fast);
    v->db = json_is_real(db) ? json_real_value(db) : INFINITY;
    snprintf(line, sizeof line,
             "divergence from the original: slow %.4f, fast %.4f nats; the same first choice "
             "%.3f, %.3f; codec %.1f dB",
             slow, fast, prune_number(j, "slow", "top1_agreement"),
             prune_number(j, "fast", "top1_agreement"), v->db);
    if (o->note)
        o->note(o->cookie, line);
    json_decref(j);
    free(text);
    return 0;
}

static int prune_accept(const struct jabbertts_prune_options *o, double keep,
                        const struct prune_verdict *v, struct err *e)
{
    if (o->force)
        return 0;
    if (v->nats > o->limit)
        return err_set(e, ERR_LIMIT,
                       "nothing was written: with %.0f %% kept the divergence is %.3f nats, over "
                       "%.3g; keep more, or `force` it",
                       100 * keep, v->nats, o->limit);
    if (v->db < o->limit_db)
        return err_set(e, ERR_LIMIT,
                       "nothing was written: with %.0f %% kept the codec has %.1f dB of signal to "
                       "noise, under %.3g; keep more, or `force` it",
                       100 * keep, v->db, o->limit_db);
    return 0;
}

static int prune_part_of(const char *name, enum prune_part *ret, struct err *e)
{
    static const char *const names[] = {"feed-forward", "heads",   "layers",
                                        "codec",        "weights", "2:4"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!name || strcmp(name, names[i]) == 0) {
            *ret = (enum prune_part)i;
            return 0;
        }
    return err_set(e, ERR_ARGUMENT,
                   "part \"%.32s\" is not feed-forward, heads, layers, codec, weights or 2:4",
                   name);
}

int jabbertts_prune(const struct jabbertts_prune_options *o, struct jabbertts_error *error)
{
    struct err e = {0};
    struct prune p = {.keep = o->keep};
    struct prune_verdict v;
    char path[4096];
    if (!o->input || !o->output || !(o->keep > 0 && o->keep <= 1))
        return engine_return(
            error, &e,
            err_set(&e, ERR_ARGUMENT, "pruning wants two files and a share of 0 to 1 to keep"));
    if (snprintf(path, sizeof path, "%s.unjudged", o->output) >= (int)sizeof path)
        return engine_return(error, &e, err_set(&e, ERR_LIMIT, "the output's path is too long"));
    int rc = prune_part_of(o->part, &p.part, &e);
    p.keep = p.part == PRUNE_PAIRS ? 0.5 : o->keep;
    if (rc < 0 || (rc = prune_make(&p, o, path, &e)) < 0)
        return engine_return(error, &e, rc);
    if (o->note && p.part >= PRUNE_WEIGHTS)
        o->note(o->cookie, "weights that are zero take as much room and time as others");
    rc = prune_judge(o, path, &v, error);
    if (rc == 0 && (rc = prune_accept(o, p.keep, &v, &e)) == 0 && rename(path, o->output) < 0)
        rc = err_set(&e, ERR_IO, "cannot write %s", o->output);
    if (rc < 0)
        unlink(path);
    return e.code ? engine_return(error, &e, rc) : rc;
}
