#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"
#include "jabbertts.h"

static const char usage[] =
    "usage: jabbertts calibrate [OPTION]... -o FILE [MODEL]\n\n"
    "Speak a text with MODEL (default: the built-in voice) and write how large the inputs of each\n"
    "matrix are, for `jabbertts quantize --imatrix FILE`.\n\n"
    "  -o, --output FILE  a GGUF, laid out as llama.cpp's imatrix files\n"
    "      --text FILE    what is said (default: two dozen English sentences)\n"
    "      --threads N    1 to 256 (default: one per core); the file is the same\n"
    "      --help         this text\n";

int cmd_calibrate(int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, 0, 'o'},
                                            {"text", required_argument, 0, 'x'},
                                            {"threads", required_argument, 0, 't'},
                                            {"help", no_argument, 0, 'h'},
                                            {0}};
    struct jabbertts_calibrate_options o = {.progress = cli_progress};
    struct jabbertts_error e;
    int c;
    while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1)
        switch (c) {
        case 'o':
            o.output = optarg;
            break;
        case 'x':
            o.text = optarg;
            break;
        case 't':
            if (cli_int(argv[0], "threads", optarg, 1, 256, &o.threads))
                return CLI_USAGE;
            break;
        case 'h':
            fputs(usage, stdout);
            return CLI_OK;
        default:
            return CLI_USAGE;
        }
    if (optind < argc)
        o.model = argv[optind++];
    if (optind < argc || !o.output)
        return cli_usage(argv[0], "wanted -o FILE and at most one model");
    return jabbertts_calibrate(&o, &e) < 0 ? cli_fail("%s", e.message) : CLI_OK;
}
