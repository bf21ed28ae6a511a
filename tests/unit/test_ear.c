/* The networks that listen, against ONNX Runtime and the implementation in bench/ear/speaker.py: a
 * sound with a voice's harmonics that comes and goes.  Run from the root. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/ear.h"

#define PI 3.14159265358979323846

enum { N = 3 * EAR_HZ };
static float pcm[N];
static struct ear *ear;

static int setup(void **state)
{
    struct err e = {0};
    double phase = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        double t = (double)i / EAR_HZ, x = 0;
        phase += 2 * PI * (150 + 40 * sin(2 * PI * 2 * t)) / EAR_HZ;
        for (int k = 1; k < 9; k++)
            x += sin(k * phase) / k;
        pcm[i] = (float)(x * 0.15 * fmax(0, sin(2 * PI * 1.5 * t)));
    }
    int rc = ear_open("models/ear.gguf", &ear, &e);
    if (rc < 0)
        print_error("%s\n", e.msg);
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    ear_close(ear);
    return 0;
}

/* Weights in 16 bits move a probability by up to 0.002 here. */
static void test_speech(void **state)
{
    static const double want[] = {0.5934, 0.6022, 0.0467, 0.9650, 0.2150, 0.0011,
                                  0.9689, 0.0714, 0.9737, 0.8955, 0.0043, 0.9660};
    float p[N / EAR_WINDOW];
    (void)state;
    ear_speech(ear, pcm, N, p);
    for (int i = 0; i < 12; i++)
        if (fabs((double)p[8 * i] - want[i]) > 0.01)
            fail_msg("window %d: %.4f, wanted %.4f", 8 * i, (double)p[8 * i], want[i]);
}

static void test_print(void **state)
{
    static const struct {
        int i;
        double v;
    } want[] = {{20, 0.2932},  {127, 0.1863}, {195, 0.2123},
                {207, 0.2027}, {243, 0.1842}, {246, 0.1762}};
    float prints[EAR_PRINT_MAX][EAR_PRINT], mean[EAR_PRINT];
    (void)state;
    int n = ear_prints(ear, pcm, N, prints);
    assert_int_equal(n, 2); /* 1.6 s each, 0.77 s apart */
    ear_mean(prints, n, mean);
    assert_true(fabs(ear_likeness(mean, mean) - 1) < 1e-5);
    for (int i = 0; i < 6; i++)
        if (fabs((double)mean[want[i].i] - want[i].v) > 0.002)
            fail_msg("number %d: %.4f, wanted %.4f", want[i].i, (double)mean[want[i].i], want[i].v);
    assert_int_equal(ear_prints(ear, pcm, 1000, prints), 1); /* shorter than one */
    assert_int_equal(ear_prints(ear, pcm, 0, prints), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speech),
        cmocka_unit_test(test_print),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
