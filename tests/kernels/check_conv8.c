/* check_conv8.c - 8-bit convolutions against the formula of conv8.h in plain C: odd sizes, and
 * numbers that would saturate or overflow narrower sums.  The integer sums are exact, so only the
 * last float operations may differ; pieces together, pieces alone and any number of threads give
 * the same bits. */
#include <math.h>
#include <string.h>

#include "kernels/check.h"
#include "kernels/conv8.h"

enum { ORDINARY, EXTREME, ALTERNATING, SILENT, N_KIND };

struct conv8_case {
    int n_out, n_in, n_tap, stride, dilation, n_piece, n_row, kind;
    enum kern_epilogue epilogue;
    float *w, *bias, *in, *start;
    const float *raw; /* of the call, as slopes is */
    const struct kern_slopes *slopes;
};

static size_t rows_in(const struct conv8_case *c, int n_row)
{
    return (size_t)((n_row - 1) * c->stride + (c->n_tap - 1) * c->dilation + 1);
}

/* EXTREME: all sums as large as they can be; ALTERNATING: their signs change from row to row. */
static float number(const struct conv8_case *c, float ordinary, size_t row)
{
    if (c->kind == SILENT)
        return 0;
    if (c->kind == ORDINARY)
        return ordinary;
    return c->kind == ALTERNATING && row % 2 ? -1 : 1;
}

static void quantize_rows(const float *v, size_t n, size_t n_row, float *scale, int8_t *q)
{
    float top = 0;
    for (size_t i = 0; i < n * n_row; i++)
        top = fmaxf(top, fabsf(v[i]));
    *scale = top < 1e-30f ? 0 : top / 127;
    for (size_t i = 0; i < n * n_row; i++)
        q[i] = (int8_t)(*scale > 0 ? lrintf(v[i] * (1 / *scale)) : 0);
}

/* One row of the output, from the input rows that share its scale. */
static bool row_ok(const struct conv8_case *c, const int8_t *q, float in_scale, const float *start,
                   const float *got)
{
    size_t k = (size_t)c->n_tap * (size_t)c->n_in;
    int8_t *w = mem_alloc(k);
    bool ok = true;
    for (size_t o = 0; o < (size_t)c->n_out; o++) {
        float w_scale;
        int64_t sum = 0;
        quantize_rows(c->w + o * k, k, 1, &w_scale, w);
        for (size_t j = 0; j < (size_t)c->n_tap; j++)
            for (size_t i = 0; i < (size_t)c->n_in; i++)
                sum +=
                    w[j * (size_t)c->n_in + i] * q[j * (size_t)c->dilation * (size_t)c->n_in + i];
        double bias = c->bias ? (double)c->bias[o] : 0;
        double y = (double)sum * ((double)in_scale * (double)w_scale);
        double old = c->epilogue == KERN_ADD ? (double)start[o] : 0;
        double size = fabs(y) + fabs(bias) + fabs(old);
        ok = ok && fabs((double)got[o] - (y + bias + old)) <= 4e-7 * size + 1e-30;
    }
    mem_free(w);
    return ok;
}

static bool all_ok(const struct conv8_case *c, const float *got)
{
    size_t n_in = (size_t)c->n_in, n_out = (size_t)c->n_out, n = rows_in(c, c->n_row);
    int8_t *q = mem_alloc(n * n_in);
    float scale;
    bool ok = true;
    for (int p = 0; p < c->n_piece; p++) {
        const float *in = c->in + (size_t)(p * c->n_row * c->stride) * n_in;
        quantize_rows(in, n_in, n, &scale, q);
        for (int r = 0; r < c->n_row; r++) {
            size_t at = (size_t)(p * c->n_row + r) * n_out, row = (size_t)(r * c->stride) * n_in;
            if (c->n_tap == 1)
                quantize_rows(in + row, n_in, 1, &scale, q + row);
            ok = ok && row_ok(c, q + row, scale, c->start + at, got + at);
        }
    }
    mem_free(q);
    return ok;
}

/* n_piece of the case's pieces in one call. */
static void run_pieces(const struct conv8_case *c, const struct conv8 *conv, int i_exec, int piece,
                       int n_piece, float *out)
{
    size_t at = (size_t)(piece * c->n_row);
    char *work = mem_alloc(conv8_work_bytes(conv, n_piece) + 64);
    struct conv8_call call = {.in = c->in + at * (size_t)c->stride * (size_t)c->n_in,
                              .out = out + at * (size_t)c->n_out,
                              .work = work + (64 - (uintptr_t)work % 64) % 64,
                              .n_piece = n_piece,
                              .epilogue = c->epilogue,
                              .raw = c->raw,
                              .slopes = c->slopes};
    conv8_run(execs[i_exec], conv, &call);
    mem_free(work);
}

static void compare(const struct conv8_case *c, const struct conv8 *conv)
{
    size_t bytes = (size_t)(c->n_piece * c->n_row) * (size_t)c->n_out * sizeof(float);
    float *first = mem_alloc(bytes), *other = mem_alloc(bytes);
    memcpy(first, c->start, bytes);
    run_pieces(c, conv, 0, 0, c->n_piece, first);
    report(all_ok(c, first), "conv8", c->n_in * c->n_tap, c->n_out);
    for (int i = 1; i < N_POOL; i++) {
        memcpy(other, c->start, bytes);
        run_pieces(c, conv, i, 0, c->n_piece, other);
        report(!memcmp(first, other, bytes), "conv8, more threads", c->n_in, c->n_out);
    }
    memcpy(other, c->start, bytes);
    for (int p = 0; p < c->n_piece; p++)
        run_pieces(c, conv, p % N_POOL, p, 1, other);
    report(!memcmp(first, other, bytes), "conv8, pieces alone", c->n_in, c->n_out);
    mem_free(first);
    mem_free(other);
}

/* Rows that conv8 makes of raw ones, against rows that kern_snake made before. */
static void compare_raw(const struct conv8_case *c, const struct conv8 *conv)
{
    size_t n_in = (size_t)c->n_in, n_new = (size_t)(c->n_piece * c->n_row * c->stride);
    size_t n = rows_in(c, c->n_piece * c->n_row) * n_in, n_old = n - n_new * n_in;
    size_t n_out = (size_t)(c->n_piece * c->n_row) * (size_t)c->n_out;
    float *alpha = numbers(n_in, 1), *inv = numbers(n_in, 1), *in = mem_alloc(n * sizeof *in);
    float *want = mem_alloc(n_out * sizeof *want), *got = mem_alloc(n_out * sizeof *got);
    struct kern_slopes slopes = {alpha, inv, c->n_in};
    struct conv8_case made = *c;
    made.in = in;
    memcpy(in, c->in, n * sizeof *in);
    kern_snake(execs[0], &slopes, c->in + n_old, (int)n_new, in + n_old);
    memcpy(want, c->start, n_out * sizeof *want);
    run_pieces(&made, conv, 0, 0, c->n_piece, want);
    for (int i = 0; i < 2 * N_POOL; i++) { /* from elsewhere, and in place */
        memcpy(in, c->in, (i % 2 ? n : n_old) * sizeof *in);
        memcpy(got, c->start, n_out * sizeof *got);
        made.raw = i % 2 ? in + n_old : c->in + n_old;
        made.slopes = &slopes;
        run_pieces(&made, conv, i / 2, 0, c->n_piece, got);
        report(!memcmp(want, got, n_out * sizeof *got), "conv8 of raw rows", c->n_in, c->n_out);
    }
    mem_free(alpha);
    mem_free(inv);
    mem_free(in);
    mem_free(want);
    mem_free(got);
}

static void check_case(struct conv8_case c)
{
    size_t k = (size_t)c.n_in * (size_t)c.n_tap, n_in = (size_t)c.n_in;
    size_t n_w = k * (size_t)c.n_out, n = rows_in(&c, c.n_piece * c.n_row) * n_in;
    struct mem_arena *arena = mem_arena_new(1 << 20);
    struct conv8 conv;
    struct err e = {0};
    c.w = numbers(n_w, 0.3f);
    c.in = numbers(n, 3);
    c.start = numbers((size_t)(c.n_piece * c.n_row) * (size_t)c.n_out, 1);
    c.bias = c.kind == EXTREME ? NULL : numbers((size_t)c.n_out, 1);
    for (size_t i = 0; i < n_w; i++)
        c.w[i] = number(&c, c.w[i], c.kind == ALTERNATING ? i % k / n_in : 0);
    for (size_t i = 0; i < n; i++)
        c.in[i] = number(&c, c.in[i], i / n_in / (size_t)c.dilation);
    struct kern_source source = {.n_out = c.n_out,
                                 .n_in = c.n_in,
                                 .n_tap = c.n_tap,
                                 .type = KERN_F32,
                                 .rows = c.w,
                                 .bias = c.bias};
    struct conv8_shape shape = {c.stride, c.dilation, c.n_row};
    int rc = conv8_init(&conv, execs[0], &source, &shape, arena, &e);
    report(rc == 0, "conv8_init", c.n_in, c.n_out);
    if (rc == 0)
        compare(&c, &conv);
    if (rc == 0 && c.kind == ORDINARY && c.stride <= c.n_tap)
        compare_raw(&c, &conv);
    mem_free(c.w);
    mem_free(c.in);
    mem_free(c.start);
    mem_free(c.bias);
    mem_arena_free(arena);
}

void check_conv8(void)
{
    static const int sizes[] = {1, 3, 4, 15, 16, 17, 32, 48, 65};
    static const int rows[] = {1, 2, 3, 4, 5, 7, 8, 12, 33, 60};
    for (int i = 0; i < 120; i++) {
        bool strided = rng() % 4 == 0;
        check_case((struct conv8_case){.n_out = sizes[rng() % LEN(sizes)],
                                       .n_in = sizes[rng() % LEN(sizes)],
                                       .n_tap = (int)(rng() % 9) + 1,
                                       .stride = strided ? (int)(rng() % 3) + 2 : 1,
                                       .dilation = strided ? 1 : (int)(rng() % 9) + 1,
                                       .n_piece = (int)(rng() % 4) + 1,
                                       .n_row = rows[rng() % LEN(rows)],
                                       .kind = i % N_KIND,
                                       .epilogue = i % 3 ? KERN_STORE : KERN_ADD});
    }
    /* The largest sums: the limits of the forms, and just past them; long pieces and dilations. */
    static const struct {
        int n_in, n_tap, n_row;
    } limits[] = {{2377, 7, 5},   {2378, 7, 5},   {1188, 7, 32},  {1189, 7, 32}, {1188, 7, 128},
                  {1189, 7, 128}, {33286, 2, 16}, {33287, 2, 16}, {44381, 3, 2}};
    for (int kind = EXTREME; kind <= ALTERNATING; kind++)
        for (size_t i = 0; i < LEN(limits); i++)
            check_case((struct conv8_case){.n_out = 1,
                                           .n_in = limits[i].n_in,
                                           .n_tap = limits[i].n_tap,
                                           .stride = 1,
                                           .dilation = 1,
                                           .n_piece = 1,
                                           .n_row = limits[i].n_row,
                                           .kind = kind});
    for (int dilation = 1; dilation <= 9; dilation *= 3)
        for (int n_tap = 5; n_tap <= 8; n_tap++)
            check_case((struct conv8_case){.n_out = 48,
                                           .n_in = 33,
                                           .n_tap = n_tap,
                                           .stride = 1,
                                           .dilation = dilation,
                                           .n_piece = 2,
                                           .n_row = 160,
                                           .kind = ORDINARY});
    report(conv8_fits(44381, 3) && !conv8_fits(44382, 3), "conv8_fits", 44381, 3);
}
