#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jabbertts.h"

#define TEXT_MAX (4 << 20) /* bytes */

static const char usage[] =
    "usage: jabbertts text [OPTION]... [TEXT]\n\n"
    "Show what becomes of TEXT (or a file, or standard input) before it is spoken.\n\n"
    "  -i, --input FILE        read the text from FILE; - is standard input\n"
    "      --stage NAME        only this stage, in plain lines: clean, normalized, sentences,\n"
    "                          phonemes, tokens (default: all of these, with headings), or "
    "prompt:\n"
    "                          the token ids that the model is given for each piece\n"
    "      --language NAME     de, fr, en-us ... (default: en-us)\n"
    "      --instructions TEXT how to speak; an emotion it names becomes a marker (S1 models)\n"
    "      --emoji             say what emoji show (default: they are dropped)\n"
    "      --as-written        do not write out numbers and the like\n"
    "      --voice NAME        whose reference a prompt begins with (default: none)\n"
    "      --model FILE        as this model reads it (default: the built-in voice)\n"
    "      --help              this text\n";

enum {
    OPT_STAGE = 256,
    OPT_LANGUAGE,
    OPT_INSTRUCTIONS,
    OPT_EMOJI,
    OPT_AS_WRITTEN,
    OPT_MODEL,
    OPT_VOICE
};

static const struct option options[] = {{"input", required_argument, 0, 'i'},
                                        {"stage", required_argument, 0, OPT_STAGE},
                                        {"language", required_argument, 0, OPT_LANGUAGE},
                                        {"instructions", required_argument, 0, OPT_INSTRUCTIONS},
                                        {"emoji", no_argument, 0, OPT_EMOJI},
                                        {"as-written", no_argument, 0, OPT_AS_WRITTEN},
                                        {"model", required_argument, 0, OPT_MODEL},
                                        {"voice", required_argument, 0, OPT_VOICE},
                                        {"help", no_argument, 0, 'h'},
                                        {0}};

struct arguments {
    struct jabbertts_text_options text;
    const char *input, *model;
    char *given; /* owned; NULL: read it */
};

/* -1: go on; else the exit code. */
static int text_parse(struct arguments *a, int argc, char **argv)
{
    int c;
    while ((c = getopt_long(argc, argv, "i:h", options, NULL)) != -1) {
        switch (c) {
        case 'i':
            a->input = optarg;
            break;
        case OPT_STAGE:
            a->text.stage = optarg;
            break;
        case OPT_LANGUAGE:
            a->text.language = optarg;
            break;
        case OPT_INSTRUCTIONS:
            a->text.instructions = optarg;
            break;
        case OPT_EMOJI:
            a->text.emoji = 1;
            break;
        case OPT_AS_WRITTEN:
            a->text.as_written = 1;
            break;
        case OPT_VOICE:
            a->text.voice = optarg;
            break;
        case OPT_MODEL:
            a->model = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return CLI_OK;
        default:
            return CLI_USAGE; /* getopt has said why */
        }
    }
    if (argc - optind > 1 || (optind < argc && a->input))
        return cli_usage(argv[0], "give one text, or --input, or standard input");
    if (optind < argc)
        a->given = strdup(argv[optind]);
    return -1;
}

static int text_read_text(struct arguments *a)
{
    const char *path = a->input ? a->input : "-";
    FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    if (a->given)
        return 0;
    if (!f)
        return cli_fail("cannot read %s: %s", path, strerror(errno));
    a->given = calloc(1, TEXT_MAX + 2);
    size_t n = a->given ? fread(a->given, 1, TEXT_MAX + 1, f) : 0;
    int bad = ferror(f);
    if (f != stdin)
        fclose(f);
    if (!a->given)
        return cli_fail("out of memory for the text");
    if (bad)
        return cli_fail("cannot read %s: %s", path, strerror(EIO));
    if (n > TEXT_MAX)
        return cli_fail("%s has more than %d bytes, the limit; split it", path, TEXT_MAX);
    if (memchr(a->given, 0, n))
        return cli_fail("%s is not text: it contains a zero byte", path);
    return 0;
}

static int text_show(struct arguments *a)
{
    struct jabbertts_options o;
    struct jabbertts_error e;
    struct jabbertts *tts = NULL;
    char *listing = NULL;
    if (text_read_text(a))
        return CLI_FAILED;
    jabbertts_options_init(&o);
    o.model = a->model;
    o.slots = 1;
    bool tokens =
        !a->text.stage || !strcmp(a->text.stage, "tokens") || !strcmp(a->text.stage, "prompt");
    if ((a->model || tokens) && jabbertts_open(&o, &tts, &e) < 0)
        return cli_fail("%s", e.message);
    int rc = jabbertts_text(tts, &a->text, a->given, &listing, &e);
    jabbertts_close(tts);
    if (rc < 0)
        return cli_fail("%s", e.message);
    fputs(listing, stdout);
    free(listing);
    return CLI_OK;
}

int cmd_text(int argc, char **argv)
{
    struct arguments a = {0};
    jabbertts_text_options_init(&a.text);
    int code = text_parse(&a, argc, argv);
    if (code < 0)
        code = text_show(&a);
    free(a.given);
    return code;
}
