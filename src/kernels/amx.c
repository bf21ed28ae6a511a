/* amx.c - the kernels of avx512.c, and products of eight rows and more by AMX's tiles.
 *
 * A block of 32 values is one product of tiles: up to 16 input rows by a panel.  Its exact sums go
 * to memory and are scaled and added there as q_block does, so every output has the same bits
 * whatever the number of rows. */
#define VNNI_BITS 512
#include "kernels/vnni.h"

#define KERN_OPS kern_ops_amx
#define KERN_ISA "amx"
#define KERN_Q_BLOCK
#define Q_HELD        4
#define KERN_QUANTIZE quantize_x86
#define KERN_LINEAR_Q linear_q_amx
#define KERN_PEAK     peak_amx
#include "kernels/ops.h"
static void quantize_x86(const float *in, int n, int8_t *q, float *scale, int32_t *sum);
static void linear_q_amx(const struct kern_tile *t);
static size_t peak_amx(size_t n);
#include "kernels/body.h"

#include "kernels/amx.h"
#include "kernels/vnni_linear.h"

#define AMX_FEW   8  /* rows; with fewer, reading weights takes the time */
#define AMX_MOST  64 /* rows of a pass */
#define AMX_BATCH 4  /* blocks whose sums are under way together */

struct amx_pass {
    const struct kern_tile *t;
    int row, n_row, n_group, n_last; /* groups of 16 rows; rows of the last */
    float y[AMX_MOST][KERN_PANEL];
    int8_t code[AMX_BATCH][8][64];
    int32_t sum[AMX_BATCH][AMX_ROWS][KERN_PANEL];
};

/* Codes of a block as signed bytes, in rows of a tile. */
INLINE const void *amx_codes(enum kern_type type, const uint8_t *w, int8_t (*code)[64])
{
    if (type == KERN_Q8_0)
        return w;
    const __m512i low = _mm512_set1_epi8(15), eight = _mm512_set1_epi8(8);
    for (int g = 0; g < 4; g++, w += 64) {
        __m512i v = _mm512_loadu_si512(w);
        _mm512_storeu_si512(code[2 * g], _mm512_sub_epi8(_mm512_and_si512(v, low), eight));
        v = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
        _mm512_storeu_si512(code[2 * g + 1], _mm512_sub_epi8(v, eight));
    }
    return code;
}

struct amx_blocks { /* of a panel that are under way together */
    const void *code[AMX_BATCH];
    const uint8_t *w; /* scales and codes, `bytes` a block */
    size_t bytes;
    size_t tap_row, first; /* input row under the tap, less the output's; first block in that tap */
    int n;
};

/* y of a group of rows += these blocks. */
INLINE void amx_group(struct amx_pass *p, const struct amx_blocks *m, int group)
{
    const struct kern_linear *l = p->t->l;
    const struct kern_int8 *x = p->t->x;
    size_t n_in = (size_t)l->n_in, n_scale = n_in / KERN_BLOCK;
    size_t stride = p->t->c->stride ? (size_t)p->t->c->stride : 1;
    size_t first = (size_t)(p->row + group * AMX_ROWS) * stride + m->tap_row;
    const int8_t *q = x->q + first * n_in + m->first * KERN_BLOCK;
    float(*y)[KERN_PANEL] = p->y + group * AMX_ROWS;
    amx_memory();
    /* Tile numbers are literals. */
#define AMX_BLOCK(i, in, codes)                                                                    \
    if (i < m->n) {                                                                                \
        amx_zero(i);                                                                               \
        amx_load(in, q + i * KERN_BLOCK, stride * n_in);                                           \
        amx_load(codes, m->code[i], 64);                                                           \
        amx_dot(i, in, codes);                                                                     \
        amx_store(i, p->sum[i], 64);                                                               \
    }
    AMX_BLOCK(0, 4, 6)
    AMX_BLOCK(1, 5, 7)
    AMX_BLOCK(2, 4, 6)
    AMX_BLOCK(3, 5, 7)
#undef AMX_BLOCK
    amx_memory();
    int n = group + 1 < p->n_group ? AMX_ROWS : p->n_last;
    for (int i = 0; i < m->n; i++) {
        v16 scale = from_f16((const uint16_t *)(const void *)(m->w + (size_t)i * m->bytes));
        for (int r = 0; r < n; r++) {
            v16i sums;
            memcpy(&sums, p->sum[i][r], sizeof sums);
            v16 f = scale * x->scale[(first + (size_t)r * stride) * n_scale + m->first + (size_t)i];
            store(y[r], load(y[r]) + __builtin_convertvector(sums, v16) * f);
        }
    }
}

/* Rows [row, row + n_row) of one panel: whole groups of 16, or fewer than 16. */
INLINE void amx_panel(enum kern_type type, struct amx_pass *p, int panel)
{
    const struct kern_linear *l = p->t->l;
    size_t n_block = (size_t)l->n_in / KERN_BLOCK,
           bytes = KERN_PANEL * (type == KERN_Q8_0 ? 34 : 18);
    size_t dilation = p->t->c->dilation ? (size_t)p->t->c->dilation : 1;
    const uint8_t *w = (const uint8_t *)l->packed +
                       (size_t)panel * kern_panel16.bytes(type, (size_t)l->n_in * (size_t)l->n_tap);
    memset(p->y, 0, sizeof p->y);
    for (size_t j = 0; j < (size_t)l->n_tap; j++)
        for (size_t b = 0; b < n_block; b += AMX_BATCH) {
            struct amx_blocks m = {.w = w, .bytes = bytes, .tap_row = j * dilation, .first = b};
            m.n = n_block - b < AMX_BATCH ? (int)(n_block - b) : AMX_BATCH;
            for (int i = 0; i < m.n; i++, w += bytes)
                m.code[i] = amx_codes(type, w + 2 * KERN_PANEL, p->code[i]);
            for (int g = 0; g < p->n_group; g++)
                amx_group(p, &m, g);
        }
    for (int r = 0; r < p->n_row; r++)
        put(p->t, panel, p->row + r, load(p->y[r]));
}

static void amx_rows(const struct kern_tile *t, int row, int n_row)
{
    struct amx_pass p = {.t = t, .row = row, .n_row = n_row};
    p.n_group = (n_row + AMX_ROWS - 1) / AMX_ROWS;
    p.n_last = n_row - (p.n_group - 1) * AMX_ROWS;
    amx_config(n_row < AMX_ROWS ? n_row : AMX_ROWS, KERN_BLOCK);
    for (int i = t->panel; i < t->panel + t->n_panel; i++)
        if (t->l->type == KERN_Q8_0)
            amx_panel(KERN_Q8_0, &p, i);
        else
            amx_panel(KERN_Q4_0, &p, i);
    amx_release();
}

/* Whole tiles, then a lower one, then what is too little for tiles. */
static void linear_q_amx(const struct kern_tile *t)
{
    struct kern_tile rest = *t;
    while (rest.n_row >= AMX_FEW) {
        int n = rest.n_row < AMX_ROWS ? rest.n_row : rest.n_row / AMX_ROWS * AMX_ROWS;
        n = n < AMX_MOST ? n : AMX_MOST;
        amx_rows(t, rest.row, n);
        rest.row += n;
        rest.n_row -= n;
    }
    if (rest.n_row > 0)
        op_linear_q(&rest);
}

static size_t peak_amx(size_t n)
{
    amx_config(AMX_ROWS, AMX_BYTES);
    for (size_t i = 0; i < n; i++) {
        amx_dot(0, 4, 6);
        amx_dot(1, 4, 7);
        amx_dot(2, 5, 6);
        amx_dot(3, 5, 7);
    }
    amx_release();
    return n * 4 * AMX_ROWS * KERN_PANEL * AMX_BYTES;
}
