#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "jabbertts.h"

static const char usage[] =
    "usage: jabbertts bench [OPTION]... [MODEL]\n\n"
    "Measure a model on this machine: load time, prompt speed, time per frame of both\n"
    "transformers for 1, 4 and 8 sequences at once and at two context lengths, codec and total\n"
    "real-time factor (compute time / audio time), time to first audio (without a reference,\n"
    "with 10 s of one, with one that is known), memory of one sequence\n"
    "and of a context of 4096.  Best and median of several runs.\n\n"
    "  --threads N   1 to 256 (default: one per core)\n"
    "  --isa NAME    instruction set: ref, avx2, avx512, neon (default: the best here)\n"
    "  --json        print JSON\n"
    "  --help        this text\n";

int cmd_bench(int argc, char **argv)
{
    static const struct option options[] = {{"threads", required_argument, 0, 't'},
                                            {"isa", required_argument, 0, 'i'},
                                            {"json", no_argument, 0, 'j'},
                                            {"help", no_argument, 0, 'h'},
                                            {0}};
    struct jabbertts_options o;
    struct jabbertts_error e;
    char *report;
    int c, json = 0;
    jabbertts_options_init(&o);
    while ((c = getopt_long(argc, argv, "t:i:jh", options, NULL)) != -1)
        switch (c) {
        case 't':
            if (cli_int(argv[0], "threads", optarg, 1, 256, &o.threads))
                return CLI_USAGE;
            break;
        case 'i':
            o.isa = optarg;
            break;
        case 'j':
            json = 1;
            break;
        case 'h':
            fputs(usage, stdout);
            return CLI_OK;
        default:
            return CLI_USAGE;
        }
    if (optind < argc)
        o.model = argv[optind++];
    if (optind < argc)
        return cli_usage(argv[0], "unexpected argument \"%s\"", argv[optind]);
    if (jabbertts_bench(&o, json, &report, &e) < 0)
        return cli_fail("%s", e.message);
    fputs(report, stdout);
    free(report);
    return CLI_OK;
}
