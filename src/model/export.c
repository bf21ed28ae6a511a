/* The folder: graphs and metadata. */
#include "model/export.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "model/export_parts.h"
#include "model/model.h"

static const struct export_part {
    const char *name;
    void (*make)(struct export *x);
    double share; /* of the work, about */
} export_part[] = {{"slow", export_slow, 0.75},
                   {"fast", export_fast, 0.1},
                   {"decoder", export_decoder, 0.08},
                   {"encoder", export_encoder, 0.07}};

static void export_describe(struct export *x)
{
    static const char *const keys[] = {"general.name", "general.version", "general.license"};
    static const char *const types[] = {
        [EXPORT_F32] = "f32", [EXPORT_F16] = "f16", [EXPORT_INT8] = "int8"};
    const char *v;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (gguf_get_string(x->file, keys[i], &v, NULL) == 0)
            onnx_meta(x->g, keys[i], v);
    onnx_meta(x->g, "type", types[x->type]);
}

static int export_graph(struct export *x, const char *dir, const struct export_part *p,
                        struct err *e)
{
    int rc = onnx_begin(dir, p->name, &x->g, e);
    if (rc < 0)
        return rc;
    export_describe(x);
    p->make(x);
    rc = x->err.code ? err_set(e, x->err.code, "%s", x->err.msg) : onnx_finish(x->g, e);
    onnx_free(x->g);
    x->g = NULL;
    return rc;
}

/* Everything of the model's file but its tensors. */
static int export_metadata(const struct export *x, const char *dir, struct err *e)
{
    char path[4096];
    struct gguf_writer *w;
    enum gguf_kind kind;
    int64_t print;
    if (snprintf(path, sizeof path, "%s/" EXPORT_METADATA, dir) >= (int)sizeof path)
        return err_set(e, ERR_LIMIT, "the path %.64s... is too long", dir);
    int rc = gguf_writer_new(path, &w, e);
    if (rc < 0)
        return rc;
    for (int i = 0; gguf_key_at(x->file, i, &kind); i++)
        gguf_put_copy(w, x->file, i);
    if (gguf_get_int(x->file, MODEL_FINGERPRINT, INT64_MIN, INT64_MAX, &print, NULL) < 0)
        gguf_put_int(w, MODEL_FINGERPRINT, GGUF_I64, model_fingerprint(x->file, "codec."));
    rc = gguf_writer_begin(w, e);
    if (rc == 0)
        rc = gguf_writer_finish(w, e);
    gguf_writer_free(w);
    return rc;
}

static int export_folder(struct export *x, const struct export_options *o, struct err *e)
{
    double done = 0;
    for (size_t i = 0; i < sizeof export_part / sizeof *export_part; i++) {
        const struct export_part *p = &export_part[i];
        if (p->make == export_encoder && !x->spec->codec.has_encoder)
            continue;
        int rc = export_graph(x, o->dir, p, e);
        if (rc < 0)
            return rc;
        done += p->share;
        if (o->progress)
            o->progress(o->cookie, done);
    }
    int rc = gguf_check(x->file, e);
    return rc < 0 ? rc : export_metadata(x, o->dir, e);
}

int export_onnx(const struct export_options *o, struct err *e)
{
    struct spec spec;
    struct gguf *file;
    struct export x = {.spec = &spec, .type = o->type};
    struct imatrix *imatrix = NULL;
    int rc = gguf_open(o->model, &file, e);
    if (rc < 0)
        return rc;
    x.file = file;
    rc = spec_read(file, &spec, e);
    if (rc == 0 && o->type == EXPORT_INT8)
        rc = o->imatrix
                 ? imatrix_open(o->imatrix, &imatrix, e)
                 : err_set(e, ERR_ARGUMENT,
                           "type int8 wants to know how large inputs are: give an `imatrix`, "
                           "which calibration makes");
    x.imatrix = imatrix;
    if (rc == 0 && mkdir(o->dir, 0777) < 0 && errno != EEXIST)
        rc = err_set(e, ERR_IO, "cannot make the directory %s: %s", o->dir, strerror(errno));
    if (rc == 0)
        rc = export_folder(&x, o, e);
    imatrix_free(imatrix);
    gguf_close(file);
    return rc;
}
