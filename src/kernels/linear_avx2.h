/* linear_avx2.h - products with float weights in vectors of 8, since the compiler keeps 16-lane
 * accumulators in memory there; included by avx2.c and avxvnni.c behind body.h. */

/* Eight weights of any float type as floats. */
INLINE __m256 weights8(enum kern_type type, const char *p)
{
    switch (type) {
    case KERN_F32:
        return _mm256_loadu_ps((const float *)(const void *)p);
    case KERN_F16:
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
    default:
        return _mm256_castsi256_ps(_mm256_slli_epi32(
            _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)), 16));
    }
}

/* acc[p][r] += w[p] . x[r] over k values: the chain of additions is the same for every P and R. */
INLINE void chain(int P, int R, enum kern_type type, int k, const char *const *w,
                  const float *const *x, __m256 acc[4][6][2])
{
    size_t size = type == KERN_F32 ? 4 : 2;
    for (int i = 0; i < k; i++)
#pragma GCC unroll 4
        for (int p = 0; p < P; p++) {
            __m256 low = weights8(type, w[p] + (size_t)i * 16 * size);
            __m256 high = weights8(type, w[p] + ((size_t)i * 16 + 8) * size);
#pragma GCC unroll 6
            for (int r = 0; r < R; r++) {
                __m256 v = _mm256_broadcast_ss(x[r] + i);
                acc[p][r][0] = _mm256_fmadd_ps(low, v, acc[p][r][0]);
                acc[p][r][1] = _mm256_fmadd_ps(high, v, acc[p][r][1]);
            }
        }
}

INLINE void tile_avx2(int P, int R, enum kern_type type, const struct kern_tile *t, int panel,
                      int row)
{
    const struct kern_linear *l = t->l;
    const struct kern_call *c = t->c;
    size_t bytes = kern_panel16.bytes(type, (size_t)l->n_in * (size_t)l->n_tap);
    size_t stride = c->stride ? (size_t)c->stride : 1;
    size_t dilation = c->dilation ? (size_t)c->dilation : 1;
    __m256 acc[4][6][2] = {0};
    for (int j = 0; j < l->n_tap; j++) {
        const char *w[4];
        const float *x[6];
        for (int p = 0; p < P; p++)
            w[p] = (const char *)l->packed + (size_t)(panel + p) * bytes +
                   (size_t)j * (bytes / (size_t)l->n_tap);
        for (int r = 0; r < R; r++)
            x[r] = c->in + ((size_t)(row + r) * stride + (size_t)j * dilation) * (size_t)l->n_in;
        chain(P, R, type, l->n_in, w, x, acc);
    }
#pragma GCC unroll 4
    for (int p = 0; p < P; p++)
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            v16 y;
            memcpy(&y, acc[p][r], sizeof y);
            put(t, panel + p, row + r, y);
        }
}

INLINE void linear_type(enum kern_type type, const struct kern_tile *t)
{
    int p = t->panel, p_end = t->panel + t->n_panel, r_end = t->row + t->n_row;
    if (t->n_row < 3)
        for (; p + 4 <= p_end; p += 4)
            for (int r = t->row; r < r_end; r++)
                tile_avx2(4, 1, type, t, p, r);
    for (; p < p_end; p++) {
        int r = t->row;
        for (; r + 6 <= r_end; r += 6)
            tile_avx2(1, 6, type, t, p, r);
        for (; r + 3 <= r_end; r += 3)
            tile_avx2(1, 3, type, t, p, r);
        for (; r < r_end; r++)
            tile_avx2(1, 1, type, t, p, r);
    }
}

static void linear_avx2(const struct kern_tile *t)
{
    switch (t->l->type) {
    case KERN_F32:
        linear_type(KERN_F32, t);
        break;
    case KERN_F16:
        linear_type(KERN_F16, t);
        break;
    default:
        linear_type(KERN_BF16, t);
    }
}
