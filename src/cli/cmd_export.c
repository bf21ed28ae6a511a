#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "jabbertts_tools.h"

static int export_compare(const struct jabbertts_export_options *x)
{
    struct jabbertts_error e;
    char *report;
    int n = jabbertts_export_check(x, &report, &e);
    if (n < 0)
        return cli_error("export", &e);
    fputs(report, stdout);
    free(report);
    return n ? cli_fail("%d of these are over the limit", n) : CLI_OK;
}

int cmd_export(struct options *o)
{
    struct jabbertts_error e;
    struct jabbertts_export_options x = {.input = o->argument[0],
                                         .directory = o->onnx,
                                         .type = o->type,
                                         .imatrix = o->imatrix,
                                         .onnx_library = o->server.engine.onnx_library,
                                         .progress = cli_progress};
    if (!o->onnx)
        return cli_usage("export", "wanted --onnx DIR");
    if (jabbertts_export(&x, &e) < 0)
        return cli_error("export", &e);
    cli_note("wrote %s", o->onnx);
    return o->export_check ? export_compare(&x) : CLI_OK;
}
