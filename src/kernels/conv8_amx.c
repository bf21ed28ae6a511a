/* conv8_amx.c - conv8 by tiles: 32 rows of 32 outputs at a time, four tiles of sums.
 *
 * A run is what lies side by side in the prepared input and in the weights: the channels of a tap.
 * It is cut into chunks of at most 64 bytes, all of one size; the rest is zero.  The rows of a tile
 * of inputs are equally far apart, so they must be of one piece.  Where pieces have too few rows,
 * the taps of each output row are copied side by side: one long run, and rows of all pieces follow
 * each other. */
#include <math.h>
#include <string.h>

#include "kernels/amx.h"
#include "kernels/conv8_put.h"
#include "kernels/conv8_x86.h"

#define INLINE   static inline __attribute__((always_inline))
#define ROWS_BOX (2 * AMX_ROWS) /* rows of a unit of run */

struct box_shape {
    size_t n_run, run;     /* runs of that many values */
    size_t chunk, n_chunk; /* bytes of a chunk, chunks of a run */
    size_t apart;          /* bytes between the rows under neighbouring taps */
    size_t row_bytes;      /* between the rows under neighbouring outputs */
    int n_piece, n_row;    /* output rows that are equally far apart: so many, of n_row each */
    size_t piece_bytes;    /* prepared input of these */
    size_t panel_bytes;    /* of weights */
};

static bool gathered(const struct conv8 *c)
{
    return c->n_tap > 1 && c->n_row < AMX_ROWS;
}

static struct box_shape box_of(const struct conv8 *c, int n_piece)
{
    struct box_shape s = {.n_run = (size_t)c->n_tap, .run = (size_t)c->n_in};
    bool apart = c->n_tap > 1 && !gathered(c);
    if (gathered(c)) {
        s.n_run = 1;
        s.run *= (size_t)c->n_tap;
    }
    s.n_chunk = (s.run + AMX_BYTES - 1) / AMX_BYTES;
    s.chunk = ((s.run + s.n_chunk - 1) / s.n_chunk + 3) / 4 * 4;
    size_t width = s.n_chunk * s.chunk;
    s.apart = width * (size_t)c->dilation;
    s.row_bytes = apart ? width * (size_t)c->stride : width;
    s.n_piece = apart ? n_piece : 1;
    s.n_row = apart ? c->n_row : n_piece * c->n_row;
    s.panel_bytes = s.n_run * width * CONV8_PANEL;
    s.piece_bytes = (size_t)(apart ? conv8_rows_in(c, c->n_row) : s.n_row) * width;
    return s;
}

/* A panel is [run][chunk][chunk / 4][16 outputs][4] weights. */
static size_t panel_bytes_amx(const struct conv8 *c)
{
    return box_of(c, 1).panel_bytes;
}

static void pack_amx(const struct conv8 *c, const int8_t *w, int n, void *panel)
{
    struct box_shape s = box_of(c, 1);
    size_t row = s.n_run * s.run;
    int8_t *p = panel;
    for (size_t j = 0; j < s.n_run; j++)
        for (size_t i = 0; i < s.n_chunk * s.chunk; i += 4)
            for (int o = 0; o < CONV8_PANEL; o++)
                for (size_t k = i; k < i + 4; k++)
                    *p++ = o < n && k < s.run ? w[(size_t)o * row + j * s.run + k] : 0;
}

/* A box of fewer rows than it has room for reads, and forgets, what follows: it needs room. */
static size_t input_bytes_amx(const struct conv8 *c, int n_piece)
{
    struct box_shape s = box_of(c, n_piece);
    return (size_t)s.n_piece * s.piece_bytes + ROWS_BOX * s.row_bytes;
}

static int n_prepare_amx(const struct conv8_job *j)
{
    if (j->c->n_tap == 1 || gathered(j->c))
        return j->call->n_piece * j->c->n_row;
    return j->call->n_piece * conv8_rows_in(j->c, j->c->n_row);
}

/* 16 values to bytes. */
INLINE void quantize16_amx(const float *in, __m256 inverse, int8_t *out)
{
    __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in), inverse));
    __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in + 8), inverse));
    __m256i v = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storeu_si128((__m128i *)(void *)out, bytes);
}

static void quantize_amx(const float *in, float scale, size_t n, int8_t *out)
{
    __m256 inverse = _mm256_set1_ps(scale > 0 ? 1 / scale : 0);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        quantize16_amx(in + i, inverse, out + i);
    if (i < n) {
        float part[16] = {0};
        int8_t last[16];
        memcpy(part, in + i, (n - i) * sizeof *part);
        quantize16_amx(part, inverse, last);
        memcpy(out + i, last, n - i);
    }
}

static void prepare_amx(const struct conv8_job *j, int unit, int unit_end)
{
    const struct conv8 *c = j->c;
    struct box_shape s = box_of(c, j->call->n_piece);
    size_t n_in = (size_t)c->n_in, width = s.n_chunk * s.chunk;
    bool side_by_side = gathered(c);
    int n = c->n_tap == 1 ? 1 : side_by_side ? c->n_row : conv8_rows_in(c, c->n_row);
    for (; unit < unit_end; unit++) {
        int8_t *out = (int8_t *)j->q + (size_t)unit * width;
        size_t row = (size_t)unit * (size_t)c->stride; /* of one tap */
        if (c->n_tap > 1)
            row = conv8_piece(j, unit / n) +
                  (size_t)(unit % n) * (side_by_side ? (size_t)c->stride : 1);
        for (size_t i = 0; i < s.run; i += n_in, row += (size_t)c->dilation)
            quantize_amx(j->call->in + row * n_in, j->scale[unit / n], n_in, out + i);
        memset(out + s.run, 0, width - s.run);
    }
}

static int n_run_amx(const struct conv8_job *j)
{
    struct box_shape s = box_of(j->c, j->call->n_piece);
    return s.n_piece * ((s.n_row + ROWS_BOX - 1) / ROWS_BOX);
}

/* M x N tiles of sums: rows from `in` on, panels from `w` on. */
INLINE void box(int M, int N, const struct box_shape *s, const int8_t *in, const int8_t *w,
                int32_t sum[2][2][AMX_ROWS][CONV8_PANEL])
{
    amx_zero(0);
    amx_zero(1);
    amx_zero(2);
    amx_zero(3);
    amx_memory();
    for (size_t j = 0; j < s->n_run; j++)
        for (size_t i = 0; i < s->n_chunk; i++, w += s->chunk * CONV8_PANEL) {
            const int8_t *x = in + j * s->apart + i * s->chunk;
            amx_load(4, x, s->row_bytes);
            amx_load(6, w, AMX_BYTES);
            amx_dot(0, 4, 6);
            if (N > 1) {
                amx_load(7, w + s->panel_bytes, AMX_BYTES);
                amx_dot(1, 4, 7);
            }
            if (M > 1) {
                amx_load(5, x + AMX_ROWS * s->row_bytes, s->row_bytes);
                amx_dot(2, 5, 6);
                if (N > 1)
                    amx_dot(3, 5, 7);
            }
        }
    amx_store(0, sum[0][0], AMX_BYTES);
    if (N > 1)
        amx_store(1, sum[0][1], AMX_BYTES);
    if (M > 1)
        amx_store(2, sum[1][0], AMX_BYTES);
    if (M > 1 && N > 1)
        amx_store(3, sum[1][1], AMX_BYTES);
    amx_memory();
}

struct box_place { /* rows and panels of the output */
    int row, n_row, panel, n_panel;
};

static void put_box(const struct conv8_job *j, const struct box_shape *s, const int8_t *in,
                    const struct box_place *at)
{
    int32_t sum[2][2][AMX_ROWS][CONV8_PANEL];
    const int8_t *w = (const int8_t *)j->c->packed + (size_t)at->panel * s->panel_bytes;
    if (at->n_row > AMX_ROWS && at->n_panel > 1)
        box(2, 2, s, in, w, sum);
    else if (at->n_row > AMX_ROWS)
        box(2, 1, s, in, w, sum);
    else if (at->n_panel > 1)
        box(1, 2, s, in, w, sum);
    else
        box(1, 1, s, in, w, sum);
    for (int p = 0; p < at->n_panel; p++) {
        int first = (at->panel + p) * CONV8_PANEL, n = j->c->n_out - first;
        for (int r = 0; r < at->n_row; r++) {
            v16s exact;
            memcpy(&exact, sum[r / AMX_ROWS][p][r % AMX_ROWS], sizeof exact);
            put_row(j, at->row + r, first, n < CONV8_PANEL ? n : CONV8_PANEL, &exact);
        }
    }
}

static void run_amx(const struct conv8_job *j, const struct conv8_range *range)
{
    struct box_shape s = box_of(j->c, j->call->n_piece);
    int n_box = (s.n_row + ROWS_BOX - 1) / ROWS_BOX;
    amx_config(AMX_ROWS, s.chunk);
    for (int p = range->panel; p < range->panel_end; p += 2)
        for (int u = range->unit; u < range->unit_end; u++) {
            size_t piece = (size_t)(u / n_box), first = (size_t)(u % n_box * ROWS_BOX);
            int left = s.n_row - (int)first;
            struct box_place at = {.row = (int)piece * s.n_row + (int)first,
                                   .n_row = left < ROWS_BOX ? left : ROWS_BOX,
                                   .panel = p,
                                   .n_panel = range->panel_end - p < 2 ? 1 : 2};
            put_box(j, &s, (const int8_t *)j->q + piece * s.piece_bytes + first * s.row_bytes, &at);
        }
    amx_release();
}

const struct conv8_ops conv8_ops_amx = {
    .isa = "amx",
    .run_block = 4,
    .panel_bytes = panel_bytes_amx,
    .pack = pack_amx,
    .input_bytes = input_bytes_amx,
    .n_prepare = n_prepare_amx,
    .prepare = prepare_amx,
    .n_run = n_run_amx,
    .run = run_amx,
    .top = largest,
};
