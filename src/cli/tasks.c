#include "cli/tasks.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

#define TASKS_BYTES  (1 << 30)
#define TASKS_TEXT   (4 << 20)
#define TASKS_NAME   120
#define TASKS_COLUMN 64

static int tasks_compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct task *const *)a)->name, (*(const struct task *const *)b)->name);
}

/* Two tasks of one name would be one file. */
static int tasks_check_names(const struct tasks *t, const char *path)
{
    const struct task **v = calloc((size_t)t->n + 1, sizeof *v);
    int code = v ? 0 : cli_fail("out of memory for %s", path);
    for (int i = 0; v && i < t->n; i++)
        v[i] = &t->task[i];
    if (v)
        qsort(v, (size_t)t->n, sizeof *v, tasks_compare_names);
    for (int i = 1; v && i < t->n && !code; i++)
        if (strcmp(v[i - 1]->name, v[i]->name) == 0)
            code = cli_fail("%s: lines %d and %d would both become %s", path, v[i - 1]->line,
                            v[i]->line, v[i]->name);
    free(v);
    return code;
}

static char *tasks_clean_name(const char *s)
{
    char *name = strndup(s, TASKS_NAME);
    for (char *p = name; p && *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') && !(*p >= '0' && *p <= '9') &&
            (p == name || !strchr("-_.", *p)))
            *p = '_';
    return name;
}

static const char *tasks_string(const json_t *fields, const char *a, const char *b)
{
    const char *s = json_string_value(json_object_get(fields, a));
    return s ? s : json_string_value(json_object_get(fields, b));
}

/* Takes the fields. */
static int tasks_add(struct tasks *t, const char *path, int line, json_t *fields)
{
    char number[16];
    json_t *body = json_object_get(fields, "body");
    const char *name = tasks_string(fields, "id", "custom_id");
    const char *text = tasks_string(json_is_object(body) ? body : fields, "text", "input");
    if (t->n == t->cap) {
        int cap = t->cap ? t->cap * 2 : 64;
        struct task *more = cap <= TASKS_MAX ? realloc(t->task, (size_t)cap * sizeof *more) : NULL;
        if (!more) {
            json_decref(fields);
            return cli_fail("%s has more than %d lines, the limit, or memory is out", path, t->n);
        }
        t->task = more;
        t->cap = cap;
    }
    if (!text) {
        json_decref(fields);
        return cli_fail("%s, line %d: there is no text (\"text\" or \"input\")", path, line);
    }
    snprintf(number, sizeof number, "%06d", t->n + 1);
    struct task *to = &t->task[t->n];
    *to = (struct task){tasks_clean_name(name && *name ? name : number), json_object(), line};
    json_object_update(to->fields, json_is_object(body) ? body : fields);
    json_object_set_new(to->fields, "text", json_string(text));
    json_object_del(to->fields, "input");
    if (!json_is_object(body)) {
        json_object_del(to->fields, "id");
        json_object_del(to->fields, "custom_id");
    }
    json_decref(fields);
    t->n++;
    return to->name && to->fields ? 0 : cli_fail("out of memory for %s", path);
}

/* --- JSON --- */

static int tasks_read_json(const char *path, char *data, size_t n, struct tasks *t)
{
    int line = 0, code = 0;
    for (char *p = data, *end = data + n; p < end && !code; line++) {
        char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((eol ? eol : end) - p);
        json_error_t why;
        if (strspn(p, " \t\r") < len) {
            json_t *j = json_loadb(p, len, 0, &why);
            if (json_is_object(j)) {
                code = tasks_add(t, path, line + 1, j);
            } else {
                json_decref(j);
                code = cli_fail("%s, line %d: not a JSON object%s%s", path, line + 1, j ? "" : ": ",
                                j ? "" : why.text);
            }
        }
        p += len + 1;
    }
    return code;
}

/* --- CSV: https://www.rfc-editor.org/rfc/rfc4180 --- */

/* The next field, unquoted in place; *last: a line ends behind it.  NULL: a quote is not closed. */
static char *csv_field(char **at, char *end, int *last, int *line)
{
    char *p = *at, *to = p, *field = p;
    int quoted = p < end && *p == '"';
    for (p += quoted; p < end; p++) {
        if (quoted && *p == '"') {
            if (p + 1 == end || p[1] != '"') {
                quoted = 0;
                continue;
            }
            p++;
        } else if (!quoted && (*p == ',' || *p == '\n')) {
            break;
        }
        *line += *p == '\n';
        *to++ = *p;
    }
    if (quoted)
        return NULL;
    *last = p >= end || *p == '\n';
    *at = p < end ? p + 1 : end;
    if (*last && to > field && to[-1] == '\r')
        to--;
    *to = 0; /* what stood here has been read */
    return field;
}

/* A number or boolean as such, so that it means what it would in JSON. */
static json_t *csv_value(const char *column, const char *s)
{
    const struct jabbertts_parameter *p = jabbertts_parameter_find(column);
    json_t *j = p && p->type != JABBERTTS_TYPE_STRING ? json_loads(s, JSON_DECODE_ANY, NULL) : NULL;
    return j ? j : json_string(s);
}

static int tasks_read_csv(const char *path, char *data, size_t n, struct tasks *t)
{
    char *column[TASKS_COLUMN], *p = data, *end = data + n;
    int n_column = 0, last = 0, line = 1, code = 0;
    while (!last && p < end && n_column < TASKS_COLUMN &&
           (column[n_column] = csv_field(&p, end, &last, &line)))
        n_column++;
    if (!last)
        return cli_fail("%s: its first line must name at most %d columns", path, TASKS_COLUMN);
    while (p < end && !code) {
        int first = ++line, i = 0;
        json_t *fields = json_object();
        for (last = 0; !last && !code; i++) {
            char *s = csv_field(&p, end, &last, &line);
            if (!s || i >= n_column)
                code = cli_fail("%s, line %d: %s", path, first,
                                s ? "it has more fields than the first" : "a quote is not closed");
            else if (*s)
                json_object_set_new(fields, column[i], csv_value(column[i], s));
        }
        if (!code && json_object_size(fields) > 0)
            code = tasks_add(t, path, first, fields);
        else
            json_decref(fields);
    }
    return code;
}

/* --- a directory --- */

static int tasks_is_text(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');
    return d->d_name[0] != '.' && dot && (strcmp(dot, ".txt") == 0 || strcmp(dot, ".md") == 0);
}

static int tasks_read_directory(const char *path, struct tasks *t)
{
    struct dirent **entry;
    int n = scandir(path, &entry, tasks_is_text, alphasort), code = 0;
    if (n < 0)
        return cli_fail("cannot read %s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        char file[4096], *text = NULL, *dot = strrchr(entry[i]->d_name, '.');
        size_t len;
        snprintf(file, sizeof file, "%s/%s", path, entry[i]->d_name);
        if (!code && !(code = cli_read_file(file, TASKS_TEXT, &text, &len))) {
            *dot = 0;
            json_t *fields = json_pack("{s:s,s:s%}", "id", entry[i]->d_name, "text", text, len);
            code = fields ? tasks_add(t, path, i + 1, fields)
                          : cli_fail("%s is not text in UTF-8", file);
        }
        free(text);
        free(entry[i]);
    }
    free(entry);
    return code ? code : n ? 0 : cli_fail("%s has no .txt or .md file", path);
}

int tasks_read(const char *path, struct tasks *ret)
{
    struct stat st;
    const char *dot = strrchr(path, '.');
    char *data = NULL;
    size_t n;
    int code;
    *ret = (struct tasks){.n = 0};
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        code = tasks_read_directory(path, ret);
    else if ((code = cli_read_file(path, TASKS_BYTES, &data, &n)) == 0)
        code = dot && strcmp(dot, ".csv") == 0 ? tasks_read_csv(path, data, n, ret)
                                               : tasks_read_json(path, data, n, ret);
    free(data);
    if (!code && ret->n == 0)
        code = cli_fail("%s has nothing to speak", path);
    if (!code)
        code = tasks_check_names(ret, path);
    if (code)
        tasks_done(ret);
    return code;
}

void tasks_done(struct tasks *t)
{
    for (int i = 0; i < t->n; i++) {
        free(t->task[i].name);
        json_decref(t->task[i].fields);
    }
    free(t->task);
    *t = (struct tasks){.n = 0};
}
