/* ort_model.h - a model's graphs in ONNX Runtime: what computes for a language model and a codec.
 *
 * The folder is one of model/export.h.  Without the runtime's header at build time there is
 * ort_none.c, which says how to get it.
 *
 * Threads: each driver belongs to one thread at a time; ort_model_failed any. */
#ifndef MODEL_ORT_MODEL_H
#define MODEL_ORT_MODEL_H
#include "model/codec.h"
#include "model/lm.h"

struct ort_model;
struct ort_place {
    const char *dir, *library, *provider; /* as in struct ort_options */
};
int ort_model_open(const struct ort_place *p, const struct spec *s, int n_thread, int max_batch,
                   struct ort_model **ret, struct err *e);
void ort_model_close(struct ort_model *m); /* NULL is fine; what it computed for is freed before */
const struct lm_driver *ort_model_lm(struct ort_model *m);
const struct codec_driver *ort_model_decoder(struct ort_model *m);
int ort_model_encoder(struct ort_model *m, const struct codec_driver **ret, struct err *e);
bool ort_model_failed(struct ort_model *m, struct err *e); /* false for NULL */

#endif
