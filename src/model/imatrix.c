#include "model/imatrix.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "kernels/kern.h"

#define SUMS        ".in_sum2"
#define COUNTS      ".counts"
#define MAXIMA      ".in_max"
#define MAX_NAME    256
#define MAX_ENTRIES 8192 /* as many matrices as a checkpoint may have */

struct entry {
    char *name;
    int n_in;
    double count;
    double *sum; /* [n_in] */
    float *max;  /* [n_in], zeros where they are not known */
};

struct imatrix {
    struct entry *entry;
    int n;
};

int imatrix_new(struct imatrix **ret, struct err *e)
{
    struct imatrix *m = mem_try(1, sizeof *m);
    if (!m)
        return err_set(e, ERR_MEMORY, "out of memory for an importance matrix");
    *ret = m;
    return 0;
}

void imatrix_free(struct imatrix *m)
{
    if (!m)
        return;
    for (int i = 0; i < m->n; i++) {
        mem_free(m->entry[i].name);
        mem_free(m->entry[i].sum);
        mem_free(m->entry[i].max);
    }
    mem_free(m->entry);
    mem_free(m);
}

static struct entry *imatrix_find_(const struct imatrix *m, const char *name)
{
    for (int i = 0; i < m->n; i++)
        if (!strcmp(m->entry[i].name, name))
            return &m->entry[i];
    return NULL;
}

static struct entry *imatrix_insert(struct imatrix *m, const char *name, int n_in, struct err *e)
{
    if (m->n == MAX_ENTRIES) {
        err_set(e, ERR_LIMIT, "over %d matrices", MAX_ENTRIES);
        return NULL;
    }
    struct entry *all = mem_grow(m->entry, (size_t)m->n + 1, sizeof *all);
    if (all) {
        m->entry = all;
        struct entry *y = &all[m->n];
        *y = (struct entry){.name = mem_strndup(name, MAX_NAME),
                            .n_in = n_in,
                            .sum = mem_try((size_t)n_in, sizeof *y->sum),
                            .max = mem_try((size_t)n_in, sizeof *y->max)};
        m->n++;
        if (y->name && y->sum && y->max)
            return y;
    }
    err_set(e, ERR_MEMORY, "out of memory for the importance of %s", name);
    return NULL;
}

int imatrix_add(struct imatrix *m, const char *name, const float *in, int n_row, int n_in,
                struct err *e)
{
    struct entry *y = imatrix_find_(m, name);
    if (!y && !(y = imatrix_insert(m, name, n_in, e)))
        return m->n == MAX_ENTRIES ? ERR_LIMIT : ERR_MEMORY;
    if (y->n_in != n_in)
        return err_set(e, ERR_INTERNAL, "%s has %d inputs, and %d before", name, n_in, y->n_in);
    for (int r = 0; r < n_row; r++, in += n_in)
        for (int i = 0; i < n_in; i++) {
            y->sum[i] += (double)in[i] * (double)in[i];
            y->max[i] = fmaxf(y->max[i], fabsf(in[i]));
        }
    y->count += n_row;
    return 0;
}

/* --- file --- */

static int declare(const struct imatrix *m, struct gguf_writer *w, struct err *e)
{
    char name[MAX_NAME + 16];
    for (int i = 0; i < m->n; i++) {
        int64_t ne[1] = {m->entry[i].n_in}, one[1] = {1};
        int rc;
        snprintf(name, sizeof name, "%s" SUMS, m->entry[i].name);
        if ((rc = gguf_writer_tensor(w, name, KERN_F32, 1, ne, e)) < 0)
            return rc;
        snprintf(name, sizeof name, "%s" COUNTS, m->entry[i].name);
        if ((rc = gguf_writer_tensor(w, name, KERN_F32, 1, one, e)) < 0)
            return rc;
        snprintf(name, sizeof name, "%s" MAXIMA, m->entry[i].name);
        if ((rc = gguf_writer_tensor(w, name, KERN_F32, 1, ne, e)) < 0)
            return rc;
    }
    return gguf_writer_begin(w, e);
}

static int write_entry(const struct entry *y, struct gguf_writer *w, struct err *e)
{
    float count = (float)y->count;
    float *sum = mem_try((size_t)y->n_in, sizeof *sum);
    if (!sum)
        return err_set(e, ERR_MEMORY, "out of memory for the importance of %s", y->name);
    for (int i = 0; i < y->n_in; i++)
        sum[i] = (float)y->sum[i];
    int rc = gguf_writer_data(w, sum, (size_t)y->n_in * sizeof *sum, e);
    mem_free(sum);
    if (rc == 0)
        rc = gguf_writer_data(w, &count, sizeof count, e);
    return rc < 0 ? rc : gguf_writer_data(w, y->max, (size_t)y->n_in * sizeof *y->max, e);
}

int imatrix_write(const struct imatrix *m, const char *path, const char *text, int n_sentence,
                  struct err *e)
{
    struct gguf_writer *w;
    int rc = gguf_writer_new(path, &w, e);
    if (rc < 0)
        return rc;
    gguf_put_string(w, "general.type", "imatrix", 7);
    gguf_put_strings(w, "imatrix.datasets", &text, NULL, 1);
    gguf_put_int(w, "imatrix.chunk_count", GGUF_U32, n_sentence);
    gguf_put_int(w, "imatrix.chunk_size", GGUF_U32, 1);
    rc = declare(m, w, e);
    for (int i = 0; i < m->n && rc == 0; i++)
        rc = write_entry(&m->entry[i], w, e);
    if (rc == 0)
        rc = gguf_writer_finish(w, e);
    gguf_writer_free(w);
    return rc;
}

static bool valid(const float *v, size_t n, float min)
{
    for (size_t i = 0; i < n; i++)
        if (!(v[i] >= min && isfinite(v[i])))
            return false;
    return true;
}

/* A tensor NAME.in_sum2 and the NAME.counts that belongs to it. */
static int imatrix_read_entry(struct imatrix *m, const struct gguf *g, const struct gguf_tensor *t,
                              struct err *e)
{
    char name[MAX_NAME];
    size_t n = strlen(t->name) - strlen(SUMS);
    if (n == 0 || n + sizeof COUNTS > sizeof name)
        return err_set(e, ERR_FORMAT, "%.64s: a name of %zu bytes, must be 1 to %d", t->name, n,
                       MAX_NAME - (int)sizeof COUNTS);
    memcpy(name, t->name, n);
    memcpy(name + n, COUNTS, sizeof COUNTS);
    const struct gguf_tensor *c = gguf_find(g, name);
    if (t->type != KERN_F32 || t->ne[0] > LIMIT_DIM || t->n_bytes != (size_t)t->ne[0] * 4 ||
        !valid(t->data, (size_t)t->ne[0], 0))
        return err_set(e, ERR_FORMAT,
                       "%s must be one row of at most %d finite floats, none negative", t->name,
                       LIMIT_DIM);
    if (!c || c->type != KERN_F32 || c->n_bytes != 4 || !valid(c->data, 1, 1))
        return err_set(e, ERR_FORMAT, "%s must be there, one float of at least 1", name);
    name[n] = 0;
    struct entry *y = imatrix_find_(m, name);
    if (y)
        return err_set(e, ERR_FORMAT, "%s is there twice", name);
    if (!(y = imatrix_insert(m, name, (int)t->ne[0], e)))
        return m->n == MAX_ENTRIES ? ERR_LIMIT : ERR_MEMORY;
    memcpy(name + n, MAXIMA, sizeof MAXIMA);
    const struct gguf_tensor *max = gguf_find(g, name);
    if (max && (max->type != KERN_F32 || max->n_bytes != t->n_bytes ||
                !valid(max->data, (size_t)t->ne[0], 0)))
        return err_set(e, ERR_FORMAT, "%s must be as long as %s, finite, none negative", name,
                       t->name);
    if (max)
        memcpy(y->max, max->data, max->n_bytes);
    const float *sum = t->data, *count = c->data;
    y->count = (double)*count;
    for (int i = 0; i < y->n_in; i++)
        y->sum[i] = (double)sum[i];
    return 0;
}

int imatrix_read(const struct gguf *g, struct imatrix **ret, struct err *e)
{
    struct imatrix *m = NULL;
    const char *type;
    int rc = imatrix_new(&m, e);
    if (rc < 0)
        return rc;
    if (gguf_get_string(g, "general.type", &type, NULL) < 0 || strcmp(type, "imatrix"))
        rc = err_set(e, ERR_FORMAT, "not an importance matrix (general.type is not imatrix)");
    for (int i = 0; i < gguf_n_tensors(g) && rc == 0; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        size_t n = strlen(t->name), suffix = strlen(SUMS);
        if (n >= suffix && !strcmp(t->name + n - suffix, SUMS))
            rc = imatrix_read_entry(m, g, t, e);
    }
    if (rc == 0 && m->n == 0)
        rc = err_set(e, ERR_FORMAT, "an importance matrix without any matrix");
    if (rc < 0)
        imatrix_free(m);
    else
        *ret = m;
    return rc;
}

int imatrix_open(const char *path, struct imatrix **ret, struct err *e)
{
    struct gguf *g;
    int rc = gguf_open(path, &g, e);
    if (rc < 0)
        return rc;
    if ((rc = imatrix_read(g, ret, e)) < 0)
        err_wrap(e, "%s", path);
    gguf_close(g);
    return rc;
}

int imatrix_find(const struct imatrix *m, const char *name, int64_t n_in, float *out, struct err *e)
{
    const struct entry *y = imatrix_find_(m, name);
    if (!y)
        return err_set(e, ERR_NOT_FOUND, "the importance matrix has no %s", name);
    if (y->n_in != n_in)
        return err_set(e, ERR_FORMAT,
                       "the importance matrix has %d inputs of %s, the model %lld: it "
                       "is another model's",
                       y->n_in, name, (long long)n_in);
    for (int i = 0; i < y->n_in; i++)
        out[i] = (float)(y->sum[i] / y->count);
    return 0;
}

int imatrix_find_max(const struct imatrix *m, const char *name, int64_t n_in, float *out,
                     struct err *e)
{
    int rc = imatrix_find(m, name, n_in, out, e); /* checks the shape */
    const struct entry *y = rc == 0 ? imatrix_find_(m, name) : NULL;
    float largest = 0;
    for (int i = 0; rc == 0 && i < y->n_in; i++)
        largest = fmaxf(largest, out[i] = y->max[i]);
    if (rc == 0 && !(largest > 0))
        rc = err_set(e, ERR_NOT_FOUND,
                     "the importance matrix does not say how large the inputs of %s are; "
                     "calibrate again",
                     name);
    return rc;
}
