/* dual_ar.h - the engine of S1 and its kind: text to codes to sound, many requests at once.
 *
 *   piece:  WAITING --> SPEAKING (has a slot) --> MADE (all codes there) --> decoded, in order
 *
 * The pieces of a stream are its sentences.  Each is generated on its own, so several of one stream
 * may be in slots at once; sound is decoded and handed over in their order.  Each turn (turn.c)
 * gives slots and decoders to pieces, makes one frame for all sequences that step in one pass over
 * the weights, and decodes what is due; policy.h decides, piece.c does.  What a stream gets never
 * depends on its neighbours or on when it gets it.
 *
 * A reader that does not read never holds a slot: room is asked for when a piece starts, and what
 * waits for the reader is codes, a thousandth of the size of sound.
 *
 * Threads: all of struct dual_ar and struct work is the engine thread's, but for the model's spec,
 * tokenizer and voices, which never change. */
#ifndef DUAL_AR_DUAL_AR_H
#define DUAL_AR_DUAL_AR_H
#include "audio/finish.h"
#include "engine/dual_ar/onnx.h"
#include "engine/dual_ar/prefix.h"
#include "engine/stream.h"
#include "model/align.h"
#include "model/model.h"

struct stock;

struct jabbertts_voice {
    struct prompt_reference *clip; /* [n_clip], with texts and codes of its own */
    int n_clip;
    const struct jabbertts *tts; /* whose codes they are */
};

/* Which text each frame of a piece says. */
struct focus {
    struct align *align; /* NULL: the model has no alignment heads, or no word times are wanted */
    float *seen;         /* [n_head, n_token] of the last frame */
    size_t *byte;        /* [n_token + 1] of the piece's text, where each token begins */
    double *first;       /* [n_token + 1] */
    int n_token;
};

struct references { /* what a prompt begins with; borrowed */
    const struct prompt_reference *clip;
    int n; /* 0..LIMIT_REFERENCES */
};

/* One reading of a piece. */
struct reading {
    int32_t *codes; /* [cap, Q], n_frame of them made */
    int n_frame;
    bool truncated;
    struct focus focus;
    struct policy_reading seen; /* when it is made */
};

struct piece {
    enum { PIECE_WAITING, PIECE_SPEAKING, PIECE_MADE } state;
    struct reading made;            /* the one in hand */
    struct reading best;            /* of those before; codes NULL: none */
    int cap, n_decoded, n_before;   /* frames at most; decoded; readings before the one in hand */
    bool whole;                     /* nothing of it is decoded before it is made */
    bool counted;                   /* its tokens are, in the stream's progress */
    struct references voice;        /* another than the stream's; n 0: none */
    struct jabbertts_voice *stored; /* that voice, if it came from the store */
};
/* Frames that may be decoded now. */
static inline int piece_waiting(const struct piece *p)
{
    return p->whole && p->state != PIECE_MADE ? 0 : p->made.n_frame - p->n_decoded;
}

struct work { /* of a stream */
    struct ar_params params;
    struct references voice;        /* n 0: the first piece is the later ones' reference */
    struct jabbertts_voice *stored; /* that voice, if it comes from the store */
    int n_context;                  /* sentences before a piece that it hears; 0: none */
    enum policy_repair repair;
    int max_frames;           /* of the whole request; 0: none */
    struct text_options text; /* how pieces are read, each when it gets a slot */
    char *language;           /* text's */

    struct piece *piece;     /* [pieces.n] */
    int i_next;              /* first piece that has not had a slot */
    int n_speaking;          /* pieces in slots */
    int n_chunk;             /* decode when so many frames wait; grows after the first sound */
    struct decoder *decoder; /* of the head piece, or NULL */
};
static inline struct work *work_of(const struct jabbertts_stream *s)
{
    return s->work;
}

struct slot {                        /* generates the codes of one piece */
    struct jabbertts_stream *stream; /* NULL: free */
    int i_piece;
    struct ar *ar;
    double since; /* engine_now when it was taken */
};

struct decoder { /* turns the codes of one piece into sound, a chunk at a time */
    struct dual_ar *d;
    struct jabbertts_stream *stream; /* NULL: free, or its stream ended during decoding */
    struct codec_stream *codec;
    struct finish *finish;
    int32_t *codes;  /* [Q, n_frame] the chunk, codebook first */
    float *pcm;      /* [POLICY_CHUNK_FRAMES * frame_samples] its sound */
    float *finished; /* what the listener gets of it */
    int n_frame;     /* of the chunk */
    double seconds;  /* that decoding it took */
};

struct dual_ar {
    struct jabbertts *tts;
    struct model model;
    struct stock *stock; /* voices of a model that has none; NULL: not needed */
    struct model_options options;
    char *isa, *cache, *prefix_dir; /* copies of the options; NULL: not given */
    char *onnx_library, *onnx_provider;
    struct onnx_folder onnx; /* of engine_onnx */
    int n_context, prefix_mb;
    double frame_s;

    struct mem_arena *arena;    /* slots, decoders and what the turns need */
    struct slot *slots;         /* [n_slot]; NULL: unloaded */
    struct decoder *decoders;   /* [n_slot + 1], the last for what is in the background */
    struct policy_stream *view; /* [n_queue_max + n_slot + LIMIT_BACKGROUND] */
    struct jabbertts_stream **viewed;
    struct prefix_cache *prefix;
    struct decoder *decoding; /* its chunk is with the pool's job, or waits to be handed over */
    double beside_s;          /* seconds of steps meanwhile */
    /* Recent means, in seconds of the whole engine: what goes on beside something else has half of
     * it. */
    double step_s[LIMIT_SLOTS + 1]; /* one frame for n sequences; 0: not known */
    double codec_s;                 /* one frame decoded */
};
static inline struct dual_ar *dual_ar_of(const struct jabbertts *tts)
{
    return tts->state;
}

/* turn.c */
bool turn_run(struct jabbertts *tts, struct front *f);
bool turn_has_work(const struct jabbertts *tts, struct front *f);
void turn_drop(struct jabbertts *tts, struct jabbertts_stream *s);

/* piece.c: the engine thread, without the lock; failures go to the stream's broken.
 * One chunk is decoded at a time, beside the steps. */
void piece_start(struct dual_ar *d, struct slot *s);
/* A piece in the background leaves its slot, and will be made again from its beginning. */
void piece_take_back(struct slot *s);
void piece_step(struct dual_ar *d, struct slot *const *slots, int n);
/* End the head piece of c where all of it is decoded, or the request's limit is reached. */
void piece_settle(struct decoder *c);
int piece_ready(const struct decoder *c); /* frames of its next chunk; 0: not enough yet */
void piece_decode(struct dual_ar *d, struct decoder *c); /* starts it, as the pool's job */
void piece_hand_over(struct dual_ar *d); /* what is decoding, when it is done; waits for that */

/* repair.c: the engine thread; whether a reading is good enough. */
/* The reading in hand has ended.  True: the piece shall be made again.  False: made is the best. */
bool repair_weigh(struct dual_ar *d, struct slot *s, bool truncated);
void repair_forget(struct piece *p); /* all of them */

/* focus.c: the engine thread; word times of requests that want them. */
/* The prompt of a piece is in a, nothing of it fed yet. */
int focus_begin(struct dual_ar *d, struct focus *f, const char *text, struct ar *a, struct err *e);
void focus_frame(const struct dual_ar *d, struct focus *f);
/* Times of the piece's words, at the model's pace, into at; shift: seconds that its sound is later.
 * False: they are not known. */
bool focus_times(const struct dual_ar *d, const struct focus *f, const struct text_piece *p,
                 double shift_s, struct word_time *at);
/* Share of the text's tokens that no frame says, by the same path; 0: not known. */
double focus_left_out(const struct focus *f);
void focus_done(struct focus *f);

/* prepare.c */
/* A voice of the model, or of the store: then *stored is to be freed.  ERR_NOT_FOUND. */
int prepare_voice(struct jabbertts *tts, const char *name, const char *owner,
                  struct references *ref, struct jabbertts_voice **stored, struct err *e);
int prepare_stream(struct jabbertts_stream *s, const struct jabbertts_request *r, struct err *e);
void prepare_forget(struct jabbertts_stream *s);
int prepare_identify(struct jabbertts *tts, const struct jabbertts_request *r, struct take *t,
                     struct err *e);

#endif
