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

static void write_json(void *cookie, const struct jabbertts_stored *v)
{
    struct export *x = cookie;
    size_t n = AV_BASE64_SIZE(v->n_bytes);
    char *base64 = mem_try(n, 1);
    if (!base64 || !av_base64_encode(base64, (int)n, v->recording, (int)v->n_bytes)) {
        mem_free(base64);
        return;
    }
    json_t *j =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:s}", "format", FORMAT, "name", v->name, "language",
                  v->language, "transcript", v->transcript, "description", v->description,
                  "created_at", (json_int_t)v->created_at, "recording", base64);
    x->json = j ? json_dumps(j, JSON_INDENT(1)) : NULL;
    json_decref(j);
    mem_free(base64);
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

static int import(struct jabbertts_store *s, struct jabbertts *tts, const json_t *j, char id[48],
                  struct jabbertts_error *error)
{
    struct jabbertts_stored v = {.name = string_at(j, "name"),
                                 .language = string_at(j, "language"),
                                 .transcript = string_at(j, "transcript"),
                                 .description = string_at(j, "description"),
                                 .trim = 1}; /* as it was when it was exported */
    const char *base64 = string_at(j, "recording"), *format = string_at(j, "format");
    struct err e = {0};
    if (!format || strcmp(format, FORMAT) != 0 || !v.name || !base64)
        return engine_return(error, &e,
                             err_set(&e, ERR_FORMAT,
                                     "not a voice: \"format\" must be \"" FORMAT
                                     "\", with \"name\" and \"recording\""));
    size_t n = strlen(base64) / 4 * 3 + 3;
    uint8_t *data = n < (size_t)2 * LIMIT_RECORDING_BYTES ? mem_try(n, 1) : NULL;
    int got = data ? av_base64_decode(data, base64, (int)n) : -1, rc;
    if (got < 0) {
        rc = engine_return(error, &e,
                           err_set(&e, ERR_FORMAT,
                                   "\"recording\" is not base64, or too "
                                   "long: the limit is %d bytes",
                                   LIMIT_RECORDING_BYTES));
    } else {
        v.recording = data;
        v.n_bytes = (size_t)got;
        rc = jabbertts_store_add(s, tts, JABBERTTS_VOICE, &v, id, error);
    }
    mem_free(data);
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
    int rc = import(s, tts, j, id, error);
    json_decref(j);
    return rc;
}
