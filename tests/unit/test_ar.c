/* Sampling and generation: draws depend on nothing but their place, limits are errors, and a
 * sequence does not notice its neighbours.  Run from the root. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/import.h"
#include "model/model.h"
#include "base/mem_test.h"

#define NANO    "tests/golden/s1-nano/checkpoint"
#define N_FRAME 6

static char path[64];
static struct model model;

static int setup(void **state)
{
    (void)state;
    struct model_options o = {.n_thread = 1, .max_batch = 2};
    struct err e = {0};
    snprintf(path, sizeof path, "/tmp/test_ar-%d.gguf", (int)getpid());
    struct import_options c = {
        .directory = NANO, .output = path, .type = -1, .sampling = {-1, -1, -1}};
    if (import_convert(&c, &e) == 0 && model_open(&model, path, &o, &e) == 0)
        return 0;
    print_error("%s\n", e.msg);
    return -1;
}

static int teardown(void **state)
{
    (void)state;
    model_close(&model);
    return unlink(path);
}

static void test_uniform(void **state)
{
    (void)state;
    double sum = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        double u = sampler_uniform(7, 1, i, i % 10);
        assert_true(u >= 0 && u < 1);
        assert_true(u == sampler_uniform(7, 1, i, i % 10));
        sum += u;
    }
    assert_true(sum / 4000 > 0.47 && sum / 4000 < 0.53);
    double u = sampler_uniform(1, 2, 3, 4);
    assert_true(u != sampler_uniform(2, 2, 3, 4) && u != sampler_uniform(1, 3, 3, 4));
    assert_true(u != sampler_uniform(1, 2, 4, 4) && u != sampler_uniform(1, 2, 3, 5));
}

static void test_probs(void **state)
{
    (void)state;
    float logits[5] = {0, 3, -1, 2.5f, 1}, probs[5], sum = 0;
    uint64_t scratch[10];
    const int32_t prev[4] = {1, 1, -3, 99};
    const struct sampler_window seen = {prev, 4};
    struct sampler_params p = {1, 1e-9f, 1};
    sampler_probs(logits, 5, NULL, &p, scratch, probs); /* greedy: only the best stays */
    for (int i = 0; i < 5; i++)
        assert_true(probs[i] == (i == 1 ? 1.0f : 0.0f));
    p = (struct sampler_params){0.7f, 1.5f, 1};
    sampler_probs(logits, 5, NULL, &p, scratch, probs);
    for (int i = 0; i < 5; i++)
        sum += probs[i];
    assert_true(sum > 0.9999f && sum < 1.0001f && probs[1] > probs[3] && probs[2] > 0);
    /* The penalty counts an index once and passes over those outside. */
    p = (struct sampler_params){1, 1e-9f, 2};
    sampler_probs(logits, 5, &seen, &p, scratch, probs);
    assert_true(logits[1] == 1.5f && probs[3] == 1);
    /* No temperature is as cold as it gets, not a division by zero. */
    p = (struct sampler_params){0, 1, 1};
    sampler_probs(logits, 5, NULL, &p, scratch, probs);
    assert_true(probs[3] == 1);
    for (int i = 0; i < 5; i++) /* what broken weights give */
        logits[i] = NAN;
    p = (struct sampler_params){1, 0.8f, 1};
    sampler_probs(logits, 5, NULL, &p, scratch, probs);
    assert_true(probs[0] == 1 && probs[4] == 0);
}

static void test_draw(void **state)
{
    (void)state;
    const float probs[4] = {0, 0.25f, 0, 0.75f};
    assert_int_equal(sampler_draw(probs, 4, 0), 1);
    assert_int_equal(sampler_draw(probs, 4, 0.2499), 1);
    assert_int_equal(sampler_draw(probs, 4, 0.25), 3);
    assert_int_equal(sampler_draw(probs, 4, 0.9999999), 3);
    const float low[3] = {0.3f, 0.3f, 0};
    assert_int_equal(sampler_draw(low, 3, 0.99), 1); /* rounding: the last possible one */
}

struct ranked {
    float p;
    int i;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p ? 1 : -1) : x->i - y->i;
}

/* What top-p keeps, against a plain sort: peaked and flat logits, equal ones, all sizes of top_p.
 */
static void test_top_p(void **state)
{
    (void)state;
    enum { N = 300 };
    float logits[N], probs[N], kept[N];
    uint64_t scratch[2 * N];
    struct ranked r[N];
    for (uint32_t round = 0; round < 300; round++) {
        struct sampler_params all = {1, 2, 1}, p = {1, 0, 1};
        double width = round % 3 == 0 ? 0.01 : round % 3 == 1 ? 4 : 30;
        for (uint32_t i = 0; i < N; i++)
            logits[i] =
                (float)(round % 5 == 4 ? (int)(i % 3) : width * sampler_uniform(5, round, i, 0));
        p.top_p = (float)(round % 7 == 6 ? 0.99999 : sampler_uniform(6, round, 0, 0));
        sampler_probs(logits, N, NULL, &all, scratch, probs);
        for (int i = 0; i < N; i++)
            r[i] = (struct ranked){probs[i], i};
        qsort(r, N, sizeof *r, by_rank);
        sampler_probs(logits, N, NULL, &p, scratch, kept);
        float sum = 0;
        for (int i = 0; i < N; i++) {
            sum += r[i].p;
            assert_true((kept[r[i].i] > 0) == (i == 0 || (sum <= p.top_p && r[i].p > 0)));
        }
    }
}

static void build(struct prompt *p, const char *text)
{
    struct err e = {0};
    prompt_init(p, model.spec.lm.n_codebook);
    struct prompt_parts parts = {.text = text};
    assert_int_equal(prompt_build(p, model.tokenizer, &model.spec.lm, &parts, &e), 0);
    assert_true(p->n_column > 0);
}

static void test_limits(void **state)
{
    (void)state;
    struct ar *a;
    struct prompt p;
    struct err e = {0};
    struct ar_params params = {.sampling = {0.8f, 0.8f, 1.1f}, .max_frames = 2};
    build(&p, "Hello there, this is a prompt.");
    assert_int_equal(ar_new(model.lm, p.n_column, &a, &e), 0);
    assert_int_equal(ar_state(a), AR_IDLE);
    assert_int_equal(ar_start(a, &p, &params, &e), ERR_LIMIT);
    ar_free(a);
    assert_int_equal(ar_new(model.lm, 256, &a, &e), 0);
    params.max_frames = 0;
    assert_int_equal(ar_start(a, &p, &params, &e), ERR_ARGUMENT);
    params.max_frames = 2;
    assert_int_equal(ar_start(a, &p, &params, &e), 0);
    assert_int_equal(ar_state(a), AR_READY);
    for (int i = 0; i < 4; i++)
        ar_step(model.lm, &a, 1, model.exec);
    assert_true(ar_state(a) == AR_LIMIT || ar_state(a) == AR_STOPPED);
    assert_in_range(ar_n_frame(a), 0, 2);
    ar_reset(a);
    assert_int_equal(ar_state(a), AR_IDLE);
    assert_int_equal(ar_n_frame(a), 0);
    ar_free(a);
    ar_free(NULL);
    prompt_done(&p);
}

/* Codes of up to N_FRAME frames of each of n texts, generated together; frames in n_frame. */
static void generate(const char *const *texts, const uint64_t *seeds, int n, int32_t *codes,
                     int *n_frame)
{
    int q = model.spec.lm.n_codebook;
    struct ar *a[2];
    struct err e = {0};
    for (int i = 0; i < n; i++) {
        struct prompt p;
        struct ar_params params = {
            .sampling = {0.8f, 0.8f, 1.1f}, .seed = seeds[i], .max_frames = N_FRAME};
        build(&p, texts[i]);
        assert_int_equal(ar_new(model.lm, 256, &a[i], &e), 0);
        assert_int_equal(ar_start(a[i], &p, &params, &e), 0);
        prompt_done(&p);
        n_frame[i] = 0;
    }
    mem_fail_after(0); /* a frame allocates nothing */
    for (int s = 0; s < N_FRAME; s++) {
        ar_step(model.lm, a, n, model.exec);
        for (int i = 0; i < n; i++)
            if (ar_state(a[i]) == AR_FRAME)
                memcpy(codes + (i * N_FRAME + n_frame[i]++) * q, ar_codes(a[i]),
                       (size_t)q * sizeof *codes);
    }
    mem_fail_after(-1);
    for (int i = 0; i < n; i++)
        ar_free(a[i]);
}

static void test_batch(void **state)
{
    (void)state;
    static const char *const texts[2] = {"Hello there.", "Another, rather longer sentence."};
    static const uint64_t seeds[2] = {3, 11};
    static int32_t both[2 * N_FRAME * LIMIT_CODEBOOKS], alone[N_FRAME * LIMIT_CODEBOOKS];
    int n_both[2], n_alone, q = model.spec.lm.n_codebook;
    generate(texts, seeds, 2, both, n_both);
    for (int i = 0; i < 2; i++) {
        generate(texts + i, seeds + i, 1, alone, &n_alone);
        assert_int_equal(n_alone, n_both[i]);
        assert_memory_equal(alone, both + i * N_FRAME * q,
                            (size_t)n_alone * (size_t)q * sizeof *alone);
        for (int k = 0; k < n_alone * q; k++)
            assert_in_range(alone[k], 0, model.spec.lm.codebook_size - 1);
    }
    assert_true(n_both[0] > 0 || n_both[1] > 0);
}

/* Frames of a prompt of n columns, the likeliest, in a context of that size. */
static struct ar *begin_greedy(const struct prompt *p, int n_context)
{
    struct ar *a;
    struct err e = {0};
    struct ar_params params = {.sampling = {1, 1e-6f, 1}, .max_frames = 300};
    assert_int_equal(ar_new(model.lm, n_context, &a, &e), 0);
    assert_int_equal(ar_start(a, p, &params, &e), 0);
    return a;
}

/* A context that is full goes on as a fresh one that holds the prompt and the last frames does;
 * until then nothing is different. */
static void test_window(void **state)
{
    (void)state;
    enum { ROOM = 68, KEPT = 17 };
    struct prompt p, again;
    size_t width = 1 + (size_t)model.spec.lm.n_codebook;
    build(&p, "Hello there, this is a prompt, and it goes on for ever.");
    struct ar *small = begin_greedy(&p, p.n_column + ROOM), *large = begin_greedy(&p, 1000);
    mem_fail_after(0);
    for (int i = 0; i < ROOM + 1; i++) { /* the last is made of a full context: nothing is lost */
        ar_step(model.lm, &small, 1, model.exec);
        ar_step(model.lm, &large, 1, model.exec);
        assert_int_equal(ar_state(small), AR_FRAME);
        assert_memory_equal(ar_codes(small), ar_codes(large), (width - 1) * sizeof(int32_t));
    }
    mem_fail_after(-1);
    prompt_init(&again, model.spec.lm.n_codebook);
    again.n_column = p.n_column + KEPT;
    again.columns = mem_alloc((size_t)again.n_column * width * sizeof *again.columns);
    memcpy(again.columns, p.columns, (size_t)p.n_column * width * sizeof *p.columns);
    memcpy(again.columns + (size_t)p.n_column * width,
           ar_frames(small) + (size_t)(ROOM + 1 - KEPT) * width, KEPT * width * sizeof(int32_t));
    struct ar *fresh = begin_greedy(&again, 1000);
    for (int i = 0; i < 10; i++) {
        ar_step(model.lm, &small, 1, model.exec);
        ar_step(model.lm, &fresh, 1, model.exec);
        assert_memory_equal(ar_codes(small), ar_codes(fresh), (width - 1) * sizeof(int32_t));
    }
    while (ar_state(small) == AR_FRAME)
        ar_step(model.lm, &small, 1, model.exec);
    assert_int_equal(ar_state(small), AR_LIMIT);
    assert_int_equal(ar_n_frame(small), 300);
    struct ar *narrow = begin_greedy(&p, p.n_column + 20); /* too little to go on with */
    do
        ar_step(model.lm, &narrow, 1, model.exec);
    while (ar_state(narrow) == AR_FRAME);
    assert_int_equal(ar_n_frame(narrow), 21);
    ar_free(small);
    ar_free(large);
    ar_free(fresh);
    ar_free(narrow);
    prompt_done(&p);
    prompt_done(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform), cmocka_unit_test(test_probs),  cmocka_unit_test(test_draw),
        cmocka_unit_test(test_top_p),   cmocka_unit_test(test_limits), cmocka_unit_test(test_batch),
        cmocka_unit_test(test_window),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
