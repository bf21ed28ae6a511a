/* engine.h - inside of struct jabbertts: a model, what speaks it, and what its callers see.
 *
 *     jabbertts_open --> struct models (models.c): all that was opened, one lock
 *                          struct jabbertts: one model, with an engine thread of its own (thread.c)
 *                            struct voice_engine: what turns pieces of text into its sound
 *                            struct front: what callers see and change of it
 *                            struct jabbertts_stream (stream.h): a request
 *
 * An engine is a table of functions: of dual_ar/ (S1 and its kind), with our kernels or in ONNX
 * Runtime, and of espeak.c.  What
 * both need stands above them, once: queue, admission, deadlines, cancelling, counts, idling and
 * memory (thread.c, models.c), effects, pauses, marks and progress (stream.c).
 *
 * One lock guards what callers see of all models.  engine_lock gives a struct front *; whoever has
 * one holds the lock, and a function that takes one is called with the lock held.  An engine thread
 * never computes with it. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H
#include <pthread.h>
#include <stdbool.h>
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/policy.h"
#include "jabbertts.h"
#include "text/text.h"

#define ENGINE_ESPEAK "espeak-ng" /* as the name of a model */
#define ENGINE_OWN    "own"       /* as options say it */
#define ENGINE_ONNX   "onnx"

struct ear;
struct front;
struct model;
struct take;

struct voice_engine {
    const char *name;
    /* Open tts->path: fill what describes the model, and state; weights are not loaded. */
    int (*open)(struct jabbertts *tts, const struct jabbertts_options *o, struct err *e);
    void (*close)(struct jabbertts *tts); /* also after a failed open; its thread has ended */

    /* The engine thread. */
    int (*load)(struct jabbertts *tts, struct err *e); /* NULL: there is nothing to load */
    void (*unload)(struct jabbertts *tts);             /* also after a failed load, or twice */
    /* Do some work, giving the lock up meanwhile.  False: there is none.  When the model shall make
     * room (f->leave), no piece is begun any more. */
    bool (*turn)(struct jabbertts *tts, struct front *f);
    /* Is there something to do that needs the weights?  NULL: always. */
    bool (*has_work)(const struct jabbertts *tts, struct front *f);
    void (*drop)(struct jabbertts *tts,
                 struct jabbertts_stream *s); /* s ends: it leaves its places */

    /* Any thread. */
    int (*prepare)(struct jabbertts_stream *s, const struct jabbertts_request *r, struct err *e);
    void (*forget)(struct jabbertts_stream *s); /* frees what prepare made, half-made too */
    /* Add the model and the request's voice to the hash of what decides its samples (take.h);
     * ERR_UNSUPPORTED: something else decides them, too. */
    int (*identify)(struct jabbertts *tts, const struct jabbertts_request *r, struct take *t,
                    struct err *e);
    int (*voice)(const struct jabbertts *tts, int i, struct jabbertts_voice_info *ret);
    const char *(*alias)(const struct jabbertts *tts, int i, const char **name);
    const char *(*default_voice)(const struct jabbertts *tts);
    /* Let alias stand for a voice of the model, or of the store (stored): 1, or 0 if it has none of
     * that name.  NULL: its voices have no other names. */
    int (*set_alias)(struct jabbertts *tts, const char *alias, const char *name, bool stored,
                     struct err *e);
};
extern const struct voice_engine engine_dual_ar, engine_espeak;
extern const struct voice_engine engine_onnx; /* as dual_ar, computed by ONNX Runtime */

struct encode_job { /* a clip to codes, on the engine thread, a step between two frames */
    struct encode_job *next;
    struct codec_encoding *at; /* the engine thread's: how far it is; NULL: not begun, or done */
    const float *pcm;
    size_t n_sample;
    int32_t *codes;
    int rc;
    bool done;
    struct err err;
};

struct front {                     /* what callers see and change of a model: the lock's */
    struct jabbertts_stream *open; /* not DONE, oldest first */
    int n_open, n_queued;          /* of which queued; those in the background apart: */
    int n_background;
    int n_free, n_dry; /* free slots; begun streams that come before new ones */
    struct encode_job *jobs;
    bool closing, loaded;
    bool leave;                 /* give the memory back as soon as the pieces in hand are made */
    double wants_since;         /* waits for memory to load; 0: does not */
    double loaded_at;           /* engine_now of the last load, */
    double last_work;           /* of the last turn */
    struct jabbertts_load load; /* the counts in it; the rest is filled when asked */
    double recent_busy, recent_sound; /* decaying sums: seconds computed, seconds of sound */
    double piece_s, load_s;           /* recent mean of a piece in a slot; of loading */
};

struct jabbertts { /* a model; what never changes once it is open, but for the last part */
    struct models *all;
    const struct voice_engine *kind;
    char *name, *path;
    const struct model *model; /* its spec, tokenizer and voices; NULL: not neural */
    enum text_frontend frontend;
    int piece_chars;         /* of text in a piece; 0: the front end's default */
    int rate, frame_samples; /* Hz; 0 where there are no frames */
    int max_clip_frames;     /* of a recording to make a voice of; 0: none can be made */
    int n_slot, n_queue_max;
    double max_wait_s, idle_s;
    size_t file_bytes, cost; /* cost: of weights, slots and caches, at most */
    const char *licence;     /* "" where the file says nothing */
    const char *isa;
    int n_thread;

    void *state; /* the engine's own */
    pthread_t thread;
    bool has_thread;
    pthread_cond_t wake;  /* the engine thread: there is something to do */
    struct front guarded; /* by engine_lock only */
};

struct models { /* all that one jabbertts_open opened */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a job is done, a stream has ended */
    struct jabbertts *model[LIMIT_MODELS + 1];
    int n, n_listed;         /* espeak-ng comes after those listed, unless it is one of them */
    struct lexicon *lexicon; /* NULL: none */
    struct jabbertts_store *store; /* NULL: none */
    pthread_mutex_t ear_lock;
    struct ear *ear; /* (ear_lock) opened when a recording comes; NULL: not yet, or not there */
    size_t budget;   /* 0: none */
    size_t in_use;   /* the lock's: cost of the models in memory */
    bool draining;   /* the lock's */
};

struct front *engine_lock(struct jabbertts *tts);
void engine_unlock(struct jabbertts *tts);

/* engine.c */
double engine_now(void);                /* seconds, monotonic */
struct timespec engine_clock(double t); /* engine_now's time as what condition variables wait for */
int engine_return(struct jabbertts_error *to, const struct err *from, int rc);
int engine_shipped(const char *file, char *path, size_t n); /* of models/; ERR_NOT_FOUND */
int engine_model_path(const char *given, char *path, size_t n, struct err *e);

/* models.c */
/* May tts load now?  Then its cost counts as in use.  Else who has to make room is told, and tts is
 * woken when it has; *again is when to ask anyway. */
bool models_make_room(struct jabbertts *tts, struct front *f, double now, double *again);
void models_give_back(struct jabbertts *tts, struct front *f); /* its cost: it is unloaded */
void models_withdraw(struct jabbertts *tts, struct front *f);  /* it no longer needs its weights */
void models_wake(struct models *all); /* wakes the models that wait for room */

/* thread.c */
void *engine_main(void *tts); /* the engine thread */
/* What a new request would find. */
struct policy_queue engine_queue(const struct jabbertts *tts, const struct front *f);
/* What a turn cost, and what it produced. */
void engine_account(struct front *f, double seconds, int n_step, double sound_s);

/* languages.c: what espeak-ng calls a language; NULL: to be told by the text; given itself when
 * it is not known. */
const char *engine_language(const char *given);

#endif
