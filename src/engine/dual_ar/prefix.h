/* prefix.h - a cache of keys and values for beginnings of prompts that come again.
 *
 * A prompt begins with its references, the same columns for every text spoken with a voice.  The
 * keys and values that the slow transformer computes for them depend on nothing behind them, so
 * they are computed once, kept, and copied into the slot of each later request; samples are the
 * same bit for bit.  Entries are found by their columns, not by a voice's name, and the longest
 * that a prompt begins with serves; the least recently used one goes when the limit is reached.
 * With a directory they outlast the program, as files (prefix_file.h) that other processes read.
 *
 *     if (prefix_restore(c, ar_prompt(a), ar_slot(a)) == 0) ...     the step feeds the whole prompt
 *     ar_step(...);
 *     prefix_save(c, ar_prompt(a), ar_slot(a), true);               does nothing when it is known
 *
 * Threads: the engine thread. */
#ifndef ENGINE_PREFIX_H
#define ENGINE_PREFIX_H
#include "model/ar.h"

#define PREFIX_MIN_COLUMNS 16 /* computing shorter ones is faster than a look-up */
#define PREFIX_MAX_ENTRIES 256

struct prefix_cache;
struct prefix_options {
    size_t max_bytes;                /* of keys and values; 0: nothing is kept */
    const char *dir;                 /* keep them there, too; must exist; NULL: in memory alone */
    const char *model, *isa, *cache; /* with dir: the model's file, the instruction set and the type
                                      of keys and values in use */
};
int prefix_cache_new(const struct prefix_options *o, struct prefix_cache **ret, struct err *e);
void prefix_cache_free(struct prefix_cache *c);

/* Fill an empty slot with as much of the prompt's prefix as is known; returns how many columns. */
int prefix_restore(struct prefix_cache *c, const struct prompt *p, struct lm_slot *slot);
/* Keep the prefix of a prompt that the slot has seen; lasting: on disk as well.  Failing to keep or
 * write it is no error: it is computed again the next time. */
void prefix_save(struct prefix_cache *c, const struct prompt *p, const struct lm_slot *slot,
                 bool lasting);
/* Keep all that the slot has seen, a prompt and the n_frame frames [n_frame, 1 + Q] said behind it,
 * for the one prompt that goes on from there; restoring it takes it out. */
void prefix_save_said(struct prefix_cache *c, const struct prompt *p, const int32_t *frames,
                      int n_frame, const struct lm_slot *slot);

#endif
