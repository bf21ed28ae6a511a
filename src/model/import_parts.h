/* import_parts.h - the steps of an import, shared by import*.c alone.
 *
 *     import.c         opening a checkpoint, writing everything
 *     import_spec.c    config.json and modded_dac_vq.yaml to a struct spec
 *     import_names.c   the table of names: which tensor of ours comes from which of theirs
 *     import_values.c  a tensor's shape and values, from their layout to ours
 *     import_voices.c  voices and other names for them
 *
 * Threads: one. */
#ifndef MODEL_IMPORT_PARTS_H
#define MODEL_IMPORT_PARTS_H
#include <jansson.h>
#include <yaml.h>
#include "formats/checkpoint.h"
#include "model/equalize.h"
#include "model/import.h"
#include "model/pattern.h"
#include "model/tokenizer.h"

#define IMPORT_MAX_PLAN 8192

enum import_op {
    IMPORT_COPY,       /* a matrix or an embedding */
    IMPORT_HEAD,       /* the same; perhaps only the rows that can be generated */
    IMPORT_VECTOR,     /* kept as float; a codebook, too */
    IMPORT_PARAMETER,  /* a vector that is no layer's weight or bias: its names are whole */
    IMPORT_CONV,       /* [out, in, tap] to [out, tap, in] */
    IMPORT_TRANSPOSED, /* [in, out, tap] to polyphase */
    IMPORT_DEPTHWISE   /* [channel, 1, tap] to [tap, channel], float */
};

struct import_step {           /* one tensor of the output */
    char name[PATTERN_NAME];   /* ours */
    char source[PATTERN_NAME]; /* theirs: a layer, or with bias, or IMPORT_PARAMETER, a tensor */
    enum import_op op;
    bool codec, bias;
    int type, n_dim;
    int64_t ne[3]; /* innermost first, unused ones 1 */
};

struct import {
    const struct import_options *o;
    struct checkpoint *lm, *codec;
    const char *codec_prefix; /* "generator." or "" */
    const char *lm_prefix;    /* "model." or "" */
    struct spec spec;
    struct tokenizer_vocab vocab;
    json_t *config;
    yaml_document_t yaml;
    bool has_yaml;
    struct import_step *plan; /* [IMPORT_MAX_PLAN] */
    int n_plan;
    struct equalize *equalize; /* NULL: values stay as they are */
    double n_value, n_done;    /* of the output */
};

/* A tensor by its name; the weight of a layer, with *g the magnitude of one under weight norm (else
 * NULL).  NULL: there is none. */
struct checkpoint_tensor *import_source(const struct import *m, bool codec, const char *name);
struct checkpoint_tensor *import_weight(const struct import *m, bool codec, const char *base,
                                        struct checkpoint_tensor **g);

int import_spec_read(struct import *m, struct err *e);
int import_plan(struct import *m, struct err *e);
int import_step_shape(const struct import *m, struct import_step *s, struct err *e);
/* All values of a step in our layout, as they are in the checkpoint. */
int import_step_read(struct import *m, const struct import_step *s, float **ret, struct err *e);
int import_step_write(struct import *m, struct gguf_writer *w, const struct import_step *s,
                      struct err *e);
int import_put_voices(struct import *m, struct gguf_writer *w, struct err *e);
int import_put_aliases(const struct import *m, struct gguf_writer *w, struct err *e);

#endif
