/* shelf.h - the directory of installed models.
 *
 *     DIR/NAME/manifest.json    what it is; written last, by rename: without it there is no model
 *     DIR/NAME/FILE.gguf        the one that the manifest names
 *     DIR/NAME/used             its time is when the model was used last
 *     DIR/.default              a link to the NAME of the default model; none: no model is
 *     DIR/.lock/NAME            held (flock) by whoever changes DIR/NAME or DIR/.pull/NAME
 *     DIR/.pull/NAME/           what a pull has so far
 *
 * A manifest may have been edited: it is hostile until shelf_parse has returned.
 * Threads: any; processes by the lock. */
#ifndef HUB_SHELF_H
#define HUB_SHELF_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct manifest {
    char name[100], file[200], source[4300], commit[200], licence[80], licence_url[512], type[16];
    char sha256[65], imatrix[65], version[32]; /* imatrix: SHA-256 of the one used, or "" */
    int64_t bytes, installed_at, accepted_at;  /* seconds since 1970; accepted_at: of the licence */
    json_t *files; /* owned; of the source: [{"name", "bytes", "hash"}] */
};
void shelf_done(struct manifest *m);
int shelf_parse(const char *json, size_t n, struct manifest *ret, struct err *e);
/* ERR_NOT_FOUND: no such model, and what to do. */
int shelf_read(const char *dir, const char *name, struct manifest *ret, struct err *e);
/* The GGUF at from, on the same file system, becomes the model's.  Removes what was before. */
int shelf_install(const char *dir, const char *from, struct manifest *m, struct err *e);
int shelf_remove(const char *dir, const char *name, struct err *e);
void shelf_path(const char *dir, const struct manifest *m, char path[4096]);
int64_t shelf_used(const char *dir, const char *name); /* 0: never */
void shelf_touch(const char *dir, const char *name);
/* The default model's name; false: none was chosen, or it is no more. */
bool shelf_default(const char *dir, char name[100]);
int shelf_set_default(const char *dir, const char *name, struct err *e); /* NULL: none */

/* Take the lock; wait: called while another has it, not 0 stops.  Give it to shelf_unlock. */
int shelf_lock(const char *dir, const char *name, int (*wait)(void *cookie), void *cookie, int *ret,
               struct err *e);
void shelf_unlock(int lock);
/* DIR and all above it. */
int shelf_make_dir(const char *dir, struct err *e);
/* A directory and what is in it; a link is removed, never followed. */
void shelf_erase(const char *path);

#endif
