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

void english_say_date(const struct language_date *d, struct words *w)
{
    if (d->month)
        words_add_n(w, language_en.months[d->month - 1],
                    strcspn(language_en.months[d->month - 1], "|"));
    if (d->day)
        english_say_ordinal(d->day, w);
    if (d->year >= 0) {
        if (d->day)
            words_join(w, ",");
        english_say_year(d->year, w);
    }
}

/* Without AM or PM: "three thirty", "fourteen hundred", "nine oh five", "seven o'clock". */
void english_say_time(const struct language_time *t, struct words *w)
{
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

static bool is_whole(const struct language_number *x)
{
    return x->len && !x->fraction[0] && !x->sign && !x->grouped;
}

static long value_of(const struct language_number *x)
{
    return strlen(x->digits) > 9 ? 0 : strtol(x->digits, NULL, 10);
}

static char byte_at(const struct here *h, size_t at)
{
    return at < h->n ? h->s[at] : 0;
}

static bool word_ends(const struct here *h, size_t at)
{
    return !scan_word_at(h->s, h->n, at);
}

/* --- clock times --- */

/* am, a.m., PM: its bytes (with the space before), and what is said. */
static size_t half_at(const struct here *h, size_t at, const char **said)
{
    size_t from = at + scan_spaces(h->s, h->n, at), i = from;
    char c = (char)tolower((unsigned char)byte_at(h, i));
    if ((c != 'a' && c != 'p') || from > at + 1)
        return 0;
    i++;
    bool dots = byte_at(h, i) == '.';
    i += dots +
         (dots && byte_at(h, i + 1) == ' ' && tolower((unsigned char)byte_at(h, i + 2)) == 'm');
    if (tolower((unsigned char)byte_at(h, i)) != 'm' || !word_ends(h, i + 1))
        return 0;
    i++;
    if (dots && byte_at(h, i) == '.') {
        size_t next = i + 1 + scan_spaces(h->s, h->n, i + 1);
        bool ends = next >= h->n || byte_at(h, next) == '\n' ||
                    (next > i + 1 && scan_capital_at(h->s, h->n, next));
        i += !ends; /* else the period is the sentence's */
    }
    *said = c == 'a' ? "A M" : "P M";
    return i - at;
}

static const char zones[] =
    "est|edt|cst|cdt|mst|mdt|pst|pdt|gmt|utc|cet|cest|bst|ist|jst|et|pt|ct|mt|aest";

/* UTC, EST, UTC+2 behind a time. */
static size_t zone_at(const struct here *h, size_t at)
{
    struct english_context c = english_after(h->s, h->n, at);
    size_t len = strlen(c.word);
    if (!c.capital || !len || c.start > at + 1 || !english_is(c.word, zones) ||
        !word_ends(h, c.start + len))
        return 0;
    english_spell(h->s + c.start, len, h->w);
    size_t end = c.start + len;
    if ((byte_at(h, end) == '+' || byte_at(h, end) == '-') && scan_is_digit(byte_at(h, end + 1))) {
        size_t digits = scan_digits(h->s, h->n, end + 1);
        words_add(h->w, byte_at(h, end) == '+' ? "plus" : "minus");
        english_say_int(strtol(h->s + end + 1, NULL, 10), h->w);
        end += 1 + digits;
    }
    return end - at;
}

/* h:mm[:ss] or a bare hour before AM; the clock part only.  0: none. */
static size_t clock_at(const struct here *h, size_t at, struct language_time *t)
{
    size_t len = scan_digits(h->s, h->n, at), end = at + len;
    *t = (struct language_time){.second = -1, .minute = -1};
    if (len < 1 || len > 2)
        return 0;
    t->hour = (int)strtol(h->s + at, NULL, 10);
    if (byte_at(h, end) == ':' && scan_digits(h->s, h->n, end + 1) == 2) {
        t->minute = (int)strtol(h->s + end + 1, NULL, 10);
        end += 3;
        if (byte_at(h, end) == ':' && scan_digits(h->s, h->n, end + 1) == 2) {
            t->second = (int)strtol(h->s + end + 1, NULL, 10);
            end += 3;
        }
    }
    return t->hour <= 24 && t->minute <= 59 && t->second <= 59 ? end - at : 0;
}

/* A clock time, with AM or PM if it has one.  *half: had it? */
static size_t english_numbers_say_clock(const struct here *h, size_t at, bool *half)
{
    struct language_time t;
    const char *said;
    size_t len = clock_at(h, at, &t), after = len ? half_at(h, at + len, &said) : 0;
    *half = after > 0;
    if (!len || (t.minute < 0 && !after) ||
        (after && (t.hour > 12 || t.hour == 0) && t.minute < 0) ||
        (!after && !word_ends(h, at + len)))
        return 0;
    if (!after) {
        english_say_time(&t, h->w);
        return len;
    }
    english_say_int(t.hour, h->w);
    if (t.minute > 0 || t.second > 0)
        say_pair(t.minute, false, h->w);
    if (t.second > 0) {
        words_add(h->w, "and");
        english_say_int(t.second, h->w);
        words_add(h->w, "seconds");
    }
    words_add(h->w, said);
    return len + after;
}

/* The hour before a dash and a time: 9-5pm, 9:30-11. */
static size_t english_numbers_read_time(const struct here *h)
{
    bool half, other;
    struct language_time t;
    const char *said;
    size_t start = h->at, len = clock_at(h, start, &t), dash, second;
    if (!len)
        return 0;
    size_t bare = start + len, after = half_at(h, bare, &said);
    bool range = false;
    dash = bare + after + scan_spaces(h->s, h->n, bare + after);
    if ((second = scan_dash(h->s, h->n, dash)) > 0) {
        struct language_time u;
        size_t to = dash + second + scan_spaces(h->s, h->n, dash + second),
               l2 = clock_at(h, to, &u);
        bool half2 = l2 && half_at(h, to + l2, &said) > 0;
        range = l2 && (half2 || (u.minute >= 0 && (t.minute >= 0 || after))) &&
                (half2 || word_ends(h, to + l2));
        if (range && t.minute <= 0 && t.second < 0 && !after)
            english_say_int(t.hour, h->w);
        else if (range && !english_numbers_say_clock(h, start, &half))
            return 0;
        if (range) {
            words_add(h->w, "to");
            size_t l3 = english_numbers_say_clock(h, to, &other);
            return l3 ? to + l3 + zone_at(h, to + l3) - start : 0;
        }
    }
    if (t.minute >= 0 && byte_at(h, bare) == ':')
        return 0; /* a MAC address or the like */
    len = english_numbers_say_clock(h, start, &half);
    return len ? len + zone_at(h, start + len) : 0;
}

/* --- dates --- */

/* Bytes of the name of a month at s[at]. */
static size_t english_numbers_month_at(const struct here *h, size_t at, int *month)
{
    size_t best = 0;
    if (!strchr("JFMASOND", byte_at(h, at) & ~32))
        return 0;
    for (int m = 0; m < 12; m++)
        for (const char *name = language_en.months[m]; *name;) {
            size_t len = strcspn(name, "|"), i = 0;
            while (i < len && at + i < h->n && (h->s[at + i] | 32) == (name[i] | 32))
                i++;
            if (i == len && len > best && word_ends(h, at + len)) {
                best = len;
                *month = m + 1;
            }
            name += len + (name[len] == '|');
        }
    return best;
}

/* Day numbers with their endings, up to 31. */
static size_t day_at(const struct here *h, size_t at, int *day)
{
    size_t len = scan_digits(h->s, h->n, at), end = at + len;
    long x = strtol(len ? h->s + at : "0", NULL, 10);
    if (len < 1 || len > 2 || x < 1 || x > 31)
        return 0;
    *day = (int)x;
    for (const char *p = "stndrdth"; *p; p += 2)
        if ((byte_at(h, end) | 32) == p[0] && (byte_at(h, end + 1) | 32) == p[1] &&
            word_ends(h, end + 2))
            return end + 2 - at;
    return word_ends(h, end) ? len : 0;
}

/* A year after a date: ", 2020", " 2020", " '99". */
static size_t english_numbers_year_at(const struct here *h, size_t at, int *year)
{
    size_t end = at + (byte_at(h, at) == ',');
    size_t spaces = scan_spaces(h->s, h->n, end);
    end += spaces;
    if (!spaces)
        return 0;
    bool quote = byte_at(h, end) == '\'';
    size_t len = scan_digits(h->s, h->n, end + quote);
    if (len != (quote ? 2u : 4u) || !word_ends(h, end + quote + len) ||
        byte_at(h, end + len) == ':' ||
        (byte_at(h, end + len) == '.' && scan_is_digit(byte_at(h, end + len + 1))) ||
        (byte_at(h, end + len) == ',' && scan_digits(h->s, h->n, end + len + 1) == 3))
        return 0;
    *year = (int)strtol(h->s + end + quote, NULL, 10);
    return end + quote + len - at;
}

/* Mon, Tues., Thurs: its bytes without the period, and the whole name. */
static size_t weekday_at(const struct here *h, size_t at, const char **name)
{
    static const struct {
        const char *written, *said;
    } days[] = {{"Sun", "Sunday"},   {"Mon", "Monday"},    {"Tue", "Tuesday"},
                {"Tues", "Tuesday"}, {"Wed", "Wednesday"}, {"Weds", "Wednesday"},
                {"Thu", "Thursday"}, {"Thur", "Thursday"}, {"Thurs", "Thursday"},
                {"Fri", "Friday"},   {"Sat", "Saturday"}};
    for (size_t i = sizeof days / sizeof *days; i-- > 0;) {
        size_t len = scan_match(h->s, h->n, at, days[i].written, false);
        if (!len || !word_ends(h, at + len))
            continue;
        *name = days[i].said;
        return len;
    }
    return 0;
}

/* Mon-Fri; Mon, Jan 5; Tues. at 9 */
static size_t read_weekday(const struct here *h)
{
    const char *name = "", *other = "";
    int month;
    size_t len = weekday_at(h, h->at, &name), end = h->at + len;
    if (!len)
        return 0;
    bool period = byte_at(h, end) == '.';
    size_t dash = scan_dash(h->s, h->n, end + period), to = end + period + dash;
    size_t second = dash ? weekday_at(h, to, &other) : 0;
    if (second) {
        words_add(h->w, name);
        words_add(h->w, "to");
        words_add(h->w, other);
        return to + second + (byte_at(h, to + second) == '.' && period) - h->at;
    }
    size_t next = end + period + (byte_at(h, end + period) == ',');
    next += scan_spaces(h->s, h->n, next);
    struct english_context after = english_after(h->s, h->n, end + period);
    bool sure = english_numbers_month_at(h, next, &month) || scan_is_digit(byte_at(h, next)) ||
                (period && (english_is(after.word, "at|from|and|to|the|morning|evening|night")));
    bool name_word = len > 3 || english_is(name, "Monday|Tuesday|Thursday|Friday");
    if (!sure && !(period && name_word))
        return 0;
    words_add(h->w, name);
    bool ends = period && (next >= h->n || byte_at(h, next) == '\n');
    return len + (period && !ends);
}

size_t english_month(const char *s, size_t n, size_t at, struct words *w)
{
    struct here h = {s, n, at, w};
    struct language_date d = {.year = -1};
    size_t len = english_numbers_month_at(&h, at, &d.month), end = at + len, day, year;
    if (!len)
        return scan_is_upper(s[at]) ? read_weekday(&h) : 0;
    bool period = byte_at(&h, end) == '.', capital = scan_is_upper(s[at]);
    int other = 0;
    size_t span = capital ? scan_dash(s, n, end + period) : 0;
    size_t second_month = span && scan_is_upper(byte_at(&h, end + period + span))
                              ? english_numbers_month_at(&h, end + period + span, &other)
                              : 0;
    if (second_month) { /* Jan-Mar */
        words_add_n(w, language_en.months[d.month - 1],
                    strcspn(language_en.months[d.month - 1], "|"));
        words_add(w, "to");
        words_add_n(w, language_en.months[other - 1], strcspn(language_en.months[other - 1], "|"));
        return end + period + span + second_month - at;
    }
    bool may_be_word = english_is(language_en.months[d.month - 1], "May") || (!capital && len < 4);
    size_t gap = scan_spaces(s, n, end + period);
    if (!gap)
        return 0;
    size_t from = end + period + gap;
    if ((day = day_at(&h, from, &d.day)) > 0 && byte_at(&h, from + day) != ':' &&
        !(byte_at(&h, from + day) == '.' && scan_is_digit(byte_at(&h, from + day + 1))) &&
        (capital || !may_be_word)) {
        end = from + day;
        size_t dash = scan_dash(s, n, end), to = end + dash, second = 0;
        int last = 0;
        if (dash)
            second = day_at(&h, to, &last);
        if (second) { /* January 5-7 */
            english_say_date(&d, w);
            words_add(w, "to");
            english_say_ordinal(last, w);
            end = to + second;
            if ((year = english_numbers_year_at(&h, end, &d.year)) > 0) {
                words_join(w, ",");
                english_say_year(d.year, w);
            }
            return end + year - at;
        }
        year = english_numbers_year_at(&h, end, &d.year);
        english_say_date(&d, w);
        return end + year - at;
    }
    d.day = 0;
    size_t before_year = end + period;
    if ((year = english_numbers_year_at(&h, before_year, &d.year)) > 0) {
        english_say_date(&d, w);
        return before_year + year - at;
    }
    return 0;
}

/* 5 January 2020, 5th of January, 05-Jan-2020. */
static size_t english_numbers_read_day_month(const struct here *h)
{
    struct language_date d = {.year = -1};
    size_t day = day_at(h, h->at, &d.day), end = h->at + day, month;
    bool dashed = day && byte_at(h, end) == '-';
    if (!day || (byte_at(h, end) != ' ' && !dashed))
        return 0;
    end += dashed ? 1 : scan_spaces(h->s, h->n, end);
    end += scan_match(h->s, h->n, end, "of ", false);
    if (!scan_is_upper(byte_at(h, end)) || !(month = english_numbers_month_at(h, end, &d.month)))
        return 0;
    end += month;
    if (byte_at(h, end) == '.' && byte_at(h, end + 1) == ' ')
        end++;
    size_t year = 0;
    if (dashed && byte_at(h, end) == '-' && scan_digits(h->s, h->n, end + 1) >= 2) {
        size_t digits = scan_digits(h->s, h->n, end + 1);
        d.year = (int)strtol(h->s + end + 1, NULL, 10);
        d.year += digits == 2 ? (d.year < 70 ? 2000 : 1900) : 0;
        year = 1 + digits;
    } else if (!dashed) {
        year = english_numbers_year_at(h, end, &d.year);
    } else {
        return 0;
    }
    if (!english_is(english_before(h->s, h->at).word, "the"))
        words_add(h->w, "the");
    english_say_ordinal(d.day, h->w);
    words_add(h->w, "of");
    d.day = 0;
    english_say_date(&d, h->w);
    return end + year - h->at;
}

/* 2020-01-05T14:30:00Z and its kin. */
static size_t read_timestamp(const struct here *h)
{
    size_t end = h->at + 10;
    const char *s = h->s + h->at;
    if (h->n - h->at < 16 || scan_digits(h->s, h->n, h->at) != 4 || s[4] != '-' || s[7] != '-' ||
        (s[10] != 'T' && s[10] != ' ') || !scan_is_digit(s[5]) || !scan_is_digit(s[8]))
        return 0;
    struct language_date d = {(int)strtol(s, NULL, 10), (int)strtol(s + 5, NULL, 10),
                              (int)strtol(s + 8, NULL, 10), NULL};
    struct language_time t;
    size_t len = clock_at(h, end + 1, &t);
    if (!len || t.minute < 0 || d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31)
        return 0;
    end += 1 + len;
    if (byte_at(h, end) == '.' && scan_is_digit(byte_at(h, end + 1)))
        end += 1 + scan_digits(h->s, h->n, end + 1);
    english_say_date(&d, h->w);
    words_add(h->w, "at");
    english_say_time(&t, h->w);
    if (byte_at(h, end) == 'Z') {
        words_add(h->w, "U T C");
        end++;
    } else if (strchr("+-", byte_at(h, end)) && byte_at(h, end) && clock_at(h, end + 1, &t) == 5) {
        words_add(h->w, byte_at(h, end) == '+' ? "U T C plus" : "U T C minus");
        english_say_int(t.hour, h->w);
        end += 6;
    }
    return end - h->at;
}

/* --- years --- */

static bool is_era(const struct here *h, size_t at)
{
    struct english_context c = english_after(h->s, h->n, at);
    return english_is(c.word, "ad|bc|bce|ce") && c.capital;
}

/* Is the four-digit number of [at, at+4) a year?  It is unless something counted follows. */
static bool is_year(const struct here *h, size_t at, long x)
{
    struct english_context before = english_before(h->s, at),
                           after = english_after(h->s, h->n, at + 4);
    size_t len = strlen(after.word);
    bool adjacent = after.start == at + 5;
    if (x < 1100 || x > 2099)
        return x >= 1000 && x <= 2199 && english_is(before.word, "in|year|since|until|circa") &&
               !(adjacent && len && after.word[len - 1] == 's');
    if (before.start < at && (byte_at(h, at - 1) == '$' || byte_at(h, at - 1) == '#'))
        return false;
    bool counted =
        adjacent && ((len > 3 && after.word[len - 1] == 's' && after.word[len - 2] != 's' &&
                      !english_is(after.word, "was|this|his|its|elections|olympics|games")) ||
                     english_is(after.word, "people|men|women|children|or|percent|million|"
                                            "billion|thousand|feet|more|other|different"));
    if (english_is(before.word,
                   "about|over|under|nearly|almost|approximately|some|than|least|most|only|"
                   "exactly|roughly|another|all"))
        return false;
    return !counted || (english_is(before.word, "in|since|until|year|circa") && before.start < at &&
                        !english_is(after.word, "people|men|women|children|feet|million"));
}

/* 1914-1918, 2019-20, 1984 BC, 1990s, 1984. */
static size_t read_year(const struct here *h)
{
    size_t len = scan_digits(h->s, h->n, h->at), end = h->at + len;
    if (len != 4 || h->s[h->at] == '0')
        return 0;
    long x = strtol((char[5]){h->s[h->at], h->s[h->at + 1], h->s[h->at + 2], h->s[h->at + 3], 0},
                    NULL, 10);
    if (byte_at(h, end) == '.' || (byte_at(h, end) == ',' && scan_is_digit(byte_at(h, end + 1))))
        if (scan_is_digit(byte_at(h, end + 1)))
            return 0;
    if (!word_ends(h, end) || byte_at(h, end) == '%' || byte_at(h, end) == ':' ||
        byte_at(h, end) == '/')
        return 0;
    size_t dash = scan_dash(h->s, h->n, end), digits = scan_digits(h->s, h->n, end + dash);
    if (dash && (digits == 4 || digits == 2) && x >= 1000 && x <= 2100 &&
        word_ends(h, end + dash + digits)) {
        long y = strtol(h->s + end + dash, NULL, 10);
        bool span = digits == 4 ? y >= x && y - x < 400 && y <= 2200 : y > x % 100 && y <= 99;
        if (span && byte_at(h, end + dash + digits) != '-') {
            english_say_year((int)x, h->w);
            words_add(h->w, "to");
            if (digits == 4)
                english_say_year((int)y, h->w);
            else
                say_pair((int)y, false, h->w);
            return 4 + dash + digits;
        }
    }
    if (dash && digits)
        return 0; /* 2020-01-05 */
    bool alone = h->at && h->s[h->at - 1] == '(' && byte_at(h, end) == ')' && x < 2100; /* (1066) */
    if (!is_era(h, end) && !alone && !is_year(h, h->at, x))
        return 0;
    english_say_year((int)x, h->w);
    return 4;
}

/* 1990s, 80s, 1900s, '90s (the apostrophe stays outside). */
static size_t read_decade(const struct here *h)
{
    static const char *const tens[] = {"",        "tens",    "twenties",  "thirties", "forties",
                                       "fifties", "sixties", "seventies", "eighties", "nineties"};
    size_t len = scan_digits(h->s, h->n, h->at), end = h->at + len;
    size_t quote = byte_at(h, end) == '\'';
    if ((len != 4 && len != 2) || h->s[end - 1] != '0' || byte_at(h, end + quote) != 's' ||
        !word_ends(h, end + quote + 1))
        return 0;
    long x = strtol(h->s + h->at, NULL, 10);
    int ten = (int)(x % 100 / 10);
    if (len == 2 && ten == 0)
        return 0;
    if (len == 4 && ten == 0) {
        english_say_int(x % 1000 == 0 ? x / 1000 : x / 100, h->w);
        words_add(h->w, x % 1000 == 0 ? "thousands" : "hundreds");
    } else {
        if (len == 4)
            english_say_int(x / 100, h->w);
        words_add(h->w, tens[ten]);
    }
    return len + quote + 1;
}

/* --- fractions --- */

static void say_denominator(long d, bool many, struct words *w)
{
    if (d == 2 || d == 4) {
        words_add(w, d == 2 ? (many ? "halves" : "half") : many ? "quarters" : "quarter");
        return;
    }
    english_say_ordinal(d, w);
    if (many)
        words_join(w, "s");
}

/* The fraction n/d at s[at], or a sign like ½: its bytes. */
static size_t fraction_at(const struct here *h, size_t at, long *num, long *den)
{
    static const struct {
        const char *sign;
        int num, den;
    } signs[] = {{"½", 1, 2}, {"⅓", 1, 3}, {"⅔", 2, 3}, {"¼", 1, 4}, {"¾", 3, 4}, {"⅕", 1, 5},
                 {"⅖", 2, 5}, {"⅗", 3, 5}, {"⅘", 4, 5}, {"⅙", 1, 6}, {"⅚", 5, 6}, {"⅐", 1, 7},
                 {"⅛", 1, 8}, {"⅜", 3, 8}, {"⅝", 5, 8}, {"⅞", 7, 8}, {"⅑", 1, 9}, {"⅒", 1, 10}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (scan_match(h->s, h->n, at, signs[i].sign, false)) {
            *num = signs[i].num;
            *den = signs[i].den;
            return strlen(signs[i].sign);
        }
    size_t a = scan_digits(h->s, h->n, at), b = scan_digits(h->s, h->n, at + a + 1);
    if (a < 1 || a > 3 || byte_at(h, at + a) != '/' || b < 1 || b > 4 || h->s[at] == '0' ||
        h->s[at + a + 1] == '0' || !word_ends(h, at + a + 1 + b) ||
        byte_at(h, at + a + 1 + b) == '/' ||
        (byte_at(h, at + a + 1 + b) == '.' && scan_is_digit(byte_at(h, at + a + 2 + b))))
        return 0;
    *num = strtol(h->s + at, NULL, 10);
    *den = strtol(h->s + at + a + 1, NULL, 10);
    return a + 1 + b;
}

static void english_numbers_say_fraction(long num, long den, struct words *w)
{
    if (num >= den || den > 100 || den == 1) {
        english_say_int(num, w);
        words_add(w, "over");
        english_say_int(den, w);
        return;
    }
    english_say_int(num, w);
    say_denominator(den, num != 1, w);
}

/* A date without a year: 12/25 after "on" and its kin. */
static bool is_month_day(const struct here *h, long month, long day)
{
    const char *before = english_before(h->s, h->at).word;
    return month >= 1 && month <= 12 && day >= 1 && day <= 31 &&
           english_is(before,
                      "on|by|until|till|since|before|after|due|dated|date|monday|tuesday|wednesday|"
                      "thursday|friday|saturday|sunday|from|starting|ending|mon|tue|tues|wed|thu|"
                      "thurs|fri|sat|sun");
}

/* 12/25 is one too, where nobody would count in such parts. */
static bool is_calendar_day(const struct here *h, size_t end, long month, long day)
{
    bool parts = day == 16 || (month == 1 && (day == 20 || day == 24 || day == 25 || day == 30));
    return month <= 12 && day > 12 && day <= 31 && !parts &&
           !english_is(english_after(h->s, h->n, end).word, "of|inch|inches|mile|miles");
}

static bool is_rating(const struct here *h, size_t end, long num, long den)
{
    struct english_context before = english_before(h->s, h->at),
                           after = english_after(h->s, h->n, end);
    if (english_is(after.word,
                   "of|mile|miles|inch|inches|cup|cups|teaspoon|tsp|tbsp|tablespoon|pound"))
        return false;
    return (den == 10 || (den == 100 && num > 1) || den == 5) && num <= den &&
           (den != 5 || english_is(after.word, "star|stars|rating|score|points") ||
            english_is(before.word, "rated|rating|score|scored|scores|gave|stars|rate"));
}

/* The unit behind a fraction, said in one form or the other: its bytes. */
static size_t say_unit_after(const struct here *h, size_t at, bool many)
{
    const struct language_unit *best = NULL;
    size_t gap = scan_spaces(h->s, h->n, at), len = 0;
    for (const struct language_unit *u = language_en.units; gap < 2 && u->written; u++) {
        size_t got = scan_match(h->s, h->n, at + gap, u->written, false);
        bool letter = got && scan_is_alpha(u->written[got - 1]);
        if (got > len && !(letter && scan_word_at(h->s, h->n, at + gap + got)) &&
            (got > 1 || (unsigned char)u->written[0] >= 0x80)) {
            best = u;
            len = got;
        }
    }
    if (!best)
        return 0;
    words_add(h->w, many || !best->said.one ? best->said.other : best->said.one);
    return gap + len;
}

/* 1/2, 1 1/2, 2½, 9/11, 24/7, 10/10, 12/25. */
static size_t read_fraction(const struct here *h)
{
    long num, den;
    size_t len = fraction_at(h, h->at, &num, &den);
    if (!len) { /* a whole number before it */
        struct language_number x = number_at(h, h->at, false);
        size_t gap = is_whole(&x) ? scan_spaces(h->s, h->n, h->at + x.len) : 2;
        gap += gap == 0 && byte_at(h, h->at + x.len) == '-';
        size_t from = h->at + x.len + gap;
        if (gap > 1 || !(len = fraction_at(h, from, &num, &den)) || num >= den || den > 64 ||
            (gap == 0 && scan_is_digit(byte_at(h, from))))
            return 0;
        language_say_number(&language_en, &x, NULL, h->w);
        words_add(h->w, num != 1 ? "and" : den == 8 || den == 11 || den == 18 ? "and an" : "and a");
        if (num != 1)
            english_say_int(num, h->w);
        say_denominator(den, num != 1, h->w);
        return x.len + gap + len + say_unit_after(h, h->at + x.len + gap + len, true);
    }
    bool digits = scan_is_digit(h->s[h->at]);
    if (digits &&
        ((num == 24 && den == 7) || (num == 9 && den == 11) || (num == den && num > 10))) {
        english_say_int(num, h->w);
        english_say_int(den, h->w);
    } else if (digits && (is_month_day(h, num, den) || is_calendar_day(h, h->at + len, num, den))) {
        struct language_date d = {-1, (int)num, (int)den, NULL};
        english_say_date(&d, h->w);
    } else if (digits && is_rating(h, h->at + len, num, den)) {
        english_say_int(num, h->w);
        words_add(h->w, "out of");
        english_say_int(den, h->w);
    } else {
        english_numbers_say_fraction(num, den, h->w);
        len += say_unit_after(h, h->at + len, num >= den);
    }
    return len;
}

/* --- phones, codes and other strings of digits --- */

/* The next group of digits behind one of the separators; its start, or 0. */
static size_t next_group(const struct here *h, size_t at, const char *separators)
{
    return byte_at(h, at) && strchr(separators, byte_at(h, at)) && scan_is_digit(byte_at(h, at + 1))
               ? at + 1
               : 0;
}

static void say_groups(const struct here *h, size_t from, size_t end)
{
    while (from < end) {
        size_t len = scan_digits(h->s, end, from);
        if (len == 3 && memcmp(h->s + from, "800", 3) == 0)
            words_add(h->w, "eight hundred");
        else
            english_say_digits(h->s + from, len, h->w);
        from += len;
        while (from < end && !scan_is_digit(h->s[from]))
            from++;
        if (from < end)
            words_join(h->w, ",");
    }
}

/* Extension behind a phone number: x123, ext. 5. */
static size_t extension_at(const struct here *h, size_t at)
{
    size_t gap = scan_spaces(h->s, h->n, at) + (byte_at(h, at) == ','), from = at + gap;
    from += from > at && byte_at(h, from) == ' ';
    size_t len = scan_match(h->s, h->n, from, "extension", true);
    if (!len)
        len = scan_match(h->s, h->n, from, "ext", true);
    if (!len)
        len = scan_match(h->s, h->n, from, "x", true);
    size_t digits = from + len + (byte_at(h, from + len) == '.');
    digits += scan_spaces(h->s, h->n, digits);
    size_t n = len ? scan_digits(h->s, h->n, digits) : 0;
    if (!n || n > 6)
        return 0;
    words_join(h->w, ",");
    words_add(h->w, "extension");
    english_say_digits(h->s + digits, n, h->w);
    return digits + n - at;
}

/* (555) 123-4567, 555-123-4567, 1-800-555-0199, 555-1234, 1-800-FLOWERS. */
static size_t english_numbers_read_phone(const struct here *h)
{
    size_t at = h->at, end = at, n_group = 0, sizes[5] = {0};
    if (byte_at(h, at) == '+')
        return 0;
    if (byte_at(h, at) == '1' && strchr("- .", byte_at(h, at + 1)) && byte_at(h, at + 1))
        end = at + 2;
    if (byte_at(h, end) == '(') {
        if (scan_digits(h->s, h->n, end + 1) != 3 || byte_at(h, end + 4) != ')')
            return 0;
        sizes[n_group++] = 3;
        end += 5;
        end += byte_at(h, end) == ' ' || byte_at(h, end) == '-';
    }
    while (n_group < 4) {
        size_t len = scan_digits(h->s, h->n, end), next;
        sizes[n_group++] = len;
        end += len;
        if (!len || !(next = next_group(h, end, "-. ")))
            break;
        end = next;
    }
    bool ten = n_group == 3 && sizes[0] == 3 && sizes[1] == 3 && sizes[2] == 4;
    bool seven = n_group == 2 && sizes[0] == 3 && sizes[1] == 4 && byte_at(h, at + 3) == '-' &&
                 memcmp(h->s + at + 1, "00", 2) != 0;
    bool letters =
        n_group == 2 && sizes[0] == 3 && sizes[1] == 0 && end > at + 4 && byte_at(h, at + 1) == '-';
    if ((!ten && !seven) || !word_ends(h, end) || letters || byte_at(h, end) == '-')
        return 0;
    say_groups(h, at + (byte_at(h, at) == '('), end);
    return end + extension_at(h, end) - at;
}

/* 978-3-16-148410-0, 123-45-6789, 4111 1111 1111 1111, 12:34:56:78:9A:BC. */
static size_t english_numbers_read_groups(const struct here *h)
{
    size_t end = h->at, groups = 0, digits = 0;
    bool fours = true;
    char separator = 0;
    for (;;) {
        size_t len = scan_digits(h->s, h->n, end);
        if (!len)
            break;
        fours = fours && len == 4;
        digits += len;
        end += len;
        groups++;
        char c = byte_at(h, end);
        if ((c != '-' && c != ' ') || (separator && c != separator) ||
            !scan_is_digit(byte_at(h, end + 1)))
            break;
        separator = c;
        end++;
    }
    if (separator == '-' && groups >= 3 && groups <= 8 && byte_at(h, end) == 'X' &&
        word_ends(h, end + 1)) {
        say_groups(h, h->at, end);
        words_add(h->w, "X");
        return end + 1 - h->at;
    }
    size_t first = scan_digits(h->s, h->n, h->at), last = 0;
    while (last < 5 && last < end - h->at && scan_is_digit(h->s[end - 1 - last]))
        last++;
    if (separator == '-' && groups == 3 && digits <= 8 && (first == 4 || (first <= 2 && last == 4)))
        return 0; /* a date */
    bool cards = separator == ' ' && groups >= 3 && fours;
    bool codes =
        separator == '-' && ((groups >= 3 && groups <= 8) ||
                             (groups == 2 && first >= 3 && h->s[h->at] == '0')); /* 00123-45 */
    if (!(cards || codes) || !word_ends(h, end) || digits > 40)
        return 0;
    say_groups(h, h->at, end);
    return end - h->at;
}

/* A run of digits that is a name, not a quantity. */
static size_t read_code(const struct here *h)
{
    size_t len = scan_digits(h->s, h->n, h->at), end = h->at + len;
    if (!len || !word_ends(h, end) ||
        (byte_at(h, end) == '.' && scan_is_digit(byte_at(h, end + 1))) ||
        (byte_at(h, end) == ',' && scan_digits(h->s, h->n, end + 1) == 3))
        return 0;
    struct english_context before = english_before(h->s, h->at);
    bool gap = before.start < h->at && before.word[0];
    if (len == 3 && gap &&
        english_is(before.word, "call|dial|dialed|called|calling|dialing|tel|phone|telephone") &&
        byte_at(h, h->at + 1) == '1') {
        english_say_digits(h->s + h->at, len, h->w);
        return len;
    }
    if (gap && len >= 3 && len <= 4 &&
        english_is(before.word, "room|flight|route|highway|bus|apt|apartment|suite|port|interstate|"
                                "building|unit|ste|hwy|extension|ext|http|error|status|boeing|"
                                "airbus|gate|exit")) {
        english_say_code(h->s + h->at, len, h->w);
        return len;
    }
    if (len == 3 && gap && before.capital && memcmp(h->s + h->at, "101", 3) == 0 && before.start) {
        words_add(h->w, "one oh one");
        return len;
    }
    if (gap &&
        english_is(before.word, "zip|pin|code|zipcode|passcode|isbn|serial|account|otp|id")) {
        english_say_digits(h->s + h->at, len, h->w);
        return len;
    }
    if (len == 5 && gap && before.capital && strlen(before.word) == 2 && before.start > 1 &&
        h->s[before.start - 2] == ',') { /* Springfield, IL 62704 */
        english_say_digits(h->s + h->at, len, h->w);
        return len;
    }
    size_t zeros = 0;
    while (zeros < len && h->s[end - 1 - zeros] == '0')
        zeros++;
    if (len >= 10 && zeros < 6) {
        english_say_digits(h->s + h->at, len, h->w);
        return len;
    }
    return 0;
}

/* --- versions, addresses of the net --- */

static const char versioned[] =
    "version|versions|v|ver|release|ios|android|python|node|ubuntu|java|php|ruby|go|golang|rust|"
    "chrome|firefox|safari|windows|macos|linux|kernel|django|postgres|postgresql|mysql|gcc|clang|"
    "llvm|cuda|pytorch|tensorflow|kubernetes|docker|debian|fedora|swift|kotlin|angular|react|vue|"
    "bluetooth|usb|http|tls|ssl|gpt|claude|llama|gemini|section|chapter|figure|fig|table|npm|"
    "redis|nginx|flask|rails|numpy|typescript|javascript|perl|bash|git|openssl|glibc|cmake|qt|"
    "gtk|gnome|kde|excel|unity|unreal|edition";

/* Numbers with points between them: addresses "dot", versions "point". */
static size_t english_numbers_read_dotted(const struct here *h)
{
    size_t end = h->at, parts = 0;
    bool bytes = true,
         prefix = h->at && ((h->s[h->at - 1] | 32) == 'v' || strchr("@=", h->s[h->at - 1]));
    for (;;) {
        size_t len = scan_digits(h->s, h->n, end);
        if (!len || len > 6)
            return 0;
        bytes = bytes && len <= 3 && strtol(h->s + end, NULL, 10) < 256;
        end += len;
        parts++;
        if (byte_at(h, end) != '.' || !scan_is_digit(byte_at(h, end + 1)))
            break;
        end++;
    }
    struct english_context before = english_before(h->s, h->at);
    bool version = (before.start < h->at && english_is(before.word, versioned)) || prefix;
    if (!word_ends(h, end) && !(byte_at(h, end) == 'x'))
        return 0;
    if (parts < 3 && !(parts == 2 && version && byte_at(h, end) != '%'))
        return 0;
    bool address = parts == 4 && bytes && !version;
    if (parts == 3 && end - h->at >= 8 && h->s[end - 5] == '.' && strchr("12", h->s[end - 4]) &&
        strtol(h->s + h->at, NULL, 10) <= 31)
        return 0; /* 3.5.2021 */
    if (parts == 3 && end - h->at == 10 && h->s[h->at + 4] == '.' && strchr("12", h->s[h->at]))
        return 0; /* 2021.05.03 */
    for (size_t from = h->at; from < end;) {
        size_t len = scan_digits(h->s, h->n, from);
        if (from > h->at)
            words_add(h->w, address ? "dot" : "point");
        if (address && len == 3)
            english_say_code(h->s + from, len, h->w);
        else if (len > 1 && (h->s[from] == '0' || len > 4))
            english_say_digits(h->s + from, len, h->w);
        else
            english_say_int(strtol(h->s + from, NULL, 10), h->w);
        from += len + 1;
    }
    if (address && byte_at(h, end) == ':' && scan_is_digit(byte_at(h, end + 1))) {
        size_t len = scan_digits(h->s, h->n, end + 1);
        words_add(h->w, "port");
        english_say_code(h->s + end + 1, len, h->w);
        end += 1 + len;
    }
    if (address && byte_at(h, end) == '/' && scan_is_digit(byte_at(h, end + 1))) {
        words_add(h->w, "slash");
        english_say_int(strtol(h->s + end + 1, NULL, 10), h->w);
        end += 1 + scan_digits(h->s, h->n, end + 1);
    }
    return end - h->at;
}

/* --- sizes, ratios, powers --- */

static bool is_adjective(const struct here *h, size_t end);

/* 1920x1080, 2 x 4, 3×5×7 and 10x. */
static size_t read_by(const struct here *h)
{
    struct language_number x = number_at(h, h->at, false);
    size_t end = h->at + x.len, parts = 1, gap, len;
    bool screen = strlen(x.digits) == 4 && is_whole(&x);
    if (!x.len)
        return 0;
    for (;;) {
        gap = scan_spaces(h->s, h->n, end);
        len = scan_match(h->s, h->n, end + gap, "x", true);
        if (!len)
            len = scan_match(h->s, h->n, end + gap, "×", false);
        size_t after = end + gap + len + scan_spaces(h->s, h->n, end + gap + len);
        struct language_number y = number_at(h, after, false);
        if (!len || !y.len || gap > 1)
            break;
        size_t stop = after + y.len;
        if (byte_at(h, stop) == '^' ||
            scan_match(h->s, h->n, stop + scan_spaces(h->s, h->n, stop), "=", 0))
            return 0; /* 6 × 10^23, 3 × 4 = 12 */
        if (parts == 1 && screen)
            english_say_code(x.digits, 4, h->w);
        else if (parts == 1)
            language_say_number(&language_en, &x, NULL, h->w);
        words_add(h->w, "by");
        if (screen && strlen(y.digits) >= 3 && strlen(y.digits) <= 4)
            english_say_code(y.digits, strlen(y.digits), h->w);
        else
            language_say_number(&language_en, &y, NULL, h->w);
        end = stop;
        parts++;
    }
    if (parts > 1)
        return end + say_unit_after(h, end, !is_adjective(h, end)) - h->at;
    if (gap == 0 && byte_at(h, end) == 'x' && word_ends(h, end + 1) && !x.grouped) {
        struct english_context next = english_after(h->s, h->n, end + 1);
        bool times =
            english_is(next.word, "faster|slower|more|less|better|bigger|larger|smaller|cheaper|"
                                  "higher|as|the|longer|stronger|a|per|worse|greater|quicker");
        language_say_number(&language_en, &x, NULL, h->w);
        words_add(h->w, times ? "times" : "X");
        return x.len + 1;
    }
    return 0;
}

/* 16:9, 3:1, and chapter:verse; not times. */
static size_t read_ratio(const struct here *h)
{
    size_t a = scan_digits(h->s, h->n, h->at), b = scan_digits(h->s, h->n, h->at + a + 1);
    size_t end = h->at + a + 1 + b;
    if (!a || a > 4 || byte_at(h, h->at + a) != ':' || !b || b > 4 || !word_ends(h, end) ||
        byte_at(h, end) == ':')
        return 0;
    struct english_context before = english_before(h->s, h->at);
    bool verse =
        before.start < h->at && before.capital &&
        english_is(before.word, "genesis|exodus|leviticus|numbers|deuteronomy|joshua|judges|ruth|"
                                "samuel|kings|job|psalm|psalms|proverbs|isaiah|jeremiah|ezekiel|"
                                "daniel|hosea|matthew|mark|luke|john|acts|romans|corinthians|"
                                "galatians|ephesians|philippians|colossians|timothy|titus|hebrews|"
                                "james|peter|jude|revelation|ecclesiastes|quran|surah");
    long x = strtol(h->s + h->at, NULL, 10), y = strtol(h->s + h->at + a + 1, NULL, 10);
    if (!verse && b == 2 && x <= 24 && y <= 59)
        return 0;
    english_say_int(x, h->w);
    words_add(h->w, verse ? "" : "to");
    english_say_int(y, h->w);
    size_t dash = scan_dash(h->s, h->n, end),
           more = verse && dash ? scan_digits(h->s, h->n, end + dash) : 0;
    if (more) {
        words_add(h->w, "to");
        english_say_int(strtol(h->s + end + dash, NULL, 10), h->w);
        end += dash + more;
    }
    return end - h->at;
}

/* The power written at s[at], ^23, ^{-3}, ²³: its bytes and value. */
static size_t power_at(const struct here *h, size_t at, long *power)
{
    static const char *const supers[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    size_t end = at;
    bool minus = false, any = false;
    *power = 0;
    if (byte_at(h, at) == '^') {
        end++;
        bool brace = byte_at(h, end) == '{' || byte_at(h, end) == '(';
        end += brace;
        minus = byte_at(h, end) == '-' || scan_match(h->s, h->n, end, "−", false);
        end += byte_at(h, end) == '-' ? 1 : minus ? 3 : 0;
        size_t digits = scan_digits(h->s, h->n, end);
        if (!digits || digits > 4)
            return 0;
        *power = strtol(h->s + end, NULL, 10);
        end += digits + brace;
        *power = minus ? -*power : *power;
        return end - at;
    }
    size_t sign = scan_match(h->s, h->n, at, "⁻", false);
    end += sign;
    for (size_t i = 0; i < 10 && *power < 1000; i++) {
        size_t len = scan_match(h->s, h->n, end, supers[i], false);
        if (len) {
            *power = *power * 10 + (long)i;
            end += len;
            any = true;
            i = (size_t)-1;
        }
    }
    *power = sign ? -*power : *power;
    return any ? end - at : 0;
}

static void say_power(long power, struct words *w)
{
    if (power == 2 || power == 3) {
        words_add(w, power == 2 ? "squared" : "cubed");
        return;
    }
    words_add(w, "to the power of");
    if (power < 0)
        words_add(w, "minus");
    english_say_int(labs(power), w);
}

/* 6.02e23, 6.02×10^23, 2^10, 10². */
static size_t read_scientific(const struct here *h)
{
    struct language_number x = number_at(h, h->at, true);
    size_t end = h->at + x.len, gap, len;
    long power;
    if (!x.len)
        return 0;
    if ((byte_at(h, end) | 32) == 'e') {
        size_t sign = byte_at(h, end + 1) == '-' || byte_at(h, end + 1) == '+';
        size_t digits = scan_digits(h->s, h->n, end + 1 + sign);
        if (digits && digits <= 3 && word_ends(h, end + 1 + sign + digits)) {
            language_say_number(&language_en, &x, NULL, h->w);
            words_add(h->w, "times ten to the power of");
            if (byte_at(h, end + 1) == '-')
                words_add(h->w, "minus");
            english_say_int(strtol(h->s + end + 1 + sign, NULL, 10), h->w);
            return x.len + 1 + sign + digits;
        }
    }
    if ((len = power_at(h, end, &power)) > 0) {
        language_say_number(&language_en, &x, NULL, h->w);
        say_power(power, h->w);
        return x.len + len;
    }
    gap = scan_spaces(h->s, h->n, end);
    len = scan_match(h->s, h->n, end + gap, "×", false);
    if (!len)
        len = scan_match(h->s, h->n, end + gap, "x", false);
    if (!len)
        len = scan_match(h->s, h->n, end + gap, "*", false);
    size_t ten = end + gap + len + scan_spaces(h->s, h->n, end + gap + len);
    size_t p = len && scan_match(h->s, h->n, ten, "10", false) ? power_at(h, ten + 2, &power) : 0;
    if (!p)
        return 0;
    language_say_number(&language_en, &x, NULL, h->w);
    words_add(h->w, "times ten");
    say_power(power, h->w);
    return ten + 2 + p - h->at;
}

/* 5'10", 6' 2", 5′, 12″; feet and inches. */
static size_t read_feet(const struct here *h)
{
    struct language_number x = number_at(h, h->at, false);
    size_t end = h->at + x.len, mark;
    if (!x.len || x.grouped)
        return 0;
    mark = scan_match(h->s, h->n, end, "'", false);
    if (!mark)
        mark = scan_match(h->s, h->n, end, "′", false);
    if (mark && !x.fraction[0]) {
        size_t from = end + mark + scan_spaces(h->s, h->n, end + mark);
        struct language_number y = number_at(h, from, false);
        size_t close = from + y.len;
        size_t inch = y.len ? scan_match(h->s, h->n, close, "\"", false) : 0;
        if (y.len && !inch)
            inch = scan_match(h->s, h->n, close, "″", false);
        if (y.len && !inch && scan_match(h->s, h->n, close, "''", false))
            inch = 2;
        if (inch || (y.len && from == end + mark && word_ends(h, close) && value_of(&y) < 12 &&
                     value_of(&x) < 10)) {
            language_say_number(&language_en, &x, NULL, h->w);
            words_add(h->w, value_of(&x) == 1 ? "foot" : "feet");
            language_say_number(&language_en, &y, NULL, h->w);
            words_add(h->w, value_of(&y) == 1 ? "inch" : "inches");
            return close + inch - h->at;
        }
        if (mark > 1 && word_ends(h, end + mark)) { /* a prime */
            language_say_number(&language_en, &x, NULL, h->w);
            words_add(h->w, value_of(&x) == 1 ? "foot" : "feet");
            return x.len + mark;
        }
        return 0;
    }
    mark = scan_match(h->s, h->n, end, "″", false);
    if (!mark && byte_at(h, end) == '"' && word_ends(h, end + 1)) {
        size_t quotes = 0; /* an open quote before it on this line makes it a closing one */
        for (size_t i = h->at; i > 0 && h->s[i - 1] != '\n' && h->at - i < 400; i--)
            quotes += h->s[i - 1] == '"' && !(i > 1 && scan_is_digit(h->s[i - 2]));
        mark = quotes % 2 == 0;
    }
    if (!mark)
        return 0;
    bool one = (value_of(&x) == 1 && !x.fraction[0]) || is_adjective(h, end + mark);
    language_say_number(&language_en, &x, NULL, h->w);
    words_add(h->w, one ? "inch" : "inches");
    return x.len + mark;
}

/* 40.7128° N, 40°26′46″N. */
static size_t read_coordinate(const struct here *h)
{
    struct language_number x = number_at(h, h->at, true), y;
    size_t end = h->at + x.len, len = x.len ? scan_match(h->s, h->n, end, "°", false) : 0;
    bool parts = false;
    if (!len)
        return 0;
    end += len;
    struct here g = *h;
    static const struct {
        const char *mark, *other, *one, *many;
    } steps[] = {{"′", "'", "minute", "minutes"}, {"″", "\"", "second", "seconds"}};
    language_say_number(&language_en, &x, NULL, h->w);
    words_add(h->w, value_of(&x) == 1 && !x.fraction[0] ? "degree" : "degrees");
    for (int i = 0; i < 2; i++) {
        g.at = end + scan_spaces(h->s, h->n, end);
        y = number_at(&g, g.at, false);
        size_t mark = y.len ? scan_match(h->s, h->n, g.at + y.len, steps[i].mark, false) : 0;
        if (y.len && !mark)
            mark = scan_match(h->s, h->n, g.at + y.len, steps[i].other, false);
        if (!mark)
            break;
        language_say_number(&language_en, &y, NULL, h->w);
        words_add(h->w, value_of(&y) == 1 && !y.fraction[0] ? steps[i].one : steps[i].many);
        end = g.at + y.len + mark;
        parts = true;
    }
    size_t at = end + scan_spaces(h->s, h->n, end);
    char c = byte_at(h, at);
    if (c && strchr("NSEW", c) && word_ends(h, at + 1)) {
        words_add(h->w, c == 'N' ? "north" : c == 'S' ? "south" : c == 'E' ? "east" : "west");
        return at + 1 - h->at;
    }
    if (parts)
        return end - h->at;
    words_clear(h->w); /* a temperature or an angle */
    return 0;
}

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
               {"/ton", "per ton"},       {"/min", "per minute"},        {"/seat", "per seat"}};
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

/* 5-km run, a 5 km run, 10-ft: the unit stays singular. */
static size_t read_adjective(const struct here *h)
{
    struct language_number x = number_at(h, h->at, false);
    size_t end = h->at + x.len, best = 0;
    const char *said = NULL;
    if (!x.len)
        return 0;
    bool hyphen = byte_at(h, end) == '-';
    size_t from = end + (hyphen ? 1 : scan_spaces(h->s, h->n, end));
    for (const struct language_unit *u = language_en.units; u->written; u++) {
        size_t len = scan_match(h->s, h->n, from, u->written, false);
        bool letter = len && scan_is_alpha(u->written[len - 1]);
        if (len > best && scan_is_alpha(u->written[0]) && u->said.one &&
            !(letter && scan_word_at(h->s, h->n, from + len))) {
            best = len;
            said = u->said.one;
        }
    }
    if (hyphen && best && scan_match(h->s, h->n, from, "in", false) == best)
        said = "inch";
    if (!best && hyphen && scan_match(h->s, h->n, from, "in", false) && word_ends(h, from + 2) &&
        byte_at(h, from + 2) != '-') {
        said = "inch";
        best = 2;
    }
    struct here g = *h;
    if (!best || (!hyphen && !is_adjective(&g, from + best)) ||
        (!hyphen && byte_at(h, from + best) == '-'))
        return 0;
    language_say_number(&language_en, &x, NULL, h->w);
    words_add(h->w, said);
    return from + best - h->at;
}

/* "3 in" is inches only where "in" can be no word. */
static size_t read_inches(const struct here *h)
{
    struct language_number x = number_at(h, h->at, false);
    size_t end = h->at + x.len, gap = scan_spaces(h->s, h->n, end), from = end + gap;
    if (!x.len || gap > 1 || !scan_match(h->s, h->n, from, "in", false) || !word_ends(h, from + 2))
        return 0;
    bool period = byte_at(h, from + 2) == '.';
    size_t next = from + 2 + period;
    bool ends = next >= h->n || byte_at(h, next) == '\n';
    bool capital = period && scan_capital_at(h->s, h->n, next + scan_spaces(h->s, h->n, next));
    const char *after = english_after(h->s, h->n, next).word;
    if (!period && !ends && !strchr(",;)", byte_at(h, next)) && gap &&
        !english_is(after, "x|by|tall|wide|long|deep|high|thick|and|diameter|of"))
        return 0;
    if (!period && english_is(after, "the|a|my|our|his|her"))
        return 0;
    language_say_number(&language_en, &x, NULL, h->w);
    words_add(h->w, value_of(&x) == 1 && !x.fraction[0] ? "inch" : "inches");
    return next - (period && (ends || capital)) - h->at;
}

/* 1h 30m, 2h30m15s, 5m30s. */
static size_t read_duration(const struct here *h)
{
    static const struct {
        char letter;
        const char *one, *many;
    } parts[] = {{'d', "day", "days"},
                 {'h', "hour", "hours"},
                 {'m', "minute", "minutes"},
                 {'s', "second", "seconds"}};
    size_t end = h->at, n_part = 0, k = 0;
    long values[4];
    size_t kinds[4];
    while (n_part < 4) {
        size_t gap = n_part ? scan_spaces(h->s, h->n, end) : 0,
               digits = scan_digits(h->s, h->n, end + gap);
        char c = byte_at(h, end + gap + digits);
        while (digits && k < 4 && parts[k].letter != c)
            k++;
        bool more =
            byte_at(h, end + gap + digits + 1) && scan_is_alpha(byte_at(h, end + gap + digits + 1));
        size_t word = more ? scan_match(h->s, h->n, end + gap + digits, "min", false) : 0;
        if (!word && more)
            word = scan_match(h->s, h->n, end + gap + digits, "hr", false);
        if (!digits || digits > 3 || gap > 1 || k >= 4 || (more && !word) ||
            (word && scan_letter(h->s, h->n, end + gap + digits + word)))
            break;
        values[n_part] = strtol(h->s + end + gap, NULL, 10);
        kinds[n_part++] = k++;
        end += gap + digits + (word ? word : 1);
    }
    if (n_part < 2 || scan_letter(h->s, h->n, end))
        return 0;
    for (size_t i = 0; i < n_part; i++) {
        english_say_int(values[i], h->w);
        words_add(h->w, values[i] == 1 ? parts[kinds[i]].one : parts[kinds[i]].many);
    }
    return end - h->at;
}

/* 50-50. */
static size_t read_even(const struct here *h)
{
    struct language_number x = number_at(h, h->at, false), y;
    size_t dash = scan_dash(h->s, h->n, h->at + x.len);
    if (!is_whole(&x) || !dash || strlen(x.digits) != 2)
        return 0;
    y = number_at(h, h->at + x.len + dash, false);
    if (strcmp(x.digits, y.digits) != 0 || y.fraction[0] ||
        !word_ends(h, h->at + x.len + dash + y.len) ||
        byte_at(h, h->at + x.len + dash + y.len) == '-')
        return 0;
    english_say_int(value_of(&x), h->w);
    english_say_int(value_of(&y), h->w);
    return x.len + dash + y.len;
}

/* Subtraction and the like: 10-5=5, 10 - 3, 6/2 = 3, 2*3. */
static size_t read_arithmetic(const struct here *h)
{
    struct language_number x = number_at(h, h->at, true), y;
    size_t end = h->at + x.len, gap = scan_spaces(h->s, h->n, end), op = end + gap;
    size_t dash = scan_dash(h->s, h->n, op);
    char c = byte_at(h, op);
    if (!x.len || gap > 1 || !(dash || c == '*' || c == '/' || c == 'x'))
        return 0;
    size_t len = dash ? dash : 1, after = op + len + scan_spaces(h->s, h->n, op + len);
    y = number_at(h, after, false);
    size_t equals = after + y.len + scan_spaces(h->s, h->n, after + y.len);
    bool equation = byte_at(h, equals) == '=' || scan_match(h->s, h->n, equals, "≈", false);
    size_t back = h->at;
    while (back && h->s[back - 1] == ' ')
        back--;
    equation = equation || (back && strchr("=+", h->s[back - 1]));
    if (!y.len || !(equation || c == '*') || (gap && op + len == after))
        return 0;
    language_say_number(&language_en, &x, NULL, h->w);
    words_add(h->w, dash ? "minus" : c == '/' ? "divided by" : "times");
    return after - h->at;
}

/* 21st, 2nd-4th are for the tables; 0xFF, 5G, 3D, 1080p, 2x. */
static size_t read_mixed(const struct here *h)
{
    size_t len = scan_digits(h->s, h->n, h->at), end = h->at + len, letters = 0;
    if (!len || len > 5)
        return 0;
    if (len == 1 && h->s[h->at] == '0' && (byte_at(h, end) | 32) == 'x' &&
        isxdigit(byte_at(h, end + 1))) {
        size_t stop = end + 1;
        words_add(h->w, "zero X");
        while (stop < h->n && isxdigit((unsigned char)h->s[stop]) && stop - end < 64) {
            char c = h->s[stop++];
            if (scan_is_digit(c))
                english_say_digits(&c, 1, h->w);
            else
                english_spell(&c, 1, h->w);
        }
        return stop - h->at;
    }
    while (scan_is_alpha(byte_at(h, end + letters)))
        letters++;
    if (!letters || letters > 3 || !word_ends(h, end + letters) || h->s[h->at] == '0')
        return 0;
    bool upper = true;
    for (size_t i = 0; i < letters; i++)
        upper = upper && scan_is_upper(h->s[end + i]);
    bool screen = letters == 1 && (h->s[end] == 'p' || h->s[end] == 'i') && len >= 3;
    const char *word;
    struct english_context before = english_before(h->s, h->at);
    const char *known = english_is(before.word, lettered) ? "a|b|c|d|e|f|g|h" : "g|d|p|b|e|x|fa|am";
    char lower[4] = "";
    for (size_t i = 0; i < letters; i++)
        lower[i] = (char)tolower((unsigned char)h->s[end + i]);
    if (!screen && !(upper && !magnitude_at(h, end, true, &word) && english_is(lower, known)))
        return 0;
    english_say_code(h->s + h->at, len, h->w);
    english_spell(h->s + end, letters, h->w);
    return len + letters;
}

/* #5, No. 5 is an abbreviation. */
static size_t english_numbers_read_hash(const struct here *h)
{
    size_t len = scan_digits(h->s, h->n, h->at + 1);
    if (!len && byte_at(h, h->at + 1) == ' ' && h->at &&
        h->s[h->at - 1] == ' ') { /* my phone # is */
        words_add(h->w, "number");
        return 1;
    }
    if (!len || len > 9 || !word_ends(h, h->at + 1 + len) || scan_word_before(h->s, h->at))
        return 0;
    words_add(h->w, "number");
    if (h->s[h->at + 1] == '0' && len > 1)
        english_say_digits(h->s + h->at + 1, len, h->w);
    else
        english_say_int(strtol(h->s + h->at + 1, NULL, 10), h->w);
    return 1 + len;
}

/* '90s, '68 */
static size_t read_apostrophe(const struct here *h)
{
    struct here g = {h->s, h->n, h->at + 1, h->w};
    size_t len = scan_digits(h->s, h->n, h->at + 1), used;
    if (len != 2 || scan_word_before(h->s, h->at))
        return 0;
    if ((used = read_decade(&g)) > 0)
        return used + 1;
    if (!word_ends(h, h->at + 3) || byte_at(h, h->at + 3) == '\'')
        return 0;
    say_pair((int)strtol(h->s + h->at + 1, NULL, 10), false, h->w);
    return 3;
}

/* x², y^3, 10^-5 behind a letter or bracket; the letter has been said. */
static size_t read_power(const struct here *h)
{
    long power;
    size_t len = power_at(h, h->at, &power), end = h->at + len;
    if (!len || !h->at || h->s[h->at - 1] == ' ')
        return 0;
    if (scan_match(h->s, h->n, end, "⁺", false) || scan_match(h->s, h->n, end, "⁻", false))
        english_say_int(power, h->w); /* Ca²⁺ */
    else
        say_power(power, h->w);
    return len;
}

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
    static size_t (*const readers[])(const struct here *) = {read_timestamp,
                                                             english_numbers_read_phone,
                                                             english_numbers_read_dotted,
                                                             english_numbers_read_groups,
                                                             english_numbers_read_day_month,
                                                             english_numbers_read_time,
                                                             read_ratio,
                                                             read_duration,
                                                             read_decade,
                                                             read_year,
                                                             read_fraction,
                                                             read_scientific,
                                                             read_feet,
                                                             read_coordinate,
                                                             read_by,
                                                             read_amount,
                                                             read_adjective,
                                                             read_inches,
                                                             read_even,
                                                             read_arithmetic,
                                                             read_mixed,
                                                             read_code};
    struct here h = {s, n, at, w};
    size_t used = 0;
    char c = s[at];
    if (c == '#')
        return english_numbers_read_hash(&h);
    if (c == '\'')
        return read_apostrophe(&h);
    if (c == '(')
        return scan_is_digit(byte_at(&h, at + 1)) ? english_numbers_read_phone(&h) : 0;
    if (c == '^' || (unsigned char)c == 0xc2 || (unsigned char)c == 0xe2) {
        used = read_power(&h);
        if (used)
            return used;
    }
    if (scan_word_before(s, at) && !((s[at - 1] | 32) == 'v' && !scan_word_before(s, at - 1)))
        return 0;
    if (!scan_is_digit(c)) {
        used = read_minus(&h);
        if (!used)
            used = read_money(&h);
        if (!used && (c == '-' || c == '+' || (unsigned char)c == 0xe2)) {
            used = read_scientific(&h);
            if (!used)
                used = read_amount(&h);
        }
        return used                                                   ? used
               : (unsigned char)c == 0xc2 || (unsigned char)c == 0xe2 ? read_fraction(&h)
                                                                      : 0;
    }
    for (size_t i = 0; i < sizeof readers / sizeof *readers && !used; i++) {
        words_clear(w); /* of a reader that changed its mind */
        used = readers[i](&h);
    }
    if (!used)
        words_clear(w);
    return used;
}
