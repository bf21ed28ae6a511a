/* conv8_avx2.c - conv8 in 16-bit multiplications (vpmaddwd): vpmaddubsw would saturate.
 *
 * Two forms.  Direct: bytes widened to 16 bits, weights [tap][channels / 2][16 outputs][2].
 *
 * Short-FIR: convolutions of 5 to 8 taps and stride 1 make 4 outputs from 7 points and two groups of 4
 * taps, 13 products in place of 28 (Winograd, Arithmetic Complexity of Computations, 1980; Toom-Cook
 * at 0, 1, -1, 2, -2, 3 and infinity).  Everything is in integers, so nothing is lost:
 *     u_p = sum_k B[p][k] q[k], |u| <= 40 * 127                  16 bits
 *     w_p,g = 120 / D_p * sum_i p^i w[4 g + i], |w| <= 120 * 127 16 bits
 *     m_p = sum over channels and g of w_p,g u_p(tile + g)       32 bits, wrapping
 *     120 y_i = sum_p p^i m_p (+ m_infinity for i = 3)           wrapping
 * where B[p] are the coefficients of the product of (x - other points), D_p its value at p.  8 y is
 * 120 y times 1/15 modulo 2^32, exact when |8 y| < 2^31, which limits taps * channels.
 *
 * With dilation d a tile is 4 outputs d apart; tile (b, f) of a piece begins at row 4 b d + f, f < d.
 * Tile (b + 1, f) is d tiles on and holds the second group's inputs.  Inputs past the piece count as
 * zero: they meet only weights that are zero or outputs that are not wanted. */
#include <math.h>
#include <string.h>

#include "kernels/conv8_ops.h"
#include "kernels/x86.h"

#define INLINE static inline __attribute__((always_inline))
#define POINTS 7
#define ROWS 6              /* tile of the product: 6 rows x 16 outputs fill the registers */
#define BLOCK 48            /* units of a run task: their sums stay in L1 */
#define FIR_MAX_TERMS 16643 /* terms of 127 * 127 * 8 that fit 31 bits */

static bool is_fir(const struct conv8 *c)
{
    return c->stride == 1 && c->n_tap >= 5 && c->n_tap <= 8 && c->n_in <= FIR_MAX_TERMS / c->n_tap;
}

/* Channels, padded to whole vectors of 16 bits. */
static size_t width(const struct conv8 *c)
{
    return ((size_t)c->n_in + 15) / 16 * 16;
}

/* --- weights ---------------------------------------------------------------------------------- */

/* Weights of an output: groups of `width` values; [point][2 groups of taps], the last of which is zero
 * and left out when there is no eighth tap. */
static size_t groups(const struct conv8 *c)
{
    return !is_fir(c) ? (size_t)c->n_tap : c->n_tap < 8 ? POINTS * 2 - 1 : POINTS * 2;
}

static size_t panel_bytes(const struct conv8 *c)
{
    return groups(c) * width(c) * CONV8_PANEL * sizeof(int16_t);
}

/* Weight of a point from the four taps of a group. */
static int point_weight(int p, const int w[4])
{
    static const int at[POINTS - 1] = {0, 1, -1, 2, -2, 3};
    static const int factor[POINTS - 1] = {-10, 10, 5, -5, -1, 1}; /* 120 / D_p */
    if (p == POINTS - 1)
        return 120 * w[3];
    return factor[p] * (((w[3] * at[p] + w[2]) * at[p] + w[1]) * at[p] + w[0]);
}

/* Weights in group g of output w [tap][in], channel i. */
static int group_weight(const struct conv8 *c, const int8_t *w, size_t g, size_t i)
{
    size_t n_in = (size_t)c->n_in, n_tap = (size_t)c->n_tap;
    if (i >= n_in)
        return 0;
    if (!is_fir(c))
        return w[g * n_in + i];
    int tap[4];
    for (size_t k = 0; k < 4; k++) {
        size_t j = g % 2 * 4 + k;
        tap[k] = j < n_tap ? w[j * n_in + i] : 0;
    }
    return point_weight((int)(g / 2), tap);
}

static void pack(const struct conv8 *c, const int8_t *w, int n, void *panel)
{
    int16_t *p = panel;
    size_t k = (size_t)c->n_tap * (size_t)c->n_in;
    for (size_t g = 0; g < groups(c); g++)
        for (size_t i = 0; i < width(c); i += 2)
            for (int o = 0; o < CONV8_PANEL; o++, p += 2)
                for (size_t b = 0; b < 2; b++)
                    p[b] = (int16_t)(o < n ? group_weight(c, w + (size_t)o * k, g, i + b) : 0);
}

/* --- input ------------------------------------------------------------------------------------ */

static float largest(const float *in, size_t n)
{
    const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 top = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        top = _mm256_max_ps(top, _mm256_and_ps(_mm256_loadu_ps(in + i), no_sign));
    float v[8], most = 0;
    _mm256_storeu_ps(v, top);
    for (int k = 0; k < 8; k++)
        most = v[k] > most ? v[k] : most;
    for (; i < n; i++)
        most = fabsf(in[i]) > most ? fabsf(in[i]) : most;
    return most;
}

/* 16 values at in, those past n zero; as 16-bit integers. */
INLINE __m256i quantize16(const float *in, size_t n, __m256 inverse)
{
    float part[16];
    if (n < 16) {
        memset(part, 0, sizeof part);
        memcpy(part, in, n * sizeof *part);
        in = part;
    }
    __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in), inverse));
    __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in + 8), inverse));
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}

static __m256 inverse_of(float scale)
{
    return _mm256_set1_ps(scale > 0 ? 1 / scale : 0);
}

/* Tiles of a piece, without the one more in each phase that the second group reads. */
static int piece_tiles(const struct conv8_job *j)
{
    int d = j->c->dilation;
    return (j->call->n_row + 4 * d - 1) / (4 * d) * d;
}

static size_t all_tiles(const struct conv8_job *j)
{
    return (size_t)j->call->n_piece * (size_t)(piece_tiles(j) + j->c->dilation);
}

static size_t input_bytes(const struct conv8 *c, int n_piece, int n_row)
{
    struct conv8_call call = {.n_piece = n_piece, .n_row = n_row};
    struct conv8_job j = {.c = c, .call = &call};
    size_t rows = is_fir(c) ? all_tiles(&j) * POINTS
                            : (size_t)n_piece * (size_t)conv8_rows_in(c, n_row);
    return rows * width(c) * sizeof(int16_t);
}

/* B q for 16 channels: the products with (x - 3) are shared. */
INLINE void points_of(const __m256i q[7], __m256i u[POINTS])
{
    const __m256i three = _mm256_set1_epi16(3), five = _mm256_set1_epi16(5);
    __m256i z[6];
    for (int k = 0; k < 6; k++)
        z[k] = _mm256_sub_epi16(q[k + 1], _mm256_mullo_epi16(q[k], three));
    __m256i e = _mm256_sub_epi16(z[4], _mm256_slli_epi16(z[2], 2));
    __m256i o = _mm256_sub_epi16(z[3], _mm256_slli_epi16(z[1], 2));
    __m256i f = _mm256_sub_epi16(z[4], z[2]);
    __m256i h = _mm256_slli_epi16(_mm256_sub_epi16(z[3], z[1]), 1);
#define QUARTIC(a, b, c) /* a x^4 - 5 b x^2 + 4 c */                                               \
    _mm256_add_epi16(_mm256_sub_epi16(a, _mm256_mullo_epi16(b, five)), _mm256_slli_epi16(c, 2))
    u[0] = QUARTIC(z[4], z[2], z[0]);
    u[1] = _mm256_add_epi16(e, o);
    u[2] = _mm256_sub_epi16(e, o);
    u[3] = _mm256_add_epi16(f, h);
    u[4] = _mm256_sub_epi16(f, h);
    u[5] = QUARTIC(q[5], q[3], q[1]);
    u[6] = QUARTIC(z[5], z[3], z[1]);
#undef QUARTIC
}

/* One tile: its points, `apart` values from one to the next. */
static void prepare_tile(const struct conv8_job *j, int i_tile, size_t apart)
{
    const struct conv8 *c = j->c;
    int d = c->dilation, n = piece_tiles(j) + d, piece = i_tile / n, t = i_tile % n;
    int first = t / d * 4 * d + t % d, n_row = conv8_rows_in(c, j->call->n_row);
    size_t n_in = (size_t)c->n_in, w = width(c);
    const float *in = j->call->in + conv8_piece(j, piece) * n_in;
    int16_t *out = (int16_t *)j->q + (size_t)i_tile * w;
    __m256 inverse = inverse_of(j->scale[piece]);
    for (size_t i = 0; i < w; i += 16) {
        __m256i q[7], u[POINTS];
        for (int k = 0; k < 7; k++) {
            int row = first + k * d;
            q[k] = row < n_row ? quantize16(in + (size_t)row * n_in + i, n_in - i, inverse)
                               : _mm256_setzero_si256();
        }
        points_of(q, u);
        for (int p = 0; p < POINTS; p++)
            _mm256_storeu_si256((__m256i *)(void *)(out + (size_t)p * apart + i), u[p]);
    }
}

static void prepare_row(const struct conv8_job *j, int unit)
{
    const struct conv8 *c = j->c;
    int n = conv8_rows_in(c, j->call->n_row);
    bool one = c->n_tap == 1;
    size_t row = one ? (size_t)unit * (size_t)c->stride
                     : conv8_piece(j, unit / n) + (size_t)(unit % n);
    size_t n_in = (size_t)c->n_in;
    const float *in = j->call->in + row * n_in;
    int16_t *out = (int16_t *)j->q + (size_t)unit * width(c);
    __m256 inverse = inverse_of(j->scale[one ? unit : unit / n]);
    for (size_t i = 0; i < n_in; i += 16)
        _mm256_storeu_si256((__m256i *)(void *)(out + i), quantize16(in + i, n_in - i, inverse));
}

static int n_prepare(const struct conv8_job *j)
{
    if (is_fir(j->c))
        return (int)all_tiles(j);
    return j->call->n_piece *
           (j->c->n_tap == 1 ? j->call->n_row : conv8_rows_in(j->c, j->call->n_row));
}

static void prepare(const struct conv8_job *j, int unit, int unit_end)
{
    size_t apart = is_fir(j->c) ? all_tiles(j) * width(j->c) : 0;
    for (; unit < unit_end; unit++)
        if (apart)
            prepare_tile(j, unit, apart);
        else
            prepare_row(j, unit);
}

/* --- products --------------------------------------------------------------------------------- */

/* acc [R][2] = R rows times a panel; n_group groups of n values, their inputs `step` apart. */
INLINE void product(int R, const int16_t *const *in, size_t step, size_t n_group, size_t n,
                    const int16_t *w, __m256i acc[ROWS][2])
{
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        acc[r][0] = acc[r][1] = _mm256_setzero_si256();
    for (size_t g = 0; g < n_group; g++)
#pragma GCC unroll 2
        for (size_t i = g * step; i < g * step + n; i += 2, w += 32) {
            __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)w);
            __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(w + 16));
#pragma GCC unroll 6
            for (int r = 0; r < R; r++) {
                int32_t two;
                memcpy(&two, in[r] + i, sizeof two);
                __m256i x = _mm256_set1_epi32(two);
                acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(x, low));
                acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(x, high));
            }
        }
}

/* 16 sums to outputs of one row. */
INLINE void put(const struct conv8_job *j, int row, int panel, __m256i low, __m256i high)
{
    const struct conv8 *c = j->c;
    int first = panel * CONV8_PANEL;
    int n = c->n_out - first < CONV8_PANEL ? c->n_out - first : CONV8_PANEL;
    __m256 scale = _mm256_set1_ps(conv8_in_scale(j, row));
    float part[16], *out = j->call->out + (size_t)row * (size_t)c->n_out + first, *to = out;
    if (n < 16) {
        memset(part, 0, sizeof part);
        memcpy(part, out, (size_t)n * sizeof *part);
        to = part;
    }
    for (int h = 0; h < 2; h++) {
        __m256 y = _mm256_cvtepi32_ps(h ? high : low);
        __m256 s = _mm256_mul_ps(scale, _mm256_loadu_ps(c->scale + first + 8 * h));
        y = _mm256_fmadd_ps(y, s, _mm256_loadu_ps(c->bias + first + 8 * h));
        if (j->call->epilogue == KERN_ADD)
            y = _mm256_add_ps(_mm256_loadu_ps(to + 8 * h), y);
        _mm256_storeu_ps(to + 8 * h, y);
    }
    if (n < 16)
        memcpy(out, part, (size_t)n * sizeof *part);
}

INLINE void direct_tile(int R, const struct conv8_job *j, int row, int panel)
{
    const struct conv8 *c = j->c;
    const int16_t *in[ROWS];
    __m256i acc[ROWS][2];
    size_t w = width(c);
    for (int r = 0; r < R; r++) {
        size_t at = (size_t)(row + r);
        if (c->n_tap > 1)
            at = (size_t)((row + r) / j->call->n_row) *
                     (size_t)conv8_rows_in(c, j->call->n_row) +
                 (size_t)((row + r) % j->call->n_row) * (size_t)c->stride;
        in[r] = (const int16_t *)j->q + at * w;
    }
    product(R, in, (size_t)c->dilation * w, (size_t)c->n_tap, w,
            (const int16_t *)(const void *)((const char *)c->packed +
                                            (size_t)panel * panel_bytes(c)), acc);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        put(j, row + r, panel, acc[r][0], acc[r][1]);
}

static void direct(const struct conv8_job *j, const struct conv8_range *range)
{
    for (int p = range->panel; p < range->panel_end; p++) {
        int r = range->unit;
        for (; r + ROWS <= range->unit_end; r += ROWS)
            direct_tile(ROWS, j, r, p);
        for (; r + 3 <= range->unit_end; r += 3)
            direct_tile(3, j, r, p);
        for (; r < range->unit_end; r++)
            direct_tile(1, j, r, p);
    }
}

/* --- short-FIR -------------------------------------------------------------------------------- */

/* 120 y to y. */
INLINE __m256i divide(__m256i v)
{
    return _mm256_srai_epi32(_mm256_mullo_epi32(v, _mm256_set1_epi32((int)4008636143u)), 3);
}

/* m [POINTS] of one tile and 8 outputs to the sums of its 4 rows. */
INLINE void rows_of(const __m256i m[POINTS], __m256i y[4])
{
    const __m256i three = _mm256_set1_epi32(3);
    __m256i s1 = _mm256_add_epi32(m[1], m[2]), d1 = _mm256_sub_epi32(m[1], m[2]);
    __m256i s2 = _mm256_add_epi32(m[3], m[4]);
    __m256i d2 = _mm256_slli_epi32(_mm256_sub_epi32(m[3], m[4]), 1);
    __m256i t3 = _mm256_mullo_epi32(m[5], three), t9 = _mm256_mullo_epi32(t3, three);
    __m256i t27 = _mm256_mullo_epi32(t9, three);
    y[0] = _mm256_add_epi32(_mm256_add_epi32(m[0], s1), _mm256_add_epi32(s2, m[5]));
    y[1] = _mm256_add_epi32(_mm256_add_epi32(d1, d2), t3);
    y[2] = _mm256_add_epi32(_mm256_add_epi32(s1, _mm256_slli_epi32(s2, 2)), t9);
    y[3] = _mm256_add_epi32(_mm256_add_epi32(d1, _mm256_slli_epi32(d2, 2)),
                            _mm256_add_epi32(t27, m[6]));
    for (int i = 0; i < 4; i++)
        y[i] = divide(y[i]);
}

static void fir_put(const struct conv8_job *j, int tile, int panel, int32_t (*sum)[BLOCK][16],
                    int at)
{
    int d = j->c->dilation, n = piece_tiles(j), piece = tile / n, t = tile % n;
    int first = t / d * 4 * d + t % d;
    __m256i y[2][4];
    for (int h = 0; h < 2; h++) {
        __m256i m[POINTS];
        for (int p = 0; p < POINTS; p++)
            m[p] = _mm256_loadu_si256((const __m256i *)(const void *)&sum[p][at][8 * h]);
        rows_of(m, y[h]);
    }
    for (int i = 0; i < 4; i++)
        if (first + i * d < j->call->n_row)
            put(j, piece * j->call->n_row + first + i * d, panel, y[0][i], y[1][i]);
}

struct point { const int16_t *u, *w; size_t n_group; }; /* inputs and weights of one panel */

INLINE void fir_tiles(int R, const struct conv8_job *j, int tile, const struct point *p,
                      int32_t (*sum)[16])
{
    int d = j->c->dilation, n = piece_tiles(j);
    size_t wide = width(j->c);
    const int16_t *in[ROWS];
    __m256i acc[ROWS][2];
    for (int r = 0; r < R; r++) /* each piece has d tiles more than outputs */
        in[r] = p->u + (size_t)(tile + r + (tile + r) / n * d) * wide;
    product(R, in, (size_t)d * wide, p->n_group, wide, p->w, acc);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        for (int h = 0; h < 2; h++)
            _mm256_storeu_si256((__m256i *)(void *)&sum[r][8 * h], acc[r][h]);
}

static void fir(const struct conv8_job *j, const struct conv8_range *range)
{
    int32_t sum[POINTS][BLOCK][16];
    size_t wide = width(j->c), apart = all_tiles(j) * wide;
    for (int p = range->panel; p < range->panel_end; p++) {
        const int16_t *w = (const int16_t *)(const void *)((const char *)j->c->packed +
                                                           (size_t)p * panel_bytes(j->c));
        for (size_t k = 0; k < POINTS; k++) {
            struct point at = {(const int16_t *)j->q + k * apart, w + 2 * k * wide * CONV8_PANEL,
                               k == POINTS - 1 && j->c->n_tap < 8 ? 1 : 2};
            int t = range->unit;
            for (; t + ROWS <= range->unit_end; t += ROWS)
                fir_tiles(ROWS, j, t, &at, &sum[k][t - range->unit]);
            for (; t + 3 <= range->unit_end; t += 3)
                fir_tiles(3, j, t, &at, &sum[k][t - range->unit]);
            for (; t < range->unit_end; t++)
                fir_tiles(1, j, t, &at, &sum[k][t - range->unit]);
        }
        for (int t = range->unit; t < range->unit_end; t++)
            fir_put(j, t, p, sum, t - range->unit);
    }
}

static int n_run(const struct conv8_job *j)
{
    return is_fir(j->c) ? j->call->n_piece * piece_tiles(j) : j->call->n_piece * j->call->n_row;
}

static void run(const struct conv8_job *j, const struct conv8_range *range)
{
    if (is_fir(j->c))
        fir(j, range);
    else
        direct(j, range);
}

const struct conv8_ops conv8_ops_avx2 = {
    .isa = "avx2", .run_block = BLOCK, .panel_bytes = panel_bytes, .pack = pack,
    .input_bytes = input_bytes, .n_prepare = n_prepare, .prepare = prepare, .n_run = n_run,
    .run = run, .top = largest,
};
