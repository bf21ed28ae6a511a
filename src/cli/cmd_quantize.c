#include "cli/options.h"
#include "jabbertts_tools.h"

int cmd_quantize(struct options *o)
{
    struct jabbertts_error e;
    struct jabbertts_quantize_options q = {.input = o->argument[0],
                                           .output = o->argument[1],
                                           .type = o->type,
                                           .imatrix = o->imatrix,
                                           .threads = o->server.engine.threads,
                                           .target_bits = o->target_bits,
                                           .no_equalize = o->no_equalize,
                                           .note = cli_said,
                                           .progress = cli_progress};
    if (!o->type)
        return cli_usage("quantize", "wanted --type q8, q4 or mixed");
    if (cli_check_output(q.output))
        return CLI_FAILED;
    if (jabbertts_quantize(&q, &e) < 0)
        return cli_error("quantize", &e);
    cli_wrote(q.output);
    return CLI_OK;
}
