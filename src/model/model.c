#include "model/model.h"

#include <string.h>

#define ARENA_CHUNK ((size_t)64 << 20)

static int load_driven(struct model *m, const struct model_options *o, struct err *e)
{
    int n = o->max_batch > 0 ? o->max_batch : 1;
    int rc = ort_model_open(&o->ort, &m->spec, pool_threads(m->pool), n, &m->ort, e);
    if (rc == 0)
        rc = lm_new_driven(ort_model_lm(m->ort), &m->spec.lm, n, m->arena, &m->lm, e);
    return rc < 0 ? rc
                  : codec_new_driven(ort_model_decoder(m->ort), &m->spec.codec, m->arena, false,
                                     &m->codec, e);
}

static int load_parts(struct model *m, const struct model_options *o, struct err *e)
{
    if (o->ort.dir)
        return load_driven(m, o, e);
    m->type = o->f32 ? KERN_F32 : KERN_AS_STORED;
    struct load from = {m->file, "", m->exec, m->type, m->arena};
    struct lm_options lm = {.cache = o->cache, .max_batch = o->max_batch > 0 ? o->max_batch : 1};
    struct codec_options codec = {.decoder = true};
    int rc = lm_load(&from, &m->spec.lm, &lm, &m->lm, e);
    if (rc == 0)
        lm_watch_heads(m->lm, m->spec.alignment.head, m->spec.alignment.n_head);
    return rc < 0 ? rc : codec_load(&from, &m->spec.codec, &codec, &m->codec, e);
}

int model_load(struct model *m, const struct model_options *o, struct err *e)
{
    int rc;
    if ((rc = gguf_check(m->file, e)) < 0 || (rc = pool_new(o->n_thread, &m->pool, e)) < 0 ||
        (rc = kern_exec_new(o->isa, m->pool, &m->exec, e)) < 0 ||
        (rc = kern_exec_new(o->isa, m->pool, &m->job_exec, e)) < 0)
        return rc;
    m->arena = mem_arena_new(ARENA_CHUNK);
    if (!m->arena)
        return err_set(e, ERR_MEMORY, "out of memory for the model");
    rc = load_parts(m, o, e);
    return rc < 0 ? err_wrap(e, "%.200s", gguf_path(m->file)) : gguf_check(m->file, e);
}

static int model_drive_encoder(struct model *m, struct err *e)
{
    const struct codec_driver *d;
    int rc = ort_model_encoder(m->ort, &d, e);
    return rc < 0 ? rc : codec_new_driven(d, &m->spec.codec, m->arena, true, &m->encoder, e);
}

static int model_load_encoder(struct model *m, struct err *e)
{
    if (m->ort)
        return model_drive_encoder(m, e);
    struct codec_options o = {.encoder = true};
    m->encoder_arena = mem_arena_new(ARENA_CHUNK);
    struct load from = {m->file, "", m->exec, m->type, m->encoder_arena};
    int rc = m->encoder_arena ? codec_load(&from, &m->spec.codec, &o, &m->encoder, e)
                              : err_set(e, ERR_MEMORY, "out of memory for the encoder");
    if (rc == 0)
        rc = gguf_check(m->file, e);
    if (rc < 0) {
        m->encoder = NULL;
        mem_arena_free(m->encoder_arena);
        m->encoder_arena = NULL;
    }
    return rc;
}

int model_encoder(struct model *m, struct codec **ret, struct err *e)
{
    if (!m->spec.codec.has_encoder)
        return err_set(e, ERR_UNSUPPORTED, "this model has no codec encoder");
    int rc = m->encoder ? 0 : model_load_encoder(m, e);
    *ret = m->encoder;
    return rc;
}

void model_unload(struct model *m)
{
    lm_free(m->lm);
    ort_model_close(m->ort);
    mem_arena_free(m->encoder_arena);
    mem_arena_free(m->arena);
    kern_exec_free(m->exec);
    kern_exec_free(m->job_exec);
    pool_free(m->pool);
    m->codec = m->encoder = NULL;
    m->lm = NULL;
    m->ort = NULL;
    m->arena = m->encoder_arena = NULL;
    m->exec = m->job_exec = NULL;
    m->pool = NULL;
    for (int i = 0; m->file && i < gguf_n_tensors(m->file); i++)
        gguf_drop(m->file, gguf_tensor_at(m->file, i));
}

int model_open_file(struct model *m, const char *path, struct err *e)
{
    int rc;
    memset(m, 0, sizeof *m);
    if ((rc = gguf_open(path, &m->file, e)) < 0 || (rc = spec_read(m->file, &m->spec, e)) < 0 ||
        (rc = tokenizer_from_gguf(m->file, &m->tokenizer, e)) < 0 ||
        (rc = voices_read(m->file, &m->spec, &m->voices, e)) < 0)
        model_close(m);
    return rc;
}

int model_open(struct model *m, const char *path, const struct model_options *o, struct err *e)
{
    int rc = model_open_file(m, path, e);
    if (rc == 0 && (rc = model_load(m, o, e)) < 0)
        model_close(m);
    return rc;
}

int model_check(struct model *m, struct err *e)
{
    if (!gguf_is_whole(m->file))
        return gguf_check(m->file, e);
    return ort_model_failed(m->ort, e) ? ERR_INTERNAL : 0;
}

int64_t model_fingerprint(const struct gguf *file, const char *prefix)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a (Fowler, Noll, Vo) */
    int64_t known;
    if (gguf_get_int(file, MODEL_FINGERPRINT, INT64_MIN, INT64_MAX, &known, NULL) == 0)
        return known;
    for (int i = 0; i < gguf_n_tensors(file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(file, i);
        if (strncmp(t->name, prefix, strlen(prefix)) != 0)
            continue;
        for (size_t k = 0; k < t->n_bytes && k < 64; k++)
            hash = (hash ^ ((const unsigned char *)t->data)[k]) * 1099511628211u;
    }
    return (int64_t)hash;
}

void model_close(struct model *m)
{
    model_unload(m);
    voices_free(m->voices);
    tokenizer_free(m->tokenizer);
    gguf_close(m->file);
    memset(m, 0, sizeof *m);
}
