/* stock.h - voices for a model that comes without any: those of the built-in model.
 *
 * A converted model has weights and no voices.  The built-in one has codes of seventeen, ours and
 * freely licensed; its codec turns them into sound, which the other model's encoder turns into
 * codes of its own when a voice is first asked for.  So every model with an encoder answers to the
 * same names from the first request, and always with the same voice.
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
/* The voice as the model of tts knows it; made when it is first asked for, then kept until
 * stock_close.  A model without an encoder has no codes of it: ref->codes is NULL. */
int stock_voice(struct jabbertts *tts, const char *name, struct prompt_reference *ref,
                struct err *e);

#endif
