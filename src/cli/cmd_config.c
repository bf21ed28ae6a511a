#include <stdio.h>

#include "cli/options.h"

static int config_show(struct options *o)
{
    options_show(o, stdout);
    return CLI_OK;
}

/* Reads everything that serve would read, without serving. */
static int config_check(struct options *o)
{
    struct err e = {0};
    int rc = server_check(&o->server, &e);
    if (rc < 0)
        return rc == ERR_ARGUMENT ? cli_usage("config", "%s", e.msg) : cli_fail("%s", e.msg);
    cli_note("the configuration is good");
    return CLI_OK;
}

const struct verb config_verbs[] = {
    {"show", "", "every option's value and where it comes from, as a configuration file", 0,
     config_show},
    {"check", "",
     "read options, keys, certificate and lexicon as serve would; SIGHUP makes a server "
     "read the last three again",
     0, config_check},
    {"man", "", "the manual page", 0, help_man},
    {0}};
