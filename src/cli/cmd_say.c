#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "jabbertts.h"

#define TEXT_MAX  (4 << 20) /* bytes of text read from a file or standard input */
#define READ_SIZE 4096

static const char usage[] =
    "usage: jabbertts say [OPTION]... [TEXT]\n\n"
    "Speak TEXT (or a file, or standard input) and write the sound to a file.\n\n"
    "  -o, --output FILE       .wav .mp3 .opus .aac .flac or .pcm; - is standard output\n"
    "                          (default: speech.wav)\n"
    "  -f, --format NAME       wav, mp3, opus, aac, flac, pcm (default: by the file's name, wav)\n"
    "  -i, --input FILE        read the text from FILE; - is standard input\n"
    "      --play              play it while it is made (needs aplay, paplay or ffplay)\n"
    "      --voice NAME        a voice (jabbertts voices), or a sound file to clone\n"
    "      --voice-text TEXT   what is said in that sound file\n"
    "      --language NAME     of the text, as espeak-ng names it: en-us, de, pt-br\n"
    "      --ssml              the text is SSML (default: if it starts with <speak)\n"
    "      --lexicon FILE      lines `word = reading` or `word = /ipa/`: how words are said\n"
    "      --voice-dir DIR     of your own voices (default: $XDG_DATA_HOME/jabbertts/voices)\n"
    "      --speed X           0.25 to 4, pitch kept (default 1)\n"
    "      --seed N            other numbers, another reading (default 0)\n"
    "      --temperature X     0 to 2 (default: the model's)\n"
    "      --top-p X           up to 1 (default: the model's)\n"
    "      --repetition-penalty X  1 to 2 (default: the model's)\n"
    "      --max-seconds X     stop after so much sound (default: when the text is spoken)\n"
    "      --prefix-dir DIR    keep what the model remembers of voices in DIR: the next run with "
    "the same\n"
    "                          voice begins at once\n"
    "      --threads N         1 to 256 (default: one per core)\n"
    "      --isa NAME          ref, avx2, avx512, neon (default: the best here)\n"
    "      --cache TYPE        keys and values: f32, f16, q8_0 (default: by the model's matrices)\n"
    "      --model FILE        a model made by `jabbertts convert` (default: the built-in voice), "
    "or\n"
    "                          espeak-ng: its own voice, in any of its languages\n"
    "      --help              this text\n\n"
    "exit code: 0 spoken, 1 failed or not finished, 2 wrong usage\n";

struct say {
    struct jabbertts_options engine;
    struct jabbertts_request request;
    const char *output, *format, *input, *voice_text, *voice_dir;
    double speed;
    int play;
    char *text;

    struct jabbertts_store *store;
    struct jabbertts *tts;
    struct jabbertts_voice *reference;
    struct jabbertts_stream *stream;
    struct jabbertts_encoder *encoder;
    FILE *file, *player;
    char *temporary; /* written, then renamed to output; NULL when writing in place */
    size_t n_byte;
    int write_error; /* errno of a failed write */
};

static volatile sig_atomic_t interrupted;

static void say_on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

/* --- options --- */

enum {
    OPT_PLAY = 256,
    OPT_VOICE,
    OPT_VOICE_TEXT,
    OPT_VOICE_DIR,
    OPT_LANGUAGE,
    OPT_SSML,
    OPT_LEXICON,
    OPT_SPEED,
    OPT_SEED,
    OPT_TEMPERATURE,
    OPT_TOP_P,
    OPT_PENALTY,
    OPT_MAX_SECONDS,
    OPT_PREFIX_DIR,
    OPT_THREADS,
    OPT_ISA,
    OPT_CACHE,
    OPT_MODEL
};

static const struct option options[] = {{"output", required_argument, 0, 'o'},
                                        {"format", required_argument, 0, 'f'},
                                        {"input", required_argument, 0, 'i'},
                                        {"play", no_argument, 0, OPT_PLAY},
                                        {"voice", required_argument, 0, OPT_VOICE},
                                        {"voice-text", required_argument, 0, OPT_VOICE_TEXT},
                                        {"language", required_argument, 0, OPT_LANGUAGE},
                                        {"ssml", no_argument, 0, OPT_SSML},
                                        {"lexicon", required_argument, 0, OPT_LEXICON},
                                        {"voice-dir", required_argument, 0, OPT_VOICE_DIR},
                                        {"speed", required_argument, 0, OPT_SPEED},
                                        {"seed", required_argument, 0, OPT_SEED},
                                        {"temperature", required_argument, 0, OPT_TEMPERATURE},
                                        {"top-p", required_argument, 0, OPT_TOP_P},
                                        {"repetition-penalty", required_argument, 0, OPT_PENALTY},
                                        {"max-seconds", required_argument, 0, OPT_MAX_SECONDS},
                                        {"prefix-dir", required_argument, 0, OPT_PREFIX_DIR},
                                        {"threads", required_argument, 0, OPT_THREADS},
                                        {"isa", required_argument, 0, OPT_ISA},
                                        {"cache", required_argument, 0, OPT_CACHE},
                                        {"model", required_argument, 0, OPT_MODEL},
                                        {"help", no_argument, 0, 'h'},
                                        {0}};

static int float_option(const char *name, double min, double max, float *ret)
{
    double v;
    if (cli_float("say", name, optarg, min, max, &v))
        return CLI_USAGE;
    *ret = (float)v;
    return 0;
}

static int number_option(struct say *s, int c)
{
    switch (c) {
    case OPT_SPEED:
        return cli_float("say", "speed", optarg, 0.25, 4, &s->speed);
    case OPT_SEED:
        return cli_u64("say", "seed", optarg, &s->request.seed);
    case OPT_TEMPERATURE:
        return float_option("temperature", 0, 2, &s->request.temperature);
    case OPT_TOP_P:
        return float_option("top-p", 1e-6, 1, &s->request.top_p);
    case OPT_PENALTY:
        return float_option("repetition-penalty", 1, 2, &s->request.repetition_penalty);
    case OPT_MAX_SECONDS:
        return cli_float("say", "max-seconds", optarg, 0.1, 7200, &s->request.max_seconds);
    case OPT_THREADS:
        return cli_int("say", "threads", optarg, 1, 256, &s->engine.threads);
    case OPT_PREFIX_DIR:
        s->engine.prefix_dir = optarg;
        return 0;
    default:
        return cli_usage("say", "that option is not known, or lacks its value");
    }
}

static int is_clip(const char *voice)
{
    return voice && (strchr(voice, '/') || strchr(voice, '.'));
}

static int string_option(struct say *s, int c)
{
    const char **where = c == 'o'              ? &s->output
                         : c == 'f'            ? &s->format
                         : c == 'i'            ? &s->input
                         : c == OPT_VOICE      ? &s->request.voice
                         : c == OPT_VOICE_TEXT ? &s->voice_text
                         : c == OPT_VOICE_DIR  ? &s->voice_dir
                         : c == OPT_LANGUAGE   ? &s->request.language
                         : c == OPT_LEXICON    ? &s->engine.lexicon
                         : c == OPT_ISA        ? &s->engine.isa
                         : c == OPT_CACHE      ? &s->engine.cache
                         : c == OPT_MODEL      ? &s->engine.model
                                               : NULL;
    if (!where)
        return number_option(s, c);
    *where = optarg;
    return 0;
}

/* -1: go on; else the exit code. */
static int say_parse(struct say *s, int argc, char **argv)
{
    int c;
    while ((c = getopt_long(argc, argv, "o:f:i:h", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            return CLI_OK;
        }
        if (c == OPT_PLAY)
            s->play = 1;
        else if (c == OPT_SSML)
            s->request.ssml = 1;
        else if (string_option(s, c))
            return CLI_USAGE;
    }
    if (optind < argc && s->input)
        return cli_usage(argv[0], "give either a text or --input, not both");
    if (argc - optind > 1)
        return cli_usage(argv[0], "more than one text; put it in quotes");
    if (s->voice_text && !is_clip(s->request.voice))
        return cli_usage(argv[0], "--voice-text goes with --voice FILE");
    if (!s->voice_text && is_clip(s->request.voice))
        return cli_usage(argv[0], "--voice FILE needs --voice-text: what is said in it");
    if (optind < argc)
        s->text = strdup(argv[optind]);
    if (!s->output && !s->play)
        s->output = "speech.wav";
    const char *name = s->output ? strrchr(s->output, '/') : NULL;
    name = name ? name + 1 : s->output;
    if (!s->format)
        s->format = name && strchr(name, '.') ? s->output : "wav";
    return -1;
}

/* --- text --- */

static const char *say_name_of(const char *path, const char *dash)
{
    return strcmp(path, "-") ? path : dash;
}

static int say_read_text(struct say *s)
{
    const char *path = say_name_of(s->input ? s->input : "-", "standard input");
    FILE *f = !s->input || !strcmp(s->input, "-") ? stdin : fopen(path, "rb");
    if (s->text)
        return 0;
    if (!f)
        return cli_fail("cannot read %s: %s", path, strerror(errno));
    if (f == stdin && isatty(0))
        fputs("Type the text, then Ctrl-D.\n", stderr);
    char *text = calloc(1, TEXT_MAX + 2);
    size_t n = text ? fread(text, 1, TEXT_MAX + 1, f) : 0;
    int bad = ferror(f);
    if (f != stdin)
        fclose(f);
    s->text = text;
    if (!text)
        return cli_fail("out of memory for the text");
    if (bad)
        return cli_fail("cannot read %s: %s", path, strerror(EIO));
    if (n > TEXT_MAX)
        return cli_fail("%s has more than %d bytes, the limit; split it", path, TEXT_MAX);
    if (memchr(text, 0, n))
        return cli_fail("%s is not text: it contains a zero byte", path);
    return 0;
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

static int fail_write(const struct say *s, const char *why)
{
    return cli_fail("cannot write %s: %s", say_name_of(s->output, "standard output"),
                    s->write_error ? strerror(s->write_error) : why);
}

static int open_output(struct say *s)
{
    struct stat st;
    if (!s->output)
        return 0;
    if (!strcmp(s->output, "-")) {
        if (isatty(1))
            return cli_fail("will not write sound to a terminal; redirect it or use -o FILE");
        s->file = stdout;
        return 0;
    }
    const char *path = s->output;
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
    return s->file ? 0 : cli_fail("cannot write %s: %s", s->output, strerror(errno));
}

static int open_player(struct say *s)
{
    char command[512];
    int hz = jabbertts_stream_rate(s->stream);
    if (!s->play)
        return 0;
    snprintf(
        command, sizeof command,
        "if command -v aplay >/dev/null; then exec aplay -q -t raw -f S16_LE -r %d -c 1; "
        "elif command -v paplay >/dev/null; then exec paplay --raw --format=s16le --rate=%d "
        "--channels=1; "
        "elif command -v ffplay >/dev/null; then exec ffplay -loglevel error -autoexit -nodisp "
        "-f s16le -ar %d -; "
        "else echo 'jabbertts: --play needs aplay, paplay or ffplay' >&2; exit 127; fi",
        hz, hz, hz);
    s->player = popen(command, "w");
    return s->player ? 0 : cli_fail("cannot start a player: %s", strerror(errno));
}

static int play(struct say *s, const float *pcm, int n)
{
    int16_t out[READ_SIZE];
    for (int i = 0; i < n; i++) {
        float v = pcm[i] < -1 ? -1 : pcm[i] > 1 ? 1 : pcm[i];
        out[i] = (int16_t)(v * 32767);
    }
    if (fwrite(out, sizeof *out, (size_t)n, s->player) == (size_t)n)
        return 0;
    return cli_fail("the player stopped");
}

static int say_open_encoder(struct say *s)
{
    struct jabbertts_error e;
    struct jabbertts_encoder_options o = {.format = s->format,
                                          .in_hz = jabbertts_stream_rate(s->stream),
                                          .speed = s->speed,
                                          .sink = say_write_bytes,
                                          .cookie = s};
    if (!s->file)
        return 0;
    return jabbertts_encoder_new(&o, &s->encoder, &e) < 0 ? cli_fail("%s", e.message) : 0;
}

/* A WAV file whose length is known now gets a header that says so. */
static int finish_file(struct say *s)
{
    unsigned char header[44];
    size_t n = strlen(s->format);
    int wav = n >= 3 && !strcasecmp(s->format + n - 3, "wav");
    if (wav && s->temporary && s->n_byte >= 44) {
        jabbertts_wav_header(jabbertts_stream_rate(s->stream), (s->n_byte - 44) / 2, header);
        if (fseek(s->file, 0, SEEK_SET) || fwrite(header, 1, 44, s->file) != 44)
            return fail_write(s, strerror(errno));
    }
    int bad = fflush(s->file) != 0 || ferror(s->file);
    if (s->file != stdout) {
        bad |= fclose(s->file) != 0;
        s->file = NULL;
    }
    if (bad || (s->temporary && rename(s->temporary, s->output) != 0))
        return fail_write(s, strerror(errno));
    free(s->temporary);
    s->temporary = NULL;
    return 0;
}

/* --- speaking --- */

static void show_progress(const struct say *s, int last)
{
    struct jabbertts_progress p;
    if (!isatty(2))
        return;
    jabbertts_stream_progress(s->stream, &p);
    double seconds = (double)p.n_sample / jabbertts_stream_rate(s->stream);
    fprintf(stderr, "\r%6.1f s of sound, sentence %d of %d, RTF %.2f %s", seconds,
            p.piece < p.n_piece ? p.piece + 1 : p.n_piece, p.n_piece,
            seconds > 0 ? p.elapsed_s / seconds : 0, last ? "\n" : "");
}

static int say_pump(struct say *s)
{
    struct jabbertts_error e;
    float pcm[READ_SIZE];
    int n;
    while ((n = jabbertts_read(s->stream, pcm, READ_SIZE, &e)) > 0) {
        if (interrupted)
            return cli_fail("interrupted");
        if (s->player && play(s, pcm, n))
            return CLI_FAILED;
        if (s->encoder && jabbertts_encoder_write(s->encoder, pcm, (size_t)n, &e) < 0)
            return fail_write(s, e.message);
        show_progress(s, 0);
    }
    if (n < 0)
        return cli_fail("%s", e.message);
    if (interrupted)
        return cli_fail("interrupted");
    show_progress(s, 1);
    if (s->encoder && jabbertts_encoder_finish(s->encoder, &e) < 0)
        return fail_write(s, e.message);
    return 0;
}

static int say_report(const struct say *s)
{
    struct jabbertts_progress p;
    const char *mark;
    double at;
    jabbertts_stream_progress(s->stream, &p);
    for (int i = 0; jabbertts_stream_mark(s->stream, i, &mark, &at) == 0; i++)
        if (at >= 0)
            fprintf(stderr, "mark \"%s\" at %.3f s\n", mark, at / s->speed);
    if (p.n_ignored > 0)
        fprintf(stderr, "jabbertts: %d words were read by their letters: this model reads no IPA\n",
                p.n_ignored);
    if (p.n_truncated == 0)
        return CLI_OK;
    return cli_fail("%d of %d sentences were not finished (%s); the sound up to there was written",
                    p.n_truncated, p.n_piece,
                    s->request.max_seconds > 0
                        ? "--max-seconds was reached"
                        : "the model did not stop by itself: try another --seed");
}

static int say_prepare(struct say *s)
{
    struct jabbertts_error e;
    const char *voice = s->request.voice;
    char dir[4096];
    s->voice_dir = cli_voice_dir(s->voice_dir, dir, sizeof dir);
    if (say_read_text(s))
        return CLI_FAILED;
    if (voice && access(s->voice_dir, F_OK) == 0 &&
        jabbertts_store_open(s->voice_dir, &s->store, &e) < 0)
        return cli_fail("%s", e.message);
    s->engine.store = s->store;
    if (jabbertts_open(&s->engine, &s->tts, &e) < 0)
        return cli_fail("%s", e.message);
    if (is_clip(voice)) {
        if (jabbertts_voice_from_file(s->tts, voice, s->voice_text, &s->reference, &e) < 0)
            return cli_fail("%s", e.message);
        s->request.reference = s->reference;
    }
    s->request.text = s->text;
    if (jabbertts_submit(s->tts, &s->request, &s->stream, &e) < 0)
        return cli_fail("%s", e.message);
    return 0;
}

static int say_say(struct say *s)
{
    if (say_prepare(s) || open_output(s) || open_player(s) || say_open_encoder(s) || say_pump(s) ||
        (s->file && finish_file(s)))
        return CLI_FAILED;
    return say_report(s);
}

int cmd_say(int argc, char **argv)
{
    struct say s = {.speed = 1};
    struct sigaction act = {.sa_handler = say_on_signal};
    jabbertts_options_init(&s.engine);
    jabbertts_request_init(&s.request);
    s.engine.slots = 5; /* one stays free for others: four sentences at once */
    int code = say_parse(&s, argc, argv);
    if (code < 0) {
        sigaction(SIGINT, &act, NULL);
        sigaction(SIGTERM, &act, NULL);
        code = say_say(&s);
    }
    jabbertts_encoder_free(s.encoder);
    jabbertts_stream_free(s.stream);
    jabbertts_voice_free(s.reference);
    jabbertts_close(s.tts);
    jabbertts_store_close(s.store);
    if (s.file && s.file != stdout)
        fclose(s.file);
    if (s.temporary)
        unlink(s.temporary);
    if (s.player && pclose(s.player) != 0 && code == CLI_OK)
        code = CLI_FAILED;
    free(s.temporary);
    free(s.text);
    return code;
}
