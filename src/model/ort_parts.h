/* ort_parts.h - what ort_model.c puts together; private to ort_*.c. */
#ifndef MODEL_ORT_PARTS_H
#define MODEL_ORT_PARTS_H
#include "model/ort.h"
#include "model/ort_model.h"

/* Drivers; free(NULL) is fine. */
int ort_lm_new(struct ort *o, const char *dir, const struct spec_lm *s, int max_batch,
               struct lm_driver *ret, struct err *e);
void ort_lm_free(struct lm_driver *d);
int ort_codec_new(struct ort *o, const char *dir, const struct spec_codec *s, bool encoder,
                  struct codec_driver *ret, struct err *e);
void ort_codec_free(struct codec_driver *d);

#endif
