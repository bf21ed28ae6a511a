#include <stdio.h>

#include "cli/options.h"

static int config_show(struct options *o)
{
    options_show(o, stdout);
    return CLI_OK;
}

const struct verb config_verbs[] = {
    {"show", "", "every option's value and where it comes from, as a configuration file", 0,
     config_show},
    {"man", "", "the manual page", 0, help_man},
    {0}};
