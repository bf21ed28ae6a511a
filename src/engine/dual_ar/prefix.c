#include "engine/dual_ar/prefix.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/dual_ar/prefix_file.h"

struct entry {
    int32_t *columns; /* [n_column, width] */
    int n_column;
    const void *kv;
    void *pages; /* kv is in it */
    size_t n_pages;
    size_t n_bytes; /* of kv */
    uint64_t used;  /* the larger, the more recent */
};

struct prefix_cache {
    struct entry entry[PREFIX_MAX_ENTRIES];
    int n;
    size_t n_bytes, max_bytes;
    uint64_t clock;
    char *dir; /* NULL: none */
    struct prefix_identity identity;
};

static int open_dir(struct prefix_cache *c, const struct prefix_options *o, struct err *e)
{
    if (!o->dir || !o->max_bytes)
        return 0;
    if (access(o->dir, R_OK | W_OK | X_OK) != 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
                       "cannot use the prefix directory %s: %s", o->dir, strerror(errno));
    if (!(c->dir = mem_strndup(o->dir, strlen(o->dir))))
        return err_set(e, ERR_MEMORY, "out of memory for the prefix cache");
    return prefix_identify(o, &c->identity, e);
}

int prefix_cache_new(const struct prefix_options *o, struct prefix_cache **ret, struct err *e)
{
    struct prefix_cache *c = mem_try(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_MEMORY, "out of memory for the prefix cache");
    c->max_bytes = o->max_bytes;
    int rc = open_dir(c, o, e);
    if (rc < 0)
        prefix_cache_free(c);
    else
        *ret = c;
    return rc;
}

static void entry_done(struct entry *y)
{
    mem_free(y->columns);
    mem_pages_free(y->pages, y->n_pages);
}

void prefix_cache_free(struct prefix_cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n; i++)
        entry_done(&c->entry[i]);
    mem_free(c->dir);
    mem_free(c);
}

size_t prefix_cache_bytes(const struct prefix_cache *c)
{
    return c->n_bytes;
}

static size_t prefix_columns_bytes(const struct prompt *p)
{
    return (size_t)p->n_prefix * (1 + (size_t)p->n_codebook) * sizeof *p->columns;
}

static struct entry *prefix_find(struct prefix_cache *c, const struct prompt *p)
{
    for (int i = 0; i < c->n; i++) {
        struct entry *y = &c->entry[i];
        if (y->n_column == p->n_prefix &&
            !memcmp(y->columns, p->columns, prefix_columns_bytes(p))) {
            y->used = ++c->clock;
            return y;
        }
    }
    return NULL;
}

/* Until n_bytes more fit: out with what was not used for the longest time. */
static void prefix_make_room(struct prefix_cache *c, size_t n_bytes)
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

/* Takes over what y holds; false, and y is freed, without memory. */
static bool prefix_insert(struct prefix_cache *c, const struct prompt *p, struct entry *y)
{
    y->columns = mem_try(prefix_columns_bytes(p), 1);
    if (!y->columns) {
        entry_done(y);
        return false;
    }
    memcpy(y->columns, p->columns, prefix_columns_bytes(p));
    prefix_make_room(c, y->n_bytes);
    y->used = ++c->clock;
    c->n_bytes += y->n_bytes;
    c->entry[c->n++] = *y;
    return true;
}

/* From an earlier run, or another process. */
static struct entry *prefix_find_file(struct prefix_cache *c, const struct prompt *p,
                                      size_t n_bytes)
{
    struct entry y = {.n_column = p->n_prefix, .n_bytes = n_bytes};
    if (!c->dir || p->n_prefix < PREFIX_MIN_COLUMNS || n_bytes > c->max_bytes ||
        prefix_file_read(c->dir, &c->identity, p, n_bytes, &y.pages, &y.n_pages, &y.kv, NULL) < 0)
        return NULL;
    return prefix_insert(c, p, &y) ? &c->entry[c->n - 1] : NULL;
}

int prefix_restore(struct prefix_cache *c, const struct prompt *p, struct lm_slot *slot)
{
    if (p->n_prefix > lm_slot_capacity(slot))
        return 0;
    struct entry *y = prefix_find(c, p);
    if (!y && !(y = prefix_find_file(c, p, lm_slot_bytes(slot, p->n_prefix))))
        return 0;
    lm_slot_load(slot, y->n_column, y->kv);
    return y->n_column;
}

void prefix_save(struct prefix_cache *c, const struct prompt *p, const struct lm_slot *slot,
                 bool lasting)
{
    struct entry y = {.n_column = p->n_prefix, .n_bytes = lm_slot_bytes(slot, p->n_prefix)};
    if (p->n_prefix < PREFIX_MIN_COLUMNS || y.n_bytes > c->max_bytes || prefix_find(c, p))
        return;
    y.pages = mem_pages_new(y.n_bytes);
    if (!y.pages)
        return;
    y.n_pages = y.n_bytes;
    y.kv = y.pages;
    lm_slot_save(slot, y.n_column, y.pages);
    if (prefix_insert(c, p, &y) && lasting && c->dir)
        prefix_file_write(c->dir, &c->identity, p, y.kv, y.n_bytes, NULL);
}
