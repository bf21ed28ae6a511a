/* source.h - where a model comes from: the names we know, what users write, and which files of a
 * repository make a model.
 *
 *     s1-mini                                   a row of the table
 *     OWNER/NAME, hf://OWNER/NAME               a repository of the hub; both take @REVISION, and
 *                                               /FILE.gguf behind that
 *     https://host/path/x.gguf, ENDPOINT/OWNER/NAME
 *     a directory, a file                       what exists in the file system is that
 *
 * Threads: any. */
#ifndef HUB_SOURCE_H
#define HUB_SOURCE_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

#define SOURCE_MAX_FILES 256 /* of one model */

/* A licence by its id on the hub; NULL: not one we know. */
struct licence {
    const char *id, *title, *url;
};
const struct licence *licence_find(const char *id);
bool licence_is_non_commercial(const char *id);

struct known_model {
    const char *name, *repository, *licence;
};
/* By name or by repository; NULL: none. */
const struct known_model *source_known(const char *name);

enum source_kind { SOURCE_HUB, SOURCE_URL, SOURCE_DIRECTORY, SOURCE_FILE };

struct source {
    enum source_kind kind;
    const struct known_model *known;     /* asked for by its name; or NULL */
    char repository[200], revision[200]; /* SOURCE_HUB */
    char file[512];                      /* of a repository: one GGUF; "": find out */
    char place[4096];                    /* url or path */
    char canonical[4300];                /* as a pull takes it again */
};
int source_parse(const char *text, const char *endpoint, struct source *ret, struct err *e);
/* The name a model gets if none is given: letters, digits and . _ - */
int source_name(const struct source *s, char *to, size_t n, struct err *e);
/* 0 if the name may be a model's; else an error. */
int source_check_name(const char *name, struct err *e);

/* What the hub says of a repository (/api/models/ID/revision/REV), and what we take of it. */
struct repository {
    char commit[80], licence[80], licence_url[512];
    int n_file;
    char *file[SOURCE_MAX_FILES]; /* owned */
};
/* gguf: the name of the file that is wanted; NULL: the checkpoint, or the only GGUF. */
int repository_read(const char *json, size_t n, const char *gguf, struct repository *ret,
                    struct err *e);
/* From names alone, as a cache has them. */
int repository_choose(const char *const *names, int n_name, const char *gguf,
                      struct repository *ret, struct err *e);
void repository_done(struct repository *r);

#endif
