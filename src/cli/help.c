/* --help and the man page, from the tables. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

#define COLUMNS 96
#define INDENT  28 /* of an option's help */

/* Words of text from column `at` on, in lines that begin at column indent. */
static void help_wrap(const char *text, int at, int indent, FILE *f)
{
    while (*text) {
        int n = (int)strcspn(text, " \n");
        if (at > indent && at + 1 + n > COLUMNS) {
            fprintf(f, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            fputc(' ', f);
            at++;
        } else if (at < indent) {
            fprintf(f, "%*s", indent - at, "");
            at = indent;
        }
        fprintf(f, "%.*s", n, text);
        at += n;
        text += n;
        text += strspn(text, " \n");
    }
    fputc('\n', f);
}

static void help_option(const struct option_row *row, FILE *f)
{
    char name[OPTIONS_NAME_BYTES], range[256], text[1024];
    options_spell(row, ORIGIN_FLAG, name);
    int at = row->letter ? fprintf(f, "  -%c, ", row->letter) : fprintf(f, "      ");
    at += fprintf(f, "%s%s%s", name, row->placeholder ? " " : "",
                  row->placeholder ? row->placeholder : "");
    if (at > INDENT - 2) {
        fputc('\n', f);
        at = 0;
    }
    options_range(row, range, sizeof range);
    snprintf(text, sizeof text, "%s%s%s%s", options_help(row), *range ? " (" : "", range,
             *range ? ")" : "");
    help_wrap(text, at, INDENT, f);
}

static void help_lines(const char *lines, const char *before, FILE *f)
{
    while (*lines) {
        int n = (int)strcspn(lines, "\n");
        fprintf(f, "%s%.*s\n", before, n, lines);
        lines += n + (lines[n] != 0);
    }
}

static void help_options(const struct command *c, FILE *f)
{
    const char *section = NULL, *shown = NULL;
    for (int i = 0; i < n_option_row; i++) {
        const struct option_row *row = &option_rows[i];
        section = row->section ? row->section : section;
        if (!(row->commands & c->bit))
            continue;
        if (section != shown)
            fprintf(f, "\n%s:\n", section);
        shown = section;
        help_option(row, f);
    }
}

void help_command(const struct command *c, FILE *f)
{
    fprintf(f, "usage: jabbertts %s [OPTION]...%s%s\n\n", c->name,
            c->verbs        ? " [VERB]..."
            : *c->arguments ? " "
                            : "",
            c->arguments);
    help_wrap(c->about, 0, 0, f);
    if (c->verbs)
        fputs("\nVerbs, the first if none is named:\n", f);
    for (const struct verb *v = c->verbs; v && v->name; v++) {
        int at = fprintf(f, "  %s%s%s", v->name, *v->arguments ? " " : "", v->arguments);
        if (at > INDENT - 2) {
            fputc('\n', f);
            at = 0;
        }
        help_wrap(v->help, at, INDENT, f);
    }
    fputs("\nExamples:\n", f);
    help_lines(c->examples, "  ", f);
    help_options(c, f);
    if (!c->plain)
        fputs(
            "\nAn option in lower case with _ is a line of the configuration file (jabbertts "
            "config\n"
            "--help), in capitals behind JABBERTTS_ a variable, but for those of one call alone.\n",
            f);
    fputs("\nExit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n", f);
}

void help_commands(FILE *f)
{
    fputs("usage: jabbertts COMMAND [OPTION]...\n\n"
          "Text to speech on the CPU with OpenAudio S1 models.\n\n",
          f);
    for (const struct command *c = cli_commands; c->name; c++)
        fprintf(f, "  %-11s%s\n", c->name, c->help);
    fputs("\nEvery command explains itself: jabbertts COMMAND --help\n"
          "First sound: jabbertts say \"Hello there.\" -o hello.wav\n",
          f);
}

/* --- the man page --- */

/* Text as roff reads it. */
static void man_text(const char *s, FILE *f)
{
    if (*s == '.' || *s == '\'')
        fputs("\\&", f);
    for (; *s; s++)
        if (*s == '\\')
            fputs("\\e", f);
        else if (*s == '-')
            fputs("\\-", f);
        else
            fputc(*s, f);
}

static void man_command(const struct command *c, FILE *f)
{
    fputs(".SS ", f);
    man_text(c->name, f);
    fprintf(f, "\n.B jabbertts %s\n[\\fIOPTION\\fR]... ", c->name);
    man_text(c->verbs ? "[VERB]..." : c->arguments, f);
    fputs("\n.PP\n", f);
    man_text(c->about, f);
    fputc('\n', f);
    for (const struct verb *v = c->verbs; v && v->name; v++) {
        fprintf(f, ".TP\n.B %s %s\n", v->name, v->arguments);
        man_text(v->help, f);
        fputs(".\n", f);
    }
    fputs(".PP\n.nf\n", f);
    for (const char *s = c->examples; *s;) {
        char line[256];
        int n = (int)strcspn(s, "\n");
        snprintf(line, sizeof line, "%.*s", n, s);
        man_text(line, f);
        fputc('\n', f);
        s += n + (s[n] != 0);
    }
    fputs(".fi\n", f);
}

static void man_option(const struct option_row *row, FILE *f)
{
    char name[OPTIONS_NAME_BYTES], range[256];
    fputs(".TP\n.B ", f);
    if (row->letter)
        fprintf(f, "\\-%c, ", row->letter);
    man_text(options_spell(row, ORIGIN_FLAG, name), f);
    if (row->placeholder)
        fprintf(f, " \\fI%s\\fR", row->placeholder);
    if (!row->flag_only)
        fprintf(f, "\\fR, %s", options_spell(row, ORIGIN_ENVIRONMENT, name));
    fputc('\n', f);
    man_text(options_help(row), f);
    options_range(row, range, sizeof range);
    if (*range) {
        fputs(" (", f);
        man_text(range, f);
        fputs(")", f);
    }
    fputs(".\n", f);
    if ((row->commands & (EVERY & ~(VERSION | COMPLETION))) ==
        (unsigned)(EVERY & ~(VERSION | COMPLETION)))
        return;
    fputs("Of:", f);
    for (const struct command *c = cli_commands; c->name; c++)
        if ((row->commands & c->bit) && c->bit != CONFIG)
            fprintf(f, " %s", c->name);
    fputs(".\n", f);
}

static const char man_files[] =
    ".SH FILES\n"
    ".TP\n.I $XDG_CONFIG_HOME/jabbertts/jabbertts.conf\n"
    "Lines `name = value`, the name being an option's with _ for \\-; # starts a comment. Quotes\n"
    "around a value are needed where it holds quotes, a backslash or #; \"...\" knows \\e\" and\n"
    "\\e\\e, '...' no escapes. Without the variable, ~/.config is taken. If there is no such "
    "file,\n"
    "/etc/jabbertts/jabbertts.conf is read. \\-\\-config FILE or JABBERTTS_CONFIG names another.\n"
    ".TP\n.I $XDG_DATA_HOME/jabbertts/voices\n"
    "Your own voices (~/.local/share without the variable).\n"
    ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 interrupted (128 and the signal).\n";

int help_man(struct options *o)
{
    FILE *f = stdout;
    const char *section;
    (void)o;
    fprintf(f, ".\\\" Made by `jabbertts config man`.\n.TH JABBERTTS 1 \"\" \"jabbertts %s\"\n",
            jabbertts_version());
    fputs(".SH NAME\njabbertts \\- text to speech on the CPU, as a command and as a server\n"
          ".SH SYNOPSIS\n.B jabbertts\n.I COMMAND\n[\\fIOPTION\\fR]...\n.SH COMMANDS\n",
          f);
    for (const struct command *c = cli_commands; c->name; c++)
        man_command(c, f);
    fputs(
        ".SH OPTIONS\n"
        "A flag overrides a variable of the environment, which overrides the configuration file,\n"
        "which overrides the default. An option without a variable cannot be set in the file.\n"
        "\\-\\-no\\-NAME turns a switch off.\n",
        f);
    for (int i = 0; i < n_option_row; i++) {
        section = option_rows[i].section;
        if (section)
            fprintf(f, ".SS %s\n", section);
        man_option(&option_rows[i], f);
    }
    fputs(man_files, f);
    return CLI_OK;
}
