/* lang.h - a language as a file: share/lang/xx.lang, which docs/TEXT.md explains.
 *
 *     struct lang *l = lang_load("en", text, n, &e);         NULL: what is wrong, with its line
 *     normalize(s, n, &l->table, &out);
 *     lang_free(l);
 *
 * The file's tables (units, currencies, ...) become a struct text_language, its lists and rules
 * become struct rules.  `base = xx` at its head adds the rows and rules of another built-in file
 * behind the file's own: the first that fits wins.
 *
 * Threads: loading any; a loaded language is constant. */
#ifndef TEXT_LANG_H
#define TEXT_LANG_H
#include "base/err.h"
#include "text/language.h"

#define LANG_MAX_BYTES (1 << 20) /* of one file */
#define LANG_MAX_LISTS 120

/* One row of a list.  said may be NULL, or hold forms: "foot | feet". */
struct lang_entry {
    const char *key, *said;
};

struct lang_list {
    const char *name;
    bool fold; /* capitals and small letters are the same */
    struct lang_entry *entry;
    int n;
};

struct lang_pattern {
    const char *name, *regex;
};

/* "{d:day} of {m:month} => {m} {d:ordinal}" of [read date] or, with a format's name, [say year] for
 * all of a slot, or [each letter] for one piece of it after another. */
struct lang_reading {
    const char *rule, *pattern, *said;
    enum { LANG_READ, LANG_SAY, LANG_EACH } section;
    int line;
};

struct lang_test {
    const char *rule, *text, *said;
    int line;
};

struct lang {
    struct text_language table;
    char code[16]; /* table.code */
    const char *base;
    struct lang_list *list;
    struct lang_pattern *pattern;
    struct lang_reading *reading;
    struct lang_test *test;
    int n_list, n_pattern, n_reading, n_test;
    int own_test, own_reading; /* of the file itself; the rest are its base's */
    char **text;               /* the files, cut into strings */
    int n_text;
};

struct lang *lang_load(const char *name, const char *text, size_t n, struct err *e);
void lang_free(struct lang *l);
/* A file that is built in; NULL: there is none. */
const char *lang_builtin(const char *code, size_t n);
/* Is it a common English word of 3 to 9 small letters (share/lang/en.words)? */
bool lang_is_ordinary(const char *word, size_t n);
/* A set of ICU's rules, "%...", or the gender in which it spells cardinals: m, f or n; NULL: "". */
const char *lang_rules(const char *s);
/* NULL: no such list. */
const struct lang_list *lang_list_find(const struct lang *l, const char *name, size_t n);

#endif
