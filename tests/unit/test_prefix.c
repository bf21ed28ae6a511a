/* The prefix cache: what comes out of it is what was computed, to the last bit; it keeps to its
 * limit and forgets what was not used for the longest time; its files are used only when they are
 * whole and made for this model. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/dual_ar/prefix_file.h"
#include "engine/dual_ar/prefix.h"
#include "jabbertts.h"
#include "model/model.h"
#include "base/mem_test.h"

#define MODEL     "models/jabber-tiny.gguf"
#define N_CONTEXT 400

static struct model model;
static const char *cache_type = "f16", *other_type = "q8_0";

static int setup(void **state)
{
    (void)state;
    struct model_options o = {.n_thread = 1, .cache = cache_type, .max_batch = 1};
    struct err e = {0};
    if (model_open(&model, MODEL, &o, &e) == 0)
        return 0;
    print_error("%s\n", e.msg);
    return -1;
}

static int teardown(void **state)
{
    (void)state;
    model_close(&model);
    return 0;
}

static struct prompt prompt_of(int voice, const char *text)
{
    struct prompt p;
    struct err e = {0};
    const struct voice *v = voices_at(model.voices, voice);
    struct prompt_reference r = v->reference;
    prompt_init(&p, model.spec.lm.n_codebook);
    struct prompt_parts parts = {.refs = &r, .n_ref = 1, .text = text};
    assert_int_equal(prompt_build(&p, model.tokenizer, &model.spec.lm, &parts, &e), 0);
    assert_true(p.n_prefix > r.n_frame && p.n_prefix < p.n_column);
    return p;
}

static struct lm_slot *slot_new(void)
{
    struct lm_slot *s;
    struct err e = {0};
    assert_int_equal(lm_slot_new(model.lm, N_CONTEXT, &s, &e), 0);
    return s;
}

/* The rest of a prompt into a slot; hidden state of its last column. */
static float *feed(struct lm_slot *s, const struct prompt *p)
{
    int n = lm_slot_length(s);
    float *hidden = mem_alloc((size_t)model.spec.lm.slow.dim * sizeof *hidden);
    struct lm_feed f = {s, p->columns + (size_t)n * (size_t)(1 + p->n_codebook), p->n_column - n,
                        hidden, NULL};
    lm_slow(model.lm, &f, 1, model.exec);
    return hidden;
}

static struct prefix_cache *cache_new(size_t max_bytes)
{
    struct prefix_cache *c;
    struct prefix_options o = {.max_bytes = max_bytes};
    struct err e = {0};
    assert_int_equal(prefix_cache_new(&o, &c, &e), 0);
    return c;
}

static void test_same_state(void **state)
{
    struct prompt first = prompt_of(0, "hello."), other = prompt_of(0, "something else.");
    struct lm_slot *a = slot_new(), *b = slot_new(), *c = slot_new();
    struct prefix_cache *cache = cache_new(64 << 20);
    (void)state;
    assert_int_equal(prefix_restore(cache, &first, a), 0);
    mem_free(feed(a, &first));
    prefix_save(cache, &first, a, true);
    assert_int_equal(prefix_restore(cache, &other, b), other.n_prefix);
    assert_int_equal(lm_slot_length(b), other.n_prefix);
    float *restored = feed(b, &other), *computed = feed(c, &other);
    assert_memory_equal(restored, computed, (size_t)model.spec.lm.slow.dim * sizeof *computed);
    size_t n = lm_slot_bytes(b, other.n_column);
    char *x = mem_alloc(n), *y = mem_alloc(n);
    lm_slot_save(b, other.n_column, x);
    lm_slot_save(c, other.n_column, y);
    assert_memory_equal(x, y, n);
    mem_free(x);
    mem_free(y);
    mem_free(restored);
    mem_free(computed);
    prefix_cache_free(cache);
    lm_slot_free(a);
    lm_slot_free(b);
    lm_slot_free(c);
    prompt_done(&first);
    prompt_done(&other);
}

/* What was said goes on: a prompt that begins with another and its frames finds both, once; after
 * that, what they have in common with the voice. */
static void test_said(void **state)
{
    enum { N_FRAME = 6 };
    struct prompt p = prompt_of(0, "hello.");
    struct lm_slot *a = slot_new(), *b = slot_new();
    struct prefix_cache *cache = cache_new(64 << 20);
    size_t width = 1 + (size_t)p.n_codebook;
    int32_t *frames = mem_alloc(N_FRAME * width * sizeof *frames);
    (void)state;
    for (size_t t = 0; t < N_FRAME; t++)
        frames[t * width] = model.spec.lm.semantic_begin + (int)t;
    mem_free(feed(a, &p));
    prefix_save(cache, &p, a, false);
    prefix_save_said(cache, &p, frames, N_FRAME, a); /* the slot has not seen them: nothing */
    struct prompt longer = {.n_column = p.n_column + N_FRAME + 1,
                            .n_codebook = p.n_codebook,
                            .n_prefix = p.n_column + N_FRAME};
    longer.columns = mem_alloc((size_t)longer.n_column * width * sizeof *p.columns);
    memcpy(longer.columns, p.columns, (size_t)p.n_column * width * sizeof *p.columns);
    memcpy(longer.columns + (size_t)p.n_column * width, frames, N_FRAME * width * sizeof *frames);
    assert_int_equal(prefix_restore(cache, &longer, b), p.n_prefix);
    struct lm_feed f = {a, frames, N_FRAME, NULL, NULL};
    lm_slow(model.lm, &f, 1, model.exec);
    prefix_save_said(cache, &p, frames, N_FRAME, a);
    lm_slot_reset(b);
    assert_int_equal(prefix_restore(cache, &longer, b), p.n_column + N_FRAME);
    lm_slot_reset(b);
    assert_int_equal(prefix_restore(cache, &longer, b), p.n_prefix);
    mem_free(frames);
    mem_free(longer.columns);
    prompt_done(&p);
    prefix_cache_free(cache);
    lm_slot_free(a);
    lm_slot_free(b);
}

/* Is the prefix of a voice known?  Asking counts as use. */
static bool known(struct prefix_cache *cache, const struct prompt *p, struct lm_slot *s)
{
    lm_slot_reset(s);
    return prefix_restore(cache, p, s) > 0;
}

static void test_limit(void **state)
{
    struct prompt p[3] = {prompt_of(0, "hello."), prompt_of(1, "hello."), prompt_of(2, "hello.")};
    struct lm_slot *s = slot_new();
    size_t n[3], most = 0;
    (void)state;
    for (int i = 0; i < 3; i++) {
        n[i] = lm_slot_bytes(s, p[i].n_prefix);
        most = n[i] > most ? n[i] : most;
    }
    struct prefix_cache *cache = cache_new(n[0] + n[1] + n[2] - 1), *none = cache_new(most - 1);
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            assert_true(known(cache, &p[0], s)); /* so that 1 is the one to go */
        lm_slot_reset(s);
        mem_free(feed(s, &p[i]));
        prefix_save(cache, &p[i], s, true);
        if (n[i] == most)
            prefix_save(none, &p[i], s, true);
        prefix_save(cache, &p[i], s, true); /* known already: no second entry */
    }
    assert_true(known(cache, &p[0], s) && !known(cache, &p[1], s) && known(cache, &p[2], s));
    assert_false(known(none, &p[0], s) || known(none, &p[1], s) || known(none, &p[2], s));
    prefix_cache_free(cache);
    prefix_cache_free(none);
    prefix_cache_free(NULL);
    lm_slot_free(s);
    for (int i = 0; i < 3; i++)
        prompt_done(&p[i]);
}

static void test_no_memory(void **state)
{
    struct prompt p = prompt_of(0, "hello.");
    struct lm_slot *s = slot_new(), *other = slot_new();
    struct prefix_cache *cache = cache_new(64 << 20);
    (void)state;
    mem_free(feed(s, &p));
    for (long n = 0; n < 2; n++) {
        mem_fail_after(n);
        prefix_save(cache, &p, s, true);
        mem_fail_after(-1);
        assert_false(known(cache, &p, other));
    }
    prefix_save(cache, &p, s, true);
    assert_true(known(cache, &p, other));
    prefix_cache_free(cache);
    lm_slot_free(s);
    lm_slot_free(other);
    prompt_done(&p);
}

/* --- files --- */

static char folder[64];

static void folder_new(void)
{
    snprintf(folder, sizeof folder, "/tmp/test_prefix-%d", (int)getpid());
    assert_int_equal(mkdir(folder, 0700), 0);
}

/* The files in the folder; the path of one of them; perhaps all removed. */
static int folder_list(char *path, size_t n_path, bool empty)
{
    DIR *d = opendir(folder);
    int n = 0;
    char one[400];
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d));) {
        if (f->d_name[0] == '.')
            continue;
        snprintf(one, sizeof one, "%s/%s", folder, f->d_name);
        if (path)
            snprintf(path, n_path, "%s", one);
        if (empty)
            unlink(one);
        n++;
    }
    closedir(d);
    return n;
}

static struct prefix_cache *cache_in_folder(const char *file, const char *type)
{
    struct prefix_cache *c;
    struct prefix_options o = {64 << 20, folder, file, kern_exec_isa(model.exec), type};
    struct err e = {0};
    assert_int_equal(prefix_cache_new(&o, &c, &e), 0);
    return c;
}

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    int byte = fgetc(f);
    assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
    fputc(byte ^ 1, f);
    fclose(f);
}

static void test_outlasts(void **state)
{
    struct prompt p = prompt_of(3, "hello."), q = prompt_of(3, "something else.");
    struct lm_slot *s = slot_new(), *t = slot_new();
    char path[400];
    (void)state;
    folder_new();
    struct prefix_cache *cache = cache_in_folder(MODEL, cache_type);
    mem_free(feed(s, &p));
    prefix_save(cache, &p, s, false);
    assert_int_equal(folder_list(NULL, 0, false), 0);
    prefix_cache_free(cache);
    cache = cache_in_folder(MODEL, cache_type);
    prefix_save(cache, &p, s, true);
    prefix_cache_free(cache);
    assert_int_equal(folder_list(path, sizeof path, false), 1);

    cache = cache_in_folder(MODEL, cache_type); /* as another process would */
    assert_int_equal(prefix_restore(cache, &q, t), q.n_prefix);
    size_t n = lm_slot_bytes(s, p.n_prefix);
    char *x = mem_alloc(n), *y = mem_alloc(n);
    lm_slot_save(s, p.n_prefix, x);
    lm_slot_save(t, p.n_prefix, y);
    assert_memory_equal(x, y, n);
    mem_free(x);
    mem_free(y);
    prefix_cache_free(cache);

    cache = cache_in_folder("tests/cases/ipa.tsv", cache_type); /* another model's */
    assert_false(known(cache, &p, t));
    prefix_cache_free(cache);
    cache = cache_in_folder(MODEL, other_type); /* other bytes, were they read as such */
    assert_false(known(cache, &p, t));
    prefix_cache_free(cache);

    static const long places[] = {0, 9, 13, 24, 40, 60, 110, 140, 4096, -1}; /* of every kind */
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        flip(path, places[i]);
        cache = cache_in_folder(MODEL, cache_type);
        if (known(cache, &p, t))
            fail_msg("used with a wrong byte at %ld", places[i]);
        prefix_cache_free(cache);
        flip(path, places[i]);
    }
    cache = cache_in_folder(MODEL, cache_type);
    assert_true(known(cache, &p, t));
    prefix_cache_free(cache);
    assert_int_equal(truncate(path, 5000), 0);
    cache = cache_in_folder(MODEL, cache_type);
    assert_false(known(cache, &p, t));
    prefix_save(cache, &p, s, true); /* written anew */
    prefix_cache_free(cache);
    cache = cache_in_folder(MODEL, cache_type);
    assert_true(known(cache, &p, t));
    prefix_cache_free(cache);

    struct prefix_options o = {1 << 20, "/proc/none", MODEL, "ref", "f16"};
    assert_int_equal(prefix_cache_new(&o, &cache, NULL), ERR_NOT_FOUND);
    assert_int_equal(folder_list(NULL, 0, true), 1);
    assert_int_equal(rmdir(folder), 0);
    lm_slot_free(s);
    lm_slot_free(t);
    prompt_done(&p);
    prompt_done(&q);
}

/* --- through the public interface: the same samples with and without --- */

static float *speak(struct jabbertts *tts, const char *voice, const char *text, size_t *n_total)
{
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    struct jabbertts_error e = {0};
    size_t cap = 1 << 19;
    float *pcm = mem_alloc(cap * sizeof *pcm);
    int n;
    *n_total = 0;
    jabbertts_request_init(&r);
    r.text = text;
    r.voice = voice;
    assert_int_equal(jabbertts_submit(tts, &r, &s, &e), 0);
    while ((n = jabbertts_read(s, pcm + *n_total, (int)(cap - *n_total), &e)) > 0)
        *n_total += (size_t)n;
    assert_int_equal(n, 0);
    jabbertts_stream_free(s);
    return pcm;
}

static void test_same_sound(void **state)
{
    static const char *const voices[] = {"amy", "bella", "amy", "bella"};
    struct jabbertts_options o;
    struct jabbertts *with, *without;
    struct jabbertts_error e = {0};
    (void)state;
    jabbertts_options_init(&o);
    o.model = MODEL;
    o.threads = 1;
    folder_new();
    o.cache = cache_type;
    o.prefix_dir = folder;
    assert_int_equal(jabbertts_open(&o, &with, &e), 0);
    o.prefix_mb = 0;
    o.prefix_dir = NULL;
    assert_int_equal(jabbertts_open(&o, &without, &e), 0);
    for (int i = 0; i < 4; i++) {
        size_t n, m;
        float *a = speak(with, voices[i], "Good morning. It is late.", &n);
        float *b = speak(without, voices[i], "Good morning. It is late.", &m);
        assert_int_equal(n, m);
        assert_true(n > 4000);
        assert_memory_equal(a, b, n * sizeof *a);
        mem_free(a);
        mem_free(b);
    }
    assert_int_equal(folder_list(NULL, 0, true), 2); /* two voices */
    assert_int_equal(rmdir(folder), 0);
    jabbertts_close(with);
    jabbertts_close(without);
    o.prefix_mb = -1;
    assert_int_equal(jabbertts_open(&o, &with, &e), JABBERTTS_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_state), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_no_memory),  cmocka_unit_test(test_outlasts),
        cmocka_unit_test(test_same_sound), cmocka_unit_test(test_said),
    };
    int rc = cmocka_run_group_tests(tests, setup, teardown);
    cache_type = "q8_0";
    other_type = "f16";
    return rc + cmocka_run_group_tests(tests, setup, teardown);
}
