/* golden.c - run the comparisons of one set: golden DIR [--isa NAME].
 *
 * DIR/checkpoint is imported as any user's would be.  Comparisons whose file the set lacks, and its
 * manifest does not list, are left out.  A line per item: name, instruction set, worst
 * error (relative to the peak, absolute for waveforms and probabilities, wrong ones for integers),
 * what is allowed, verdict. */
#include "golden/golden.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE (64 << 20)
#define ARENA    (4 << 20)
#define RELATIVE 1e-4

/* --- arrays ----------------------------------------------------------------------------------- */

static int fill(struct npy *a, const char *type, const char *data, size_t n_bytes)
{
    size_t size = (size_t)(type[2] - '0');
    if ((size != 1 && size != 2 && size != 4 && size != 8) || a->n * size > n_bytes)
        return -1;
    a->f = mem_alloc((a->n + 1) * sizeof *a->f);
    a->i = mem_alloc((a->n + 1) * sizeof *a->i);
    if (type[1] == 'f' && size == 4) {
        memcpy(a->f, data, a->n * sizeof *a->f);
        return 0;
    }
    for (size_t k = 0; k < a->n; k++) {
        int16_t half = 0;
        int64_t wide = 0;
        double number = 0;
        if (size == 4)
            memcpy(&a->i[k], data + k * size, 4);
        else if (size == 2)
            memcpy(&half, data + k * size, 2);
        else if (size == 8 && type[1] == 'f')
            memcpy(&number, data + k * size, 8);
        else if (size == 8)
            memcpy(&wide, data + k * size, 8);
        if (size == 8) {
            a->f[k] = (float)number;
            a->i[k] = (int32_t)wide;
        } else if (size < 4)
            a->i[k] = size == 2        ? half
                      : type[1] == 'u' ? (unsigned char)data[k]
                                       : (signed char)data[k];
    }
    return type[1] == 'i' || type[1] == 'u' || size == 8 ? 0 : -1;
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

static json_t *listed(const struct golden *g, const char *name)
{
    char file[128];
    size_t i;
    json_t *f;
    snprintf(file, sizeof file, "%s.npy", name);
    json_array_foreach(json_object_get(g->manifest, "files"), i, f)
    {
        const char *s = json_string_value(json_object_get(f, "file"));
        if (s && !strcmp(s, file))
            return f;
    }
    return NULL;
}

float golden_number(const struct golden *g, const char *name, const char *word, float fallback)
{
    const char *how = json_string_value(json_object_get(listed(g, name), "how"));
    const char *at = how ? strstr(how, word) : NULL;
    char *end;
    float v = at ? strtof(at + strlen(word), &end) : fallback;
    return at && end > at + strlen(word) ? v : fallback;
}

int golden_npy(struct golden *g, const char *name, struct npy *a)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/golden/%s.npy", g->dir, name);
    *a = (struct npy){0};
    FILE *f = fopen(path, "rb");
    if (!f && !listed(g, name))
        return -1;
    char *file = mem_alloc(MAX_FILE + 1);
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

static void report(struct golden *g, const char *what, double worst, double allowed)
{
    bool ok = worst <= allowed;
    g->n_check++;
    g->n_failed += !ok;
    printf("%-26s %-8s %10.2e %10.1e  %s\n", what, kern_exec_isa(g->exec), worst, allowed,
           ok ? "ok" : "FAIL");
}

static double distance(const float *got, const float *want, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst) && !isnan(worst))
            worst = d; /* a NaN is the worst, and stays */
    }
    return worst;
}

void golden_absolute(struct golden *g, const char *what, const float *got, const float *want,
                     size_t n, double tolerance)
{
    report(g, what, distance(got, want, n), tolerance);
}

void golden_relative(struct golden *g, const char *what, const float *got, const float *want,
                     size_t n)
{
    double peak = 0;
    for (size_t i = 0; i < n; i++)
        peak = fmax(peak, fabs((double)want[i]));
    report(g, what, distance(got, want, n) / (peak > 0 ? peak : 1), RELATIVE);
}

void golden_exact(struct golden *g, const char *what, const int32_t *got, const int32_t *want,
                  size_t n)
{
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++)
        wrong += got[i] != want[i];
    report(g, what, (double)wrong, 0);
}

/* --- program ---------------------------------------------------------------------------------- */

static int run(struct golden *g, const char *path, const char *isa, struct pool *pool,
               struct err *e)
{
    struct mem_arena *arena = mem_arena_new(ARENA);
    struct codec_options codec = {true, true};
    struct lm_options lm = {.full_head = true, .max_row = 2048};
    int r = kern_exec_new(isa, pool, &g->exec, e);
    if (r == 0)
        r = gguf_open(path, &g->file, e);
    if (r == 0)
        r = spec_read(g->file, &g->spec, e);
    if (r == 0)
        r = tokenizer_from_gguf(g->file, &g->tokenizer, e);
    struct load from = {g->file, "", g->exec, KERN_F32, arena};
    if (r == 0)
        r = lm_load(&from, &g->spec.lm, &lm, &g->lm, e);
    if (r == 0)
        r = codec_load(&from, &g->spec.codec, &codec, &g->codec, e);
    if (r == 0)
        golden_lm(g);
    if (r == 0)
        golden_codec(g);
    lm_free(g->lm);
    tokenizer_free(g->tokenizer);
    gguf_close(g->file);
    kern_exec_free(g->exec);
    mem_arena_free(arena);
    return r;
}

static int convert(const char *dir, char *path, size_t n, struct err *e)
{
    char checkpoint[1024];
    const char *tmp = getenv("TMPDIR");
    struct import_options o = {
        .directory = checkpoint, .output = path, .type = KERN_F32, .sampling = {-1, -1, -1}};
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", dir);
    snprintf(path, n, "%s/golden-%ld.gguf", tmp ? tmp : "/tmp", (long)getpid());
    return import_convert(&o, e);
}

int main(int argc, char **argv)
{
    char path[1024];
    const char *dir = argc > 1 ? argv[1] : "tests/golden/s1-nano", *isa;
    const char *only = argc > 3 && !strcmp(argv[2], "--isa") ? argv[3] : NULL;
    struct pool *pool = NULL;
    struct err e = {0};
    int n_check = 0, n_failed = 0, r = pool_new(0, &pool, &e);
    snprintf(path, sizeof path, "%s/golden/manifest.json", dir);
    json_t *manifest = json_load_file(path, 0, NULL);
    if (r == 0)
        r = convert(dir, path, sizeof path, &e);
    for (int i = 0; r == 0 && (isa = kern_isa_name(i)); i++) {
        struct golden g = {.dir = dir, .manifest = manifest};
        if (only && strcmp(only, isa))
            continue;
        r = run(&g, path, isa, pool, &e);
        n_check += g.n_check;
        n_failed += g.n_failed;
    }
    remove(path);
    pool_free(pool);
    json_decref(manifest);
    if (r < 0 || n_check == 0) {
        printf("FAIL %s: %s\n", dir, r < 0 ? e.msg : "nothing to compare");
        n_check++;
        n_failed++;
    }
    printf("%d passed, %d failed\n", n_check - n_failed, n_failed);
    return n_failed > 0;
}
