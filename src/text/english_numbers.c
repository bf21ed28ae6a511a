/* English: numbers of all kinds, by what stands around them. */
#include "text/english.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/scan.h"
#include "text/words.h"

struct here {
    const char *s;
    size_t n, at;
    struct words *w;
};

/* --- saying --- */

void english_say_int(long x, struct words *w)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%ld", x);
    words_number(w, "en", NULL, digits);
}

void english_say_ordinal(long x, struct words *w)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%ld", x);
    words_number(w, "en", "%spellout-ordinal", digits);
}

void english_say_digits(const char *digits, size_t n, struct words *w)
{
    language_say_digits(&language_en, digits, n, w);
}

/* Two digits as people say them in years and codes: "oh five", "twenty-one", "hundred". */
static void say_pair(int x, bool hundred, struct words *w)
{
    if (x == 0)
        words_add(w, hundred ? "hundred" : "oh oh");
    else if (x < 10)
        words_add(w, "oh");
    if (x)
        english_say_int(x, w);
}

void english_say_year(int year, struct words *w)
{
    if (year < 1000 || year > 9999 || year % 1000 == 0 || (year >= 2000 && year < 2010)) {
        english_say_int(year, w);
        return;
    }
    english_say_int(year / 100, w);
    say_pair(year % 100, true, w);
}

void english_say_code(const char *digits, size_t n, struct words *w)
{
    if (n < 3 || n > 4 || digits[0] == '0') {
        if (n > 4 || digits[0] == '0')
            english_say_digits(digits, n, w);
        else
            english_say_int(strtol(digits, NULL, 10), w);
        return;
    }
    int x =
        (int)strtol((char[5]){digits[0], digits[1], digits[2], n > 3 ? digits[3] : 0}, NULL, 10);
    if (n == 3 && x % 100 == 0) {
        english_say_int(x, w);
        return;
    }
    if (n == 4 && x % 1000 == 0) {
        english_say_int(x, w);
        return;
    }
    english_say_int(x / 100, w);
    say_pair(x % 100, true, w);
}

void english_say_date(const struct text_language *l, const struct language_date *d, struct words *w)
{
    if (d->month)
        words_add_n(w, l->months[d->month - 1], strcspn(l->months[d->month - 1], "|"));
    if (d->day)
        english_say_ordinal(d->day, w);
    if (d->year >= 0) {
        if (d->day)
            words_join(w, ",");
        english_say_year(d->year, w);
    }
}

/* Without AM or PM: "three thirty", "fourteen hundred", "nine oh five", "seven o'clock". */
void english_say_time(const struct text_language *l, const struct language_time *t, struct words *w)
{
    (void)l;
    english_say_int(t->hour, w);
    if (t->minute == 0 && t->second <= 0)
        words_add(w, t->hour > 12 ? "hundred" : t->hour == 0 ? "hundred hours" : "o'clock");
    else if (t->minute || t->second > 0)
        say_pair(t->minute, false, w);
    if (t->second > 0) {
        words_add(w, "and");
        english_say_int(t->second, w);
        words_add(w, t->second == 1 ? "second" : "seconds");
    }
}

/* --- context --- */

bool english_is(const char *word, const char *list)
{
    size_t n = strlen(word);
    for (const char *p = list; n && *p;) {
        size_t len = strcspn(p, "|");
        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p += len + (p[len] == '|');
    }
    return false;
}

static void lower_word(struct english_context *c, const char *s, size_t n)
{
    c->capital = n && scan_is_upper(s[0]);
    if (n < sizeof c->word)
        for (size_t i = 0; i < n; i++)
            c->word[i] = (char)tolower((unsigned char)s[i]);
}

struct english_context english_before(const char *s, size_t at)
{
    struct english_context c = {.start = at};
    size_t end = at;
    while (end && (s[end - 1] == ' ' || s[end - 1] == '(' || s[end - 1] == '"'))
        end--;
    end -= end && s[end - 1] == '.' && end < at;
    size_t start = end;
    while (start && end - start < sizeof c.word &&
           (scan_is_alpha(s[start - 1]) || s[start - 1] == '\''))
        start--;
    c.start = start;
    lower_word(&c, s + start, end - start);
    return c;
}

struct english_context english_after(const char *s, size_t n, size_t at)
{
    struct english_context c = {0};
    size_t start = at + scan_spaces(s, n, at), end = start;
    while (end < n && end - start < sizeof c.word && (scan_is_alpha(s[end]) || s[end] == '\''))
        end++;
    c.start = start;
    lower_word(&c, s + start, end - start);
    return c;
}

static struct language_number number_at(const struct here *h, size_t at, bool signs)
{
    return language_number_at(&language_en, h->s, h->n, at, signs);
}

static char byte_at(const struct here *h, size_t at)
{
    return at < h->n ? h->s[at] : 0;
}

static bool word_ends(const struct here *h, size_t at)
{
    return !scan_word_at(h->s, h->n, at);
}

/* --- sizes, ratios, powers --- */

/* --- money and magnitudes --- */

/* Numbers behind these may have a letter of their own: Gate 12B. */
static const char lettered[] =
    "gate|apartment|apt|room|row|seat|section|unit|suite|flat|bus|platform|ste|exit";

static const struct {
    const char *letter, *word;
} magnitudes[] = {{"trillion", "trillion"}, {"billion", "billion"}, {"million", "million"},
                  {"thousand", "thousand"}, {"hundred", "hundred"}, {"quadrillion", "quadrillion"},
                  {"dozen", "dozen"},       {"tn", "trillion"},     {"bn", "billion"},
                  {"mn", "million"},        {"mil", "million"},     {"mm", "million"},
                  {"k", "thousand"},        {"K", "thousand"},      {"M", "million"},
                  {"m", "million"},         {"B", "billion"},       {"b", "billion"},
                  {"T", "trillion"},        {"MM", "million"},      {"Bn", "billion"},
                  {"Mn", "million"}};

/* "M" or " million" behind a number: its bytes; letters: may it be one? */
static size_t magnitude_at(const struct here *h, size_t at, bool letters, const char **word)
{
    size_t gap = scan_spaces(h->s, h->n, at), best = 0;
    for (size_t i = 0; gap < 2 && i < sizeof magnitudes / sizeof *magnitudes; i++) {
        bool whole = strlen(magnitudes[i].letter) > 3;
        if ((!whole && (gap || !letters)) || (whole && at == 0))
            continue;
        size_t len = scan_match(h->s, h->n, at + gap, magnitudes[i].letter, false);
        if (!len || len <= best || !word_ends(h, at + gap + len))
            continue;
        best = len;
        *word = magnitudes[i].word;
    }
    return best ? best + gap : 0;
}

static const struct language_currency *english_numbers_currency_at(const struct here *h, size_t at,
                                                                   size_t *len)
{
    const struct language_currency *best = NULL;
    *len = 0;
    bool word = at + 1 < h->n && scan_is_alpha(h->s[at]) && scan_is_lower(h->s[at + 1]);
    if (at >= h->n || !language_may_be_currency(&language_en, h->s[at]) ||
        (word && h->s[at] != 'R' && h->s[at] != 'z'))
        return NULL;
    for (const struct language_currency *c = language_en.currencies; c->written; c++) {
        size_t got = scan_match(h->s, h->n, at, c->written, false);
        bool letters = got && scan_is_alpha(c->written[got - 1]);
        if (got > *len && !(letters && scan_letter(h->s, h->n, at + got))) {
            best = c;
            *len = got;
        }
    }
    return best;
}

/* "a $5 bill", "the $20-a-day habit": one dollar form for all numbers. */
static bool is_adjective(const struct here *h, size_t end)
{
    struct english_context before = english_before(h->s, h->at),
                           after = english_after(h->s, h->n, end);
    if (byte_at(h, end) == '-' && scan_is_alpha(byte_at(h, end + 1)))
        return true;
    if (english_is(after.word,
                   "dash|race|relay|sprint|freestyle|hurdles|run|walk|radius|hike|ride"))
        return true;
    return english_is(before.word, "a|an") && before.start < h->at && after.word[0] &&
           after.start == end + 1 && !after.capital &&
           !english_is(after.word,
                       "in|to|or|and|for|per|a|an|at|on|of|from|is|was|with|by|more|each|off|"
                       "if|as|but|than|that|the|they|he|she|it|we|you|i|which|who|when|while|so");
}

/* Amount x of currency c, whose text ends at end; magnitudes belong to it.  Bytes after end. */
static size_t say_amount(const struct here *h, const struct language_number *x,
                         const struct language_currency *c, size_t end)
{
    const char *word = NULL;
    size_t len = magnitude_at(h, end, true, &word);
    if (len) {
        language_say_number(&language_en, x, NULL, h->w);
        words_add(h->w, word);
        words_add(h->w, is_adjective(h, end + len) && c->unit.one ? c->unit.one : c->unit.other);
    } else if (is_adjective(h, end) && !x->fraction[0] && c->unit.one) {
        language_say_number(&language_en, x, NULL, h->w);
        words_add(h->w, c->unit.one);
    } else {
        language_say_money(&language_en, x, c, h->w);
    }
    end += len;
    static const struct {
        const char *written, *said;
    } per[] = {{"/hr", "per hour"},       {"/hour", "per hour"},         {"/h", "per hour"},
               {"/mo", "per month"},      {"/month", "per month"},       {"/yr", "per year"},
               {"/year", "per year"},     {"/day", "per day"},           {"/week", "per week"},
               {"/wk", "per week"},       {"/lb", "per pound"},          {"/kg", "per kilogram"},
               {"/GB", "per gigabyte"},   {"/kWh", "per kilowatt hour"}, {"/gal", "per gallon"},
               {"/person", "per person"}, {"/night", "per night"},       {"/user", "per user"},
               {"/mile", "per mile"},     {"/sq ft", "per square foot"}, {"/oz", "per ounce"},
               {"/unit", "per unit"},     {"/share", "per share"},       {"/barrel", "per barrel"},
               {"/ton", "per ton"},       {"/min", "per minute"},        {"/seat", "per seat"},
               {"/bbl", "per barrel"},    {"/L", "per liter"},           {"/l", "per liter"}};
    for (size_t i = 0; i < sizeof per / sizeof *per; i++) {
        size_t got = scan_match(h->s, h->n, end, per[i].written, false);
        if (got && word_ends(h, end + got)) {
            words_add(h->w, per[i].said);
            return len + got;
        }
    }
    return len;
}

/* $5, -$5, $5-$10, $5-10, US$ 5 million. */
static size_t read_money(const struct here *h)
{
    size_t len, end = h->at, sign = scan_dash(h->s, h->n, h->at);
    if (sign && scan_word_before(h->s, h->at))
        sign = 0;
    end += sign + (byte_at(h, end) == '+');
    const struct language_currency *c = english_numbers_currency_at(h, end, &len), *d;
    if (!c)
        return 0;
    end += len;
    end += scan_spaces(h->s, h->n, end) == 1;
    struct language_number x = number_at(h, end, true), y;
    if (!x.len)
        return 0;
    x.sign = sign ? -1 : x.sign;
    end += x.len;
    const char *word;
    size_t magnitude = magnitude_at(h, end, true, &word),
           dash = scan_dash(h->s, h->n, end + magnitude);
    size_t from = end + magnitude + dash, other;
    d = dash ? english_numbers_currency_at(h, from, &other) : NULL;
    y = number_at(h, from + (d == c ? other : 0), false);
    if (dash && y.len && (d == c || !d)) {
        language_say_number(&language_en, &x, NULL, h->w);
        if (magnitude)
            words_add(h->w, word);
        words_add(h->w, "to");
        end = from + (d == c ? other : 0) + y.len;
        return end + say_amount(h, &y, c, end) - h->at;
    }
    return end + say_amount(h, &x, c, end) - h->at;
}

/* 5 USD, 20€, 50¢, 5k, 1.5M, 2.5 million, 10K-20K. */
/* 2,50 EUR: a comma before two digits is a decimal one where a currency follows.  x is what stands
 * before it, and becomes the whole. */
static bool read_comma(const struct here *h, struct language_number *x)
{
    size_t at = h->at + x->len, len;
    if (x->fraction[0] || byte_at(h, at) != ',' || scan_digits(h->s, h->n, at + 1) != 2)
        return false;
    size_t after = at + 3 + scan_spaces(h->s, h->n, at + 3);
    const struct language_currency *c = english_numbers_currency_at(h, after, &len);
    if (!c)
        return false;
    memcpy(x->fraction, h->s + at + 1, 2);
    x->fraction[2] = 0;
    language_say_money(&language_en, x, c, h->w);
    x->len = after + len - h->at;
    return true;
}

static size_t read_amount(const struct here *h)
{
    struct language_number x = number_at(h, h->at, true);
    size_t end = h->at + x.len, gap = scan_spaces(h->s, h->n, end), len;
    const char *word = NULL;
    if (!x.len)
        return 0;
    if (read_comma(h, &x))
        return x.len;
    size_t magnitude = magnitude_at(h, end, false, &word);
    size_t after = end + magnitude, space = scan_spaces(h->s, h->n, after);
    const struct language_currency *c =
        space < 2 ? english_numbers_currency_at(h, after + space, &len) : NULL;
    if (c && !(len == 1 && c->written[0] == '$' && space)) {
        if (magnitude) {
            language_say_number(&language_en, &x, NULL, h->w);
            words_add(h->w, word);
            words_add(h->w, c->unit.other);
        } else {
            language_say_money(&language_en, &x, c, h->w);
        }
        return after + space + len - h->at;
    }
    if (gap || magnitude)
        return 0;
    char letter = byte_at(h, end);
    if (english_is(english_before(h->s, h->at).word, lettered))
        return 0;
    if (!letter || !strchr("kKMBT", letter) || !word_ends(h, end + 1) ||
        (letter == 'T' && x.fraction[0] == 0))
        return 0;
    struct english_context next = english_after(h->s, h->n, end + 1);
    bool name = (letter == 'K' || letter == 'k') &&
                (english_is(x.digits, "4|8") ||
                 english_is(next.word, "run|race|walk|fun|runs|races|marathon"));
    language_say_number(&language_en, &x, NULL, h->w);
    if (name && !x.fraction[0])
        words_add(h->w, "K");
    else
        words_add(h->w, letter == 'M'   ? "million"
                        : letter == 'B' ? "billion"
                        : letter == 'T' ? "trillion"
                                        : "thousand");
    return x.len + 1;
}

/* --- units used as adjectives --- */

/* " - 1" in a line that is an equation. */
static size_t read_minus(const struct here *h)
{
    size_t dash = scan_dash(h->s, h->n, h->at), next = h->at + dash;
    if (!dash || !h->at || h->s[h->at - 1] != ' ' || byte_at(h, next) != ' ' ||
        !scan_word_at(h->s, h->n, next + 1))
        return 0;
    for (size_t i = h->at; i > 0 && h->s[i - 1] != '\n' && h->at - i < 80; i--)
        if (strchr("=^", h->s[i - 1])) {
            words_add(h->w, "minus");
            return dash;
        }
    return 0;
}

size_t english_money(const char *s, size_t n, size_t at, struct words *w)
{
    struct here h = {s, n, at, w};
    return read_money(&h);
}

size_t english_number(const char *s, size_t n, size_t at, struct words *w)
{
    struct here h = {s, n, at, w};
    size_t used = 0;
    char c = s[at];
    if (scan_word_before(s, at) && !((s[at - 1] | 32) == 'v' && !scan_word_before(s, at - 1)))
        return 0;
    if (scan_is_digit(c)) {
        used = read_amount(&h);
    } else {
        used = read_minus(&h);
        if (!used)
            used = read_money(&h);
        if (!used && (c == '-' || c == '+' || (unsigned char)c == 0xe2))
            used = read_amount(&h);
    }
    if (!used)
        words_clear(w);
    return used;
}
