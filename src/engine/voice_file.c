/* voice_file.c - a stored voice as one JSON text, and back. */
#include "engine/voice_store.h"

#include <jansson.h>
#include <libavutil/base64.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "jabbertts-voice-1"

struct export
{
    char *json;
};

/* A recording in base64; NULL: no memory. */
static json_t *export_recording(const void *recording, size_t n_bytes)
{
    size_t n = AV_BASE64_SIZE(n_bytes);
    char *base64 = mem_try(n, 1);
    json_t *j = NULL;
    if (base64 && av_base64_encode(base64, (int)n, recording, (int)n_bytes))
        j = json_string(base64);
    mem_free(base64);
    return j;
}

static void write_json(void *cookie, const struct jabbertts_stored *v)
{
    struct export *x = cookie;
    json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:o}", "format", FORMAT, "name", v->name,
                          "language", v->language, "transcript", v->transcript, "description",
                          v->description, "created_at", (json_int_t)v->created_at, "recording",
                          export_recording(v->recording, v->n_bytes));
    json_t *more = json_array();
    for (int i = 0; i < v->n_more; i++)
        json_array_append_new(
            more, json_pack("{s:s,s:o}", "transcript", v->more[i].transcript, "recording",
                            export_recording(v->more[i].recording, v->more[i].n_bytes)));
    bool whole = j && json_array_size(more) == (size_t)v->n_more;
    if (whole && v->n_more)
        json_object_set(j, "more", more);
    x->json = whole ? json_dumps(j, JSON_INDENT(1)) : NULL;
    json_decref(more);
    json_decref(j);
}

int jabbertts_store_export(struct jabbertts_store *s, const char *id, char **ret,
                           struct jabbertts_error *error)
{
    struct export x = {NULL};
    struct err e = {0};
    int rc = jabbertts_store_get(s, &(struct jabbertts_which){.kind = JABBERTTS_VOICE, .id = id},
                                 write_json, &x, error);
    if (rc < 0)
        return rc;
    if (!x.json)
        return engine_return(error, &e, err_set(&e, ERR_MEMORY, "out of memory to export a voice"));
    *ret = x.json;
    return 0;
}

static const char *string_at(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

/* A member "recording" as a clip; free c->recording.  < 0: it is not base64. */
static int import_clip(const json_t *j, struct jabbertts_clip *c)
{
    const char *base64 = string_at(j, "recording");
    size_t n = base64 ? strlen(base64) / 4 * 3 + 3 : SIZE_MAX;
    uint8_t *data = n < (size_t)2 * LIMIT_RECORDING_BYTES ? mem_try(n, 1) : NULL;
    int got = data ? av_base64_decode(data, base64, (int)n) : -1;
    *c = (struct jabbertts_clip){data, got < 0 ? 0 : (size_t)got, string_at(j, "transcript"), 0};
    return got;
}

static int import_voice(struct jabbertts_store *s, struct jabbertts *tts, const json_t *j,
                        char id[48], struct err *e)
{
    struct jabbertts_clip clip[LIMIT_REFERENCES] = {{0}};
    const json_t *more = json_object_get(j, "more");
    size_t n = 1 + json_array_size(more);
    const char *format = string_at(j, "format");
    if (!format || strcmp(format, FORMAT) != 0 || !string_at(j, "name") ||
        !string_at(j, "recording"))
        return err_set(e, ERR_FORMAT,
                       "not a voice: \"format\" must be \"" FORMAT
                       "\", with \"name\" and \"recording\"");
    if (n > LIMIT_REFERENCES)
        return err_set(e, ERR_LIMIT, "a voice of %zu recordings, the limit is %d", n,
                       LIMIT_REFERENCES);
    bool good = import_clip(j, &clip[0]) >= 0;
    for (size_t i = 1; i < n; i++)
        good = import_clip(json_array_get(more, i - 1), &clip[i]) >= 0 && good;
    struct jabbertts_stored v = {.name = string_at(j, "name"),
                                 .language = string_at(j, "language"),
                                 .transcript = clip[0].transcript,
                                 .description = string_at(j, "description"),
                                 .recording = clip[0].recording,
                                 .n_bytes = clip[0].n_bytes,
                                 .more = clip + 1,
                                 .n_more = (int)n - 1,
                                 .trim = 1}; /* as when it was exported */
    int rc = good ? store_add_recordings(s, tts, JABBERTTS_VOICE, &v, id, e)
                  : err_set(e, ERR_FORMAT,
                            "\"recording\" is not base64, or too long: the limit is %d bytes",
                            LIMIT_RECORDING_BYTES);
    for (size_t i = 0; i < n; i++)
        mem_free((void *)(uintptr_t)clip[i].recording);
    return rc;
}

int jabbertts_store_import(struct jabbertts_store *s, struct jabbertts *tts, const char *json,
                           size_t n, char id[48], struct jabbertts_error *error)
{
    struct err e = {0};
    json_error_t why;
    json_t *j = n <= LIMIT_JSON_BYTES ? json_loadb(json, n, JSON_REJECT_DUPLICATES, &why) : NULL;
    if (!j)
        return engine_return(
            error, &e,
            err_set(&e, ERR_FORMAT, "not JSON, or more than %d bytes", LIMIT_JSON_BYTES));
    int rc = import_voice(s, tts, j, id, &e);
    json_decref(j);
    return engine_return(error, &e, rc);
}
