/* onnx.h - write ONNX graphs: nodes by operator, weights streamed to a file beside the graph.
 *
 * Format: onnx/onnx.proto of ONNX 1.12 (Debian's libonnx-dev), IR version 8, operators of opset 17:
 * https://github.com/onnx/onnx/blob/v1.12.0/docs/Operators.md .  Values have names; a function that
 * makes one returns its name, so a graph is built inside out:
 *
 *     onnx_begin(dir, "slow", &g, &e);
 *     const char *x = onnx_input(g, "x", ONNX_FLOAT, 2, (const char *[]){"batch", "16"});
 *     const char *y = onnx_node(g, "MatMul", 2, x, onnx_floats(g, "w", 2, ne, w));
 *     onnx_ints(g, "perm", 2, (const int64_t[]){1, 0});      an attribute of the last node
 *     onnx_output(g, "y", y, ONNX_FLOAT, 2, dims);
 *     onnx_finish(g, &e); onnx_free(g);
 *
 * Numbers of more than ONNX_INLINE bytes go to NAME.onnx.data as they come, 64-byte aligned, so
 * that memory holds one weight at a time.  Both files appear when they are whole: the graph last.
 *
 * Errors: those of memory and files are kept until onnx_finish; values stay usable meanwhile.
 * Threads: a graph belongs to one thread. */
#ifndef FORMATS_ONNX_H
#define FORMATS_ONNX_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define ONNX_OPSET  17
#define ONNX_IR     8
#define ONNX_INLINE 1024

enum onnx_type { /* numbers are the format's */
                 ONNX_FLOAT = 1,
                 ONNX_UINT8 = 2,
                 ONNX_INT8 = 3,
                 ONNX_INT32 = 6,
                 ONNX_INT64 = 7,
                 ONNX_HALF = 10
};

struct onnx;
/* DIR/NAME.onnx and DIR/NAME.onnx.data; DIR must exist. */
int onnx_begin(const char *dir, const char *name, struct onnx **ret, struct err *e);
int onnx_finish(struct onnx *g, struct err *e); /* fsync, rename */
void onnx_free(struct onnx *g); /* removes temporary files unless finished; NULL is fine */

void onnx_meta(struct onnx *g, const char *key, const char *value);
/* dims: numbers, or names of dimensions that are not known before it runs. */
const char *onnx_input(struct onnx *g, const char *name, enum onnx_type type, int n_dim,
                       const char *const *dims);
/* value becomes the output called name. */
void onnx_output(struct onnx *g, const char *name, const char *value, enum onnx_type type,
                 int n_dim, const char *const *dims);

/* The first output of a new node of n inputs; "" is an input left out. */
const char *onnx_node(struct onnx *g, const char *op, int n, ...);
const char *onnx_more(struct onnx *g); /* the next output of the last node */
/* Attributes of the last node. */
void onnx_int(struct onnx *g, const char *name, int64_t v);
void onnx_float(struct onnx *g, const char *name, float v);
void onnx_ints(struct onnx *g, const char *name, int n, const int64_t *v);

/* Constants.  dims outermost first. */
const char *onnx_scalar(struct onnx *g, enum onnx_type type, double v); /* equal ones are one */
const char *onnx_list(struct onnx *g, int n, const int64_t *v);         /* [n] int64; likewise */
const char *onnx_floats(struct onnx *g, const char *name, int n_dim, const int64_t *dims,
                        const float *v);
/* A weight of any type in parts: declared, then its bytes in order. */
const char *onnx_weight(struct onnx *g, const char *name, enum onnx_type type, int n_dim,
                        const int64_t *dims);
void onnx_weight_data(struct onnx *g, const void *data, size_t n);

#endif
