#include "cli/options.h"
#include "jabbertts_tools.h"

static int convert_check(const struct options *o)
{
    const struct jabbertts_convert_options *c = &o->convert;
    if (!o->output)
        return cli_usage("convert", "wanted -o FILE.gguf");
    if (!c->random)
        return o->n_argument ? 0 : cli_usage("convert", "wanted one directory");
    if (o->n_argument)
        return cli_usage("convert", "--random takes no directory");
    if (c->name || c->version || c->default_voice || o->aliases.n || o->no_encoder ||
        c->temperature >= 0 || c->top_p >= 0 || c->repetition_penalty >= 0 || c->gain_db != 0)
        return cli_usage("convert", "of the other options --random takes only --type");
    return 0;
}

int cmd_convert(struct options *o)
{
    struct jabbertts_convert_options c = o->convert;
    struct jabbertts_error e;
    if (convert_check(o))
        return CLI_USAGE;
    c.directory = o->n_argument ? o->argument[0] : NULL;
    c.output = o->output;
    c.type = o->type;
    c.aliases = o->aliases.item;
    c.n_alias = o->aliases.n;
    c.no_encoder = o->no_encoder;
    c.no_equalize = o->no_equalize;
    c.note = cli_said;
    c.progress = cli_progress_or_stop;
    if (cli_check_output(o->output))
        return CLI_FAILED;
    cli_catch_signals();
    if (jabbertts_convert(&c, &e) < 0)
        return cli_error("convert", &e);
    cli_wrote(o->output);
    return CLI_OK;
}
