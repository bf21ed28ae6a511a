/* conv8_avx2.c - conv8 in 16-bit multiplications (vpmaddwd): vpmaddubsw would saturate. */
#define FIR_ISA  "avx2"
#define FIR_OPS  conv8_fir_avx2
#define FIR_ROWS 6 /* 6 rows x 16 outputs fill the registers */
#include "kernels/conv8_fir.h"

#define AHEAD        4096 /* bytes by which weights are fetched before they are needed */
#define TWO_MIN_ROWS 16   /* with fewer, reading weights takes the time, and TWO has more */

/* --- products --------------------------------------------------------------------------------- */

/* acc [R][2] = R rows times a panel. */
INLINE void product(int R, const int16_t *const *in, const struct fir_shape *s, const int16_t *w,
                    __m256i acc[FIR_ROWS][2])
{
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        acc[r][0] = acc[r][1] = _mm256_setzero_si256();
    for (size_t g = 0; g < s->n_group; g++)
#pragma GCC unroll 2
        for (size_t i = g * s->step; i < g * s->step + s->n; i += 2, w += 32) {
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

/* --- fewer products --- */

static enum form form_of(const struct conv8 *c)
{
    if (fits(TWO, c))
        return c->n_row >= TWO_MIN_ROWS && tiles_in(TWO, c) * 5 < c->n_row * 2 ? TWO : NONE;
    if (!fits(FIR4, c))
        return NONE;
    return fits(FIR16, c) && tiles_in(FIR16, c) * 34 < tiles_in(FIR4, c) * 13 ? FIR16 : FIR4;
}

INLINE void sums(int R, const int16_t *const *in, const struct fir_shape *s, const int16_t *w,
                 int32_t (*sum)[CONV8_PANEL])
{
    __m256i acc[FIR_ROWS][2];
    product(R, in, s, w, acc);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        for (int h = 0; h < 2; h++)
            _mm256_storeu_si256((__m256i *)(void *)&sum[r][8 * h], acc[r][h]);
}

static void fir_sums(const int16_t *const *in, int n_row, const struct fir_shape *s,
                     const int16_t *w, int32_t (*sum)[CONV8_PANEL])
{
    switch (n_row) {
    case 1:
        sums(1, in, s, w, sum);
        break;
    case 2:
        sums(2, in, s, w, sum);
        break;
    case 3:
        sums(3, in, s, w, sum);
        break;
    case 4:
        sums(4, in, s, w, sum);
        break;
    case 5:
        sums(5, in, s, w, sum);
        break;
    default:
        sums(FIR_ROWS, in, s, w, sum);
    }
}

/* --- all products: a panel is [tap][channels / 2][16 outputs][2] -------------------------------
 */

static size_t panel_bytes(const struct conv8 *c)
{
    return (size_t)c->n_tap * fir_width(c) * CONV8_PANEL * sizeof(int16_t);
}

static void pack(const struct conv8 *c, const int8_t *w, int n, void *panel)
{
    int16_t *to = panel;
    size_t n_in = (size_t)c->n_in;
    for (size_t j = 0; j < (size_t)c->n_tap; j++)
        for (size_t i = 0; i < fir_width(c); i += 2)
            for (int o = 0; o < CONV8_PANEL; o++)
                for (size_t b = i; b < i + 2; b++)
                    *to++ =
                        o < n && b < n_in ? w[((size_t)o * (size_t)c->n_tap + j) * n_in + b] : 0;
}

static size_t input_bytes(const struct conv8 *c, int n_piece)
{
    return (size_t)n_piece * (size_t)conv8_rows_in(c, c->n_row) * fir_width(c) * sizeof(int16_t);
}

static int n_prepare(const struct conv8_job *j)
{
    return j->call->n_piece * (j->c->n_tap == 1 ? j->c->n_row : conv8_rows_in(j->c, j->c->n_row));
}

static void prepare_row(const struct conv8_job *j, int unit)
{
    const struct conv8 *c = j->c;
    int n = conv8_rows_in(c, j->c->n_row);
    bool one = c->n_tap == 1;
    size_t row =
        one ? (size_t)unit * (size_t)c->stride : conv8_piece(j, unit / n) + (size_t)(unit % n);
    size_t n_in = (size_t)c->n_in;
    const float *in = j->call->in + row * n_in;
    int16_t *out = (int16_t *)j->q + (size_t)unit * fir_width(c);
    __m256 inverse = inverse_of(j->scale[one ? unit : unit / n]);
    for (size_t i = 0; i < n_in; i += 16)
        _mm256_storeu_si256((__m256i *)(void *)(out + i), quantize16(in + i, n_in - i, inverse));
}

static void prepare(const struct conv8_job *j, int unit, int unit_end)
{
    for (; unit < unit_end; unit++)
        prepare_row(j, unit);
}

INLINE void tile(int R, const struct conv8_job *j, int row, int i_panel)
{
    const struct conv8 *c = j->c;
    const int16_t *in[FIR_ROWS];
    __m256i acc[FIR_ROWS][2];
    struct fir_shape shape = {fir_width(c), (size_t)c->n_tap, (size_t)c->dilation * fir_width(c)};
    for (int r = 0; r < R; r++) {
        size_t at = (size_t)(row + r);
        if (c->n_tap > 1)
            at = (size_t)((row + r) / c->n_row) * (size_t)conv8_rows_in(c, c->n_row) +
                 (size_t)((row + r) % c->n_row) * (size_t)c->stride;
        in[r] = (const int16_t *)j->q + at * fir_width(c);
    }
    product(
        R, in, &shape,
        (const int16_t *)(const void *)((const char *)c->packed + (size_t)i_panel * panel_bytes(c)),
        acc);
    struct panel p = panel_of(c, i_panel);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
        put(j, row + r, &p, conv8_in_scale(j, row + r), acc[r][0], acc[r][1]);
}

static int n_run(const struct conv8_job *j)
{
    return j->call->n_piece * j->c->n_row;
}

static void run(const struct conv8_job *j, const struct conv8_range *range)
{
    for (int p = range->panel; p < range->panel_end; p++)
        for (int r = range->unit; r < range->unit_end; r += FIR_ROWS)
            switch (range->unit_end - r) {
            case 1:
                tile(1, j, r, p);
                break;
            case 2:
                tile(2, j, r, p);
                break;
            case 3:
                tile(3, j, r, p);
                break;
            case 4:
                tile(4, j, r, p);
                break;
            case 5:
                tile(5, j, r, p);
                break;
            default:
                tile(FIR_ROWS, j, r, p);
            }
}

const struct conv8_ops conv8_ops_avx2 = {
    .isa = "avx2",
    .run_block = BLOCK,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .n_prepare = n_prepare,
    .prepare = prepare,
    .n_run = n_run,
    .run = run,
    .top = largest,
};
