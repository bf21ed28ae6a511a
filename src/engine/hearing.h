/* hearing.h - whether a recording is good for a voice, and who speaks in it: model/ear.h's
 * measurements as advice in sentences.
 *
 * Threads: any; one recording at a time is listened to. */
#ifndef ENGINE_HEARING_H
#define ENGINE_HEARING_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "model/ear.h"

#define HEARING_ONE_SPEAKER 0.75 /* two parts of one speaker are more alike (docs/QUALITY.md) */

struct models;
struct hearing {
    double speech_s;        /* seconds of speech */
    double noise_db;        /* what is between the words is so far below them; < 0: not known */
    double apart;           /* likeness of the two groups of prints that are furthest apart */
    bool has_print;         /* false: models/ear.gguf is not there */
    float print[EAR_PRINT]; /* of the speech in it */
    char advice[512];       /* sentences; "": there is nothing to say */
};
/* n samples at EAR_HZ.  ERR_FORMAT: it is not, or not mainly, speech.  Without the networks no
 * recording is refused, and nothing is known about it. */
int hearing_of(struct models *all, const float *pcm, size_t n, struct hearing *h, struct err *e);
/* More advice, a sentence as printf makes it. */
void hearing_advise(struct hearing *h, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
