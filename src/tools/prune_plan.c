/* What of a model can go. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tools/prune.h"

#define BLOCK 32 /* columns that stay are a multiple: types in blocks stay possible */

struct prune_matrix *prune_find(const struct prune *p, const char *tensor)
{
    for (int i = 0; i < p->n_matrix; i++)
        if (strcmp(p->matrix[i].name, tensor) == 0)
            return &p->matrix[i];
    return NULL;
}

int prune_kept(const struct prune_matrix *m)
{
    return m->n_keep * m->unit;
}

int prune_layer_number(const struct prune_stack *k, int layer)
{
    int n = 0;
    for (int i = 0; i < layer; i++)
        n += !k->gone[i];
    return k->gone[layer] ? -1 : n;
}

static int plan_share(const struct prune *p, int n, int block)
{
    int k = (int)lrint(p->keep * n / block) * block;
    return k < block ? (block < n ? block : n) : k < n ? k : n;
}

static void plan_length(struct prune *p, const char *stack, const char *what, int value)
{
    struct prune_length *l = &p->length[p->n_length++];
    snprintf(l->key, sizeof l->key, "openaudio-s1.%s%s", stack, what);
    l->value = value;
}

/* The matrix of that name, whole; NULL: the file has none, or memory is out. */
static struct prune_matrix *plan_matrix(struct prune *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static struct prune_matrix *plan_matrix(struct prune *p, const char *format, ...)
{
    if (p->n_matrix == p->max_matrix) {
        struct prune_matrix *more =
            mem_grow(p->matrix, 2 * (size_t)p->max_matrix + 64, sizeof *more);
        if (!more)
            return NULL;
        p->matrix = more;
        p->max_matrix = 2 * p->max_matrix + 64;
    }
    struct prune_matrix *m = &p->matrix[p->n_matrix];
    va_list args;
    memset(m, 0, sizeof *m);
    va_start(args, format);
    vsnprintf(m->name, sizeof m->name, format, args);
    va_end(args);
    const struct gguf_tensor *t = gguf_find(p->model.file, m->name);
    if (!t)
        return NULL;
    m->n_in = (int)t->ne[0];
    m->n_out = (int)t->ne[t->n_dim - 1];
    m->unit = 1;
    m->n_keep = m->n_in;
    p->n_matrix++;
    return m;
}

static void plan_source(struct prune_matrix *m, int from, int n, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void plan_source(struct prune_matrix *m, int from, int n, const char *format, ...)
{
    struct prune_source *s = &m->source[m->n_source++];
    va_list args;
    va_start(args, format);
    vsnprintf(s->tensor, sizeof s->tensor, format, args);
    va_end(args);
    s->from = from;
    s->n = n;
}

/* --- transformers --- */

static void plan_feed_forward(struct prune *p, const char *prefix, const struct spec_transformer *s)
{
    int n_keep = plan_share(p, s->n_ff, BLOCK);
    for (int i = 0; i < s->n_layer; i++) {
        struct prune_matrix *m = plan_matrix(p, "%sblk.%d.ffn_down.weight", prefix, i);
        if (!m)
            return;
        m->n_keep = n_keep;
        plan_source(m, 0, 1, "%sblk.%d.ffn_gate.weight", prefix, i);
        plan_source(m, 0, 1, "%sblk.%d.ffn_up.weight", prefix, i);
    }
    plan_length(p, prefix, "feed_forward_length", n_keep);
}

/* A key head, its value head and the query heads that share them. */
static void plan_heads(struct prune *p, const char *prefix, const struct spec_transformer *s)
{
    int group = s->n_head / s->n_head_kv, D = s->head_dim, n_keep = plan_share(p, s->n_head_kv, 1);
    static const char *const parts[] = {"weight", "bias"};
    for (int i = 0; i < s->n_layer; i++) {
        struct prune_matrix *m = plan_matrix(p, "%sblk.%d.attn_output.weight", prefix, i);
        if (!m)
            return;
        m->unit = group * D;
        m->n_keep = n_keep;
        for (int k = 0; k < 1 + s->qkv_bias; k++) {
            int kv = s->n_head * D;
            plan_source(m, 0, m->unit, "%sblk.%d.attn_qkv.%s", prefix, i, parts[k]);
            plan_source(m, kv, D, "%sblk.%d.attn_qkv.%s", prefix, i, parts[k]);
            plan_source(m, kv + s->n_head_kv * D, D, "%sblk.%d.attn_qkv.%s", prefix, i, parts[k]);
        }
    }
    plan_length(p, prefix, "attention.head_count", n_keep * group);
    plan_length(p, prefix, "attention.head_count_kv", n_keep);
}

static void plan_weights(struct prune *p, const char *prefix, const struct spec_transformer *s)
{
    static const char *const names[] = {"attn_qkv", "attn_output", "ffn_down", "ffn_gate",
                                        "ffn_up"};
    for (int i = 0; i < s->n_layer; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            plan_matrix(p, "%sblk.%d.%s.weight", prefix, i, names[k]);
}

/* --- codec --- */

static void plan_channels(struct prune *p)
{
    const struct spec_codec *s = &p->model.spec.codec;
    struct prune_matrix *m;
    plan_feed_forward(p, "codec.post.", &s->post);
    for (int i = 0; i < s->n_factor; i++)
        if ((m = plan_matrix(p, "codec.up.%d.pw2.weight", i))) {
            m->n_keep = plan_share(p, m->n_in, BLOCK);
            plan_source(m, 0, 1, "codec.up.%d.pw1.weight", i);
            plan_source(m, 0, 1, "codec.up.%d.pw1.bias", i);
        }
    for (int i = 0; i < 3 * s->n_rate; i++) {
        int b = i / 3, u = i % 3;
        char name[80];
        snprintf(name, sizeof name, "codec.dec.%d.res.%d.conv2.weight", b, u);
        const struct gguf_tensor *t = gguf_find(p->model.file, name);
        if (!t || (t->n_dim == 3 && t->ne[1] != 1) || !(m = plan_matrix(p, "%s", name)))
            continue; /* of several taps: its inputs are not what least squares is over here */
        m->n_keep = plan_share(p, m->n_in, BLOCK);
        plan_source(m, 0, 1, "codec.dec.%d.res.%d.conv1.weight", b, u);
        plan_source(m, 0, 1, "codec.dec.%d.res.%d.conv1.bias", b, u);
        plan_source(m, 0, 1, "codec.dec.%d.res.%d.snake2.alpha", b, u);
    }
}

/* --- layers --- */

/* The first stays, since nothing before it could take over; what the last gives is not seen. */
static int plan_layers(struct prune *p, struct prune_stack *k, struct err *e)
{
    int n = k->s->n_layer, n_keep = plan_share(p, n, 1);
    for (int left = n; left > n_keep && left > 2; left--) {
        int best = -1;
        for (int i = 1; i + 1 < n; i++)
            if (!k->gone[i] && (best < 0 || k->turn[i] < k->turn[best]))
                best = i;
        k->gone[best] = true;
    }
    plan_length(p, k->prefix, "block_count", n_keep < 2 ? n < 2 ? n : 2 : n_keep);
    for (int i = 0; i + 1 < n; i++)
        if (!k->gone[i] && k->gone[i + 1]) {
            struct prune_matrix *m = plan_matrix(p, "%sblk.%d.ffn_down.weight", k->prefix, i);
            if (m)
                m->cross = mem_try((size_t)m->n_in * (size_t)m->n_out, sizeof *m->cross);
            if (!m || !m->cross)
                return err_set(e, ERR_MEMORY, "out of memory for %sblk.%d", k->prefix, i);
        }
    return 0;
}

/* --- all --- */

static int plan_memory(struct prune *p, struct err *e)
{
    for (int i = 0; i < p->n_matrix; i++) {
        struct prune_matrix *m = &p->matrix[i];
        size_t n = (size_t)m->n_in;
        const char *up = strstr(m->name, "ffn_up.");
        if (up && i > 0) /* planned behind its gate, which has the same inputs */
            m->like = m - 1;
        else
            m->products = mem_try(n * n, sizeof *m->products);
        m->gone = mem_try(n, sizeof *m->gone);
        if ((!m->like && !m->products) || !m->gone)
            return err_set(e, ERR_MEMORY, "out of memory for the products of %s", m->name);
    }
    return 0;
}

int prune_plan_layers(struct prune *p, struct err *e)
{
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = plan_layers(p, &p->stack[i], e);
    return rc < 0 ? rc : plan_memory(p, e);
}

static int plan_stack(struct prune *p, struct prune_stack *k, struct err *e)
{
    size_t n = (size_t)k->s->n_layer, rows = (size_t)p->model.spec.lm.slow.n_position;
    k->turn = mem_try(n, sizeof *k->turn);
    k->gone = mem_try(n, sizeof *k->gone);
    if (p->part == PRUNE_LAYERS) {
        k->x = mem_try(2 * rows * (size_t)k->s->dim, sizeof *k->x);
        k->act = mem_try(rows * (size_t)k->s->n_ff, sizeof *k->act);
    }
    return k->turn && k->gone && (p->part != PRUNE_LAYERS || (k->x && k->act))
               ? 0
               : err_set(e, ERR_MEMORY, "out of memory for layers");
}

int prune_plan(struct prune *p, struct err *e)
{
    static void (*const plans[])(struct prune *, const char *, const struct spec_transformer *) = {
        [PRUNE_FEED_FORWARD] = plan_feed_forward,
        [PRUNE_HEADS] = plan_heads,
        [PRUNE_WEIGHTS] = plan_weights,
        [PRUNE_PAIRS] = plan_weights};
    int rc = 0;
    p->stack[0] = (struct prune_stack){.prefix = "", .s = &p->model.spec.lm.slow};
    p->stack[1] = (struct prune_stack){.prefix = "fast.", .s = &p->model.spec.lm.fast};
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = plan_stack(p, &p->stack[i], e);
    if (rc < 0 || p->part == PRUNE_LAYERS)
        return rc;
    for (int i = 0; i < 2 && p->part != PRUNE_CODEC; i++)
        plans[p->part](p, p->stack[i].prefix, p->stack[i].s);
    if (p->part == PRUNE_CODEC)
        plan_channels(p);
    return p->n_matrix > 0
               ? plan_memory(p, e)
               : err_set(e, ERR_UNSUPPORTED, "this model has nothing of that kind to take out");
}

void prune_done(struct prune *p)
{
    for (int i = 0; i < p->n_matrix; i++) {
        mem_free(p->matrix[i].products);
        mem_free(p->matrix[i].cross);
        mem_free(p->matrix[i].gone);
        mem_free(p->matrix[i].weights);
    }
    mem_free(p->matrix);
    for (int i = 0; i < 2; i++) {
        mem_free(p->stack[i].turn);
        mem_free(p->stack[i].gone);
        mem_free(p->stack[i].x);
        mem_free(p->stack[i].act);
    }
}
