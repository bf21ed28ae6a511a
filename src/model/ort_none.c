/* Built without ONNX Runtime's header. */
#include "model/ort_model.h"

int ort_model_open(const struct ort_place *p, const struct spec *s, int n_thread, int max_batch,
                   struct ort_model **ret, struct err *e)
{
    (void)p, (void)s, (void)n_thread, (void)max_batch, (void)ret;
    return err_set(e, ERR_UNSUPPORTED,
                   "this program was built without ONNX Runtime's header; run "
                   "packaging/setup --onnx, then make again");
}

void ort_model_close(struct ort_model *m)
{
    (void)m;
}

const struct lm_driver *ort_model_lm(struct ort_model *m)
{
    (void)m;
    return NULL;
}

const struct codec_driver *ort_model_decoder(struct ort_model *m)
{
    (void)m;
    return NULL;
}

int ort_model_encoder(struct ort_model *m, const struct codec_driver **ret, struct err *e)
{
    (void)ret;
    return ort_model_open(NULL, NULL, 0, 0, &m, e);
}

bool ort_model_failed(struct ort_model *m, struct err *e)
{
    (void)m, (void)e;
    return false;
}
