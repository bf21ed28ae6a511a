/* The codec's two directions (src/model/codec.c), a stretch of whole frames at a time.  What a
 * stream remembers goes in as X and comes out as next.X: of convolutions the last rows of their
 * input [B, C, rows], zeros at first; of transformers keys and values, none at first. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/conv.h"
#include "model/export_parts.h"

#define UNITS 3

/* in behind the rows that are remembered of it. */
static const char *export_history(struct export *x, const char *in, const char *what, int n_channel,
                                  int n_row)
{
    char name[96], next[104], channels[16], rows[16];
    if (n_row <= 0)
        return in;
    snprintf(name, sizeof name, "%s%s.state", x->prefix + strlen("codec."), what);
    snprintf(next, sizeof next, "next.%s", name);
    snprintf(channels, sizeof channels, "%d", n_channel);
    snprintf(rows, sizeof rows, "%d", n_row);
    const char *const dims[3] = {"batch", channels, rows};
    const char *state = onnx_input(x->g, name, ONNX_FLOAT, 3, dims);
    const char *all = export_concat(x, state, in, 2);
    onnx_output(x->g, next, export_slice(x, all, 2, -(int64_t)n_row, INT_MAX), ONNX_FLOAT, 3, dims);
    return all;
}

struct kernel { /* of a causal convolution */
    const char *what;
    int n_in, n_out, stride, dilation;
    int up; /* transposed: rows that each row becomes, else 1 */
    bool depthwise;
};

static const char *export_bias(struct export *x, const struct kernel *k)
{
    char name[128];
    size_t n = (size_t)k->n_out, up = (size_t)k->up;
    snprintf(name, sizeof name, "%s%s.bias", x->prefix, k->what);
    float *v = export_read(x, name, n), *all = v ? mem_try(up * n, sizeof *all) : NULL;
    for (size_t i = 0; all && i < up * n; i++)
        all[i] = v[i % n];
    const char *value =
        all ? onnx_floats(x->g, name, 1, (const int64_t[]){(int64_t)(up * n)}, all) : NULL;
    mem_free(v);
    mem_free(all);
    return value;
}

/* [taps, C] in the file. */
static const char *export_depthwise(struct export *x, const struct kernel *k, int n_tap)
{
    char name[128];
    size_t C = (size_t)k->n_in, n = (size_t)n_tap;
    snprintf(name, sizeof name, "%s%s.weight", x->prefix, k->what);
    float *v = export_read(x, name, n * C), *w = v ? mem_try(n * C, sizeof *w) : NULL;
    for (size_t i = 0; w && i < n * C; i++)
        w[i % C * n + i / C] = v[i];
    const char *value =
        w ? onnx_floats(x->g, name, 3, (const int64_t[]){k->n_in, 1, n_tap}, w) : NULL;
    mem_free(v);
    mem_free(w);
    return value;
}

static int export_depthwise_taps(struct export *x, const char *what)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s.weight", x->prefix, what);
    const struct gguf_tensor *t = gguf_find(x->file, name);
    return t && t->n_dim == 2 && t->ne[1] >= 1 && t->ne[1] <= LIMIT_DIM ? (int)t->ne[1] : 1;
}

/* A row of a transposed convolution is `up` rows of n_out channels, one behind the other. */
static const char *export_phases(struct export *x, const char *in, const struct kernel *k)
{
    in = export_reshape(x, in, 4, (const int64_t[]){0, k->up, k->n_out, -1});
    in = export_transpose(x, in, 4, (const int64_t[]){0, 2, 3, 1});
    return export_reshape(x, in, 3, (const int64_t[]){0, 0, -1});
}

static const char *export_conv(struct export *x, const char *in, const struct kernel *k)
{
    int n_tap = k->depthwise ? export_depthwise_taps(x, k->what) : export_taps(x, k->what);
    int shape[3] = {k->up * k->n_out, n_tap, k->n_in};
    in = export_history(x, in, k->what, k->n_in, conv_history(n_tap, k->stride, k->dilation));
    struct export_kernel w = {in, NULL};
    if (k->depthwise)
        w.weight = export_depthwise(x, k, n_tap);
    else
        w = export_kernel(x, in, k->what, shape);
    const char *out = onnx_node(x->g, "Conv", 3, w.in, w.weight, export_bias(x, k));
    onnx_ints(x->g, "strides", 1, (const int64_t[]){k->stride});
    onnx_ints(x->g, "dilations", 1, (const int64_t[]){k->dilation});
    onnx_int(x->g, "group", k->depthwise ? k->n_in : 1);
    return k->up > 1 ? export_phases(x, out, k) : out;
}

/* x + sin(alpha x)^2 / (alpha + 1e-9) */
static const char *export_snake(struct export *x, const char *in, const char *what, int n)
{
    char name[128], inverse[144];
    struct onnx *g = x->g;
    const int64_t dims[2] = {n, 1};
    snprintf(name, sizeof name, "%s%s", x->prefix, what);
    snprintf(inverse, sizeof inverse, "%s.inverse", name);
    float *v = export_read(x, name, (size_t)n);
    if (!v)
        return NULL;
    const char *alpha = onnx_floats(g, name, 2, dims, v);
    for (int i = 0; i < n; i++)
        v[i] = 1.0f / (v[i] + 1e-9f);
    const char *inv = onnx_floats(g, inverse, 2, dims, v);
    mem_free(v);
    const char *sine = onnx_node(g, "Sin", 1, onnx_node(g, "Mul", 2, in, alpha));
    const char *square = onnx_node(g, "Mul", 2, sine, sine);
    return onnx_node(g, "Add", 2, in, onnx_node(g, "Mul", 2, square, inv));
}

/* Numbers of a vector, or rows of a matrix; the codec was loaded before, so they are there. */
static int export_width(const struct export *x, const char *what, int usual)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", x->prefix, what);
    const struct gguf_tensor *t = gguf_find(x->file, name);
    return t && t->ne[t->n_dim - 1] >= 1 && t->ne[t->n_dim - 1] <= 8 * LIMIT_DIM
               ? (int)t->ne[t->n_dim - 1]
               : usual;
}

/* x + conv2(snake2(conv1(snake1(x)))), dilations 1, 3, 9 */
static const char *export_units(struct export *x, const char *in, const char *chain, int i, int n)
{
    static const int dilation[UNITS] = {1, 3, 9};
    for (int u = 0; u < UNITS; u++) {
        export_at(x, "codec.%s.%d.res.%d.", chain, i, u);
        int m = export_width(x, "snake2.alpha", n);
        struct kernel one = {"conv1", n, m, 1, dilation[u], 1, false};
        struct kernel two = {"conv2", m, n, 1, 1, 1, false};
        const char *y = export_conv(x, export_snake(x, in, "snake1.alpha", n), &one);
        y = export_conv(x, export_snake(x, y, "snake2.alpha", m), &two);
        in = onnx_node(x->g, "Add", 2, in, y);
    }
    return in;
}

static const char *export_turned(struct export *x, const char *in)
{
    return export_transpose(x, in, 3, (const int64_t[]){0, 2, 1});
}

/* 0.5 v (1 + erf(v / sqrt 2)) */
static const char *export_gelu(struct export *x, const char *in)
{
    struct onnx *g = x->g;
    const char *root = onnx_scalar(g, ONNX_FLOAT, sqrt(2.0));
    const char *erf = onnx_node(g, "Erf", 1, onnx_node(g, "Div", 2, in, root));
    const char *sum = onnx_node(g, "Add", 2, erf, onnx_scalar(g, ONNX_FLOAT, 1));
    return export_scale(x, onnx_node(g, "Mul", 2, in, sum), 0.5);
}

/* ConvNeXt: x + gamma pw2(gelu(pw1(norm(dw(x))))) */
static const char *export_next(struct export *x, const char *in, int n)
{
    struct onnx *g = x->g;
    struct kernel dw = {"dw", n, n, 1, 1, 1, true};
    int wide = export_width(x, "pw1.weight", 4 * n);
    struct export_linear pw1 = {"pw1", wide, n, true, 0}, pw2 = {"pw2", n, wide, true, 0};
    const char *y = export_turned(x, export_conv(x, in, &dw));
    const char *w = export_vector(x, "norm.weight", n), *b = export_vector(x, "norm.bias", n);
    y = onnx_node(g, "LayerNormalization", 3, y, w, b);
    onnx_int(g, "axis", -1);
    onnx_float(g, "epsilon", 1e-6f);
    y = export_linear(x, export_gelu(x, export_linear(x, y, &pw1)), &pw2);
    y = onnx_node(g, "Mul", 2, y, export_vector(x, "gamma.weight", n));
    return onnx_node(g, "Add", 2, in, export_turned(x, y));
}

/* A transformer in the chain: in [B, C, T], its tensors below prefix; rows of it are a frame. */
static const char *export_in_chain(struct export *x, const char *in, const char *prefix,
                                   const struct spec_transformer *s, int rows)
{
    struct onnx *g = x->g;
    char name[64], past[64];
    snprintf(name, sizeof name, "%.60s", prefix + strlen("codec."));
    snprintf(past, sizeof past, "%.50spast", name);
    struct export_stack k = {.s = s, .name = name, .batch = "batch", .whole = true};
    export_at(x, "%s", prefix);
    in = export_turned(x, in);
    if (s->n_layer > 0) {
        export_stack_inputs(x, &k, past);
        const char *P = export_stack_past(x, &k), *T = export_dim(x, in, 1);
        const char *first =
            onnx_node(g, "Mul", 2, "position", onnx_scalar(g, ONNX_INT64, rows)); /* [1] */
        const char *i = export_range(x, onnx_scalar(g, ONNX_INT64, 0), T);
        const char *j =
            export_range(x, onnx_scalar(g, ONNX_INT64, 0), onnx_node(g, "Add", 2, P, T));
        k.position = export_unsqueeze(x, onnx_node(g, "Add", 2, i, first), 1, (const int64_t[]){0});
        const char *row =
            export_unsqueeze(x, onnx_node(g, "Add", 2, i, P), 1, (const int64_t[]){1});
        const char *seen = onnx_node(g, "LessOrEqual", 2, j, row);
        if (s->window > 0) {
            const char *reach = onnx_node(g, "Add", 2, j, onnx_scalar(g, ONNX_INT64, s->window));
            seen = onnx_node(g, "And", 2, seen, onnx_node(g, "Greater", 2, reach, row));
        }
        k.mask = export_mask(x, seen); /* [T, S] */
    }
    in = export_stack(x, in, &k);
    return export_turned(x, export_rms_norm(x, in, "output_norm.weight", s->dim, s->norm_eps));
}

/* --- decoding --- */

/* codes [B, Q, T] -> [B, T]: entries beyond their book count as its last. */
static const char *export_code(struct export *x, const char *codes, int i)
{
    const char *row = onnx_node(x->g, "Gather", 2, codes, onnx_scalar(x->g, ONNX_INT64, i));
    onnx_int(x->g, "axis", 1);
    const struct spec_codec *s = &x->spec->codec;
    return export_clip(x, row, (i ? s->residual_size : s->semantic_size) - 1);
}

static const char *export_books(struct export *x, const char *codes)
{
    const struct spec_codec *s = &x->spec->codec;
    struct export_linear out = {"out_proj", s->latent_dim, s->codebook_dim, true, 0};
    const char *sum = NULL;
    for (int i = 0; i < s->n_codebook; i++) {
        export_at(x, "codec.rvq.%d.", i);
        const char *z = export_lookup(x, export_code(x, codes, i), "codebook",
                                      i ? s->residual_size : s->semantic_size, s->codebook_dim);
        z = export_linear(x, z, &out);
        sum = sum ? onnx_node(x->g, "Add", 2, sum, z) : z;
    }
    return export_turned(x, sum);
}

void export_decoder(struct export *x)
{
    const struct spec_codec *s = &x->spec->codec;
    struct onnx *g = x->g;
    char books[16];
    int n = s->decoder_dim;
    snprintf(books, sizeof books, "%d", s->n_codebook);
    const char *codes =
        onnx_input(g, "codes", ONNX_INT32, 3, (const char *[]){"batch", books, "frames"});
    onnx_input(g, "position", ONNX_INT64, 1, (const char *[]){"1"});
    const char *y = export_books(x, codes);
    y = export_in_chain(x, y, "codec.post.", &s->post, 1);
    for (int i = 0; i < s->n_factor; i++) {
        struct kernel up = {
            "conv", s->latent_dim, s->latent_dim, 1, 1, s->factor[s->n_factor - 1 - i], false};
        export_at(x, "codec.up.%d.", i);
        y = export_next(x, export_conv(x, y, &up), s->latent_dim);
    }
    struct kernel in = {"conv_in", s->latent_dim, n, 1, 1, 1, false};
    export_at(x, "codec.dec.");
    y = export_conv(x, y, &in);
    for (int i = 0; i < s->n_rate; i++, n /= 2) {
        struct kernel up = {"up", n, n / 2, 1, 1, s->decoder_rate[i], false};
        export_at(x, "codec.dec.%d.", i);
        y = export_conv(x, export_snake(x, y, "snake.alpha", n), &up);
        y = export_units(x, y, "dec", i, n / 2);
    }
    struct kernel last = {"conv_out", n, 1, 1, 1, 1, false};
    export_at(x, "codec.dec.");
    y = export_conv(x, export_snake(x, y, "snake.alpha", n), &last);
    y = onnx_node(g, "Squeeze", 2, onnx_node(g, "Tanh", 1, y),
                  onnx_list(g, 1, (const int64_t[]){1}));
    onnx_output(g, "samples", y, ONNX_FLOAT, 2, (const char *[]){"batch", "n_sample"});
}

/* --- encoding --- */

/* v / max(|v|, 1e-12) over the last dimension */
static const char *export_unit(struct export *x, const char *in)
{
    struct onnx *g = x->g;
    const char *length = onnx_node(g, "ReduceL2", 1, in);
    onnx_ints(g, "axes", 1, (const int64_t[]){-1});
    length = onnx_node(g, "Max", 2, length, onnx_scalar(g, ONNX_FLOAT, 1e-12));
    return onnx_node(g, "Div", 2, in, length);
}

/* The entry with the largest cosine, and z without it. */
static const char *export_nearest(struct export *x, const char **z, int i)
{
    const struct spec_codec *s = &x->spec->codec;
    struct onnx *g = x->g;
    int size = i ? s->residual_size : s->semantic_size;
    struct export_linear in = {"in_proj", s->codebook_dim, s->latent_dim, true, 0};
    struct export_linear out = {"out_proj", s->latent_dim, s->codebook_dim, true, 0};
    char name[64];
    export_at(x, "codec.rvq.%d.", i);
    snprintf(name, sizeof name, "codec.rvq.%d.codebook.weight", i);
    float *v = export_read(x, name, (size_t)size * (size_t)s->codebook_dim);
    const char *book = v ? export_table(x, name, size, s->codebook_dim, v) : NULL;
    mem_free(v);
    const char *unit = export_transpose(x, export_unit(x, book), 2, (const int64_t[]){1, 0});
    const char *small = export_unit(x, export_linear(x, *z, &in));
    const char *code = onnx_node(g, "ArgMax", 1, onnx_node(g, "MatMul", 2, small, unit));
    onnx_int(g, "axis", -1);
    onnx_int(g, "keepdims", 0);
    if (i + 1 < s->n_codebook)
        *z = onnx_node(g, "Sub", 2, *z,
                       export_linear(x, onnx_node(g, "Gather", 2, book, code), &out));
    code = export_unsqueeze(x, code, 1, (const int64_t[]){1});
    code = onnx_node(g, "Cast", 1, code);
    onnx_int(g, "to", ONNX_INT32);
    return code;
}

static const char *export_encoder_chain(struct export *x, const char *y)
{
    const struct spec_codec *s = &x->spec->codec;
    int n = s->encoder_dim, rows = s->frame_samples;
    struct kernel first = {"conv_in", 1, n, 1, 1, 1, false};
    export_at(x, "codec.enc.");
    y = export_conv(x, y, &first);
    for (int i = 0; i < s->n_encoder_rate; i++, n *= 2) {
        struct kernel down = {"down", n, 2 * n, s->encoder_rate[i], 1, 1, false};
        char prefix[32];
        y = export_units(x, y, "enc", i, n);
        export_at(x, "codec.enc.%d.", i);
        y = export_conv(x, export_snake(x, y, "snake.alpha", n), &down);
        rows /= s->encoder_rate[i];
        snprintf(prefix, sizeof prefix, "codec.enc.%d.tf.", i);
        if (s->encoder_layers[i] > 0)
            y = export_in_chain(x, y, prefix, &s->enc[i], rows);
    }
    struct kernel last = {"conv_out", n, s->latent_dim, 1, 1, 1, false};
    export_at(x, "codec.enc.");
    y = export_conv(x, export_snake(x, y, "snake.alpha", n), &last);
    for (int i = 0; i < s->n_factor; i++) {
        struct kernel down = {"conv", s->latent_dim, s->latent_dim, s->factor[i], 1, 1, false};
        export_at(x, "codec.down.%d.", i);
        y = export_next(x, export_conv(x, y, &down), s->latent_dim);
    }
    return export_in_chain(x, y, "codec.pre.", &s->pre, 1);
}

void export_encoder(struct export *x)
{
    const struct spec_codec *s = &x->spec->codec;
    struct onnx *g = x->g;
    char books[16];
    snprintf(books, sizeof books, "%d", s->n_codebook);
    const char *y = onnx_input(g, "samples", ONNX_FLOAT, 2, (const char *[]){"batch", "n_sample"});
    onnx_input(g, "position", ONNX_INT64, 1, (const char *[]){"1"});
    y = export_encoder_chain(x, export_unsqueeze(x, y, 1, (const int64_t[]){1}));
    const char *z = export_turned(x, y), *codes = NULL;
    for (int i = 0; i < s->n_codebook; i++) {
        const char *code = export_nearest(x, &z, i);
        codes = codes ? export_concat(x, codes, code, 1) : code;
    }
    onnx_output(g, "codes", codes, ONNX_INT32, 3, (const char *[]){"batch", books, "frames"});
}
