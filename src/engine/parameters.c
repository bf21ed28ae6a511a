/* parameters.c - the tables of what may be asked for: parameters of speech, formats of sound. */
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#include "audio/audio.h"
#include "engine/engine.h"

#define REQUEST(field) 0, offsetof(struct jabbertts_request, field)
#define ENCODER(field) 1, offsetof(struct jabbertts_encoder_options, field)
#define SEED_MAX       9007199254740991.0 /* 2^53-1: what a JSON number holds exactly */

static const struct jabbertts_parameter parameters[] = {
    {"text", JABBERTTS_TYPE_STRING, REQUEST(text), 1, LIMIT_TEXT_BYTES, 0, "the text to speak"},
    {"voice", JABBERTTS_TYPE_STRING, REQUEST(voice), 1, LIMIT_VOICE_NAME_BYTES, 0,
     "name or alias of a voice"},
    {"instructions", JABBERTTS_TYPE_STRING, REQUEST(instructions), 0, 4096, 0,
     "how to speak; models that know markers get the one it names: whispering, excited ..."},
    {"format", JABBERTTS_TYPE_STRING, ENCODER(format), 1, 8, 0, "format of the sound"},
    {"speed", JABBERTTS_TYPE_DOUBLE, ENCODER(speed), 0.25, 4, 1, "pitch is kept"},
    {"seed", JABBERTTS_TYPE_U64, REQUEST(seed), -1, SEED_MAX, 0,
     "another seed, another reading; the same seed, the same sound; -1 chooses one"},
    {"temperature", JABBERTTS_TYPE_FLOAT, REQUEST(temperature), 0, 2, -1,
     "of sampling; the model's own when absent"},
    {"top_p", JABBERTTS_TYPE_FLOAT, REQUEST(top_p), 0.01, 1, -1,
     "of sampling; the model's own when absent"},
    {"repetition_penalty", JABBERTTS_TYPE_FLOAT, REQUEST(repetition_penalty), 0.5, 2, -1,
     "of sampling; the model's own when absent"},
    {"max_seconds", JABBERTTS_TYPE_DOUBLE, REQUEST(max_seconds), 0, LIMIT_AUDIO_SECONDS, 0,
     "of sound; 0 for as long as the text needs"},
    {"sample_rate", JABBERTTS_TYPE_INT, ENCODER(out_hz), 8000, 48000, 0,
     "Hz; when absent 24000 for pcm, else the model's or the nearest the format knows"},
    {"language", JABBERTTS_TYPE_STRING, REQUEST(language), 0, 32, 0,
     "of the text, as a tag or in English: en-GB, de, German; auto, or when absent: told sentence "
     "by sentence"},
    {"normalize", JABBERTTS_TYPE_INT, REQUEST(normalize), 0, 1, 1,
     "false: the text goes to the model as it was written, Markdown and numbers too"},
    {"carry_markers", JABBERTTS_TYPE_INT, REQUEST(carry_markers), 0, 1, 1,
     "true: an emotion or tone at a sentence's start, (sad), leads the rest of its paragraph"},
    {"context_sentences", JABBERTTS_TYPE_INT, REQUEST(context_sentences), 0,
     LIMIT_CONTEXT_SENTENCES, 0,
     "sentences before each one that the model hears, so that a long text stays one voice; they "
     "are "
     "then made one after the other"},
    {"repair", JABBERTTS_TYPE_INT, REQUEST(repair), 0, JABBERTTS_REPAIR_ALL, JABBERTTS_REPAIR_LATER,
     "0: no sentence that fails is made again; 1: those behind the first are; 2: the first, too, "
     "whose sound comes when all of it is made"},
};
#define N_PARAMETER (sizeof parameters / sizeof *parameters)

const struct jabbertts_parameter *jabbertts_parameter_at(size_t i)
{
    return i < N_PARAMETER ? &parameters[i] : NULL;
}

const struct jabbertts_parameter *jabbertts_parameter_find(const char *name)
{
    for (size_t i = 0; i < N_PARAMETER; i++)
        if (strcmp(parameters[i].name, name) == 0)
            return &parameters[i];
    return NULL;
}

static uint64_t parameter_seed(double value)
{
    uint64_t seed = (uint64_t)value;
    if (value < 0 && getrandom(&seed, sizeof seed, 0) == sizeof seed)
        seed &= (uint64_t)SEED_MAX;
    return seed;
}

int jabbertts_parameter_set(const struct jabbertts_parameter *p, void *to, double value,
                            struct jabbertts_error *error)
{
    char *at = (char *)to + p->offset;
    bool whole = p->type == JABBERTTS_TYPE_INT || p->type == JABBERTTS_TYPE_U64;
    struct err e = {0};
    if (p->type == JABBERTTS_TYPE_STRING)
        return engine_return(error, &e,
                             err_set(&e, ERR_ARGUMENT, "%s is a string, not a number", p->name));
    if (!(value >= p->min && value <= p->max) || (whole && value != floor(value)))
        return engine_return(error, &e,
                             err_set(&e, ERR_ARGUMENT, "%s is %.16g, must be %s%.16g to %.16g",
                                     p->name, value, whole ? "a whole number, " : "", p->min,
                                     p->max));
    if (p->type == JABBERTTS_TYPE_FLOAT)
        *(float *)at = (float)value;
    else if (p->type == JABBERTTS_TYPE_DOUBLE)
        *(double *)at = value;
    else if (p->type == JABBERTTS_TYPE_INT)
        *(int *)at = (int)value;
    else
        *(uint64_t *)at = parameter_seed(value);
    return 0;
}

/* --- formats --- */

int jabbertts_format_at(size_t i, struct jabbertts_format *ret)
{
    const struct audio_format_info *f = audio_format_at(i);
    if (f)
        *ret = (struct jabbertts_format){f->name, f->type, f->endings};
    return f ? 0 : JABBERTTS_ERR_NOT_FOUND;
}

int jabbertts_format_find(const char *name, struct jabbertts_format *ret)
{
    enum audio_format f;
    return audio_format_from_name(name, &f, NULL) < 0 ? JABBERTTS_ERR_NOT_FOUND
                                                      : jabbertts_format_at((size_t)f, ret);
}
