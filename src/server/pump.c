#include "server/pump.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define PUMP_SAMPLES 4096
#define PUMP_BYTES   (4 << 20) /* encoded at once: far more than so many samples give */
#define PCM_HZ       24000     /* what OpenAI's clients take pcm to be */

struct pump {
    struct pump_sink sink;
    struct jabbertts_stream *stream;
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
    o.in_hz = jabbertts_stream_rate(p->stream);
    o.sink = pump_collect;
    o.cookie = p;
    if (!o.out_hz && strcmp(o.format, "pcm") == 0)
        o.out_hz = PCM_HZ;
    return jabbertts_encoder_new(&o, &p->encoder, e);
}

int pump_new(struct jabbertts *tts, const struct jabbertts_request *r,
             const struct jabbertts_encoder_options *encoder, const struct pump_sink *sink,
             struct pump **ret, struct jabbertts_error *e)
{
    struct pump *p = mem_try(1, sizeof *p);
    if (!p) {
        *e = (struct jabbertts_error){.code = JABBERTTS_ERR_MEMORY,
                                      .message = "out of memory for a request"};
        return e->code;
    }
    p->sink = *sink;
    buf_init(&p->chunk, PUMP_BYTES);
    int rc = jabbertts_submit(tts, r, &p->stream, e);
    if (rc == 0)
        rc = pump_open_encoder(p, encoder, e);
    if (rc < 0) {
        pump_free(p);
        return rc;
    }
    *ret = p;
    jabbertts_stream_on_ready(p->stream, p->sink.wake, p->sink.cookie);
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
    int rc = p->chunk.len > 0 ? p->sink.write(p->sink.cookie, p->chunk.data, p->chunk.len) : 0;
    buf_clear(&p->chunk);
    if (rc < 0)
        *e = (struct jabbertts_error){.code = rc, .message = "the sound could not be handed over"};
    return rc;
}

static int pump_finish(struct pump *p, struct jabbertts_error *e)
{
    struct jabbertts_progress progress;
    jabbertts_stream_progress(p->stream, &progress);
    if (progress.n_truncated > 0)
        return PUMP_SHORT;
    int rc = jabbertts_encoder_finish(p->encoder, e);
    if (rc == 0)
        rc = pump_flush(p, e);
    return rc < 0 ? rc : PUMP_END;
}

int pump_run(struct pump *p, struct jabbertts_error *e)
{
    while (p->sink.has_room(p->sink.cookie)) {
        int n = jabbertts_try_read(p->stream, p->pcm, PUMP_SAMPLES, e);
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
    jabbertts_cancel(p->stream);
}

size_t pump_head(const struct pump *p, unsigned char head[JABBERTTS_HEAD_MAX])
{
    return jabbertts_encoder_head(p->encoder, head);
}

void pump_progress(const struct pump *p, struct jabbertts_progress *ret)
{
    jabbertts_stream_progress(p->stream, ret);
}

double pump_seconds(const struct pump *p)
{
    struct jabbertts_progress progress;
    jabbertts_stream_progress(p->stream, &progress);
    return (double)progress.n_sample / jabbertts_stream_rate(p->stream);
}
