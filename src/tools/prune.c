/* prune.c - columns of feed-forward layers that matter least, taken out of a model.
 *
 * The model speaks sentences, and for each feed-forward layer of both transformers the products of
 * its inner values, C = E[a a'], are summed.  Column j of the matrix W behind them gives the output
 * E[a_j^2] |w_j|^2 of energy; those with the most stay (K), the rest go (R).  What the rest gave is
 * put into those that stay by least squares: W[:, K] + W[:, R] C[R, K] (C[K, K] + r I)^-1 has, but
 * for r, the smallest E|W a - W' a_K|^2 (Hassibi and Stork, Optimal Brain Surgeon, 1993, for one
 * layer).  The rows that made the rest go too, so the file is smaller and every step does less.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "jabbertts_tools.h"
#include "tools/sample.h"

#define BLOCK 32 /* columns that stay are a multiple: types in blocks stay possible */
#define RIDGE                                                                                      \
    1e-4 /* r, in parts of the mean of C's diagonal: C is of fewer rows than it could be */

struct prune_layer {
    char prefix[32]; /* "fast.blk.3." */
    int n_ff, n_keep;
    const struct spec_transformer *s;
    double *products; /* [n_ff, n_ff], the lower half */
    double n_row;
    int *keep; /* [n_keep], ascending */
};

struct prune {
    const struct jabbertts_prune_options *o;
    struct model model;
    struct prune_layer *layer;
    int n_layer;
};

/* --- what the layers are given --- */

static struct prune_layer *prune_find(const struct prune *p, const char *tensor, const char *what)
{
    for (int i = 0; i < p->n_layer; i++) {
        size_t n = strlen(p->layer[i].prefix);
        if (strncmp(tensor, p->layer[i].prefix, n) == 0 && strcmp(tensor + n, what) == 0)
            return &p->layer[i];
    }
    return NULL;
}

static void prune_collect(void *cookie, const struct kern_linear *l, const struct kern_call *c)
{
    struct prune_layer *y = l->name ? prune_find(cookie, l->name, "ffn_down.weight") : NULL;
    if (!y)
        return;
    for (int r = 0; r < c->n_row; r++) {
        const float *a = c->in + (size_t)r * (size_t)y->n_ff;
        for (size_t i = 0; i < (size_t)y->n_ff; i++) {
            double *row = y->products + i * (size_t)y->n_ff, ai = (double)a[i];
            for (size_t j = 0; j <= i; j++)
                row[j] += ai * (double)a[j];
        }
    }
    y->n_row += c->n_row;
}

static int prune_stack(struct prune *p, const char *prefix, const struct spec_transformer *s,
                       struct err *e)
{
    int n_keep = (int)lrint(p->o->keep * s->n_ff / BLOCK) * BLOCK;
    n_keep = n_keep < BLOCK ? BLOCK : n_keep;
    for (int i = 0; i < s->n_layer; i++) {
        struct prune_layer *y = &p->layer[p->n_layer++];
        snprintf(y->prefix, sizeof y->prefix, "%sblk.%d.", prefix, i);
        y->s = s;
        y->n_ff = s->n_ff;
        y->n_keep = n_keep < s->n_ff ? n_keep : s->n_ff;
        y->products = mem_try((size_t)s->n_ff * (size_t)s->n_ff, sizeof *y->products);
        y->keep = mem_try((size_t)s->n_ff, sizeof *y->keep);
        if (!y->products || !y->keep)
            return err_set(e, ERR_MEMORY, "out of memory for the products of %sffn_down",
                           y->prefix);
    }
    return 0;
}

static int prune_listen(struct prune *p, struct err *e)
{
    struct sample s;
    kern_exec_set_probe(p->model.exec, prune_collect, p);
    int rc = sample_open(&s, &p->model, p->o->text, e);
    while (rc == 0 && (rc = sample_next(&s, e)) > 0) {
        rc = 0;
        if (p->o->progress)
            p->o->progress(p->o->cookie, 0.8 * s.next / s.pieces.n);
    }
    sample_done(&s);
    kern_exec_set_probe(p->model.exec, NULL, NULL);
    for (int i = 0; i < p->n_layer && rc == 0; i++)
        if (p->layer[i].n_row < p->layer[i].n_ff) /* else it would fit what is not there */
            rc =
                err_set(e, ERR_ARGUMENT,
                        "the text is too short: %.0f rows came to %sffn_down, which has %d columns",
                        p->layer[i].n_row, p->layer[i].prefix, p->layer[i].n_ff);
    return rc;
}

/* --- which columns stay, and what they become --- */

static int prune_descending(const void *a, const void *b)
{
    double x = **(double *const *)a, y = **(double *const *)b;
    return x > y ? -1 : x < y;
}

static int prune_ascending(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void prune_choose(struct prune_layer *y, const float *w, double *energy, double **order)
{
    size_t n = (size_t)y->n_ff;
    for (size_t j = 0; j < n; j++) {
        double sum = 0;
        for (size_t o = 0; o < (size_t)y->s->dim; o++)
            sum += (double)w[o * n + j] * (double)w[o * n + j];
        energy[j] = sum * y->products[j * n + j];
        order[j] = &energy[j];
    }
    qsort(order, n, sizeof *order, prune_descending);
    for (int k = 0; k < y->n_keep; k++)
        y->keep[k] = (int)(order[k] - energy);
    qsort(y->keep, (size_t)y->n_keep, sizeof *y->keep, prune_ascending);
}

static double prune_product(const struct prune_layer *y, int i, int j)
{
    return i >= j ? y->products[(size_t)i * (size_t)y->n_ff + (size_t)j]
                  : y->products[(size_t)j * (size_t)y->n_ff + (size_t)i];
}

/* Cholesky's factor of C[K, K] + r I, in place of its lower half. */
static void prune_factor(const struct prune_layer *y, double *l)
{
    size_t n = (size_t)y->n_keep;
    double ridge = 0;
    for (int j = 0; j < y->n_ff; j++)
        ridge += prune_product(y, j, j) * RIDGE / y->n_ff;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = prune_product(y, y->keep[i], y->keep[j]) + (i == j ? ridge + 1e-30 : 0);
            for (size_t k = 0; k < j; k++)
                sum -= l[i * n + k] * l[j * n + k];
            l[i * n + j] = i == j ? sqrt(fmax(sum, 1e-30)) : sum / l[j * n + j];
        }
}

/* What a row of the rest, w with zeros at K, becomes: solve L L' x = C[K, :] w. */
static void prune_row(const struct prune_layer *y, const double *l, const float *w, double *x,
                      float *out)
{
    size_t n = (size_t)y->n_keep;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < y->n_ff; j++)
            sum += prune_product(y, y->keep[i], j) * (double)w[j];
        for (size_t k = 0; k < i; k++)
            sum -= l[i * n + k] * x[k];
        x[i] = sum / l[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            x[i] -= l[k * n + i] * x[k];
        x[i] /= l[i * n + i];
        out[i] = (float)x[i];
    }
}

/* w [dim, n_ff] -> out [dim, n_keep] */
static int prune_repair(struct prune_layer *y, const float *w, float *out, struct err *e)
{
    size_t n = (size_t)y->n_keep, n_ff = (size_t)y->n_ff;
    float *rest = mem_try(n_ff, sizeof *rest);
    double *l = mem_try(n * n, sizeof *l), *x = mem_try(n_ff, sizeof *x);
    double **order = mem_try(n_ff, sizeof *order);
    int rc = l && x && order && rest
                 ? 0
                 : err_set(e, ERR_MEMORY, "out of memory for %sffn_down", y->prefix);
    if (rc == 0) {
        prune_choose(y, w, x, order);
        prune_factor(y, l);
        for (size_t o = 0; o < (size_t)y->s->dim; o++) {
            memcpy(rest, w + o * n_ff, n_ff * sizeof *rest);
            for (size_t k = 0; k < n; k++)
                rest[y->keep[k]] = 0;
            prune_row(y, l, rest, x, out + o * n);
            for (size_t k = 0; k < n; k++)
                out[o * n + k] += w[o * n_ff + (size_t)y->keep[k]];
        }
    }
    mem_free(rest);
    mem_free(l);
    mem_free(x);
    mem_free(order);
    return rc;
}

/* --- the file --- */

/* The layer a tensor belongs to: *down, or gate and up. */
static struct prune_layer *prune_layer_of(const struct prune *p, const char *name, bool *down)
{
    struct prune_layer *y = prune_find(p, name, "ffn_down.weight");
    *down = y != NULL;
    if (!y)
        y = prune_find(p, name, "ffn_gate.weight");
    return y ? y : prune_find(p, name, "ffn_up.weight");
}

static int prune_declare(const struct prune *p, struct gguf_writer *w, struct err *e)
{
    static const char *const lengths[] = {"openaudio-s1.feed_forward_length",
                                          "openaudio-s1.fast.feed_forward_length"};
    const struct spec_lm *s = &p->model.spec.lm;
    const struct gguf *g = p->model.file;
    const char *key;
    enum gguf_kind kind;
    for (int i = 0; (key = gguf_key_at(g, i, &kind)); i++)
        if (strcmp(key, lengths[0]) != 0 && strcmp(key, lengths[1]) != 0)
            gguf_put_copy(w, g, i);
    gguf_put_int(w, lengths[0], GGUF_U32, p->layer[0].n_keep);
    gguf_put_int(w, lengths[1], GGUF_U32, p->layer[s->slow.n_layer].n_keep);
    int rc = 0;
    for (int i = 0; i < gguf_n_tensors(g) && rc == 0; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        bool down;
        const struct prune_layer *y = prune_layer_of(p, t->name, &down);
        int64_t ne[GGUF_MAX_DIMS];
        memcpy(ne, t->ne, sizeof ne);
        if (y)
            ne[down ? 0 : 1] = y->n_keep;
        rc = gguf_writer_tensor(w, t->name, t->type, t->n_dim, ne, e);
    }
    return rc < 0 ? rc : gguf_writer_begin(w, e);
}

/* Columns are chosen here, so a layer's down comes before its gate and up are written. */
static int prune_write_down(struct prune_layer *y, const struct gguf_tensor *t, float **ret,
                            struct err *e)
{
    size_t n = (size_t)y->s->dim * (size_t)y->n_ff;
    float *w = mem_try(n, sizeof *w);
    float *out = mem_try((size_t)y->s->dim * (size_t)y->n_keep, sizeof *out);
    int rc = w && out ? 0 : err_set(e, ERR_MEMORY, "out of memory for %s", t->name);
    if (rc == 0) {
        kern_to_f32((enum kern_type)t->type, t->data, w, n);
        rc = prune_repair(y, w, out, e);
    }
    mem_free(w);
    *ret = out;
    return rc;
}

static int prune_write_tensor(const struct prune *p, float *const *down, struct gguf_writer *w,
                              const struct gguf_tensor *t, struct err *e)
{
    bool is_down;
    const struct prune_layer *y = prune_layer_of(p, t->name, &is_down);
    if (!y)
        return gguf_writer_data(w, t->data, t->n_bytes, e);
    size_t rows = (size_t)(is_down ? y->s->dim : y->n_keep);
    size_t width = (size_t)(is_down ? y->n_keep : y->s->dim);
    size_t bytes = kern_type_row_bytes((enum kern_type)t->type, width);
    char *row = mem_try(1, bytes);
    int rc = row ? 0 : err_set(e, ERR_MEMORY, "out of memory for %s", t->name);
    for (size_t i = 0; i < rows && rc == 0; i++) {
        if (is_down)
            kern_from_f32((enum kern_type)t->type, down[y - p->layer] + i * width, row, width);
        else
            memcpy(row, (const char *)t->data + (size_t)y->keep[i] * bytes, bytes);
        rc = gguf_writer_data(w, row, bytes, e);
    }
    mem_free(row);
    return rc;
}

static int prune_write(struct prune *p, const char *path, struct err *e)
{
    struct gguf_writer *w = NULL;
    const struct gguf *g = p->model.file;
    float **down = mem_try((size_t)p->n_layer, sizeof *down);
    int rc = down ? gguf_writer_new(path, &w, e) : err_set(e, ERR_MEMORY, "out of memory");
    for (int i = 0; i < p->n_layer && rc == 0; i++) {
        char name[64];
        snprintf(name, sizeof name, "%sffn_down.weight", p->layer[i].prefix);
        rc = prune_write_down(&p->layer[i], gguf_find(g, name), &down[i], e);
    }
    if (rc == 0)
        rc = prune_declare(p, w, e);
    for (int i = 0; i < gguf_n_tensors(g) && rc == 0; i++)
        rc = prune_write_tensor(p, down, w, gguf_tensor_at(g, i), e);
    if (rc == 0 && (rc = gguf_check(g, e)) == 0)
        rc = gguf_writer_finish(w, e);
    for (int i = 0; down && i < p->n_layer; i++)
        mem_free(down[i]);
    mem_free(down);
    gguf_writer_free(w);
    return rc;
}

/* --- all --- */

static int prune_make(struct prune *p, const char *path, struct err *e)
{
    struct model_options m = {.n_thread = p->o->threads, .f32 = true};
    int rc = model_open(&p->model, p->o->input, &m, e);
    const struct spec_lm *s = &p->model.spec.lm;
    if (rc == 0 && (s->slow.n_layer < 1 || s->fast.n_layer < 1))
        rc = err_set(e, ERR_UNSUPPORTED, "a transformer of this model has no layers");
    if (rc == 0) {
        p->layer = mem_try((size_t)(s->slow.n_layer + s->fast.n_layer), sizeof *p->layer);
        rc = p->layer ? 0 : err_set(e, ERR_MEMORY, "out of memory for layers");
    }
    if (rc == 0 && (rc = prune_stack(p, "", &s->slow, e)) == 0 &&
        (rc = prune_stack(p, "fast.", &s->fast, e)) == 0 && (rc = prune_listen(p, e)) == 0)
        rc = prune_write(p, path, e);
    for (int i = 0; i < p->n_layer; i++) {
        mem_free(p->layer[i].products);
        mem_free(p->layer[i].keep);
    }
    mem_free(p->layer);
    model_close(&p->model);
    return rc;
}

/* Divergence of both transformers from the original; what eval says goes to note. */
static int prune_judge(const struct jabbertts_prune_options *o, const char *path, double *worst,
                       struct jabbertts_error *error)
{
    struct jabbertts_eval_options v = {.model = path,
                                       .reference = o->input,
                                       .text = o->judge ? o->judge : o->text,
                                       .threads = o->threads};
    char *text;
    int rc = jabbertts_eval(&v, 1, &text, error);
    if (rc < 0)
        return rc;
    json_t *j = json_loads(text, 0, NULL);
    double slow = json_real_value(json_object_get(json_object_get(j, "slow"), "kl_mean"));
    double fast = json_real_value(json_object_get(json_object_get(j, "fast"), "kl_mean"));
    char line[128];
    snprintf(line, sizeof line, "divergence from the original: slow %.4f, fast %.4f nats", slow,
             fast);
    if (o->note)
        o->note(o->cookie, line);
    *worst = fmax(slow, fast);
    json_decref(j);
    free(text);
    return 0;
}

int jabbertts_prune(const struct jabbertts_prune_options *o, struct jabbertts_error *error)
{
    struct err e = {0};
    struct prune p = {.o = o};
    char path[4096];
    double worst = 0;
    if (!o->input || !o->output || !(o->keep > 0 && o->keep <= 1))
        return engine_return(
            error, &e,
            err_set(&e, ERR_ARGUMENT, "pruning wants two files and a share of 0 to 1 to keep"));
    if (snprintf(path, sizeof path, "%s.unjudged", o->output) >= (int)sizeof path)
        return engine_return(error, &e, err_set(&e, ERR_LIMIT, "the output's path is too long"));
    int rc = prune_make(&p, path, &e);
    if (rc < 0)
        return engine_return(error, &e, rc);
    rc = prune_judge(o, path, &worst, error);
    if (rc == 0 && worst > o->limit && !o->force)
        rc = engine_return(error, &e,
                           err_set(&e, ERR_LIMIT,
                                   "nothing was written: with %.0f %% kept the divergence is %.3f "
                                   "nats, over %.3g; keep more, or --force",
                                   100 * o->keep, worst, o->limit));
    if (rc == 0 && rename(path, o->output) < 0)
        rc = engine_return(error, &e, err_set(&e, ERR_IO, "cannot write %s", o->output));
    if (rc < 0)
        unlink(path);
    return rc;
}
