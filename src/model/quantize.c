#include "model/quantize.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "model/equalize.h"
#include "model/imatrix.h"
#include "model/recipe.h"

#define B     QUANTIZE_BLOCK
#define CHUNK ((size_t)1 << 18) /* values in work: 1 MiB of floats */
#define TASK  ((size_t)64 * B)  /* values of one task of the pool */
#define STEPS 9                 /* scales tried to either side of the largest value's */

/* --- blocks --- */

static float to_half(float v)
{
    uint16_t h;
    kern_from_f32(KERN_F16, &v, &h, 1);
    kern_to_f32(KERN_F16, &h, &v, 1);
    return v;
}

/* Adding and taking away 1.5 * 2^23 leaves the nearest integer, in a form that compilers vectorize;
 * rintf is a call on the oldest processors. */
static float quantize_nearest(float v, float low, float high)
{
    v = v < low ? low : v > high ? high : v;
    return (v + 12582912.0f) - 12582912.0f;
}

struct search { /* of one block's scale */
    const float *x;
    float w[B];
    float low, high;    /* of the integers */
    float scale, error; /* the best so far */
};

static float error_of(const struct search *s, float scale)
{
    float inverse = 1 / scale, sum = 0;
    for (int i = 0; i < B; i++) {
        float d = s->x[i] - scale * quantize_nearest(s->x[i] * inverse, s->low, s->high);
        sum += s->w[i] * d * d;
    }
    return sum;
}

static void try_scale(struct search *s, float scale)
{
    scale = to_half(scale);
    if (scale == 0 || !isfinite(1 / scale))
        return;
    float error = error_of(s, scale);
    if (error < s->error) {
        s->error = error;
        s->scale = scale;
    }
}

/* A scale, and the one that is best for the integers it leads to (least squares). */
static void try_both(struct search *s, float scale)
{
    float inverse = 1 / scale, above = 0, below = 0;
    if (!isfinite(inverse))
        return;
    for (int i = 0; i < B; i++) {
        float q = quantize_nearest(s->x[i] * inverse, s->low, s->high);
        above += s->w[i] * s->x[i] * q;
        below += s->w[i] * q * q;
    }
    try_scale(s, scale);
    if (below > 0)
        try_scale(s, above / below);
}

/* Weights relative to their mean, so that no sum leaves the range of float; all alike when nothing
 * is known or nothing counts. */
static void set_weights(struct search *s, const float *importance)
{
    double sum = 0;
    for (int i = 0; importance && i < B; i++)
        sum += (double)importance[i];
    for (int i = 0; i < B; i++)
        s->w[i] = sum > 0 ? (float)((double)importance[i] * B / sum) : 1;
}

/* The largest value ends up on the last integer, or somewhat beyond it or short of it; q4_0 has one
 * integer more below zero than above, so that a scale may be negative. */
static float find_scale(struct search *s, float step)
{
    float top = 0;
    for (int i = 0; i < B; i++)
        top = fabsf(s->x[i]) > fabsf(top) ? s->x[i] : top;
    s->scale = 0;
    s->error = 0;
    if (to_half(top / s->low) == 0)
        return 0; /* nothing that a half could tell from zero */
    s->error = INFINITY;
    try_scale(s, top / s->low);
    try_scale(s, fabsf(top) / s->high);
    for (int k = -STEPS; k <= STEPS; k++) {
        try_both(s, top / (s->low - step * (float)k));
        if (s->low != -s->high)
            try_both(s, top / (s->high + step * (float)k));
    }
    return s->scale;
}

static void put_q8(const float *x, float scale, uint8_t *out)
{
    uint16_t h;
    kern_from_f32(KERN_F16, &scale, &h, 1);
    memcpy(out, &h, 2);
    for (int i = 0; i < B; i++)
        out[2 + i] =
            (uint8_t)(int8_t)(scale == 0 ? 0 : quantize_nearest(x[i] * (1 / scale), -127, 127));
}

/* Value i is the low half of byte i, value i + 16 the high half; 8 stands for zero. */
static void put_q4(const float *x, float scale, uint8_t *out)
{
    uint16_t h;
    uint8_t q[B];
    kern_from_f32(KERN_F16, &scale, &h, 1);
    memcpy(out, &h, 2);
    for (int i = 0; i < B; i++)
        q[i] = (uint8_t)(scale == 0 ? 8 : quantize_nearest(x[i] * (1 / scale), -8, 7) + 8);
    for (int i = 0; i < B / 2; i++)
        out[2 + i] = (uint8_t)(q[i] | q[i + B / 2] << 4);
}

void quantize_blocks(enum kern_type t, const float *in, const float *importance, size_t n,
                     void *out)
{
    size_t bytes = kern_type_row_bytes(t, B);
    for (size_t b = 0; b < n / B; b++) {
        struct search s = {.x = in + b * B};
        uint8_t *to = (uint8_t *)out + b * bytes;
        set_weights(&s, importance ? importance + b * B : NULL);
        s.low = t == KERN_Q8_0 ? -127 : -8;
        s.high = t == KERN_Q8_0 ? 127 : 7;
        if (t == KERN_Q8_0)
            put_q8(s.x, find_scale(&s, 0.25f), to);
        else
            put_q4(s.x, find_scale(&s, 0.1f), to);
    }
}

/* --- a file --- */

struct job { /* one tensor */
    const struct gguf_tensor *t;
    enum kern_type type;
    const float *importance; /* [ne0] or NULL */
    size_t n;                /* values of the chunk in work */
    size_t at;               /* of its first value */
    float *values, *weights; /* [CHUNK] */
    uint8_t *out;            /* [CHUNK] in the new type */
    const uint8_t *in;
    const struct equalize *equalize;
};

struct run {
    const struct quantize_options *o;
    struct gguf *g;
    struct spec spec;
    struct imatrix *imatrix;
    struct recipe *recipe;
    struct equalize *equalize;
    struct pool *pool;
    struct gguf_writer *w;
    float *row; /* [LIMIT_DIM] importance of the tensor in work */
    struct job job;
    size_t n_value, n_done;
};

static bool is_half(enum kern_type t)
{
    return t != KERN_F32 && t != KERN_BF16;
}

static bool in_range(const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(v[i]) <= QUANTIZE_MAX))
            return false;
    return true;
}

static void quantize_task(void *arg, int i, int i_thread)
{
    struct job *j = arg;
    size_t from = (size_t)i * TASK, n = j->n - from < TASK ? j->n - from : TASK;
    (void)i_thread;
    kern_to_f32((enum kern_type)j->t->type,
                j->in + kern_type_row_bytes((enum kern_type)j->t->type, from), j->values + from, n);
    equalize_values(j->equalize, j->t->name, j->at + from, j->values + from, n);
    if (is_half(j->type) && !in_range(j->values + from, n))
        return; /* quantize_tensor says so */
    void *out = j->out + kern_type_row_bytes(j->type, from);
    if (j->type != KERN_Q8_0 && j->type != KERN_Q4_0) {
        kern_from_f32(j->type, j->values + from, out, n);
        return;
    }
    size_t width = (size_t)j->t->ne[0], column = (j->at + from) % width;
    for (size_t k = 0; j->importance && k < n; k++, column = column + 1 == width ? 0 : column + 1)
        j->weights[from + k] = j->importance[column];
    quantize_blocks(j->type, j->values + from, j->importance ? j->weights + from : NULL, n, out);
}

static int check_values(const struct job *j, struct err *e)
{
    for (size_t i = 0; is_half(j->type) && i < j->n; i++)
        if (!(fabsf(j->values[i]) <= QUANTIZE_MAX))
            return err_set(e, ERR_FORMAT, "tensor %s holds %g, the limit of %s is %g", j->t->name,
                           (double)j->values[i], kern_type_name(j->type), (double)QUANTIZE_MAX);
    return 0;
}

static size_t n_values(const struct gguf_tensor *t)
{
    size_t n = 1;
    for (int i = 0; i < t->n_dim; i++)
        n *= (size_t)t->ne[i];
    return n;
}

static void tell(struct run *r, size_t n)
{
    r->n_done += n;
    if (r->o->progress)
        r->o->progress(r->o->cookie, (double)r->n_done / (double)r->n_value);
}

static int copy_tensor(struct run *r, const struct gguf_tensor *t, struct err *e)
{
    int rc = gguf_writer_data(r->w, t->data, t->n_bytes, e);
    gguf_drop(r->g, t);
    tell(r, n_values(t));
    return rc;
}

/* Chunk by chunk; the pages of the input are given back as they are used up. */
static int quantize_tensor(struct run *r, const struct gguf_tensor *t, struct err *e)
{
    struct job *j = &r->job;
    size_t n = n_values(t);
    int rc = 0;
    j->t = t;
    j->importance = NULL;
    if (r->imatrix && t->ne[0] <= LIMIT_DIM) {
        rc = recipe_importance(t, r->imatrix, r->equalize, r->row, e);
        j->importance = rc == 0 ? r->row : NULL;
        if (rc == ERR_NOT_FOUND)
            rc = 0;
    }
    for (size_t at = 0; at < n && rc == 0; at += j->n) {
        struct gguf_tensor part = *t;
        j->n = n - at < CHUNK ? n - at : CHUNK;
        j->at = at;
        j->in = (const uint8_t *)t->data + kern_type_row_bytes((enum kern_type)t->type, at);
        pool_run(r->pool, quantize_task, j, (int)((j->n + TASK - 1) / TASK));
        if ((rc = check_values(j, e)) == 0)
            rc = gguf_writer_data(r->w, j->out, kern_type_row_bytes(j->type, j->n), e);
        part.data = j->in;
        part.n_bytes = kern_type_row_bytes((enum kern_type)t->type, j->n);
        gguf_drop(r->g, &part);
        tell(r, j->n);
    }
    return rc;
}

static enum kern_type type_of(const struct run *r, const struct gguf_tensor *t)
{
    enum kern_type type = recipe_type(r->recipe, t);
    if (r->o->choose && recipe_is_matrix(t) && t->ne[0] % B == 0)
        type = r->o->choose(r->o->cookie, t, type);
    return type;
}

/* All metadata of the file except those on the type of its tensors. */
static void copy_keys(struct run *r)
{
    static const char *const ours[] = {"general.alignment", "general.file_type",
                                       "general.quantization_version"};
    enum gguf_kind kind;
    const char *key;
    for (int i = 0; (key = gguf_key_at(r->g, i, &kind)); i++) {
        bool skip = false;
        for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
            skip = skip || !strcmp(key, ours[k]);
        if (!skip)
            gguf_put_copy(r->w, r->g, i);
    }
    /* ggml's numbers: mostly q8_0, mostly q4_0; version 2 of its block formats. */
    gguf_put_int(r->w, "general.file_type", GGUF_U32, r->o->scheme == QUANTIZE_Q8 ? 7 : 2);
    gguf_put_int(r->w, "general.quantization_version", GGUF_U32, 2);
}

static int quantize_write_file(struct run *r, struct err *e)
{
    int n = gguf_n_tensors(r->g), rc = 0;
    copy_keys(r);
    for (int i = 0; i < n && rc == 0; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(r->g, i);
        if (t->n_bytes == 0)
            return err_set(e, ERR_UNSUPPORTED, "tensor %s has type %d, which cannot be read",
                           t->name, t->type);
        r->n_value += n_values(t);
        rc = gguf_writer_tensor(r->w, t->name, (int)type_of(r, t), t->n_dim, t->ne, e);
    }
    if (rc == 0)
        rc = gguf_writer_begin(r->w, e);
    for (int i = 0; i < n && rc == 0; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(r->g, i);
        r->job.type = type_of(r, t);
        bool same = (int)r->job.type == t->type && !equalize_changes(r->equalize, t->name);
        rc = same ? copy_tensor(r, t, e) : quantize_tensor(r, t, e);
    }
    if (rc == 0)
        rc = gguf_check(r->g, e); /* the file has not changed while it was read */
    return rc < 0 ? rc : gguf_writer_finish(r->w, e);
}

/* --- channels --- */

static bool quantize_shape(void *cookie, const char *name, int64_t ne[3])
{
    const struct gguf_tensor *t = gguf_find(cookie, name);
    if (!t || t->n_bytes == 0 ||
        (t->type != KERN_F32 && t->type != KERN_F16 && t->type != KERN_BF16) || t->n_dim > 3)
        return false;
    for (int i = 0; i < 3; i++)
        ne[i] = i < t->n_dim ? t->ne[i] : 1;
    return true;
}

static int quantize_read(void *cookie, const char *name, float *out, struct err *e)
{
    const struct gguf_tensor *t = gguf_find(cookie, name);
    (void)e;
    kern_to_f32((enum kern_type)t->type, t->data, out, n_values(t));
    gguf_drop(cookie, t);
    return 0;
}

/* Equalize first, then choose types: the loss of a matrix depends on its channels. */
static int quantize_plan(struct run *r, struct err *e)
{
    const struct quantize_options *o = r->o;
    const struct equalize_tensors tensors = {r->g, quantize_shape, quantize_read};
    int rc = spec_read(r->g, &r->spec, e);
    if (rc == 0 && o->imatrix)
        rc = imatrix_open(o->imatrix, &r->imatrix, e);
    if (rc == 0 && o->equalize)
        rc = equalize_new(&r->spec, &tensors, r->imatrix, &r->equalize, e);
    struct recipe_of of = {r->g, &r->spec, o->scheme, o->target_bits, r->imatrix, r->equalize};
    if (rc == 0)
        rc = recipe_new(&of, &r->recipe, e);
    if (rc == 0 && o->note)
        recipe_say(r->recipe, o->note, o->cookie);
    r->job.equalize = r->equalize;
    return rc;
}

int quantize_file(const struct quantize_options *o, struct err *e)
{
    struct run r = {.o = o};
    int rc;
    if ((rc = gguf_open(o->input, &r.g, e)) < 0)
        return rc;
    r.row = mem_try(LIMIT_DIM, sizeof *r.row);
    r.job.values = mem_try(CHUNK, sizeof *r.job.values);
    r.job.weights = mem_try(CHUNK, sizeof *r.job.weights);
    r.job.out = mem_try(CHUNK, sizeof(float));
    if (!r.row || !r.job.values || !r.job.weights || !r.job.out)
        rc = err_set(e, ERR_MEMORY, "out of memory for quantizing");
    if (rc == 0 && (rc = quantize_plan(&r, e)) == 0 &&
        (rc = pool_new(o->n_thread, &r.pool, e)) == 0 &&
        (rc = gguf_writer_new(o->output, &r.w, e)) == 0)
        rc = quantize_write_file(&r, e);
    gguf_writer_free(r.w);
    pool_free(r.pool);
    recipe_free(r.recipe);
    equalize_free(r.equalize);
    imatrix_free(r.imatrix);
    mem_free(r.row);
    mem_free(r.job.values);
    mem_free(r.job.weights);
    mem_free(r.job.out);
    gguf_close(r.g);
    return rc;
}
