/* engine.h - inside of struct jabbertts, shared by the files of src/engine.
 *
 *              submit                  slot free                last piece
 *   (caller) ---------> QUEUED ------------------> ACTIVE -------------------> DONE --> (freed)
 *                         |  cancel                  |  cancel, failure           ^
 *                         +--------------------------+----------------------------+
 *
 * One engine thread owns the model.  Each turn it moves queued streams into free slots (admit), makes
 * one frame for all active slots in one pass over the weights (ar_step), decodes what is due and
 * hands the samples over.  A stream whose reader is slow is left out until there is room.
 *
 * Streams of espeak-ng (espeak.c) never enter the queue: the reader makes their sound.
 *
 * One mutex guards the queue, the jobs and every field of a stream marked (lock). */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H
#include <pthread.h>
#include <stdbool.h>
#include "base/err.h"
#include "engine/prefix.h"
#include "jabbertts.h"
#include "model/model.h"
#include "text/text.h"

struct jabbertts_voice {
    char *text;     /* as the model reads it */
    int32_t *codes; /* [Q, n_frame] */
    int n_frame;
};

enum stream_state { STREAM_QUEUED, STREAM_ACTIVE, STREAM_DONE };

struct espeak_stream;

struct jabbertts_stream {
    struct jabbertts *tts;
    struct espeak_stream *espeak;  /* spoken by espeak-ng; NULL: by the model */
    struct jabbertts_stream *next; /* in the queue (lock) */
    struct text_pieces pieces;
    struct ar_params params;
    struct prompt_reference reference;
    bool has_reference;
    int max_frames;                /* of the whole request; 0: none */
    double submitted, deadline;    /* engine_now; deadline INFINITY: none */

    enum stream_state state;       /* (lock) */
    bool cancel;                   /* (lock) */
    struct err failure;            /* (lock) code 0: none */
    float *ring;                   /* (lock) samples not yet read */
    size_t ring_size, ring_head, ring_len;
    struct jabbertts_progress progress; /* (lock) */
    pthread_cond_t readable;
    void (*on_ready)(void *cookie); /* (lock) NULL: nobody asked */
    void *ready_cookie;
};

struct slot { /* engine thread only */
    struct jabbertts_stream *stream; /* NULL: free */
    struct ar *ar;
    struct codec_stream *codec;
    int piece;
    int32_t *frames;     /* [n_pending, Q] not yet decoded */
    int n_pending, n_chunk; /* decode when n_pending reaches n_chunk; grows after the first sound */
    int32_t *first;      /* [n_first, Q] codes of the first piece: the voice of the later ones */
    int n_first, cap_first;
    size_t pause;        /* samples of silence still to be written */
    double since;        /* engine_now when the stream came in */
};

struct job { /* encode a clip on the engine thread */
    struct job *next;
    const float *pcm;
    size_t n_sample;
    int32_t *codes;
    int rc;
    bool done;
    struct err err;
};

struct jabbertts {
    struct model model;
    bool has_model;  /* no: espeak-ng is all there is, and no engine thread */
    int n_slot, n_queue_max, n_context;
    struct slot *slots;
    struct prefix_cache *prefix;
    float *pcm;      /* [chunk] samples being decoded */
    int32_t *chunk;  /* [Q, chunk] codes, codebook first */

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, job_done;
    struct jabbertts_stream *queue; /* (lock) oldest first */
    int n_queued;                   /* (lock) */
    struct job *jobs;               /* (lock) */
    bool closing;                   /* (lock) */
    struct jabbertts_load load;     /* (lock) the counts in it; the rest is filled when asked */
    double recent_busy, recent_sound, recent_hold; /* (lock) decaying: seconds computed, seconds of
                                                    * sound made, mean time in a slot */
};

#define ENGINE_CHUNK_FRAMES 8 /* decoded at once: the codec's weights are read once per chunk */

#define ENGINE_ESPEAK "espeak-ng" /* as the name of a model */

void *engine_main(void *tts); /* scheduler.c: the engine thread */
int engine_slots_new(struct jabbertts *tts, struct err *e);
void engine_slots_free(struct jabbertts *tts);
int engine_return(struct jabbertts_error *to, const struct err *from, int rc);
double engine_now(void); /* seconds, monotonic */
double engine_wait(const struct jabbertts *tts); /* (lock) predicted, for a request made now */
/* (lock) Take a waiting stream out of the queue and end it. */
void engine_drop(struct jabbertts_stream *s, const struct err *why);
void engine_tell(struct jabbertts_stream *s); /* (lock) there is something to read */
int engine_model_path(const char *given, char *path, size_t n, struct err *e);

/* espeak.c: streams that espeak-ng speaks */
bool engine_wants_espeak(const struct jabbertts *tts, const struct jabbertts_request *r);
int engine_espeak_fill(struct jabbertts_stream *s, const struct jabbertts_request *r, struct err *e);
int engine_espeak_read(struct jabbertts_stream *s, float *pcm, int n_max, struct err *e);
void engine_espeak_free(struct jabbertts_stream *s);
const char *engine_espeak_alias(int i);  /* i-th OpenAI voice; NULL after the last */
#define ENGINE_ESPEAK_VOICE "en-us" /* the default */

#endif
