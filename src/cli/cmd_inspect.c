#include <stdio.h>
#include <stdlib.h>

#include "cli/options.h"
#include "jabbertts_tools.h"

int cmd_inspect(struct options *o)
{
    struct jabbertts_error e;
    char *text;
    if (jabbertts_inspect(o->argument[0], o->server.engine.context, o->json, &text, &e) < 0)
        return cli_error("inspect", &e);
    printf("%s%s", text, o->json ? "\n" : "");
    free(text);
    return CLI_OK;
}
