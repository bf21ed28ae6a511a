/* jabbertts_tools.h - the workshop: make model files, look into them, quantize, calibrate, compare
 * and measure them.  Strings, errors and statuses are those of jabbertts.h.
 *
 * Threads: any; each call is one job and works alone.  A file that is made appears when it is
 * whole. */
#ifndef JABBERTTS_TOOLS_H
#define JABBERTTS_TOOLS_H
#include "jabbertts.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A checkpoint directory as published, or random weights of a known shape, to one model file, which
 * appears when it is whole. */
struct jabbertts_convert_options {
    const char *directory; /* config.json, model.pth, codec.pth, ...; NULL with random */
    const char
        *random; /* "s1-mini": its shape, random weights; only output, type and progress apply */
    const char *output;
    const char *type;    /* of matrices: "f32", "f16", "bf16", "q8_0"; NULL: as in the directory */
    const char *name;    /* NULL: the directory's */
    const char *version; /* of the model; NULL: none */
    const char *default_voice;  /* NULL: none */
    const char *const *aliases; /* n_alias of "ALIAS=VOICE" */
    int n_alias;
    float temperature, top_p, repetition_penalty; /* recommended, stored; < 0: S1-mini's */
    float gain_db;   /* -40 to 40, brings speech to -18 LUFS, stored; 0: as the codec gives it */
    int no_encoder;  /* leave out what only cloning needs */
    int no_equalize; /* type q8_0: leave channel sizes as they are */
    void (*note)(void *cookie, const char *line);   /* what was decided; NULL: not said */
    int (*progress)(void *cookie, double fraction); /* NULL: none; not 0 stops the conversion */
    void *cookie;
};
JABBERTTS_API void jabbertts_convert_options_init(struct jabbertts_convert_options *o);
JABBERTTS_API int jabbertts_convert(const struct jabbertts_convert_options *o,
                                    struct jabbertts_error *e);

/* What is in a model file and what it costs to run with a context of so many tokens (0: the
 * model's): text, or JSON if json is not 0.  Free *ret with free(). */
JABBERTTS_API int jabbertts_inspect(const char *path, int context, int json, char **ret,
                                    struct jabbertts_error *e);

/* Measure a model, its parts and whole requests: a table, or JSON if json is not 0.  Free *ret with
 * free(). Of the options, model, threads, isa, cache, context and the
 * engine's are looked at; context 0: 1024. */
JABBERTTS_API int jabbertts_bench(const struct jabbertts_options *o, int json, char **ret,
                                  struct jabbertts_error *e);

/* What this machine can do: half a second of work of all its cores, and 256 MB. */
struct jabbertts_machine {
    const char *isa; /* the instruction set in use */
    int threads;
    double products_per_s; /* of bytes, by registers alone */
    double bytes_per_s;    /* read from memory */
};
/* threads 0: one per core; isa NULL: the best. */
JABBERTTS_API int jabbertts_measure(int threads, const char *isa, struct jabbertts_machine *ret,
                                    struct jabbertts_error *e);

/* A frame's work, as jabbertts_inspect counts it. */
struct jabbertts_work {
    double frames_per_s, lm_products, lm_bytes, codec_products;
};
/* Seconds for a second of sound of one sentence alone, of a model that is larger than the caches
 * (docs/SPEED.md, "What to expect"). */
JABBERTTS_API double jabbertts_expect(const struct jabbertts_machine *m,
                                      const struct jabbertts_work *w);

/* Matrices of a model file to blocks of 8 or 4 bits.  The output appears when it is whole; its
 * bytes do not depend on the number of threads. */
struct jabbertts_quantize_options {
    const char *input, *output;
    const char *type;    /* "q8", "q4", "mixed" */
    const char *imatrix; /* made by jabbertts_calibrate; NULL: every input counts the same */
    double target_bits;  /* "mixed": mean bits a value of the language model's matrices, 4.5 to
                            8.5, spent where they help most; 0: a fixed choice */
    int no_equalize;     /* leave channel sizes as they are */
    void (*note)(void *cookie, const char *line);    /* what was decided, and why; NULL: not said */
    int threads;                                     /* 0: one per core; so below */
    void (*progress)(void *cookie, double fraction); /* NULL: none; so below */
    void *cookie;
};
JABBERTTS_API int jabbertts_quantize(const struct jabbertts_quantize_options *o,
                                     struct jabbertts_error *e);

/* A model file as a folder of ONNX graphs (docs/ONNX.md), which is made when it does not exist. */
struct jabbertts_export_options {
    const char *input, *directory;
    const char *type;         /* "f32", "f16", "int8"; NULL: f32 */
    const char *imatrix;      /* of int8: made by jabbertts_calibrate */
    const char *onnx_library; /* of the check; as in jabbertts_options */
    void (*progress)(void *cookie, double fraction);
    void *cookie;
};
JABBERTTS_API int jabbertts_export(const struct jabbertts_export_options *o,
                                   struct jabbertts_error *e);
/* What was exported, in ONNX Runtime, against our kernels in floats: lines of how far results are
 * apart, to be freed with free().  Returns how many of them are over the limit of the type: of f32
 * 1e-4 of the peak and the same greedy frames, of f16 3e-2, of int8 none (jabbertts_eval takes the
 * folder). */
JABBERTTS_API int jabbertts_export_check(const struct jabbertts_export_options *o, char **ret,
                                         struct jabbertts_error *e);

/* Speak a text with a model and note how much each input of each matrix matters. */
struct jabbertts_calibrate_options {
    const char *model;  /* NULL: the built-in voice */
    const char *text;   /* a file, UTF-8; NULL: sentences that come with us (English) */
    const char *output; /* a GGUF */
    int alignment; /* 1: output is the model with the heads that say which word is spoken, found by
                    * their attention; 0: output is an importance matrix */
    int threads;
    void (*progress)(void *cookie, double fraction);
    void *cookie;
};
JABBERTTS_API int jabbertts_calibrate(const struct jabbertts_calibrate_options *o,
                                      struct jabbertts_error *e);

/* Take parts out of a model file that matter least while it speaks a text, and repair what stays
 * by least squares.  The output appears when it is whole and judged. */
struct jabbertts_prune_options {
    const char *input, *output;
    const char *part;  /* "feed-forward" columns, attention "heads", "layers", the "codec"'s inner
                        * channels; single "weights" or two in four, "2:4", which become zero and
                        * make nothing smaller or faster; NULL: feed-forward */
    const char *text;  /* as above */
    const char *judge; /* what is said to judge; NULL: other sentences that come with us */
    double keep;       /* share that stays, above 0 to 1; not looked at by 2:4 */
    double limit;      /* nats of divergence from the original; beyond it ERR_LIMIT, */
    double limit_db;   /* or with the codec's signal to noise below this, */
    int force;         /* unless this is not 0 */
    int threads;
    void (*note)(void *cookie, const char *line); /* what was lost; NULL: not said */
    void (*progress)(void *cookie, double fraction);
    void *cookie;
};
JABBERTTS_API int jabbertts_prune(const struct jabbertts_prune_options *o,
                                  struct jabbertts_error *e);

/* Compare a quantized model, or an exported folder in ONNX Runtime, with its original: a few lines
 * of text, or JSON if json is not 0.  Free *ret with free(). */
struct jabbertts_eval_options {
    const char *model, *reference; /* the quantized one, the original */
    const char *text;              /* as above */
    const char *cache;             /* of the quantized one, as in jabbertts_options */
    int threads;
    void (*progress)(void *cookie, double fraction);
    void *cookie;
};
JABBERTTS_API int jabbertts_eval(const struct jabbertts_eval_options *o, int json, char **ret,
                                 struct jabbertts_error *e);

#ifdef __cplusplus
}
#endif
#endif
