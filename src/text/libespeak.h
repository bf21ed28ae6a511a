/* libespeak.h - the one door to libespeak-ng, which keeps everything in globals.
 *
 *     if (libespeak_begin("en-us", &e) < 0) ...      takes the lock; not on failure
 *     rc = libespeak_ipa("hello there", &ipa);
 *     libespeak_end();
 *
 * Between begin and end nothing else may use the library, so do little there: a clause becomes
 * phonemes in microseconds, a sentence becomes sound in a millisecond or two.  What is given to it
 * must have been made harmless by phonemes.c: releases up to 1.51 overrun their buffers on long
 * words.
 *
 * Threads: any. */
#ifndef TEXT_LIBESPEAK_H
#define TEXT_LIBESPEAK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

struct libespeak_voice {
    const char *language, *name;
}; /* "de", "German" */

/* Voice: a language of the list below, perhaps with a variant of the speaker: "de", "en-us+f3".
 * Other tags find the nearest: "de-AT" is "de", "zh" is "cmn".  An unknown one is ERR_NOT_FOUND. */
int libespeak_begin(const char *voice, struct err *e);
void libespeak_end(void);

/* Append the IPA of words, which end in a NUL: 0, ERR_LIMIT or ERR_MEMORY. */
int libespeak_ipa(const char *words, struct buf *out);

/* Gets mono samples of 16 bits as they are made; anything but 0 stops the speech. */
typedef int (*libespeak_sink)(void *cookie, const int16_t *pcm, int n);
/* Speak text with the pause that its last mark asks for.  0, or what the sink returned. */
int libespeak_speak(const char *text, libespeak_sink sink, void *cookie);

const char *libespeak_version(void); /* of the library; needs no begin */

/* i-th voice by language, NULL after the last (or without espeak-ng's data).  Takes the lock
 * itself; lives as long as the program. */
const struct libespeak_voice *libespeak_voice_at(int i);
int libespeak_rate(void); /* Hz of all speech: the library knows no other */

#endif
