#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/hub.h"

/* What the callbacks of a pull know. */
struct puller {
    const struct options *o;
    double said_at; /* seconds, of the last line for programs */
    char stage[16];
};

static double puller_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One object, one line. */
static void puller_print(json_t *event)
{
    json_dumpf(event, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(event);
}

/* --- the plan, and the licence --- */

static void plan_show(const struct jabbertts_pull_plan *p)
{
    char download[32], disk[32], memory[32], room[32];
    fprintf(stderr, "%s from %s%s%s, as %s\n", p->name, p->source, *p->commit ? " at " : "",
            p->commit, strcmp(p->type, "gguf") ? p->type : "it is");
    fprintf(stderr, "licence: %s%s%s%s\n", *p->licence_title ? p->licence_title : "not stated",
            p->non_commercial ? " (non-commercial use only)" : "",
            *p->licence_url || *p->page ? ", " : "", *p->licence_url ? p->licence_url : p->page);
    fprintf(stderr, "%s to download; takes %s of disk meanwhile (%s are free) and %s of memory\n",
            cli_size(p->download_bytes, download), cli_size(p->disk_bytes, disk),
            cli_size(p->free_bytes, room), cli_size(p->memory_bytes, memory));
}

static int plan_accept(void *cookie, const struct jabbertts_pull_plan *p)
{
    const struct puller *c = cookie;
    char answer[16] = "";
    if (c->o->json)
        puller_print(json_pack(
            "{s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:I,s:I,s:I,s:I}", "event", "plan", "name", p->name,
            "source", p->source, "commit", p->commit, "licence", p->licence, "licence_url",
            p->licence_url, "non_commercial", p->non_commercial, "type", p->type, "download_bytes",
            (json_int_t)p->download_bytes, "disk_bytes", (json_int_t)p->disk_bytes, "free_bytes",
            (json_int_t)p->free_bytes, "memory_bytes", (json_int_t)p->memory_bytes));
    else if (!c->o->quiet || !p->accepted)
        plan_show(p);
    if (p->accepted)
        return 1;
    if (c->o->json || !isatty(0) || !isatty(2))
        return 0;
    fputs("Do you accept the licence? [y/N] ", stderr);
    return fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y');
}

/* --- progress --- */

static void progress_show(const struct jabbertts_pull_progress *p)
{
    char done[32], total[32], rate[32], left[32] = "";
    if (*p->note) {
        cli_status("%s: %s", p->stage, p->note);
        return;
    }
    if (strcmp(p->stage, "download") != 0) {
        cli_status("%s %s%3.0f %%", p->stage, p->file,
                   p->total_bytes ? 100.0 * (double)p->done_bytes / (double)p->total_bytes : 0);
        return;
    }
    if (p->remaining_s >= 0)
        snprintf(left, sizeof left, ", %d:%02d left", (int)p->remaining_s / 60,
                 (int)p->remaining_s % 60);
    cli_status(
        "%s of %s, %s/s%s  %s", cli_size(p->done_bytes, done), cli_size(p->total_bytes, total),
        cli_size(p->bytes_per_second > 0 ? (int64_t)p->bytes_per_second : 0, rate), left, p->file);
}

static int puller_progress(void *cookie, const struct jabbertts_pull_progress *p)
{
    struct puller *c = cookie;
    double now = puller_now();
    if (c->o->json && (now - c->said_at >= 0.5 || strcmp(c->stage, p->stage))) {
        puller_print(json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:f,s:f}", "event", "progress", "stage",
                               p->stage, "file", p->file, "note", p->note, "done",
                               (json_int_t)p->done_bytes, "total", (json_int_t)p->total_bytes,
                               "bytes_per_second", p->bytes_per_second, "seconds_left",
                               p->remaining_s));
        c->said_at = now;
        snprintf(c->stage, sizeof c->stage, "%s", p->stage);
    } else if (!c->o->json && !c->o->quiet) {
        progress_show(p);
    }
    return cli_interrupted();
}

/* --- the end --- */

static void pulled_json(void *cookie, const struct jabbertts_installed *m)
{
    (void)cookie;
    puller_print(json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I}", "event", "done", "name", m->name,
                           "path", m->path, "commit", m->commit, "type", m->type, "sha256",
                           m->sha256, "bytes", (json_int_t)m->bytes));
}

static void pulled_note(void *cookie, const struct jabbertts_installed *m)
{
    char size[32];
    (void)cookie;
    cli_note("%s is installed: %s, %s", m->name, m->path, cli_size(m->bytes, size));
    cli_note("try: jabbertts say \"Hello.\" --model %s", m->name);
}

static int puller_fail(const struct options *o, const char *command,
                       const struct jabbertts_error *e)
{
    if (o->json)
        puller_print(
            json_pack("{s:s,s:i,s:s}", "event", "error", "code", e->code, "message", e->message));
    /* For example, a licence that was not accepted is a failure, not a wrong use of the command. */
    if (cli_interrupted())
        return cli_error(command, e);
    return cli_fail("%s", e->message);
}

static void puller_told(struct jabbertts_hub *hub, const struct options *o, const char *name)
{
    jabbertts_hub_show(hub, name, o->json ? pulled_json : pulled_note, NULL, NULL);
}

static void puller_fill(struct puller *c, struct jabbertts_pull *p)
{
    const struct options *o = c->o;
    jabbertts_pull_init(p);
    p->name = o->convert.name;
    p->type = o->type;
    p->imatrix = o->imatrix;
    p->keep = o->keep;
    p->accept_licence = o->accept_licence;
    p->accept = plan_accept;
    p->progress = puller_progress;
    p->cookie = c;
    cli_catch_signals();
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of write */
}

int cmd_pull(struct options *o)
{
    struct puller c = {.o = o};
    struct jabbertts_hub *hub;
    struct jabbertts_error e;
    struct jabbertts_pull p;
    char name[JABBERTTS_HUB_NAME];
    int code = cli_hub_open(o, &hub);
    if (code)
        return code;
    puller_fill(&c, &p);
    p.source = o->argument[0];
    if (jabbertts_hub_pull(hub, &p, name, &e) < 0)
        code = puller_fail(o, "pull", &e);
    else
        puller_told(hub, o, name);
    jabbertts_hub_close(hub);
    return code;
}

int models_update(struct options *o)
{
    struct puller c = {.o = o};
    struct jabbertts_hub *hub;
    struct jabbertts_error e;
    struct jabbertts_pull p;
    int code = cli_hub_open(o, &hub);
    if (code)
        return code;
    puller_fill(&c, &p);
    int rc = jabbertts_hub_update(hub, o->argument[0], &p, &e);
    if (rc < 0)
        code = puller_fail(o, "models", &e);
    else if (rc == 0)
        cli_note("%s is the newest", o->argument[0]);
    if (rc >= 0 && (rc == 1 || o->json))
        puller_told(hub, o, o->argument[0]);
    jabbertts_hub_close(hub);
    return code;
}
