/* Tensors of the model file as constants of a graph. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernels/kern.h"
#include "model/export_parts.h"

#define STRETCH ((size_t)1 << 18) /* numbers of a large table that are converted together */

void export_at(struct export *x, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(x->prefix, sizeof x->prefix, format, args);
    va_end(args);
}

/* The tensor of n numbers, or NULL and the error. */
static const struct gguf_tensor *export_find(struct export *x, const char *name, size_t n)
{
    static const enum kern_type types[] = {KERN_F32, KERN_F16, KERN_BF16, KERN_Q8_0, KERN_Q4_0};
    const struct gguf_tensor *t = gguf_find(x->file, name);
    size_t have = 1;
    bool known = false;
    if (x->err.code)
        return NULL;
    for (int i = 0; t && i < GGUF_MAX_DIMS; i++)
        have *= (size_t)t->ne[i];
    for (size_t i = 0; t && i < sizeof types / sizeof *types; i++)
        known |= t->type == (int)types[i];
    if (!t)
        err_set(&x->err, ERR_NOT_FOUND, "tensor %s is missing", name);
    else if (!known)
        err_set(&x->err, ERR_UNSUPPORTED, "tensor %s has type %d, which cannot be read", name,
                t->type);
    else if (have != n)
        err_set(&x->err, ERR_FORMAT, "tensor %s has %zu numbers, wanted %zu", name, have, n);
    return x->err.code ? NULL : t;
}

float *export_read(struct export *x, const char *name, size_t n)
{
    const struct gguf_tensor *t = export_find(x, name, n);
    float *v = t ? mem_try(n, sizeof *v) : NULL;
    if (t && !v)
        err_set(&x->err, ERR_MEMORY, "out of memory for tensor %s", name);
    if (v) {
        kern_to_f32((enum kern_type)t->type, t->data, v, n);
        gguf_drop(x->file, t);
    }
    return v;
}

static void export_full_name(const struct export *x, const char *what, const char *end, char *to,
                             size_t n)
{
    snprintf(to, n, "%s%s.%s", x->prefix, what, end);
}

const char *export_vector(struct export *x, const char *what, int n)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", x->prefix, what);
    float *v = export_read(x, name, (size_t)n);
    const char *value = v ? onnx_floats(x->g, name, 1, (const int64_t[]){n}, v) : NULL;
    mem_free(v);
    return value;
}

/* Numbers of a matrix, in the type of the export; in half precision they are widened again. */
static void export_numbers(struct export *x, const float *v, size_t n)
{
    if (x->type != EXPORT_F16) {
        onnx_weight_data(x->g, v, n * sizeof *v);
        return;
    }
    uint16_t *half = mem_try(n, sizeof *half);
    if (!half) {
        err_set(&x->err, ERR_MEMORY, "out of memory for a weight");
        return;
    }
    kern_from_f32(KERN_F16, v, half, n);
    onnx_weight_data(x->g, half, n * sizeof *half);
    mem_free(half);
}

static enum onnx_type export_matrix_type(const struct export *x)
{
    return x->type == EXPORT_F16 ? ONNX_HALF : ONNX_FLOAT;
}

static const char *export_widen(struct export *x, const char *value)
{
    if (x->type != EXPORT_F16)
        return value;
    const char *wide = onnx_node(x->g, "Cast", 1, value);
    onnx_int(x->g, "to", ONNX_FLOAT);
    return wide;
}

/* v [n_out, n_in] or [n_out, n_tap, n_in] with the last of the numbers in front: [n_in, n_out],
 * [n_out, n_in, n_tap]. */
static float *export_turn(struct export *x, const float *v, int n_outer, int n_a, int n_b)
{
    size_t a = (size_t)n_a, b = (size_t)n_b;
    float *out = mem_try((size_t)n_outer * a * b, sizeof *out);
    if (!out)
        err_set(&x->err, ERR_MEMORY, "out of memory for a weight");
    for (size_t o = 0; out && o < (size_t)n_outer; o++)
        for (size_t i = 0; i < a; i++)
            for (size_t j = 0; j < b; j++)
                out[(o * b + j) * a + i] = v[(o * a + i) * b + j];
    return out;
}

/* --- 8 bits --- */

/* How a matrix and its inputs meet in 8 bits.  Channel c of the input is divided by by[c] and that
 * column of the matrix multiplied with it, half way between equal inputs and equal columns (Xiao et
 * al., SmoothQuant, 2023, with a strength of one half); then the input has one scale, and each
 * output's weights one. */
struct export_bytes {
    float *by;    /* [n_in] */
    float *scale; /* [n_out] */
    float in;     /* scale of the input */
};

/* What calibration has not seen stays in floats. */
static bool export_in_bytes(const struct export *x, const char *name, int n_in)
{
    float *probe = x->imatrix ? mem_try((size_t)n_in, sizeof *probe) : NULL;
    bool known = probe && imatrix_find(x->imatrix, name, n_in, probe, NULL) == 0;
    mem_free(probe);
    return known && x->type == EXPORT_INT8;
}

/* v [n_out, n_row, n_in], whose columns are changed. */
static bool export_to_bytes(struct export *x, const char *name, float *v, const int shape[3],
                            struct export_bytes *b)
{
    size_t n_in = (size_t)shape[2], n_row = (size_t)shape[0] * (size_t)shape[1];
    *b = (struct export_bytes){.by = mem_try(n_in, sizeof(float)),
                               .scale = mem_try((size_t)shape[0], sizeof(float))};
    float *column = mem_try(n_in, sizeof *column);
    if (!b->by || !b->scale || !column ||
        imatrix_find_max(x->imatrix, name, shape[2], b->by, &x->err) < 0) {
        mem_free(column);
        if (!x->err.code)
            err_set(&x->err, ERR_MEMORY, "out of memory for %s", name);
        return false;
    }
    for (size_t r = 0; r < n_row; r++)
        for (size_t c = 0; c < n_in; c++)
            column[c] = fmaxf(column[c], fabsf(v[r * n_in + c]));
    for (size_t c = 0; c < n_in; c++) {
        float max = b->by[c];
        b->by[c] = max > 0 && column[c] > 0 ? sqrtf(max / column[c]) : 1;
        b->in = fmaxf(b->in, max / b->by[c] / 127);
    }
    for (size_t r = 0; r < n_row; r++)
        for (size_t c = 0; c < n_in; c++) {
            float *w = &v[r * n_in + c], *scale = &b->scale[r / (size_t)shape[1]];
            *w *= b->by[c];
            *scale = fmaxf(*scale, fabsf(*w) / 127);
        }
    for (int o = 0; o < shape[0]; o++)
        b->scale[o] = b->scale[o] > 0 ? b->scale[o] : 1;
    mem_free(column);
    return true;
}

static void export_bytes_free(struct export_bytes *b)
{
    mem_free(b->by);
    mem_free(b->scale);
}

/* in / by as what 8 bits hold of it; channels stand last, or before time. */
static const char *export_round(struct export *x, const char *in, const char *name,
                                const struct export_bytes *b, int n_in, bool time_last)
{
    struct onnx *g = x->g;
    char divisor[144];
    const int64_t dims[2] = {n_in, 1};
    for (int c = 0; c < n_in; c++)
        b->by[c] = 1 / b->by[c];
    snprintf(divisor, sizeof divisor, "%s.in_scale", name);
    in = onnx_node(g, "Mul", 2, in, onnx_floats(g, divisor, time_last ? 2 : 1, dims, b->by));
    const char *scale = onnx_scalar(g, ONNX_FLOAT, (double)b->in);
    const char *zero = onnx_scalar(g, ONNX_UINT8, 128);
    return onnx_node(g, "DequantizeLinear", 3, onnx_node(g, "QuantizeLinear", 3, in, scale, zero),
                     scale, zero);
}

/* v as int8 with dimensions dims; output o of value i is i / step % n_out. */
static const char *export_weight_bytes(struct export *x, const char *name, const float *v,
                                       const int64_t *dims, int n_dim, const struct export_bytes *b)
{
    struct onnx *g = x->g;
    char part[144];
    int axis = n_dim == 2 ? 1 : 0;
    int64_t n_out = dims[axis], n = 1;
    for (int i = 0; i < n_dim; i++)
        n *= dims[i];
    int64_t step = axis ? 1 : n / n_out;
    int8_t *q = mem_try((size_t)n, sizeof *q);
    if (!q) {
        err_set(&x->err, ERR_MEMORY, "out of memory for %s", name);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++)
        q[i] = (int8_t)lrintf(v[i] / b->scale[i / step % n_out]);
    const char *value = onnx_weight(g, name, ONNX_INT8, n_dim, dims);
    if (value)
        onnx_weight_data(g, q, (size_t)n);
    snprintf(part, sizeof part, "%s.scale", name);
    const char *scale = onnx_floats(g, part, 1, &n_out, b->scale);
    snprintf(part, sizeof part, "%s.zero", name);
    const char *zero = onnx_weight(g, part, ONNX_INT8, 1, &n_out);
    memset(q, 0, (size_t)(n < n_out ? n : n_out));
    if (zero)
        onnx_weight_data(g, q, (size_t)n_out);
    mem_free(q);
    const char *wide = onnx_node(g, "DequantizeLinear", 3, value, scale, zero);
    onnx_int(g, "axis", axis);
    return wide;
}

/* --- matrices --- */

struct export_kernel export_kernel(struct export *x, const char *in, const char *what,
                                   const int shape[3])
{
    char name[128];
    struct export_bytes b = {NULL, NULL, 0};
    struct export_kernel k = {in, NULL};
    size_t n = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    export_full_name(x, what, "weight", name, sizeof name);
    float *v = export_read(x, name, n), *w = NULL;
    bool bytes = v && export_in_bytes(x, name, shape[2]) && export_to_bytes(x, name, v, shape, &b);
    if (v)
        w = export_turn(x, v, shape[0], shape[1], shape[2]);
    const int64_t dims[3] = {shape[0], shape[2], shape[1]};
    if (w && bytes) {
        k.in = export_round(x, in, name, &b, shape[2], true);
        k.weight = export_weight_bytes(x, name, w, dims, 3, &b);
    } else if (w) {
        k.weight = onnx_weight(x->g, name, export_matrix_type(x), 3, dims);
        export_numbers(x, w, n);
        k.weight = export_widen(x, k.weight);
    }
    export_bytes_free(&b);
    mem_free(v);
    mem_free(w);
    return k;
}

int export_taps(struct export *x, const char *what)
{
    char name[128];
    export_full_name(x, what, "weight", name, sizeof name);
    const struct gguf_tensor *t = gguf_find(x->file, name);
    int64_t n = t && t->n_dim == 3 ? t->ne[1] : t && t->n_dim <= 2 ? 1 : 0;
    if (n >= 1 && n <= LIMIT_DIM)
        return (int)n;
    if (!x->err.code)
        err_set(&x->err, ERR_FORMAT, "tensor %s is missing or no convolution", name);
    return 1;
}

/* in times v [n_out, n_in], which is changed. */
static const char *export_product(struct export *x, const char *in, const char *name, float *v,
                                  const struct export_linear *l)
{
    struct export_bytes b = {NULL, NULL, 0};
    const int shape[3] = {l->n_out, 1, l->n_in};
    const int64_t dims[2] = {l->n_in, l->n_out};
    bool bytes = export_in_bytes(x, name, l->n_in) && export_to_bytes(x, name, v, shape, &b);
    float *w = export_turn(x, v, 1, l->n_out, l->n_in);
    const char *value = NULL;
    if (w && bytes) {
        in = export_round(x, in, name, &b, l->n_in, false);
        value = export_weight_bytes(x, name, w, dims, 2, &b);
    } else if (w) {
        value = onnx_weight(x->g, name, export_matrix_type(x), 2, dims);
        export_numbers(x, w, (size_t)l->n_out * (size_t)l->n_in);
        value = export_widen(x, value);
    }
    export_bytes_free(&b);
    mem_free(w);
    return value ? onnx_node(x->g, "MatMul", 2, in, value) : NULL;
}

const char *export_linear(struct export *x, const char *in, const struct export_linear *l)
{
    char name[128];
    export_full_name(x, l->what, "weight", name, sizeof name);
    size_t n_row = (size_t)(l->n_stored ? l->n_stored : l->n_out);
    float *v = export_read(x, name, n_row * (size_t)l->n_in);
    const char *out = v ? export_product(x, in, name, v, l) : NULL;
    mem_free(v);
    if (!out || !l->bias)
        return out;
    export_full_name(x, l->what, "bias", name, sizeof name);
    v = export_read(x, name, (size_t)l->n_out);
    if (v)
        out = onnx_node(x->g, "Add", 2, out,
                        onnx_floats(x->g, name, 1, (const int64_t[]){l->n_out}, v));
    mem_free(v);
    return out;
}

/* All rows of a tensor, a stretch at a time. */
static void export_rows(struct export *x, const struct gguf_tensor *t, size_t n_row,
                        size_t n_column)
{
    size_t step = n_column < STRETCH ? STRETCH / n_column : 1;
    size_t bytes = kern_type_row_bytes((enum kern_type)t->type, n_column);
    float *v = mem_try(step * n_column, sizeof *v);
    if (!v)
        err_set(&x->err, ERR_MEMORY, "out of memory for tensor %s", t->name);
    for (size_t i = 0; v && i < n_row; i += step) {
        size_t n = n_row - i < step ? n_row - i : step;
        kern_to_f32((enum kern_type)t->type, (const char *)t->data + i * bytes, v, n * n_column);
        export_numbers(x, v, n * n_column);
    }
    gguf_drop(x->file, t);
    mem_free(v);
}

const char *export_lookup(struct export *x, const char *index, const char *what, int n_row,
                          int n_column)
{
    char name[128];
    const int64_t dims[2] = {n_row, n_column};
    export_full_name(x, what, "weight", name, sizeof name);
    const struct gguf_tensor *t = export_find(x, name, (size_t)n_row * (size_t)n_column);
    const char *value = t ? onnx_weight(x->g, name, export_matrix_type(x), 2, dims) : NULL;
    if (!value)
        return NULL;
    export_rows(x, t, (size_t)n_row, (size_t)n_column);
    return export_widen(x, onnx_node(x->g, "Gather", 2, value, index));
}

const char *export_head(struct export *x, const char *in)
{
    const struct spec_lm *s = &x->spec->lm;
    const char *name = s->tied ? "token_embd.weight" : "output.weight";
    const struct gguf_tensor *t = gguf_find(x->file, name);
    size_t dim = (size_t)s->slow.dim;
    size_t n_semantic = (size_t)(s->semantic_end - s->semantic_begin) + 1;
    struct export_linear l = {"", (int)n_semantic + 1, s->slow.dim, false, 0};
    bool trimmed = !s->tied && t && t->ne[1] == (int64_t)n_semantic + 1;
    t = export_find(x, name, (trimmed ? n_semantic + 1 : (size_t)s->n_vocab) * dim);
    float *v = t ? mem_try((n_semantic + 1) * dim, sizeof *v) : NULL;
    if (!v)
        return NULL;
    size_t bytes = kern_type_row_bytes((enum kern_type)t->type, dim);
    size_t first = trimmed ? 0 : (size_t)s->semantic_begin;
    size_t last = trimmed ? n_semantic : (size_t)s->im_end;
    kern_to_f32((enum kern_type)t->type, (const char *)t->data + first * bytes, v,
                n_semantic * dim);
    kern_to_f32((enum kern_type)t->type, (const char *)t->data + last * bytes, v + n_semantic * dim,
                dim);
    const char *out = export_product(x, in, "output_head", v, &l);
    mem_free(v);
    return out;
}

const char *export_table(struct export *x, const char *name, int n_row, int n_column,
                         const float *v)
{
    return onnx_floats(x->g, name, 2, (const int64_t[]){n_row, n_column}, v);
}
