/* cmd_batch.c - many texts to a directory of sounds, several at a time; finished sounds are not
 * made again.
 *
 * A sound appears under its name only when it is whole.  Before that, batch.journal gets a line
 * with the name and a hash of what is spoken and how: a run that finds the file and the line leaves
 * it, a file without such a line is another's, and is not written over. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/tasks.h"

#define BATCH_SAMPLES 4096
#define BATCH_JOBS    64

enum batch_state { BATCH_TODO, BATCH_THERE, BATCH_SPOKEN, BATCH_FAILED };

struct batch {
    struct options *o;
    struct tasks tasks;
    unsigned char *state; /* [tasks.n] enum batch_state */
    struct jabbertts_store *store;
    struct jabbertts *tts;
    FILE *journal;
    char *known;       /* the journal as it was */
    char **known_line; /* [n_known] its lines, sorted */
    size_t n_known;
    time_t since;

    pthread_mutex_t lock;
    int next, n_todo, n_spoken, n_failed; /* (lock) */
    double seconds;                       /* (lock) of sound */
    FILE *failed;                         /* (lock) NULL: none yet */
};

struct batch_job { /* of one thread */
    struct batch *b;
    FILE *file;
};

/* --- what a task asks for --- */

struct asked {
    struct jabbertts_request request;
    struct jabbertts_encoder_options encoder;
};

static int batch_field(const char *name, const json_t *v, struct asked *a,
                       struct jabbertts_error *e)
{
    const char *as = strcmp(name, "response_format") == 0 ? "format" : name;
    const struct jabbertts_parameter *p = jabbertts_parameter_find(as);
    if (strcmp(name, "model") == 0 && json_is_string(v)) {
        a->request.model = json_string_value(v);
        return 0;
    }
    char *of = p && p->of_encoder ? (char *)&a->encoder : (char *)&a->request;
    if (p && p->type == JABBERTTS_TYPE_STRING && json_is_string(v)) {
        *(const char **)(void *)(of + p->offset) = json_string_value(v);
        return 0;
    }
    if (p && p->type != JABBERTTS_TYPE_STRING && (json_is_number(v) || json_is_boolean(v)))
        return jabbertts_parameter_set(
            p, of, json_is_boolean(v) ? json_is_true(v) : json_number_value(v), e);
    *e = (struct jabbertts_error){.code = JABBERTTS_ERR_ARGUMENT};
    snprintf(e->message, sizeof e->message,
             p ? "\"%s\" has a value of the wrong type" : "there is no field \"%s\"", name);
    return e->code;
}

static int batch_ask(const struct batch *b, const struct task *t, struct asked *a,
                     struct jabbertts_error *e)
{
    const char *name;
    json_t *v;
    *a = (struct asked){b->o->request, b->o->encoder};
    a->encoder.format = b->o->format ? b->o->format : "wav";
    json_object_foreach(t->fields, name, v)
    {
        int rc = batch_field(name, v, a, e);
        if (rc < 0)
            return rc;
    }
    struct jabbertts_format f;
    if (jabbertts_format_find(a->encoder.format, &f) == 0) {
        a->encoder.format = f.name;
        return 0;
    }
    *e = (struct jabbertts_error){.code = JABBERTTS_ERR_ARGUMENT};
    snprintf(e->message, sizeof e->message, "there is no format \"%.32s\"", a->encoder.format);
    return e->code;
}

static void batch_path(const struct batch *b, const struct task *t, const struct asked *a,
                       char path[4096])
{
    snprintf(path, 4096, "%s/%s.%s", b->o->output, t->name, a->encoder.format);
}

/* FNV-1a: of the fields, the options and what speaks. */
static uint64_t batch_hash(const struct batch *b, const struct task *t)
{
    struct jabbertts_model_info m;
    const struct jabbertts_request *r = &b->o->request;
    char options[1024], *fields = json_dumps(t->fields, JSON_SORT_KEYS | JSON_COMPACT);
    jabbertts_model_info(b->tts, &m);
    const char *lexicon = b->o->server.engine.lexicon;
    snprintf(options, sizeof options, "%s|%s|%zu|%s|%s|%s|%llu|%g|%g|%g|%g|%d|%d|%d|%d|%s",
             jabbertts_version(), m.name, m.file_bytes, b->o->format ? b->o->format : "wav",
             r->voice ? r->voice : "", r->language ? r->language : "", (unsigned long long)r->seed,
             (double)r->temperature, (double)r->top_p, (double)r->repetition_penalty,
             b->o->encoder.speed, r->normalize, r->carry_markers, r->repair, b->o->encoder.out_hz,
             lexicon ? lexicon : "");
    uint64_t h = 14695981039346656037u;
    const char *part[] = {fields ? fields : "", options};
    for (int i = 0; i < 2; i++)
        for (const char *p = part[i]; *p; p++)
            h = (h ^ (unsigned char)*p) * 1099511628211u;
    free(fields);
    return h;
}

/* --- the journal --- */

static int batch_compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* known becomes known_line. */
static int batch_sort_journal(struct batch *b, size_t n)
{
    char *rest;
    size_t n_line = 1;
    for (size_t i = 0; i < n; i++)
        n_line += b->known[i] == '\n';
    b->known_line = calloc(n_line, sizeof *b->known_line);
    if (!b->known_line)
        return cli_fail("out of memory for %s/batch.journal", b->o->output);
    for (char *p = strtok_r(b->known, "\n", &rest); p; p = strtok_r(NULL, "\n", &rest))
        b->known_line[b->n_known++] = p;
    qsort(b->known_line, b->n_known, sizeof *b->known_line, batch_compare_lines);
    return 0;
}

/* Locked until the command ends, so that no other one makes the same files. */
static int batch_open_journal(struct batch *b)
{
    char path[4096];
    size_t n;
    if (mkdir(b->o->output, 0777) < 0 && errno != EEXIST)
        return cli_fail("cannot make the directory %s: %s", b->o->output, strerror(errno));
    snprintf(path, sizeof path, "%s/batch.journal", b->o->output);
    b->journal = fopen(path, "ab");
    if (!b->journal)
        return cli_fail("cannot write %s: %s", path, strerror(errno));
    if (flock(fileno(b->journal), LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return cli_fail("another jabbertts batch is at work in %s", b->o->output);
    if (cli_read_file(path, 1 << 30, &b->known, &n))
        return CLI_FAILED;
    if (n > 0 && b->known[n - 1] != '\n') /* its end was lost with the power */
        fputs("\n", b->journal);
    return batch_sort_journal(b, n);
}

static void batch_journal_line(const struct batch *b, const struct task *t, char to[256])
{
    snprintf(to, 256, "%016" PRIx64 " %s", batch_hash(b, t), t->name);
}

static bool batch_knows(const struct batch *b, char *line)
{
    return b->n_known > 0 && bsearch(&line, b->known_line, b->n_known, sizeof *b->known_line,
                                     batch_compare_lines) != NULL;
}

/* Finds out which sounds exist, which are to be made, and which files are not this command's. */
static int batch_look(struct batch *b)
{
    struct jabbertts_error e;
    struct asked a;
    char path[4096], line[256];
    for (int i = 0; i < b->tasks.n; i++) {
        const struct task *t = &b->tasks.task[i];
        if (batch_ask(b, t, &a, &e) < 0)
            return cli_usage("batch", "line %d: %s", t->line, e.message);
        batch_path(b, t, &a, path);
        batch_journal_line(b, t, line);
        if (access(path, F_OK) != 0)
            b->n_todo++;
        else if (batch_knows(b, line))
            b->state[i] = BATCH_THERE;
        else
            return cli_fail("%s is there, and was made of something else; remove it, or choose "
                            "another directory",
                            path);
    }
    return 0;
}

/* --- speaking --- */

static int batch_write(void *cookie, const void *data, size_t n)
{
    struct batch_job *j = cookie;
    return fwrite(data, 1, n, j->file) == n ? 0 : JABBERTTS_ERR_IO;
}

static int batch_fail_io(struct jabbertts_error *e, const char *path)
{
    *e = (struct jabbertts_error){.code = JABBERTTS_ERR_IO};
    snprintf(e->message, sizeof e->message, "cannot write %.300s: %s", path, strerror(errno));
    return e->code;
}

/* The stream to its end, into the open file. */
static int batch_pump(struct batch_job *j, struct jabbertts_stream *s, struct asked *a,
                      struct jabbertts_error *e)
{
    struct jabbertts_encoder *encoder;
    struct jabbertts_progress p;
    unsigned char head[JABBERTTS_HEAD_MAX];
    float pcm[BATCH_SAMPLES];
    int n = 0, rc;
    a->encoder.in_hz = jabbertts_stream_rate(s);
    a->encoder.sink = batch_write;
    a->encoder.cookie = j;
    if ((rc = jabbertts_encoder_new(&a->encoder, &encoder, e)) < 0)
        return rc;
    while (rc == 0 && !cli_interrupted() && (n = jabbertts_read(s, pcm, BATCH_SAMPLES, e)) > 0)
        rc = jabbertts_encoder_write(encoder, pcm, (size_t)n, e);
    rc = rc < 0 ? rc : n < 0 ? n : cli_interrupted() ? JABBERTTS_ERR_CANCELLED : 0;
    if (rc == 0)
        rc = jabbertts_encoder_finish(encoder, e);
    size_t n_head = rc == 0 ? jabbertts_encoder_head(encoder, head) : 0;
    if (n_head && (fseek(j->file, 0, SEEK_SET) != 0 || fwrite(head, 1, n_head, j->file) != n_head))
        rc = batch_fail_io(e, "the sound");
    jabbertts_encoder_free(encoder);
    jabbertts_stream_progress(s, &p);
    if (rc == 0 && p.n_truncated) {
        *e = (struct jabbertts_error){.code = rc = JABBERTTS_ERR_LIMIT};
        snprintf(e->message, sizeof e->message, "%d of %d sentences were not finished",
                 p.n_truncated, p.n_piece);
    }
    return rc;
}

/* The file is complete: it is written to the journal first, then renamed. */
static int batch_keep(struct batch_job *j, const struct task *t, const char *temporary,
                      const char *path, struct jabbertts_error *e)
{
    struct batch *b = j->b;
    char line[256];
    batch_journal_line(b, t, line);
    int bad = fflush(j->file) != 0 || fsync(fileno(j->file)) != 0;
    bad |= fclose(j->file) != 0;
    j->file = NULL;
    pthread_mutex_lock(&b->lock);
    bad = bad || fprintf(b->journal, "%s\n", line) < 0 || fflush(b->journal) != 0 ||
          fsync(fileno(b->journal)) != 0;
    pthread_mutex_unlock(&b->lock);
    return bad || rename(temporary, path) != 0 ? batch_fail_io(e, path) : 0;
}

static int batch_speak(struct batch_job *j, const struct task *t, double *seconds,
                       struct jabbertts_error *e)
{
    struct jabbertts_stream *s = NULL;
    struct jabbertts_progress p;
    struct asked a;
    char path[4096], temporary[4096 + 8];
    int rc = batch_ask(j->b, t, &a, e);
    if (rc < 0 || (rc = jabbertts_submit(j->b->tts, cli_repair_all(&a.request), &s, e)) < 0)
        return rc;
    batch_path(j->b, t, &a, path);
    snprintf(temporary, sizeof temporary, "%s.tmp", path); /* of this run alone: see the lock */
    j->file = fopen(temporary, "wb");
    rc = j->file ? batch_pump(j, s, &a, e) : batch_fail_io(e, path);
    if (rc == 0)
        rc = batch_keep(j, t, temporary, path, e);
    if (j->file)
        fclose(j->file);
    j->file = NULL;
    if (rc < 0)
        unlink(temporary);
    jabbertts_stream_progress(s, &p);
    *seconds = (double)p.n_sample / jabbertts_stream_rate(s);
    jabbertts_stream_free(s);
    return rc;
}

/* Writes failed lines to a file of their own, for another run.  Called with the lock held. */
static void batch_note_failure(struct batch *b, const struct task *t, const char *why)
{
    char path[4096];
    json_t *j = json_copy(t->fields);
    json_object_set_new(j, "id", json_string(t->name));
    char *line = json_dumps(j, JSON_COMPACT);
    cli_fail("%s: %s", t->name, why);
    snprintf(path, sizeof path, "%s/failed.jsonl", b->o->output);
    if (!b->failed)
        b->failed = fopen(path, "wb");
    if (b->failed && line)
        fprintf(b->failed, "%s\n", line);
    free(line);
    json_decref(j);
}

/* What failed before has been made since, or is not asked for any more. */
static void batch_forget_failures(const struct batch *b)
{
    char path[4096];
    struct stat old, input;
    snprintf(path, sizeof path, "%s/failed.jsonl", b->o->output);
    if (stat(path, &old) == 0 && stat(b->o->argument[0], &input) == 0 &&
        (old.st_ino != input.st_ino || old.st_dev != input.st_dev))
        unlink(path);
}

static void batch_progress(const struct batch *b)
{
    int done = b->n_spoken + b->n_failed;
    double took = difftime(time(NULL), b->since);
    long left = done ? (long)(took / done * (b->n_todo - done)) : 0;
    cli_status("%d of %d, %.0f s of sound, about %ld:%02ld:%02ld left", done, b->n_todo, b->seconds,
               left / 3600, left / 60 % 60, left % 60);
}

static void *batch_thread(void *arg)
{
    struct batch_job j = {.b = arg};
    struct batch *b = arg;
    pthread_mutex_lock(&b->lock);
    while (b->next < b->tasks.n && !cli_interrupted()) {
        int i = b->next++;
        if (b->state[i] != BATCH_TODO)
            continue;
        struct jabbertts_error e = {0};
        double seconds = 0;
        pthread_mutex_unlock(&b->lock);
        int rc = batch_speak(&j, &b->tasks.task[i], &seconds, &e);
        pthread_mutex_lock(&b->lock);
        if (rc == JABBERTTS_ERR_CANCELLED)
            break;
        b->state[i] = rc == 0 ? BATCH_SPOKEN : BATCH_FAILED;
        b->n_spoken += rc == 0;
        b->n_failed += rc < 0;
        b->seconds += rc == 0 ? seconds : 0;
        if (rc < 0)
            batch_note_failure(b, &b->tasks.task[i], e.message);
        batch_progress(b);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static int batch_run(struct batch *b)
{
    pthread_t thread[BATCH_JOBS];
    int n = b->o->jobs < b->n_todo ? b->o->jobs : b->n_todo, started = 0;
    b->since = time(NULL);
    while (started < n && pthread_create(&thread[started], NULL, batch_thread, b) == 0)
        started++;
    if (started == 0 && n > 0)
        batch_thread(b);
    while (started > 0)
        pthread_join(thread[--started], NULL);
    if (b->failed && fclose(b->failed) != 0)
        cli_fail("cannot write %s/failed.jsonl: %s", b->o->output, strerror(errno));
    if (!b->n_failed && !cli_interrupted())
        batch_forget_failures(b);
    cli_note("%s: %d spoken (%.0f s of sound in %.0f s), %d there before, %d failed", b->o->output,
             b->n_spoken, b->seconds, difftime(time(NULL), b->since), b->tasks.n - b->n_todo,
             b->n_failed);
    if (b->n_failed)
        cli_note("again: the same command; or correct %s/failed.jsonl and give it in place of the "
                 "input, with the same options",
                 b->o->output);
    if (cli_interrupted()) {
        cli_note("interrupted: the same command goes on from here");
        return cli_interrupted();
    }
    return b->n_failed ? CLI_FAILED : CLI_OK;
}

static int batch_open(struct batch *b)
{
    struct options *o = b->o;
    struct jabbertts_error e;
    char dir[4096];
    o->server.voice_dir = cli_voice_dir(o->server.voice_dir, dir, sizeof dir);
    if (cli_has_voices(o->server.voice_dir) &&
        jabbertts_store_open(o->server.voice_dir, &b->store, &e) < 0)
        return cli_error("batch", &e);
    o->server.engine.store = b->store;
    o->server.engine.slots = o->jobs < 64 ? o->jobs + 1 : 64;
    o->server.engine.max_wait_s = 0;
    return jabbertts_open(&o->server.engine, &b->tts, &e) < 0 ? cli_error("batch", &e) : 0;
}

int cmd_batch(struct options *o)
{
    struct batch b = {.o = o};
    if (!o->output)
        return cli_usage("batch", "where the sounds go is missing: -o DIRECTORY");
    int code = tasks_read(o->argument[0], &b.tasks);
    if (code)
        return code;
    cli_catch_signals();
    pthread_mutex_init(&b.lock, NULL);
    b.state = calloc((size_t)b.tasks.n, 1);
    if (!b.state)
        code = cli_fail("out of memory for %d lines", b.tasks.n);
    if (!code && !(code = batch_open(&b)) && !(code = batch_open_journal(&b)) &&
        !(code = batch_look(&b)))
        code = batch_run(&b);
    if (b.journal)
        fclose(b.journal);
    jabbertts_close(b.tts);
    jabbertts_store_close(b.store);
    tasks_done(&b.tasks);
    free(b.known_line);
    free(b.known);
    free(b.state);
    pthread_mutex_destroy(&b.lock);
    return code;
}
