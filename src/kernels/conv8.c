/* conv8.c - choose the kernels, quantize weights, split a call over the pool. */
#include "kernels/conv8.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "kernels/conv8_ops.h"
#include "kernels/ops.h"

#define MAX_TERMS 133144 /* terms of 127 * 127 that fit 31 bits */
#define GRAIN     16384  /* floats worth a task */
#define TASKS     12     /* wanted of each thread: the last ones to run leave others idle */
#define SILENT    1e-30f /* magnitudes below count as zero: their inverse might be infinite */

static float scale_of(float top)
{
    return top < SILENT ? 0 : top / 127;
}

bool conv8_fits(int n_in, int n_tap)
{
    return n_in <= MAX_TERMS / n_tap;
}

/* The first of the instruction set that takes the convolution. */
static const struct conv8_ops *ops_of(const struct kern_exec *x, const struct conv8 *c)
{
    static const struct conv8_ops *const list[] = {
        &conv8_ops_ref,
#if defined(__x86_64__)
        &conv8_fir_avx2,
        &conv8_ops_avx2,
        &conv8_fir_avxvnni,
        &conv8_ops_avxvnni,
        &conv8_fir_avx512,
        &conv8_ops_avx512,
        &conv8_ops_amx,
#elif defined(__aarch64__)
        &conv8_ops_neon,
        &conv8_ops_i8mm,
#endif
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (!strcmp(list[i]->isa, kern_exec_isa(x)) && (!list[i]->takes || list[i]->takes(c)))
            return list[i];
    return list[0];
}

/* --- weights --- */

struct conv8_pack {
    const struct kern_source *s;
    struct conv8 *c;
    char *packed;
    float *scale;
    float **row; /* [threads] one row of weights */
    int8_t **q;  /* [threads] a panel of them */
    atomic_bool damaged;
};

static void conv8_pack_panel(void *arg, int i_panel, int i_thread)
{
    struct conv8_pack *p = arg;
    size_t k = (size_t)p->s->n_in * (size_t)p->s->n_tap;
    size_t row_bytes = kern_type_row_bytes(p->s->type, k);
    float *row = p->row[i_thread];
    int first = i_panel * CONV8_PANEL;
    int n = p->s->n_out - first < CONV8_PANEL ? p->s->n_out - first : CONV8_PANEL;
    for (int o = 0; o < n; o++) {
        int8_t *q = p->q[i_thread] + (size_t)o * k;
        float top = 0;
        const char *stored = (const char *)p->s->rows + (size_t)(first + o) * row_bytes;
        if (!kern_stored_finite(p->s->type, stored, k)) {
            p->damaged = true;
            return;
        }
        kern_to_f32(p->s->type, stored, row, k);
        for (size_t i = 0; i < k; i++)
            top = fabsf(row[i]) > top ? fabsf(row[i]) : top;
        float scale = scale_of(top), inverse = scale > 0 ? 1 / scale : 0;
        p->scale[first + o] = scale;
        for (size_t i = 0; i < k; i++)
            q[i] = (int8_t)lrintf(row[i] * inverse);
    }
    p->c->ops->pack(p->c, p->q[i_thread], n,
                    p->packed + (size_t)i_panel * p->c->ops->panel_bytes(p->c));
}

static int conv8_pack_all(struct kern_exec *x, struct conv8_pack *p, int n_panel, struct err *e)
{
    float *rows[POOL_MAX_THREADS] = {0};
    int8_t *q[POOL_MAX_THREADS] = {0};
    size_t k = (size_t)p->s->n_in * (size_t)p->s->n_tap;
    struct pool *pool = kern_exec_pool(x);
    int n = pool_threads(pool), rc = 0;
    p->row = rows;
    p->q = q;
    for (int i = 0; i < n && rc == 0; i++) {
        rows[i] = mem_try(k, sizeof **rows);
        q[i] = mem_try(k, CONV8_PANEL);
        if (!rows[i] || !q[i])
            rc = err_set(e, ERR_MEMORY, "out of memory while packing weights");
    }
    if (rc == 0)
        pool_run(pool, conv8_pack_panel, p, n_panel);
    for (int i = 0; i < n; i++) {
        mem_free(rows[i]);
        mem_free(q[i]);
    }
    p->row = NULL;
    p->q = NULL;
    return rc == 0 && p->damaged ? kern_damaged(p->s, e) : rc;
}

/* The convolution as the kernels see it. */
static struct conv8 shape_of(const struct kern_source *s, const struct conv8_shape *h)
{
    struct conv8 c = {.n_out = s->n_out,
                      .n_in = s->n_in,
                      .n_tap = s->n_tap,
                      .stride = h->stride,
                      .dilation = h->dilation,
                      .n_row = h->n_row,
                      .n_beside = 1};
    if (h->stride > 1 && h->dilation == 1 && s->n_tap > h->stride && s->n_tap % h->stride == 0) {
        c.n_beside = h->stride;
        c.n_in *= h->stride;
        c.n_tap /= h->stride;
        c.stride = 1;
    }
    return c;
}

int conv8_init(struct conv8 *c, struct kern_exec *x, const struct kern_source *s,
               const struct conv8_shape *shape, struct mem_arena *arena, struct err *e)
{
    struct conv8 made = shape_of(s, shape);
    made.ops = ops_of(x, &made);
    int n_panel = (s->n_out + CONV8_PANEL - 1) / CONV8_PANEL;
    size_t n_scale = (size_t)n_panel * CONV8_PANEL;
    char *packed = mem_arena_alloc(arena, made.ops->panel_bytes(&made) * (size_t)n_panel);
    float *scale = mem_arena_alloc(arena, n_scale * sizeof *scale);
    float *bias = mem_arena_alloc(arena, n_scale * sizeof *bias);
    if (!packed || !scale || !bias)
        return err_set(e, ERR_MEMORY, "out of memory for a convolution of %d x %d x %d", s->n_out,
                       s->n_tap, s->n_in);
    made.packed = packed;
    made.scale = scale;
    made.bias = bias;
    if (s->bias)
        memcpy(bias, s->bias, (size_t)s->n_out * sizeof *bias);
    struct conv8_pack p = {.s = s, .c = &made, .packed = packed, .scale = scale};
    int rc = conv8_pack_all(x, &p, n_panel, e);
    if (rc == 0)
        *c = made;
    return rc;
}

/* --- running --- */

/* The work buffer: largest magnitude of each input row, scales, prepared input. */
static size_t work_head(const struct conv8 *c, int n_piece)
{
    size_t n = (size_t)conv8_rows_in(c, n_piece * c->n_row) +
               (size_t)(c->n_tap == 1 ? n_piece * c->n_row : n_piece);
    return (n * sizeof(float) + 63) / 64 * 64;
}

size_t conv8_work_bytes(const struct conv8 *c, int n_piece)
{
    return work_head(c, n_piece) + c->ops->input_bytes(c, n_piece);
}

struct conv8_rows_job {
    const struct conv8_job *j;
    const struct kern_ops *ops;
    float *top;
    int n, step, n_old; /* rows; of a task; those that are not made of raw */
};

/* Makes a row of input where it is still raw, and finds its largest magnitude. */
static void look_at_row(const struct conv8_rows_job *r, int row)
{
    const struct conv8_call *call = r->j->call;
    const struct conv8 *c = r->j->c;
    int n = c->n_in / c->n_beside;
    float *in = call->in + (size_t)row * (size_t)c->n_in;
    if (call->raw && row >= r->n_old) {
        const float *raw = call->raw + (size_t)(row - r->n_old) * (size_t)c->n_in;
        for (int i = 0; i < c->n_in; i += n)
            r->ops->snake(raw + i, call->slopes->alpha, call->slopes->inv, n, in + i);
    }
    r->top[row] = c->ops->top(in, (size_t)c->n_in);
}

static void top_task(void *arg, int i, int i_thread)
{
    const struct conv8_rows_job *r = arg;
    int end = (i + 1) * r->step < r->n ? (i + 1) * r->step : r->n;
    (void)i_thread;
    for (int row = i * r->step; row < end; row++)
        look_at_row(r, row);
}

static void prepare_task(void *arg, int i, int i_thread)
{
    const struct conv8_rows_job *r = arg;
    int end = (i + 1) * r->step < r->n ? (i + 1) * r->step : r->n;
    (void)i_thread;
    r->j->c->ops->prepare(r->j, i * r->step, end);
}

/* With one tap, rows that have all been looked at are prepared at once, while they are in the
 * cache. */
static void one_tap_task(void *arg, int i, int i_thread)
{
    const struct conv8_rows_job *r = arg;
    int stride = r->j->c->stride, first = i * r->step;
    int end = first + r->step < r->n ? first + r->step : r->n;
    (void)i_thread;
    for (int unit = first; unit < end; unit++) {
        look_at_row(r, unit * stride);
        r->j->scale[unit] = scale_of(r->top[unit * stride]);
        r->j->c->ops->prepare(r->j, unit, unit + 1);
    }
}

static void find_scales(const struct conv8_job *j, const float *top)
{
    int n = conv8_rows_in(j->c, j->c->n_row);
    for (int p = 0; p < j->call->n_piece; p++) {
        const float *t = top + conv8_piece(j, p);
        float most = 0;
        for (int r = 0; r < n; r++)
            most = t[r] > most ? t[r] : most;
        j->scale[p] = scale_of(most);
    }
}

static void conv8_run_rows(struct kern_exec *x, struct conv8_rows_job *r, pool_task task)
{
    r->step = GRAIN / r->j->c->n_in > 1 ? GRAIN / r->j->c->n_in : 1;
    pool_run(kern_exec_pool(x), task, r, (r->n + r->step - 1) / r->step);
}

/* The input, quantized in the kernels' own form. */
static void make_input(struct kern_exec *x, const struct conv8_job *j, float *top)
{
    const struct conv8 *c = j->c;
    int n_new = j->call->n_piece * c->n_row * c->stride;
    struct conv8_rows_job rows = {.j = j, .ops = kern_exec_ops(x), .top = top};
    rows.n = conv8_rows_in(c, j->call->n_piece * c->n_row);
    rows.n_old = rows.n - n_new;
    if (c->n_tap == 1) {
        rows.n = c->ops->n_prepare(j);
        conv8_run_rows(x, &rows, one_tap_task);
        return;
    }
    conv8_run_rows(x, &rows, top_task);
    find_scales(j, top);
    rows.n = c->ops->n_prepare(j);
    conv8_run_rows(x, &rows, prepare_task);
}

struct run_job {
    const struct conv8_job *j;
    int n_unit, n_panel, panel_step, n_panel_task;
};

static void run_task(void *arg, int i, int i_thread)
{
    const struct run_job *r = arg;
    int block = r->j->c->ops->run_block;
    int panel = i % r->n_panel_task * r->panel_step, unit = i / r->n_panel_task * block;
    int panel_end = panel + r->panel_step, unit_end = unit + block;
    (void)i_thread;
    struct conv8_range range = {unit, unit_end < r->n_unit ? unit_end : r->n_unit, panel,
                                panel_end < r->n_panel ? panel_end : r->n_panel};
    r->j->c->ops->run(r->j, &range);
}

void conv8_run(struct kern_exec *x, const struct conv8 *c, const struct conv8_call *call)
{
    float *top = call->work, *scale = top + conv8_rows_in(c, call->n_piece * c->n_row);
    struct conv8_job j = {c, call, scale, (char *)call->work + work_head(c, call->n_piece)};
    size_t k = (size_t)c->n_in * (size_t)c->n_tap;
    kern_exec_count(x, (double)call->n_piece * c->n_row * c->n_out * (double)k,
                    (double)c->n_out * (double)k);
    make_input(x, &j, top);

    struct run_job run = {&j, c->ops->n_run(&j), (c->n_out + CONV8_PANEL - 1) / CONV8_PANEL, 1, 1};
    int n_unit_task = (run.n_unit + c->ops->run_block - 1) / c->ops->run_block;
    int want = (pool_threads(kern_exec_pool(x)) * TASKS + n_unit_task - 1) / n_unit_task;
    run.panel_step = (run.n_panel + want - 1) / want;
    run.n_panel_task = (run.n_panel + run.panel_step - 1) / run.panel_step;
    pool_run(kern_exec_pool(x), run_task, &run, run.n_panel_task * n_unit_task);
}
