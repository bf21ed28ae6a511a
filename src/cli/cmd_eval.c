#include <stdio.h>
#include <stdlib.h>

#include "cli/options.h"
#include "jabbertts_tools.h"

int cmd_eval(struct options *o)
{
    struct jabbertts_error e;
    struct jabbertts_eval_options v = {.model = o->argument[0],
                                       .reference = o->reference,
                                       .text = o->corpus,
                                       .cache = o->server.engine.cache,
                                       .threads = o->server.engine.threads,
                                       .progress = cli_progress};
    char *report;
    if (!o->reference)
        return cli_usage("eval", "wanted --reference FILE, the original");
    if (jabbertts_eval(&v, o->json, &report, &e) < 0)
        return cli_error("eval", &e);
    printf("%s%s", report, o->json ? "\n" : "");
    free(report);
    return CLI_OK;
}
