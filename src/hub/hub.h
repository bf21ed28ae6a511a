/* hub.h - inside of jabbertts_hub: options, copied, and the parts that a pull is made of.
 *
 *     survey.c   what a source is: files, sizes, hashes, licence, commit
 *     pull.c     plan, download, convert, install
 *     hub.c      the rest of the public header
 */
#ifndef HUB_HUB_H
#define HUB_HUB_H
#include "hub/fetch.h"
#include "hub/shelf.h"
#include "hub/source.h"
#include "jabbertts_hub.h"

struct jabbertts_hub {
    char dir[2048], endpoint[512], cache[2048], ca_file[2048]; /* "": none */
    char token[512];
    bool offline;
    int connections;
    double stall_s;
};

/* One file of a model on its way. */
struct pull_file {
    char *name; /* borrowed from struct repository, or "model.gguf" */
    struct fetch_file fetch;
    char cached[4096]; /* where it lies already; "": to be downloaded */
};

struct survey {
    struct source source;
    struct repository repository;
    char licence[80], licence_url[512], commit[200];
    int n_file;
    struct pull_file *file; /* [n_file], owned */
    bool is_gguf;
};
void survey_done(struct survey *s);
/* Asks the hub, a server, the cache or the file system. */
int survey_make(struct jabbertts_hub *h, struct web *w, const char *source, struct survey *ret,
                struct err *e);
/* The commit (or ETag) the source has now, of what would be installed. */
int survey_commit(struct jabbertts_hub *h, struct web *w, const char *source, char commit[200],
                  struct err *e);
void survey_subject(const struct jabbertts_hub *h, const struct source *s, const char *file,
                    char page[800], struct subject *ret);

int hub_web(struct jabbertts_hub *h, struct web *w, struct err *e);
/* 1: installed now, 0: it was already */
int pull_run(struct jabbertts_hub *h, const struct jabbertts_pull *ask,
             char name[JABBERTTS_HUB_NAME], struct err *e);

#endif
