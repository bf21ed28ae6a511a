/* Tensors of the model file as constants of a graph. */
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
    if (x->type == EXPORT_F32) {
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
    if (x->type == EXPORT_F32)
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

const char *export_kernel(struct export *x, const char *what, const int shape[3])
{
    char name[128];
    size_t n = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    export_full_name(x, what, "weight", name, sizeof name);
    float *v = export_read(x, name, n);
    float *w = v ? export_turn(x, v, shape[0], shape[1], shape[2]) : NULL;
    const int64_t dims[3] = {shape[0], shape[2], shape[1]};
    const char *value = w ? onnx_weight(x->g, name, export_matrix_type(x), 3, dims) : NULL;
    if (value)
        export_numbers(x, w, n);
    mem_free(v);
    mem_free(w);
    return value ? export_widen(x, value) : NULL;
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

/* in times v [n_out, n_in]. */
static const char *export_product(struct export *x, const char *in, const char *name,
                                  const float *v, const struct export_linear *l)
{
    float *w = export_turn(x, v, 1, l->n_out, l->n_in);
    const int64_t dims[2] = {l->n_in, l->n_out};
    const char *value = w ? onnx_weight(x->g, name, export_matrix_type(x), 2, dims) : NULL;
    if (value)
        export_numbers(x, w, (size_t)l->n_out * (size_t)l->n_in);
    mem_free(w);
    return value ? onnx_node(x->g, "MatMul", 2, in, export_widen(x, value)) : NULL;
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
