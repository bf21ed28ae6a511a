#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"

static const char usage[] =
    "usage: jabbertts config show [OPTION]...\n\n"
    "Print every option's value and where it comes from, as a configuration file.\n";

int cmd_config(int argc, char **argv)
{
    struct options o;
    int n_arg, code = options_load(&o, argc, argv, usage, &n_arg);
    if (code >= 0)
        return code;
    if (n_arg == 1 && strcmp(argv[1], "show") == 0) {
        options_show(&o, stdout);
        code = CLI_OK;
    } else {
        code = cli_usage(argv[0], "wants one word: show");
    }
    options_done(&o);
    return code;
}
