#include "model/model.h"

#include <string.h>

#define ARENA_CHUNK ((size_t)64 << 20)

static int load_parts(struct model *m, const struct model_options *o, struct err *e)
{
    m->type = o->f32 ? KERN_F32 : KERN_AS_STORED;
    struct lm_options lm = {
        .type = m->type, .cache = o->cache, .max_batch = o->max_batch > 0 ? o->max_batch : 1};
    struct codec_options codec = {.type = m->type, .decoder = true};
    int rc = lm_load(m->file, &m->spec.lm, m->exec, &lm, m->arena, &m->lm, e);
    if (rc == 0)
        lm_watch_heads(m->lm, m->spec.alignment.head, m->spec.alignment.n_head);
    return rc < 0 ? rc
                  : codec_load(m->file, &m->spec.codec, m->exec, &codec, m->arena, &m->codec, e);
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

static int model_load_encoder(struct model *m, struct err *e)
{
    struct codec_options o = {.type = m->type, .encoder = true};
    m->encoder_arena = mem_arena_new(ARENA_CHUNK);
    int rc = m->encoder_arena ? codec_load(m->file, &m->spec.codec, m->exec, &o, m->encoder_arena,
                                           &m->encoder, e)
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
    mem_arena_free(m->encoder_arena);
    mem_arena_free(m->arena);
    kern_exec_free(m->exec);
    kern_exec_free(m->job_exec);
    pool_free(m->pool);
    m->codec = m->encoder = NULL;
    m->lm = NULL;
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

void model_close(struct model *m)
{
    model_unload(m);
    voices_free(m->voices);
    tokenizer_free(m->tokenizer);
    gguf_close(m->file);
    memset(m, 0, sizeof *m);
}
