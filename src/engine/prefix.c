#include "engine/prefix.h"

#include <string.h>

#include "base/mem.h"

struct entry {
    int32_t *columns; /* [n_column, width] */
    int n_column;
    void *kv;
    size_t n_bytes;
    uint64_t used; /* the larger, the more recent */
};

struct prefix_cache {
    struct entry entry[PREFIX_MAX_ENTRIES];
    int n;
    size_t n_bytes, max_bytes;
    uint64_t clock;
};

int prefix_cache_new(size_t max_bytes, struct prefix_cache **ret, struct err *e)
{
    struct prefix_cache *c = mem_try(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_MEMORY, "out of memory for the prefix cache");
    c->max_bytes = max_bytes;
    *ret = c;
    return 0;
}

static void entry_done(struct entry *y)
{
    mem_free(y->columns);
    mem_pages_free(y->kv, y->n_bytes);
}

void prefix_cache_free(struct prefix_cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n; i++)
        entry_done(&c->entry[i]);
    mem_free(c);
}

size_t prefix_cache_bytes(const struct prefix_cache *c)
{
    return c->n_bytes;
}

static size_t columns_bytes(const struct prompt *p)
{
    return (size_t)p->n_prefix * (1 + (size_t)p->n_codebook) * sizeof *p->columns;
}

static struct entry *find(struct prefix_cache *c, const struct prompt *p)
{
    for (int i = 0; i < c->n; i++) {
        struct entry *y = &c->entry[i];
        if (y->n_column == p->n_prefix && !memcmp(y->columns, p->columns, columns_bytes(p))) {
            y->used = ++c->clock;
            return y;
        }
    }
    return NULL;
}

int prefix_restore(struct prefix_cache *c, const struct prompt *p, struct lm_slot *slot)
{
    struct entry *y = find(c, p);
    if (!y || y->n_column > lm_slot_capacity(slot))
        return 0;
    lm_slot_load(slot, y->n_column, y->kv);
    return y->n_column;
}

/* Until n_bytes more fit: out with what was not used for the longest time. */
static void make_room(struct prefix_cache *c, size_t n_bytes)
{
    while (c->n == PREFIX_MAX_ENTRIES || (c->n > 0 && c->n_bytes > c->max_bytes - n_bytes)) {
        int oldest = 0;
        for (int i = 1; i < c->n; i++)
            if (c->entry[i].used < c->entry[oldest].used)
                oldest = i;
        c->n_bytes -= c->entry[oldest].n_bytes;
        entry_done(&c->entry[oldest]);
        c->entry[oldest] = c->entry[--c->n];
    }
}

void prefix_save(struct prefix_cache *c, const struct prompt *p, const struct lm_slot *slot)
{
    struct entry y = {.n_column = p->n_prefix, .n_bytes = lm_slot_bytes(slot, p->n_prefix)};
    if (p->n_prefix < PREFIX_MIN_COLUMNS || y.n_bytes > c->max_bytes || find(c, p))
        return;
    make_room(c, y.n_bytes);
    y.columns = mem_try(columns_bytes(p), 1);
    y.kv = mem_pages_new(y.n_bytes);
    if (!y.columns || !y.kv) {
        entry_done(&y);
        return;
    }
    memcpy(y.columns, p->columns, columns_bytes(p));
    lm_slot_save(slot, y.n_column, y.kv);
    y.used = ++c->clock;
    c->n_bytes += y.n_bytes;
    c->entry[c->n++] = y;
}
