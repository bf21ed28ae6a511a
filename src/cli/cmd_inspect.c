#include "cli/cli.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/inspect.h"

static const char help[] =
    "usage: jabbertts inspect FILE [--json]\n\n"
    "Show a model file's metadata and tensors, and what it costs to run.\n\n"
    "      --json  machine-readable output\n"
    "      --help  this text\n";

int cmd_inspect(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct err e = {0};
    bool json = false;
    char *text;
    int c;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'j') {
            json = true;
        } else if (c == 'h') {
            fputs(help, stdout);
            return CLI_OK;
        } else {
            return cli_usage(argv[0], "unknown option");
        }
    }
    if (optind + 1 != argc)
        return cli_usage(argv[0], "takes one model file, got %d", argc - optind);
    if (inspect_file(argv[optind], json, &text, &e) < 0)
        return cli_fail("%s", e.msg);
    fputs(text, stdout);
    if (json)
        putchar('\n');
    mem_free(text);
    return CLI_OK;
}
