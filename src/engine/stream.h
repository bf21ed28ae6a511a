/* stream.h - a request: what was asked for, what was made of it, what its reader sees.
 *
 *             submit            first piece            last sample handed over
 *   (caller) --------> QUEUED ------------> ACTIVE ----------------------------> DONE --> (freed)
 *                         |                    |                                  ^
 *                         +--------------------+----------------------------------+
 *                            cancel, deadline, failure, close
 *
 * Each part has one owner: ask never changes after submit; sound is the engine thread's from the
 * moment the stream leaves QUEUED until DONE; out is guarded by the lock, which holding a struct
 * front (engine.h) proves; work is the engine's own.
 *
 * An engine gives the sound of the pieces in their order:
 *
 *     stream_begin(s, f);                         when the first piece gets its place
 *     stream_write(s, pcm, n, n_frame);           as often as there is some of the piece in hand
 *     stream_end_piece(s, &(struct piece_end){.spoken = true});
 *     ...                                         after the last one: s->sound.complete is set
 *
 * Rate and volume of a piece, its pause, its marks, the counts, the request's limit of samples and
 * the waking of its reader are done here. */
#ifndef ENGINE_STREAM_H
#define ENGINE_STREAM_H
#include "audio/effect.h"
#include "engine/engine.h"
#include "engine/timing.h"

enum stream_state { STREAM_QUEUED, STREAM_ACTIVE, STREAM_DONE };

struct ask { /* what was asked for */
    struct jabbertts *tts;
    struct text_pieces pieces;
    double submitted, deadline; /* engine_now; deadline INFINITY: none */
    size_t max_samples;         /* of the whole stream; SIZE_MAX: any */
    char *text;                 /* with the request's words; else NULL */
    bool background;
};

struct sound {             /* what was made of it so far */
    int i_head;            /* piece whose sound is next */
    bool begun;            /* some of it was written, */
    size_t first;          /* from this sample of the stream on, */
    bool changed;          /* through the effect */
    struct effect *effect; /* made when a piece first wants a rate or volume */
    size_t n_sample;
    int n_frame;
    double since;              /* engine_now of the first sample; < 0: none yet */
    bool cut;                  /* the request's limit of samples took something away */
    bool complete;             /* nothing left to do */
    struct err broken;         /* code not 0: it failed */
    struct timing_heard heard; /* of the piece in hand, with ask.text; */
    struct word_time *time;    /* [the most words of a piece] */
};

struct out {                       /* what the reader sees */
    struct jabbertts_stream *next; /* of the open ones, in order of submission */
    enum stream_state state;
    bool cancel;
    struct err failure; /* code 0: none */
    float *sound;       /* [cap], n of them from head on are unread */
    size_t cap, head, n;
    double *mark_s;              /* [pieces.n_mark] when each is heard; < 0: not known yet */
    struct jabbertts_word *word; /* [n_word], of pieces that are made */
    int n_word, n_sentence;
    bool all_words; /* no more will come */
    struct jabbertts_progress progress;
    void (*on_ready)(void *cookie); /* NULL: no callback */
    void *ready_cookie;
};

struct chain;
struct jabbertts_stream {
    struct chain *chain; /* chain.h: it consists of other streams, and of the rest only ask.tts is
                          * set; NULL: it does not */
    struct ask ask;
    struct sound sound;
    void *work;
    pthread_cond_t readable;
    struct out guarded; /* by stream_out only */
};

/* The reader's part; f shows that the caller holds the lock. */
static inline struct out *stream_out(struct jabbertts_stream *s, const struct front *f)
{
    (void)f;
    return &s->guarded;
}

/* The text options of a stream, the same for every engine. */
struct text_options stream_text_options(const struct jabbertts_stream *s,
                                        const struct jabbertts_request *r);

/* --- the engine thread: sound of the pieces, in order ------------------------------------------
 */

void stream_begin(struct jabbertts_stream *s, struct front *f, double now); /* QUEUED to ACTIVE */
/* When a listener who started with the first sample will have heard all that is written. */
double stream_runs_dry(const struct jabbertts_stream *s);
double stream_unread_s(const struct jabbertts_stream *s, const struct out *o); /* seconds */
/* Room for n more samples, so that writing them allocates nothing. */
int stream_reserve(struct out *o, size_t n, struct err *e);
/* n samples (NULL: silence) of the head piece, which are so many frames.  Failures go to broken. */
void stream_write(struct jabbertts_stream *s, const float *pcm, size_t n, int n_frame);
struct piece_end {
    bool spoken;                  /* to its end */
    int n_truncated;              /* pieces that a limit cuts short or leaves out with it */
    bool last;                    /* nothing comes behind it */
    const struct word_time *time; /* sound.time, where the engine knows it; NULL: by length */
};
void stream_end_piece(struct jabbertts_stream *s, const struct piece_end *end);

void stream_tell(struct jabbertts_stream *s, struct out *o); /* there is something to read */
/* End an open stream that is in none of the engine's places; why NULL: all is said. */
void stream_end(struct jabbertts_stream *s, struct front *f, const struct err *why);

#endif
