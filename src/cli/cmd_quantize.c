#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"
#include "jabbertts.h"

static const char usage[] =
    "usage: jabbertts quantize IN.gguf OUT.gguf --type TYPE [OPTION]...\n\n"
    "Make a model file smaller, and faster where its speed is that of memory.\n\n"
    "  --type TYPE     q8: every matrix in 8 bits; q4: the language model's in 4 bits, the codec's "
    "in\n"
    "                  8; mixed: as q4, but what suffers most keeps 8 bits\n"
    "  --imatrix FILE  importance of inputs, as `jabbertts calibrate` writes it: less error where "
    "it\n"
    "                  counts\n"
    "  --threads N     1 to 256 (default: one per core); the file is the same\n"
    "  --help          this text\n";

int cmd_quantize(int argc, char **argv)
{
    static const struct option options[] = {{"type", required_argument, 0, 'y'},
                                            {"imatrix", required_argument, 0, 'i'},
                                            {"threads", required_argument, 0, 't'},
                                            {"help", no_argument, 0, 'h'},
                                            {0}};
    struct jabbertts_quantize_options o = {.progress = cli_progress};
    struct jabbertts_error e;
    int c;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case 'y':
            o.type = optarg;
            break;
        case 'i':
            o.imatrix = optarg;
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
    if (argc - optind != 2 || !o.type)
        return cli_usage(argv[0], "wanted IN.gguf, OUT.gguf and --type q8, q4 or mixed");
    o.input = argv[optind];
    o.output = argv[optind + 1];
    int rc = jabbertts_quantize(&o, &e);
    return rc == JABBERTTS_ERR_ARGUMENT ? cli_usage(argv[0], "%s", e.message)
           : rc < 0                     ? cli_fail("%s", e.message)
                                        : CLI_OK;
}
