/* stock.h - voices for a model that comes without any: those of the built-in model.
 *
 * A converted model has weights and no voices.  The built-in one has codes of seventeen, ours and
 * freely licensed; its codec turns them into sound, which the other model's encoder turns into
 * codes of its own when a voice is first asked for.  A model without an encoder draws a voice for
 * each name instead: a sentence said without a reference, with a seed of the name's own.  So every
 * model answers to the same names from the first request, and always with the same voice.
 *
 * Threads: any, at once. */
#ifndef DUAL_AR_STOCK_H
#define DUAL_AR_STOCK_H
#include "engine/dual_ar/dual_ar.h"

struct stock;
/* For an open model that has no voices: *names become its own.  *ret NULL: it has some, or the
 * built-in model is not there. */
int stock_open(const struct model *m, struct voices **names, struct stock **ret, struct err *e);
void stock_close(struct stock *s); /* NULL is fine */
/* As a request's voice: none at all, not even the default one. */
#define STOCK_NOBODY ""
/* The voice as the model of tts knows it.  It is made when it is first asked for: imitated, or
 * drawn by speaking, which waits for the engine thread.  Then it is kept until stock_close, and
 * permanently in the voice store if there is one. */
int stock_voice(struct jabbertts *tts, const char *name, struct references *ref, struct err *e);

#endif
