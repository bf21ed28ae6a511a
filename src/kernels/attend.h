/* attend.h - attention of the query heads that share a key head, with a running softmax (Milakov and
 * Gimelshein, Online normalizer calculation for softmax, 2018): positions go by in blocks, keys and
 * values are read once.  Included by body.h. */

#define ATTEND_BLOCK 32

INLINE vf load_kv(int half, const void *base, size_t at)
{
    return half ? load_half((const uint16_t *)base + at) : load_n((const float *)base + at);
}

INLINE float load_kv1(int half, const void *base, size_t at)
{
    float v;
    kern_to_f32(half ? KERN_F16 : KERN_F32, (const char *)base + at * (half ? 2 : 4), &v, 1);
    return v;
}

/* d values from `at` on, towards the cache.  Long contexts come from memory: keys and values are fetched
 * a block ahead of their use. */
INLINE void fetch_kv(int half, const void *base, size_t at, int d)
{
    size_t size = half ? 2 : 4;
    for (size_t i = 0; i < (size_t)d * size; i += 64)
        __builtin_prefetch((const char *)base + at * size + i);
}

/* s[h][i] = q[h] . k[i] * scale for NQ heads and n positions from `at` on. */
INLINE void attend_scores(int half, int NQ, const float *q, const struct kern_kv *kv, size_t at, int n,
                          float (*s)[ATTEND_BLOCK])
{
    int d = kv->head_dim;
    const void *k = kv->k;
    float scale = 1.0f / sqrtf((float)d);
    for (int i = 0; i < n; i++, at += (size_t)d) {
        fetch_kv(half, kv->v, at, d);
        vf acc[2][2] = {{{0}}};
        float rest[2] = {0};
        int j = 0;
        for (; j + 2 * LANES <= d; j += 2 * LANES) {
            vf a = load_kv(half, k, at + (size_t)j), b = load_kv(half, k, at + (size_t)(j + LANES));
            for (int h = 0; h < NQ; h++) {
                acc[h][0] += a * load_n(q + h * d + j);
                acc[h][1] += b * load_n(q + h * d + j + LANES);
            }
        }
        for (; j < d; j++)
            for (int h = 0; h < NQ; h++)
                rest[h] += load_kv1(half, k, at + (size_t)j) * q[h * d + j];
        for (int h = 0; h < NQ; h++)
            s[h][i] = (sum_n(acc[h][0] + acc[h][1]) + rest[h]) * scale;
    }
}

/* out[h] += s[h][i] * v[i] */
INLINE void attend_values(int half, int NQ, const struct kern_kv *kv, size_t at, int n,
                          float (*s)[ATTEND_BLOCK], float *out)
{
    int j = 0, d = kv->head_dim;
    const void *v = kv->v;
    for (int i = 0; i < n; i++) /* past the end at most: fetching does not fault */
        fetch_kv(half, kv->k, at + (size_t)(n + i) * (size_t)d, d);
    for (; j + 4 * LANES <= d; j += 4 * LANES) {
        vf acc[2][4];
        for (int h = 0; h < NQ; h++)
            for (int c = 0; c < 4; c++)
                acc[h][c] = load_n(out + h * d + j + c * LANES);
        for (int i = 0; i < n; i++)
            for (int c = 0; c < 4; c++) {
                vf y = load_kv(half, v, at + (size_t)i * (size_t)d + (size_t)(j + c * LANES));
                for (int h = 0; h < NQ; h++)
                    acc[h][c] += y * s[h][i];
            }
        for (int h = 0; h < NQ; h++)
            for (int c = 0; c < 4; c++)
                store_n(out + h * d + j + c * LANES, acc[h][c]);
    }
    for (; j < d; j++)
        for (int i = 0; i < n; i++)
            for (int h = 0; h < NQ; h++)
                out[h * d + j] += s[h][i] * load_kv1(half, v, at + (size_t)i * (size_t)d + (size_t)j);
}

/* Scores to weights e^(score - top so far); returns by what older sums shrink. */
INLINE float attend_weights(float *s, int n, float *top, float *total)
{
    float most = *top;
    vf sums = {0};
    for (int i = 0; i < n; i++)
        most = s[i] > most ? s[i] : most;
    for (int i = n; i % LANES; i++)
        s[i] = -INFINITY;
    float shrink = exp_n(splat_n(*top - most))[0];
    for (int i = 0; i < n; i += LANES) {
        vf w = load_n(s + i);
        vi none = (vi)(w == splat_n(-INFINITY));
        w = (vf)((vi)exp_n(w - splat_n(most)) & ~none);
        store_n(s + i, w);
        sums += w;
    }
    *total = *total * shrink + sum_n(sums);
    *top = most;
    return shrink;
}

INLINE void attend_heads(int half, int NQ, const float *q, const struct kern_kv *kv, int head,
                         int first, int last, float *out)
{
    int d = kv->head_dim, n;
    float top[2] = {-INFINITY, -INFINITY}, total[2] = {0}, s[2][ATTEND_BLOCK];
    memset(out, 0, (size_t)(NQ * d) * sizeof *out);
    for (int p = first; p <= last; p += n) {
        int place = p % kv->capacity;
        size_t at = ((size_t)head * (size_t)kv->capacity + (size_t)place) * (size_t)d;
        n = last - p + 1 < ATTEND_BLOCK ? last - p + 1 : ATTEND_BLOCK;
        if (n > kv->capacity - place)
            n = kv->capacity - place;
        attend_scores(half, NQ, q, kv, at, n, s);
        for (int h = 0; h < NQ; h++) {
            float shrink = attend_weights(s[h], n, &top[h], &total[h]);
            for (int j = 0; j < d && shrink != 1; j++)
                out[h * d + j] *= shrink;
        }
        attend_values(half, NQ, kv, at, n, s, out);
    }
    for (int h = 0; h < NQ; h++)
        for (int j = 0; j < d; j++)
            out[h * d + j] /= total[h];
}

INLINE void attend_type(int half, const float *q, int n_q, const struct kern_kv *kv, int head,
                        int first, int last, float *out)
{
    int d = kv->head_dim, h = 0;
    for (; h + 2 <= n_q; h += 2)
        attend_heads(half, 2, q + h * d, kv, head, first, last, out + h * d);
    if (h < n_q)
        attend_heads(half, 1, q + h * d, kv, head, first, last, out + h * d);
}

static void op_attend(const float *q, int n_q, const struct kern_kv *kv, int head, int first, int last,
                      float *out)
{
    if (kv->type == KERN_F16)
        attend_type(1, q, n_q, kv, head, first, last, out);
    else
        attend_type(0, q, n_q, kv, head, first, last, out);
}
