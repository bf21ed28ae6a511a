/* The scheduler's decisions: tables of situations, and a simulation of a thousand random loads that
 * checks what docs/ARCHITECTURE.md promises.  tests/mutations shows that it would notice. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/policy.h"

#define SECONDS_UNREAD 9.0  /* more than is decoded for a reader who does not read */
#define SECONDS_AHEAD  31.0 /* more than is made for him */

/* --- tables ------------------------------------------------------------------------------------
 */

/* A stream that has been submitted at the time `dry` and waits. */
static struct policy_stream fresh(double dry)
{
    return (struct policy_stream){.dry = dry, .n_left = 3, .may_begin = true};
}

/* One that is heard, with so many pieces in slots. */
static struct policy_stream speaking(double dry, int n_speaking)
{
    struct policy_stream s = fresh(dry);
    s.n_speaking = n_speaking;
    s.begun = s.heard = true;
    return s;
}

static struct policy_stream behind(double dry)
{
    struct policy_stream s = fresh(dry);
    s.background = true;
    return s;
}

static void test_free_slot(void **state)
{
    struct policy_stream all_made = speaking(0, 0), no_voice = fresh(0), ahead = speaking(90, 0),
                         just_less = ahead, unheard = speaking(5, 1), all_unheard = all_made,
                         behind_at_work = behind(1);
    (void)state;
    all_made.n_left = all_unheard.n_left = 0;
    all_unheard.heard = false;
    behind_at_work.n_speaking = 1;
    no_voice.may_begin = false;
    ahead.ahead_s = SECONDS_AHEAD - 2;
    ahead.unread_s = 2.5;
    just_less.ahead_s = SECONDS_AHEAD - 4;
    just_less.unread_s = 2.5;
    unheard.heard = false;
    const struct {
        const char *what;
        struct policy_stream s[3];
        int n, n_free, want;
    } rows[] = {
        {"nobody", {fresh(0)}, 0, 2, -1},
        {"no slot", {fresh(0)}, 1, 0, -1},
        {"the last slot for a new one", {fresh(1)}, 1, 1, 0},
        {"who runs dry first", {fresh(3), speaking(2, 0), fresh(4)}, 3, 1, 1},
        {"who has no slot before who runs dry", {speaking(1, 1), fresh(9)}, 2, 4, 1},
        {"the oldest of equals", {fresh(1), fresh(1)}, 2, 2, 0},
        {"a further piece", {speaking(1, 1)}, 1, 2, 0},
        {"but not in the last slot", {speaking(1, 1)}, 1, 1, -1},
        {"nor before the first sound", {unheard}, 1, 2, -1},
        {"to who has fewest", {speaking(1, 2), speaking(9, 1)}, 2, 2, 1},
        {"nothing left to begin", {all_made, fresh(5)}, 2, 1, 1},
        {"waits for its voice", {no_voice, fresh(5)}, 2, 1, 1},
        {"far enough ahead", {ahead}, 1, 2, -1},
        {"not quite", {just_less}, 1, 2, 0},
        {"the background comes last", {behind(1), fresh(9)}, 2, 2, 1},
        {"but in the last slot, too", {speaking(9, 1), behind(1)}, 2, 1, 1},
        {"after a further piece", {speaking(9, 1), behind(1)}, 2, 2, 0},
        {"not before another's first sound", {unheard, behind(1)}, 2, 2, -1},
        {"nor when another runs dry", {speaking(1, 1), behind(1)}, 2, 1, -1},
        {"whose last piece is made", {all_unheard, behind(1)}, 2, 1, -1},
        {"but when all is heard", {all_made, behind(1)}, 2, 1, 1},
        {"one piece of each", {behind_at_work, behind(5)}, 2, 2, 1},
        {"the oldest, whatever runs dry", {behind(9), behind(1)}, 2, 2, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (policy_next_stream(rows[i].s, rows[i].n, rows[i].n_free, 0) != rows[i].want)
            fail_msg("%s: %d, wanted %d", rows[i].what,
                     policy_next_stream(rows[i].s, rows[i].n, rows[i].n_free, 0), rows[i].want);
}

static void test_dry(void **state)
{
    struct policy_ahead a = {0};
    policy_add_piece(&a, 3, true);
    policy_add_piece(&a, 5, false);
    policy_add_piece(&a, 7, true); /* nobody can hear it yet */
    assert_int_equal(a.n_next, 8);
    assert_int_equal(a.n_all, 15);
    struct policy_stream s[] = {fresh(1), speaking(1, 0), speaking(3, 0), speaking(1, 1),
                                speaking(1, 0)};
    (void)state;
    s[4].may_begin = false;
    assert_int_equal(policy_n_dry(s, 5, 2), 1); /* the second alone */
    assert_int_equal(policy_n_dry(s, 5, 4), 2);
}

static void test_free_decoder(void **state)
{
    struct policy_stream s[] = {speaking(3, 0), speaking(1, 0), speaking(2, 0)};
    (void)state;
    assert_int_equal(policy_next_head(s, 3, false), -1);
    s[0].head_waits = s[2].head_waits = true;
    assert_int_equal(policy_next_head(s, 3, false), 2);
    s[2].unread_s = SECONDS_UNREAD;
    assert_int_equal(policy_next_head(s, 3, false), 0);
    assert_true(policy_has_work(&s[0]));
    s[2].n_left = 0;
    assert_false(policy_has_work(&s[2]));
    s[2].unread_s = 1;
    assert_true(policy_has_work(&s[2]));
}

static void test_who_steps(void **state)
{
    const double step_s[] = {0, 0.02, 0.03, 0.06, 0.08};
    const struct policy_pace pace = {0.046, step_s, 0.005}; /* two in time, three not */
    const struct {
        const char *what;
        struct policy_slot s[4];
        int n;
        const char *want; /* a digit for each */
    } rows[] = {
        {"in time", {{true, 10.2, false, 0}, {false, 10.2, false, 0}}, 2, "11"},
        {"too slow, nobody urgent",
         {{true, 14, false, 0}, {true, 15, false, 0}, {false, 14, false, 0}},
         3,
         "111"},
        {"urgent ones alone",
         {{true, 11, false, 0}, {true, 15, false, 0}, {false, 11, false, 0}},
         3,
         "100"},
        {"a later piece is not urgent",
         {{false, 11, false, 0}, {false, 11, false, 0}, {false, 11, false, 0}},
         3,
         "111"},
        {"two urgent",
         {{true, 11, false, 0},
          {false, 19, false, 0},
          {true, 11.4, false, 0},
          {true, 11.6, false, 0}},
         4,
         "1010"},
        {"too many urgent",
         {{true, 11, false, 0}, {true, 11, false, 0}, {true, 11, false, 0}, {false, 11, false, 0}},
         4,
         "1111"},
        {"the background waits for who is urgent",
         {{true, 11, false, 0}, {true, 1, true, 0}},
         2,
         "10"},
        {"and steps with who is not", {{true, 12, false, 0}, {true, 1, true, 0}}, 2, "11"},
        {"alone, too", {{true, 1, true, 0}, {true, 1, true, 0}}, 2, "11"},
        {"it does not make others late",
         {{true, 11, false, 0}, {false, 19, false, 0}, {true, 1, true, 0}, {true, 1, true, 0}},
         4,
         "1100"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool step[4];
        char got[5] = "";
        int n = policy_choose(rows[i].s, rows[i].n, &pace, 10, step), sum = 0;
        for (int k = 0; k < rows[i].n; k++) {
            got[k] = step[k] ? '1' : '0';
            sum += step[k];
        }
        assert_int_equal(n, sum);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: %s, wanted %s", rows[i].what, got, rows[i].want);
    }
}

static void test_take_back(void **state)
{
    const struct policy_slot full[] = {{true, 1, false, 9}, {true, 1, true, 5}, {true, 1, true, 3}};
    const struct policy_slot front[] = {{true, 1, false, 9}};
    const struct policy_stream none[] = {speaking(9, 1), behind(1)}, one[] = {behind(1), fresh(5)};
    struct policy_stream no_voice[] = {fresh(5)};
    (void)state;
    no_voice[0].may_begin = false;
    assert_int_equal(policy_take_back(one, 2, full, 3), 2); /* least is lost */
    assert_int_equal(policy_take_back(none, 2, full, 3), -1);
    assert_int_equal(policy_take_back(no_voice, 1, full, 3), -1);
    assert_int_equal(policy_take_back(one, 2, front, 1), -1);
}

static void test_chunks_in_the_background(void **state)
{
    struct policy_decoder d[] = {{.n_waiting = 90, .n_ready = 8, .dry = 1, .background = true},
                                 {.n_waiting = 2, .n_ready = 2, .dry = 2, .heard = true},
                                 {.n_waiting = 2, .n_ready = 2, .dry = 1.5, .heard = true}};
    struct policy_stream s[] = {behind(1), fresh(2)};
    (void)state;
    s[0].head_waits = s[1].head_waits = true;
    assert_int_equal(policy_next_head(s, 2, false), 1);
    assert_int_equal(policy_next_head(s, 2, true), 0);
    assert_int_equal(policy_next_chunk(d, 3), 2);
    assert_int_equal(policy_next_chunk(d, 1), 0);
    assert_false(policy_is_behind(d, 1, false));
    assert_false(policy_waits_for_chunk(&d[0], true));
    s[0].begun = s[1].begun = true;
    assert_int_equal(policy_n_dry(s, 2, 5), 1);
}

static void test_chunks(void **state)
{
    struct policy_decoder d[] = {{.n_waiting = 8, .n_ready = 8, .dry = 4, .heard = true},
                                 {.n_waiting = 3, .n_ready = 0, .dry = 1, .heard = true},
                                 {.n_waiting = 2, .n_ready = 2, .dry = 2}};
    (void)state;
    assert_int_equal(policy_next_chunk(d, 3), 2);
    d[2].running = true;
    assert_int_equal(policy_next_chunk(d, 3), 0);
    assert_int_equal(policy_next_chunk(d, 0), -1);
    assert_true(policy_waits_for_chunk(&d[2], true)); /* its first sound */
    assert_false(policy_waits_for_chunk(&d[0], true));
    assert_false(policy_waits_for_chunk(NULL, true));
    assert_true(policy_waits_for_chunk(NULL, false)); /* nothing else to do */
    assert_int_equal(policy_chunk(1, 2, false, false), 0);
    assert_int_equal(policy_chunk(1, 2, true, false), 1);
    assert_int_equal(policy_chunk(3, 2, false, false), 3);
    assert_int_equal(policy_chunk(20, 8, false, false), POLICY_CHUNK_FRAMES);
    assert_int_equal(policy_chunk(0, 1, true, false), 0);
    assert_int_equal(policy_chunk(20, 8, true, true), POLICY_BACK_FRAMES);
    assert_false(policy_is_behind(d, 3, false));
    d[0].n_waiting = 100;
    assert_true(policy_is_behind(d, 3, false));
    assert_true(policy_is_behind(d, 0, true)); /* a stream without a decoder */
}

static void test_admission(void **state)
{
    const struct policy_queue idle = {.n_free = 2, .n_slot = 2, .n_queue_max = 4, .piece_s = 3};
    struct policy_queue q = idle;
    struct err e;
    (void)state;
    assert_true(policy_wait_s(&q) == 0);
    q.load_s = 7;
    assert_true(policy_wait_s(&q) == 7);
    q = idle;
    q.n_free = 0;
    assert_true(policy_wait_s(&q) == 1.5);
    q.n_queued = 2;
    assert_true(policy_wait_s(&q) == 4.5);
    q.n_dry = 1;
    assert_true(policy_wait_s(&q) == 6);
    assert_int_equal(policy_admit(&q, INFINITY, &e), 0);
    assert_int_equal(policy_admit(&q, 6.5, &e), 0);
    assert_int_equal(policy_admit(&q, 5.5, &e), ERR_BUSY);
    assert_non_null(strstr(e.msg, "deadline of 5.5 s"));
    q.max_wait_s = 6.1;
    assert_int_equal(policy_admit(&q, INFINITY, &e), 0);
    q.max_wait_s = 5.9;
    assert_int_equal(policy_admit(&q, INFINITY, &e), ERR_BUSY);
    q = idle;
    q.n_open = 5;
    assert_int_equal(policy_admit(&q, INFINITY, &e), 0);
    q.n_open = 6;
    assert_int_equal(policy_admit(&q, INFINITY, &e), ERR_BUSY);
    q = idle;
    q.draining = true;
    assert_int_equal(policy_admit(&q, INFINITY, &e), ERR_BUSY);
}

/* Enough for anyone who reads aloud slowly, and not a minute for a word. */
static void test_runaway(void **state)
{
    (void)state;
    int n = policy_max_frames(5, 0.05, 100000);
    assert_in_range(n, 3 / 0.05, 8 / 0.05);
    n = policy_max_frames(100, 0.05, 100000);
    assert_in_range(n, 14 / 0.05, 25 / 0.05);
    assert_int_equal(policy_max_frames(100, 0.05, 64), 64);
}

/* Readings of a sentence that usually takes 3 s. */
static void test_good_readings(void **state)
{
    const struct {
        const char *what;
        struct policy_reading r;
        bool good;
    } cases[] = {
        {"as usual", {.seconds = 3, .usual_s = 3}, true},
        {"said in a hurry", {.seconds = 2, .usual_s = 3}, true},
        {"over before all can be said", {.seconds = 1.7, .usual_s = 3}, false},
        {"slow", {.seconds = 5, .usual_s = 3}, true},
        {"far too slow", {.seconds = 5.6, .usual_s = 3}, false},
        {"a word with silence around it", {.seconds = 1.2, .usual_s = 0.2}, true},
        {"nothing is known of the voice", {.seconds = 20}, true},
        {"a syllable is swallowed", {.seconds = 3, .usual_s = 3, .left_out = 0.17}, true},
        {"words are swallowed", {.seconds = 3, .usual_s = 3, .left_out = 0.19}, false},
        {"a long vowel", {.seconds = 3, .usual_s = 3, .loop_s = 0.9}, true},
        {"a loop", {.seconds = 3, .usual_s = 3, .loop_s = 1}, false},
        {"it does not end", {.seconds = 3, .usual_s = 3, .endless = true}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (policy_is_good(&cases[i].r) != cases[i].good)
            fail_msg("%s: wanted %s", cases[i].what, cases[i].good ? "good" : "bad");
        for (int n = 1; n <= POLICY_READINGS; n++)
            assert_int_equal(policy_wants_another(&cases[i].r, n),
                             !cases[i].good && n < POLICY_READINGS);
    }
}

/* The one with fewer faults, then the likelier; of two alike the first. */
static void test_better_readings(void **state)
{
    const struct policy_reading good = {.seconds = 3, .usual_s = 3, .likelihood = -0.7},
                                likely = {.seconds = 3, .usual_s = 3, .likelihood = -0.6},
                                slow = {.seconds = 9, .usual_s = 3, .likelihood = -0.1},
                                worse = {.seconds = 9, .usual_s = 3, .left_out = 0.5};
    (void)state;
    assert_true(policy_is_better(&likely, &good) && !policy_is_better(&good, &likely));
    assert_true(policy_is_better(&good, &slow) && !policy_is_better(&slow, &good));
    assert_true(policy_is_better(&slow, &worse) && !policy_is_better(&worse, &slow));
    assert_false(policy_is_better(&good, &good));
}

/* Which sentences are judged; each reading has numbers that no other sentence has. */
static void test_which_readings(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_false(policy_is_judged(POLICY_REPAIR_NONE, i));
        assert_int_equal(policy_is_judged(POLICY_REPAIR_LATER, i), i > 0);
        assert_true(policy_is_judged(POLICY_REPAIR_ALL, i));
        assert_int_equal(policy_reading_stream(i, 0), i);
    }
    assert_true(policy_reading_stream(0, 1) > 1 << 20);
    const size_t light = (size_t)30 << 20, heavy = (size_t)500 << 20;
    for (int b = 0; b < 2; b++) {
        assert_int_equal(policy_repair_for(POLICY_REPAIR_NONE, b, light), POLICY_REPAIR_NONE);
        assert_int_equal(policy_repair_for(POLICY_REPAIR_ALL, b, heavy), POLICY_REPAIR_ALL);
    }
    assert_int_equal(policy_repair_for(POLICY_REPAIR_LATER, false, light), POLICY_REPAIR_LATER);
    assert_int_equal(policy_repair_for(POLICY_REPAIR_LATER, true, heavy), POLICY_REPAIR_ALL);
    assert_int_equal(policy_repair_for(POLICY_REPAIR_LATER, false, heavy), POLICY_REPAIR_NONE);
    assert_int_not_equal(policy_reading_stream(7, 1), policy_reading_stream(7, 2));
    assert_int_not_equal(policy_reading_stream(7, 1), policy_reading_stream(8, 1));
}

/* --- a simulated engine ------------------------------------------------------------------------
 */

#define SIM_STREAMS 8
#define SIM_SLOTS   6
#define SIM_PIECES  8
#define FRAME_S     0.046

struct sim_stream {
    struct policy_stream s;
    double arrival, since, made_s, read_s, silent_s, first_slot;
    bool reads;
    int frames[SIM_PIECES], made[SIM_PIECES], n_piece;
    int i_next, i_head, n_decoded, n_chunk, decoder;
};

struct sim {
    double now, step_s[SIM_SLOTS + 1], codec_s, job_end, longest_piece_s;
    int n_stream, n_slot;
    struct sim_stream stream[SIM_STREAMS];
    struct {
        int stream, piece;
    } slot[SIM_SLOTS];
    int decoder[SIM_SLOTS]; /* stream, -1: free */
    int job, job_frames;    /* decoder, -1: none */
};

static uint64_t random_state;
static double uniform(double low, double high)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(random_state >> 11) / 9007199254740992.0;
}

static bool sim_is_here(const struct sim *m, const struct sim_stream *x)
{
    return x->arrival <= m->now && x->i_head < x->n_piece;
}

static bool sim_is_made(const struct sim_stream *x, int piece)
{
    return x->made[piece] == x->frames[piece];
}

/* The listener hears on: what is read, and whether there was silence. */
static void sim_hear(struct sim *m, double from)
{
    for (int i = 0; i < m->n_stream; i++) {
        struct sim_stream *x = &m->stream[i];
        if (!x->s.heard || !x->reads)
            continue;
        double end = x->since + x->made_s, heard_to = fmin(m->now, end);
        if (x->i_head < x->n_piece && m->now > end)
            x->silent_s += m->now - fmax(from, end);
        x->read_s = fmax(x->read_s, heard_to - x->since);
    }
}

static void sim_pass(struct sim *m, double seconds)
{
    double from = m->now;
    m->now += seconds;
    sim_hear(m, from);
}

static void sim_look(struct sim *m)
{
    for (int i = 0; i < m->n_stream; i++) {
        struct sim_stream *x = &m->stream[i];
        bool here = sim_is_here(m, x);
        struct policy_ahead a = {0};
        for (int k = x->i_head; k < x->n_piece; k++)
            policy_add_piece(&a, x->made[k] - (k == x->i_head ? x->n_decoded : 0),
                             sim_is_made(x, k));
        x->s.ahead_s = a.n_all * FRAME_S;
        x->s.unread_s = x->made_s - x->read_s;
        x->s.dry = x->s.heard ? x->since + x->made_s + a.n_next * FRAME_S : x->arrival;
        x->s.n_left = here ? x->n_piece - x->i_next : 0;
        x->s.may_begin = here;
        x->s.head_waits = here && x->decoder < 0 && x->i_head < x->i_next &&
                          (x->made[x->i_head] > 0 || sim_is_made(x, x->i_head));
    }
}

static int sim_view(struct sim *m, struct policy_stream *v)
{
    sim_look(m);
    for (int i = 0; i < m->n_stream; i++)
        v[i] = m->stream[i].s;
    return m->n_stream;
}

static void sim_fill(struct sim *m)
{
    struct policy_stream v[SIM_STREAMS];
    for (int i = 0; i < m->n_slot; i++) {
        int n_free = 0, n = sim_view(m, v);
        for (int k = 0; k < m->n_slot; k++)
            n_free += m->slot[k].stream < 0;
        int next = m->slot[i].stream < 0 ? policy_next_stream(v, n, n_free, m->now) : -1;
        if (next < 0)
            continue;
        struct sim_stream *x = &m->stream[next];
        m->slot[i].stream = next;
        m->slot[i].piece = x->i_next++;
        if (!x->s.begun)
            x->first_slot = m->now;
        x->s.n_speaking++;
        x->s.begun = true;
    }
    for (int i = 0; i < m->n_slot; i++) {
        int n = sim_view(m, v), next = m->decoder[i] < 0 ? policy_next_head(v, n, false) : -1;
        if (next >= 0) {
            m->decoder[i] = next;
            m->stream[next].decoder = i;
        }
    }
}

static void sim_settle(struct sim *m, int i)
{
    struct sim_stream *x = &m->stream[m->decoder[i]];
    if (!sim_is_made(x, x->i_head) || x->n_decoded < x->frames[x->i_head])
        return;
    x->i_head++;
    x->n_decoded = 0;
    x->decoder = m->decoder[i] = -1;
}

static int sim_decoders(struct sim *m, struct policy_decoder *v, int *which)
{
    int n = 0;
    sim_look(m);
    for (int i = 0; i < m->n_slot; i++) {
        if (m->decoder[i] >= 0 && m->job != i)
            sim_settle(m, i);
        if (m->decoder[i] < 0)
            continue;
        const struct sim_stream *x = &m->stream[m->decoder[i]];
        int n_waiting = x->made[x->i_head] - x->n_decoded;
        v[n] = (struct policy_decoder){
            .n_waiting = n_waiting,
            .n_ready = policy_chunk(n_waiting, x->n_chunk, sim_is_made(x, x->i_head), false),
            .dry = x->s.dry,
            .heard = x->s.heard,
            .running = m->job == i};
        which[n++] = i;
    }
    return n;
}

static void sim_hand_over(struct sim *m)
{
    int i = m->job;
    struct sim_stream *x = &m->stream[m->decoder[i]];
    if (m->now < m->job_end)
        sim_pass(m, m->job_end - m->now);
    m->job = -1;
    x->n_decoded += m->job_frames;
    x->made_s += m->job_frames * FRAME_S;
    x->n_chunk = x->n_chunk * 2 < POLICY_CHUNK_FRAMES ? x->n_chunk * 2 : POLICY_CHUNK_FRAMES;
    if (!x->s.heard)
        x->since = m->now;
    x->s.heard = true;
    sim_settle(m, i);
}

static bool sim_decode(struct sim *m, bool stepped)
{
    struct policy_decoder v[SIM_SLOTS];
    int which[SIM_SLOTS];
    for (bool any = false;; any = true) {
        int n = sim_decoders(m, v, which), next = policy_next_chunk(v, n);
        if (m->job >= 0) {
            if (m->now < m->job_end && !policy_waits_for_chunk(next < 0 ? NULL : &v[next], stepped))
                return true;
            sim_hand_over(m);
            any = true;
            n = sim_decoders(m, v, which);
            next = policy_next_chunk(v, n);
        }
        if (next < 0)
            return any;
        m->job = which[next];
        m->job_frames = v[next].n_ready;
        m->job_end = m->now + m->job_frames * m->codec_s;
        if (!policy_waits_for_chunk(&v[next], true))
            return true;
        sim_hand_over(m);
    }
}

static int sim_choose(struct sim *m, int *step)
{
    struct policy_slot v[SIM_SLOTS];
    struct policy_pace pace = {FRAME_S, m->step_s, m->codec_s};
    bool steps[SIM_SLOTS];
    int which[SIM_SLOTS], n = 0, n_step = 0;
    sim_look(m);
    for (int i = 0; i < m->n_slot; i++)
        if (m->slot[i].stream >= 0) {
            const struct sim_stream *x = &m->stream[m->slot[i].stream];
            v[n] = (struct policy_slot){.head = m->slot[i].piece == x->i_head, .dry = x->s.dry};
            which[n++] = i;
        }
    policy_choose(v, n, &pace, m->now, steps);
    for (int i = 0; i < n; i++)
        if (steps[i])
            step[n_step++] = which[i];
    return n_step;
}

static void sim_step(struct sim *m, const int *step, int n)
{
    sim_pass(m, m->step_s[n]);
    for (int i = 0; i < n; i++) {
        int k = m->slot[step[i]].stream, piece = m->slot[step[i]].piece;
        struct sim_stream *x = &m->stream[k];
        if (++x->made[piece] == x->frames[piece]) {
            x->s.n_speaking--;
            m->slot[step[i]].stream = -1;
        }
    }
}

/* One turn, as dual_ar/turn.c does it; false: nothing was done. */
static bool sim_turn(struct sim *m)
{
    struct policy_decoder d[SIM_SLOTS];
    struct policy_stream v[SIM_STREAMS];
    int step[SIM_SLOTS], which[SIM_SLOTS];
    sim_fill(m);
    int n_step = sim_choose(m, step), n = sim_view(m, v);
    bool without = policy_next_head(v, n, false) >= 0;
    bool behind = m->job >= 0 && policy_is_behind(d, sim_decoders(m, d, which), without);
    if (n_step > 0 && !behind)
        sim_step(m, step, n_step);
    return sim_decode(m, n_step > 0 && !behind) || n_step > 0;
}

/* What is kept for a reader never grows beyond the limits and the pieces that were begun below
 * them. */
static void sim_check_memory(const struct sim *m)
{
    for (int i = 0; i < m->n_stream; i++) {
        const struct policy_stream *s = &m->stream[i].s;
        assert_true(s->unread_s < SECONDS_UNREAD + m->longest_piece_s);
        assert_true(s->unread_s + s->ahead_s < SECONDS_AHEAD + m->n_slot * m->longest_piece_s);
    }
}

/* load: the part of real time that all streams' heads need together; below 1 they can be served. */
static void sim_make(struct sim *m, double load)
{
    *m = (struct sim){.job = -1};
    m->n_slot = 1 + (int)uniform(0, SIM_SLOTS);
    m->n_stream = 1 + (int)uniform(0, SIM_STREAMS);
    double base = uniform(0.2, 0.8);
    int n_served = m->n_stream < m->n_slot ? m->n_stream : m->n_slot;
    double head = load * FRAME_S; /* a frame for each stream, decoded */
    m->codec_s = head * uniform(0.1, 0.4) / n_served;
    head -= n_served * m->codec_s;
    for (int i = 1; i <= SIM_SLOTS; i++) /* further pieces cost more than they give */
        m->step_s[i] = head * (base + (1 - base) * i / n_served);
    for (int i = 0; i < m->n_slot; i++)
        m->slot[i].stream = m->decoder[i] = -1;
    for (int i = 0; i < m->n_stream; i++) {
        struct sim_stream *x = &m->stream[i];
        x->arrival = i == 0 ? 0 : uniform(0, 10);
        x->reads = uniform(0, 1) < 0.8;
        x->n_piece = 1 + (int)uniform(0, SIM_PIECES);
        x->n_chunk = 1;
        x->decoder = -1;
        for (int k = 0; k < x->n_piece; k++) {
            x->frames[k] = 20 + (int)uniform(0, 130);
            m->longest_piece_s = fmax(m->longest_piece_s, x->frames[k] * FRAME_S);
        }
    }
}

static void sim_run(struct sim *m)
{
    int n_left = 1;
    for (long turns = 0; n_left > 0; turns++) {
        if (turns > 1000000)
            fail_msg("a stream is never finished");
        if (!sim_turn(m))
            sim_pass(m, 0.01);
        sim_check_memory(m);
        n_left = 0;
        for (int i = 0; i < m->n_stream; i++)
            n_left += m->stream[i].reads && m->stream[i].i_head < m->stream[i].n_piece;
    }
}

/* Streams that could be served do not run dry: the sum of silences is less than what the growing of
 * the first chunks costs.  They begin at once. */
static void test_loads_that_can_be_served(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct sim m;
        random_state = (uint64_t)i;
        sim_make(&m, uniform(0.3, 0.9));
        sim_run(&m);
        for (int k = 0; k < m.n_stream && m.n_stream <= m.n_slot; k++) {
            const struct sim_stream *x = &m.stream[k];
            if (!x->reads)
                continue;
            if (x->silent_s > 1.0)
                fail_msg("load %d: stream %d of %d is silent for %.2f s", i, k, m.n_stream,
                         x->silent_s);
            if (m.n_slot > m.n_stream && x->first_slot - x->arrival > 1.0)
                fail_msg("load %d: stream %d begins after %.2f s", i, k,
                         x->first_slot - x->arrival);
        }
    }
}

/* With too much to do nobody starves: a stream begins when those before it have had a sentence
 * each. */
static void test_overload(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct sim m;
        random_state = (uint64_t)i + 5000;
        double load = uniform(1.2, 3);
        sim_make(&m, load);
        sim_run(&m);
        double sentence = m.longest_piece_s / FRAME_S * (m.step_s[m.n_slot] + 2 * m.codec_s);
        for (int k = 0; k < m.n_stream; k++)
            if (m.stream[k].s.begun)
                assert_true(m.stream[k].first_slot - m.stream[k].arrival <=
                            (1 + m.n_stream) * sentence * 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_slot),
        cmocka_unit_test(test_dry),
        cmocka_unit_test(test_free_decoder),
        cmocka_unit_test(test_who_steps),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_take_back),
        cmocka_unit_test(test_chunks_in_the_background),
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_runaway),
        cmocka_unit_test(test_good_readings),
        cmocka_unit_test(test_better_readings),
        cmocka_unit_test(test_which_readings),
        cmocka_unit_test(test_loads_that_can_be_served),
        cmocka_unit_test(test_overload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
