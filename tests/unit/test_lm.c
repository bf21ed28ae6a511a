/* The language model with weights of every type: logits do not depend on the threads, on the
 * sequences decoded beside, or on how a prompt is cut; and q types stay near the floats.  Run from
 * the root. */
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

#define NANO     "tests/golden/s1-nano/checkpoint"
#define N_SEQ    3
#define N_PROMPT 37
#define N_STEP   3

static char path[64];
static struct model model;
static const int n_column[N_SEQ] = {N_PROMPT, 5, 18};

static int setup(void **state)
{
    (void)state;
    struct model_options o = {.n_thread = 1, .max_batch = 1};
    struct err e = {0};
    snprintf(path, sizeof path, "/tmp/test_lm-%d.gguf", (int)getpid());
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

/* One way to run the same work. */
struct way {
    int n_thread;
    int cut;       /* columns of the prompt in one call; 0: all */
    bool together; /* all sequences in each call */
};

struct run {
    struct pool *pool;
    struct kern_exec *exec;
    struct mem_arena *arena;
    struct lm *lm;
    struct lm_slot *slots[N_SEQ];
    float *hidden, *logits, *fast; /* [N_SEQ, ...] */
    size_t dim, n_logit, n_fast;
};

static void run_open(struct run *r, enum kern_type type, const struct way *w)
{
    struct err e = {0};
    struct lm_options o = {.max_batch = N_SEQ, .max_row = 16};
    assert_int_equal(pool_new(w->n_thread, &r->pool, &e), 0);
    assert_int_equal(kern_exec_new(NULL, r->pool, &r->exec, &e), 0);
    r->arena = mem_arena_new(1 << 20);
    struct load from = {model.file, "", r->exec, type, r->arena};
    assert_int_equal(lm_load(&from, &model.spec.lm, &o, &r->lm, &e), 0);
    r->dim = (size_t)model.spec.lm.slow.dim;
    r->n_logit = (size_t)lm_n_head_row(r->lm);
    r->n_fast = (size_t)model.spec.lm.codebook_size;
    r->hidden = mem_alloc(N_SEQ * r->dim * sizeof(float));
    r->logits = mem_alloc(N_SEQ * r->n_logit * sizeof(float));
    r->fast = mem_alloc(N_SEQ * r->n_fast * sizeof(float));
    for (int i = 0; i < N_SEQ; i++)
        assert_int_equal(lm_slot_new(r->lm, 64, &r->slots[i], &e), 0);
}

static void run_close(struct run *r)
{
    for (int i = 0; i < N_SEQ; i++)
        lm_slot_free(r->slots[i]);
    lm_free(r->lm);
    mem_arena_free(r->arena);
    kern_exec_free(r->exec);
    pool_free(r->pool);
    mem_free(r->hidden);
    mem_free(r->logits);
    mem_free(r->fast);
}

static void feed(struct run *r, const int32_t *columns, int first, int n, bool prompt, int cut)
{
    struct lm_feed f[N_SEQ];
    size_t width = 1 + (size_t)model.spec.lm.n_codebook;
    for (int at = 0; at < (prompt ? N_PROMPT : 1); at += cut) {
        int k = 0;
        for (int i = first; i < first + n; i++) {
            int left = (prompt ? n_column[i] : 1) - at;
            if (left > 0)
                f[k++] = (struct lm_feed){r->slots[i], columns + (size_t)(at + i) * width,
                                          left < cut ? left : cut, r->hidden + (size_t)i * r->dim,
                                          r->logits + (size_t)i * r->n_logit};
        }
        lm_slow(r->lm, f, k, r->exec);
    }
}

static void fast(struct run *r, int first, int n)
{
    int32_t code[N_SEQ];
    float *hidden = r->hidden + (size_t)first * r->dim, *out = r->fast + (size_t)first * r->n_fast;
    for (int k = 1; k < model.spec.lm.n_codebook; k++) {
        for (int i = 0; i < n; i++)
            code[i] = ((first + i) * 31 + k * 7) % 64;
        if (k == 1)
            lm_fast_begin(r->lm, hidden, code, n, out, r->exec);
        else
            lm_fast_step(r->lm, code, n, k, out, r->exec);
    }
}

/* Prompts, then frames; all that comes out of the last ones stays in r. */
static void run_way(struct run *r, enum kern_type type, const struct way *w)
{
    static int32_t columns[(N_PROMPT + N_SEQ) * (1 + LIMIT_CODEBOOKS)];
    const struct spec_lm *s = &model.spec.lm;
    int step = w->together ? N_SEQ : 1;
    for (int t = 0; t < N_PROMPT + N_SEQ; t++)
        for (int q = 0; q <= s->n_codebook; q++)
            columns[t * (1 + s->n_codebook) + q] = q == 0  ? t % 2 ? s->semantic_begin + t : t * 3
                                                   : t % 2 ? (t * 17 + q) % 64
                                                           : 0;
    run_open(r, type, w);
    for (int i = 0; i < N_SEQ; i += step)
        feed(r, columns, i, step, true, w->cut ? w->cut : N_PROMPT);
    for (int f = 0; f < N_STEP; f++)
        for (int i = 0; i < N_SEQ; i += step) {
            feed(r, columns, i, step, false, 1);
            fast(r, i, step);
        }
}

static void test_ways(void **state)
{
    (void)state;
    static const enum kern_type types[] = {KERN_F32, KERN_F16, KERN_BF16, KERN_Q8_0, KERN_Q4_0};
    static const struct way ways[] = {
        {1, 0, false}, {1, 0, true}, {2, 0, true}, {2, 1, false}, {3, 7, true}};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        struct run first, other;
        run_way(&first, types[t], &ways[0]);
        for (size_t w = 1; w < sizeof ways / sizeof *ways; w++) {
            run_way(&other, types[t], &ways[w]);
            assert_memory_equal(first.hidden, other.hidden, N_SEQ * first.dim * sizeof(float));
            assert_memory_equal(first.logits, other.logits, N_SEQ * first.n_logit * sizeof(float));
            for (size_t i = 0; i < N_SEQ; i++)
                assert_memory_equal(first.fast + i * first.n_fast, other.fast + i * first.n_fast,
                                    (size_t)lm_n_candidate(first.lm, 1) * sizeof(float));
            run_close(&other);
        }
        run_close(&first);
    }
}

static double distance(const float *a, const float *b, size_t n)
{
    double d = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        d += pow((double)(a[i] - b[i]), 2);
        size += pow((double)b[i], 2);
    }
    return sqrt(d / size);
}

/* A value of q8_0 is off by 0.4 % of its block's deviation or so, one of q4_0 by 8 %; behind the
 * products of three layers of random weights that makes 0.035 and 0.47 of the logits, to which half
 * is added. A wrong scale or a swapped value gives 1 and more. */
static void test_near(void **state)
{
    (void)state;
    const struct way w = {1, 0, true};
    struct run exact, q8, q4;
    run_way(&exact, KERN_F32, &w);
    run_way(&q8, KERN_Q8_0, &w);
    run_way(&q4, KERN_Q4_0, &w);
    size_t n = N_SEQ * exact.n_logit;
    double d8 = distance(q8.logits, exact.logits, n), d4 = distance(q4.logits, exact.logits, n);
    assert_true(d8 > 0 && d8 < 0.05);
    assert_true(d4 > d8 && d4 < 0.7);
    run_close(&exact);
    run_close(&q8);
    run_close(&q4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ways), cmocka_unit_test(test_near)};
    return cmocka_run_group_tests_name("lm", tests, setup, teardown);
}
