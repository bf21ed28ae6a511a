/* export_parts.h - what the graphs of an export are made of; private to export*.c.
 *
 * Functions named export_* put nodes behind those that are there and return the value they end in.
 * The first error is kept in err; values stay usable meanwhile, so graphs read like the forward
 * passes they describe.  Shapes in comments: B batch, T time, P past, S = P + T. */
#ifndef MODEL_EXPORT_PARTS_H
#define MODEL_EXPORT_PARTS_H
#include "formats/gguf.h"
#include "formats/onnx.h"
#include "model/export.h"
#include "model/imatrix.h"
#include "model/spec.h"

#define EXPORT_FAR 1e30 /* taken from scores of what is not seen */

struct export
{
    const struct gguf *file;
    const struct spec *spec;
    enum export_type type;
    const struct imatrix *imatrix; /* with EXPORT_INT8 */
    struct onnx *g;
    char prefix[64]; /* of the tensors in hand */
    struct err err;
};
void export_at(struct export *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- export_weights.c: tensors of the model as constants, named as in the file -------------------
 */
const char *export_vector(struct export *x, const char *what, int n);
/* [n_out, n_tap, n_in] as it stands in the file to what Conv wants, [n_out, n_in, n_tap].  in is
 * [B, n_in, T]. */
struct export_kernel { /* in, rounded where the export is in 8 bits, and the weights */
    const char *in, *weight;
};
struct export_kernel export_kernel(struct export *x, const char *in, const char *what,
                                   const int shape[3]);
/* in [..., n_in] -> [..., n_out]; with bias if what.bias is a tensor and bias is set. */
struct export_linear {
    const char *what; /* "attn_qkv" */
    int n_out, n_in;
    bool bias;
    int n_stored; /* rows of the tensor, of which the first n_out count; 0: n_out */
};
const char *export_linear(struct export *x, const char *in, const struct export_linear *l);
/* Rows of a matrix [n_row, n_column], looked up by index (int32): index's shape + [n_column]. */
const char *export_lookup(struct export *x, const char *index, const char *what, int n_row,
                          int n_column);
/* The output matrix over what can be generated: semantic tokens, then <|im_end|>. */
const char *export_head(struct export *x, const char *in);
/* Numbers that are no tensor. */
const char *export_table(struct export *x, const char *name, int n_row, int n_column,
                         const float *v);
int export_taps(struct export *x, const char *what); /* of a convolution, as the tensor has it */
float *export_read(struct export *x, const char *name, size_t n); /* mem_free it; NULL: failed */

/* --- export_parts.c: small steps ----------------------------------------------------------------
 */
const char *export_reshape(struct export *x, const char *in, int n, const int64_t *dims);
const char *export_transpose(struct export *x, const char *in, int n, const int64_t *perm);
const char *export_scale(struct export *x, const char *in, double by);
const char *export_slice(struct export *x, const char *in, int axis, int64_t from, int64_t to);
const char *export_concat(struct export *x, const char *a, const char *b, int axis);
const char *export_dim(struct export *x, const char *in, int axis); /* int64 scalar */
const char *export_range(struct export *x, const char *from, const char *to);
const char *export_unsqueeze(struct export *x, const char *in, int n, const int64_t *axes);
const char *export_clip(struct export *x, const char *in, int max); /* int32, 0 to max */
const char *export_rms_norm(struct export *x, const char *in, const char *what, int n, float eps);
/* Where mask (bool) is true 0, elsewhere far below. */
const char *export_mask(struct export *x, const char *mask);

/* --- export_stack.c: a stack of transformer blocks ----------------------------------------------
 */
struct export_stack {
    const struct spec_transformer *s;
    const char *name;     /* in front of the names of its past: "", "post." */
    const char *position; /* [B or 1, T] int64 */
    const char *mask;     /* [B or 1, 1, 1, T, S] float, added to scores */
    bool whole;           /* outputs are the past to come, else only what is new */
    const char *batch;    /* name of that dimension */
};
/* The past of layer i, NAMEi.key and NAMEi.value [P, B, K, D], is an input; the output is called
 * next.NAMEi.key, or new.NAMEi.key.  in, out [B, T, dim]; the final norm is not applied. */
void export_stack_inputs(struct export *x, const struct export_stack *k, const char *past);
const char *export_stack(struct export *x, const char *in, const struct export_stack *k);
const char *export_stack_past(struct export *x, const struct export_stack *k); /* P, int64 scalar */

void export_slow(struct export *x);
void export_fast(struct export *x);
void export_decoder(struct export *x);
void export_encoder(struct export *x);

#endif
