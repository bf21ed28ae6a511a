#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "kernels/kern.h"
#include "model/import.h"

static const char usage[] =
    "usage: jabbertts convert DIR -o FILE.gguf [OPTION]...\n"
    "       jabbertts convert --random s1-mini -o FILE.gguf [--type TYPE]\n\n"
    "Turn a checkpoint directory (config.json, model.pth, codec.pth, tokenizer.tiktoken,\n"
    "special_tokens.json, and perhaps modded_dac_vq.yaml and voices/*.json) into one model file.\n\n"
    "  -o, --output FILE       the model file; it appears only when it is whole\n"
    "      --type TYPE         of the matrices: f32, f16, bf16, q8_0 (default: as in DIR)\n"
    "      --name NAME         the model's name (default: the directory's)\n"
    "      --default-voice V   the voice used when none is asked for\n"
    "      --alias A=V         let voice V answer to A too; may be repeated\n"
    "      --temperature X --top-p X --repetition-penalty X\n"
    "                          recommended sampling, stored in the file\n"
    "      --no-encoder        leave out what only cloning needs\n"
    "      --random s1-mini    no DIR: S1-mini's shape with random weights, for benchmarks\n"
    "                          (default type: q8_0; q4_0: codec and embeddings in q8_0)\n"
    "      --help              this text\n";

enum { OPT_TYPE = 256, OPT_NAME, OPT_VOICE, OPT_ALIAS, OPT_TEMPERATURE, OPT_TOP_P, OPT_PENALTY,
       OPT_NO_ENCODER, OPT_RANDOM };

static const struct option options[] = {{"output", required_argument, 0, 'o'},
                                        {"type", required_argument, 0, OPT_TYPE},
                                        {"name", required_argument, 0, OPT_NAME},
                                        {"default-voice", required_argument, 0, OPT_VOICE},
                                        {"alias", required_argument, 0, OPT_ALIAS},
                                        {"temperature", required_argument, 0, OPT_TEMPERATURE},
                                        {"top-p", required_argument, 0, OPT_TOP_P},
                                        {"repetition-penalty", required_argument, 0, OPT_PENALTY},
                                        {"no-encoder", no_argument, 0, OPT_NO_ENCODER},
                                        {"random", required_argument, 0, OPT_RANDOM},
                                        {"help", no_argument, 0, 'h'},
                                        {0}};

static void show(void *cookie, double fraction)
{
    (void)cookie;
    if (isatty(2))
        fprintf(stderr, "\r%3.0f %%%s", 100 * fraction, fraction < 1 ? "" : "\n");
}

static int parse_type(const char *s, int *type)
{
    static const enum kern_type types[] = {KERN_F32, KERN_F16, KERN_BF16, KERN_Q8_0,
                                           KERN_Q4_0};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(s, kern_type_name(types[i]))) {
            *type = types[i];
            return 0;
        }
    return cli_usage("convert", "--type is \"%s\", must be f32, f16, bf16, q8_0 or q4_0", s);
}

static int take(struct import_options *o, int c, const char **aliases)
{
    float *to = c == OPT_TEMPERATURE ? &o->sampling.temperature
                : c == OPT_TOP_P     ? &o->sampling.top_p
                                     : &o->sampling.repetition_penalty;
    double v;
    switch (c) {
    case 'o':
        o->output = optarg;
        return 0;
    case OPT_TYPE:
        return parse_type(optarg, &o->type);
    case OPT_NAME:
        o->name = optarg;
        return 0;
    case OPT_VOICE:
        o->default_voice = optarg;
        return 0;
    case OPT_ALIAS:
        if (o->n_alias == 256)
            return cli_usage("convert", "more than 256 aliases");
        aliases[o->n_alias++] = optarg;
        return 0;
    case OPT_NO_ENCODER:
        o->no_encoder = true;
        return 0;
    case OPT_TEMPERATURE:
    case OPT_TOP_P:
    case OPT_PENALTY:
        if (cli_float("convert", "sampling", optarg, 0, 2, &v))
            return CLI_USAGE;
        *to = (float)v;
        return 0;
    default:
        return CLI_USAGE;
    }
}

static int convert_random(const struct import_options *o, const char *preset, int n_argument)
{
    struct err e = {0};
    if (strcmp(preset, "s1-mini"))
        return cli_usage("convert", "--random is \"%s\", must be s1-mini", preset);
    if (n_argument != 0 || !o->output)
        return cli_usage("convert", "--random wants -o FILE.gguf and no directory");
    if (o->name || o->default_voice || o->n_alias || o->no_encoder || o->sampling.temperature >= 0 ||
        o->sampling.top_p >= 0 || o->sampling.repetition_penalty >= 0)
        return cli_usage("convert", "of the other options --random takes only --type");
    return import_random(o->output, o->type, o->progress, o->cookie, &e) < 0
               ? cli_fail("%s", e.msg)
               : CLI_OK;
}

int cmd_convert(int argc, char **argv)
{
    const char *aliases[256];
    struct import_options o = {.type = -1, .sampling = {-1, -1, -1}, .aliases = aliases,
                               .progress = show};
    struct err e = {0};
    const char *preset = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            return CLI_OK;
        }
        if (c == OPT_RANDOM)
            preset = optarg;
        else if (take(&o, c, aliases))
            return CLI_USAGE;
    }
    if (preset)
        return convert_random(&o, preset, argc - optind);
    if (argc - optind != 1 || !o.output)
        return cli_usage(argv[0], "wanted one directory and -o FILE.gguf");
    if (o.type == KERN_Q4_0)
        return cli_usage(argv[0], "--type q4_0 goes with --random only");
    o.directory = argv[optind];
    return import_convert(&o, &e) < 0 ? cli_fail("%s", e.msg) : CLI_OK;
}
