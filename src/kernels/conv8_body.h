/* conv8_body.h - conv8 by direct sums, for instruction sets with a product of four bytes: included
 * by the files that name CONV8_ISA and CONV8_OPS and bring
 *     CONV8_BYTE                         type of a quantized input
 *     CONV8_OFFSET                       added to it, so that it is unsigned; else 0
 *     CONV8_ROWS                         rows of the largest tile
 *     float largest(in, n)               largest magnitude
 *     void quantize(in, scale, n, out)   n values and CONV8_OFFSET up to a multiple of four
 *     void sums(R, rows, step, job, panel, sum)   sum [R][16] over taps (step apart) and channels
 *
 * A panel is [tap][channels / 4][16 outputs][4] weights and then 16 int32: what CONV8_OFFSET adds
 * to each output's sum.  Prepared input is [piece][rows][channels rounded up to 4]. */
#include <math.h>
#include <string.h>

#include "kernels/conv8_put.h"

static size_t width(const struct conv8 *c)
{
    return ((size_t)c->n_in + 3) / 4 * 4;
}

static size_t panel_bytes(const struct conv8 *c)
{
    return (size_t)c->n_tap * width(c) * CONV8_PANEL + CONV8_PANEL * sizeof(int32_t);
}

static void pack(const struct conv8 *c, const int8_t *w, int n, void *panel)
{
    int8_t *p = panel;
    uint32_t excess[CONV8_PANEL] = {0};
    size_t n_in = (size_t)c->n_in;
    for (size_t j = 0; j < (size_t)c->n_tap; j++)
        for (size_t i = 0; i < width(c); i += 4)
            for (int o = 0; o < CONV8_PANEL; o++)
                for (size_t k = i; k < i + 4; k++, p++) {
                    *p = o < n && k < n_in ? w[((size_t)o * (size_t)c->n_tap + j) * n_in + k] : 0;
                    excess[o] += (uint32_t)(CONV8_OFFSET * *p);
                }
    memcpy(p, excess, sizeof excess);
}

static size_t input_bytes(const struct conv8 *c, int n_piece)
{
    return (size_t)n_piece * (size_t)conv8_rows_in(c, c->n_row) * width(c);
}

/* One unit is an input row of a piece; with one tap all rows are one piece, each with its scale. */
static int n_prepare(const struct conv8_job *j)
{
    if (j->c->n_tap == 1)
        return j->call->n_piece * j->c->n_row;
    return j->call->n_piece * conv8_rows_in(j->c, j->c->n_row);
}

static void prepare(const struct conv8_job *j, int unit, int unit_end)
{
    const struct conv8 *c = j->c;
    size_t n_in = (size_t)c->n_in;
    int n = conv8_rows_in(c, j->c->n_row);
    for (; unit < unit_end; unit++) {
        bool one = c->n_tap == 1;
        size_t row =
            one ? (size_t)unit * (size_t)c->stride : conv8_piece(j, unit / n) + (size_t)(unit % n);
        quantize(j->call->in + row * n_in, j->scale[one ? unit : unit / n], c->n_in,
                 (CONV8_BYTE *)j->q + (size_t)unit * width(c));
    }
}

static int n_run(const struct conv8_job *j)
{
    return j->call->n_piece * j->c->n_row;
}

/* Prepared row under the first tap of an output row. */
static const CONV8_BYTE *row_of(const struct conv8_job *j, int row)
{
    const struct conv8 *c = j->c;
    size_t at = (size_t)row;
    if (c->n_tap > 1)
        at = (size_t)(row / j->c->n_row) * (size_t)conv8_rows_in(c, j->c->n_row) +
             (size_t)(row % j->c->n_row) * (size_t)c->stride;
    return (const CONV8_BYTE *)j->q + at * width(c);
}

static inline __attribute__((always_inline)) void tile(int R, const struct conv8_job *j, int row,
                                                       int panel)
{
    const struct conv8 *c = j->c;
    const char *w = (const char *)c->packed + (size_t)panel * panel_bytes(c);
    const CONV8_BYTE *in[CONV8_ROWS];
    int32_t sum[CONV8_ROWS][CONV8_PANEL];
    int first = panel * CONV8_PANEL;
    int n = c->n_out - first < CONV8_PANEL ? c->n_out - first : CONV8_PANEL;
    v16wrap excess, s;
    /* Sums with the offset may wrap; without it they fit (conv8_fits). */
    memcpy(&excess, w + (size_t)c->n_tap * width(c) * CONV8_PANEL, sizeof excess);
    for (int r = 0; r < R; r++)
        in[r] = row_of(j, row + r);
    sums(R, in, (size_t)c->dilation * width(c), c, (const int8_t *)w, sum);
    for (int r = 0; r < R; r++) {
        memcpy(&s, sum[r], sizeof s);
        s -= excess;
        v16s exact = (v16s)s;
        put_row(j, row + r, first, n, &exact);
    }
}

/* Some of the next n rows; returns how many. */
static inline __attribute__((always_inline)) int tile_of(int n, const struct conv8_job *j, int row,
                                                         int panel)
{
    /* Tiles that are larger than the arrays are not compiled. */
#define TILE(R)                                                                                    \
    if (R <= CONV8_ROWS && n >= R) {                                                               \
        tile(R <= CONV8_ROWS ? R : 1, j, row, panel);                                              \
        return R;                                                                                  \
    }
    TILE(CONV8_ROWS);
    TILE(8);
    TILE(4);
    TILE(2);
    TILE(1);
#undef TILE
    return n;
}

static void run(const struct conv8_job *j, const struct conv8_range *range)
{
    for (int p = range->panel; p < range->panel_end; p++)
        for (int r = range->unit; r < range->unit_end;)
            r += tile_of(range->unit_end - r, j, r, p);
}

const struct conv8_ops CONV8_OPS = {
    .isa = CONV8_ISA,
    .run_block = 16 * CONV8_ROWS,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .input_bytes = input_bytes,
    .n_prepare = n_prepare,
    .prepare = prepare,
    .n_run = n_run,
    .run = run,
    .top = largest,
};
