#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jabbertts.h"

static const struct command {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"say", "speak a text to a file, to standard output or to the loudspeaker", cmd_say},
    {"serve", "serve the OpenAI speech API over HTTP", cmd_serve},
    {"text", "show what becomes of a text before it is spoken", cmd_text},
    {"voices", "list voices; add, show, delete, export and import your own", cmd_voices},
    {"convert", "turn a checkpoint directory into one model file", cmd_convert},
    {"inspect", "show what is in a model file, and what it costs to run", cmd_inspect},
    {"quantize", "make a model file smaller and faster", cmd_quantize},
    {"calibrate", "find out which inputs of a model matter, for quantize", cmd_calibrate},
    {"eval", "compare a quantized model with its original", cmd_eval},
    {"bench", "measure a model's speed and memory on this machine", cmd_bench},
    {"config", "show the server's options and where they come from", cmd_config},
    {"version", "print the version", cmd_version},
};
#define N_COMMAND (sizeof commands / sizeof *commands)

const char *cli_command(size_t i, const char **help)
{
    if (i >= N_COMMAND)
        return NULL;
    *help = commands[i].help;
    return commands[i].name;
}

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "jabbertts %s: ", command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\ntry: jabbertts %s --help\n", command);
    return CLI_USAGE;
}

int cli_fail(const char *format, ...)
{
    va_list args;
    fputs("jabbertts: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_FAILED;
}

void cli_progress(void *cookie, double fraction)
{
    enum { WIDTH = 40 };
    static const char bar[] = "########################################";
    static int shown = -1;
    int percent = (int)(100 * fraction);
    (void)cookie;
    if (percent == shown || !isatty(2))
        return;
    shown = percent;
    fprintf(stderr, "\r[%-*.*s] %3d %%%s", WIDTH, percent * WIDTH / 100, bar, percent,
            percent < 100 ? "" : "\n");
}

int cli_float(const char *command, const char *option, const char *s, double min, double max,
              double *ret)
{
    char *end;
    errno = 0;
    double v = strtod(s, &end);
    if (end == s || *end || errno || !(v >= min && v <= max))
        return cli_usage(command, "--%s is \"%s\", must be a number from %g to %g", option, s, min,
                         max);
    *ret = v;
    return 0;
}

int cli_int(const char *command, const char *option, const char *s, int min, int max, int *ret)
{
    char *end;
    errno = 0;
    long v = strtol(s, &end, 10);
    if (end == s || *end || errno || v < min || v > max)
        return cli_usage(command, "--%s is \"%s\", must be a whole number from %d to %d", option, s,
                         min, max);
    *ret = (int)v;
    return 0;
}

int cli_u64(const char *command, const char *option, const char *s, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (end == s || *end || errno || *s == '-')
        return cli_usage(command, "--%s is \"%s\", must be a whole number from 0 to %" PRIu64,
                         option, s, UINT64_MAX);
    *ret = v;
    return 0;
}

const char *cli_voice_dir(const char *given, char *path, size_t n)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (given)
        return given;
    if (data && *data == '/')
        snprintf(path, n, "%s/jabbertts/voices", data);
    else if (home && *home)
        snprintf(path, n, "%s/.local/share/jabbertts/voices", home);
    else /* a service */
        snprintf(path, n, "/var/lib/jabbertts/voices");
    return path;
}

int cmd_version(int argc, char **argv)
{
    if (argc > 1)
        return cli_usage(argv[0], "takes no arguments, got \"%s\"", argv[1]);
    printf("jabbertts %s\n", jabbertts_version());
    return CLI_OK;
}

static void help(FILE *f)
{
    fputs("usage: jabbertts COMMAND [OPTION]...\n\n"
          "Text to speech on the CPU with OpenAudio S1 models.\n\n",
          f);
    for (size_t i = 0; i < N_COMMAND; i++)
        fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("\nEvery command explains itself: jabbertts COMMAND --help\n"
          "First sound: jabbertts say \"Hello there.\" -o hello.wav\n",
          f);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error that we report */
    if (!name || !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        help(name ? stdout : stderr);
        return name ? CLI_OK : CLI_USAGE;
    }
    if (!strcmp(name, "--version"))
        name = "version";
    for (size_t i = 0; i < N_COMMAND; i++)
        if (!strcmp(name, commands[i].name)) {
            int code = commands[i].run(argc - 1, argv + 1);
            errno = 0;
            if ((fflush(stdout) == 0 && !ferror(stdout)) || code != CLI_OK)
                return code;
            /* A reader that has seen enough is no error worth a word. */
            return errno == EPIPE ? CLI_FAILED
                                  : cli_fail("cannot write to standard output: %s",
                                             errno ? strerror(errno) : "the write failed");
        }
    fprintf(stderr, "jabbertts: there is no command \"%s\"\ntry: jabbertts --help\n", name);
    return CLI_USAGE;
}
