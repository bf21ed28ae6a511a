/* quant.h - integer dot products of q8_0 and q4_0 weights with rows quantized to int8; included by
 * body.h.
 *
 * Both operands come in blocks of 32 values with one scale.  What a block contributes to an output
 * is
 *     (sum over i of weight[i] * x[i], an exact integer) * (weight scale * x scale),
 * blocks are added in order in float: instruction sets agree on every integer and differ only where
 * a multiplication and an addition are fused.
 *
 * Packed panel of 16 outputs, block after block, so that memory is read in one stream: [16] half
 * scales, then the codes, four values of an output side by side:
 *     q8_0  [8][16][4] int8: group g of 4 values, output, value
 *     q4_0  [4][16][4] bytes: low half group 2 g, high half group 2 g + 1; code - 8 is the value
 *
 * An instruction set may bring its own q_block and define KERN_Q_BLOCK, and must bring its own
 * KERN_QUANTIZE where multiplication and addition may be fused. */

struct q_row {          /* one quantized row, from the tap on */
    const int8_t *q;    /* [n_block * 32], -127..127 */
    const float *scale; /* [n_block] */
    const int32_t *sum; /* [n_block] sums of q, in x86's sets as their block_sum has them */
};

/* How far ahead weights are fetched by hand.  jabbertts bench, q4_0, frame of one sequence:
 * none 21.8 ms, 512 bytes 17.9, 1024 16.9, 2048 16.6, 4096 16.9. */
#define Q_AHEAD 2048

/* y[r] += block b of one panel, which stands at w, times block b of R rows. */
INLINE void q_block(enum kern_type type, int R, const uint8_t *w, const struct q_row *x, size_t b,
                    float (*y)[KERN_PANEL]);
#define Q_CODES(w) ((w) + 2 * KERN_PANEL) /* of a block, behind its scales */
#ifndef KERN_Q_BLOCK
INLINE void q_block(enum kern_type type, int R, const uint8_t *w, const struct q_row *x, size_t b,
                    float (*y)[KERN_PANEL])
{
    v16 scale = from_f16((const uint16_t *)(const void *)w);
    const uint8_t *codes = Q_CODES(w);
    for (int r = 0; r < R; r++) {
        const int8_t *q = x[r].q + b * KERN_BLOCK;
        int32_t acc[KERN_PANEL] = {0};
        for (int i = 0; i < KERN_BLOCK; i++)
            for (int o = 0; o < KERN_PANEL; o++) {
                int g = i / 4, at = o * 4 + i % 4;
                int code = type == KERN_Q8_0 ? (int8_t)codes[g * 64 + at]
                                             : (codes[g / 2 * 64 + at] >> (g % 2 * 4) & 15) - 8;
                acc[o] += code * q[i];
            }
        v16i sums;
        memcpy(&sums, acc, sizeof sums);
        v16 f = scale * x[r].scale[b];
        store(y[r], load(y[r]) + __builtin_convertvector(sums, v16) * f);
    }
}
#endif

/* The most rows of a tile whose sums stay in registers beside a block's own. */
#ifndef Q_HELD
#define Q_HELD 2
#endif

INLINE void q_tile(enum kern_type type, int R, const struct kern_tile *t, int panel, int row)
{
    const struct kern_linear *l = t->l;
    const struct kern_call *c = t->c;
    size_t n_block = (size_t)l->n_in / KERN_BLOCK;
    size_t stride = c->stride ? (size_t)c->stride : 1;
    size_t dilation = c->dilation ? (size_t)c->dilation : 1;
    size_t bytes = kern_panel16.bytes(type, (size_t)l->n_in * (size_t)l->n_tap);
    const size_t block = KERN_PANEL * (type == KERN_Q8_0 ? 34 : 18);
    const uint8_t *w = (const uint8_t *)l->packed + (size_t)panel * bytes;
    bool fetch = row == t->row;
    float sums[4][KERN_PANEL], (*y)[KERN_PANEL] = sums;
    for (int r = 0; r < R; r++)
        store(sums[r], splat(0));
    if (R > Q_HELD)
        __asm__("" : "+r"(y)); /* no register is free for them: the compiler must not try */
    for (int j = 0; j < l->n_tap; j++) {
        struct q_row x[4];
        for (int r = 0; r < R; r++) {
            size_t at = (size_t)(row + r) * stride + (size_t)j * dilation;
            x[r] = (struct q_row){t->x->q + at * (size_t)l->n_in, t->x->scale + at * n_block,
                                  t->x->sum + at * n_block};
        }
        for (size_t b = 0; b < n_block; b++, w += block) {
            if (fetch) {
#pragma GCC unroll 9
                for (size_t i = 0; i < block; i += 64)
                    __builtin_prefetch(w + Q_AHEAD + i);
            }
            q_block(type, R, w, x, b, y);
            if (R > Q_HELD)
                __asm__("" : : "r"(y) : "memory"); /* nor keep a second copy of them */
        }
    }
    __asm__("" : : : "memory");
    for (int r = 0; r < R; r++)
        put(t, panel, row + r, load(sums[r]));
}

INLINE void q_tiles(enum kern_type type, const struct kern_tile *t)
{
    for (int p = t->panel; p < t->panel + t->n_panel; p++) {
        int r = t->row, end = t->row + t->n_row;
        for (; r + 4 <= end; r += 4)
            q_tile(type, 4, t, p, r);
        if (r + 3 == end)
            q_tile(type, 3, t, p, r);
        else if (r + 2 == end)
            q_tile(type, 2, t, p, r);
        else if (r + 1 == end)
            q_tile(type, 1, t, p, r);
    }
}

static void op_linear_q(const struct kern_tile *t)
{
    if (t->l->type == KERN_Q8_0)
        q_tiles(KERN_Q8_0, t);
    else
        q_tiles(KERN_Q4_0, t);
}

/* Scale = largest magnitude / 127; a block without a magnitude over 1e-30 is zero.  Every set
 * rounds each product to float before it is rounded to an integer; where the compiler could fuse
 * the two, intrinsics are used. */
#ifndef KERN_QUANTIZE
#define KERN_QUANTIZE op_quantize
static void op_quantize(const float *in, int n, int8_t *q, float *scale, int32_t *sum)
{
    for (int b = 0; b < n / KERN_BLOCK; b++, in += KERN_BLOCK, q += KERN_BLOCK) {
        float top = 0;
        int32_t s = 0;
        for (int i = 0; i < KERN_BLOCK; i++)
            top = fabsf(in[i]) > top ? fabsf(in[i]) : top;
        float inverse = top > 1e-30f ? 127.0f / top : 0;
        for (int i = 0; i < KERN_BLOCK; i += 16) {
            v16i v = __builtin_convertvector(nearest(load(in + i) * inverse), v16i);
            v16b narrow = __builtin_convertvector(v, v16b);
            memcpy(q + i, &narrow, sizeof narrow);
        }
        for (int i = 0; i < KERN_BLOCK; i++)
            s += q[i];
        scale[b] = top > 1e-30f ? top / 127.0f : 0;
        sum[b] = s;
    }
}
#endif
