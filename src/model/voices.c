#include "model/voices.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define ARCH       "openaudio-s1"
#define MAX_VOICES 4096

struct voices {
    struct voice *voice;
    char **alias, **target;
    char *fallback; /* the default voice's name */
    int n, n_alias;
};

static char *copy_item(const struct gguf *g, const char *key, size_t i, size_t limit, struct err *e)
{
    const char *s;
    size_t n;
    if (gguf_array_string(g, key, i, &s, &n) < 0 || n == 0 || n > limit) {
        err_set(e, ERR_FORMAT, "%s: item %zu is missing or over %zu bytes", key, i, limit);
        return NULL;
    }
    char *copy = mem_strndup(s, n);
    if (!copy)
        err_set(e, ERR_MEMORY, "out of memory for a voice");
    return copy;
}

/* What people are shown; NULL: not there, or not a line of text. */
static char *copy_about(const struct gguf *g, const char *key, size_t i)
{
    char *s = copy_item(g, key, i, LIMIT_VOICE_ABOUT_BYTES, NULL);
    bool is_text = s && utf8_check(s, strlen(s)) == strlen(s);
    for (const char *p = s; is_text && *p; p++)
        is_text = (unsigned char)*p >= ' ' && *p != 127;
    if (is_text)
        return s;
    mem_free(s);
    return NULL;
}

static int read_codes(const struct gguf *g, const struct spec *s, struct voice *v, struct err *e)
{
    char key[LIMIT_VOICE_NAME_BYTES + 64];
    enum gguf_kind kind;
    size_t n, n_codebook = (size_t)s->lm.n_codebook;
    int rc;
    snprintf(key, sizeof key, ARCH ".voice.codes.%s", v->name);
    if ((rc = gguf_array_len(g, key, &kind, &n, e)) < 0)
        return rc;
    if (n == 0 || n % n_codebook || n / n_codebook > 65536)
        return err_set(e, ERR_FORMAT, "%s has %zu codes, must be a multiple of %zu", key, n,
                       n_codebook);
    int32_t *codes = mem_try(n, sizeof *codes);
    if (!codes)
        return err_set(e, ERR_MEMORY, "out of memory for voice %s", v->name);
    v->reference.codes = codes;
    v->reference.n_frame = (int)(n / n_codebook);
    if ((rc = gguf_array_ints(g, key, codes, n, e)) < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (codes[i] < 0 || codes[i] >= s->lm.codebook_size)
            return err_set(e, ERR_FORMAT, "%s: code %d is outside 0..%d", key, codes[i],
                           s->lm.codebook_size - 1);
    return 0;
}

static int read_voices(const struct gguf *g, const struct spec *s, struct voices *v, struct err *e)
{
    enum gguf_kind kind;
    size_t n;
    if (gguf_array_len(g, ARCH ".voice.names", &kind, &n, NULL) < 0)
        return 0;
    if (n > MAX_VOICES)
        return err_set(e, ERR_LIMIT, "the model has %zu voices, the limit is %d", n, MAX_VOICES);
    v->voice = mem_try(n, sizeof *v->voice);
    if (!v->voice)
        return err_set(e, ERR_MEMORY, "out of memory for %zu voices", n);
    for (size_t i = 0; i < n; i++) {
        struct voice *one = &v->voice[v->n++];
        one->name = copy_item(g, ARCH ".voice.names", i, LIMIT_VOICE_NAME_BYTES, e);
        if (!one->name)
            return ERR_FORMAT;
        one->reference.text = copy_item(g, ARCH ".voice.texts", i, LIMIT_VOICE_TEXT_BYTES, e);
        if (!one->reference.text)
            return ERR_FORMAT;
        one->transcript = copy_item(g, ARCH ".voice.transcripts", i, LIMIT_VOICE_TEXT_BYTES, NULL);
        one->language = copy_about(g, ARCH ".voice.languages", i);
        one->description = copy_about(g, ARCH ".voice.descriptions", i);
        int rc = read_codes(g, s, one, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int voices_read_aliases(const struct gguf *g, struct voices *v, struct err *e)
{
    enum gguf_kind kind;
    size_t n;
    if (gguf_array_len(g, ARCH ".voice.alias.from", &kind, &n, NULL) < 0)
        return 0;
    if (n > MAX_VOICES)
        return err_set(e, ERR_LIMIT, "the model has %zu voice aliases, the limit is %d", n,
                       MAX_VOICES);
    v->alias = mem_try(n, sizeof *v->alias);
    v->target = mem_try(n, sizeof *v->target);
    if (!v->alias || !v->target)
        return err_set(e, ERR_MEMORY, "out of memory for %zu aliases", n);
    for (size_t i = 0; i < n; i++) {
        v->n_alias++;
        v->alias[i] = copy_item(g, ARCH ".voice.alias.from", i, LIMIT_VOICE_NAME_BYTES, e);
        v->target[i] = copy_item(g, ARCH ".voice.alias.to", i, LIMIT_VOICE_NAME_BYTES, e);
        if (!v->alias[i] || !v->target[i])
            return ERR_FORMAT;
    }
    return 0;
}

int voices_read(const struct gguf *g, const struct spec *s, struct voices **ret, struct err *e)
{
    struct voices *v = mem_try(1, sizeof *v);
    const char *name;
    int rc;
    if (!v)
        return err_set(e, ERR_MEMORY, "out of memory for voices");
    rc = read_voices(g, s, v, e);
    if (rc == 0)
        rc = voices_read_aliases(g, v, e);
    if (rc == 0 && gguf_get_string(g, ARCH ".voice.default", &name, NULL) == 0) {
        if (!voices_find(v, name))
            rc =
                err_set(e, ERR_FORMAT, "the default voice \"%.64s\" is not among the voices", name);
        else if (!(v->fallback = mem_strndup(name, LIMIT_VOICE_NAME_BYTES)))
            rc = err_set(e, ERR_MEMORY, "out of memory for voices");
    }
    if (rc < 0)
        voices_free(v);
    else
        *ret = v;
    return rc;
}

void voices_free(struct voices *v)
{
    if (!v)
        return;
    for (int i = 0; i < v->n; i++) {
        mem_free((void *)(uintptr_t)v->voice[i].name);
        mem_free((void *)(uintptr_t)v->voice[i].reference.text);
        mem_free((void *)(uintptr_t)v->voice[i].transcript);
        mem_free((void *)(uintptr_t)v->voice[i].language);
        mem_free((void *)(uintptr_t)v->voice[i].description);
        mem_free((void *)(uintptr_t)v->voice[i].reference.codes);
    }
    for (int i = 0; i < v->n_alias; i++) {
        mem_free(v->alias[i]);
        mem_free(v->target[i]);
    }
    mem_free(v->voice);
    mem_free(v->alias);
    mem_free(v->target);
    mem_free(v->fallback);
    mem_free(v);
}

const struct voice *voices_at(const struct voices *v, int i)
{
    return i >= 0 && i < v->n ? &v->voice[i] : NULL;
}

const char *voices_resolve(const struct voices *v, const char *name)
{
    for (int i = 0; i < v->n_alias; i++)
        if (!strcmp(v->alias[i], name))
            return v->target[i];
    return name;
}

const struct voice *voices_find(const struct voices *v, const char *name)
{
    name = voices_resolve(v, name);
    for (int i = 0; i < v->n; i++)
        if (!strcmp(v->voice[i].name, name))
            return &v->voice[i];
    return NULL;
}

/* Room for one more alias. */
static bool grow_aliases(struct voices *v)
{
    size_t n = (size_t)v->n_alias + 1;
    char **alias = mem_grow(v->alias, n, sizeof *alias);
    if (alias)
        v->alias = alias;
    char **target = mem_grow(v->target, n, sizeof *target);
    if (target)
        v->target = target;
    return alias && target;
}

int voices_set_alias(struct voices *v, const char *alias, const char *name, struct err *e)
{
    int i = 0;
    while (i < v->n_alias && strcmp(v->alias[i], alias) != 0)
        i++;
    if (i == MAX_VOICES)
        return err_set(e, ERR_LIMIT, "there are %d voice aliases, the limit", i);
    char *from = mem_strndup(alias, LIMIT_VOICE_NAME_BYTES);
    char *to = mem_strndup(name, LIMIT_VOICE_NAME_BYTES);
    if (!from || !to || (i == v->n_alias && !grow_aliases(v))) {
        mem_free(from);
        mem_free(to);
        return err_set(e, ERR_MEMORY, "out of memory for a voice alias");
    }
    if (i < v->n_alias) {
        mem_free(v->alias[i]);
        mem_free(v->target[i]);
    } else {
        v->n_alias++;
    }
    v->alias[i] = from;
    v->target[i] = to;
    return 0;
}

const char *voices_default(const struct voices *v)
{
    return v->fallback;
}

const char *voices_alias(const struct voices *v, int i, const char **name)
{
    if (i < 0 || i >= v->n_alias)
        return NULL;
    *name = v->target[i];
    return v->alias[i];
}
