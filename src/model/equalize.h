/* equalize.h - channel sizes moved between neighbouring weights, so that few bits serve them all.
 *
 * Numbers that share a scale in 8 or 4 bits should be alike in size; a channel 100 times larger
 * than its neighbours leaves them no bits.  Where a channel is made by one tensor and read by
 * others with nothing but products (or a snake) between, a factor s of what makes it and 1/s of
 * what reads it cancel: rows of w3 against columns of w2, norms against the matrices behind them,
 * rows of a convolution against columns of the next, since snake(s x; a / s) = s snake(x; a).
 * The function stays the same and costs the same.  Factors are powers of two, so in floats
 * nothing is rounded anew.  docs/MODEL.md has the paths and the rule.  Sources: Nagel et al.,
 * "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019; Xiao et
 * al., "SmoothQuant", ICML 2023.
 *
 *     equalize_new(&spec, &tensors, imatrix, &q, &e);
 *     equalize_values(q, "blk.0.ffn_up.weight", at, v, n);      for every tensor that is written
 *
 * Threads: one makes it; afterwards it is read-only. */
#ifndef MODEL_EQUALIZE_H
#define MODEL_EQUALIZE_H
#include <stddef.h>
#include "model/imatrix.h"
#include "model/spec.h"

struct equalize;

struct equalize_tensors { /* where the weights are, by the names and in the layouts of our GGUF */
    void *cookie;
    /* Dimensions, innermost first, unused ones 1; false: there is no such tensor, or its values are
     * in blocks already and stay as they are. */
    bool (*shape)(void *cookie, const char *name, int64_t ne[3]);
    int (*read)(void *cookie, const char *name, float *out, struct err *e); /* all of its values */
};

/* Looks at every tensor that a path names, thrice.  m: what the matrices are given, or NULL: then
 * the weights alone tell. */
int equalize_new(const struct spec *s, const struct equalize_tensors *t, const struct imatrix *m,
                 struct equalize **ret, struct err *e);
void equalize_free(struct equalize *q); /* NULL is fine */
/* Values at .. at + n of a tensor, in place.  q NULL: nothing is done; so below. */
void equalize_values(const struct equalize *q, const char *name, size_t at, float *v, size_t n);
/* Mean squares [n_in] of a matrix's inputs, in place. */
void equalize_importance(const struct equalize *q, const char *name, float *mean_square);
/* Whether a tensor's values are changed at all. */
bool equalize_changes(const struct equalize *q, const char *name);
/* The largest factor between two channels of a matrix, and how many matrices have one. */
double equalize_largest(const struct equalize *q, int *n_matrix);

#endif
