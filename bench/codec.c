/* codec.c - how fast a model's codec decodes and encodes, alone.
 *
 *     build/bench/codec MODEL [THREADS [FRAMES]]
 *
 * Decodes runs of 8 frames and of 1 frame, and encodes 10 s; with FRAMES decodes that many at a
 * time and does no more.  Prints wall time / audio time, best and median of the runs, and processor
 * time / audio time, which other jobs on the machine disturb less. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "model/codec.h"

#define MAX_RUN        64
#define ENCODE_SECONDS 10

struct setup {
    struct gguf *file;
    struct spec spec;
    struct pool *pool;
    struct kern_exec *exec;
    struct mem_arena *arena;
    struct codec *codec;
    struct codec_stream *stream;
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *what, double *wall, double *cpu, int n, double audio)
{
    qsort(wall, (size_t)n, sizeof *wall, by_value);
    qsort(cpu, (size_t)n, sizeof *cpu, by_value);
    printf("%-24s best %7.2f ms  RTF best %.4f median %.4f  processor best %.4f median %.4f\n",
           what, wall[0] * 1e3, wall[0] / audio, wall[n / 2] / audio, cpu[0] / audio,
           cpu[n / 2] / audio);
}

static void decode(struct setup *s, int n_frame, int n_run)
{
    int n_code = s->spec.codec.n_codebook * n_frame, hop = s->spec.codec.frame_samples;
    int32_t *codes = malloc((size_t)n_code * sizeof *codes);
    float *pcm = malloc((size_t)(hop * n_frame) * sizeof *pcm);
    double wall[MAX_RUN], cpu[MAX_RUN];
    char what[32];
    codec_stream_reset(s->stream);
    for (int i = -1; i < n_run; i++) { /* the first warms up */
        for (int k = 0; k < n_code; k++)
            codes[k] = rand() % 1024;
        double w = seconds(CLOCK_MONOTONIC), c = seconds(CLOCK_PROCESS_CPUTIME_ID);
        codec_decode(s->codec, s->stream, codes, n_frame, pcm, s->exec);
        if (i < 0)
            continue;
        wall[i] = seconds(CLOCK_MONOTONIC) - w;
        cpu[i] = seconds(CLOCK_PROCESS_CPUTIME_ID) - c;
    }
    snprintf(what, sizeof what, "decode, %d frames", n_frame);
    print(what, wall, cpu, n_run, (double)(hop * n_frame) / s->spec.codec.sample_rate);
    free(codes);
    free(pcm);
}

static void encode(struct setup *s, int n_run)
{
    size_t n = (size_t)(ENCODE_SECONDS * s->spec.codec.sample_rate);
    float *pcm = malloc(n * sizeof *pcm);
    int32_t *codes =
        malloc((size_t)(codec_n_frames(s->codec, n) * s->spec.codec.n_codebook) * sizeof *codes);
    double wall[MAX_RUN], cpu[MAX_RUN];
    struct err e = {0};
    for (size_t i = 0; i < n; i++)
        pcm[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (int i = 0; i < n_run; i++) {
        double w = seconds(CLOCK_MONOTONIC), c = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (codec_encode(s->codec, pcm, n, codes, s->exec, &e) < 0)
            printf("encode: %s\n", e.msg);
        wall[i] = seconds(CLOCK_MONOTONIC) - w;
        cpu[i] = seconds(CLOCK_PROCESS_CPUTIME_ID) - c;
    }
    print("encode, 10 s", wall, cpu, n_run, ENCODE_SECONDS);
    free(pcm);
    free(codes);
}

static int set_up(struct setup *s, const char *path, int n_thread, struct err *e)
{
    struct codec_options o = {true, true};
    int rc;
    s->arena = mem_arena_new((size_t)64 << 20);
    if ((rc = gguf_open(path, &s->file, e)) < 0 || (rc = spec_read(s->file, &s->spec, e)) < 0 ||
        (rc = pool_new(n_thread, &s->pool, e)) < 0 ||
        (rc = kern_exec_new(NULL, s->pool, &s->exec, e)) < 0)
        return rc;
    struct load from = {s->file, "", s->exec, KERN_AS_STORED, s->arena};
    if ((rc = codec_load(&from, &s->spec.codec, &o, &s->codec, e)) < 0)
        return rc;
    return codec_stream_new(s->codec, &s->stream, e);
}

int main(int argc, char **argv)
{
    struct setup s = {0};
    struct err e = {0};
    struct rusage usage;
    int n_thread = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    int n_frame = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || set_up(&s, argv[1], n_thread, &e) < 0) {
        fprintf(stderr, "usage: codec MODEL [THREADS [FRAMES]]: %s\n", e.msg);
        return 1;
    }
    printf("%s, %d threads, %s\n", argv[1], pool_threads(s.pool), kern_exec_isa(s.exec));
    if (n_frame > 0) {
        decode(&s, n_frame, 12);
    } else {
        decode(&s, 8, 12);
        decode(&s, 1, 24);
        if (s.spec.codec.has_encoder)
            encode(&s, 2);
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("peak memory %.0f MB\n", (double)usage.ru_maxrss / 1024);
    return 0;
}
