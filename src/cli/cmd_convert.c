#include "cli/cli.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "jabbertts.h"

static const char usage[] =
    "usage: jabbertts convert DIR -o FILE.gguf [OPTION]...\n"
    "       jabbertts convert --random s1-mini -o FILE.gguf [--type TYPE]\n\n"
    "Turn a checkpoint directory (config.json, model.pth, codec.pth, tokenizer.tiktoken,\n"
    "special_tokens.json, and perhaps modded_dac_vq.yaml and voices/*.json) into one model "
    "file.\n\n"
    "  -o, --output FILE       the model file; it appears only when it is whole\n"
    "      --type TYPE         of the matrices: f32, f16, bf16, q8_0 (default: as in DIR)\n"
    "      --name NAME         the model's name (default: the directory's)\n"
    "      --model-version V   its version, as the file says it (default: none)\n"
    "      --default-voice V   the voice used when none is asked for\n"
    "      --alias A=V         let voice V answer to A too; may be repeated\n"
    "      --temperature X --top-p X --repetition-penalty X\n"
    "                          recommended sampling, stored in the file\n"
    "      --no-encoder        leave out what only cloning needs\n"
    "      --random s1-mini    no DIR: S1-mini's shape with random weights, for benchmarks\n"
    "                          (default type: q8_0; q4_0: codec and embeddings in q8_0)\n"
    "      --help              this text\n";

enum {
    OPT_TYPE = 256,
    OPT_NAME,
    OPT_MODEL_VERSION,
    OPT_VOICE,
    OPT_ALIAS,
    OPT_TEMPERATURE,
    OPT_TOP_P,
    OPT_PENALTY,
    OPT_NO_ENCODER,
    OPT_RANDOM
};

static const struct option options[] = {{"output", required_argument, 0, 'o'},
                                        {"type", required_argument, 0, OPT_TYPE},
                                        {"name", required_argument, 0, OPT_NAME},
                                        {"model-version", required_argument, 0, OPT_MODEL_VERSION},
                                        {"default-voice", required_argument, 0, OPT_VOICE},
                                        {"alias", required_argument, 0, OPT_ALIAS},
                                        {"temperature", required_argument, 0, OPT_TEMPERATURE},
                                        {"top-p", required_argument, 0, OPT_TOP_P},
                                        {"repetition-penalty", required_argument, 0, OPT_PENALTY},
                                        {"no-encoder", no_argument, 0, OPT_NO_ENCODER},
                                        {"random", required_argument, 0, OPT_RANDOM},
                                        {"help", no_argument, 0, 'h'},
                                        {0}};

static volatile sig_atomic_t stopped;

static void convert_on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

static int convert_show(void *cookie, double fraction)
{
    int *last = cookie, now = (int)(100 * fraction);
    if (isatty(2) && now != *last)
        fprintf(stderr, "\r%3d %%%s", now, fraction < 1 ? "" : "\n");
    *last = now;
    return stopped;
}

static int convert_take(struct jabbertts_convert_options *o, int c, const char **aliases)
{
    float *to = c == OPT_TEMPERATURE ? &o->temperature
                : c == OPT_TOP_P     ? &o->top_p
                                     : &o->repetition_penalty;
    double v;
    switch (c) {
    case 'o':
        o->output = optarg;
        return 0;
    case OPT_TYPE:
        o->type = optarg;
        return 0;
    case OPT_NAME:
        o->name = optarg;
        return 0;
    case OPT_MODEL_VERSION:
        o->version = optarg;
        return 0;
    case OPT_VOICE:
        o->default_voice = optarg;
        return 0;
    case OPT_ALIAS:
        if (o->n_alias == 256)
            return cli_usage("convert", "more than 256 aliases");
        aliases[o->n_alias++] = optarg;
        return 0;
    case OPT_RANDOM:
        o->random = optarg;
        return 0;
    case OPT_NO_ENCODER:
        o->no_encoder = 1;
        return 0;
    case OPT_TEMPERATURE:
    case OPT_TOP_P:
    case OPT_PENALTY:
        if (cli_float("convert",
                      c == OPT_TEMPERATURE ? "temperature"
                      : c == OPT_TOP_P     ? "top-p"
                                           : "repetition-penalty",
                      optarg, 0, 2, &v))
            return CLI_USAGE;
        *to = (float)v;
        return 0;
    default:
        return CLI_USAGE;
    }
}

static int check(const struct jabbertts_convert_options *o, int n_argument)
{
    if (!o->random)
        return n_argument == 1 && o->output
                   ? 0
                   : cli_usage("convert", "wanted one directory and -o FILE.gguf");
    if (n_argument != 0 || !o->output)
        return cli_usage("convert", "--random wants -o FILE.gguf and no directory");
    if (o->name || o->version || o->default_voice || o->n_alias || o->no_encoder ||
        o->temperature >= 0 || o->top_p >= 0 || o->repetition_penalty >= 0)
        return cli_usage("convert", "of the other options --random takes only --type");
    return 0;
}

int cmd_convert(int argc, char **argv)
{
    const char *aliases[256];
    struct sigaction act = {.sa_handler = convert_on_signal};
    struct jabbertts_convert_options o;
    struct jabbertts_error e;
    int c, shown = -1;
    jabbertts_convert_options_init(&o);
    o.aliases = aliases;
    o.progress = convert_show;
    o.cookie = &shown;
    while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            return CLI_OK;
        }
        if (convert_take(&o, c, aliases))
            return CLI_USAGE;
    }
    if (check(&o, argc - optind))
        return CLI_USAGE;
    o.directory = o.random ? NULL : argv[optind];
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    int rc = jabbertts_convert(&o, &e);
    if (rc < 0 && shown >= 0 && shown < 100 && isatty(2))
        fputc('\n', stderr);
    if (rc == JABBERTTS_ERR_ARGUMENT)
        return cli_usage("convert", "%s", e.message);
    return rc < 0 ? cli_fail("%s", e.message) : CLI_OK;
}
