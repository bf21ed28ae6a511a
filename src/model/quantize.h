/* quantize.h - matrices to blocks of 8 or 4 bits, in the layouts of ggml (q8_0, q4_0).
 *
 * A block is 32 values and one scale in half precision.  The scale is searched: it minimizes the
 * squared error, each value's weighted with its input's importance where that is known, since the
 * error of a sum over inputs a is sum (w - q)^2 E[a^2] when the errors are independent.
 *
 * Threads: quantize_file runs its own; the others any. */
#ifndef MODEL_QUANTIZE_H
#define MODEL_QUANTIZE_H
#include "formats/gguf.h"
#include "kernels/kern.h"
#include "model/recipe.h"

#define QUANTIZE_BLOCK 32 /* values that share a scale */

/* n values (whole blocks) to q8_0 or q4_0; importance [n] or NULL, finite and not negative.  Values
 * are finite and at most QUANTIZE_MAX; the squared error of a block is never larger than that of
 * its largest value's scale (kern_from_f32). */
#define QUANTIZE_MAX 65504.0f /* of a half: then every scale is finite */
void quantize_blocks(enum kern_type t, const float *in, const float *importance, size_t n,
                     void *out);

struct quantize_options {
    const char *input, *output; /* GGUF; the output appears when it is whole */
    enum quantize_scheme scheme;
    double target_bits;  /* QUANTIZE_MIXED: recipe.h; 0: the scheme's own choice */
    bool equalize;       /* move channel sizes between neighbouring weights first: equalize.h */
    const char *imatrix; /* a file of imatrix.h, or NULL */
    int n_thread;        /* 0: one per core; the bytes do not depend on it */
    void (*progress)(void *cookie, double fraction); /* may be NULL */
    void *cookie;
    void (*note)(void *cookie, const char *line); /* what was decided, and why; may be NULL */
    /* May overrule the scheme, for experiments: returns the type wanted.  NULL: nothing. */
    enum kern_type (*choose)(void *cookie, const struct gguf_tensor *t, enum kern_type planned);
};
/* Memory grows with the largest matrix alone. */
int quantize_file(const struct quantize_options *o, struct err *e);

#endif
