/* take.c - the name of a take: SHA-256 of what it is made of. */
#include "engine/take.h"

#include <libavcodec/avcodec.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/chain.h"
#include "text/lexicon.h"
#include "text/libespeak.h"

struct take {
    struct AVSHA *sha;
};

void take_add(struct take *t, const void *data, size_t n)
{
    uint64_t length = n;
    av_sha_update(t->sha, (const uint8_t *)&length, sizeof length);
    av_sha_update(t->sha, data, n);
}

void take_add_string(struct take *t, const char *s)
{
    take_add(t, s ? s : "", s ? strlen(s) + 1 : 0);
}

/* The program that computes and encodes.  A version is not enough: one that was built again speaks
 * differently. */
static void take_add_program(struct take *t)
{
    struct stat st;
    unsigned codec = avcodec_version();
    take_add_string(t, JABBERTTS_VERSION);
    take_add_string(t, libespeak_version());
    take_add(t, &codec, sizeof codec);
    if (stat("/proc/self/exe", &st) == 0) {
        take_add(t, &st.st_size, sizeof st.st_size);
        take_add(t, &st.st_mtim.tv_sec, sizeof st.st_mtim.tv_sec);
        take_add(t, &st.st_mtim.tv_nsec, sizeof st.st_mtim.tv_nsec);
    }
}

/* A parameter as it is meant; the voice is the engine's to resolve. */
static void take_add_parameter(struct take *t, const struct jabbertts_parameter *p, const void *of)
{
    static const size_t sizes[] = {[JABBERTTS_TYPE_FLOAT] = sizeof(float),
                                   [JABBERTTS_TYPE_DOUBLE] = sizeof(double),
                                   [JABBERTTS_TYPE_INT] = sizeof(int),
                                   [JABBERTTS_TYPE_U64] = sizeof(uint64_t)};
    const void *at = (const char *)of + p->offset;
    const char *s = NULL;
    struct jabbertts_format format;
    take_add_string(t, p->name);
    if (p->type != JABBERTTS_TYPE_STRING) {
        take_add(t, at, sizes[p->type]);
        return;
    }
    memcpy(&s, at, sizeof s);
    if (strcmp(p->name, "voice") == 0)
        return;
    if (strcmp(p->name, "language") == 0)
        s = engine_language(s);
    else if (strcmp(p->name, "format") == 0 && s && jabbertts_format_find(s, &format) == 0)
        s = format.name;
    take_add_string(t, s);
}

static void take_add_request(struct take *t, const struct jabbertts_request *r,
                             const struct jabbertts_encoder_options *o)
{
    const struct jabbertts_parameter *p;
    struct jabbertts_encoder_options encoder = *o;
    const int rest[] = {r->ssml, r->fallback, r->words};
    if (encoder.speed == 0)
        encoder.speed = 1;
    for (size_t i = 0; (p = jabbertts_parameter_at(i)); i++)
        take_add_parameter(t, p, p->of_encoder ? (const void *)&encoder : (const void *)r);
    take_add(t, rest, sizeof rest);
}

static int take_fill(struct take *t, struct jabbertts *tts, const struct jabbertts_request *r,
                     const struct jabbertts_encoder_options *o, struct err *e)
{
    struct jabbertts *model = r->model ? jabbertts_model_named(tts, r->model) : tts;
    const char *language;
    if (!model)
        return err_set(e, ERR_NOT_FOUND, "there is no model \"%.64s\"", r->model);
    /* What a name in the text means may change, and is not looked up here. */
    if (r->ssml >= 0 && strstr(r->text, "<voice"))
        return err_set(e, ERR_UNSUPPORTED, "the text names voices of its own");
    if (r->fallback && chain_unread(model, r, &language) > 0)
        return err_set(e, ERR_UNSUPPORTED, "espeak-ng would speak a part of the text");
    take_add_program(t);
    take_add_request(t, r, o);
    if (model->all->lexicon) {
        uint64_t words = lexicon_version(model->all->lexicon);
        take_add(t, &words, sizeof words);
    }
    take_add_string(t, model->kind->name);
    return model->kind->identify(model, r, t, e);
}

int jabbertts_take_name(struct jabbertts *tts, const struct jabbertts_request *r,
                        const struct jabbertts_encoder_options *o, const char *also, char ret[65],
                        struct jabbertts_error *error)
{
    struct err e = {0};
    struct take t = {av_sha_alloc()};
    uint8_t sum[32];
    if (!t.sha)
        return engine_return(error, &e, err_set(&e, ERR_MEMORY, "out of memory for a hash"));
    av_sha_init(t.sha, 256);
    int rc = take_fill(&t, tts, r, o, &e);
    take_add_string(&t, also);
    av_sha_final(t.sha, sum);
    av_free(t.sha);
    for (size_t i = 0; rc == 0 && i < sizeof sum; i++)
        snprintf(ret + 2 * i, 3, "%02x", sum[i]);
    return engine_return(error, &e, rc);
}
