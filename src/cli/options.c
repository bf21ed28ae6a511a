#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/near.h"
#include "cli/cli.h"

#define LINE_BYTES 4096
#define FILE_LINES 10000
#define ENV_PREFIX "JABBERTTS_"

extern char **environ;

enum type { INTEGER, NUMBER, BOOLEAN, STRING, CHOICE };

struct row {
    const char *name, *section;
    enum type type;
    size_t offset; /* in struct options */
    double min, max;
    const char *preset;        /* NULL: not set */
    const char *const *values; /* of a CHOICE */
    const char *help;
};

static const char *const logs[] = {"text", "json", "none", NULL};

#define SERVER(field) offsetof(struct options, server.field)
#define ENGINE(field) offsetof(struct options, server.engine.field)

static const struct row rows[] = {
    {"host", "server", STRING, SERVER(host), 0, 0, "127.0.0.1", NULL,
     "name or address to listen on; 0.0.0.0 for every interface"},
    {"port", "server", INTEGER, SERVER(port), 0, 65535, "8000", NULL,
     "to listen on; 0 takes any free one"},
    {"workers", "server", INTEGER, SERVER(workers), 2, 64, "4", NULL,
     "threads that read requests and encode sound"},
    {"max_connections", "server", INTEGER, SERVER(max_connections), 1, 20000, "1000", NULL,
     "open at a time"},
    {"max_input_chars", "server", INTEGER, SERVER(max_input_chars), 1, 1000000, "4096", NULL,
     "characters of a request's text"},
    {"max_body_kib", "server", INTEGER, SERVER(max_body_kib), 1, 65536, "1024", NULL,
     "KiB of a JSON request"},
    {"header_timeout", "server", NUMBER, SERVER(header_timeout_s), 0.1, 3600, "15", NULL,
     "seconds for a new connection to send its request's headers"},
    {"body_timeout", "server", NUMBER, SERVER(body_timeout_s), 0.1, 3600, "60", NULL,
     "seconds for a request's body to come"},
    {"idle_timeout", "server", NUMBER, SERVER(idle_timeout_s), 1, 3600, "75", NULL,
     "seconds without a byte moved, after which a connection is closed"},
    {"request_timeout", "server", NUMBER, SERVER(request_timeout_s), 1, 86400, "600", NULL,
     "seconds for a whole answer, unless the client announces less"},
    {"drain_timeout", "server", NUMBER, offsetof(struct options, drain_timeout_s), 0, 3600, "30",
     NULL, "seconds that running requests get to end when the server is told to stop"},
    {"strict", "server", BOOLEAN, SERVER(strict), 0, 1, "false", NULL,
     "refuse fields that are unknown; else they are ignored, and a header says so"},
    {"cors_origins", "server", STRING, SERVER(cors_origins), 0, 0, "*", NULL,
     "web origins whose pages may call: *, or a list with commas; empty for none"},
    {"api_keys_file", "server", STRING, SERVER(api_keys_file), 0, 0, NULL, NULL,
     "file with a line `name: key` or `name: sha256:HEX` for each API key"},
    {"api_keys", "server", STRING, SERVER(api_keys), 0, 0, NULL, NULL,
     "API keys with commas, as key or name:key; without any key everyone may ask"},
    {"rate_limit", "server", INTEGER, SERVER(rate_limit), 0, 1000000, "0", NULL,
     "requests a minute for each key; 0 is no limit"},
    {"public_lists", "server", BOOLEAN, SERVER(public_lists), 0, 1, "true", NULL,
     "models and voices are listed without a key, as Open WebUI asks for them"},
    {"tls_cert", "server", STRING, SERVER(tls_cert), 0, 0, NULL, NULL,
     "PEM file with a certificate chain, to serve HTTPS; needs tls_key"},
    {"tls_key", "server", STRING, SERVER(tls_key), 0, 0, NULL, NULL,
     "PEM file with the certificate's private key"},
    {"log_text", "server", BOOLEAN, SERVER(log_text), 0, 1, "false", NULL,
     "log the texts of requests too"},
    {"log", "server", CHOICE, SERVER(log), 0, 0, "text", logs, "form of the log on standard error"},
    {"model", "engine", STRING, ENGINE(model), 0, 0, NULL, NULL,
     "a file made by jabbertts convert; the built-in voice when not set"},
    {"voice_dir", "server", STRING, SERVER(voice_dir), 0, 0, NULL, NULL,
     "where users' voices are kept; the one that `jabbertts voices` uses when not set"},
    {"voice_aliases", "engine", STRING, ENGINE(aliases), 0, 0, NULL, NULL,
     "other names of voices, over the model's own, as alloy=zoe, nova=my-voice"},
    {"model_name", "engine", STRING, SERVER(model_name), 0, 0, NULL, NULL,
     "the model's id in the API; its file's name when not set"},
    {"threads", "engine", INTEGER, ENGINE(threads), 0, 256, "0", NULL,
     "that compute; 0 is one for each core"},
    {"isa", "engine", STRING, ENGINE(isa), 0, 0, NULL, NULL,
     "instruction set: ref, avx2, avx512, neon; the best here when not set"},
    {"slots", "engine", INTEGER, ENGINE(slots), 1, 64, "4", NULL, "requests spoken together"},
    {"queue", "engine", INTEGER, ENGINE(queue), 0, 65536, "64", NULL,
     "requests that may wait for a slot"},
    {"max_wait", "engine", NUMBER, ENGINE(max_wait_s), 0, 86400, "120", NULL,
     "seconds: requests that would wait longer for their start are refused; 0 for no limit"},
    {"idle_unload", "engine", NUMBER, ENGINE(idle_s), 0, 8640000, "0", NULL,
     "seconds without a request, after which the model's memory is given back; 0 for never"},
    {"prefix_mb", "engine", INTEGER, ENGINE(prefix_mb), 0, 65536, "256", NULL,
     "MiB for the prompts of voices, so that a voice's second request starts sooner"},
    {"prefix_dir", "engine", STRING, ENGINE(prefix_dir), 0, 0, NULL, NULL,
     "directory to keep them in for later runs, up to 1 GiB; nowhere when not set"},
    {"context", "engine", INTEGER, ENGINE(context), 0, 65536, "0", NULL,
     "tokens and frames of a sentence with its voice; 0 is the model's"},
    {"cache", "engine", STRING, ENGINE(cache), 0, 0, NULL, NULL,
     "keys and values: f32, f16, q8_0 (half of f16); by the model's own matrices when not set"},
    {"lexicon", "engine", STRING, ENGINE(lexicon), 0, 0, NULL, NULL,
     "file with a line `word = reading` or `word = /ipa/` for each word that is said otherwise"},
};
#define N_ROW (int)(sizeof rows / sizeof *rows)
_Static_assert(sizeof rows / sizeof *rows <= 64, "struct options has room for 64 rows");

/* Where a value comes from, for messages. */
struct source {
    enum options_origin origin;
    const char *label; /* "--port", "JABBERTTS_PORT", "/etc/jabbertts/config.toml:3: port" */
    int line;
};

/* --- names and values --- */

/* max-input-chars and MAX_INPUT_CHARS are max_input_chars */
static void options_fold(const char *name, char *to, size_t n)
{
    size_t i = 0;
    for (; name[i] && i < n - 1; i++)
        to[i] = name[i] == '-' ? '_' : (char)tolower((unsigned char)name[i]);
    to[i] = 0;
}

static int options_find(const char *name)
{
    char folded[64];
    options_fold(name, folded, sizeof folded);
    for (int i = 0; i < N_ROW; i++)
        if (strcmp(rows[i].name, folded) == 0)
            return i;
    return -1;
}

static const char *options_nearest(const char *name)
{
    char folded[64];
    struct near near;
    options_fold(name, folded, sizeof folded);
    near_init(&near, folded);
    for (int i = 0; i < N_ROW; i++)
        near_try(&near, rows[i].name);
    return near_found(&near);
}

static int complain(const char *what, const char *name)
{
    const char *best = options_nearest(name);
    cli_fail("%s: there is no option \"%s\"%s%s%s", what, name, best ? "; did you mean " : "",
             best ? best : "", best ? "?" : "");
    return CLI_USAGE;
}

static int bad_value(const struct source *from, const char *value, const char *wanted)
{
    cli_fail("%s is \"%s\", must be %s", from->label, value, wanted);
    return CLI_USAGE;
}

/* "%.16g" of the nearest value within the range */
static int bad_number(const struct row *row, const struct source *from, const char *value)
{
    char *end;
    double v = strtod(value, &end);
    double near = v < row->min ? row->min : v > row->max ? row->max : floor(v);
    char wanted[160];
    size_t n =
        (size_t)snprintf(wanted, sizeof wanted, "%s from %.16g to %.16g",
                         row->type == INTEGER ? "a whole number" : "a number", row->min, row->max);
    if (end != value && !*end && v == v)
        snprintf(wanted + n, sizeof wanted - n, "; the nearest is %.16g", near);
    return bad_value(from, value, wanted);
}

static int set_choice(const struct row *row, const struct source *from, const char *value, int *to)
{
    char wanted[160];
    size_t n = (size_t)snprintf(wanted, sizeof wanted, "one of");
    struct near near;
    near_init(&near, value);
    for (int i = 0; row->values[i]; i++) {
        if (strcmp(row->values[i], value) == 0) {
            *to = i;
            return 0;
        }
        near_try(&near, row->values[i]);
        n += (size_t)snprintf(wanted + n, sizeof wanted - n, " %s", row->values[i]);
    }
    if (near_found(&near))
        snprintf(wanted + n, sizeof wanted - n, "; did you mean %s?", near_found(&near));
    return bad_value(from, value, wanted);
}

static int set_bool(const struct source *from, const char *value, bool *to)
{
    static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no",
                                                                                "off"};
    for (int i = 0; i < 4; i++)
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *to = strcmp(value, yes[i]) == 0;
            return 0;
        }
    return bad_value(from, value, "true or false");
}

static int options_set_string(struct options *o, const char *value, const char **to)
{
    char *copy = strdup(value);
    if (!copy || o->n_string == 64) {
        free(copy);
        return cli_fail("out of memory for options");
    }
    *to = o->strings[o->n_string++] = copy;
    return 0;
}

static int set_value(struct options *o, const struct row *row, const struct source *from,
                     const char *value)
{
    void *to = (char *)o + row->offset;
    char *end;
    if (row->type == STRING)
        return options_set_string(o, value, to);
    if (row->type == CHOICE)
        return set_choice(row, from, value, to);
    if (row->type == BOOLEAN)
        return set_bool(from, value, to);
    double v = strtod(value, &end);
    if (end == value || *end || !(v >= row->min && v <= row->max) ||
        (row->type == INTEGER && v != floor(v)))
        return bad_number(row, from, value);
    if (row->type == INTEGER)
        *(int *)to = (int)v;
    else
        *(double *)to = v;
    return 0;
}

/* Higher origins win, whatever the order of reading; a repeated one replaces the former. */
static int options_set(struct options *o, int i, const struct source *from, const char *value)
{
    if (o->origin[i] > from->origin)
        return 0;
    o->origin[i] = (unsigned char)from->origin;
    o->line[i] = from->line;
    return set_value(o, &rows[i], from, value);
}

/* --- the file: name = value, strings in quotes, # starts a comment --- */

static char *options_trim(char *s)
{
    s += strspn(s, " \t\r\n");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]))
        s[--n] = 0;
    return s;
}

/* The value in place, without quotes and comment; NULL: malformed. */
static char *unquote(char *s)
{
    if (*s != '"' && *s != '\'') {
        s[strcspn(s, "#")] = 0;
        return options_trim(s);
    }
    char quote = *s, *from = s + 1, *to = s;
    for (; *from && *from != quote; from++) {
        if (*from == '\\' && quote == '"' && from[1])
            from++;
        *to++ = *from;
    }
    if (*from != quote)
        return NULL;
    from = options_trim(from + 1);
    if (*from && *from != '#')
        return NULL;
    *to = 0;
    return s;
}

static int options_read_line(struct options *o, const char *path, int line, char *text)
{
    char label[512], *s = options_trim(text), *equal = strchr(s, '=');
    if (!*s || *s == '#')
        return 0;
    snprintf(label, sizeof label, "%s:%d", path, line);
    if (*s == '[') {
        cli_fail("%s: sections are not known; write name = value", label);
        return CLI_USAGE;
    }
    if (!equal) {
        cli_fail("%s: \"%s\" is not name = value", label, s);
        return CLI_USAGE;
    }
    *equal = 0;
    char *name = options_trim(s), *value = unquote(options_trim(equal + 1));
    int i = options_find(name);
    if (i < 0 || strcmp(name, rows[i].name) != 0)
        return complain(label, name);
    if (!value) {
        cli_fail("%s: the value of %s has no closing quote, or something behind it", label, name);
        return CLI_USAGE;
    }
    snprintf(label, sizeof label, "%s:%d: %s", path, line, name);
    struct source from = {ORIGIN_FILE, label, line};
    return options_set(o, i, &from, value);
}

static int options_read_file(struct options *o, const char *path)
{
    char text[LINE_BYTES];
    int rc = 0, line = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return cli_fail("cannot read %s: %s", path, strerror(errno));
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

/* The file to read, if there is one; given: from --config or the variable, which must exist. */
static int options_find_file(struct options *o, const char *given)
{
    char path[1024];
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (given)
        return options_set_string(o, given, &o->config);
    if (xdg && *xdg)
        snprintf(path, sizeof path, "%s/jabbertts/config.toml", xdg);
    else
        snprintf(path, sizeof path, "%s/.config/jabbertts/config.toml", home ? home : "");
    if (access(path, F_OK) == 0)
        return options_set_string(o, path, &o->config);
    if (access("/etc/jabbertts/config.toml", F_OK) == 0)
        return options_set_string(o, "/etc/jabbertts/config.toml", &o->config);
    return 0;
}

/* --- flags and variables --- */

static int read_environment(struct options *o)
{
    size_t n = sizeof ENV_PREFIX - 1;
    for (char **p = environ; *p; p++) {
        char name[128];
        const char *equal = strchr(*p, '=');
        if (strncmp(*p, ENV_PREFIX, n) != 0 || !equal || (size_t)(equal - *p) >= sizeof name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(equal - *p), *p);
        if (strcmp(name, ENV_PREFIX "CONFIG") == 0)
            continue;
        int i = options_find(name + n);
        if (i < 0)
            return complain("the environment's " ENV_PREFIX "*", name + n);
        struct source from = {ORIGIN_ENVIRONMENT, name, 0};
        int rc = options_set(o, i, &from, equal + 1);
        if (rc)
            return rc;
    }
    return 0;
}

/* One flag; *used: arguments taken. */
static int read_flag(struct options *o, const char *flag, const char *next, int *used)
{
    char name[128], label[160];
    const char *equal = strchr(flag, '='), *value = equal ? equal + 1 : NULL;
    snprintf(name, sizeof name, "%.*s", equal ? (int)(equal - flag) : (int)strlen(flag), flag);
    int i = options_find(name + 2);
    bool negated = i < 0 && strncmp(name, "--no-", 5) == 0 && (i = options_find(name + 5)) >= 0;
    if (i < 0 || (negated && (rows[i].type != BOOLEAN || value)))
        return complain("flags", name + 2);
    snprintf(label, sizeof label, "%s", name);
    *used = 1;
    if (!value && rows[i].type == BOOLEAN)
        value = negated ? "false" : "true";
    if (!value) {
        if (!next) {
            cli_fail("%s needs a value", name);
            return CLI_USAGE;
        }
        value = next;
        *used = 2;
    }
    struct source from = {ORIGIN_FLAG, label, 0};
    return options_set(o, i, &from, value);
}

static int read_flags(struct options *o, int argc, char **argv, const char **config, int *n_arg)
{
    *n_arg = 0;
    for (int i = 1, used = 1; i < argc; i += used) {
        int rc = 0;
        used = 1;
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            *config = argv[i + 1];
            used = 2;
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            *config = argv[i] + 9;
        } else if (strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
            rc = read_flag(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used);
        } else {
            argv[++*n_arg] = argv[i];
        }
        if (rc)
            return rc;
    }
    return 0;
}

int options_load(struct options *o, int argc, char **argv, const char *usage, int *n_arg)
{
    const char *given = getenv(ENV_PREFIX "CONFIG");
    int rc = 0;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            options_help(stdout);
            return CLI_OK;
        }
    *o = (struct options){0};
    server_options_init(&o->server);
    for (int i = 0; i < N_ROW && !rc; i++)
        if (rows[i].preset)
            rc = set_value(o, &rows[i], &(struct source){.label = rows[i].name}, rows[i].preset);
    if (rc || (rc = read_flags(o, argc, argv, &given, n_arg)) || (rc = read_environment(o)) ||
        (rc = options_find_file(o, given)) ||
        (o->config && (rc = options_read_file(o, o->config)))) {
        options_done(o);
        return rc;
    }
    return -1;
}

void options_done(struct options *o)
{
    for (int i = 0; i < o->n_string; i++)
        free(o->strings[i]);
    o->n_string = 0;
}

/* --- showing --- */

static void print_value(const struct options *o, const struct row *row, FILE *f)
{
    const void *v = (const char *)o + row->offset;
    const char *s;
    switch (row->type) {
    case INTEGER:
        fprintf(f, "%d", *(const int *)v);
        break;
    case NUMBER:
        fprintf(f, "%.16g", *(const double *)v);
        break;
    case BOOLEAN:
        fputs(*(const bool *)v ? "true" : "false", f);
        break;
    case CHOICE:
        fprintf(f, "\"%s\"", row->values[*(const int *)v]);
        break;
    default:
        fputc('"', f);
        for (s = *(const char *const *)v; *s; s++)
            fprintf(f, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
        fputc('"', f);
    }
}

static void print_origin(const struct options *o, int i, FILE *f)
{
    char name[64];
    snprintf(name, sizeof name, "%s", rows[i].name);
    for (char *p = name; *p; p++)
        *p = o->origin[i] == ORIGIN_FLAG && *p == '_' ? '-'
             : o->origin[i] == ORIGIN_ENVIRONMENT     ? (char)toupper((unsigned char)*p)
                                                      : *p;
    switch (o->origin[i]) {
    case ORIGIN_FILE:
        fprintf(f, "%s:%d", o->config, o->line[i]);
        break;
    case ORIGIN_ENVIRONMENT:
        fprintf(f, ENV_PREFIX "%s", name);
        break;
    case ORIGIN_FLAG:
        fprintf(f, "--%s", name);
        break;
    default:
        fputs("default", f);
    }
}

/* What it prints is a configuration file. */
void options_show(const struct options *o, FILE *f)
{
    for (int i = 0; i < N_ROW; i++) {
        const struct row *row = &rows[i];
        const char *const *string = (const char *const *)((const char *)o + row->offset);
        bool unset = row->type == STRING && !*string;
        if (i == 0 || strcmp(row->section, rows[i - 1].section) != 0)
            fprintf(f, "%s# %s\n", i ? "\n" : "", row->section);
        fprintf(f, "%s%s = ", unset ? "# " : "", row->name);
        if (unset)
            fputs("(not set)", f);
        else if (row->offset == SERVER(api_keys))
            fputs("\"(hidden)\"", f);
        else
            print_value(o, row, f);
        fputs("  # ", f);
        print_origin(o, i, f);
        fputc('\n', f);
    }
}

static void flag_name(const struct row *row, char *to, size_t n)
{
    snprintf(to, n, "%s", row->name);
    for (; *to; to++)
        if (*to == '_')
            *to = '-';
}

static void print_range(const struct row *row, FILE *f)
{
    if (row->type == INTEGER || row->type == NUMBER)
        fprintf(f, "%.16g to %.16g", row->min, row->max);
    for (int i = 0; row->type == CHOICE && row->values[i]; i++)
        fprintf(f, "%s%s", i ? ", " : "", row->values[i]);
    if (row->preset && *row->preset)
        fprintf(f, "%sdefault %s", row->type == STRING || row->type == BOOLEAN ? "" : "; ",
                row->preset);
}

void options_help(FILE *f)
{
    char name[64];
    for (int i = 0; i < N_ROW; i++) {
        if (i == 0 || strcmp(rows[i].section, rows[i - 1].section) != 0)
            fprintf(f, "\n%s:\n", rows[i].section);
        flag_name(&rows[i], name, sizeof name);
        fprintf(f, "  --%-20s %s", name, rows[i].help);
        if (rows[i].preset || rows[i].type != STRING) {
            fputs(" (", f);
            print_range(&rows[i], f);
            fputc(')', f);
        }
        fputc('\n', f);
    }
    fputs("\n  --config FILE          read this file instead of the usual ones\n"
          "  --help                 this text\n\n"
          "Each option is also a variable, JABBERTTS_PORT for --port, and a line of the\n"
          "configuration file, port = 8000. A flag overrides a variable, that the file.\n",
          f);
}

void options_man(FILE *f)
{
    for (int i = 0; i < N_ROW; i++) {
        const struct row *row = &rows[i];
        fputs(".TP\n.B \\-\\-", f);
        for (const char *s = row->name; *s; s++)
            fputs(*s == '_' ? "\\-" : (char[2]){*s}, f);
        fputs("\\fR, " ENV_PREFIX, f);
        for (const char *s = row->name; *s; s++)
            fputc(toupper((unsigned char)*s), f);
        fprintf(f, ", %s\n%s", row->name, row->help);
        if (row->preset || row->type != STRING) {
            fputs(" (", f);
            print_range(row, f);
            fputc(')', f);
        }
        fputs(".\n", f);
    }
}
