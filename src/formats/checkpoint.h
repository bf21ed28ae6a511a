/* checkpoint.h - tensors by name from a PyTorch .pth archive, a safetensors file, or the
 * model.safetensors.index.json of several.
 *
 * A .pth is a zip with a pickle; the pickle is read by a machine that knows only the handful of
 * names a state dict needs and can execute nothing (pickle.c).  Nothing but the header is read on
 * opening; tensors are read one at a time, large ones in pieces.
 * Formats: torch/serialization.py (zip), https://github.com/huggingface/safetensors .
 *
 * Threads: a checkpoint belongs to one thread. */
#ifndef FORMATS_CHECKPOINT_H
#define FORMATS_CHECKPOINT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define CHECKPOINT_MAX_DIMS 4

struct checkpoint_tensor {
    char *name;
    int type; /* KERN_F32, KERN_F16 or KERN_BF16; -1: listed, cannot be read */
    int n_dim;
    int64_t shape[CHECKPOINT_MAX_DIMS]; /* outermost first */
    size_t n;                           /* values */
    char *key;                          /* .pth: name of the storage */
    int shard;                          /* safetensors: which file */
    uint64_t offset;                    /* values (.pth) or bytes (safetensors) into it */
    bool strided; /* .pth: not in row-major order; only checkpoint_read can read it */
    int64_t stride[CHECKPOINT_MAX_DIMS]; /* of a strided one, in values */
    size_t span; /* values from its first to its last in the storage; >= n */
};

struct checkpoint;
int checkpoint_open(const char *path, struct checkpoint **ret, struct err *e);
void checkpoint_close(struct checkpoint *c);
int checkpoint_n(const struct checkpoint *c);
struct checkpoint_tensor *checkpoint_at(const struct checkpoint *c, int i);
struct checkpoint_tensor *checkpoint_find(const struct checkpoint *c, const char *name);
/* All values as float; free with mem_free. */
int checkpoint_read(struct checkpoint *c, const struct checkpoint_tensor *t, float **ret,
                    struct err *e);

/* The values of a tensor that is not strided, in order, n at a time: memory for a piece only. */
struct checkpoint_reader;
int checkpoint_reader_new(struct checkpoint *c, const struct checkpoint_tensor *t,
                          struct checkpoint_reader **ret, struct err *e);
int checkpoint_reader_next(struct checkpoint_reader *r, float *out, size_t n, struct err *e);
void checkpoint_reader_free(struct checkpoint_reader *r);

/* pickle.c: the state dict of a pickle: tensors appended to *list (grown), count in *n. */
int pickle_read(const unsigned char *data, size_t n_bytes, struct checkpoint_tensor **list, int *n,
                struct err *e);
void checkpoint_tensors_free(struct checkpoint_tensor *list, int n);

#endif
