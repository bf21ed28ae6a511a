/* chain.h - a text in several scripts, of which the model reads one: a chain of streams.
 *
 *     Good morning. Доброе утро. Good night.
 *     `---- 0 ----´ `--- 1 ----´ `--- 2 ---´      0 and 2 the model's, 1 espeak-ng's
 *
 * A request with `fallback` becomes such a chain where its text has sentences in letters that the
 * model does not read.  To its reader it is one stream: each part is a stream of its own, submitted
 * while the one before it is read, and its sound is brought to the model's rate.  Pauses between
 * parts are as between sentences.  SSML is not split: its markup names the languages.
 *
 * Threads: as those of a stream. */
#ifndef ENGINE_CHAIN_H
#define ENGINE_CHAIN_H
#include "engine/stream.h"

struct chain;
/* The sentences of a request that a model does not read: how many runs of them, and the language of
 * the first, as espeak-ng names it (a constant; untouched where there is none). */
int chain_unread(struct jabbertts *model, const struct jabbertts_request *r, const char **language);
/* A stream whose chain is set.  Fails as the parts that are submitted at once do. */
int chain_submit(struct jabbertts *model, const struct jabbertts_request *r,
                 struct jabbertts_stream **ret, struct jabbertts_error *e);

/* What stream.c does for other streams.  read is jabbertts_read or jabbertts_try_read. */
typedef int (*chain_reader)(struct jabbertts_stream *s, float *pcm, int n_max,
                            struct jabbertts_error *e);
int chain_read(struct chain *c, chain_reader read, float *pcm, int n_max,
               struct jabbertts_error *e);
void chain_on_ready(struct chain *c, void (*fn)(void *cookie), void *cookie);
void chain_progress(const struct chain *c, struct jabbertts_progress *p);
void chain_cancel(struct chain *c);
void chain_free(struct chain *c); /* NULL is fine */

#endif
