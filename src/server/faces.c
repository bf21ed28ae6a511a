#include "server/faces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/daemon.h"
#include "server/fish.h"

struct face_field {
    const char *theirs; /* "voice_settings.speed": a member of an object */
    const char *ours;
};

struct face {
    const char *route;
    const char *preset; /* format, where none is asked for */
    const struct face_field *fields;
};

static const struct face_field elevenlabs[] = {
    {"text", "input"},  {"language_code", "language"},     {"seed", "seed"},
    {"speed", "speed"}, {"voice_settings.speed", "speed"}, {NULL, NULL},
};

static const struct face_field fish[] = {
    {"text", "input"},
    {"format", "response_format"},
    {"reference_id", "voice"},
    {"references", "references"},
    {"streaming", "stream"},
    {"sample_rate", "sample_rate"},
    {"seed", "seed"},
    {"temperature", "temperature"},
    {"top_p", "top_p"},
    {"repetition_penalty", "repetition_penalty"},
    {"normalize", "normalize"},
    {"prosody.speed", "speed"},
    {NULL, NULL},
};

/* Kokoro-FastAPI's /dev/phonemize: nothing is spoken, but the text has the same limits. */
static const struct face_field phonemize[] = {
    {"text", "input"}, {"language", "language"}, {NULL, NULL}};

static const struct face faces[] = {
    {"elevenlabs", "mp3", elevenlabs}, {"fish", "wav", fish}, {"phonemize", "pcm", phonemize}};

static const struct face *faces_of(const struct request *r)
{
    for (size_t i = 0; i < sizeof faces / sizeof *faces; i++)
        if (strcmp(r->route->name, faces[i].route) == 0)
            return &faces[i];
    return NULL;
}

static json_t *face_get(const json_t *o, const char *path)
{
    char outer[32];
    const char *dot = strchr(path, '.');
    if (!dot)
        return json_object_get(o, path);
    snprintf(outer, sizeof outer, "%.*s", (int)(dot - path), path);
    return json_object_get(json_object_get(o, outer), dot + 1);
}

/* ElevenLabs' output_format=mp3_44100_128: format, rate, kilobits. */
static int face_output_format(const struct request *r, json_t *ours, struct api_error *e)
{
    const char *s = http_query(r, "output_format");
    char format[8];
    int rate = 0;
    if (!s || !*s)
        return 0;
    if (sscanf(s, "%7[a-z0-9]_%d", format, &rate) != 2 || rate < 8000 || rate > 48000 ||
        (strcmp(format, "mp3") != 0 && strcmp(format, "pcm") != 0 && strcmp(format, "wav") != 0 &&
         strcmp(format, "opus") != 0))
        return api_fail(e, FAULT_INVALID_VALUE, "output_format",
                        "'output_format' is \"%.32s\", must be mp3, pcm, wav or opus and a rate of "
                        "8000 to 48000, as in mp3_44100_128",
                        s);
    json_object_set_new(ours, "response_format", json_string(format));
    json_object_set_new(ours, "sample_rate", json_integer(rate));
    return 0;
}

/* The path ends with the voice, or with the voice and /stream. */
static int face_elevenlabs(const struct request *r, json_t *ours, struct api_error *e)
{
    const char *id = r->argument, *slash = strchr(id, '/');
    size_t n = slash ? (size_t)(slash - id) : strlen(id);
    if (slash && strcmp(slash, "/stream") != 0)
        return api_fail(e, FAULT_NO_URL, NULL, "there is nothing at POST /v1/text-to-speech/%.64s",
                        id);
    json_object_set_new(ours, "voice", json_stringn(id, n));
    json_object_set_new(ours, "stream", json_boolean(slash != NULL));
    return face_output_format(r, ours, e);
}

/* In decibels. */
static void face_volume(const json_t *theirs, json_t *ours)
{
    const json_t *v = face_get(theirs, "prosody.volume");
    if (json_is_number(v) && json_number_value(v) != 0)
        json_object_set_new(ours, "volume_multiplier",
                            json_real(pow(10, json_number_value(v) / 20)));
}

int faces_stream_input(const struct request *r, json_t *fields, struct api_error *e)
{
    const char *id = r->argument, *slash = strchr(id, '/');
    const char *language = http_query(r, "language_code");
    if (!slash || strcmp(slash, "/stream-input") != 0)
        return api_fail(e, FAULT_NO_URL, NULL, "there is nothing at GET /v1/text-to-speech/%.64s",
                        id);
    json_object_set_new(fields, "voice", json_stringn(id, (size_t)(slash - id)));
    if (language && *language)
        json_object_set_new(fields, "language", json_string(language));
    return face_output_format(r, fields, e);
}

static int faces_body(const struct request *r, const char *body, char **ret, struct api_error *e)
{
    const struct face *face = faces_of(r);
    json_t *theirs = NULL, *ours = json_object();
    int rc = fish_read(r, body, r->body.len, &theirs, e);
    json_object_set_new(ours, "model", json_string("tts-1"));
    json_object_set_new(ours, "response_format", json_string(face->preset));
    for (const struct face_field *f = face->fields; rc == 0 && f->theirs; f++) {
        json_t *v = face_get(theirs, f->theirs);
        if (v && !json_is_null(v) && !(json_is_array(v) && json_array_size(v) == 0))
            json_object_set(ours, f->ours, v);
    }
    if (rc == 0 && strcmp(face->route, "elevenlabs") == 0)
        rc = face_elevenlabs(r, ours, e);
    if (rc == 0 && strcmp(face->route, "fish") == 0)
        face_volume(theirs, ours);
    if (rc == 0 && !(*ret = json_dumps(ours, JSON_COMPACT)))
        rc = api_fail(e, FAULT_MEMORY, NULL, "out of memory for a request");
    json_decref(theirs);
    json_decref(ours);
    return rc;
}

int faces_read(struct request *r, struct speech_params *ret, struct api_error *e)
{
    const struct param_limits limits = {r->server->o.max_input_chars, r->server->o.strict};
    const char *body = spool_data(&r->body);
    char *made = NULL;
    if (!body)
        return api_fail(e, FAULT_MEMORY, NULL, "out of memory for the body");
    if (r->body.len == 0)
        return api_fail(e, FAULT_BAD_JSON, NULL, "the body is empty, must be a JSON object");
    if (!faces_of(r))
        return params_parse(body, r->body.len, &limits, ret, e);
    int rc = faces_body(r, body, &made, e);
    if (rc == 0)
        rc = params_parse(made, strlen(made), &limits, ret, e);
    free(made);
    return rc;
}
