/* gguf.c - the reader checks everything once, the getters only look up. */
#include "formats/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

#define MAGIC     0x46554747u /* "GGUF" */
#define ALIGNMENT 32
#define MAX_NAME  4096
#define MAX_KEYS  65536

struct value { /* metadata: where its bytes are */
    char *key;
    enum gguf_kind kind, item; /* item: of an array */
    size_t n;                  /* items of an array, bytes of a string */
    const uint8_t *data;
    size_t *offset; /* [n] of the strings of an array, from data */
};

struct gguf {
    char *path;
    const uint8_t *data;
    size_t size;
    struct map *map; /* NULL: borrowed memory */
    struct value *values;
    struct gguf_tensor *tensors;
    char **names;
    int n_value, n_tensor;
};

/* --- reading --- */

struct cursor {
    const uint8_t *p, *end;
};

static size_t kind_size(unsigned kind)
{
    static const uint8_t size[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return kind < sizeof size ? size[kind] : 0;
}

static int gguf_take(struct cursor *c, void *out, size_t n, struct err *e)
{
    if ((size_t)(c->end - c->p) < n) {
        err_set(e, ERR_FORMAT, "gguf file ends in the middle of its header");
        return ERR_FORMAT;
    }
    memcpy(out, c->p, n);
    c->p += n;
    return 0;
}

static int take_u64(struct cursor *c, uint64_t *v, struct err *e)
{
    return gguf_take(c, v, 8, e);
}

/* A string's place and length; it must lie inside the file. */
static int take_string(struct cursor *c, const uint8_t **s, size_t *n, struct err *e)
{
    uint64_t len;
    int rc = take_u64(c, &len, e);
    if (rc < 0)
        return rc;
    if (len > (uint64_t)(c->end - c->p))
        return err_set(e, ERR_FORMAT, "gguf string of %llu bytes reaches beyond the file",
                       (unsigned long long)len);
    *s = c->p;
    *n = (size_t)len;
    c->p += len;
    return 0;
}

static int take_name(struct cursor *c, char **ret, struct err *e)
{
    const uint8_t *s;
    size_t n;
    int rc = take_string(c, &s, &n, e);
    if (rc < 0)
        return rc;
    if (n == 0 || n > MAX_NAME || memchr(s, 0, n))
        return err_set(e, ERR_FORMAT, "gguf name of %zu bytes, must be 1 to %d without zeros", n,
                       MAX_NAME);
    *ret = mem_strndup((const char *)s, n);
    return *ret ? 0 : err_set(e, ERR_MEMORY, "out of memory for a gguf name");
}

static int read_array(struct cursor *c, struct value *v, struct err *e)
{
    uint32_t item;
    uint64_t n;
    int rc;
    if ((rc = gguf_take(c, &item, 4, e)) < 0 || (rc = take_u64(c, &n, e)) < 0)
        return rc;
    size_t size = kind_size(item), left = (size_t)(c->end - c->p);
    if ((!size && item != GGUF_STRING) || n > left / (size ? size : 8))
        return err_set(e, ERR_FORMAT, "gguf key %.64s: array of %llu items of kind %u is not valid",
                       v->key, (unsigned long long)n, item);
    v->item = (enum gguf_kind)item;
    v->n = (size_t)n;
    v->data = c->p;
    if (item != GGUF_STRING) {
        c->p += n * size;
        return 0;
    }
    v->offset = mem_try(v->n, sizeof *v->offset);
    if (!v->offset)
        return err_set(e, ERR_MEMORY, "out of memory for %zu strings", v->n);
    for (size_t i = 0; i < v->n; i++) {
        const uint8_t *s;
        size_t len;
        v->offset[i] = (size_t)(c->p - v->data);
        if ((rc = take_string(c, &s, &len, e)) < 0)
            return rc;
    }
    return 0;
}

static int read_value(struct cursor *c, struct value *v, struct err *e)
{
    uint32_t kind;
    int rc;
    if ((rc = take_name(c, &v->key, e)) < 0 || (rc = gguf_take(c, &kind, 4, e)) < 0)
        return rc;
    v->kind = (enum gguf_kind)kind;
    if (kind == GGUF_ARRAY)
        return read_array(c, v, e);
    if (kind == GGUF_STRING)
        return take_string(c, &v->data, &v->n, e);
    size_t size = kind_size(kind);
    if (!size)
        return err_set(e, ERR_FORMAT, "gguf key %.64s has unknown kind %u", v->key, kind);
    v->data = c->p;
    if ((size_t)(c->end - c->p) < size)
        return err_set(e, ERR_FORMAT, "gguf file ends in key %.64s", v->key);
    c->p += size;
    return 0;
}

/* Bytes of n values of a tensor type, 0 for types that we list but cannot load. */
static size_t type_bytes(uint32_t type, size_t n, size_t row)
{
    switch (type) {
    case 0:
    case 26: /* i32 */
        return n * 4;
    case 1:
    case 30:
        return n * 2;
    case 2:
        return row % 32 ? 0 : n / 32 * 18;
    case 8:
        return row % 32 ? 0 : n / 32 * 34;
    default:
        return 0;
    }
}

static int read_tensor(struct cursor *c, struct gguf_tensor *t, char **name, uint64_t *offset,
                       struct err *e)
{
    uint32_t n_dim, type;
    uint64_t n = 1;
    int rc;
    if ((rc = take_name(c, name, e)) < 0 || (rc = gguf_take(c, &n_dim, 4, e)) < 0)
        return rc;
    t->name = *name;
    if (n_dim < 1 || n_dim > GGUF_MAX_DIMS)
        return err_set(e, ERR_FORMAT, "tensor %.64s has %u dimensions, must be 1 to %d", *name,
                       n_dim, GGUF_MAX_DIMS);
    t->n_dim = (int)n_dim;
    for (uint32_t i = 0; i < GGUF_MAX_DIMS; i++) {
        uint64_t ne = 1;
        if (i < n_dim && (rc = take_u64(c, &ne, e)) < 0)
            return rc;
        if (ne == 0 || ne > (1ull << 40) || n > (1ull << 40) / ne)
            return err_set(e, ERR_FORMAT, "tensor %.64s has a dimension of %llu", *name,
                           (unsigned long long)ne);
        t->ne[i] = (int64_t)ne;
        n *= ne;
    }
    if ((rc = gguf_take(c, &type, 4, e)) < 0 || (rc = take_u64(c, offset, e)) < 0)
        return rc;
    t->type = (int)type;
    t->n_bytes = type_bytes(type, (size_t)n, (size_t)t->ne[0]);
    return 0;
}

static int place_tensors(struct gguf *g, const uint64_t *offset, size_t start, struct err *e)
{
    for (int i = 0; i < g->n_tensor; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        if (offset[i] % ALIGNMENT || start > g->size || offset[i] > g->size - start ||
            t->n_bytes > g->size - start - offset[i])
            return err_set(e, ERR_FORMAT,
                           "tensor %.64s (%zu bytes at %llu) is not inside the file of %zu bytes: "
                           "is the file complete?",
                           t->name, t->n_bytes, (unsigned long long)offset[i], g->size);
        t->data = g->data + start + offset[i];
    }
    return 0;
}

static int read_header(struct gguf *g, struct cursor *c, uint64_t *n_tensor, uint64_t *n_value,
                       struct err *e)
{
    uint32_t magic, version;
    int rc;
    if (g->size < 24 || (gguf_take(c, &magic, 4, e), magic) != MAGIC)
        return err_set(e, ERR_FORMAT, "not a gguf file (it does not begin with GGUF)");
    if ((rc = gguf_take(c, &version, 4, e)) < 0)
        return rc;
    if (version != 2 && version != 3)
        return err_set(e, ERR_UNSUPPORTED, "gguf version is %u, must be 2 or 3", version);
    if ((rc = take_u64(c, n_tensor, e)) < 0 || (rc = take_u64(c, n_value, e)) < 0)
        return rc;
    if (*n_tensor > LIMIT_TENSORS || *n_value > MAX_KEYS)
        return err_set(e, ERR_LIMIT,
                       "gguf file lists %llu tensors and %llu keys, the limits are %d "
                       "and %d",
                       (unsigned long long)*n_tensor, (unsigned long long)*n_value, LIMIT_TENSORS,
                       MAX_KEYS);
    return 0;
}

static int gguf_parse(struct gguf *g, struct err *e)
{
    struct cursor c = {g->data, g->data + g->size};
    uint64_t n_tensor = 0, n_value = 0;
    int64_t alignment = ALIGNMENT;
    int rc = read_header(g, &c, &n_tensor, &n_value, e);
    if (rc < 0)
        return rc;
    uint64_t *offset = mem_try(n_tensor, sizeof *offset);
    g->values = mem_try(n_value, sizeof *g->values);
    g->tensors = mem_try(n_tensor, sizeof *g->tensors);
    g->names = mem_try(n_tensor, sizeof *g->names);
    if (!offset || !g->values || !g->tensors || !g->names)
        rc = err_set(e, ERR_MEMORY, "out of memory for a gguf header");
    while (rc == 0 && g->n_value < (int)n_value)
        rc = read_value(&c, &g->values[g->n_value++], e);
    while (rc == 0 && g->n_tensor < (int)n_tensor) {
        int i = g->n_tensor++;
        rc = read_tensor(&c, &g->tensors[i], &g->names[i], &offset[i], e);
    }
    if (rc == 0) {
        gguf_get_int(g, "general.alignment", 1, 4096, &alignment, NULL);
        size_t used = (size_t)(c.p - g->data), a = (size_t)alignment;
        rc = a % ALIGNMENT ? err_set(e, ERR_UNSUPPORTED,
                                     "gguf alignment is %zu, must be a multiple "
                                     "of %d",
                                     a, ALIGNMENT)
                           : place_tensors(g, offset, (used + a - 1) / a * a, e);
    }
    mem_free(offset);
    return rc;
}

int gguf_open_memory(const void *data, size_t n, struct gguf **ret, struct err *e)
{
    struct gguf *g = mem_try(1, sizeof *g);
    if (!g)
        return err_set(e, ERR_MEMORY, "out of memory for a gguf file");
    g->data = data;
    g->size = n;
    int rc = gguf_parse(g, e);
    if (rc < 0)
        gguf_close(g);
    else
        *ret = g;
    return rc;
}

int gguf_open(const char *path, struct gguf **ret, struct err *e)
{
    struct map *map;
    struct gguf *g;
    int rc = map_open(path, &map, e);
    if (rc < 0)
        return rc;
    if ((rc = gguf_open_memory(map_data(map), map_bytes(map), &g, e)) < 0) {
        map_close(map);
        return err_wrap(e, "%s", path);
    }
    g->map = map;
    g->path = mem_strdup(path);
    if ((rc = map_check(map, e)) < 0)
        gguf_close(g);
    else
        *ret = g;
    return rc;
}

int gguf_check(const struct gguf *g, struct err *e)
{
    return g->map ? map_check(g->map, e) : 0;
}

bool gguf_is_whole(const struct gguf *g)
{
    return !g->map || map_is_whole(g->map);
}

bool gguf_is_replaced(const struct gguf *g)
{
    return g->map && map_is_replaced(g->map);
}

void gguf_close(struct gguf *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->n_value; i++) {
        mem_free(g->values[i].key);
        mem_free(g->values[i].offset);
    }
    for (int i = 0; i < g->n_tensor; i++)
        mem_free(g->names[i]);
    mem_free(g->values);
    mem_free(g->tensors);
    mem_free(g->names);
    map_close(g->map);
    mem_free(g->path);
    mem_free(g);
}

const char *gguf_path(const struct gguf *g)
{
    return g->path ? g->path : "";
}

size_t gguf_file_bytes(const struct gguf *g)
{
    return g->size;
}

int gguf_n_tensors(const struct gguf *g)
{
    return g->n_tensor;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, int i)
{
    return i >= 0 && i < g->n_tensor ? &g->tensors[i] : NULL;
}

const struct gguf_tensor *gguf_find(const struct gguf *g, const char *name)
{
    for (int i = 0; i < g->n_tensor; i++)
        if (!strcmp(g->tensors[i].name, name))
            return &g->tensors[i];
    return NULL;
}

void gguf_drop(const struct gguf *g, const struct gguf_tensor *t)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)t->data + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)t->data + t->n_bytes) / page * page;
    if (g->map && to > from)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

/* --- metadata --- */

static const struct value *gguf_find_(const struct gguf *g, const char *key, struct err *e)
{
    for (int i = 0; i < g->n_value; i++)
        if (!strcmp(g->values[i].key, key))
            return &g->values[i];
    err_set(e, ERR_NOT_FOUND, "model file has no key %s", key);
    return NULL;
}

static bool as_int(enum gguf_kind kind, const uint8_t *p, int64_t *ret)
{
    uint64_t v = 0;
    size_t size = kind_size(kind);
    if (kind == GGUF_F32 || kind == GGUF_F64 || kind == GGUF_STRING || kind == GGUF_ARRAY)
        return false;
    memcpy(&v, p, size);
    int shift = 64 - 8 * (int)size;
    bool is_signed = kind == GGUF_I8 || kind == GGUF_I16 || kind == GGUF_I32 || kind == GGUF_I64;
    if (!is_signed && v > INT64_MAX)
        return false;
    *ret = is_signed ? (int64_t)(v << shift) >> shift : (int64_t)v;
    return true;
}

int gguf_get_int(const struct gguf *g, const char *key, int64_t min, int64_t max, int64_t *ret,
                 struct err *e)
{
    const struct value *v = gguf_find_(g, key, e);
    int64_t i;
    if (!v)
        return ERR_NOT_FOUND;
    if (!as_int(v->kind, v->data, &i))
        return err_set(e, ERR_FORMAT, "model key %s is not an integer", key);
    if (i < min || i > max)
        return err_set(e, ERR_FORMAT, "model key %s is %lld, must be %lld to %lld", key,
                       (long long)i, (long long)min, (long long)max);
    *ret = i;
    return 0;
}

int gguf_get_float(const struct gguf *g, const char *key, double *ret, struct err *e)
{
    const struct value *v = gguf_find_(g, key, e);
    int64_t i;
    float f;
    double d;
    if (!v)
        return ERR_NOT_FOUND;
    if (v->kind == GGUF_F32) {
        memcpy(&f, v->data, 4);
        d = f;
    } else if (v->kind == GGUF_F64) {
        memcpy(&d, v->data, 8);
    } else if (as_int(v->kind, v->data, &i)) {
        d = (double)i;
    } else {
        return err_set(e, ERR_FORMAT, "model key %s is not a number", key);
    }
    if (!isfinite(d))
        return err_set(e, ERR_FORMAT, "model key %s is not finite", key);
    *ret = d;
    return 0;
}

int gguf_get_bool(const struct gguf *g, const char *key, bool *ret, struct err *e)
{
    const struct value *v = gguf_find_(g, key, e);
    if (!v)
        return ERR_NOT_FOUND;
    if (v->kind != GGUF_BOOL)
        return err_set(e, ERR_FORMAT, "model key %s is not true or false", key);
    *ret = v->data[0] != 0;
    return 0;
}

/* Strings of a file are not NUL-terminated, but those we write are followed by other bytes; a copy
 * is kept in the value's offset slot. */
int gguf_get_string(const struct gguf *g, const char *key, const char **ret, struct err *e)
{
    struct value *v = (struct value *)(uintptr_t)gguf_find_(g, key, e);
    if (!v)
        return ERR_NOT_FOUND;
    if (v->kind != GGUF_STRING || v->n > MAX_NAME)
        return err_set(e, ERR_FORMAT, "model key %s is not a string of at most %d bytes", key,
                       MAX_NAME);
    if (!v->offset) {
        char *copy = mem_strndup((const char *)v->data, v->n);
        if (!copy)
            return err_set(e, ERR_MEMORY, "out of memory for a string");
        v->offset = (size_t *)(void *)copy;
    }
    *ret = (const char *)(void *)v->offset;
    return 0;
}

static const struct value *find_array(const struct gguf *g, const char *key, struct err *e)
{
    const struct value *v = gguf_find_(g, key, e);
    if (v && v->kind != GGUF_ARRAY) {
        err_set(e, ERR_FORMAT, "model key %s is not an array", key);
        return NULL;
    }
    return v;
}

int gguf_array_len(const struct gguf *g, const char *key, enum gguf_kind *kind, size_t *n,
                   struct err *e)
{
    const struct value *v = find_array(g, key, e);
    if (!v)
        return gguf_find_(g, key, NULL) ? ERR_FORMAT : ERR_NOT_FOUND;
    *kind = v->item;
    *n = v->n;
    return 0;
}

int gguf_array_string(const struct gguf *g, const char *key, size_t i, const char **s, size_t *n)
{
    const struct value *v = find_array(g, key, NULL);
    uint64_t len;
    if (!v || v->item != GGUF_STRING || i >= v->n)
        return ERR_NOT_FOUND;
    memcpy(&len, v->data + v->offset[i], 8);
    *s = (const char *)v->data + v->offset[i] + 8;
    *n = (size_t)len;
    return 0;
}

int gguf_array_ints(const struct gguf *g, const char *key, int32_t *out, size_t n, struct err *e)
{
    const struct value *v = find_array(g, key, e);
    if (!v)
        return gguf_find_(g, key, NULL) ? ERR_FORMAT : ERR_NOT_FOUND;
    if (v->n < n)
        return err_set(e, ERR_FORMAT, "model key %s has %zu items, must be %zu", key, v->n, n);
    for (size_t i = 0; i < n; i++) {
        int64_t x;
        if (!as_int(v->item, v->data + i * kind_size(v->item), &x) || x < INT32_MIN ||
            x > INT32_MAX)
            return err_set(e, ERR_FORMAT, "model key %s: item %zu is not a 32-bit integer", key, i);
        out[i] = (int32_t)x;
    }
    return 0;
}

const char *gguf_key_at(const struct gguf *g, int i, enum gguf_kind *kind)
{
    if (i < 0 || i >= g->n_value)
        return NULL;
    *kind = g->values[i].kind;
    return g->values[i].key;
}

/* --- writing --- */

struct gguf_writer {
    char *path, *temporary;
    FILE *file;
    struct buf values, tensors;
    uint64_t n_value, n_tensor, next_offset;
    size_t *bytes; /* [n_tensor] */
    uint64_t i_tensor;
    size_t written; /* of tensor i_tensor */
    int failed;     /* a put_* ran out of room */
};

int gguf_writer_new(const char *path, struct gguf_writer **ret, struct err *e)
{
    struct gguf_writer *w = mem_try(1, sizeof *w);
    size_t n = strlen(path) + 32;
    if (!w || !(w->path = mem_strndup(path, n)) || !(w->temporary = mem_try(n, 1))) {
        gguf_writer_free(w);
        return err_set(e, ERR_MEMORY, "out of memory for a gguf writer");
    }
    snprintf(w->temporary, n, "%s.tmp-%ld", path, (long)getpid());
    buf_init(&w->values, LIMIT_HEADER_BYTES);
    buf_init(&w->tensors, LIMIT_HEADER_BYTES);
    w->file = fopen(w->temporary, "wb");
    if (!w->file) {
        err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno));
        gguf_writer_free(w);
        return ERR_IO;
    }
    *ret = w;
    return 0;
}

static void gguf_add(struct gguf_writer *w, const void *data, size_t n)
{
    w->failed |= buf_add(&w->values, data, n);
}

static void add_string(struct gguf_writer *w, const char *s, size_t n)
{
    uint64_t len = n;
    gguf_add(w, &len, 8);
    gguf_add(w, s, n);
}

static void add_key(struct gguf_writer *w, const char *key, uint32_t kind)
{
    add_string(w, key, strlen(key));
    gguf_add(w, &kind, 4);
    w->n_value++;
}

void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_kind kind, int64_t v)
{
    add_key(w, key, kind);
    gguf_add(w, &v, kind_size(kind)); /* little-endian: the low bytes come first */
}

void gguf_put_float(struct gguf_writer *w, const char *key, float v)
{
    add_key(w, key, GGUF_F32);
    gguf_add(w, &v, 4);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool v)
{
    uint8_t b = v;
    add_key(w, key, GGUF_BOOL);
    gguf_add(w, &b, 1);
}

void gguf_put_string(struct gguf_writer *w, const char *key, const char *v, size_t n)
{
    add_key(w, key, GGUF_STRING);
    add_string(w, v, n);
}

static void add_array(struct gguf_writer *w, const char *key, uint32_t item, uint64_t n)
{
    add_key(w, key, GGUF_ARRAY);
    gguf_add(w, &item, 4);
    gguf_add(w, &n, 8);
}

void gguf_put_ints(struct gguf_writer *w, const char *key, const int32_t *v, size_t n)
{
    add_array(w, key, GGUF_I32, n);
    gguf_add(w, v, n * sizeof *v);
}

void gguf_put_strings(struct gguf_writer *w, const char *key, const char *const *v,
                      const size_t *len, size_t n)
{
    add_array(w, key, GGUF_STRING, n);
    for (size_t i = 0; i < n; i++)
        add_string(w, v[i], len ? len[i] : strlen(v[i]));
}

void gguf_put_copy(struct gguf_writer *w, const struct gguf *from, int i)
{
    if (i < 0 || i >= from->n_value)
        return;
    const struct value *v = &from->values[i];
    if (v->kind == GGUF_STRING) {
        gguf_put_string(w, v->key, (const char *)v->data, v->n);
    } else if (v->kind != GGUF_ARRAY) {
        add_key(w, v->key, v->kind);
        gguf_add(w, v->data, kind_size(v->kind));
    } else {
        size_t n_bytes = v->n * kind_size(v->item);
        if (v->item == GGUF_STRING && v->n > 0) { /* to the end of the last one */
            uint64_t len;
            memcpy(&len, v->data + v->offset[v->n - 1], 8);
            n_bytes = v->offset[v->n - 1] + 8 + (size_t)len;
        }
        add_array(w, v->key, v->item, v->n);
        gguf_add(w, v->data, n_bytes);
    }
}

int gguf_writer_tensor(struct gguf_writer *w, const char *name, int type, int n_dim,
                       const int64_t *ne, struct err *e)
{
    uint64_t len = strlen(name), offset = w->next_offset;
    uint32_t dims = (uint32_t)n_dim, kind = (uint32_t)type;
    size_t n = 1;
    for (int i = 0; i < n_dim; i++)
        n *= (size_t)ne[i];
    size_t bytes = type_bytes(kind, n, (size_t)ne[0]);
    size_t *all = mem_grow(w->bytes, w->n_tensor + 1, sizeof *all);
    if (!all)
        return err_set(e, ERR_MEMORY, "out of memory for tensor %s", name);
    w->bytes = all;
    w->bytes[w->n_tensor++] = bytes;
    w->next_offset += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    int rc = buf_add(&w->tensors, &len, 8) | buf_add(&w->tensors, name, len) |
             buf_add(&w->tensors, &dims, 4) | buf_add(&w->tensors, ne, (size_t)n_dim * 8) |
             buf_add(&w->tensors, &kind, 4) | buf_add(&w->tensors, &offset, 8);
    return rc ? err_set(e, ERR_MEMORY, "out of memory for tensor %s", name) : 0;
}

static int gguf_write_bytes(struct gguf_writer *w, const void *data, size_t n, struct err *e)
{
    if (fwrite(data, 1, n, w->file) == n)
        return 0;
    return err_set(e, ERR_IO, "cannot write %s: %s", w->temporary, strerror(errno));
}

static int pad(struct gguf_writer *w, size_t n, struct err *e)
{
    static const char zero[ALIGNMENT];
    return gguf_write_bytes(w, zero, (ALIGNMENT - n % ALIGNMENT) % ALIGNMENT, e);
}

int gguf_writer_begin(struct gguf_writer *w, struct err *e)
{
    uint32_t head[2] = {MAGIC, 3};
    int rc;
    if (w->failed)
        return err_set(e, ERR_MEMORY, "the metadata is over %d bytes, or memory is out",
                       LIMIT_HEADER_BYTES);
    if ((rc = gguf_write_bytes(w, head, 8, e)) < 0 ||
        (rc = gguf_write_bytes(w, &w->n_tensor, 8, e)) < 0 ||
        (rc = gguf_write_bytes(w, &w->n_value, 8, e)) < 0 ||
        (rc = gguf_write_bytes(w, buf_str(&w->values), w->values.len, e)) < 0 ||
        (rc = gguf_write_bytes(w, buf_str(&w->tensors), w->tensors.len, e)) < 0)
        return rc;
    return pad(w, 24 + w->values.len + w->tensors.len, e);
}

int gguf_writer_data(struct gguf_writer *w, const void *data, size_t n, struct err *e)
{
    int rc;
    if (w->i_tensor >= w->n_tensor || n > w->bytes[w->i_tensor] - w->written)
        return err_set(e, ERR_INTERNAL, "more tensor data than was declared");
    if ((rc = gguf_write_bytes(w, data, n, e)) < 0)
        return rc;
    w->written += n;
    if (w->written == w->bytes[w->i_tensor]) {
        if ((rc = pad(w, w->written, e)) < 0)
            return rc;
        w->written = 0;
        w->i_tensor++;
    }
    return 0;
}

int gguf_writer_finish(struct gguf_writer *w, struct err *e)
{
    if (w->i_tensor != w->n_tensor)
        return err_set(e, ERR_INTERNAL, "tensor data is missing");
    int bad = fflush(w->file) != 0 || fsync(fileno(w->file)) != 0;
    bad |= fclose(w->file) != 0;
    w->file = NULL;
    if (bad || rename(w->temporary, w->path) != 0)
        return err_set(e, ERR_IO, "cannot write %s: %s", w->path, strerror(errno));
    mem_free(w->temporary);
    w->temporary = NULL;
    return 0;
}

void gguf_writer_free(struct gguf_writer *w)
{
    if (!w)
        return;
    if (w->file)
        fclose(w->file);
    if (w->temporary)
        unlink(w->temporary);
    buf_done(&w->values);
    buf_done(&w->tensors);
    mem_free(w->bytes);
    mem_free(w->temporary);
    mem_free(w->path);
    mem_free(w);
}
