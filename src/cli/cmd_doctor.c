#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/hub.h"
#include "jabbertts_tools.h"
#include "server/listen.h"

#define CACHED_BYTES (64 << 20) /* a smaller model may stay in the processor's caches */
#define DOCTOR_SLOW  "end what else computes, or take a smaller type: pull it with --type q4"
#define LITTLE_BYTES ((int64_t)1 << 30) /* of disk or memory: too little for a model like S1-mini */

enum state { DOCTOR_GOOD, DOCTOR_NOTE, DOCTOR_BAD };

struct doctor {
    struct options *o;
    json_t *list; /* with --json */
    int n_bad;
    int64_t memory; /* bytes that are free */
    struct jabbertts_machine machine;
};

/* What was found, and the cure if it is not well; "" : none needed. */
static void doctor_say(struct doctor *d, enum state state, const char *what, const char *cure,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));
static void doctor_say(struct doctor *d, enum state state, const char *what, const char *cure,
                       const char *format, ...)
{
    static const char *const words[] = {"ok", "note", "BAD"};
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->n_bad += state == DOCTOR_BAD;
    if (d->list)
        json_array_append_new(d->list, json_pack("{s:s,s:s,s:s,s:s}", "state", words[state], "what",
                                                 what, "found", text, "cure", state ? cure : ""));
    else
        printf("%-4s %-12s %s%s%s\n", words[state], what, text, state ? "; " : "",
               state ? cure : "");
}

/* The directory, or its nearest parent that exists. */
static const char *doctor_existing(const char *dir, char to[4096])
{
    snprintf(to, 4096, "%s", dir);
    for (char *slash; access(to, F_OK) != 0 && (slash = strrchr(to, '/'));)
        *slash = 0;
    return *to ? to : "/";
}

/* Of the built-in voice the real-time factor is measured: its weights stay in the caches, so that
 * the formula would say little. */
static int doctor_speak(struct doctor *d, struct jabbertts *tts, struct jabbertts_error *e)
{
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    struct jabbertts_load l;
    float pcm[4096];
    int n;
    jabbertts_request_init(&r);
    r.text = "This sentence is here to find out how fast it can be spoken.";
    if (jabbertts_submit(tts, &r, &s, e) < 0)
        return -1;
    while ((n = jabbertts_read(s, pcm, 4096, e)) > 0)
        ;
    jabbertts_stream_free(s);
    jabbertts_load(tts, &l);
    if (n == 0)
        doctor_say(d, l.rtf < 1 ? DOCTOR_GOOD : DOCTOR_NOTE, "voice", DOCTOR_SLOW,
                   "the built-in one takes %.2f s for a second of sound", l.rtf);
    return n;
}

static double doctor_expected(const struct doctor *d, const json_t *cost)
{
    struct jabbertts_work w = {json_number_value(json_object_get(cost, "frames_per_s")),
                               json_number_value(json_object_get(cost, "slow_macs_per_frame")) +
                                   json_number_value(json_object_get(cost, "fast_macs_per_frame")),
                               json_number_value(json_object_get(cost, "lm_bytes_read_per_frame")),
                               json_number_value(json_object_get(cost, "codec_macs_per_frame"))};
    return jabbertts_expect(&d->machine, &w);
}

/* A model of S1-mini's shape by the type it is pulled as: what its frames read of weights, and what
 * it takes with a full context, as `jabbertts inspect` counts them. */
static void doctor_types(struct doctor *d)
{
    static const struct {
        const char *type;
        double lm_bytes;
        int64_t memory;
    } types[] = {
        {"q4", 559e6, 1325000000},
        {"mixed", 849e6, 1452000000},
        {"q8", 1052e6, 2117000000},
        {"f16", 1980e6, 3142000000},
    };
    char text[400], size[32];
    size_t n = 0;
    bool one = false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct jabbertts_work w = {21.533203125, 989856768, types[i].lm_bytes, 3382110208};
        double rtf = jabbertts_expect(&d->machine, &w);
        one = one || (rtf < 1 && types[i].memory < d->memory);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %.2f s and %s", i ? ", " : "",
                              types[i].type, rtf, cli_size(types[i].memory, size));
    }
    doctor_say(d, one ? DOCTOR_GOOD : DOCTOR_NOTE, "types",
               "none is faster than it is heard, or fits: end what else computes, or stay with the "
               "built-in voice",
               "S1-mini would take, for a second of sound and of memory: %s", text);
}

static void doctor_machine(struct doctor *d)
{
    struct jabbertts_options o;
    struct jabbertts_error e;
    struct jabbertts *tts = NULL;
    char size[32];
    jabbertts_options_init(&o);
    struct jabbertts_machine *m = &d->machine;
    if (jabbertts_measure(0, NULL, m, &e) < 0)
        doctor_say(d, DOCTOR_BAD, "processor", "free memory, and try again", "%s", e.message);
    else
        doctor_say(d, strcmp(m->isa, "ref") ? DOCTOR_GOOD : DOCTOR_NOTE, "processor",
                   "it lacks AVX2 or NEON with dot products: speech is slower than it is heard",
                   "%s, %d cores; now %.0f billion products of bytes and %.1f GB from memory a "
                   "second",
                   m->isa, m->threads, m->products_per_s / 1e9, m->bytes_per_s / 1e9);
    if (jabbertts_open(&o, &tts, &e) < 0 || doctor_speak(d, tts, &e) < 0)
        doctor_say(d, DOCTOR_BAD, "engine", "install it again", "the built-in voice: %s",
                   e.message);
    jabbertts_close(tts);
    d->memory = (int64_t)sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/meminfo", "r"); /* counts what can be given back */
    char line[128];
    long kb;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %ld kB", &kb) == 1)
            d->memory = (int64_t)kb << 10;
    if (f)
        fclose(f);
    doctor_say(d, d->memory < LITTLE_BYTES ? DOCTOR_NOTE : DOCTOR_GOOD, "memory",
               "close programs before a large model is loaded", "%s are free",
               cli_size(d->memory, size));
}

static void doctor_directory(struct doctor *d, const char *what, const char *dir)
{
    char place[4096], cure[4200], size[32];
    struct statvfs fs;
    const char *there = doctor_existing(dir, place);
    snprintf(cure, sizeof cure, "chown it, or choose another one with --%s", what);
    for (char *p = cure; (p = strchr(p, '_'));)
        *p = '-';
    if (access(there, W_OK | X_OK) != 0)
        doctor_say(d, DOCTOR_BAD, what, cure, "%s cannot be written to: %s", there,
                   strerror(errno));
    else if (statvfs(there, &fs) == 0) {
        int64_t room = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
        doctor_say(d, room < LITTLE_BYTES ? DOCTOR_NOTE : DOCTOR_GOOD, what,
                   "make room before a model is pulled", "%s, %s are free", dir,
                   cli_size(room, size));
    }
}

static void doctor_model(void *cookie, const struct jabbertts_installed *m)
{
    struct doctor *d = cookie;
    struct jabbertts_error e;
    char *text, need[32], size[32], cure[300], speed[64] = "";
    snprintf(cure, sizeof cure, "jabbertts models rm %.80s, then pull it again", m->name);
    if (jabbertts_inspect(m->path, 0, 1, &text, &e) < 0) {
        doctor_say(d, DOCTOR_BAD, "model", cure, "%s: %s", m->name, e.message);
        return;
    }
    json_t *json = json_loads(text, 0, NULL);
    int64_t bytes = json_integer_value(json_object_get(json, "memory_bytes"));
    double rtf = doctor_expected(d, json);
    json_decref(json);
    free(text);
    if (m->bytes > CACHED_BYTES && d->machine.threads > 0)
        snprintf(speed, sizeof speed, ", about %.2f s for a second of sound", rtf);
    doctor_say(d, bytes > d->memory ? DOCTOR_BAD : DOCTOR_GOOD, "model",
               "pull it with --type q4, use --context 1024, or close programs",
               "%s, %s, takes %s of memory with a full context%s", m->name,
               cli_size(m->bytes, size), cli_size(bytes, need), speed);
    if (bytes <= d->memory && *speed && rtf > 1)
        doctor_say(d, DOCTOR_NOTE, "model", DOCTOR_SLOW, "%s speaks slower than it is heard",
                   m->name);
}

static int doctor_drop(void *cookie, const void *data, size_t n)
{
    (void)cookie;
    (void)data;
    (void)n;
    return 0;
}

static void doctor_sound(struct doctor *d)
{
    struct jabbertts_format format;
    struct jabbertts_error e;
    char lacking[300] = "";
    for (size_t i = 0; jabbertts_format_at(i, &format) == 0; i++) {
        struct jabbertts_encoder_options o = {
            .format = format.name, .in_hz = 44100, .sink = doctor_drop};
        struct jabbertts_encoder *c = NULL;
        size_t n = strlen(lacking);
        if (jabbertts_encoder_new(&o, &c, &e) < 0)
            snprintf(lacking + n, sizeof lacking - n, " %s", format.name);
        jabbertts_encoder_free(c);
    }
    doctor_say(d, *lacking ? DOCTOR_NOTE : DOCTOR_GOOD, "formats",
               "install an FFmpeg that has these encoders", "%s%s",
               *lacking ? "libav lacks the encoders for" : "all sound formats can be written",
               lacking);
    doctor_say(d, jabbertts_espeak_voice(0, NULL) ? DOCTOR_GOOD : DOCTOR_BAD, "espeak-ng",
               "install the package espeak-ng-data", "its data %s",
               jabbertts_espeak_voice(0, NULL) ? "are there" : "are not found");
}

static void doctor_port(struct doctor *d)
{
    const struct server_options *s = &d->o->server;
    struct err e = {0};
    struct listen l;
    if (strcmp(s->host, "systemd") == 0)
        return; /* which opens it when it starts the server */
    int rc = listen_open(s->host, s->port, (const char *const[2]){NULL, NULL}, false, &l, &e);
    doctor_say(d, rc < 0 ? DOCTOR_BAD : DOCTOR_GOOD, "port", "see --host and --port", "%s%s",
               rc < 0 ? e.msg : l.url, rc < 0 ? "" : " is free");
    if (rc == 0) {
        close(l.fd);
        listen_done(&l);
    }
}

int cmd_doctor(struct options *o)
{
    struct doctor d = {.o = o, .list = o->json ? json_array() : NULL};
    struct jabbertts_hub *hub;
    struct jabbertts_error e;
    char dir[4096];
    int code = cli_hub_open(o, &hub);
    if (code)
        return code;
    doctor_machine(&d);
    if (d.machine.threads > 0)
        doctor_types(&d);
    doctor_directory(&d, "model_dir", cli_model_dir(o->model_dir, dir, sizeof dir));
    jabbertts_hub_list(hub, doctor_model, &d, &e);
    jabbertts_hub_close(hub);
    if (!o->server.voice_dir || !strstr(o->server.voice_dir, "://"))
        doctor_directory(&d, "voice_dir", cli_voice_dir(o->server.voice_dir, dir, sizeof dir));
    doctor_sound(&d);
    doctor_port(&d);
    if (d.list) {
        json_dumpf(d.list, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(d.list);
    }
    return d.n_bad ? CLI_FAILED : CLI_OK;
}
