#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "jabbertts.h"

static const char usage[] =
    "usage: jabbertts voices [list]               the model's voices, and those of the store\n"
    "       jabbertts voices add NAME RECORDING   make a voice of a recording of speech\n"
    "       jabbertts voices show NAME            what is known about a stored voice\n"
    "       jabbertts voices rm NAME              delete a stored voice and its recording\n"
    "       jabbertts voices export NAME FILE     a stored voice as one file; - is standard "
    "output\n"
    "       jabbertts voices import FILE          and back; - is standard input\n\n"
    "NAME may be an id. A recording holds 1 to 90 seconds of speech, in any common format. The\n"
    "built-in model imitates it partly: a likeness, not a copy (docs/QUALITY.md).\n\n"
    "  --text TEXT        what is said in the recording: makes a better voice\n"
    "  --language TAG     as en or de-AT\n"
    "  --description TEXT\n"
    "  --model FILE       a model made by `jabbertts convert` (default: the built-in voice),\n"
    "                     or espeak-ng: its languages\n"
    "  --voice-dir DIR    of the store (default: $XDG_DATA_HOME/jabbertts/voices)\n"
    "  --help             this text\n";

#define READ_MAX (64 << 20)

struct voices {
    struct jabbertts_options engine;
    struct jabbertts_stored v; /* of add */
    const char *dir;
    struct jabbertts_store *store;
    struct jabbertts *tts;
};

static int voices_fail(const struct jabbertts_error *e)
{
    return cli_fail("%s", e->message);
}

/* --- files --- */

static int voices_read_file(const char *path, char **ret, size_t *n)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    if (!f)
        return cli_fail("cannot read %s: %s", path, strerror(errno));
    char *data = malloc(READ_MAX + 1);
    *n = data ? fread(data, 1, READ_MAX + 1, f) : 0;
    int bad = ferror(f);
    if (f != stdin)
        fclose(f);
    *ret = data;
    if (!data)
        return cli_fail("out of memory for %s", path);
    if (bad || *n > READ_MAX) {
        free(data);
        return cli_fail(bad ? "cannot read %s" : "%s is larger than 64 MiB", path);
    }
    return 0;
}

static int voices_write_file(const char *path, const char *text)
{
    char temporary[4096];
    if (!strcmp(path, "-"))
        return fputs(text, stdout) < 0 ? cli_fail("cannot write to standard output") : 0;
    snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f)
        return cli_fail("cannot write %s: %s", path, strerror(errno));
    int bad = fputs(text, f) < 0;
    bad |= fclose(f) != 0;
    if (!bad && rename(temporary, path) == 0)
        return 0;
    cli_fail("cannot write %s: %s", path, strerror(errno));
    unlink(temporary);
    return CLI_FAILED;
}

/* --- listing --- */

static void list_model(const struct jabbertts *tts)
{
    const char *def = jabbertts_voice_default(tts), *name, *alias, *target;
    for (int i = 0; (name = jabbertts_voice_name(tts, i)); i++) {
        printf("%-12s%s", name, def && !strcmp(name, def) ? " (default)" : "");
        for (int j = 0; (alias = jabbertts_voice_alias(tts, j, &target)); j++)
            if (!strcmp(target, name))
                printf(" %s", alias);
        putchar('\n');
    }
}

static void list_espeak(void)
{
    const char *voice, *name;
    for (int i = 0; (voice = jabbertts_espeak_voice(i, &name)); i++)
        printf("%-18s %s\n", voice, name);
}

static void list_one(void *cookie, const struct jabbertts_stored *v)
{
    (void)cookie;
    printf("%-12s %s%s%s\n", v->name, v->id, *v->description ? "  " : "", v->description);
}

static void show_one(void *cookie, const struct jabbertts_stored *v)
{
    char when[32];
    time_t t = (time_t)v->created_at;
    struct tm tm;
    (void)cookie;
    gmtime_r(&t, &tm);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
    printf("name         %s\nid           %s\ncreated      %s\nrecording    %.2f s, %zu bytes\n",
           v->name, v->id, when, v->seconds, v->n_bytes);
    const char *const rest[][2] = {{"language", v->language},
                                   {"transcript", v->transcript},
                                   {"description", v->description},
                                   {"consent", v->consent}};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        if (*rest[i][1])
            printf("%-12s %s\n", rest[i][0], rest[i][1]);
}

/* --- commands: 0 or the exit code --- */

static int open_engine(struct voices *c)
{
    struct jabbertts_error e;
    return jabbertts_open(&c->engine, &c->tts, &e) < 0 ? voices_fail(&e) : 0;
}

static int do_list(struct voices *c, char **arg)
{
    struct jabbertts_error e;
    (void)arg;
    if (c->engine.model && !strcmp(c->engine.model, "espeak-ng")) {
        list_espeak();
        return 0;
    }
    if (open_engine(c))
        return CLI_FAILED;
    list_model(c->tts);
    if (c->store && jabbertts_store_list(c->store, &(struct jabbertts_which){.limit = 10000},
                                         list_one, NULL, &e) < 0)
        return voices_fail(&e);
    return 0;
}

static int do_add(struct voices *c, char **arg)
{
    struct jabbertts_error e;
    char id[48], *data;
    size_t n;
    if (voices_read_file(arg[1], &data, &n) || open_engine(c))
        return CLI_FAILED;
    c->v.name = arg[0];
    c->v.recording = data;
    c->v.n_bytes = n;
    int rc = jabbertts_store_add(c->store, c->tts, JABBERTTS_VOICE, &c->v, id, &e);
    free(data);
    if (rc < 0)
        return voices_fail(&e);
    printf("%s %s\n", arg[0], id);
    return 0;
}

static int do_show(struct voices *c, char **arg)
{
    struct jabbertts_error e;
    return jabbertts_store_get(c->store, &(struct jabbertts_which){.id = arg[0]}, show_one, NULL,
                               &e) < 0
               ? voices_fail(&e)
               : 0;
}

static int do_rm(struct voices *c, char **arg)
{
    struct jabbertts_error e;
    return jabbertts_store_remove(c->store, &(struct jabbertts_which){.id = arg[0]}, &e) < 0
               ? voices_fail(&e)
               : 0;
}

static int do_export(struct voices *c, char **arg)
{
    struct jabbertts_error e;
    char *json;
    if (jabbertts_store_export(c->store, arg[0], &json, &e) < 0)
        return voices_fail(&e);
    int rc = voices_write_file(arg[1], json);
    free(json);
    return rc;
}

static int do_import(struct voices *c, char **arg)
{
    struct jabbertts_error e;
    char id[48], *json;
    size_t n;
    if (voices_read_file(arg[0], &json, &n) || open_engine(c))
        return CLI_FAILED;
    int rc = jabbertts_store_import(c->store, c->tts, json, n, id, &e);
    free(json);
    if (rc < 0)
        return voices_fail(&e);
    printf("%s\n", id);
    return 0;
}

static const struct verb {
    const char *name;
    int n_arg;
    int (*run)(struct voices *c, char **arg);
} verbs[] = {{"list", 0, do_list}, {"add", 2, do_add},       {"show", 1, do_show},
             {"rm", 1, do_rm},     {"export", 2, do_export}, {"import", 1, do_import}};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

/* -1: go on; else the exit code. */
static int voices_parse(struct voices *c, int argc, char **argv)
{
    static const struct option options[] = {{"text", required_argument, 0, 't'},
                                            {"language", required_argument, 0, 'l'},
                                            {"description", required_argument, 0, 'd'},
                                            {"model", required_argument, 0, 'm'},
                                            {"voice-dir", required_argument, 0, 'D'},
                                            {"help", no_argument, 0, 'h'},
                                            {0}};
    int k;
    while ((k = getopt_long(argc, argv, "m:h", options, NULL)) != -1)
        switch (k) {
        case 't':
            c->v.transcript = optarg;
            break;
        case 'l':
            c->v.language = optarg;
            break;
        case 'd':
            c->v.description = optarg;
            break;
        case 'm':
            c->engine.model = optarg;
            break;
        case 'D':
            c->dir = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return CLI_OK;
        default:
            return CLI_USAGE;
        }
    return -1;
}

int cmd_voices(int argc, char **argv)
{
    struct voices c = {.v = {.transcript = ""}};
    struct jabbertts_error e;
    char dir[4096];
    jabbertts_options_init(&c.engine);
    c.engine.slots = 1;
    int code = voices_parse(&c, argc, argv);
    if (code >= 0)
        return code;
    const char *name = optind < argc ? argv[optind++] : "list";
    const struct verb *verb = find_verb(name);
    if (!verb)
        return cli_usage(argv[0], "there is no \"%s\"", name);
    if (argc - optind != verb->n_arg)
        return cli_usage(argv[0], "%s takes %d argument%s, got %d", name, verb->n_arg,
                         verb->n_arg == 1 ? "" : "s", argc - optind);
    c.dir = cli_voice_dir(c.dir, dir, sizeof dir);
    /* To list, a store that is not there need not be made. */
    if (verb->run == do_list && access(c.dir, F_OK) != 0)
        code = do_list(&c, NULL);
    else if (jabbertts_store_open(c.dir, &c.store, &e) < 0)
        code = voices_fail(&e);
    else
        code = verb->run(&c, argv + optind);
    jabbertts_close(c.tts);
    jabbertts_store_close(c.store);
    return code;
}
