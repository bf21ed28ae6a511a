/* espeak-ng as an engine: with and without a neural model beside it, from several threads. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "jabbertts.h"
#include "base/mem.h"
#include "text/libespeak.h"
#include "base/mem_test.h"

#define LOUD 0.02 /* root mean square of speech that can be heard; silence has 0 */

static struct jabbertts *open_engine(const char *model)
{
    struct jabbertts_options o;
    struct jabbertts_error e = {0};
    struct jabbertts *tts = NULL;
    jabbertts_options_init(&o);
    o.model = model;
    o.threads = 1;
    assert_int_equal(jabbertts_open(&o, &tts, &e), 0);
    return tts;
}

/* espeak-ng shakes its pitch a little by a table that it never rewinds, so the same words are the
 * same sound to the ear, not to the sample: lengths differ by up to 2 %. */
struct sound {
    size_t n;
    double power, crossings;
};

static int near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * b;
}

static int same(const struct sound *a, const struct sound *b)
{
    return near((double)a->n, (double)b->n, 0.03) && near(a->power, b->power, 0.05) &&
           near(a->crossings, b->crossings, 0.05);
}

static int speak(struct jabbertts *tts, const struct jabbertts_request *r, struct sound *ret,
                 struct jabbertts_error *e)
{
    struct jabbertts_stream *s;
    float pcm[1000];
    float last = 0;
    *ret = (struct sound){0};
    int n = jabbertts_submit(tts, r, &s, e);
    if (n < 0)
        return n;
    while ((n = jabbertts_read(s, pcm, 1000, e)) > 0)
        for (int i = 0; i < n; i++, ret->n++) {
            ret->power += pcm[i] * pcm[i];
            ret->crossings += (pcm[i] < 0) != (last < 0);
            last = pcm[i];
        }
    jabbertts_stream_free(s);
    return n;
}

static struct sound say(struct jabbertts *tts, const char *voice, const char *language,
                        const char *text)
{
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct sound sound;
    jabbertts_request_init(&r);
    r.text = text;
    r.voice = voice;
    r.language = language;
    r.model = "espeak-ng";
    int rc = speak(tts, &r, &sound, &e);
    if (rc < 0)
        fail_msg("%s", e.message);
    return sound;
}

static void expect_same(struct jabbertts *tts, const char *voice, const char *language,
                        const char *text, const struct sound *wanted)
{
    struct sound s = say(tts, voice, language, text);
    if (!same(&s, wanted))
        fail_msg("%s, %s: %zu samples, %g, %g crossings; wanted %zu, %g, %g", voice, language, s.n,
                 s.power, s.crossings, wanted->n, wanted->power, wanted->crossings);
}

static int say_status(struct jabbertts *tts, const char *voice, const char *text,
                      struct jabbertts_error *e)
{
    struct jabbertts_request r;
    struct sound sound;
    jabbertts_request_init(&r);
    r.text = text;
    r.voice = voice;
    r.model = "espeak-ng";
    return speak(tts, &r, &sound, e);
}

static void test_every_voice(void **state)
{
    struct jabbertts *tts = open_engine("espeak-ng");
    const char *voice, *name;
    int n = 0;
    (void)state;
    for (; (voice = jabbertts_espeak_voice(n, &name)); n++) {
        assert_true(name[0] != 0);
        struct sound s = say(tts, voice, NULL, "One 2 3.");
        if (s.n < 2205 || s.power / (double)s.n < LOUD * LOUD)
            fail_msg("%s: %zu samples, power %g", voice, s.n, s.power);
    }
    assert_true(n > 100);
    assert_string_equal(jabbertts_voice_name(tts, 0), jabbertts_espeak_voice(0, NULL));
    assert_string_equal(jabbertts_voice_default(tts), "en-us");
    assert_int_equal(jabbertts_sample_rate(tts), 22050);
    jabbertts_close(tts);
}

/* A language spoken by a voice of another is that language's. */
static void test_voice_and_language(void **state)
{
    struct jabbertts *tts = open_engine("espeak-ng");
    (void)state;
    const char *text = "Guten Morgen, gute Leute.";
    struct sound german = say(tts, "de", NULL, text), english = say(tts, NULL, NULL, text);
    assert_false(same(&german, &english));
    expect_same(tts, NULL, "de", text, &german);
    expect_same(tts, NULL, "de_AT", text, &german);
    expect_same(tts, "en-us", "de-DE-1996", text, &german);
    struct sound woman = say(tts, "de+f3", NULL, text);
    assert_false(same(&woman, &german));
    expect_same(tts, "coral", "de", text, &woman);
    expect_same(tts, NULL, NULL, text, &english);
    struct sound chinese = say(tts, "cmn", NULL, text);
    expect_same(tts, "zh-CN", NULL, text, &chinese);
    const char *alias, *target;
    int n = 0;
    for (; (alias = jabbertts_voice_alias(tts, n, &target)); n++)
        assert_true(say(tts, alias, NULL, "Hi there.").n > 2205);
    assert_int_equal(n, 13);
    jabbertts_close(tts);
}

static void test_errors(void **state)
{
    struct jabbertts *tts = open_engine("espeak-ng");
    struct jabbertts_error e = {0};
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    struct jabbertts_voice *v;
    float pcm[22050] = {0};
    (void)state;
    assert_int_equal(say_status(tts, "nobody", "hi", &e), JABBERTTS_ERR_NOT_FOUND);
    assert_non_null(strstr(e.message, "nobody"));
    assert_int_equal(say_status(tts, "en-us+nobody", "hi", &e), JABBERTTS_ERR_NOT_FOUND);
    assert_int_equal(say_status(tts, "../../etc/passwd", "hi", &e), JABBERTTS_ERR_NOT_FOUND);
    assert_int_equal(say_status(tts, NULL, " ... ", &e), JABBERTTS_ERR_ARGUMENT);
    assert_int_equal(say_status(tts, NULL, "\xff", &e), JABBERTTS_ERR_FORMAT);
    assert_int_equal(jabbertts_voice_from_pcm(tts, pcm, 22050, "x", &v, &e),
                     JABBERTTS_ERR_UNSUPPORTED);
    jabbertts_request_init(&r);
    r.text = "hi";
    r.model = "other";
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_NOT_FOUND);
    jabbertts_close(tts);
}

static void test_cancel_and_limit(void **state)
{
    struct jabbertts *tts = open_engine("espeak-ng");
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s;
    struct jabbertts_progress p;
    struct sound sound;
    float pcm[100];
    (void)state;
    jabbertts_request_init(&r);
    r.text = "A first sentence of some length. A second sentence of some length.";
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0);
    assert_int_equal(jabbertts_stream_rate(s), 22050);
    assert_int_equal(jabbertts_read(s, pcm, 100, &e), 100);
    jabbertts_stream_progress(s, &p);
    assert_true(p.n_piece == 2 && p.first_audio_s >= 0 && p.wait_s >= 0 && p.n_sample >= 100);
    jabbertts_cancel(s);
    int n;
    while ((n = jabbertts_read(s, pcm, 100, &e)) > 0)
        ;
    assert_int_equal(n, JABBERTTS_ERR_CANCELLED);
    jabbertts_stream_free(s);
    r.max_seconds = 0.5;
    assert_int_equal(speak(tts, &r, &sound, &e), 0);
    assert_int_equal(sound.n, 11025);
    jabbertts_close(tts);
}

/* Four threads with a voice each, and one more that makes phonemes: all share one espeak-ng. */
struct talker {
    struct jabbertts *tts;
    const char *voice;
    struct sound first;
};

static void *talk(void *arg)
{
    struct talker *t = arg;
    struct jabbertts_error e = {0};
    for (int i = 0; i < 20; i++) {
        struct jabbertts_request r;
        struct sound s;
        jabbertts_request_init(&r);
        r.text = "The same words, spoken at the same time. By several voices.";
        r.voice = t->voice;
        r.model = "espeak-ng";
        if (speak(t->tts, &r, &s, &e) < 0 || (i && !same(&s, &t->first)))
            return t;
        if (i == 0)
            t->first = s;
    }
    return NULL;
}

static void test_threads(void **state)
{
    static const char *const voices[] = {"en-us", "de", "fr+f2", "ru"};
    struct jabbertts *tts = open_engine("models/jabber-tiny.gguf");
    struct talker t[4];
    pthread_t thread[4];
    struct jabbertts_stream *s;
    struct jabbertts_request r;
    float pcm[500];
    int n, total = 0;
    (void)state;
    jabbertts_request_init(&r);
    r.text = "And the model speaks beside them.";
    assert_int_equal(jabbertts_submit(tts, &r, &s, NULL), 0);
    assert_int_equal(jabbertts_stream_rate(s), jabbertts_sample_rate(tts));
    for (int i = 0; i < 4; i++) {
        t[i] = (struct talker){.tts = tts, .voice = voices[i]};
        assert_int_equal(pthread_create(&thread[i], NULL, talk, &t[i]), 0);
    }
    while ((n = jabbertts_read(s, pcm, 500, NULL)) > 0)
        total += n;
    assert_true(n == 0 && total > 4000);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    jabbertts_stream_free(s);
    jabbertts_close(tts);
}

static void test_without_memory(void **state)
{
    struct jabbertts *tts = open_engine("espeak-ng");
    struct jabbertts_error e = {0};
    (void)state;
    for (long n = 0; n < 40; n++) {
        mem_fail_after(n);
        int rc = say_status(tts, NULL, "Some words that need memory.", &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == JABBERTTS_ERR_MEMORY);
    }
    jabbertts_close(tts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_voice), cmocka_unit_test(test_voice_and_language),
        cmocka_unit_test(test_errors),      cmocka_unit_test(test_cancel_and_limit),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
