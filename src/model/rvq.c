#include "model/rvq.h"
#include <math.h>
#include <string.h>

/* torch.nn.functional.normalize: v / max(|v|, 1e-12). */
static void scale_to_unit(const float *in, int n, float *out)
{
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += in[i] * in[i];
    float length = fmaxf(sqrtf(sum), 1e-12f);
    for (int i = 0; i < n; i++)
        out[i] = in[i] / length;
}

void rvq_unit(const float *entry, int size, int dim, float *unit)
{
    for (int i = 0; i < size; i++)
        scale_to_unit(entry + (size_t)i * dim, dim, unit + (size_t)i * dim);
}

/* The entry nearest to v; lowest index on ties.  Between unit vectors the squared distance is
 * 2 - 2 cos, so the largest product wins. */
static int32_t rvq_nearest(const struct rvq_book *b, const float *v)
{
    int32_t best = 0;
    float best_dot = -INFINITY;
    for (int i = 0; i < b->size; i++) {
        const float *u = b->unit + (size_t)i * b->dim;
        float dot = 0;
        for (int j = 0; j < b->dim; j++)
            dot += u[j] * v[j];
        if (dot > best_dot) {
            best_dot = dot;
            best = i;
        }
    }
    return best;
}

static void rvq_gather(const struct rvq_book *b, const int32_t *codes, int n_row, float *out)
{
    for (int t = 0; t < n_row; t++) {
        int32_t code = codes[t] < 0 ? 0 : codes[t] >= b->size ? b->size - 1 : codes[t];
        memcpy(out + (size_t)t * b->dim, b->entry + (size_t)code * b->dim,
               (size_t)b->dim * sizeof *out);
    }
}

void rvq_decode(const struct rvq *q, const int32_t *codes, size_t codes_stride, int n_row, float *z,
                const struct rvq_space *m)
{
    for (int i = 0; i < q->n_book; i++) {
        rvq_gather(&q->book[i], codes + (size_t)i * codes_stride, n_row, m->work);
        struct kern_call call = {
            .in = m->work, .out = z, .n_row = n_row, .epilogue = i > 0 ? KERN_ADD : KERN_STORE};
        kern_linear_run(m->exec, &q->book[i].out, &call);
    }
}

struct search {
    const struct rvq_book *book;
    float *v; /* [n_row, dim]; scaled in place */
    int32_t *codes;
};

static void search_row(void *arg, int t, int i_thread)
{
    struct search *s = arg;
    float *v = s->v + (size_t)t * s->book->dim;
    (void)i_thread;
    scale_to_unit(v, s->book->dim, v);
    s->codes[t] = rvq_nearest(s->book, v);
}

void rvq_encode(const struct rvq *q, float *z, int n_row, int32_t *codes, size_t codes_stride,
                const struct rvq_space *m)
{
    for (int i = 0; i < q->n_book; i++) {
        const struct rvq_book *b = &q->book[i];
        int32_t *row = codes + (size_t)i * codes_stride;
        struct kern_call in = {.in = z, .out = m->work, .n_row = n_row};
        kern_linear_run(m->exec, &b->in, &in);
        struct search s = {b, m->work, row};
        pool_run(kern_exec_pool(m->exec), search_row, &s, n_row);
        if (i + 1 == q->n_book)
            break; /* the residual of the last book is not used */
        rvq_gather(b, row, n_row, m->work);
        struct kern_call out = {
            .in = m->work, .out = z, .n_row = n_row, .epilogue = KERN_ADD, .scale = q->minus_one};
        kern_linear_run(m->exec, &b->out, &out);
    }
}
