#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "jabbertts.h"

static const char usage[] =
    "usage: jabbertts voices [--model FILE]\n\n"
    "List the voices of a model: name, default mark, and other names it answers to.\n\n"
    "  --model FILE   a model made by `jabbertts convert` (default: the built-in voice),\n"
    "                 or espeak-ng: its languages\n"
    "  --help         this text\n";

static void list(const struct jabbertts *tts)
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

int cmd_voices(int argc, char **argv)
{
    static const struct option options[] = {
        {"model", required_argument, 0, 'm'}, {"help", no_argument, 0, 'h'}, {0}};
    struct jabbertts_options o;
    struct jabbertts_error e;
    struct jabbertts *tts;
    int c;
    jabbertts_options_init(&o);
    o.slots = 1;
    while ((c = getopt_long(argc, argv, "m:h", options, NULL)) != -1)
        switch (c) {
        case 'm':
            o.model = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return CLI_OK;
        default:
            return CLI_USAGE;
        }
    if (optind < argc)
        return cli_usage(argv[0], "unexpected argument \"%s\"", argv[optind]);
    if (jabbertts_open(&o, &tts, &e) < 0)
        return cli_fail("%s", e.message);
    if (o.model && !strcmp(o.model, "espeak-ng"))
        list_espeak();
    else
        list(tts);
    jabbertts_close(tts);
    return CLI_OK;
}
