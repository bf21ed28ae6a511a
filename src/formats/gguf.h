/* gguf.h - read and write GGUF version 3 files: metadata and tensors by name; knows no model.
 *
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md .  Little-endian, data
 * aligned to general.alignment (32).  Dimensions are listed innermost first: a row-major
 * [out, in] matrix has ne = {in, out}.
 *
 * A file is hostile until gguf_open has returned: every offset, length, count and type is checked
 * there (limits in base/limits.h), so the getters cannot go outside the map.
 *
 * Threads: a gguf is read-only after open, shared by any; a writer belongs to one thread. */
#ifndef FORMATS_GGUF_H
#define FORMATS_GGUF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define GGUF_MAX_DIMS 4

enum gguf_kind { /* of a metadata value; numbers are the format's */
                 GGUF_U8 = 0,
                 GGUF_I8 = 1,
                 GGUF_U16 = 2,
                 GGUF_I16 = 3,
                 GGUF_U32 = 4,
                 GGUF_I32 = 5,
                 GGUF_F32 = 6,
                 GGUF_BOOL = 7,
                 GGUF_STRING = 8,
                 GGUF_ARRAY = 9,
                 GGUF_U64 = 10,
                 GGUF_I64 = 11,
                 GGUF_F64 = 12
};

struct gguf_tensor {
    const char *name; /* NUL-terminated, lives as long as the gguf */
    int type;         /* enum kern_type values; others are listed but cannot be loaded */
    int n_dim;
    int64_t ne[GGUF_MAX_DIMS]; /* innermost first; unused are 1 */
    const void *data;          /* in the map */
    size_t n_bytes;
};

struct gguf;
int gguf_open(const char *path, struct gguf **ret, struct err *e); /* memory-maps, read-only */
int gguf_open_memory(const void *data, size_t n, struct gguf **ret, struct err *e); /* borrowed */
void gguf_close(struct gguf *g); /* NULL is fine; all pointers from it die */
/* To be called after reading tensors: 0 if the file is still the one that was opened (base/map.h),
 * else ERR_IO and what happened to it. */
int gguf_check(const struct gguf *g, struct err *e);
bool gguf_is_whole(const struct gguf *g);    /* no page was missing so far; costs nothing */
bool gguf_is_replaced(const struct gguf *g); /* its path leads to another file now */
const char *gguf_path(const struct gguf *g);
size_t gguf_file_bytes(const struct gguf *g);

int gguf_n_tensors(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, int i);
const struct gguf_tensor *gguf_find(const struct gguf *g, const char *name); /* NULL: none */
/* Tell the system that a tensor's pages are no longer needed (they were packed elsewhere). */
void gguf_drop(const struct gguf *g, const struct gguf_tensor *t);

/* Metadata.  Getters return 0, ERR_NOT_FOUND (key absent), or ERR_FORMAT (wrong type, or out of
 * [min, max]); *ret is untouched on failure.  Integers of any width are accepted where they fit. */
int gguf_get_int(const struct gguf *g, const char *key, int64_t min, int64_t max, int64_t *ret,
                 struct err *e);
int gguf_get_float(const struct gguf *g, const char *key, double *ret, struct err *e);
int gguf_get_bool(const struct gguf *g, const char *key, bool *ret, struct err *e);
int gguf_get_string(const struct gguf *g, const char *key, const char **ret, struct err *e);
/* Arrays: count; strings one by one (bytes + length, not NUL-terminated); numbers copied. */
int gguf_array_len(const struct gguf *g, const char *key, enum gguf_kind *kind, size_t *n,
                   struct err *e);
int gguf_array_string(const struct gguf *g, const char *key, size_t i, const char **s, size_t *n);
int gguf_array_ints(const struct gguf *g, const char *key, int32_t *out, size_t n, struct err *e);
/* Iteration for inspect: i-th key, its kind; NULL after the last. */
const char *gguf_key_at(const struct gguf *g, int i, enum gguf_kind *kind);

/* Writer: add all metadata, declare all tensors, begin, give the data in the same order, finish.
 * It writes to "PATH.tmp-PID" and renames at finish: PATH is either old or whole. */
struct gguf_writer;
int gguf_writer_new(const char *path, struct gguf_writer **ret, struct err *e);
void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_kind kind, int64_t v);
void gguf_put_float(struct gguf_writer *w, const char *key, float v);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_put_string(struct gguf_writer *w, const char *key, const char *v, size_t n);
void gguf_put_ints(struct gguf_writer *w, const char *key, const int32_t *v, size_t n);
void gguf_put_strings(struct gguf_writer *w, const char *key, const char *const *v,
                      const size_t *len, size_t n);
/* The i-th key of another file as it is there; nothing beyond its last. */
void gguf_put_copy(struct gguf_writer *w, const struct gguf *from, int i);
int gguf_writer_tensor(struct gguf_writer *w, const char *name, int type, int n_dim,
                       const int64_t *ne, struct err *e);
int gguf_writer_begin(struct gguf_writer *w, struct err *e);
int gguf_writer_data(struct gguf_writer *w, const void *data, size_t n, struct err *e);
int gguf_writer_finish(struct gguf_writer *w, struct err *e); /* fsync, rename */
void gguf_writer_free(struct gguf_writer *w); /* removes the temporary file unless finished */

#endif
