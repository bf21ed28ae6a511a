/* rules_impl.h - what rules.c compiles and reading.c runs. */
#ifndef TEXT_RULES_IMPL_H
#define TEXT_RULES_IMPL_H
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdint.h>

#include "base/buf.h"
#include "text/rules.h"

#define RULES_SLOTS      12
#define RULES_STEPS      50000 /* of one match: then it is none */
#define RULES_DEPTH      12    /* formats within formats */
#define RULES_CONDITIONS 254
#define RULES_PARTS      4    /* expressions of a class: PCRE2 compiles into 64 kB at most */
#define RULES_GUARD      255  /* the callout at each reading's end */
#define RULES_WORD_BYTES 48   /* longer words are on no list */
#define RULES_ANY        (-1) /* instead of a list's number */
#define RULES_ORDINARY   (-2) /* the words of en.words */
#define RULES_CALLS      63   /* bits of a rule's calls, but for the number's */
#define RULES_WORD_LISTS 64   /* bits of a word's lists */

/* Readings whose first byte is of one class, as one expression. */
enum rules_class { CLASS_DIGIT, CLASS_LOWER, CLASS_UPPER, CLASS_SIGN, CLASS_HIGH, N_CLASS };

struct rules_entry {
    const char *key, *said;
    int row; /* of the unit or currency table */
};

struct rules_list { /* sorted by key */
    const char *name;
    bool fold;
    struct rules_entry *entry;
    int n;
    int bit;  /* of rules_word; -1: no condition asks for it */
    int call; /* its number among those that expressions call; -1: none does */
};

/* A word and the lists it is on. */
struct rules_word {
    const char *key;
    uint64_t lists;
};

struct rules_condition {
    enum {
        CONDITION_BEFORE,
        CONDITION_AFTER,
        CONDITION_SLOT,
        CONDITION_LESS,
        CONDITION_UNQUOTED,
        CONDITION_SHOUTED
    } type;
    int list; /* RULES_ANY: any word */
    int a, b; /* slots of CONDITION_SLOT (a) and CONDITION_LESS */
    bool negated, capital, comma;
};

struct rules_slot {
    const char *name;
    int n_name, list; /* list: its class, if that is one; else -1 */
};

/* A step of what is said. */
struct rules_op {
    enum { OP_WORDS, OP_SLOT, OP_CHOICE, OP_SKIP } type;
    bool glued;             /* nothing between it and what is before */
    const char *text;       /* words; the forms of a choice; a format's name */
    int n, slot, arg, skip; /* skip: ops to leave out if a slot in them is empty */
    int format, set;        /* of a slot: which built-in, or which set of readings; else -1 */
};

struct rule {
    const struct lang_reading *source;
    struct rules_slot slot[RULES_SLOTS];
    int n_slot, n_op;
    struct rules_op *op;
    struct buf regex;
    uint64_t calls; /* of lists, by the expression */
    uint8_t first[32];
    pcre2_code *code; /* alone; NULL before rules_make_alone */
};

struct rules_expression {
    pcre2_code *code;
    int n_before; /* groups before the slots' */
    bool jit;
    bool bare; /* lists are left empty: only beginnings are asked for */
};

struct rules_set { /* of a format; each: for one piece after another */
    const char *name;
    bool each;
    struct rules_expression all;
};

struct rules {
    const struct lang *lang;
    struct rule *rule;
    int n_rule, n_list, n_word, n_condition, n_set, n_group;
    struct rules_list *list;
    int called[RULES_CALLS], n_call; /* the lists that expressions call */
    struct rules_word *word;
    struct rules_condition condition[RULES_CONDITIONS];
    struct rules_set *set;
    struct rules_expression main[N_CLASS][RULES_PARTS]; /* in order; without code: no more */
    unsigned char *fired;                               /* rules_watch */
    uint8_t starts[256]; /* may a reading of the main set begin with this byte? */
};

enum rules_class rules_class_of(unsigned char c);
/* The format of this name: its number among the sets, or -1. */
int rules_set_named(const struct rules *r, const char *name, int n);
const struct rules_entry *rules_entry_find(const struct rules_list *list, const char *s, size_t n);
/* Formats that C knows: their number by name, or -1. */
int reading_format(const char *name, int n);

#endif
