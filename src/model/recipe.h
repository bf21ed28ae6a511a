/* recipe.h - which tensor is kept in how many bits, and why.
 *
 * A scheme is a fixed choice (docs/MODEL.md has the table).  With target_bits, QUANTIZE_MIXED
 * chooses anew for the model at hand: every matrix of the language model begins with 4.5 bits a
 * value (q4_0), and those that gain most for their size are given 8.5 (q8_0) while the mean over
 * all of them stays within the target.  The gain is what the matrix loses in q4_0 more than in
 * q8_0, in parts of its output's energy, times how much the speech suffers from such a loss.
 *
 * Threads: one makes it; afterwards it is read-only. */
#ifndef MODEL_RECIPE_H
#define MODEL_RECIPE_H
#include "formats/gguf.h"
#include "kernels/kern.h"
#include "model/equalize.h"
#include "model/imatrix.h"
#include "model/spec.h"

enum quantize_scheme {
    QUANTIZE_Q8,   /* every matrix q8_0 */
    QUANTIZE_Q4,   /* the language model's q4_0, the codec's q8_0 */
    QUANTIZE_MIXED /* what suffers most keeps more bits */
};

#define RECIPE_MIN_BITS 4.5 /* all in q4_0 */
#define RECIPE_MAX_BITS 8.5 /* all in q8_0 */

struct recipe_of { /* all borrowed, and not needed once it is made but for g's tensors */
    const struct gguf *g;
    const struct spec *spec;
    enum quantize_scheme scheme;
    double target_bits; /* 0: none; else RECIPE_MIN_BITS to RECIPE_MAX_BITS, QUANTIZE_MIXED only */
    const struct imatrix *imatrix;   /* or NULL */
    const struct equalize *equalize; /* or NULL */
};

struct recipe;
int recipe_new(const struct recipe_of *of, struct recipe **ret, struct err *e);
void recipe_free(struct recipe *r); /* NULL is fine */
/* The new type of a tensor, KERN_*; its own type where it is kept. */
enum kern_type recipe_type(const struct recipe *r, const struct gguf_tensor *t);
/* Few lines that say what was chosen, and why. */
void recipe_say(const struct recipe *r, void (*note)(void *, const char *), void *cookie);

/* Vectors, codebooks and depthwise weights are few, and are read as floats. */
bool recipe_is_matrix(const struct gguf_tensor *t);
/* Mean squares [ne0] of a matrix's inputs, as they are after equalizing.  ERR_NOT_FOUND: nothing is
 * known, or its rows are looked up as well: a tied embedding serves both its uses alike. */
int recipe_importance(const struct gguf_tensor *t, const struct imatrix *m,
                      const struct equalize *q, float *out, struct err *e);

#endif
