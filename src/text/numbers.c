/* What starts with a digit, a sign or a currency, for any language with a table.  Each reader looks
 * at r->s[at..], says what it found and returns the bytes it took, or 0; the first that takes wins.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text/normalize.h"
#include "text/scan.h"
#include "text/words.h"

struct reader {
    const struct text_language *l;
    const char *s;
    size_t n;
    struct words *w;
};

#define MAX_PHONE_DIGITS 15 /* E.164 */
#define MIN_PHONE_DIGITS 7
#define MAX_LOCAL_DIGITS 12 /* with the zero before the area */

static int to_int(const char *s, size_t n)
{
    int x = 0;
    for (size_t i = 0; i < n && i < 9; i++)
        x = x * 10 + (s[i] - '0');
    return x;
}

static bool ends_here(const struct reader *r, size_t at)
{
    return !scan_word_at(r->s, r->n, at) || r->l->unspaced ||
           (unsigned char)r->s[at] >= 0x80; /* scripts without spaces: 2020年 */
}

/* --- dates --- */

static int full_year(int year, size_t digits)
{
    return digits > 2 ? year : year < 70 ? 2000 + year : 1900 + year;
}

static bool is_date(const struct language_date *d)
{
    return d->month >= 1 && d->month <= 12 && d->day >= 1 && d->day <= 31;
}

/* Three numbers to a date, by the order of the language; false: they are none. */
static bool order_date(const struct text_language *l, const int part[3], const size_t len[3],
                       struct language_date *d)
{
    if (len[0] == 4) {
        *d = (struct language_date){part[0], part[1], part[2]};
        return is_date(d) && len[1] <= 2 && len[2] <= 2;
    }
    if (len[0] > 2 || len[1] > 2 || (len[2] != 2 && len[2] != 4))
        return false;
    const char *order = l->date_order ? l->date_order : "dmy";
    if (strcmp(order, "ymd") == 0 && len[2] == 2) {
        *d = (struct language_date){full_year(part[0], 2), part[1], part[2]};
        return is_date(d);
    }
    bool month_first = order[0] == 'm' && part[0] <= 12;
    *d = (struct language_date){full_year(part[2], len[2]), part[!month_first], part[month_first]};
    if (!is_date(d) && order[0] != 'm')
        *d = (struct language_date){d->year, part[0], part[1]};
    return is_date(d);
}

static size_t numbers_read_date(const struct reader *r, size_t at)
{
    int part[3];
    size_t len[3], end = at;
    char separator = 0;
    for (int i = 0; i < 3; i++) {
        len[i] = scan_digits(r->s, r->n, end);
        part[i] = to_int(r->s + end, len[i]);
        end += len[i];
        if (len[i] == 0 || len[i] > 4)
            return 0;
        if (i == 0)
            separator = end < r->n ? r->s[end] : 0;
        if (i < 2 && (end >= r->n || r->s[end++] != separator))
            return 0;
    }
    struct language_date d;
    if (!strchr("./-", separator) || !ends_here(r, end) || !order_date(r->l, part, len, &d))
        return 0;
    if (separator != '-' && end + 1 < r->n && r->s[end] == separator &&
        scan_is_digit(r->s[end + 1]))
        return 0;
    if (separator == '.' && len[2] == 2 && len[0] + len[1] < 4)
        return 0; /* rather a version */
    language_say_date(r->l, &d, r->w);
    return end - at;
}

/* Bytes of the name of a month at s[at], or 0; names end where a word ends. */
static size_t numbers_month_at(const struct reader *r, size_t at, int *month)
{
    size_t best = 0;
    for (int m = 0; r->l->months && r->l->months[m]; m++)
        for (const char *name = r->l->months[m]; *name;) {
            size_t len = strcspn(name, "|"), i = 0;
            while (i < len && at + i < r->n && r->s[at + i] == name[i])
                i++;
            bool fold = i == 0 && at < r->n && len && (r->s[at] ^ name[0]) == 32; /* Mars, mars */
            for (i = fold ? 1 : i; fold && i < len && at + i < r->n && r->s[at + i] == name[i];)
                i++;
            if (i == len && len > best && (name[len - 1] == '.' || ends_here(r, at + len))) {
                best = len;
                *month = m + 1;
            }
            name += len + (name[len] == '|');
        }
    return best;
}

/* The words of a template between two of its parts: "de" of "{d} de {m}"; skipped if s has them. */
static size_t skip_between(const struct reader *r, size_t at, const char *t, const char *from)
{
    const char *start = t ? strstr(t, from) : NULL;
    size_t spaces = scan_spaces(r->s, r->n, at);
    if (!start)
        return spaces;
    start += 3 + strspn(start + 3, " ");
    size_t len = strcspn(start, "{ ");
    if (len && at + spaces + len < r->n && memcmp(r->s + at + spaces, start, len) == 0) {
        size_t more = scan_spaces(r->s, r->n, at + spaces + len);
        return more ? spaces + len + more : spaces;
    }
    return spaces;
}

/* The year after a month: bytes with what stands between, 0: none. */
static size_t numbers_year_at(const struct reader *r, size_t at, int *year)
{
    size_t end = at + (at < r->n && r->s[at] == ',');
    end += skip_between(r, end, r->l->date_my, "{m}");
    size_t len = end > at ? scan_digits(r->s, r->n, end) : 0;
    if (len < 3 || len > 4 || !ends_here(r, end + len))
        return 0;
    *year = to_int(r->s + end, len);
    return end + len - at;
}

/* 3 March 2020, 3. März, 3 de marzo de 2020. */
static size_t numbers_read_day_month(const struct reader *r, size_t at)
{
    struct language_date d = {.year = -1};
    size_t len = scan_digits(r->s, r->n, at), end = at + len;
    d.day = to_int(r->s + at, len);
    if (len == 0 || len > 2 || d.day < 1 || d.day > 31)
        return 0;
    end += end < r->n && r->s[end] == '.';
    size_t between = skip_between(r, end, r->l->date_dm, "{d}");
    size_t month = between ? numbers_month_at(r, end + between, &d.month) : 0;
    if (month == 0)
        return 0;
    end += between + month;
    end += numbers_year_at(r, end, &d.year);
    language_say_date(r->l, &d, r->w);
    return end - at;
}

static size_t read_month_year(const struct reader *r, size_t at)
{
    struct language_date d = {.year = -1};
    size_t month = r->l->date_my ? numbers_month_at(r, at, &d.month) : 0;
    size_t year = month ? numbers_year_at(r, at + month, &d.year) : 0;
    if (year)
        language_say_date(r->l, &d, r->w);
    return year ? month + year : 0;
}

/* --- times --- */

static size_t skip_time_word(const struct reader *r, size_t at)
{
    size_t spaces = scan_spaces(r->s, r->n, at);
    for (const char *word = r->l->time_words; word && *word;) {
        size_t n = strcspn(word, "|");
        bool same = at + spaces + n <= r->n && strncasecmp(r->s + at + spaces, word, n) == 0;
        if (same && ends_here(r, at + spaces + n))
            return spaces + n;
        word += n + (word[n] == '|');
    }
    return 0;
}

static size_t numbers_read_time(const struct reader *r, size_t at)
{
    struct language_time t = {.second = -1};
    size_t len = scan_digits(r->s, r->n, at), end = at + len;
    if (len < 1 || len > 2 || end >= r->n || r->s[end] != ':' ||
        scan_digits(r->s, r->n, end + 1) != 2)
        return 0;
    t.hour = to_int(r->s + at, len);
    t.minute = to_int(r->s + end + 1, 2);
    end += 3;
    if (end < r->n && r->s[end] == ':' && scan_digits(r->s, r->n, end + 1) == 2) {
        t.second = to_int(r->s + end + 1, 2);
        end += 3;
    }
    if (t.hour > 24 || t.minute > 59 || t.second > 59 || !ends_here(r, end) ||
        (end < r->n && r->s[end] == ':'))
        return 0;
    end += skip_time_word(r, end);
    language_say_time(r->l, &t, r->w);
    return end - at;
}

/* --- money --- */

/* Does the word of which a unit is the beginning go on: 10m of 10ms, 3L of 3LDK?  Where words have
 * no spaces between, letters of another script begin another. */
static bool numbers_goes_on(const struct reader *r, size_t at)
{
    return r->l->unspaced ? at < r->n && scan_is_alnum(r->s[at]) : scan_word_at(r->s, r->n, at);
}

/* Three letters before digits are a currency's code: USD99. */
static bool numbers_is_code(const struct reader *r, size_t at, size_t len)
{
    return len == 3 && at + len < r->n && scan_is_digit(r->s[at + len]);
}

/* Longest row that s[at..] starts with.  Rows that end in a letter end where a word does. */
static const struct language_currency *numbers_currency_at(const struct reader *r, size_t at,
                                                           size_t *len)
{
    const struct language_currency *best = NULL;
    *len = 0;
    if (at >= r->n || !language_may_be_currency(r->l, r->s[at]))
        return NULL;
    for (const struct language_currency *c = r->l->currencies; c && c->written; c++) {
        size_t got = scan_match(r->s, r->n, at, c->written, false);
        bool letters = got && scan_letter_before(c->written, got);
        if (got > *len &&
            (!letters || !numbers_goes_on(r, at + got) || numbers_is_code(r, at, got))) {
            best = c;
            *len = got;
        }
    }
    return best;
}

/* --- numbers with what follows them --- */

static const struct language_unit *unit_at(const struct reader *r, size_t at, size_t *len)
{
    const struct language_unit *best = NULL;
    *len = 0;
    for (const struct language_unit *u = r->l->units; u && u->written; u++) {
        size_t got = scan_match(r->s, r->n, at, u->written, false);
        bool letters = got && scan_letter_before(u->written, got);
        if (got > *len && (!letters || !numbers_goes_on(r, at + got))) {
            best = u;
            *len = got;
        }
    }
    size_t next = at + *len + scan_spaces(r->s, r->n, at + *len);
    if (best && r->s[at + *len - 1] == '.' &&
        (next >= r->n || r->s[next] == '\n' ||
         (next > at + *len && !r->l->capital_nouns && scan_capital_at(r->s, r->n, next))))
        --*len; /* the period is the sentence's */
    return best;
}

/* The period of a unit ("21 руб.") that the text ends with is the sentence's, too. */
static void end_sentence(const struct reader *r, size_t end)
{
    if (r->s[end - 1] == '.' && (end >= r->n || r->s[end] == '\n'))
        words_join(r->w, ".");
}

/* Say x with the unit or currency at s[at], perhaps after a space.  Bytes of what follows x. */
static size_t say_with_unit(const struct reader *r, const struct language_number *x, size_t at)
{
    size_t spaces = scan_spaces(r->s, r->n, at) == 1, len;
    const struct language_currency *c = numbers_currency_at(r, at + spaces, &len);
    if (c) {
        language_say_money(r->l, x, c, r->w);
        end_sentence(r, at + spaces + len);
        return spaces + len;
    }
    const struct language_unit *u = unit_at(r, at + spaces, &len);
    if (u) {
        language_say_unit(r->l, x, u, r->w);
        end_sentence(r, at + spaces + len);
        return spaces + len;
    }
    return 0;
}

/* Rules of the ordinal suffix at s[at] and its length; NULL: none. */
static bool ordinal_at(const struct reader *r, size_t at, char *rules, size_t room, size_t *len)
{
    const char *row = r->l->ordinal_suffixes;
    while (row && *row) {
        size_t suffix = strcspn(row, ":"), whole = strcspn(row, "|"), size = whole - suffix - 1;
        if (at + suffix <= r->n && memcmp(r->s + at, row, suffix) == 0 &&
            ends_here(r, at + suffix) && size < room) {
            memcpy(rules, row + suffix + 1, size);
            rules[size] = 0;
            *len = suffix;
            return true;
        }
        row += whole + (row[whole] == '|');
    }
    return false;
}

/* How a number is spelled that nothing we know follows. */
static const char *plain_rules(const struct reader *r, const struct language_number *x)
{
    bool bare = strlen(x->digits) == 4 && !x->grouped && !x->sign && !x->fraction[0];
    if (bare && x->digits[0] == '1' && x->digits[1] != '0' && r->l->bare_year_rules)
        return r->l->bare_year_rules;
    return NULL;
}

/* A dash, or what Chinese, Japanese and Korean write for "to": ~ and its wide forms. */
static size_t numbers_range_mark(const struct reader *r, size_t at)
{
    size_t len;
    int32_t c = scan_char(r->s, r->n, at, &len);
    bool wave = c == '~' || c == 0x301c || c == 0xff5e;
    return wave && r->l->unspaced ? len : scan_dash(r->s, r->n, at);
}

/* The second number of a range, "-10" at s[at], and bytes up to its end; 0: none. */
static size_t numbers_range_end(const struct reader *r, size_t at, struct language_number *y)
{
    size_t spaces = scan_spaces(r->s, r->n, at), dash = numbers_range_mark(r, at + spaces);
    if (!dash || spaces > 1 || !r->l->to)
        return 0;
    size_t after = scan_spaces(r->s, r->n, at + spaces + dash), end = at + spaces + dash + after;
    *y = language_number_at(r->l, r->s, r->n, end, false);
    if (!y->len || after != spaces || numbers_range_mark(r, end + y->len))
        return 0;
    return end + y->len - at;
}

/* 2%-6%: bytes of a unit or currency at s[at], perhaps behind a space. */
static size_t numbers_unit_len(const struct reader *r, size_t at)
{
    size_t spaces = scan_spaces(r->s, r->n, at) == 1, len;
    if (!numbers_currency_at(r, at + spaces, &len) && !unit_at(r, at + spaces, &len))
        return 0;
    return spaces + len;
}

static size_t read_range(const struct reader *r, const struct language_number *x, size_t at)
{
    struct language_number y;
    size_t len = numbers_range_end(r, at, &y), unit_len = len ? 0 : numbers_unit_len(r, at);
    if (unit_len && (len = numbers_range_end(r, at + unit_len, &y)) > 0) {
        len += unit_len;
        if (at + len + unit_len > r->n || memcmp(r->s + at, r->s + at + len, unit_len) != 0)
            return 0;
    }
    if (!len)
        return 0;
    language_say_number(r->l, x, plain_rules(r, x), r->w);
    words_add(r->w, r->l->to);
    size_t unit = say_with_unit(r, &y, at + len);
    if (!unit)
        language_say_number(r->l, &y, plain_rules(r, &y), r->w);
    return len + unit;
}

/* 5,- is five whole ones. */
static size_t numbers_whole_mark(const struct reader *r, size_t at)
{
    size_t dash = at < r->n && r->s[at] == r->l->decimal ? scan_dash(r->s, r->n, at + 1) : 0;
    return dash && !scan_is_digit(r->s[at + 1 + dash < r->n ? at + 1 + dash : at]) ? 1 + dash : 0;
}

static size_t numbers_read_number(const struct reader *r, size_t at)
{
    char rules[56];
    size_t len = 0;
    struct language_number x = language_number_at(r->l, r->s, r->n, at, true);
    if (!x.len)
        return 0;
    size_t end = at + x.len;
    if (!x.fraction[0] && ordinal_at(r, end, rules, sizeof rules, &len)) {
        language_say_number(r->l, &x, rules, r->w);
        return x.len + len;
    }
    size_t mark = numbers_whole_mark(r, end);
    len = read_range(r, &x, end);
    if (!len && (len = say_with_unit(r, &x, end + mark)) > 0)
        len += mark;
    if (!len)
        language_say_number(r->l, &x, plain_rules(r, &x), r->w);
    return x.len + len;
}

/* $5.50 is written with a point where the language has a comma, too. */
static struct language_number numbers_price_at(const struct reader *r, size_t at)
{
    struct language_number x = language_number_at(r->l, r->s, r->n, at, true);
    size_t end = at + x.len;
    if (x.len && !x.fraction[0] && end < r->n && r->s[end] == '.' &&
        scan_digits(r->s, r->n, end + 1) == 2) {
        memcpy(x.fraction, r->s + end + 1, 2);
        x.len += 3;
    }
    return x;
}

static size_t read_money_before(const struct reader *r, size_t at)
{
    size_t len, end = at;
    int sign = 0;
    if (r->s[at] == '-' || r->s[at] == '+') {
        sign = r->s[at] == '-' ? -1 : 1;
        end++;
    }
    const struct language_currency *c = numbers_currency_at(r, end, &len);
    if (!c)
        return 0;
    end += len;
    end += scan_spaces(r->s, r->n, end) == 1;
    struct language_number x = numbers_price_at(r, end);
    if (!x.len)
        return 0;
    if (sign)
        x.sign = sign;
    end += x.len;
    struct language_number y;
    size_t range = numbers_range_end(r, end, &y); /* €5-10 */
    if (range) {
        language_say_number(r->l, &x, NULL, r->w);
        words_add(r->w, r->l->to);
    }
    end += range ? range : numbers_whole_mark(r, end);
    language_say_money(r->l, range ? &y : &x, c, r->w);
    return end - at;
}

/* 1.2.3, 192.168.0.1: numbers with points between them; 2.0, where a fraction has a comma. */
/* The unit or currency at s[at] that a decimal is of, 2.5 kg.  Its bytes, or 0. */
static size_t numbers_say_noun(const struct reader *r, size_t at)
{
    const struct language_number decimal = {.digits = "2", .fraction = "5"};
    size_t spaces = scan_spaces(r->s, r->n, at) == 1, len;
    const struct language_currency *c = numbers_currency_at(r, at + spaces, &len);
    const struct language_unit *u = c ? NULL : unit_at(r, at + spaces, &len);
    if (!c && !u)
        return 0;
    words_add(r->w, language_form(r->l, c ? &c->unit : &u->said, &decimal));
    end_sentence(r, at + spaces + len);
    return spaces + len;
}

static size_t numbers_read_dotted(const struct reader *r, size_t at)
{
    size_t end = at, parts = 0;
    for (;;) {
        size_t len = scan_digits(r->s, r->n, end);
        if (len == 0 || len > 9)
            return 0;
        end += len;
        parts++;
        if (end + 1 >= r->n || r->s[end] != '.' || !scan_is_digit(r->s[end + 1]))
            break;
        end++;
    }
    struct language_number whole = language_number_at(r->l, r->s, r->n, at, false);
    if (parts < (r->l->decimal == '.' ? 3 : 2) || at + whole.len >= end ||
        (parts > 2 && !ends_here(r, end)))
        return 0;
    for (size_t from = at; from < end;) {
        struct language_number x = {0};
        size_t len = scan_digits(r->s, r->n, from);
        memcpy(x.digits, r->s + from, len);
        if (from > at)
            words_add(r->w, r->l->dot);
        language_say_number(r->l, &x, NULL, r->w);
        from += len + 1;
    }
    return end - at + (parts == 2 ? numbers_say_noun(r, end) : 0);
}

/* Digits in groups from s[at], where a "(" may stand: bytes, how many digits and groups; the last
 * character has to be a digit. */
static size_t numbers_groups(const struct reader *r, size_t at, size_t *digits, size_t *groups)
{
    size_t end = at, from = at;
    *digits = *groups = 0;
    while (from < r->n && *digits <= MAX_PHONE_DIGITS) {
        size_t len = scan_digits(r->s, r->n, from);
        if (len) {
            *digits += len;
            ++*groups;
            end = from += len;
            continue;
        }
        size_t skip = strspn(r->s + from, " -()./");
        if (skip == 0 || skip > 2 || from + skip >= r->n || !scan_is_digit(r->s[from + skip]))
            break;
        from += skip;
    }
    return end - at;
}

/* Digits one by one, a pause between groups. */
static void numbers_say_groups(const struct reader *r, size_t from, size_t end)
{
    while (from < end) {
        size_t len = scan_digits(r->s, r->n, from);
        language_say_digits(r->l, r->s + from, len, r->w);
        from += len;
        while (from < end && !scan_is_digit(r->s[from]))
            from++;
        if (len && from < end)
            words_join(r->w, ",");
    }
}

/* +49 30 1234567, +1 (555) 123-4567. */
static size_t numbers_read_phone(const struct reader *r, size_t at)
{
    size_t digits, groups;
    if (r->s[at] != '+' || (scan_word_before(r->s, at) && !r->l->unspaced))
        return 0;
    size_t len = numbers_groups(r, at + 1, &digits, &groups), end = at + 1 + len;
    if (digits < MIN_PHONE_DIGITS || digits > MAX_PHONE_DIGITS || !ends_here(r, end))
        return 0;
    words_add(r->w, r->l->plus);
    numbers_say_groups(r, at + 1, end);
    return end - at;
}

/* 030 1234567, (0171) 55 50 123: a number of the country, with the zero before its area. */
static size_t numbers_read_local_phone(const struct reader *r, size_t at)
{
    size_t digits, groups, start = at + (r->s[at] == '('), area = scan_digits(r->s, r->n, start);
    if (area < 2 || area > 5 || r->s[start] != '0' || start + area >= r->n ||
        !strchr(" -)/", r->s[start + area]))
        return 0;
    size_t len = numbers_groups(r, start, &digits, &groups), end = start + len;
    if (digits <= MIN_PHONE_DIGITS || digits > MAX_LOCAL_DIGITS || groups < 2 || !ends_here(r, end))
        return 0;
    numbers_say_groups(r, start, end);
    return end - at;
}

/* A run of digits too long to be a quantity, or one glued to letters. */
static size_t read_digits(const struct reader *r, size_t at)
{
    size_t len = scan_digits(r->s, r->n, at);
    if (len > 0 && len <= 4 && (r->s[at] != '0' || len == 1)) {
        struct language_number x = {0};
        memcpy(x.digits, r->s + at, len);
        language_say_number(r->l, &x, NULL, r->w);
    } else {
        language_say_digits(r->l, r->s + at, len, r->w);
    }
    return len;
}

size_t numbers_read(const struct text_language *l, const char *s, size_t n, size_t at,
                    struct words *w)
{
    struct reader r = {l, s, n, w};
    bool digit = scan_is_digit(s[at]),
         alone = !scan_word_before(s, at) || l->unspaced || (unsigned char)s[at - 1] >= 0x80;
    size_t used = 0;
    if (!alone)
        return digit ? read_digits(&r, at) : 0;
    if (digit && ((used = numbers_read_date(&r, at)) || (used = numbers_read_day_month(&r, at)) ||
                  (used = numbers_read_time(&r, at)) || (used = numbers_read_dotted(&r, at))))
        return used;
    if ((used = numbers_read_phone(&r, at)) || (used = numbers_read_local_phone(&r, at)) ||
        (used = read_money_before(&r, at)) || (used = numbers_read_number(&r, at)))
        return used;
    if (digit)
        return read_digits(&r, at);
    return scan_letter(s, n, at) ? read_month_year(&r, at) : 0;
}
