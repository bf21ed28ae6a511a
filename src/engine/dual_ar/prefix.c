#include "engine/dual_ar/prefix.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/dual_ar/prefix_file.h"

struct entry {
    int32_t *columns; /* [n_column, width] */
    int n_column;
    struct prefix_pages memory;
    size_t n_bytes; /* of memory.kv */
    uint64_t used;  /* larger: used more recently */
    bool once;      /* goes when it is restored */
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
    mem_pages_free(y->memory.pages, y->memory.n);
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

static size_t prefix_columns_bytes(const struct prompt *p, int n_column)
{
    return (size_t)n_column * (1 + (size_t)p->n_codebook) * sizeof *p->columns;
}

/* The longest entry that is the prefix or its beginning. */
static struct entry *prefix_find(struct prefix_cache *c, const struct prompt *p)
{
    struct entry *best = NULL;
    for (int i = 0; i < c->n; i++) {
        struct entry *y = &c->entry[i];
        if (y->n_column <= p->n_prefix && (!best || y->n_column > best->n_column) &&
            !memcmp(y->columns, p->columns, prefix_columns_bytes(p, y->n_column)))
            best = y;
    }
    if (best)
        best->used = ++c->clock;
    return best;
}

static void prefix_remove(struct prefix_cache *c, struct entry *y)
{
    c->n_bytes -= y->n_bytes;
    entry_done(y);
    *y = c->entry[--c->n];
}

/* Drops the least recently used entries until n_bytes more fit. */
static void prefix_make_room(struct prefix_cache *c, size_t n_bytes)
{
    while (c->n == PREFIX_MAX_ENTRIES || (c->n > 0 && c->n_bytes > c->max_bytes - n_bytes)) {
        struct entry *oldest = c->entry;
        for (int i = 1; i < c->n; i++)
            if (c->entry[i].used < oldest->used)
                oldest = &c->entry[i];
        prefix_remove(c, oldest);
    }
}

/* Takes over what y holds.  False without memory for its columns; then y is freed. */
static bool prefix_insert(struct prefix_cache *c, struct entry *y)
{
    if (!y->columns) {
        entry_done(y);
        return false;
    }
    prefix_make_room(c, y->n_bytes);
    y->used = ++c->clock;
    c->n_bytes += y->n_bytes;
    c->entry[c->n++] = *y;
    return true;
}

/* The first n_column columns of a prompt, with room for n_more. */
static int32_t *prefix_copy_columns(const struct prompt *p, int n_column, int n_more)
{
    int32_t *to = mem_try(prefix_columns_bytes(p, n_column + n_more), 1);
    if (to)
        memcpy(to, p->columns, prefix_columns_bytes(p, n_column));
    return to;
}

/* From an earlier run, or another process. */
static struct entry *prefix_find_file(struct prefix_cache *c, const struct prompt *p,
                                      size_t n_bytes)
{
    struct entry y = {.n_column = p->n_prefix, .n_bytes = n_bytes};
    struct prefix_key key = {&c->identity, p, n_bytes};
    if (!c->dir || p->n_prefix < PREFIX_MIN_COLUMNS || n_bytes > c->max_bytes ||
        prefix_file_read(c->dir, &key, &y.memory, NULL) < 0)
        return NULL;
    y.columns = prefix_copy_columns(p, p->n_prefix, 0);
    return prefix_insert(c, &y) ? &c->entry[c->n - 1] : NULL;
}

int prefix_restore(struct prefix_cache *c, const struct prompt *p, struct lm_slot *slot)
{
    if (p->n_prefix > lm_slot_capacity(slot))
        return 0;
    struct entry *y = prefix_find(c, p);
    if (!y && !(y = prefix_find_file(c, p, lm_slot_bytes(slot, p->n_prefix))))
        return 0;
    int n_column = y->n_column;
    lm_slot_load(slot, n_column, y->memory.kv);
    if (y->once)
        prefix_remove(c, y);
    return n_column;
}

/* What the slot remembers of its first n_column columns; false: it cannot be kept. */
static bool prefix_take(const struct prefix_cache *c, const struct lm_slot *slot, int n_column,
                        struct entry *y)
{
    *y = (struct entry){.n_column = n_column, .n_bytes = lm_slot_bytes(slot, n_column)};
    if (n_column < PREFIX_MIN_COLUMNS || y->n_bytes > c->max_bytes ||
        !(y->memory.pages = mem_pages_new(y->n_bytes)))
        return false;
    y->memory.n = y->n_bytes;
    y->memory.kv = y->memory.pages;
    lm_slot_save(slot, n_column, y->memory.pages);
    return true;
}

void prefix_save(struct prefix_cache *c, const struct prompt *p, const struct lm_slot *slot,
                 bool lasting)
{
    const struct entry *known = prefix_find(c, p);
    struct entry y;
    if ((known && known->n_column == p->n_prefix) || !prefix_take(c, slot, p->n_prefix, &y))
        return;
    y.columns = prefix_copy_columns(p, p->n_prefix, 0);
    struct prefix_key key = {&c->identity, p, y.n_bytes};
    if (prefix_insert(c, &y) && lasting && c->dir)
        prefix_file_write(c->dir, &key, y.memory.kv, NULL);
}

void prefix_save_said(struct prefix_cache *c, const struct prompt *p, const int32_t *frames,
                      int n_frame, const struct lm_slot *slot)
{
    struct entry y;
    if (lm_slot_length(slot) < p->n_column + n_frame ||
        !prefix_take(c, slot, p->n_column + n_frame, &y))
        return;
    y.once = true;
    y.columns = prefix_copy_columns(p, p->n_column, n_frame);
    if (y.columns)
        memcpy(y.columns + (size_t)p->n_column * (1 + (size_t)p->n_codebook), frames,
               prefix_columns_bytes(p, n_frame));
    prefix_insert(c, &y);
}
