#include "engine/policy.h"

#include <math.h>

/* --- slots and decoders ------------------------------------------------------------------------
 */

void policy_add_piece(struct policy_ahead *a, int n_waiting, bool made)
{
    a->n_all += n_waiting;
    a->n_next += a->gap ? 0 : n_waiting;
    a->gap = a->gap || !made;
}

static bool policy_startable(const struct policy_stream *s)
{
    return s->n_left > 0 && s->may_begin && s->ahead_s + s->unread_s <= POLICY_AHEAD_S;
}

static bool policy_decodable(const struct policy_stream *s)
{
    return s->head_waits && s->unread_s < POLICY_SOUND_S;
}

/* Whether a listener waits for a first sound, or for more. */
static bool policy_is_pressed(const struct policy_stream *s, int n, double now)
{
    for (int i = 0; i < n; i++)
        if (!s[i].background && (!s[i].heard || ((s[i].n_left > 0 || s[i].n_speaking > 0) &&
                                                 s[i].dry - now < POLICY_URGENT_S)))
            return true;
    return false;
}

/* The oldest in the background that has no piece in a slot. */
static int policy_next_background(const struct policy_stream *s, int n)
{
    for (int i = 0; i < n; i++)
        if (s[i].background && s[i].n_speaking == 0 && policy_startable(&s[i]))
            return i;
    return -1;
}

int policy_next_stream(const struct policy_stream *s, int n, int n_free, double now)
{
    int dry = -1, few = -1;
    if (n_free < 1)
        return -1;
    for (int i = 0; i < n; i++) {
        if (!policy_startable(&s[i]) || s[i].background)
            continue;
        if (s[i].n_speaking == 0 && (dry < 0 || s[i].dry < s[dry].dry))
            dry = i;
        /* Before its first sound a stream needs the engine for that. */
        if (s[i].n_speaking > 0 && s[i].heard && (few < 0 || s[i].n_speaking < s[few].n_speaking))
            few = i;
    }
    if (dry >= 0 || (few >= 0 && n_free > 1))
        return dry >= 0 ? dry : few;
    return policy_is_pressed(s, n, now) ? -1 : policy_next_background(s, n);
}

int policy_take_back(const struct policy_stream *s, int n, const struct policy_slot *slot,
                     int n_slot)
{
    int best = -1;
    bool wanted = false;
    for (int i = 0; i < n; i++)
        wanted = wanted || (!s[i].background && s[i].n_speaking == 0 && policy_startable(&s[i]));
    for (int i = 0; i < n_slot && wanted; i++)
        if (slot[i].background && (best < 0 || slot[i].n_made < slot[best].n_made))
            best = i;
    return best;
}

int policy_n_dry(const struct policy_stream *s, int n, double now)
{
    int n_dry = 0;
    for (int i = 0; i < n; i++)
        n_dry += !s[i].background && s[i].begun && s[i].n_speaking == 0 &&
                 policy_startable(&s[i]) && s[i].dry < now;
    return n_dry;
}

int policy_next_head(const struct policy_stream *s, int n, bool background)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (s[i].background == background && policy_decodable(&s[i]) &&
            (best < 0 || s[i].dry < s[best].dry))
            best = i;
    return best;
}

bool policy_has_work(const struct policy_stream *s)
{
    return policy_startable(s) || policy_decodable(s);
}

/* --- a turn ------------------------------------------------------------------------------------
 */

/* Whether a frame for each of n sequences is made and decoded in a frame's time.  Times that were
 * never measured count as 0. */
static bool policy_in_time(const struct policy_pace *p, int n)
{
    return p->step_s[n] + n * p->codec_s <= p->frame_s;
}

int policy_choose(const struct policy_slot *s, int n, const struct policy_pace *pace, double now,
                  bool *step)
{
    int n_urgent = 0, n_front = 0;
    for (int i = 0; i < n; i++) {
        step[i] = !s[i].background && s[i].head && s[i].dry - now < POLICY_URGENT_S;
        n_urgent += step[i];
        n_front += !s[i].background;
    }
    if (n_urgent > 0 && !policy_in_time(pace, n_front) && policy_in_time(pace, n_urgent))
        return n_urgent;
    for (int i = 0; i < n; i++)
        step[i] = n_urgent == 0 || !s[i].background;
    return n_urgent == 0 ? n : n_front;
}

int policy_next_chunk(const struct policy_decoder *d, int n)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (d[i].n_ready > 0 && !d[i].running &&
            (best < 0 || d[i].background < d[best].background ||
             (d[i].background == d[best].background && d[i].dry < d[best].dry)))
            best = i;
    return best;
}

int policy_chunk(int n_waiting, int n_wanted, bool made, bool background)
{
    int most = background ? POLICY_BACK_FRAMES : POLICY_CHUNK_FRAMES;
    int n = n_waiting < most ? n_waiting : most;
    return n >= n_wanted || made ? n : 0;
}

bool policy_waits_for_chunk(const struct policy_decoder *next, bool stepped)
{
    return !stepped || (next && !next->heard && !next->background);
}

bool policy_is_behind(const struct policy_decoder *d, int n, bool one_without)
{
    int n_waiting = 0;
    for (int i = 0; i < n; i++)
        n_waiting += d[i].background ? 0 : d[i].n_waiting;
    return one_without || n_waiting > n * POLICY_BEHIND_CHUNKS * POLICY_CHUNK_FRAMES;
}

/* --- admission ---------------------------------------------------------------------------------
 */

double policy_wait_s(const struct policy_queue *q)
{
    int n_before = q->n_queued + q->n_dry + 1 - q->n_free;
    if (q->n_slot == 0)
        return 0;
    return q->load_s + (n_before > 0 ? n_before * q->piece_s / q->n_slot : 0);
}

int policy_admit(const struct policy_queue *q, double deadline_s, struct err *e)
{
    double wait = policy_wait_s(q);
    int most = q->n_queue_max + (q->n_slot > 0 ? q->n_slot : 1);
    if (q->draining)
        return err_set(e, ERR_BUSY, "the engine is shutting down");
    if (q->n_open >= most)
        return err_set(e, ERR_BUSY, "%d requests are open, the limit is %d; try again in %.0f s",
                       q->n_open, most, ceil(wait));
    if (q->max_wait_s > 0 && wait > q->max_wait_s)
        return err_set(e, ERR_BUSY,
                       "it would start in %.1f s, the limit is %.6g s; try again later", wait,
                       q->max_wait_s);
    if (wait > deadline_s)
        return err_set(e, ERR_BUSY, "it would start in %.1f s, after its deadline of %.6g s", wait,
                       deadline_s);
    return 0;
}

int policy_max_frames(size_t n_bytes, double frame_s, int longest)
{
    double n = floor((4 + 0.15 * (double)n_bytes) / frame_s) + 1;
    return n < longest ? (int)n : longest;
}

/* --- readings ----------------------------------------------------------------------------------
 *
 * 2,808 readings of the built-in voice, at temperatures from 0.2 to 2, took from 0.88 times the
 * usual length to 1.02 times and 1 s, left out 0.17 of their text at most, and repeated 0.3 s.
 * Twelve with a reference of 30 s, in which it loses its place, left out 0.19 to 0.52.
 */

#define READING_SHIFT 28 /* bits of a piece's number; a text has fewer pieces by far */
#define LOOP_S        1.0
#define SHORTEST      0.6 /* of the usual length */
#define LONGEST       1.5
#define LONGER_S      1.0 /* and so much more: silence around a word */
#define LEFT_OUT      0.18
#define LIGHT_BYTES   ((size_t)128 << 20) /* the built-in voice has 30 MB, S1-mini in 4 bits 500 */

bool policy_is_judged(enum policy_repair r, int i_piece)
{
    return r == POLICY_REPAIR_ALL || (r == POLICY_REPAIR_LATER && i_piece > 0);
}

enum policy_repair policy_repair_for(enum policy_repair asked, bool background, size_t file_bytes)
{
    if (asked != POLICY_REPAIR_LATER)
        return asked;
    if (background) /* nobody waits for the first one's sound */
        return POLICY_REPAIR_ALL;
    return file_bytes <= LIGHT_BYTES ? POLICY_REPAIR_LATER : POLICY_REPAIR_NONE;
}

uint32_t policy_reading_stream(int i_piece, int n_before)
{
    return (uint32_t)n_before << READING_SHIFT | (uint32_t)i_piece;
}

static int policy_n_fault(const struct policy_reading *r)
{
    return r->endless + (r->loop_s >= LOOP_S) + (r->left_out >= LEFT_OUT) +
           (r->seconds < SHORTEST * r->usual_s) +
           (r->usual_s > 0 && r->seconds > LONGEST * r->usual_s + LONGER_S);
}

bool policy_is_good(const struct policy_reading *r)
{
    return policy_n_fault(r) == 0;
}

bool policy_wants_another(const struct policy_reading *best, int n)
{
    return n < POLICY_READINGS && !policy_is_good(best);
}

bool policy_is_better(const struct policy_reading *a, const struct policy_reading *b)
{
    int fa = policy_n_fault(a), fb = policy_n_fault(b);
    return fa != fb ? fa < fb : a->likelihood > b->likelihood;
}
