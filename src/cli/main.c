#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/near.h"
#include "cli/hub.h"
#include "cli/options.h"

#define MESSAGE_BYTES 4096

/* --- messages --- */

static int cli_quiet, line_open; /* the terminal shows a line without its end */

void cli_set_quiet(int quiet)
{
    cli_quiet = quiet;
}

static void end_line(void)
{
    if (line_open)
        fputc('\n', stderr);
    line_open = 0;
}

/* The library names its options in backquotes: `model_dir`.  Here they are flags. */
static void put_spelt(const char *s)
{
    for (const char *end; *s; s = end) {
        char name[OPTIONS_NAME_BYTES], spelt[OPTIONS_NAME_BYTES] = "";
        size_t n = *s == '`' ? strspn(s + 1, "abcdefghijklmnopqrstuvwxyz_") : 0;
        end = s + 1 + strcspn(s + 1, "`");
        if (n > 0 && s[1 + n] == '`' && n < sizeof name) {
            snprintf(name, sizeof name, "%.*s", (int)n, s + 1);
            for (int i = 0; i < n_option_row; i++)
                if (!strcmp(option_rows[i].name, name))
                    options_spell(&option_rows[i], ORIGIN_FLAG, spelt);
        }
        if (*spelt)
            end = s + n + 2;
        fprintf(stderr, "%.*s", *spelt ? (int)sizeof spelt : (int)(end - s), *spelt ? spelt : s);
    }
}

static void put_message(const char *format, va_list args)
{
    char text[MESSAGE_BYTES];
    vsnprintf(text, sizeof text, format, args);
    put_spelt(text);
}

int cli_usage(const char *command, const char *format, ...)
{
    va_list args;
    end_line();
    fprintf(stderr, "jabbertts %s: ", command);
    va_start(args, format);
    put_message(format, args);
    va_end(args);
    fprintf(stderr, "\ntry: jabbertts %s --help\n", command);
    return CLI_USAGE;
}

int cli_fail(const char *format, ...)
{
    va_list args;
    end_line();
    fputs("jabbertts: ", stderr);
    va_start(args, format);
    put_message(format, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_FAILED;
}

int cli_error(const char *command, const struct jabbertts_error *e)
{
    if (cli_interrupted()) {
        cli_fail("interrupted");
        return cli_interrupted();
    }
    return e->code == JABBERTTS_ERR_ARGUMENT ? cli_usage(command, "%s", e->message)
                                             : cli_fail("%s", e->message);
}

int cli_voice_error(const char *command, struct jabbertts *tts, const char *name,
                    const struct jabbertts_error *e)
{
    struct jabbertts_voice_info v;
    struct jabbertts_model_info m;
    const char *alias, *target;
    struct near near;
    if (e->code != JABBERTTS_ERR_NOT_FOUND)
        return cli_error(command, e);
    if (!name || !strstr(e->message, "voice \"")) /* a language, say: a wrong value all the same */
        return cli_usage(command, "%s", e->message);
    near_init(&near, name);
    for (int i = 0; jabbertts_voice_at(tts, i, &v) == 0; i++)
        near_try(&near, v.name);
    for (int i = 0; (alias = jabbertts_voice_alias(tts, i, &target)); i++)
        near_try(&near, alias);
    bool told = e->message[strlen(e->message) - 1] == '?'; /* by the engine */
    const char *best = told ? NULL : near_found(&near);
    jabbertts_model_info(tts, &m);
    bool espeak = !strcmp(m.engine, "espeak-ng");
    char text[MESSAGE_BYTES];
    snprintf(text, sizeof text, "%s%s%s%s `jabbertts voices%s` lists those there are", e->message,
             best ? "; did you mean " : "", best ? best : "",
             best   ? "?"
             : told ? ""
                    : ";",
             espeak ? " --model espeak-ng" : "");
    /* An option's value is wrong; the argument of `voices show` is only not there. */
    return strcmp(command, "voices") ? cli_usage(command, "%s", text) : cli_fail("%s", text);
}

void cli_note(const char *format, ...)
{
    va_list args;
    if (cli_quiet)
        return;
    end_line();
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

struct jabbertts_request *cli_repair_all(struct jabbertts_request *r)
{
    if (r->repair == JABBERTTS_REPAIR_LATER)
        r->repair = JABBERTTS_REPAIR_ALL;
    return r;
}

/* --- progress and signals --- */

/* Work of less than a second needs no progress: seconds since the first question. */
static int lasts(void)
{
    static struct timespec start;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!start.tv_sec)
        start = now;
    return !cli_quiet && isatty(2) &&
           (double)(now.tv_sec - start.tv_sec) + 1e-9 * (double)(now.tv_nsec - start.tv_nsec) > 1;
}

void cli_status(const char *format, ...)
{
    va_list args;
    if (!lasts())
        return;
    fputs("\r\033[K", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    line_open = 1;
}

void cli_said(void *cookie, const char *line)
{
    (void)cookie;
    cli_note("%s", line);
}

void cli_progress(void *cookie, double fraction)
{
    enum { WIDTH = 40 };
    static const char bar[] = "########################################";
    static int shown = -1;
    int percent = (int)(100 * fraction);
    (void)cookie;
    if (percent == shown || !lasts())
        return;
    shown = percent;
    fprintf(stderr, "\r[%-*.*s] %3d %%", WIDTH, percent * WIDTH / 100, bar, percent);
    line_open = 1;
    if (percent >= 100)
        end_line();
}

int cli_progress_or_stop(void *cookie, double fraction)
{
    cli_progress(cookie, fraction);
    return cli_interrupted();
}

static volatile sig_atomic_t caught;

static void catch (int sig)
{
    caught = sig;
}

void cli_catch_signals(void)
{
    struct sigaction act = {.sa_handler = catch};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

int cli_interrupted(void)
{
    return caught ? 128 + caught : 0;
}

/* --- dispatch --- */

int cmd_version(struct options *o)
{
    (void)o;
    printf("jabbertts %s\n", jabbertts_version());
    return CLI_OK;
}

/* The code of a command that has done its work but whose output may have nowhere to go. */
static int flushed(int code)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || code != CLI_OK)
        return code;
    /* A reader that closes the pipe early (head, less) is not an error. */
    return errno == EPIPE ? CLI_FAILED
                          : cli_fail("cannot write to standard output: %s",
                                     errno ? strerror(errno) : "the write failed");
}

static int no_command(const char *name)
{
    struct near near;
    near_init(&near, name);
    for (const struct command *c = cli_commands; c->name; c++)
        near_try(&near, c->name);
    const char *best = near_found(&near);
    fprintf(stderr, "jabbertts: there is no command \"%s\"%s%s%s\ntry: jabbertts --help\n", name,
            best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
    return CLI_USAGE;
}

static int cli_help(const char *name)
{
    const struct command *c = name ? cli_find_command(name) : NULL;
    if (name && !c)
        return no_command(name);
    if (c)
        help_command(c, stdout);
    else
        help_commands(stdout);
    return CLI_OK;
}

static int run_verb(const struct verb *verbs, struct options *o)
{
    const char *name = o->n_argument ? o->argument[0] : verbs->name;
    const struct verb *v = verbs;
    struct near near;
    near_init(&near, name);
    for (; v->name && strcmp(v->name, name); v++)
        near_try(&near, v->name);
    if (!v->name)
        return cli_usage(o->command->name, "there is no \"%s\"%s%s%s", name,
                         near_found(&near) ? "; did you mean " : "",
                         near_found(&near) ? near_found(&near) : "", near_found(&near) ? "?" : "");
    if (o->n_argument) {
        o->argument++;
        o->n_argument--;
    }
    if (o->n_argument != v->n_argument)
        return cli_usage(o->command->name, "%s takes %d argument%s%s%s, got %d", v->name,
                         v->n_argument, v->n_argument == 1 ? "" : "s", v->n_argument ? ": " : "",
                         v->arguments, o->n_argument);
    int code = cli_find_models(o);
    return code ? code : v->run(o);
}

static int run_command(const struct command *c, int argc, char **argv)
{
    struct options o;
    int code = options_load(&o, c, argc, argv);
    if (code >= 0)
        return code;
    if (c->verbs)
        code = run_verb(c->verbs, &o);
    else if (o.n_argument < c->min_argument)
        code = cli_usage(c->name, "wanted %s", c->arguments);
    else if (o.n_argument > c->max_argument)
        code = cli_usage(c->name, "unexpected argument \"%s\"%s", o.argument[c->max_argument],
                         c->max_argument ? "; put words that belong together in quotes" : "");
    else if (!(code = cli_find_models(&o)))
        code = c->run(&o);
    options_done(&o);
    return code;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    signal(SIGPIPE, SIG_IGN); /* writing to a closed pipe fails with EPIPE, which is reported */
    if (!name) {
        help_commands(stderr);
        return CLI_USAGE;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
        return flushed(cli_help(argv[2]));
    const struct command *c = cli_find_command(strcmp(name, "--version") ? name : "version");
    return c ? flushed(run_command(c, argc - 1, argv + 1)) : no_command(name);
}
