/* cli.h - what the commands share.  Each command is `int cmd_NAME(argc, argv)`, argv[0] its own
 * name; it returns the exit code: 0 done, 1 failed, 2 wrong usage. */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include <stddef.h>
#include <stdint.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

int cmd_say(int argc, char **argv);
int cmd_text(int argc, char **argv);
int cmd_voices(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_quantize(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_version(int argc, char **argv);

/* Name and help of the i-th command; NULL after the last. */
const char *cli_command(size_t i, const char **help);

/* "jabbertts NAME: message", then where to get help; returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "jabbertts: message"; returns CLI_FAILED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whole numbers and decimals with nothing behind them and within [min, max]: 0, else CLI_USAGE
 * after saying what is wrong. */
int cli_int(const char *command, const char *option, const char *s, int min, int max, int *ret);
int cli_float(const char *command, const char *option, const char *s, double min, double max,
              double *ret);
int cli_u64(const char *command, const char *option, const char *s, uint64_t *ret);

/* A progress bar on standard error where that is a terminal; the cookie is not used. */
void cli_progress(void *cookie, double fraction);
/* Where users' voices are kept: given, else $XDG_DATA_HOME/jabbertts/voices, else below $HOME. */
const char *cli_voice_dir(const char *given, char *path, size_t n);

#endif
