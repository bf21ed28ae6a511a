/* rvq.h - the residual vector quantizers: codes to latent vectors and back.
 *
 * Quantizer 0 is the semantic one, 1..Q-1 the residual ones; each works on what those before it
 * left.  Entries live in a small space (codebook_dim); in_proj and out_proj lead there and back.
 * Source: fish_speech/models/dac/rvq.py, dac/nn/quantize.py:ResidualVectorQuantize.
 *
 * Threads: read-only after loading; struct rvq_space belongs to the caller. */
#ifndef MODEL_RVQ_H
#define MODEL_RVQ_H
#include <stdbool.h>
#include <stdint.h>
#include "base/limits.h"
#include "kernels/kern.h"

struct rvq_book {
    int size, dim;          /* entries, dimension of the small space */
    const float *entry;     /* [size, dim] as stored */
    const float *unit;      /* [size, dim] scaled to length one; NULL when only decoding */
    struct kern_linear out; /* small space -> latent */
    struct kern_linear in;  /* latent -> small space; only when encoding */
};

struct rvq {
    struct rvq_book book[LIMIT_CODEBOOKS];
    int n_book;
    const float *minus_one; /* [latent] holds -1; only when encoding */
};

struct rvq_space {
    float *work; /* [n_row, dim] */
    struct kern_exec *exec;
};

/* unit [size, dim] = entry, each row divided by its length. */
void rvq_unit(const float *entry, int size, int dim, float *unit);

/* z [n_row, latent] = sum over the books of out_proj(entry).  codes of book i at codes + i *
 * codes_stride; entries beyond the book count as its last, negative ones as 0. */
void rvq_decode(const struct rvq *q, const int32_t *codes, size_t codes_stride, int n_row, float *z,
                const struct rvq_space *m);

/* codes of z [n_row, latent], which is consumed. */
void rvq_encode(const struct rvq *q, float *z, int n_row, int32_t *codes, size_t codes_stride,
                const struct rvq_space *m);

#endif
