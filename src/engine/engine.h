/* engine.h - inside of struct jabbertts, shared by the files of src/engine.
 *
 *             submit            first slot             last sample handed over
 *   (caller) --------> QUEUED ------------> ACTIVE ----------------------------> DONE --> (freed)
 *                         |                    |                                  ^
 *                         +--------------------+----------------------------------+
 *                            cancel, deadline, failure, close
 *
 *   piece:  WAITING --> SPEAKING (has a slot) --> MADE (all codes there) --> decoded, in order
 *
 * A stream is a request; its pieces are its sentences.  Sentences are generated each on its own, so
 * several of one stream may be in slots at once; sound is decoded and handed over in their order.
 * One engine thread owns the model.  Each turn it gives slots and decoders to pieces (scheduler.c),
 * makes one frame for all sequences that step in one pass over the weights, and decodes what is due
 * (speak.c).  What a stream gets never depends on its neighbours or on when it gets it.
 *
 * Streams of espeak-ng (espeak.c) never come to the engine thread: the reader makes their sound.
 *
 * A reader that does not read never holds a slot: room is asked for when a piece starts, and what
 * waits for the reader is codes, a thousandth of the size of sound.
 *
 * One mutex guards what is marked (lock): the list of open streams and what callers see.  The rest
 * of a stream belongs to the engine thread from the moment it leaves QUEUED until DONE. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H
#include <pthread.h>
#include <stdbool.h>
#include "base/err.h"
#include "engine/prefix.h"
#include "jabbertts.h"
#include "audio/effect.h"
#include "audio/finish.h"
#include "model/model.h"
#include "text/text.h"

#define ENGINE_CHUNK_FRAMES  8 /* decoded at once: the codec's weights are read once per chunk */
#define ENGINE_SOUND_SECONDS 8 /* unread: no further piece is decoded */
#define ENGINE_AHEAD_SECONDS                                                                       \
    30 /* made and unread, as codes and sound: no further piece is begun                           \
        */

struct jabbertts_voice {
    char *text;     /* as the model reads it */
    int32_t *codes; /* [Q, n_frame] */
    int n_frame;
};

struct piece {
    enum { PIECE_WAITING, PIECE_SPEAKING, PIECE_MADE } state;
    int32_t *codes; /* [cap, Q], n_frame of them made, n_decoded decoded */
    int cap, n_frame, n_decoded;
    bool truncated;
    struct prompt_reference reference; /* of another voice than the stream's; codes NULL: none */
    struct jabbertts_voice *stored;    /* that voice, if it came from the store */
    size_t first;                      /* sample of the stream that its sound begins with */
};

#define ENGINE_ESPEAK       "espeak-ng" /* as the name of a model */
#define ENGINE_ESPEAK_VOICE "en-us"     /* the default */

enum stream_state { STREAM_QUEUED, STREAM_ACTIVE, STREAM_DONE };

struct espeak_stream;

struct jabbertts_stream {
    struct jabbertts *tts;
    struct espeak_stream *espeak;  /* spoken by espeak-ng; NULL: by the model */
    struct jabbertts_stream *next; /* (lock) of the open ones, in order of submission */
    struct text_pieces pieces;
    struct ar_params params;
    struct prompt_reference reference;
    struct jabbertts_voice *stored; /* the reference's, if it comes from the store */
    bool has_reference;             /* else the first piece is the later ones' */
    int max_frames;                 /* of the whole request; 0: none */
    double submitted, deadline;     /* engine_now; deadline INFINITY: none */

    struct piece *piece;     /* [pieces.n] */
    int i_next;              /* first piece that has not had a slot */
    int i_head;              /* piece whose sound is next */
    int n_speaking;          /* pieces in slots */
    int n_ahead;             /* frames made and not decoded */
    int n_chunk;             /* decode when so many frames wait; grows after the first sound */
    struct decoder *decoder; /* (lock) of the head piece, or NULL */
    bool complete;           /* nothing left to do */
    struct err broken;       /* code not 0: it failed */

    enum stream_state state; /* (lock) */
    bool cancel;             /* (lock) */
    struct err failure;      /* (lock) code 0: none */
    float *sound;            /* (lock) [sound_cap], n_sound from sound_head are unread */
    size_t sound_cap, sound_head, n_sound;
    struct jabbertts_progress progress; /* (lock) */
    pthread_cond_t readable;
    void (*on_ready)(void *cookie); /* (lock) NULL: nobody asked */
    void *ready_cookie;
};

struct slot {                        /* generates the codes of one piece */
    struct jabbertts_stream *stream; /* NULL: free */
    int i_piece;
    struct ar *ar;
    double since; /* engine_now when it was taken */
};

struct decoder { /* turns the codes of one piece into sound, a chunk at a time */
    struct jabbertts *tts;
    struct jabbertts_stream *stream; /* NULL: free, or its stream left while it decodes */
    struct codec_stream *codec;
    struct finish *finish;
    struct effect *effect; /* made when a piece first wants a rate or volume */
    int32_t *codes;        /* [Q, n_frame] the chunk, codebook first */
    float *pcm;            /* [ENGINE_CHUNK_FRAMES * frame_samples] its sound */
    float *finished;       /* what the listener gets of it */
    int n_frame;           /* of the chunk */
    bool last;             /* the request's limit is reached with it */
    double seconds;        /* that decoding it took */
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
    bool has_model;          /* no: espeak-ng is all there is, and no engine thread */
    struct lexicon *lexicon; /* NULL: none */
    struct model_options model_options;
    const char *isa; /* in use, also while unloaded */
    int n_thread, n_context;
    int max_clip_frames; /* of a recording to make a voice of; 0: none can be made */
    int n_slot, n_queue_max, prefix_mb;
    char *prefix_dir; /* NULL: none */
    double max_wait_s, idle_s;
    struct jabbertts_store *store; /* NULL: none */

    /* engine thread */
    struct slot *slots;       /* [n_slot] */
    struct decoder *decoders; /* [n_slot] */
    struct prefix_cache *prefix;
    struct decoder
        *decoding;   /* its chunk is with the pool's job, or waits to be handed over; or NULL */
    double beside_s; /* seconds of steps meanwhile */
    /* Recent means, in seconds of the whole engine: what goes on beside something else has half of
     * it. */
    double step_s[LIMIT_SLOTS + 1]; /* one frame for n sequences; 0: not known */
    double codec_s;                 /* one frame decoded */

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;           /* the engine thread: there is something to do */
    pthread_cond_t changed;        /* others: a job is done, a stream has ended */
    struct jabbertts_stream *open; /* (lock) not DONE, oldest first */
    int n_open, n_queued;          /* (lock) of which queued */
    int n_free, n_dry;             /* (lock) free slots; started streams that are before new ones */
    struct job *jobs;              /* (lock) */
    bool closing, draining;        /* (lock) */
    bool loaded;                   /* (lock) written by the engine thread */
    double last_work;              /* engine_now of the last turn */
    struct jabbertts_load load;    /* (lock) the counts in it; the rest is filled when asked */
    double recent_busy, recent_sound; /* (lock) decaying sums: seconds computed, seconds of sound */
    double piece_s, load_s;           /* (lock) recent mean of a piece in a slot; of loading */
};

/* engine.c */
double engine_now(void); /* seconds, monotonic */
double engine_frame_s(const struct jabbertts *tts);
int engine_return(struct jabbertts_error *to, const struct err *from, int rc);
int engine_model_path(const char *given, char *path, size_t n, struct err *e);
int engine_load(struct jabbertts *tts, struct err *e); /* weights, slots and decoders */
void engine_unload(struct jabbertts *tts);

/* scheduler.c */
void *engine_main(void *tts);                    /* the engine thread */
double engine_wait(const struct jabbertts *tts); /* (lock) predicted, for a request made now */

/* speak.c: the engine thread, without the lock; failures go to the stream's broken.
 * One chunk is decoded at a time, beside the steps. */
int speak_init(struct jabbertts *tts, struct err *e); /* slots and decoders */
void speak_done(struct jabbertts *tts);
void speak_start(struct jabbertts *tts, struct slot *s);
void speak_step(struct jabbertts *tts, struct slot *const *slots, int n);
/* Frames of d's head piece to decode now; 0: not enough yet, and if that was all the piece is
 * ended. */
int speak_ready(struct jabbertts *tts, struct decoder *d);
void speak_decode(struct jabbertts *tts, struct decoder *d); /* starts it, as the pool's job */
void speak_hand_over(struct jabbertts *tts); /* what is decoding, when it is done; waits for that */

/* stream.c */
/* (lock) The sound of a piece ended with the stream's sample n_sample, from first; after_pause: and
 * the pause behind it.  Marks in it get their time. */
void stream_mark_piece(struct jabbertts_stream *s, int i_piece, size_t first, bool after_pause);
void stream_tell(struct jabbertts_stream *s); /* (lock) there is something to read */
/* (lock) End an open stream that is in no slot and no decoder; why NULL: all is said. */
void stream_end(struct jabbertts_stream *s, const struct err *why);
/* (lock) Room for n more samples. */
int stream_reserve(struct jabbertts_stream *s, size_t n, struct err *e);

/* A voice of the model, or of the store: then *stored is to be freed.  ERR_NOT_FOUND. */
int engine_voice(struct jabbertts *tts, const char *name, const char *owner,
                 struct prompt_reference *ref, struct jabbertts_voice **stored, struct err *e);
enum text_markup engine_markup(const struct jabbertts_request *r); /* stream.c */

/* espeak.c: streams that espeak-ng speaks */
bool engine_wants_espeak(const struct jabbertts *tts, const struct jabbertts_request *r);
int engine_espeak_fill(struct jabbertts_stream *s, const struct jabbertts_request *r,
                       struct err *e);
int engine_espeak_read(struct jabbertts_stream *s, float *pcm, int n_max, struct err *e);
void engine_espeak_free(struct jabbertts_stream *s);
const char *engine_espeak_alias(int i); /* i-th OpenAI voice; NULL after the last */

#endif
