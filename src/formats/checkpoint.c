#include "formats/checkpoint.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

#include "base/limits.h"
#include "base/mem.h"
#include "kernels/kern.h"

#define MAX_SHARDS 256
#define PIECE      32768 /* values converted at a time */

struct shard {
    FILE *file;
    uint64_t data; /* where tensor data begins */
};

struct checkpoint {
    char *path;
    uint64_t n_bytes;               /* .pth: of the file */
    zip_t *zip;                     /* .pth */
    char prefix[256];               /* folder inside the archive, with its slash */
    struct shard shard[MAX_SHARDS]; /* safetensors */
    int n_shard;
    struct checkpoint_tensor *tensors;
    int n;
};

struct checkpoint_reader {
    const struct checkpoint *c;
    const struct checkpoint_tensor *t;
    zip_file_t *member; /* .pth */
};

void checkpoint_tensors_free(struct checkpoint_tensor *list, int n)
{
    for (int i = 0; i < n; i++) {
        mem_free(list[i].name);
        mem_free(list[i].key);
    }
    mem_free(list);
}

/* --- .pth --- */

/* Sizes in a zip's directory are claims: no stored member is larger than the archive, no deflated
 * one (RFC 1951) over 1032 times as large. */
static bool plausible(const struct checkpoint *c, const zip_stat_t *st)
{
    uint64_t factor =
        (st->valid & ZIP_STAT_COMP_METHOD) && st->comp_method == ZIP_CM_STORE ? 1 : 1032;
    return (st->valid & ZIP_STAT_SIZE) && st->size / factor <= c->n_bytes;
}

/* Open member NAME, which must hold at least `need` bytes, at byte `skip`. */
static int open_member(const struct checkpoint *c, const char *name, uint64_t skip, uint64_t need,
                       zip_file_t **ret, struct err *e)
{
    char full[1024], drop[65536];
    zip_stat_t st;
    snprintf(full, sizeof full, "%s%s", c->prefix, name);
    if (zip_stat(c->zip, full, 0, &st) != 0)
        return err_set(e, ERR_FORMAT, "%s has no member %.200s", c->path, full);
    if (!plausible(c, &st) || need > st.size || skip > st.size - need)
        return err_set(e, ERR_FORMAT, "%s: member %.200s is shorter than its tensors, or damaged",
                       c->path, full);
    zip_file_t *f = zip_fopen(c->zip, full, 0);
    if (f && skip > 0 && zip_fseek(f, (zip_int64_t)skip, SEEK_SET) != 0)
        while (f && skip > 0) { /* compressed: no way but through */
            size_t part = skip < sizeof drop ? (size_t)skip : sizeof drop;
            if (zip_fread(f, drop, part) != (zip_int64_t)part) {
                zip_fclose(f);
                f = NULL;
            }
            skip -= part;
        }
    if (!f)
        return err_set(e, ERR_FORMAT, "%s: member %.200s is damaged", c->path, full);
    *ret = f;
    return 0;
}

static int checkpoint_read_index(struct checkpoint *c, const char *name, unsigned char *out,
                                 size_t n, struct err *e)
{
    zip_file_t *f;
    int rc = open_member(c, name, 0, n, &f, e);
    if (rc < 0)
        return rc;
    if (zip_fread(f, out, n) != (zip_int64_t)n)
        rc = err_set(e, ERR_FORMAT, "%s: its index is damaged", c->path);
    zip_fclose(f);
    return rc;
}

static int open_pth(struct checkpoint *c, struct err *e)
{
    static const char tail[] = "data.pkl";
    zip_int64_t n = zip_get_num_entries(c->zip, 0);
    zip_stat_t st;
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(c->zip, (zip_uint64_t)i, 0);
        size_t len = name ? strlen(name) : 0, cut = sizeof tail - 1;
        if (len < cut || strcmp(name + len - cut, tail) || len - cut >= sizeof c->prefix)
            continue;
        memcpy(c->prefix, name, len - cut);
        if (zip_stat_index(c->zip, (zip_uint64_t)i, 0, &st) != 0 || !plausible(c, &st) ||
            st.size > LIMIT_HEADER_BYTES)
            return err_set(e, ERR_LIMIT, "%s: its index is over %d bytes", c->path,
                           LIMIT_HEADER_BYTES);
        unsigned char *pickle = mem_try((size_t)st.size, 1);
        if (!pickle)
            return err_set(e, ERR_MEMORY, "out of memory for a checkpoint's index");
        int rc = checkpoint_read_index(c, tail, pickle, (size_t)st.size, e);
        if (rc == 0)
            rc = pickle_read(pickle, (size_t)st.size, &c->tensors, &c->n, e);
        mem_free(pickle);
        return rc;
    }
    return err_set(e, ERR_FORMAT, "%s is a zip archive, but not a PyTorch one (no data.pkl)",
                   c->path);
}

/* --- safetensors --- */

static int safetensors_type(const char *s)
{
    return !s                   ? -1
           : !strcmp(s, "F32")  ? KERN_F32
           : !strcmp(s, "F16")  ? KERN_F16
           : !strcmp(s, "BF16") ? KERN_BF16
                                : -1;
}

static int safetensors_tensor(struct checkpoint *c, const char *name, json_t *v, uint64_t n_data,
                              struct err *e)
{
    struct checkpoint_tensor *t = &c->tensors[c->n++];
    json_t *shape = json_object_get(v, "shape"), *place = json_object_get(v, "data_offsets");
    t->shard = c->n_shard - 1;
    t->type = safetensors_type(json_string_value(json_object_get(v, "dtype")));
    t->name = mem_strndup(name, strlen(name));
    t->n_dim = (int)json_array_size(shape);
    t->n = 1;
    if (!t->name)
        return err_set(e, ERR_MEMORY, "out of memory for a tensor's name");
    if (t->n_dim > CHECKPOINT_MAX_DIMS) {
        t->type = -1;
        t->n_dim = 0;
    }
    for (int i = 0; i < t->n_dim && t->type >= 0; i++) {
        int64_t d = json_integer_value(json_array_get(shape, (size_t)i));
        if (d < 1 || t->n > ((size_t)1 << 40) / (size_t)d)
            return err_set(e, ERR_FORMAT, "%s: tensor %.64s has an impossible shape", c->path,
                           name);
        t->shape[i] = d;
        t->n *= (size_t)d;
    }
    int64_t from = json_integer_value(json_array_get(place, 0));
    int64_t to = json_integer_value(json_array_get(place, 1));
    if (from < 0 || to < from || (uint64_t)to > n_data ||
        (t->type >= 0 &&
         (uint64_t)(to - from) != kern_type_row_bytes((enum kern_type)t->type, t->n)))
        return err_set(e, ERR_FORMAT, "%s: tensor %.64s lies outside the file or has another size",
                       c->path, name);
    t->offset = (uint64_t)from;
    t->span = t->n;
    return 0;
}

/* The header of one file: its tensors are added to those there are. */
static int read_shard(struct checkpoint *c, struct err *e)
{
    struct shard *s = &c->shard[c->n_shard - 1];
    unsigned char head[8];
    uint64_t n = 0;
    json_error_t why;
    const char *name;
    json_t *v;
    int rc = 0;
    if (fread(head, 1, 8, s->file) != 8)
        return err_set(e, ERR_FORMAT, "%s is neither a PyTorch nor a safetensors file", c->path);
    for (int i = 0; i < 8; i++)
        n |= (uint64_t)head[i] << (8 * i);
    if (n < 2 || n > LIMIT_HEADER_BYTES)
        return err_set(e, ERR_FORMAT, "%s is neither a PyTorch nor a safetensors file", c->path);
    char *text = mem_try((size_t)n, 1);
    if (!text)
        return err_set(e, ERR_MEMORY, "out of memory for a safetensors header");
    json_t *j =
        fread(text, 1, (size_t)n, s->file) == n ? json_loadb(text, (size_t)n, 0, &why) : NULL;
    mem_free(text);
    fseeko(s->file, 0, SEEK_END);
    uint64_t size = (uint64_t)ftello(s->file);
    if (!json_is_object(j) || json_object_size(j) > (size_t)(LIMIT_TENSORS - c->n)) {
        json_decref(j);
        return err_set(e, ERR_FORMAT, "%s: the safetensors header is not valid JSON", c->path);
    }
    s->data = 8 + n;
    size_t room = (size_t)c->n + json_object_size(j) + 1;
    struct checkpoint_tensor *grown = mem_grow(c->tensors, room, sizeof *grown);
    if (grown) {
        memset(grown + c->n, 0, (room - (size_t)c->n) * sizeof *grown);
        c->tensors = grown;
    } else
        rc = err_set(e, ERR_MEMORY, "out of memory for a safetensors header");
    json_object_foreach(j, name, v) if (rc == 0 && strcmp(name, "__metadata__")) rc =
        safetensors_tensor(c, name, v, size - s->data, e);
    json_decref(j);
    return rc;
}

static int open_shard(struct checkpoint *c, const char *path, struct err *e)
{
    if (c->n_shard == MAX_SHARDS)
        return err_set(e, ERR_LIMIT, "%s: over %d files", c->path, MAX_SHARDS);
    FILE *f = fopen(path, "rb");
    if (!f)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                       strerror(errno));
    c->shard[c->n_shard++].file = f;
    return read_shard(c, e);
}

/* {"weight_map": {tensor: file in the same directory}}; each file's own header says the rest. */
static int open_shards(struct checkpoint *c, struct err *e)
{
    const char *slash = strrchr(c->path, '/'), *name;
    size_t n_dir = slash ? (size_t)(slash - c->path) + 1 : 0, i, n_seen = 0;
    const char *seen[MAX_SHARDS];
    char path[8192];
    json_error_t why;
    json_t *j = json_load_file(c->path, 0, &why), *map = json_object_get(j, "weight_map"), *v;
    int rc =
        json_object_size(map) > 0 ? 0 : err_set(e, ERR_FORMAT, "%s has no weight_map", c->path);
    json_object_foreach(map, name, v)
    {
        const char *file = json_string_value(v);
        if (rc == 0 && (!file || !*file || *file == '.' || strchr(file, '/') || strlen(file) > 255))
            rc = err_set(e, ERR_FORMAT, "%s: tensor %.64s is in no file beside it", c->path, name);
        for (i = 0; rc == 0 && i < n_seen && strcmp(seen[i], file); i++)
            ;
        if (rc < 0 || i < n_seen)
            continue;
        snprintf(path, sizeof path, "%.*s%s", (int)n_dir, c->path, file);
        rc = open_shard(c, path, e);
        seen[n_seen++] = file; /* open_shard refuses more than fit */
    }
    json_decref(j);
    return rc;
}

/* --- both --- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

int checkpoint_open(const char *path, struct checkpoint **ret, struct err *e)
{
    struct checkpoint *c = mem_try(1, sizeof *c);
    struct stat st;
    int code = 0, rc;
    if (!c || !(c->path = mem_strndup(path, 4096))) {
        mem_free(c);
        return err_set(e, ERR_MEMORY, "out of memory for a checkpoint");
    }
    if (ends_with(path, ".index.json"))
        rc = open_shards(c, e);
    else if (stat(path, &st) == 0 && (c->zip = zip_open(path, ZIP_RDONLY, &code))) {
        c->n_bytes = (uint64_t)st.st_size;
        rc = open_pth(c, e);
    } else
        rc = open_shard(c, path, e);
    if (rc < 0)
        checkpoint_close(c);
    else
        *ret = c;
    return rc;
}

void checkpoint_close(struct checkpoint *c)
{
    if (!c)
        return;
    if (c->zip)
        zip_discard(c->zip);
    for (int i = 0; i < c->n_shard; i++)
        fclose(c->shard[i].file);
    checkpoint_tensors_free(c->tensors, c->n);
    mem_free(c->path);
    mem_free(c);
}

int checkpoint_n(const struct checkpoint *c)
{
    return c->n;
}

struct checkpoint_tensor *checkpoint_at(const struct checkpoint *c, int i)
{
    return i >= 0 && i < c->n ? &c->tensors[i] : NULL;
}

struct checkpoint_tensor *checkpoint_find(const struct checkpoint *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->tensors[i].name, name))
            return &c->tensors[i];
    return NULL;
}

/* --- values --- */

static int readable(const struct checkpoint *c, const struct checkpoint_tensor *t, struct err *e)
{
    if (t->type >= 0)
        return 0;
    return err_set(e, ERR_UNSUPPORTED,
                   "%s: tensor %.64s is not f32, f16 or bf16, or overlaps itself", c->path,
                   t->name);
}

int checkpoint_reader_new(struct checkpoint *c, const struct checkpoint_tensor *t,
                          struct checkpoint_reader **ret, struct err *e)
{
    char member[300];
    int rc = readable(c, t, e);
    if (rc < 0)
        return rc;
    size_t size = kern_type_row_bytes((enum kern_type)t->type, 1);
    struct checkpoint_reader *r = mem_try(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_MEMORY, "out of memory for tensor %.64s", t->name);
    *r = (struct checkpoint_reader){.c = c, .t = t};
    if (c->zip) {
        snprintf(member, sizeof member, "data/%.200s", t->key);
        rc = t->offset > UINT64_MAX / size || t->span > SIZE_MAX / size
                 ? err_set(e, ERR_FORMAT, "%s: tensor %.64s lies outside its storage", c->path,
                           t->name)
                 : open_member(c, member, t->offset * size, t->span * size, &r->member, e);
    } else {
        const struct shard *s = &c->shard[t->shard];
        if (fseeko(s->file, (off_t)(s->data + t->offset), SEEK_SET) != 0)
            rc = err_set(e, ERR_IO, "%s: cannot read tensor %.64s", c->path, t->name);
    }
    if (rc < 0)
        mem_free(r);
    else
        *ret = r;
    return rc;
}

void checkpoint_reader_free(struct checkpoint_reader *r)
{
    if (r && r->member)
        zip_fclose(r->member);
    mem_free(r);
}

static int read_bytes(struct checkpoint_reader *r, void *out, size_t n, struct err *e)
{
    if (r->member ? zip_fread(r->member, out, n) == (zip_int64_t)n
                  : fread(out, 1, n, r->c->shard[r->t->shard].file) == n)
        return 0;
    return err_set(e, ERR_FORMAT, "%s: tensor %.64s is cut short, or damaged", r->c->path,
                   r->t->name);
}

int checkpoint_reader_next(struct checkpoint_reader *r, float *out, size_t n, struct err *e)
{
    uint16_t half[PIECE];
    int rc = 0;
    if (r->t->type == KERN_F32)
        return read_bytes(r, out, n * sizeof *out, e);
    for (size_t i = 0; i < n && rc == 0; i += PIECE) {
        size_t part = n - i < PIECE ? n - i : PIECE;
        if ((rc = read_bytes(r, half, part * sizeof *half, e)) == 0)
            kern_to_f32((enum kern_type)r->t->type, half, out + i, part);
    }
    return rc;
}

/* Values of a strided tensor in row-major order; `from` holds its span. */
static void checkpoint_gather(const struct checkpoint_tensor *t, const float *from, float *out)
{
    int64_t at[CHECKPOINT_MAX_DIMS] = {0};
    for (size_t i = 0; i < t->n; i++) {
        size_t place = 0;
        for (int d = 0; d < t->n_dim; d++)
            place += (size_t)(at[d] * t->stride[d]);
        out[i] = from[place];
        for (int d = t->n_dim - 1; d >= 0 && ++at[d] == t->shape[d]; d--)
            at[d] = 0;
    }
}

int checkpoint_read(struct checkpoint *c, const struct checkpoint_tensor *t, float **ret,
                    struct err *e)
{
    struct checkpoint_reader *r;
    int rc = checkpoint_reader_new(c, t, &r, e); /* checks the size before memory is asked for */
    if (rc < 0)
        return rc;
    float *values = mem_try(t->span, sizeof *values), *ordered = NULL;
    if (t->strided)
        ordered = mem_try(t->n, sizeof *ordered);
    if (!values || (t->strided && !ordered))
        rc = err_set(e, ERR_MEMORY, "out of memory for tensor %.64s", t->name);
    else
        rc = checkpoint_reader_next(r, values, t->span, e);
    if (rc == 0 && t->strided) {
        checkpoint_gather(t, values, ordered);
        mem_free(values);
        values = ordered;
        ordered = NULL;
    }
    checkpoint_reader_free(r);
    mem_free(ordered);
    if (rc < 0)
        mem_free(values);
    else
        *ret = values;
    return rc;
}
