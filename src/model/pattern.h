/* pattern.h - names of tensors that differ in a number only, and what the number counts.
 *
 * A pattern is a name with {p}, {t}, {i}, {u} or {r} in it, the last three also as {i+1} or {i-1}:
 *     pattern_name("codec.dec.{i+1}.res.{u}.conv1.weight", &place, name, sizeof name);
 * The tables of names (import_names.c) and of what belongs together (equalize.c) are lists of
 * patterns, each with what it goes over.
 *
 * Threads: no state. */
#ifndef MODEL_PATTERN_H
#define MODEL_PATTERN_H
#include "model/spec.h"

#define PATTERN_NAME  256 /* bytes of a tensor's name */
#define PATTERN_UNITS 3   /* residual units of a codec block (modded_dac.py:DecoderBlock) */

enum pattern_over { /* what a pattern is repeated for */
                    OVER_ONE,
                    OVER_LAYERS,      /* {p}, {i}: of all transformers */
                    OVER_STACKS,      /* {p}: all transformers */
                    OVER_CODEBOOKS,   /* {i}, {t} */
                    OVER_FACTORS,     /* {i}: of the quantizer's up- and downsampling */
                    OVER_RATES,       /* {i}: blocks of the decoder; {r}: the caller's */
                    OVER_UNITS,       /* {i}, {u} */
                    OVER_END,         /* {i}: the number of the decoder's blocks */
                    OVER_ENC_RATES,   /* {i}: blocks of the encoder, 0 of them without one */
                    OVER_ENC_UNITS,   /* {i}, {u} */
                    OVER_ENC_END,     /* {i}: the number of the encoder's blocks */
                    OVER_ENC_FACTORS, /* {i}: as OVER_FACTORS, 0 without an encoder */
                    OVER_ENC_ONE
};

struct pattern_place {
    int i, u, r;
    int n;              /* values of i */
    const char *ours;   /* {p}: prefix of a transformer's tensors in our files, */
    const char *theirs; /* {t}: and of a transformer's or a codebook's in checkpoints */
    const struct spec_transformer *stack;
    char text[2][64]; /* what ours and theirs may point to */
};

int pattern_count(enum pattern_over over, const struct spec *s);
/* Place k of pattern_count; p must not be moved afterwards. */
void pattern_at(enum pattern_over over, const struct spec *s, int k, struct pattern_place *p);
/* The pattern's name in a place; cut off at n bytes, which no pattern of ours reaches. */
void pattern_name(const char *pattern, const struct pattern_place *p, char *out, size_t n);

#endif
