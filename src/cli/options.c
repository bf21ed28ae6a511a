#include "cli/options.h"
#include "jabbertts_tools.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/near.h"

#define LINE_BYTES 4096
#define FILE_LINES 10000
#define ENV_PREFIX "JABBERTTS_"

extern char **environ;

struct option_string {
    struct option_string *next;
    char text[];
};

/* Where a value comes from. */
struct source {
    enum options_origin origin;
    const char *where; /* before the name: "", or "/etc/jabbertts/jabbertts.conf:3: " */
    int line;
};

/* --- names --- */

const char *options_spell(const struct option_row *row, enum options_origin as,
                          char to[OPTIONS_NAME_BYTES])
{
    static const char *const prefix[] = {[ORIGIN_FLAG] = "--", [ORIGIN_ENVIRONMENT] = ENV_PREFIX};
    size_t n = (size_t)snprintf(to, OPTIONS_NAME_BYTES, "%s", prefix[as] ? prefix[as] : "");
    for (const char *s = row->name; *s && n < OPTIONS_NAME_BYTES - 1; s++)
        to[n++] = as == ORIGIN_FLAG && *s == '_' ? '-'
                  : as == ORIGIN_ENVIRONMENT     ? (char)toupper((unsigned char)*s)
                                                 : *s;
    to[n] = 0;
    return to;
}

/* What a name of this origin may mean for this command. */
static bool options_applies(const struct options *o, const struct option_row *row,
                            enum options_origin origin)
{
    return origin == ORIGIN_FLAG ? (row->commands & o->command->bit) != 0 : !row->flag_only;
}

/* The row that spells itself so, or -1. */
static int options_find(const struct options *o, enum options_origin origin, const char *name)
{
    char spelt[OPTIONS_NAME_BYTES];
    for (int i = 0; i < n_option_row; i++)
        if (options_applies(o, &option_rows[i], origin) &&
            strcmp(options_spell(&option_rows[i], origin, spelt), name) == 0)
            return i;
    return -1;
}

static int options_unknown(const struct options *o, const struct source *from, const char *name)
{
    char spelt[OPTIONS_NAME_BYTES], names[OPTIONS_ROW_MAX][OPTIONS_NAME_BYTES];
    const struct option_row *elsewhere = NULL;
    struct near near;
    near_init(&near, name);
    for (int i = 0; i < n_option_row; i++) {
        const struct option_row *row = &option_rows[i];
        if (options_applies(o, row, from->origin))
            near_try(&near, options_spell(row, from->origin, names[i]));
        else if (!strcmp(options_spell(row, from->origin, spelt), name))
            elsewhere = row;
    }
    if (elsewhere && from->origin == ORIGIN_FLAG)
        for (const struct command *c = cli_commands; c->name; c++)
            if (c->bit & elsewhere->commands)
                return cli_usage(o->command->name, "%s is an option of %s, not of %s", name,
                                 c->name, o->command->name);
    if (elsewhere)
        return cli_usage(o->command->name, "%s%s can only be given as %s with the command",
                         from->where, name, options_spell(elsewhere, ORIGIN_FLAG, spelt));
    const char *best = near_found(&near);
    bool text = from->origin == ORIGIN_FLAG && !best && o->command->max_argument > 0;
    return cli_usage(o->command->name, "%sthere is no option %s%s%s%s", from->where, name,
                     best ? "; did you mean " : "", best ? best : "",
                     best   ? "?"
                     : text ? "; what begins with - and is none goes behind --"
                            : "");
}

/* --- values --- */

static int bad_value(const struct options *o, const struct option_row *row,
                     const struct source *from, const char *value, const char *wanted)
{
    char spelt[OPTIONS_NAME_BYTES];
    return cli_usage(o->command->name, "%s%s is \"%s\", must be %s", from->where,
                     options_spell(row, from->origin, spelt), row->secret ? "..." : value, wanted);
}

/* The range of a number. */
struct range {
    double min, max;
    bool whole;
};

static struct range options_limits(const struct option_row *row)
{
    const struct jabbertts_parameter *p = jabbertts_parameter_find(row->name);
    if (row->type != PARAMETER)
        return (struct range){row->min, row->max, row->type == INTEGER};
    return (struct range){p->min, p->max,
                          p->type == JABBERTTS_TYPE_INT || p->type == JABBERTTS_TYPE_U64};
}

/* The nearest value within the range is proposed. */
static int bad_number(const struct options *o, const struct option_row *row,
                      const struct source *from, const char *value)
{
    char *end, wanted[160];
    struct range r = options_limits(row);
    double v = strtod(value, &end);
    double near = v < r.min ? r.min : v > r.max ? r.max : floor(v);
    size_t n = (size_t)snprintf(wanted, sizeof wanted, "%s from %.16g to %.16g",
                                r.whole ? "a whole number" : "a number", r.min, r.max);
    if (end != value && !*end && v == v)
        snprintf(wanted + n, sizeof wanted - n, "; the nearest is %.16g", near);
    return bad_value(o, row, from, value, wanted);
}

static int set_number(struct options *o, const struct option_row *row, const struct source *from,
                      const char *value, void *to)
{
    char *end;
    struct range r = options_limits(row);
    double v = strtod(value, &end);
    bool plain = value[strspn(value, "0123456789.+-eE")] == 0; /* no hexadecimal, no spaces */
    if (end == value || *end || !plain || !(v >= r.min && v <= r.max) || (r.whole && v != floor(v)))
        return bad_number(o, row, from, value);
    if (row->type == INTEGER)
        *(int *)to = (int)v;
    else if (row->type == FLOAT)
        *(float *)to = (float)v;
    else
        *(double *)to = v;
    return 0;
}

/* The structure of a parameter. */
static void *parameter_base(struct options *o, const struct jabbertts_parameter *p)
{
    return p->of_encoder ? (void *)&o->encoder : (void *)&o->request;
}

static int set_parameter(struct options *o, const struct option_row *row, const struct source *from,
                         const char *value, void *to)
{
    const struct jabbertts_parameter *p = jabbertts_parameter_find(row->name);
    struct jabbertts_error e;
    double v = 0;
    (void)to;
    int rc = set_number(o, row, from, value, &v); /* a PARAMETER is kept as a double there */
    if (rc)
        return rc;
    return jabbertts_parameter_set(p, parameter_base(o, p), v, &e) < 0
               ? bad_value(o, row, from, value, e.message)
               : 0;
}

/* Index in the row's words, or -1 after saying what is wrong. */
static int options_word(const struct options *o, const struct option_row *row,
                        const struct source *from, const char *value)
{
    char wanted[160];
    size_t n = (size_t)snprintf(wanted, sizeof wanted, "one of");
    struct near near;
    near_init(&near, value);
    for (int i = 0; row->words[i]; i++) {
        if (strcmp(row->words[i], value) == 0)
            return i;
        near_try(&near, row->words[i]);
        n += (size_t)snprintf(wanted + n, sizeof wanted - n, " %s", row->words[i]);
    }
    if (near_found(&near))
        snprintf(wanted + n, sizeof wanted - n, "; did you mean %s?", near_found(&near));
    bad_value(o, row, from, value, wanted);
    return -1;
}

static int set_word(struct options *o, const struct option_row *row, const struct source *from,
                    const char *value, void *to)
{
    int i = options_word(o, row, from, value);
    if (i < 0)
        return CLI_USAGE;
    if (row->type == CHOICE)
        *(int *)to = i;
    else
        *(const char **)to = row->words[i];
    return 0;
}

static int set_bool(struct options *o, const struct option_row *row, const struct source *from,
                    const char *value, void *to)
{
    static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no",
                                                                                "off"};
    for (int i = 0; i < 4; i++)
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *(bool *)to = strcmp(value, yes[i]) == 0;
            return 0;
        }
    return bad_value(o, row, from, value, "true or false");
}

static const char *options_copy(struct options *o, const char *value)
{
    size_t n = strlen(value) + 1;
    struct option_string *s = malloc(sizeof *s + n);
    if (!s)
        return NULL;
    memcpy(s->text, value, n);
    s->next = o->strings;
    o->strings = s;
    return s->text;
}

static int set_string(struct options *o, const struct option_row *row, const struct source *from,
                      const char *value, void *to)
{
    const char *copy = options_copy(o, value);
    struct option_list *list = to;
    if (!copy)
        return cli_fail("out of memory for the options");
    if (row->type == STRING)
        *(const char **)to = copy;
    else if (list->n == OPTIONS_LIST_MAX)
        return bad_value(o, row, from, value, "given at most 256 times");
    else
        list->item[list->n++] = copy;
    return 0;
}

static int set_value(struct options *o, const struct option_row *row, const struct source *from,
                     const char *value)
{
    static int (*const set[])(struct options *, const struct option_row *, const struct source *,
                              const char *, void *) = {
        [INTEGER] = set_number, [NUMBER] = set_number, [FLOAT] = set_number,
        [BOOLEAN] = set_bool,   [STRING] = set_string, [WORD] = set_word,
        [CHOICE] = set_word,    [LIST] = set_string,   [PARAMETER] = set_parameter};
    return set[row->type](o, row, from, value, (char *)o + row->offset);
}

/* Higher origins win, whatever the order of reading; a repeated flag replaces the former. */
static int options_set(struct options *o, int i, const struct source *from, const char *value)
{
    if (o->origin[i] > from->origin) { /* it must be right all the same */
        struct options *unused = calloc(1, sizeof *unused);
        if (!unused)
            return cli_fail("out of memory for the options");
        unused->command = o->command;
        int rc = set_value(unused, &option_rows[i], from, value);
        options_done(unused);
        free(unused);
        return rc;
    }
    o->origin[i] = (unsigned char)from->origin;
    o->line[i] = from->line;
    return set_value(o, &option_rows[i], from, value);
}

/* --- the file: name = value, strings in quotes where need be, # starts a comment --- */

static char *options_trim(char *s)
{
    s += strspn(s, " \t\r\n");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]))
        s[--n] = 0;
    return s;
}

/* The quoted value in place; NULL, or what is wrong with it. */
static const char *unquote(char *s)
{
    char quote = *s, *from = s + 1, *to = s;
    for (; *from && *from != quote; from++) {
        if (*from == '\\' && quote == '"') {
            if (from[1] != '"' && from[1] != '\\')
                return "knows no other escapes than \\\" and \\\\; '...' knows none";
            from++;
        }
        *to++ = *from;
    }
    if (*from != quote)
        return "has no closing quote";
    from = options_trim(from + 1);
    if (*from && *from != '#')
        return "has something behind it";
    *to = 0;
    return NULL;
}

/* The bare value in place; NULL, or why it might mean something else than it says. */
static const char *unquote_bare(char *s)
{
    for (char *p = s; *p; p++)
        if (*p == '#' && (p == s || p[-1] == ' ' || p[-1] == '\t')) {
            *p = 0;
            break;
        }
    options_trim(s);
    if (!*s)
        return "is empty; write \"\" for an empty one";
    if (*s == '[' || *s == '{')
        return "is a list; write \"one, two\"";
    if (strpbrk(s, "\"'#\\"))
        return "needs quotes around it";
    return NULL;
}

static int options_read_line(struct options *o, const char *path, int line, char *text)
{
    char where[600], *s = options_trim(text), *equal = strchr(s, '=');
    snprintf(where, sizeof where, "%s:%d: ", path, line);
    struct source from = {ORIGIN_FILE, where, line};
    if (!*s || *s == '#')
        return 0;
    if (*s == '[')
        return cli_usage(o->command->name, "%ssections are not known; write name = value", where);
    if (!equal)
        return cli_usage(o->command->name, "%s\"%s\" is not name = value", where, s);
    *equal = 0;
    char *name = options_trim(s), *value = options_trim(equal + 1);
    int i = options_find(o, ORIGIN_FILE, name);
    if (i < 0)
        return options_unknown(o, &from, name);
    const char *wrong = *value == '"' || *value == '\'' ? unquote(value) : unquote_bare(value);
    if (wrong)
        return cli_usage(o->command->name, "%sthe value of %s %s", where, name, wrong);
    if (o->line[i] && o->origin[i] == ORIGIN_FILE)
        return cli_usage(o->command->name, "%s%s is already set in line %d", where, name,
                         o->line[i]);
    return options_set(o, i, &from, value);
}

static int options_read_file(struct options *o, const char *path)
{
    char text[LINE_BYTES];
    int rc = 0, line = 0;
    struct stat st;
    FILE *f = fopen(path, "r");
    if (!f)
        return cli_fail("cannot read %s: %s", path, strerror(errno));
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode))
        rc = cli_fail("cannot read %s: it is a directory", path);
    while (rc == 0 && fgets(text, sizeof text, f)) {
        line++;
        if (!strchr(text, '\n') && !feof(f))
            rc = cli_fail("%s:%d: the line is longer than %d bytes", path, line, LINE_BYTES - 2);
        else if (line > FILE_LINES)
            rc = cli_fail("%s has more than %d lines", path, FILE_LINES);
        else
            rc = options_read_line(o, path, line, text);
    }
    if (rc == 0 && ferror(f))
        rc = cli_fail("cannot read %s: %s", path, strerror(errno));
    fclose(f);
    return rc;
}

/* dir/jabbertts.conf, if it exists.  A file with the older name is reported, not read: it was never
 * TOML. */
static int options_look_in(struct options *o, const char *dir)
{
    char path[1024], old[1024];
    snprintf(path, sizeof path, "%s/jabbertts/jabbertts.conf", dir);
    snprintf(old, sizeof old, "%s/jabbertts/config.toml", dir);
    if (access(path, F_OK) == 0) {
        o->config = options_copy(o, path);
        return o->config ? 0 : cli_fail("out of memory for the options");
    }
    if (access(old, F_OK) != 0)
        return 0;
    return cli_usage(o->command->name, "the configuration is called jabbertts.conf now: mv %s %s",
                     old, path);
}

/* The file to read, if there is one; the one that is named must exist. */
static int options_find_file(struct options *o)
{
    char dir[1000];
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    const char *given = getenv(ENV_PREFIX "CONFIG");
    if (o->config)
        return 0;
    if (given) {
        o->config = options_copy(o, given);
        return o->config ? 0 : cli_fail("out of memory for the options");
    }
    if (xdg && *xdg)
        snprintf(dir, sizeof dir, "%s", xdg);
    else
        snprintf(dir, sizeof dir, "%s/.config", home ? home : "");
    int rc = options_look_in(o, dir);
    return rc || o->config ? rc : options_look_in(o, "/etc");
}

/* --- flags and variables --- */

static int read_environment(struct options *o)
{
    for (char **p = environ; *p; p++) {
        char name[OPTIONS_NAME_BYTES];
        const char *equal = strchr(*p, '=');
        struct source from = {ORIGIN_ENVIRONMENT, "", 0};
        if (strncmp(*p, ENV_PREFIX, sizeof ENV_PREFIX - 1) != 0 || !equal ||
            (size_t)(equal - *p) >= sizeof name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(equal - *p), *p);
        if (strcmp(name, ENV_PREFIX "CONFIG") == 0)
            continue;
        int i = options_find(o, ORIGIN_ENVIRONMENT, name);
        int rc = i < 0 ? options_unknown(o, &from, name) : options_set(o, i, &from, equal + 1);
        if (rc)
            return rc;
    }
    return 0;
}

/* What getopt_long needs of the table: --name, --no-name of a switch, and letters. */
struct flags {
    char name[2 * OPTIONS_ROW_MAX][OPTIONS_NAME_BYTES];
    struct option list[2 * OPTIONS_ROW_MAX + 1];
    char letters[2 * OPTIONS_ROW_MAX + 3];
    int n;
};
enum { FLAG_ROW = 1000, FLAG_NOT_ROW = 2000 };

static void flags_init(struct flags *f, const struct options *o)
{
    char *letter = f->letters, spelt[OPTIONS_NAME_BYTES];
    *letter++ = '+'; /* read_flags collects the arguments */
    *letter++ = ':'; /* a missing value is told apart */
    for (int i = 0; i < n_option_row; i++) {
        const struct option_row *row = &option_rows[i];
        if (!options_applies(o, row, ORIGIN_FLAG))
            continue;
        int value = row->type == BOOLEAN ? no_argument : required_argument;
        options_spell(row, ORIGIN_FLAG, spelt);
        snprintf(f->name[f->n], OPTIONS_NAME_BYTES, "%s", spelt + 2);
        f->list[f->n] = (struct option){f->name[f->n], value, NULL, FLAG_ROW + i};
        f->n++;
        if (row->letter) {
            *letter++ = row->letter;
            if (value == required_argument)
                *letter++ = ':';
        }
        if (row->type != BOOLEAN || !row->preset)
            continue;
        snprintf(f->name[f->n], OPTIONS_NAME_BYTES, "no-%.70s", spelt + 2);
        f->list[f->n] = (struct option){f->name[f->n], no_argument, NULL, FLAG_NOT_ROW + i};
        f->n++;
    }
}

static int flags_row(const struct options *o, int c)
{
    if (c >= FLAG_ROW)
        return (c - FLAG_ROW) % (FLAG_NOT_ROW - FLAG_ROW);
    for (int i = 0; i < n_option_row; i++)
        if (option_rows[i].letter == c && options_applies(o, &option_rows[i], ORIGIN_FLAG))
            return i;
    return -1;
}

/* What getopt_long could not read; arg: the word it was reading. */
static int flags_wrong(const struct options *o, int c, const char *arg)
{
    struct source from = {ORIGIN_FLAG, "", 0};
    char name[OPTIONS_NAME_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(arg, "="), arg);
    if (optopt && optopt < FLAG_ROW && strncmp(arg, "--", 2) != 0)
        snprintf(name, sizeof name, "-%c", optopt);
    if (c == ':')
        return cli_usage(o->command->name, "%s needs a value", name);
    if (optopt >= FLAG_ROW)
        return cli_usage(o->command->name, "%s takes no value", name);
    return options_unknown(o, &from, name);
}

/* No option has a blank in its name: "- one, two" is a text. */
static bool looks_like_flag(const char *word)
{
    return word[0] == '-' && word[1] && !memchr(word, ' ', strcspn(word, "="));
}

static int read_flag(struct options *o, const struct flags *f, int argc, char **argv)
{
    struct source from = {ORIGIN_FLAG, "", 0};
    int c = getopt_long(argc, argv, f->letters, f->list, NULL);
    int i = c == '?' || c == ':' ? -1 : flags_row(o, c);
    return i < 0 ? flags_wrong(o, c, argv[optind - 1])
                 : options_set(o, i, &from,
                               optarg              ? optarg
                               : c >= FLAG_NOT_ROW ? "false"
                                                   : "true");
}

/* The arguments are gathered at the beginning of argv, where what was read stood. */
static int read_flags(struct options *o, int argc, char **argv)
{
    struct flags *f = calloc(1, sizeof *f);
    int rc = f ? 0 : cli_fail("out of memory for the options");
    bool flags = f != NULL;
    o->argument = argv + 1;
    if (f) {
        flags_init(f, o);
        optind = opterr = 0;
        getopt_long(1, argv, f->letters, f->list, NULL); /* forget what was read before */
    }
    while (rc == 0 && !o->help && optind < argc) {
        if (flags && !strcmp(argv[optind], "--")) {
            flags = false;
            optind++;
        } else if (flags && looks_like_flag(argv[optind])) {
            rc = read_flag(o, f, argc, argv);
        } else {
            o->argument[o->n_argument++] = argv[optind++];
        }
    }
    free(f);
    return rc;
}

int options_load(struct options *o, const struct command *command, int argc, char **argv)
{
    struct source preset = {ORIGIN_DEFAULT, "", 0};
    int rc = 0;
    *o = (struct options){.command = command, .voice.transcript = ""};
    server_options_init(&o->server);
    jabbertts_request_init(&o->request);
    jabbertts_convert_options_init(&o->convert);
    o->encoder.speed = 1;
    for (int i = 0; i < n_option_row && !rc; i++)
        if (option_rows[i].preset)
            rc = set_value(o, &option_rows[i], &preset, option_rows[i].preset);
    if (!rc)
        rc = read_flags(o, argc, argv);
    if (!rc && !o->help && !command->plain && (rc = read_environment(o)) == 0 &&
        (rc = options_find_file(o)) == 0 && o->config)
        rc = options_read_file(o, o->config);
    if (!rc && !o->help) {
        cli_set_quiet(o->quiet);
        return -1;
    }
    if (!rc)
        help_command(command, stdout);
    options_done(o);
    return rc;
}

void options_done(struct options *o)
{
    struct option_string *next;
    for (struct option_string *s = o->strings; s; s = next) {
        next = s->next;
        free(s);
    }
    o->strings = NULL;
}

/* --- showing --- */

void options_range(const struct option_row *row, char *to, size_t n)
{
    size_t k = 0;
    struct range r = options_limits(row);
    *to = 0;
    if (r.min < r.max)
        k += (size_t)snprintf(to, n, "%.16g to %.16g", r.min, r.max);
    for (int i = 0; row->words && row->words[i]; i++)
        k += (size_t)snprintf(to + k, n - k, "%s%s", i ? ", " : "", row->words[i]);
    if (row->preset && *row->preset && (row->type != BOOLEAN || strcmp(row->preset, "false")))
        snprintf(to + k, n - k, "%sdefault %s", k ? "; " : "", row->preset);
    const struct jabbertts_parameter *p = jabbertts_parameter_find(row->name);
    if (row->type == PARAMETER && p->preset > p->min)
        snprintf(to + k, n - k, "; default %.16g", p->preset);
}

const char *options_help(const struct option_row *row)
{
    return row->type == PARAMETER ? jabbertts_parameter_find(row->name)->help : row->help;
}

static void print_quoted(const char *s, FILE *f)
{
    fputc('"', f);
    for (; *s; s++)
        fprintf(f, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
    fputc('"', f);
}

static void print_parameter(const struct options *o, const struct jabbertts_parameter *p, FILE *f)
{
    const char *base = p->of_encoder ? (const char *)&o->encoder : (const char *)&o->request;
    const void *v = base + p->offset;
    if (p->type == JABBERTTS_TYPE_FLOAT)
        fprintf(f, "%.7g", (double)*(const float *)v);
    else if (p->type == JABBERTTS_TYPE_DOUBLE)
        fprintf(f, "%.16g", *(const double *)v);
    else if (p->type == JABBERTTS_TYPE_INT)
        fprintf(f, "%d", *(const int *)v);
    else
        fprintf(f, "%llu", (unsigned long long)*(const uint64_t *)v);
}

/* A URL of a database may have a password. */
static bool is_hidden(const struct options *o, const struct option_row *row)
{
    const char *value = NULL;
    if (row->type == STRING)
        memcpy(&value, (const char *)o + row->offset, sizeof value);
    return row->secret || (value && strncmp(value, "postgres", 8) == 0 && strstr(value, "://"));
}

/* The i-th of a LIST. */
static void print_value(const struct options *o, const struct option_row *row, int i, FILE *f)
{
    const void *v = (const char *)o + row->offset;
    if (is_hidden(o, row))
        fputs("\"(hidden)\"", f);
    else if (row->type == INTEGER)
        fprintf(f, "%d", *(const int *)v);
    else if (row->type == NUMBER)
        fprintf(f, "%.16g", *(const double *)v);
    else if (row->type == FLOAT)
        fprintf(f, "%.7g", (double)*(const float *)v);
    else if (row->type == PARAMETER)
        print_parameter(o, jabbertts_parameter_find(row->name), f);
    else if (row->type == BOOLEAN)
        fputs(*(const bool *)v ? "true" : "false", f);
    else
        print_quoted(
            row->type == CHOICE ? row->words[*(const int *)v] : ((const char *const *)v)[i], f);
}

/* Values of a row; their text is printed by print_value. */
static int n_value(const struct options *o, const struct option_row *row)
{
    const void *v = (const char *)o + row->offset;
    return row->type == LIST ? ((const struct option_list *)v)->n : 1;
}

static bool has_default(const struct option_row *row)
{
    const struct jabbertts_parameter *p = jabbertts_parameter_find(row->name);
    return row->preset || (row->type == PARAMETER && p->preset >= p->min);
}

/* What it prints is a configuration file. */
void options_show(const struct options *o, FILE *f)
{
    char spelt[OPTIONS_NAME_BYTES];
    const char *section = NULL, *shown = NULL;
    for (int i = 0; i < n_option_row; i++) {
        const struct option_row *row = &option_rows[i];
        section = row->section ? row->section : section;
        if (row->flag_only)
            continue;
        if (section != shown)
            fprintf(f, "%s# %s\n", shown ? "\n" : "", section);
        shown = section;
        bool unset = !has_default(row) && o->origin[i] == ORIGIN_DEFAULT;
        for (int k = 0; k < n_value(o, row) && !unset; k++) {
            fprintf(f, "%s%s = ", k ? "\n" : "", row->name);
            print_value(o, row, k, f);
        }
        if (unset)
            fprintf(f, "# %s = (not set)", row->name);
        if (o->origin[i] == ORIGIN_FILE)
            fprintf(f, "  # %s:%d\n", o->config, o->line[i]);
        else
            fprintf(f, "  # %s\n",
                    o->origin[i] == ORIGIN_DEFAULT ? "default"
                                                   : options_spell(row, o->origin[i], spelt));
    }
}
