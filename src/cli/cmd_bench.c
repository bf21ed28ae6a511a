#include <stdio.h>
#include <stdlib.h>

#include "cli/options.h"
#include "jabbertts_tools.h"

int cmd_bench(struct options *o)
{
    struct jabbertts_options engine = o->server.engine;
    struct jabbertts_error e;
    char *report;
    if (o->n_argument)
        engine.model = o->argument[0];
    if (engine.context && engine.context < 64)
        return cli_usage("bench", "--context is %d, must be at least 64", engine.context);
    if (jabbertts_bench(&engine, o->json, &report, &e) < 0)
        return cli_error("bench", &e);
    fputs(report, stdout);
    free(report);
    return CLI_OK;
}
