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
    "with its context filled; then whole requests: one, one of four sentences, 4 and 8 at once.\n"
    "Best and median of several runs.\n\n"
    "  --context N   tokens and frames that a sequence has room for; frames are also timed at its "
    "end\n"
    "                (default: 1024, and the times of 300 and 1000 alone)\n"
    "  --cache TYPE  keys and values: f32, f16, q8_0 (default: by the model's matrices)\n"
    "  --threads N   1 to 256 (default: one per core)\n"
    "  --isa NAME    instruction set: ref, avx2, avx512, neon (default: the best here)\n"
    "  --json        print JSON\n"
    "  --help        this text\n";

int cmd_bench(int argc, char **argv)
{
    static const struct option options[] = {{"context", required_argument, 0, 'x'},
                                            {"cache", required_argument, 0, 'c'},
                                            {"threads", required_argument, 0, 't'},
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
        case 'x':
            if (cli_int(argv[0], "context", optarg, 64, 65536, &o.context))
                return CLI_USAGE;
            break;
        case 'c':
            o.cache = optarg;
            break;
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
