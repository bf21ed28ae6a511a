/* params.h - the fields of a speech request: one table of name, type, range and default.
 *
 *     struct speech_params p;
 *     if (params_parse(body, n, &limits, &p, &e) < 0) ...     e names the field, the value, the fix
 *     params_done(&p);
 *
 * Rows that the engine knows take range, default and help from its table (jabbertts_parameter_at),
 * and their values go straight into the engine's request.  Parsing and the OpenAPI document follow
 * the rows.  Threads: any. */
#ifndef SERVER_PARAMS_H
#define SERVER_PARAMS_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "jabbertts.h"
#include "server/errors.h"

#define PARAM_VALUES 12

enum param_type {
    PARAM_STRING,
    PARAM_VOICE,
    PARAM_ENUM,
    PARAM_NUMBER,
    PARAM_INTEGER,
    PARAM_BOOL,
    PARAM_TIMES,   /* a list of what gets times */
    PARAM_CLIPS,   /* recordings to imitate */
    PARAM_OPTIONS, /* Kokoro's object of options, of which one is known */
    PARAM_REFUSED /* would choose a voice that does not exist here: anything but null is an error */
};

struct param {
    const char *name;
    enum param_type type;
    bool required;
    double min, max;                  /* numbers: inclusive; strings: characters */
    double preset;                    /* of numbers, booleans (0, 1), enums (index); < min: none */
    const char *values[PARAM_VALUES]; /* of an enum, NULL after the last */
    const char *help;
};
bool params_at(size_t i, struct param *ret); /* false after the last */

enum { PARAM_TIMES_WORD = 1, PARAM_TIMES_SENTENCE = 2 };

struct speech_params {
    json_t *json; /* owns the strings */
    struct jabbertts_request request;
    struct jabbertts_encoder_options encoder; /* format, rate, speed */
    const char *model;
    const json_t *references;         /* a list, or NULL: as recordings.h reads it */
    struct jabbertts_voice *imitated; /* made of them when it is submitted; its own */
    const char *ref_audio, *ref_text; /* one recording in base64, or NULL */
    double volume;                    /* factor of amplitude */
    int download;                     /* 1: the sound can be fetched once more */
    int stream_format, stream;        /* 0: audio, 1: sse; 0: send the sound when it is whole */
    int times;                        /* PARAM_TIMES_*, together */
    int return_timestamps;            /* of Kokoro's captioned_speech */
    size_t n_char;                    /* of the text */
    char ignored[200];                /* unknown fields, with commas; "": none */
    const char *unread; /* ask.c: a language of the text that the model does not read; NULL: none */
};

struct param_limits {
    int max_input_chars;
    bool strict; /* unknown fields are errors */
};
int params_parse(const char *body, size_t n, const struct param_limits *limits,
                 struct speech_params *ret, struct api_error *e);
void params_done(struct speech_params *p); /* only after the pump that speaks them is freed */

/* Code points of valid UTF-8. */
size_t params_count_chars(const char *s);

#endif
