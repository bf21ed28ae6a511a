/* talk.h - speech of a text that arrives in pieces, as from a language model that is still writing.
 *
 *     talk_new(tts, &request, &t, &e);
 *     talk_add(t, "The first sen", 13);     one thread: the text, as it comes
 *     talk_add(t, "tence. The ", 11);       spoken from here on
 *     talk_flush(t);                        nothing came for a while: speak what is there
 *     talk_end(t);
 *     while ((n = talk_read(t, pcm, 4096, &e)) > 0) ...      another thread: the sound
 *     talk_free(t);
 *
 * Text is spoken in parts: whole sentences, as soon as what follows them has begun, or as much as
 * TALK_MAX_BYTES holds.  Each part is a request of its own, with the seed's number raised by one,
 * and is submitted while the one before it is read.  Where parts are cut depends on the text and on
 * flushes alone, not on how it came: without flushes the same text is the same sound.  On the
 * public header alone.
 *
 * Threads: add, flush and end by one; read by one; cancel by any. */
#ifndef SERVER_TALK_H
#define SERVER_TALK_H
#include <stddef.h>
#include "jabbertts.h"

#define TALK_MAX_BYTES  600       /* of a part without a sentence's end */
#define TALK_WAIT_BYTES (1 << 20) /* of text that waits to be spoken */

struct talk;
/* Strings of the request are copied; its text is not looked at.  The voice and model are tried. */
int talk_new(struct jabbertts *tts, const struct jabbertts_request *r, struct talk **ret,
             struct jabbertts_error *e);
void talk_free(struct talk *t);      /* NULL is fine */
int talk_rate(const struct talk *t); /* Hz of its sound */
/* 0, or JABBERTTS_ERR_LIMIT when more than TALK_WAIT_BYTES wait, JABBERTTS_ERR_MEMORY,
 * JABBERTTS_ERR_CANCELLED after talk_cancel. */
int talk_add(struct talk *t, const char *text, size_t n);
int talk_flush(struct talk *t);
int talk_end(struct talk *t);
/* Barge-in: drops everything that was not read yet; talk_read fails with ERR_CANCELLED. */
void talk_cancel(struct talk *t);
/* Waits for sound: samples, 0 at the end, or a negative status. */
int talk_read(struct talk *t, float *pcm, int n_max, struct jabbertts_error *e);
/* Bytes that the first part takes of a text, 0: none is whole yet.  ended: no more will come. */
size_t talk_cut(const char *text, size_t n, int ended);

#endif
