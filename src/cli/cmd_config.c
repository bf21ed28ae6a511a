#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "jabbertts.h"

static const char usage[] =
    "usage: jabbertts config show [OPTION]...\n"
    "       jabbertts config man\n\n"
    "show: every option's value and where it comes from, as a configuration file.\n"
    "man: the manual page docs/jabbertts.1.\n";

static const char man_files[] =
    ".SH FILES\n"
    ".TP\n.I $XDG_CONFIG_HOME/jabbertts/config.toml\n"
    "Lines `name = value`, strings in quotes, # starts a comment. Without the variable, ~/.config "
    "is\n"
    "taken. If there is no such file, /etc/jabbertts/config.toml is read. \\-\\-config FILE or\n"
    "JABBERTTS_CONFIG names another.\n"
    ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage.\n"
    ".SH EXAMPLES\n.nf\n"
    "jabbertts serve \\-\\-host 0.0.0.0 \\-\\-api\\-keys\\-file /etc/jabbertts/keys\n"
    "JABBERTTS_PORT=9000 jabbertts config show\n"
    "jabbertts say \"Hello there.\" \\-o hello.wav\n"
    ".fi\n";

static void man(FILE *f)
{
    const char *name, *help;
    fprintf(f, ".\\\" Made by `jabbertts config man`.\n.TH JABBERTTS 1 \"\" \"jabbertts %s\"\n",
            jabbertts_version());
    fputs(".SH NAME\njabbertts \\- text to speech on the CPU, as a command and as a server\n"
          ".SH SYNOPSIS\n.B jabbertts\n.I COMMAND\n[\\fIOPTION\\fR]...\n.SH COMMANDS\n"
          "Each explains itself: jabbertts COMMAND \\-\\-help.\n",
          f);
    for (size_t i = 0; (name = cli_command(i, &help)); i++)
        fprintf(f, ".TP\n.B %s\n%s.\n", name, help);
    fputs(".SH OPTIONS OF SERVE\n"
          "Each is a flag, a variable of the environment, and a line of the configuration file; a "
          "flag\n"
          "overrides a variable, that the file, that the default.\n",
          f);
    options_man(f);
    fputs(man_files, f);
}

int cmd_config(int argc, char **argv)
{
    struct options o;
    int n_arg, code = options_load(&o, argc, argv, usage, &n_arg);
    if (code >= 0)
        return code;
    code = CLI_OK;
    if (n_arg == 1 && strcmp(argv[1], "show") == 0)
        options_show(&o, stdout);
    else if (n_arg == 1 && strcmp(argv[1], "man") == 0)
        man(stdout);
    else
        code = cli_usage(argv[0], "wants one word: show or man");
    options_done(&o);
    return code;
}
