/* calibrate.c - jabbertts_quantize and jabbertts_calibrate. */
#include "model/quantize.h"
#include "jabbertts_tools.h"

#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "tools/alignment.h"
#include "tools/sample.h"
#include "model/imatrix.h"

int jabbertts_quantize(const struct jabbertts_quantize_options *o, struct jabbertts_error *error)
{
    static const char *const names[] = {"q8", "q4", "mixed"};
    struct err e = {0};
    struct quantize_options q = {.input = o->input,
                                 .output = o->output,
                                 .imatrix = o->imatrix,
                                 .target_bits = o->target_bits,
                                 .equalize = !o->no_equalize,
                                 .note = o->note,
                                 .n_thread = o->threads,
                                 .progress = o->progress,
                                 .cookie = o->cookie};
    size_t i = 0;
    while (i < sizeof names / sizeof *names && o->type && strcmp(names[i], o->type))
        i++;
    int rc = 0;
    if (!o->input || !o->output)
        rc = err_set(&e, ERR_ARGUMENT, "quantizing wants a file to read and one to write");
    else if (!o->type || i == sizeof names / sizeof *names)
        rc = err_set(&e, ERR_ARGUMENT, "type is \"%.32s\", must be q8, q4 or mixed",
                     o->type ? o->type : "");
    q.scheme = (enum quantize_scheme)i;
    if (rc == 0)
        rc = quantize_file(&q, &e);
    return engine_return(error, &e, rc);
}

/* --- calibration --- */

struct collect { /* cookie of the probe */
    struct imatrix *m;
    struct err err; /* the first failure */
};

/* The rows that are new to this call: those before them are the history of a convolution.  One
 * matrix holds gate and up; the file has both. */
static void collect_inputs(void *cookie, const struct kern_linear *l, const struct kern_call *c)
{
    struct collect *k = cookie;
    int stride = c->stride ? c->stride : 1, dilation = c->dilation ? c->dilation : 1;
    int history = (l->n_tap - 1) * dilation + 1 - stride;
    const float *in = c->in + (size_t)history * (size_t)l->n_in;
    char name[256];
    if (!l->name || k->err.code)
        return;
    if (imatrix_add(k->m, l->name, in, c->n_row * stride, l->n_in, &k->err) < 0)
        return;
    const char *gate = strstr(l->name, ".ffn_gate.");
    if (!gate)
        return;
    snprintf(name, sizeof name, "%.*s.ffn_up.%s", (int)(gate - l->name), l->name, gate + 10);
    imatrix_add(k->m, name, in, c->n_row * stride, l->n_in, &k->err);
}

/* The sentence in hand to sound and, where there is an encoder, back to codes. */
static int calibrate_run_codec(const struct sample *s, struct err *e)
{
    struct model *m = s->model;
    struct codec_stream *stream = NULL;
    struct codec *encoder;
    size_t n_codebook = (size_t)m->spec.lm.n_codebook, n = (size_t)s->n_frame;
    size_t hop = (size_t)m->spec.codec.frame_samples;
    int32_t *codes = mem_try((n + 1) * n_codebook, sizeof *codes);
    float *pcm = mem_try((n + 1) * hop, sizeof *pcm);
    int rc = codes && pcm ? codec_stream_new(m->codec, &stream, e)
                          : err_set(e, ERR_MEMORY, "out of memory for a sentence's sound");
    if (rc == 0 && n > 0) {
        sample_codes(s, 0, s->n_frame, codes);
        codec_decode(m->codec, stream, codes, s->n_frame, pcm, m->exec);
        if (m->spec.codec.has_encoder && (rc = model_encoder(m, &encoder, e)) == 0) {
            size_t most = (size_t)codec_max_encode_frames(encoder);
            rc = codec_encode(encoder, pcm, (n < most ? n : most) * hop, codes, m->exec, e);
        }
    }
    codec_stream_free(stream);
    mem_free(codes);
    mem_free(pcm);
    return rc;
}

static int calibrate(const struct jabbertts_calibrate_options *o, struct model *m,
                     struct collect *k, struct err *e)
{
    struct sample s;
    int rc = sample_open(&s, m, o->text, e);
    while (rc == 0 && (rc = sample_next(&s, e)) > 0) {
        rc = calibrate_run_codec(&s, e);
        if (rc == 0 && k->err.code) {
            *e = k->err;
            rc = e->code;
        }
        if (rc == 0 && o->progress)
            o->progress(o->cookie, (double)s.next / s.pieces.n);
    }
    if (rc == 0)
        rc =
            imatrix_write(k->m, o->output, o->text ? o->text : "built-in sentences", s.pieces.n, e);
    sample_done(&s);
    return rc;
}

int jabbertts_calibrate(const struct jabbertts_calibrate_options *o, struct jabbertts_error *error)
{
    struct err e = {0};
    struct model m = {0};
    struct model_options mo = {.n_thread = o->threads, .f32 = true};
    struct collect k = {0};
    char path[4096];
    int rc = o->output ? engine_model_path(o->model, path, sizeof path, &e)
                       : err_set(&e, ERR_ARGUMENT, "calibration wants a file to write");
    if (rc == 0 && o->alignment)
        return engine_return(error, &e, alignment_calibrate(o, path, &e));
    if (rc == 0 && (rc = imatrix_new(&k.m, &e)) == 0 && (rc = model_open(&m, path, &mo, &e)) == 0) {
        kern_exec_set_probe(m.exec, collect_inputs, &k);
        rc = calibrate(o, &m, &k, &e);
    }
    model_close(&m);
    imatrix_free(k.m);
    return engine_return(error, &e, rc);
}
