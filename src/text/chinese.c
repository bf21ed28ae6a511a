/* Chinese (Mandarin), in simplified characters. */
#include <stdio.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define SAME(x)                                                                                    \
    {                                                                                              \
        x, 0, 0, 0, 0                                                                              \
    }

static const struct language_unit units[] = {{"°C", SAME("摄氏度"), 0},
                                             {"℃", SAME("摄氏度"), 0},
                                             {"°", SAME("度"), 0},
                                             {"nm", SAME("纳米"), 0},
                                             {"mm", SAME("毫米"), 0},
                                             {"cm", SAME("厘米"), 0},
                                             {"m", SAME("米"), 0},
                                             {"km", SAME("公里"), 0},
                                             {"m²", SAME("平方米"), 0},
                                             {"km²", SAME("平方公里"), 0},
                                             {"m³", SAME("立方米"), 0},
                                             {"ml", SAME("毫升"), 0},
                                             {"L", SAME("升"), 0},
                                             {"l", SAME("升"), 0},
                                             {"mg", SAME("毫克"), 0},
                                             {"g", SAME("克"), 0},
                                             {"kg", SAME("公斤"), 0},
                                             {"t", SAME("吨"), 0},
                                             {"m/s", SAME("米每秒"), 0},
                                             {"s", SAME("秒"), 0},
                                             {"min", SAME("分钟"), 0},
                                             {"h", SAME("小时"), 0},
                                             {"W", SAME("瓦"), 0},
                                             {"kW", SAME("千瓦"), 0},
                                             {"V", SAME("伏"), 0},
                                             {"Hz", SAME("赫兹"), 0},
                                             {"MHz", SAME("兆赫"), 0},
                                             {"GHz", SAME("吉赫"), 0},
                                             {"KB", SAME("KB"), 0},
                                             {"dB", SAME("分贝"), 0},
                                             {0}};

static const struct language_currency currencies[] = {{"$", SAME("美元"), {0}, 0, 0},
                                                      {"US$", SAME("美元"), {0}, 0, 0},
                                                      {"USD", SAME("美元"), {0}, 0, 0},
                                                      {"€", SAME("欧元"), {0}, 0, 0},
                                                      {"EUR", SAME("欧元"), {0}, 0, 0},
                                                      {"£", SAME("英镑"), {0}, 0, 0},
                                                      {"HK$", SAME("港元"), {0}, 0, 0},
                                                      {"JPY", SAME("日元"), {0}, 0, 0},
                                                      {0}};

static const struct language_symbol symbols[] = {{"%", "百分号"},   {"&", "和"},
                                                 {"+", "加"},       {"=", "等于"},
                                                 {"×", "乘"},       {"÷", "除以"},
                                                 {"<", "小于"},     {">", "大于"},
                                                 {"≈", "约等于"},   {"½", "二分之一"},
                                                 {"¼", "四分之一"}, {"¾", "四分之三"},
                                                 {"*", ""},         {0}};

static void chinese_say_digits(const char *s, size_t n, struct words *w)
{
    static const char *const names[] = {"零", "一", "二", "三", "四", "五", "六", "七", "八", "九"};
    for (size_t i = 0; i < n; i++)
        if (scan_is_digit(s[i]))
            words_add(w, names[s[i] - '0']);
}

static void chinese_say_int(int x, struct words *w)
{
    char digits[12], *p = digits + sizeof digits - 1;
    *p = 0;
    do {
        *--p = (char)('0' + x % 10);
    } while (x /= 10);
    words_number(w, "zh", NULL, p);
}

/* 下午2:05: 两点零五分. */
static void chinese_say_time(const struct language_time *t, struct words *w)
{
    if (t->hour == 2)
        words_add(w, "两");
    else
        chinese_say_int(t->hour, w);
    words_add(w, "点");
    if (t->minute <= 0 && t->second <= 0)
        return;
    if (t->minute < 10)
        words_add(w, "零");
    if (t->minute)
        chinese_say_int(t->minute, w);
    words_add(w, "分");
    if (t->second > 0) {
        chinese_say_int(t->second, w);
        words_add(w, "秒");
    }
}

static void chinese_say_date(const struct language_date *d, struct words *w)
{
    char year[12];
    if (d->year >= 0) {
        int n = snprintf(year, sizeof year, "%d", d->year);
        chinese_say_digits(year, (size_t)n, w);
        words_add(w, "年");
    }
    chinese_say_int(d->month, w);
    words_add(w, "月");
    if (d->day) {
        chinese_say_int(d->day, w);
        words_add(w, "日");
    }
}

/* ¥3.50: 三元五角. */
static size_t read_yuan(const char *s, size_t n, size_t at, struct words *w)
{
    extern const struct text_language language_zh;
    size_t sign = scan_match(s, n, at, "¥", false);
    sign = sign ? sign : scan_match(s, n, at, "￥", false);
    sign = sign ? sign : scan_match(s, n, at, "RMB", false);
    sign += sign ? scan_spaces(s, n, at + sign) : 0;
    struct language_number x = language_number_at(&language_zh, s, n, sign ? at + sign : n, false);
    if (!sign || !x.len)
        return 0;
    size_t places = strlen(x.fraction);
    bool whole = strcmp(x.digits, "0") != 0;
    if (places == 0 || places > 2) {
        language_say_number(&language_zh, &x, NULL, w);
        words_add(w, "元");
        return sign + x.len;
    }
    char tenth = x.fraction[0], hundredth = places > 1 ? x.fraction[1] : '0';
    x.fraction[0] = 0;
    if (whole) {
        language_say_number(&language_zh, &x, NULL, w);
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
static size_t chinese_match(const char *s, size_t n, size_t at, struct words *w)
{
    extern const struct text_language language_zh;
    size_t yuan = read_yuan(s, n, at, w), len;
    if (yuan)
        return yuan;
    if (at && (scan_is_digit(s[at - 1]) || s[at - 1] == '.'))
        return 0;
    struct language_number x = language_number_at(&language_zh, s, n, at, true);
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
        language_say_number(&language_zh, &x, NULL, w);
        return x.len + spaces + len;
    }
    if ((len = scan_match(s, n, end + spaces, "km/h", false)) > 0) {
        if (at < 6 || memcmp(s + at - 6, "时速", 6) != 0)
            words_add(w, "每小时");
        language_say_number(&language_zh, &x, NULL, w);
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

extern const struct text_language language_zh;
const struct text_language language_zh = {
    .code = "zh",
    .locale = "zh",
    .decimal = '.',
    .group = ",",
    .unspaced = true,
    .date_order = "ymd",
    .minus = "负",
    .plus = "加",
    .point = "点",
    .to = "到",
    .dot = "点",
    .at = "艾特",
    .slash = "斜杠",
    .dash = "横杠",
    .underscore = "下划线",
    .colon = "冒号",
    .hashtag = "话题",
    .units = units,
    .currencies = currencies,
    .symbols = symbols,
    .match = chinese_match,
    .say_date = chinese_say_date,
    .say_time = chinese_say_time,
};
