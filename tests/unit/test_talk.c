/* A text that arrives in pieces: where it is cut, and that it is spoken whole, or cancelled. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "server/talk.h"

/* --- cutting -----------------------------------------------------------------------------------
 */

static void test_cut(void **state)
{
    static const struct {
        const char *text, *part; /* part "": nothing is whole yet */
    } cases[] = {
        {"One. Two", "One. "},
        {"One.", ""},
        {"One. ", ""},
        {"He paid 3.50 to Dr. Smith. Then", "He paid 3.50 to Dr. Smith. "},
        {"In the U.S. they say so. And", "In the U.S. they say so. "},
        {"Really?! “Yes.” No", "Really?! "},
        {"“Yes.” No", "“Yes.” "},
        {"你好。再见", "你好。"},
        {"A heading\n\nText", "A heading\n\n"},
        {"No end in sight", ""},
    };
    char text[2000] = "";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = talk_cut(cases[i].text, strlen(cases[i].text), 0);
        assert_int_equal(n, strlen(cases[i].part));
    }
    assert_int_equal(talk_cut("One", 3, 1), 3);
    for (size_t at = 0; at < TALK_MAX_BYTES + 100; at += 5)
        memcpy(text + at, at == 400 ? "word, " : "word ", 6);
    size_t n = talk_cut(text, strlen(text), 0);
    assert_true(n > TALK_MAX_BYTES / 2 && n <= TALK_MAX_BYTES && text[n - 1] == ' ');
    memset(text, 'x', 1500);
    assert_int_equal(talk_cut(text, 1500, 0), TALK_MAX_BYTES);
    for (size_t i = 0; i + 3 <= 1500; i += 3) /* never inside a character */
        memcpy(text + i, "\xe2\x82\xac", 3);
    assert_int_equal(talk_cut(text, 1500, 0) % 3, 0);
}

/* --- speaking ----------------------------------------------------------------------------------
 */

static struct jabbertts *open_engine(const char *model)
{
    struct jabbertts_options o;
    struct jabbertts *tts;
    struct jabbertts_error e;
    jabbertts_options_init(&o);
    o.model = model;
    assert_int_equal(jabbertts_open(&o, &tts, &e), 0);
    return tts;
}

static struct talk *open_talk(struct jabbertts *tts)
{
    struct jabbertts_request r;
    struct jabbertts_error e;
    struct talk *t = NULL;
    jabbertts_request_init(&r);
    assert_int_equal(talk_new(tts, &r, &t, &e), 0);
    assert_true(talk_rate(t) > 0);
    return t;
}

struct writer {
    struct talk *talk;
    const char *text;
    size_t step;
};

static void *write_slowly(void *arg)
{
    struct writer *w = arg;
    for (size_t at = 0, n = strlen(w->text); at < n; at += w->step) {
        size_t len = n - at < w->step ? n - at : w->step;
        if (talk_add(w->talk, w->text + at, len) < 0)
            break;
        usleep(500);
    }
    talk_end(w->talk);
    return NULL;
}

/* Samples that a text gives when it comes so many bytes at a time; FNV-1a of them in *hash. */
static size_t speak(struct jabbertts *tts, const char *text, size_t step, uint64_t *hash)
{
    struct talk *t = open_talk(tts);
    struct writer w = {t, text, step};
    struct jabbertts_error e;
    pthread_t thread;
    float pcm[1000];
    size_t total = 0;
    int n;
    *hash = 14695981039346656037u;
    pthread_create(&thread, NULL, write_slowly, &w);
    while ((n = talk_read(t, pcm, 1000, &e)) > 0) {
        for (size_t i = 0; i < (size_t)n * sizeof *pcm; i++)
            *hash = (*hash ^ ((unsigned char *)pcm)[i]) * 1099511628211u;
        total += (size_t)n;
    }
    assert_int_equal(n, 0);
    pthread_join(thread, NULL);
    talk_free(t);
    return total;
}

static void test_speak(void **state)
{
    static const char text[] = "One is here. Two is, too!\n\nThree — 😀. And “four”";
    struct jabbertts *tts = open_engine("models/jabber-tiny.gguf");
    uint64_t a, b, c;
    (void)state;
    size_t n = speak(tts, text, 1000, &a);
    assert_true(n > (size_t)2 * 16000);
    assert_int_equal(speak(tts, text, 1, &b), n);
    assert_int_equal(speak(tts, text, 7, &c), n);
    assert_true(a == b && b == c); /* however it comes */
    assert_int_equal(speak(tts, "", 1, &a), 0);
    assert_int_equal(speak(tts, "😀", 1, &a), 0);
    jabbertts_close(tts);
}

static void test_flush(void **state)
{
    struct jabbertts *tts = open_engine("espeak-ng");
    struct talk *t = open_talk(tts);
    struct jabbertts_error e;
    float pcm[1000];
    (void)state;
    assert_int_equal(talk_add(t, "Not yet whole", 13), 0);
    assert_int_equal(talk_flush(t), 0);
    assert_true(talk_read(t, pcm, 1000, &e) > 0); /* without a flush it would wait */
    talk_cancel(t);
    assert_int_equal(talk_read(t, pcm, 1000, &e), JABBERTTS_ERR_CANCELLED);
    assert_int_equal(talk_add(t, "x", 1), JABBERTTS_ERR_CANCELLED);
    talk_free(t);
    t = open_talk(tts);
    static char much[TALK_WAIT_BYTES];
    memset(much, 'x', sizeof much);
    assert_int_equal(talk_add(t, much, sizeof much), 0);
    assert_int_equal(talk_add(t, "x", 1), JABBERTTS_ERR_LIMIT);
    talk_free(t);
    jabbertts_close(tts);
}

static void test_refused(void **state)
{
    struct jabbertts *tts = open_engine("espeak-ng");
    struct jabbertts_request r;
    struct jabbertts_error e;
    struct talk *t;
    (void)state;
    jabbertts_request_init(&r);
    r.voice = "nobody";
    assert_int_equal(talk_new(tts, &r, &t, &e), JABBERTTS_ERR_NOT_FOUND);
    jabbertts_close(tts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_speak),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
