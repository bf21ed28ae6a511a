/* Level, and silence around speech, however the sound is cut into chunks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "audio/finish.h"
#include "base/mem.h"
#include "base/mem_test.h"

#define HZ    16000
#define MS    (HZ / 1000)
#define N_MAX (8 * HZ)

/* Speech stands for itself as a tone of this amplitude; the codec's noise is 0.0005. */
static size_t make(float *x, int lead_ms, int speech_ms, int trail_ms, float amplitude)
{
    size_t a = (size_t)lead_ms * MS, b = a + (size_t)speech_ms * MS, n = b + (size_t)trail_ms * MS;
    for (size_t i = 0; i < n; i++)
        x[i] = i >= a && i < b ? amplitude * (float)cos(0.3 * (double)(i - a)) : 0.0005f;
    return n;
}

static size_t finish_all(double gain_db, int place, const float *x, size_t n, size_t chunk,
                         float *to)
{
    struct finish *f;
    struct err e;
    size_t out = 0;
    assert_int_equal(finish_new(HZ, gain_db, &f, &e), 0);
    finish_begin(f, place);
    float *room = calloc(finish_room(f, chunk), sizeof *room);
    for (size_t at = 0; at < n; at += chunk) {
        size_t m = finish_run(f, x + at, n - at < chunk ? n - at : chunk, room);
        assert_true(m <= finish_room(f, chunk));
        memcpy(to + out, room, m * sizeof *to);
        out += m;
    }
    size_t m = finish_end(f, room);
    memcpy(to + out, room, m * sizeof *to);
    free(room);
    finish_free(f);
    return out + m;
}

static size_t quiet(const float *x, size_t n, int step)
{
    size_t i = 0;
    for (const float *p = step > 0 ? x : x + n - 1; i < n && fabsf(*p) < 0.004f; i++)
        p += step;
    return i;
}

static float x[N_MAX], a[2 * N_MAX], b[2 * N_MAX];

/* Inside a sentence 25 ms stay at each side, and none is made up. */
static void test_joint(void **state)
{
    static const int cases[][3] = {{0, 500, 0}, {70, 800, 440}, {300, 200, 900}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = make(x, cases[i][0], cases[i][1], cases[i][2], 0.3f);
        size_t m = finish_all(0, FINISH_CONTINUES | FINISH_GOES_ON, x, n, 1280, a);
        size_t most = (size_t)FINISH_JOINT_MS * MS + 12 * MS;
        if (quiet(a, m, 1) > most || quiet(a, m, -1) > most || m > n + 5 * MS)
            fail_msg("case %zu: %zu ms before, %zu ms after", i, quiet(a, m, 1) / MS,
                     quiet(a, m, -1) / MS);
        assert_true(m > (size_t)(cases[i][1] - 11) * MS);
    }
}

/* 50 ms before, 150 ms after, whatever the model left; inside nothing is taken away. */
static void test_silence(void **state)
{
    static const int cases[][3] = {{0, 500, 0},     {5, 300, 20},   {70, 800, 440},
                                   {300, 200, 900}, {950, 100, 40}, {50, 1000, 150}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = make(x, cases[i][0], cases[i][1], cases[i][2], 0.3f);
        size_t m = finish_all(0, FINISH_FIRST | FINISH_LAST, x, n, 1280, a);
        size_t lead = quiet(a, m, 1), trail = quiet(a, m, -1);
        if (lead < 50 * MS || lead > 61 * MS || trail < 144 * MS || trail > 156 * MS)
            fail_msg("case %zu: %zu ms before, %zu ms after", i, lead / MS, trail / MS);
        assert_true(m - lead - trail > (size_t)(cases[i][1] - 11) * MS);
    }
    /* A pause inside stays, sample for sample; so does silence at a joint. */
    size_t n = make(x, 60, 400, 700, 0.3f);
    n += make(x + n, 0, 400, 440, 0.3f);
    size_t m = finish_all(0, 0, x, n, 1280, a);
    assert_true(m >= n && m <= n + 5 * MS);
    assert_memory_equal(a + 200, x + 200, (n - 200) * sizeof *x);
    m = finish_all(0, FINISH_FIRST | FINISH_LAST, x, n, 1280, b);
    assert_memory_equal(b + 50 * MS, x + 60 * MS, (400 + 700 + 400) * MS * sizeof *x);
    /* Silence alone comes out as silence, not as nothing. */
    n = make(x, 300, 0, 0, 0);
    assert_int_equal(finish_all(0, FINISH_FIRST | FINISH_LAST, x, n, 1280, a), n);
}

static void test_chunks(void **state)
{
    (void)state;
    size_t n = make(x, 120, 600, 1300, 0.7f);
    n += make(x + n, 0, 300, 1500, 0.7f);
    for (int place = 0; place < 4; place++) {
        size_t m = finish_all(6, place, x, n, n, a);
        for (size_t chunk = 1; chunk < 3000; chunk = 3 * chunk + 1) {
            assert_int_equal(finish_all(6, place, x, n, chunk, b), m);
            assert_memory_equal(a, b, m * sizeof *a);
        }
    }
}

/* Gain is exact below the knee; nothing passes the ceiling; order is kept. */
static void test_level(void **state)
{
    (void)state;
    size_t n = make(x, 0, 200, 0, 0.1f);
    size_t m = finish_all(6.0206, 0, x, n, 777, a);
    for (size_t i = 20 * MS; i < n; i++)
        assert_float_equal(a[i], 2 * x[i], 1e-4);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)i / (float)n;
    m = finish_all(12, 0, x, n, 777, a);
    for (size_t i = 1; i < n; i++)
        assert_true(a[i] >= a[i - 1] && a[i] < FINISH_CEILING);
    assert_true(m == n + 5 * MS && a[m - 1] == 0);
}

/* A piece that begins or is cut off in the middle of a wave begins and ends at zero. */
static void test_ends(void **state)
{
    (void)state;
    size_t n = make(x, 0, 207, 0, 0.5f);
    size_t m = finish_all(0, 0, x, n, 500, a);
    float most = 0;
    for (size_t i = 0; i < 2 * MS; i++)
        most = fmaxf(most, fabsf(a[i]));
    assert_true(most < 0.02f && a[m - 1] == 0);
    for (size_t i = n; i < m; i++) /* no step larger than the tone's own */
        assert_true(fabsf(a[i] - a[i - 1]) < 0.5f * 0.31f);
}

static void test_memory(void **state)
{
    struct finish *f = NULL;
    struct err e;
    (void)state;
    mem_fail_after(0);
    assert_int_equal(finish_new(HZ, 0, &f, &e), ERR_MEMORY);
    mem_fail_after(-1);
    finish_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joint), cmocka_unit_test(test_silence), cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_level), cmocka_unit_test(test_ends),    cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
