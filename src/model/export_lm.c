/* The two transformers of the language model (src/model/lm.c). */
#include <math.h>
#include <stdio.h>

#include "model/export_parts.h"

#define CANDIDATES 1024 /* residual codes are drawn from the first 1024 logits */

/* llama.py:BaseTransformer.embed of columns [B, T, 1 + Q]. */
static const char *export_embed(struct export *x, const char *columns)
{
    struct onnx *g = x->g;
    const struct spec_lm *s = &x->spec->lm;
    int Q = s->n_codebook, dim = s->slow.dim;
    int64_t last = 2;
    const char *token =
        onnx_node(g, "Squeeze", 2, export_slice(x, columns, 2, 0, 1), onnx_list(g, 1, &last));
    const char *codes = export_clip(x, export_slice(x, columns, 2, 1, 1 + Q), s->codebook_size - 1);
    const char *book = onnx_node(
        g, "Cast", 1,
        onnx_node(g, "Mul", 2,
                  export_range(x, onnx_scalar(g, ONNX_INT64, 0), onnx_scalar(g, ONNX_INT64, Q)),
                  onnx_scalar(g, ONNX_INT64, s->codebook_size)));
    onnx_int(g, "to", ONNX_INT32);
    const char *rows = export_lookup(x, onnx_node(g, "Add", 2, codes, book), "codebook_embd",
                                     Q * s->codebook_size, dim);
    const char *sum = onnx_node(g, "ReduceSum", 2, rows, onnx_list(g, 1, &last));
    onnx_int(g, "keepdims", 0);
    const char *semantic = onnx_node(
        g, "And", 2,
        onnx_node(g, "GreaterOrEqual", 2, token, onnx_scalar(g, ONNX_INT32, s->semantic_begin)),
        onnx_node(g, "LessOrEqual", 2, token, onnx_scalar(g, ONNX_INT32, s->semantic_end)));
    semantic = export_unsqueeze(x, semantic, 1, &last);
    sum = onnx_node(g, "Where", 3, semantic, sum, onnx_scalar(g, ONNX_FLOAT, 0));
    const char *embd =
        export_lookup(x, export_clip(x, token, s->n_vocab - 1), "token_embd", s->n_vocab, dim);
    embd = onnx_node(g, "Add", 2, embd, sum);
    if (!s->scale_codebook_embd)
        return embd;
    const char *by = onnx_node(g, "Where", 3, semantic,
                               onnx_scalar(g, ONNX_FLOAT, (double)sqrtf((float)(Q + 1))),
                               onnx_scalar(g, ONNX_FLOAT, 1));
    return onnx_node(g, "Div", 2, embd, by);
}

/* What each sequence sees.  Its past stands at the end of P and its columns at the end of T: of the
 * past the last past_length count, of the columns the last new_length. */
static void export_slow_places(struct export *x, struct export_stack *k)
{
    struct onnx *g = x->g;
    static const int64_t column[1] = {1}, head[2] = {1, 2}, query[1] = {0};
    const char *zero = onnx_scalar(g, ONNX_INT64, 0);
    const char *P = export_stack_past(x, k), *T = export_dim(x, "columns", 1);
    const char *S = onnx_node(g, "Add", 2, P, T);
    const char *past = export_unsqueeze(x, "past_length", 1, column); /* [B, 1] */
    const char *fresh = export_unsqueeze(x, "new_length", 1, column);
    const char *i = export_range(x, zero, T);            /* [T] */
    const char *j = export_range(x, zero, S);            /* [S] */
    const char *skip = onnx_node(g, "Sub", 2, T, fresh); /* [B, 1] columns that are none */
    const char *at = onnx_node(g, "Add", 2, onnx_node(g, "Sub", 2, i, skip), past); /* [B, T] */
    k->position = onnx_node(g, "Max", 2, at, zero);
    const char *is_past = onnx_node(g, "Less", 2, j, P);
    const char *of_past = onnx_node(g, "GreaterOrEqual", 2, j, onnx_node(g, "Sub", 2, P, past));
    const char *of_new =
        onnx_node(g, "GreaterOrEqual", 2, j, onnx_node(g, "Add", 2, P, skip)); /* [B, S] */
    const char *counts = onnx_node(g, "Or", 2, onnx_node(g, "And", 2, is_past, of_past), of_new);
    const char *row = export_unsqueeze(x, onnx_node(g, "Add", 2, i, P), 1, column); /* [T, 1] */
    const char *before = onnx_node(g, "LessOrEqual", 2, export_unsqueeze(x, j, 1, query), row);
    const char *seen = onnx_node(g, "And", 2, export_unsqueeze(x, counts, 1, column), before);
    k->mask = export_unsqueeze(x, export_mask(x, seen), 2, head); /* [B, 1, 1, T, S] */
}

void export_slow(struct export *x)
{
    const struct spec_lm *s = &x->spec->lm;
    struct onnx *g = x->g;
    char width[16], dim[16], rows[16];
    snprintf(width, sizeof width, "%d", 1 + s->n_codebook);
    snprintf(dim, sizeof dim, "%d", s->slow.dim);
    snprintf(rows, sizeof rows, "%d", s->semantic_end - s->semantic_begin + 2);
    struct export_stack k = {.s = &s->slow, .name = "", .batch = "batch"};
    const char *columns =
        onnx_input(g, "columns", ONNX_INT32, 3, (const char *[]){"batch", "time", width});
    onnx_input(g, "past_length", ONNX_INT64, 1, (const char *[]){"batch"});
    onnx_input(g, "new_length", ONNX_INT64, 1, (const char *[]){"batch"});
    export_stack_inputs(x, &k, "past");
    export_at(x, "%s", "");
    export_slow_places(x, &k);
    const char *out = export_stack(x, export_embed(x, columns), &k);
    out = onnx_node(g, "Gather", 2, out, onnx_scalar(g, ONNX_INT64, -1)); /* the last column */
    onnx_int(g, "axis", 1);
    onnx_output(g, "hidden", out, ONNX_FLOAT, 2, (const char *[]){"batch", dim});
    const char *n = export_rms_norm(x, out, "output_norm.weight", s->slow.dim, s->slow.norm_eps);
    onnx_output(g, "logits", export_head(x, n), ONNX_FLOAT, 2, (const char *[]){"batch", rows});
}

void export_fast(struct export *x)
{
    const struct spec_lm *s = &x->spec->lm;
    struct onnx *g = x->g;
    char dim[16], rows[16];
    int n_row = s->codebook_size < CANDIDATES ? s->codebook_size : CANDIDATES;
    snprintf(dim, sizeof dim, "%d", s->slow.dim);
    snprintf(rows, sizeof rows, "%d", n_row);
    struct export_stack k = {.s = &s->fast, .name = "", .batch = "batch"};
    struct export_linear project = {"proj_in", s->fast.dim, s->slow.dim, true, 0};
    struct export_linear head = {
        .what = "output", .n_out = n_row, .n_in = s->fast.dim, .n_stored = s->codebook_size};
    const char *hidden =
        onnx_input(g, "hidden", ONNX_FLOAT, 3, (const char *[]){"batch", "states", dim});
    const char *codes = onnx_input(g, "codes", ONNX_INT32, 2, (const char *[]){"batch", "n_code"});
    export_stack_inputs(x, &k, "past");
    export_at(x, "%s", "fast.");
    if (s->fast_project_in)
        hidden = export_linear(x, hidden, &project);
    const char *embd = export_lookup(x, export_clip(x, codes, s->codebook_size - 1), "token_embd",
                                     s->codebook_size, s->fast.dim);
    const char *in = export_concat(x, hidden, embd, 1);
    const char *P = export_stack_past(x, &k);
    const char *S = onnx_node(g, "Add", 2, P, export_dim(x, in, 1));
    const char *at = export_range(x, P, S);
    k.position = export_unsqueeze(x, at, 1, (const int64_t[]){0});
    const char *seen =
        onnx_node(g, "LessOrEqual", 2, export_range(x, onnx_scalar(g, ONNX_INT64, 0), S),
                  export_unsqueeze(x, at, 1, (const int64_t[]){1}));
    k.mask = export_mask(x, seen); /* [T, S] */
    const char *out = export_stack(x, in, &k);
    out = onnx_node(g, "Gather", 2, out, onnx_scalar(g, ONNX_INT64, -1));
    onnx_int(g, "axis", 1);
    out = export_rms_norm(x, out, "output_norm.weight", s->fast.dim, s->fast.norm_eps);
    onnx_output(g, "logits", export_linear(x, out, &head), ONNX_FLOAT, 2,
                (const char *[]){"batch", rows});
}
