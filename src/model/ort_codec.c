/* One direction of the codec in ONNX Runtime.  A stream is the values of the graph's state, which
 * each run makes anew. */
#include <string.h>

#include "model/ort_parts.h"

struct ort_codec {
    struct ort_graph *g;
    struct spec_codec s;
    bool encoder;
    int in, out, position;
    int *next; /* [n_input] the output that an input's next value is; -1: it is no state */
};

struct ort_stream {
    int n;
    struct OrtValue *value[]; /* [n_input] */
};

static int ort_codec_match(struct ort_codec *c, struct err *e)
{
    char name[128] = "next.";
    int n = ort_n_input(c->g);
    c->in = ort_input(c->g, c->encoder ? "samples" : "codes");
    c->out = ort_output(c->g, c->encoder ? "codes" : "samples");
    c->position = ort_input(c->g, "position");
    c->next = mem_try((size_t)n + 1, sizeof *c->next);
    if (!c->next)
        return err_set(e, ERR_MEMORY, "out of memory for a graph");
    for (int i = 0; i < n; i++) {
        strncpy(name + 5, ort_input_name(c->g, i), sizeof name - 6);
        c->next[i] = ort_output(c->g, name);
        if (c->next[i] < 0 && i != c->in && i != c->position)
            return err_set(e, ERR_FORMAT, "the codec's graph has no output %s", name);
    }
    if (c->in < 0 || c->out < 0 || c->position < 0)
        return err_set(e, ERR_FORMAT, "the codec's graph lacks codes, samples or position");
    return 0;
}

static void *ort_codec_stream(void *self)
{
    struct ort_codec *c = self;
    int n = ort_n_input(c->g);
    struct ort_stream *s = mem_try(1, sizeof *s + (size_t)n * sizeof *s->value);
    if (s)
        s->n = n;
    return s;
}

static void ort_codec_reset(void *self, void *stream)
{
    struct ort_codec *c = self;
    struct ort_stream *s = stream;
    for (int i = 0; i < s->n; i++) {
        ort_value_free(c->g, s->value[i]);
        s->value[i] = NULL;
    }
}

static void ort_codec_end(void *self, void *stream)
{
    if (!stream)
        return;
    ort_codec_reset(self, stream);
    mem_free(stream);
}

static void ort_codec_run(void *self, void *stream, const struct codec_stretch *t)
{
    struct ort_codec *c = self;
    struct ort_stream *s = stream;
    int64_t first = t->first, one[1] = {1};
    int64_t codes[3] = {1, c->s.n_codebook, t->n_frame};
    int64_t samples[2] = {1, (int64_t)t->n_frame * c->s.frame_samples};
    for (int i = 0; i < s->n; i++)
        if (c->next[i] >= 0) {
            s->value[i] = s->value[i] ? s->value[i] : ort_first(c->g, i);
            ort_lend(c->g, i, s->value[i]);
        }
    ort_in(c->g, c->position, &first, ONNX_INT64, 1, one);
    if (c->encoder) {
        ort_in(c->g, c->in, t->pcm, ONNX_FLOAT, 2, samples);
        ort_out_int(c->g, c->out, t->codes, 3, codes);
    } else {
        ort_in(c->g, c->in, t->codes, ONNX_INT32, 3, codes);
        ort_out(c->g, c->out, t->pcm, 2, samples);
    }
    bool failed = ort_run(c->g) < 0;
    if (failed && c->encoder)
        memset(t->codes, 0, (size_t)(codes[1] * codes[2]) * sizeof *t->codes);
    else if (failed)
        memset(t->pcm, 0, (size_t)samples[1] * sizeof *t->pcm);
    for (int i = 0; i < s->n && !failed; i++)
        if (c->next[i] >= 0) {
            ort_value_free(c->g, s->value[i]);
            s->value[i] = ort_keep(c->g, c->next[i]);
        }
}

int ort_codec_new(struct ort *o, const char *dir, const struct spec_codec *s, bool encoder,
                  struct codec_driver *ret, struct err *e)
{
    struct ort_codec *c = mem_try(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_MEMORY, "out of memory for the codec");
    c->s = *s;
    c->encoder = encoder;
    struct codec_driver d = {.self = c,
                             .stream_new = ort_codec_stream,
                             .stream_reset = ort_codec_reset,
                             .stream_free = ort_codec_end,
                             .run = ort_codec_run};
    int rc = ort_graph_open(o, dir, encoder ? "encoder" : "decoder", &c->g, e);
    if (rc == 0)
        rc = ort_codec_match(c, e);
    if (rc < 0)
        ort_codec_free(&d);
    else
        *ret = d;
    return rc;
}

void ort_codec_free(struct codec_driver *d)
{
    struct ort_codec *c = d->self;
    if (!c)
        return;
    ort_graph_close(c->g);
    mem_free(c->next);
    mem_free(c);
    d->self = NULL;
}
