/* Words of a text: their places in the input, and when they are heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "engine/timing.h"
#include "jabbertts.h"
#include "model/align.h"
#include "text/text.h"

/* --- places ------------------------------------------------------------------------------------
 */

/* The words of a text as "word=what the model reads|". */
static void words_of(const char *text, enum text_frontend frontend, char *ret, size_t n)
{
    struct text_options o = {.frontend = frontend, .language = "en-us", .words = true};
    struct text_pieces p;
    struct err e = {0};
    size_t len = 0;
    assert_int_equal(text_split(text, strlen(text), &o, &p, &e), 0);
    ret[0] = 0;
    for (int i = 0; i < p.n; i++) {
        assert_int_equal(text_piece_read(&p.piece[i], &o, &e), 0);
        for (int k = 0; k < p.piece[i].n_word; k++) {
            const struct text_word *w = &p.piece[i].word[k];
            assert_true(w->start < w->end && w->end <= strlen(text));
            assert_true(w->at <= w->to && w->to <= strlen(p.piece[i].text));
            len += (size_t)snprintf(ret + len, n - len, "%.*s=%.*s|", (int)(w->end - w->start),
                                    text + w->start, (int)(w->to - w->at), p.piece[i].text + w->at);
        }
    }
    text_pieces_done(&p);
}

static void test_places(void **state)
{
    static const struct {
        enum text_frontend frontend;
        const char *text, *words;
    } cases[] = {
        {TEXT_PLAIN, "Hello, world.", "Hello=Hello|world=world|"},
        {TEXT_PLAIN, "It is **very** good.", "It=It|is=is|very=very|good=good|"},
        {TEXT_PLAIN, "He paid $5 then.", "He=He|paid=paid|$5=five|$5=dollars|then=then|"},
        {TEXT_PLAIN, "(sad) No. No.", "No=No|No=No|"},
        {TEXT_PLAIN, "<speak>One <mark name=\"a\"/>two</speak>", "One=One|two=two|"},
        {TEXT_IPA, "Good morning.", "Good=ɡˈʊd|morning=mˈɔːɹnɪŋ|"},
        {TEXT_IPA, "out of the sun", "out=ˌaʊɾ|of=əv|the=ðə|sun=sˈʌn|"},
    };
    char found[1024];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        words_of(cases[i].text, cases[i].frontend, found, sizeof found);
        assert_string_equal(found, cases[i].words);
    }
}

static void test_joins(void **state)
{
    static const char *const one = "U.S. well-known and/or";
    (void)state;
    assert_true(spoken_joins(one, 1, 2));   /* U.S */
    assert_false(spoken_joins(one, 3, 5));  /* S. well */
    assert_true(spoken_joins(one, 9, 10));  /* well-known */
    assert_true(spoken_joins(one, 19, 20)); /* and/or */
    assert_true(spoken_joins(one, 4, 1));   /* the same stretch, read as two words */
    assert_false(spoken_joins("你好", 3, 3));
}

/* --- alignment ---------------------------------------------------------------------------------
 */

/* Six tokens, each two frames long, but the fourth, which nothing attends to. */
static void test_path(void **state)
{
    static const int said[] = {0, 0, 1, 1, 2, 2, 4, 4, 5, 5};
    struct align *a;
    struct err e = {0};
    double first[7];
    (void)state;
    assert_int_equal(align_new(6, 10, &a, &e), 0);
    for (int t = 0; t < 10; t++) {
        float seen[12] = {0}; /* two heads: one that says it, one that says nothing */
        seen[said[t]] = 1;
        for (int i = 6; i < 12; i++)
            seen[i] = 1.0f / 6;
        align_frame(a, seen, 2);
    }
    assert_true(align_path(a, first) > 0.5);
    for (int i = 1; i <= 6; i++)
        assert_true(first[i] >= first[i - 1]);
    assert_true(first[0] == 0 && first[6] == 10);
    assert_true(first[1] > 1.2 && first[1] < 2.8);
    assert_true(first[2] > 3.2 && first[2] < 4.8);
    assert_true(first[4] > 5.2 && first[4] < 7);
    assert_true(first[5] > 7.2 && first[5] < 8.8);
    align_free(a);
}

/* --- by length, and silences -------------------------------------------------------------------
 */

static void test_silence(void **state)
{
    struct text_word word[] = {{0, 3, 0, 3}, {4, 7, 4, 7}};
    char text[] = "one two";
    struct text_piece p = {.text = text, .word = word, .n_word = 2};
    struct timing_heard h = {0};
    struct word_time at[2];
    float sound[4800], silence[3200] = {0};
    (void)state;
    for (int i = 0; i < 4800; i++)
        sound[i] = i % 2 ? 0.3f : -0.3f;
    assert_int_equal(timing_hear(&h, 16000, sound, 4800), 0); /* 0.3 s, 0.2 s, 0.3 s */
    assert_int_equal(timing_hear(&h, 16000, silence, 3200), 0);
    assert_int_equal(timing_hear(&h, 16000, sound, 4800), 0);
    timing_spread(&h, &p, at);
    timing_settle(&h, &p, at);
    assert_float_equal(at[0].from, 0, 0.011);
    assert_float_equal(at[0].to, 0.3, 0.011);
    assert_float_equal(at[1].from, 0.5, 0.011);
    assert_float_equal(at[1].to, 0.8, 0.011);
    at[0] = (struct word_time){0.02, 0.35}; /* an engine's, a little off */
    at[1] = (struct word_time){0.35, 0.9};
    timing_settle(&h, &p, at);
    assert_float_equal(at[0].to, 0.3, 0.011);
    assert_float_equal(at[1].from, 0.5, 0.011);
    assert_true(at[1].to <= 0.801);
    timing_done(&h);
}

/* --- the whole way -----------------------------------------------------------------------------
 */

static void check_words(struct jabbertts *tts, const char *text, const char *wanted)
{
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    struct jabbertts_error e = {0};
    struct jabbertts_word w;
    float pcm[4096];
    size_t n_sample = 0, len = 0;
    double last = 0;
    char found[512] = "";
    int n;
    jabbertts_request_init(&r);
    r.text = text;
    r.words = 1;
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0);
    while ((n = jabbertts_read(s, pcm, 4096, &e)) > 0)
        n_sample += (size_t)n;
    assert_int_equal(n, 0);
    for (int i = 0; jabbertts_stream_word(s, i, &w) == 0; i++) {
        assert_true(w.from_s >= last - 1e-9 && w.to_s >= w.from_s);
        last = w.to_s;
        len += (size_t)snprintf(found + len, sizeof found - len, "%d%.*s|", w.sentence,
                                (int)(w.end - w.start), text + w.start);
    }
    assert_string_equal(found, wanted);
    assert_true(last > 0.5 * (double)n_sample / jabbertts_stream_rate(s));
    assert_true(last <= (double)n_sample / jabbertts_stream_rate(s) + 1e-6);
    assert_int_equal(jabbertts_stream_word(s, -1, &w), JABBERTTS_ERR_NOT_FOUND);
    jabbertts_stream_free(s);
}

static void test_engines(void **state)
{
    static const char *const models[] = {"models/jabber-tiny.gguf", "espeak-ng"};
    static const char *const text =
        "It costs $5.50 in the well-known U.S. shop. That is a fair price.";
    static const char *const words =
        "0It|0costs|0$5.50|0in|0the|0well-known|0U.S.|0shop|1That|1is|1a|1fair|1price|";
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct jabbertts_options o;
        struct jabbertts *tts;
        struct jabbertts_error e;
        jabbertts_options_init(&o);
        o.model = models[i];
        assert_int_equal(jabbertts_open(&o, &tts, &e), 0);
        check_words(tts, text, words);
        check_words(tts, "<speak>One <prosody rate='slow'>two three</prosody></speak>",
                    "0One|1two|1three|");
        jabbertts_close(tts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),  cmocka_unit_test(test_joins),   cmocka_unit_test(test_path),
        cmocka_unit_test(test_silence), cmocka_unit_test(test_engines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
