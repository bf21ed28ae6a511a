/* The public API as an embedding program uses it: several requests at once, cancel, close. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "jabbertts.h"
#include "base/mem.h"
#include "model/import.h"
#include "base/mem_test.h"

#define MODEL "models/jabber-tiny.gguf"
/* A sanitizer's allocator keeps what is freed. */
#ifdef __has_feature
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
#define NANO "tests/golden/s1-nano/checkpoint" /* no voices, random weights */

static struct jabbertts *open_with(struct jabbertts_options *o)
{
    struct jabbertts_error e = {0};
    struct jabbertts *tts = NULL;
    if (jabbertts_open(o, &tts, &e) < 0)
        fail_msg("%s", e.message);
    return tts;
}

static void options(struct jabbertts_options *o, int slots, int queue)
{
    jabbertts_options_init(o);
    o->model = MODEL;
    o->slots = slots;
    o->queue = queue;
    o->threads = 1;
}

static struct jabbertts *open_engine(int slots, int queue)
{
    struct jabbertts_options o;
    options(&o, slots, queue);
    return open_with(&o);
}

static struct jabbertts_stream *submit(struct jabbertts *tts, const char *text)
{
    struct jabbertts_request r;
    struct jabbertts_stream *s = NULL;
    struct jabbertts_error e = {0};
    jabbertts_request_init(&r);
    r.text = text;
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0);
    return s;
}

/* FNV-1a of all samples, and how many. */
static uint64_t drain(struct jabbertts_stream *s, size_t *total)
{
    float pcm[1000];
    uint64_t hash = 14695981039346656037u;
    int n;
    *total = 0;
    while ((n = jabbertts_read(s, pcm, 1000, NULL)) > 0) {
        const unsigned char *p = (const unsigned char *)pcm;
        for (size_t i = 0; i < (size_t)n * sizeof *pcm; i++)
            hash = (hash ^ p[i]) * 1099511628211u;
        *total += (size_t)n;
    }
    assert_int_equal(n, 0);
    return hash;
}

static void test_neighbours(void **state)
{
    static const char *const texts[] = {"Hello there.", "The train leaves at noon.", "Yes."};
    uint64_t alone[3];
    size_t n, again;
    (void)state;
    struct jabbertts *tts = open_engine(3, 8);
    for (int i = 0; i < 3; i++) {
        struct jabbertts_stream *s = submit(tts, texts[i]);
        alone[i] = drain(s, &n);
        assert_true(n > 2000);
        jabbertts_stream_free(s);
    }
    struct jabbertts_stream *all[3];
    for (int i = 0; i < 3; i++)
        all[i] = submit(tts, texts[i]);
    for (int i = 0; i < 3; i++) {
        assert_true(drain(all[i], &again) == alone[i]);
        jabbertts_stream_free(all[i]);
    }
    jabbertts_close(tts);
}

static void test_cancel(void **state)
{
    struct jabbertts_error e = {0};
    float pcm[64];
    size_t n;
    (void)state;
    struct jabbertts *tts = open_engine(1, 4);
    struct jabbertts_stream *a = submit(tts, "A first sentence to be cancelled. And a second one.");
    struct jabbertts_stream *b = submit(tts, "Waiting in the queue.");
    assert_true(jabbertts_read(a, pcm, 64, &e) > 0);
    jabbertts_cancel(b);
    assert_int_equal(jabbertts_read(b, pcm, 64, &e), JABBERTTS_ERR_CANCELLED);
    jabbertts_stream_free(b);
    jabbertts_stream_free(a); /* cancels */
    struct jabbertts_stream *c = submit(tts, "Still alive.");
    drain(c, &n);
    assert_true(n > 0);
    jabbertts_stream_free(c);
    jabbertts_close(tts);
}

static void test_queue_full(void **state)
{
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s[16];
    int n = 0, rc = 0;
    (void)state;
    struct jabbertts *tts = open_engine(1, 2);
    jabbertts_request_init(&r);
    r.text = "One of many sentences that wait for their turn.";
    while (n < 16 && (rc = jabbertts_submit(tts, &r, &s[n], &e)) == 0)
        n++;
    assert_int_equal(rc, JABBERTTS_ERR_BUSY);
    assert_non_null(strstr(e.message, "try again"));
    assert_true(e.retry_after_s >= 1);
    struct jabbertts_load l;
    jabbertts_load(tts, &l);
    assert_int_equal(l.slots, 1);
    assert_int_equal(l.active + l.queued, n);
    assert_int_equal(l.n_submitted, n + 1);
    assert_int_equal(l.n_refused, 1);
    while (n > 0)
        jabbertts_stream_free(s[--n]);
    jabbertts_load(tts, &l);
    assert_int_equal(l.active + l.queued, 0);
    assert_int_equal(l.n_cancelled, l.n_submitted - 1);
    jabbertts_close(tts);
}

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    int n;
};

static void ring(void *cookie)
{
    struct bell *b = cookie;
    pthread_mutex_lock(&b->lock);
    b->n++;
    pthread_cond_signal(&b->rung);
    pthread_mutex_unlock(&b->lock);
}

static void wait_ring(struct bell *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->n == 0)
        pthread_cond_wait(&b->rung, &b->lock);
    b->n = 0;
    pthread_mutex_unlock(&b->lock);
}

/* An event loop's way: ask, sleep until told, ask again; the sound is that of jabbertts_read. */
static void test_try_read(void **state)
{
    struct bell b = {.n = 0};
    float pcm[4096];
    size_t want, total = 0;
    int n, n_sleep = 0;
    (void)state;
    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.rung, NULL);
    struct jabbertts *tts = open_engine(1, 4);
    struct jabbertts_stream *s = submit(tts, "Here it comes. And there it goes.");
    drain(s, &want);
    jabbertts_stream_free(s);
    s = submit(tts, "Here it comes. And there it goes.");
    jabbertts_stream_on_ready(s, ring, &b);
    while ((n = jabbertts_try_read(s, pcm, 4096, NULL)) != 0) {
        if (n > 0) {
            total += (size_t)n;
            continue;
        }
        assert_int_equal(n, JABBERTTS_AGAIN);
        n_sleep++;
        wait_ring(&b);
    }
    assert_int_equal(total, want);
    assert_true(n_sleep > 2);
    b.n = 0;
    jabbertts_stream_on_ready(s, ring, &b); /* ended already: told at once */
    assert_int_equal(b.n, 1);
    jabbertts_stream_free(s);
    struct jabbertts_load l;
    jabbertts_load(tts, &l);
    assert_int_equal(l.n_finished, 2);
    assert_true(l.rtf > 0 && l.audio_s > 1 && l.n_frame > 20 && l.busy_s > 0 && l.loaded);
    assert_true(l.memory_bytes > 1000000);
    jabbertts_close(tts);
    pthread_cond_destroy(&b.rung);
    pthread_mutex_destroy(&b.lock);
}

static int read_to_end(struct jabbertts_stream *s, struct jabbertts_error *e)
{
    float pcm[4096];
    int n;
    while ((n = jabbertts_read(s, pcm, 4096, e)) > 0)
        ;
    return n;
}

/* Past its deadline a stream ends with an error: speaking, waiting, or stalled by its reader. */
static void test_deadline(void **state)
{
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *slow, *waiting;
    char text[4000] = "";
    (void)state;
    for (int i = 0; i < 40; i++)
        strncat(text, "This is one of forty sentences, and it is not short. ", 60);
    struct jabbertts *tts = open_engine(1, 4);
    jabbertts_request_init(&r);
    r.text = text;
    r.deadline_s = -1;
    assert_int_equal(jabbertts_submit(tts, &r, &slow, &e), JABBERTTS_ERR_ARGUMENT);
    r.deadline_s = 0.7;
    assert_int_equal(jabbertts_submit(tts, &r, &slow, &e), 0);
    r.deadline_s = 0.2;
    assert_int_equal(jabbertts_submit(tts, &r, &waiting, &e), 0);
    assert_int_equal(read_to_end(waiting, &e), JABBERTTS_ERR_DEADLINE);
    assert_non_null(strstr(e.message, "0.2 s"));
    assert_int_equal(read_to_end(slow, &e), JABBERTTS_ERR_DEADLINE);
    assert_non_null(strstr(e.message, "of 40 sentences"));
    jabbertts_stream_free(slow);
    jabbertts_stream_free(waiting);
    jabbertts_close(tts);
}

static void test_bad_requests(void **state)
{
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s;
    struct jabbertts_voice *v;
    float silence[100] = {0};
    (void)state;
    struct jabbertts *tts = open_engine(1, 1);
    jabbertts_request_init(&r);
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_ARGUMENT);
    r.text = "\xff\xfe";
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_FORMAT);
    r.text = "hello";
    r.top_p = 3;
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_ARGUMENT);
    r.top_p = -1;
    r.voice = "nobody";
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_NOT_FOUND);
    assert_int_equal(jabbertts_voice_from_pcm(tts, silence, 100, "x", &v, &e),
                     JABBERTTS_ERR_ARGUMENT);
    jabbertts_close(tts);
    jabbertts_close(NULL);
}

#define LONG                                                                                       \
    "It was a bright cold day. The clocks were striking thirteen. He walked up the stairs. "       \
    "Nobody was there. The lift did not work at the best of times. He rested on the way. "         \
    "The flat was warm. A voice was reading out figures. He turned it down a little. "             \
    "Outside the world looked cold. There seemed to be no colour in anything. So it was."

/* Sentences of one text are spoken side by side; what comes out is what one slot makes. */
static void test_sentences_together(void **state)
{
    struct jabbertts_progress p;
    struct jabbertts_load l;
    size_t n[2];
    uint64_t hash[2];
    int most = 0;
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct jabbertts *tts = open_engine(k ? 4 : 1, 4);
        struct jabbertts_stream *s = submit(tts, LONG);
        for (int i = 0; k && i < 2000 && most < 3; i++) {
            jabbertts_load(tts, &l);
            most = l.batch > most ? l.batch : most;
            usleep(1000);
        }
        hash[k] = drain(s, &n[k]);
        jabbertts_stream_progress(s, &p);
        assert_int_equal(p.piece, p.n_piece);
        assert_int_equal(p.n_truncated, 0);
        assert_int_equal(p.n_sample, n[k]);
        jabbertts_stream_free(s);
        jabbertts_close(tts);
    }
    assert_true(hash[0] == hash[1] && n[0] == n[1]);
    assert_int_equal(most, 3); /* of four slots, one stays free for others */
}

static char nano[64];

/* A model without voices answers to those of the built-in one: the same each time, no two alike,
 * whether it can imitate them or has to draw them. */
static void stock_voices(bool no_encoder, size_t n_least)
{
    static const char *const names[] = {"alloy", "ash",   "ballad", "coral", "echo",
                                        "fable", "nova",  "onyx",   "sage",  "shimmer",
                                        "verse", "marin", "cedar"};
    enum { N = sizeof names / sizeof *names };
    struct import_options io = {.directory = NANO,
                                .output = nano,
                                .type = -1,
                                .sampling = {-1, -1, -1},
                                .no_encoder = no_encoder};
    struct jabbertts_options o;
    struct jabbertts_text_options t;
    struct err err;
    char *prompt[2][N];
    assert_int_equal(import_convert(&io, &err), 0);
    jabbertts_text_options_init(&t);
    t.stage = "prompt";
    for (int k = 0; k < 2; k++) {
        options(&o, 1, 4);
        o.model = nano;
        struct jabbertts *tts = open_with(&o);
        assert_string_equal(jabbertts_voice_default(tts), "amy");
        for (int i = 0; i < N; i++) {
            t.voice = names[k ? N - 1 - i : i];
            assert_int_equal(jabbertts_text(tts, &t, "Hi.", &prompt[k][k ? N - 1 - i : i], NULL),
                             0);
        }
        jabbertts_close(tts);
    }
    for (int i = 0; i < N; i++) {
        assert_string_equal(prompt[0][i], prompt[1][i]);
        assert_true(strlen(prompt[0][i]) > n_least);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(prompt[0][i], prompt[0][j]);
    }
    for (int i = 0; i < 2 * N; i++)
        free(prompt[i / N][i % N]);
    unlink(nano);
}

static void test_stock_voices(void **state)
{
    (void)state;
    stock_voices(false, 300); /* of some seconds */
    stock_voices(true, 30);   /* random weights end where they like */
}

/* Sentences that hear those before them: the same whatever the slots and whether the prefix is
 * known, others than without; and the prefix makes them cheap. */
static void test_context(void **state)
{
    static const struct {
        int slots, prefix_mb, n;
    } runs[] = {{1, 256, 2}, {4, 256, 2}, {4, 0, 2}, {4, 256, 0}, {4, 256, 8}};
    size_t n[5];
    uint64_t hash[5];
    (void)state;
    for (int k = 0; k < 5; k++) {
        struct jabbertts_options o;
        struct jabbertts_request r;
        struct jabbertts_stream *s;
        struct jabbertts_error e;
        options(&o, runs[k].slots, 4);
        o.prefix_mb = runs[k].prefix_mb;
        struct jabbertts *tts = open_with(&o);
        jabbertts_request_init(&r);
        r.text = "<speak><s>One is here.</s><break time='9ms'/><s>Two came late.</s>"
                 "<break time='9ms'/><s>Three went home.</s><break time='9ms'/><s>Four sleeps.</s>"
                 "<break time='9ms'/><s>Five is tired.</s></speak>";
        r.context_sentences = runs[k].n;
        assert_int_equal(jabbertts_submit(tts, &r, &s, NULL), 0);
        hash[k] = drain(s, &n[k]);
        jabbertts_stream_free(s);
        r.context_sentences = 9;
        assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_ARGUMENT);
        assert_non_null(strstr(e.message, "0 to 8"));
        jabbertts_close(tts);
    }
    assert_true(hash[0] == hash[1] && n[0] == n[1]);
    assert_true(hash[0] == hash[2] && n[0] == n[2]);
    assert_true(hash[0] != hash[3] && hash[0] != hash[4]);
}

/* A voice whose clip says one letter in three seconds: every sentence is far too short for it, and
 * is made again as often as may be.  What comes of that is the same beside others, in one slot and
 * in the background, and the first sentence is as it was. */
static void test_repair(void **state)
{
    static const struct {
        int slots, repair, background, n_repaired;
    } runs[] = {{1, JABBERTTS_REPAIR_NONE, 0, 0},  {1, JABBERTTS_REPAIR_LATER, 0, 4},
                {4, JABBERTTS_REPAIR_LATER, 0, 4}, {4, JABBERTTS_REPAIR_ALL, 0, 6},
                {1, JABBERTTS_REPAIR_ALL, 1, 6},   {4, JABBERTTS_REPAIR_LATER, 1, 6}};
    enum { N = sizeof runs / sizeof *runs, FRAMES = 40, CODEBOOKS = 32 };
    static const int32_t codes[CODEBOOKS * FRAMES];
    struct jabbertts_error e;
    uint64_t hash[N];
    float first[N][1000];
    (void)state;
    for (int k = 0; k < N; k++) {
        struct jabbertts *tts = open_engine(runs[k].slots, 4);
        struct jabbertts_stream *s, *beside = submit(tts, "Beside it.");
        struct jabbertts_voice *v;
        struct jabbertts_progress p;
        struct jabbertts_load l;
        struct jabbertts_request r;
        size_t n;
        jabbertts_request_init(&r);
        assert_int_equal(r.repair, JABBERTTS_REPAIR_LATER);
        r.text = "<speak><s>One is here.</s><break time='9ms'/><s>Two came late.</s>"
                 "<break time='9ms'/><s>Three went home.</s></speak>";
        r.repair = runs[k].repair;
        r.background = runs[k].background;
        assert_int_equal(jabbertts_voice_from_codes(tts, codes, FRAMES, "a", &v, &e), 0);
        r.reference = v;
        assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0);
        for (int i = 0; i < 1000; i += (int)n) {
            int got = jabbertts_read(s, first[k] + i, 1000 - i, &e);
            assert_true(got > 0);
            n = (size_t)got;
        }
        hash[k] = drain(s, &n);
        jabbertts_stream_progress(s, &p);
        drain(beside, &n);
        jabbertts_load(tts, &l);
        assert_int_equal(p.n_repaired, runs[k].n_repaired);
        assert_int_equal(l.n_repaired, runs[k].n_repaired);
        assert_int_equal(p.piece, 3);
        jabbertts_stream_free(beside);
        jabbertts_stream_free(s);
        assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0); /* ends while it is made */
        jabbertts_stream_free(s);
        r.repair = JABBERTTS_REPAIR_ALL + 1;
        assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_ARGUMENT);
        assert_non_null(strstr(e.message, "0 to 2"));
        jabbertts_voice_free(v);
        jabbertts_close(tts);
    }
    assert_true(hash[1] == hash[2] && hash[3] == hash[4] && hash[3] == hash[5]);
    assert_memory_equal(first[0], first[1], sizeof first[0]);
    assert_memory_equal(first[3], first[5], sizeof first[0]);
}

/* Several clips as one voice: all of them are in the prompt, in their order; limits. */
static void test_clips(void **state)
{
    int32_t codes[8 * 40] = {0};
    struct jabbertts *tts = open_engine(1, 4);
    struct jabbertts_voice *v = NULL, *more;
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    struct jabbertts_error e;
    uint64_t hash[3];
    size_t n;
    (void)state;
    jabbertts_request_init(&r);
    r.text = "Hello there.";
    for (int i = 0; i < JABBERTTS_CLIPS_MAX; i++) {
        codes[0] = i;
        assert_int_equal(jabbertts_voice_from_codes(tts, codes, 10, "a", &more, NULL), 0);
        if (!v)
            v = more;
        else
            assert_int_equal(jabbertts_voice_join(v, more, NULL), 0);
        r.reference = v;
        if (i >= 3)
            continue;
        assert_int_equal(jabbertts_submit(tts, &r, &s, NULL), 0);
        hash[i] = drain(s, &n);
        jabbertts_stream_free(s);
    }
    assert_true(hash[0] != hash[1] && hash[1] != hash[2]);
    assert_int_equal(jabbertts_voice_from_codes(tts, codes, 10, "a", &more, NULL), 0);
    assert_int_equal(jabbertts_voice_join(v, more, &e), JABBERTTS_ERR_LIMIT);
    assert_non_null(strstr(e.message, "the limit is 8"));
    jabbertts_voice_free(v);
    int longest = (int)(jabbertts_clip_seconds(tts) * 12.5);
    int32_t *many = calloc((size_t)longest * 8, sizeof *many);
    assert_int_equal(jabbertts_voice_from_codes(tts, many, longest, "a", &v, NULL), 0);
    assert_int_equal(jabbertts_voice_join(v, more, &e), JABBERTTS_ERR_LIMIT);
    assert_non_null(strstr(e.message, "together"));
    free(many);
    jabbertts_voice_free(v);
    jabbertts_voice_free(more);
    jabbertts_close(tts);
}

/* Where no voice is wanted the first sentence is the voice of the others, whenever they run. */
static void test_first_sentence_is_the_voice(void **state)
{
    struct import_options io = {.directory = NANO,
                                .output = nano,
                                .type = -1,
                                .sampling = {-1, -1, -1},
                                .no_encoder = true};
    struct jabbertts_options o;
    struct jabbertts_request r;
    struct jabbertts_progress p;
    struct err err;
    size_t n[4];
    uint64_t hash[4];
    (void)state;
    assert_int_equal(import_convert(&io, &err), 0);
    for (int k = 0; k < 4; k++) {
        struct jabbertts_stream *s;
        options(&o, k % 2 ? 4 : 1, 4);
        o.model = nano;
        struct jabbertts *tts = open_with(&o);
        jabbertts_request_init(&r);
        r.text = "One. Two, three. Four? Five!";
        r.max_seconds = k < 2 ? 0 : 0.8;
        r.voice = "";
        r.seed = k < 2 ? 1 : 2;
        assert_int_equal(jabbertts_submit(tts, &r, &s, NULL), 0);
        hash[k] = drain(s, &n[k]);
        jabbertts_stream_progress(s, &p);
        if (k >= 2)
            assert_true(p.n_truncated > 0);
        jabbertts_stream_free(s);
        jabbertts_close(tts);
    }
    assert_true(hash[0] == hash[1] && n[0] == n[1]);
    assert_true(hash[2] == hash[3] && n[2] == n[3] && n[2] < n[0]);
    unlink(nano);
}

/* Readers that do not read hold neither slots nor decoders. */
static void test_readers_that_sleep(void **state)
{
    struct jabbertts_stream *asleep[4], *s;
    struct jabbertts_progress p;
    size_t n;
    (void)state;
    struct jabbertts *tts = open_engine(2, 8);
    for (int i = 0; i < 4; i++)
        asleep[i] = submit(tts, LONG LONG LONG);
    for (int i = 0; i < 3; i++) {
        s = submit(tts, "I am awake.");
        drain(s, &n);
        assert_true(n > 2000);
        jabbertts_stream_free(s);
    }
    for (int i = 0; i < 4; i++) {
        jabbertts_stream_progress(asleep[i], &p);
        assert_true(p.piece < p.n_piece);
        /* What is kept for a sleeper is bounded: 8 s and the piece that was then begun. */
        assert_true(p.n_sample < (size_t)jabbertts_sample_rate(tts) * (8 + 20));
        jabbertts_stream_free(asleep[i]);
    }
    jabbertts_close(tts);
}

/* A short text submitted in the middle of a long one is done before it. */
static void test_short_before_long(void **state)
{
    struct jabbertts_stream *longer, *s;
    struct jabbertts_progress p;
    float pcm[256];
    size_t n;
    (void)state;
    for (int slots = 1; slots <= 3; slots += 2) {
        struct jabbertts *tts = open_engine(slots, 8);
        longer = submit(tts, LONG);
        assert_true(jabbertts_read(longer, pcm, 256, NULL) > 0);
        s = submit(tts, "Quick.");
        drain(s, &n);
        jabbertts_stream_free(s);
        jabbertts_stream_progress(longer, &p);
        assert_true(p.piece < p.n_piece);
        jabbertts_stream_free(longer);
        jabbertts_close(tts);
    }
}

/* Who would start too late is refused, and told when to come back. */
static void test_wait_limit(void **state)
{
    struct jabbertts_options o;
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s[16];
    struct jabbertts_load l;
    int n = 0, rc = 0;
    size_t total;
    (void)state;
    options(&o, 1, 64);
    o.max_wait_s = 1e-3;
    struct jabbertts *tts = open_with(&o);
    s[0] = submit(tts, "So that it knows how long one takes.");
    drain(s[0], &total);
    jabbertts_stream_free(s[0]);
    jabbertts_request_init(&r);
    r.text = LONG;
    while (n < 16 && (rc = jabbertts_submit(tts, &r, &s[n], &e)) == 0)
        n++;
    assert_int_equal(rc, JABBERTTS_ERR_BUSY);
    assert_true(e.retry_after_s >= 1);
    assert_non_null(strstr(e.message, "would start in"));
    assert_in_range(n, 1, 3);
    jabbertts_load(tts, &l);
    assert_true(l.wait_s > o.max_wait_s);
    while (n > 0)
        jabbertts_stream_free(s[--n]);
    jabbertts_load(tts, &l);
    assert_true(l.wait_s == 0);
    jabbertts_close(tts);
}

/* An idle model's memory goes back to the system; the next request brings it in again. */
static void test_unload(void **state)
{
    struct jabbertts_options o;
    struct jabbertts_load before, after = {.loaded = 1};
    uint64_t hash[2];
    size_t n;
    (void)state;
    options(&o, 2, 4);
    o.idle_s = 0.05;
    struct jabbertts *tts = open_with(&o);
    for (int k = 0; k < 2; k++) {
        struct jabbertts_stream *s = submit(tts, "Are you still there?");
        hash[k] = drain(s, &n);
        jabbertts_load(tts, &before);
        jabbertts_stream_free(s);
        for (int i = 0; i < 500 && after.loaded; i++) {
            usleep(10000);
            jabbertts_load(tts, &after);
        }
        assert_false(after.loaded);
        /* jabber-tiny's weights and caches are more than 10 MB. */
        if (!SANITIZED)
            assert_true(after.memory_bytes + (10 << 20) < before.memory_bytes);
        assert_true(after.wait_s > 0);
        assert_non_null(jabbertts_isa(tts));
        after.loaded = 1;
    }
    assert_true(hash[0] == hash[1]);
    jabbertts_close(tts);
}

/* The names that clients know can be given to other voices. */
static void test_aliases(void **state)
{
    static const char *const wrong[] = {"alloy", "alloy=", "=zoe", "alloy=zoe=amy", "alloy=nobody"};
    struct jabbertts_options o;
    struct jabbertts_error e;
    struct jabbertts *tts;
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    uint64_t hash[3];
    size_t n;
    (void)state;
    options(&o, 1, 4);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        o.aliases = wrong[i];
        assert_true(jabbertts_open(&o, &tts, &e) < 0);
    }
    o.aliases = "alloy=zoe, my-friend=alloy";
    tts = open_with(&o);
    for (int i = 0; i < 3; i++) {
        jabbertts_request_init(&r);
        r.text = "Who is it?";
        r.voice = i == 0 ? "zoe" : i == 1 ? "alloy" : "my-friend";
        assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0);
        hash[i] = drain(s, &n);
        jabbertts_stream_free(s);
    }
    assert_true(hash[0] == hash[1] && hash[1] == hash[2]);
    jabbertts_close(tts);
}

struct clip {
    struct jabbertts *tts;
    float *pcm;
    size_t n;
    int rc;
    double done_at;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *encode_clip(void *arg)
{
    struct clip *c = arg;
    struct jabbertts_voice *v = NULL;
    c->rc = jabbertts_voice_from_pcm(c->tts, c->pcm, c->n, "some words", &v, NULL);
    c->done_at = now_s();
    jabbertts_voice_free(v);
    return NULL;
}

/* Recordings become codes between the frames of those who listen; only so many may wait. */
static void test_clips_beside_speech(void **state)
{
    struct clip clip[40];
    pthread_t thread[40];
    size_t n;
    (void)state;
    struct jabbertts *tts = open_engine(1, 4);
    size_t hz = (size_t)jabbertts_sample_rate(tts);
    float *pcm = mem_alloc(20 * hz * sizeof *pcm);
    for (size_t i = 0; i < 20 * hz; i++) /* half a second of noise, a tenth of next to none */
        pcm[i] = (i / (hz / 10) % 6 ? 0.3f : 0.0005f) * (float)(i * 7919 % 1000) / 1000.0f;
    clip[0] = (struct clip){tts, pcm, 20 * hz, 0, 0};
    pthread_create(&thread[0], NULL, encode_clip, &clip[0]);
    usleep(20000);
    struct jabbertts_stream *s = submit(tts, "Yes.");
    drain(s, &n);
    double spoken_at = now_s();
    jabbertts_stream_free(s);
    pthread_join(thread[0], NULL);
    assert_int_equal(clip[0].rc, 0);
    assert_true(spoken_at < clip[0].done_at);
    int n_busy = 0;
    for (int i = 0; i < 40; i++) {
        clip[i] = (struct clip){tts, pcm, 2 * hz, 0, 0};
        pthread_create(&thread[i], NULL, encode_clip, &clip[i]);
    }
    for (int i = 0; i < 40; i++) {
        pthread_join(thread[i], NULL);
        n_busy += clip[i].rc == JABBERTTS_ERR_BUSY;
        assert_true(clip[i].rc == 0 || clip[i].rc == JABBERTTS_ERR_BUSY);
    }
    assert_in_range(n_busy, 1, 24); /* 16 wait */
    mem_free(pcm);
    jabbertts_close(tts);
}

static void test_drain(void **state)
{
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s, *refused;
    size_t n;
    (void)state;
    struct jabbertts *tts = open_engine(1, 4);
    s = submit(tts, "The last one. It is finished all the same.");
    assert_int_equal(jabbertts_drain(tts, 0), 1);
    jabbertts_request_init(&r);
    r.text = "Too late.";
    assert_int_equal(jabbertts_submit(tts, &r, &refused, &e), JABBERTTS_ERR_BUSY);
    assert_non_null(strstr(e.message, "shutting down"));
    assert_int_equal(jabbertts_drain(tts, 60), 0);
    drain(s, &n);
    assert_true(n > 5000);
    jabbertts_stream_free(s);
    jabbertts_close(tts);
}

static void test_open_without_memory(void **state)
{
    struct jabbertts_options o;
    struct jabbertts_error e;
    (void)state;
    jabbertts_options_init(&o);
    o.model = MODEL;
    o.threads = 1;
    for (long n = 0; n < 4000; n = n * 3 / 2 + 1) {
        struct jabbertts *tts = NULL;
        mem_fail_after(n);
        int rc = jabbertts_open(&o, &tts, &e);
        mem_fail_after(-1);
        if (rc == 0)
            jabbertts_close(tts);
        else
            assert_true(e.message[0] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_queue_full),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_try_read),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_sentences_together),
        cmocka_unit_test(test_stock_voices),
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_clips),
        cmocka_unit_test(test_first_sentence_is_the_voice),
        cmocka_unit_test(test_readers_that_sleep),
        cmocka_unit_test(test_short_before_long),
        cmocka_unit_test(test_wait_limit),
        cmocka_unit_test(test_unload),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_clips_beside_speech),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_open_without_memory),
    };
    snprintf(nano, sizeof nano, "/tmp/test_engine-%d.gguf", (int)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
