/* language.h - what one language must say for its numbers, dates, money, units and abbreviations to
 * be read: the tables of its file (lang.h).
 *
 * The spelling of numbers comes from ICU's rules for the locale; `rules` names one of its rule sets
 * ("%spellout-cardinal-feminine", "%spellout-ordinal"; NULL: "%spellout-cardinal" or what the
 * language has instead).  Rows of a table may be in any order; the longest match wins; all tables
 * end with an empty row.  Everything in them is UTF-8.
 *
 * Threads: any, tables are constant. */
#ifndef TEXT_LANGUAGE_H
#define TEXT_LANGUAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct words; /* words.h: where spoken words are collected */

/* Forms of a noun by ICU's plural categories; a NULL one is the same as other. */
struct language_forms {
    const char *other, *one, *few, *many, *two;
};

/* "km": kilometer(s).  rules: how the number before it is spelled (gender). */
struct language_unit {
    const char *written;
    struct language_forms said;
    const char *rules;
};

/* "$" or "USD": dollar(s) and cent(s).  part.other NULL: has no hundredths (yen). */
struct language_currency {
    const char *written;
    struct language_forms unit, part;
    const char *rules, *part_rules;
};

enum language_when { /* where an abbreviation is one */
                     WHEN_ALWAYS,
                     WHEN_BEFORE_NUMBER,
                     WHEN_AFTER_NUMBER,
                     WHEN_BEFORE_NAME, /* a capital follows */
                     WHEN_MAY_END,     /* anywhere; a capital after it starts a sentence: "etc." */
};

/* "etc.": "et cetera".  Written with its period, if it has one; matched in this very case, or with
 * a capital first.  The period stays where a sentence may end with it. */
struct language_abbreviation {
    const char *written, *said;
    enum language_when when;
    int next; /* of those with the same first letter, in either case; -1: none */
};

/* "%": percent, "&": and, "→": to; said wherever it stands and no other rule took it. */
struct language_symbol {
    const char *written, *said;
    int next; /* of those with the same first byte; -1: none */
};

/* A day of the calendar; 0 is "not given".  year < 0: not given. */
struct language_date {
    int year, month, day;
};
/* Second is -1 when not given.  after: 12-hour clock marks ("am", "pm", "") in lower case. */
struct language_time {
    int hour, minute, second;
};

/* A number as written, from s[at]. */
struct language_number {
    char digits[40];   /* before the decimal mark, groups removed; "" if none */
    char fraction[40]; /* after it */
    int sign;          /* -1, 0 (none), 1 */
    bool grouped;      /* had separators of thousands */
    size_t len;        /* bytes it has; 0: no number here */
};

struct text_language;

struct text_language {
    const char *code;        /* "en": for en, en-us, en-gb ... */
    const char *locale;      /* ICU's, for spelling and plurals */
    char decimal;            /* ',' in 3,14 */
    const char *group;       /* characters that group thousands: ".", " ", "'" */
    bool fraction_as_number; /* 3,14: "trois virgule quatorze", not "un quatre" */
    bool capital_nouns;      /* a capital is no sign of a new sentence (German) */
    bool unspaced;           /* no spaces between words (Chinese, Japanese) */
    bool common_words;       /* en.words are this language's: one before a mark is only a word */
    const char *date_order;  /* of numeric dates: "dmy", "mdy" or "ymd" */

    const char *minus, *plus, *point, *to; /* signs; decimal mark; between the ends of a range */
    const char *money_and;                 /* "five dollars AND ten cents"; NULL: nothing between */
    bool part_unnamed; /* fünf Euro zehn: the hundredths' name is left out after the unit */
    const char *dot, *at, *slash, *dash, *underscore, *colon; /* in addresses and file names */
    const char *hashtag;

    const char *bare_year_rules; /* of 1100 to 1999 without a separator, which may be a year */
    const char *ordinal_suffixes; /* "º:%spellout-ordinal-masculine|ª:%spellout-ordinal-feminine" */
    /* Names of the months as written, twelve and an end; several ways: "Januar|Jan.|Jan" (the first
     * is the one that is said, unless date says it otherwise). */
    const char *const *months;
    /* How dates are said: {d} {m} {y} in order, with the words between.  Parts that are not given
     * choose another: dmy, dm, my. */
    const char *date_dmy, *date_dm, *date_my;
    const char *day_rules, *first_day_rules,
        *year_rules; /* first_day: of the 1st; NULL: as others */
    /* How times are said: {h} {m} {s}.  hm without minutes is h. */
    const char *time_h, *time_hm, *time_hms;
    const char *hour_rules, *minute_rules;
    const char *time_words; /* what may follow a time and is said by time_*: "Uhr|U"; or NULL */

    const struct language_unit *units;
    const struct language_currency *currencies;
    const struct language_abbreviation *abbreviations;
    const struct language_symbol *symbols;
    int n_units, n_currencies, n_abbreviations, n_symbols, n_months; /* of a .lang file's tables */
    struct rules *rules; /* of a .lang file (rules.h); NULL: none */
    /* Bits of the abbreviations of up to four small letters, by language_short_bit of the letters,
     * each a byte: a word without its bit is none of them. */
    uint64_t short_words[64];
    uint64_t currency_starts[4]; /* bits of the bytes that currencies begin with */
    int first_abbreviation[256], first_symbol[256]; /* by the first byte, the letter's small form */
};

static inline bool language_may_be_currency(const struct text_language *l, char c)
{
    unsigned char b = (unsigned char)c;
    return l->currency_starts[b / 64] >> (b % 64) & 1;
}

static inline uint32_t language_short_bit(uint32_t letters)
{
    return letters * 2654435761u >> 20;
}

/* The language of "en", "en-us", "en_GB" or an espeak-ng name; NULL: one that we have no table for.
 */
const struct text_language *language_find(const char *name);
/* Is it one of the built-in files?  Then NULL from language_find is a lack of memory. */
bool language_is_file(const char *name);

/* --- what readers are made of (language.c) --- */

/* signs: may it begin with one? */
struct language_number language_number_at(const struct text_language *l, const char *s, size_t n,
                                          size_t at, bool signs);
void language_say_number(const struct text_language *l, const struct language_number *x,
                         const char *rules, struct words *w);
void language_say_int(const struct text_language *l, int x, const char *rules, struct words *w);
void language_say_digits(const struct text_language *l, const char *digits, size_t n,
                         struct words *w);
void language_say_date(const struct text_language *l, const struct language_date *d,
                       struct words *w);
void language_say_time(const struct text_language *l, const struct language_time *t,
                       struct words *w);
void language_say_money(const struct text_language *l, const struct language_number *x,
                        const struct language_currency *c, struct words *w);
void language_say_unit(const struct text_language *l, const struct language_number *x,
                       const struct language_unit *u, struct words *w);
/* The Roman numeral of two letters or more (one, if may_be_one) at s[at], which ends before a
 * character that is no capital: its value, 0: none. */
int language_roman(const char *s, size_t n, size_t at, bool may_be_one, size_t *len);
/* Is word one of "as|os|ción"? */
bool language_is_one_of(const char *word, size_t n, const char *words);
/* The form of a noun that goes with a number. */
const char *language_form(const struct text_language *l, const struct language_forms *f,
                          const struct language_number *x);

#endif
