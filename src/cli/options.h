/* options.h - one table of the options of all commands: name, type, range, default, help.
 *
 *     struct options o;
 *     int code = options_load(&o, command, argc, argv);
 *     if (code < 0)
 *         ... o.server.port, o.argument[0] ...
 *     options_done(&o);
 *
 * A row feeds the flag (--max-connections), the variable (JABBERTTS_MAX_CONNECTIONS), the line of
 * the configuration file (max_connections = 100), --help, the man page and shell completion.  A
 * flag overrides a variable, that the file, that the default.  A name that does not exist or a
 * value out of range is an error, whichever command it is for.  The file is --config or
 * $JABBERTTS_CONFIG, else the first of $XDG_CONFIG_HOME/jabbertts/jabbertts.conf (~/.config without
 * the variable) and /etc/jabbertts/jabbertts.conf that exists. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H
#include <stdbool.h>
#include <stdio.h>
#include "cli/cli.h"
#include "jabbertts_tools.h"
#include "server/server.h"

/* Commands, as sets. */
enum {
    SAY = 1 << 0,
    SERVE = 1 << 1,
    TEXT = 1 << 2,
    VOICES = 1 << 3,
    CONVERT = 1 << 4,
    INSPECT = 1 << 5,
    QUANTIZE = 1 << 6,
    CALIBRATE = 1 << 7,
    EVAL = 1 << 8,
    BENCH = 1 << 9,
    CONFIG = 1 << 10,
    COMPLETION = 1 << 11,
    VERSION = 1 << 12,
    PULL = 1 << 13,
    MODELS = 1 << 14,
    DOCTOR = 1 << 15,
    EXPORT = 1 << 16,
    BATCH = 1 << 17,
    MCP = 1 << 18,
    BOOK = 1 << 19,
    PRUNE = 1 << 20,
    EVERY = (1 << 21) - 1
};

enum option_type {
    INTEGER,  /* int */
    NUMBER,   /* double */
    FLOAT,    /* float */
    BOOLEAN,  /* bool */
    STRING,   /* const char *, owned by the options */
    WORD,     /* const char *, one of words */
    CHOICE,   /* int, the index of one of words */
    LIST,     /* struct option_list: may be repeated */
    PARAMETER /* a number of struct jabbertts_parameter, which has its range, default and help */
};

#define OPTIONS_LIST_MAX 256
struct option_list {
    const char *item[OPTIONS_LIST_MAX];
    int n;
};

/* Names are unique among the options of one command, and among those that are not flag_only. */
struct option_row {
    const char *section; /* a heading; NULL: that of the row before */
    const char *name;    /* max_connections */
    char letter;         /* -o, or 0 */
    unsigned commands;   /* that have this flag */
    bool flag_only;      /* said of one call: not in the file or the environment */
    bool secret;         /* not shown */
    enum option_type type;
    size_t offset;            /* in struct options; so below, not of a PARAMETER */
    double min, max;          /* of INTEGER, NUMBER, FLOAT */
    const char *preset;       /* default, as written; NULL: not set */
    const char *const *words; /* NULL behind the last */
    const char *placeholder;  /* FILE, DIR: completed as such; NULL for BOOLEAN */
    const char *help;         /* no period */
};
extern const struct option_row option_rows[];
extern const int n_option_row;
#define OPTIONS_ROW_MAX 160

enum options_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct option_string; /* an owned copy */

/* The options' values: each command reads its own. */
struct options {
    struct server_options server;             /* serve's, and the engine's of all commands */
    struct jabbertts_request request;         /* of say and text */
    struct jabbertts_encoder_options encoder; /* of say */
    struct jabbertts_convert_options convert; /* recommended sampling and names */
    struct jabbertts_stored voice;            /* that is added */
    struct option_list aliases, models;       /* models: as --model says them */
    struct option_list clips, clip_texts;     /* recordings to imitate, and what is said in them */
    int memory_budget_mb;
    const char *output, *format, *input, *stage, *type, *imatrix, *onnx, *judge, *part, *reference,
        *corpus, *check;
    const char *model_dir, *ca_file;
    char model_path[4096]; /* of an installed model that was named */
    int connections;       /* of a download */
    int jobs;              /* texts spoken together */
    const char *cast;      /* of a book: whose voices */
    double drain_timeout_s, target_bits, prune_keep, prune_limit, prune_limit_db;
    const char *captions;
    int sandbox;      /* of switch_words */
    const char *user; /* to become, once it listens */
    const char *bucket_keys_file;
    char bucket_key[3][2048]; /* id, secret, token of the bucket, as read from that file */
    bool export_check, force, keep, accept_licence, play, ssml, emoji, explain, alignment, json,
        no_encoder, no_equalize, trim, background, quiet, help;
    const char *config; /* the file that was read; NULL: none */

    const struct command *command;
    char **argument; /* what is no option, borrowed from argv */
    int n_argument;
    struct option_string *strings;
    unsigned char origin[OPTIONS_ROW_MAX]; /* of each row, enum options_origin */
    int line[OPTIONS_ROW_MAX];             /* of the file */
};

/* Reads all sources.  argv[0] is the command's name.  -1: go on; else the exit code, and nothing is
 * left to free. */
int options_load(struct options *o, const struct command *c, int argc, char **argv);
void options_done(struct options *o);

/* A row's name as its source spells it: max_connections, JABBERTTS_MAX_CONNECTIONS,
 * --max-connections. */
#define OPTIONS_NAME_BYTES 80
const char *options_spell(const struct option_row *row, enum options_origin as,
                          char to[OPTIONS_NAME_BYTES]);
const char *options_help(const struct option_row *row);
/* "1 to 64; default 4", or "" */
void options_range(const struct option_row *row, char *to, size_t n);
void options_show(const struct options *o, FILE *f); /* name = value, and where it comes from */

/* help.c */
void help_commands(FILE *f);
void help_command(const struct command *c, FILE *f);
int help_man(struct options *o);

#endif
