/* jabbertts_hub.h - get models and keep them: pull from the Hugging Face hub, list, verify, remove.
 *
 *     struct jabbertts_hub_options o;
 *     struct jabbertts_pull p;
 *     struct jabbertts_hub *hub;
 *     char name[JABBERTTS_HUB_NAME], path[4096];
 *
 *     jabbertts_hub_options_init(&o);
 *     o.dir = "/var/lib/jabbertts/models";
 *     if (jabbertts_hub_open(&o, &hub, &e) < 0) ...
 *     jabbertts_pull_init(&p);
 *     p.source = "s1-mini";
 *     p.accept_licence = 1;
 *     if (jabbertts_hub_pull(hub, &p, name, &e) < 0) ...     download, check, convert, install
 *     if (jabbertts_hub_find(hub, name, path, sizeof path, &e) < 0) ...
 *     options.model = path;                                     then jabbertts_open
 *     jabbertts_hub_close(hub);
 *
 * An installed model is a directory dir/NAME with one GGUF and manifest.json.  The manifest is
 * written last and by rename: a model is there, whole, or it is not.  A file that is in use is
 * never written to: an update brings a file of another name, and the old one is removed.
 *
 * What a pull has downloaded stays in dir/.pull/NAME until the model is installed; the next pull of
 * that name goes on from there.  Errors are as in jabbertts.h; the message says what to do.
 *
 * Threads: one at a time for each hub.  Several processes may use one directory. */
#ifndef JABBERTTS_HUB_H
#define JABBERTTS_HUB_H
#include "jabbertts.h"

#ifdef __cplusplus
extern "C" {
#endif

struct jabbertts_hub;
#define JABBERTTS_HUB_NAME 100 /* bytes of a model's name, with its 0 */

struct jabbertts_hub_options {
    const char *dir;      /* where models are installed; made when something is pulled */
    const char *endpoint; /* NULL: https://huggingface.co */
    const char *token;    /* sent to the endpoint and to no other host; NULL: none */
    const char *cache;    /* a cache of the hub's own client, read only; NULL: none */
    const char *ca_file;  /* certificates to trust; NULL: the system's */
    int offline;          /* not 0: no network; the cache alone */
    int connections;      /* for one large file, 1..16 (default 4) */
    double stall_s; /* a connection that moves nothing for so long is made anew, 0.1..3600 (10) */
};
JABBERTTS_API void jabbertts_hub_options_init(struct jabbertts_hub_options *o);
JABBERTTS_API int jabbertts_hub_open(const struct jabbertts_hub_options *o,
                                     struct jabbertts_hub **ret, struct jabbertts_error *e);
JABBERTTS_API void jabbertts_hub_close(struct jabbertts_hub *h); /* NULL is fine */

/* --- pulling ---------------------------------------------------------------------------------
 */

/* Before the first byte: what will be installed, under which terms, and what it takes. */
struct jabbertts_pull_plan {
    const char *name, *source, *commit; /* commit: "" unless from a repository */
    const char *licence,
        *licence_title;             /* id as the hub spells it, and in words; "" : not stated */
    const char *licence_url, *page; /* where to read it; the repository's page; "" : none */
    int non_commercial;
    int accepted;     /* no answer is needed: accept_licence, accepted before, or the user's own */
    const char *type; /* of the model file that will be made */
    int64_t download_bytes, disk_bytes, free_bytes, memory_bytes; /* still to come; needed at the
                                                                   * peak; free; while converting */
};

struct jabbertts_pull_progress {
    const char *stage;                    /* wait, check, download, convert, quantize, install */
    const char *file;                     /* or "" */
    const char *note;                     /* why nothing moves, or "" */
    int64_t done_bytes, total_bytes;      /* of the download; of other stages parts of a million */
    double bytes_per_second, remaining_s; /* of the download; < 0: not known */
};

struct jabbertts_pull {
    const char *source;  /* a known name ("s1-mini"), OWNER/NAME or hf://OWNER/NAME, both with
                          * @REVISION and /FILE.gguf as wanted, a URL or path of a GGUF, or a
                          * checkpoint directory */
    const char *name;    /* NULL: the known name, or the source's last part */
    const char *type;    /* "q8", "q4", "mixed", "f16"; NULL: mixed, and a GGUF as it is */
    const char *imatrix; /* a file made by jabbertts_calibrate; NULL: none */
    int keep;            /* the downloaded files stay, in dir/.pull/NAME */
    int accept_licence;  /* yes to whatever it is; else accept is asked */
    /* Shown the plan in any case; not 0: the licence is accepted.  NULL: it is not. */
    int (*accept)(void *cookie, const struct jabbertts_pull_plan *p);
    int (*progress)(void *cookie, const struct jabbertts_pull_progress *p); /* not 0: stop,
                                                                             * ERR_CANCELLED */
    void *cookie;
};
JABBERTTS_API void jabbertts_pull_init(struct jabbertts_pull *p);
/* Returns 1, or 0 if it was installed already from the same source, commit and type; name: what it
 * is called, may be NULL.  A second pull of one name waits for the first. */
JABBERTTS_API int jabbertts_hub_pull(struct jabbertts_hub *h, const struct jabbertts_pull *p,
                                     char name[JABBERTTS_HUB_NAME], struct jabbertts_error *e);

/* --- installed models ------------------------------------------------------------------------
 */

struct jabbertts_installed {
    const char *name, *path;                           /* of the GGUF */
    const char *source;                                /* as a pull takes it */
    const char *commit;                                /* of the repository, or "" */
    const char *licence, *licence_title, *licence_url; /* "" : not stated */
    int non_commercial;
    const char *type, *sha256, *version;  /* of JabberTTS that made it */
    int64_t bytes, installed_at, used_at; /* seconds since 1970; used_at 0: never */
    int is_default;                       /* jabbertts_hub_use chose it */
};
typedef void (*jabbertts_installed_fn)(void *cookie, const struct jabbertts_installed *m);

/* By name.  What is no whole installation is passed over.  Returns how many. */
JABBERTTS_API int jabbertts_hub_list(struct jabbertts_hub *h, jabbertts_installed_fn fn,
                                     void *cookie, struct jabbertts_error *e);
JABBERTTS_API int jabbertts_hub_show(struct jabbertts_hub *h, const char *name,
                                     jabbertts_installed_fn fn, void *cookie,
                                     struct jabbertts_error *e);
/* The path of its GGUF; notes that it is used now. */
JABBERTTS_API int jabbertts_hub_find(struct jabbertts_hub *h, const char *name, char *path,
                                     size_t n, struct jabbertts_error *e);
/* Make it the default model; NULL: none is. */
JABBERTTS_API int jabbertts_hub_use(struct jabbertts_hub *h, const char *name,
                                    struct jabbertts_error *e);
/* Its name; 0, or ERR_NOT_FOUND where none was chosen, or it was removed. */
JABBERTTS_API int jabbertts_hub_default(struct jabbertts_hub *h, char name[JABBERTTS_HUB_NAME]);
/* Reads the GGUF and compares size and SHA-256 with the manifest. */
JABBERTTS_API int jabbertts_hub_verify(struct jabbertts_hub *h, const char *name,
                                       int (*progress)(void *cookie, double fraction), void *cookie,
                                       struct jabbertts_error *e);
/* Programs that have it open keep it until they close it. */
JABBERTTS_API int jabbertts_hub_remove(struct jabbertts_hub *h, const char *name,
                                       struct jabbertts_error *e);
/* Asks whether the source has another commit, and pulls it; p gives accept, progress, keep and
 * cookie.  Returns 1 if it was replaced, 0 if it is the newest. */
JABBERTTS_API int jabbertts_hub_update(struct jabbertts_hub *h, const char *name,
                                       const struct jabbertts_pull *p, struct jabbertts_error *e);

#ifdef __cplusplus
}
#endif
#endif
