/* <say-as>: what must be said otherwise than the normalizer would.  The kinds that it reads right
 * by itself (time, currency, unit, address, ...) are not listed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "text/language.h"
#include "text/scan.h"
#include "text/ssml.h"
#include "text/words.h"

struct asked {
    const struct text_language *l;
    const char *format, *s;
    size_t n;
    struct words *w;
};

/* --- numbers --- */

static void say_number(const struct asked *a, const char *rules)
{
    struct language_number x = language_number_at(a->l, a->s, a->n, 0, true);
    size_t roman = 0;
    int numeral = language_roman(a->s, a->n, 0, true, &roman);
    if (numeral && roman == a->n) {
        x = (struct language_number){.len = a->n};
        for (int place = 1000, i = 0; place; place /= 10)
            if (numeral >= place)
                x.digits[i++] = (char)('0' + numeral / place % 10);
    }
    size_t zeros = strspn(x.digits, "0");
    if (zeros == strlen(x.digits) && zeros)
        zeros--;
    memmove(x.digits, x.digits + zeros, strlen(x.digits) - zeros + 1); /* 007 is seven */
    if (x.len && !scan_digits(a->s, a->n, x.len))
        language_say_number(a->l, &x, rules, a->w);
}

static void say_cardinal(const struct asked *a)
{
    say_number(a, NULL);
}

/* The rules of the language's first ordinal suffix, or what ICU calls them in most languages. */
static void sayas_say_ordinal(const struct asked *a)
{
    char rules[56] = "%spellout-ordinal";
    const char *row = a->l->ordinal_suffixes ? strchr(a->l->ordinal_suffixes, ':') : NULL;
    size_t len = row ? strcspn(row + 1, "|") : 0;
    if (len && len < sizeof rules) {
        memcpy(rules, row + 1, len);
        rules[len] = 0;
    }
    say_number(a, rules);
}

static void sayas_say_digits(const struct asked *a)
{
    language_say_digits(a->l, a->s, a->n, a->w);
}

static const char *symbol_name(const struct text_language *l, const char *s, size_t n, size_t at)
{
    static const struct {
        char c;
        const char *name;
    } english[] = {
        {'.', "dot"},
        {',', "comma"},
        {'-', "dash"},
        {'/', "slash"},
        {'_', "underscore"},
        {':', "colon"},
        {';', "semicolon"},
        {'!', "exclamation mark"},
        {'?', "question mark"},
        {'#', "hash"},
        {'*', "star"},
        {'(', "parenthesis"},
        {')', "close parenthesis"},
    };
    for (const struct language_symbol *y = l->symbols; y && y->written; y++)
        if (scan_match(s, n, at, y->written, false) == strlen(y->written))
            return y->said;
    if (s[at] == '.' || s[at] == '-' || s[at] == '/' || s[at] == '_' || s[at] == '@')
        return s[at] == '.'   ? l->dot
               : s[at] == '-' ? l->dash
               : s[at] == '/' ? l->slash
               : s[at] == '_' ? l->underscore
                              : l->at;
    for (size_t i = 0; strcmp(l->code, "en") == 0 && i < sizeof english / sizeof *english; i++)
        if (s[at] == english[i].c)
            return english[i].name;
    return NULL;
}

/* One by one: capitals, which are read by their names, digits, and the names of symbols. */
static void say_characters(const struct asked *a)
{
    for (size_t at = 0, len; at < a->n; at += len) {
        char c[8] = "";
        scan_char(a->s, a->n, at, &len);
        const char *name = symbol_name(a->l, a->s, a->n, at);
        if (scan_is_digit(a->s[at])) {
            language_say_digits(a->l, a->s + at, 1, a->w);
        } else if (scan_letter(a->s, a->n, at)) {
            memcpy(c, a->s + at, len < sizeof c ? len : 0);
            if (scan_is_lower(c[0]))
                c[0] = (char)(c[0] - 32);
            words_add(a->w, c);
        } else {
            words_add(a->w, name);
        }
    }
}

/* Groups of digits, with a breath between. */
static void say_telephone(const struct asked *a)
{
    for (size_t at = 0; at < a->n;) {
        size_t digits = scan_digits(a->s, a->n, at), len = 1;
        if (digits) {
            language_say_digits(a->l, a->s + at, digits, a->w);
            at += digits;
            if (at < a->n && strcspn(a->s + at, "0123456789") < a->n - at)
                words_join(a->w, ",");
            continue;
        }
        scan_char(a->s, a->n, at, &len);
        if (a->s[at] == '+')
            words_add(a->w, a->l->plus);
        else if (a->s[at] == '#' || a->s[at] == '*')
            words_add(a->w, symbol_name(a->l, a->s, a->n, at));
        at += len;
    }
}

/* English only: other languages' normalizers know theirs, or read the numbers. */
static void sayas_say_fraction(const struct asked *a)
{
    char *end;
    long whole = 0, top = strtol(a->s, &end, 10), bottom;
    if (*end == ' ' && scan_is_digit(end[1])) {
        whole = top;
        top = strtol(end + 1, &end, 10);
    }
    if (strcmp(a->l->code, "en") != 0 || *end != '/' || !scan_is_digit(end[1]))
        return;
    bottom = strtol(end + 1, &end, 10);
    if (*end || top < 1 || bottom < 2 || whole < 0 || top > 999999 || bottom > 999999 ||
        whole > 999999)
        return;
    char digits[24];
    if (whole) {
        snprintf(digits, sizeof digits, "%ld", whole);
        words_number(a->w, a->l->locale, NULL, digits);
        words_add(a->w, "and");
    }
    snprintf(digits, sizeof digits, "%ld", top);
    words_number(a->w, a->l->locale, NULL, digits);
    if (bottom == 2 || bottom == 4) {
        words_add(a->w, bottom == 2 ? top == 1 ? "half" : "halves"
                        : top == 1  ? "quarter"
                                    : "quarters");
        return;
    }
    snprintf(digits, sizeof digits, "%ld", bottom);
    words_number(a->w, a->l->locale, "%spellout-ordinal", digits);
    if (top != 1)
        words_join(a->w, "s");
}

/* --- dates --- */

/* The next part of a format, d, m or y, past what stands between; *width: how often it is written,
 * which more than once is a number of digits: yyyymmdd. */
static char sayas_part(const char **order, size_t *width)
{
    *order += strcspn(*order, "dmy");
    char part = **order;
    for (*width = 0; part && **order == part; ++*order)
        ++*width;
    return part;
}

/* The numbers of a date by the letters of order, as y, m and d; -1: not asked for.  false: they are
 * not as many, or no numbers. */
static bool sayas_numbers(const struct asked *a, const char *order, int ymd[3])
{
    size_t at = 0, width;
    for (char part; at < a->n && (part = sayas_part(&order, &width)) != 0;) {
        char digits[5] = "";
        size_t len = scan_digits(a->s, a->n, at);
        len = width > 1 && len > width ? width : len;
        if (len == 0 || len > 4)
            return false;
        memcpy(digits, a->s + at, len);
        int x = (int)strtol(digits, NULL, 10);
        ymd[part == 'y'   ? 0
            : part == 'm' ? 1
                          : 2] = part != 'y' || len > 2 ? x
                                 : x < 70               ? 2000 + x
                                                        : 1900 + x;
        at += len;
        at += at < a->n && strchr("-./ ", a->s[at]) ? 1 : 0;
    }
    return at == a->n && !*order;
}

/* format: letters d, m and y in the order of the numbers; none: the language's. */
static void sayas_say_date(const struct asked *a)
{
    const char *order = a->format[0]                      ? a->format
                        : scan_digits(a->s, a->n, 0) == 4 ? "ymd"
                        : a->l->date_order                ? a->l->date_order
                                                          : "dmy";
    int ymd[3] = {-1, -1, -1};
    if (!sayas_numbers(a, order, ymd) || ymd[1] < 1 || ymd[1] > 12 || ymd[2] == 0 || ymd[2] > 31)
        return;
    struct language_date d = {ymd[0], ymd[1], ymd[2] < 0 ? 0 : ymd[2]};
    language_say_date(a->l, &d, a->w);
}

void sayas_read(const char *interpret, const char *format, const char *text, size_t n,
                const char *language, struct words *w)
{
    static const struct {
        const char *name;
        void (*say)(const struct asked *);
    } kinds[] = {
        {"cardinal", say_cardinal},         {"number", say_cardinal},
        {"ordinal", sayas_say_ordinal},     {"digits", sayas_say_digits},
        {"number_digit", sayas_say_digits}, {"characters", say_characters},
        {"spell-out", say_characters},      {"spell", say_characters},
        {"verbatim", say_characters},       {"telephone", say_telephone},
        {"date", sayas_say_date},           {"fraction", sayas_say_fraction},
    };
    struct asked a = {language_find(language), format, text, n, w};
    for (size_t i = 0; a.l && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(interpret, kinds[i].name) == 0)
            kinds[i].say(&a);
}
