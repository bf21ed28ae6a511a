#include "model/equalize.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/pattern.h"

#define MAX_TERMS  20
#define N_LOOK     3  /* factors of one path change what the next one sees */
#define MAX_FACTOR 20 /* of two: 2^-20 .. 2^20 */

/* --- the paths --- */

enum kind {
    MADE,   /* rows of a matrix make the channels: times s */
    SCALED, /* a vector with an entry for each channel makes them: times s */
    ALSO,   /* the same, but it says nothing of their size: a bias, a gain */
    READ,   /* columns of a matrix read them: by s */
    BENT,   /* snake's slope, a depthwise filter: by s */
    QUERY   /* rows that meet the channels in a product: by s, and as good a measure as READ */
};

/* Which rows or columns are which channel. */
enum map { WHOLE, VALUES, HEADS, KEYS, QUERIES, PAIRS };

/* KNOWN: where calibration has seen the inputs; a final norm tells too little of them. */
enum when { ALWAYS, FIRST, BEHIND_CONV, BEHIND_STACK, NEXT, LAST, KNOWN, NORMED, UNNORMED };

struct term {
    const char *name; /* pattern.h */
    enum kind kind;
    enum when when;
    enum map map;
};

struct path {
    enum pattern_over over;
    struct term term[MAX_TERMS];
};

#define CONV(kind, name)                                                                           \
    {name ".weight", kind, ALWAYS, WHOLE},                                                         \
    {                                                                                              \
        name ".bias", ALSO, ALWAYS, WHOLE                                                          \
    }
#define UNIT_READS(u)                                                                              \
    {u ".snake1.alpha", BENT, ALWAYS, WHOLE},                                                      \
    {                                                                                              \
        u ".conv1.weight", READ, ALWAYS, WHOLE                                                     \
    }
#define BRANCH "{p}blk.{i}."

static const struct path paths[] = {
    /* transformers */
    {OVER_LAYERS,
     {{BRANCH "attn_norm.weight", SCALED, ALWAYS, WHOLE},
      {BRANCH "attn_qkv.weight", READ, ALWAYS, WHOLE}}},
    {OVER_LAYERS,
     {{BRANCH "ffn_norm.weight", SCALED, ALWAYS, WHOLE},
      {BRANCH "ffn_gate.weight", READ, ALWAYS, WHOLE},
      {BRANCH "ffn_up.weight", READ, ALWAYS, WHOLE}}},
    {OVER_LAYERS,
     {{BRANCH "ffn_up.weight", MADE, ALWAYS, WHOLE},
      {BRANCH "ffn_down.weight", READ, ALWAYS, WHOLE}}},
    {OVER_LAYERS,
     {{BRANCH "attn_qkv.weight", MADE, ALWAYS, VALUES},
      {BRANCH "attn_qkv.bias", ALSO, ALWAYS, VALUES},
      {BRANCH "attn_output.weight", READ, ALWAYS, HEADS}}},
    {OVER_LAYERS, /* neighbouring channels of a head rotate together */
     {{BRANCH "attn_k_norm.weight", SCALED, NORMED, PAIRS},
      {BRANCH "attn_q_norm.weight", QUERY, NORMED, PAIRS},
      {BRANCH "attn_qkv.weight", MADE, UNNORMED, KEYS},
      {BRANCH "attn_qkv.weight", QUERY, UNNORMED, QUERIES},
      {BRANCH "attn_qkv.bias", ALSO, UNNORMED, KEYS},
      {BRANCH "attn_qkv.bias", BENT, UNNORMED, QUERIES}}},
    {OVER_ONE,
     {{"output_norm.weight", SCALED, KNOWN, WHOLE}, {"output.weight", READ, ALWAYS, WHOLE}}},
    {OVER_ONE,
     {{"fast.output_norm.weight", SCALED, KNOWN, WHOLE},
      {"fast.output.weight", READ, ALWAYS, WHOLE}}},
    /* decoder */
    {OVER_ONE,
     {{"codec.post.output_norm.weight", SCALED, ALWAYS, WHOLE},
      {"codec.up.0.conv.weight", READ, ALWAYS, WHOLE}}},
    {OVER_FACTORS,
     {CONV(MADE, "codec.up.{i}.conv"),
      {"codec.up.{i}.gamma.weight", ALSO, ALWAYS, WHOLE},
      {"codec.up.{i}.dw.weight", BENT, ALWAYS, WHOLE},
      {"codec.up.{i+1}.conv.weight", READ, NEXT, WHOLE},
      {"codec.dec.conv_in.weight", READ, LAST, WHOLE}}},
    {OVER_FACTORS,
     {{"codec.up.{i}.norm.weight", SCALED, ALWAYS, WHOLE},
      {"codec.up.{i}.norm.bias", ALSO, ALWAYS, WHOLE},
      {"codec.up.{i}.pw1.weight", READ, ALWAYS, WHOLE}}},
    {OVER_ONE,
     {CONV(MADE, "codec.dec.conv_in"),
      {"codec.dec.0.snake.alpha", BENT, ALWAYS, WHOLE},
      {"codec.dec.0.up.weight", READ, ALWAYS, WHOLE}}},
    {OVER_RATES, /* the stream through a block */
     {CONV(MADE, "codec.dec.{i}.up"),
      CONV(MADE, "codec.dec.{i}.res.{r}.conv2"),
      UNIT_READS("codec.dec.{i}.res.{r}"),
      {"codec.dec.{i+1}.snake.alpha", BENT, NEXT, WHOLE},
      {"codec.dec.{i+1}.up.weight", READ, NEXT, WHOLE},
      {"codec.dec.snake.alpha", BENT, LAST, WHOLE},
      {"codec.dec.conv_out.weight", READ, LAST, WHOLE}}},
    {OVER_UNITS, /* inside of a residual unit */
     {CONV(MADE, "codec.dec.{i}.res.{u}.conv1"),
      {"codec.dec.{i}.res.{u}.snake2.alpha", BENT, ALWAYS, WHOLE},
      {"codec.dec.{i}.res.{u}.conv2.weight", READ, ALWAYS, WHOLE}}},
    /* encoder */
    {OVER_ENC_RATES,
     {{"codec.enc.conv_in.weight", MADE, FIRST, WHOLE},
      {"codec.enc.conv_in.bias", ALSO, FIRST, WHOLE},
      {"codec.enc.{i-1}.down.weight", MADE, BEHIND_CONV, WHOLE},
      {"codec.enc.{i-1}.down.bias", ALSO, BEHIND_CONV, WHOLE},
      {"codec.enc.{i-1}.tf.output_norm.weight", SCALED, BEHIND_STACK, WHOLE},
      CONV(MADE, "codec.enc.{i}.res.{r}.conv2"),
      UNIT_READS("codec.enc.{i}.res.{r}"),
      {"codec.enc.{i}.snake.alpha", BENT, ALWAYS, WHOLE},
      {"codec.enc.{i}.down.weight", READ, ALWAYS, WHOLE}}},
    {OVER_ENC_UNITS,
     {CONV(MADE, "codec.enc.{i}.res.{u}.conv1"),
      {"codec.enc.{i}.res.{u}.snake2.alpha", BENT, ALWAYS, WHOLE},
      {"codec.enc.{i}.res.{u}.conv2.weight", READ, ALWAYS, WHOLE}}},
    {OVER_ENC_END,
     {{"codec.enc.{i-1}.down.weight", MADE, BEHIND_CONV, WHOLE},
      {"codec.enc.{i-1}.down.bias", ALSO, BEHIND_CONV, WHOLE},
      {"codec.enc.{i-1}.tf.output_norm.weight", SCALED, BEHIND_STACK, WHOLE},
      {"codec.enc.snake.alpha", BENT, ALWAYS, WHOLE},
      {"codec.enc.conv_out.weight", READ, ALWAYS, WHOLE}}},
    {OVER_ENC_ONE,
     {CONV(MADE, "codec.enc.conv_out"), {"codec.down.0.conv.weight", READ, ALWAYS, WHOLE}}},
    {OVER_ENC_FACTORS, /* behind the last one nothing can give the factor back */
     {CONV(MADE, "codec.down.{i}.conv"),
      {"codec.down.{i}.gamma.weight", ALSO, ALWAYS, WHOLE},
      {"codec.down.{i}.dw.weight", BENT, ALWAYS, WHOLE},
      {"codec.down.{i+1}.conv.weight", READ, ALWAYS, WHOLE}}},
    {OVER_ENC_FACTORS,
     {{"codec.down.{i}.norm.weight", SCALED, ALWAYS, WHOLE},
      {"codec.down.{i}.norm.bias", ALSO, ALWAYS, WHOLE},
      {"codec.down.{i}.pw1.weight", READ, ALWAYS, WHOLE}}},
};

/* --- factors --- */

struct factors { /* of one tensor */
    char name[PATTERN_NAME];
    float *row, *column; /* [ne of the last dimension], [ne0]; NULL: all 1 */
    int64_t ne[3];
};

struct equalize {
    const struct spec *s;
    const struct equalize_tensors *t;
    const struct imatrix *m;
    struct factors *tensor;
    int n_tensor;
};

static struct factors *factors_of(const struct equalize *q, const char *name)
{
    for (int i = 0; q && i < q->n_tensor; i++)
        if (!strcmp(q->tensor[i].name, name))
            return &q->tensor[i];
    return NULL;
}

bool equalize_changes(const struct equalize *q, const char *name)
{
    return factors_of(q, name) != NULL;
}

static int64_t n_row(const int64_t ne[3])
{
    return ne[2] > 1 ? ne[2] : ne[1];
}

void equalize_values(const struct equalize *q, const char *name, size_t at, float *v, size_t n)
{
    const struct factors *f = factors_of(q, name);
    if (!f)
        return;
    size_t width = (size_t)f->ne[0], deep = width * (size_t)(f->ne[2] > 1 ? f->ne[1] : 1);
    size_t column = at % width, row = at / deep, left = deep - at % deep;
    for (size_t i = 0; i < n; i++) {
        v[i] *= (f->row ? f->row[row] : 1) * (f->column ? f->column[column] : 1);
        column = column + 1 == width ? 0 : column + 1;
        if (--left == 0) {
            left = deep;
            row++;
        }
    }
}

/* What stands in the columns is divided by what the columns' inputs are multiplied with. */
void equalize_importance(const struct equalize *q, const char *name, float *mean_square)
{
    const struct factors *f = factors_of(q, name);
    for (int64_t i = 0; f && f->column && i < f->ne[0]; i++)
        mean_square[i] /= f->column[i] * f->column[i];
}

static float *ones(int64_t n)
{
    float *v = mem_try((size_t)n, sizeof *v);
    for (int64_t i = 0; v && i < n; i++)
        v[i] = 1;
    return v;
}

static struct factors *factors_new(struct equalize *q, const char *name, const int64_t ne[3])
{
    struct factors *all = mem_grow(q->tensor, (size_t)q->n_tensor + 1, sizeof *all);
    if (!all)
        return NULL;
    q->tensor = all;
    all += q->n_tensor++;
    *all = (struct factors){.ne = {ne[0], ne[1], ne[2]}};
    snprintf(all->name, sizeof all->name, "%s", name);
    return all;
}

/* --- a path in one place --- */

struct part { /* a term with its tensor */
    const struct term *t;
    char name[PATTERN_NAME];
    int64_t ne[3];
};

struct walk {
    struct equalize *q;
    struct pattern_place place;
    struct part part[MAX_TERMS * PATTERN_UNITS];
    int n_part;
    int n;                     /* channels */
    float *values;             /* of a tensor */
    size_t n_value;            /* room in it */
    double *made, *read, *one; /* [n] squares: what makes a channel, what reads it, of one tensor */
    int *exponent;             /* [n] of the factor */
};

static bool stands(const struct walk *w, enum when when)
{
    const struct pattern_place *p = &w->place;
    const struct spec_codec *c = &w->q->s->codec;
    switch (when) {
    case FIRST:
        return p->i == 0;
    case BEHIND_CONV:
        return p->i > 0 && c->encoder_layers[p->i - 1] == 0;
    case BEHIND_STACK:
        return p->i > 0 && c->encoder_layers[p->i - 1] > 0;
    case KNOWN:
        return w->q->m != NULL;
    case NEXT:
        return p->i + 1 < p->n;
    case LAST:
        return p->i + 1 == p->n;
    case NORMED:
        return p->stack->qk_norm;
    case UNNORMED:
        return !p->stack->qk_norm;
    default:
        return true;
    }
}

/* Which channel a row, column or entry of a tensor belongs to; -1: to none. */
static int channel_of(const struct walk *w, enum map map, int64_t i)
{
    const struct spec_transformer *s = w->place.stack;
    if (map == WHOLE)
        return (int)(i % w->n);
    int d = s->head_dim, head = (int)(i / d), at = (int)(i % d), group = s->n_head / s->n_head_kv;
    int half = d / 2;
    switch (map) {
    case PAIRS:
        return at / 2;
    case HEADS:
        return head / group * d + at;
    case QUERIES:
        return head < s->n_head ? head / group * half + at / 2 : -1;
    case KEYS:
        head -= s->n_head;
        return head >= 0 && head < s->n_head_kv ? head * half + at / 2 : -1;
    default:
        head -= s->n_head + s->n_head_kv;
        return head >= 0 ? head * d + at : -1;
    }
}

static int n_channel(const struct walk *w)
{
    const struct spec_transformer *s = w->place.stack;
    for (int i = 0; i < w->n_part; i++) {
        const struct part *p = &w->part[i];
        switch (p->t->map) {
        case PAIRS:
            return s->head_dim / 2;
        case KEYS:
        case QUERIES:
            return s->n_head_kv * s->head_dim / 2;
        case VALUES:
        case HEADS:
            return s->n_head_kv * s->head_dim;
        default:
            if (p->t->kind == READ)
                return (int)p->ne[0];
        }
    }
    return 0;
}

static bool by_row(const struct part *p)
{
    return p->ne[1] * p->ne[2] > 1 && (p->t->kind == MADE || p->t->kind == QUERY);
}

/* The terms' tensors; false when one that must be there is not: all but biases. */
static bool find_parts(struct walk *w, const struct path *path)
{
    w->n_part = 0;
    for (const struct term *t = path->term; t < path->term + MAX_TERMS && t->name; t++) {
        bool each = strstr(t->name, "{r}") != NULL;
        for (w->place.r = 0; w->place.r < (each ? PATTERN_UNITS : 1); w->place.r++) {
            struct part *p = &w->part[w->n_part];
            if (!stands(w, t->when)) {
                if (t->when == KNOWN)
                    return false;
                continue;
            }
            p->t = t;
            pattern_name(t->name, &w->place, p->name, sizeof p->name);
            if (w->q->t->shape(w->q->t->cookie, p->name, p->ne))
                w->n_part++;
            else if (!strstr(p->name, ".bias"))
                return false;
        }
    }
    w->n = n_channel(w);
    for (int i = 0; i < w->n_part; i++) {
        const struct part *p = &w->part[i];
        int64_t n = by_row(p) ? n_row(p->ne) : p->ne[0];
        if (w->n < 1 || (p->t->map == WHOLE && (n % w->n || (!by_row(p) && n != w->n))))
            return false;
    }
    return true;
}

static int make_room(struct walk *w, struct err *e)
{
    size_t n = (size_t)w->n, most = 0;
    for (int i = 0; i < w->n_part; i++) {
        const int64_t *ne = w->part[i].ne;
        size_t k = (size_t)ne[0] * (size_t)ne[1] * (size_t)ne[2];
        most = k > most ? k : most;
    }
    if (most > w->n_value) {
        mem_free(w->values);
        w->values = mem_try(most, sizeof *w->values);
        w->n_value = w->values ? most : 0;
    }
    mem_free(w->made);
    mem_free(w->exponent);
    w->made = mem_try(3 * n, sizeof *w->made);
    w->exponent = mem_try(n, sizeof *w->exponent);
    if (!w->values || !w->made || !w->exponent)
        return err_set(e, ERR_MEMORY, "out of memory for the sizes of %d channels", w->n);
    w->read = w->made + n;
    w->one = w->read + n;
    memset(w->made, 0, 3 * n * sizeof *w->made);
    return 0;
}

/* --- measuring --- */

/* Squares of a tensor's values, by channel, into one. */
static int measure_part(struct walk *w, const struct part *p, struct err *e)
{
    size_t width = (size_t)p->ne[0], rows = (size_t)p->ne[1] * (size_t)p->ne[2];
    size_t taps = p->ne[2] > 1 ? (size_t)p->ne[1] : 1;
    int rc = w->q->t->read(w->q->t->cookie, p->name, w->values, e);
    if (rc < 0)
        return rc;
    equalize_values(w->q, p->name, 0, w->values, width * rows);
    memset(w->one, 0, (size_t)w->n * sizeof *w->one);
    for (size_t r = 0; r < rows; r++) {
        const float *v = w->values + r * width;
        int whose = by_row(p) ? channel_of(w, p->t->map, (int64_t)(r / taps)) : 0;
        for (size_t i = 0; i < width && whose >= 0; i++) {
            int c = by_row(p) ? whose : channel_of(w, p->t->map, (int64_t)i);
            w->one[c] += (double)v[i] * (double)v[i];
        }
    }
    return 0;
}

/* What the matrix is given, by channel, into one; ERR_NOT_FOUND where none was measured. */
static int measure_inputs(struct walk *w, const struct part *p, struct err *e)
{
    int rc = w->q->m ? imatrix_find(w->q->m, p->name, p->ne[0], w->values, e) : ERR_NOT_FOUND;
    if (rc < 0)
        return rc;
    equalize_importance(w->q, p->name, w->values);
    memset(w->one, 0, (size_t)w->n * sizeof *w->one);
    for (int64_t i = 0; i < p->ne[0]; i++)
        w->one[channel_of(w, p->t->map, i)] += (double)w->values[i];
    return 0;
}

/* Adds one to a sum; relative: as parts of its own sum, since its scale says nothing. */
static void add_measure(const struct walk *w, double *to, bool relative)
{
    double sum = 0;
    for (int i = 0; i < w->n; i++)
        sum += w->one[i];
    for (int i = 0; i < w->n && sum > 0; i++)
        to[i] += relative ? w->one[i] / sum : w->one[i];
}

static int measure(struct walk *w, struct err *e)
{
    bool known = false;
    int rc = 0;
    for (int i = 0; i < w->n_part && rc == 0; i++) {
        const struct part *p = &w->part[i];
        if (p->t->kind != READ)
            continue;
        rc = measure_inputs(w, p, e);
        known = known || rc == 0;
        if (rc == 0)
            add_measure(w, w->made, true);
        rc = rc == ERR_NOT_FOUND ? 0 : rc;
    }
    for (int i = 0; i < w->n_part && rc == 0; i++) {
        const struct part *p = &w->part[i];
        bool makes = p->t->kind == MADE || p->t->kind == SCALED;
        if (p->t->kind != READ && p->t->kind != QUERY && (!makes || known))
            continue;
        if ((rc = measure_part(w, p, e)) == 0)
            add_measure(w, makes ? w->made : w->read, !makes);
    }
    return rc;
}

/* --- choosing --- */

/* log2 of the factor that puts a channel half way between where all channels are of one size and
 * where all columns that read them are; false: nothing makes it, or nothing reads it. */
static bool wished(const struct walk *w, int c, double *v)
{
    *v = (log2(w->read[c]) - log2(w->made[c])) / 4; /* of squares, and half of it */
    return isfinite(*v);
}

/* In whole powers of two; their mean is 0, so that a matrix stays as large as it was. */
static void choose_factors(struct walk *w)
{
    double sum = 0, v;
    int n = 0;
    for (int i = 0; i < w->n; i++)
        if (wished(w, i, &v)) {
            sum += v;
            n++;
        }
    for (int i = 0; i < w->n; i++) {
        v = wished(w, i, &v) ? v - sum / n : 0;
        v = v < -MAX_FACTOR ? -MAX_FACTOR : v > MAX_FACTOR ? MAX_FACTOR : v;
        w->exponent[i] = (int)lrint(v);
    }
}

static int put_factors(struct walk *w, struct err *e)
{
    for (int i = 0; i < w->n_part; i++) {
        const struct part *p = &w->part[i];
        bool rows = by_row(p);
        int64_t n = rows ? n_row(p->ne) : p->ne[0];
        int sign = p->t->kind == MADE || p->t->kind == SCALED || p->t->kind == ALSO ? 1 : -1;
        struct factors *f = factors_of(w->q, p->name);
        if (!f && !(f = factors_new(w->q, p->name, p->ne)))
            return err_set(e, ERR_MEMORY, "out of memory for the factors of %s", p->name);
        float **to = rows ? &f->row : &f->column;
        if (!*to && !(*to = ones(n)))
            return err_set(e, ERR_MEMORY, "out of memory for the factors of %s", p->name);
        for (int64_t k = 0; k < n; k++) {
            int c = channel_of(w, p->t->map, k);
            if (c >= 0)
                (*to)[k] = ldexpf((*to)[k], sign * w->exponent[c]);
        }
    }
    return 0;
}

static int equalize_path(struct walk *w, const struct path *path, int k, struct err *e)
{
    int rc;
    pattern_at(path->over, w->q->s, k, &w->place);
    if (!find_parts(w, path))
        return 0;
    if ((rc = make_room(w, e)) < 0 || (rc = measure(w, e)) < 0)
        return rc;
    choose_factors(w);
    return put_factors(w, e);
}

int equalize_new(const struct spec *s, const struct equalize_tensors *t, const struct imatrix *m,
                 struct equalize **ret, struct err *e)
{
    struct equalize *q = mem_try(1, sizeof *q);
    struct walk *w = mem_try(1, sizeof *w);
    int rc = q && w ? 0 : err_set(e, ERR_MEMORY, "out of memory for the channels' factors");
    if (rc == 0) {
        *q = (struct equalize){.s = s, .t = t, .m = m};
        w->q = q;
    }
    for (int look = 0; look < N_LOOK && rc == 0; look++)
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
            for (int k = 0; k < pattern_count(paths[i].over, s) && rc == 0; k++)
                rc = equalize_path(w, &paths[i], k, e);
    if (w) {
        mem_free(w->values);
        mem_free(w->made);
        mem_free(w->exponent);
    }
    mem_free(w);
    if (rc < 0)
        equalize_free(q);
    else
        *ret = q;
    return rc;
}

void equalize_free(struct equalize *q)
{
    for (int i = 0; q && i < q->n_tensor; i++) {
        mem_free(q->tensor[i].row);
        mem_free(q->tensor[i].column);
    }
    if (q)
        mem_free(q->tensor);
    mem_free(q);
}

double equalize_largest(const struct equalize *q, int *n_matrix)
{
    double largest = 1;
    *n_matrix = 0;
    for (int i = 0; i < q->n_tensor; i++) {
        const struct factors *f = &q->tensor[i];
        float low = INFINITY, high = 0;
        for (int64_t k = 0; f->column && f->ne[1] * f->ne[2] > 1 && k < f->ne[0]; k++) {
            low = f->column[k] < low ? f->column[k] : low;
            high = f->column[k] > high ? f->column[k] : high;
        }
        *n_matrix += high > low;
        largest = high > low * (float)largest ? (double)(high / low) : largest;
    }
    return largest;
}
