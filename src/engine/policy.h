/* policy.h - which stream is served, and when: decisions as pure functions of the state.
 *
 * dual_ar/turn.c and stream.c describe what there is, ask here, and do what they are told.  Tests
 * describe other situations (tests/unit/test_policy.c).
 *
 * Slots.  A free slot goes to the stream that has no piece in one and whose sound runs out first; a
 * new stream's has run out when it was submitted.  So short and new texts start within a sentence,
 * whatever a long text has before it.  What is left goes to further pieces of streams that speak
 * already, those with the fewest pieces first, but never the last free slot.
 *
 * Turns.  All sequences step together while that is faster than real time, or while no listener's
 * sound is about to run out.  Else only the sequences of such listeners step, unless they alone
 * would be too slow as well: then all do.
 *
 * Streams in the background have no listener who waits.  They begin and step only while every
 * other stream speaks and has sound ahead, one piece of each at a time, and their chunks come after
 * all others.  A piece of theirs is decoded when all of it is made, by a decoder of their own: it
 * can be taken back from its slot whenever another stream wants to begin, and be made again later.
 *
 * Decoding goes on beside the steps, a chunk at a time, the stream's that runs dry first.  Steps
 * wait when too much waits to be decoded.
 *
 * A listener is taken to have started with the first sample and to have heard all since: his sound
 * runs dry at a time that is known.  Times are seconds of one clock.
 *
 * Threads: any; nothing here has state. */
#ifndef ENGINE_POLICY_H
#define ENGINE_POLICY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define POLICY_CHUNK_FRAMES  8   /* decoded at once: the codec's weights are read once per chunk, */
#define POLICY_BACK_FRAMES   2   /* in the background: a first sound may have to wait for it */
#define POLICY_URGENT_S      1.5 /* of sound left */
#define POLICY_BEHIND_CHUNKS 2   /* of each piece being decoded may wait */
#define POLICY_SOUND_S       8   /* unread: no further piece is decoded */
#define POLICY_AHEAD_S       30 /* made and unread, as codes and sound: no further piece is begun */
#define POLICY_READINGS      3  /* of a sentence, at most */

struct policy_stream {
    double dry;      /* when its listener has heard all that is made up to the first piece that is
                      * not whole, codes included; before its first sound: when it was submitted */
    double unread_s; /* of sound that its reader has not taken */
    double ahead_s;  /* made as codes and not decoded */
    int n_left;      /* pieces that have not had a slot */
    int n_speaking;  /* pieces in slots */
    bool may_begin;  /* the next piece has its voice, and the request's limit leaves room for it */
    bool begun;      /* it has had a slot */
    bool heard;      /* its first sound is made */
    bool background;
    bool head_waits; /* the piece to be heard next has something to decode, and no decoder */
};

/* What is made of a stream and not decoded: all of its frames, and those that can be heard next,
 * before the first piece that is not whole. */
struct policy_ahead {
    int n_all, n_next;
    bool gap;
};
/* Call for each piece from the head on, with the frames that wait to be decoded. */
void policy_add_piece(struct policy_ahead *a, int n_waiting, bool made);

/* The stream (index, oldest first) that gets a free slot, of n_free; -1: none. */
int policy_next_stream(const struct policy_stream *s, int n, int n_free, double now);
/* Begun streams that come before new ones. */
int policy_n_dry(const struct policy_stream *s, int n, double now);
/* The stream whose head piece gets a free decoder, of those in the background or of the others; -1:
 * none. */
int policy_next_head(const struct policy_stream *s, int n, bool background);
/* Whether a stream has something to do that needs the model. */
bool policy_has_work(const struct policy_stream *s);

struct policy_slot { /* one that has a piece */
    bool head;       /* which is the one its listener hears next */
    double dry;
    bool background;
    int n_made; /* frames of it */
};
/* No slot is free: the one whose piece in the background is taken back, so that a stream may begin;
 * -1: none. */
int policy_take_back(const struct policy_stream *s, int n, const struct policy_slot *slot,
                     int n_slot);
struct policy_pace {      /* what things take, seconds of the whole engine; 0: not known yet */
    double frame_s;       /* of sound in a frame */
    const double *step_s; /* [1 + slots] one frame for so many sequences */
    double codec_s;       /* one frame decoded */
};
/* The slots that step in this turn: step[n] is set; returns how many. */
int policy_choose(const struct policy_slot *s, int n, const struct policy_pace *pace, double now,
                  bool *step);

struct policy_decoder { /* one that has a piece */
    int n_waiting;      /* frames made and not decoded */
    int n_ready;        /* of the chunk that could be decoded now; 0: it waits for more */
    double dry;
    bool heard, background;
    bool running; /* its chunk is being decoded */
};
/* The decoder whose chunk comes next; -1: none. */
int policy_next_chunk(const struct policy_decoder *d, int n);
/* Frames of the next chunk: as many as are wanted at once, or the rest of a piece that is made. */
int policy_chunk(int n_waiting, int n_wanted, bool made, bool background);
/* Whether to wait for the chunk that is being decoded: for a first sound, and when there is nothing
 * else to do.  next: as above, or NULL; stepped: frames were made in this turn. */
bool policy_waits_for_chunk(const struct policy_decoder *next, bool stepped);
/* Whether so much waits to be decoded that making more has to wait. */
bool policy_is_behind(const struct policy_decoder *d, int n, bool one_without);

/* --- admission ---------------------------------------------------------------------------------
 */

struct policy_queue { /* what a new request finds */
    int n_open, n_queued, n_dry, n_free;
    int n_slot, n_queue_max;
    double piece_s; /* recent mean of a piece in a slot */
    double load_s;  /* until the weights are there; 0: they are */
    double max_wait_s;
    bool draining;
};
/* When the request would start, in seconds from now. */
double policy_wait_s(const struct policy_queue *q);
/* 0, or ERR_BUSY and why.  deadline_s: from now, INFINITY: none. */
int policy_admit(const struct policy_queue *q, double deadline_s, struct err *e);

/* Frames after which generation of a sentence of so many bytes counts as out of control. */
int policy_max_frames(size_t n_bytes, double frame_s, int longest);

/* --- readings ----------------------------------------------------------------------------------
 *
 * A sentence that is judged is made whole before any of it is decoded, so what becomes of it
 * depends on nothing but its text, its voice and the seed: never on who waits, or for how long. */

/* Which sentences of a request are judged. */
enum policy_repair {
    POLICY_REPAIR_NONE,
    POLICY_REPAIR_LATER, /* all but the first, whose sound a listener waits for */
    POLICY_REPAIR_ALL
};
bool policy_is_judged(enum policy_repair r, int i_piece);
/* What is judged of a request for a model whose file has so many bytes.  A large one may be hardly
 * faster than it speaks, and a sentence that is held back until it is whole would be silence. */
enum policy_repair policy_repair_for(enum policy_repair asked, bool background, size_t file_bytes);
/* The stream of random numbers (ar.h) of a piece's n-th reading, from 0; the first has the piece's
 * own. */
uint32_t policy_reading_stream(int i_piece, int n_before);

struct policy_reading {      /* what is seen of a sentence without listening to it */
    double seconds, usual_s; /* its length; at the pace of the voice's clips, 0: not known */
    double left_out;   /* share of the text that no frame attends to; 0 where that is not known */
    double loop_s;     /* the longest run that repeats what came just before it */
    bool endless;      /* the most frames that such a sentence may have were not enough */
    double likelihood; /* mean logarithm of the probability of what was drawn */
};
bool policy_is_good(const struct policy_reading *r);
/* With n readings made, the best of which is given: shall there be another? */
bool policy_wants_another(const struct policy_reading *best, int n);
/* Both of the same sentence. */
bool policy_is_better(const struct policy_reading *a, const struct policy_reading *b);

#endif
