#include "model/inspect.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "formats/gguf.h"
#include "model/lm.h"
#include "model/transformer.h"

#define MAX_TEXT (64u << 20)

static const struct part {
    const char *name, *prefix;
} parts[] = {
    /* first match counts */
    {"fast transformer", "fast."},      {"codec decoder", "codec.dec."},
    {"codec decoder", "codec.post."},   {"codec decoder", "codec.up."},
    {"codec quantizers", "codec.rvq."}, {"codec encoder", "codec."},
    {"embeddings", "token_embd."},      {"embeddings", "codebook_embd."},
    {"output head", "output."},         {"slow transformer", ""},
};
#define N_PART (sizeof parts / sizeof *parts)

static const char *part_of(const char *name)
{
    size_t i = 0;
    while (i + 1 < N_PART && strncmp(name, parts[i].prefix, strlen(parts[i].prefix)))
        i++;
    return parts[i].name;
}

static uint64_t values(const struct gguf_tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->n_dim; i++)
        n *= (uint64_t)t->ne[i];
    return n;
}

struct cost {
    uint64_t params, bytes, slow_macs, fast_macs, codec_macs, frame_bytes, kv_bytes, window_bytes;
    double frames_per_s;
    enum kern_type kv_type;
    int context;
};

/* Rows that a matrix of the decoder sees per frame: the time steps at its input.  A transposed
 * convolution is one row of all its phases per input step. */
static uint64_t decoder_rows(const struct spec_codec *c, const char *name)
{
    uint64_t step = 1;
    int stage;
    char rest[16] = "";
    if (sscanf(name, "codec.up.%d.%15s", &stage, rest) == 2) {
        int n = !strncmp(rest, "conv.", 5) ? stage : stage + 1;
        for (int i = 0; i < n && i < c->n_factor; i++)
            step *= (uint64_t)c->factor[c->n_factor - 1 - i];
    } else if (!strncmp(name, "codec.dec.", 10)) {
        for (int i = 0; i < c->n_factor; i++)
            step *= (uint64_t)c->factor[i];
        int n = sscanf(name, "codec.dec.%d.%15s", &stage, rest) == 2
                    ? !strncmp(rest, "up.", 3) ? stage : stage + 1
                : strstr(name, ".conv_in.") ? 0
                                            : c->n_rate;
        for (int i = 0; i < n && i < c->n_rate; i++)
            step *= (uint64_t)c->decoder_rate[i];
    } else if (strncmp(name, "codec.post.", 11) && !strstr(name, ".out_proj."))
        step = 0; /* the encoder's */
    return step;
}

/* Per frame: the slow matrices once, the fast ones once per codebook (the slow state, then the
 * codes but the last); embeddings are looked up, except that a tied one is the output matrix, of
 * which only the semantic rows and <|im_end|> are computed. */
static void inspect_measure(const struct gguf *g, const struct spec *s, int context, struct cost *c)
{
    uint64_t head = (uint64_t)(s->lm.semantic_end - s->lm.semantic_begin + 2);
    memset(c, 0, sizeof *c);
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *x = gguf_tensor_at(g, i);
        uint64_t n = values(x);
        bool embedding = strstr(x->name, "_embd.") != NULL;
        c->params += n;
        c->bytes += x->n_bytes;
        if (!strncmp(x->name, "codec.", 6)) {
            if (x->n_dim > 1)
                c->codec_macs += n * decoder_rows(&s->codec, x->name);
            continue;
        }
        if (!strcmp(x->name, s->lm.tied ? "token_embd.weight" : "output.weight")) {
            c->slow_macs += head * (uint64_t)x->ne[0];
            c->frame_bytes += x->n_bytes / (uint64_t)x->ne[1] * head;
        } else if (!embedding && x->n_dim > 1) {
            bool fast = !strncmp(x->name, "fast.", 5);
            uint64_t times = fast ? (uint64_t)s->lm.n_codebook : 1;
            *(fast ? &c->fast_macs : &c->slow_macs) += n * times;
            c->frame_bytes += x->n_bytes * times;
        }
    }
    c->context = context;
    c->frames_per_s = (double)s->codec.sample_rate / s->codec.frame_samples;
    c->kv_type = lm_cache_type(g, &s->lm, KERN_AS_STORED);
    c->kv_bytes = transformer_kv_bytes(&s->lm.slow, context, c->kv_type);
    c->window_bytes = transformer_kv_bytes(&s->codec.post, s->codec.post.window, KERN_F32);
}

static void sum_part(const struct gguf *g, const char *part, uint64_t *params, uint64_t *bytes)
{
    *params = *bytes = 0;
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        if (!strcmp(part_of(t->name), part)) {
            *params += values(t);
            *bytes += t->n_bytes;
        }
    }
}

/* --- JSON --- */

static json_t *metadata_value(const struct gguf *g, const char *key, enum gguf_kind kind)
{
    int64_t i;
    double d;
    bool b;
    const char *s;
    size_t n;
    if (kind == GGUF_STRING && gguf_get_string(g, key, &s, NULL) == 0) {
        json_t *v = json_string(s);
        return v ? v : json_null(); /* not UTF-8 */
    }
    if (kind == GGUF_BOOL && gguf_get_bool(g, key, &b, NULL) == 0)
        return json_boolean(b);
    if ((kind == GGUF_F32 || kind == GGUF_F64) && gguf_get_float(g, key, &d, NULL) == 0)
        return json_real(d);
    if (kind == GGUF_ARRAY && gguf_array_len(g, key, &kind, &n, NULL) == 0)
        return json_pack("{s:I}", "array_length", (json_int_t)n);
    if (gguf_get_int(g, key, INT64_MIN, INT64_MAX, &i, NULL) == 0)
        return json_integer(i);
    return json_null();
}

static json_t *metadata(const struct gguf *g)
{
    json_t *o = json_object();
    enum gguf_kind kind;
    const char *key;
    for (int i = 0; (key = gguf_key_at(g, i, &kind)); i++)
        json_object_set_new(o, key, metadata_value(g, key, kind));
    return o;
}

static json_t *tensors(const struct gguf *g)
{
    json_t *list = json_array();
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        json_t *shape = json_array();
        for (int k = t->n_dim - 1; k >= 0; k--)
            json_array_append_new(shape, json_integer(t->ne[k]));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:I}", "name", t->name, "type",
                                              kern_type_name((enum kern_type)t->type), "shape",
                                              shape, "bytes", (json_int_t)t->n_bytes));
    }
    return list;
}

static char *as_json(const struct gguf *g, const struct cost *c)
{
    json_t *sums = json_object();
    uint64_t params, bytes;
    for (size_t i = 0; i < N_PART; i++) {
        sum_part(g, parts[i].name, &params, &bytes);
        json_object_set_new(
            sums, parts[i].name,
            json_pack("{s:I, s:I}", "parameters", (json_int_t)params, "bytes", (json_int_t)bytes));
    }
    json_t *o = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:i, s:s, s:I, s:I, s:I, s:o, s:o, s:o}",
        "file_bytes", (json_int_t)gguf_file_bytes(g), "parameters", (json_int_t)c->params,
        "tensor_bytes", (json_int_t)c->bytes, "slow_macs_per_frame", (json_int_t)c->slow_macs,
        "fast_macs_per_frame", (json_int_t)c->fast_macs, "lm_bytes_read_per_frame",
        (json_int_t)c->frame_bytes, "codec_macs_per_frame", (json_int_t)c->codec_macs,
        "frames_per_s", c->frames_per_s, "context", c->context, "kv_type",
        kern_type_name(c->kv_type), "kv_bytes", (json_int_t)c->kv_bytes, "codec_window_bytes",
        (json_int_t)c->window_bytes, "memory_bytes",
        (json_int_t)(c->bytes + c->kv_bytes + c->window_bytes), "parts", sums, "metadata",
        metadata(g), "tensors", tensors(g));
    char *dump = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    char *copy = dump ? mem_strndup(dump, strlen(dump)) : NULL;
    json_decref(o);
    if (dump) {
        json_malloc_t m;
        json_free_t release;
        json_get_alloc_funcs(&m, &release);
        release(dump);
    }
    return copy;
}

/* --- text --- */

static void text_metadata(const struct gguf *g, struct buf *b)
{
    enum gguf_kind kind;
    const char *key;
    for (int i = 0; (key = gguf_key_at(g, i, &kind)); i++) {
        char line[160];
        json_t *v = metadata_value(g, key, kind);
        size_t n = json_dumpb(v, line, sizeof line, JSON_ENCODE_ANY | JSON_COMPACT);
        json_decref(v);
        buf_add_format(b, "  %-48s %.*s%s\n", key, (int)(n < sizeof line ? n : sizeof line), line,
                       n > sizeof line ? "..." : "");
    }
}

static char *as_text(const struct gguf *g, const struct cost *c)
{
    struct buf b;
    uint64_t params, bytes;
    buf_init(&b, MAX_TEXT);
    buf_add_format(&b, "%s: %d tensors, %.2f M parameters, %.1f MB\n", gguf_path(g),
                   gguf_n_tensors(g), (double)c->params / 1e6, (double)gguf_file_bytes(g) / 1e6);
    for (size_t i = 0; i < N_PART; i++) {
        if (i > 0 && !strcmp(parts[i].name, parts[i - 1].name))
            continue;
        sum_part(g, parts[i].name, &params, &bytes);
        buf_add_format(&b, "  %-18s %9.2f M %9.1f MB\n", parts[i].name, (double)params / 1e6,
                       (double)bytes / 1e6);
    }
    buf_add_format(
        &b,
        "per frame: %.1f M multiply-adds slow, %.1f M fast, %.1f M codec; %.1f MB of "
        "weights read by the first two\n"
        "memory: %.1f MB of weights, and for each sequence of %d tokens and frames %.1f MB "
        "of keys and values (%s), %.1f MB of codec window\n\nmetadata:\n",
        (double)c->slow_macs / 1e6, (double)c->fast_macs / 1e6, (double)c->codec_macs / 1e6,
        (double)c->frame_bytes / 1e6, (double)c->bytes / 1e6, c->context, (double)c->kv_bytes / 1e6,
        kern_type_name(c->kv_type), (double)c->window_bytes / 1e6);
    text_metadata(g, &b);
    buf_add_str(&b, "\ntensors:\n");
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        buf_add_format(&b, "  %-40s %-5s", t->name, kern_type_name((enum kern_type)t->type));
        for (int k = t->n_dim - 1; k >= 0; k--)
            buf_add_format(&b, "%s%" PRId64, k == t->n_dim - 1 ? "" : " x ", t->ne[k]);
        buf_add_str(&b, "\n");
    }
    return buf_take(&b);
}

int inspect_file(const char *path, int context, bool json, char **text, struct err *e)
{
    struct gguf *g;
    struct spec s;
    struct cost c;
    int rc = gguf_open(path, &g, e);
    if (rc < 0)
        return rc;
    if ((rc = spec_read(g, &s, e)) == 0 && (context < 0 || context > s.lm.slow.n_position))
        rc = err_set(e, ERR_LIMIT, "a context of %d, the model's limit is %d", context,
                     s.lm.slow.n_position);
    if (rc == 0) {
        inspect_measure(g, &s, context ? context : s.lm.slow.n_position, &c);
        *text = json ? as_json(g, &c) : as_text(g, &c);
        if (!*text)
            rc = err_set(e, ERR_MEMORY, "out of memory for the description of %s", path);
    }
    gguf_close(g);
    return rc;
}
