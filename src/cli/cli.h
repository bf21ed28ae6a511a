/* cli.h - what the commands share: their table, messages, files, progress, signals.
 *
 * A command is a row of cli_commands: `int run(struct options *o)` finds its options and arguments
 * in o (options.h) and returns the exit code.  Messages go to standard error, results to standard
 * output.  Threads: all of it belongs to the main thread, but for cli_progress, which the thread
 * that does the work may call. */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include <stddef.h>
#include <stdbool.h>

#include "jabbertts.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 }; /* and 128 + the signal that interrupted */

struct options;

/* "voices add": a command's second word. */
struct verb {
    const char *name, *arguments; /* "NAME RECORDING", or "" */
    const char *help;
    int n_argument;
    int (*run)(struct options *o);
};

struct command {
    unsigned bit; /* in the `commands` of an option, see options.h */
    const char *name;
    const char *help;      /* one line, no period */
    const char *arguments; /* "[TEXT]", or "" */
    const char *about;     /* paragraphs for --help and the man page */
    const char *examples;  /* lines */
    int min_argument, max_argument;
    int (*run)(struct options *o);
    const struct verb *verbs; /* instead of run, {0} behind the last; the first is meant when none
                               * is named */
    int plain;                /* reads neither the configuration file nor the environment */
};
extern const struct command cli_commands[]; /* a row without a name is the last */
const struct command *cli_find_command(const char *name);

int cmd_say(struct options *o);
int cmd_text(struct options *o);
int cmd_convert(struct options *o);
int cmd_inspect(struct options *o);
int cmd_quantize(struct options *o);
int cmd_calibrate(struct options *o);
int cmd_eval(struct options *o);
int cmd_export(struct options *o);
int cmd_prune(struct options *o);
int cmd_bench(struct options *o);
int cmd_serve(struct options *o);
int cmd_mcp(struct options *o);
int cmd_version(struct options *o);
int cmd_pull(struct options *o);
int cmd_book(struct options *o);
int cmd_batch(struct options *o);
int cmd_doctor(struct options *o);
int models_update(struct options *o); /* cmd_pull.c */
extern const struct verb voices_verbs[], models_verbs[], config_verbs[], completion_verbs[];

/* Nobody hears this request while it is made: where sentences are made again when they fail, the
 * first is, too.  Returns r. */
struct jabbertts_request *cli_repair_all(struct jabbertts_request *r);

/* --- messages --- */

/* "jabbertts NAME: message", then where to get help; returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "jabbertts: message"; returns CLI_FAILED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A failure of the library: CLI_USAGE if a value was wrong, else CLI_FAILED, or the code of the
 * signal that stopped it. */
int cli_error(const char *command, const struct jabbertts_error *e);
/* The same of a request that asked for a voice by this name; NULL: for none. */
int cli_voice_error(const char *command, struct jabbertts *tts, const char *name,
                    const struct jabbertts_error *e);
/* Reports what was done, in one line on standard error; silent with --quiet. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line of a tool that says what it decided; the cookie is not used. */
void cli_said(void *cookie, const char *line);
/* The same for a file that was written: its name and size. */
void cli_wrote(const char *path);
void cli_set_quiet(int quiet);

/* --- progress and signals --- */

/* A bar on standard error, if that is a terminal, from the second second on; the cookie is not
 * used. */
void cli_progress(void *cookie, double fraction);
/* The same, for work that can be stopped: not 0 once a signal came. */
int cli_progress_or_stop(void *cookie, double fraction);
/* One line on a terminal that replaces the one before, from the second second on. */
void cli_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* From now on SIGINT and SIGTERM are only noted. */
void cli_catch_signals(void);
int cli_interrupted(void); /* 128 + the signal, or 0 */

/* --- files --- */

/* All of a file, or of standard input for "-" and NULL, with a 0 behind it; free with free(). */
int cli_read_file(const char *path, size_t limit, char **ret, size_t *n);
/* The text to speak: argument, file or standard input.  0, or the exit code. */
int cli_read_text(const struct options *o, char **ret);
/* A file, for its owner only, that appears when it is whole; "-" is standard output. */
int cli_write_file(const char *path, const char *text);
/* Before long work whose result appears at path when it is whole: 0, or CLI_FAILED, said why. */
int cli_check_output(const char *path);
/* Where users' voices are kept: given, else $XDG_DATA_HOME/jabbertts/voices, else below $HOME. */
/* Are there voices, or a database that knows? */
bool cli_has_voices(const char *voice_dir);
const char *cli_voice_dir(const char *given, char *path, size_t n);
/* Where graphs of models are kept: given, else $XDG_CACHE_HOME/jabbertts/onnx, else below $HOME. */
const char *cli_onnx_dir(const char *given, char *path, size_t n);

#endif
