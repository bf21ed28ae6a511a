#include "formats/checkpoint.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <zip.h>

#include "base/limits.h"
#include "base/mem.h"
#include "kernels/kern.h"

struct checkpoint {
    char *path;
    zip_t *zip;        /* .pth */
    char prefix[256];  /* folder inside the archive, with its slash */
    FILE *file;        /* safetensors */
    uint64_t data;     /* where tensor data begins in it */
    struct checkpoint_tensor *tensors;
    int n;
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

static int read_member(struct checkpoint *c, const char *name, uint64_t skip, void *out, size_t n,
                       struct err *e)
{
    char full[1024], drop[65536];
    snprintf(full, sizeof full, "%s%s", c->prefix, name);
    zip_file_t *f = zip_fopen(c->zip, full, 0);
    int rc = 0;
    if (!f)
        return err_set(e, ERR_FORMAT, "%s has no member %.200s", c->path, full);
    while (skip > 0 && rc == 0) {
        size_t part = skip < sizeof drop ? (size_t)skip : sizeof drop;
        if (zip_fread(f, drop, part) != (zip_int64_t)part)
            rc = ERR_FORMAT;
        skip -= part;
    }
    if (rc < 0 || zip_fread(f, out, n) != (zip_int64_t)n)
        rc = err_set(e, ERR_FORMAT, "%s: member %.200s is shorter than its tensors, or damaged",
                     c->path, full);
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
        if (zip_stat_index(c->zip, (zip_uint64_t)i, 0, &st) != 0 || st.size > LIMIT_HEADER_BYTES)
            return err_set(e, ERR_LIMIT, "%s: its index is over %d bytes", c->path,
                           LIMIT_HEADER_BYTES);
        unsigned char *pickle = mem_try((size_t)st.size, 1);
        if (!pickle)
            return err_set(e, ERR_MEMORY, "out of memory for a checkpoint's index");
        int rc = read_member(c, tail, 0, pickle, (size_t)st.size, e);
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
    return !s ? -1 : !strcmp(s, "F32") ? KERN_F32 : !strcmp(s, "F16") ? KERN_F16
         : !strcmp(s, "BF16") ? KERN_BF16 : -1;
}

static int safetensors_tensor(struct checkpoint *c, const char *name, json_t *v, uint64_t n_data,
                              struct err *e)
{
    struct checkpoint_tensor *t = &c->tensors[c->n++];
    json_t *shape = json_object_get(v, "shape"), *place = json_object_get(v, "data_offsets");
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
            return err_set(e, ERR_FORMAT, "%s: tensor %.64s has an impossible shape", c->path, name);
        t->shape[i] = d;
        t->n *= (size_t)d;
    }
    int64_t from = json_integer_value(json_array_get(place, 0));
    int64_t to = json_integer_value(json_array_get(place, 1));
    if (from < 0 || to < from || (uint64_t)to > n_data ||
        (t->type >= 0 && (uint64_t)(to - from) != kern_type_row_bytes((enum kern_type)t->type, t->n)))
        return err_set(e, ERR_FORMAT, "%s: tensor %.64s lies outside the file or has another size",
                       c->path, name);
    t->offset = (uint64_t)from;
    return 0;
}

static int open_safetensors(struct checkpoint *c, struct err *e)
{
    unsigned char head[8];
    uint64_t n = 0;
    json_error_t why;
    const char *name;
    json_t *v;
    int rc = 0;
    if (fread(head, 1, 8, c->file) != 8)
        return err_set(e, ERR_FORMAT, "%s is neither a PyTorch nor a safetensors file", c->path);
    for (int i = 0; i < 8; i++)
        n |= (uint64_t)head[i] << (8 * i);
    if (n < 2 || n > LIMIT_HEADER_BYTES)
        return err_set(e, ERR_FORMAT, "%s is neither a PyTorch nor a safetensors file", c->path);
    char *text = mem_try((size_t)n, 1);
    if (!text)
        return err_set(e, ERR_MEMORY, "out of memory for a safetensors header");
    json_t *j = fread(text, 1, (size_t)n, c->file) == n ? json_loadb(text, (size_t)n, 0, &why) : NULL;
    mem_free(text);
    fseeko(c->file, 0, SEEK_END);
    uint64_t size = (uint64_t)ftello(c->file);
    if (!json_is_object(j) || json_object_size(j) > LIMIT_TENSORS) {
        json_decref(j);
        return err_set(e, ERR_FORMAT, "%s: the safetensors header is not valid JSON", c->path);
    }
    c->data = 8 + n;
    c->tensors = mem_try(json_object_size(j) + 1, sizeof *c->tensors);
    if (!c->tensors)
        rc = err_set(e, ERR_MEMORY, "out of memory for a safetensors header");
    json_object_foreach(j, name, v)
        if (rc == 0 && strcmp(name, "__metadata__"))
            rc = safetensors_tensor(c, name, v, size - c->data, e);
    json_decref(j);
    return rc;
}

/* --- both --- */

int checkpoint_open(const char *path, struct checkpoint **ret, struct err *e)
{
    struct checkpoint *c = mem_try(1, sizeof *c);
    int code = 0, rc;
    if (!c || !(c->path = mem_strndup(path, 4096))) {
        mem_free(c);
        return err_set(e, ERR_MEMORY, "out of memory for a checkpoint");
    }
    if ((c->zip = zip_open(path, ZIP_RDONLY, &code))) {
        rc = open_pth(c, e);
    } else if ((c->file = fopen(path, "rb"))) {
        rc = open_safetensors(c, e);
    } else {
        rc = err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                     strerror(errno));
    }
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
    if (c->file)
        fclose(c->file);
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

static int read_raw(struct checkpoint *c, const struct checkpoint_tensor *t, void *raw, size_t bytes,
                    struct err *e)
{
    char member[300];
    if (!c->zip) {
        if (fseeko(c->file, (off_t)(c->data + t->offset), SEEK_SET) == 0 &&
            fread(raw, 1, bytes, c->file) == bytes)
            return 0;
        return err_set(e, ERR_IO, "%s: cannot read tensor %.64s", c->path, t->name);
    }
    snprintf(member, sizeof member, "data/%.200s", t->key);
    return read_member(c, member, t->offset * kern_type_row_bytes((enum kern_type)t->type, 1), raw,
                       bytes, e);
}

int checkpoint_read(struct checkpoint *c, const struct checkpoint_tensor *t, float **ret,
                    struct err *e)
{
    if (t->type < 0)
        return err_set(e, ERR_UNSUPPORTED, "%s: tensor %.64s is not contiguous f32, f16 or bf16",
                       c->path, t->name);
    size_t bytes = kern_type_row_bytes((enum kern_type)t->type, t->n);
    void *raw = mem_try(bytes, 1);
    float *values = mem_try(t->n, sizeof *values);
    int rc = raw && values ? read_raw(c, t, raw, bytes, e)
                           : err_set(e, ERR_MEMORY, "out of memory for tensor %.64s", t->name);
    if (rc == 0)
        kern_to_f32((enum kern_type)t->type, raw, values, t->n);
    mem_free(raw);
    if (rc < 0)
        mem_free(values);
    else
        *ret = values;
    return rc;
}
