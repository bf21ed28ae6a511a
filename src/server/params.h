/* params.h - the fields of a speech request: one table of name, type, range and default.
 *
 *     struct speech_params p;
 *     if (params_parse(body, n, &limits, &p, &e) < 0) ...     e names the field, the value, the fix
 *     params_done(&p);
 *
 * Parsing, the OpenAPI document and the reference in docs/HTTP.md follow the table.
 * Threads: any. */
#ifndef SERVER_PARAMS_H
#define SERVER_PARAMS_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "server/http.h"

enum param_type { PARAM_STRING, PARAM_VOICE, PARAM_ENUM, PARAM_NUMBER, PARAM_INTEGER, PARAM_BOOL };

struct param {
    const char *name;
    enum param_type type;
    bool required;
    double min, max;           /* numbers: inclusive; strings: characters */
    double preset;             /* default of numbers, booleans (0, 1) and enums (index) */
    const char *const *values; /* of an enum, NULL after the last */
    const char *help;
};
const struct param *params_at(size_t i); /* NULL after the last */

enum speech_format { FORMAT_MP3, FORMAT_OPUS, FORMAT_AAC, FORMAT_FLAC, FORMAT_WAV, FORMAT_PCM };
const char *params_format_name(enum speech_format f);
const char *params_format_type(enum speech_format f); /* Content-Type */

struct speech_params {
    json_t *json; /* owns the strings */
    const char *model, *input, *voice, *instructions, *language;
    size_t n_char; /* of input */
    enum speech_format response_format;
    bool sse, stream;
    double speed, temperature, top_p, repetition_penalty; /* the last three < 0: not given */
    int64_t seed;
    int sample_rate;   /* Hz; 0: not given */
    char ignored[200]; /* names of the fields that mean nothing here; "": none */
};

struct param_limits {
    int max_input_chars;
    bool strict; /* unknown fields are errors */
};
int params_parse(const char *body, size_t n, const struct param_limits *limits,
                 struct speech_params *ret, struct api_error *e);
void params_done(struct speech_params *p);

/* Code points of valid UTF-8. */
size_t params_count_chars(const char *s);

#endif
