/* checkpoint.h - tensors by name from a PyTorch .pth archive or a safetensors file.
 *
 * A .pth is a zip with a pickle; the pickle is read by a machine that knows only the handful of
 * names a state dict needs and can execute nothing (pickle.c).  Nothing but the header is read on
 * opening; tensors are read one at a time.
 * Formats: torch/serialization.py (zip), https://github.com/huggingface/safetensors .
 *
 * Threads: a checkpoint belongs to one thread. */
#ifndef FORMATS_CHECKPOINT_H
#define FORMATS_CHECKPOINT_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define CHECKPOINT_MAX_DIMS 4

struct checkpoint_tensor {
    char *name;
    int type;           /* KERN_F32, KERN_F16 or KERN_BF16; -1: listed, cannot be read */
    int n_dim;
    int64_t shape[CHECKPOINT_MAX_DIMS]; /* outermost first */
    size_t n;           /* values */
    char *key;          /* .pth: name of the storage */
    uint64_t offset;    /* values (.pth) or bytes (safetensors) into it */
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

/* pickle.c: the state dict of a pickle: tensors appended to *list (grown), count in *n. */
int pickle_read(const unsigned char *data, size_t n_bytes, struct checkpoint_tensor **list, int *n,
                struct err *e);
void checkpoint_tensors_free(struct checkpoint_tensor *list, int n);

#endif
