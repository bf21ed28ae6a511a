/* vnni_linear.h - int8 rows by VNNI's dot products; included by avx512.c and avxvnni.c behind
 * body.h.
 *
 * Weights are made unsigned by an offset (128, or q4_0's own 8), so every sum starts at
 * -offset * sum(x); it cannot overflow. */

INLINE void q_block(enum kern_type type, int R, const uint8_t *w, const struct q_row *x, size_t b,
                    float (*y)[KERN_PANEL])
{
    const vnni flip = vnni_set1_8(-128), low = vnni_set1_8(15);
    vnni acc[4][VNNI_PANEL];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
        for (int h = 0; h < VNNI_PANEL; h++)
            acc[r][h] = type == KERN_Q8_0 ? vnni_slli_32(vnni_set1_32(x[r].sum[b]), 4)
                                          : vnni_set1_32(x[r].sum[b]);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        const uint8_t *p = Q_CODES(w) + (type == KERN_Q8_0 ? g : g / 2) * 64;
        vnni v[VNNI_PANEL];
#pragma GCC unroll 2
        for (int h = 0; h < VNNI_PANEL; h++) {
            v[h] = vnni_load(p + h * 64 / VNNI_PANEL);
            if (type == KERN_Q8_0)
                v[h] = vnni_xor(v[h], flip);
            else
                v[h] = vnni_and(g % 2 ? vnni_srli_16(v[h], 4) : v[h], low);
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            int32_t four;
            memcpy(&four, x[r].q + b * KERN_BLOCK + g * 4, sizeof four);
            vnni in = vnni_set1_32(four);
#pragma GCC unroll 2
            for (int h = 0; h < VNNI_PANEL; h++)
                acc[r][h] = vnni_dpbusd(acc[r][h], v[h], in);
        }
    }
    v16 scale = from_f16((const uint16_t *)(const void *)w);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        v16i sums;
        memcpy(&sums, acc[r], sizeof sums);
        store(y[r], load(y[r]) + __builtin_convertvector(sums, v16) * (scale * x[r].scale[b]));
    }
}

/* Times q4_0's offset, so that a block's sum is where its products begin. */
INLINE int32_t block_sum(__m128i v)
{
    v = _mm_madd_epi16(v, _mm_set1_epi16(-8));
    v = _mm_hadd_epi32(v, v);
    return _mm_cvtsi128_si32(_mm_hadd_epi32(v, v));
}

#ifdef VNNI_PEAK /* where it is the fastest */
static size_t peak_vnni(size_t n)
{
    vnni acc[8], v = vnni_set1_8(1);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        acc[i] = vnni_set1_32(0);
    for (size_t i = 0; i < n; i++)
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            acc[k] = vnni_dpbusd(acc[k], v, v);
            vnni_keep(acc[k]);
        }
    return n * 8 * VNNI_BITS / 8;
}
#endif

#ifdef VNNI_ROWS /* where there are registers for the sums */
/* Five rows and more: their sums stay in registers from a panel's first block to its last, which
 * q_block's, for rows that wait for memory, do not.  Its operations in its order: an output has the
 * same bits in either. */
#define VNNI_GROUP ((size_t)256 << 10) /* bytes of panels */
#define VNNI_FEW   4                   /* rows that q_block takes */
#define VNNI_MOST  12 /* two registers of sums for each, and those of a mask, weights and input */

struct vnni_rows { /* inputs of a tile under one tap, equally far apart */
    const int8_t *q;
    const float *scale;
    const int32_t *sum;
    size_t apart; /* blocks from a row to the next */
};

/* y[r] += block b of a panel, which stands at w, times block b of R rows. */
INLINE void vnni_block(enum kern_type type, int R, const uint8_t *w, const struct vnni_rows *x,
                       size_t b, v16 *y)
{
    const vnni flip = vnni_set1_8(-128), low = vnni_set1_8(15);
    vnni acc[VNNI_MOST], v;
#pragma GCC unroll 12
    for (int r = 0; r < R; r++) {
        vnni sum = vnni_set1_32(x->sum[(size_t)r * x->apart + b]);
        acc[r] = type == KERN_Q8_0 ? vnni_slli_32(sum, 4) : sum;
    }
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        v = vnni_load(Q_CODES(w) + (type == KERN_Q8_0 ? g : g / 2) * 64);
        if (type == KERN_Q8_0)
            v = vnni_xor(v, flip);
        else
            v = vnni_and(g % 2 ? vnni_srli_16(v, 4) : v, low);
#pragma GCC unroll 12
        for (int r = 0; r < R; r++) {
            int32_t four;
            memcpy(&four, x->q + ((size_t)r * x->apart + b) * KERN_BLOCK + g * 4, sizeof four);
            acc[r] = vnni_dpbusd(acc[r], v, vnni_set1_32(four));
        }
    }
    v16 scale = from_f16((const uint16_t *)(const void *)w);
#pragma GCC unroll 12
    for (int r = 0; r < R; r++) {
        v16 f = scale * x->scale[(size_t)r * x->apart + b];
        y[r] += __builtin_convertvector((v16i)acc[r], v16) * f;
    }
}

INLINE void vnni_tile(enum kern_type type, int R, const struct kern_tile *t, int panel, int row)
{
    const struct kern_linear *l = t->l;
    size_t n_block = (size_t)l->n_in / KERN_BLOCK,
           block = KERN_PANEL * (type == KERN_Q8_0 ? 34 : 18);
    size_t stride = t->c->stride ? (size_t)t->c->stride : 1;
    size_t dilation = t->c->dilation ? (size_t)t->c->dilation : 1;
    const uint8_t *w = (const uint8_t *)l->packed +
                       (size_t)panel * kern_panel16.bytes(type, (size_t)l->n_in * (size_t)l->n_tap);
    v16 y[VNNI_MOST];
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
        y[r] = splat(0);
    for (size_t j = 0; j < (size_t)l->n_tap; j++) {
        size_t at = ((size_t)row * stride + j * dilation) * n_block;
        struct vnni_rows x = {t->x->q + at * KERN_BLOCK, t->x->scale + at, t->x->sum + at,
                              stride * n_block};
        for (size_t b = 0; b < n_block; b++, w += block) {
            if (row == t->row) {
#pragma GCC unroll 9
                for (size_t i = 0; i < block; i += 64)
                    __builtin_prefetch(w + Q_AHEAD + i);
            }
            vnni_block(type, R, w, &x, b, y);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
        put(t, panel, row + r, y[r]);
}

/* n rows, at most VNNI_MOST, of one panel. */
INLINE void vnni_rows(enum kern_type type, int n, const struct kern_tile *t, int panel, int row)
{
    switch (n) {
#define ROWS(n)                                                                                    \
    case n:                                                                                        \
        vnni_tile(type, n, t, panel, row);                                                         \
        break
        ROWS(3);
        ROWS(4);
        ROWS(5);
        ROWS(6);
        ROWS(7);
        ROWS(8);
        ROWS(9);
        ROWS(10);
        ROWS(11);
        ROWS(12);
#undef ROWS
    }
}

/* Panels that the second-level cache holds go by for one tile's rows after the other: those stay in
 * the first. */
INLINE void vnni_tiles(enum kern_type type, const struct kern_tile *t)
{
    size_t bytes = kern_panel16.bytes(type, (size_t)t->l->n_in * (size_t)t->l->n_tap);
    int n_tile = (t->n_row + VNNI_MOST - 1) / VNNI_MOST, row_end = t->row + t->n_row;
    int step = bytes < VNNI_GROUP ? (int)(VNNI_GROUP / bytes) : 1,
        panel_end = t->panel + t->n_panel;
    for (int p = t->panel; p < panel_end; p += step) {
        int end = p + step < panel_end ? p + step : panel_end;
        for (int i = n_tile, r = t->row; i > 0; i--) { /* of about the same height */
            int n = (row_end - r + i - 1) / i;
            for (int k = p; k < end; k++)
                vnni_rows(type, n, t, k, r);
            r += n;
        }
    }
}

static void linear_q_vnni(const struct kern_tile *t)
{
    if (t->n_row <= VNNI_FEW)
        op_linear_q(t);
    else if (t->l->type == KERN_Q8_0)
        vnni_tiles(KERN_Q8_0, t);
    else
        vnni_tiles(KERN_Q4_0, t);
}
#endif

#include "kernels/quantize_x86.h"
