#include "cli/cli.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "jabbertts.h"

static const char help[] =
    "usage: jabbertts inspect FILE [--context N] [--json]\n\n"
    "Show a model file's metadata and tensors, and what it costs to run.\n\n"
    "      --context N  memory for sequences of N tokens and frames (default: the model's limit)\n"
    "      --json       machine-readable output\n"
    "      --help       this text\n";

int cmd_inspect(int argc, char **argv)
{
    static const struct option options[] = {{"context", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct jabbertts_error e;
    int json = 0, context = 0, c;
    char *text;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'j') {
            json = 1;
        } else if (c == 'c') {
            if (cli_int(argv[0], "context", optarg, 1, INT_MAX, &context))
                return CLI_USAGE;
        } else if (c == 'h') {
            fputs(help, stdout);
            return CLI_OK;
        } else {
            return cli_usage(argv[0], "unknown option");
        }
    }
    if (optind + 1 != argc)
        return cli_usage(argv[0], "takes one model file, got %d", argc - optind);
    if (jabbertts_inspect(argv[optind], context, json, &text, &e) < 0)
        return cli_fail("%s", e.message);
    fputs(text, stdout);
    if (json)
        putchar('\n');
    free(text);
    return CLI_OK;
}
