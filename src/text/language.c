/* The registry of languages, and what their tables say by default. */
#include "text/language.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "text/lang.h"
#include "text/rules.h"
#include "text/scan.h"
#include "text/words.h"

#define MAX_LANGUAGE_FILES 64

/* Languages that are files, each loaded when it is first asked for and kept. */
static const struct text_language *language_from_file(const char *code)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct lang *loaded[MAX_LANGUAGE_FILES];
    struct err e;
    int i = 0;
    pthread_mutex_lock(&lock);
    while (i < MAX_LANGUAGE_FILES && loaded[i] && strcmp(loaded[i]->table.code, code) != 0)
        i++;
    const char *text = lang_builtin(code, strlen(code));
    if (i < MAX_LANGUAGE_FILES && !loaded[i] && text)
        loaded[i] = lang_load(code, text, strlen(text), &e);
    struct lang *l = i < MAX_LANGUAGE_FILES ? loaded[i] : NULL;
    pthread_mutex_unlock(&lock);
    return l ? &l->table : NULL;
}

/* "en" of "en-us", "EN_gb"; "" when it is too long for a code. */
static void language_code(const char *name, char code[4])
{
    size_t n = strcspn(name, "-_+");
    code[0] = 0;
    if (scan_match(name, n, 0, "cmn", true)) { /* as espeak-ng calls Mandarin */
        memcpy(code, "zh", 3);
        return;
    }
    for (size_t i = 0; n < 4 && i <= n; i++)
        code[i] = (char)(i == n ? 0 : scan_is_upper(name[i]) ? name[i] | 32 : name[i]);
}

bool language_is_file(const char *name)
{
    char code[4];
    language_code(name, code);
    return lang_builtin(code, strlen(code)) != NULL;
}

const struct text_language *language_find(const char *name)
{
    char code[4];
    language_code(name, code);
    return language_from_file(code);
}

/* --- numbers --- */

static bool put_digit(char *to, size_t room, char c)
{
    size_t len = strlen(to);
    if (len + 1 >= room)
        return false;
    to[len] = c;
    to[len + 1] = 0;
    return true;
}

static size_t sign_at(const char *s, size_t n, size_t at, int *sign)
{
    size_t len;
    int32_t c = scan_char(s, n, at, &len);
    *sign = c == '-' || c == 0x2212 ? -1 : c == '+' ? 1 : 0;
    return *sign ? len : 0;
}

/* Is there a group of thousands at s[at], its separator first?  Indian ones may have two digits
 * when another follows. */
static bool group_at(const struct text_language *l, const char *s, size_t n, size_t at)
{
    if (at >= n || !l->group || !strchr(l->group, s[at]))
        return false;
    size_t digits = scan_digits(s, n, at + 1), after = at + 1 + digits;
    return digits == 3 ||
           (digits == 2 && s[at] == ',' && after + 4 <= n && s[after] == ',' &&
            (scan_digits(s, n, after + 1) == 3 || scan_digits(s, n, after + 1) == 2));
}

static bool language_read_groups(const struct text_language *l, const char *s, size_t n, size_t *at,
                                 struct language_number *x)
{
    size_t lead = scan_digits(s, n, *at);
    char separator = *at + lead < n ? s[*at + lead] : 0;
    for (size_t i = 0; i < lead; i++)
        if (!put_digit(x->digits, sizeof x->digits, s[*at + i]))
            return false;
    *at += lead;
    if (lead > 3 || x->digits[0] == '0')
        return true;
    while (*at < n && s[*at] == separator && group_at(l, s, n, *at)) {
        size_t digits = scan_digits(s, n, *at + 1);
        for (size_t i = 0; i < digits; i++)
            if (!put_digit(x->digits, sizeof x->digits, s[*at + 1 + i]))
                return false;
        *at += 1 + digits;
        x->grouped = true;
    }
    return true;
}

struct language_number language_number_at(const struct text_language *l, const char *s, size_t n,
                                          size_t at, bool signs)
{
    static const struct language_number none;
    struct language_number x = {0};
    size_t start = at;
    bool glued = scan_word_before(s, at) && !(l->unspaced && (unsigned char)s[at - 1] >= 0x80);
    if (signs && !glued)
        at += sign_at(s, n, at, &x.sign);
    if (at >= n)
        return none;
    if (scan_is_digit(s[at])) {
        if (!language_read_groups(l, s, n, &at, &x))
            return none;
    } else if (s[at] != l->decimal || scan_word_before(s, at) ||
               (at > 1 && s[at - 1] == l->decimal)) {
        return none;
    }
    if (at + 1 < n && s[at] == l->decimal && scan_is_digit(s[at + 1])) {
        for (at++; at < n && scan_is_digit(s[at]); at++)
            if (!put_digit(x.fraction, sizeof x.fraction, s[at]))
                return none;
    }
    if (!x.digits[0] && !x.fraction[0])
        return none;
    x.len = at - start;
    return x;
}

void language_say_int(const struct text_language *l, int x, const char *rules, struct words *w)
{
    char digits[12] = "", *p = digits + sizeof digits - 1;
    unsigned left = (unsigned)(x < 0 ? 0 : x);
    *p = 0;
    do {
        *--p = (char)('0' + left % 10);
    } while (left /= 10);
    words_number(w, l->locale, rules, p);
}

void language_say_digits(const struct text_language *l, const char *digits, size_t n,
                         struct words *w)
{
    for (size_t i = 0; i < n; i++)
        if (scan_is_digit(digits[i]))
            words_number(w, l->locale, NULL, (char[2]){digits[i], 0});
}

static void language_say_fraction(const struct text_language *l, const char *fraction,
                                  struct words *w)
{
    size_t zeros = strspn(fraction, "0"), n = strlen(fraction);
    words_add(w, l->point);
    if (!l->fraction_as_number || n - zeros > 3 || zeros == n) {
        language_say_digits(l, fraction, n, w);
        return;
    }
    language_say_digits(l, fraction, zeros, w);
    words_number(w, l->locale, NULL, fraction + zeros);
}

/* By [say decimal], if the language has that. */
static bool language_say_decimal(const struct text_language *l, const struct language_number *x,
                                 struct words *w)
{
    char plain[sizeof x->digits + sizeof x->fraction];
    snprintf(plain, sizeof plain, "%s%c%s", x->digits[0] ? x->digits : "0", l->decimal,
             x->fraction);
    return reading_say_format(l, "decimal", plain, w);
}

void language_say_number(const struct text_language *l, const struct language_number *x,
                         const char *rules, struct words *w)
{
    if (x->sign)
        words_add(w, x->sign < 0 ? l->minus : l->plus);
    size_t n = strlen(x->digits);
    if (x->fraction[0] && language_say_decimal(l, x, w))
        return;
    if (n > 1 && x->digits[0] == '0' && !x->fraction[0])
        language_say_digits(l, x->digits, n, w);
    else if (n)
        words_number(w, l->locale, x->fraction[0] ? NULL : rules, x->digits);
    if (x->fraction[0])
        language_say_fraction(l, x->fraction, w);
}

const char *language_form(const struct text_language *l, const struct language_forms *f,
                          const struct language_number *x)
{
    double value = 0, place = 1;
    for (const char *c = x->digits; *c; c++)
        value = value * 10 + (*c - '0');
    for (const char *c = x->fraction; *c; c++)
        value += (*c - '0') * (place /= 10);
    const char *category = words_plural(l->locale, value);
    bool whole = strspn(x->fraction, "0") == strlen(x->fraction);
    if (x->fraction[0] && whole) /* 1.0: as 1.5 */
        return f->other;
    const char *form = strcmp(category, "one") == 0    ? f->one
                       : strcmp(category, "few") == 0  ? f->few
                       : strcmp(category, "many") == 0 ? f->many
                       : strcmp(category, "two") == 0  ? f->two
                                                       : f->other;
    return form ? form : f->other;
}

/* --- words --- */

static int language_roman_digit(char c)
{
    static const struct {
        char c;
        int value;
    } digits[] = {{'I', 1}, {'V', 5}, {'X', 10}, {'L', 50}, {'C', 100}, {'D', 500}, {'M', 1000}};
    for (size_t i = 0; i < sizeof digits / sizeof *digits; i++)
        if (c == digits[i].c)
            return digits[i].value;
    return 0;
}

int language_roman(const char *s, size_t n, size_t at, bool may_be_one, size_t *len)
{
    int sum = 0;
    size_t end = at;
    for (int here; end < n && (here = language_roman_digit(s[end])) > 0; end++) {
        int next = end + 1 < n ? language_roman_digit(s[end + 1]) : 0;
        sum += here < next ? -here : here;
        if (end - at > 15)
            return 0;
    }
    *len = end - at;
    if (*len < (may_be_one ? 1 : 2) || scan_capital_at(s, n, end) || scan_word_before(s, at))
        return 0;
    return sum > 0 && sum < 4000 ? sum : 0;
}

bool language_is_one_of(const char *word, size_t n, const char *words)
{
    while (*words) {
        size_t len = strcspn(words, "|");
        if (len == n && n && memcmp(word, words, n) == 0)
            return true;
        words += len + (words[len] == '|');
    }
    return false;
}

/* --- money and units --- */

void language_say_unit(const struct text_language *l, const struct language_number *x,
                       const struct language_unit *u, struct words *w)
{
    language_say_number(l, x, u->rules, w);
    words_add(w, language_form(l, &u->said, x));
}

/* The hundredths of x: two digits, or one, which is tens. */
static struct language_number hundredths(const struct language_number *x)
{
    struct language_number p = {.len = 1};
    p.digits[0] = x->fraction[0];
    p.digits[1] = x->fraction[1] ? x->fraction[1] : '0';
    if (p.digits[0] == '0')
        memmove(p.digits, p.digits + 1, 2);
    return p;
}

void language_say_money(const struct text_language *l, const struct language_number *x,
                        const struct language_currency *c, struct words *w)
{
    size_t n = strlen(x->fraction);
    struct language_number whole = *x;
    if (n > 2 || (n > 0 && !c->part.other)) { /* 1.999 or yen with decimals */
        language_say_number(l, x, c->rules, w);
        words_add(w, c->unit.other);
        return;
    }
    whole.fraction[0] = 0;
    bool parts = n > 0 && strspn(x->fraction, "0") < n;
    bool nothing = strspn(whole.digits, "0") == strlen(whole.digits);
    if (!parts || !nothing) {
        language_say_number(l, &whole, c->rules, w);
        words_add(w, language_form(l, &c->unit, &whole));
        if (parts)
            words_add(w, l->money_and);
    } else if (x->sign < 0) {
        words_add(w, l->minus);
    }
    if (parts) {
        struct language_number part = hundredths(x);
        language_say_number(l, &part, l->part_unnamed && !nothing ? NULL : c->part_rules, w);
        if (!l->part_unnamed || nothing)
            words_add(w, language_form(l, &c->part, &part));
    }
}

/* --- dates and times --- */

static void language_say_month(const struct text_language *l, int month, struct words *w)
{
    if (l->months && month >= 1 && month <= 12)
        words_add_n(w, l->months[month - 1], strcspn(l->months[month - 1], "|"));
}

/* "{d} de {m}": what stands between braces is said, the rest is words. */
static void say_template(const char *t, void (*part)(const void *, char, struct words *),
                         const void *cookie, struct words *w)
{
    while (t && *t) {
        size_t n = strcspn(t, "{");
        size_t from = w->unspaced ? 0 : strspn(t, " ");
        size_t to = n;
        while (!w->unspaced && to > from && t[to - 1] == ' ')
            to--;
        if (to > from)
            words_add_n(w, t + from, to - from);
        t += n;
        if (*t == '{' && t[1] && t[2] == '}') {
            part(cookie, t[1], w);
            t += 3;
        }
    }
}

struct dated {
    const struct text_language *l;
    const struct language_date *d;
};
static void date_part(const void *cookie, char part, struct words *w)
{
    const struct dated *x = cookie;
    const struct text_language *l = x->l;
    const char *day = x->d->day == 1 && l->first_day_rules ? l->first_day_rules : l->day_rules;
    if (part == 'd')
        language_say_int(l, x->d->day, day, w);
    else if (part == 'm')
        language_say_month(l, x->d->month, w);
    else
        language_say_int(l, x->d->year, l->year_rules, w);
}

void language_say_date(const struct text_language *l, const struct language_date *d,
                       struct words *w)
{
    char plain[40];
    snprintf(plain, sizeof plain,
             d->year < 0 ? "-%d-%d"
             : d->day    ? "%d-%d-%d"
                         : "%d-%d-",
             d->year < 0 ? d->month : d->year, d->year < 0 ? d->day : d->month, d->day);
    if (reading_say_format(l, "date", plain, w))
        return;
    struct dated x = {l, d};
    const char *t = d->day == 0 ? l->date_my : d->year < 0 ? l->date_dm : l->date_dmy;
    say_template(t, date_part, &x, w);
}

struct timed {
    const struct text_language *l;
    const struct language_time *t;
};
static void time_part(const void *cookie, char part, struct words *w)
{
    const struct timed *x = cookie;
    if (part == 'h')
        language_say_int(x->l, x->t->hour, x->l->hour_rules, w);
    else
        language_say_int(x->l, part == 'm' ? x->t->minute : x->t->second, x->l->minute_rules, w);
}

void language_say_time(const struct text_language *l, const struct language_time *t,
                       struct words *w)
{
    char plain[40];
    snprintf(plain, sizeof plain, t->second < 0 ? "%d:%02d" : "%d:%02d:%02d", t->hour, t->minute,
             t->second);
    if (reading_say_format(l, "time", plain, w))
        return;
    struct timed x = {l, t};
    const char *form = t->second > 0 ? l->time_hms : t->minute == 0 ? l->time_h : l->time_hm;
    say_template(form, time_part, &x, w);
}
