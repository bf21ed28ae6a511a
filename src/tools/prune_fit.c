/* Which inputs of a matrix go, and what the weights of the others become.
 *
 * W has the inputs a, C = E[a a'] over those of the calibration, H = (C + r I)^-1.  Without the
 * input j, and with the others' weights changed for the best, the output is off by at least
 * |w_j|^2 / H_jj; the change is W -= w_j H_j. / H_jj, and H without j is H -= H_.j H_j. / H_jj
 * (Hassibi and Stork, Optimal Brain Surgeon, 1993).  So the unit that costs least goes, one after
 * the other, each seeing what the ones before have left behind (as in Frantar and Alistarh,
 * Optimal Brain Compression, 2022).  Single weights are taken from all rows of W in one order of
 * the inputs, which lets them share H (the same, SparseGPT, 2023). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "kernels/kern.h"
#include "tools/prune.h"

#define RIDGE 1e-4 /* r, in parts of the mean of C's diagonal: C is of few rows */
#define RUN   32   /* weights in a row of which a share stays */

struct fit {
    struct prune_matrix *m;
    size_t n, n_out;
    double *h; /* [n, n] */
    double *w; /* [n, n_out]: an input's weights stand together */
    double *work;
    bool *dropped;
};

/* --- H --- */

static void fit_products(struct fit *f)
{
    const struct prune_matrix *from = f->m->like ? f->m->like : f->m;
    double ridge = 1e-30;
    for (size_t i = 0; i < f->n; i++) {
        ridge += from->products[i * f->n + i] * RIDGE / (double)f->n;
        for (size_t j = 0; j <= i; j++)
            f->h[i * f->n + j] = f->h[j * f->n + i] = from->products[i * f->n + j];
    }
    for (size_t i = 0; i < f->n; i++)
        f->h[i * f->n + i] += ridge;
}

/* In place, by Gauss and Jordan; symmetric and positive: no pivots are looked for. */
static void fit_invert(double *a, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        double *row = a + k * n, inverse = 1 / row[k];
        row[k] = 1;
        for (size_t j = 0; j < n; j++)
            row[j] *= inverse;
        for (size_t i = 0; i < n; i++) {
            double *other = a + i * n, t = other[k];
            if (i == k)
                continue;
            other[k] = 0;
            for (size_t j = 0; j < n; j++)
                other[j] -= t * row[j];
        }
    }
}

/* Cholesky's factor of the n x n block of a at (at, at), in the lower half of l. */
static void fit_factor(const double *a, size_t stride, size_t at, size_t n, double *l)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = a[(at + i) * stride + at + j];
            for (size_t k = 0; k < j; k++)
                sum -= l[i * n + k] * l[j * n + k];
            l[i * n + j] = i == j ? sqrt(fmax(sum, 1e-300)) : sum / l[j * n + j];
        }
}

/* --- units --- */

/* tr(W_u' H_uu^-1 W_u) */
static double fit_cost(const struct fit *f, size_t u)
{
    size_t n = (size_t)f->m->unit;
    double *l = f->work, *z = l + n * n, cost = 0;
    fit_factor(f->h, f->n, u * n, n, l);
    memcpy(z, f->w + u * n * f->n_out, n * f->n_out * sizeof *z);
    for (size_t i = 0; i < n; i++) {
        double *row = z + i * f->n_out;
        for (size_t k = 0; k < i; k++)
            for (size_t o = 0; o < f->n_out; o++)
                row[o] -= l[i * n + k] * z[k * f->n_out + o];
        for (size_t o = 0; o < f->n_out; o++) {
            row[o] /= l[i * n + i];
            cost += row[o] * row[o];
        }
    }
    return cost;
}

static void fit_drop(struct fit *f, size_t j)
{
    const double *row = f->h + j * f->n, *gone = f->w + j * f->n_out;
    f->dropped[j] = true;
    for (size_t i = 0; i < f->n; i++) {
        double *h = f->h + i * f->n, *w = f->w + i * f->n_out, t = h[j] / row[j];
        if (f->dropped[i])
            continue;
        for (size_t o = 0; o < f->n_out; o++)
            w[o] -= t * gone[o];
        for (size_t k = 0; k < f->n; k++)
            h[k] -= t * row[k];
    }
}

static void fit_units(struct fit *f)
{
    struct prune_matrix *m = f->m;
    int n_unit = m->n_in / m->unit;
    for (int left = n_unit; left > m->n_keep; left--) {
        double least = INFINITY;
        int best = -1;
        for (int u = 0; u < n_unit; u++) {
            double cost = m->gone[u] ? INFINITY : fit_cost(f, (size_t)u);
            if (best < 0 ? !m->gone[u] : cost < least) {
                least = cost;
                best = u;
            }
        }
        m->gone[best] = true;
        for (int j = 0; j < m->unit; j++)
            fit_drop(f, (size_t)(best * m->unit + j));
    }
}

/* --- single weights --- */

/* Of the n inputs from at, each output loses all but n_keep: which, by w^2 / l_jj^2. */
static void fit_choose(const struct fit *f, const double *l, size_t at, size_t n, size_t n_keep,
                       bool *zero)
{
    memset(zero, 0, n * f->n_out * sizeof *zero);
    for (size_t o = 0; o < f->n_out; o++)
        for (size_t left = n; left > n_keep; left--) {
            double least = INFINITY;
            size_t best = n;
            for (size_t j = 0; j < n; j++) {
                double t = f->w[(at + j) * f->n_out + o] / l[(at + j) * f->n + at + j];
                if (!zero[j * f->n_out + o] && (best == n || t * t < least)) {
                    least = t * t;
                    best = j;
                }
            }
            zero[best * f->n_out + o] = true;
        }
}

static void fit_weights(struct fit *f, size_t run, double keep, bool *zero)
{
    double *l = f->work, *off = l + f->n * f->n;
    fit_factor(f->h, f->n, 0, f->n, l);
    for (size_t j = 0; j < f->n; j++) {
        double *w = f->w + j * f->n_out;
        if (j % run == 0) {
            size_t n = f->n - j < run ? f->n - j : run;
            fit_choose(f, l, j, n, (size_t)lrint(keep * (double)n), zero);
        }
        for (size_t o = 0; o < f->n_out; o++) {
            off[o] = zero[j % run * f->n_out + o] ? w[o] / l[j * f->n + j] : 0;
            w[o] = off[o] != 0 ? 0 : w[o];
        }
        for (size_t i = j + 1; i < f->n; i++)
            for (size_t o = 0; o < f->n_out; o++)
                f->w[i * f->n_out + o] -= off[o] * l[i * f->n + j];
    }
}

/* --- layers --- */

/* W + (H cross)': what it is to give in addition, as far as its inputs can tell. */
static void fit_addition(struct fit *f)
{
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = 0; j < f->n; j++)
            for (size_t o = 0; o < f->n_out; o++)
                f->w[i * f->n_out + o] += f->h[i * f->n + j] * f->m->cross[j * f->n_out + o];
}

/* --- all --- */

static int fit_begin(struct fit *f, const struct gguf_tensor *t)
{
    size_t n = f->n, unit = (size_t)f->m->unit;
    float *stored = mem_try(n * f->n_out, sizeof *stored);
    f->h = mem_try(n * n, sizeof *f->h);
    f->w = mem_try(n * f->n_out, sizeof *f->w);
    /* factor and solution of a unit; or of all, and one row */
    f->work =
        mem_try(f->m->n_source ? unit * (unit + f->n_out) : n * n + f->n_out, sizeof *f->work);
    f->dropped = mem_try(n, sizeof *f->dropped);
    bool there = stored && f->h && f->w && f->work && f->dropped;
    if (there)
        kern_to_f32((enum kern_type)t->type, t->data, stored, n * f->n_out);
    for (size_t i = 0; there && i < n * f->n_out; i++)
        f->w[i % n * f->n_out + i / n] = (double)stored[i];
    mem_free(stored);
    return there ? 0 : ERR_MEMORY;
}

static int fit_keep(struct fit *f)
{
    size_t n = (size_t)prune_kept(f->m), k = 0;
    f->m->weights = mem_try(n * f->n_out + 1, sizeof *f->m->weights);
    if (!f->m->weights)
        return ERR_MEMORY;
    for (size_t j = 0; j < f->n; j++) {
        for (size_t o = 0; o < f->n_out && !f->dropped[j]; o++)
            f->m->weights[o * n + k] = (float)f->w[j * f->n_out + o];
        k += !f->dropped[j];
    }
    return 0;
}

static int fit_matrix(const struct prune *p, struct prune_matrix *m)
{
    struct fit f = {.m = m, .n = (size_t)m->n_in, .n_out = (size_t)m->n_out};
    bool *zero = mem_try(RUN * f.n_out, sizeof *zero);
    int rc = zero ? fit_begin(&f, gguf_find(p->model.file, m->name)) : ERR_MEMORY;
    if (rc == 0) {
        fit_products(&f);
        fit_invert(f.h, f.n);
        if (m->cross)
            fit_addition(&f);
        else if (p->part == PRUNE_PAIRS)
            fit_weights(&f, 4, 0.5, zero);
        else if (p->part == PRUNE_WEIGHTS)
            fit_weights(&f, RUN, p->keep, zero);
        else
            fit_units(&f);
        rc = fit_keep(&f);
    }
    mem_free(zero);
    mem_free(f.h);
    mem_free(f.w);
    mem_free(f.work);
    mem_free(f.dropped);
    return rc;
}

static void fit_task(void *arg, int i, int i_thread)
{
    struct prune *p = arg;
    (void)i_thread;
    fit_matrix(p, &p->matrix[i]); /* without weights: out of memory */
}

int prune_fit(struct prune *p, int n_thread, struct err *e)
{
    struct pool *pool = NULL;
    int rc = pool_new(n_thread, &pool, e);
    if (rc < 0)
        return rc;
    pool_run(pool, fit_task, p, p->n_matrix);
    pool_free(pool);
    for (int i = 0; i < p->n_matrix && rc == 0; i++)
        if (!p->matrix[i].weights)
            rc = err_set(e, ERR_MEMORY, "out of memory for %s", p->matrix[i].name);
    return rc;
}
