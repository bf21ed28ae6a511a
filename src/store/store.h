/* store.h - what must last: voices and consents with their recordings, and for each voice its codes
 * per model.  They are rows of a SQLite file, voices.sqlite, or of a PostgreSQL server that
 * replicas share; what may be stored is decided by the callers.
 *
 *     if (store_open(dir, &s, &e) < 0) ...            or a postgresql:// URL
 *     store_add(s, JABBERTTS_VOICE, &row, &codes, &e);
 *     store_get(s, &(struct jabbertts_which){.id = "mine"}, fn, cookie, &e);
 *     store_close(s);
 *
 * Rows are the public header's.  A row belongs to an owner, a name that is theirs alone; "" is
 * everyone's.  An owner sees their own rows and those of "", and changes only their own; with owner
 * NULL all are seen and may be changed.  Names of voices are unique for each owner.
 *
 * Codes that were read from a server are kept in memory (voice_cache.h): at most a second after a
 * voice was changed at one replica, the others know.  While the server is away, voices that were
 * spoken before are spoken on; for the others it is ERR_AWAY.
 *
 * Threads: any. */
#ifndef STORE_STORE_H
#define STORE_STORE_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "jabbertts.h"

struct store_codes {  /* of one clip */
    int64_t model;    /* fingerprint of what made them */
    const char *text; /* the transcript as the model reads it */
    int n_frame;
    const void *codes; /* int32 [codebooks, n_frame] */
    size_t n_bytes;
};

int store_open(const char *where, struct jabbertts_store **ret, struct err *e);
void store_close(struct jabbertts_store *s); /* NULL is fine */

/* In one transaction, with the codes [n_codes] of its clips.  ERR_ARGUMENT: the name is taken. */
int store_add(struct jabbertts_store *s, enum jabbertts_kind kind,
              const struct jabbertts_stored *row, const struct store_codes *codes, int n_codes,
              struct err *e);
/* By which->id, of voices also a name.  ERR_NOT_FOUND. */
int store_get(struct jabbertts_store *s, const struct jabbertts_which *which,
              jabbertts_stored_fn fn, void *cookie, struct err *e);
/* At most which->limit after which->id (NULL: from the first), oldest first; 1 if there are
 * more. */
int store_list(struct jabbertts_store *s, const struct jabbertts_which *which,
               jabbertts_stored_fn fn, void *cookie, struct err *e);
/* ERR_DENIED: it can be seen, but is another owner's. */
int store_rename(struct jabbertts_store *s, const struct jabbertts_which *which, const char *name,
                 struct err *e);
int store_remove(struct jabbertts_store *s, const struct jabbertts_which *which, struct err *e);

/* Of all clips of a voice, in their order. */
int store_add_codes(struct jabbertts_store *s, const char *voice_id,
                    const struct store_codes *codes, int n_codes, struct err *e);
/* fn gets the codes that a model made of a clip; it returns 0 or an error. */
typedef int (*store_codes_fn)(void *cookie, const struct store_codes *codes, struct err *e);
/* Of all clips of a voice, in their order; how many there were. */
int store_get_codes(struct jabbertts_store *s, const struct jabbertts_which *which, int64_t model,
                    store_codes_fn fn, void *cookie, struct err *e);

/* An anchor: the codes that stand for a name where a model has no recording of its own.  The first
 * that is kept stays: adding another does nothing. */
int store_add_anchor(struct jabbertts_store *s, const char *name, const struct store_codes *codes,
                     struct err *e);
int store_get_anchor(struct jabbertts_store *s, const char *name, int64_t model, store_codes_fn fn,
                     void *cookie, struct err *e); /* 1, or 0: there is none */

#endif
