/* import.h - a checkpoint directory in the hub's layout to one GGUF (names and layouts:
 * docs/MODEL.md).
 *
 * DIR holds config.json, model.pth or model.safetensors (or the index of several), the same for
 * codec, tokenizer.tiktoken, special_tokens.json, and perhaps modded_dac_vq.yaml (else S1-mini's
 * values) and voices/NAME.json.  Tensors are read, folded and written one by one. */
#ifndef MODEL_IMPORT_H
#define MODEL_IMPORT_H
#include "base/err.h"
#include "model/spec.h"

struct import_options {
    const char *directory;
    const char *output;
    const char *name;              /* general.name; NULL: the directory's */
    const char *version;           /* general.version; NULL: none */
    int type;                      /* of matrices: KERN_*; -1: as in the checkpoint */
    struct spec_sampling sampling; /* recommended; a negative field: S1-mini's value */
    float gain_db;                 /* that brings its speech to -18 LUFS; 0: not known */
    const char *default_voice;     /* NULL: none */
    const char *const *aliases;    /* "alias=voice", n_alias of them */
    int n_alias;
    bool no_encoder; /* leave out what only encoding needs */
    bool trim_head;  /* of an output matrix of its own (untied): only the rows that can be
                      * generated, semantic tokens and <|im_end|> in this order */
    bool equalize;   /* channel sizes, for few bits: equalize.h */
    void (*note)(void *cookie, const char *line);   /* what was decided; may be NULL */
    int (*progress)(void *cookie, double fraction); /* may be NULL; not 0: stop, ERR_CANCELLED */
    void *cookie;
};
int import_convert(const struct import_options *o, struct err *e);
/* S1-mini's shape with random weights, for benchmarks.  type of the matrices; -1: as published,
 * bf16 and the codec f32. */
int import_random(const char *output, int type, int (*progress)(void *, double), void *cookie,
                  struct err *e);

#endif
