/* Korean: Chinese numerals before most words, its own before the counters of things and people. */
#include <stdlib.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define NATIVE "%spellout-cardinal-native-attributive"

static void korean_say_month(const struct text_language *l, int month, struct words *w)
{
    if (month == 6 || month == 10)
        words_add(w, month == 6 ? "유" : "시");
    else
        language_say_int(l, month, NULL, w);
    words_add(w, "월");
}

static void korean_say_date(const struct text_language *l, const struct language_date *d,
                            struct words *w)
{
    if (d->year >= 0) {
        language_say_int(l, d->year, NULL, w);
        words_add(w, "년 ");
    }
    korean_say_month(l, d->month, w);
    if (d->day) {
        words_add(w, " ");
        language_say_int(l, d->day, NULL, w);
        words_add(w, "일");
    }
}

/* 3:05: 세 시 오 분; 14:30, of timetables: 십사 시 삼십 분. */
static void korean_say_time(const struct text_language *l, const struct language_time *t,
                            struct words *w)
{
    language_say_int(l, t->hour, t->hour >= 1 && t->hour <= 12 ? NATIVE : NULL, w);
    words_add(w, " 시");
    if (t->minute > 0 || t->second > 0) {
        words_add(w, " ");
        language_say_int(l, t->minute, NULL, w);
        words_add(w, " 분");
    }
    if (t->second > 0) {
        words_add(w, " ");
        language_say_int(l, t->second, NULL, w);
        words_add(w, " 초");
    }
}

/* 2020. 3. 5. */
static size_t korean_read_date(const struct text_language *l, const char *s, size_t n, size_t at,
                               struct words *w)
{
    int part[3];
    size_t end = at;
    for (int i = 0; i < 3; i++) {
        size_t digits = scan_digits(s, n, end);
        if (digits < 1 || digits > 4 || (i == 0) != (digits == 4) || end + digits >= n ||
            s[end + digits] != '.')
            return 0;
        part[i] = (int)strtol(s + end, NULL, 10);
        end += digits + 1;
        end += i < 2 ? scan_spaces(s, n, end) : 0;
    }
    struct language_date d = {part[0], part[1], part[2], NULL};
    if (d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31)
        return 0;
    korean_say_date(l, &d, w);
    return end - at;
}

/* 3개: 세 개; 3시: 세 시; 6월: 유월; 120 km/h: 시속 백이십 킬로미터. */
static size_t korean_match(const struct text_language *l, const char *s, size_t n, size_t at,
                           struct words *w)
{
    static const char *const counters[] = {"개",   "명",   "살",   "마리", "권", "잔", "번째",
                                           "사람", "시간", "달",   "병",   "대", "장", "그루",
                                           "송이", "켤레", "가지", "채",   "시", "벌", NULL};
    if (at && (scan_is_digit(s[at - 1]) || s[at - 1] == '.'))
        return 0;
    size_t date = korean_read_date(l, s, n, at, w);
    if (date)
        return date;
    struct language_number x = language_number_at(l, s, n, at, false);
    size_t end = at + x.len, spaces = scan_spaces(s, n, end) == 1, len;
    if (!x.len)
        return 0;
    if ((len = scan_match(s, n, end + spaces, "km/h", false)) > 0) {
        words_add(w, "시속 ");
        language_say_number(l, &x, NULL, w);
        words_add(w, " 킬로미터");
        return x.len + spaces + len;
    }
    size_t digits = strlen(x.digits);
    if (x.fraction[0] || x.grouped || digits > 2)
        return 0;
    int value = (int)strtol(x.digits, NULL, 10);
    if (scan_match(s, n, end, "월", false) && value >= 1 && value <= 12) {
        korean_say_month(l, value, w);
        return x.len + strlen("월");
    }
    bool numbered = at >= 3 && memcmp(s + at - 3, "제", 3) == 0; /* 제5장: chapter five */
    for (const char *const *c = counters; *c && value > 0 && !numbered; c++) {
        bool hour = strcmp(*c, "시") == 0;
        if (!scan_match(s, n, end + spaces, *c, false) || (hour && value > 12) ||
            x.digits[0] == '0')
            continue;
        language_say_int(l, value, strcmp(*c, "번째") == 0 && value == 1 ? NULL : NATIVE, w);
        if (strcmp(*c, "번째") == 0 && value == 1) {
            words_clear(w);
            words_add(w, "첫");
        }
        if (!spaces)
            words_add(w, " ");
        return x.len;
    }
    return 0;
}

const struct language_hooks language_hooks_ko = {
    .code = "ko",
    .match = korean_match,
    .say_date = korean_say_date,
    .say_time = korean_say_time,
};
