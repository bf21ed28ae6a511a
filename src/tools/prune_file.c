/* The file of a pruned model. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kern.h"
#include "tools/prune.h"

/* --- names --- */

/* The stack that a tensor's layer is of, and the layer's number; NULL: of none. */
static const struct prune_stack *file_layer(const struct prune *p, const char *name, int *layer,
                                            const char **rest)
{
    for (int i = 0; i < 2; i++) {
        char format[32];
        int n = 0;
        snprintf(format, sizeof format, "%sblk.%%d.%%n", p->stack[i].prefix);
        if (sscanf(name, format, layer, &n) == 1 && n > 0 && *layer >= 0 &&
            *layer < p->stack[i].s->n_layer) {
            *rest = name + n;
            return &p->stack[i];
        }
    }
    return NULL;
}

/* The name it gets; false: it goes with its layer. */
static bool file_name(const struct prune *p, const char *name, char *ret, size_t n)
{
    int layer;
    const char *rest;
    const struct prune_stack *k = file_layer(p, name, &layer, &rest);
    int number = k ? prune_layer_number(k, layer) : 0;
    if (k)
        snprintf(ret, n, "%sblk.%d.%s", k->prefix, number, rest);
    else
        snprintf(ret, n, "%s", name);
    return number >= 0;
}

/* --- rows --- */

/* Of a tensor's n rows, those that go; false: it is no source of anything. */
static bool file_rows(const struct prune *p, const char *name, bool *gone)
{
    bool found = false;
    for (int i = 0; i < p->n_matrix; i++) {
        const struct prune_matrix *m = &p->matrix[i];
        for (int k = 0; k < m->n_source; k++) {
            const struct prune_source *s = &m->source[k];
            if (strcmp(s->tensor, name) != 0)
                continue;
            found = true;
            for (int u = 0; gone && u < m->n_in / m->unit; u++)
                for (int r = 0; r < s->n; r++)
                    gone[s->from + u * s->n + r] = m->gone[u];
        }
    }
    return found;
}

static int file_n_row(const struct gguf_tensor *t)
{
    return (int)t->ne[t->n_dim - 1];
}

/* Rows that stay; gone is for as many as the tensor has. */
static int file_rows_left(const struct prune *p, const struct gguf_tensor *t, bool *gone)
{
    int n = 0;
    memset(gone, 0, (size_t)file_n_row(t) * sizeof *gone);
    file_rows(p, t->name, gone);
    for (int i = 0; i < file_n_row(t); i++)
        n += !gone[i];
    return n;
}

/* --- writing --- */

static int file_tensor(const struct prune *p, struct gguf_writer *w, const struct gguf_tensor *t,
                       bool *gone, struct err *e)
{
    const struct prune_matrix *m = prune_find(p, t->name);
    char name[128];
    int64_t ne[GGUF_MAX_DIMS];
    if (!file_name(p, t->name, name, sizeof name))
        return 0;
    memcpy(ne, t->ne, sizeof ne);
    if (m)
        ne[0] = prune_kept(m);
    else if (file_rows(p, t->name, NULL))
        ne[t->n_dim - 1] = file_rows_left(p, t, gone);
    return gguf_writer_tensor(w, name, t->type, t->n_dim, ne, e);
}

/* Heads that follow the text keep doing so under their new numbers; those that went are no more. */
static void file_alignment(const struct prune *p, struct gguf_writer *w)
{
    const struct spec_alignment *old = &p->model.spec.alignment;
    struct spec_alignment a = {.delay_s = old->delay_s};
    int group = p->model.spec.lm.slow.n_head / p->model.spec.lm.slow.n_head_kv;
    for (int i = 0; i < old->n_head; i++) {
        struct spec_head h = {prune_layer_number(&p->stack[0], old->head[i].layer),
                              old->head[i].head};
        char name[80];
        snprintf(name, sizeof name, "blk.%d.attn_output.weight", old->head[i].layer);
        const struct prune_matrix *m = p->part == PRUNE_HEADS ? prune_find(p, name) : NULL;
        for (int u = 0; m && u < old->head[i].head / group; u++)
            h.head -= m->gone[u] ? group : 0;
        if (h.layer >= 0 && !(m && m->gone[old->head[i].head / group]))
            a.head[a.n_head++] = h;
    }
    if (a.n_head > 0)
        spec_write_alignment(&a, w);
}

static void file_metadata(const struct prune *p, struct gguf_writer *w)
{
    const char *key;
    enum gguf_kind kind;
    for (int i = 0; (key = gguf_key_at(p->model.file, i, &kind)); i++) {
        const struct prune_length *l = p->length, *end = l + p->n_length;
        while (l < end && strcmp(l->key, key) != 0)
            l++;
        if (l < end)
            gguf_put_int(w, key, GGUF_U32, l->value);
        else if (!spec_is_alignment(key))
            gguf_put_copy(w, p->model.file, i);
    }
    file_alignment(p, w);
}

static int file_data(const struct prune *p, struct gguf_writer *w, const struct gguf_tensor *t,
                     bool *gone, struct err *e)
{
    const struct prune_matrix *m = prune_find(p, t->name);
    char name[128];
    if (!file_name(p, t->name, name, sizeof name))
        return 0;
    if (!m && !file_rows(p, t->name, NULL))
        return gguf_writer_data(w, t->data, t->n_bytes, e);
    size_t width = m ? (size_t)prune_kept(m) : 0, n = m ? (size_t)m->n_out : (size_t)file_n_row(t);
    size_t bytes = m ? kern_type_row_bytes((enum kern_type)t->type, width) : t->n_bytes / n;
    char *row = mem_try(1, bytes);
    int rc = row ? 0 : err_set(e, ERR_MEMORY, "out of memory for %s", t->name);
    file_rows_left(p, t, gone);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (m)
            kern_from_f32((enum kern_type)t->type, m->weights + i * width, row, width);
        else
            memcpy(row, (const char *)t->data + i * bytes, bytes);
        if (m || !gone[i])
            rc = gguf_writer_data(w, row, bytes, e);
    }
    mem_free(row);
    return rc;
}

int prune_write(const struct prune *p, const char *path, struct err *e)
{
    struct gguf_writer *w = NULL;
    const struct gguf *g = p->model.file;
    bool *gone = NULL;
    int rc = gguf_writer_new(path, &w, e), most = 1;
    for (int i = 0; i < gguf_n_tensors(g); i++)
        most = file_n_row(gguf_tensor_at(g, i)) > most ? file_n_row(gguf_tensor_at(g, i)) : most;
    if (rc == 0 && !(gone = mem_try((size_t)most, sizeof *gone)))
        rc = err_set(e, ERR_MEMORY, "out of memory for the rows of a tensor");
    if (rc == 0)
        file_metadata(p, w);
    for (int i = 0; i < gguf_n_tensors(g) && rc == 0; i++)
        rc = file_tensor(p, w, gguf_tensor_at(g, i), gone, e);
    if (rc == 0)
        rc = gguf_writer_begin(w, e);
    for (int i = 0; i < gguf_n_tensors(g) && rc == 0; i++)
        rc = file_data(p, w, gguf_tensor_at(g, i), gone, e);
    if (rc == 0 && (rc = gguf_check(g, e)) == 0)
        rc = gguf_writer_finish(w, e);
    mem_free(gone);
    gguf_writer_free(w);
    return rc;
}
