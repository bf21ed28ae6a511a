#include "cli/cli.h"
#include "cli/options.h"
#include "jabbertts_tools.h"

int cmd_export(struct options *o)
{
    struct jabbertts_error e;
    struct jabbertts_export_options x = {
        .input = o->argument[0], .directory = o->onnx, .type = o->type, .progress = cli_progress};
    if (!o->onnx)
        return cli_usage("export", "wanted --onnx DIR");
    if (jabbertts_export(&x, &e) < 0)
        return cli_error("export", &e);
    cli_note("wrote %s", o->onnx);
    return CLI_OK;
}
