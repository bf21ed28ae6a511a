/* tasks.h - what `jabbertts batch` speaks: lines of JSON or CSV, or the text files of a directory.
 *
 *     struct tasks t;
 *     int code = tasks_read(path, &t);
 *     ... t.task[i].name, .fields ...
 *     tasks_done(&t);
 *
 * A line of JSON is {"text" or "input", "id" or "custom_id", and fields of a speech request}, or a
 * line of an OpenAI batch, whose body has them.  The first line of a CSV file names its columns
 * alike. */
#ifndef CLI_TASKS_H
#define CLI_TASKS_H
#include <jansson.h>

#define TASKS_MAX 1000000

struct task {
    char *name;     /* of its file, without an ending: letters, digits, "-_." */
    json_t *fields; /* strings, numbers and booleans by name; "text" is among them */
    int line;
};
struct tasks {
    struct task *task;
    int n, cap;
};
int tasks_read(const char *path, struct tasks *ret); /* 0, or the exit code */
void tasks_done(struct tasks *t);

#endif
