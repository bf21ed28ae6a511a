/* kokoro.h - names of voices that clients of Kokoro's servers send, for the same kind of voice.
 *
 * Threads: any; the table is constant. */
#ifndef SERVER_KOKORO_H
#define SERVER_KOKORO_H

/* The OpenAI name that stands for Kokoro's: af_bella is coral.  A mixture, af_bella(2)+af_sky, is
 * none: ask.c refuses it.  NULL: it is none of theirs. */
const char *kokoro_voice(const char *name);

#endif
