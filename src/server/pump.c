#include "server/pump.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define PUMP_SAMPLES 4096
#define PUMP_BYTES   (4 << 20) /* encoded at once: far more than so many samples give */
#define PCM_HZ       24000     /* the rate that OpenAI's clients expect of pcm */

struct pump {
    struct pump_options options;
    struct jabbertts_stream *stream; /* NULL: silence */
    size_t n_silence, n_made;        /* samples of it still to come, and written */
    int in_hz;
    struct jabbertts_encoder *encoder;
    struct buf chunk; /* encoded, not yet handed over */
    float pcm[PUMP_SAMPLES];
};

static int pump_collect(void *cookie, const void *data, size_t n)
{
    return buf_add(&((struct pump *)cookie)->chunk, data, n);
}

static int pump_open_encoder(struct pump *p, const struct jabbertts_encoder_options *options,
                             struct jabbertts_error *e)
{
    struct jabbertts_encoder_options o = *options;
    o.in_hz = p->in_hz;
    o.sink = pump_collect;
    o.cookie = p;
    if (!o.out_hz && strcmp(o.format, "pcm") == 0)
        o.out_hz = PCM_HZ;
    return jabbertts_encoder_new(&o, &p->encoder, e);
}

/* A front end that sends sentence by sentence sends "---" and a lone emoji, too. */
static int pump_submit(struct pump *p, struct jabbertts *tts, const struct jabbertts_request *r,
                       struct jabbertts_error *e)
{
    int rc = jabbertts_submit(tts, r, &p->stream, e);
    if (rc == 0) {
        p->in_hz = jabbertts_stream_rate(p->stream);
        return 0;
    }
    if (rc != JABBERTTS_ERR_ARGUMENT || p->options.silence_s <= 0 ||
        !strstr(e->message, JABBERTTS_NOTHING_TO_SAY))
        return rc;
    p->in_hz = jabbertts_sample_rate(tts) ? jabbertts_sample_rate(tts) : PCM_HZ;
    p->n_silence = (size_t)(p->options.silence_s * p->in_hz);
    return 0;
}

int pump_new(struct jabbertts *tts, const struct jabbertts_request *r,
             const struct jabbertts_encoder_options *encoder, const struct pump_options *options,
             struct pump **ret, struct jabbertts_error *e)
{
    struct pump *p = mem_try(1, sizeof *p);
    if (!p) {
        *e = (struct jabbertts_error){.code = JABBERTTS_ERR_MEMORY,
                                      .message = "out of memory for a request"};
        return e->code;
    }
    p->options = *options;
    buf_init(&p->chunk, PUMP_BYTES);
    int rc = pump_submit(p, tts, r, e);
    if (rc == 0)
        rc = pump_open_encoder(p, encoder, e);
    if (rc < 0) {
        pump_free(p);
        return rc;
    }
    *ret = p;
    if (p->stream)
        jabbertts_stream_on_ready(p->stream, p->options.sink.wake, p->options.sink.cookie);
    return 0;
}

void pump_free(struct pump *p)
{
    if (!p)
        return;
    jabbertts_stream_free(p->stream);
    jabbertts_encoder_free(p->encoder);
    buf_done(&p->chunk);
    mem_free(p);
}

static int pump_flush(struct pump *p, struct jabbertts_error *e)
{
    int rc = p->chunk.len > 0
                 ? p->options.sink.write(p->options.sink.cookie, p->chunk.data, p->chunk.len)
                 : 0;
    buf_clear(&p->chunk);
    if (rc < 0)
        *e = (struct jabbertts_error){.code = rc, .message = "the sound could not be handed over"};
    return rc;
}

static int pump_finish(struct pump *p, struct jabbertts_error *e)
{
    struct jabbertts_progress progress;
    pump_progress(p, &progress);
    if (progress.n_truncated > 0)
        return PUMP_SHORT;
    int rc = jabbertts_encoder_finish(p->encoder, e);
    if (rc == 0)
        rc = pump_flush(p, e);
    return rc < 0 ? rc : PUMP_END;
}

/* Samples into p->pcm, as jabbertts_try_read. */
static int pump_read(struct pump *p, struct jabbertts_error *e)
{
    int n = 0;
    if (p->stream) {
        n = jabbertts_try_read(p->stream, p->pcm, PUMP_SAMPLES, e);
    } else if (p->n_made < p->n_silence) {
        size_t left = p->n_silence - p->n_made;
        n = left < PUMP_SAMPLES ? (int)left : PUMP_SAMPLES;
        memset(p->pcm, 0, sizeof p->pcm);
        p->n_made += (size_t)n;
    }
    for (int i = 0; i < n && p->options.volume > 0; i++)
        p->pcm[i] *= (float)p->options.volume;
    return n;
}

int pump_run(struct pump *p, struct jabbertts_error *e)
{
    while (p->options.sink.has_room(p->options.sink.cookie)) {
        int n = pump_read(p, e);
        if (n == JABBERTTS_AGAIN)
            return PUMP_WAIT;
        if (n == 0)
            return pump_finish(p, e);
        if (n > 0)
            n = jabbertts_encoder_write(p->encoder, p->pcm, (size_t)n, e);
        if (n >= 0)
            n = pump_flush(p, e);
        if (n < 0)
            return n;
    }
    return PUMP_FULL;
}

void pump_cancel(struct pump *p)
{
    if (p->stream)
        jabbertts_cancel(p->stream);
}

size_t pump_head(const struct pump *p, unsigned char head[JABBERTTS_HEAD_MAX])
{
    return jabbertts_encoder_head(p->encoder, head);
}

const struct jabbertts_stream *pump_stream(const struct pump *p)
{
    return p->stream;
}

void pump_progress(const struct pump *p, struct jabbertts_progress *ret)
{
    if (p->stream)
        jabbertts_stream_progress(p->stream, ret);
    else
        *ret = (struct jabbertts_progress){.n_sample = p->n_made};
}

double pump_seconds(const struct pump *p)
{
    struct jabbertts_progress progress;
    pump_progress(p, &progress);
    return (double)progress.n_sample / p->in_hz;
}
