/* The input is a GGUF file: open it, read the hyper-parameters and everything else it offers. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "formats/gguf.h"
#include "model/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static volatile unsigned sink;

static void read_strings(const struct gguf *g, const char *key, size_t n)
{
    const char *s;
    size_t len;
    for (size_t i = 0; i <= n; i++) {
        int rc = gguf_array_string(g, key, i, &s, &len);
        if (rc == 0 && i == n)
            abort();
        if (rc == 0 && len > 0)
            sink += (unsigned)s[0] + (unsigned)s[len - 1];
    }
}

static void read_key(const struct gguf *g, const char *key)
{
    enum gguf_kind kind;
    size_t n;
    int64_t i;
    double d;
    bool b;
    const char *s;
    gguf_get_int(g, key, INT64_MIN, INT64_MAX, &i, NULL);
    gguf_get_float(g, key, &d, NULL);
    gguf_get_bool(g, key, &b, NULL);
    if (gguf_get_string(g, key, &s, NULL) == 0)
        sink += (unsigned)strlen(s);
    if (gguf_array_len(g, key, &kind, &n, NULL) < 0)
        return;
    if (kind == GGUF_STRING)
        read_strings(g, key, n);
    int32_t *v = mem_try(n, sizeof *v);
    if (v)
        gguf_array_ints(g, key, v, n, NULL);
    mem_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gguf *g;
    struct spec s;
    enum gguf_kind kind;
    const char *key;
    if (gguf_open_memory(data, n, &g, NULL) < 0)
        return 0;
    spec_read(g, &s, NULL);
    for (int i = 0; (key = gguf_key_at(g, i, &kind)); i++)
        read_key(g, key);
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        if (!gguf_find(g, t->name))
            abort();
        for (size_t k = 0; k < t->n_bytes; k++)
            sink += ((const uint8_t *)t->data)[k];
    }
    gguf_close(g);
    return 0;
}
