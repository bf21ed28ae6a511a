/* encoder.c - jabbertts_encoder_*: the public functions of audio.h's encoder. */
#include "audio/audio.h"
#include "engine/engine.h"

struct jabbertts_encoder {
    struct audio_encoder *encoder;
    jabbertts_sink sink;
    void *cookie;
};

static int pass_on(void *cookie, const void *data, size_t n, struct err *e)
{
    struct jabbertts_encoder *c = cookie;
    int rc = c->sink(c->cookie, data, n);
    return rc < 0 ? err_set(e, rc, "the encoded sound could not be written") : 0;
}

int jabbertts_encoder_new(const struct jabbertts_encoder_options *o, struct jabbertts_encoder **ret,
                          struct jabbertts_error *error)
{
    struct err e = {0};
    struct audio_encoder_options a = {
        .in_hz = o->in_hz, .out_hz = o->out_hz, .speed = o->speed, .seconds = -1, .sink = pass_on};
    struct jabbertts_encoder *c = mem_try(1, sizeof *c);
    int rc = c ? audio_format_from_name(o->format, &a.format, &e)
               : err_set(&e, ERR_MEMORY, "out of memory for an encoder");
    if (rc == 0) {
        a.cookie = c;
        c->sink = o->sink;
        c->cookie = o->cookie;
        rc = audio_encoder_new(&a, &c->encoder, &e);
    }
    if (rc < 0)
        mem_free(c);
    else
        *ret = c;
    return engine_return(error, &e, rc);
}

int jabbertts_encoder_write(struct jabbertts_encoder *c, const float *pcm, size_t n,
                            struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, audio_encoder_write(c->encoder, pcm, n, &e));
}

int jabbertts_encoder_finish(struct jabbertts_encoder *c, struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, audio_encoder_finish(c->encoder, &e));
}

_Static_assert(JABBERTTS_HEAD_MAX == AUDIO_HEAD_MAX, "one limit, two headers");

size_t jabbertts_encoder_head(const struct jabbertts_encoder *c,
                              unsigned char head[JABBERTTS_HEAD_MAX])
{
    return audio_encoder_head(c->encoder, head);
}

void jabbertts_encoder_free(struct jabbertts_encoder *c)
{
    if (!c)
        return;
    audio_encoder_free(c->encoder);
    mem_free(c);
}

void jabbertts_wav_header(int hz, size_t n_sample, unsigned char header[44])
{
    audio_wav_header(hz, n_sample, header);
}
