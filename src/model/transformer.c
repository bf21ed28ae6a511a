#include "model/transformer.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/load.h"

struct layer {
    struct kern_linear qkv, o, gate_up, down;
    struct kern_norm attn_norm, ffn_norm; /* of dim */
    struct kern_norm q_norm, k_norm;      /* of head_dim; with qk_norm */
    const float *attn_scale, *ffn_scale;  /* [dim] or NULL */
};

struct transformer {
    struct spec_transformer s;
    struct layer *layers;
    struct kern_norm norm; /* of dim */
    const float *table;    /* [n_position, head_dim/2, 2] */
};

struct transformer_kv {
    int n_layer, capacity;
    size_t bytes; /* of k, or of v, of one layer */
    void *pages;
    struct kern_kv layer[];
};

struct transformer_scratch {
    int max_row;
    float *qkv;     /* [max_row, (H + 2K) D] */
    float *heads;   /* [max_row, H D] */
    float *gate_up; /* [max_row, 2 F] */
    float *ff;      /* [max_row, F] */
    struct kern_attend_row *rows;
    const struct transformer_watch *watch; /* NULL: none */
};

/* --- loading --- */

/* Gate and up rows stand in two tensors; one matrix of both serves silu(w1 x) * w3 x in one pass.
 */
static int load_gate_up(const struct load *l, int i, const struct spec_transformer *s,
                        struct kern_linear *ret, struct err *e)
{
    char name[64];
    const struct gguf_tensor *t[2];
    int64_t ne[2] = {s->dim, s->n_ff};
    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "blk.%d.ffn_%s.weight", i, k ? "up" : "gate");
        t[k] = load_find(l, name, ne, 2, e);
        if (!t[k])
            return ERR_FORMAT;
    }
    if (t[0]->type != t[1]->type)
        return err_set(e, ERR_FORMAT, "%sblk.%d: ffn_gate and ffn_up differ in type", l->prefix, i);
    char *rows = mem_try(2, t[0]->n_bytes);
    if (!rows)
        return err_set(e, ERR_MEMORY, "out of memory for layer %d", i);
    memcpy(rows, t[0]->data, t[0]->n_bytes);
    memcpy(rows + t[0]->n_bytes, t[1]->data, t[1]->n_bytes);
    struct kern_source src = {2 * s->n_ff, s->dim, 1,         (enum kern_type)t[0]->type,
                              rows,        NULL,   t[0]->name};
    int rc = kern_linear_init(ret, l->exec, &src, l->type, l->arena, e);
    mem_free(rows);
    gguf_drop(l->g, t[0]);
    gguf_drop(l->g, t[1]);
    return rc;
}

struct layer_matrix { /* one of a layer's */
    const char *what;
    int n_out, n_in;
    bool bias;
};

static int layer_linear(const struct load *l, int i, const struct layer_matrix *m,
                        struct kern_linear *ret, struct err *e)
{
    char name[64], bias[64];
    int shape[3] = {m->n_out, 1, m->n_in};
    snprintf(name, sizeof name, "blk.%d.%s.weight", i, m->what);
    snprintf(bias, sizeof bias, "blk.%d.%s.bias", i, m->what);
    return load_linear(l, name, m->bias ? bias : NULL, ret, shape, e);
}

static int layer_vector(const struct load *l, int i, const char *what, int n, const float **ret,
                        struct err *e)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%s.weight", i, what);
    return load_vector(l, name, (size_t)n, ret, e);
}

static int layer_norm(const struct load *l, int i, const char *what, struct kern_norm *ret,
                      struct err *e)
{
    return layer_vector(l, i, what, ret->n, &ret->w, e);
}

static int load_layer(const struct load *l, int i, const struct spec_transformer *s,
                      struct layer *y, struct err *e)
{
    int heads = s->n_head * s->head_dim, kv = s->n_head_kv * s->head_dim, rc;
    struct layer_matrix qkv = {"attn_qkv", heads + 2 * kv, s->dim, s->qkv_bias};
    struct layer_matrix out = {"attn_output", s->dim, heads, s->o_bias};
    struct layer_matrix down = {"ffn_down", s->dim, s->n_ff, false};
    y->attn_norm = y->ffn_norm = (struct kern_norm){.eps = s->norm_eps, .n = s->dim};
    y->q_norm = y->k_norm = (struct kern_norm){.eps = s->norm_eps, .n = s->head_dim};
    if ((rc = layer_norm(l, i, "attn_norm", &y->attn_norm, e)) < 0 ||
        (rc = layer_norm(l, i, "ffn_norm", &y->ffn_norm, e)) < 0 ||
        (rc = layer_linear(l, i, &qkv, &y->qkv, e)) < 0 ||
        (rc = layer_linear(l, i, &out, &y->o, e)) < 0 ||
        (rc = load_gate_up(l, i, s, &y->gate_up, e)) < 0 ||
        (rc = layer_linear(l, i, &down, &y->down, e)) < 0)
        return rc;
    if (s->qk_norm && ((rc = layer_norm(l, i, "attn_q_norm", &y->q_norm, e)) < 0 ||
                       (rc = layer_norm(l, i, "attn_k_norm", &y->k_norm, e)) < 0))
        return rc;
    if (s->layer_scale && ((rc = layer_vector(l, i, "attn_scale", s->dim, &y->attn_scale, e)) < 0 ||
                           (rc = layer_vector(l, i, "ffn_scale", s->dim, &y->ffn_scale, e)) < 0))
        return rc;
    return 0;
}

int transformer_load(const struct load *l, const struct spec_transformer *s,
                     struct transformer **ret, struct err *e)
{
    struct transformer *t = mem_arena_alloc(l->arena, sizeof *t);
    float *table =
        mem_arena_alloc(l->arena, (size_t)s->n_position * (size_t)s->head_dim * sizeof *table);
    struct layer *layers = mem_arena_alloc(l->arena, (size_t)s->n_layer * sizeof *layers);
    int rc;
    if (!t || !table || !layers)
        return err_set(e, ERR_MEMORY, "out of memory for a transformer");
    t->s = *s;
    t->layers = layers;
    t->table = table;
    kern_rope_table(s->rope_base, s->head_dim, s->n_position, table);
    for (int i = 0; i < s->n_layer; i++)
        if ((rc = load_layer(l, i, s, &layers[i], e)) < 0)
            return rc;
    t->norm = (struct kern_norm){.eps = s->norm_eps, .n = s->dim};
    if ((rc = load_vector(l, "output_norm.weight", (size_t)s->dim, &t->norm.w, e)) < 0)
        return rc;
    *ret = t;
    return 0;
}

/* --- cache and scratch --- */

static size_t layer_bytes(const struct spec_transformer *s, int capacity, enum kern_type type)
{
    size_t n = kern_kv_bytes(type, s->n_head_kv, s->head_dim, capacity);
    return (n + 4095) / 4096 * 4096;
}

size_t transformer_kv_bytes(const struct spec_transformer *s, int capacity, enum kern_type type)
{
    return layer_bytes(s, capacity, type) * 2 * (size_t)s->n_layer;
}

int transformer_kv_new(const struct transformer *t, int capacity, enum kern_type type,
                       struct transformer_kv **ret, struct err *e)
{
    size_t n = (size_t)t->s.n_layer;
    struct transformer_kv *kv = mem_try(1, sizeof *kv + n * sizeof kv->layer[0]);
    if (!kv)
        return err_set(e, ERR_MEMORY, "out of memory for a cache");
    kv->n_layer = t->s.n_layer;
    kv->capacity = capacity;
    kv->bytes = layer_bytes(&t->s, capacity, type);
    kv->pages = n ? mem_pages_new(kv->bytes * 2 * n) : NULL;
    if (n && !kv->pages) {
        mem_free(kv);
        return err_set(e, ERR_MEMORY, "out of memory for a cache of %d positions", capacity);
    }
    for (size_t i = 0; i < n; i++) {
        char *k = (char *)kv->pages + 2 * i * kv->bytes;
        kv->layer[i] =
            (struct kern_kv){k, k + kv->bytes, type, t->s.n_head_kv, t->s.head_dim, capacity};
    }
    *ret = kv;
    return 0;
}

/* Bytes of n positions of one head. */
static size_t head_bytes(const struct kern_kv *kv, int n)
{
    return kern_type_row_bytes(kv->type, (size_t)n * (size_t)kv->head_dim);
}

size_t transformer_kv_span_bytes(const struct transformer_kv *kv, int n)
{
    return kv->n_layer ? 2 * (size_t)kv->n_layer * (size_t)kv->layer[0].n_head *
                             head_bytes(&kv->layer[0], n)
                       : 0;
}

void transformer_kv_save(const struct transformer_kv *kv, int n, void *out)
{
    char *to = out;
    assert(n <= kv->capacity);
    for (int i = 0; i < kv->n_layer * 2; i++) {
        const struct kern_kv *y = &kv->layer[i / 2];
        const char *from = i % 2 ? y->v : y->k;
        for (int h = 0; h < y->n_head; h++, to += head_bytes(y, n))
            memcpy(to, from + (size_t)h * head_bytes(y, y->capacity), head_bytes(y, n));
    }
}

void transformer_kv_load(struct transformer_kv *kv, int n, const void *in)
{
    const char *from = in;
    assert(n <= kv->capacity);
    for (int i = 0; i < kv->n_layer * 2; i++) {
        struct kern_kv *y = &kv->layer[i / 2];
        char *to = i % 2 ? y->v : y->k;
        for (int h = 0; h < y->n_head; h++, from += head_bytes(y, n))
            memcpy(to + (size_t)h * head_bytes(y, y->capacity), from, head_bytes(y, n));
    }
}

void transformer_kv_reset(struct transformer_kv *kv)
{
    mem_pages_drop(kv->pages, kv->bytes * 2 * (size_t)kv->n_layer);
}

void transformer_kv_free(struct transformer_kv *kv)
{
    if (!kv)
        return;
    mem_pages_free(kv->pages, kv->bytes * 2 * (size_t)kv->n_layer);
    mem_free(kv);
}

int transformer_scratch_new(const struct spec_transformer *s, int max_row, struct mem_arena *arena,
                            struct transformer_scratch **ret, struct err *e)
{
    struct transformer_scratch *x = mem_arena_array(arena, 1, sizeof *x);
    size_t n = (size_t)max_row, d = (size_t)s->head_dim;
    if (x) {
        x->max_row = max_row;
        x->qkv =
            mem_arena_array(arena, n * (size_t)(s->n_head + 2 * s->n_head_kv) * d, sizeof(float));
        x->heads = mem_arena_array(arena, n * (size_t)s->n_head * d, sizeof(float));
        x->gate_up = mem_arena_array(arena, n * 2 * (size_t)s->n_ff, sizeof(float));
        x->ff = mem_arena_array(arena, n * (size_t)s->n_ff, sizeof(float));
        x->rows = mem_arena_array(arena, n, sizeof *x->rows);
    }
    if (mem_arena_failed(arena))
        return err_set(e, ERR_MEMORY, "out of memory for the scratch of %d rows", max_row);
    *ret = x;
    return 0;
}

void transformer_scratch_watch(struct transformer_scratch *s, const struct transformer_watch *w)
{
    s->watch = w;
}

/* --- forward --- */

/* The k-th key of one head as floats. */
static void transformer_key(const struct kern_kv *kv, int head, int position, float *to)
{
    size_t d = (size_t)kv->head_dim;
    size_t i = (size_t)head * (size_t)kv->capacity + (size_t)(position % kv->capacity);
    const char *row = (const char *)kv->k + i * kern_type_row_bytes(kv->type, d);
    if (kv->type != KERN_Q8_0) {
        kern_to_f32(kv->type, row, to, d);
        return;
    }
    const int8_t *v = (const int8_t *)row + d / 32 * 2; /* scales first: kern.h */
    for (size_t block = 0; block < d / 32; block++) {
        float scale;
        kern_to_f32(KERN_F16, row + 2 * block, &scale, 1);
        for (size_t k = 0; k < 32; k++)
            to[32 * block + k] = scale * (float)v[32 * block + k];
    }
}

/* softmax(q . k / sqrt(D)) over the span. */
static void transformer_focus(const struct kern_kv *kv, const float *q, int head,
                              const struct transformer_span *span, float *out)
{
    float key[LIMIT_HEAD_DIM], max = -INFINITY, sum = 0;
    int n = span->to - span->from;
    for (int p = 0; p < n; p++) {
        float dot = 0;
        transformer_key(kv, head, span->from + p, key);
        for (int k = 0; k < kv->head_dim; k++)
            dot += q[k] * key[k];
        out[p] = dot / sqrtf((float)kv->head_dim);
        max = out[p] > max ? out[p] : max;
    }
    for (int p = 0; p < n; p++)
        sum += out[p] = expf(out[p] - max);
    for (int p = 0; p < n; p++)
        out[p] /= sum;
}

static void transformer_look(const struct transformer *t, int i, const struct transformer_rows *r,
                             const struct kern_heads *q, const struct transformer_watch *w)
{
    size_t d = (size_t)t->s.head_dim;
    int group = t->s.n_head / t->s.n_head_kv;
    for (int h = 0; h < w->n_head; h++) {
        int head = w->heads[h].head;
        for (int j = 0; j < r->n_row && w->heads[h].layer == i; j++) {
            const struct transformer_span *s = &w->span[j];
            if (s->out)
                transformer_focus(&r->kv[j]->layer[i],
                                  q->p + (size_t)j * q->stride + (size_t)head * d, head / group, s,
                                  s->out + (size_t)h * (size_t)(s->to - s->from));
        }
    }
}

static void attention(const struct transformer *t, int i, const struct transformer_rows *r,
                      float *x, struct transformer_scratch *s, struct kern_exec *exec)
{
    const struct spec_transformer *c = &t->s;
    const struct layer *y = &t->layers[i];
    size_t d = (size_t)c->head_dim, q_len = (size_t)c->n_head * d,
           kv_len = (size_t)c->n_head_kv * d;
    size_t stride = q_len + 2 * kv_len;
    struct kern_heads q = {s->qkv, stride, r->n_row, c->n_head, c->head_dim};
    struct kern_heads k = {s->qkv + q_len, stride, r->n_row, c->n_head_kv, c->head_dim};
    struct kern_call qkv = {.in = x, .out = s->qkv, .n_row = r->n_row, .norm = &y->attn_norm};
    struct kern_call out = {
        .in = s->heads, .out = x, .n_row = r->n_row, .epilogue = KERN_ADD, .scale = y->attn_scale};

    kern_linear_run(exec, &y->qkv, &qkv);
    if (c->qk_norm) {
        kern_head_norm(exec, &y->q_norm, &q);
        kern_head_norm(exec, &y->k_norm, &k);
    }
    kern_rope(exec, &q, t->table, r->position);
    kern_rope(exec, &k, t->table, r->position);
    for (int j = 0; j < r->n_row; j++) {
        int p = r->position[j];
        const struct kern_kv *kv = &r->kv[j]->layer[i];
        const float *key = k.p + (size_t)j * stride;
        kern_kv_store(exec, kv, p, key, key + kv_len);
        s->rows[j] =
            (struct kern_attend_row){kv, c->window && p >= c->window ? p - c->window + 1 : 0, p};
    }
    kern_attend(exec, &q, s->rows, s->heads);
    if (s->watch)
        transformer_look(t, i, r, &q, s->watch);
    kern_linear_run(exec, &y->o, &out);
}

static void feed_forward(const struct transformer *t, int i, int n_row, float *x,
                         struct transformer_scratch *s, struct kern_exec *exec)
{
    const struct spec_transformer *c = &t->s;
    const struct layer *y = &t->layers[i];
    struct kern_call gate_up = {.in = x, .out = s->gate_up, .n_row = n_row, .norm = &y->ffn_norm};
    struct kern_call down = {
        .in = s->ff, .out = x, .n_row = n_row, .epilogue = KERN_ADD, .scale = y->ffn_scale};

    kern_linear_run(exec, &y->gate_up, &gate_up);
    kern_silu_mul(exec, s->gate_up, n_row, c->n_ff, s->ff);
    kern_linear_run(exec, &y->down, &down);
}

void transformer_layer(const struct transformer *t, int i_layer, const struct transformer_rows *r,
                       float *x, struct transformer_scratch *s, struct kern_exec *exec)
{
    assert(r->n_row <= s->max_row);
    attention(t, i_layer, r, x, s, exec);
    feed_forward(t, i_layer, r->n_row, x, s, exec);
}

void transformer_run(const struct transformer *t, const struct transformer_rows *r, float *x,
                     struct transformer_scratch *s, struct kern_exec *exec)
{
    for (int i = 0; i < t->s.n_layer; i++)
        transformer_layer(t, i, r, x, s, exec);
}

void transformer_head(const struct transformer *t, const struct kern_linear *head,
                      const struct kern_call *call, struct kern_exec *exec)
{
    struct kern_call c = *call;
    c.norm = &t->norm;
    kern_linear_run(exec, head, &c);
}

void transformer_norm(const struct transformer *t, const float *x, int n_row, float *out,
                      struct kern_exec *exec)
{
    kern_rms_norm(exec, &t->norm, x, n_row, out);
}
