#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/clips.h"

#define READ_MAX (64 << 20) /* bytes of a recording or an exported voice */

/* The engine and the store, as far as a verb needs them. */
struct voices {
    const struct options *o;
    struct jabbertts_store *store;
    struct jabbertts *tts;
};

static int voices_open_store(struct voices *c)
{
    struct jabbertts_error e;
    char dir[4096];
    const char *path = cli_voice_dir(c->o->server.voice_dir, dir, sizeof dir);
    return jabbertts_store_open(path, &c->store, &e) < 0 ? cli_error("voices", &e) : 0;
}

static int voices_has_store(const struct voices *c)
{
    char dir[4096];
    return cli_has_voices(cli_voice_dir(c->o->server.voice_dir, dir, sizeof dir));
}

static int voices_open_engine(struct voices *c)
{
    struct jabbertts_options engine = c->o->server.engine;
    struct jabbertts_error e;
    engine.slots = 1;
    return jabbertts_open(&engine, &c->tts, &e) < 0 ? cli_error("voices", &e) : 0;
}

static int voices_close(struct voices *c, int code)
{
    jabbertts_close(c->tts);
    jabbertts_store_close(c->store);
    return code;
}

static bool voices_of_espeak(const struct voices *c)
{
    return c->o->server.engine.model && !strcmp(c->o->server.engine.model, "espeak-ng");
}

/* --- listing: columns as wide as their widest field --- */

enum { N_COLUMN = 5 };
struct listing {
    char *(*row)[N_COLUMN]; /* owned strings */
    size_t n;
    int out_of_memory;
};

static void listing_add(struct listing *l, const char *const field[N_COLUMN])
{
    void *row = realloc(l->row, (l->n + 1) * sizeof *l->row);
    if (!row) {
        l->out_of_memory = 1;
        return;
    }
    l->row = row;
    for (int i = 0; i < N_COLUMN; i++)
        if (!(l->row[l->n][i] = strdup(field[i] && *field[i] ? field[i] : "-")))
            l->out_of_memory = 1;
    l->n++;
}

static int listing_print(struct listing *l)
{
    int width[N_COLUMN] = {0};
    for (size_t i = 0; !l->out_of_memory && i < l->n; i++)
        for (int k = 0; k < N_COLUMN; k++)
            if ((int)strlen(l->row[i][k]) > width[k])
                width[k] = (int)strlen(l->row[i][k]);
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < N_COLUMN; k++) {
            if (!l->out_of_memory)
                printf("%-*s%s", k < N_COLUMN - 1 ? width[k] : 0, l->row[i][k],
                       k < N_COLUMN - 1 ? "  " : "\n");
            free(l->row[i][k]);
        }
    free(l->row);
    return l->out_of_memory ? cli_fail("out of memory for the list") : 0;
}

static void list_stored(void *cookie, const struct jabbertts_stored *v)
{
    listing_add(cookie, (const char *const[]){v->name, v->language, "yours", v->description, NULL});
}

/* The other names of a voice, with commas. */
static void voices_aliases(const struct jabbertts *tts, const char *name, char *to, size_t n)
{
    const char *alias, *target;
    size_t k = 0;
    *to = 0;
    for (int i = 0; (alias = jabbertts_voice_alias(tts, i, &target)) && k < n; i++)
        if (!strcmp(target, name))
            k += (size_t)snprintf(to + k, n - k, "%s%s", k ? ", " : "", alias);
}

static void list_model(struct listing *l, const struct jabbertts *tts)
{
    const char *def = jabbertts_voice_default(tts);
    struct jabbertts_voice_info v;
    const char *kind = jabbertts_voices_imitated(tts) ? "imitated" : "built in";
    char aliases[512], about[600];
    for (int i = 0; jabbertts_voice_at(tts, i, &v) == 0; i++) {
        bool is_default = def && !strcmp(def, v.name);
        voices_aliases(tts, v.name, aliases, sizeof aliases);
        snprintf(about, sizeof about, "%s%s%s", v.description,
                 is_default && *v.description ? "; " : "", is_default ? "the default" : "");
        listing_add(l, (const char *const[]){v.name, v.language, kind, about, aliases});
    }
}

static int cmd_voices_list(struct options *o)
{
    struct voices c = {.o = o};
    struct listing l = {0};
    struct jabbertts_error e;
    int code = 0;
    listing_add(&l, (const char *const[]){"NAME", "LANGUAGE", "KIND", "DESCRIPTION", "ALIASES"});
    if (voices_of_espeak(&c)) {
        const char *voice, *name;
        for (int i = 0; (voice = jabbertts_espeak_voice(i, &name)); i++)
            listing_add(&l, (const char *const[]){voice, voice, "espeak-ng", name, NULL});
    } else {
        if ((voices_has_store(&c) && (code = voices_open_store(&c))) ||
            (code = voices_open_engine(&c)))
            return voices_close(&c, code);
        if (c.store && jabbertts_store_list(c.store, &(struct jabbertts_which){.limit = 10000},
                                            list_stored, &l, &e) < 0)
            code = cli_error("voices", &e);
        list_model(&l, c.tts);
    }
    int printed = listing_print(&l);
    return voices_close(&c, code ? code : printed);
}

/* --- one voice --- */

struct alike { /* to one voice */
    char id[48];
    float print[JABBERTTS_PRINT];
    bool known;
};

static void show_alike(void *cookie, const struct jabbertts_stored *v)
{
    const struct alike *to = cookie;
    if (v->print && strcmp(v->id, to->id))
        printf("%-12s %s %.2f\n", "alike", v->name, jabbertts_likeness(v->print, to->print));
}

static void show_stored(void *cookie, const struct jabbertts_stored *v)
{
    struct alike *to = cookie;
    char when[32];
    time_t t = (time_t)v->created_at;
    struct tm tm;
    snprintf(to->id, sizeof to->id, "%s", v->id);
    to->known = v->print != NULL;
    if (to->known)
        memcpy(to->print, v->print, sizeof to->print);
    gmtime_r(&t, &tm);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
    printf("name         %s\nkind         yours\nid           %s\ncreated      %s\n"
           "recordings   %d, %.2f s\n",
           v->name, v->id, when, v->n_more + 1, v->seconds);
    const char *const rest[][2] = {{"language", v->language},
                                   {"transcript", v->transcript},
                                   {"description", v->description},
                                   {"consent", v->consent}};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        if (*rest[i][1])
            printf("%-12s %s\n", rest[i][0], rest[i][1]);
    if (v->likeness >= 0)
        printf("preview      %s\nlikeness     %.2f, of what the model says so to the recording\n",
               JABBERTTS_PREVIEW, v->likeness);
    if (*v->advice)
        printf("advice       %s\n", v->advice);
    for (int i = 0; i < v->n_more; i++)
        if (*v->more[i].transcript)
            printf("%-12s %s\n", "", v->more[i].transcript);
}

/* 1 if the model has a voice or alias of this name, which was printed. */
static int show_model(const struct jabbertts *tts, const char *wanted)
{
    const char *alias, *target, *def = jabbertts_voice_default(tts);
    struct jabbertts_voice_info v;
    char aliases[512];
    for (int i = 0; (alias = jabbertts_voice_alias(tts, i, &target)); i++)
        if (!strcmp(alias, wanted))
            wanted = target;
    for (int i = 0; jabbertts_voice_at(tts, i, &v) == 0; i++)
        if (!strcmp(v.name, wanted)) {
            voices_aliases(tts, v.name, aliases, sizeof aliases);
            printf("name         %s\nkind         %s%s\n", v.name,
                   jabbertts_voices_imitated(tts) ? "imitated" : "built in",
                   def && !strcmp(def, v.name) ? ", the default" : "");
            const char *const rest[][2] = {
                {"language", v.language}, {"description", v.description}, {"aliases", aliases}};
            for (size_t k = 0; k < sizeof rest / sizeof *rest; k++)
                if (*rest[k][1])
                    printf("%-12s %s\n", rest[k][0], rest[k][1]);
            return 1;
        }
    return 0;
}

static int cmd_voices_show(struct options *o)
{
    struct voices c = {.o = o};
    struct jabbertts_error e = {.code = JABBERTTS_ERR_NOT_FOUND};
    const char *name = o->argument[0];
    int code;
    if (voices_has_store(&c)) {
        struct alike to = {.known = false};
        if ((code = voices_open_store(&c)))
            return code;
        if (jabbertts_store_get(c.store, &(struct jabbertts_which){.id = name}, show_stored, &to,
                                &e) >= 0) {
            if (to.known)
                jabbertts_store_list(c.store, &(struct jabbertts_which){.limit = 10000}, show_alike,
                                     &to, NULL);
            return voices_close(&c, CLI_OK);
        }
    }
    if (e.code == JABBERTTS_ERR_NOT_FOUND && (code = voices_open_engine(&c)))
        return voices_close(&c, code);
    if (e.code == JABBERTTS_ERR_NOT_FOUND)
        snprintf(e.message, sizeof e.message, "there is no voice \"%.64s\"", name);
    code = c.tts && show_model(c.tts, name) ? CLI_OK : cli_voice_error("voices", c.tts, name, &e);
    return voices_close(&c, code);
}

/* What was heard in the recording. */
static void note_heard(void *cookie, const struct jabbertts_stored *v)
{
    (void)cookie;
    if (v->likeness >= 0)
        cli_note("likeness of what the model says with it: %.2f (the same speaker: about 0.9, "
                 "another: 0.5 to 0.8)",
                 v->likeness);
    if (*v->advice)
        cli_note("%s", v->advice);
}

static int voices_added(struct voices *c, const char *id)
{
    struct jabbertts_error e;
    struct listing l = {0};
    int rc =
        jabbertts_store_get(c->store, &(struct jabbertts_which){.id = id}, list_stored, &l, &e);
    if (rc < 0 || l.out_of_memory)
        return cli_error("voices", &e);
    printf("%s %s\n", l.row[0][0], id);
    jabbertts_store_get(c->store, &(struct jabbertts_which){.id = id}, note_heard, NULL, NULL);
    cli_note("jabbertts say \"Hello.\" --voice %s", l.row[0][0]);
    for (int i = 0; i < N_COLUMN; i++)
        free(l.row[0][i]);
    free(l.row);
    return CLI_OK;
}

/* The recordings' bytes; free each clip's. */
static int voices_read_clips(const struct clips *c, struct jabbertts_clip *clip)
{
    int code = 0;
    for (int i = 0; i < c->n && !code; i++) {
        char *data = NULL;
        clip[i].transcript = c->text[i];
        code = cli_read_file(c->path[i], READ_MAX, &data, &clip[i].n_bytes);
        clip[i].recording = data;
    }
    return code;
}

static int voices_add_clips(struct voices *c, const struct jabbertts_clip *clip, int n)
{
    struct jabbertts_stored v = c->o->voice;
    struct jabbertts_error e;
    char id[48];
    int code;
    v.name = c->o->argument[0];
    v.trim = c->o->trim;
    v.recording = clip->recording;
    v.n_bytes = clip->n_bytes;
    v.transcript = clip->transcript;
    v.more = clip + 1;
    v.n_more = n - 1;
    if ((code = voices_open_store(c)) || (code = voices_open_engine(c)))
        return code;
    return jabbertts_store_add(c->store, c->tts, JABBERTTS_VOICE, &v, id, &e) < 0
               ? cli_error("voices", &e)
               : voices_added(c, id);
}

static int cmd_voices_add(struct options *o)
{
    struct voices c = {.o = o};
    struct clips clips = {.n = 0};
    struct jabbertts_clip clip[JABBERTTS_CLIPS_MAX] = {{0}};
    int code = clips_gather(o, o->argument[1], &clips);
    if (!code)
        code = voices_read_clips(&clips, clip);
    if (!code)
        code = voices_add_clips(&c, clip, clips.n);
    for (int i = 0; i < clips.n; i++)
        free((void *)(uintptr_t)clip[i].recording);
    clips_done(&clips);
    return voices_close(&c, code);
}

static const char *voices_hint(const struct jabbertts_error *e)
{
    return e->code == JABBERTTS_ERR_NOT_FOUND
               ? ": only your own voices can be removed and exported, `jabbertts voices` lists them"
               : "";
}

static int cmd_voices_remove(struct options *o)
{
    struct voices c = {.o = o};
    struct jabbertts_error e;
    int code = voices_open_store(&c);
    if (code)
        return code;
    if (jabbertts_store_remove(c.store, &(struct jabbertts_which){.id = o->argument[0]}, &e) < 0)
        code = cli_fail("%s%s", e.message, voices_hint(&e));
    else
        cli_note("%s and its recording are deleted", o->argument[0]);
    return voices_close(&c, code);
}

static int cmd_voices_export(struct options *o)
{
    struct voices c = {.o = o};
    struct jabbertts_error e;
    char *json;
    int code = voices_open_store(&c);
    if (code)
        return code;
    if (jabbertts_store_export(c.store, o->argument[0], &json, &e) < 0)
        return voices_close(&c, cli_fail("%s%s", e.message, voices_hint(&e)));
    code = cli_write_file(o->argument[1], json);
    free(json);
    return voices_close(&c, code);
}

static int cmd_voices_import(struct options *o)
{
    struct voices c = {.o = o};
    struct jabbertts_error e;
    char id[48], *json;
    size_t n;
    int code = cli_read_file(o->argument[0], READ_MAX, &json, &n);
    if (code)
        return code;
    if ((code = voices_open_store(&c)) == 0 && (code = voices_open_engine(&c)) == 0)
        code = jabbertts_store_import(c.store, c.tts, json, n, id, &e) < 0 ? cli_error("voices", &e)
                                                                           : voices_added(&c, id);
    free(json);
    return voices_close(&c, code);
}

const struct verb voices_verbs[] = {
    {"list", "", "your own voices and the model's", 0, cmd_voices_list},
    {"add", "NAME RECORDING", "make a voice of a recording of speech, or of a folder of some", 2,
     cmd_voices_add},
    {"show", "NAME", "what is known about a voice", 1, cmd_voices_show},
    {"rm", "NAME", "delete a voice of yours and its recording", 1, cmd_voices_remove},
    {"export", "NAME FILE", "a voice of yours as one file; - is standard output", 2,
     cmd_voices_export},
    {"import", "FILE", "and back; - is standard input", 1, cmd_voices_import},
    {0}};
