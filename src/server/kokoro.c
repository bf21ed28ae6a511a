#include "server/kokoro.h"

#include <stddef.h>
#include <string.h>

/* Of Kokoro 82M 1.0: a or b for American or British English, f or m for the kind of voice.  The
 * same name where OpenAI has it, else one of the same kind. */
static const char *const voices[][2] = {
    {"af_alloy", "alloy"},   {"af_aoede", "marin"},    {"af_bella", "coral"},
    {"af_heart", "nova"},    {"af_jessica", "sage"},   {"af_kore", "shimmer"},
    {"af_nicole", "marin"},  {"af_nova", "nova"},      {"af_river", "sage"},
    {"af_sarah", "shimmer"}, {"af_sky", "coral"},      {"am_adam", "onyx"},
    {"am_echo", "echo"},     {"am_eric", "ash"},       {"am_fenrir", "cedar"},
    {"am_liam", "verse"},    {"am_michael", "ballad"}, {"am_onyx", "onyx"},
    {"am_puck", "fable"},    {"am_santa", "cedar"},    {"bf_alice", "sage"},
    {"bf_emma", "nova"},     {"bf_isabella", "coral"}, {"bf_lily", "shimmer"},
    {"bm_daniel", "echo"},   {"bm_fable", "fable"},    {"bm_george", "ash"},
    {"bm_lewis", "verse"},
};

const char *kokoro_voice(const char *name)
{
    size_t n = strcspn(name, "("); /* a weight */
    if (strchr(name, '+'))
        return NULL; /* a mixture */
    for (size_t i = 0; i < sizeof voices / sizeof *voices; i++)
        if (strlen(voices[i][0]) == n && strncmp(voices[i][0], name, n) == 0)
            return voices[i][1];
    return NULL;
}
