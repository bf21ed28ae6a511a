/* Pruning one matrix: what stays is the best that least squares can make of it, the unit that
 * costs least goes, patterns are kept, and a layer's share is taken over by the matrix before. */
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
#include "tools/prune.h"

#define N     64 /* inputs */
#define N_OUT 12
#define ROWS  400

static char path[64];
static float w[N_OUT][N];
static double a[ROWS][N], products[N][N];

static double random_double(void)
{
    static uint32_t x = 99;
    x = x * 1664525 + 1013904223;
    return (double)(int32_t)x / 2147483648.0;
}

/* Inputs of different sizes that depend on each other; input 5 is nearly input 9 twice over. */
static int setup(void **state)
{
    struct err e;
    struct gguf_writer *out;
    const int64_t ne[] = {N, N_OUT, 1, 1};
    (void)state;
    for (int o = 0; o < N_OUT; o++)
        for (int i = 0; i < N; i++)
            w[o][i] = (float)random_double();
    for (int r = 0; r < ROWS; r++) {
        double common = random_double();
        for (int i = 0; i < N; i++)
            a[r][i] = (random_double() + common) * (1 + i % 7);
        a[r][5] = 2 * a[r][9] + 1e-3 * random_double();
        for (int i = 0; i < N; i++)
            for (int j = 0; j <= i; j++)
                products[i][j] += a[r][i] * a[r][j];
    }
    snprintf(path, sizeof path, "/tmp/test_prune-%d.gguf", (int)getpid());
    assert_int_equal(gguf_writer_new(path, &out, &e), 0);
    assert_int_equal(gguf_writer_tensor(out, "w", KERN_F32, 2, ne, &e), 0);
    assert_int_equal(gguf_writer_begin(out, &e), 0);
    assert_int_equal(gguf_writer_data(out, w, sizeof w, &e), 0);
    assert_int_equal(gguf_writer_finish(out, &e), 0);
    gguf_writer_free(out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static struct prune_matrix *fit(struct prune *p, enum prune_part part, double keep, int unit,
                                int n_keep, bool addition)
{
    struct err e;
    struct prune_matrix *m = mem_alloc(sizeof *m);
    *p = (struct prune){.part = part, .keep = keep, .matrix = m, .n_matrix = 1};
    assert_int_equal(gguf_open(path, &p->model.file, &e), 0);
    snprintf(m->name, sizeof m->name, "w");
    m->n_in = N;
    m->n_out = N_OUT;
    m->unit = unit;
    m->n_keep = n_keep;
    m->n_source = part < PRUNE_WEIGHTS && !addition;
    m->products = mem_alloc(sizeof products);
    memcpy(m->products, products, sizeof products);
    m->gone = mem_alloc(N * sizeof *m->gone);
    if (addition) /* the sum of d with itself twice over its first inputs: d_o = a_o - 3 a_o+1 */
        m->cross = mem_alloc(N * N_OUT * sizeof *m->cross);
    for (int r = 0; r < ROWS && addition; r++)
        for (int i = 0; i < N; i++)
            for (int o = 0; o < N_OUT; o++)
                m->cross[i * N_OUT + o] += a[r][i] * (a[r][o] - 3 * a[r][o + 1]);
    assert_int_equal(prune_fit(p, 2, &e), 0);
    return m;
}

static void done(struct prune *p)
{
    gguf_close(p->model.file);
    prune_done(p);
}

/* Mean square of W a - W' a, over outputs and rows; W' has zeros where inputs are gone. */
static double loss(const double (*v)[N])
{
    double sum = 0;
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < N_OUT; o++) {
            double d = 0;
            for (int i = 0; i < N; i++)
                d += ((double)w[o][i] - v[o][i]) * a[r][i];
            sum += d * d;
        }
    return sum / ROWS / N_OUT;
}

static void spread(const struct prune_matrix *m, double (*v)[N])
{
    for (int o = 0; o < N_OUT; o++)
        for (int i = 0, k = 0; i < N; i++)
            v[o][i] = m->gone[i / m->unit] ? 0 : (double)m->weights[o * prune_kept(m) + k++];
}

static void test_units(void **state)
{
    static const int units[] = {1, 8};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct prune p;
        struct prune_matrix *m =
            fit(&p, PRUNE_FEED_FORWARD, 0.75, units[k], N / units[k] * 3 / 4, false);
        double v[N_OUT][N], plain[N_OUT][N], n_gone = 0;
        for (int u = 0; u < N / m->unit; u++)
            n_gone += m->gone[u];
        assert_true(n_gone == N / units[k] / 4);
        spread(m, v);
        for (int o = 0; o < N_OUT; o++)
            for (int i = 0; i < N; i++)
                plain[o][i] = m->gone[i / m->unit] ? 0 : (double)w[o][i];
        assert_true(loss(v) < 0.5 * loss(plain));
        /* No change of a weight that stays makes it better; the ridge alone holds it back. */
        double best = loss(v);
        for (int i = 0; i < N; i++) {
            if (m->gone[i / m->unit])
                continue;
            for (int sign = -1; sign <= 1; sign += 2) {
                v[3][i] += sign * 0.05;
                assert_true(loss(v) > best * (1 - 1e-3));
                v[3][i] -= sign * 0.05;
            }
        }
        done(&p);
    }
}

static void test_twins(void **state)
{
    struct prune p;
    struct prune_matrix *m = fit(&p, PRUNE_FEED_FORWARD, 0.99, 1, N - 1, false);
    (void)state;
    assert_true(m->gone[5] || m->gone[9]); /* the other one can stand for it */
    done(&p);
}

static void test_patterns(void **state)
{
    static const struct {
        enum prune_part part;
        double keep;
        int run, left;
    } cases[] = {{PRUNE_PAIRS, 0.5, 4, 2}, {PRUNE_WEIGHTS, 0.25, 32, 8}};
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        struct prune p;
        struct prune_matrix *m = fit(&p, cases[c].part, cases[c].keep, 1, N, false);
        double v[N_OUT][N], smallest[N_OUT][N];
        spread(m, v);
        for (int o = 0; o < N_OUT; o++)
            for (int i = 0; i < N; i += cases[c].run) {
                int n = 0;
                for (int k = 0; k < cases[c].run; k++) {
                    int below = 0; /* the plain way: the smallest go */
                    for (int j = 0; j < cases[c].run; j++)
                        below += fabsf(w[o][i + j]) < fabsf(w[o][i + k]);
                    smallest[o][i + k] =
                        below < cases[c].run - cases[c].left ? 0 : (double)w[o][i + k];
                    n += v[o][i + k] != 0;
                }
                assert_int_equal(n, cases[c].left);
            }
        assert_true(loss(v) < 0.5 * loss(smallest));
        done(&p);
    }
}

static void test_addition(void **state)
{
    struct prune p;
    struct prune_matrix *m = fit(&p, PRUNE_LAYERS, 0.5, 1, N, true);
    double worst = 0;
    (void)state;
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < N_OUT; o++) {
            double d = a[r][o] - 3 * a[r][o + 1];
            for (int i = 0; i < N; i++)
                d += ((double)w[o][i] - (double)m->weights[o * N + i]) * a[r][i];
            worst = fmax(worst, fabs(d));
        }
    assert_true(worst < 0.05); /* of values up to 56: the ridge */
    done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_addition),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
