/* One byte of notes for each byte of the text, then one pass that writes what is left:
 *
 *   lines   marks what stands at the start of a line: fences, headings, lists, quotes, tables
 *   inline  marks what stands inside: links, emphasis, code, tags, entities, math
 *   emit    copies, drops or replaces by the notes */
#include "text/markup.h"

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

#define MAX_OPEN       64 /* emphasis or brackets open at once in a line */
#define MAX_URL_BYTES  2048
#define MAX_FRACTIONS  16
#define MAX_ITEMS      40 /* of a list inside a line */
#define MAX_SUBSCRIPT  8
#define MAX_MATH_BYTES 1024

struct markup {
    const char *s;
    size_t n;
    unsigned char *note;
    char fence; /* '`' or '~' inside a block of code, else 0 */
    size_t fence_len;
    bool table; /* the line before belongs to a table without outer pipes */
};

static void mark(struct markup *m, size_t from, size_t to, enum note note)
{
    memset(m->note + from, note, to - from);
}

static bool markup_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_punct(char c)
{
    return c > ' ' && c < 0x7f && !scan_is_alnum(c);
}

static size_t markup_run_of(const struct markup *m, size_t at, size_t end, char c)
{
    size_t i = at;
    while (i < end && m->s[i] == c)
        i++;
    return i - at;
}

/* --- inside a line --- */

struct open {
    size_t at, len;
    char c;
};
struct opens {
    struct open o[MAX_OPEN];
    int n;
};

/* H~2~O: a subscript behind a letter, a few letters and digits.  True: its marks go. */
static bool subscript(struct markup *m, size_t at, size_t end)
{
    size_t to = at + 1;
    while (to < end && to - at <= MAX_SUBSCRIPT && scan_is_alnum(m->s[to]))
        to++;
    if (to == at + 1 || to >= end || m->s[to] != '~' || !scan_word_before(m->s, at))
        return false;
    m->note[at] = m->note[to] = DROP;
    return true;
}

/* A run of * _ ~ or = at [at, at+len): emphasis if it has a partner. */
static void delimiter(struct markup *m, struct opens *opens, size_t at, size_t len, size_t end)
{
    char c = m->s[at], before = at ? m->s[at - 1] : ' ',
         after = at + len < end ? m->s[at + len] : ' ';
    bool space_before = markup_is_space(before) || before == '\n',
         space_after = markup_is_space(after);
    bool left = !space_after && (!is_punct(after) || space_before || is_punct(before));
    bool right = !space_before && (!is_punct(before) || space_after || is_punct(after));
    if (c == '_') {
        left = left && !scan_word_before(m->s, at);
        right = right && !scan_word_at(m->s, m->n, at + len);
    }
    if (c == '*' && scan_is_digit(before) && scan_is_digit(after))
        left = right = false; /* 2*3 */
    if ((c == '~' || c == '=') && len != 2) {
        if (c == '~' && len == 1)
            subscript(m, at, end);
        return;
    }
    for (int i = opens->n - 1; right && i >= 0 && len; i--) {
        struct open *o = &opens->o[i];
        if (o->c != c)
            continue;
        size_t both = o->len < len ? o->len : len;
        mark(m, o->at + o->len - both, o->at + o->len, DROP);
        mark(m, at, at + both, DROP);
        o->len -= both;
        at += both;
        len -= both;
        opens->n = o->len ? i + 1 : i;
    }
    if (left && len && opens->n < MAX_OPEN)
        opens->o[opens->n++] = (struct open){at, len, c};
}

/* ( ... ) behind a link's text: where it ends, or 0. */
static size_t target_end(const struct markup *m, size_t at, size_t end)
{
    int depth = 0;
    if (at >= end || m->s[at] != '(')
        return 0;
    for (size_t i = at; i < end && i - at < MAX_URL_BYTES; i++) {
        if (m->s[i] == '(' && ++depth > 4)
            return 0;
        if (m->s[i] == ')' && --depth == 0)
            return i + 1;
        if (m->s[i] == '[')
            return 0;
    }
    return 0;
}

/* A bracket closes at `at`; open is where it opened.  Links lose their target, footnotes all. */
static size_t bracket(struct markup *m, size_t open, size_t at, size_t end)
{
    bool image = open > 0 && m->s[open - 1] == '!';
    size_t target = target_end(m, at + 1, end), inside = at - open - 1;
    if (target) {
        mark(m, open - image, open + 1, DROP);
        mark(m, at, target, DROP);
        return target;
    }
    bool note = inside > 1 && m->s[open + 1] == '^';
    size_t digits = scan_digits(m->s, at, open + 1);
    bool citation = inside > 0 && digits == inside && digits <= 3 && open > 0 &&
                    (scan_is_alnum(m->s[open - 1]) || strchr(".,;:!?)\"]", m->s[open - 1]));
    if (note || citation) {
        mark(m, open, at + 1, DROP);
        return at + 1;
    }
    if (at + 1 < end && m->s[at + 1] == '[') { /* [text][reference] */
        const char *close = memchr(m->s + at + 1, ']', end - at - 1 < 200 ? end - at - 1 : 200);
        if (close) {
            mark(m, open - image, open + 1, DROP);
            mark(m, at, (size_t)(close + 1 - m->s), DROP);
            return (size_t)(close + 1 - m->s);
        }
    }
    return at + 1;
}

/* `code`: the marks go, nothing inside is looked at.  *none: run lengths known to have no partner.
 */
static size_t code_span(struct markup *m, size_t at, size_t end, unsigned *none)
{
    size_t len = markup_run_of(m, at, end, '`');
    if (len >= 8 || (*none & (1u << len)))
        return at + len;
    for (size_t i = at + len; i < end;) {
        size_t other = markup_run_of(m, i, end, '`');
        if (other == len) {
            mark(m, at, at + len, DROP);
            mark(m, at + len, i, LITERAL);
            mark(m, i, i + len, DROP);
            return i + len;
        }
        i += other ? other : 1;
    }
    *none |= 1u << len;
    return at + len;
}

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

/* \( ... \), \[ ... \], \command, or an escaped mark. */
static size_t backslash(struct markup *m, size_t at, size_t end)
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
    size_t len = latex_command(m->s, m->n, at, &sign);
    if (len && len > 2) {
        size_t to = at + len;
        int depth = 0;
        while (to < end && (depth || m->s[to] == '{' || m->s[to] == '^' || m->s[to] == '_') &&
               to - at < 1024) {
            depth += m->s[to] == '{' ? 1 : m->s[to] == '}' ? -1 : 0;
            to++;
        }
        math(m, at, to);
        return to;
    }
    if (is_punct(c)) {
        m->note[at] = DROP;
        m->note[at + 1] = c == '\\' ? KEEP : LITERAL;
        return at + 2;
    }
    return at + 1;
}

static size_t angle(struct markup *m, size_t at)
{
    size_t len;
    if (scan_match(m->s, m->n, at, "<http", true) || scan_match(m->s, m->n, at, "<mailto:", true)) {
        size_t limit = m->n - at < MAX_URL_BYTES ? m->n - at : MAX_URL_BYTES;
        const char *close = memchr(m->s + at, '>', limit);
        if (close && !memchr(m->s + at, ' ', (size_t)(close - m->s) - at)) {
            size_t to = (size_t)(close - m->s);
            mark(m, at, to + 1, LITERAL);
            mark(m, at, at + (m->s[at + 1] == 'm' ? 8 : 1), DROP);
            m->note[to] = DROP;
            return to + 1;
        }
    }
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
    return at + len;
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

/* One thing at `at`; where the next may be. */
static size_t inline_one(struct markup *m, struct opens *opens, size_t at, size_t end,
                         unsigned *none)
{
    char utf8[5], c = m->s[at];
    size_t len;
    switch (c) {
    case '\\':
        return backslash(m, at, end);
    case '`':
        return code_span(m, at, end, none);
    case '*':
    case '_':
    case '~':
    case '=':
        len = markup_run_of(m, at, end, c);
        delimiter(m, opens, at, len, end);
        return at + len;
    case '[':
        if (opens->n < MAX_OPEN)
            opens->o[opens->n++] = (struct open){at, 1, '['};
        return at + 1;
    case ']':
        for (int i = opens->n - 1; i >= 0; i--)
            if (opens->o[i].c == '[') {
                opens->n = i;
                return bracket(m, opens->o[i].at, at, end);
            }
        return at + 1;
    case '<':
        return angle(m, at);
    case '&':
        len = html_entity(m->s, m->n, at, utf8);
        if (len) {
            mark(m, at, at + len, DROP);
            m->note[at] = ENTITY;
        }
        return at + (len ? len : 1);
    case '$':
        len = dollar_math(m, at, end);
        return len ? len : at + markup_run_of(m, at, end, '$'); /* each sign is looked at once */
    case 'h':
    case 'H':
    case 'w':
    case 'W':
        len = at && scan_is_alnum(m->s[at - 1]) ? 0 : address_len(m, at, end);
        return at + (len ? len : 1);
    }
    return at + 1;
}

static void inline_marks(struct markup *m, size_t at, size_t end)
{
    struct opens opens;
    unsigned none = 0;
    opens.n = 0;
    while (at < end) {
        static const char special[] = "\\`*_~=[]<&$hHwW";
        while (at < end && (m->note[at] != KEEP || !strchr(special, m->s[at])))
            at++;
        if (at < end)
            at = inline_one(m, &opens, at, end, &none);
    }
}

/* --- lines --- */

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

static bool is_rule(const struct markup *m, size_t at, size_t end)
{
    return is_only(m, at, end, "- \t\r", 3) || is_only(m, at, end, "* \t\r", 3) ||
           is_only(m, at, end, "_ \t\r", 3) || is_only(m, at, end, "=\r", 2);
}

static bool is_table_rule(const struct markup *m, size_t at, size_t end)
{
    return is_only(m, at, end, "|:- \t\r", 3) && memchr(m->s + at, '-', end - at) &&
           memchr(m->s + at, '|', end - at);
}

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

/* Quote signs, heading and list marks at the start of a line; where its text starts. */
static size_t line_prefix(struct markup *m, size_t at, size_t end, bool *item)
{
    size_t i = at;
    for (;;) {
        while (i < end && markup_is_space(m->s[i]))
            i++;
        if (i >= end || m->s[i] != '>' ||
            (i + 1 < end && (m->s[i + 1] == '=' || scan_is_digit(m->s[i + 1]))))
            break;
        i++;
    }
    size_t hashes = markup_run_of(m, i, end, '#');
    if (hashes >= 1 && hashes <= 6 && i + hashes < end && markup_is_space(m->s[i + hashes])) {
        i += hashes;
        size_t tail = end;
        while (tail > i && (markup_is_space(m->s[tail - 1]) || m->s[tail - 1] == '#'))
            tail--;
        mark(m, tail, end, DROP);
        if (end < m->n)
            m->note[end] = PARAGRAPH;
    }
    if (i + 1 < end && strchr("-*+", m->s[i]) && markup_is_space(m->s[i + 1])) {
        *item = true;
        for (i++; i < end && markup_is_space(m->s[i]);)
            i++;
        if (i + 3 < end && m->s[i] == '[' && strchr(" xX", m->s[i + 1]) && m->s[i + 2] == ']' &&
            markup_is_space(m->s[i + 3]))
            i += 3;
    }
    mark(m, at, i, DROP);
    size_t digits = scan_digits(m->s, end, i);
    if (digits && digits <= 3 && i + digits + 1 < end && strchr(".)", m->s[i + digits]) &&
        markup_is_space(m->s[i + digits + 1]))
        *item = true;
    return i;
}

/* Inside a block of code, or at its fence.  True: the line is done. */
static bool fence(struct markup *m, size_t at, size_t end)
{
    size_t i = at;
    while (i < end && i < at + 4 && m->s[i] == ' ')
        i++;
    char c = i < end ? m->s[i] : 0;
    size_t len = c == '`' || c == '~' ? markup_run_of(m, i, end, c) : 0;
    if (m->fence) {
        if (c == m->fence && len >= m->fence_len && is_only(m, i + len, end, " \t\r", 0)) {
            m->fence = 0;
            mark(m, at, end, DROP);
        } else {
            mark(m, at, end, LITERAL);
        }
        return true;
    }
    if (len < 3 || memchr(m->s + i + len, '`', end - i - len))
        return false;
    m->fence = c;
    m->fence_len = len;
    mark(m, at, end, DROP);
    return true;
}

/* [name]: target */
static bool is_definition(const struct markup *m, size_t at, size_t end)
{
    const char *close = m->s[at] == '[' ? memchr(m->s + at, ']', end - at) : NULL;
    size_t i = close ? (size_t)(close - m->s) : end;
    return i + 2 < end && m->s[i + 1] == ':' && markup_is_space(m->s[i + 2]) && i > at + 1 &&
           (m->s[at + 1] == '^' || memchr(m->s + i, '/', end - i));
}

static void one_line(struct markup *m, size_t at, size_t end, size_t next_end)
{
    bool item = false;
    if (m->note[at] == KEEP && fence(m, at, end))
        return;
    size_t i = line_prefix(m, at, end, &item);
    if (i >= end || is_rule(m, i, end) || is_definition(m, i, end)) {
        mark(m, i, end, DROP);
        m->table = m->table && i < end;
        return;
    }
    if (is_table_rule(m, i, end)) {
        mark(m, i, end, DROP);
        m->table = true;
        return;
    }
    bool pipes = memchr(m->s + i, '|', end - i) != NULL;
    bool heads = end < next_end && is_table_rule(m, end + 1, next_end);
    m->table = m->table && pipes;
    inline_marks(m, i, end);
    if (pipes && (m->s[i] == '|' || m->table || heads))
        table_row(m, i, end);
    else if (item)
        stop_line(m, i, end);
    inline_list(m, i, end);
}

static size_t line_end(const struct markup *m, size_t at)
{
    const char *end = at < m->n ? memchr(m->s + at, '\n', m->n - at) : NULL;
    return end ? (size_t)(end - m->s) : m->n;
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
    struct markup m = {.s = s, .n = n};
    m.note = mem_try(n + 1, 1);
    if (!m.note) {
        out->rc = ERR_MEMORY;
        return;
    }
    for (size_t at = 0, end = line_end(&m, 0); at < n;) {
        size_t next_end = line_end(&m, end + 1);
        one_line(&m, at, end, next_end);
        at = end + 1;
        end = next_end;
    }
    markup_emit(&m, out);
    mem_free(m.note);
}
