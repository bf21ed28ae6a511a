/* The two transformers in ONNX Runtime.
 *
 * A slot's keys and values are plain arrays (struct lm_plain), which the graph reads and behind
 * which it writes, so that one sequence is never copied.  Several that step together need theirs in
 * one array: rows of B sequences, each ending at the same row.  It is made when sequences come or
 * go, grows at its end, and what is new is copied into the slots. */
#include <stdio.h>
#include <string.h>

#include "model/ort_parts.h"

#define PROMPT_COLUMNS 256 /* of a prompt in one run */
#define GROUP_EXTRA    256 /* rows that a group may grow by before it is made anew */

struct ort_group {
    float *rows; /* [2 n_layer, cap, B, K D] */
    size_t n_bytes;
    int n, cap, length;
    uint64_t stamp[LIMIT_SLOTS]; /* of whom, as they were after the last step */
};

struct ort_lm {
    struct spec_lm s;
    struct ort_graph *slow, *fast;
    int columns, past_length, new_length, hidden, logits; /* of slow */
    int fast_hidden, fast_codes, fast_logits;
    int *past, *fresh;           /* [2 n_layer] inputs and outputs of slow, */
    int *fast_past, *fast_fresh; /* and of fast */
    int n_candidate, n_row, max_batch;
    struct ort_group group;
    float *fast_rows;      /* [2 n_layer, Q, B, K D] */
    float *some_hidden;    /* [max_batch, dim] */
    float *some_logits;    /* [max_batch, the wider head] */
    int32_t *some_columns; /* [max_batch, 1 + Q] */
    uint64_t stamp;
};

static size_t ort_width(const struct spec_transformer *s)
{
    return (size_t)s->n_head_kv * (size_t)s->head_dim;
}

/* --- opening --- */

/* The inputs and outputs that keys and values have. */
static int ort_lm_layers(struct ort_graph *g, int n_layer, int **past, int **fresh, struct err *e)
{
    *past = mem_try(2 * (size_t)n_layer + 1, sizeof **past);
    *fresh = mem_try(2 * (size_t)n_layer + 1, sizeof **fresh);
    if (!*past || !*fresh)
        return err_set(e, ERR_MEMORY, "out of memory for a graph");
    for (int i = 0; i < 2 * n_layer; i++) {
        char name[64];
        snprintf(name, sizeof name, "new.%d.%s", i / 2, i % 2 ? "value" : "key");
        (*past)[i] = ort_input(g, name + 4);
        (*fresh)[i] = ort_output(g, name);
        if ((*past)[i] < 0 || (*fresh)[i] < 0)
            return err_set(e, ERR_FORMAT, "the graph lacks %s", name);
    }
    return 0;
}

static int ort_lm_match(struct ort_lm *m, struct err *e)
{
    m->columns = ort_input(m->slow, "columns");
    m->past_length = ort_input(m->slow, "past_length");
    m->new_length = ort_input(m->slow, "new_length");
    m->hidden = ort_output(m->slow, "hidden");
    m->logits = ort_output(m->slow, "logits");
    m->fast_hidden = ort_input(m->fast, "hidden");
    m->fast_codes = ort_input(m->fast, "codes");
    m->fast_logits = ort_output(m->fast, "logits");
    m->n_row = (int)ort_output_dim(m->slow, m->logits, 1);
    m->n_candidate = (int)ort_output_dim(m->fast, m->fast_logits, 1);
    if (m->columns < 0 || m->past_length < 0 || m->new_length < 0 || m->hidden < 0 ||
        m->fast_hidden < 0 || m->fast_codes < 0 ||
        m->n_row != m->s.semantic_end - m->s.semantic_begin + 2 || m->n_candidate < 1 ||
        m->n_candidate > m->s.codebook_size)
        return err_set(e, ERR_FORMAT, "the graphs are not those of this model; export it again");
    int rc = ort_lm_layers(m->slow, m->s.slow.n_layer, &m->past, &m->fresh, e);
    return rc < 0 ? rc
                  : ort_lm_layers(m->fast, m->s.fast.n_layer, &m->fast_past, &m->fast_fresh, e);
}

static int ort_lm_room(struct ort_lm *m, struct err *e)
{
    size_t n = (size_t)m->max_batch,
           wide = (size_t)(m->n_row > m->n_candidate ? m->n_row : m->n_candidate);
    m->fast_rows = mem_try(
        2 * (size_t)m->s.fast.n_layer * (size_t)m->s.n_codebook * n * ort_width(&m->s.fast) + 1,
        sizeof(float));
    m->some_hidden = mem_try(n * (size_t)m->s.slow.dim, sizeof(float));
    m->some_logits = mem_try(n * wide, sizeof(float));
    m->some_columns = mem_try(n * (size_t)(1 + m->s.n_codebook), sizeof(int32_t));
    return m->fast_rows && m->some_hidden && m->some_logits && m->some_columns
               ? 0
               : err_set(e, ERR_MEMORY, "out of memory for the language model");
}

/* --- slow --- */

/* One sequence: n columns of f from the i-th on. */
static void ort_lm_alone(struct ort_lm *m, const struct lm_feed *f, struct lm_plain *p, int i,
                         int n)
{
    const struct spec_transformer *s = &m->s.slow;
    int64_t past = p->length, fresh = n, one[1] = {1}, dim = s->dim, rows = m->n_row;
    int64_t columns[3] = {1, n, 1 + m->s.n_codebook};
    int64_t before[4] = {past, 1, s->n_head_kv, s->head_dim},
            behind[4] = {n, 1, before[2], before[3]};
    size_t width = ort_width(s);
    ort_in(m->slow, m->columns, f->columns + i * (1 + m->s.n_codebook), ONNX_INT32, 3, columns);
    ort_in(m->slow, m->past_length, &past, ONNX_INT64, 1, one);
    ort_in(m->slow, m->new_length, &fresh, ONNX_INT64, 1, one);
    for (int k = 0; k < 2 * s->n_layer; k++) {
        float *row = p->rows + (size_t)k * (size_t)p->capacity * width;
        ort_in(m->slow, m->past[k], row, ONNX_FLOAT, 4, before);
        ort_out(m->slow, m->fresh[k], row + (size_t)past * width, 4, behind);
    }
    ort_out(m->slow, m->hidden, m->some_hidden, 2, (int64_t[]){1, dim});
    ort_out(m->slow, m->logits, m->some_logits, 2, (int64_t[]){1, rows});
    if (ort_run(m->slow) < 0) {
        memset(m->some_hidden, 0, (size_t)dim * sizeof(float));
        memset(m->some_logits, 0, (size_t)rows * sizeof(float));
    }
    p->length += n;
    p->stamp = ++m->stamp;
    if (f->hidden)
        memcpy(f->hidden, m->some_hidden, (size_t)dim * sizeof(float));
    if (f->logits)
        memcpy(f->logits, m->some_logits, (size_t)rows * sizeof(float));
}

/* The group's array of these sequences; false: there is no memory for it. */
static bool ort_lm_gather(struct ort_lm *m, struct lm_plain *const *p, int n)
{
    struct ort_group *g = &m->group;
    size_t width = ort_width(&m->s.slow), B = (size_t)n, n_array = 2 * (size_t)m->s.slow.n_layer;
    bool same = g->n == n && g->length < g->cap;
    int longest = 0;
    for (int b = 0; b < n; b++) {
        same = same && g->stamp[b] == p[b]->stamp;
        longest = p[b]->length > longest ? p[b]->length : longest;
    }
    if (same)
        return true;
    mem_pages_free(g->rows, g->n_bytes);
    g->n = n;
    g->length = longest;
    g->cap = longest + GROUP_EXTRA;
    g->n_bytes = n_array * (size_t)g->cap * B * width * sizeof(float);
    g->rows = mem_pages_new(g->n_bytes);
    if (!g->rows) {
        g->n = 0;
        return false;
    }
    for (size_t k = 0; k < n_array; k++)
        for (size_t b = 0; b < B; b++) {
            const float *from = p[b]->rows + k * (size_t)p[b]->capacity * width;
            float *to = g->rows + k * (size_t)g->cap * B * width + b * width;
            size_t skip = (size_t)(longest - p[b]->length);
            for (size_t t = 0; t < (size_t)p[b]->length; t++)
                memcpy(to + (skip + t) * B * width, from + t * width, width * sizeof(float));
        }
    return true;
}

/* The row that a step has made, into the slots. */
static void ort_lm_scatter(struct ort_lm *m, struct lm_plain *const *p, int n)
{
    struct ort_group *g = &m->group;
    size_t width = ort_width(&m->s.slow), B = (size_t)n, n_array = 2 * (size_t)m->s.slow.n_layer;
    for (size_t b = 0; b < B; b++) {
        for (size_t k = 0; k < n_array; k++)
            memcpy(p[b]->rows + (k * (size_t)p[b]->capacity + (size_t)p[b]->length) * width,
                   g->rows + ((k * (size_t)g->cap + (size_t)g->length) * B + b) * width,
                   width * sizeof(float));
        p[b]->length++;
        p[b]->stamp = g->stamp[b] = ++m->stamp;
    }
    g->length++;
}

/* One column of each of n sequences. */
static void ort_lm_together(struct ort_lm *m, const struct lm_feed *const *f,
                            struct lm_plain *const *p, int n)
{
    const struct spec_transformer *s = &m->s.slow;
    size_t width = ort_width(s), dim = (size_t)s->dim, rows = (size_t)m->n_row;
    size_t n_column = (size_t)(1 + m->s.n_codebook);
    struct ort_group *g = &m->group;
    int64_t past[LIMIT_SLOTS], fresh[LIMIT_SLOTS], batch[1] = {n};
    int64_t before[4] = {g->length, n, s->n_head_kv, s->head_dim};
    int64_t behind[4] = {1, n, s->n_head_kv, s->head_dim};
    for (int b = 0; b < n; b++) {
        past[b] = p[b]->length;
        fresh[b] = 1;
        memcpy(m->some_columns + (size_t)b * n_column, f[b]->columns, n_column * sizeof(int32_t));
    }
    ort_in(m->slow, m->columns, m->some_columns, ONNX_INT32, 3,
           (int64_t[]){n, 1, (int64_t)n_column});
    ort_in(m->slow, m->past_length, past, ONNX_INT64, 1, batch);
    ort_in(m->slow, m->new_length, fresh, ONNX_INT64, 1, batch);
    for (int k = 0; k < 2 * s->n_layer; k++) {
        float *row = g->rows + (size_t)k * (size_t)g->cap * (size_t)n * width;
        ort_in(m->slow, m->past[k], row, ONNX_FLOAT, 4, before);
        ort_out(m->slow, m->fresh[k], row + (size_t)g->length * (size_t)n * width, 4, behind);
    }
    ort_out(m->slow, m->hidden, m->some_hidden, 2, (int64_t[]){n, s->dim});
    ort_out(m->slow, m->logits, m->some_logits, 2, (int64_t[]){n, m->n_row});
    if (ort_run(m->slow) < 0) {
        memset(m->some_hidden, 0, (size_t)n * dim * sizeof(float));
        memset(m->some_logits, 0, (size_t)n * rows * sizeof(float));
    }
    for (size_t b = 0; b < (size_t)n; b++) {
        if (f[b]->hidden)
            memcpy(f[b]->hidden, m->some_hidden + b * dim, dim * sizeof(float));
        if (f[b]->logits)
            memcpy(f[b]->logits, m->some_logits + b * rows, rows * sizeof(float));
    }
    ort_lm_scatter(m, p, n);
}

static void ort_lm_slow(void *self, const struct lm_feed *feeds, int n_feed)
{
    struct ort_lm *m = self;
    const struct lm_feed *step[LIMIT_SLOTS];
    struct lm_plain *plain[LIMIT_SLOTS];
    int n = 0;
    for (int i = 0; i < n_feed; i++) {
        const struct lm_feed *f = &feeds[i];
        struct lm_plain *p = lm_slot_plain(f->slot);
        if (f->n_column == 1 && n < m->max_batch && n < LIMIT_SLOTS) {
            step[n] = f;
            plain[n++] = p;
            continue;
        }
        for (int t = 0, k; t < f->n_column; t += k) {
            k = f->n_column - t < PROMPT_COLUMNS ? f->n_column - t : PROMPT_COLUMNS;
            ort_lm_alone(m, f, p, t, k);
        }
    }
    if (n > 1 && ort_lm_gather(m, plain, n))
        ort_lm_together(m, step, plain, n);
    else
        for (int i = 0; i < n; i++)
            ort_lm_alone(m, step[i], plain[i], 0, 1);
}

/* --- fast --- */

/* hidden [n, dim] begins a frame: it and the code stand at positions 0 and 1. */
static void ort_lm_fast(void *self, const float *hidden, const int32_t *code, int n, int k,
                        float *logits)
{
    struct ort_lm *m = self;
    const struct spec_transformer *s = &m->s.fast;
    size_t width = ort_width(s), out = (size_t)m->n_candidate;
    int past = hidden ? 0 : k, fresh = hidden ? 2 : 1;
    int64_t before[4] = {past, n, s->n_head_kv, s->head_dim};
    int64_t behind[4] = {fresh, n, s->n_head_kv, s->head_dim};
    ort_in(m->fast, m->fast_hidden, hidden, ONNX_FLOAT, 3,
           (int64_t[]){n, hidden ? 1 : 0, m->s.slow.dim});
    ort_in(m->fast, m->fast_codes, code, ONNX_INT32, 2, (int64_t[]){n, 1});
    for (int i = 0; i < 2 * s->n_layer; i++) {
        float *row = m->fast_rows + (size_t)i * (size_t)m->s.n_codebook * (size_t)n * width;
        ort_in(m->fast, m->fast_past[i], row, ONNX_FLOAT, 4, before);
        ort_out(m->fast, m->fast_fresh[i], row + (size_t)past * (size_t)n * width, 4, behind);
    }
    ort_out(m->fast, m->fast_logits, m->some_logits, 2, (int64_t[]){n, m->n_candidate});
    if (ort_run(m->fast) < 0)
        memset(m->some_logits, 0, (size_t)n * out * sizeof(float));
    for (size_t b = 0; b < (size_t)n; b++)
        memcpy(logits + b * (size_t)m->s.codebook_size, m->some_logits + b * out,
               out * sizeof(float));
}

/* --- the driver --- */

int ort_lm_new(struct ort *o, const char *dir, const struct spec_lm *s, int max_batch,
               struct lm_driver *ret, struct err *e)
{
    struct ort_lm *m = mem_try(1, sizeof *m);
    if (!m)
        return err_set(e, ERR_MEMORY, "out of memory for the language model");
    m->s = *s;
    m->max_batch = max_batch;
    struct lm_driver d = {.self = m, .slow = ort_lm_slow, .fast = ort_lm_fast};
    int rc = ort_graph_open(o, dir, "slow", &m->slow, e);
    if (rc == 0)
        rc = ort_graph_open(o, dir, "fast", &m->fast, e);
    if (rc == 0)
        rc = ort_lm_match(m, e);
    if (rc == 0)
        rc = ort_lm_room(m, e);
    if (rc < 0)
        ort_lm_free(&d);
    else
        *ret = d;
    return rc;
}

void ort_lm_free(struct lm_driver *d)
{
    struct ort_lm *m = d->self;
    if (!m)
        return;
    ort_graph_close(m->slow);
    ort_graph_close(m->fast);
    mem_pages_free(m->group.rows, m->group.n_bytes);
    mem_free(m->past);
    mem_free(m->fresh);
    mem_free(m->fast_past);
    mem_free(m->fast_fresh);
    mem_free(m->fast_rows);
    mem_free(m->some_hidden);
    mem_free(m->some_logits);
    mem_free(m->some_columns);
    mem_free(m);
    d->self = NULL;
}
