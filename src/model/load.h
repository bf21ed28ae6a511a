/* load.h - tensors of a GGUF into packed matrices and float vectors, shapes checked. */
#ifndef MODEL_LOAD_H
#define MODEL_LOAD_H
#include "formats/gguf.h"
#include "kernels/kern.h"

struct load { /* what every loader needs */
    const struct gguf *g;
    const char *prefix;
    struct kern_exec *exec;
    enum kern_type type; /* of packed matrices */
    struct mem_arena *arena;
};

/* PREFIX + name; n_dim dimensions as in ne (innermost first) must match, 0 matches anything.
 * NULL and an error when it is missing or of another shape or unknown type. */
const struct gguf_tensor *load_find(const struct load *l, const char *name, const int64_t *ne,
                                    int n_dim, struct err *e);
/* Whether all values of a known type are finite numbers, blocks by their scales; ERR_FORMAT. */
int load_check(const struct gguf_tensor *t, struct err *e);
/* A vector of n floats in the arena, all of them finite. */
int load_vector(const struct load *l, const char *name, size_t n, const float **ret, struct err *e);
/* Matrix [n_out, n_tap, n_in] (n_tap 1: [n_out, n_in]), with bias [n_out] if bias is not NULL. */
int load_linear(const struct load *l, const char *name, const char *bias, struct kern_linear *ret,
                const int shape[3], struct err *e); /* shape: n_out, n_tap, n_in */

#endif
