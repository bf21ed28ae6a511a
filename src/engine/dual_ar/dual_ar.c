/* dual_ar.c - the engine's table: a model opened, loaded, unloaded, closed; its voices. */
#include "engine/dual_ar/dual_ar.h"

#include <string.h>

#include "engine/dual_ar/stock.h"
#include "model/transformer.h"

#define ARENA_CHUNK  ((size_t)1 << 20)
#define WINDOW_EXTRA 64  /* rows of a decoder's window beyond what it sees, for those of a pass */
#define CARRY_FLOATS 256 /* that a decoder's convolutions carry over, per sample of a frame */

/* --- open and close ----------------------------------------------------------------------------
 */

static char *dual_ar_copy(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

/* What the weights, slots and caches take at most: the matrices as the file has them, a fifth more
 * for layouts and scratch, the keys and values of every slot, and the prefixes. */
static size_t dual_ar_cost(const struct dual_ar *d, const struct jabbertts_options *o)
{
    const struct model *m = &d->model;
    size_t n = gguf_file_bytes(m->file) / 5 * 6;
    enum kern_type cache = lm_cache_type(m->file, &m->spec.lm, KERN_AS_STORED);
    static const enum kern_type types[] = {KERN_F32, KERN_F16, KERN_Q8_0};
    for (size_t i = 0; o->cache && i < sizeof types / sizeof *types; i++)
        if (strcmp(o->cache, kern_type_name(types[i])) == 0)
            cache = types[i];
    if (d->tts->kind == &engine_onnx) { /* some matrices are packed beside the file's own */
        n = d->onnx.n_bytes / 2 * 3;
        cache = KERN_F32;
    }
    const struct spec_transformer *post = &m->spec.codec.post;
    int window = post->window > 0 ? post->window + WINDOW_EXTRA : post->n_position;
    size_t kv = transformer_kv_bytes(&m->spec.lm.slow, d->n_context, cache);
    if (d->tts->kind == &engine_onnx) /* sequences that step together have a second one */
        kv *= 2;
    size_t codec = transformer_kv_bytes(post, window, KERN_F32) +
                   (size_t)m->spec.codec.frame_samples * CARRY_FLOATS * sizeof(float);
    return n + (size_t)o->slots * (kv + codec) + ((size_t)o->prefix_mb << 20);
}

/* A reference leaves a quarter of the context to the text and its sound. */
static int dual_ar_clip_frames(const struct dual_ar *d)
{
    const struct spec_codec *c = &d->model.spec.codec;
    int most = d->n_context - d->n_context / 4, rows = c->frame_samples;
    if (!c->has_encoder)
        return 0;
    for (int i = 0; i < c->n_encoder_rate; i++) {
        rows /= c->encoder_rate[i]; /* positions that a frame takes in the block's transformer */
        if (c->enc[i].n_layer > 0 && c->enc[i].n_position / rows < most)
            most = c->enc[i].n_position / rows;
    }
    return c->pre.n_layer > 0 && c->pre.n_position < most ? c->pre.n_position : most;
}

static int dual_ar_describe(struct jabbertts *tts, const struct jabbertts_options *o, struct err *e)
{
    struct dual_ar *d = dual_ar_of(tts);
    const struct spec *spec = &d->model.spec;
    int longest = spec->lm.slow.n_position;
    if (o->context > longest)
        return err_set(e, ERR_ARGUMENT, "context is %d, this model's is %d", o->context, longest);
    d->n_context = o->context ? o->context : longest;
    d->frame_s = (double)spec->codec.frame_samples / spec->codec.sample_rate;
    d->prefix_mb = o->prefix_mb;
    tts->model = &d->model;
    tts->piece_chars = (int)((double)spec->piece_seconds * TEXT_CHARS_PER_S);
    tts->frontend = spec->espeak_ipa ? TEXT_IPA : TEXT_PLAIN;
    tts->rate = spec->codec.sample_rate;
    tts->frame_samples = spec->codec.frame_samples;
    tts->max_clip_frames = dual_ar_clip_frames(d);
    tts->n_slot = tts->guarded.n_free = o->slots;
    tts->n_thread = o->threads ? o->threads : pool_default_threads();
    tts->file_bytes = gguf_file_bytes(d->model.file);
    tts->cost = dual_ar_cost(d, o);
    gguf_get_string(d->model.file, "general.license", &tts->licence, NULL);
    const char *isa;
    for (int i = 0; (isa = kern_isa_name(i)) && !(o->isa && tts->isa && !strcmp(o->isa, tts->isa));
         i++)
        tts->isa = isa; /* the list ends with the best */
    if (tts->kind == &engine_onnx)
        tts->isa = "onnxruntime";
    return 0;
}

static int dual_ar_open(struct jabbertts *tts, const struct jabbertts_options *o, struct err *e)
{
    struct dual_ar *d = tts->state = mem_try(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_MEMORY, "out of memory for a model");
    d->tts = tts;
    d->isa = dual_ar_copy(o->isa);
    d->cache = dual_ar_copy(o->cache);
    d->prefix_dir = dual_ar_copy(o->prefix_dir);
    d->options = (struct model_options){
        .n_thread = o->threads, .isa = d->isa, .cache = d->cache, .max_batch = o->slots};
    d->onnx_library = dual_ar_copy(o->onnx_library);
    d->onnx_provider = dual_ar_copy(o->onnx_provider);
    int rc = model_open_file(&d->model, tts->path, e);
    if (rc == 0 && tts->kind == &engine_onnx)
        rc = onnx_folder_of(tts->path, o, &d->onnx, e);
    if (tts->kind == &engine_onnx) {
        d->model.spec.alignment.n_head = 0; /* the graphs return no attention weights */
        d->options.ort = (struct ort_place){d->onnx.dir, d->onnx_library, d->onnx_provider};
    }
    if (rc == 0)
        rc = stock_open(&d->model, &d->model.voices, &d->stock, e);
    return rc < 0 ? rc : dual_ar_describe(tts, o, e);
}

static void dual_ar_unload(struct jabbertts *tts)
{
    struct dual_ar *d = dual_ar_of(tts);
    if (d->decoding)
        pool_finish(d->model.pool);
    d->decoding = NULL;
    for (int i = 0; d->slots && d->decoders && i <= tts->n_slot; i++) {
        if (i < tts->n_slot)
            ar_free(d->slots[i].ar);
        codec_stream_free(d->decoders[i].codec);
        finish_free(d->decoders[i].finish);
    }
    prefix_cache_free(d->prefix);
    mem_arena_free(d->arena);
    d->prefix = NULL;
    d->arena = NULL;
    d->slots = NULL;
    d->decoders = NULL;
    model_unload(&d->model);
}

static void dual_ar_close(struct jabbertts *tts)
{
    struct dual_ar *d = dual_ar_of(tts);
    if (!d)
        return;
    dual_ar_unload(tts);
    stock_close(d->stock);
    model_close(&d->model);
    mem_free(d->isa);
    mem_free(d->cache);
    mem_free(d->prefix_dir);
    mem_free(d->onnx_library);
    mem_free(d->onnx_provider);
    mem_free(d);
}

/* --- load --------------------------------------------------------------------------------------
 */

static int dual_ar_carve(struct dual_ar *d, struct err *e)
{
    const struct spec *m = &d->model.spec;
    size_t n_slot = (size_t)d->tts->n_slot,
           n_open = n_slot + (size_t)d->tts->n_queue_max + LIMIT_BACKGROUND;
    size_t n_code = (size_t)m->lm.n_codebook * POLICY_CHUNK_FRAMES;
    size_t n_pcm = (size_t)m->codec.frame_samples * POLICY_CHUNK_FRAMES;
    struct mem_arena *a = d->arena = mem_arena_new(ARENA_CHUNK);
    d->slots = mem_arena_array(a, n_slot, sizeof *d->slots);
    d->decoders = mem_arena_array(a, n_slot + 1, sizeof *d->decoders);
    d->view = mem_arena_array(a, n_open, sizeof *d->view);
    d->viewed = mem_arena_array(a, n_open, sizeof *d->viewed);
    for (size_t i = 0; i <= n_slot && !mem_arena_failed(a); i++) {
        d->decoders[i].d = d;
        d->decoders[i].codes = mem_arena_array(a, n_code, sizeof *d->decoders[i].codes);
        d->decoders[i].pcm = mem_arena_array(a, n_pcm, sizeof *d->decoders[i].pcm);
    }
    if (!mem_arena_failed(a))
        return 0;
    d->slots = NULL; /* unload looks at the decoders only if there are slots */
    return err_set(e, ERR_MEMORY, "out of memory for %zu slots", n_slot);
}

static int dual_ar_decoder(struct dual_ar *d, struct decoder *c, struct err *e)
{
    const struct spec_codec *m = &d->model.spec.codec;
    int rc = codec_stream_new(d->model.codec, &c->codec, e);
    if (rc == 0)
        rc = finish_new(m->sample_rate, (double)m->gain_db, &c->finish, e);
    if (rc < 0)
        return rc;
    size_t n = finish_room(c->finish, (size_t)m->frame_samples * POLICY_CHUNK_FRAMES);
    c->finished = mem_arena_array(d->arena, n, sizeof *c->finished);
    return mem_arena_failed(d->arena) ? err_set(e, ERR_MEMORY, "out of memory for a decoder") : 0;
}

static int dual_ar_load_parts(struct dual_ar *d, struct err *e)
{
    int rc;
    if ((rc = model_load(&d->model, &d->options, e)) < 0 || (rc = dual_ar_carve(d, e)) < 0)
        return rc;
    bool replaced = gguf_is_replaced(d->model.file); /* the path leads to another file now */
    struct prefix_options prefix = {(size_t)d->prefix_mb << 20, replaced ? NULL : d->prefix_dir,
                                    gguf_path(d->model.file), d->tts->isa,
                                    kern_type_name(lm_kv_type(d->model.lm))};
    rc = prefix_cache_new(&prefix, &d->prefix, e);
    for (int i = 0; i <= d->tts->n_slot && rc == 0; i++) {
        if (i < d->tts->n_slot)
            rc = ar_new(d->model.lm, d->n_context, &d->slots[i].ar, e);
        if (rc == 0)
            rc = dual_ar_decoder(d, &d->decoders[i], e);
    }
    return rc;
}

static int dual_ar_load(struct jabbertts *tts, struct err *e)
{
    int rc = dual_ar_load_parts(dual_ar_of(tts), e);
    if (rc < 0)
        dual_ar_unload(tts);
    return rc;
}

/* --- voices ------------------------------------------------------------------------------------
 */

static int dual_ar_voice(const struct jabbertts *tts, int i, struct jabbertts_voice_info *ret)
{
    const struct voice *v = voices_at(tts->model->voices, i);
    if (!v)
        return ERR_NOT_FOUND;
    *ret = (struct jabbertts_voice_info){v->name, v->language ? v->language : "",
                                         v->description ? v->description : ""};
    return 0;
}

static const char *dual_ar_alias(const struct jabbertts *tts, int i, const char **name)
{
    return voices_alias(tts->model->voices, i, name);
}

static const char *dual_ar_default_voice(const struct jabbertts *tts)
{
    return voices_default(tts->model->voices);
}

static int dual_ar_set_alias(struct jabbertts *tts, const char *alias, const char *name,
                             bool stored, struct err *e)
{
    struct voices *voices = dual_ar_of(tts)->model.voices;
    if (!voices_find(voices, name) && !stored)
        return 0;
    int rc = voices_set_alias(voices, alias, voices_resolve(voices, name), e);
    return rc < 0 ? rc : 1;
}

const struct voice_engine engine_dual_ar = {
    .name = "dual-ar",
    .open = dual_ar_open,
    .close = dual_ar_close,
    .load = dual_ar_load,
    .unload = dual_ar_unload,
    .turn = turn_run,
    .has_work = turn_has_work,
    .drop = turn_drop,
    .prepare = prepare_stream,
    .forget = prepare_forget,
    .identify = prepare_identify,
    .voice = dual_ar_voice,
    .alias = dual_ar_alias,
    .default_voice = dual_ar_default_voice,
    .set_alias = dual_ar_set_alias,
};

const struct voice_engine engine_onnx = {
    .name = ENGINE_ONNX,
    .open = dual_ar_open,
    .close = dual_ar_close,
    .load = dual_ar_load,
    .unload = dual_ar_unload,
    .turn = turn_run,
    .has_work = turn_has_work,
    .drop = turn_drop,
    .prepare = prepare_stream,
    .forget = prepare_forget,
    .identify = prepare_identify,
    .voice = dual_ar_voice,
    .alias = dual_ar_alias,
    .default_voice = dual_ar_default_voice,
    .set_alias = dual_ar_set_alias,
};
