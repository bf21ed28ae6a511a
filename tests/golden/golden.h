/* golden.h - comparing a model with the numbers of the original implementation.
 *
 * A set is a directory with golden/NAME.npy; the model is made from its checkpoint. */
#ifndef GOLDEN_GOLDEN_H
#define GOLDEN_GOLDEN_H
#include <jansson.h>

#include "model/ar.h"
#include "model/codec.h"
#include "model/import.h"

struct golden {
    const char *dir;  /* of the set */
    json_t *manifest; /* golden/manifest.json, or NULL */
    struct gguf *file;
    struct spec spec;
    struct tokenizer *tokenizer;
    struct lm *lm; /* f32, full head: the reference's behaviour */
    struct codec *codec;
    struct kern_exec *exec;
    int n_check, n_failed;
};

/* An array of a .npy file (C order, little-endian): floats in f; integers of 1, 2 or 4 bytes in i,
 * where f is room for as many floats. */
struct npy {
    int n_dim, shape[4]; /* unused are 1 */
    size_t n;
    float *f;
    int32_t *i;
};
/* A file that the set lacks is an error when its manifest lists it, and else no concern of ours. */
int golden_npy(struct golden *g, const char *name, struct npy *a);
/* The number behind WORD in what the manifest says about a file. */
float golden_number(const struct golden *g, const char *name, const char *word, float fallback);
void npy_done(struct npy *a);

void golden_fail(struct golden *g, const char *what, const char *why);
/* max |got - want| <= 1e-4 max |want| */
void golden_relative(struct golden *g, const char *what, const float *got, const float *want,
                     size_t n);
void golden_absolute(struct golden *g, const char *what, const float *got, const float *want,
                     size_t n, double tolerance);

/* Integers: every one the same. */
void golden_exact(struct golden *g, const char *what, const int32_t *got, const int32_t *want,
                  size_t n);

int golden_codec(struct golden *g);
int golden_lm(struct golden *g);

#endif
