/* Shapes and values: from the checkpoint's layout to ours, tensor by tensor. */
#include "model/import_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kern.h"

#define HALF_MAX    65504
#define COPY_VALUES ((size_t)1 << 20) /* values of a large tensor in memory at a time */

/* --- shapes and types --- */

/* The tensor that a step is made from, and the magnitude of one under weight norm. */
static struct checkpoint_tensor *origin(const struct import *m, const struct import_step *s,
                                        struct checkpoint_tensor **g)
{
    *g = NULL;
    return s->bias ? import_source(m, s->codec, s->source)
                   : import_weight(m, s->codec, s->source, g);
}

/* Dimensions of a convolution or a depthwise one, innermost first; 0: not the shape of one. */
static void import_conv_shape(struct import_step *s, const struct checkpoint_tensor *t)
{
    const int64_t *d = t->shape;
    int64_t taps = t->n_dim == 3 ? d[2] : 0;
    s->ne[0] = s->op == IMPORT_CONV ? d[1] : d[0];
    s->ne[1] = taps;
    if (s->op == IMPORT_DEPTHWISE)
        return;
    s->n_dim = 3;
    s->ne[2] = s->op == IMPORT_CONV ? d[0] : d[1];
    if (s->op == IMPORT_TRANSPOSED) { /* k = m * stride: m taps, stride phases */
        int64_t stride = strstr(s->name, ".conv.") ? taps : taps / 2;
        s->ne[1] = stride > 0 ? taps / stride : 0;
        s->ne[2] = d[1] * stride;
    }
}

/* Rows of the output matrix that can be generated: semantic tokens, then <|im_end|>. */
static int64_t n_head_row(const struct import *m)
{
    return m->spec.lm.semantic_end - m->spec.lm.semantic_begin + 2;
}

static bool trims(const struct import *m, const struct import_step *s)
{
    return s->op == IMPORT_HEAD && m->o->trim_head;
}

/* Vectors are floats; values that are computed anew need more bits than bf16 has. */
static int type_of_step(const struct import *m, const struct import_step *s, int own, bool folded)
{
    bool vector = s->op == IMPORT_VECTOR || s->op == IMPORT_PARAMETER || s->op == IMPORT_DEPTHWISE;
    int type = m->o->type >= 0 ? m->o->type : folded && own == KERN_BF16 ? KERN_F16 : own;
    if (vector)
        return KERN_F32;
    return type == KERN_Q8_0 && s->ne[0] % 32 ? KERN_F16 : type;
}

int import_step_shape(const struct import *m, struct import_step *s, struct err *e)
{
    struct checkpoint_tensor *g, *t = origin(m, s, &g);
    if (!t || t->n == 0)
        return err_set(e, ERR_FORMAT, "checkpoint lacks %s", s->source);
    if (t->type < 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "%s is not a f32, f16 or bf16 tensor, or overlaps itself", t->name);
    const int64_t *d = t->shape;
    s->n_dim = 2;
    s->ne[2] = 1;
    if (s->op == IMPORT_PARAMETER || (s->op == IMPORT_VECTOR && t->n_dim != 2)) {
        s->n_dim = 1;
        s->ne[0] = (int64_t)t->n;
        s->ne[1] = 1;
    } else if (s->op == IMPORT_VECTOR || s->op == IMPORT_COPY || s->op == IMPORT_HEAD) {
        s->ne[0] = t->n_dim > 1 ? d[1] : 0;
        s->ne[1] = d[0];
    } else {
        import_conv_shape(s, t);
    }
    if (trims(m, s) && s->ne[1] == m->spec.lm.n_vocab)
        s->ne[1] = n_head_row(m);
    else if (s->op == IMPORT_HEAD && s->ne[1] != m->spec.lm.n_vocab)
        return err_set(e, ERR_FORMAT, "%s has %lld rows, config.json has a vocab_size of %d",
                       t->name, (long long)s->ne[1], m->spec.lm.n_vocab);
    s->type = type_of_step(m, s, t->type, g != NULL);
    for (int i = 0; i < s->n_dim; i++)
        if (s->ne[i] < 1)
            return err_set(e, ERR_FORMAT, "%s has an unexpected shape", t->name);
    return 0;
}

/* --- values --- */

/* w = g v / |v|, the norm over all axes but the first (torch.nn.utils.weight_norm). */
static int import_fold(struct checkpoint *c, const struct checkpoint_tensor *g,
                       const struct checkpoint_tensor *t, float *v, struct err *e)
{
    float *magnitude;
    size_t rows = (size_t)t->shape[0], n = t->n / rows;
    if (g->n != rows)
        return err_set(e, ERR_FORMAT, "%s has %zu values, must be %zu", g->name, g->n, rows);
    int rc = checkpoint_read(c, g, &magnitude, e);
    if (rc < 0)
        return rc;
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)v[r * n + i] * v[r * n + i];
        double scale = sum > 0 ? magnitude[r] / sqrt(sum) : 0;
        for (size_t i = 0; i < n; i++)
            v[r * n + i] = (float)(v[r * n + i] * scale);
    }
    mem_free(magnitude);
    return 0;
}

/* From the source's layout to ours (top of docs/MODEL.md's GGUF section). */
static void arrange(const struct import_step *s, const float *v, float *out)
{
    size_t in = (size_t)s->ne[0], taps = (size_t)s->ne[1], outs = (size_t)s->ne[2];
    if (s->op == IMPORT_DEPTHWISE) {
        for (size_t c = 0; c < in; c++)
            for (size_t j = 0; j < taps; j++)
                out[j * in + c] = v[c * taps + j];
    } else {
        for (size_t o = 0; o < outs; o++)
            for (size_t j = 0; j < taps; j++)
                for (size_t c = 0; c < in; c++)
                    out[(o * taps + j) * in + c] = v[(o * in + c) * taps + j];
    }
}

/* [C_in, C_out, k] to [stride * C_out, m, C_in]: phase p of tap j (oldest first) is k-index
 * p + (m - 1 - j) * stride. */
static void arrange_transposed(const struct import_step *s, const struct checkpoint_tensor *t,
                               const float *v, float *out)
{
    size_t in = (size_t)t->shape[0], n_out = (size_t)t->shape[1], k = (size_t)t->shape[2];
    size_t m = (size_t)s->ne[1], stride = k / m;
    for (size_t p = 0; p < stride; p++)
        for (size_t o = 0; o < n_out; o++)
            for (size_t j = 0; j < m; j++)
                for (size_t c = 0; c < in; c++)
                    out[((p * n_out + o) * m + j) * in + c] =
                        v[(c * n_out + o) * k + p + (m - 1 - j) * stride];
}

struct piece { /* of a step's values, in our layout */
    float *v;
    size_t at, n; /* of the step's values */
};

/* A single NaN or infinity would make every sound silent, without an error. */
static int import_check_values(const struct import_step *s, const struct piece *p, struct err *e)
{
    if (!kern_all_finite(p->v, p->n))
        return err_set(e, ERR_FORMAT,
                       "%s holds values that are not finite: the checkpoint is damaged", s->source);
    for (size_t i = 0; s->type == KERN_F16 && i < p->n; i++)
        if (fabsf(p->v[i]) > HALF_MAX)
            return err_set(e, ERR_LIMIT, "%s holds %g, f16 ends at %d: choose f32 or bf16",
                           s->source, (double)p->v[i], HALF_MAX);
    return 0;
}

/* v is changed where channels are equalized; an error when the caller wants to stop. */
static int write_piece(struct import *m, struct gguf_writer *w, const struct import_step *s,
                       const struct piece *p, struct err *e)
{
    size_t bytes = kern_type_row_bytes((enum kern_type)s->type, p->n);
    void *out = mem_try(bytes, 1);
    if (!out)
        return err_set(e, ERR_MEMORY, "out of memory for %s", s->name);
    equalize_values(m->equalize, s->name, p->at, p->v, p->n);
    int rc = import_check_values(s, p, e);
    kern_from_f32((enum kern_type)s->type, p->v, out, p->n);
    if (rc == 0)
        rc = gguf_writer_data(w, out, bytes, e);
    mem_free(out);
    m->n_done += (double)p->n;
    if (rc == 0 && m->o->progress && m->o->progress(m->o->cookie, m->n_done / m->n_value))
        rc = err_set(e, ERR_CANCELLED, "stopped; nothing was written");
    return rc;
}

/* Of n rows from first on, keeps those of semantic tokens, moved to the front; that of <|im_end|>,
 * which comes last, goes into end.  Returns how many are kept. */
static size_t keep_rows(const struct spec_lm *l, float *v, size_t first, size_t n, float *end)
{
    size_t width = (size_t)l->slow.dim, kept = 0;
    for (size_t r = 0; r < n; r++) {
        int id = (int)(first + r);
        if (id == l->im_end)
            memcpy(end, v + r * width, width * sizeof *v);
        if (id >= l->semantic_begin && id <= l->semantic_end)
            memmove(v + kept++ * width, v + r * width, width * sizeof *v);
    }
    return kept;
}

/* A tensor that stays as it is, rows at a time: an embedding is too large to hold as float. */
static int copy_step(struct import *m, struct gguf_writer *w, const struct import_step *s,
                     const struct checkpoint_tensor *t, struct err *e)
{
    struct checkpoint_reader *r;
    size_t row = (size_t)s->ne[0], most = row < COPY_VALUES ? COPY_VALUES / row * row : row;
    int rc = checkpoint_reader_new(s->codec ? m->codec : m->lm, t, &r, e);
    if (rc < 0)
        return rc;
    float *end = mem_try(row, sizeof *end);
    struct piece p = {.v = mem_try(most, sizeof *p.v)};
    if (!p.v || !end)
        rc = err_set(e, ERR_MEMORY, "out of memory for %s", s->name);
    for (size_t i = 0; i < t->n && rc == 0; i += most) {
        size_t n = t->n - i < most ? t->n - i : most;
        rc = checkpoint_reader_next(r, p.v, n, e);
        p.n = trims(m, s) ? keep_rows(&m->spec.lm, p.v, i / row, n / row, end) * row : n;
        if (rc == 0 && p.n > 0)
            rc = write_piece(m, w, s, &p, e);
        p.at += p.n;
    }
    if (rc == 0 && trims(m, s))
        rc = write_piece(m, w, s, &(struct piece){end, p.at, row}, e);
    mem_free(end);
    mem_free(p.v);
    checkpoint_reader_free(r);
    return rc;
}

static bool rearranged(const struct import_step *s)
{
    return s->op == IMPORT_CONV || s->op == IMPORT_TRANSPOSED || s->op == IMPORT_DEPTHWISE;
}

int import_step_read(struct import *m, const struct import_step *s, float **ret, struct err *e)
{
    struct checkpoint *c = s->codec ? m->codec : m->lm;
    struct checkpoint_tensor *g, *t = origin(m, s, &g);
    float *v, *out = NULL;
    int rc = checkpoint_read(c, t, &v, e);
    if (rc < 0)
        return rc;
    if (g)
        rc = import_fold(c, g, t, v, e);
    if (rc == 0 && rearranged(s) && !(out = mem_try(t->n, sizeof *out)))
        rc = err_set(e, ERR_MEMORY, "out of memory for %s", s->name);
    if (rc == 0 && s->op == IMPORT_TRANSPOSED)
        arrange_transposed(s, t, v, out);
    else if (rc == 0 && out)
        arrange(s, v, out);
    if (rc == 0)
        *ret = out ? out : v;
    if (rc < 0 || out)
        mem_free(v);
    if (rc < 0)
        mem_free(out);
    return rc;
}

int import_step_write(struct import *m, struct gguf_writer *w, const struct import_step *s,
                      struct err *e)
{
    struct checkpoint_tensor *g, *t = origin(m, s, &g);
    struct piece p = {.n = t->n};
    if (!g && !t->strided && !rearranged(s))
        return copy_step(m, w, s, t, e);
    int rc = import_step_read(m, s, &p.v, e);
    if (rc < 0)
        return rc;
    struct piece last = {NULL, 0, trims(m, s) ? (size_t)s->ne[0] : 0};
    if (last.n && !(last.v = mem_try(last.n, sizeof *last.v)))
        rc = err_set(e, ERR_MEMORY, "out of memory for %s", s->name);
    if (rc == 0 && last.n)
        p.n = last.at = last.n * keep_rows(&m->spec.lm, p.v, 0, t->n / last.n, last.v);
    if (rc == 0)
        rc = write_piece(m, w, s, &p, e);
    if (rc == 0 && last.n)
        rc = write_piece(m, w, s, &last, e);
    mem_free(last.v);
    mem_free(p.v);
    return rc;
}
