/* Japanese. */
#include <stdio.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define SAME(x)                                                                                    \
    {                                                                                              \
        x, 0, 0, 0, 0                                                                              \
    }

static const struct language_unit units[] = {{"%", SAME("パーセント"), 0},
                                             {"°C", SAME("度"), 0},
                                             {"℃", SAME("度"), 0},
                                             {"°", SAME("度"), 0},
                                             {"mm", SAME("ミリメートル"), 0},
                                             {"cm", SAME("センチメートル"), 0},
                                             {"m", SAME("メートル"), 0},
                                             {"km", SAME("キロメートル"), 0},
                                             {"m²", SAME("平方メートル"), 0},
                                             {"km²", SAME("平方キロメートル"), 0},
                                             {"m³", SAME("立方メートル"), 0},
                                             {"ml", SAME("ミリリットル"), 0},
                                             {"mL", SAME("ミリリットル"), 0},
                                             {"L", SAME("リットル"), 0},
                                             {"l", SAME("リットル"), 0},
                                             {"mg", SAME("ミリグラム"), 0},
                                             {"g", SAME("グラム"), 0},
                                             {"kg", SAME("キログラム"), 0},
                                             {"t", SAME("トン"), 0},
                                             {"m/s", SAME("メートル毎秒"), 0},
                                             {"s", SAME("秒"), 0},
                                             {"min", SAME("分"), 0},
                                             {"h", SAME("時間"), 0},
                                             {"W", SAME("ワット"), 0},
                                             {"kW", SAME("キロワット"), 0},
                                             {"V", SAME("ボルト"), 0},
                                             {"Hz", SAME("ヘルツ"), 0},
                                             {"MHz", SAME("メガヘルツ"), 0},
                                             {"GHz", SAME("ギガヘルツ"), 0},
                                             {"KB", SAME("キロバイト"), 0},
                                             {"MB", SAME("メガバイト"), 0},
                                             {"GB", SAME("ギガバイト"), 0},
                                             {"TB", SAME("テラバイト"), 0},
                                             {"dB", SAME("デシベル"), 0},
                                             {"kcal", SAME("キロカロリー"), 0},
                                             {0}};

static const struct language_currency currencies[] = {
    {"¥", SAME("円"), {0}, 0, 0},       {"￥", SAME("円"), {0}, 0, 0},
    {"JPY", SAME("円"), {0}, 0, 0},     {"$", SAME("ドル"), {0}, 0, 0},
    {"US$", SAME("米ドル"), {0}, 0, 0}, {"USD", SAME("米ドル"), {0}, 0, 0},
    {"€", SAME("ユーロ"), {0}, 0, 0},   {"EUR", SAME("ユーロ"), {0}, 0, 0},
    {"£", SAME("ポンド"), {0}, 0, 0},   {0}};

static const struct language_symbol symbols[] = {{"%", "パーセント"}, {"&", "アンド"},
                                                 {"+", "プラス"},     {"=", "イコール"},
                                                 {"×", "かける"},     {"÷", "わる"},
                                                 {"<", "小なり"},     {">", "大なり"},
                                                 {"½", "二分の一"},   {"¼", "四分の一"},
                                                 {"¾", "四分の三"},   {"@", "アットマーク"},
                                                 {"*", ""},           {0}};

static void japanese_say_int(int x, struct words *w)
{
    char digits[12];
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "ja", NULL, digits);
}

static void japanese_say_time(const struct language_time *t, struct words *w)
{
    japanese_say_int(t->hour, w);
    words_add(w, "時");
    if (t->minute > 0 || t->second > 0) {
        japanese_say_int(t->minute, w);
        words_add(w, "分");
    }
    if (t->second > 0) {
        japanese_say_int(t->second, w);
        words_add(w, "秒");
    }
}

static void japanese_say_date(const struct language_date *d, struct words *w)
{
    if (d->year >= 0) {
        japanese_say_int(d->year, w);
        words_add(w, "年");
    }
    japanese_say_int(d->month, w);
    words_add(w, "月");
    if (d->day) {
        japanese_say_int(d->day, w);
        words_add(w, "日");
    }
}

/* 120 km/h: 時速百二十キロ. */
static size_t japanese_match(const char *s, size_t n, size_t at, struct words *w)
{
    extern const struct text_language language_ja;
    struct language_number x = {0};
    if (!at || !(scan_is_digit(s[at - 1]) || s[at - 1] == '.'))
        x = language_number_at(&language_ja, s, n, at, false);
    size_t end = at + x.len, spaces = scan_spaces(s, n, end) == 1;
    size_t len = x.len ? scan_match(s, n, end + spaces, "km/h", false) : 0;
    if (!len)
        return 0;
    words_add(w, "時速");
    language_say_number(&language_ja, &x, NULL, w);
    words_add(w, "キロ");
    return x.len + spaces + len;
}

extern const struct text_language language_ja;
const struct text_language language_ja = {
    .code = "ja",
    .locale = "ja",
    .decimal = '.',
    .group = ",",
    .unspaced = true,
    .date_order = "ymd",
    .minus = "マイナス",
    .plus = "プラス",
    .point = "点",
    .to = "から",
    .dot = "ドット",
    .at = "アットマーク",
    .slash = "スラッシュ",
    .dash = "ハイフン",
    .underscore = "アンダーバー",
    .colon = "コロン",
    .hashtag = "ハッシュタグ",
    .units = units,
    .currencies = currencies,
    .symbols = symbols,
    .match = japanese_match,
    .say_date = japanese_say_date,
    .say_time = japanese_say_time,
};
