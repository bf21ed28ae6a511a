#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/clips.h"
#include "cli/live.h"
#include "cli/player.h"
#include "server/captions.h"

#define READ_SIZE 4096 /* samples */

struct say {
    struct options *o;
    const char *format;   /* a format's name */
    const char *captions; /* "srt", "vtt" or "json"; NULL: none */
    char *text;

    struct jabbertts_store *store;
    struct jabbertts *tts;
    struct jabbertts_voice *reference;
    struct jabbertts_stream *stream; /* or, of a text that is still being written: */
    struct talk *talk;
    struct live *live;
    double talk_s;                              /* of sound so far */
    struct jabbertts_encoder *encoder, *played; /* to the file, to the player */
    FILE *file;
    struct player *player;
    char *temporary; /* written, then renamed to output; NULL when writing in place */
    off_t start;     /* where our sound begins in a file that can be gone back in, or -1 */
    size_t n_byte;   /* written */
    int write_error; /* errno of a failed write */
};

/* Speaks standard input while it arrives. */
static bool say_is_live(const struct say *s)
{
    return s->o->n_argument && strcmp(s->o->argument[0], "-") == 0 && !s->o->input;
}

static int say_rate(const struct say *s)
{
    return s->talk ? talk_rate(s->talk) : jabbertts_stream_rate(s->stream);
}

static const char *say_output(const struct say *s)
{
    return strcmp(s->o->output, "-") ? s->o->output : "standard output";
}

/* --- what was asked for --- */

static bool is_clip(const char *voice)
{
    return voice && (strchr(voice, '/') || strchr(voice, '.'));
}

static bool say_imitates(const struct options *o)
{
    return o->clips.n > 0 || is_clip(o->request.voice);
}

static int say_choose_format(struct say *s)
{
    struct jabbertts_format f;
    const char *name = s->o->output ? strrchr(s->o->output, '/') : NULL;
    char endings[256];
    size_t n = 0;
    name = name ? name + 1 : s->o->output;
    s->format = s->o->format ? s->o->format : "wav";
    if (s->o->format || !name || !strchr(name, '.') || !strcmp(s->o->output, "/dev/null"))
        return 0;
    if (jabbertts_format_find(name, &f) == 0) {
        s->format = f.name;
        return 0;
    }
    for (size_t i = 0; jabbertts_format_at(i, &f) == 0 && n < sizeof endings; i++)
        n += (size_t)snprintf(endings + n, sizeof endings - n, "%s%s", i ? " " : "", f.endings);
    return cli_usage("say", "the ending of %s names no format; known are: %s; or say --format",
                     name, endings);
}

static int say_choose_captions(struct say *s)
{
    static const char *const kinds[] = {"srt", "vtt", "json"};
    const char *dot = s->o->captions ? strrchr(s->o->captions, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(dot + 1, kinds[i]) == 0)
            s->captions = kinds[i];
    return !s->o->captions || s->captions
               ? 0
               : cli_usage("say", "--captions %s: its ending must be .srt, .vtt or .json",
                           s->o->captions);
}

/* Standard output may be a regular file, too: then its sizes can be told at the end. */
static off_t say_position(FILE *f)
{
    struct stat st;
    int fd = fileno(f), flags = fcntl(fd, F_GETFL);
    bool seekable = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flags >= 0 && !(flags & O_APPEND);
    return seekable ? lseek(fd, 0, SEEK_CUR) : -1;
}

/* `say TEXT > file`: standard output is a file of its own, not one that messages go to. */
static bool say_is_redirected(void)
{
    struct stat out, error;
    return say_position(stdout) >= 0 && fstat(1, &out) == 0 &&
           (fstat(2, &error) < 0 || out.st_ino != error.st_ino || out.st_dev != error.st_dev);
}

static int say_check(struct say *s)
{
    struct options *o = s->o;
    if (o->clip_texts.n && !say_imitates(o))
        return cli_usage("say", "--voice-text goes with --voice FILE or --reference FILE");
    if (o->clips.n && o->request.voice && !is_clip(o->request.voice))
        return cli_usage("say", "--reference goes without a --voice that has a name");
    if (!o->output && !o->play)
        o->output = say_is_redirected() ? "-" : "speech.wav";
    if (o->output && !strcmp(o->output, "-") && isatty(1))
        return cli_usage("say", "will not write sound to a terminal; redirect it or use -o FILE");
    if (say_is_live(s) && (o->captions || o->ssml || o->request.max_seconds > 0))
        return cli_usage("say", "a text that is still being written (-) has no %s",
                         o->captions ? "--captions"
                         : o->ssml   ? "--ssml"
                                     : "--max-seconds");
    int code = say_choose_captions(s);
    return code ? code : say_choose_format(s);
}

/* --- output --- */

static int say_write_bytes(void *cookie, const void *data, size_t n)
{
    struct say *s = cookie;
    s->n_byte += n;
    if (fwrite(data, 1, n, s->file) == n)
        return 0;
    s->write_error = errno;
    return JABBERTTS_ERR_IO;
}

static int say_play_bytes(void *cookie, const void *data, size_t n)
{
    struct say *s = cookie;
    return player_write(s->player, data, n);
}

static int fail_write(const struct say *s, const char *why)
{
    return cli_fail("cannot write %s: %s", say_output(s),
                    s->write_error ? strerror(s->write_error) : why);
}

static int open_output(struct say *s)
{
    struct stat st;
    const char *path = s->o->output;
    if (!path)
        return 0;
    if (!strcmp(path, "-")) {
        s->file = stdout;
        s->start = say_position(stdout);
        return 0;
    }
    /* A device or pipe is written in place, a file only appears when it is whole. */
    if (stat(path, &st) < 0 || S_ISREG(st.st_mode)) {
        size_t n = strlen(path) + 32;
        s->temporary = calloc(1, n);
        if (!s->temporary)
            return cli_fail("out of memory");
        snprintf(s->temporary, n, "%s.tmp-%ld", path, (long)getpid());
        path = s->temporary;
    }
    s->file = fopen(path, "wb");
    if (!s->file)
        return cli_fail("cannot write %s: %s", s->o->output, strerror(errno));
    s->start = say_position(s->file);
    return 0;
}

static int out_hz(const struct say *s)
{
    return s->o->encoder.out_hz ? s->o->encoder.out_hz : say_rate(s);
}

static int say_open_encoders(struct say *s)
{
    struct jabbertts_error e;
    struct jabbertts_encoder_options o = s->o->encoder;
    o.in_hz = say_rate(s);
    o.cookie = s;
    if (s->file) {
        o.format = s->format;
        o.sink = say_write_bytes;
        if (jabbertts_encoder_new(&o, &s->encoder, &e) < 0)
            return cli_error("say", &e);
    }
    if (!s->o->play)
        return 0;
    o.format = "pcm";
    o.sink = say_play_bytes;
    if (player_open(out_hz(s), &s->player))
        return CLI_FAILED;
    return jabbertts_encoder_new(&o, &s->played, &e) < 0 ? cli_error("say", &e) : 0;
}

/* A file whose length is known now gets a beginning that says so. */
static int say_finish_head(struct say *s)
{
    unsigned char head[JABBERTTS_HEAD_MAX];
    size_t n = s->start < 0 ? 0 : jabbertts_encoder_head(s->encoder, head);
    if (n > 0 && (fflush(s->file) != 0 || pwrite(fileno(s->file), head, n, s->start) != (ssize_t)n))
        return fail_write(s, strerror(errno));
    return 0;
}

static int finish_file(struct say *s)
{
    int rc = say_finish_head(s);
    if (rc)
        return rc;
    int bad = fflush(s->file) != 0 || ferror(s->file);
    if (s->file != stdout) {
        bad |= fclose(s->file) != 0;
        s->file = NULL;
    }
    if (bad || (s->temporary && rename(s->temporary, s->o->output) != 0))
        return fail_write(s, strerror(errno));
    free(s->temporary);
    s->temporary = NULL;
    return 0;
}

static int say_write_captions(struct say *s)
{
    struct captions c = {.text = s->text, .speed = s->o->encoder.speed};
    struct buf b;
    buf_init(&b, SIZE_MAX / 2);
    if (captions_take(&c, s->stream) < 0 || captions_write(&c, s->captions, &b) < 0)
        b.len = 0;
    FILE *f = b.len ? fopen(s->o->captions, "wb") : NULL;
    bool good = f && fwrite(b.data, 1, b.len, f) == b.len;
    int why = errno;
    if (f && fclose(f) != 0)
        good = false;
    bool memory = b.len == 0;
    buf_done(&b);
    captions_done(&c);
    return good ? 0
                : cli_fail("cannot write %s: %s", s->o->captions,
                           memory ? "out of memory" : strerror(why));
}

/* --- speaking --- */

static double say_seconds(const struct say *s, const struct jabbertts_progress *p)
{
    return (double)p->n_sample / say_rate(s) / s->o->encoder.speed;
}

static void show_progress(const struct say *s)
{
    struct jabbertts_progress p;
    if (s->talk) {
        cli_status("%.1f s of sound", s->talk_s);
        return;
    }
    jabbertts_stream_progress(s->stream, &p);
    cli_status("%.1f s of sound in %.1f s, sentence %d of %d", say_seconds(s, &p), p.elapsed_s,
               p.piece < p.n_piece ? p.piece + 1 : p.n_piece, p.n_piece);
}

static int say_interrupted(void)
{
    cli_fail("interrupted");
    return cli_interrupted();
}

static int say_read(struct say *s, float *pcm, struct jabbertts_error *e)
{
    if (!s->talk)
        return jabbertts_read(s->stream, pcm, READ_SIZE, e);
    int n = talk_read(s->talk, pcm, READ_SIZE, e);
    s->talk_s += n > 0 ? n / (double)say_rate(s) / s->o->encoder.speed : 0;
    return n;
}

static int say_pump(struct say *s)
{
    struct jabbertts_error e;
    float pcm[READ_SIZE];
    int n;
    while ((n = say_read(s, pcm, &e)) > 0) {
        if (cli_interrupted())
            return say_interrupted();
        if (s->encoder && jabbertts_encoder_write(s->encoder, pcm, (size_t)n, &e) < 0)
            return fail_write(s, e.message);
        if (s->played && jabbertts_encoder_write(s->played, pcm, (size_t)n, &e) < 0)
            return cli_fail("the sound device stopped taking sound");
        show_progress(s);
    }
    if (cli_interrupted())
        return say_interrupted();
    if (n < 0)
        return cli_error("say", &e);
    if (s->talk && s->talk_s == 0)
        return cli_usage("say", "text has nothing to say");
    if (s->encoder && jabbertts_encoder_finish(s->encoder, &e) < 0)
        return fail_write(s, e.message);
    if (s->played && jabbertts_encoder_finish(s->played, &e) < 0)
        return cli_fail("the sound device stopped taking sound");
    return 0;
}

static int say_report(const struct say *s)
{
    struct jabbertts_progress p;
    const char *mark, *output = s->o->output ? say_output(s) : "played";
    double at;
    if (s->talk) {
        cli_note("%s, %.1f s of sound", output, s->talk_s);
        return CLI_OK;
    }
    jabbertts_stream_progress(s->stream, &p);
    for (int i = 0; jabbertts_stream_mark(s->stream, i, &mark, &at) == 0; i++)
        if (at >= 0)
            cli_note("mark \"%s\" at %.3f s", mark, at / s->o->encoder.speed);
    if (p.n_ignored > 0)
        cli_note("%d words were read by their letters: this model reads no IPA", p.n_ignored);
    if (p.n_repaired > 0)
        cli_note("sentences were made again %d times: they had failed", p.n_repaired);
    if (s->o->request.seed)
        cli_note("%s, %.1f s of sound in %.1f s, seed %llu", output, say_seconds(s, &p),
                 p.elapsed_s, (unsigned long long)s->o->request.seed);
    else
        cli_note("%s, %.1f s of sound in %.1f s", output, say_seconds(s, &p), p.elapsed_s);
    if (p.n_truncated == 0)
        return CLI_OK;
    return cli_fail("%d of %d sentences were not finished (%s); the sound up to there was written",
                    p.n_truncated, p.n_piece,
                    s->o->request.max_seconds > 0
                        ? "--max-seconds was reached"
                        : "the model did not stop by itself: try another --seed");
}

/* The model will make something of letters that it does not read, but not speech. */
static void say_warn(const struct say *s)
{
    const char *language;
    if (!s->o->server.fallback && jabbertts_unread(s->tts, &s->o->request, &language) > 0)
        cli_note("warning: the text has a script that this model does not read; try --fallback, or "
                 "--model espeak-ng --voice %s",
                 language);
}

/* To standard input. */
static int say_listen(struct say *s)
{
    struct jabbertts_error e;
    s->o->request.ssml = -1;
    if (talk_new(s->tts, &s->o->request, &s->talk, &e) == 0)
        return live_start(s->talk, &s->live);
    return cli_voice_error("say", s->tts, s->o->request.voice, &e);
}

static int say_submit(struct say *s)
{
    struct jabbertts_error e;
    struct jabbertts_request *r = &s->o->request;
    if (say_is_live(s))
        return say_listen(s);
    r->text = s->text;
    r->ssml = s->o->ssml ? 1 : 0;
    r->fallback = s->o->server.fallback;
    say_warn(s);
    r->words = s->captions != NULL;
    if (s->o->output && strcmp(s->o->output, "-") && !s->o->play) /* nobody hears it yet */
        cli_repair_all(r);
    if (jabbertts_submit(s->tts, r, &s->stream, &e) == 0)
        return 0;
    return cli_voice_error("say", s->tts, r->voice, &e);
}

/* All recordings as one voice. */
static int say_imitate(struct say *s)
{
    struct clips c = {.n = 0};
    struct jabbertts_error e;
    int code = clips_gather(s->o, s->o->request.voice, &c);
    for (int i = 0; i < c.n && !code; i++) {
        struct jabbertts_voice *one;
        if (!c.text[i])
            cli_note("%s has no transcript (--voice-text): with one the voice is more alike, and "
                     "fewer words are wrong",
                     c.path[i]);
        if (jabbertts_voice_from_file(s->tts, c.path[i], c.text[i], &one, &e) < 0) {
            code = cli_error("say", &e);
        } else if (!s->reference) {
            s->reference = one;
        } else if (jabbertts_voice_join(s->reference, one, &e) < 0) {
            jabbertts_voice_free(one);
            code = cli_error("say", &e);
        }
    }
    clips_done(&c);
    s->o->request.reference = s->reference;
    return code;
}

/* Another model than the built-in one may have voices of our making, which the store keeps. */
static bool is_model(const struct options *o)
{
    return o->server.engine.model && strcmp(o->server.engine.model, "espeak-ng");
}

static bool say_needs_store(const struct options *o)
{
    return is_model(o) || (o->request.voice && cli_has_voices(o->server.voice_dir));
}

static int say_prepare(struct say *s)
{
    struct jabbertts_error e;
    struct options *o = s->o;
    char dir[4096];
    o->server.voice_dir = cli_voice_dir(o->server.voice_dir, dir, sizeof dir);
    if (!say_imitates(o) && say_needs_store(o) &&
        jabbertts_store_open(o->server.voice_dir, &s->store, &e) < 0 && !is_model(o))
        return cli_error("say", &e);
    o->server.engine.store = s->store;
    o->server.engine.slots = 5; /* one stays free for others: four sentences at once */
    if (jabbertts_open(&o->server.engine, &s->tts, &e) < 0)
        return cli_error("say", &e);
    int code = say_imitates(o) ? say_imitate(s) : 0;
    return code ? code : say_submit(s);
}

static int say_say(struct say *s)
{
    int code;
    if ((code = say_check(s)) || (!say_is_live(s) && (code = cli_read_text(s->o, &s->text))) ||
        (code = say_prepare(s)) || (code = open_output(s)) || (code = say_open_encoders(s)) ||
        (code = say_pump(s)) || (s->file && (code = finish_file(s))) ||
        (s->captions && (code = say_write_captions(s))))
        return code;
    return say_report(s);
}

int cmd_say(struct options *o)
{
    struct say s = {.o = o, .start = -1};
    cli_catch_signals();
    int code = say_say(&s);
    jabbertts_encoder_free(s.encoder);
    jabbertts_encoder_free(s.played);
    player_close(s.player);
    live_stop(s.live);
    talk_free(s.talk);
    jabbertts_stream_free(s.stream);
    jabbertts_voice_free(s.reference);
    jabbertts_close(s.tts);
    jabbertts_store_close(s.store);
    if (s.file && s.file != stdout)
        fclose(s.file);
    if (s.temporary)
        unlink(s.temporary);
    free(s.temporary);
    free(s.text);
    return code;
}
