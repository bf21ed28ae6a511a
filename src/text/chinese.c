/* Chinese (Mandarin), in simplified characters. */
#include <stdio.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

static void chinese_say_digits(const char *s, size_t n, struct words *w)
{
    static const char *const names[] = {"零", "一", "二", "三", "四", "五", "六", "七", "八", "九"};
    for (size_t i = 0; i < n; i++)
        if (scan_is_digit(s[i]))
            words_add(w, names[s[i] - '0']);
}

/* 下午2:05: 两点零五分. */
static void chinese_say_time(const struct text_language *l, const struct language_time *t,
                             struct words *w)
{
    if (t->hour == 2)
        words_add(w, "两");
    else
        language_say_int(l, t->hour, NULL, w);
    words_add(w, "点");
    if (t->minute <= 0 && t->second <= 0)
        return;
    if (t->minute < 10)
        words_add(w, "零");
    if (t->minute)
        language_say_int(l, t->minute, NULL, w);
    words_add(w, "分");
    if (t->second > 0) {
        language_say_int(l, t->second, NULL, w);
        words_add(w, "秒");
    }
}

static void chinese_say_date(const struct text_language *l, const struct language_date *d,
                             struct words *w)
{
    char year[12];
    if (d->year >= 0) {
        int n = snprintf(year, sizeof year, "%d", d->year);
        chinese_say_digits(year, (size_t)n, w);
        words_add(w, "年");
    }
    language_say_int(l, d->month, NULL, w);
    words_add(w, "月");
    if (d->day) {
        language_say_int(l, d->day, NULL, w);
        words_add(w, "日");
    }
}

/* ¥3.50: 三元五角. */
static size_t read_yuan(const struct text_language *l, const char *s, size_t n, size_t at,
                        struct words *w)
{
    size_t sign = scan_match(s, n, at, "¥", false);
    sign = sign ? sign : scan_match(s, n, at, "￥", false);
    sign = sign ? sign : scan_match(s, n, at, "RMB", false);
    sign += sign ? scan_spaces(s, n, at + sign) : 0;
    struct language_number x = language_number_at(l, s, n, sign ? at + sign : n, false);
    if (!sign || !x.len)
        return 0;
    size_t places = strlen(x.fraction);
    bool whole = strcmp(x.digits, "0") != 0;
    if (places == 0 || places > 2) {
        language_say_number(l, &x, NULL, w);
        words_add(w, "元");
        return sign + x.len;
    }
    char tenth = x.fraction[0], hundredth = places > 1 ? x.fraction[1] : '0';
    x.fraction[0] = 0;
    if (whole) {
        language_say_number(l, &x, NULL, w);
        words_add(w, "元");
    }
    if (tenth != '0') {
        chinese_say_digits(&tenth, 1, w);
        words_add(w, "角");
    } else if (hundredth != '0' && whole) {
        words_add(w, "零");
    }
    if (hundredth != '0') {
        chinese_say_digits(&hundredth, 1, w);
        words_add(w, "分");
    }
    return sign + x.len;
}

/* 2020年: digit by digit; 20%: 百分之二十; 2个: 两个; 120 km/h: 每小时一百二十公里. */
static size_t chinese_match(const struct text_language *l, const char *s, size_t n, size_t at,
                            struct words *w)
{
    size_t yuan = read_yuan(l, s, n, at, w), len;
    if (yuan)
        return yuan;
    if (at && (scan_is_digit(s[at - 1]) || s[at - 1] == '.'))
        return 0;
    struct language_number x = language_number_at(l, s, n, at, true);
    if (!x.len)
        return 0;
    size_t end = at + x.len, spaces = scan_spaces(s, n, end) == 1;
    if (strlen(x.digits) == 4 && !x.sign && !x.fraction[0] && scan_match(s, n, end, "年", false)) {
        chinese_say_digits(x.digits, 4, w);
        return x.len;
    }
    if (strlen(x.digits) > 8 && !x.grouped &&
        !x.fraction[0]) { /* a number of a telephone or a card */
        chinese_say_digits(x.digits, strlen(x.digits), w);
        return x.len;
    }
    if ((len = scan_match(s, n, end + spaces, "%", false)) > 0) {
        if (x.sign < 0)
            words_add(w, "负");
        x.sign = 0;
        words_add(w, "百分之");
        language_say_number(l, &x, NULL, w);
        return x.len + spaces + len;
    }
    if ((len = scan_match(s, n, end + spaces, "km/h", false)) > 0) {
        if (at < 6 || memcmp(s + at - 6, "时速", 6) != 0)
            words_add(w, "每小时");
        language_say_number(l, &x, NULL, w);
        words_add(w, "公里");
        return x.len + spaces + len;
    }
    static const char *const counters[] = {"个", "只", "条", "本",   "次", "天", "位", "名",
                                           "件", "张", "辆", "杯",   "瓶", "家", "种", "岁",
                                           "点", "周", "年", "小时", "倍", "块", NULL};
    for (const char *const *c = counters;
         strcmp(x.digits, "2") == 0 && !x.fraction[0] && !x.sign && *c; c++)
        if (scan_match(s, n, end, *c, false)) {
            words_add(w, "两");
            return x.len;
        }
    return 0;
}

const struct language_hooks language_hooks_zh = {
    .code = "zh",
    .match = chinese_match,
    .say_date = chinese_say_date,
    .say_time = chinese_say_time,
};
