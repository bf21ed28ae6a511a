/* golden.c - run the comparisons of one set: golden DIR [MODEL.gguf].
 *
 * The model defaults to DIR/model.gguf, as `jabbertts import DIR/checkpoint` makes it. */
#include "golden/golden.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIP     77
#define MAX_FILE (64 << 20)
#define ARENA    (4 << 20)
#define RELATIVE 1e-4

/* --- arrays ----------------------------------------------------------------------------------- */

static int fill(struct npy *a, const char *type, const char *data, size_t n_bytes)
{
    size_t size = (size_t)(type[2] - '0');
    if ((size != 1 && size != 2 && size != 4) || a->n * size > n_bytes)
        return -1;
    a->f = mem_alloc((a->n + 1) * sizeof *a->f);
    a->i = mem_alloc((a->n + 1) * sizeof *a->i);
    if (type[1] == 'f' && size == 4) {
        memcpy(a->f, data, a->n * sizeof *a->f);
        return 0;
    }
    for (size_t k = 0; k < a->n; k++) {
        int16_t half;
        memcpy(&half, data + k * size, size < 2 ? 1 : 2);
        if (size == 4)
            memcpy(&a->i[k], data + k * size, 4);
        else
            a->i[k] = size == 2 ? half : (signed char)data[k];
    }
    return type[1] == 'i' ? 0 : -1;
}

/* Version 1.0: 6 bytes of magic, version, 2 bytes of header length, then a Python dict. */
static int parse(struct npy *a, const char *file, size_t n)
{
    if (n < 12 || memcmp(file, "\x93NUMPY", 6))
        return -1;
    size_t header = 10 + (unsigned char)file[8] + 256 * (size_t)(unsigned char)file[9];
    const char *type = strstr(file + 10, "'descr': '"), *shape = strstr(file + 10, "'shape': (");
    if (header > n || !type || !shape)
        return -1;
    *a = (struct npy){.shape = {1, 1, 1, 1}, .n = 1};
    for (shape += strlen("'shape': ("); a->n_dim < 4 && *shape >= '0' && *shape <= '9';) {
        char *end;
        a->shape[a->n_dim] = (int)strtol(shape, &end, 10);
        a->n *= (size_t)a->shape[a->n_dim++];
        shape = end + strspn(end, ", ");
    }
    return fill(a, type + strlen("'descr': '"), file + header, n - header);
}

int golden_npy(struct golden *g, const char *name, struct npy *a)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/golden/%s.npy", g->dir, name);
    *a = (struct npy){0};
    char *file = mem_alloc(MAX_FILE + 1);
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(file, 1, MAX_FILE, f) : 0;
    if (f)
        fclose(f);
    int r = parse(a, file, n);
    mem_free(file);
    if (r < 0) {
        npy_done(a);
        golden_fail(g, path, "cannot be read");
    }
    return r;
}

void npy_done(struct npy *a)
{
    mem_free(a->f);
    mem_free(a->i);
    *a = (struct npy){0};
}

/* --- comparisons ------------------------------------------------------------------------------ */

void golden_fail(struct golden *g, const char *what, const char *why)
{
    g->n_check++;
    g->n_failed++;
    printf("FAIL %s: %s\n", what, why);
}

void golden_absolute(struct golden *g, const char *what, const float *got, const float *want,
                     size_t n, double tolerance)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst) && !isnan(worst))
            worst = d; /* a NaN is the worst, and stays */
    }
    bool ok = worst <= tolerance;
    g->n_check++;
    g->n_failed += !ok;
    printf("%s %s: off by %.2g, allowed %.2g\n", ok ? "ok  " : "FAIL", what, worst, tolerance);
}

void golden_relative(struct golden *g, const char *what, const float *got, const float *want,
                     size_t n)
{
    double peak = 0;
    for (size_t i = 0; i < n; i++)
        peak = fmax(peak, fabs((double)want[i]));
    golden_absolute(g, what, got, want, n, RELATIVE * peak);
}

/* --- program ---------------------------------------------------------------------------------- */

static int run(struct golden *g, const char *model, struct pool *pool, struct err *e)
{
    struct gguf *file = NULL;
    struct spec spec;
    struct mem_arena *arena = mem_arena_new(ARENA);
    struct codec_options o = {KERN_F32, true, true};
    int r = gguf_open(model, &file, e);
    if (r == 0)
        r = spec_read(file, &spec, e);
    if (r == 0)
        r = kern_exec_new(NULL, pool, &g->exec, e);
    if (r == 0)
        r = codec_load(file, &spec.codec, g->exec, &o, arena, &g->codec, e);
    if (r == 0)
        golden_codec(g);
    codec_free(g->codec);
    kern_exec_free(g->exec);
    mem_arena_free(arena);
    gguf_close(file);
    return r;
}

int main(int argc, char **argv)
{
    char model[1024];
    struct golden g = {.dir = argc > 1 ? argv[1] : "tests/golden/s1-nano"};
    struct pool *pool = NULL;
    struct err e = {0};
    snprintf(model, sizeof model, "%s%s", argc > 2 ? argv[2] : g.dir, argc > 2 ? "" : "/model.gguf");
    if (access(model, R_OK) != 0) {
        printf("no model %s\n", model);
        return SKIP;
    }
    int r = pool_new(0, &pool, &e);
    if (r == 0)
        r = run(&g, model, pool, &e);
    pool_free(pool);
    if (r < 0)
        printf("FAIL %s: %s\n", model, e.msg);
    printf("%d of %d comparisons failed\n", g.n_failed, g.n_check);
    return r < 0 || g.n_failed > 0;
}
