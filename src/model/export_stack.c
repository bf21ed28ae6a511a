/* A stack of transformer blocks, as src/model/transformer.c computes it. */
#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "kernels/kern.h"
#include "model/export_parts.h"

struct rotary {
    const char *cos, *sin; /* [B or 1, T, 1, D / 2, 1] */
};

static void export_past_name(const struct export_stack *k, int i, bool value, char *to, size_t n)
{
    snprintf(to, n, "%s%d.%s", k->name, i, value ? "value" : "key");
}

static void export_past_dims(const struct export_stack *k, char text[2][16], const char **dims)
{
    snprintf(text[0], 16, "%d", k->s->n_head_kv);
    snprintf(text[1], 16, "%d", k->s->head_dim);
    dims[1] = k->batch;
    dims[2] = text[0];
    dims[3] = text[1];
}

void export_stack_inputs(struct export *x, const struct export_stack *k, const char *past)
{
    char name[64], text[2][16];
    const char *dims[4] = {past};
    export_past_dims(k, text, dims);
    for (int i = 0; i < 2 * k->s->n_layer; i++) {
        export_past_name(k, i / 2, i % 2, name, sizeof name);
        onnx_input(x->g, name, ONNX_FLOAT, 4, dims);
    }
}

const char *export_stack_past(struct export *x, const struct export_stack *k)
{
    char name[64];
    export_past_name(k, 0, false, name, sizeof name);
    return export_dim(x, name, 0);
}

/* Cosines and sines of the positions (kern_rope_table). */
static struct rotary export_rotary(struct export *x, const struct export_stack *k)
{
    int half = k->s->head_dim / 2, n = k->s->n_position;
    size_t n_value = (size_t)n * (size_t)half;
    float *both = mem_try(2 * n_value, sizeof *both), *one = mem_try(n_value, sizeof *one);
    const char *value[2] = {NULL, NULL};
    if (!both || !one)
        err_set(&x->err, ERR_MEMORY, "out of memory for a rotary table");
    else
        kern_rope_table(k->s->rope_base, k->s->head_dim, n, both);
    for (int i = 0; i < 2 && both && one; i++) {
        char name[96];
        snprintf(name, sizeof name, "%srope.%s", x->prefix, i ? "sin" : "cos");
        for (size_t j = 0; j < n_value; j++)
            one[j] = both[2 * j + (size_t)i];
        const char *table = export_table(x, name, n, half, one);
        const char *rows = onnx_node(x->g, "Gather", 2, table, k->position);
        value[i] = export_unsqueeze(x, rows, 2, (const int64_t[]){2, 4});
    }
    mem_free(both);
    mem_free(one);
    return (struct rotary){value[0], value[1]};
}

/* Neighbouring pairs of in [B, T, n_head, D]. */
static const char *export_rotate(struct export *x, const char *in, const struct rotary *r,
                                 const struct spec_transformer *s, int n_head)
{
    struct onnx *g = x->g;
    const char *pairs =
        export_reshape(x, in, 5, (const int64_t[]){0, 0, n_head, s->head_dim / 2, 2});
    const char *a = onnx_node(g, "Split", 1, pairs);
    const char *b = onnx_more(g);
    onnx_int(g, "axis", -1);
    const char *re = onnx_node(g, "Sub", 2, onnx_node(g, "Mul", 2, a, r->cos),
                               onnx_node(g, "Mul", 2, b, r->sin));
    const char *im = onnx_node(g, "Add", 2, onnx_node(g, "Mul", 2, a, r->sin),
                               onnx_node(g, "Mul", 2, b, r->cos));
    return export_reshape(x, export_concat(x, re, im, -1), 4,
                          (const int64_t[]){0, 0, n_head, s->head_dim});
}

/* Behind what is remembered; new [B, T, K, D], the result [S, B, K, D]. */
static const char *export_remember(struct export *x, const struct export_stack *k, int i,
                                   bool value, const char *fresh)
{
    char name[64], out[80], text[2][16];
    const char *dims[4] = {k->whole ? "to_come" : "time"};
    const char *row = export_transpose(x, fresh, 4, (const int64_t[]){1, 0, 2, 3});
    export_past_name(k, i, value, name, sizeof name);
    export_past_dims(k, text, dims);
    snprintf(out, sizeof out, "%s.%s", k->whole ? "next" : "new", name);
    const char *all = export_concat(x, name, row, 0), *keep = k->whole ? all : row;
    if (k->whole && k->s->window > 0)
        keep = k->s->window > 1 ? export_slice(x, all, 0, 1 - (int64_t)k->s->window, INT_MAX)
                                : export_slice(x, all, 0, 0, 0);
    onnx_output(x->g, out, keep, ONNX_FLOAT, 4, dims);
    return all;
}

/* q [B, T, H, D], keys and values [S, B, K, D] -> [B, T, H D] */
static const char *export_attend(struct export *x, const struct export_stack *k, const char *q,
                                 const char *keys, const char *values)
{
    struct onnx *g = x->g;
    int K = k->s->n_head_kv, D = k->s->head_dim, group = k->s->n_head / K;
    static const int64_t two[1] = {2};
    q = export_scale(x, q, 1 / sqrt((double)D));
    q = export_reshape(x, q, 5, (const int64_t[]){0, 0, K, group, D});
    q = export_transpose(x, q, 5, (const int64_t[]){0, 2, 3, 1, 4});
    keys = export_transpose(x, keys, 4, (const int64_t[]){1, 2, 3, 0});
    values = export_transpose(x, values, 4, (const int64_t[]){1, 2, 0, 3});
    const char *score = onnx_node(g, "MatMul", 2, q, export_unsqueeze(x, keys, 1, two));
    const char *p = onnx_node(g, "Softmax", 1, onnx_node(g, "Add", 2, score, k->mask));
    onnx_int(g, "axis", -1);
    const char *out = onnx_node(g, "MatMul", 2, p, export_unsqueeze(x, values, 1, two));
    out = export_transpose(x, out, 5, (const int64_t[]){0, 3, 1, 2, 4});
    return export_reshape(x, out, 3, (const int64_t[]){0, 0, (int64_t)k->s->n_head * D});
}

static const char *export_attention(struct export *x, const char *in, const struct export_stack *k,
                                    const struct rotary *r, int i)
{
    const struct spec_transformer *s = k->s;
    int heads = s->n_head * s->head_dim, kv = s->n_head_kv * s->head_dim;
    struct export_linear qkv = {"attn_qkv", heads + 2 * kv, s->dim, s->qkv_bias, 0};
    struct export_linear o = {"attn_output", s->dim, heads, s->o_bias, 0};
    const char *n = export_rms_norm(x, in, "attn_norm.weight", s->dim, s->norm_eps);
    const char *all = export_linear(x, n, &qkv);
    const char *part[3];
    for (int j = 0; j < 3; j++) {
        int from = j == 0 ? 0 : j == 1 ? heads : heads + kv, n_head = j ? s->n_head_kv : s->n_head;
        part[j] = export_slice(x, all, 2, from, from + (int64_t)n_head * s->head_dim);
        part[j] = export_reshape(x, part[j], 4, (const int64_t[]){0, 0, n_head, s->head_dim});
        if (j < 2 && s->qk_norm)
            part[j] = export_rms_norm(x, part[j], j ? "attn_k_norm.weight" : "attn_q_norm.weight",
                                      s->head_dim, s->norm_eps);
        if (j < 2)
            part[j] = export_rotate(x, part[j], r, s, n_head);
    }
    const char *keys = export_remember(x, k, i, false, part[1]);
    const char *values = export_remember(x, k, i, true, part[2]);
    return export_linear(x, export_attend(x, k, part[0], keys, values), &o);
}

/* w2(silu(w1 x) * w3 x) */
static const char *export_feed_forward(struct export *x, const char *in,
                                       const struct spec_transformer *s)
{
    struct export_linear gate = {"ffn_gate", s->n_ff, s->dim, false, 0};
    struct export_linear up = {"ffn_up", s->n_ff, s->dim, false, 0};
    struct export_linear down = {"ffn_down", s->dim, s->n_ff, false, 0};
    const char *n = export_rms_norm(x, in, "ffn_norm.weight", s->dim, s->norm_eps);
    const char *a = export_linear(x, n, &gate);
    const char *silu = onnx_node(x->g, "Mul", 2, a, onnx_node(x->g, "Sigmoid", 1, a));
    return export_linear(x, onnx_node(x->g, "Mul", 2, silu, export_linear(x, n, &up)), &down);
}

static const char *export_branch(struct export *x, const char *in, const char *branch,
                                 const struct spec_transformer *s, const char *scale)
{
    if (s->layer_scale)
        branch = onnx_node(x->g, "Mul", 2, branch, export_vector(x, scale, s->dim));
    return onnx_node(x->g, "Add", 2, in, branch);
}

const char *export_stack(struct export *x, const char *in, const struct export_stack *k)
{
    char prefix[sizeof x->prefix];
    struct rotary r = {NULL, NULL};
    snprintf(prefix, sizeof prefix, "%s", x->prefix);
    if (k->s->n_layer > 0)
        r = export_rotary(x, k);
    for (int i = 0; i < k->s->n_layer && !x->err.code; i++) {
        export_at(x, "%.40sblk.%d.", prefix, i);
        in = export_branch(x, in, export_attention(x, in, k, &r, i), k->s, "attn_scale.weight");
        in = export_branch(x, in, export_feed_forward(x, in, k->s), k->s, "ffn_scale.weight");
    }
    export_at(x, "%s", prefix);
    return in;
}
