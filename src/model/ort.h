/* ort.h - graphs in ONNX Runtime, through its C API: https://onnxruntime.ai/docs/api/c .
 *
 * The library is looked for when a model is loaded, so nothing here needs it to build a package or
 * to start.  Numbers are read and written where they are: an input or output is a view of the
 * caller's memory, and what a graph remembers stays with the runtime from call to call.
 *
 *     ort_open(&o, &ort, &e); ort_graph_open(ort, dir, "fast", &g, &e);
 *     ort_in(g, ort_input(g, "codes"), codes, ONNX_INT32, 2, shape);
 *     ort_out(g, ort_output(g, "logits"), logits, 2, shape);
 *     if (ort_run(g) < 0) ...                       ort_failed says why, also later
 *
 * All graphs of the process share the runtime's threads and its arena; the first ort_open says how
 * many threads.
 * Threads: a graph belongs to one thread at a time; ort_failed any. */
#ifndef MODEL_ORT_H
#define MODEL_ORT_H
#include <stdbool.h>
#include "base/err.h"
#include "formats/onnx.h"

struct ort;
struct ort_graph;
struct OrtValue;

struct ort_options {
    const char *library;  /* path of libonnxruntime.so; NULL: where it is installed */
    const char *provider; /* "cpu", "dnnl", "openvino"; NULL: cpu */
    int n_thread;         /* 0: one for each core */
};
/* ERR_UNSUPPORTED, and how to get it, where there is no ONNX Runtime. */
int ort_open(const struct ort_options *o, struct ort **ret, struct err *e);
void ort_close(struct ort *o);                 /* NULL is fine; its graphs are closed before */
bool ort_failed(struct ort *o, struct err *e); /* has a run failed? */

int ort_graph_open(struct ort *o, const char *dir, const char *name, struct ort_graph **ret,
                   struct err *e);
void ort_graph_close(struct ort_graph *g); /* NULL is fine */
int ort_n_input(const struct ort_graph *g);
const char *ort_input_name(const struct ort_graph *g, int i);
int ort_input(const struct ort_graph *g, const char *name); /* its index; -1: there is none */
int ort_output(const struct ort_graph *g, const char *name);
/* Dimension i of an output's shape; -1: known when it runs, or there is none. */
long ort_output_dim(const struct ort_graph *g, int output, int i);

/* Views for the next run, which forgets them. */
void ort_in(struct ort_graph *g, int i, const void *data, enum onnx_type type, int n_dim,
            const int64_t *shape);
void ort_out(struct ort_graph *g, int i, float *data, int n_dim, const int64_t *shape);
void ort_out_int(struct ort_graph *g, int i, int32_t *data, int n_dim, const int64_t *shape);
int ort_run(struct ort_graph *g);

/* What an output without a view was, for an input of a later run. */
void ort_lend(struct ort_graph *g, int i, struct OrtValue *value);
struct OrtValue *ort_keep(struct ort_graph *g, int output); /* after a run; NULL: it failed */
/* The first of an input: zeros, of dimensions that are not known 1, of the first of a past 0. */
struct OrtValue *ort_first(struct ort_graph *g, int i);
void ort_value_free(struct ort_graph *g, struct OrtValue *value); /* NULL is fine */

#endif
