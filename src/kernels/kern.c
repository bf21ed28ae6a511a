/* kern.c - choose the instruction set, pack weights, split ops over the pool. */
#include "kernels/kern.h"

#include <assert.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "base/limits.h"
#include "kernels/ops.h"

#define GRAIN     16384 /* floats worth a task of an elementwise op */
#define ROWS_TILE 64    /* rows of a task of a wide linear call */
#define GELU_ROW  1024
#define INPUT_MAX ((size_t)4 << 20) /* input values normalized or quantized at a time */

struct kern_exec {
    const struct kern_ops *ops;
    struct pool *pool;
    float *normed;      /* [INPUT_MAX] scratch of linear: input rows after the norm, */
    struct kern_int8 x; /* and quantized */
    kern_probe probe;
    void *cookie;
    struct kern_done done;
};

/* --- executor --- */

#if defined(__x86_64__)
/* AVX-VNNI, which compilers have no name for in __builtin_cpu_supports: cpuid 7.1, EAX bit 4. */
static bool has_avxvnni(void)
{
#ifdef KERN_SIMDE
    return true;
#else
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1;
#endif
}

static bool has_avx512(void)
{
#ifdef KERN_SIMDE /* emulated, see x86.h */
    return true;
#else
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
#endif
}

/* AMX: cpuid 7.0, EDX bits 24 and 25.  Linux lets a process use tiles that has asked (arch_prctl,
 * ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA): each thread's state grows by 8 KB. */
static bool has_amx(void)
{
#ifdef KERN_SIMDE
    return true;
#elif defined(__linux__)
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 3) == 3 &&
           syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
    return false;
#endif
}
#endif

#if defined(__aarch64__)
/* Dot products and halves of ARMv8.2, which the first 64-bit processors lack (Cortex-A53, A72). */
static bool has_neon_dot(void)
{
#ifdef __linux__
    unsigned long wanted = HWCAP_ASIMDDP | HWCAP_ASIMDHP | HWCAP_FPHP;
    return (getauxval(AT_HWCAP) & wanted) == wanted;
#else
    return true; /* Apple's all have them */
#endif
}

/* ARMv8.6's matrix products of bytes. */
static bool has_i8mm(void)
{
#if defined(__linux__) && defined(HWCAP2_I8MM)
    return (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#else
    return false;
#endif
}
#endif

static const struct kern_ops *usable(int i)
{
    const struct kern_ops *list[6] = {&kern_ops_ref};
    int n = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) /* with f16c */
        list[n++] = &kern_ops_avx2;
    if (n == 2 && has_avxvnni())
        list[n++] = &kern_ops_avxvnni;
    if (n >= 2 && has_avx512())
        list[n++] = &kern_ops_avx512;
    if (n >= 2 && list[n - 1] == &kern_ops_avx512 && has_amx())
        list[n++] = &kern_ops_amx;
#elif defined(__aarch64__)
    if (has_neon_dot())
        list[n++] = &kern_ops_neon;
    if (n == 2 && has_i8mm())
        list[n++] = &kern_ops_i8mm;
#endif
    return i >= 0 && i < n ? list[i] : NULL;
}

const char *kern_isa_name(int i)
{
    const struct kern_ops *ops = usable(i);
    return ops ? ops->isa : NULL;
}

static const struct kern_ops *find_ops(const char *isa, struct err *e)
{
    const struct kern_ops *ops, *best = NULL;
    char names[64] = "";
    for (int i = 0; (ops = usable(i)); i++) {
        best = ops;
        if (isa && !strcmp(isa, ops->isa))
            return ops;
        strncat(names, i ? ", " : "", sizeof names - strlen(names) - 1);
        strncat(names, ops->isa, sizeof names - strlen(names) - 1);
    }
    if (!isa)
        return best;
    err_set(e, ERR_ARGUMENT, "instruction set \"%.32s\" is not usable here, choose one of: %s", isa,
            names);
    return NULL;
}

int kern_exec_new(const char *isa, struct pool *pool, struct kern_exec **ret, struct err *e)
{
    const struct kern_ops *ops = find_ops(isa, e);
    if (!ops)
        return ERR_ARGUMENT;
    struct kern_exec *x = mem_try(1, sizeof *x);
    bool whole = x != NULL;
    if (x) { /* backed as it is used */
        x->ops = ops;
        x->pool = pool;
        x->normed = mem_pages_new(INPUT_MAX * sizeof *x->normed);
        x->x.q = mem_pages_new(INPUT_MAX);
        x->x.scale = mem_pages_new(INPUT_MAX / KERN_BLOCK * sizeof *x->x.scale);
        x->x.sum = mem_pages_new(INPUT_MAX / KERN_BLOCK * sizeof *x->x.sum);
        whole = x->normed && x->x.q && x->x.scale && x->x.sum;
    }
    if (!whole) {
        kern_exec_free(x);
        return err_set(e, ERR_MEMORY, "out of memory for an executor");
    }
    *ret = x;
    return 0;
}

void kern_exec_free(struct kern_exec *x)
{
    if (!x)
        return;
    mem_pages_free(x->normed, INPUT_MAX * sizeof *x->normed);
    mem_pages_free(x->x.q, INPUT_MAX);
    mem_pages_free(x->x.scale, INPUT_MAX / KERN_BLOCK * sizeof *x->x.scale);
    mem_pages_free(x->x.sum, INPUT_MAX / KERN_BLOCK * sizeof *x->x.sum);
    mem_free(x);
}

const char *kern_exec_isa(const struct kern_exec *x)
{
    return x->ops->isa;
}

const struct kern_ops *kern_exec_ops(const struct kern_exec *x)
{
    return x->ops;
}

struct pool *kern_exec_pool(struct kern_exec *x)
{
    return x->pool;
}

struct kern_done kern_exec_done(const struct kern_exec *x)
{
    return x->done;
}

void kern_exec_count(struct kern_exec *x, double products, double bytes)
{
    x->done.products += products;
    x->done.bytes += bytes;
}

/* --- number formats --- */

const char *kern_type_name(enum kern_type t)
{
    switch (t) {
    case KERN_F32:
        return "f32";
    case KERN_F16:
        return "f16";
    case KERN_BF16:
        return "bf16";
    case KERN_Q8_0:
        return "q8_0";
    case KERN_Q4_0:
        return "q4_0";
    case KERN_AS_STORED:
        break;
    }
    return "?";
}

size_t kern_type_row_bytes(enum kern_type t, size_t n)
{
    switch (t) {
    case KERN_F32:
        return n * 4;
    case KERN_F16:
    case KERN_BF16:
        return n * 2;
    case KERN_Q8_0:
        return n / KERN_BLOCK * 34;
    case KERN_Q4_0:
        return n / KERN_BLOCK * 18;
    case KERN_AS_STORED:
        break;
    }
    return 0;
}

static uint32_t float_bits(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static float bits_float(uint32_t u)
{
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static uint16_t to_bf16(float v)
{
    uint32_t u = float_bits(v);
    if (v != v)
        return 0x7fc0;
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* IEEE 754 half, nearest even: rescaled by 2^-112 so that the hardware rounds subnormals; the rest
 * is rounded on the bits. */
static uint16_t to_f16(float v)
{
    uint32_t u = float_bits(v), sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (u >= 0x477ff000)
        return (uint16_t)(sign | 0x7c00);
    if (u < 0x38800000) { /* below 2^-14: units of 2^-24, by adding 0.5 */
        uint32_t r = float_bits(bits_float(u) + 0.5f);
        return (uint16_t)(sign | (r - 0x3f000000));
    }
    u += 0xc8000fff + (u >> 13 & 1);
    return (uint16_t)(sign | u >> 13);
}

static float from_f16_scalar(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    if ((h & 0x7c00) == 0x7c00)
        return bits_float(sign | 0x7f800000 | (uint32_t)(h & 0x3ff) << 13);
    return bits_float(float_bits(bits_float((uint32_t)(h & 0x7fff) << 13) * 0x1p112f) | sign);
}

static void q8_to_f32(const uint8_t *in, float *out, size_t n)
{
    for (size_t b = 0; b < n / KERN_BLOCK; b++, in += 34) {
        uint16_t h;
        memcpy(&h, in, 2);
        float scale = from_f16_scalar(h);
        for (int i = 0; i < KERN_BLOCK; i++)
            *out++ = scale * (float)(int8_t)in[2 + i];
    }
}

static void q4_to_f32(const uint8_t *in, float *out, size_t n)
{
    for (size_t b = 0; b < n / KERN_BLOCK; b++, in += 18, out += KERN_BLOCK) {
        uint16_t h;
        memcpy(&h, in, 2);
        float scale = from_f16_scalar(h);
        for (int i = 0; i < 16; i++) {
            out[i] = scale * (float)((in[2 + i] & 15) - 8);
            out[i + 16] = scale * (float)((in[2 + i] >> 4) - 8);
        }
    }
}

void kern_to_f32(enum kern_type t, const void *in, float *out, size_t n)
{
    if (t == KERN_F32)
        memcpy(out, in, n * sizeof *out);
    else if (t == KERN_Q8_0)
        q8_to_f32(in, out, n);
    else if (t == KERN_Q4_0)
        q4_to_f32(in, out, n);
    else
        kern_ops_ref.to_f32(t, in, out, n);
}

/* ggml's q8_0: scale = absmax / 127, rounded to half; values = round(v / scale before rounding). */
static void f32_to_q8(const float *in, uint8_t *out, size_t n)
{
    for (size_t b = 0; b < n / KERN_BLOCK; b++, in += KERN_BLOCK, out += 34) {
        float top = 0;
        for (int i = 0; i < KERN_BLOCK; i++)
            top = fabsf(in[i]) > top ? fabsf(in[i]) : top;
        float scale = top / 127, inverse = scale > 0 ? 1 / scale : 0;
        uint16_t h = to_f16(scale);
        memcpy(out, &h, 2);
        for (int i = 0; i < KERN_BLOCK; i++)
            out[2 + i] = (uint8_t)(int8_t)lrintf(in[i] * inverse);
    }
}

/* 8 + v rounded, 0 to 15; NaN, which a scale too small for a float makes, is 0. */
static int nibble(float v)
{
    v += 8.5f;
    return v >= 15 ? 15 : v > 0 ? (int)v : 0;
}

/* ggml's q4_0: the value of largest magnitude becomes -8 exactly, so scale = that value / -8,
 * rounded to half; codes = floor(v / scale before rounding + 8.5), at most 15.  Code i stands in
 * the low half of byte i, code 16 + i in the high half. */
static void f32_to_q4(const float *in, uint8_t *out, size_t n)
{
    for (size_t b = 0; b < n / KERN_BLOCK; b++, in += KERN_BLOCK, out += 18) {
        float top = 0;
        for (int i = 0; i < KERN_BLOCK; i++)
            top = fabsf(in[i]) > fabsf(top) ? in[i] : top;
        float scale = top / -8, inverse = scale != 0 ? 1 / scale : 0;
        uint16_t h = to_f16(scale);
        memcpy(out, &h, 2);
        for (int i = 0; i < 16; i++)
            out[2 + i] = (uint8_t)(nibble(in[i] * inverse) | nibble(in[i + 16] * inverse) << 4);
    }
}

void kern_from_f32(enum kern_type t, const float *in, void *out, size_t n)
{
    uint16_t *h = out;
    if (t == KERN_F32)
        memcpy(out, in, n * sizeof *in);
    else if (t == KERN_Q8_0)
        f32_to_q8(in, out, n);
    else if (t == KERN_Q4_0)
        f32_to_q4(in, out, n);
    else
        for (size_t i = 0; i < n; i++)
            h[i] = t == KERN_BF16 ? to_bf16(in[i]) : to_f16(in[i]);
}

bool kern_all_finite(const float *p, size_t n)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= (float_bits(p[i]) & 0x7f800000) == 0x7f800000;
    return bad == 0;
}

/* Whether n 16-bit floats, `step` bytes apart, are finite: some bit of each exponent is not set. */
static bool halves_finite(const uint8_t *p, size_t n, size_t step, unsigned exponent)
{
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + i * step, sizeof h);
        bad |= (h & exponent) == exponent;
    }
    return bad == 0;
}

static bool is_q(enum kern_type t)
{
    return t == KERN_Q8_0 || t == KERN_Q4_0;
}

bool kern_stored_finite(enum kern_type t, const void *values, size_t n)
{
    if (t == KERN_F32)
        return kern_all_finite(values, n);
    if (is_q(t)) /* a block begins with its scale */
        return halves_finite(values, n / KERN_BLOCK, kern_type_row_bytes(t, KERN_BLOCK), 0x7c00);
    return halves_finite(values, n, sizeof(uint16_t), t == KERN_BF16 ? 0x7f80 : 0x7c00);
}

/* --- packing --- */

struct linear_pack {
    const struct kern_source *s;
    const struct kern_layout *layout;
    enum kern_type type;
    char *packed;
    float **row; /* [threads] one row in float */
    atomic_bool damaged;
};

/* k floats to stored values of type t, in place, which are never ahead of what is read. */
static void as_stored(enum kern_type t, float *row, size_t k)
{
    uint8_t block[KERN_BLOCK * sizeof *row], *out = (uint8_t *)row;
    for (size_t i = 0; i < k; i += KERN_BLOCK) {
        size_t n = k - i < KERN_BLOCK ? k - i : KERN_BLOCK;
        kern_from_f32(t, row + i, block, n);
        memcpy(out, block, kern_type_row_bytes(t, n));
        out += kern_type_row_bytes(t, n);
    }
}

static void linear_pack_panel(void *arg, int i_panel, int i_thread)
{
    struct linear_pack *p = arg;
    const struct kern_source *s = p->s;
    size_t k = (size_t)s->n_in * (size_t)s->n_tap, row_bytes = kern_type_row_bytes(s->type, k);
    char *panel = p->packed + (size_t)i_panel * p->layout->bytes(p->type, k);
    int first = i_panel * p->layout->n_lane;
    for (int lane = 0; lane < p->layout->n_lane && first + lane < s->n_out; lane++) {
        const void *row = (const char *)s->rows + (size_t)(first + lane) * row_bytes;
        if (!kern_stored_finite(s->type, row, k))
            p->damaged = true;
        if (p->type != s->type) {
            kern_to_f32(s->type, row, p->row[i_thread], k);
            as_stored(p->type, p->row[i_thread], k);
            row = p->row[i_thread];
        }
        p->layout->pack(p->type, row, k, lane, panel);
    }
}

int kern_damaged(const struct kern_source *s, struct err *e)
{
    return err_set(
        e, ERR_FORMAT,
        "%.128s holds values that are not finite numbers: the file is damaged, get it or "
        "convert it again",
        s->name ? s->name : "a matrix");
}

static int linear_pack_all(const struct kern_exec *x, struct linear_pack *p, int n_panel,
                           struct err *e)
{
    float *rows[POOL_MAX_THREADS] = {0};
    int n = pool_threads(x->pool), rc = 0;
    p->row = rows;
    for (int i = 0; i < n && rc == 0; i++) {
        rows[i] = mem_try((size_t)p->s->n_in * (size_t)p->s->n_tap, sizeof **rows);
        if (!rows[i])
            rc = err_set(e, ERR_MEMORY, "out of memory while packing weights");
    }
    if (rc == 0)
        pool_run(x->pool, linear_pack_panel, p, n_panel);
    for (int i = 0; i < n; i++)
        mem_free(rows[i]);
    p->row = NULL;
    return rc == 0 && p->damaged ? kern_damaged(p->s, e) : rc;
}

int kern_linear_init(struct kern_linear *l, const struct kern_exec *x, const struct kern_source *s,
                     enum kern_type type, struct mem_arena *arena, struct err *e)
{
    size_t k = (size_t)s->n_in * (size_t)s->n_tap;
    const struct kern_layout *layout = x->ops->layout;
    int n_panel = (s->n_out + layout->n_lane - 1) / layout->n_lane;
    if (type == KERN_AS_STORED)
        type = s->type;
    if (is_q(type) && s->n_in % KERN_BLOCK)
        type = KERN_F16; /* a tap is not a whole number of blocks */
    char *packed = mem_arena_alloc(arena, layout->bytes(type, k) * (size_t)n_panel);
    float *bias = s->bias ? mem_arena_alloc(arena, (size_t)s->n_out * sizeof *bias) : NULL;
    if (!packed || (s->bias && !bias))
        return err_set(e, ERR_MEMORY, "out of memory for a %d x %zu matrix", s->n_out, k);
    struct linear_pack p = {.s = s, .layout = layout, .type = type, .packed = packed};
    int rc = linear_pack_all(x, &p, n_panel, e);
    if (rc < 0)
        return rc;
    if (bias)
        memcpy(bias, s->bias, (size_t)s->n_out * sizeof *bias);
    *l = (struct kern_linear){s->n_out, s->n_in, s->n_tap, type, packed, bias, s->name};
    return 0;
}

/* --- ops over rows --- */

struct kern_rows_job {
    void (*row)(const struct kern_rows_job *j, int r);
    const struct kern_exec *x;
    const float *in;
    float *out;
    int n_row, n, step; /* n: floats of a row */
    const struct kern_norm *norm;
    const struct kern_filter *filter;
    const struct kern_slopes *slopes;
    const struct kern_heads *heads; /* in the place of in and out */
    const float *table;
    const int32_t *position;
    bool quantize;
};

static void rows_task(void *arg, int i, int i_thread)
{
    const struct kern_rows_job *j = arg;
    int end = (i + 1) * j->step < j->n_row ? (i + 1) * j->step : j->n_row;
    (void)i_thread;
    for (int r = i * j->step; r < end; r++)
        j->row(j, r);
}

static void kern_run_rows(struct kern_exec *x, struct kern_rows_job *j, size_t n_per_row)
{
    j->x = x;
    j->step = n_per_row ? (int)(GRAIN / n_per_row) : GRAIN;
    if (j->step < 1)
        j->step = 1;
    pool_run(x->pool, rows_task, j, (j->n_row + j->step - 1) / j->step);
}

/* --- linear --- */

struct linear_job {
    const struct kern_ops *ops;
    const struct kern_linear *l;
    const struct kern_call *c;
    const struct kern_int8 *x;
    int n_panel, panel_step, n_panel_task, row_step;
};

static void linear_task(void *arg, int i, int i_thread)
{
    const struct linear_job *j = arg;
    struct kern_tile t = {.l = j->l, .c = j->c, .x = j->x};
    (void)i_thread;
    t.panel = i % j->n_panel_task * j->panel_step;
    t.row = i / j->n_panel_task * j->row_step;
    t.n_panel = j->n_panel - t.panel < j->panel_step ? j->n_panel - t.panel : j->panel_step;
    t.n_row = j->c->n_row - t.row < j->row_step ? j->c->n_row - t.row : j->row_step;
    if (is_q(j->l->type))
        j->ops->linear_q(&t);
    else
        j->ops->linear(&t);
}

static void linear_rows(struct kern_exec *x, const struct kern_linear *l, const struct kern_call *c)
{
    struct linear_job j = {x->ops, l, c, &x->x, .row_step = ROWS_TILE};
    int n_thread = pool_threads(x->pool);
    if (x->probe)
        x->probe(x->cookie, l, c);
    int n_lane = x->ops->layout->n_lane;
    j.n_panel = (l->n_out + n_lane - 1) / n_lane;
    size_t k = (size_t)l->n_in * (size_t)l->n_tap;
    kern_exec_count(x, (double)c->n_row * l->n_out * (double)k,
                    (double)j.n_panel * (double)x->ops->layout->bytes(l->type, k));
    int n_row_task = (c->n_row + ROWS_TILE - 1) / ROWS_TILE;
    /* About four tasks a thread, in multiples of four panels; tiny calls stay on this thread. */
    int want = (size_t)l->n_out * (size_t)l->n_in * (size_t)l->n_tap * (size_t)c->n_row < 32768
                   ? 1
                   : n_thread * 4;
    int per_row = want / n_row_task > 1 ? want / n_row_task : 1;
    j.panel_step = ((j.n_panel + per_row - 1) / per_row + 3) / 4 * 4;
    j.n_panel_task = (j.n_panel + j.panel_step - 1) / j.panel_step;
    pool_run(x->pool, linear_task, &j, j.n_panel_task * n_row_task);
}

/* An input row of a linear call on its way: normalized if the call says so, quantized if the
 * weights are. */
static void row_prepare(const struct kern_rows_job *j, int r)
{
    size_t n = (size_t)j->n, at = (size_t)r * n;
    const float *in = j->in + at;
    if (j->norm) {
        j->x->ops->rms_norm(in, j->norm->w, j->norm->eps, j->n, j->x->normed + at);
        in = j->x->normed + at;
    }
    if (j->quantize)
        j->x->ops->quantize(in, j->n, j->x->x.q + at, j->x->x.scale + at / KERN_BLOCK,
                            j->x->x.sum + at / KERN_BLOCK);
}

void kern_exec_set_probe(struct kern_exec *x, kern_probe probe, void *cookie)
{
    x->probe = probe;
    x->cookie = cookie;
}

void kern_linear_run(struct kern_exec *x, const struct kern_linear *l, const struct kern_call *c)
{
    struct kern_call part = *c;
    int stride = c->stride ? c->stride : 1,
        reach = (l->n_tap - 1) * (c->dilation ? c->dilation : 1);
    size_t out_stride = c->out_stride ? c->out_stride : (size_t)l->n_out;
    if (!c->norm && !is_q(l->type)) {
        linear_rows(x, l, c);
        return;
    }
    assert((size_t)(reach + 1) * (size_t)l->n_in <= INPUT_MAX && (!c->norm || l->n_tap == 1));
    int step = ((int)(INPUT_MAX / (size_t)l->n_in) - reach - 1) / stride + 1;
    for (int r = 0; r < c->n_row; r += step) {
        part.n_row = c->n_row - r < step ? c->n_row - r : step;
        part.in = c->in + (size_t)r * (size_t)stride * (size_t)l->n_in;
        part.out = c->out + (size_t)r * out_stride;
        struct kern_rows_job j = {row_prepare,     .in = part.in,
                                  .norm = c->norm, .n_row = (part.n_row - 1) * stride + reach + 1,
                                  .n = l->n_in,    .quantize = is_q(l->type)};
        kern_run_rows(x, &j, (size_t)l->n_in);
        if (c->norm)
            part.in = x->normed;
        linear_rows(x, l, &part);
    }
}

/* --- norms and activations --- */

static void row_rms_norm(const struct kern_rows_job *j, int r)
{
    size_t at = (size_t)r * (size_t)j->n;
    j->x->ops->rms_norm(j->in + at, j->norm->w, j->norm->eps, j->n, j->out + at);
}

void kern_rms_norm(struct kern_exec *x, const struct kern_norm *m, const float *in, int n_row,
                   float *out)
{
    struct kern_rows_job j = {row_rms_norm,   .norm = m, .in = in,
                              .n_row = n_row, .n = m->n, .out = out};
    kern_run_rows(x, &j, (size_t)m->n);
}

static size_t heads_floats(const struct kern_heads *h)
{
    return (size_t)h->n_head * (size_t)h->head_dim;
}

static void row_head_norm(const struct kern_rows_job *j, int r)
{
    const struct kern_heads *h = j->heads;
    float *p = h->p + (size_t)r * h->stride;
    for (int i = 0; i < h->n_head; i++, p += h->head_dim)
        j->x->ops->rms_norm(p, j->norm->w, j->norm->eps, h->head_dim, p);
}

void kern_head_norm(struct kern_exec *x, const struct kern_norm *m, const struct kern_heads *h)
{
    struct kern_rows_job j = {row_head_norm, .norm = m, .heads = h, .n_row = h->n_row};
    kern_run_rows(x, &j, heads_floats(h));
}

static void row_layer_norm(const struct kern_rows_job *j, int r)
{
    size_t at = (size_t)r * (size_t)j->n;
    j->x->ops->layer_norm(j->in + at, j->norm->w, j->norm->b, j->norm->eps, j->n, j->out + at);
}

void kern_layer_norm(struct kern_exec *x, const struct kern_norm *m, const float *in, int n_row,
                     float *out)
{
    struct kern_rows_job j = {row_layer_norm, .norm = m, .in = in,
                              .n_row = n_row, .n = m->n, .out = out};
    kern_run_rows(x, &j, (size_t)m->n);
}

static void row_silu_mul(const struct kern_rows_job *j, int r)
{
    j->x->ops->silu_mul(j->in + (size_t)r * 2 * (size_t)j->n, j->n,
                        j->out + (size_t)r * (size_t)j->n);
}

void kern_silu_mul(struct kern_exec *x, const float *in, int n_row, int n, float *out)
{
    struct kern_rows_job j = {row_silu_mul, .in = in, .n_row = n_row, .n = n, .out = out};
    kern_run_rows(x, &j, (size_t)n * 2);
}

static void row_gelu(const struct kern_rows_job *j, int r) /* GELU_ROW of n values */
{
    int at = r * GELU_ROW, n = j->n - at;
    j->x->ops->gelu(j->out + at, n < GELU_ROW ? n : GELU_ROW);
}

void kern_gelu(struct kern_exec *x, float *p, size_t n)
{
    struct kern_rows_job j = {row_gelu, .out = p, .n = (int)n};
    j.n_row = (j.n + GELU_ROW - 1) / GELU_ROW;
    kern_run_rows(x, &j, GELU_ROW * 2);
}

static void row_tanh(const struct kern_rows_job *j, int r)
{
    j->out[r] = tanhf(j->out[r]);
}

void kern_tanh(struct kern_exec *x, float *p, size_t n)
{
    struct kern_rows_job j = {row_tanh, .out = p, .n_row = (int)n};
    kern_run_rows(x, &j, 8);
}

static void row_snake(const struct kern_rows_job *j, int r)
{
    size_t at = (size_t)r * (size_t)j->n;
    j->x->ops->snake(j->in + at, j->slopes->alpha, j->slopes->inv, j->n, j->out + at);
}

void kern_snake(struct kern_exec *x, const struct kern_slopes *s, const float *in, int n_row,
                float *out)
{
    struct kern_rows_job j = {row_snake,      .slopes = s,       .in = in,
                              .n_row = n_row, .n = s->n_channel, .out = out};
    kern_run_rows(x, &j, (size_t)s->n_channel * 2);
}

static void row_depthwise(const struct kern_rows_job *j, int r)
{
    size_t at = (size_t)r * (size_t)j->n;
    const struct kern_filter *f = j->filter;
    j->x->ops->depthwise(j->in + at, f->w, f->bias, f->n_channel, f->n_tap, j->out + at);
}

void kern_depthwise(struct kern_exec *x, const struct kern_filter *f, const float *in, int n_row,
                    float *out)
{
    struct kern_rows_job j = {row_depthwise,  .filter = f,       .in = in,
                              .n_row = n_row, .n = f->n_channel, .out = out};
    kern_run_rows(x, &j, (size_t)f->n_channel * (size_t)f->n_tap);
}

/* --- rotary positions --- */

static float round_bf16(float v)
{
    return bits_float((uint32_t)to_bf16(v) << 16);
}

void kern_rope_table(float base, int head_dim, int n_position, float *table)
{
    for (int i = 0; i < head_dim / 2; i++) {
        float exponent = (float)(2 * i) / (float)head_dim;
        float power = (float)pow((double)base, (double)exponent);
        float inverse = 1.0f / power;
        for (int t = 0; t < n_position; t++) {
            float angle = (float)t * inverse;
            float *p = table + ((size_t)t * (size_t)(head_dim / 2) + (size_t)i) * 2;
            p[0] = round_bf16((float)cos((double)angle));
            p[1] = round_bf16((float)sin((double)angle));
        }
    }
}

static void row_rope(const struct kern_rows_job *j, int r)
{
    const struct kern_heads *h = j->heads;
    j->x->ops->rope(h->p + (size_t)r * h->stride,
                    j->table + (size_t)j->position[r] * (size_t)h->head_dim, h->n_head,
                    h->head_dim);
}

void kern_rope(struct kern_exec *x, const struct kern_heads *h, const float *table,
               const int32_t *position)
{
    struct kern_rows_job j = {row_rope, .heads = h, .table = table, .position = position,
                              .n_row = h->n_row};
    kern_run_rows(x, &j, heads_floats(h));
}

/* --- attention --- */

size_t kern_kv_bytes(enum kern_type t, int n_head, int head_dim, int capacity)
{
    /* 32 spare values: a kernel may read past the last row. */
    return kern_type_row_bytes(t, (size_t)n_head * (size_t)head_dim * (size_t)capacity + 32);
}

enum kern_type kern_kv_type(enum kern_type wish, int head_dim)
{
    bool blocks = head_dim % KERN_BLOCK == 0 && head_dim <= KERN_KV_Q8_DIM;
    return wish == KERN_Q8_0 && !blocks ? KERN_F16 : wish;
}

static void store_row(struct kern_exec *x, enum kern_type type, const float *in, void *row, int d)
{
    float scale[KERN_KV_Q8_DIM / KERN_BLOCK];
    int32_t sum[KERN_KV_Q8_DIM / KERN_BLOCK];
    size_t n_block = (size_t)d / KERN_BLOCK;
    if (type == KERN_F32) {
        memcpy(row, in, (size_t)d * sizeof *in);
    } else if (type == KERN_F16) {
        x->ops->to_f16(in, row, (size_t)d);
    } else {
        x->ops->quantize(in, d, (int8_t *)row + n_block * 2, scale, sum);
        x->ops->to_f16(scale, row, n_block);
    }
}

void kern_kv_store(struct kern_exec *x, const struct kern_kv *kv, int position, const float *k,
                   const float *v)
{
    size_t d = (size_t)kv->head_dim, bytes = kern_kv_row_bytes(kv->type, kv->head_dim);
    for (size_t h = 0; h < (size_t)kv->n_head; h++) {
        size_t at = (h * (size_t)kv->capacity + (size_t)(position % kv->capacity)) * bytes;
        store_row(x, kv->type, k + h * d, (char *)kv->k + at, kv->head_dim);
        store_row(x, kv->type, v + h * d, (char *)kv->v + at, kv->head_dim);
    }
}

struct attend_job {
    struct kern_exec *x;
    const struct kern_heads *q;
    int step; /* rows of a task */
    const struct kern_attend_row *rows;
    float *out;
};

static void attend_task(void *arg, int i, int i_thread)
{
    const struct attend_job *j = arg;
    const struct kern_heads *q = j->q;
    int n_kv_head = j->rows[0].kv->n_head, n_q = q->n_head / n_kv_head;
    int h = i % n_kv_head, r = i / n_kv_head * j->step;
    size_t first = (size_t)h * (size_t)n_q * (size_t)q->head_dim, out_stride = heads_floats(q);
    struct kern_attend_task t = {q->p + (size_t)r * q->stride + first,
                                 j->out + (size_t)r * out_stride + first,
                                 q->stride,
                                 out_stride,
                                 n_q,
                                 h,
                                 q->n_row - r < j->step ? q->n_row - r : j->step,
                                 j->rows + r};
    (void)i_thread;
    j->x->ops->attend(&t);
}

void kern_attend(struct kern_exec *x, const struct kern_heads *q,
                 const struct kern_attend_row *rows, float *out)
{
    struct attend_job j = {x, q, 1, rows, out};
    if (q->n_row > 1 && rows[0].kv == rows[1].kv)
        j.step = 2;
    for (int r = 0; r < q->n_row; r++) {
        const struct kern_kv *kv = rows[r].kv;
        double seen = rows[r].last - rows[r].first + 1;
        kern_exec_count(x, seen * q->n_head * kv->head_dim * 2,
                        r % j.step ? 0
                                   : seen * kv->n_head * 2 *
                                         (double)kern_kv_row_bytes(kv->type, kv->head_dim));
    }
    pool_run(x->pool, attend_task, &j, (q->n_row + j.step - 1) / j.step * rows[0].kv->n_head);
}
