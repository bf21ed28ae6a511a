/* The public API as an embedding program uses it: several requests at once, cancel, close. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "jabbertts.h"
#include "base/mem.h"

#define MODEL "models/jabber-tiny.gguf"

static struct jabbertts *open_engine(int slots, int queue)
{
    struct jabbertts_options o;
    struct jabbertts_error e = {0};
    struct jabbertts *tts = NULL;
    jabbertts_options_init(&o);
    o.model = MODEL;
    o.slots = slots;
    o.queue = queue;
    o.threads = 2;
    assert_int_equal(jabbertts_open(&o, &tts, &e), 0);
    return tts;
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
    assert_true(l.memory_bytes > l.weight_bytes && l.weight_bytes > 100000);
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
        cmocka_unit_test(test_neighbours),   cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_queue_full),   cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_try_read),     cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_open_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
