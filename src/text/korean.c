/* Korean: Chinese numerals before most words, its own before the counters of things and people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define SAME(x)                                                                                    \
    {                                                                                              \
        x, 0, 0, 0, 0                                                                              \
    }
#define NATIVE "%spellout-cardinal-native-attributive"

static const struct language_unit units[] = {{"%", SAME(" 퍼센트"), 0},
                                             {"°C", SAME(" 도"), 0},
                                             {"℃", SAME(" 도"), 0},
                                             {"°", SAME(" 도"), 0},
                                             {"mm", SAME(" 밀리미터"), 0},
                                             {"cm", SAME(" 센티미터"), 0},
                                             {"m", SAME(" 미터"), 0},
                                             {"km", SAME(" 킬로미터"), 0},
                                             {"m²", SAME(" 제곱미터"), 0},
                                             {"㎡", SAME(" 제곱미터"), 0},
                                             {"km²", SAME(" 제곱킬로미터"), 0},
                                             {"m³", SAME(" 세제곱미터"), 0},
                                             {"ml", SAME(" 밀리리터"), 0},
                                             {"L", SAME(" 리터"), 0},
                                             {"l", SAME(" 리터"), 0},
                                             {"mg", SAME(" 밀리그램"), 0},
                                             {"g", SAME(" 그램"), 0},
                                             {"kg", SAME(" 킬로그램"), 0},
                                             {"t", SAME(" 톤"), 0},
                                             {"s", SAME(" 초"), 0},
                                             {"min", SAME(" 분"), 0},
                                             {"W", SAME(" 와트"), 0},
                                             {"kW", SAME(" 킬로와트"), 0},
                                             {"V", SAME(" 볼트"), 0},
                                             {"Hz", SAME(" 헤르츠"), 0},
                                             {"MHz", SAME(" 메가헤르츠"), 0},
                                             {"GHz", SAME(" 기가헤르츠"), 0},
                                             {"KB", SAME(" 킬로바이트"), 0},
                                             {"MB", SAME(" 메가바이트"), 0},
                                             {"GB", SAME(" 기가바이트"), 0},
                                             {"TB", SAME(" 테라바이트"), 0},
                                             {"dB", SAME(" 데시벨"), 0},
                                             {"kcal", SAME(" 킬로칼로리"), 0},
                                             {0}};

static const struct language_currency currencies[] = {{"₩", SAME(" 원"), {0}, 0, 0},
                                                      {"KRW", SAME(" 원"), {0}, 0, 0},
                                                      {"$", SAME(" 달러"), {0}, 0, 0},
                                                      {"USD", SAME(" 달러"), {0}, 0, 0},
                                                      {"€", SAME(" 유로"), {0}, 0, 0},
                                                      {"EUR", SAME(" 유로"), {0}, 0, 0},
                                                      {"£", SAME(" 파운드"), {0}, 0, 0},
                                                      {"¥", SAME(" 엔"), {0}, 0, 0},
                                                      {0}};

static const struct language_symbol symbols[] = {
    {"%", " 퍼센트"},   {"&", "그리고"}, {"+", " 더하기 "},  {"=", "은 "},
    {"×", "곱하기"},    {"÷", "나누기"}, {"½", "이분의 일"}, {"¼", "사분의 일"},
    {"¾", "사분의 삼"}, {"@", "골뱅이"}, {"*", ""},          {0}};

static void korean_say_int(int x, const char *rules, struct words *w)
{
    char digits[12];
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "ko", rules, digits);
}

static void korean_say_month(int month, struct words *w)
{
    if (month == 6 || month == 10)
        words_add(w, month == 6 ? "유" : "시");
    else
        korean_say_int(month, NULL, w);
    words_add(w, "월");
}

static void korean_say_date(const struct language_date *d, struct words *w)
{
    if (d->year >= 0) {
        korean_say_int(d->year, NULL, w);
        words_add(w, "년 ");
    }
    korean_say_month(d->month, w);
    if (d->day) {
        words_add(w, " ");
        korean_say_int(d->day, NULL, w);
        words_add(w, "일");
    }
}

/* 3:05: 세 시 오 분; 14:30, of timetables: 십사 시 삼십 분. */
static void korean_say_time(const struct language_time *t, struct words *w)
{
    korean_say_int(t->hour, t->hour >= 1 && t->hour <= 12 ? NATIVE : NULL, w);
    words_add(w, " 시");
    if (t->minute > 0 || t->second > 0) {
        words_add(w, " ");
        korean_say_int(t->minute, NULL, w);
        words_add(w, " 분");
    }
    if (t->second > 0) {
        words_add(w, " ");
        korean_say_int(t->second, NULL, w);
        words_add(w, " 초");
    }
}

/* 2020. 3. 5. */
static size_t korean_read_date(const char *s, size_t n, size_t at, struct words *w)
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
    korean_say_date(&d, w);
    return end - at;
}

/* 3개: 세 개; 3시: 세 시; 6월: 유월; 120 km/h: 시속 백이십 킬로미터. */
static size_t korean_match(const char *s, size_t n, size_t at, struct words *w)
{
    static const char *const counters[] = {"개",   "명",   "살",   "마리", "권", "잔", "번째",
                                           "사람", "시간", "달",   "병",   "대", "장", "그루",
                                           "송이", "켤레", "가지", "채",   "시", "벌", NULL};
    extern const struct text_language language_ko;
    if (at && (scan_is_digit(s[at - 1]) || s[at - 1] == '.'))
        return 0;
    size_t date = korean_read_date(s, n, at, w);
    if (date)
        return date;
    struct language_number x = language_number_at(&language_ko, s, n, at, false);
    size_t end = at + x.len, spaces = scan_spaces(s, n, end) == 1, len;
    if (!x.len)
        return 0;
    if ((len = scan_match(s, n, end + spaces, "km/h", false)) > 0) {
        words_add(w, "시속 ");
        language_say_number(&language_ko, &x, NULL, w);
        words_add(w, " 킬로미터");
        return x.len + spaces + len;
    }
    size_t digits = strlen(x.digits);
    if (x.fraction[0] || x.grouped || digits > 2)
        return 0;
    int value = (int)strtol(x.digits, NULL, 10);
    if (scan_match(s, n, end, "월", false) && value >= 1 && value <= 12) {
        korean_say_month(value, w);
        return x.len + strlen("월");
    }
    bool numbered = at >= 3 && memcmp(s + at - 3, "제", 3) == 0; /* 제5장: chapter five */
    for (const char *const *c = counters; *c && value > 0 && !numbered; c++) {
        bool hour = strcmp(*c, "시") == 0;
        if (!scan_match(s, n, end + spaces, *c, false) || (hour && value > 12) ||
            x.digits[0] == '0')
            continue;
        korean_say_int(value, strcmp(*c, "번째") == 0 && value == 1 ? NULL : NATIVE, w);
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

extern const struct text_language language_ko;
const struct text_language language_ko = {
    .code = "ko",
    .locale = "ko",
    .decimal = '.',
    .group = ",",
    .unspaced = true,
    .date_order = "ymd",
    .minus = "마이너스 ",
    .plus = "플러스 ",
    .point = "점",
    .to = "에서 ",
    .dot = "점",
    .at = "골뱅이",
    .slash = "슬래시",
    .dash = "하이픈",
    .underscore = "밑줄",
    .colon = "콜론",
    .hashtag = "해시태그 ",
    .units = units,
    .currencies = currencies,
    .symbols = symbols,
    .match = korean_match,
    .say_date = korean_say_date,
    .say_time = korean_say_time,
};
