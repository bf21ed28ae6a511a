#include "cli/options.h"
#include "jabbertts_tools.h"

int cmd_calibrate(struct options *o)
{
    struct jabbertts_error e;
    struct jabbertts_calibrate_options c = {.model = o->n_argument ? o->argument[0]
                                                                   : o->server.engine.model,
                                            .text = o->corpus,
                                            .output = o->output,
                                            .alignment = o->alignment,
                                            .threads = o->server.engine.threads,
                                            .progress = cli_progress};
    if (!o->output)
        return cli_usage("calibrate", "wanted -o FILE");
    if (cli_check_output(o->output))
        return CLI_FAILED;
    if (jabbertts_calibrate(&c, &e) < 0)
        return cli_error("calibrate", &e);
    cli_wrote(o->output);
    return CLI_OK;
}
