#include "server/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/near.h"

#define NAMED_MAX 8 /* unknown fields that a warning names */

static const char *const format_names[] = {"mp3", "opus", "aac", "flac", "wav", "pcm", NULL};
static const char *const format_types[] = {"audio/mpeg", "audio/opus", "audio/aac",
                                           "audio/flac", "audio/wav",  "audio/pcm"};
static const char *const stream_formats[] = {"audio", "sse", NULL};

/* In the order of the rows. */
enum {
    MODEL,
    INPUT,
    VOICE,
    INSTRUCTIONS,
    RESPONSE_FORMAT,
    SPEED,
    STREAM_FORMAT,
    STREAM,
    SEED,
    TEMPERATURE,
    TOP_P,
    REPETITION_PENALTY,
    SAMPLE_RATE,
    LANGUAGE,
    LANG_CODE,
    N_PARAM
};

static const struct param params[N_PARAM] = {
    [MODEL] = {"model", PARAM_STRING, true, 1, 128, 0, NULL, "id or alias of a model"},
    [INPUT] = {"input", PARAM_STRING, true, 1, 4096, 0, NULL, "the text to speak"},
    [VOICE] = {"voice", PARAM_VOICE, true, 1, 128, 0, NULL,
               "name or alias of a voice, or an object {\"id\": name}"},
    [INSTRUCTIONS] =
        {"instructions", PARAM_STRING, false, 0, 4096, 0, NULL,
         "how to speak; models that know markers get the one it names: whispering, excited ..."},
    [RESPONSE_FORMAT] = {"response_format", PARAM_ENUM, false, 0, 0, FORMAT_MP3, format_names,
                         "format of the sound"},
    [SPEED] = {"speed", PARAM_NUMBER, false, 0.25, 4, 1, NULL, "pitch is kept"},
    [STREAM_FORMAT] = {"stream_format", PARAM_ENUM, false, 0, 0, 0, stream_formats,
                       "bytes of sound, or server-sent events that carry them"},
    [STREAM] = {"stream", PARAM_BOOL, false, 0, 1, 1, NULL,
                "false: send the sound when it is whole, with its length"},
    [SEED] = {"seed", PARAM_INTEGER, false, 0, 9007199254740991, 0, NULL,
              "another seed, another reading; the same seed, the same sound"},
    [TEMPERATURE] = {"temperature", PARAM_NUMBER, false, 0, 2, -1, NULL,
                     "of sampling; the model's own when absent"},
    [TOP_P] = {"top_p", PARAM_NUMBER, false, 0.01, 1, -1, NULL,
               "of sampling; the model's own when absent"},
    [REPETITION_PENALTY] = {"repetition_penalty", PARAM_NUMBER, false, 1, 2, -1, NULL,
                            "of sampling; the model's own when absent"},
    [SAMPLE_RATE] = {"sample_rate", PARAM_INTEGER, false, 8000, 48000, 0, NULL,
                     "Hz; when absent 24000 for pcm, else the model's or the nearest the format "
                     "knows"},
    [LANGUAGE] = {"language", PARAM_STRING, false, 0, 32, 0, NULL,
                  "of the text, for models that read phonemes: en-us, en-gb, de ..."},
    [LANG_CODE] = {"lang_code", PARAM_STRING, false, 0, 32, 0, NULL, "another name of language"},
};

const struct param *params_at(size_t i)
{
    return i < N_PARAM ? &params[i] : NULL;
}

const char *params_format_name(enum speech_format f)
{
    return format_names[f];
}

const char *params_format_type(enum speech_format f)
{
    return format_types[f];
}

size_t params_count_chars(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

/* --- one field --- */

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

static int wrong_type(const struct param *p, const char *wanted, const json_t *v,
                      struct api_error *e)
{
    return api_fail(e, FAULT_WRONG_TYPE, p->name, "'%s' must be %s, got %s", p->name, wanted,
                    type_name(v));
}

static int read_string(const struct param *p, const json_t *v, double max, const char **ret,
                       struct api_error *e)
{
    if (!json_is_string(v))
        return wrong_type(
            p, p->type == PARAM_VOICE ? "a string or an object {\"id\": string}" : "a string", v,
            e);
    const char *s = json_string_value(v);
    size_t n = params_count_chars(s);
    if ((double)n > max)
        return api_fail(e, FAULT_TOO_LONG, p->name, "'%s' is %zu characters; the limit is %.0f%s",
                        p->name, n, max,
                        p == &params[INPUT] ? " (max_input_chars). Split the text, or start the "
                                              "server with a higher limit."
                                            : ".");
    if ((double)n < p->min)
        return api_fail(e, FAULT_TOO_SHORT, p->name, "'%s' is empty", p->name);
    *ret = s;
    return 0;
}

static int read_voice(const struct param *p, const json_t *v, const char **ret, struct api_error *e)
{
    if (!json_is_object(v))
        return read_string(p, v, p->max, ret, e);
    const json_t *id = json_object_get(v, "id");
    if (!id || json_object_size(v) != 1)
        return api_fail(e, FAULT_INVALID_VALUE, p->name,
                        "'voice' as an object has exactly one member, {\"id\": string}");
    return read_string(p, id, p->max, ret, e);
}

static int read_enum(const struct param *p, const json_t *v, double *ret, struct api_error *e)
{
    char known[96];
    size_t n = 0;
    struct near near;
    if (!json_is_string(v))
        return wrong_type(p, "a string", v, e);
    near_init(&near, json_string_value(v));
    for (int i = 0; p->values[i]; i++) {
        if (strcmp(p->values[i], json_string_value(v)) == 0) {
            *ret = i;
            return 0;
        }
        near_try(&near, p->values[i]);
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", p->values[i]);
    }
    const char *best = near_found(&near);
    return api_fail(e, FAULT_INVALID_VALUE, p->name, "'%s' is \"%.64s\", must be one of: %s.%s%s%s",
                    p->name, json_string_value(v), known, best ? " Did you mean \"" : "",
                    best ? best : "", best ? "\"?" : "");
}

static int params_read_number(const struct param *p, const json_t *v, double *ret,
                              struct api_error *e)
{
    bool whole = p->type == PARAM_INTEGER;
    if (p->type == PARAM_BOOL) {
        if (!json_is_boolean(v))
            return wrong_type(p, "true or false", v, e);
        *ret = json_is_true(v);
        return 0;
    }
    if (!json_is_number(v))
        return wrong_type(p, whole ? "an integer" : "a number", v, e);
    double x = json_number_value(v);
    if (whole && x != floor(x))
        return api_fail(e, FAULT_WRONG_TYPE, p->name, "'%s' must be an integer, got %g", p->name,
                        x);
    if (!(x >= p->min && x <= p->max))
        return api_fail(e, FAULT_INVALID_VALUE, p->name, "'%s' is %.16g, must be %.16g to %.16g",
                        p->name, x, p->min, p->max);
    *ret = x;
    return 0;
}

/* --- all fields --- */

struct values { /* of the table's rows */
    const char *string[N_PARAM];
    double number[N_PARAM];
};

static int params_read_field(const struct param *p, const json_t *v,
                             const struct param_limits *limits, struct values *to,
                             struct api_error *e)
{
    size_t i = (size_t)(p - params);
    switch (p->type) {
    case PARAM_STRING:
        return read_string(p, v, i == INPUT ? limits->max_input_chars : p->max, &to->string[i], e);
    case PARAM_VOICE:
        return read_voice(p, v, &to->string[i], e);
    case PARAM_ENUM:
        return read_enum(p, v, &to->number[i], e);
    default:
        return params_read_number(p, v, &to->number[i], e);
    }
}

/* The name goes into a header, so only harmless letters of it. */
static void note_ignored(char *to, size_t size, const char *name, int n_before)
{
    size_t n = strlen(to);
    if (n_before >= NAMED_MAX || n + 36 > size)
        return;
    n += (size_t)snprintf(to + n, size - n, "%s", n ? ", " : "");
    for (int i = 0; name[i] && i < 32; i++) {
        unsigned char c = (unsigned char)name[i];
        to[n++] = (char)(c > ' ' && c < 127 && c != ',' ? c : '?');
    }
    to[n] = 0;
}

static int refuse_field(const char *name, struct api_error *e)
{
    struct near near;
    near_init(&near, name);
    for (int i = 0; i < N_PARAM; i++)
        near_try(&near, params[i].name);
    const char *best = near_found(&near);
    return api_fail(e, FAULT_UNKNOWN_FIELD, name, "there is no field '%.64s'%s%s%s", name,
                    best ? "; did you mean '" : "", best ? best : "", best ? "'?" : "");
}

static int check_names(json_t *json, const struct param_limits *limits, char *ignored, size_t size,
                       struct api_error *e)
{
    const char *name;
    json_t *value;
    int n = 0;
    json_object_foreach(json, name, value)
    {
        int i = 0;
        while (i < N_PARAM && strcmp(name, params[i].name) != 0)
            i++;
        if (i < N_PARAM)
            continue;
        if (limits->strict)
            return refuse_field(name, e);
        note_ignored(ignored, size, name, n++);
    }
    return 0;
}

static int read_object(json_t *json, const struct param_limits *limits, struct values *to,
                       struct api_error *e)
{
    for (int i = 0; i < N_PARAM; i++) {
        const struct param *p = &params[i];
        const json_t *v = json_object_get(json, p->name);
        to->number[i] = p->preset;
        if (!v && p->required)
            return api_fail(e, FAULT_MISSING, p->name, "the field '%s' is missing", p->name);
        /* Clients send null for what they leave to us. */
        if (!v || (json_is_null(v) && !p->required))
            continue;
        if (params_read_field(p, v, limits, to, e) < 0)
            return -1;
    }
    return 0;
}

int params_parse(const char *body, size_t n, const struct param_limits *limits,
                 struct speech_params *ret, struct api_error *e)
{
    json_error_t why;
    struct values v = {0};
    struct speech_params p = {0};
    json_t *json = json_loadb(body, n, 0, &why);
    if (!json)
        return api_fail(e, FAULT_BAD_JSON, NULL,
                        "the body is not valid JSON: %s (line %d, column "
                        "%d)",
                        why.text, why.line, why.column);
    if (!json_is_object(json)) {
        api_fail(e, FAULT_BAD_JSON, NULL, "the body must be a JSON object, got %s",
                 type_name(json));
        json_decref(json);
        return -1;
    }
    if (check_names(json, limits, p.ignored, sizeof p.ignored, e) < 0 ||
        read_object(json, limits, &v, e) < 0) {
        json_decref(json);
        return -1;
    }
    p.json = json;
    p.model = v.string[MODEL];
    p.input = v.string[INPUT];
    p.n_char = params_count_chars(p.input);
    p.voice = v.string[VOICE];
    p.instructions = v.string[INSTRUCTIONS];
    p.language = v.string[LANGUAGE] ? v.string[LANGUAGE] : v.string[LANG_CODE];
    p.response_format = (enum speech_format)v.number[RESPONSE_FORMAT];
    p.sse = v.number[STREAM_FORMAT] != 0;
    p.stream = v.number[STREAM] != 0;
    p.speed = v.number[SPEED];
    p.temperature = v.number[TEMPERATURE];
    p.top_p = v.number[TOP_P];
    p.repetition_penalty = v.number[REPETITION_PENALTY];
    p.seed = (int64_t)v.number[SEED];
    p.sample_rate = (int)v.number[SAMPLE_RATE];
    *ret = p;
    return 0;
}

void params_done(struct speech_params *p)
{
    json_decref(p->json);
    p->json = NULL;
}
