#include "model/ear.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "model/load.h"

#define ARENA_CHUNK ((size_t)8 << 20)
#define CONTEXT     64  /* samples before a window, and reflected behind it */
#define STFT        256 /* speech: samples of a transform; half of it from one to the next */
#define N_FRAME     4   /* transforms in a window */
#define N_BIN       129
#define N_CONV      4
#define N_STATE     128 /* of the LSTM for speech */
#define FFT         400 /* speakers: 25 ms */
#define HOP         160
#define N_POWER     201
#define N_MEL       40
#define MEL_UNIT    1000.0f /* the filters in the file are so many times as large */
#define N_STEP      160     /* mel frames of a print */
#define STEP        77      /* from one print to the next */
#define N_CELL      256
#define N_LAYER     3
#define LEVEL_DB    (-30.0) /* that the speaker encoder was trained at */

struct ear {
    struct gguf *file;
    struct pool *pool;
    struct kern_exec *exec;
    struct mem_arena *arena;
    struct kern_linear basis, conv[N_CONV], in, state, out;
    struct kern_linear fft, mel, cell_in[N_LAYER], cell_state[N_LAYER], print;
};

static const struct {
    int n_in, n_out, stride;
} ear_convs[N_CONV] = {{N_BIN, 128, 1}, {128, 64, 2}, {64, 64, 2}, {64, 128, 1}};

/* --- opening --- */

static int ear_load_speech(struct ear *ear, const struct load *l, struct err *e)
{
    char name[48], bias[48];
    int rc = load_linear(l, "speech.basis", NULL, &ear->basis, (int[]){2 * N_BIN, 1, STFT}, e);
    for (int i = 0; i < N_CONV && rc == 0; i++) {
        snprintf(name, sizeof name, "speech.conv.%d.weight", i);
        snprintf(bias, sizeof bias, "speech.conv.%d.bias", i);
        rc = load_linear(l, name, bias, &ear->conv[i],
                         (int[]){ear_convs[i].n_out, 1, 3 * ear_convs[i].n_in}, e);
    }
    if (rc == 0)
        rc = load_linear(l, "speech.in.weight", "speech.in.bias", &ear->in,
                         (int[]){4 * N_STATE, 1, 128}, e);
    if (rc == 0)
        rc = load_linear(l, "speech.state.weight", NULL, &ear->state,
                         (int[]){4 * N_STATE, 1, N_STATE}, e);
    return rc < 0 ? rc
                  : load_linear(l, "speech.out.weight", "speech.out.bias", &ear->out,
                                (int[]){1, 1, N_STATE}, e);
}

static int ear_load_speaker(struct ear *ear, const struct load *l, struct err *e)
{
    char name[48], bias[48];
    int rc = load_linear(l, "speaker.basis", NULL, &ear->fft, (int[]){2 * N_POWER, 1, FFT}, e);
    if (rc == 0)
        rc = load_linear(l, "speaker.mel", NULL, &ear->mel, (int[]){N_MEL, 1, N_POWER}, e);
    for (int i = 0; i < N_LAYER && rc == 0; i++) {
        snprintf(name, sizeof name, "speaker.%d.in.weight", i);
        snprintf(bias, sizeof bias, "speaker.%d.in.bias", i);
        rc = load_linear(l, name, bias, &ear->cell_in[i],
                         (int[]){4 * N_CELL, 1, i ? N_CELL : N_MEL}, e);
        snprintf(name, sizeof name, "speaker.%d.state.weight", i);
        if (rc == 0)
            rc = load_linear(l, name, NULL, &ear->cell_state[i], (int[]){4 * N_CELL, 1, N_CELL}, e);
    }
    return rc < 0 ? rc
                  : load_linear(l, "speaker.out.weight", "speaker.out.bias", &ear->print,
                                (int[]){EAR_PRINT, 1, N_CELL}, e);
}

static int ear_load(struct ear *ear, const char *path, struct err *e)
{
    int rc = gguf_open(path, &ear->file, e);
    if (rc == 0)
        rc = pool_new(1, &ear->pool, e);
    if (rc == 0)
        rc = kern_exec_new(NULL, ear->pool, &ear->exec, e);
    if (rc == 0 && !(ear->arena = mem_arena_new(ARENA_CHUNK)))
        rc = err_set(e, ERR_MEMORY, "out of memory for the networks that listen");
    const struct load l = {ear->file, "", ear->exec, KERN_AS_STORED, ear->arena};
    if (rc == 0)
        rc = ear_load_speech(ear, &l, e);
    return rc < 0 ? rc : ear_load_speaker(ear, &l, e);
}

int ear_open(const char *path, struct ear **ret, struct err *e)
{
    struct ear *ear = mem_try(1, sizeof *ear);
    int rc = ear ? ear_load(ear, path, e)
                 : err_set(e, ERR_MEMORY, "out of memory for the networks that listen");
    if (rc < 0)
        ear_close(ear);
    else
        *ret = ear;
    return rc;
}

void ear_close(struct ear *ear)
{
    if (!ear)
        return;
    mem_arena_free(ear->arena);
    kern_exec_free(ear->exec);
    pool_free(ear->pool);
    gguf_close(ear->file);
    mem_free(ear);
}

/* --- parts --- */

static void ear_linear(struct ear *ear, const struct kern_linear *l, const float *in, int n_row,
                       float *out, bool add)
{
    const struct kern_call c = {
        .in = in, .out = out, .n_row = n_row, .epilogue = add ? KERN_ADD : KERN_STORE};
    kern_linear_run(ear->exec, l, &c);
}

/* One step of n cells with gates [n, 4 size]: their states and outputs [n, size]. */
static void ear_cell(const float *gates, int n, int size, float *cell, float *out)
{
    for (int r = 0; r < n; r++)
        for (int i = 0; i < size; i++) {
            const float *g = gates + (size_t)r * 4 * (size_t)size + i;
            float *c = cell + (size_t)r * (size_t)size + i;
            float in = 1 / (1 + expf(-g[0])), keep = 1 / (1 + expf(-g[size]));
            *c = keep * *c + in * tanhf(g[2 * size]);
            out[(size_t)r * (size_t)size + i] = tanhf(*c) / (1 + expf(-g[3 * size]));
        }
}

/* --- speech --- */

/* Magnitudes [N_FRAME, N_BIN] of a window with what stands before it. */
static void ear_magnitudes(struct ear *ear, const float *samples, float *out)
{
    float in[CONTEXT + EAR_WINDOW + CONTEXT], parts[2 * N_BIN];
    memcpy(in, samples, (CONTEXT + EAR_WINDOW) * sizeof *in);
    for (int i = 0; i < CONTEXT; i++)
        in[CONTEXT + EAR_WINDOW + i] = in[CONTEXT + EAR_WINDOW - 2 - i];
    for (int t = 0; t < N_FRAME; t++) {
        ear_linear(ear, &ear->basis, in + t * STFT / 2, 1, parts, false);
        for (int k = 0; k < N_BIN; k++)
            out[t * N_BIN + k] = sqrtf(parts[k] * parts[k] + parts[N_BIN + k] * parts[N_BIN + k]);
    }
}

/* Convolutions of three taps with a row of zeros on both sides, each cut off below zero. */
static void ear_convolve(struct ear *ear, float *x, float *y)
{
    float rows[(N_FRAME + 2) * N_BIN];
    int n = N_FRAME;
    for (int i = 0; i < N_CONV; i++) {
        size_t width = (size_t)ear_convs[i].n_in;
        int n_out = (n - 1) / ear_convs[i].stride + 1;
        memset(rows, 0, sizeof rows);
        memcpy(rows + width, x, (size_t)n * width * sizeof *x);
        for (int t = 0; t < n_out; t++)
            ear_linear(ear, &ear->conv[i], rows + (size_t)(t * ear_convs[i].stride) * width, 1,
                       y + t * ear_convs[i].n_out, false);
        n = n_out;
        for (int k = 0; k < n * ear_convs[i].n_out; k++)
            x[k] = y[k] > 0 ? y[k] : 0;
    }
}

void ear_speech(struct ear *ear, const float *pcm, size_t n, float *p)
{
    float samples[CONTEXT + EAR_WINDOW], x[N_FRAME * N_BIN], y[N_FRAME * N_BIN];
    float gates[4 * N_STATE], cell[N_STATE] = {0}, out[N_STATE] = {0}, on[N_STATE];
    for (size_t i = 0; i < n / EAR_WINDOW; i++) {
        const float *at = pcm + i * EAR_WINDOW;
        memset(samples, 0, sizeof samples);
        if (i > 0)
            memcpy(samples, at - CONTEXT, CONTEXT * sizeof *samples);
        memcpy(samples + CONTEXT, at, EAR_WINDOW * sizeof *samples);
        ear_magnitudes(ear, samples, x);
        ear_convolve(ear, x, y);
        ear_linear(ear, &ear->in, x, 1, gates, false);
        ear_linear(ear, &ear->state, out, 1, gates, true);
        ear_cell(gates, 1, N_STATE, cell, out);
        for (int k = 0; k < N_STATE; k++)
            on[k] = out[k] > 0 ? out[k] : 0;
        float logit;
        ear_linear(ear, &ear->out, on, 1, &logit, false);
        p[i] = 1 / (1 + expf(-logit));
    }
}

/* --- speakers --- */

/* Mel spectra [n_frame, N_MEL] of sound at the level wanted. */
static void ear_mel(struct ear *ear, const float *pcm, size_t n, int n_frame, float *mel)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)pcm[i] * (double)pcm[i];
    float gain = (float)(pow(10, LEVEL_DB / 20) / (sqrt(sum / (double)(n ? n : 1)) + 1e-9));
    for (int t = 0; t < n_frame; t++) {
        float in[FFT], parts[2 * N_POWER], power[N_POWER];
        for (int i = 0; i < FFT; i++) { /* frames are centred */
            long at = (long)t * HOP + i - FFT / 2;
            in[i] = at >= 0 && (size_t)at < n ? gain * pcm[at] : 0;
        }
        ear_linear(ear, &ear->fft, in, 1, parts, false);
        for (int k = 0; k < N_POWER; k++)
            power[k] = (parts[k] * parts[k] + parts[N_POWER + k] * parts[N_POWER + k]) / MEL_UNIT;
        ear_linear(ear, &ear->mel, power, 1, mel + (size_t)t * N_MEL, false);
    }
}

/* x [n, N_STEP, width] through a layer, in place with N_CELL values a row; the last outputs in
 * out [n, N_CELL]. */
static void ear_layer(struct ear *ear, int i, float *x, int n, float *gates, float *out)
{
    float cell[EAR_PRINT_MAX * N_CELL] = {0}, step[EAR_PRINT_MAX * 4 * N_CELL];
    ear_linear(ear, &ear->cell_in[i], x, n * N_STEP, gates, false);
    memset(out, 0, (size_t)n * N_CELL * sizeof *out);
    for (int t = 0; t < N_STEP; t++) {
        for (int r = 0; r < n; r++)
            memcpy(step + (size_t)r * 4 * N_CELL,
                   gates + ((size_t)r * N_STEP + (size_t)t) * 4 * N_CELL,
                   4 * N_CELL * sizeof *step);
        ear_linear(ear, &ear->cell_state[i], out, n, step, true);
        ear_cell(step, n, N_CELL, cell, out);
        for (int r = 0; r < n; r++)
            memcpy(x + ((size_t)r * N_STEP + (size_t)t) * N_CELL, out + (size_t)r * N_CELL,
                   N_CELL * sizeof *x);
    }
}

static void ear_scale(float *v)
{
    double sum = 0;
    for (int i = 0; i < EAR_PRINT; i++)
        sum += (double)v[i] * (double)v[i];
    for (int i = 0; i < EAR_PRINT; i++)
        v[i] = sum > 0 ? (float)(v[i] / sqrt(sum)) : 0;
}

int ear_prints(struct ear *ear, const float *pcm, size_t n, float prints[][EAR_PRINT])
{
    int n_frame = (int)(n / HOP) + 1, n_all = n_frame < N_STEP ? 1 : (n_frame - N_STEP) / STEP + 1;
    int n_print = n_all < EAR_PRINT_MAX ? n_all : EAR_PRINT_MAX;
    size_t rows = (size_t)n_print * N_STEP;
    float *mel = mem_try((size_t)(n_frame + N_STEP) * N_MEL, sizeof *mel);
    float *x = mem_try(rows * N_CELL, sizeof *x),
          *gates = mem_try(rows * 4 * N_CELL, sizeof *gates);
    float out[EAR_PRINT_MAX * N_CELL];
    if (mel && x && gates) {
        ear_mel(ear, pcm, n, n_frame, mel);
        for (int i = 0; i < n_print; i++) {
            int window = n_print == 1 ? 0 : i * (n_all - 1) / (n_print - 1);
            memcpy(x + (size_t)i * N_STEP * N_MEL, mel + (size_t)(window * STEP) * N_MEL,
                   N_STEP * N_MEL * sizeof *x);
        }
        for (int i = 0; i < N_LAYER; i++)
            ear_layer(ear, i, x, n_print, gates, out);
        ear_linear(ear, &ear->print, out, n_print, prints[0], false);
    } else {
        n_print = 0;
    }
    for (int i = 0; i < n_print; i++) {
        for (int k = 0; k < EAR_PRINT; k++)
            prints[i][k] = prints[i][k] > 0 ? prints[i][k] : 0;
        ear_scale(prints[i]);
    }
    mem_free(mel);
    mem_free(x);
    mem_free(gates);
    return n_print;
}

void ear_mean(const float prints[][EAR_PRINT], int n, float mean[EAR_PRINT])
{
    for (int k = 0; k < EAR_PRINT; k++) {
        mean[k] = 0;
        for (int i = 0; i < n; i++)
            mean[k] += prints[i][k];
    }
    ear_scale(mean);
}

double ear_likeness(const float *a, const float *b)
{
    double dot = 0;
    for (int k = 0; k < EAR_PRINT; k++)
        dot += (double)a[k] * (double)b[k];
    return dot;
}
