/* Several models in one engine: chosen by name, loaded on demand, within a budget of memory. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "jabbertts.h"
#include "model/import.h"

#define TINY "models/jabber-tiny.gguf"
#define NANO "tests/golden/s1-nano/checkpoint" /* no voices, random weights */

static char nano[64];

static struct jabbertts *open_models(const struct jabbertts_model *models, int n, size_t budget)
{
    struct jabbertts_options o;
    struct jabbertts_error e = {0};
    struct jabbertts *tts = NULL;
    jabbertts_options_init(&o);
    o.models = models;
    o.n_model = n;
    o.memory_budget = budget;
    o.threads = 1;
    o.slots = 2;
    o.prefix_mb = 4;
    if (jabbertts_open(&o, &tts, &e) < 0)
        fail_msg("%s", e.message);
    return tts;
}

static uint64_t hash_of(struct jabbertts_stream *s)
{
    float pcm[1000];
    uint64_t hash = 14695981039346656037u;
    int n;
    while ((n = jabbertts_read(s, pcm, 1000, NULL)) > 0)
        for (size_t i = 0; i < (size_t)n * sizeof *pcm; i++)
            hash = (hash ^ ((const unsigned char *)pcm)[i]) * 1099511628211u;
    assert_int_equal(n, 0);
    jabbertts_stream_free(s);
    return hash;
}

static struct jabbertts_stream *submit_to(struct jabbertts *tts, const char *model,
                                          const char *text)
{
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s = NULL;
    jabbertts_request_init(&r);
    r.text = text;
    r.model = model;
    r.max_seconds = 1; /* random weights do not know an end */
    if (jabbertts_submit(tts, &r, &s, &e) < 0)
        fail_msg("%s", e.message);
    return s;
}

static uint64_t say(struct jabbertts *tts, const char *model, const char *text)
{
    return hash_of(submit_to(tts, model, text));
}

static size_t cost_of(struct jabbertts *tts)
{
    struct jabbertts_model_info info;
    jabbertts_model_info(tts, &info);
    return info.memory_bytes;
}

static void test_names(void **state)
{
    const struct jabbertts_model models[] = {{NULL, TINY}, {"nano", nano}};
    struct jabbertts *tts = open_models(models, 2, 0), *second;
    struct jabbertts_model_info info;
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s;
    (void)state;
    assert_ptr_equal(jabbertts_model_at(tts, 0), tts);
    assert_non_null(second = jabbertts_model_at(tts, 1));
    assert_null(jabbertts_model_at(tts, 2)); /* espeak-ng was not listed */
    assert_null(jabbertts_model_at(tts, -1));
    assert_ptr_equal(jabbertts_model_named(tts, "nano"), second);
    assert_ptr_equal(jabbertts_model_named(second, "jabber-tiny"), tts);
    assert_ptr_equal(jabbertts_model_named(second, NULL), tts);
    assert_ptr_equal(jabbertts_model_named(tts, "tts-1"), tts);
    assert_null(jabbertts_model_named(tts, "other"));
    jabbertts_model_info(jabbertts_model_named(tts, "espeak-ng"), &info);
    assert_string_equal(info.engine, "espeak-ng");
    jabbertts_model_info(second, &info);
    assert_string_equal(info.name, "nano");
    assert_string_equal(info.engine, "dual-ar");
    assert_true(info.file_bytes > 1000 && info.memory_bytes > info.file_bytes);
    assert_int_equal(info.load.loaded, 0); /* nobody asked for it yet */
    assert_true(jabbertts_sample_rate(second) > 0);
    assert_string_equal(jabbertts_voice_name(second, 0), "amy"); /* it has none of its own */
    assert_true(jabbertts_voices_imitated(second) && !jabbertts_voices_imitated(tts));
    uint64_t of_tiny = say(tts, "jabber-tiny", "Hello."), of_nano = say(tts, "nano", "Hello.");
    assert_true(of_tiny != of_nano);
    assert_true(say(second, NULL, "Hello.") == of_nano);
    assert_true(say(second, "tts-1", "Hello.") == of_tiny);
    jabbertts_model_info(second, &info);
    assert_int_equal(info.load.loaded, 1);
    assert_int_equal(info.load.n_finished, 2);
    jabbertts_request_init(&r);
    r.text = "hello";
    r.model = "other";
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_NOT_FOUND);
    assert_non_null(strstr(e.message, "other"));
    jabbertts_close(tts);
}

static void test_bad_lists(void **state)
{
    const struct jabbertts_model same[] = {{"a", TINY}, {"a", nano}},
                                 missing[] = {{"a", TINY}, {"b", "/nowhere.gguf"}};
    struct jabbertts_options o;
    struct jabbertts_error e = {0};
    struct jabbertts *tts;
    (void)state;
    jabbertts_options_init(&o);
    o.n_model = 2;
    o.models = same;
    assert_int_equal(jabbertts_open(&o, &tts, &e), JABBERTTS_ERR_ARGUMENT);
    assert_non_null(strstr(e.message, "\"a\""));
    o.models = missing;
    assert_int_equal(jabbertts_open(&o, &tts, &e), JABBERTTS_ERR_NOT_FOUND);
    assert_non_null(strstr(e.message, "model \"b\""));
    o.n_model = 1;
    o.memory_budget = 1 << 20;
    assert_int_equal(jabbertts_open(&o, &tts, &e), JABBERTTS_ERR_LIMIT);
    assert_non_null(strstr(e.message, "budget is 1 MiB"));
}

/* A voice of one model is not spoken by another. */
static void test_voice_of_another(void **state)
{
    const struct jabbertts_model models[] = {{NULL, TINY}, {"nano", nano}};
    struct jabbertts *tts = open_models(models, 2, 0), *second = jabbertts_model_at(tts, 1);
    int32_t codes[64 * 8] = {0};
    struct jabbertts_voice *v;
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s;
    (void)state;
    assert_int_equal(jabbertts_voice_from_codes(second, codes, 8, "well", &v, &e), 0);
    jabbertts_request_init(&r);
    r.text = "hello";
    r.reference = v;
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_ARGUMENT);
    assert_non_null(strstr(e.message, "nano"));
    r.max_seconds = 0.5;
    assert_int_equal(jabbertts_submit(second, &r, &s, &e), 0);
    hash_of(s);
    jabbertts_voice_free(v);
    codes[3] = -1;
    assert_int_equal(jabbertts_voice_from_codes(second, codes, 8, "well", &v, &e),
                     JABBERTTS_ERR_ARGUMENT);
    jabbertts_close(tts);
}

#define N_CLIENT  6
#define N_REQUEST 12

struct client {
    struct jabbertts *tts;
    const uint64_t *want;
    int i, n_wrong;
};

static const char *const names[] = {"a", "b", "c"};

static void *speak_often(void *arg)
{
    struct client *c = arg;
    for (int k = 0; k < N_REQUEST; k++) {
        int m = (c->i + k) % 3;
        c->n_wrong += say(c->tts, names[m], "Yes.") != c->want[m];
    }
    return NULL;
}

/* Three models, room for two: all requests are served, and never more is in use than there is. */
static void test_budget(void **state)
{
    const struct jabbertts_model models[] = {{"a", nano}, {"b", nano}, {"c", nano}};
    struct jabbertts *tts = open_models(models, 3, 0);
    size_t cost = cost_of(tts), most = 0;
    uint64_t want[3];
    struct jabbertts_load l;
    struct client client[N_CLIENT];
    pthread_t thread[N_CLIENT];
    (void)state;
    for (int i = 0; i < 3; i++)
        want[i] = say(tts, names[i], "Yes.");
    jabbertts_close(tts);
    tts = open_models(models, 3, 2 * cost + cost / 2);
    for (int i = 0; i < N_CLIENT; i++) {
        client[i] = (struct client){tts, want, i, 0};
        pthread_create(&thread[i], NULL, speak_often, &client[i]);
    }
    do {
        jabbertts_load(tts, &l);
        most = l.in_use_bytes > most ? l.in_use_bytes : most;
        usleep(1000);
    } while (l.n_finished < N_CLIENT * N_REQUEST && l.n_failed == 0);
    for (int i = 0; i < N_CLIENT; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(client[i].n_wrong, 0);
    }
    assert_int_equal(most, 2 * cost); /* both were in memory at some time, and never three */
    assert_true(l.loaded <= 2 && l.budget_bytes == 2 * cost + cost / 2);
    jabbertts_close(tts);
}

/* A long text is set aside for another model between two of its sentences, and goes on. */
static void test_set_aside(void **state)
{
    static const char text[] = "One and two. Three and four. Five and six. Seven and eight. Nine.";
    const struct jabbertts_model models[] = {{"a", TINY}, {"b", nano}};
    struct jabbertts *tts = open_models(models, 2, 0);
    size_t cost = cost_of(tts);
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    float pcm[64];
    (void)state;
    jabbertts_request_init(&r);
    r.text = text;
    assert_int_equal(jabbertts_submit(tts, &r, &s, NULL), 0);
    uint64_t want = hash_of(s);
    jabbertts_close(tts);
    tts = open_models(models, 2, cost + 1);
    assert_int_equal(jabbertts_submit(tts, &r, &s, NULL), 0);
    assert_true(jabbertts_read(s, pcm, 1, NULL) > 0);
    say(tts, "b", "Me first."); /* while nobody reads the other's sound */
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof *pcm; i++)
        hash = (hash ^ ((const unsigned char *)pcm)[i]) * 1099511628211u;
    int n;
    while ((n = jabbertts_read(s, pcm, 64, NULL)) > 0)
        for (size_t i = 0; i < (size_t)n * sizeof *pcm; i++)
            hash = (hash ^ ((const unsigned char *)pcm)[i]) * 1099511628211u;
    assert_int_equal(n, 0);
    assert_true(hash == want);
    jabbertts_stream_free(s);
    jabbertts_close(tts);
}

static void *read_on(void *stream)
{
    float pcm[4096];
    while (jabbertts_read(stream, pcm, 4096, NULL) > 0)
        ;
    return NULL;
}

/* A text that is read all the time does not keep others out until its end. */
static void test_takes_turns(void **state)
{
    const struct jabbertts_model models[] = {{"a", TINY}, {"b", nano}};
    struct jabbertts *tts = open_models(models, 2, 0);
    size_t cost = cost_of(tts);
    char text[8000] = "";
    struct jabbertts_progress p;
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    pthread_t reader;
    (void)state;
    jabbertts_close(tts);
    for (int i = 0; i < 120; i++)
        strncat(text, "This is one of many sentences, and it is not short. ", 60);
    tts = open_models(models, 2, cost + 1);
    jabbertts_request_init(&r);
    r.text = text;
    assert_int_equal(jabbertts_submit(tts, &r, &s, NULL), 0);
    pthread_create(&reader, NULL, read_on, s);
    say(tts, "b", "Me too.");
    jabbertts_stream_progress(s, &p);
    assert_true(p.piece > 0 && p.piece < p.n_piece);
    jabbertts_cancel(s);
    pthread_join(reader, NULL);
    jabbertts_stream_free(s);
    jabbertts_close(tts);
}

/* --- a file that changes while it is in use --- */

/* Room for one of three that are wanted together: each is told when its turn comes.  A model that
 * nothing wakes would wait for ever. */
static void test_three_wait(void **state)
{
    const struct jabbertts_model models[] = {{"a", TINY}, {"b", TINY}, {"c", TINY}};
    struct jabbertts *tts = open_models(models, 3, 0);
    size_t cost = cost_of(tts);
    (void)state;
    jabbertts_close(tts);
    tts = open_models(models, 3, cost + 1);
    alarm(120);
    for (int round = 0; round < 3; round++) {
        struct jabbertts_stream *s[3];
        for (int i = 0; i < 3; i++)
            s[i] = submit_to(tts, models[i].name, "One of three.");
        if (round == 1) { /* the second of those that wait gives up */
            jabbertts_cancel(s[1]);
            jabbertts_stream_free(s[1]);
        }
        for (int i = 0; i < 3; i++)
            if (round != 1 || i != 1)
                hash_of(s[i]);
    }
    alarm(0);
    jabbertts_close(tts);
}

static void copy_file(const char *from, const char *to)
{
    char buf[1 << 16];
    size_t n;
    FILE *a = fopen(from, "rb"), *b = fopen(to, "wb");
    assert_true(a && b);
    while ((n = fread(buf, 1, sizeof buf, a)) > 0)
        assert_int_equal(fwrite(buf, 1, n, b), n);
    fclose(a);
    assert_int_equal(fclose(b), 0);
}

static struct jabbertts *open_copy(const char *path, double idle_s)
{
    struct jabbertts_options o;
    struct jabbertts *tts = NULL;
    copy_file(TINY, path);
    jabbertts_options_init(&o);
    o.model = path;
    o.threads = 1;
    o.idle_s = idle_s;
    assert_int_equal(jabbertts_open(&o, &tts, NULL), 0);
    return tts;
}

static void wait_unloaded(struct jabbertts *tts)
{
    struct jabbertts_load l = {.loaded = 1};
    for (int i = 0; i < 1000 && l.loaded; i++) {
        usleep(10000);
        jabbertts_load(tts, &l);
    }
    assert_int_equal(l.loaded, 0);
}

static int status_of(struct jabbertts *tts, const char *text, struct jabbertts_error *e)
{
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    float pcm[1000];
    jabbertts_request_init(&r);
    r.text = text;
    int n = jabbertts_submit(tts, &r, &s, e);
    if (n < 0)
        return n;
    while ((n = jabbertts_read(s, pcm, 1000, e)) > 0)
        ;
    jabbertts_stream_free(s);
    return n;
}

/* In use, and given back meanwhile: a request fails and says why; the process lives. */
static void test_file_changes(void **state)
{
    char path[64];
    struct jabbertts_error e = {0};
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_models-%d-copy.gguf", (int)getpid());
    for (int idle = 0; idle < 2; idle++)
        for (int over = 0; over < 2; over++) {
            struct jabbertts *tts = open_copy(path, idle ? 0.02 : 0);
            assert_int_equal(status_of(tts, "Hello.", &e), 0);
            if (idle)
                wait_unloaded(tts);
            if (over)
                copy_file(TINY, path); /* the same bytes: only the time tells */
            else
                assert_int_equal(truncate(path, 100000), 0);
            assert_int_equal(status_of(tts, "Other words, never said before.", &e),
                             JABBERTTS_ERR_IO);
            assert_non_null(strstr(e.message, "while it was in use"));
            assert_int_equal(status_of(tts, "Still here.", &e), JABBERTTS_ERR_IO);
            jabbertts_close(tts);
        }
    unlink(path);
}

/* As installation does it: the old file stays what it was, and that there is another is said. */
static void test_file_is_replaced(void **state)
{
    char path[64], other[64];
    struct jabbertts_model_info info;
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_models-%d-copy.gguf", (int)getpid());
    snprintf(other, sizeof other, "/tmp/test_models-%d-other.gguf", (int)getpid());
    struct jabbertts *tts = open_copy(path, 0.02);
    uint64_t want = say(tts, NULL, "Hello.");
    jabbertts_model_info(tts, &info);
    assert_false(info.replaced);
    copy_file(nano, other);
    assert_int_equal(rename(other, path), 0);
    wait_unloaded(tts);
    assert_true(say(tts, NULL, "Hello.") == want);
    jabbertts_model_info(tts, &info);
    assert_true(info.replaced);
    jabbertts_close(tts);
    unlink(path);
}

static void wake_pipe(void *fd)
{
    (void)!write(*(int *)fd, "", 1);
}

/* All samples of a stream that is read without waiting; n: how many. */
static float *samples_of(struct jabbertts *tts, const char *text, int fallback, double max_seconds,
                         size_t *n)
{
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s = NULL;
    struct jabbertts_progress p;
    float *all = NULL;
    int got, woken[2];
    char c;
    jabbertts_request_init(&r);
    r.text = text;
    r.fallback = fallback;
    r.max_seconds = max_seconds;
    if (jabbertts_submit(tts, &r, &s, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(pipe(woken), 0);
    jabbertts_stream_on_ready(s, wake_pipe, &woken[1]);
    for (*n = 0;;) {
        assert_non_null(all = realloc(all, (*n + 700) * sizeof *all));
        while ((got = jabbertts_try_read(s, all + *n, 700, &e)) == JABBERTTS_AGAIN)
            assert_int_equal(read(woken[0], &c, 1), 1);
        if (got <= 0)
            break;
        *n += (size_t)got;
    }
    assert_int_equal(got, 0);
    jabbertts_stream_progress(s, &p);
    assert_int_equal(p.n_sample, *n);
    assert_int_equal(p.n_truncated > 0, max_seconds > 0);
    jabbertts_stream_free(s);
    close(woken[0]);
    close(woken[1]);
    return all;
}

/* Sentences in letters that the model does not read are espeak-ng's; the others do not change. */
static void test_fallback(void **state)
{
    const struct jabbertts_model models[] = {{NULL, TINY}, {"nano", nano}};
    struct jabbertts *tts = open_models(models, 2, 0);
    struct jabbertts_request r;
    const char *language = "none";
    size_t n, n_first, n_last, n_other, n_again, pause = 16000 * 120 / 1000;
    (void)state;
    jabbertts_request_init(&r);
    r.text = "Hello. Доброе утро. Good night.";
    assert_int_equal(jabbertts_unread(tts, &r, &language), 1);
    assert_string_equal(language, "ru");
    r.model = "nano"; /* letters, as S1's, which knows Russian and no Hebrew */
    assert_int_equal(jabbertts_unread(tts, &r, &language), 0);
    r.text = "Hello. שלום.";
    assert_int_equal(jabbertts_unread(tts, &r, &language), 1);
    assert_string_equal(language, "he");
    r.model = "espeak-ng";
    assert_int_equal(jabbertts_unread(tts, &r, &language), 0);

    float *all = samples_of(tts, "Hello. Доброе утро. --- Good night.", 1, 0, &n);
    float *again = samples_of(tts, "Hello. Доброе утро. --- Good night.", 1, 0, &n_again);
    float *first = samples_of(tts, "Hello.", 0, 0, &n_first);
    float *last = samples_of(tts, "Good night.", 1, 0, &n_last);
    float *other =
        samples_of(jabbertts_model_named(tts, "espeak-ng"), "Доброе утро.", 0, 0, &n_other);
    /* espeak-ng's own part is the same to the ear alone (test_espeak.c). */
    assert_true(fabs((double)n - (double)n_again) < 1000);
    assert_memory_equal(all, again, n_first * sizeof *all);
    assert_true(n > n_first + n_last + 2 * pause + 8000); /* half a second of Russian at least */
    assert_memory_equal(all, first, n_first * sizeof *all);
    assert_memory_equal(all + n - n_last, last, n_last * sizeof *all);
    double part = (double)(n - n_first - n_last - 2 * pause);
    double alone = (double)n_other * 16000 / 22050;
    assert_true(fabs(part - alone) < 0.03 * alone);
    for (size_t i = 0; i < pause; i++)
        assert_true(all[n_first + i] == 0);
    free(again);
    again = samples_of(tts, "Hello. Доброе утро.", 1, 0.75, &n_again);
    assert_int_equal(n_again, 12000);
    assert_memory_equal(all, again, n_first * sizeof *all);
    free(all);
    free(again);
    free(first);
    free(last);
    free(other);
    jabbertts_close(tts);
}

static void *cancel_soon(void *stream)
{
    usleep(20000);
    jabbertts_cancel(stream);
    return NULL;
}

static void test_fallback_ends(void **state)
{
    struct jabbertts *tts = open_models(&(struct jabbertts_model){NULL, TINY}, 1, 0);
    struct jabbertts_request r;
    struct jabbertts_error e = {0};
    struct jabbertts_stream *s = NULL;
    struct jabbertts_load l;
    float pcm[700];
    int n;
    (void)state;
    jabbertts_request_init(&r);
    r.fallback = 1;
    r.voice = "nobody"; /* of the second part */
    r.text = "Доброе утро. 你好。 Hello.";
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_NOT_FOUND);
    r.voice = NULL;
    r.text = "\xd0 \xff";
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), JABBERTTS_ERR_FORMAT);
    r.text = "Доброе утро. A long sentence comes now, so that there is a lot of time to stop it. "
             "Доброе утро. A long sentence comes now, so that there is a lot of time to stop it.";
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_soon, s);
    while ((n = jabbertts_read(s, pcm, 700, &e)) > 0)
        usleep(1000);
    pthread_join(thread, NULL);
    assert_int_equal(n, JABBERTTS_ERR_CANCELLED);
    assert_int_equal(jabbertts_read(s, pcm, 700, &e), JABBERTTS_ERR_CANCELLED);
    jabbertts_stream_free(s);
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0); /* and freed half-read */
    assert_true(jabbertts_read(s, pcm, 700, &e) > 0);
    jabbertts_stream_free(s);
    jabbertts_load(tts, &l);
    assert_int_equal(l.active + l.queued, 0);
    jabbertts_close(tts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_voice_of_another),
        cmocka_unit_test(test_set_aside),
        cmocka_unit_test(test_three_wait),
        cmocka_unit_test(test_takes_turns),
        cmocka_unit_test(test_file_changes),
        cmocka_unit_test(test_file_is_replaced),
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_fallback_ends),
    };
    struct import_options io = {
        .directory = NANO, .output = nano, .type = -1, .sampling = {-1, -1, -1}};
    struct err e;
    snprintf(nano, sizeof nano, "/tmp/test_models-%d.gguf", (int)getpid());
    if (import_convert(&io, &e) < 0) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(nano);
    return rc;
}
