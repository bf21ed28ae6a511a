#include "server/params.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/near.h"

#define NAMED_MAX 8 /* unknown fields that a warning names */

/* A field: a parameter of the engine, or one of the server's own, kept in struct speech_params. */
struct field {
    const char *name;
    const char *parameter; /* its name in the engine's table; NULL: it is the server's own */
    size_t offset;         /* of the server's own */
    enum param_type type;
    bool required;
    double min, max, preset;
    const char *values[PARAM_VALUES];
    const char *help; /* NULL: the engine's */
};

#define OWN(field)         .offset = offsetof(struct speech_params, field)
#define ENGINE(parameter_) .parameter = parameter_
#define REFUSED            "not honoured, so refused; /v1/audio/voices makes voices"

/* Parts of names by which others' clients say whose voice it shall be. */
static const char *const speaker_words[] = {"speaker",      "spk_",       "ref_",
                                            "reference",    "clone",      "audio_prompt",
                                            "prompt_audio", "prompt_wav", "prompt_speech"};

static const struct field fields[] = {
    {.name = "model",
     OWN(model),
     .type = PARAM_STRING,
     .required = true,
     .min = 1,
     .max = 128,
     .help = "id or alias of a model"},
    {.name = "input", ENGINE("text"), .type = PARAM_STRING, .required = true},
    {.name = "voice",
     ENGINE("voice"),
     .type = PARAM_VOICE,
     .help = "name or alias of a voice, or an object {\"id\": name}; the default one when absent"},
    {.name = "instructions", ENGINE("instructions"), .type = PARAM_STRING},
    {.name = "response_format", ENGINE("format"), .type = PARAM_ENUM},
    {.name = "speed", ENGINE("speed"), .type = PARAM_NUMBER},
    {.name = "stream_format",
     OWN(stream_format),
     .type = PARAM_ENUM,
     .values = {"audio", "sse"},
     .help = "bytes of sound, or server-sent events that carry them"},
    {.name = "stream",
     OWN(stream),
     .type = PARAM_BOOL,
     .max = 1,
     .preset = 1,
     .help = "false: send the sound when it is whole, with its length"},
    {.name = "timestamp_granularities",
     OWN(times),
     .type = PARAM_TIMES,
     .help = "word, sentence or both: events that say when they are heard, with stream_format sse"},
    {.name = "return_timestamps",
     OWN(return_timestamps),
     .type = PARAM_BOOL,
     .max = 1,
     .preset = 1,
     .help = "of /dev/captioned_speech"},
    {.name = "seed", ENGINE("seed"), .type = PARAM_INTEGER},
    {.name = "temperature", ENGINE("temperature"), .type = PARAM_NUMBER},
    {.name = "top_p", ENGINE("top_p"), .type = PARAM_NUMBER},
    {.name = "repetition_penalty", ENGINE("repetition_penalty"), .type = PARAM_NUMBER},
    {.name = "sample_rate", ENGINE("sample_rate"), .type = PARAM_INTEGER},
    {.name = "language", ENGINE("language"), .type = PARAM_STRING},
    {.name = "lang_code",
     ENGINE("language"),
     .type = PARAM_STRING,
     .help = "another name of language"},
    {.name = "normalize", ENGINE("normalize"), .type = PARAM_BOOL},
    {.name = "carry_markers", ENGINE("carry_markers"), .type = PARAM_BOOL},
    {.name = "repair", ENGINE("repair"), .type = PARAM_INTEGER},
    {.name = "context_sentences", ENGINE("context_sentences"), .type = PARAM_INTEGER},
    {.name = "volume_multiplier",
     OWN(volume),
     .type = PARAM_NUMBER,
     .min = 0.01,
     .max = 10,
     .preset = 1,
     .help = "factor of the sound's amplitude; what becomes too loud is clipped"},
    {.name = "return_download_link",
     OWN(download),
     .type = PARAM_BOOL,
     .max = 1,
     .help = "true: the header X-Download-Path names where the sound can be fetched once more"},
    {.name = "normalization_options",
     ENGINE("normalize"),
     .type = PARAM_OPTIONS,
     .help = "as Kokoro's clients send it: {\"normalize\": false} is normalize false"},
    {.name = "references",
     OWN(references),
     .type = PARAM_CLIPS,
     .max = JABBERTTS_CLIPS_MAX,
     .help = "recordings of one speaker to imitate instead of a voice: [{\"audio\": base64, "
             "\"text\": what is said in it}]"},
    {.name = "ref_audio",
     OWN(ref_audio),
     .type = PARAM_STRING,
     .min = 1,
     .max = LIMIT_RECORDING_BYTES * 4.0 / 3 + 4,
     .help = "one such recording in base64"},
    {.name = "ref_text",
     OWN(ref_text),
     .type = PARAM_STRING,
     .max = LIMIT_VOICE_TEXT_BYTES,
     .help = "what is said in ref_audio"},
    {.name = "reference_id", .type = PARAM_REFUSED, .help = REFUSED},
};
#define N_FIELD (sizeof fields / sizeof *fields)

bool params_at(size_t i, struct param *ret)
{
    if (i >= N_FIELD)
        return false;
    const struct field *f = &fields[i];
    const struct jabbertts_parameter *p =
        f->parameter ? jabbertts_parameter_find(f->parameter) : NULL;
    struct jabbertts_format format;
    *ret = (struct param){f->name, f->type, f->required, f->min, f->max, f->preset, {0}, f->help};
    memcpy(ret->values, f->values, sizeof ret->values);
    if (!p)
        return true;
    ret->min = p->min;
    ret->max = p->max;
    ret->preset = p->preset;
    ret->help = f->help ? f->help : p->help;
    for (size_t k = 0; f->type == PARAM_ENUM && k < PARAM_VALUES - 1; k++)
        if (jabbertts_format_at(k, &format) == 0)
            ret->values[k] = format.name;
    return true;
}

size_t params_count_chars(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

/* --- one field --- */

/* A field for a speaker that is sent all the same: null, "", [] or {}. */
static bool names_nobody(const json_t *v)
{
    return json_is_null(v) || (json_is_string(v) && !*json_string_value(v)) ||
           (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0);
}

static int refuse_speaker(const char *name, struct api_error *e)
{
    return api_fail(e, FAULT_UNSUPPORTED, name,
                    "'%.64s' is not honoured, and another voice would be heard: name a voice in "
                    "'voice' (POST /v1/audio/voices makes one of a recording), or send the "
                    "recording itself as 'ref_audio'",
                    name);
}

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

static int read_string(const struct param *p, const json_t *v, const char **ret,
                       struct api_error *e)
{
    if (!json_is_string(v))
        return wrong_type(
            p, p->type == PARAM_VOICE ? "a string or an object {\"id\": string}" : "a string", v,
            e);
    const char *s = json_string_value(v);
    size_t n = params_count_chars(s);
    if ((double)n > p->max)
        return api_fail(e, FAULT_TOO_LONG, p->name, "'%s' is %zu characters; the limit is %.0f%s",
                        p->name, n, p->max,
                        strcmp(p->name, "input") == 0
                            ? " (max_input_chars). Split the text, or start the server with a "
                              "higher limit."
                            : ".");
    if ((double)n < p->min)
        return api_fail(e, FAULT_TOO_SHORT, p->name, "'%s' is empty", p->name);
    *ret = s;
    return 0;
}

static int read_voice(const struct param *p, const json_t *v, const char **ret, struct api_error *e)
{
    if (!json_is_object(v))
        return read_string(p, v, ret, e);
    const json_t *id = json_object_get(v, "id");
    if (!id || json_object_size(v) != 1)
        return api_fail(e, FAULT_INVALID_VALUE, p->name,
                        "'voice' as an object has exactly one member, {\"id\": string}");
    return read_string(p, id, ret, e);
}

static int read_enum(const struct param *p, const json_t *v, int *ret, struct api_error *e)
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

static int read_times(const struct param *p, const json_t *v, int *ret, struct api_error *e)
{
    size_t i;
    json_t *item;
    int times = 0;
    if (!json_is_array(v))
        return wrong_type(p, "a list of \"word\" and \"sentence\"", v, e);
    json_array_foreach(v, i, item)
    {
        const char *s = json_string_value(item);
        if (!s || (strcmp(s, "word") != 0 && strcmp(s, "sentence") != 0))
            return api_fail(e, FAULT_INVALID_VALUE, p->name,
                            "'%s' has \"%.64s\", must be \"word\" or \"sentence\"", p->name,
                            s ? s : type_name(item));
        times |= s[0] == 'w' ? PARAM_TIMES_WORD : PARAM_TIMES_SENTENCE;
    }
    *ret = times;
    return 0;
}

/* --- all fields --- */

/* Where the i-th field's value goes. */
static void *params_place(const struct field *f, struct speech_params *to)
{
    const struct jabbertts_parameter *p =
        f->parameter ? jabbertts_parameter_find(f->parameter) : NULL;
    char *of = !p ? (char *)to : p->of_encoder ? (char *)&to->encoder : (char *)&to->request;
    return of + (p ? p->offset : f->offset);
}

static int params_keep_number(const struct field *f, const struct param *p, const json_t *v,
                              struct speech_params *to, struct api_error *e)
{
    struct jabbertts_error why;
    double x = 0;
    if (params_read_number(p, v, &x, e) < 0)
        return -1;
    if (!f->parameter) {
        *(double *)params_place(f, to) = x;
        return 0;
    }
    const struct jabbertts_parameter *kept = jabbertts_parameter_find(f->parameter);
    void *of = kept->of_encoder ? (void *)&to->encoder : (void *)&to->request;
    return jabbertts_parameter_set(kept, of, x, &why) < 0 ? api_fail_engine(e, f->name, &why) : 0;
}

static int params_read_field(const struct field *f, const struct param *p, const json_t *v,
                             struct speech_params *to, struct api_error *e)
{
    void *place = params_place(f, to);
    int i = 0;
    switch (p->type) {
    case PARAM_STRING:
        return read_string(p, v, place, e);
    case PARAM_VOICE:
        return read_voice(p, v, place, e);
    case PARAM_ENUM:
        if (read_enum(p, v, &i, e) < 0)
            return -1;
        if (f->parameter)
            *(const char **)place = p->values[i];
        else
            *(int *)place = i;
        return 0;
    case PARAM_BOOL:
        if (!json_is_boolean(v))
            return wrong_type(p, "true or false", v, e);
        *(int *)place = json_is_true(v);
        return 0;
    case PARAM_CLIPS:
        if (!json_is_array(v))
            return wrong_type(p, "a list", v, e);
        *(const json_t **)place = v;
        return 0;
    case PARAM_TIMES:
        return read_times(p, v, place, e);
    case PARAM_OPTIONS:
        if (!json_is_object(v))
            return wrong_type(p, "an object", v, e);
        if (json_is_false(json_object_get(v, "normalize")))
            *(int *)place = 0;
        return 0;
    case PARAM_REFUSED:
        return refuse_speaker(p->name, e);
    default:
        return params_keep_number(f, p, v, to, e);
    }
}

/* The name goes into a header, so other characters than printable ASCII become ?. */
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
    for (size_t i = 0; i < N_FIELD; i++)
        near_try(&near, fields[i].name);
    const char *best = near_found(&near);
    return api_fail(e, FAULT_UNKNOWN_FIELD, name, "there is no field '%.64s'%s%s%s", name,
                    best ? "; did you mean '" : "", best ? best : "", best ? "'?" : "");
}

static bool names_speaker(const char *name)
{
    for (size_t i = 0; i < sizeof speaker_words / sizeof *speaker_words; i++)
        if (strstr(name, speaker_words[i]))
            return true;
    return false;
}

static int check_names(json_t *json, const struct param_limits *limits, char *ignored, size_t size,
                       struct api_error *e)
{
    const char *name;
    json_t *value;
    int n = 0;
    json_object_foreach(json, name, value)
    {
        size_t i = 0;
        while (i < N_FIELD && strcmp(name, fields[i].name) != 0)
            i++;
        if (i < N_FIELD)
            continue;
        if (limits->strict)
            return refuse_field(name, e);
        if (names_speaker(name) && !names_nobody(value))
            return refuse_speaker(name, e);
        note_ignored(ignored, size, name, n++);
    }
    return 0;
}

static int read_object(json_t *json, const struct param_limits *limits, struct speech_params *to,
                       struct api_error *e)
{
    struct param p;
    for (size_t i = 0; params_at(i, &p); i++) {
        const json_t *v = json_object_get(json, p.name);
        if (strcmp(p.name, "input") == 0)
            p.max = limits->max_input_chars;
        if (!v && p.required)
            return api_fail(e, FAULT_MISSING, p.name, "the field '%s' is missing", p.name);
        /* Clients send null for fields that they leave to the server. */
        if (!v || (json_is_null(v) && !p.required))
            continue;
        if ((p.type == PARAM_REFUSED || p.type == PARAM_CLIPS) && names_nobody(v))
            continue;
        if (params_read_field(&fields[i], &p, v, to, e) < 0)
            return -1;
    }
    return 0;
}

int params_parse(const char *body, size_t n, const struct param_limits *limits,
                 struct speech_params *ret, struct api_error *e)
{
    json_error_t why;
    struct speech_params p = {
        .encoder = {.format = "mp3"}, .volume = 1, .stream = 1, .return_timestamps = 1};
    json_t *json = json_loadb(body, n, 0, &why);
    jabbertts_request_init(&p.request);
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
        read_object(json, limits, &p, e) < 0) {
        json_decref(json);
        return -1;
    }
    p.json = json;
    p.n_char = params_count_chars(p.request.text);
    *ret = p;
    return 0;
}

void params_done(struct speech_params *p)
{
    jabbertts_voice_free(p->imitated);
    json_decref(p->json);
    p->imitated = NULL;
    p->json = NULL;
}
