/* voice_cache.h - codes of voices that were read from a database on another machine, kept so that
 * speech does not wait for it.
 *
 *     if (voice_cache_due(c, &changes)) ...          ask the database for its count of changes, and
 *         voice_cache_checked(c, count);             another count than before empties the cache
 *     n = voice_cache_find(c, &which, model, fn, cookie, &e);      clips shown; 0: it is not here
 *     keep = voice_cache_new(&which, model);         NULL is fine below
 *     voice_cache_add(keep, &codes);                 for each clip
 *     voice_cache_keep(c, changes, keep);            takes it; changes: as before it was read
 *
 * The count is asked for once a second, by one thread; after a failure, every two seconds.
 *
 * Threads: any; a cached_voice belongs to one until it is kept. */
#ifndef STORE_VOICE_CACHE_H
#define STORE_VOICE_CACHE_H
#include <stdbool.h>
#include "store/store.h"

#define VOICE_CACHE_MAX     128
#define VOICE_CACHE_CHECK_S 1
#define VOICE_CACHE_AWAY_S  300 /* so long it is believed without being checked */

struct voice_cache;
struct cached_voice;

struct voice_cache *voice_cache_open(void); /* NULL: no memory */
void voice_cache_close(struct voice_cache *c);
bool voice_cache_due(struct voice_cache *c, int64_t *changes); /* as they were known last */
void voice_cache_checked(struct voice_cache *c, int64_t changes);
bool voice_cache_is_fresh(struct voice_cache *c); /* may it be believed without a check? */
void voice_cache_forget(struct voice_cache *c);   /* this process has changed something */

int voice_cache_find(struct voice_cache *c, const struct jabbertts_which *which, int64_t model,
                     store_codes_fn fn, void *cookie, struct err *e);
struct cached_voice *voice_cache_new(const struct jabbertts_which *which, int64_t model);
void voice_cache_add(struct cached_voice *v, const struct store_codes *codes);
/* changes < 0, or not those that are known now: it is not kept. */
void voice_cache_keep(struct voice_cache *c, int64_t changes, struct cached_voice *v);

#endif
