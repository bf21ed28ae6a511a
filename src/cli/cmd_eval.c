#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "jabbertts.h"

static const char usage[] =
    "usage: jabbertts eval QUANTIZED --reference ORIGINAL [OPTION]...\n\n"
    "Compare a quantized model with its original: divergence and first choices of both "
    "transformers\n"
    "along the original's own sentences, and the sound of both codecs for the same codes.\n\n"
    "  --reference FILE  the original\n"
    "  --text FILE       what is said (default: two dozen English sentences)\n"
    "  --cache TYPE      keys and values of QUANTIZED: f32, f16, q8_0 (default: by its matrices)\n"
    "  --threads N       1 to 256 (default: one per core)\n"
    "  --json            print JSON\n"
    "  --help            this text\n";

int cmd_eval(int argc, char **argv)
{
    static const struct option options[] = {{"reference", required_argument, 0, 'r'},
                                            {"text", required_argument, 0, 'x'},
                                            {"cache", required_argument, 0, 'c'},
                                            {"threads", required_argument, 0, 't'},
                                            {"json", no_argument, 0, 'j'},
                                            {"help", no_argument, 0, 'h'},
                                            {0}};
    struct jabbertts_eval_options o = {.progress = cli_progress};
    struct jabbertts_error e;
    char *report;
    int c, json = 0;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case 'r':
            o.reference = optarg;
            break;
        case 'x':
            o.text = optarg;
            break;
        case 'c':
            o.cache = optarg;
            break;
        case 't':
            if (cli_int(argv[0], "threads", optarg, 1, 256, &o.threads))
                return CLI_USAGE;
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
    if (argc - optind != 1 || !o.reference)
        return cli_usage(argv[0], "wanted one model and --reference ORIGINAL");
    o.model = argv[optind];
    if (jabbertts_eval(&o, json, &report, &e) < 0)
        return cli_fail("%s", e.message);
    printf("%s%s", report, json ? "\n" : "");
    free(report);
    return CLI_OK;
}
