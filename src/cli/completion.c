/* Shell completion, from the tables. */
#include <string.h>

#include "cli/options.h"

static bool completes_path(const struct option_row *row)
{
    return row->placeholder &&
           (!strcmp(row->placeholder, "FILE") || !strcmp(row->placeholder, "DIR"));
}

static void print_words(const char *const *words, FILE *f)
{
    for (int i = 0; words[i]; i++)
        fprintf(f, "%s%s", i ? " " : "", words[i]);
}

/* In '...' of a shell. */
static void print_single(const char *s, const char *escaped, FILE *f)
{
    for (; *s; s++)
        if (*s == '\'')
            fputs("'\\''", f);
        else
            fprintf(f, "%s%c", strchr(escaped, *s) ? "\\" : "", *s);
}

/* --- bash --- */

static void bash_command(const struct command *c, FILE *f)
{
    char name[OPTIONS_NAME_BYTES];
    fprintf(f, "    %s)\n        case $prev in\n", c->name);
    for (int i = 0; i < n_option_row; i++) {
        const struct option_row *row = &option_rows[i];
        if (!(row->commands & c->bit) || row->type == BOOLEAN)
            continue;
        fprintf(f, "        %s", options_spell(row, ORIGIN_FLAG, name));
        if (row->letter)
            fprintf(f, " | -%c", row->letter);
        fputs(") ", f);
        if (row->words) {
            fputs("words='", f);
            print_words(row->words, f);
            fputs("' ;;\n", f);
        } else {
            fputs(completes_path(row) ? "return ;;\n" : "compopt +o default; return ;;\n", f);
        }
    }
    fputs("        *)\n            [[ $cur == -* ]] && words='", f);
    for (int i = 0; i < n_option_row; i++)
        if (option_rows[i].commands & c->bit)
            fprintf(f, "%s ", options_spell(&option_rows[i], ORIGIN_FLAG, name));
    fputs("'", f);
    if (c->verbs) {
        fputs("\n            [[ $cur != -* && $at == 2 ]] && words='", f);
        for (const struct verb *v = c->verbs; v->name; v++)
            fprintf(f, "%s ", v->name);
        fputs("'", f);
    }
    fputs("\n            ;;\n        esac\n        ;;\n", f);
}

static int completion_bash(struct options *o)
{
    FILE *f = stdout;
    (void)o;
    fputs(
        "# jabbertts completion bash\n"
        "_jabbertts() {\n"
        "    local at=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} "
        "words=\n"
        "    [[ $prev == '=' ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
        "    [[ $cur == '=' ]] && cur=\n"
        "    case $at:${COMP_WORDS[1]} in\n"
        "    1:*)\n        words='",
        f);
    for (const struct command *c = cli_commands; c->name; c++)
        fprintf(f, "%s ", c->name);
    fputs("--help --version'\n        ;;\n    esac\n"
          "    [[ $at -gt 1 ]] && case ${COMP_WORDS[1]} in\n",
          f);
    for (const struct command *c = cli_commands; c->name; c++)
        bash_command(c, f);
    fputs("    esac\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "}\n"
          "complete -o default -F _jabbertts jabbertts\n",
          f);
    return CLI_OK;
}

/* --- zsh --- */

static void zsh_option(const struct option_row *row, FILE *f)
{
    char name[OPTIONS_NAME_BYTES];
    options_spell(row, ORIGIN_FLAG, name);
    if (row->letter)
        fprintf(f, "            '(-%c %s)'{-%c%s,%s%s}'[", row->letter, name, row->letter,
                row->placeholder ? "+" : "", name, row->placeholder ? "=" : "");
    else
        fprintf(f, "            '%s%s[", name, row->placeholder ? "=" : "");
    print_single(options_help(row), "[]:\\", f);
    fputs("]", f);
    if (row->placeholder) {
        fputs(":", f);
        print_single(row->placeholder, ":", f);
        fputs(":", f);
        if (row->words) {
            fputs("(", f);
            print_words(row->words, f);
            fputs(")", f);
        } else if (completes_path(row)) {
            fputs(strcmp(row->placeholder, "DIR") ? "_files" : "_files -/", f);
        }
    }
    fputs("' \\\n", f);
}

static int completion_zsh(struct options *o)
{
    FILE *f = stdout;
    (void)o;
    fputs("#compdef jabbertts\n"
          "# jabbertts completion zsh\n"
          "_jabbertts() {\n"
          "    local line state\n"
          "    _arguments -C '1: :->command' '*:: :->rest' && return\n"
          "    case $state in\n"
          "    command)\n"
          "        local -a commands=(\n",
          f);
    for (const struct command *c = cli_commands; c->name; c++) {
        fprintf(f, "            '%s:", c->name);
        print_single(c->help, ":", f);
        fputs("'\n", f);
    }
    fputs("        )\n        _describe command commands\n        ;;\n"
          "    rest)\n        case $line[1] in\n",
          f);
    for (const struct command *c = cli_commands; c->name; c++) {
        fprintf(f, "        %s)\n            _arguments \\\n", c->name);
        for (int i = 0; i < n_option_row; i++)
            if (option_rows[i].commands & c->bit)
                zsh_option(&option_rows[i], f);
        if (c->verbs) {
            fputs("            '1:verb:(", f);
            for (const struct verb *v = c->verbs; v->name; v++)
                fprintf(f, "%s ", v->name);
            fputs(")' \\\n", f);
        }
        fputs("            '*:file:_files'\n            ;;\n", f);
    }
    fputs("        esac\n        ;;\n    esac\n}\n"
          "if [ \"$funcstack[1]\" = _jabbertts ]; then _jabbertts \"$@\"; else compdef _jabbertts "
          "jabbertts; fi\n",
          f);
    return CLI_OK;
}

/* --- fish --- */

static void fish_option(const struct command *c, const struct option_row *row, FILE *f)
{
    char name[OPTIONS_NAME_BYTES];
    fprintf(f, "complete -c jabbertts -n '__fish_seen_subcommand_from %s' -l %s", c->name,
            options_spell(row, ORIGIN_FLAG, name) + 2);
    if (row->letter)
        fprintf(f, " -s %c", row->letter);
    if (row->words) {
        fputs(" -xa '", f);
        print_words(row->words, f);
        fputs("'", f);
    } else if (row->placeholder) {
        fputs(completes_path(row) ? " -rF" : " -x", f);
    }
    fputs(" -d \"", f);
    for (const char *s = options_help(row); *s; s++)
        fprintf(f, "%s%c", strchr("\"$\\", *s) ? "\\" : "", *s);
    fputs("\"\n", f);
}

static int completion_fish(struct options *o)
{
    FILE *f = stdout;
    (void)o;
    fputs("# jabbertts completion fish\n", f);
    for (const struct command *c = cli_commands; c->name; c++) {
        fprintf(f, "complete -c jabbertts -n __fish_use_subcommand -fa %s -d '", c->name);
        print_single(c->help, "", f);
        fputs("'\n", f);
        for (const struct verb *v = c->verbs; v && v->name; v++) {
            fprintf(f, "complete -c jabbertts -n '__fish_seen_subcommand_from %s' -a %s -d '",
                    c->name, v->name);
            print_single(v->help, "", f);
            fputs("'\n", f);
        }
        for (int i = 0; i < n_option_row; i++)
            if (option_rows[i].commands & c->bit)
                fish_option(c, &option_rows[i], f);
    }
    return CLI_OK;
}

const struct verb completion_verbs[] = {{"bash", "", "for Bash", 0, completion_bash},
                                        {"zsh", "", "for the Z shell", 0, completion_zsh},
                                        {"fish", "", "for fish", 0, completion_fish},
                                        {0}};
