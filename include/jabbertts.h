/* jabbertts.h - embed JabberTTS: open a model, submit text, pull sound as it is made.
 *
 *     struct jabbertts_options o;
 *     struct jabbertts_request r;
 *     struct jabbertts_error e;
 *     struct jabbertts *tts;
 *     struct jabbertts_stream *s;
 *     float pcm[4096];
 *     int n;
 *
 *     jabbertts_options_init(&o);
 *     if (jabbertts_open(&o, &tts, &e) < 0) ...                     e.message says why
 *     jabbertts_request_init(&r);
 *     r.text = "Hello there.";
 *     if (jabbertts_submit(tts, &r, &s, &e) < 0) ...
 *     while ((n = jabbertts_read(s, pcm, 4096, &e)) > 0)
 *         play(pcm, n);                                              mono, jabbertts_stream_rate
 *     jabbertts_stream_free(s);
 *     jabbertts_close(tts);
 *
 * Sound is mono float in [-1, 1].  Codes are int32 [codebooks, frames].  Strings are UTF-8.
 * Functions that can fail return 0 (or a count) or a negative status and fill the error (which may
 * be NULL).  Same seed, text, voice, model and version give the same samples, whatever the number
 * of threads or of requests running beside it.
 *
 * Threads: an engine may be used from any threads; one stream by one thread at a time, except
 * jabbertts_cancel, which any thread may call while the stream exists.
 *
 * An event loop does not wait in jabbertts_read: it asks jabbertts_try_read, and is told by
 * jabbertts_stream_on_ready when asking again pays. */
#ifndef JABBERTTS_H
#define JABBERTTS_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JABBERTTS_API __attribute__((visibility("default")))

enum jabbertts_status {
    JABBERTTS_OK = 0,
    JABBERTTS_ERR_ARGUMENT = -1,    /* a value you chose is wrong */
    JABBERTTS_ERR_NOT_FOUND = -2,   /* no such file or voice */
    JABBERTTS_ERR_FORMAT = -3,      /* a file or text is malformed */
    JABBERTTS_ERR_UNSUPPORTED = -4, /* this model cannot do that */
    JABBERTTS_ERR_LIMIT = -5,       /* over a limit, which the message names */
    JABBERTTS_ERR_MEMORY = -6,
    JABBERTTS_ERR_IO = -7,
    JABBERTTS_ERR_BUSY = -8, /* too much to do, or shutting down: try again later */
    JABBERTTS_ERR_CANCELLED = -9,
    JABBERTTS_ERR_INTERNAL = -10,
    JABBERTTS_ERR_DEADLINE = -11, /* the request's deadline passed before its end */
    JABBERTTS_AGAIN = -12,        /* jabbertts_try_read: nothing there yet; not a failure */
    JABBERTTS_ERR_DENIED = -13,   /* it is not this owner's to change */
    JABBERTTS_ERR_AWAY = -14      /* the store's server does not answer: try again later */
};

struct jabbertts_error {
    int code;             /* enum jabbertts_status */
    double retry_after_s; /* with ERR_BUSY: when a place may be free; 0 otherwise */
    char message[512];
};

/* --- engine ------------------------------------------------------------------------------------
 */

struct jabbertts;
struct jabbertts_store;

/* One of several models of an engine. */
struct jabbertts_model {
    const char *name; /* by which a request chooses it; NULL: its file's name without ".gguf" */
    const char *path; /* as `model` below */
};

struct jabbertts_options {
    const char *model; /* path of a GGUF made by `jabbertts convert`; NULL: the built-in voice;
                        * "espeak-ng": no neural model at all */
    const struct jabbertts_model *models; /* [n_model] several models instead of that one; the first
                                           * is the default.  Those behind it are loaded when a
                                           * request asks for them. */
    int n_model;                          /* 0..64; 0: `model` alone */
    size_t memory_budget; /* bytes that the weights, slots and caches in memory take at most, all
                           * models together; who was not used for longest makes room.  0: none */
    int threads;          /* 1..256; 0: one per core */
    const char *isa;      /* NULL: the best; ref, avx2, avxvnni, avx512, amx, neon */
    int slots; /* sentences decoded together, 1..64 (default 4); of each model, as below */
    int queue; /* requests open beyond those in slots, 0..65536 (default 64) */
    struct jabbertts_store *store; /* requests may name its voices too; borrowed.  NULL: none */
    const char *aliases; /* other names of voices, "alloy=zoe, nova=my-own", over the model's own
                          * aliases and names; NULL: only those */
    double max_wait_s;   /* refuse a request that would start later than this; 0: no limit */
    double idle_s;       /* give the memory of an idle model back after so long; 0: never.  The next
                          * request waits until it is loaded again. */
    int context;         /* tokens and frames per sentence, reference included; 0: the model's */
    const char *cache; /* how the model's keys and values are kept: "f32", "f16" or "q8_0", which is
                        * half of f16; NULL: q8_0 for models in 4 bits, f32 for f32, else f16 */
    int prefix_mb;     /* MiB for what the model remembers of voices' prompts, so that a voice's
                          second request starts at its own text; 0: nothing (default 256) */
    const char *prefix_dir;   /* a directory to keep that in, up to 1 GiB, for later runs and other
                               processes with the same model file; NULL: memory alone */
    const char *lexicon;      /* file of words and how they are said; NULL: none */
    const char *engine;       /* what computes: "own", our kernels; "onnx", ONNX Runtime; NULL: own.
                             * An exported folder (docs/ONNX.md) is always for "onnx". */
    const char *onnx_dir;     /* where the graphs of model files are kept; NULL: folders only */
    const char *onnx_library; /* libonnxruntime.so; NULL: where it is installed */
    const char *onnx_provider; /* "cpu", "dnnl", "openvino"; NULL: cpu */
};
/* A lexicon that was edited after the engine was opened is read again before the next request.  If
 * it is bad then, the old one stays and this says why; 0: all is well. */
JABBERTTS_API int jabbertts_lexicon_problem(struct jabbertts *tts, struct jabbertts_error *e);
JABBERTTS_API void jabbertts_options_init(struct jabbertts_options *o);
JABBERTTS_API int jabbertts_open(const struct jabbertts_options *o, struct jabbertts **ret,
                                 struct jabbertts_error *e);
/* Cancels what runs; all streams must have been freed.  NULL is fine. */
JABBERTTS_API void jabbertts_close(struct jabbertts *tts);

/* The models of an engine.  Each is a struct jabbertts of its own: functions that ask for the rate,
 * the voices, a stream or a text of one speak of that model, what jabbertts_open returned being the
 * first.  They live as long as the engine; only what jabbertts_open returned is to be closed. */
JABBERTTS_API struct jabbertts *jabbertts_model_at(struct jabbertts *tts, int i); /* or NULL */
/* By its name, by a name of OpenAI's (jabbertts_model_alias; NULL too), which is the first one, or
 * "espeak-ng", which every engine has, listed or not.  NULL: there is no such model. */
JABBERTTS_API struct jabbertts *jabbertts_model_named(struct jabbertts *tts, const char *name);
JABBERTTS_API const char *jabbertts_model_alias(int i); /* "tts-1", ...; NULL after the last */

JABBERTTS_API const char *jabbertts_version(void);
JABBERTTS_API int jabbertts_sample_rate(const struct jabbertts *tts);   /* Hz, of its own model */
JABBERTTS_API int jabbertts_frame_samples(const struct jabbertts *tts); /* samples per frame */
JABBERTTS_API int jabbertts_n_codebook(const struct jabbertts *tts);
JABBERTTS_API const char *jabbertts_isa(const struct jabbertts *tts); /* in use */
JABBERTTS_API int jabbertts_threads(const struct jabbertts *tts);     /* in use */

/* What the engine is doing, all its models together: a consistent snapshot, cheap, from any
 * thread. */
struct jabbertts_load {
    int slots, active, queued; /* sequences at once at most; streams begun; waiting to begin */
    int batch;                 /* sequences in the last turn */
    int loaded;                /* models whose weights are in memory */
    int draining;              /* no more requests are taken */
    double wait_s;             /* a request to tts submitted now is predicted to start then */
    double rtf;                /* compute time per second of sound, all streams together; recent */
    double busy_s;             /* compute time since the engine was opened */
    uint64_t n_frame;          /* and what came of it: frames, */
    double audio_s;            /* seconds of sound handed over, pauses included, */
    uint64_t n_submitted, n_refused, n_finished, n_cancelled, n_failed; /* streams, */
    uint64_t n_truncated;              /* pieces that a limit ended before the model did */
    uint64_t n_repaired;               /* times that a piece was made again */
    size_t memory_bytes;               /* of this process, resident */
    size_t budget_bytes, in_use_bytes; /* memory_budget; what the models in memory take of it */
};
JABBERTTS_API void jabbertts_load(struct jabbertts *tts, struct jabbertts_load *l);

/* One model of an engine.  Strings live as long as it does. */
struct jabbertts_model_info {
    const char *name, *path;
    const char *engine;  /* what speaks: "dual-ar", "onnx" or "espeak-ng" */
    const char *licence; /* as its file says, or "" */
    size_t file_bytes;
    size_t memory_bytes; /* that it takes when it is loaded: weights, slots, caches at their most */
    double idle_s;       /* since its last work */
    int imitates;        /* a recording can be its voice */
    int replaced; /* its path leads to another file now; the one that was opened is still used */
    struct jabbertts_load load; /* of this model alone, without memory */
};
JABBERTTS_API void jabbertts_model_info(struct jabbertts *tts, struct jabbertts_model_info *info);

/* Refuse every further request, and wait until those open have ended or timeout_s has passed.
 * Returns how many have not.  Their readers must go on reading meanwhile. */
JABBERTTS_API int jabbertts_drain(struct jabbertts *tts, double timeout_s);

/* --- voices ------------------------------------------------------------------------------------
 */

/* i-th named voice of the model, NULL after the last; without a neural model, as below. */
JABBERTTS_API const char *jabbertts_voice_name(const struct jabbertts *tts, int i);
/* What is known of it; "" where nothing is.  Strings live as long as the model. */
struct jabbertts_voice_info {
    const char *name;
    const char *language; /* BCP 47, as "en-US" */
    const char *description;
};
/* 0, or ERR_NOT_FOUND after the last. */
JABBERTTS_API int jabbertts_voice_at(const struct jabbertts *tts, int i,
                                     struct jabbertts_voice_info *ret);
/* i-th alias, NULL after the last; *name is the voice it stands for. */
JABBERTTS_API const char *jabbertts_voice_alias(const struct jabbertts *tts, int i,
                                                const char **name);
/* Not 0: the model came without voices and imitates those of the built-in one. */
JABBERTTS_API int jabbertts_voices_imitated(const struct jabbertts *tts);
/* The voice used when none is asked for; NULL: the model speaks without a reference. */
JABBERTTS_API const char *jabbertts_voice_default(const struct jabbertts *tts);

/* i-th voice of espeak-ng, which every engine can use beside its model: a language, as "de" or
 * "en-us", and its name in English (name may be NULL); NULL after the last.  A request's voice may
 * add a variant of the speaker, as in "de+f3", or be an OpenAI name (alloy, ...), which is one. */
JABBERTTS_API const char *jabbertts_espeak_voice(int i, const char **name);

/* Seconds of the longest clip that a voice can be made from; 0: this engine cannot clone. */
JABBERTTS_API double jabbertts_clip_seconds(const struct jabbertts *tts);

/* A voice made from clips: their codes and transcripts, for the model that made it. */
struct jabbertts_voice;
#define JABBERTTS_CLIPS_MAX 8
/* Any sound file libav can read, at most jabbertts_clip_seconds; text: what is said in it, or NULL
 * or "": not known, which costs likeness and words. */
JABBERTTS_API int jabbertts_voice_from_file(struct jabbertts *tts, const char *path,
                                            const char *text, struct jabbertts_voice **ret,
                                            struct jabbertts_error *e);
/* The same of a file's bytes: speech of 1 s at least, as jabbertts_store_add wants it. */
JABBERTTS_API int jabbertts_voice_from_memory(struct jabbertts *tts, const void *data,
                                              size_t n_bytes, const char *text,
                                              struct jabbertts_voice **ret,
                                              struct jabbertts_error *e);
JABBERTTS_API int jabbertts_voice_from_pcm(struct jabbertts *tts, const float *pcm, size_t n_sample,
                                           const char *text, struct jabbertts_voice **ret,
                                           struct jabbertts_error *e);
/* From codes [codebooks, n_frame] that the model knows, which are copied; text: as it reads it. */
JABBERTTS_API int jabbertts_voice_from_codes(struct jabbertts *tts, const int32_t *codes,
                                             int n_frame, const char *text,
                                             struct jabbertts_voice **ret,
                                             struct jabbertts_error *e);
/* Let v have the clips of more, too, which is freed: at most JABBERTTS_CLIPS_MAX, together no
 * longer than jabbertts_clip_seconds, else ERR_LIMIT, and both are left as they are. */
JABBERTTS_API int jabbertts_voice_join(struct jabbertts_voice *v, struct jabbertts_voice *more,
                                       struct jabbertts_error *e);
/* Not while a request that uses it runs.  NULL is fine. */
JABBERTTS_API void jabbertts_voice_free(struct jabbertts_voice *v);

/* --- voice store -------------------------------------------------------------------------------
 */

/* Voices made by users, and the consents to make them, in one SQLite file of a directory:
 * recording, codes and all, so that nothing else is left when one is deleted.  What a call has
 * returned for is on disk; a process that dies in the middle of one leaves nothing of it.  Several
 * processes may use a directory at once; whoever has to wait for another longer than two seconds
 * gets ERR_BUSY.  Processes on several machines share a PostgreSQL server: a change is known to all
 * within a second, and while the server is away, voices that a process has used are spoken on for
 * five minutes; everything else is ERR_AWAY.  Threads: any. */
struct jabbertts_store;
/* A directory, which is made if it does not exist, or postgresql://USER@HOST/NAME. */
JABBERTTS_API int jabbertts_store_open(const char *where, struct jabbertts_store **ret,
                                       struct jabbertts_error *e);
/* After the engines that use it.  NULL is fine. */
JABBERTTS_API void jabbertts_store_close(struct jabbertts_store *s);

enum jabbertts_kind { JABBERTTS_VOICE, JABBERTTS_CONSENT };

/* What a voice is tried with when it is added. */
#define JABBERTTS_PREVIEW                                                                          \
    "The boy watched a large blue ship leave the harbour, and thought of his journey home."
#define JABBERTTS_PRINT 256
struct jabbertts_clip {
    const void *recording;
    size_t n_bytes;
    const char *transcript;
    double seconds;
};
struct jabbertts_stored {
    const char *id;          /* voice_... or cons_... */
    const char *name;        /* of a voice: letters, digits, - and _, and no other voice has it */
    const char *language;    /* BCP 47, or "" */
    const char *transcript;  /* what is said in the recording, or "" */
    const char *description; /* or "" */
    const char *consent;     /* id of the consent a voice was made with, or "" */
    const char *owner;       /* whose it is; "": everyone's */
    int64_t created_at;      /* seconds since 1970 */
    double seconds;          /* of the recordings */
    const void *recording;   /* a sound file as it came; NULL in lists, which have no more either */
    size_t n_bytes;
    const float *print; /* [JABBERTTS_PRINT] of a voice: whom it sounds like; NULL: not known.  Made
                         * when it is added, as the two behind it. */
    double likeness; /* of what the model says with it to the recording, 0 to 1; < 0: not known */
    const char *advice;                /* what would make a better voice, in sentences, or "" */
    const struct jabbertts_clip *more; /* [n_more] further recordings of a voice, at most
                                        * JABBERTTS_CLIPS_MAX - 1 */
    int n_more;
    int trim; /* to add: a recording that is too long is cut at a pause, not refused */
};
/* What is meant of the store.  An owner sees their own rows and everyone's, and changes only their
 * own. */
struct jabbertts_which {
    enum jabbertts_kind kind;
    const char *owner; /* NULL: all are seen, and may be changed */
    const char *id;    /* or a voice's name; of a list, NULL or the id that comes before it */
    int limit;         /* of a list */
};
/* Called with what was found, valid during the call. */
typedef void (*jabbertts_stored_fn)(void *cookie, const struct jabbertts_stored *v);

/* Keep a recording: name, recording and n_bytes are needed, the rest may be NULL; id, created_at
 * and seconds are not read.  It must hold speech, from 1 second to 90, or to
 * jabbertts_clip_seconds if that is less, in a format libav knows, at most 10 MiB.  A voice is
 * encoded by the engine's model now; another model encodes it when it is first asked for it.
 * Where trim cuts, the model is given no transcript, which speaks of the whole. */
JABBERTTS_API int jabbertts_store_add(struct jabbertts_store *s, struct jabbertts *tts,
                                      enum jabbertts_kind kind, const struct jabbertts_stored *v,
                                      char id[48], struct jabbertts_error *e);
JABBERTTS_API int jabbertts_store_get(struct jabbertts_store *s,
                                      const struct jabbertts_which *which, jabbertts_stored_fn fn,
                                      void *cookie, struct jabbertts_error *e);
/* How alike two prints are: of takes of one speaker about 0.9, of two speakers 0.5 to 0.8. */
JABBERTTS_API double jabbertts_likeness(const float *a, const float *b);
/* At most which->limit of them, oldest first.  Returns 1 if there are more, else 0. */
JABBERTTS_API int jabbertts_store_list(struct jabbertts_store *s,
                                       const struct jabbertts_which *which, jabbertts_stored_fn fn,
                                       void *cookie, struct jabbertts_error *e);
JABBERTTS_API int jabbertts_store_rename(struct jabbertts_store *s,
                                         const struct jabbertts_which *which, const char *name,
                                         struct jabbertts_error *e);
/* A consent that a voice was made with cannot go before the voice: ERR_ARGUMENT. */
JABBERTTS_API int jabbertts_store_remove(struct jabbertts_store *s,
                                         const struct jabbertts_which *which,
                                         struct jabbertts_error *e);
/* A voice as one JSON text (free with free()), and back; a new id is made. */
JABBERTTS_API int jabbertts_store_export(struct jabbertts_store *s, const char *id, char **ret,
                                         struct jabbertts_error *e);
JABBERTTS_API int jabbertts_store_import(struct jabbertts_store *s, struct jabbertts *tts,
                                         const char *json, size_t n, char id[48],
                                         struct jabbertts_error *e);

/* --- speaking ----------------------------------------------------------------------------------
 */

struct jabbertts_stream;

struct jabbertts_request {
    const char *text;
    const char *voice; /* name, alias, or id in the store; NULL: the default; "": none, so that the
                        * first sentence is the voice of the others */
    const char *owner; /* of voices in the store that it may use; NULL: any */
    const struct jabbertts_voice
        *reference;           /* instead of a name; borrowed until the stream's end */
    uint64_t seed;            /* default 0 */
    float temperature;        /* ranges: jabbertts_parameter; < 0: the model's recommendation */
    float top_p;              /* the same */
    float repetition_penalty; /* the same */
    double max_seconds;       /* of sound in all; 0: as long as the text needs */
    const char *language;     /* as espeak-ng names it; NULL: told sentence by sentence */
    const char *instructions; /* how to speak; a marker it names leads each sentence (S1 models) */
    double deadline_s;        /* from submit to the last sample made; 0: none */
    const char *model;        /* as jabbertts_model_named takes it; NULL: the one submitted to */
    int ssml;                 /* text is SSML: 1 yes, -1 no, 0 if it starts with <speak */
    int normalize;            /* default 1; 0: the text goes to the model as it was written */
    int carry_markers;        /* default 1: a marker leads the rest of its paragraph (S1 models) */
    int context_sentences;    /* 0 to 8, default 0: each sentence hears so many before it, at most,
                               * as further references; they are made one after the other */
    int background;           /* no listener waits: it runs in the time that other requests leave */
    int fallback; /* not 0: espeak-ng speaks sentences in letters that the model does not read;
                   * not in SSML, which names its languages */
    int repair; /* whether sentences that fail are made again: JABBERTTS_REPAIR_LATER by default */
    int words;  /* 1: jabbertts_stream_word will say when each word is heard */
};
/* A sentence fails when it does not end, leaves words out, repeats itself or has another pace than
 * its voice, by what the model shows of it.  It is made again from numbers of its own of the same
 * seed, so that the same request gets the same sound. */
#define JABBERTTS_REPAIR_NONE  0
#define JABBERTTS_REPAIR_LATER 1 /* all but the first, which is heard while it is made */
#define JABBERTTS_REPAIR_ALL   2 /* the first, too: its sound comes when all of it is made */
JABBERTTS_API void jabbertts_request_init(struct jabbertts_request *r);
/* Everything in the request but the reference is copied.  A text without a letter or a digit is
 * ERR_ARGUMENT, and the message has JABBERTTS_NOTHING_TO_SAY in it. */
#define JABBERTTS_NOTHING_TO_SAY "nothing to say"
JABBERTTS_API int jabbertts_submit(struct jabbertts *tts, const struct jabbertts_request *r,
                                   struct jabbertts_stream **ret, struct jabbertts_error *e);
/* How many runs of sentences in letters that the model does not read the text has (an English voice
 * reads no Russian), and the language of the first, as espeak-ng names it; *language is left alone
 * where there is none. */
JABBERTTS_API int jabbertts_unread(struct jabbertts *tts, const struct jabbertts_request *r,
                                   const char **language);
JABBERTTS_API int jabbertts_stream_rate(const struct jabbertts_stream *s); /* Hz of its samples */
/* Waits for sound.  Returns the number of samples (> 0), 0 at the end, or a negative status. */
JABBERTTS_API int jabbertts_read(struct jabbertts_stream *s, float *pcm, int n_max,
                                 struct jabbertts_error *e);
/* The same without waiting: JABBERTTS_AGAIN when nothing is there yet (e stays untouched). */
JABBERTTS_API int jabbertts_try_read(struct jabbertts_stream *s, float *pcm, int n_max,
                                     struct jabbertts_error *e);
/* Have fn(cookie) called whenever there is something to read where there was nothing: the first
 * samples after none, or the stream's end (made, failed, past its deadline).  What is there already
 * calls it at once, from this thread; later calls come from the engine's.  The engine's lock is
 * held: fn must be short, must not wait, and must not call functions of this header; write to a
 * pipe or wake a loop.  A call may be spurious, never missing.  After this function has returned
 * with fn NULL, or jabbertts_stream_free, it is neither running nor called again. */
JABBERTTS_API void jabbertts_stream_on_ready(struct jabbertts_stream *s, void (*fn)(void *cookie),
                                             void *cookie);
/* Ends the stream (ERR_CANCELLED) and frees its place at once; ended streams are left alone.  A
 * stream still in the queue ends here, without a call of its on_ready function. */
JABBERTTS_API void jabbertts_cancel(struct jabbertts_stream *s);
/* Cancels if it still runs.  NULL is fine. */
JABBERTTS_API void jabbertts_stream_free(struct jabbertts_stream *s);

struct jabbertts_progress {
    int n_piece, piece;   /* sentences in the text; finished so far */
    int n_token;          /* of the text, read so far; references not counted */
    int n_frame;          /* frames made */
    int n_truncated;      /* sentences that a limit ended before the model did */
    int n_repaired;       /* times that a sentence was made again */
    int n_ignored;        /* phonetic readings that the model, which reads letters, cannot use */
    size_t n_sample;      /* samples made, pauses included */
    double wait_s;        /* from submit to the first turn of the engine; < 0: it still waits */
    double first_audio_s; /* from submit to the first samples; < 0: none yet */
    double elapsed_s;     /* from submit to now, or to the end */
};
JABBERTTS_API void jabbertts_stream_progress(const struct jabbertts_stream *s,
                                             struct jabbertts_progress *p);

/* i-th <mark> of SSML: its name, and when it is heard, in seconds of the stream's sound (< 0: not
 * made yet, or never).  Inside a sentence that is estimated.  0, or ERR_NOT_FOUND after the last.
 */
JABBERTTS_API int jabbertts_stream_mark(const struct jabbertts_stream *s, int i, const char **name,
                                        double *seconds);

/* A word of the text, as it was written: "$5" is one. */
struct jabbertts_word {
    size_t start, end;   /* bytes of the text */
    double from_s, to_s; /* of the stream's sound */
    int sentence;        /* from 0, in order */
};
/* i-th word of a request with `words`; they come a sentence at a time, when its sound is made.
 * 0, JABBERTTS_AGAIN when it is not known yet, or ERR_NOT_FOUND after the last; a text that
 * `fallback` gave to espeak-ng in part has none. */
JABBERTTS_API int jabbertts_stream_word(const struct jabbertts_stream *s, int i,
                                        struct jabbertts_word *word);

/* --- sound files -------------------------------------------------------------------------------
 */

/* A format of sound files. */
struct jabbertts_format {
    const char *name;    /* "opus" */
    const char *type;    /* Content-Type */
    const char *endings; /* of file names, with spaces: "opus ogg oga" */
};
/* i-th format; by its name, or by a file's name that ends so.  0, or ERR_NOT_FOUND. */
JABBERTTS_API int jabbertts_format_at(size_t i, struct jabbertts_format *ret);
JABBERTTS_API int jabbertts_format_find(const char *name, struct jabbertts_format *ret);

struct jabbertts_encoder;
/* Gets encoded bytes in order; a negative return stops the encoder, which returns it. */
typedef int (*jabbertts_sink)(void *cookie, const void *data, size_t n);

struct jabbertts_encoder_options {
    const char *format; /* a format's name, or the name of a file that ends so */
    int in_hz;          /* of the samples written */
    int out_hz;         /* 0: the same, or the nearest the format knows */
    double speed;       /* 0.25..4, pitch kept; 0: 1 */
    jabbertts_sink sink;
    void *cookie;
};
JABBERTTS_API int jabbertts_encoder_new(const struct jabbertts_encoder_options *o,
                                        struct jabbertts_encoder **ret, struct jabbertts_error *e);
JABBERTTS_API int jabbertts_encoder_write(struct jabbertts_encoder *c, const float *pcm, size_t n,
                                          struct jabbertts_error *e);
JABBERTTS_API int jabbertts_encoder_finish(struct jabbertts_encoder *c, struct jabbertts_error *e);
/* After finish: the bytes that replace the first ones that the sink got, where it can go back to
 * them: the length is known now, which WAV, FLAC and MP3 say there.  Their number; 0: none. */
#define JABBERTTS_HEAD_MAX 1441
JABBERTTS_API size_t jabbertts_encoder_head(const struct jabbertts_encoder *c,
                                            unsigned char head[JABBERTTS_HEAD_MAX]);
JABBERTTS_API void jabbertts_encoder_free(struct jabbertts_encoder *c);
/* 64 hexadecimal digits that stand for the encoded sound of a request: the same ones, the same
 * bytes.  They are a hash of all that decides it: program, processor's kind, model, the voice's
 * clips, the lexicon, and what is asked of request and encoder, whose in_hz and sink do not count.
 * also: what else the caller lets decide it, or NULL.  ERR_UNSUPPORTED: espeak-ng speaks, which is
 * never the same twice, or the text is SSML with voices of its own. */
JABBERTTS_API int jabbertts_take_name(struct jabbertts *tts, const struct jabbertts_request *r,
                                      const struct jabbertts_encoder_options *o, const char *also,
                                      char ret[65], struct jabbertts_error *e);
/* Header of a 16-bit mono WAV file whose length is known now (the encoder, which cannot seek,
 * writes one of unknown length). */
JABBERTTS_API void jabbertts_wav_header(int hz, size_t n_sample, unsigned char header[44]);

/* --- what may be asked for ---------------------------------------------------------------------
 */

enum jabbertts_type {
    JABBERTTS_TYPE_STRING, /* const char * */
    JABBERTTS_TYPE_FLOAT,
    JABBERTTS_TYPE_DOUBLE,
    JABBERTTS_TYPE_INT,
    JABBERTTS_TYPE_U64
};
/* A member of a request, or of the encoder's options, that a person may set: the one table that the
 * server's fields, the command line's options and the documents are made from. */
struct jabbertts_parameter {
    const char *name; /* "top_p" */
    enum jabbertts_type type;
    int of_encoder;  /* kept in struct jabbertts_encoder_options, else in jabbertts_request */
    size_t offset;   /* of the member */
    double min, max; /* inclusive; of strings: code points */
    double preset;   /* the default; below min: what it is depends on the model or the format */
    const char *help;
};
/* i-th parameter, NULL after the last; by its name, NULL: none. */
JABBERTTS_API const struct jabbertts_parameter *jabbertts_parameter_at(size_t i);
JABBERTTS_API const struct jabbertts_parameter *jabbertts_parameter_find(const char *name);
/* Check a number, and keep it in `to`, the structure of p.  A seed of -1 becomes a random one. */
JABBERTTS_API int jabbertts_parameter_set(const struct jabbertts_parameter *p, void *to,
                                          double value, struct jabbertts_error *e);

/* --- text --------------------------------------------------------------------------------------
 */

struct jabbertts_text_options {
    const char *stage;    /* clean, normalized, sentences, phonemes, tokens, prompt or explained
                             (which rule read what); NULL: all but the last two, with headings.
                             phonemes: also for a model that reads none */
    const char *language; /* as in a request */
    const char *instructions;
    const char *voice; /* whose reference the prompt begins with; NULL: none, also where the model
                          has a default voice */
    int emoji;
    int normalize, carry_markers; /* as in a request */
};
JABBERTTS_API void jabbertts_text_options_init(struct jabbertts_text_options *o);
/* What becomes of a text before it is spoken, in lines.  tts NULL: as for the built-in voice,
 * without tokens.  Free *ret with free(). */
JABBERTTS_API int jabbertts_text(struct jabbertts *tts, const struct jabbertts_text_options *o,
                                 const char *text, char **ret, struct jabbertts_error *e);
/* Run the tests in the text of a language's file (docs/TEXT.md); its name, "share/lang/sv.lang",
 * gives the language.  How many failed, or < 0; *ret is a line for each of them, for each rule that
 * no test reaches and for each that hides another.  Free *ret with free(). */
JABBERTTS_API int jabbertts_check_language(const char *path, const char *text, char **ret,
                                           struct jabbertts_error *e);
/* The S1 marker that instructions name ("Whisper, please": "(whispering)"), NULL if none.  A
 * constant. */
JABBERTTS_API const char *jabbertts_marker(const char *instructions);

#ifdef __cplusplus
}
#endif
#endif
