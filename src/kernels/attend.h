/* attend.h - attention of the query heads that share a key head, with a running softmax (Milakov
 * and Gimelshein, Online normalizer calculation for softmax, 2018): positions go by in blocks, keys
 * and values are read once.  Two rows of a sequence go together where their blocks are the same;
 * each head's sums are what they are alone.  Included by body.h.
 *
 * Keys in q8_0 meet the query in 14 bits: a block's products are summed in integers.  Values in
 * q8_0 become float, their scales go into the weights. */

#define ATTEND_BLOCK 32
#define ATTEND_SCALED                                                                              \
    (ATTEND_BLOCK * KERN_KV_Q8_DIM / KERN_BLOCK + 4) /* four are written at a time */
#define QUERY_TOP                                                                                  \
    16383 /* 127 * 16383 * 8 products, what a lane of four adds up, are below 2^24                 \
           */

struct attend_head { /* a query head on its way */
    const float *q;
    float *out;                    /* [head_dim] weighted sum so far */
    float top, total;              /* largest score, sum of weights so far */
    float scale;                   /* of scores: 1 / sqrt(head_dim), times that of codes */
    int16_t codes[KERN_KV_Q8_DIM]; /* q8_0: the query */
};

/* Row `at` of keys or values: head_dim numbers; kern.h has q8_0's layout. */
INLINE const char *kv_row(enum kern_type type, const void *base, size_t at, int d)
{
    return (const char *)base + at * kern_kv_row_bytes(type, d);
}

/* LANES of a row's numbers from j on; those of q8_0 without their scale. */
INLINE vf load_kv(enum kern_type type, const char *row, int d, int j)
{
    if (type == KERN_Q8_0)
        return load_bytes((const int8_t *)row + d / KERN_BLOCK * 2 + j);
    return type == KERN_F16 ? load_half((const uint16_t *)(const void *)row + j)
                            : load_n((const float *)(const void *)row + j);
}

INLINE float load_kv1(enum kern_type type, const char *row, int j) /* f32 and f16 */
{
    float v;
    kern_to_f32(type, row + (size_t)j * (type == KERN_F16 ? 2 : 4), &v, 1);
    return v;
}

/* A row towards the cache.  Long contexts come from memory: keys and values are fetched a block
 * ahead of their use. */
INLINE void fetch_row(const char *row, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i += 64)
        __builtin_prefetch(row + i);
}

/* s[h] = q[h] . the key for NQ heads, without the heads' scale. */
INLINE void float_scores(enum kern_type type, int NQ, const struct attend_head *y, const char *key,
                         int d, float *s)
{
    vf acc[4][2] = {{{0}}};
    float rest[4] = {0};
    int j = 0;
    for (; j + 2 * LANES <= d; j += 2 * LANES) {
        vf a = load_kv(type, key, d, j), b = load_kv(type, key, d, j + LANES);
        for (int h = 0; h < NQ; h++) {
            acc[h][0] += a * load_n(y[h].q + j);
            acc[h][1] += b * load_n(y[h].q + j + LANES);
        }
    }
    for (; j < d; j++)
        for (int h = 0; h < NQ; h++)
            rest[h] += load_kv1(type, key, j) * y[h].q[j];
    for (int h = 0; h < NQ; h++)
        s[h] = sum_n(acc[h][0] + acc[h][1]) + rest[h];
}

INLINE void q8_scores(int NQ, const struct attend_head *y, const char *key, int d, float *s)
{
    const int8_t *codes = (const int8_t *)key + d / KERN_BLOCK * 2;
    vf acc[4] = {{0}};
    for (int j = 0; j < d; j += KERN_BLOCK) {
        vf scale = splat_half((const uint16_t *)(const void *)key + j / KERN_BLOCK);
        for (int h = 0; h < NQ; h++)
            acc[h] += dot_block(codes + j, y[h].codes + j) * scale;
    }
    for (int h = 0; h < NQ; h++)
        s[h] = sum_n(acc[h]);
}

/* s[h][i] = q[h] . k[i] * scale for NQ heads and the n rows from `at` on. */
INLINE void attend_scores(enum kern_type type, int NQ, const struct attend_head *y,
                          const struct kern_kv *kv, size_t at, int n, float (*s)[ATTEND_BLOCK])
{
    int d = kv->head_dim;
    size_t bytes = kern_kv_row_bytes(type, d);
    const char *k = kv_row(type, kv->k, at, d), *v = kv_row(type, kv->v, at, d);
    for (int i = 0; i < n; i++, k += bytes, v += bytes) {
        float one[4];
        fetch_row(v, bytes);
        if (type == KERN_Q8_0)
            q8_scores(NQ, y, k, d, one);
        else
            float_scores(type, NQ, y, k, d, one);
        for (int h = 0; h < NQ; h++)
            s[h][i] = one[h] * y[h].scale;
    }
}

/* w[h][i * n_block + b] = s[h][i] times the scale of block b of row i. */
INLINE void q8_weights(int NQ, const char *v, int d, int n, float (*s)[ATTEND_BLOCK],
                       float (*w)[ATTEND_SCALED])
{
    size_t bytes = kern_kv_row_bytes(KERN_Q8_0, d);
    int n_block = d / KERN_BLOCK;
    for (int i = 0; i < n; i++, v += bytes)
        for (int b = 0; b < n_block; b += 4) {
            v4 scale = load_half4((const uint16_t *)(const void *)v + b);
            for (int h = 0; h < NQ; h++) {
                v4 y = scale * s[h][i];
                memcpy(w[h] + i * n_block + b, &y, sizeof y);
            }
        }
}

/* out[h] += s[h][i] * v[i] */
INLINE void attend_values(enum kern_type type, int NQ, struct attend_head *y,
                          const struct kern_kv *kv, size_t at, int n, float (*s)[ATTEND_BLOCK])
{
    const int C = NQ > 2 ? 2 : 4; /* NQ x C sums in registers */
    int j = 0, d = kv->head_dim, n_block = type == KERN_Q8_0 ? d / KERN_BLOCK : 1;
    size_t bytes = kern_kv_row_bytes(type, d);
    const char *k = kv_row(type, kv->k, at, d), *v = kv_row(type, kv->v, at, d);
    float scaled[4][ATTEND_SCALED];
    for (int i = 0; i < n; i++) /* past the end at most: fetching does not fault */
        fetch_row(k + (size_t)(n + i) * bytes, bytes);
    if (type == KERN_Q8_0)
        q8_weights(NQ, v, d, n, s, scaled);
    for (; j + C * LANES <= d; j += C * LANES) {
        vf acc[4][4];
        for (int h = 0; h < NQ; h++)
            for (int c = 0; c < C; c++)
                acc[h][c] = load_n(y[h].out + j + c * LANES);
        const char *row = v;
        for (int i = 0; i < n; i++, row += bytes)
            for (int c = 0; c < C; c++) {
                vf x = load_kv(type, row, d, j + c * LANES);
                int b = i * n_block + j / KERN_BLOCK + c * LANES / KERN_BLOCK;
                for (int h = 0; h < NQ; h++)
                    acc[h][c] += x * (type == KERN_Q8_0 ? scaled[h][b] : s[h][i]);
            }
        for (int h = 0; h < NQ; h++)
            for (int c = 0; c < C; c++)
                store_n(y[h].out + j + c * LANES, acc[h][c]);
    }
    for (; type != KERN_Q8_0 && j < d; j++)
        for (int i = 0; i < n; i++)
            for (int h = 0; h < NQ; h++)
                y[h].out[j] += s[h][i] * load_kv1(type, v + (size_t)i * bytes, j);
    for (; j < d; j += LANES) /* q8_0: a block is whole vectors */
        for (int i = 0; i < n; i++)
            for (int h = 0; h < NQ; h++)
                store_n(y[h].out + j,
                        load_n(y[h].out + j) + load_kv(type, v + (size_t)i * bytes, d, j) *
                                                   scaled[h][i * n_block + j / KERN_BLOCK]);
}

/* Scores to weights e^(score - top so far); older sums shrink by what the top grew. */
INLINE void attend_weights(struct attend_head *y, int d, float *s, int n)
{
    float most = y->top;
    vf sums = {0};
    for (int i = 0; i < n; i++)
        most = s[i] > most ? s[i] : most;
    for (int i = n; i % LANES; i++)
        s[i] = -INFINITY;
    float shrink = exp_n(splat_n(y->top - most))[0];
    for (int i = 0; i < n; i += LANES) {
        vf w = load_n(s + i);
        vi none = (vi)(w == splat_n(-INFINITY));
        w = (vf)((vi)exp_n(w - splat_n(most)) & ~none);
        store_n(s + i, w);
        sums += w;
    }
    y->total = y->total * shrink + sum_n(sums);
    y->top = most;
    for (int j = 0; j < d && shrink != 1; j++)
        y->out[j] *= shrink;
}

static void query_codes(struct attend_head *y, int d)
{
    float top = 0;
    for (int j = 0; j < d; j++)
        top = fabsf(y->q[j]) > top ? fabsf(y->q[j]) : top;
    float inverse = top > 1e-30f ? QUERY_TOP / top : 0;
    for (int j = 0; j < d; j += 16) {
        v16h codes = __builtin_convertvector(
            __builtin_convertvector(nearest(load(y->q + j) * inverse), v16i), v16h);
        memcpy(y->codes + j, &codes, sizeof codes);
    }
    y->scale *= top / QUERY_TOP;
}

INLINE void attend_block(enum kern_type type, int NQ, struct attend_head *y,
                         const struct kern_kv *kv, size_t at, int n)
{
    float s[4][ATTEND_BLOCK];
    attend_scores(type, NQ, y, kv, at, n, s);
    for (int h = 0; h < NQ; h++)
        attend_weights(&y[h], kv->head_dim, s[h], n);
    attend_values(type, NQ, y, kv, at, n, s);
}

/* How many positions from p on, at most `last`, are one block: not across the end of the ring. */
INLINE int block_length(const struct kern_kv *kv, int p, int last)
{
    int n = last - p + 1 < ATTEND_BLOCK ? last - p + 1 : ATTEND_BLOCK,
        left = kv->capacity - p % kv->capacity;
    return n < left ? n : left;
}

/* NQ heads of R rows that see the same positions from the first on. */
INLINE void attend_heads(enum kern_type type, int NQ, int R, struct attend_head *y,
                         const struct kern_attend_row *rows, int head)
{
    const struct kern_kv *kv = rows[0].kv;
    int d = kv->head_dim, most = rows[0].last > rows[R - 1].last ? rows[0].last : rows[R - 1].last;
    for (int h = 0; h < NQ * R; h++) {
        y[h].top = -INFINITY;
        y[h].total = 0;
        y[h].scale = 1.0f / sqrtf((float)d);
        if (type == KERN_Q8_0)
            query_codes(&y[h], d);
        memset(y[h].out, 0, (size_t)d * sizeof *y[h].out);
    }
    for (int p = rows[0].first, step; p <= most; p += step) {
        size_t at = (size_t)head * (size_t)kv->capacity + (size_t)(p % kv->capacity);
        int n = block_length(kv, p, rows[0].last), m = block_length(kv, p, rows[R - 1].last);
        if (R == 2 && n == m) {
            attend_block(type, 2 * NQ, y, kv, at, n);
        } else {
            if (n > 0)
                attend_block(type, NQ, y, kv, at, n);
            if (R == 2 && m > 0)
                attend_block(type, NQ, y + NQ, kv, at, m);
        }
        step = n > m ? n : m;
    }
    for (int h = 0; h < NQ * R; h++)
        for (int j = 0; j < d; j++)
            y[h].out[j] /= y[h].total;
}

INLINE void attend_type(enum kern_type type, const struct kern_attend_task *t)
{
    struct attend_head y[4];
    const struct kern_attend_row *rows = t->rows;
    size_t d = (size_t)rows[0].kv->head_dim;
    bool together = t->n_row == 2 && rows[0].kv == rows[1].kv && rows[0].first == rows[1].first;
    for (int h = 0; h < t->n_q; h += 2) {
        int n = t->n_q - h < 2 ? 1 : 2;
        for (int r = 0; r < t->n_row; r++)
            for (int k = 0; k < n; k++) {
                struct attend_head *one = &y[r * n + k];
                one->q = t->q + (size_t)r * t->q_stride + (size_t)(h + k) * d;
                one->out = t->out + (size_t)r * t->out_stride + (size_t)(h + k) * d;
            }
        if (together && n == 2)
            attend_heads(type, 2, 2, y, rows, t->head);
        else
            for (int r = 0; r < t->n_row; r++)
                if (n == 2)
                    attend_heads(type, 2, 1, y + 2 * r, rows + r, t->head);
                else
                    attend_heads(type, 1, 1, y + r, rows + r, t->head);
    }
}

static void op_attend(const struct kern_attend_task *t)
{
    if (t->rows[0].kv->type == KERN_Q8_0)
        attend_type(KERN_Q8_0, t);
    else if (t->rows[0].kv->type == KERN_F16)
        attend_type(KERN_F16, t);
    else
        attend_type(KERN_F32, t);
}
