#include "model/lm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "model/load.h"
#include "model/transformer.h"
#include "model/model_test.h"

#define CANDIDATES 1024 /* residual codes are drawn from the first 1024 logits */

struct lm {
    struct spec_lm s;
    const struct lm_driver *driver; /* NULL: our kernels compute, with what follows */
    enum kern_type kv_type, fast_kv_type;
    bool full_head;
    int max_row, max_batch;
    const struct gguf_tensor *token_embd, *codebook_embd, *fast_embd; /* rows read from the file */
    struct transformer *slow, *fast;
    struct kern_linear head, fast_head, project;
    struct transformer_scratch *slow_scratch, *fast_scratch;
    struct transformer_kv **fast_kv; /* [max_batch] */
    float *x;                        /* [max_row, dim] */
    float *fast_x;                   /* [2 max_batch, fast dim] */
    float *work, *head_out;          /* [max_batch, widest dim]; [max_batch, head rows] */
    float *row;                      /* [widest dim] */
    struct transformer_kv **row_kv;  /* [max_row] */
    int32_t *row_position;           /* [max_row] */
    int *last_row;                   /* [max_row] row of each feed's last column */
    struct lm_batch batch;
    struct transformer_span *span; /* [max_row] of the rows of a call */
    struct transformer_watch watch;
};

struct lm_slot {
    const struct lm *lm;
    struct transformer_kv *kv; /* NULL with a driver */
    size_t n_bytes;            /* of plain.rows */
    struct lm_plain plain;     /* without a driver only length and capacity */
    bool broken;               /* a column was fed whose embedding is not finite */
    struct transformer_span span;
};

/* --- loading --- */

/* An output matrix of its own has all rows, or only those that can be generated (import.h). */
static const struct gguf_tensor *find_head(const struct lm *m, const struct load *l, bool *trimmed,
                                           struct err *e)
{
    const struct spec_lm *s = &m->s;
    int64_t all[2] = {s->slow.dim, s->n_vocab};
    int64_t some[2] = {s->slow.dim, s->semantic_end - s->semantic_begin + 2};
    const struct gguf_tensor *t = s->tied ? NULL : load_find(l, "output.weight", some, 2, NULL);
    *trimmed = t != NULL;
    if (!t)
        return load_find(l, s->tied ? "token_embd.weight" : "output.weight", all, 2, e);
    if (!m->full_head)
        return t;
    err_set(e, ERR_UNSUPPORTED, "%s keeps only the rows that can be generated", t->name);
    return NULL;
}

/* Head: the rows that can be generated, copied together out of the output matrix. */
static int load_head(struct lm *m, const struct load *l, struct err *e)
{
    const struct spec_lm *s = &m->s;
    bool trimmed;
    const struct gguf_tensor *t = find_head(m, l, &trimmed, e);
    if (!t)
        return ERR_FORMAT;
    struct kern_source src = {(int)t->ne[1], s->slow.dim, 1,      (enum kern_type)t->type,
                              t->data,       NULL,        t->name};
    if (m->full_head || trimmed) {
        int made = kern_linear_init(&m->head, l->exec, &src, l->type, l->arena, e);
        if (trimmed)
            gguf_drop(l->g, t);
        return made;
    }
    size_t row = kern_type_row_bytes((enum kern_type)t->type, (size_t)s->slow.dim);
    int n_semantic = s->semantic_end - s->semantic_begin + 1;
    char *rows = mem_try((size_t)n_semantic + 1, row);
    if (!rows)
        return err_set(e, ERR_MEMORY, "out of memory for the output head");
    memcpy(rows, (const char *)t->data + (size_t)s->semantic_begin * row, (size_t)n_semantic * row);
    memcpy(rows + (size_t)n_semantic * row, (const char *)t->data + (size_t)s->im_end * row, row);
    src.rows = rows;
    src.n_out = n_semantic + 1;
    int rc = kern_linear_init(&m->head, l->exec, &src, l->type, l->arena, e);
    mem_free(rows);
    return rc;
}

/* Fast head: residual codes are few, so only the first rows can be drawn. */
static int load_fast_head(struct lm *m, const struct load *l, struct err *e)
{
    const struct spec_lm *s = &m->s;
    int64_t ne[2] = {s->fast.dim, s->codebook_size};
    const struct gguf_tensor *t = load_find(l, "fast.output.weight", ne, 2, e);
    if (!t)
        return ERR_FORMAT;
    struct kern_source src = {m->full_head ? s->codebook_size : lm_n_candidate(m, 1),
                              s->fast.dim,
                              1,
                              (enum kern_type)t->type,
                              t->data,
                              NULL,
                              t->name};
    int rc = kern_linear_init(&m->fast_head, l->exec, &src, l->type, l->arena, e);
    gguf_drop(l->g, t);
    return rc;
}

static int load_weights(struct lm *m, const struct load *l, struct err *e)
{
    const struct spec_lm *s = &m->s;
    int64_t token[2] = {s->slow.dim, s->n_vocab};
    int64_t book[2] = {s->slow.dim, (int64_t)s->codebook_size * s->n_codebook};
    int64_t fast[2] = {s->fast.dim, s->codebook_size};
    int in[3] = {s->fast.dim, 1, s->slow.dim}, rc;
    if (!(m->token_embd = load_find(l, "token_embd.weight", token, 2, e)) ||
        !(m->codebook_embd = load_find(l, "codebook_embd.weight", book, 2, e)) ||
        !(m->fast_embd = load_find(l, "fast.token_embd.weight", fast, 2, e)))
        return ERR_FORMAT;
    if ((rc = load_head(m, l, e)) < 0 || (rc = load_fast_head(m, l, e)) < 0 ||
        (rc = load_check(m->fast_embd, e)) < 0)
        return rc;
    if (s->fast_project_in)
        rc = load_linear(l, "fast.proj_in.weight", "fast.proj_in.bias", &m->project, in, e);
    else if (s->fast.dim != s->slow.dim)
        rc = err_set(e, ERR_FORMAT, "fast dim %d differs from dim %d without a projection",
                     s->fast.dim, s->slow.dim);
    if (rc < 0 || (rc = transformer_load(l, &s->slow, &m->slow, e)) < 0)
        return rc;
    struct load part = *l;
    part.prefix = "fast.";
    return transformer_load(&part, &s->fast, &m->fast, e);
}

static void alloc_batch(struct lm *m, struct mem_arena *arena)
{
    size_t n = (size_t)m->max_batch;
    m->batch.hidden = mem_arena_array(arena, n * (size_t)m->s.slow.dim, sizeof *m->batch.hidden);
    m->batch.logits =
        mem_arena_array(arena, n * (size_t)m->s.codebook_size, sizeof *m->batch.logits);
    m->batch.code = mem_arena_array(arena, n, sizeof *m->batch.code);
}

static int alloc_scratch(struct lm *m, struct mem_arena *arena, struct err *e)
{
    const struct spec_lm *s = &m->s;
    size_t n = (size_t)m->max_row, b = (size_t)m->max_batch;
    size_t widest = (size_t)(s->slow.dim > s->fast.dim ? s->slow.dim : s->fast.dim);
    int rc;
    m->x = mem_arena_array(arena, n * (size_t)s->slow.dim, sizeof *m->x);
    m->fast_x = mem_arena_array(arena, 2 * b * (size_t)s->fast.dim, sizeof *m->fast_x);
    m->work = mem_arena_array(arena, b * widest, sizeof *m->work);
    m->head_out = mem_arena_array(arena, b * (size_t)m->head.n_out, sizeof *m->head_out);
    m->row = mem_arena_array(arena, widest, sizeof *m->row);
    m->row_kv = mem_arena_array(arena, n, sizeof *m->row_kv);
    m->row_position = mem_arena_array(arena, n, sizeof *m->row_position);
    m->last_row = mem_arena_array(arena, n, sizeof *m->last_row);
    m->watch.span = m->span = mem_arena_array(arena, n, sizeof *m->span);
    m->fast_kv = mem_arena_array(arena, b, sizeof *m->fast_kv);
    alloc_batch(m, arena);
    if (mem_arena_failed(arena))
        return err_set(e, ERR_MEMORY, "out of memory for the language model's scratch");
    for (size_t i = 0; i < b; i++)
        if ((rc = transformer_kv_new(m->fast, s->n_codebook, m->fast_kv_type, &m->fast_kv[i], e)) <
            0)
            return rc;
    rc = transformer_scratch_new(&s->slow, m->max_row, arena, &m->slow_scratch, e);
    return rc < 0 ? rc
                  : transformer_scratch_new(&s->fast, 2 * m->max_batch, arena, &m->fast_scratch, e);
}

static enum kern_type matrix_type(const struct gguf *g, enum kern_type type)
{
    const struct gguf_tensor *t = gguf_find(g, "blk.0.attn_qkv.weight");
    return type != KERN_AS_STORED ? type : t ? (enum kern_type)t->type : KERN_F32;
}

static bool has_4_bits(const struct gguf *g, enum kern_type type)
{
    bool found = type == KERN_Q4_0;
    for (int i = 0; type == KERN_AS_STORED && !found && i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        found = t->type == KERN_Q4_0 && !strncmp(t->name, "blk.", 4);
    }
    return found;
}

enum kern_type lm_cache_type(const struct gguf *g, const struct spec_lm *s, enum kern_type type)
{
    if (has_4_bits(g, type))
        return kern_kv_type(KERN_Q8_0, s->slow.head_dim);
    return matrix_type(g, type) == KERN_F32 ? KERN_F32 : KERN_F16;
}

static int choose_cache(struct lm *m, const struct load *from, const struct lm_options *o,
                        struct err *e)
{
    static const enum kern_type types[] = {KERN_F32, KERN_F16, KERN_Q8_0};
    m->kv_type = lm_cache_type(from->g, &m->s, from->type);
    m->fast_kv_type = matrix_type(from->g, from->type) == KERN_F32 ? KERN_F32 : KERN_F16;
    if (!o->cache)
        return 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(o->cache, kern_type_name(types[i]))) {
            m->kv_type = kern_kv_type(types[i], m->s.slow.head_dim);
            return 0;
        }
    return err_set(e, ERR_ARGUMENT,
                   "a cache of \"%.32s\" is not known, choose one of: f32, f16, q8_0", o->cache);
}

int lm_load(const struct load *from, const struct spec_lm *s, const struct lm_options *o,
            struct lm **ret, struct err *e)
{
    struct lm *m = mem_arena_array(from->arena, 1, sizeof *m);
    if (!m)
        return err_set(e, ERR_MEMORY, "out of memory for the language model");
    m->s = *s;
    m->full_head = o->full_head;
    m->max_row = o->max_row > 0 ? o->max_row : 256;
    m->max_batch = o->max_batch > 0 ? o->max_batch : 8;
    if (m->max_row < 2 * m->max_batch)
        m->max_row = 2 * m->max_batch;
    int rc = choose_cache(m, from, o, e);
    if (rc == 0)
        rc = load_weights(m, from, e);
    if (rc == 0)
        rc = alloc_scratch(m, from->arena, e);
    if (rc < 0)
        lm_free(m);
    else
        *ret = m;
    return rc;
}

int lm_new_driven(const struct lm_driver *d, const struct spec_lm *s, int max_batch,
                  struct mem_arena *arena, struct lm **ret, struct err *e)
{
    struct lm *m = mem_arena_array(arena, 1, sizeof *m);
    if (m) {
        m->s = *s;
        m->driver = d;
        m->max_batch = max_batch;
        m->max_row = 256;
        m->head.n_out = s->semantic_end - s->semantic_begin + 2;
        alloc_batch(m, arena);
    }
    if (mem_arena_failed(arena))
        return err_set(e, ERR_MEMORY, "out of memory for the language model");
    *ret = m;
    return 0;
}

void lm_free(struct lm *m)
{
    for (int i = 0; m && m->fast_kv && i < m->max_batch; i++)
        transformer_kv_free(m->fast_kv[i]);
}

const struct spec_lm *lm_spec(const struct lm *m)
{
    return &m->s;
}

int lm_n_head_row(const struct lm *m)
{
    return m->head.n_out;
}

int32_t lm_head_token(const struct lm *m, int row)
{
    if (m->full_head)
        return row;
    return row + 1 == m->head.n_out ? m->s.im_end : m->s.semantic_begin + row;
}

int lm_n_candidate(const struct lm *m, int k)
{
    (void)k;
    return m->s.codebook_size < CANDIDATES ? m->s.codebook_size : CANDIDATES;
}

/* --- slots --- */

enum kern_type lm_kv_type(const struct lm *m)
{
    return m->kv_type;
}

static size_t plain_column(const struct lm *m) /* floats of one array */
{
    return (size_t)m->s.slow.n_head_kv * (size_t)m->s.slow.head_dim;
}

static size_t plain_arrays(const struct lm *m)
{
    return 2 * (size_t)m->s.slow.n_layer;
}

static int new_plain(const struct lm *m, struct lm_slot *s, struct err *e)
{
    s->n_bytes = plain_arrays(m) * (size_t)s->plain.capacity * plain_column(m) * sizeof(float);
    s->plain.rows = mem_pages_new(s->n_bytes + 1);
    return s->plain.rows ? 0
                         : err_set(e, ERR_MEMORY, "out of memory for a cache of %d positions",
                                   s->plain.capacity);
}

int lm_slot_new(const struct lm *m, int n_context, struct lm_slot **ret, struct err *e)
{
    struct lm_slot *s = mem_try(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_MEMORY, "out of memory for a slot");
    s->lm = m;
    s->plain.capacity = n_context < m->s.slow.n_position ? n_context : m->s.slow.n_position;
    int rc = m->driver ? new_plain(m, s, e)
                       : transformer_kv_new(m->slow, s->plain.capacity, m->kv_type, &s->kv, e);
    if (rc < 0)
        mem_free(s);
    else
        *ret = s;
    return rc;
}

void lm_slot_free(struct lm_slot *s)
{
    if (!s)
        return;
    transformer_kv_free(s->kv);
    mem_pages_free(s->plain.rows, s->n_bytes + 1);
    mem_free(s);
}

void lm_watch_heads(struct lm *m, const struct spec_head *heads, int n)
{
    m->watch.heads = heads;
    m->watch.n_head = n;
}

void lm_slot_watch(struct lm_slot *s, int from, int to, float *out)
{
    s->span = (struct transformer_span){from, to, out};
}

struct lm_plain *lm_slot_plain(struct lm_slot *s)
{
    return &s->plain;
}

void lm_slot_reset(struct lm_slot *s)
{
    s->broken = false;
    s->span.out = NULL;
    s->plain.length = 0;
    s->plain.stamp = 0;
    if (s->kv)
        transformer_kv_reset(s->kv);
    else
        mem_pages_drop(s->plain.rows, s->n_bytes);
}

void lm_slot_cut(struct lm_slot *s, int n_column)
{
    assert(n_column <= s->plain.length);
    s->plain.length = n_column;
    s->plain.stamp = 0;
}

int lm_slot_length(const struct lm_slot *s)
{
    return s->plain.length;
}

bool lm_slot_is_finite(const struct lm_slot *s)
{
    return !s->broken;
}

int lm_slot_capacity(const struct lm_slot *s)
{
    return s->plain.capacity;
}

size_t lm_slot_bytes(const struct lm_slot *s, int n_column)
{
    if (s->kv)
        return transformer_kv_span_bytes(s->kv, n_column);
    return plain_arrays(s->lm) * (size_t)n_column * plain_column(s->lm) * sizeof(float);
}

void lm_slot_save(const struct lm_slot *s, int n_column, void *out)
{
    assert(n_column <= s->plain.length);
    if (s->kv) {
        transformer_kv_save(s->kv, n_column, out);
        return;
    }
    size_t width = plain_column(s->lm), n = (size_t)n_column * width;
    for (size_t i = 0; i < plain_arrays(s->lm); i++)
        memcpy((float *)out + i * n, s->plain.rows + i * (size_t)s->plain.capacity * width,
               n * sizeof(float));
}

void lm_slot_load(struct lm_slot *s, int n_column, const void *in)
{
    assert(s->plain.length == 0 && n_column <= s->plain.capacity);
    size_t width = plain_column(s->lm), n = (size_t)n_column * width;
    if (s->kv)
        transformer_kv_load(s->kv, n_column, in);
    for (size_t i = 0; !s->kv && i < plain_arrays(s->lm); i++)
        memcpy(s->plain.rows + i * (size_t)s->plain.capacity * width, (const float *)in + i * n,
               n * sizeof(float));
    s->plain.length = n_column;
    s->plain.stamp = 0;
}

/* --- slow --- */

/* Returns whether the row's values are finite; a half that is not may look so as a float. */
static bool add_row(const struct gguf_tensor *t, size_t row, int dim, float *tmp, float *x)
{
    size_t bytes = kern_type_row_bytes((enum kern_type)t->type, (size_t)dim);
    const char *values = (const char *)t->data + row * bytes;
    kern_to_f32((enum kern_type)t->type, values, tmp, (size_t)dim);
    for (int i = 0; i < dim; i++)
        x[i] += tmp[i];
    return kern_stored_finite((enum kern_type)t->type, values, (size_t)dim);
}

static int clamp(int32_t v, int n)
{
    return v < 0 ? 0 : v >= n ? n - 1 : v;
}

/* llama.py:BaseTransformer.embed: token plus, at semantic positions, all codes; then the scale.
 * Returns whether all of them are finite. */
static bool embed(struct lm *m, const int32_t *column, float *x)
{
    const struct spec_lm *s = &m->s;
    int dim = s->slow.dim;
    memset(x, 0, (size_t)dim * sizeof *x);
    bool finite = add_row(m->token_embd, (size_t)clamp(column[0], s->n_vocab), dim, m->row, x);
    if (column[0] >= s->semantic_begin && column[0] <= s->semantic_end) {
        float *sum = m->work;
        memset(sum, 0, (size_t)dim * sizeof *sum);
        for (int q = 0; q < s->n_codebook; q++)
            finite &= add_row(m->codebook_embd,
                              (size_t)q * (size_t)s->codebook_size +
                                  (size_t)clamp(column[1 + q], s->codebook_size),
                              dim, m->row, sum);
        for (int i = 0; i < dim; i++)
            x[i] += sum[i];
        float scale = sqrtf((float)(s->n_codebook + 1));
        for (int i = 0; s->scale_codebook_embd && i < dim; i++)
            x[i] /= scale;
    }
    return finite;
}

/* Put n columns of a feed behind the n_row rows gathered so far. */
static int lm_gather(struct lm *m, const struct lm_feed *f, int from, int n, int n_row)
{
    assert(f->slot->plain.length + n <= f->slot->plain.capacity);
    size_t dim = (size_t)m->s.slow.dim;
    for (int i = 0; i < n; i++, n_row++) {
        const int32_t *column = f->columns + (size_t)(from + i) * (size_t)(1 + m->s.n_codebook);
        if (!embed(m, column, m->x + (size_t)n_row * dim))
            f->slot->broken = true;
        m->row_kv[n_row] = f->slot->kv;
        m->span[n_row].out = NULL;
        m->row_position[n_row] = f->slot->plain.length++;
    }
    return n_row;
}

static void finish_feed(struct lm *m, const struct lm_feed *f, int row)
{
    if (f->hidden)
        memcpy(f->hidden, m->x + (size_t)row * (size_t)m->s.slow.dim,
               (size_t)m->s.slow.dim * sizeof *f->hidden);
}

/* Head over the finished feeds, max_batch at a time in one pass over its weights. */
static void run_head(struct lm *m, const struct lm_feed *feeds, int n, struct kern_exec *x)
{
    size_t dim = (size_t)m->s.slow.dim, width = (size_t)m->head.n_out;
    for (int i = 0, end; i < n; i = end) {
        int k = 0;
        for (end = i; end < n && k < m->max_batch; end++)
            if (m->last_row[end] >= 0 && feeds[end].logits)
                memcpy(m->work + dim * (size_t)k++, m->x + dim * (size_t)m->last_row[end],
                       dim * sizeof *m->x);
        struct kern_call c = {.in = m->work, .out = m->head_out, .n_row = k};
        transformer_head(m->slow, &m->head, &c, x);
        for (int f = i, j = 0; f < end; f++)
            if (m->last_row[f] >= 0 && feeds[f].logits)
                memcpy(feeds[f].logits, m->head_out + width * (size_t)j++, width * sizeof *m->x);
    }
}

void lm_slow(struct lm *m, const struct lm_feed *feeds, int n_feed, struct kern_exec *x)
{
    if (m->driver) {
        m->driver->slow(m->driver->self, feeds, n_feed);
        for (int i = 0; i < n_feed; i++)
            if (feeds[i].hidden && !kern_all_finite(feeds[i].hidden, (size_t)m->s.slow.dim))
                feeds[i].slot->broken = true;
        return;
    }
    int feed = 0, from = 0;
    while (feed < n_feed) {
        int n_row = 0, first = feed;
        while (feed < n_feed && n_row < m->max_row) {
            int left = feeds[feed].n_column - from;
            int n = left < m->max_row - n_row ? left : m->max_row - n_row;
            n_row = lm_gather(m, &feeds[feed], from, n, n_row);
            if (n == left)
                m->span[n_row - 1] = feeds[feed].slot->span;
            m->last_row[feed - first] = n == left ? n_row - 1 : -1;
            from = n == left ? 0 : from + n;
            if (n < left)
                break;
            feed++;
        }
        struct transformer_rows r = {n_row, m->row_kv, m->row_position};
        transformer_scratch_watch(m->slow_scratch, m->watch.n_head > 0 ? &m->watch : NULL);
        transformer_run(m->slow, &r, m->x, m->slow_scratch, x);
        for (int i = first; i < feed; i++)
            finish_feed(m, &feeds[i], m->last_row[i - first]);
        run_head(m, feeds + first, feed - first, x);
    }
}

void lm_slow_layers(struct lm *m, const struct lm_feed *f, float *out, struct kern_exec *x)
{
    size_t n = (size_t)f->n_column * (size_t)m->s.slow.dim;
    struct transformer_rows r = {lm_gather(m, f, 0, f->n_column, 0), m->row_kv, m->row_position};
    memcpy(out, m->x, n * sizeof *out);
    transformer_scratch_watch(m->slow_scratch, NULL);
    for (int i = 0; i < m->s.slow.n_layer; i++) {
        transformer_layer(m->slow, i, &r, m->x, m->slow_scratch, x);
        memcpy(out + (size_t)(i + 1) * n, m->x, n * sizeof *out);
    }
    finish_feed(m, f, f->n_column - 1);
    m->last_row[0] = f->n_column - 1;
    run_head(m, f, 1, x);
}

/* --- fast --- */

static void run_fast_head(struct lm *m, const float *in, int n, float *logits, struct kern_exec *x)
{
    struct kern_call c = {
        .in = in, .out = logits, .out_stride = (size_t)m->s.codebook_size, .n_row = n};
    transformer_head(m->fast, &m->fast_head, &c, x);
}

/* One position of each of n sequences. */
static void lm_run_fast(struct lm *m, int n, int position, float *logits, struct kern_exec *x)
{
    for (int i = 0; i < n; i++)
        m->row_position[i] = position;
    struct transformer_rows r = {n, m->fast_kv, m->row_position};
    transformer_run(m->fast, &r, m->fast_x, m->fast_scratch, x);
    run_fast_head(m, m->fast_x, n, logits, x);
}

static void project(struct lm *m, const float *hidden, int n, float *out, struct kern_exec *x)
{
    struct kern_call c = {.in = hidden, .out = out, .n_row = n};
    if (m->s.fast_project_in)
        kern_linear_run(x, &m->project, &c);
    else
        memcpy(out, hidden, (size_t)n * (size_t)m->s.slow.dim * sizeof *out);
}

void lm_fast_input(struct lm *m, const float *hidden, float *out, struct kern_exec *x)
{
    project(m, hidden, 1, out, x);
}

static void embed_code(struct lm *m, int32_t code, float *x)
{
    int dim = m->s.fast.dim;
    memset(x, 0, (size_t)dim * sizeof *x);
    add_row(m->fast_embd, (size_t)clamp(code, m->s.codebook_size), dim, m->row, x);
}

struct lm_batch *lm_batch(struct lm *m)
{
    return &m->batch;
}

void lm_fast_begin(struct lm *m, const float *hidden, const int32_t *code, int n, float *logits,
                   struct kern_exec *x)
{
    size_t dim = (size_t)m->s.fast.dim;
    assert(n <= m->max_batch);
    if (m->driver) {
        m->driver->fast(m->driver->self, hidden, code, n, 1, logits);
        return;
    }
    project(m, hidden, n, m->work, x);
    for (int i = 0; i < n; i++) {
        float *rows = m->fast_x + 2 * dim * (size_t)i;
        memcpy(rows, m->work + dim * (size_t)i, dim * sizeof *rows);
        embed_code(m, code[i], rows + dim);
        for (int k = 0; k < 2; k++) {
            m->row_kv[2 * i + k] = m->fast_kv[i];
            m->row_position[2 * i + k] = k;
        }
    }
    struct transformer_rows r = {2 * n, m->row_kv, m->row_position};
    transformer_run(m->fast, &r, m->fast_x, m->fast_scratch, x);
    for (int i = 0; i < n; i++)
        memcpy(m->work + dim * (size_t)i, m->fast_x + dim * (size_t)(2 * i + 1),
               dim * sizeof *m->work);
    run_fast_head(m, m->work, n, logits, x);
}

void lm_fast_begin_at(struct lm *m, const float *in, int n, float *logits, struct kern_exec *x)
{
    assert(n <= m->max_batch);
    memcpy(m->fast_x, in, (size_t)n * (size_t)m->s.fast.dim * sizeof *in);
    lm_run_fast(m, n, 0, logits, x);
}

void lm_fast_step(struct lm *m, const int32_t *code, int n, int k, float *logits,
                  struct kern_exec *x)
{
    if (m->driver) {
        m->driver->fast(m->driver->self, NULL, code, n, k, logits);
        return;
    }
    for (int i = 0; i < n; i++)
        embed_code(m, code[i], m->fast_x + (size_t)i * (size_t)m->s.fast.dim);
    lm_run_fast(m, n, k, logits, x);
}
