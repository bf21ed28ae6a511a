#include "audio/spectrum.h"

#include <libavutil/mem.h>
#include <libavutil/tx.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define MAX_FFT   2048
#define MIN_POWER 1e-7

static const struct resolution {
    int fft, hop, window;
} resolutions[] = {{1024, 120, 600}, {2048, 240, 1200}, {512, 50, 240}};
#define N_RESOLUTION (sizeof resolutions / sizeof *resolutions)

struct transform {
    AVTXContext *tx;
    av_tx_fn run;
    float window[MAX_FFT];
    AVComplexFloat *in, *out; /* [MAX_FFT], aligned as libavutil wants it */
};

/* The window stands in the middle of the transform, as torch.stft has it. */
static int transform_init(struct transform *t, const struct resolution *r, struct err *e)
{
    float scale = 1;
    int start = (r->fft - r->window) / 2;
    memset(t->window, 0, sizeof t->window);
    for (int i = 0; i < r->window; i++)
        t->window[start + i] = (float)(0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / r->window));
    t->in = av_calloc(MAX_FFT, sizeof *t->in);
    t->out = av_calloc(MAX_FFT, sizeof *t->out);
    if (!t->in || !t->out || av_tx_init(&t->tx, &t->run, AV_TX_FLOAT_FFT, 0, r->fft, &scale, 0) < 0)
        return err_set(e, ERR_MEMORY, "out of memory for a transform of %d", r->fft);
    return 0;
}

static void transform_done(struct transform *t)
{
    av_tx_uninit(&t->tx);
    av_freep(&t->in);
    av_freep(&t->out);
}

/* Both sounds are real: one transform of x + iy gives the spectra of both. */
static void run_frame(struct transform *t, const struct resolution *r, const float *x,
                      const float *y, size_t n)
{
    for (int i = 0; i < r->fft; i++) {
        bool in = (size_t)i < n;
        t->in[i].re = in ? x[i] * t->window[i] : 0;
        t->in[i].im = in ? y[i] * t->window[i] : 0;
    }
    t->run(t->tx, t->out, t->in, sizeof(AVComplexFloat));
}

struct sums {
    double difference, power, log;
    size_t n;
};

static double power_of(double re, double im)
{
    double p = (re * re + im * im) / 4;
    return p > MIN_POWER ? p : MIN_POWER;
}

static void add_frame(const struct transform *t, int fft, struct sums *s)
{
    for (int k = 0; k <= fft / 2; k++) {
        AVComplexFloat a = t->out[k], b = t->out[(fft - k) % fft];
        double px = power_of((double)a.re + (double)b.re, (double)a.im - (double)b.im);
        double py = power_of((double)a.im + (double)b.im, (double)b.re - (double)a.re);
        double d = sqrt(px) - sqrt(py);
        s->difference += d * d;
        s->power += px;
        s->log += fabs(log(px) - log(py)) / 2;
        s->n++;
    }
}

int spectrum_compare(const float *reference, const float *other, size_t n,
                     struct spectrum_distance *ret, struct err *e)
{
    struct spectrum_distance d = {0, 0};
    for (size_t i = 0; i < N_RESOLUTION; i++) {
        const struct resolution *r = &resolutions[i];
        struct transform t = {0};
        struct sums s = {0};
        int rc = transform_init(&t, r, e);
        for (size_t at = 0; rc == 0 && (at == 0 || at + (size_t)r->fft <= n);
             at += (size_t)r->hop) {
            run_frame(&t, r, reference + at, other + at, n - at);
            add_frame(&t, r->fft, &s);
        }
        transform_done(&t);
        if (rc < 0)
            return rc;
        d.convergence += sqrt(s.difference / s.power) / N_RESOLUTION;
        d.magnitude += s.log / (double)s.n / N_RESOLUTION;
    }
    *ret = d;
    return 0;
}
