/* options.h - what can be configured: one table of name, type, range, default and help.
 *
 *     struct options o;
 *     if (options_load(&o, "serve", argc, argv, &n_arg) != 0) ...  said why; returns the exit code
 *     o.server.port ...
 *     options_done(&o);
 *
 * The table feeds flags (--max-connections), variables (JABBERTTS_MAX_CONNECTIONS), the
 * configuration file (max_connections = 100), --help and the man page.  A flag overrides a
 * variable, that the file, that the default.  A name that does not exist or a value out of range is
 * an error. The file is $JABBERTTS_CONFIG or --config, else the first of
 * $XDG_CONFIG_HOME/jabbertts/config.toml (~/.config without the variable) and
 * /etc/jabbertts/config.toml that exists. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H
#include <stdio.h>
#include "server/server.h"

enum options_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct options {
    struct server_options server;
    double drain_timeout_s;
    const char *config; /* the file that was read; NULL: none */
    char *strings[64];  /* owned copies */
    int n_string;
    unsigned char origin[64]; /* of each row, enum options_origin */
    int line[64];             /* of the file */
};

/* Reads all sources.  argv[0] is the command's name; *n_arg: arguments that are no options, moved
 * to argv[1].. .  --help prints the command's help.  -1: go on; else the exit code. */
int options_load(struct options *o, int argc, char **argv, const char *usage, int *n_arg);
void options_done(struct options *o);

void options_show(const struct options *o, FILE *f); /* name = value, and where it comes from */
void options_help(FILE *f);                          /* the flags, for --help */
void options_man(FILE *f);                           /* the rows, for the man page (roff) */

#endif
