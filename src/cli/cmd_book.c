/* cmd_book.c - a book to one sound file with chapters, and captions beside it.
 *
 * Each chapter becomes a WAV file and its captions in OUTPUT.parts, under a name that says what it
 * was made of; they appear when they are whole.  So the same command goes on where it ended, and
 * a chapter that was changed is made again.  When the book is written the directory goes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/book.h"
#include "cli/options.h"
#include "server/captions.h"

#define BOOK_SAMPLES 4096
#define BOOK_CAST    64
#define BOOK_TEXT    (4 << 20)

struct cast { /* a line of the cast file: NAME = VOICE */
    char *name, *voice;
};

struct making {
    struct options *o;
    struct book book;
    struct cast cast[BOOK_CAST];
    int n_cast;
    char directory[4000];
    struct jabbertts_store *store;
    struct jabbertts *tts;
    FILE *file;
    char (*path)[4096];                       /* [book.n] of the parts */
    double done_chars, all_chars, made_chars; /* made by this run */
    time_t since;
    int lock; /* the open directory; -1: none */
};

/* --- what is said --- */

static int cast_read(struct making *m, const char *path)
{
    char *text, *line, *rest;
    size_t n;
    if (!path)
        return 0;
    int code = cli_read_file(path, 1 << 20, &text, &n);
    for (line = code ? NULL : strtok_r(text, "\r\n", &rest); line;
         line = strtok_r(NULL, "\r\n", &rest)) {
        char name[128], voice[128];
        if (line[strspn(line, " \t")] == '#' || !line[strspn(line, " \t")])
            continue;
        if (sscanf(line, " %127[^=] = %127s", name, voice) != 2 || m->n_cast == BOOK_CAST) {
            code = cli_fail("%s: \"%.60s\" is not NAME = VOICE, or there are more than %d", path,
                            line, BOOK_CAST);
            break;
        }
        for (size_t k = strlen(name); k > 0 && name[k - 1] == ' ';)
            name[--k] = 0;
        m->cast[m->n_cast++] = (struct cast){strdup(name), strdup(voice)};
    }
    if (!code || m->n_cast)
        free(text);
    return code;
}

static void put_escaped(FILE *f, const char *s, size_t n)
{
    for (; n > 0; n--, s++) {
        const char *as = *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '&' ? "&amp;" : NULL;
        if (as)
            fputs(as, f);
        else
            fputc(*s, f);
    }
}

/* With a cast: SSML, in which a paragraph that begins with "NAME:" has that name's voice. */
static char *book_script(const struct making *m, const struct book_chapter *c)
{
    char *script = NULL;
    size_t size;
    FILE *f = open_memstream(&script, &size);
    if (!f)
        return NULL;
    fputs("<speak>", f);
    for (const char *p = c->text; *p;) {
        const char *end = strstr(p, "\n\n"), *voice = NULL;
        size_t n = end ? (size_t)(end - p) : strlen(p);
        for (int i = 0; i < m->n_cast && !voice; i++) {
            size_t k = strlen(m->cast[i].name);
            if (n > k + 1 && strncmp(p, m->cast[i].name, k) == 0 && p[k] == ':') {
                voice = m->cast[i].voice;
                p += k + 1;
                n -= k + 1;
            }
        }
        fprintf(f, voice ? "<p><voice name=\"%s\">" : "<p>", voice);
        put_escaped(f, p, n);
        fputs(voice ? "</voice></p>" : "</p>", f);
        p += n;
        p += strspn(p, "\n");
    }
    fputs("</speak>", f);
    return fclose(f) == 0 ? script : NULL;
}

/* FNV-1a of the text, and of what else its sound depends on. */
static uint64_t book_hash(const struct making *m, const char *script)
{
    const struct jabbertts_request *r = &m->o->request;
    struct jabbertts_model_info model;
    char options[512];
    jabbertts_model_info(m->tts, &model);
    const char *lexicon = m->o->server.engine.lexicon;
    snprintf(options, sizeof options, "%s|%s|%zu|%s|%s|%llu|%g|%g|%g|%g|%d|%d|%d|%.200s",
             jabbertts_version(), model.name, model.file_bytes, r->voice ? r->voice : "",
             r->language ? r->language : "", (unsigned long long)r->seed, (double)r->temperature,
             (double)r->top_p, (double)r->repetition_penalty, m->o->encoder.speed, r->normalize,
             r->carry_markers, r->repair, lexicon ? lexicon : "");
    uint64_t h = 14695981039346656037u;
    const char *part[] = {script, options};
    for (int i = 0; i < 2; i++)
        for (const char *p = part[i]; *p; p++)
            h = (h ^ (unsigned char)*p) * 1099511628211u;
    return h;
}

/* --- a chapter --- */

static int book_write(void *cookie, const void *data, size_t n)
{
    return fwrite(data, 1, n, ((struct making *)cookie)->file) == n ? 0 : JABBERTTS_ERR_IO;
}

static int book_fail(const char *what, const struct jabbertts_error *e)
{
    return cli_interrupted() ? cli_interrupted() : cli_fail("%s: %s", what, e->message);
}

static void book_progress(const struct making *m, const struct book_chapter *c,
                          const struct jabbertts_progress *p)
{
    double here = (double)c->n * p->piece / p->n_piece, made = m->made_chars + here;
    double took = difftime(time(NULL), m->since);
    long left = made > 0 ? (long)(took / made * (m->all_chars - m->done_chars - here)) : 0;
    cli_status("%s: sentence %d of %d, %.0f %% of the book, about %ld:%02ld:%02ld left", c->title,
               p->piece, p->n_piece, 100 * (m->done_chars + here) / m->all_chars, left / 3600,
               left / 60 % 60, left % 60);
}

static int book_pump(struct making *m, struct jabbertts_stream *s, const struct book_chapter *c)
{
    struct jabbertts_encoder_options o = m->o->encoder;
    struct jabbertts_encoder *encoder;
    struct jabbertts_progress p;
    struct jabbertts_error e = {0};
    unsigned char head[JABBERTTS_HEAD_MAX];
    float pcm[BOOK_SAMPLES];
    int n = 0, rc;
    o.format = "wav";
    o.in_hz = jabbertts_stream_rate(s);
    o.sink = book_write;
    o.cookie = m;
    if ((rc = jabbertts_encoder_new(&o, &encoder, &e)) < 0)
        return book_fail(c->title, &e);
    while (rc == 0 && !cli_interrupted() && (n = jabbertts_read(s, pcm, BOOK_SAMPLES, &e)) > 0) {
        rc = jabbertts_encoder_write(encoder, pcm, (size_t)n, &e);
        jabbertts_stream_progress(s, &p);
        book_progress(m, c, &p);
    }
    if (rc == 0 && n == 0 && !cli_interrupted())
        rc = jabbertts_encoder_finish(encoder, &e);
    size_t n_head = rc == 0 ? jabbertts_encoder_head(encoder, head) : 0;
    jabbertts_encoder_free(encoder);
    if (rc < 0 || n < 0 || cli_interrupted())
        return book_fail(c->title, &e);
    if (fseek(m->file, 0, SEEK_SET) != 0 || fwrite(head, 1, n_head, m->file) != n_head)
        return cli_fail("%s: %s", c->title, strerror(errno));
    jabbertts_stream_progress(s, &p);
    if (p.n_truncated)
        cli_note("%s: %d of %d sentences were not finished; try another --seed", c->title,
                 p.n_truncated, p.n_piece);
    return 0;
}

/* Sentences with their times, beside the part. */
static int book_keep_captions(struct jabbertts_stream *s, const char *script, double speed,
                              const char *part)
{
    struct captions c = {.text = script, .speed = speed > 0 ? speed : 1};
    char path[4096 + 8];
    json_t *list = captions_take(&c, s) < 0 ? NULL : captions_sentences(&c, 0);
    snprintf(path, sizeof path, "%s.json", part);
    int rc = list ? json_dump_file(list, path, JSON_COMPACT) : -1;
    json_decref(list);
    captions_done(&c);
    return rc == 0 ? 0 : cli_fail("cannot write %s", path);
}

static int book_speak(struct making *m, const struct book_chapter *c, const char *script,
                      const char *path)
{
    struct jabbertts_request r = m->o->request;
    struct jabbertts_stream *s = NULL;
    struct jabbertts_error e;
    char temporary[4096 + 8];
    r.text = script;
    r.ssml = m->n_cast ? 1 : -1;
    r.words = 1;
    if (jabbertts_submit(m->tts, cli_repair_all(&r), &s, &e) < 0)
        return book_fail(c->title, &e);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    m->file = fopen(temporary, "wb");
    int code =
        m->file ? book_pump(m, s, c) : cli_fail("cannot write %s: %s", path, strerror(errno));
    if (!code)
        code = book_keep_captions(s, script, m->o->encoder.speed, path);
    if (m->file && (fflush(m->file) != 0 || fsync(fileno(m->file)) != 0 || fclose(m->file) != 0) &&
        !code)
        code = cli_fail("cannot write %s: %s", path, strerror(errno));
    m->file = NULL;
    if (!code && rename(temporary, path) != 0)
        code = cli_fail("cannot write %s: %s", path, strerror(errno));
    if (code)
        unlink(temporary);
    jabbertts_stream_free(s);
    return code;
}

static int book_chapters(struct making *m)
{
    int code = 0, n_there = 0;
    m->since = time(NULL);
    for (int i = 0; i < m->book.n; i++)
        m->all_chars += (double)m->book.chapter[i].n;
    for (int i = 0; i < m->book.n && !code; i++) {
        const struct book_chapter *c = &m->book.chapter[i];
        char *script = m->n_cast ? book_script(m, c) : strdup(c->text);
        if (!script)
            return cli_fail("out of memory for %s", c->title);
        snprintf(m->path[i], sizeof m->path[i], "%s/%04d-%016" PRIx64 ".wav", m->directory, i + 1,
                 book_hash(m, script));
        if (book_part_seconds(m->path[i]) >= 0) {
            n_there++;
        } else {
            code = book_speak(m, c, script, m->path[i]);
            m->made_chars += (double)c->n;
        }
        m->done_chars += (double)c->n;
        free(script);
    }
    if (n_there)
        cli_note("%d of %d chapters were there before", n_there, m->book.n);
    return code;
}

/* --- the whole --- */

static void put_time(FILE *f, double s, char mark)
{
    long ms = lround(s * 1000);
    fprintf(f, "%02ld:%02ld:%02ld%c%03ld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, mark,
            ms % 1000);
}

static void book_captions_path(const struct making *m, char path[4096])
{
    const char *out = m->o->output;
    snprintf(path, 4096, "%.*s.srt", (int)(strrchr(out, '.') - out), out);
}

/* SubRip, for the whole book. */
static int book_captions(const struct making *m, const struct book_part *part)
{
    char path[4096];
    double at = 0;
    int n = 0;
    book_captions_path(m, path);
    FILE *f = fopen(path, "wb");
    for (int i = 0; f && i < m->book.n; i++) {
        char beside[4096 + 8];
        size_t k;
        json_t *v;
        snprintf(beside, sizeof beside, "%s.json", part[i].path);
        json_t *list = json_load_file(beside, 0, NULL);
        json_array_foreach(list, k, v)
        {
            fprintf(f, "%d\n", ++n);
            put_time(f, at + json_number_value(json_object_get(v, "start")), ',');
            fputs(" --> ", f);
            put_time(f, at + json_number_value(json_object_get(v, "end")), ',');
            const char *text = json_string_value(json_object_get(v, "text"));
            fprintf(f, "\n%s\n\n", text ? text : "");
        }
        json_decref(list);
        at += part[i].seconds;
    }
    bool bad = !f || ferror(f);
    if (f && fclose(f) != 0)
        bad = true;
    return bad ? cli_fail("cannot write %s: %s", path, strerror(errno)) : 0;
}

static void book_remove_parts(const struct making *m)
{
    DIR *d = opendir(m->directory);
    for (struct dirent *f; d && (f = readdir(d));) {
        char path[4096 + 256];
        snprintf(path, sizeof path, "%s/%s", m->directory, f->d_name);
        if (f->d_name[0] != '.')
            unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(m->directory);
}

static int book_join(struct making *m)
{
    struct book_part *part = calloc((size_t)m->book.n + 1, sizeof *part);
    double seconds = 0;
    if (!part)
        return cli_fail("out of memory for %s", m->o->output);
    for (int i = 0; i < m->book.n; i++)
        part[i] = (struct book_part){.path = m->path[i],
                                     .title = m->book.chapter[i].title,
                                     .seconds = book_part_seconds(m->path[i])};
    /* The book comes last: where it is, all is. */
    int code = book_captions(m, part);
    if (!code)
        code = book_mux(m->o->output, &m->book,
                        m->o->request.voice ? m->o->request.voice : "JabberTTS", part, m->book.n);
    for (int i = 0; i < m->book.n; i++)
        seconds += part[i].seconds;
    if (!code) {
        book_remove_parts(m);
        cli_note("%s: %d chapters, %d:%02d:%02d", m->o->output, m->book.n, (int)seconds / 3600,
                 (int)seconds / 60 % 60, (int)seconds % 60);
    }
    free(part);
    return code;
}

static int book_check(struct making *m)
{
    const char *out = m->o->output, *dot = out ? strrchr(out, '.') : NULL;
    if (!dot || (strcmp(dot, ".m4b") != 0 && strcmp(dot, ".mp3") != 0))
        return cli_usage("book", "-o FILE is missing, or does not end in .m4b or .mp3");
    if (access(out, F_OK) == 0 && !m->o->force)
        return cli_fail("%s is there; --force writes over it", out);
    snprintf(m->directory, sizeof m->directory, "%s.parts", out);
    char captions[4096];
    book_captions_path(m, captions);
    if (access(captions, F_OK) == 0 && access(m->directory, F_OK) != 0 && !m->o->force)
        return cli_fail("%s is there, where the captions go; --force writes over it", captions);
    int code = cast_read(m, m->o->cast);
    if (!code)
        code = book_read(m->o->argument[0], &m->book);
    for (int i = 0; !code && i < m->book.n; i++)
        if (m->book.chapter[i].n > BOOK_TEXT)
            code = cli_fail("%s has %zu bytes, the limit of a chapter is %d",
                            m->book.chapter[i].title, m->book.chapter[i].n, BOOK_TEXT);
    return code;
}

static int book_open(struct making *m)
{
    struct options *o = m->o;
    struct jabbertts_error e;
    char dir[4096];
    o->server.voice_dir = cli_voice_dir(o->server.voice_dir, dir, sizeof dir);
    if (cli_has_voices(o->server.voice_dir) &&
        jabbertts_store_open(o->server.voice_dir, &m->store, &e) < 0)
        return cli_error("book", &e);
    o->server.engine.store = m->store;
    o->server.engine.slots = 9; /* one stays free for others: eight sentences at once */
    if (jabbertts_open(&o->server.engine, &m->tts, &e) < 0)
        return cli_error("book", &e);
    m->path = calloc((size_t)m->book.n + 1, sizeof *m->path);
    if (!m->path)
        return cli_fail("out of memory for %d chapters", m->book.n);
    if (mkdir(m->directory, 0777) < 0 && errno != EEXIST)
        return cli_fail("cannot make the directory %s: %s", m->directory, strerror(errno));
    m->lock = open(m->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (m->lock >= 0 && flock(m->lock, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return cli_fail("another jabbertts book makes %s", m->o->output);
    return 0;
}

int cmd_book(struct options *o)
{
    struct making m = {.o = o, .lock = -1};
    cli_catch_signals();
    int code = book_check(&m);
    if (!code && !(code = book_open(&m)) && !(code = book_chapters(&m)))
        code = book_join(&m);
    if (cli_interrupted())
        cli_note("interrupted: the same command goes on from here");
    jabbertts_close(m.tts);
    jabbertts_store_close(m.store);
    for (int i = 0; i < m.n_cast; i++) {
        free(m.cast[i].name);
        free(m.cast[i].voice);
    }
    if (m.lock >= 0)
        close(m.lock);
    book_done(&m.book);
    free(m.path);
    return code;
}
