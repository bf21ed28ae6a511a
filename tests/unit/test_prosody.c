/* SSML as it is heard: rates, volumes, pauses, voices and marks, by the model and by espeak-ng. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "jabbertts.h"
#include "audio/effect.h"
#include "base/mem.h"
#include "base/mem_test.h"

#define WORDS "One two three four."

static struct jabbertts *tts;

struct sound {
    float *pcm;
    size_t n;
    double rms;
    struct jabbertts_stream *s;
};

static struct sound speak(const char *model, const char *text)
{
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct sound x = {0};
    int n;
    jabbertts_request_init(&r);
    r.text = text;
    r.model = model;
    if (jabbertts_submit(tts, &r, &x.s, &e) < 0)
        fail_msg("%s: %s", text, e.message);
    x.pcm = calloc(60 * 22050, sizeof *x.pcm);
    while ((n = jabbertts_read(x.s, x.pcm + x.n, 4096, &e)) > 0) {
        for (int i = 0; i < n; i++)
            x.rms += x.pcm[x.n + (size_t)i] * x.pcm[x.n + (size_t)i];
        x.n += (size_t)n;
        assert_true(x.n < 59 * 22050);
    }
    if (n < 0)
        fail_msg("%s: %s", text, e.message);
    x.rms = sqrt(x.rms / (double)(x.n ? x.n : 1));
    return x;
}

static void done(struct sound *x)
{
    jabbertts_stream_free(x->s);
    free(x->pcm);
}

static void expect_near(const char *what, double got, double want, double tolerance)
{
    if (fabs(got - want) > tolerance * want)
        fail_msg("%s is %g, wanted %g within %g %%", what, got, want, 100 * tolerance);
}

/* Rates and volumes against the same words without; Sonic is exact to a pitch period or two, and
 * espeak-ng's own sound varies by 2 %. */
static void test_rate_and_volume(void **state)
{
    static const char *const models[] = {NULL, "espeak-ng"};
    (void)state;
    for (int m = 0; m < 2; m++) {
        struct sound plain = speak(models[m], "<speak>" WORDS "</speak>");
        struct sound slow = speak(models[m], "<speak><prosody rate='50%' volume='-6dB'>" WORDS
                                             "</prosody></speak>");
        expect_near("slow", (double)slow.n, 2 * (double)plain.n, 0.06);
        expect_near("quiet", slow.rms, plain.rms / 1.995, 0.06);
        done(&plain);
        done(&slow);
    }
    struct sound plain = speak("espeak-ng", "<speak>" WORDS "</speak>");
    struct sound fast = speak("espeak-ng", "<speak><prosody rate='2'>" WORDS "</prosody></speak>");
    struct sound none =
        speak("espeak-ng", "<speak><prosody volume='silent'>" WORDS "</prosody></speak>");
    struct sound loud =
        speak("espeak-ng", "<speak><prosody volume='+20dB'>" WORDS "</prosody></speak>");
    expect_near("fast", (double)fast.n, (double)plain.n / 2, 0.06);
    assert_true(none.rms == 0 && none.n > 0);
    assert_true(loud.rms > 1.5 * plain.rms);
    for (size_t i = 0; i < loud.n; i++)
        assert_true(fabsf(loud.pcm[i]) <= 1);
    done(&plain);
    done(&fast);
    done(&none);
    done(&loud);
}

static void test_breaks_and_marks(void **state)
{
    static const char *const models[] = {NULL, "espeak-ng"};
    (void)state;
    for (int m = 0; m < 2; m++) {
        struct sound x = speak(models[m], "<speak><break time='500ms'/><mark name='a'/>Yes, I do. "
                                          "<mark name='b'/><break time='1s'/><mark name='c'/>Now "
                                          "we go.<mark name='d'/></speak>");
        int hz = jabbertts_stream_rate(x.s);
        const char *name;
        double at[5];
        for (int i = 0; i < 4; i++) {
            assert_int_equal(jabbertts_stream_mark(x.s, i, &name, &at[i]), 0);
            assert_int_equal(name[0], 'a' + i);
        }
        assert_int_equal(jabbertts_stream_mark(x.s, 4, &name, &at[4]), JABBERTTS_ERR_NOT_FOUND);
        expect_near("mark a", at[0], 0.5, 0.001);
        assert_true(at[1] > at[0] + 0.3 && at[2] >= at[1] && at[3] > at[2]);
        expect_near("the end", at[3], (double)x.n / hz, 0.001);
        for (int i = 0; i < hz / 2; i++)
            assert_true(x.pcm[i] == 0);
        expect_near("mark c", at[2], at[1] + 1, 0.001);
        for (int i = 2; i < hz - 2; i++) /* the second before it */
            assert_true(x.pcm[(int)(at[2] * hz) - hz + i] == 0);
        done(&x);
    }
}

/* The first voice is not changed by the second, which is another. */
static void test_voices(void **state)
{
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s;
    (void)state;
    jabbertts_request_init(&r);
    r.text = "<speak><voice name='nobody'>Hello there.</voice></speak>";
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_NOT_FOUND);
    assert_non_null(strstr(e.message, "nobody"));
    struct sound amy = speak(NULL, "<speak>" WORDS "</speak>");
    struct sound both =
        speak(NULL, "<speak>" WORDS "<voice name='bella'>" WORDS "</voice></speak>");
    size_t n = amy.n - (size_t)jabbertts_sample_rate(tts) / 5; /* the end of a text is cut there */
    assert_true(both.n > amy.n + 4000 && memcmp(both.pcm, amy.pcm, n * sizeof *amy.pcm) == 0);
    assert_true(both.n != 2 * amy.n || memcmp(both.pcm + amy.n, amy.pcm, n * sizeof *amy.pcm) != 0);
    done(&amy);
    done(&both);
    struct sound french = speak("espeak-ng", "<speak><lang xml:lang='fr'>99.</lang></speak>");
    struct sound english = speak("espeak-ng", "<speak>99.</speak>");
    assert_true(fabs((double)french.n - (double)english.n) > 0.05 * (double)english.n);
    done(&french);
    done(&english);
}

static void test_plain_text(void **state)
{
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    struct jabbertts_error e = {0};
    (void)state;
    jabbertts_request_init(&r);
    r.text = "Hello there.";
    r.ssml = 1;
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_FORMAT);
    assert_non_null(strstr(e.message, "line 1, column 1"));
    r.text = "<speak>Hello there.";
    r.ssml = -1; /* markup like any other */
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0);
    jabbertts_stream_free(s);
}

static void test_effect_without_memory(void **state)
{
    struct effect *fx;
    struct err e = {0};
    (void)state;
    mem_fail_after(0);
    assert_int_equal(effect_new(16000, &fx, &e), ERR_MEMORY);
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_and_volume),
        cmocka_unit_test(test_breaks_and_marks),
        cmocka_unit_test(test_voices),
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_effect_without_memory),
    };
    struct jabbertts_options o;
    struct jabbertts_error e = {0};
    jabbertts_options_init(&o);
    o.model = "models/jabber-tiny.gguf";
    o.threads = 2;
    if (jabbertts_open(&o, &tts, &e) < 0)
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    jabbertts_close(tts);
    return rc;
}
