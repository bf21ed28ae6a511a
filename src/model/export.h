/* export.h - a model as a folder of ONNX graphs, for any runtime: docs/ONNX.md describes each input
 * and output.
 *
 *     slow.onnx     columns of a prompt, or one of each sequence -> hidden state, logits
 *     fast.onnx     hidden state and codes -> logits of the next code
 *     decoder.onnx  codes -> samples, a stretch at a time, with what the stream remembers
 *     encoder.onnx  samples -> codes, likewise; of models that have an encoder
 *     model.gguf    hyper-parameters, tokenizer, voices: the model's file without its tensors
 *
 * Weights stand in NAME.onnx.data.  What is computed is docs/MODEL.md; nothing is sampled.
 * Threads: any; a call works alone. */
#ifndef MODEL_EXPORT_H
#define MODEL_EXPORT_H
#include "base/err.h"

#define EXPORT_METADATA "model.gguf"

enum export_type {
    EXPORT_F32,
    EXPORT_F16, /* matrices are stored in half precision; the arithmetic is in floats */
    EXPORT_INT8 /* matrices and their inputs in 8 bits, by QuantizeLinear and DequantizeLinear */
};
struct export_options {
    const char *model, *dir; /* a GGUF; dir is made when it does not exist */
    enum export_type type;
    const char *imatrix; /* EXPORT_INT8: how large inputs are, made by calibration */
    void (*progress)(void *cookie, double fraction); /* NULL: none */
    void *cookie;
};
/* Files that were there are replaced, each when it is whole; the metadata come last. */
int export_onnx(const struct export_options *o, struct err *e);

#endif
