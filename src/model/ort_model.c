#include "model/ort_parts.h"

#include <stdio.h>

struct ort_model {
    struct ort *ort;
    struct spec spec;
    char dir[4096];
    struct lm_driver lm;
    struct codec_driver decoder, encoder;
};

int ort_model_open(const struct ort_place *p, const struct spec *s, int n_thread, int max_batch,
                   struct ort_model **ret, struct err *e)
{
    struct ort_options o = {p->library, p->provider, n_thread};
    struct ort_model *m = mem_try(1, sizeof *m);
    if (!m)
        return err_set(e, ERR_MEMORY, "out of memory for a model");
    m->spec = *s;
    int rc = snprintf(m->dir, sizeof m->dir, "%s", p->dir) < (int)sizeof m->dir
                 ? ort_open(&o, &m->ort, e)
                 : err_set(e, ERR_LIMIT, "the path %.64s... is too long", p->dir);
    if (rc == 0)
        rc = ort_lm_new(m->ort, m->dir, &m->spec.lm, max_batch, &m->lm, e);
    if (rc == 0)
        rc = ort_codec_new(m->ort, m->dir, &m->spec.codec, false, &m->decoder, e);
    if (rc < 0)
        ort_model_close(m);
    else
        *ret = m;
    return rc;
}

void ort_model_close(struct ort_model *m)
{
    if (!m)
        return;
    ort_lm_free(&m->lm);
    ort_codec_free(&m->decoder);
    ort_codec_free(&m->encoder);
    ort_close(m->ort);
    mem_free(m);
}

const struct lm_driver *ort_model_lm(struct ort_model *m)
{
    return &m->lm;
}

const struct codec_driver *ort_model_decoder(struct ort_model *m)
{
    return &m->decoder;
}

int ort_model_encoder(struct ort_model *m, const struct codec_driver **ret, struct err *e)
{
    int rc =
        m->encoder.self ? 0 : ort_codec_new(m->ort, m->dir, &m->spec.codec, true, &m->encoder, e);
    if (rc == 0)
        *ret = &m->encoder;
    return rc;
}

bool ort_model_failed(struct ort_model *m, struct err *e)
{
    return m && ort_failed(m->ort, e);
}
