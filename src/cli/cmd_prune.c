#include "cli/options.h"
#include "jabbertts_tools.h"

int cmd_prune(struct options *o)
{
    struct jabbertts_error e;
    struct jabbertts_prune_options p = {.input = o->argument[0],
                                        .output = o->argument[1],
                                        .part = o->part,
                                        .text = o->corpus,
                                        .judge = o->judge,
                                        .keep = o->prune_keep,
                                        .limit = o->prune_limit,
                                        .limit_db = o->prune_limit_db,
                                        .force = o->force,
                                        .threads = o->server.engine.threads,
                                        .note = cli_said,
                                        .progress = cli_progress};
    if (cli_check_output(p.output))
        return CLI_FAILED;
    if (jabbertts_prune(&p, &e) < 0)
        return cli_error("prune", &e);
    cli_wrote(p.output);
    return CLI_OK;
}
