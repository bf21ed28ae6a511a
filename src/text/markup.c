/* One byte of notes for each byte of the text, then one pass that writes what is left:
 *
 *   math     marks LaTeX, which Markdown would take apart
 *   md4c     says what of the rest is text, code or an entity; everything else is markup and goes
 *   crumbs   marks tags, footnotes, subscripts, and lists inside a line, which CommonMark has not
 *   emit     copies, drops or replaces by the notes
 *
 * md4c is given a copy in which marks that are none to a reader ("2*3", ">100") are letters; what
 * is at a place there is at the same place in the text. */
#include "text/markup.h"

#include <md4c.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "text/scan.h"

enum note {
    KEEP,
    DROP,
    LITERAL,   /* kept, and nothing in it is looked at */
    ENTITY,    /* the rest of it is dropped */
    COMMAND,   /* of LaTeX, the same */
    CELL,      /* ", " */
    SPACE,     /* a space */
    LINE,      /* a line break */
    PARAGRAPH, /* an empty line */
    STOP_LINE, /* this line break, or the space instead of one, needs a period before it */
    OVER       /* the slash of a LaTeX fraction */
};

#define MATH           '\1' /* in the copy */
#define MAX_URL_BYTES  2048
#define MAX_FRACTIONS  16
#define MAX_ITEMS      40 /* of a list inside a line */
#define MAX_RAISED     8
#define MAX_MATH_BYTES 1024
#define MAX_NOTE_BYTES 200 /* of a footnote's name, of ==marked== text */

struct markup {
    const char *s;
    size_t n;
    unsigned char *note;
    char *copy;           /* what md4c reads */
    size_t last, stopped; /* end of what it said last; of the last line that was looked at */
    int items;            /* of lists, open */
    bool said;            /* the table's row has a cell with text, */
    bool cell;            /* and this is another that has not begun */
};

static void mark(struct markup *m, size_t from, size_t to, enum note note)
{
    memset(m->note + from, note, to - from);
}

static bool markup_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static size_t markup_run_of(const struct markup *m, size_t at, size_t end, char c)
{
    size_t i = at;
    while (i < end && m->s[i] == c)
        i++;
    return i - at;
}

static size_t line_end(const struct markup *m, size_t at)
{
    const char *end = at < m->n ? memchr(m->s + at, '\n', m->n - at) : NULL;
    return end ? (size_t)(end - m->s) : m->n;
}

/* --- math --- */

/* Notes for math in [from, to): commands and braces. */
static void math(struct markup *m, size_t from, size_t to)
{
    int depth = 0, fraction[MAX_FRACTIONS], n_fraction = 0;
    const char *sign;
    mark(m, from, to, LITERAL);
    for (size_t i = from; i < to; i++) {
        char c = m->s[i];
        size_t len = c == '\\' ? latex_command(m->s, to, i, &sign) : 0;
        if (len) {
            if (len >= 5 && memcmp(m->s + i + len - 4, "frac", 4) == 0 &&
                n_fraction < MAX_FRACTIONS)
                fraction[n_fraction++] = depth;
            mark(m, i, i + len, DROP);
            m->note[i] = COMMAND;
            i += len - 1;
        } else if (c == '\\') {
            m->note[i] = DROP;
            if (i + 1 < to && strchr(",;:! \\", m->s[i + 1])) {
                i++;
                m->note[i] = m->s[i] == '\\' ? LINE : DROP;
            }
        } else if (c == '{') {
            m->note[i] = DROP;
            depth++;
        } else if (c == '}') {
            m->note[i] = DROP;
            depth -= depth > 0;
            if (n_fraction && fraction[n_fraction - 1] == depth) {
                n_fraction--;
                if (i + 1 < to && m->s[i + 1] == '{')
                    m->note[i] = OVER;
            }
        } else if (c == '&') {
            m->note[i] = DROP;
        }
    }
}

/* $...$ on one line, $$...$$ over several; not "$5 and $6".  Where it ends, or 0. */
static size_t dollar_math(struct markup *m, size_t at, size_t end)
{
    size_t len = markup_run_of(m, at, end, '$'), from = at + len;
    size_t limit = len == 2 ? (m->n - from < MAX_MATH_BYTES ? m->n : from + MAX_MATH_BYTES) : end;
    bool signs = len == 2;
    if (len > 2 || from >= limit || (len == 1 && markup_is_space(m->s[from])))
        return 0;
    size_t to = from;
    for (; to < limit && m->s[to] != '$'; to++)
        signs = signs || strchr("\\^_={}", m->s[to]);
    bool letter = to == from + 1 && scan_is_alpha(m->s[from]);
    if (to >= limit || !(signs || letter) || to == from || markup_run_of(m, to, m->n, '$') < len ||
        (len == 1 &&
         (markup_is_space(m->s[to - 1]) || (to + 1 < m->n && scan_is_digit(m->s[to + 1])))))
        return 0;
    mark(m, at, from, DROP);
    math(m, from, to);
    mark(m, to, to + len, DROP);
    return to + len;
}

/* \( ... \), \[ ... \] or \command.  Where it ends, or 0. */
static size_t backslash_math(struct markup *m, size_t at, size_t end)
{
    const char *sign;
    char c = at + 1 < end ? m->s[at + 1] : 0;
    if (c == '(' || c == '[') {
        char close = c == '(' ? ')' : ']';
        size_t limit = m->n - at < MAX_MATH_BYTES ? m->n : at + MAX_MATH_BYTES;
        for (size_t i = at + 2; i + 1 < limit; i++)
            if (m->s[i] == '\\' && m->s[i + 1] == close) {
                mark(m, at, at + 2, DROP);
                math(m, at + 2, i);
                mark(m, i, i + 2, DROP);
                return i + 2;
            }
    }
    size_t len = latex_command(m->s, m->n, at, &sign), to = at + len;
    int depth = 0;
    if (len < 3)
        return 0;
    while (to < end && (depth || m->s[to] == '{' || m->s[to] == '^' || m->s[to] == '_') &&
           to - at < MAX_MATH_BYTES) {
        depth += m->s[to] == '{' ? 1 : m->s[to] == '}' ? -1 : 0;
        to++;
    }
    math(m, at, to);
    return to;
}

static size_t address_len(const struct markup *m, size_t at, size_t end)
{
    size_t i = at;
    if (!scan_match(m->s, end, at, "http://", true) &&
        !scan_match(m->s, end, at, "https://", true) && !scan_match(m->s, end, at, "www.", true))
        return 0;
    while (i < end && (unsigned char)m->s[i] > ' ' && !strchr("<>\"`)]*", m->s[i]))
        i++;
    return i - at;
}

/* Does the mark at `at` mean nothing to a reader: 2*3, >100, ~5, <|token|>? */
static bool is_no_mark(const struct markup *m, size_t at)
{
    char before = at ? m->s[at - 1] : '\n', after = at + 1 < m->n ? m->s[at + 1] : 0;
    switch (m->s[at]) {
    case '*':
        return scan_is_digit(before) && scan_is_digit(after);
    case '>':
        return after == '=' || scan_is_digit(after);
    case '~':
        return before != '~' && after != '~';
    case '<':
        return after == '|';
    default:
        return false;
    }
}

/* The marks within an address at `at` are letters, too.  Its bytes, 0: there is none. */
static size_t hide_address(struct markup *m, size_t at, size_t end)
{
    char c = m->s[at] | 32;
    size_t len = c == 'h' || c == 'w' ? address_len(m, at, end) : 0;
    for (size_t i = at; i < at + len; i++)
        if (strchr("_~", m->s[i]))
            m->copy[i] = 'x';
    return len;
}

/* Most characters begin nothing: those that begin math, an address or a mark. */
static const bool begins_math[256] = {
    ['\\'] = true, ['$'] = true, ['h'] = true, ['H'] = true, ['w'] = true, ['W'] = true,
    ['*'] = true,  ['>'] = true, ['~'] = true, ['<'] = true, ['\n'] = true};

static void mark_math(struct markup *m)
{
    for (size_t at = 0, end = line_end(m, 0); at < m->n;) {
        char c = m->s[at];
        if (!begins_math[(unsigned char)c]) {
            at++;
            continue;
        }
        size_t to = c == '\\' ? backslash_math(m, at, end) : c == '$' ? dollar_math(m, at, end) : 0;
        size_t len = to ? to - at : hide_address(m, at, end);
        if (to)
            memset(m->copy + at, MATH, len);
        else if (c == '$')
            len = markup_run_of(m, at, end, '$'); /* each is looked at once */
        else if (c == '\\' && at + 1 < end)
            len = 2;
        else if (is_no_mark(m, at))
            m->copy[at] = 'x';
        at += len ? len : 1;
        if (to || c == '\n')
            end = line_end(m, at);
    }
}

/* --- what md4c says --- */

/* The line break after the line at end: with a period when the line has no mark of its own. */
static void stop_line(struct markup *m, size_t at, size_t end)
{
    while (end > at && (markup_is_space(m->s[end - 1]) || strchr("*_`|", m->s[end - 1])))
        end--;
    size_t line = end;
    while (line < m->n && m->s[line] != '\n')
        line++;
    bool marked =
        end == at || strchr(".!?:;,", m->s[end - 1]) || (unsigned char)m->s[end - 1] >= 0x80;
    if (line < m->n && !marked)
        m->note[line] = STOP_LINE;
}

/* Blocks within blocks end together: their last line is looked at once. */
static void markup_stop(struct markup *m)
{
    if (m->stopped != m->last)
        stop_line(m, 0, m->last);
    m->stopped = m->last;
}

static int markup_enter(MD_BLOCKTYPE type, void *detail, void *cookie)
{
    struct markup *m = cookie;
    (void)detail;
    if (type == MD_BLOCK_TR)
        m->said = false;
    if (m->items && (type == MD_BLOCK_UL || type == MD_BLOCK_OL))
        markup_stop(m);
    m->items += type == MD_BLOCK_LI;
    m->cell = (type == MD_BLOCK_TH || type == MD_BLOCK_TD) && m->said;
    return 0;
}

static int markup_leave(MD_BLOCKTYPE type, void *detail, void *cookie)
{
    struct markup *m = cookie;
    (void)detail;
    m->items -= type == MD_BLOCK_LI;
    if (type == MD_BLOCK_LI || type == MD_BLOCK_TR)
        markup_stop(m);
    size_t end = type == MD_BLOCK_H ? line_end(m, m->last) : m->n;
    if (end < m->n)
        m->note[end] = PARAGRAPH;
    return 0;
}

static int markup_span(MD_SPANTYPE type, void *detail, void *cookie)
{
    (void)type;
    (void)detail;
    (void)cookie;
    return 0;
}

static void markup_entity(struct markup *m, size_t at, size_t n)
{
    char utf8[5];
    if (html_entity(m->s, m->n, at, utf8))
        m->note[at] = ENTITY;
    else
        mark(m, at, at + n, KEEP);
}

static int markup_text(MD_TEXTTYPE type, const MD_CHAR *s, MD_SIZE n, void *cookie)
{
    struct markup *m = cookie;
    if (n == 0 || s < m->copy || s >= m->copy + m->n) /* a line break of its own */
        return 0;
    size_t at = (size_t)(s - m->copy), end = at + n;
    if (m->cell)
        for (size_t i = at; i > m->last; i--)
            if (m->s[i - 1] == '|') {
                m->note[i - 1] = CELL;
                break;
            }
    m->cell = false;
    m->said = true;
    m->last = end;
    if (type == MD_TEXT_ENTITY) {
        markup_entity(m, at, n);
        return 0;
    }
    bool literal = type == MD_TEXT_CODE || (n == 1 && at && m->s[at - 1] == '\\');
    if (at && m->s[at - 1] == '<' && scan_match(m->s, m->n, at, "mailto:", true))
        at += 7;
    for (size_t i = at; i < end; i++)
        if (m->note[i] == DROP && m->copy[i] != MATH)
            m->note[i] = literal ? LITERAL : KEEP;
    return 0;
}

/* --- crumbs --- */

/* H~2~O, x^2^: a few letters and digits below or above the line.  True: the marks go, but for what
 * makes a number a power. */
static void raised(struct markup *m, size_t at, size_t end)
{
    char sign = m->s[at];
    size_t to = at + 1 + (sign == '^' && at + 1 < end && m->s[at + 1] == '-');
    while (to < end && to - at <= MAX_RAISED && scan_is_alnum(m->s[to]))
        to++;
    if (to == at + 1 || to >= end || m->s[to] != sign || !scan_word_before(m->s, at))
        return;
    m->note[to] = DROP;
    if (sign == '~' || scan_is_alpha(m->s[to - 1]))
        m->note[at] = DROP;
}

/* ==marked== text at `at`: its marks go. */
static void highlight(struct markup *m, size_t at, size_t end)
{
    size_t limit = end - at < MAX_NOTE_BYTES ? end : at + MAX_NOTE_BYTES;
    if (markup_run_of(m, at, end, '=') != 2 || at + 2 >= end || markup_is_space(m->s[at + 2]))
        return;
    for (size_t i = at + 3; i + 1 < limit; i++)
        if (m->s[i] == '=' && m->s[i + 1] == '=' && !markup_is_space(m->s[i - 1])) {
            mark(m, at, at + 2, DROP);
            mark(m, i, i + 2, DROP);
            return;
        }
}

/* [^note], and [12] behind a word: they go, and so does the target of [text][nowhere]. */
static void footnote(struct markup *m, size_t at, size_t end)
{
    size_t limit = end - at < MAX_NOTE_BYTES ? end - at : MAX_NOTE_BYTES;
    const char *close = memchr(m->s + at, ']', limit);
    size_t to = close ? (size_t)(close - m->s) : 0, inside = to - at - 1;
    if (!close || inside == 0)
        return;
    bool note = inside > 1 && m->s[at + 1] == '^';
    bool index = m->s[at + 1] == '0' || (to + 2 < end && strchr("=.", m->s[to + 2]));
    bool citation = inside <= 3 && scan_digits(m->s, to, at + 1) == inside && at > 0 && !index &&
                    (scan_is_alnum(m->s[at - 1]) || strchr(".,;:!?)\"]", m->s[at - 1]));
    if (note || citation)
        mark(m, at, to + 1, DROP);
    bool refers = to + 1 < end && m->s[to + 1] == '[' && !scan_is_digit(m->s[at + 1]);
    limit = end - to < MAX_NOTE_BYTES ? end - to : MAX_NOTE_BYTES;
    close = refers ? memchr(m->s + to + 1, ']', limit - 1) : NULL;
    if (close) {
        m->note[at] = DROP;
        mark(m, to, (size_t)(close + 1 - m->s), DROP);
    }
}

/* </b>and<i>: a word of two letters or more, alone between the end of one element and the start of
 * another, is a word of its own; un<b>think</b>able is one.  To behind the opening tag, or 0. */
static size_t word_between(struct markup *m, size_t close, size_t from)
{
    size_t to = from, len, name = 0;
    while (to < m->n && to - from < MAX_RAISED && scan_is_alpha(m->s[to]))
        to++;
    if (to < from + 2 || to + 1 >= m->n || m->s[close + 1] != '/' || m->s[to] != '<' ||
        html_tag_at(m->s, m->n, to, &len) != HTML_INLINE)
        return 0;
    while (scan_is_alnum(m->s[close + 2 + name]))
        name++;
    if (m->s[to + 1] == '/' || memcmp(m->s + close + 2, m->s + to + 1, name) == 0)
        return 0;
    mark(m, to, to + len, DROP);
    m->note[close] = m->note[to] = SPACE;
    return to + len;
}

static size_t angle(struct markup *m, size_t at)
{
    size_t len;
    enum html_tag kind = html_tag_at(m->s, m->n, at, &len);
    if (kind == HTML_NONE)
        return at + 1;
    if (kind == HTML_NAME && !scan_word_at(m->s, m->n, at + len)) {
        m->note[at] = m->note[at + len - 1] = DROP;
        return at + 1;
    }
    if (kind == HTML_NAME) { /* <think>not */
        mark(m, at, at + len, DROP);
        m->note[at] = SPACE;
        return at + len;
    }
    mark(m, at, at + len, DROP);
    bool glues =
        kind == HTML_UNKNOWN && scan_word_before(m->s, at) && scan_word_at(m->s, m->n, at + len);
    m->note[at] = glues                                      ? SPACE
                  : kind == HTML_LINE                        ? LINE
                  : kind == HTML_PARAGRAPH                   ? PARAGRAPH
                  : kind == HTML_CELL && m->s[at + 1] == '/' ? CELL
                                                             : DROP;
    size_t behind = kind == HTML_INLINE ? word_between(m, at, at + len) : 0;
    return behind ? behind : at + len;
}

/* What CommonMark has not: tags, footnotes, ==marked==, H~2~O, x^2^. */
static void mark_crumbs(struct markup *m)
{
    static const bool begins[256] = {
        ['\n'] = true, ['<'] = true, ['~'] = true, ['^'] = true, ['['] = true, ['='] = true};
    for (size_t at = 0, end = line_end(m, 0); at < m->n;) {
        char c = m->s[at];
        if (!begins[(unsigned char)c]) {
            at++;
            continue;
        }
        if (c == '\n')
            end = line_end(m, at + 1);
        if (m->note[at] == KEEP && c == '<') {
            at = angle(m, at);
            end = line_end(m, at);
            continue;
        }
        if (m->note[at] == KEEP && (c == '~' || c == '^'))
            raised(m, at, end);
        else if (m->note[at] == KEEP && c == '[')
            footnote(m, at, end);
        else if (m->note[at] == KEEP && c == '=' && (!at || m->s[at - 1] != '='))
            highlight(m, at, end);
        at++;
    }
}

/* --- lists inside a line: "1) one 2) two" --- */

struct list_mark {
    int number; /* 0: there is none; letters count from a */
    size_t len;
    int style; /* . or ), for .) too; letters: 97 more */
};

/* The mark of a list's item at s[at]: "1." "1)" "1.)" "a." "a)", with a space behind. */
static struct list_mark list_mark_at(const struct markup *m, size_t at, size_t end)
{
    static const struct list_mark none;
    size_t digits = scan_digits(m->s, end, at), i = at + digits;
    struct list_mark x = {0};
    if (digits > 2)
        return none;
    for (size_t k = at; k < i; k++)
        x.number = 10 * x.number + (m->s[k] - '0');
    if (digits == 0 && i < end && scan_is_lower(m->s[i]))
        x.number = m->s[i++] - 'a' + 1;
    bool dot = i < end && m->s[i] == '.';
    i += dot;
    bool bracket = i < end && m->s[i] == ')';
    i += bracket;
    if (x.number == 0 || !(dot || bracket) || i >= end || m->s[i] != ' ')
        return none;
    x.style = (bracket ? ')' : '.') + (digits ? 0 : 'a');
    x.len = i - at;
    return x;
}

/* Items that follow each other from the first, which begins the line, get lines of their own.  Two
 * are enough, but "a. ... b." may be anything. */
static void inline_list(struct markup *m, size_t at, size_t end)
{
    size_t place[MAX_ITEMS];
    int n = 0;
    struct list_mark first = list_mark_at(m, at, end);
    bool letters = first.number && !scan_is_digit(m->s[at]);
    if (first.number == 0 || (letters && first.number != 1))
        return;
    for (size_t i = at + first.len; i + 1 < end && n < MAX_ITEMS; i++) {
        if (m->s[i] != ' ' || m->note[i] != KEEP)
            continue;
        struct list_mark x = list_mark_at(m, i + 1, end);
        if (x.number == first.number + n + 1 && x.style == first.style)
            place[n++] = i;
    }
    if (n == 0 || (letters && first.style == '.' + 'a' && n < 2))
        return;
    for (int k = 0; k < n; k++)
        m->note[place[k]] = strchr(".!?:;,", m->s[place[k] - 1]) ? LINE : STOP_LINE;
}

/* Only c, spaces and what else is allowed, at least `least` of c. */
static bool is_only(const struct markup *m, size_t at, size_t end, const char *allowed,
                    size_t least)
{
    size_t n = 0;
    for (; at < end; at++) {
        if (!strchr(allowed, m->s[at]))
            return false;
        n += !markup_is_space(m->s[at]);
    }
    return n >= least;
}

static bool is_table_rule(const struct markup *m, size_t at, size_t end)
{
    return is_only(m, at, end, "|:- \t\r", 3) && memchr(m->s + at, '-', end - at) &&
           memchr(m->s + at, '|', end - at);
}

/* The pipes between cells become commas, the others and the spaces around them go. */
static void table_row(struct markup *m, size_t at, size_t end)
{
    bool said = false; /* there was a cell, and no comma after it */
    for (size_t i = at; i < end; i++) {
        if (m->s[i] != '|' || m->note[i] != KEEP) {
            said = said || !markup_is_space(m->s[i]);
            continue;
        }
        size_t before = i, after = i + 1;
        while (before > at && markup_is_space(m->s[before - 1]))
            before--;
        while (after < end && markup_is_space(m->s[after]))
            after++;
        mark(m, before, after, DROP);
        if (said && after < end && m->s[after] != '|')
            m->note[i] = CELL;
        said = said && m->note[i] == DROP;
        i = after - 1;
    }
    stop_line(m, at, end);
}

/* The numbers of lists are said; rows of a table without a head are rows, too. */
static void mark_lines(struct markup *m)
{
    for (size_t at = 0; at < m->n;) {
        size_t end = line_end(m, at), i = at;
        while (i < end && m->note[i] == DROP && strchr(" \t>-*+", m->s[i]))
            i++;
        size_t digits = scan_digits(m->s, end, i), to = i + digits;
        bool item = digits && to < end && strchr(".)", m->s[to]);
        if (item && m->note[i] == DROP) {
            mark(m, i, to + 1, KEEP);
            if (to + 1 < end && markup_is_space(m->s[to + 1]))
                m->note[to + 1] = KEEP;
        }
        if (i < end && m->s[i] == '|' && m->note[i] == KEEP && is_table_rule(m, i, end))
            mark(m, i, end, DROP);
        else if (i < end && m->s[i] == '|' && m->note[i] == KEEP)
            table_row(m, i, end);
        inline_list(m, i, end);
        at = end + 1;
    }
}

/* --- the result --- */

static void emit_one(const struct markup *m, size_t at, struct mapped *out)
{
    static const char *const replaced[] = {
        [CELL] = ", ",        [SPACE] = " ",       [LINE] = "\n",
        [PARAGRAPH] = "\n\n", [STOP_LINE] = ".\n", [OVER] = " / "};
    char utf8[5];
    const char *sign = NULL;
    size_t len = 1;
    if (m->note[at] == ENTITY) {
        len = html_entity(m->s, m->n, at, utf8);
        sign = utf8;
    } else if (m->note[at] == COMMAND) {
        len = latex_command(m->s, m->n, at, &sign);
        size_t after = at + len;
        bool spaced = after < m->n && scan_is_alpha(m->s[after]);
        mapped_put(out, sign, strlen(sign), at, at + len);
        if (spaced)
            mapped_put(out, " ", 1, at, at + len);
        return;
    } else {
        sign = replaced[m->note[at]];
    }
    if (sign)
        mapped_put(out, sign, strlen(sign), at, at + len);
}

static void markup_emit(const struct markup *m, struct mapped *out)
{
    for (size_t at = 0; at < m->n;) {
        size_t end = at;
        while (end < m->n && (m->note[end] == KEEP || m->note[end] == LITERAL))
            end++;
        mapped_copy(out, m->s, at, end);
        if (end < m->n)
            emit_one(m, end, out);
        at = end + 1;
    }
}

void markup_strip(const char *s, size_t n, struct mapped *out)
{
    static const MD_PARSER parser = {
        .flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS |
                 MD_FLAG_NOINDENTEDCODEBLOCKS | MD_FLAG_NOHTMLBLOCKS,
        .enter_block = markup_enter,
        .leave_block = markup_leave,
        .enter_span = markup_span,
        .leave_span = markup_span,
        .text = markup_text,
    };
    struct markup m = {.s = s, .n = n};
    m.note = mem_try(n + 1, 1);
    m.copy = mem_strndup(s, n);
    int rc = m.note && m.copy ? 0 : ERR_MEMORY;
    if (rc == 0) {
        for (size_t i = 0; i < n; i++)
            m.note[i] = s[i] == '\n' ? KEEP : DROP;
        mark_math(&m);
        rc = md_parse(m.copy, (MD_SIZE)n, &parser, &m) == 0 ? 0 : ERR_MEMORY;
    }
    if (rc == 0) {
        mark_crumbs(&m);
        mark_lines(&m);
        markup_emit(&m, out);
    } else {
        out->rc = rc;
    }
    mem_free(m.copy);
    mem_free(m.note);
}
