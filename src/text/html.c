/* HTML as far as text has crumbs of it: tags, comments, entities. */
#include <stdlib.h>
#include <string.h>
#include <unicode/utf8.h>

#include "text/markup.h"
#include "text/scan.h"

#define MAX_TAG_BYTES    4096
#define MAX_ENTITY_BYTES 12

/* --- entities --- */

static const struct {
    const char *name;
    uint16_t code;
} entities[] = {
    {"amp", '&'},       {"lt", '<'},        {"gt", '>'},        {"quot", '"'},
    {"apos", '\''},     {"nbsp", 0xa0},     {"iexcl", 0xa1},    {"cent", 0xa2},
    {"pound", 0xa3},    {"yen", 0xa5},      {"sect", 0xa7},     {"copy", 0xa9},
    {"ordf", 0xaa},     {"laquo", 0xab},    {"not", 0xac},      {"shy", 0xad},
    {"reg", 0xae},      {"deg", 0xb0},      {"plusmn", 0xb1},   {"sup1", 0xb9},
    {"sup2", 0xb2},     {"sup3", 0xb3},     {"acute", 0xb4},    {"micro", 0xb5},
    {"para", 0xb6},     {"middot", 0xb7},   {"ordm", 0xba},     {"raquo", 0xbb},
    {"frac14", 0xbc},   {"frac12", 0xbd},   {"frac34", 0xbe},   {"iquest", 0xbf},
    {"times", 0xd7},    {"divide", 0xf7},   {"Agrave", 0xc0},   {"Aacute", 0xc1},
    {"Acirc", 0xc2},    {"Atilde", 0xc3},   {"Auml", 0xc4},     {"Aring", 0xc5},
    {"AElig", 0xc6},    {"Ccedil", 0xc7},   {"Egrave", 0xc8},   {"Eacute", 0xc9},
    {"Ecirc", 0xca},    {"Euml", 0xcb},     {"Igrave", 0xcc},   {"Iacute", 0xcd},
    {"Icirc", 0xce},    {"Iuml", 0xcf},     {"Ntilde", 0xd1},   {"Ograve", 0xd2},
    {"Oacute", 0xd3},   {"Ocirc", 0xd4},    {"Otilde", 0xd5},   {"Ouml", 0xd6},
    {"Oslash", 0xd8},   {"Ugrave", 0xd9},   {"Uacute", 0xda},   {"Ucirc", 0xdb},
    {"Uuml", 0xdc},     {"Yacute", 0xdd},   {"szlig", 0xdf},    {"agrave", 0xe0},
    {"aacute", 0xe1},   {"acirc", 0xe2},    {"atilde", 0xe3},   {"auml", 0xe4},
    {"aring", 0xe5},    {"aelig", 0xe6},    {"ccedil", 0xe7},   {"egrave", 0xe8},
    {"eacute", 0xe9},   {"ecirc", 0xea},    {"euml", 0xeb},     {"igrave", 0xec},
    {"iacute", 0xed},   {"icirc", 0xee},    {"iuml", 0xef},     {"ntilde", 0xf1},
    {"ograve", 0xf2},   {"oacute", 0xf3},   {"ocirc", 0xf4},    {"otilde", 0xf5},
    {"ouml", 0xf6},     {"oslash", 0xf8},   {"ugrave", 0xf9},   {"uacute", 0xfa},
    {"ucirc", 0xfb},    {"uuml", 0xfc},     {"yacute", 0xfd},   {"yuml", 0xff},
    {"OElig", 0x152},   {"oelig", 0x153},   {"Scaron", 0x160},  {"scaron", 0x161},
    {"ensp", 0x2002},   {"emsp", 0x2003},   {"thinsp", 0x2009}, {"zwnj", 0x200c},
    {"zwj", 0x200d},    {"ndash", 0x2013},  {"mdash", 0x2014},  {"lsquo", 0x2018},
    {"rsquo", 0x2019},  {"sbquo", 0x201a},  {"ldquo", 0x201c},  {"rdquo", 0x201d},
    {"bdquo", 0x201e},  {"dagger", 0x2020}, {"bull", 0x2022},   {"hellip", 0x2026},
    {"permil", 0x2030}, {"prime", 0x2032},  {"Prime", 0x2033},  {"lsaquo", 0x2039},
    {"rsaquo", 0x203a}, {"euro", 0x20ac},   {"trade", 0x2122},  {"larr", 0x2190},
    {"uarr", 0x2191},   {"rarr", 0x2192},   {"darr", 0x2193},   {"harr", 0x2194},
    {"rArr", 0x21d2},   {"hArr", 0x21d4},   {"minus", 0x2212},  {"infin", 0x221e},
    {"asymp", 0x2248},  {"ne", 0x2260},     {"le", 0x2264},     {"ge", 0x2265},
    {"radic", 0x221a},  {"sum", 0x2211},    {"hearts", 0x2665}, {"alpha", 0x3b1},
    {"beta", 0x3b2},    {"gamma", 0x3b3},   {"delta", 0x3b4},   {"pi", 0x3c0},
    {"sigma", 0x3c3},   {"mu", 0x3bc},      {"lambda", 0x3bb},  {"omega", 0x3c9},
    {"Delta", 0x394},   {"Omega", 0x3a9},   {"Sigma", 0x3a3},
};

static size_t put_utf8(UChar32 c, char utf8[5])
{
    int32_t len = 0;
    if (c <= 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = 0xfffd;
    U8_APPEND_UNSAFE(utf8, len, c);
    utf8[len] = 0;
    return (size_t)len;
}

size_t html_entity(const char *s, size_t n, size_t at, char utf8[5])
{
    size_t end = at + 1;
    while (end < n && end - at < MAX_ENTITY_BYTES && (scan_is_alnum(s[end]) || s[end] == '#'))
        end++;
    if (end >= n || s[end] != ';' || end < at + 3)
        return 0;
    size_t len = end - at - 1;
    if (s[at + 1] == '#') {
        char digits[MAX_ENTITY_BYTES] = "", *stop;
        bool hex = (s[at + 2] | 32) == 'x';
        memcpy(digits, s + at + 2 + hex, len - 1 - hex);
        long c = strtol(digits, &stop, hex ? 16 : 10);
        if (*stop || stop == digits)
            return 0;
        put_utf8(c > 0x10ffff ? 0 : (UChar32)c, utf8);
        return len + 2;
    }
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (strlen(entities[i].name) == len && memcmp(entities[i].name, s + at + 1, len) == 0) {
            put_utf8(entities[i].code, utf8);
            return len + 2;
        }
    return 0;
}

/* --- tags --- */

static const struct {
    const char *name;
    enum html_tag kind;
} tags[] = {
    {"a", HTML_INLINE},          {"abbr", HTML_INLINE},
    {"b", HTML_INLINE},          {"bdi", HTML_INLINE},
    {"bdo", HTML_INLINE},        {"big", HTML_INLINE},
    {"cite", HTML_INLINE},       {"code", HTML_INLINE},
    {"del", HTML_INLINE},        {"dfn", HTML_INLINE},
    {"em", HTML_INLINE},         {"font", HTML_INLINE},
    {"i", HTML_INLINE},          {"img", HTML_INLINE},
    {"ins", HTML_INLINE},        {"kbd", HTML_INLINE},
    {"label", HTML_INLINE},      {"mark", HTML_INLINE},
    {"q", HTML_INLINE},          {"s", HTML_INLINE},
    {"samp", HTML_INLINE},       {"small", HTML_INLINE},
    {"span", HTML_INLINE},       {"strike", HTML_INLINE},
    {"strong", HTML_INLINE},     {"sub", HTML_INLINE},
    {"sup", HTML_INLINE},        {"time", HTML_INLINE},
    {"tt", HTML_INLINE},         {"u", HTML_INLINE},
    {"var", HTML_INLINE},        {"wbr", HTML_INLINE},
    {"input", HTML_INLINE},      {"button", HTML_INLINE},
    {"svg", HTML_INLINE},        {"br", HTML_LINE},
    {"li", HTML_LINE},           {"tr", HTML_LINE},
    {"dt", HTML_LINE},           {"dd", HTML_LINE},
    {"option", HTML_LINE},       {"summary", HTML_LINE},
    {"td", HTML_CELL},           {"th", HTML_CELL},
    {"p", HTML_PARAGRAPH},       {"div", HTML_PARAGRAPH},
    {"h1", HTML_PARAGRAPH},      {"h2", HTML_PARAGRAPH},
    {"h3", HTML_PARAGRAPH},      {"h4", HTML_PARAGRAPH},
    {"h5", HTML_PARAGRAPH},      {"h6", HTML_PARAGRAPH},
    {"hr", HTML_PARAGRAPH},      {"ul", HTML_PARAGRAPH},
    {"ol", HTML_PARAGRAPH},      {"dl", HTML_PARAGRAPH},
    {"table", HTML_PARAGRAPH},   {"tbody", HTML_PARAGRAPH},
    {"thead", HTML_PARAGRAPH},   {"tfoot", HTML_PARAGRAPH},
    {"caption", HTML_PARAGRAPH}, {"blockquote", HTML_PARAGRAPH},
    {"pre", HTML_PARAGRAPH},     {"section", HTML_PARAGRAPH},
    {"article", HTML_PARAGRAPH}, {"header", HTML_PARAGRAPH},
    {"footer", HTML_PARAGRAPH},  {"main", HTML_PARAGRAPH},
    {"nav", HTML_PARAGRAPH},     {"aside", HTML_PARAGRAPH},
    {"figure", HTML_PARAGRAPH},  {"figcaption", HTML_PARAGRAPH},
    {"form", HTML_PARAGRAPH},    {"details", HTML_PARAGRAPH},
    {"body", HTML_PARAGRAPH},    {"html", HTML_PARAGRAPH},
    {"head", HTML_PARAGRAPH},    {"title", HTML_PARAGRAPH},
    {"meta", HTML_INLINE},       {"link", HTML_INLINE},
    {"script", HTML_HIDDEN},     {"style", HTML_HIDDEN},
    {"noscript", HTML_INLINE},
};

static enum html_tag kind_of(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (strlen(tags[i].name) == n && scan_match(name, n, 0, tags[i].name, true))
            return tags[i].kind;
    return HTML_NONE;
}

/* To behind the closing tag of a hidden element; to the end when it is never closed. */
static size_t skip_hidden(const char *s, size_t n, size_t at, const char *name, size_t n_name)
{
    for (; at + n_name + 2 < n; at++)
        if (s[at] == '<' && s[at + 1] == '/') {
            size_t i = 0;
            while (i < n_name && (s[at + 2 + i] | 32) == (name[i] | 32))
                i++;
            if (i < n_name)
                continue;
            const char *close = memchr(s + at, '>', n - at);
            return close ? (size_t)(close + 1 - s) : n;
        }
    return n;
}

static size_t comment_len(const char *s, size_t n, size_t at)
{
    for (size_t end = at + 4; end + 2 < n; end++)
        if (s[end] == '-' && s[end + 1] == '-' && s[end + 2] == '>')
            return end + 3 - at;
    return n - at;
}

/* "<name ...>", "</name>" or "<!name ...>". */
struct html_parts {
    char mark; /* '/' or '!' before the name; 0 */
    size_t name, name_end, close;
};

static bool html_part(const char *s, size_t n, size_t at, struct html_parts *p)
{
    char next = (char)(at + 1 < n ? s[at + 1] : 0);
    p->mark = (char)(next == '/' || next == '!' ? next : 0);
    size_t end = p->name = at + 1 + (p->mark != 0);
    while (end < n && end - p->name < 64 &&
           (scan_is_alnum(s[end]) || s[end] == '_' || s[end] == '-'))
        end++;
    p->name_end = end;
    if (end == p->name || !scan_is_alpha(s[p->name]))
        return false;
    while (end < n && end - at < MAX_TAG_BYTES && s[end] != '>' && s[end] != '<')
        end++;
    p->close = end;
    char behind = (char)(p->name_end < n ? s[p->name_end] : 0);
    return end < n && s[end] == '>' && behind && strchr(" />=\n\t", behind);
}

enum html_tag html_tag_at(const char *s, size_t n, size_t at, size_t *len)
{
    struct html_parts p;
    if (scan_match(s, n, at, "<!--", false)) {
        *len = comment_len(s, n, at);
        return HTML_INLINE;
    }
    if (!html_part(s, n, at, &p) || (p.mark == '!' && !scan_match(s, n, at, "<!doctype", true)))
        return HTML_NONE;
    *len = p.close + 1 - at;
    size_t n_name = p.name_end - p.name;
    enum html_tag kind = kind_of(s + p.name, n_name);
    if (p.mark == '!' || (kind == HTML_HIDDEN && p.mark))
        return HTML_INLINE;
    if (kind == HTML_HIDDEN)
        *len = skip_hidden(s, n, p.close + 1, s + p.name, n_name) - at;
    if (kind != HTML_NONE)
        return kind;
    bool attributes = memchr(s + p.name_end, '=', p.close - p.name_end);
    if (p.mark || attributes || s[p.close - 1] == '/')
        return HTML_UNKNOWN; /* <think a="b">, </think> */
    return p.close == p.name_end && !scan_word_before(s, at) ? HTML_NAME : HTML_NONE;
}
