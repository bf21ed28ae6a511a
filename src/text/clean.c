#include "text/clean.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

#include "base/err.h"
#include "text/scan.h"

#define MAX_TOKEN_BYTES 80 /* between <| and |> */
#define MAX_MARKS       8  /* on one letter; more are ornament */
#define MAX_CLUSTER     32 /* a letter and what composes with it, bytes of UTF-16 */
#define MAX_EMOTICON    5

struct cleaner {
    const char *s;
    size_t n;
    const struct clean_options *options;
    struct mapped *out;
    const UNormalizer2 *nfc, *nfkc;
    size_t gap_start, gap_end; /* white space not yet written; equal: none */
    bool dropped;              /* it is there because something was dropped */
    int newlines;              /* in it */
};

/* --- white space --- */

static void gap(struct cleaner *k, size_t start, size_t end, int newlines)
{
    if (k->gap_end == k->gap_start)
        k->gap_start = start;
    k->gap_end = end;
    k->newlines += newlines;
}

static void write_gap(struct cleaner *k)
{
    if (k->gap_end > k->gap_start && k->out->text.len > 0) {
        int n = k->newlines > 1 ? 2 : 1;
        mapped_put(k->out, k->newlines ? "\n\n" : " ", k->newlines ? (size_t)n : 1, k->gap_start,
                   k->gap_end);
    }
    k->gap_start = k->gap_end = 0;
    k->newlines = 0;
    k->dropped = false;
}

/* Something goes that was not white space: none is needed before a mark that closes. */
static void drop(struct cleaner *k, size_t start, size_t end)
{
    gap(k, start, end, 0);
    k->dropped = true;
}

static void clean_put(struct cleaner *k, const char *form, size_t start, size_t end)
{
    write_gap(k);
    mapped_put(k->out, form, strlen(form), start, end);
}

/* --- single characters --- */

/* What a character is written as; NULL: something else decides.  Digits of other scripts are said
 * as ours, ২৫ as 25. */
static const char *simple_form(UChar32 c)
{
    static const char digits[][2] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    if (u_charType(c) == U_DECIMAL_DIGIT_NUMBER)
        return digits[u_charDigitValue(c)];
    switch (c) {
    case 0x2018:
    case 0x2019:
    case 0x201a:
    case 0x201b:
    case 0x2bc:
    case 0xb4:
    case 0x2b9:
    case 0x60:
        return "'";
    case 0x201c:
    case 0x201d:
    case 0x201e:
    case 0x201f:
    case 0xab:
    case 0xbb:
    case 0x2e42:
    case 0x301d:
    case 0x301e:
    case 0x301f:
    case 0xff02:
        return "\"";
    case 0x2039:
    case 0x203a:
    case 0xff07:
        return "'";
    case 0x2026:
        return "...";
    case 0x2025:
        return "..";
    case 0x2010:
    case 0x2011:
    case 0xfe63:
    case 0xff0d:
        return "-";
    case 0x2015:
    case 0x2e3a:
    case 0x2e3b:
        return "—";
    case 0x2044:
    case 0x2215:
        return "/";
    case 0x203c:
        return "!";
    case 0x2047:
        return "?";
    case 0x2048:
    case 0x2049:
        return "?!";
    case 0x2212:
        return "−";
    }
    return NULL;
}

static int line_breaks(UChar32 c)
{
    return c == '\n' || c == 0x85 || c == 0x2028 || c == '\v' ? 1
           : c == '\f' || c == 0x2029                         ? 2
                                                              : 0;
}

static bool clean_is_space(UChar32 c)
{
    return c == ' ' || c == '\t' || c == '\r' || u_isUWhiteSpace(c) || c == 0xfeff || c == 0x2800;
}

/* Joiners are spelling in Arabic, Persian and Indian scripts, when between letters. */
static bool keeps_joiner(const struct cleaner *k, size_t at, size_t len)
{
    UErrorCode status = U_ZERO_ERROR;
    size_t unused;
    UChar32 before = scan_char_before(k->s, at), after = scan_char(k->s, k->n, at + len, &unused);
    UScriptCode script = uscript_getScript(before, &status);
    return before >= 0x590 && u_isalpha(after) && script != USCRIPT_COMMON && before < 0x2000;
}

static bool is_dropped(const struct cleaner *k, UChar32 c, size_t at, size_t len)
{
    switch (u_charType(c)) {
    case U_PRIVATE_USE_CHAR:
        return !k->options->marks;
    case U_CONTROL_CHAR:
    case U_SURROGATE:
    case U_UNASSIGNED:
        return true;
    case U_FORMAT_CHAR:
        return (c != 0x200c && c != 0x200d) || !keeps_joiner(k, at, len);
    default:
        return c == 0xfe0f || c == 0xfe0e || c == 0x20e3 || c == 0xfffd || c == 0xfffc;
    }
}

/* --- letters and their marks --- */

static bool clean_is_mark(UChar32 c)
{
    int8_t type = u_charType(c);
    return type == U_NON_SPACING_MARK || type == U_ENCLOSING_MARK ||
           type == U_COMBINING_SPACING_MARK;
}

/* Marks that only ornament, where they do not compose with their letter: all but the accents. */
static bool is_ornament(UChar32 c)
{
    return (c >= 0x332 && c <= 0x36f) || (c >= 0x488 && c <= 0x489) ||
           (c >= 0x1ab0 && c <= 0x1aff) || (c >= 0x1dc0 && c <= 0x1dff) ||
           (c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe00 && c <= 0xfe2f);
}

/* Does NFKC say the same in ordinary letters?  Not for what means something of its own (x², ½, №),
 * nor for the wide punctuation that Chinese and Japanese are written with. */
static bool wants_compatibility(UChar32 c)
{
    switch (u_getIntPropertyValue(c, UCHAR_DECOMPOSITION_TYPE)) {
    case U_DT_FONT:
    case U_DT_CIRCLE:
    case U_DT_COMPAT:
    case U_DT_NARROW:
    case U_DT_SQUARE:
    case U_DT_SMALL:
    case U_DT_VERTICAL:
    case U_DT_INITIAL:
    case U_DT_MEDIAL:
    case U_DT_FINAL:
    case U_DT_ISOLATED:
        return c != 0xb5 && c != 0x17f && !(c >= 0x2032 && c <= 0x2037) && c != 0xff61 &&
               c != 0xff64 && !(c >= 0xa8 && c <= 0xb8) && c != 0x2116;
    case U_DT_WIDE:
        return u_isalnum(c) || u_charType(c) == U_CURRENCY_SYMBOL ||
               u_charType(c) == U_MATH_SYMBOL || c == 0xff05 || c == 0xff06 || c == 0xff03 ||
               c == 0xff20 || c == 0xff0f || c == 0xff0e;
    default:
        return false;
    }
}

static bool is_jamo(UChar32 c)
{
    return c >= 0x1160 && c <= 0x11ff;
}

/* Marks behind s[at], of which some are added to the n code units of `in`: where they end. */
static size_t cluster_marks(const struct cleaner *k, UChar32 c, size_t at, UChar *in, int32_t *n)
{
    size_t len;
    for (int marks = 0;; at += len) {
        UChar32 next = scan_char(k->s, k->n, at, &len);
        bool voiced = next == 0xff9e || next == 0xff9f; /* of half-width kana */
        bool jamo = is_jamo(next) && c >= 0x1100 && c <= 0x11ff;
        if (next < 0x300 || !(clean_is_mark(next) || voiced || jamo))
            return at;
        if (marks++ < MAX_MARKS && *n < MAX_CLUSTER - 2)
            U16_APPEND_UNSAFE(in, *n, next);
    }
}

/* UTF-8 of m code units, without ornaments, with one accent at most. */
static size_t cluster_form(const UChar *norm, int32_t m, char *form, int32_t room)
{
    int32_t n = 0, accents = 0;
    for (int32_t i = 0; i < m && n + 4 < room;) {
        UChar32 part;
        U16_NEXT(norm, i, m, part);
        bool accent = part >= 0x300 && part <= 0x331;
        if (!is_ornament(part) && !(accent && accents++ > 0))
            U8_APPEND_UNSAFE(form, n, part);
    }
    form[n] = 0;
    return (size_t)n;
}

/* The character at `at` with the marks behind it, composed.  Returns its bytes. */
static size_t cluster(struct cleaner *k, UChar32 c, size_t at, size_t len)
{
    UChar in[MAX_CLUSTER + 4], norm[4 * MAX_CLUSTER];
    char form[3 * 4 * MAX_CLUSTER + 1];
    int32_t n = 0, m;
    bool compatible = wants_compatibility(c);
    UErrorCode status = U_ZERO_ERROR;
    U16_APPEND_UNSAFE(in, n, c);
    size_t end = cluster_marks(k, c, at + len, in, &n), n8;
    if (end == at + len && !compatible && c < 0x300) {
        write_gap(k);
        mapped_copy(k->out, k->s, at, end);
        return end - at;
    }
    m = unorm2_normalize(compatible ? k->nfkc : k->nfc, in, n, norm, 4 * MAX_CLUSTER, &status);
    if (U_FAILURE(status) || m > 4 * MAX_CLUSTER)
        m = 0;
    n8 = cluster_form(norm, m, form, (int32_t)sizeof form);
    if (n8 == end - at && memcmp(form, k->s + at, n8) == 0) {
        write_gap(k);
        mapped_copy(k->out, k->s, at, end);
    } else {
        clean_put(k, form[0] == ' ' ? "" : form, at, end);
    }
    return end - at;
}

/* --- runs of punctuation, special tokens, smileys --- */

/* Runs: !!! is !, ?!?! is ?!, ..... is ..., ----, ====, ~~~~ are nothing.  0: no run. */
static size_t punctuation_run(struct cleaner *k, size_t at)
{
    /* Runs of so many of a character, and what they become; "": a gap.  The first row counts. */
    static const struct {
        const char *of;
        size_t least;
        const char *said;
    } rows[] = {
        {".", 3, "..."}, {".", 2, "."}, {",", 2, ","},
        {";", 2, ";"},   {":", 3, ":"}, {"-=_*#~+<>^|/\\", 3, ""},
    };
    static const char known[] = "!?.,;:-=_*#~+<>^|/\\";
    const char *s = k->s, c = s[at], *kind = strchr(known, c);
    if (!c || !kind)
        return 0;
    bool mixed = kind < known + 2; /* ! and ? */
    size_t end = at;
    while (end < k->n && (s[end] == c || (mixed && s[end] == known[c == '!'])))
        end++;
    size_t len = end - at;
    if (mixed && len > 1) {
        bool ask = memchr(s + at, '?', len), call = memchr(s + at, '!', len);
        clean_put(k, (const char *[]){"!", "?", "?!"}[ask ? 1 + call : 0], at, end);
        return len;
    }
    bool option = end < k->n && scan_is_alpha(s[end]) && (!at || s[at - 1] == ' '); /* --help */
    if (c == '-' && len == 2 && !option) {
        clean_put(k, "—", at, end);
        return len;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (len >= rows[i].least && strchr(rows[i].of, c)) {
            if (rows[i].said[0])
                clean_put(k, rows[i].said, at, end);
            else
                gap(k, at, end, 0);
            return len;
        }
    return 0;
}

/* <|anything|> means something to a model, nothing to a reader. */
static size_t special_token(const struct cleaner *k, size_t at)
{
    if (!scan_match(k->s, k->n, at, "<|", false))
        return 0;
    size_t end = at + 2;
    while (end + 1 < k->n && end - at < MAX_TOKEN_BYTES && k->s[end] > ' ' && k->s[end] != '<' &&
           k->s[end] != '|')
        end++;
    return end + 1 < k->n && k->s[end] == '|' && k->s[end + 1] == '>' && end > at + 2 ? end + 2 - at
                                                                                      : 0;
}

/* :-) ;) =D :'( <3 and kin, standing alone. */
static size_t smiley(const struct cleaner *k, size_t at)
{
    size_t end = at;
    if (at && !scan_match(k->s, at, at - 1, " ", false) && k->s[at - 1] != '\n')
        return 0;
    if (scan_match(k->s, k->n, at, "<3", false)) {
        end += 2;
    } else if (strchr(":;=", k->s[at])) {
        end++;
        while (end < k->n && end - at < 3 && strchr("-'o^", k->s[end]))
            end++;
        if (end >= k->n || !strchr(")(DPpO/\\|3*]", k->s[end]))
            return 0;
        char mouth = k->s[end++];
        while (end < k->n && k->s[end] == mouth && end - at < MAX_EMOTICON)
            end++;
    } else {
        return 0;
    }
    bool ends = end >= k->n || strchr(" \n\t\r.,!?", k->s[end]);
    return ends ? end - at : 0;
}

static size_t emoji(struct cleaner *k, size_t at)
{
    char name[128] = "";
    size_t len = emoji_at(k->s, k->n, at, name, sizeof name);
    if (!len)
        return 0;
    drop(k, at, at + len);
    if (k->options->emoji && name[0]) {
        clean_put(k, name, at, at + len);
        drop(k, at, at + len);
    }
    return len;
}

static size_t marker(struct cleaner *k, size_t at)
{
    char code[4];
    size_t len;
    int i = k->s[at] == '(' ? marker_at(k->s, k->n, at, &len) : -1;
    if (i < 0)
        return 0;
    if (k->options->markers) {
        write_gap(k);
        mapped_put(k->out, code, marker_code(i, code), at, at + len);
    } else {
        drop(k, at, at + len);
    }
    return len;
}

/* --- the loop --- */

static size_t ascii(struct cleaner *k, size_t at)
{
    size_t len;
    char c = k->s[at];
    if ((len = special_token(k, at)) > 0 || (len = smiley(k, at)) > 0) {
        drop(k, at, at + len);
        return len;
    }
    if (k->dropped && k->newlines == 0 && strchr(".,!?;:)", c))
        k->gap_start = k->gap_end = 0;
    if ((len = marker(k, at)) > 0 || (len = punctuation_run(k, at)) > 0)
        return len;
    if (c < ' ' || c == 0x7f)
        return 1;
    size_t unused;
    if (scan_char(k->s, k->n, at + 1, &unused) >= 0x300)
        return cluster(k, c, at, 1);
    write_gap(k);
    if (c == '`')
        mapped_put(k->out, "'", 1, at, at + 1);
    else
        mapped_copy(k->out, k->s, at, at + 1);
    return 1;
}

static size_t one(struct cleaner *k, size_t at)
{
    size_t len;
    UChar32 c = scan_char(k->s, k->n, at, &len);
    if (line_breaks(c) || clean_is_space(c)) {
        gap(k, at, at + len, line_breaks(c));
        return len;
    }
    if (c < 0x80)
        return ascii(k, at);
    const char *form = simple_form(c);
    size_t used = form ? 0 : emoji(k, at);
    if (used)
        return used;
    if (form)
        clean_put(k, form, at, at + len);
    else if (!is_dropped(k, c, at, len))
        return cluster(k, c, at, len);
    return len;
}

/* Letters, digits and spaces that stay as they are. */
static size_t plain(const struct cleaner *k, size_t at)
{
    size_t end = at;
    for (;;) {
        while (end < k->n && scan_is_alnum(k->s[end]))
            end++;
        if (end + 1 < k->n && k->s[end] == ' ' && end > at && scan_is_alnum(k->s[end + 1]))
            end++;
        else
            break;
    }
    if (end < k->n && (unsigned char)k->s[end] >= 0x80 && end > at)
        end--; /* a mark may follow */
    while (end > at && k->s[end - 1] == ' ')
        end--;
    return end - at;
}

/* Special tokens and characters that nothing shows go, white space is as ever, the rest stays. */
static size_t as_written(struct cleaner *k, size_t at)
{
    size_t len;
    UChar32 c = scan_char(k->s, k->n, at, &len);
    size_t token = special_token(k, at);
    size_t marked = token ? 0 : marker(k, at);
    if (line_breaks(c) || clean_is_space(c)) {
        gap(k, at, at + len, line_breaks(c));
    } else if (token || marked) {
        if (token)
            drop(k, at, at + token);
        len = token ? token : marked;
    } else if (!is_dropped(k, c, at, len) || c == 0xfe0f || c == 0xfe0e || c == 0x20e3) {
        write_gap(k);
        mapped_copy(k->out, k->s, at, at + len);
    }
    return len;
}

void clean_characters(const char *s, size_t n, const struct clean_options *o, struct mapped *out)
{
    UErrorCode status = U_ZERO_ERROR;
    struct cleaner k = {.s = s, .n = n, .options = o, .out = out};
    k.nfc = unorm2_getNFCInstance(&status);
    k.nfkc = unorm2_getNFKCInstance(&status);
    if (U_FAILURE(status))
        out->rc = ERR_INTERNAL;
    for (size_t at = 0; at < n && out->rc == 0;) {
        size_t len = plain(&k, at);
        if (len) {
            write_gap(&k);
            mapped_copy(out, s, at, at + len);
        } else {
            len = o->as_written ? as_written(&k, at) : one(&k, at);
        }
        at += len;
    }
}
