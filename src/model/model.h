/* model.h - a whole model in memory: file, hyper-parameters, tokenizer, voices, language model,
 * codec, and the executor their kernels run on.
 *
 * Threads: opened and closed by one thread; afterwards lm, encoder and exec belong to the engine
 * thread, codec and job_exec to its pool's job, everything else is read-only. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H
#include "model/ar.h"
#include "model/codec.h"
#include "model/lm.h"
#include "model/ort_model.h"
#include "model/tokenizer.h"
#include "model/voices.h"

struct model_options {
    int n_thread;         /* 0: one per core */
    const char *isa;      /* NULL: the best */
    const char *cache;    /* as in lm_options */
    int max_batch;        /* sequences decoded together; 0 = 1 */
    bool f32;             /* widen all matrices; else each keeps the type it has in the file */
    struct ort_place ort; /* dir not NULL: ONNX Runtime computes, with the graphs there */
};

struct model {
    struct gguf *file;
    struct spec spec;
    struct pool *pool;
    struct kern_exec *exec;
    struct kern_exec *job_exec; /* for a job of the pool, beside exec */
    struct mem_arena *arena;    /* packed weights */
    struct mem_arena *encoder_arena;
    struct tokenizer *tokenizer;
    struct voices *voices;
    struct lm *lm;
    struct codec *codec;   /* decodes */
    struct codec *encoder; /* encodes; model_encoder makes it */
    struct ort_model *ort; /* computes for the three; NULL: our kernels do */
    enum kern_type type;   /* of packed matrices: a wish */
};

/* m is filled in place; on failure nothing is left behind. */
int model_open_file(struct model *m, const char *path, struct err *e); /* all but what loads */
int model_open(struct model *m, const char *path, const struct model_options *o, struct err *e);
/* The weights, lm, codec and executor go and come back; spec, tokenizer and voices stay where they
 * are.  Unload also after a failed load, or twice. */
void model_unload(struct model *m);
int model_load(struct model *m, const struct model_options *o, struct err *e);
/* The codec's encoder, whose weights (a fifth of S1-mini's in 4 bits) are loaded when first asked
 * for and then stay: most voices come as codes.  ERR_UNSUPPORTED when the file has none. */
int model_encoder(struct model *m, struct codec **ret, struct err *e);
/* Whether nothing has happened since it was loaded that makes its results worthless: the file was
 * cut, a run of ONNX Runtime failed.  Cheap; any thread. */
int model_check(struct model *m, struct err *e);
/* Of the tensors whose names begin with prefix, so that codes of one codec are not given to
 * another; an exported folder has that of its codec as a key. */
#define MODEL_FINGERPRINT "jabbertts.codec_fingerprint"
int64_t model_fingerprint(const struct gguf *file, const char *prefix);
void model_close(struct model *m); /* also after a failed open, or twice */

#endif
