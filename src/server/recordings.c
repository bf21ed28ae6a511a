#include "server/recordings.h"

#include <libavutil/base64.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

/* Takes over data.  False without memory for the text; then everything is freed. */
static bool recordings_keep(struct recordings *c, void *data, size_t n, const char *text)
{
    char *copy = mem_strndup(text ? text : "", text ? strlen(text) : 0);
    if (!copy) {
        mem_free(data);
        return false;
    }
    c->clip[c->n++] = (struct jabbertts_clip){data, n, copy, 0};
    return true;
}

static int recordings_full(const struct recordings *c, const char *field, struct api_error *e)
{
    return c->n < JABBERTTS_CLIPS_MAX ? 0
                                      : api_fail(e, FAULT_INVALID_VALUE, field,
                                                 "'%s' has more than %d recordings, the limit",
                                                 field, JABBERTTS_CLIPS_MAX);
}

int recordings_add(struct recordings *c, const char *field, const void *data, size_t n,
                   const char *text, struct api_error *e)
{
    if (recordings_full(c, field, e) < 0)
        return -1;
    void *copy = mem_try(n + 1, 1);
    if (copy)
        memcpy(copy, data, n);
    return copy && recordings_keep(c, copy, n, text)
               ? 0
               : api_fail(e, FAULT_MEMORY, NULL, "out of memory for a recording");
}

int recordings_add_base64(struct recordings *c, const char *field, const char *base64,
                          const char *text, struct api_error *e)
{
    const char *comma = strncmp(base64, "data:", 5) == 0 ? strchr(base64, ',') : NULL;
    base64 = comma ? comma + 1 : base64;
    size_t n = strlen(base64) / 4 * 3 + 3;
    if (recordings_full(c, field, e) < 0)
        return -1;
    uint8_t *data = mem_try(n, 1);
    int got = data ? av_base64_decode(data, base64, (int)n) : 0;
    if (got < 0) {
        mem_free(data);
        return api_fail(e, FAULT_INVALID_VALUE, field, "'%s' is not base64", field);
    }
    return data && recordings_keep(c, data, (size_t)got, text)
               ? 0
               : api_fail(e, FAULT_MEMORY, NULL, "out of memory for a recording");
}

int recordings_read(struct recordings *c, const char *field, const json_t *list,
                    struct api_error *e)
{
    size_t i;
    json_t *one;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return api_fail(e, FAULT_WRONG_TYPE, field,
                        "'%s' must be a list of {\"audio\": base64, \"text\": what is said in it}",
                        field);
    json_array_foreach(list, i, one)
    {
        const char *audio = json_string_value(json_object_get(one, "audio"));
        const json_t *text = json_object_get(one, "text");
        if (!audio || (text && !json_is_string(text) && !json_is_null(text)))
            return api_fail(
                e, FAULT_WRONG_TYPE, field,
                "entry %zu of '%s' must be {\"audio\": base64, \"text\": what is said in "
                "it}",
                i, field);
        if (recordings_add_base64(c, field, audio, json_string_value(text), e) < 0)
            return -1;
    }
    return 0;
}

int recordings_voice(const struct recordings *c, const char *field, struct jabbertts *tts,
                     struct jabbertts_voice **ret, struct api_error *e)
{
    struct jabbertts_voice *all = NULL, *one = NULL;
    struct jabbertts_error why;
    int rc = 0;
    for (int i = 0; i < c->n && rc == 0; i++) {
        const struct jabbertts_clip *clip = &c->clip[i];
        rc = jabbertts_voice_from_memory(tts, clip->recording, clip->n_bytes, clip->transcript,
                                         &one, &why);
        if (rc == 0 && all && (rc = jabbertts_voice_join(all, one, &why)) < 0)
            jabbertts_voice_free(one);
        else if (rc == 0 && !all)
            all = one;
    }
    if (rc == 0) {
        *ret = all;
        return 0;
    }
    jabbertts_voice_free(all);
    return api_fail_engine(e, field, &why);
}

void recordings_done(struct recordings *c)
{
    for (int i = 0; i < c->n; i++) {
        mem_free((void *)(uintptr_t)c->clip[i].recording);
        mem_free((void *)(uintptr_t)c->clip[i].transcript);
    }
    c->n = 0;
}
