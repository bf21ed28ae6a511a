/* conv8_avx2.c - conv8 in 16-bit multiplications (vpmaddwd): vpmaddubsw would saturate.
 *
 * A form makes a tile of outputs from sums of products ("points"): over the channels, and over the
 * groups of taps that a point has.
 *
 * DIRECT: an output is one point, its groups are the taps.
 *
 * The others are Winograd's (Arithmetic Complexity of Computations, 1980: Toom and Cook's products of
 * polynomials, transposed).  n outputs of a group of taps are made from n + taps - 1 points a, infinity
 * among them; with B[p] the coefficients of the product of (x - other points) and D_p its value at a_p:
 *     u_p = sum_k B[p][k] q[k],  w_p = sum_i a_p^i w[i] / D_p,  m_p = sum over channels of u_p w_p
 *     y_i = sum_p a_p^i m_p  (m_infinity only in the last)
 * in integers: where 1 / D_p is not one, all are made larger, and y is divided in the end.
 *
 * FIR4: convolutions of 5 to 8 taps and stride 1 make 4 outputs from two groups of 4 taps, each of the
 * points 0, 1, -1, 2, -2, 3 and infinity: 13 products in place of 28.
 *
 * TWO: convolutions of two taps make 4 outputs from the points 0, 1, -1, 2 and infinity: 5 products for 8.
 *
 * FIR16: the one inside the other.  The two groups of FIR4 are the two taps of TWO, four tiles of FIR4 its
 * outputs, five their inputs: 34 products in place of 112.
 *
 * 16 and 32 bits are enough: in FIR16 |u| is at most 40 * 6 * 127 and |w| at most 75 * 3 * 127, since the
 * weights are only made as much larger as that allows and sums by the rest.  Sums wrap.  What is divided
 * in the end is y times a power of 2 times an odd number, whose inverse modulo 2^32 it is multiplied with:
 * exact as long as y times that power fits, which limits taps * channels.
 *
 * With dilation d a tile's outputs are d rows apart; with n of them tile (b, f) of a piece begins at row
 * n b d + f, f < d.  FIR4's tile (b + 1, f) is d tiles on and holds the second group's inputs.  Inputs
 * past the piece count as zero: they meet only weights that are zero or outputs that are not wanted. */
#include <math.h>
#include <string.h>

#include "kernels/conv8_ops.h"
#include "kernels/x86.h"

#define INLINE static inline __attribute__((always_inline))
#define POINTS 7            /* of FIR4 */
#define OUTER 5             /* of TWO, which FIR16 has around those */
#define MAX_POINTS (OUTER * POINTS)
#define MAX_ROWS_IN (4 * (OUTER - 1) + POINTS)
#define ROWS 6              /* tile of the product: 6 rows x 16 outputs fill the registers */
#define BLOCK 36            /* units of a run task: their sums stay in L1 */
#define AHEAD 4096          /* bytes by which weights are fetched before they are needed */
#define TWO_MIN_ROWS 16     /* with fewer, reading weights takes the time, and TWO has more */

enum form { DIRECT, FIR4, TWO, FIR16 };

static int tile_outputs(enum form f)
{
    return f == DIRECT ? 1 : f == FIR16 ? 16 : 4;
}

/* Sums are made larger by an odd number and this power of 2. */
static int twos(enum form f)
{
    return f == DIRECT ? 0 : f == TWO ? 1 : f == FIR4 ? 3 : 4;
}

/* Whether the sums, made larger, fit 31 bits. */
static bool fits(enum form f, const struct conv8 *c)
{
    return c->n_in <= (INT32_MAX >> twos(f)) / (127 * 127) / c->n_tap;
}

/* Tiles of a piece in that form. */
static int tiles_in(enum form f, const struct conv8 *c)
{
    int step = tile_outputs(f) * c->dilation;
    return (c->n_row + step - 1) / step * c->dilation;
}

static enum form form_of(const struct conv8 *c)
{
    if (c->stride == 1 && c->n_tap == 2 && c->n_row >= TWO_MIN_ROWS &&
        tiles_in(TWO, c) * 5 < c->n_row * 2 && fits(TWO, c))
        return TWO;
    if (c->stride > 1 || c->n_tap < 5 || c->n_tap > 8 || !fits(FIR4, c))
        return DIRECT;
    return tiles_in(FIR16, c) * 34 < tiles_in(FIR4, c) * 13 && fits(FIR16, c) ? FIR16 : FIR4;
}

/* Points of a tile.  Without an eighth tap the last of FIR16 has no weight. */
static int points(enum form f, const struct conv8 *c)
{
    return f == DIRECT ? 1 : f == TWO ? OUTER : f == FIR4 ? POINTS : MAX_POINTS - (c->n_tap < 8);
}

/* Groups of taps of point p.  Without an eighth tap the last of FIR4 has no second one. */
static int groups(enum form f, const struct conv8 *c, int p)
{
    return f == DIRECT ? c->n_tap : f == FIR4 && (p < POINTS - 1 || c->n_tap == 8) ? 2 : 1;
}

static int all_groups(enum form f, const struct conv8 *c)
{
    int n = 0;
    for (int p = 0; p < points(f, c); p++)
        n += groups(f, c, p);
    return n;
}

/* Channels, padded to whole vectors of 16 bits. */
static size_t width(const struct conv8 *c)
{
    return ((size_t)c->n_in + 15) / 16 * 16;
}

/* --- weights ---------------------------------------------------------------------------------- */

static size_t panel_bytes(const struct conv8 *c)
{
    return (size_t)all_groups(form_of(c), c) * width(c) * CONV8_PANEL * sizeof(int16_t);
}

/* Weight of one of POINTS from the four taps of a group.  Those of infinity are made larger by half as much,
 * rows_of does the rest. */
static int point_weight(int p, const int w[4])
{
    static const int at[POINTS - 1] = {0, 1, -1, 2, -2, 3};
    static const int factor[POINTS - 1] = {-10, 10, 5, -5, -1, 1}; /* 120 / D_p */
    if (p == POINTS - 1)
        return 60 * w[3];
    return factor[p] * (((w[3] * at[p] + w[2]) * at[p] + w[1]) * at[p] + w[0]);
}

/* Weight of one of OUTER from two taps, not made larger. */
static int outer_weight(int p, int w0, int w1)
{
    static const int at[OUTER - 1] = {0, 1, -1, 2};
    return p == OUTER - 1 ? w1 : w0 + at[p] * w1;
}

/* Weight of group g of point p from an output's taps of one channel, zero past the last. */
static int group_weight(enum form f, int p, int g, const int w[8])
{
    int taps[4];
    if (f == FIR4)
        return point_weight(p, w + 4 * g);
    if (f == TWO)
        return outer_weight(p, w[0], w[1]);
    for (int j = 0; j < 4; j++)
        taps[j] = outer_weight(p / POINTS, w[j], w[4 + j]);
    return point_weight(p % POINTS, taps);
}

/* w [tap][in] of one output. */
static int16_t packed_weight(const struct conv8 *c, enum form f, int p, int g, const int8_t *w, size_t i)
{
    size_t n_in = (size_t)c->n_in;
    int tap[8] = {0};
    if (i >= n_in)
        return 0;
    if (f == DIRECT)
        return w[(size_t)g * n_in + i];
    for (size_t j = 0; j < (size_t)c->n_tap; j++)
        tap[j] = w[j * n_in + i];
    return (int16_t)group_weight(f, p, g, tap);
}

/* [point][group][channels / 2][16 outputs][2] */
static void pack(const struct conv8 *c, const int8_t *w, int n, void *panel)
{
    int16_t *to = panel;
    size_t k = (size_t)c->n_tap * (size_t)c->n_in;
    enum form f = form_of(c);
    for (int p = 0; p < points(f, c); p++)
        for (int g = 0; g < groups(f, c, p); g++)
            for (size_t i = 0; i < width(c); i += 2)
                for (int o = 0; o < CONV8_PANEL; o++, to += 2)
                    for (size_t b = 0; b < 2; b++)
                        to[b] = o < n ? packed_weight(c, f, p, g, w + (size_t)o * k, i + b) : 0;
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

/* Tiles whose input is prepared: FIR4 reads one more in each phase. */
static size_t all_tiles(const struct conv8_job *j)
{
    enum form f = form_of(j->c);
    return (size_t)j->call->n_piece *
           (size_t)(tiles_in(f, j->c) + (f == FIR4 ? j->c->dilation : 0));
}

/* Values from one point of all tiles to the next: an odd number of cache lines, so that a tile's points do
 * not push each other out of the cache. */
static size_t point_stride(const struct conv8_job *j)
{
    return (all_tiles(j) * width(j->c) + 63) / 64 * 64 + 32;
}

static size_t input_bytes(const struct conv8 *c, int n_piece)
{
    struct conv8_call call = {.n_piece = n_piece};
    struct conv8_job j = {.c = c, .call = &call};
    enum form f = form_of(c);
    size_t n = f == DIRECT ? (size_t)n_piece * (size_t)conv8_rows_in(c, c->n_row) * width(c)
                           : point_stride(&j) * (size_t)points(f, c);
    return n * sizeof(int16_t);
}

/* B q for 16 channels: the products with (x - 3) are shared. */
INLINE void points_of(const __m256i *q, __m256i u[POINTS])
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

/* The same for OUTER, of inputs x[0], x[apart], ... */
INLINE void outer_points_of(const __m256i *x, int apart, __m256i u[OUTER])
{
    __m256i x1 = x[apart], x2 = x[2 * apart], x3 = x[3 * apart];
    __m256i d31 = _mm256_sub_epi16(x3, x1), d32 = _mm256_sub_epi16(x3, x2);
    __m256i d12 = _mm256_slli_epi16(_mm256_sub_epi16(x1, x2), 1);
    u[0] = _mm256_add_epi16(d31, _mm256_slli_epi16(_mm256_sub_epi16(x[0], x2), 1));
    u[1] = _mm256_sub_epi16(d32, _mm256_slli_epi16(x1, 1));
    u[2] = _mm256_add_epi16(d32, d12);
    u[3] = d31;
    u[4] = _mm256_sub_epi16(_mm256_sub_epi16(x[4 * apart], x2),
                            _mm256_slli_epi16(d31, 1));
}

/* The points of one tile, of its inputs q. */
INLINE void tile_points_of(enum form f, const __m256i *q, __m256i u[MAX_POINTS])
{
    __m256i inner[OUTER * POINTS], outer[OUTER];
    if (f == FIR4)
        points_of(q, u);
    if (f == TWO)
        outer_points_of(q, 1, u);
    if (f != FIR16)
        return;
#pragma GCC unroll 5
    for (int i = 0; i < OUTER; i++)
        points_of(q + 4 * i, inner + i * POINTS);
#pragma GCC unroll 7
    for (int p = 0; p < POINTS; p++) {
        outer_points_of(inner + p, POINTS, outer);
#pragma GCC unroll 5
        for (int i = 0; i < OUTER; i++)
            u[i * POINTS + p] = outer[i];
    }
}

/* One tile of a form: its points, `apart` values from one to the next. */
INLINE void prepare_tile(enum form f, const struct conv8_job *j, int i_tile, size_t apart)
{
    const struct conv8 *c = j->c;
    int d = c->dilation, n = tiles_in(f, c) + (f == FIR4 ? d : 0), piece = i_tile / n, t = i_tile % n;
    int first = t / d * tile_outputs(f) * d + t % d, n_row = conv8_rows_in(c, c->n_row);
    int n_q = f == FIR16 ? MAX_ROWS_IN : f == FIR4 ? POINTS : OUTER, n_point = points(f, c);
    size_t n_in = (size_t)c->n_in, w = width(c);
    const float *in = j->call->in + conv8_piece(j, piece) * n_in;
    int16_t *out = (int16_t *)j->q + (size_t)i_tile * w;
    __m256 inverse = inverse_of(j->scale[piece]);
    for (size_t i = 0; i < w; i += 16) {
        __m256i q[MAX_ROWS_IN], u[MAX_POINTS];
        for (int k = 0; k < n_q; k++) {
            int row = first + k * d;
            q[k] = row < n_row ? quantize16(in + (size_t)row * n_in + i, n_in - i, inverse)
                               : _mm256_setzero_si256();
        }
        tile_points_of(f, q, u);
        for (int p = 0; p < n_point; p++)
            _mm256_storeu_si256((__m256i *)(void *)(out + (size_t)p * apart + i), u[p]);
    }
}

static void prepare_row(const struct conv8_job *j, int unit)
{
    const struct conv8 *c = j->c;
    int n = conv8_rows_in(c, j->c->n_row);
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
    if (form_of(j->c) != DIRECT)
        return (int)all_tiles(j);
    return j->call->n_piece * (j->c->n_tap == 1 ? j->c->n_row : conv8_rows_in(j->c, j->c->n_row));
}

static void prepare(const struct conv8_job *j, int unit, int unit_end)
{
    enum form f = form_of(j->c);
    size_t apart = f == DIRECT ? 0 : point_stride(j);
    for (; unit < unit_end; unit++)
        switch (f) {
        case DIRECT: prepare_row(j, unit); break;
        case FIR4: prepare_tile(FIR4, j, unit, apart); break;
        case TWO: prepare_tile(TWO, j, unit, apart); break;
        case FIR16: prepare_tile(FIR16, j, unit, apart); break;
        }
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
            __builtin_prefetch((const char *)w + AHEAD);
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

struct panel { __m256 scale[2], bias[2]; int first, n; }; /* 16 outputs or, at the end, n */

INLINE struct panel panel_of(const struct conv8 *c, int i_panel)
{
    int first = i_panel * CONV8_PANEL;
    struct panel p = {.first = first, .n = c->n_out - first};
    for (int h = 0; h < 2; h++) {
        p.scale[h] = _mm256_loadu_ps(c->scale + first + 8 * h);
        p.bias[h] = _mm256_loadu_ps(c->bias + first + 8 * h);
    }
    return p;
}

/* 16 sums to outputs of one row, whose inputs had that scale. */
INLINE void put(const struct conv8_job *j, int row, const struct panel *p, float in_scale, __m256i low,
                __m256i high)
{
    float part[16], *out = j->call->out + (size_t)row * (size_t)j->c->n_out + p->first, *to = out;
    if (p->n < 16) {
        memset(part, 0, sizeof part);
        memcpy(part, out, (size_t)p->n * sizeof *part);
        to = part;
    }
    for (int h = 0; h < 2; h++) {
        __m256 s = _mm256_mul_ps(_mm256_set1_ps(in_scale), p->scale[h]);
        __m256 y = _mm256_fmadd_ps(_mm256_cvtepi32_ps(h ? high : low), s, p->bias[h]);
        if (j->call->epilogue == KERN_ADD)
            y = _mm256_add_ps(_mm256_loadu_ps(to + 8 * h), y);
        _mm256_storeu_ps(to + 8 * h, y);
    }
    if (p->n < 16)
        memcpy(out, part, (size_t)p->n * sizeof *part);
}

INLINE void direct_tile(int R, const struct conv8_job *j, int row, int i_panel)
{
    const struct conv8 *c = j->c;
    const int16_t *in[ROWS];
    __m256i acc[ROWS][2];
    size_t w = width(c);
    for (int r = 0; r < R; r++) {
        size_t at = (size_t)(row + r);
        if (c->n_tap > 1)
            at = (size_t)((row + r) / j->c->n_row) *
                     (size_t)conv8_rows_in(c, j->c->n_row) +
                 (size_t)((row + r) % j->c->n_row) * (size_t)c->stride;
        in[r] = (const int16_t *)j->q + at * w;
    }
    product(R, in, (size_t)c->dilation * w, (size_t)c->n_tap, w,
            (const int16_t *)(const void *)((const char *)c->packed +
                                            (size_t)i_panel * panel_bytes(c)), acc);
    struct panel p = panel_of(c, i_panel);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        put(j, row + r, &p, conv8_in_scale(j, row + r), acc[r][0], acc[r][1]);
}

static void direct(const struct conv8_job *j, const struct conv8_range *range)
{
    for (int p = range->panel; p < range->panel_end; p++) {
        for (int r = range->unit; r < range->unit_end; r += ROWS)
            switch (range->unit_end - r) {
            case 1: direct_tile(1, j, r, p); break;
            case 2: direct_tile(2, j, r, p); break;
            case 3: direct_tile(3, j, r, p); break;
            case 4: direct_tile(4, j, r, p); break;
            case 5: direct_tile(5, j, r, p); break;
            default: direct_tile(ROWS, j, r, p);
            }
    }
}

/* --- tiles of several outputs ------------------------------------------------------------------ */

/* 6, 120 or 720 y to y. */
INLINE __m256i divide(enum form f, __m256i v)
{
    const uint32_t third = 0xaaaaaaabu, fifth = 0xcccccccdu; /* modulo 2^32 */
    uint32_t inverse = f == TWO ? third : f == FIR4 ? third * fifth : third * third * fifth;
    return _mm256_srai_epi32(_mm256_mullo_epi32(v, _mm256_set1_epi32((int)inverse)), twos(f));
}

INLINE __m256i times3(__m256i v)
{
    return _mm256_add_epi32(v, _mm256_slli_epi32(v, 1));
}

/* m [POINTS] of one tile and 8 outputs to the sums of its 4 rows, 120 times. */
INLINE void rows_of(const __m256i m[POINTS], __m256i y[4])
{
    __m256i s1 = _mm256_add_epi32(m[1], m[2]), d1 = _mm256_sub_epi32(m[1], m[2]);
    __m256i s2 = _mm256_add_epi32(m[3], m[4]);
    __m256i d2 = _mm256_slli_epi32(_mm256_sub_epi32(m[3], m[4]), 1);
    __m256i t3 = times3(m[5]), t9 = times3(t3), t27 = times3(t9);
    y[0] = _mm256_add_epi32(_mm256_add_epi32(m[0], s1), _mm256_add_epi32(s2, m[5]));
    y[1] = _mm256_add_epi32(_mm256_add_epi32(d1, d2), t3);
    y[2] = _mm256_add_epi32(_mm256_add_epi32(s1, _mm256_slli_epi32(s2, 2)), t9);
    y[3] = _mm256_add_epi32(_mm256_add_epi32(d1, _mm256_slli_epi32(d2, 2)),
                            _mm256_add_epi32(t27, _mm256_slli_epi32(m[6], 1)));
}

/* The same for OUTER, of m[0], m[apart], ..., 6 times. */
INLINE void outer_rows_of(const __m256i *m, int apart, __m256i y[4])
{
    __m256i t1 = times3(m[apart]), m2 = m[2 * apart], m3 = m[3 * apart], m4 = m[4 * apart];
    __m256i minus = _mm256_sub_epi32(m2, t1), plus = _mm256_add_epi32(m2, t1);
    y[0] = _mm256_add_epi32(_mm256_sub_epi32(m3, plus), times3(m[0]));
    y[1] = _mm256_add_epi32(_mm256_slli_epi32(m3, 1), minus);
    y[2] = _mm256_sub_epi32(_mm256_slli_epi32(m3, 2), plus);
    y[3] = _mm256_add_epi32(_mm256_add_epi32(_mm256_slli_epi32(m3, 3), minus),
                            _mm256_slli_epi32(times3(m4), 1));
}

/* The points m of a tile, 8 outputs wide, to the sums of its rows.  Without an eighth tap m's last is
 * zero. */
INLINE void tile_rows_of(enum form f, const __m256i m[MAX_POINTS], __m256i y[16])
{
    __m256i inner[4][POINTS], outer[4];
    if (f == FIR4)
        rows_of(m, y);
    if (f == TWO)
        outer_rows_of(m, 1, y);
    if (f == FIR16) {
#pragma GCC unroll 7
        for (int p = 0; p < POINTS; p++) {
            outer_rows_of(m + p, POINTS, outer);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                inner[i][p] = outer[i];
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            rows_of(inner[i], y + 4 * i);
    }
    for (int i = 0; i < tile_outputs(f); i++)
        y[i] = divide(f, y[i]);
}

INLINE void put_tile(enum form f, const struct conv8_job *j, int tile, const struct panel *p,
                     int32_t (*sum)[BLOCK][16], int at)
{
    int d = j->c->dilation, n = tiles_in(f, j->c), piece = tile / n, t = tile % n;
    int n_out = tile_outputs(f), first = t / d * n_out * d + t % d, n_point = points(f, j->c);
    float in_scale = j->scale[piece];
    __m256i y[2][16];
    for (int h = 0; h < 2; h++) {
        __m256i m[MAX_POINTS];
        m[MAX_POINTS - 1] = _mm256_setzero_si256();
        for (int k = 0; k < n_point; k++)
            m[k] = _mm256_loadu_si256((const __m256i *)(const void *)&sum[k][at][8 * h]);
        tile_rows_of(f, m, y[h]);
    }
    for (int i = 0; i < n_out && first + i * d < j->c->n_row; i++)
        put(j, piece * j->c->n_row + first + i * d, p, in_scale, y[0][i], y[1][i]);
}

struct point { const int16_t *u, *w; size_t n_group, skip; }; /* inputs and weights of one panel */

/* R tiles; each piece has `skip` tiles of input more than of output. */
INLINE void sum_tiles(int R, const struct conv8_job *j, int tile, const struct point *p,
                      int32_t (*sum)[16], int n)
{
    size_t wide = width(j->c);
    const int16_t *in[ROWS];
    __m256i acc[ROWS][2];
    for (int r = 0; r < R; r++) {
        size_t skipped = p->skip ? (size_t)((tile + r) / n) * p->skip : 0; /* a division takes long */
        in[r] = p->u + ((size_t)(tile + r) + skipped) * wide;
    }
    product(R, in, (size_t)j->c->dilation * wide, p->n_group, wide, p->w, acc);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        for (int h = 0; h < 2; h++)
            _mm256_storeu_si256((__m256i *)(void *)&sum[r][8 * h], acc[r][h]);
}

INLINE void tiles(enum form f, const struct conv8_job *j, const struct conv8_range *range)
{
    int32_t sum[MAX_POINTS][BLOCK][16];
    size_t wide = width(j->c), apart = point_stride(j);
    int n = tiles_in(f, j->c), n_point = points(f, j->c);
    for (int p = range->panel; p < range->panel_end; p++) {
        struct point at = {.u = j->q, .skip = f == FIR4 ? (size_t)j->c->dilation : 0};
        at.w = (const int16_t *)(const void *)((const char *)j->c->packed +
                                               (size_t)p * panel_bytes(j->c));
        for (int k = 0; k < n_point; k++, at.u += apart) {
            at.n_group = (size_t)groups(f, j->c, k);
            for (int t = range->unit; t < range->unit_end; t += ROWS) {
                int32_t (*to)[16] = &sum[k][t - range->unit];
                switch (range->unit_end - t) {
                case 1: sum_tiles(1, j, t, &at, to, n); break;
                case 2: sum_tiles(2, j, t, &at, to, n); break;
                case 3: sum_tiles(3, j, t, &at, to, n); break;
                case 4: sum_tiles(4, j, t, &at, to, n); break;
                case 5: sum_tiles(5, j, t, &at, to, n); break;
                default: sum_tiles(ROWS, j, t, &at, to, n);
                }
            }
            at.w += at.n_group * wide * CONV8_PANEL;
        }
        struct panel panel = panel_of(j->c, p);
        for (int t = range->unit; t < range->unit_end; t++)
            put_tile(f, j, t, &panel, sum, t - range->unit);
    }
}

static int n_run(const struct conv8_job *j)
{
    enum form f = form_of(j->c);
    return j->call->n_piece * (f == DIRECT ? j->c->n_row : tiles_in(f, j->c));
}

static void run(const struct conv8_job *j, const struct conv8_range *range)
{
    switch (form_of(j->c)) {
    case DIRECT: direct(j, range); break;
    case FIR4: tiles(FIR4, j, range); break;
    case TWO: tiles(TWO, j, range); break;
    case FIR16: tiles(FIR16, j, range); break;
    }
}

const struct conv8_ops conv8_ops_avx2 = {
    .isa = "avx2", .run_block = BLOCK, .panel_bytes = panel_bytes, .pack = pack,
    .input_bytes = input_bytes, .n_prepare = n_prepare, .prepare = prepare, .n_run = n_run,
    .run = run, .top = largest,
};
