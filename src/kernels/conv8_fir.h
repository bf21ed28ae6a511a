/* conv8_fir.h - conv8 with fewer products, in 16 bits: several outputs at a time.  Included by the
 * x86 files, which name FIR_ISA and FIR_OPS and bring
 *     FIR_ROWS                            tiles whose sums are taken together
 *     enum form form_of(conv8)            below; NONE where it does not pay
 *     void fir_sums(in, n, shape, w, sum) sum [n][16] of n <= FIR_ROWS rows of input, a panel of w
 *
 * A form makes a tile of outputs from sums of products ("points"): over the channels, and over the
 * groups of taps that a point has.  The forms are Winograd's (Arithmetic Complexity of
 * Computations, 1980: Toom and Cook's products of polynomials, transposed).  n outputs of a group
 * of taps are made from n + taps - 1 points a, infinity among them; with B[p] the coefficients of
 * the product of (x - other points) and D_p its value at a_p:
 *     u_p = sum_k B[p][k] q[k],  w_p = sum_i a_p^i w[i] / D_p,  m_p = sum over channels of u_p w_p
 *     y_i = sum_p a_p^i m_p  (m_infinity only in the last)
 * in integers: where 1 / D_p is not one, all are made larger, and y is divided in the end.
 *
 * FIR4: convolutions of 5 to 8 taps and stride 1 make 4 outputs from two groups of 4 taps, each of
 * the points 0, 1, -1, 2, -2, 3 and infinity: 13 products in place of 28.
 *
 * TWO: convolutions of two taps make 4 outputs from the points 0, 1, -1, 2 and infinity: 5 products
 * for 8.
 *
 * FIR16: the one inside the other.  The two groups of FIR4 are the two taps of TWO, four tiles of
 * FIR4 its outputs, five their inputs: 34 products in place of 112.
 *
 * 16 and 32 bits are enough: in FIR16 |u| is at most 40 * 6 * 127 and |w| at most 75 * 3 * 127,
 * since the weights are only made as much larger as that allows and sums by the rest.  Sums wrap.
 * What is divided in the end is y times a power of 2 times an odd number, whose inverse modulo 2^32
 * it is multiplied with: exact as long as y times that power fits, which limits taps * channels.
 *
 * With dilation d a tile's outputs are d rows apart; with n of them tile (b, f) of a piece begins
 * at row n b d + f, f < d.  FIR4's tile (b + 1, f) is d tiles on and holds the second group's
 * inputs.  Inputs past the piece count as zero: they meet only weights that are zero or outputs
 * that are not wanted. */
#include <math.h>
#include <string.h>

#include "kernels/conv8_ops.h"
#include "kernels/conv8_x86.h"

#define INLINE      static inline __attribute__((always_inline))
#define POINTS      7 /* of FIR4 */
#define OUTER       5 /* of TWO, which FIR16 has around those */
#define MAX_POINTS  (OUTER * POINTS)
#define MAX_ROWS_IN (4 * (OUTER - 1) + POINTS)
#define BLOCK       36 /* tiles of a run task */

enum form { NONE, TWO, FIR4, FIR16 };
static enum form form_of(const struct conv8 *c);

struct fir_shape {
    size_t n, n_group, step;
}; /* values of a group; groups; values between their inputs */
static void fir_sums(const int16_t *const *in, int n_row, const struct fir_shape *shape,
                     const int16_t *w, int32_t (*sum)[CONV8_PANEL]);

/* --- forms ------------------------------------------------------------------------------------ */

static int tile_outputs(enum form f)
{
    return f == FIR16 ? 16 : 4;
}

/* Sums are made larger by an odd number and this power of 2. */
static int twos(enum form f)
{
    return f == TWO ? 1 : f == FIR4 ? 3 : 4;
}

/* Whether a convolution can be made in that form: its taps, and that the sums, made larger, fit 31
 * bits. */
static bool fits(enum form f, const struct conv8 *c)
{
    bool taps = f == TWO ? c->n_tap == 2 : c->n_tap >= 5 && c->n_tap <= 8;
    return taps && c->stride == 1 && c->n_in <= (INT32_MAX >> twos(f)) / (127 * 127) / c->n_tap;
}

/* Tiles of a piece in that form. */
static int tiles_in(enum form f, const struct conv8 *c)
{
    int step = tile_outputs(f) * c->dilation;
    return (c->n_row + step - 1) / step * c->dilation;
}

/* Points of a tile.  Without an eighth tap the last of FIR16 has no weight. */
static int points(enum form f, const struct conv8 *c)
{
    return f == TWO ? OUTER : f == FIR4 ? POINTS : MAX_POINTS - (c->n_tap < 8);
}

/* Groups of taps of point p.  Without an eighth tap the last of FIR4 has no second one. */
static int groups(enum form f, const struct conv8 *c, int p)
{
    return f == FIR4 && (p < POINTS - 1 || c->n_tap == 8) ? 2 : 1;
}

static int all_groups(enum form f, const struct conv8 *c)
{
    int n = 0;
    for (int p = 0; p < points(f, c); p++)
        n += groups(f, c, p);
    return n;
}

/* Channels, padded to whole vectors of 16 bits. */
static size_t fir_width(const struct conv8 *c)
{
    return ((size_t)c->n_in + 15) / 16 * 16;
}

static bool fir_takes(const struct conv8 *c)
{
    return form_of(c) != NONE;
}

/* --- weights ---------------------------------------------------------------------------------- */

static size_t fir_panel_bytes(const struct conv8 *c)
{
    return (size_t)all_groups(form_of(c), c) * fir_width(c) * CONV8_PANEL * sizeof(int16_t);
}

/* Weight of one of POINTS from the four taps of a group.  Those of infinity are made larger by half
 * as much, rows_of does the rest. */
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
static int16_t packed_weight(const struct conv8 *c, enum form f, int p, int g, const int8_t *w,
                             size_t i)
{
    size_t n_in = (size_t)c->n_in;
    int tap[8] = {0};
    for (size_t j = 0; i < n_in && j < (size_t)c->n_tap; j++)
        tap[j] = w[j * n_in + i];
    return (int16_t)group_weight(f, p, g, tap);
}

/* [point][group][channels / 2][16 outputs][2] */
static void fir_pack(const struct conv8 *c, const int8_t *w, int n, void *panel)
{
    int16_t *to = panel;
    size_t k = (size_t)c->n_tap * (size_t)c->n_in;
    enum form f = form_of(c);
    for (int p = 0; p < points(f, c); p++)
        for (int g = 0; g < groups(f, c, p); g++)
            for (size_t i = 0; i < fir_width(c); i += 2)
                for (int o = 0; o < CONV8_PANEL; o++, to += 2)
                    for (size_t b = 0; b < 2; b++)
                        to[b] = o < n ? packed_weight(c, f, p, g, w + (size_t)o * k, i + b) : 0;
}

/* --- input ------------------------------------------------------------------------------------ */

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
static size_t all_tiles(const struct conv8 *c, int n_piece)
{
    enum form f = form_of(c);
    return (size_t)n_piece * (size_t)(tiles_in(f, c) + (f == FIR4 ? c->dilation : 0));
}

/* Values from one point of all tiles to the next: an odd number of cache lines, so that a tile's
 * points do not push each other out of the cache. */
static size_t point_stride(const struct conv8 *c, int n_piece)
{
    return (all_tiles(c, n_piece) * fir_width(c) + 63) / 64 * 64 + 32;
}

static size_t fir_input_bytes(const struct conv8 *c, int n_piece)
{
    return point_stride(c, n_piece) * (size_t)points(form_of(c), c) * sizeof(int16_t);
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
    u[4] = _mm256_sub_epi16(_mm256_sub_epi16(x[4 * apart], x2), _mm256_slli_epi16(d31, 1));
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
    int d = c->dilation, n = tiles_in(f, c) + (f == FIR4 ? d : 0), piece = i_tile / n,
        t = i_tile % n;
    int first = t / d * tile_outputs(f) * d + t % d, n_row = conv8_rows_in(c, c->n_row);
    int n_q = f == FIR16 ? MAX_ROWS_IN : f == FIR4 ? POINTS : OUTER, n_point = points(f, c);
    size_t n_in = (size_t)c->n_in, w = fir_width(c);
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

static int fir_n_prepare(const struct conv8_job *j)
{
    return (int)all_tiles(j->c, j->call->n_piece);
}

static void fir_prepare(const struct conv8_job *j, int unit, int unit_end)
{
    size_t apart = point_stride(j->c, j->call->n_piece);
    for (; unit < unit_end; unit++)
        switch (form_of(j->c)) {
        case TWO:
            prepare_tile(TWO, j, unit, apart);
            break;
        case FIR4:
            prepare_tile(FIR4, j, unit, apart);
            break;
        case FIR16:
            prepare_tile(FIR16, j, unit, apart);
            break;
        case NONE:
            break;
        }
}

/* --- output ----------------------------------------------------------------------------------- */

struct panel {
    __m256 scale[2], bias[2];
    int first, n;
}; /* 16 outputs or, at the end, n */

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
INLINE void put(const struct conv8_job *j, int row, const struct panel *p, float in_scale,
                __m256i low, __m256i high)
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

/* The points m of a tile, 8 outputs wide, to the sums of its rows.  Without an eighth tap m's last
 * is zero. */
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

/* --- products --------------------------------------------------------------------------------- */

struct point {
    const int16_t *u, *w;
    size_t n_group, skip;
}; /* inputs and weights of one panel */

/* n_tile tiles of a point; each piece has `skip` tiles of input more than the n of output. */
static void sum_tiles(const struct conv8_job *j, int tile, int n_tile, const struct point *p, int n,
                      int32_t (*sum)[CONV8_PANEL])
{
    size_t wide = fir_width(j->c);
    struct fir_shape shape = {wide, p->n_group, (size_t)j->c->dilation * wide};
    const int16_t *in[FIR_ROWS];
    for (int r = 0; r < n_tile; r++) {
        size_t skipped =
            p->skip ? (size_t)((tile + r) / n) * p->skip : 0; /* a division takes long */
        in[r] = p->u + ((size_t)(tile + r) + skipped) * wide;
    }
    fir_sums(in, n_tile, &shape, p->w, sum);
}

INLINE void tiles(enum form f, const struct conv8_job *j, const struct conv8_range *range)
{
    int32_t sum[MAX_POINTS][BLOCK][CONV8_PANEL];
    size_t wide = fir_width(j->c), apart = point_stride(j->c, j->call->n_piece);
    int n = tiles_in(f, j->c), n_point = points(f, j->c);
    for (int p = range->panel; p < range->panel_end; p++) {
        struct point at = {.u = j->q, .skip = f == FIR4 ? (size_t)j->c->dilation : 0};
        at.w = (const int16_t *)(const void *)((const char *)j->c->packed +
                                               (size_t)p * fir_panel_bytes(j->c));
        for (int k = 0; k < n_point; k++, at.u += apart) {
            at.n_group = (size_t)groups(f, j->c, k);
            for (int t = range->unit; t < range->unit_end; t += FIR_ROWS) {
                int left = range->unit_end - t;
                sum_tiles(j, t, left < FIR_ROWS ? left : FIR_ROWS, &at, n,
                          &sum[k][t - range->unit]);
            }
            at.w += at.n_group * wide * CONV8_PANEL;
        }
        struct panel panel = panel_of(j->c, p);
        for (int t = range->unit; t < range->unit_end; t++)
            put_tile(f, j, t, &panel, sum, t - range->unit);
    }
}

static int fir_n_run(const struct conv8_job *j)
{
    return j->call->n_piece * tiles_in(form_of(j->c), j->c);
}

static void fir_run(const struct conv8_job *j, const struct conv8_range *range)
{
    switch (form_of(j->c)) {
    case TWO:
        tiles(TWO, j, range);
        break;
    case FIR4:
        tiles(FIR4, j, range);
        break;
    case FIR16:
        tiles(FIR16, j, range);
        break;
    case NONE:
        break;
    }
}

const struct conv8_ops FIR_OPS = {
    .isa = FIR_ISA,
    .takes = fir_takes,
    .run_block = BLOCK,
    .panel_bytes = fir_panel_bytes,
    .pack = fir_pack,
    .input_bytes = fir_input_bytes,
    .n_prepare = fir_n_prepare,
    .prepare = fir_prepare,
    .n_run = fir_n_run,
    .run = fir_run,
    .top = largest,
};
