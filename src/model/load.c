#include "model/load.h"

#include <stdio.h>
#include <string.h>

static bool known_type(int t)
{
    return t == KERN_F32 || t == KERN_F16 || t == KERN_BF16 || t == KERN_Q8_0 || t == KERN_Q4_0;
}

const struct gguf_tensor *load_find(const struct load *l, const char *name, const int64_t *ne,
                                    int n_dim, struct err *e)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", l->prefix, name);
    const struct gguf_tensor *t = gguf_find(l->g, full);
    if (!t) {
        err_set(e, ERR_FORMAT, "model file has no tensor %s", full);
        return NULL;
    }
    bool fits = known_type(t->type) && t->n_bytes > 0;
    for (int i = 0; i < GGUF_MAX_DIMS; i++) {
        int64_t want = i < n_dim ? ne[i] : 1;
        fits = fits && (want == 0 || t->ne[i] == want);
    }
    if (!fits) {
        err_set(e, ERR_FORMAT,
                "tensor %s is type %d of %lld x %lld x %lld, wanted %lld x %lld x %lld", full,
                t->type, (long long)t->ne[0], (long long)t->ne[1], (long long)t->ne[2],
                (long long)ne[0], n_dim > 1 ? (long long)ne[1] : 1LL,
                n_dim > 2 ? (long long)ne[2] : 1LL);
        return NULL;
    }
    return t;
}

int load_check(const struct gguf_tensor *t, struct err *e)
{
    size_t n = 1;
    for (int i = 0; i < GGUF_MAX_DIMS; i++)
        n *= (size_t)t->ne[i];
    if (kern_stored_finite((enum kern_type)t->type, t->data, n))
        return 0;
    return err_set(
        e, ERR_FORMAT,
        "%.128s holds values that are not finite numbers: the file is damaged, get it or "
        "convert it again",
        t->name);
}

int load_vector(const struct load *l, const char *name, size_t n, const float **ret, struct err *e)
{
    int64_t ne[1] = {(int64_t)n};
    const struct gguf_tensor *t = load_find(l, name, ne, 1, e);
    if (!t)
        return ERR_FORMAT;
    float *v = mem_arena_alloc(l->arena, (n + 16) * sizeof *v);
    if (!v)
        return err_set(e, ERR_MEMORY, "out of memory for %s", name);
    kern_to_f32((enum kern_type)t->type, t->data, v, n);
    *ret = v;
    return load_check(t, e);
}

int load_linear(const struct load *l, const char *name, const char *bias, struct kern_linear *ret,
                const int shape[3], struct err *e)
{
    int64_t flat[2] = {shape[2], shape[0]}, taps[3] = {shape[2], shape[1], shape[0]};
    const struct gguf_tensor *t = shape[1] == 1 && l->g ? load_find(l, name, flat, 2, NULL) : NULL;
    if (!t)
        t = load_find(l, name, taps, 3, e);
    if (!t)
        return ERR_FORMAT;
    const float *b = NULL;
    int rc;
    if (bias && (rc = load_vector(l, bias, (size_t)shape[0], &b, e)) < 0)
        return rc;
    struct kern_source s = {shape[0], shape[2], shape[1], (enum kern_type)t->type,
                            t->data,  b,        t->name};
    rc = kern_linear_init(ret, l->exec, &s, l->type, l->arena, e);
    gguf_drop(l->g, t);
    return rc;
}
