/* Text to pieces of about a breath: sentences found by ICU (UAX #29), long ones cut, tiny ones
 * joined.  Everything is linear in the text. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include "base/limits.h"
#include "base/mem.h"
#include "text/abbreviation.h"
#include "text/clean.h"
#include "text/phrase.h"
#include "text/scan.h"
#include "text/ssml.h"
#include "text/text.h"

#define MIN_PIECE_CHARS  20 /* smallest max_piece_chars that leaves room for words */
#define TINY_CHARS       16 /* sentences shorter than this join the next one */
#define FIRST_LONG_CHARS 90 /* a first sentence longer than this ... */
#define FIRST_MIN_CHARS  24 /* ... begins with a clause of this to ... */
#define FIRST_CHARS      42 /* better this, */
#define FIRST_MAX_CHARS  60
#define WRAPPED_CHARS    50 /* lines longer than this were broken by an editor, not by the author */

struct sentence {
    size_t start, end; /* without white space around; equal: none yet */
    size_t line;       /* where its last line starts */
    int newlines;      /* seen after end */
    int pause;
    bool markers; /* nothing but markers so far */
};

struct splitter {
    const struct mapped *in;
    const char *s;
    size_t n;
    size_t max; /* cost of a piece, see char_cost */
    const struct phrase_words *words;
    bool note_words;
    struct sentence held; /* a tiny sentence that waits for the next */
    size_t held_cost;
    struct text_pieces pieces;
    size_t cap;
    struct err *e;
};

/* --- characters --- */

static UChar32 char_at(const char *s, size_t *i, size_t n)
{
    int32_t at = (int32_t)*i;
    UChar32 c;
    U8_NEXT(s, at, (int32_t)n, c);
    *i = (size_t)at;
    return c;
}

/* How long a character takes to say, in letters: "7" is a word, and so is nearly every character
 * of the East Asian blocks, U+2E80 to U+D7FF. */
static size_t char_cost(UChar32 c)
{
    if (c < 0x80)
        return scan_is_digit((char)c) ? 3 : 1;
    return u_isdigit(c) || (c >= 0x2e80 && c < 0xd800) ? 3 : 1;
}

static size_t char_costs(const char *s, size_t start, size_t end)
{
    size_t cost = 0;
    while (start < end)
        cost += char_cost(char_at(s, &start, end));
    return cost;
}

static bool split_is_space(UChar32 c)
{
    return c < 0x80 ? c == ' ' || (c >= '\t' && c <= '\r') : u_isUWhiteSpace(c) || c == 0xfeff;
}

static void split_trim(const char *s, size_t *start, size_t *end)
{
    while (*start < *end) {
        size_t i = *start;
        if (!split_is_space(char_at(s, &i, *end)))
            break;
        *start = i;
    }
    while (*start < *end) {
        int32_t i = (int32_t)*end;
        UChar32 c;
        U8_PREV(s, (int32_t)*start, i, c);
        if (!split_is_space(c))
            break;
        *end = (size_t)i;
    }
}

static bool says_something(const char *s, size_t start, size_t end)
{
    while (start < end) {
        UChar32 c = char_at(s, &start, end);
        if (u_isalnum(c) || ipa_byte(c) >= 0 || u_charType(c) == U_LETTER_NUMBER ||
            u_charType(c) == U_OTHER_NUMBER)
            return true;
    }
    return false;
}

/* May a clause end after c when next follows?  (3:45 and 1,000 do not.) */
static bool is_clause_mark(UChar32 c, UChar32 next)
{
    switch (c) {
    case 0x3001:
    case 0xff0c:
    case 0xff1a:
    case 0xff1b:
    case 0x2014:
    case 0x060c:
    case 0x061b:
        return true;
    case ',':
    case ';':
    case ':':
    case 0x2013:
    case ')':
        return split_is_space(next);
    }
    return false;
}

/* --- pieces --- */

static int split_out_of_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "out of memory for the pieces of a text");
}

/* A stretch of the text on one line, its markers spelled out. */
static char *line_text(const char *s, size_t start, size_t end)
{
    struct mapped line;
    mapped_init(&line, SIZE_MAX / 2);
    mapped_copy(&line, s, start, end);
    marker_spell(&line);
    char *text = line.rc == 0 ? buf_take(&line.text) : NULL;
    mapped_done(&line);
    char *to = text; /* several are one space: a marker may stand on its own line */
    for (const char *c = text; c && *c; c++)
        if (*c != '\n' || to == text || to[-1] != ' ')
            *to++ = *c == '\n' ? ' ' : *c;
    if (text)
        *to = 0;
    return text;
}

static int piece_add(struct splitter *p, size_t start, size_t end, int pause)
{
    split_trim(p->s, &start, &end);
    if (!says_something(p->s, start, end))
        return 0;
    if (p->pieces.n == LIMIT_PIECES)
        return err_set(p->e, ERR_LIMIT, "text has more than %d pieces", LIMIT_PIECES);
    if ((size_t)p->pieces.n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        struct text_piece *grown = mem_grow(p->pieces.piece, cap, sizeof *grown);
        if (!grown)
            return split_out_of_memory(p->e);
        p->pieces.piece = grown;
        p->cap = cap;
    }
    char *text = line_text(p->s, start, end);
    if (!text)
        return split_out_of_memory(p->e);
    struct text_piece *piece = &p->pieces.piece[p->pieces.n++];
    *piece = (struct text_piece){.text = text, .pause_ms = pause, .rate = 1, .volume = 1};
    piece->ends_paragraph = pause == TEXT_PAUSE_PARAGRAPH;
    mapped_range(p->in, start, end, &piece->start, &piece->end);
    if (p->note_words && spoken_note(piece, p->in, start, end) < 0)
        return split_out_of_memory(p->e);
    return 0;
}

/* --- long sentences --- */

struct cut {
    size_t at, cost;
    double badness;
    int pause;
};

static bool split_is_mark(UChar32 c)
{
    int8_t type = u_charType(c);
    return type == U_NON_SPACING_MARK || type == U_ENCLOSING_MARK ||
           type == U_COMBINING_SPACING_MARK || c == 0x200d || (c >= 0x1f3fb && c <= 0x1f3ff);
}

/* Badness of a cut apart from where it is, whose distance from the target, as a share of that, is
 * added: a clause mark half the way there is still better than the best of the others. */
enum { CUT_MARK, CUT_COMMA, CUT_CLAUSE, CUT_START, CUT_WORD, CUT_INSIDE, CUT_ANY };
static const struct {
    double badness;
    int pause;
} cuts[] = {[CUT_MARK] = {0, TEXT_PAUSE_CLAUSE},   [CUT_COMMA] = {0.1, TEXT_PAUSE_CLAUSE},
            [CUT_CLAUSE] = {0.8, TEXT_PAUSE_WORD}, [CUT_START] = {1.6, TEXT_PAUSE_WORD},
            [CUT_WORD] = {2, TEXT_PAUSE_WORD},     [CUT_INSIDE] = {4, TEXT_PAUSE_WORD},
            [CUT_ANY] = {9, TEXT_PAUSE_WORD}};

/* What a cut at `at` is, between c and next; last: the character before c that is no space. */
static int cut_kind(const struct splitter *p, size_t at, UChar32 c, UChar32 next, UChar32 last)
{
    if (is_clause_mark(c, next))
        return c == ',' || c == 0x3001 || c == 0xff0c || c == 0x60c ? CUT_COMMA : CUT_MARK;
    if (split_is_space(c))
        return marker_is(last) ? CUT_ANY /* a marker belongs to what follows */
                               : CUT_CLAUSE + (int)phrase_break(p->words, p->s, p->n, at);
    return split_is_mark(next) || c == 0x200d ? -1 : CUT_ANY;
}

struct cut_range {
    size_t least, target, most; /* costs */
    int worst;                  /* kind */
};

/* The best place to end a part of [start, end) that costs at least `least` and at most `most`, near
 * the target; at 0: there is none that is no worse than `worst`. */
static struct cut find_cut(const struct splitter *p, size_t start, size_t end,
                           const struct cut_range *r)
{
    size_t least = r->least, target = r->target, most = r->most;
    int worst = r->worst;
    struct cut best = {0};
    size_t at = start, cost = 0;
    UChar32 last = 0;
    while (at < end) {
        UChar32 c = char_at(p->s, &at, end);
        size_t ahead = at;
        UChar32 next = at < end ? char_at(p->s, &ahead, end) : ' ';
        cost += char_cost(c);
        if (cost > most)
            break;
        int kind = cost >= least || !best.at ? cut_kind(p, at, c, next, last) : -1;
        last = split_is_space(c) ? last : c;
        if (kind < 0 || kind > worst)
            continue;
        double d = cost > target ? (double)(cost - target) : (double)(target - cost);
        double badness = cuts[kind].badness + d / (double)target + (cost < least ? 10 : 0);
        if (!best.at || badness <= best.badness)
            best = (struct cut){at, cost, badness, cuts[kind].pause};
    }
    return best;
}

static int add_part(struct splitter *p, size_t start, const struct cut *cut)
{
    int n = p->pieces.n, rc = piece_add(p, start, cut->at, cut->pause);
    if (rc == 0 && p->pieces.n > n)
        p->pieces.piece[n].goes_on = true;
    return rc;
}

/* The first piece is what is waited for: a long first sentence gives up its first clause, if it has
 * a short one. */
static int add_first(struct splitter *p, size_t *start, size_t end, size_t *left)
{
    if (p->pieces.n > 0 || *left <= FIRST_LONG_CHARS)
        return 0;
    static const struct cut_range range = {FIRST_MIN_CHARS, FIRST_CHARS, FIRST_MAX_CHARS,
                                           CUT_CLAUSE};
    struct cut cut = find_cut(p, *start, end, &range);
    if (!cut.at || cut.cost < FIRST_MIN_CHARS)
        return 0;
    int rc = add_part(p, *start, &cut);
    *start = cut.at;
    *left -= cut.cost;
    return rc;
}

static int add_sentence(struct splitter *p, const struct sentence *s)
{
    size_t start = s->start, left = char_costs(p->s, s->start, s->end);
    int rc = add_first(p, &start, s->end, &left);
    while (rc == 0 && left > p->max) {
        size_t parts = (left + p->max - 1) / p->max, target = (left + parts - 1) / parts;
        struct cut_range range = {2 * target / 5, target, p->max, CUT_ANY};
        struct cut cut = find_cut(p, start, s->end, &range);
        if (!cut.at) /* one character and its marks are longer than a piece */
            break;
        rc = add_part(p, start, &cut);
        start = cut.at;
        left -= cut.cost;
    }
    return rc < 0 ? rc : piece_add(p, start, s->end, s->pause);
}

/* --- sentences --- */

/* Has the sentence that ends at end its final mark, perhaps inside quotes or brackets? */
static bool is_finished(const char *s, size_t start, size_t end)
{
    int32_t i = (int32_t)end;
    UChar32 c = 0;
    do {
        U8_PREV(s, (int32_t)start, i, c);
    } while (i > (int32_t)start && u_hasBinaryProperty(c, UCHAR_QUOTATION_MARK));
    return c == ':' || u_hasBinaryProperty(c, UCHAR_S_TERM);
}

static bool ends_quoted(const char *s, size_t start, size_t end)
{
    int32_t i = (int32_t)end;
    UChar32 c;
    U8_PREV(s, (int32_t)start, i, c);
    return c == ')' || u_hasBinaryProperty(c, UCHAR_QUOTATION_MARK);
}

static bool says_markers_only(const struct splitter *p, size_t start, size_t end)
{
    bool marker = false;
    for (size_t at = start; at < end;)
        marker = marker_is(char_at(p->s, &at, end)) || marker;
    return marker && !says_something(p->s, start, end);
}

/* Past the markers at `at`, and the white space behind them. */
static size_t skip_markers(const struct splitter *p, size_t at)
{
    for (size_t next = at; next < p->n; at = next) {
        UChar32 c = char_at(p->s, &next, p->n);
        if (!marker_is(c) && !(split_is_space(c) && c != '\n'))
            break;
    }
    return at;
}

/* "z. Z.", "u. U.": single letters, the first a small one. */
static bool short_pair(const struct splitter *p, size_t end, size_t next)
{
    return end >= 3 && scan_is_lower(p->s[end - 2]) && p->s[end - 3] == ' ' && next + 1 < p->n &&
           scan_is_upper(p->s[next]) && p->s[next + 1] == '.';
}

/* "the thing is . . . I did not": three periods apart leave the sentence open, a fourth ends it. */
static bool ends_open(const struct splitter *p, size_t end)
{
    return end >= 7 && memcmp(p->s + end - 6, " . . .", 6) == 0 && p->s[end - 7] != '.';
}

/* "in the U.S. How": letters with periods, and a word that starts many sentences and no names. */
static bool starts_sentence_after(const struct splitter *p, size_t end, size_t next)
{
    static const char words[] =
        " How What When Where Why Who He She It They We You I There This That "
        "These Those The But And If In On At My Your His Her Our Their ";
    char word[16] = " ";
    size_t n = scan_word(p->s, p->n, next);
    if (end < 4 || p->s[end - 1] != '.' || p->s[end - 3] != '.' || n > sizeof word - 3)
        return false;
    memcpy(word + 1, p->s + next, n);
    word[n + 1] = ' ';
    return n > 0 && strstr(words, word) != NULL;
}

/* Does the text go on at next, although ICU ends a sentence before it?  It does after "Dr.", and
 * over the ends of lines that an editor broke. */
static bool goes_on(const struct splitter *p, const struct sentence *s, size_t next)
{
    next = skip_markers(p, next);
    size_t at = next;
    bool lower = next < p->n && u_islower(char_at(p->s, &at, p->n));
    if (s->newlines > 1)
        return false;
    char mark = p->s[s->end - 1];
    if (s->newlines == 0 && lower &&
        (mark == '!' || mark == '?' || ends_quoted(p->s, s->start, s->end)))
        return true; /* "Is it?" she said.  They work at Yahoo! in town. */
    if (s->newlines == 0 && ends_open(p, s->end))
        return true;
    if (starts_sentence_after(p, s->end, next))
        return false;
    if (mark == '.' && s->newlines == 0 && short_pair(p, s->end, next))
        return true;
    if (p->s[s->end - 1] == '.')
        return abbreviation_at(p->s, s->end - 1, next < p->n ? p->s[next] : 0) != ABBREVIATION_NONE;
    if (s->newlines == 0 || is_finished(p->s, s->start, s->end))
        return false;
    return p->s[s->end - 1] == ',' || s->end - s->line >= WRAPPED_CHARS || lower;
}

/* The sentence before is complete; a tiny one waits for the next. */
static int split_flush(struct splitter *p, struct sentence *s, size_t next)
{
    size_t cost = char_costs(p->s, s->start, s->end);
    bool paragraph = s->newlines > 1;
    if (p->held.end > p->held.start) {
        bool joins = p->held.pause != TEXT_PAUSE_PARAGRAPH && p->held_cost + cost <= p->max;
        if (joins) {
            s->start = p->held.start;
            cost += p->held_cost;
        } else {
            int rc = add_sentence(p, &p->held);
            if (rc < 0)
                return rc;
        }
    }
    s->pause = paragraph ? TEXT_PAUSE_PARAGRAPH : TEXT_PAUSE_SENTENCE;
    p->held = (struct sentence){0};
    int rc = 0;
    if (cost < TINY_CHARS) {
        p->held = *s;
        p->held_cost = cost + 1;
    } else {
        rc = add_sentence(p, s);
    }
    *s = (struct sentence){.start = next, .end = next, .line = next};
    return rc;
}

/* Is there an empty line, or nothing more, behind at? */
static bool paragraph_ends(const struct splitter *p, size_t at)
{
    int newlines = 0;
    while (at < p->n) {
        UChar32 c = char_at(p->s, &at, p->n);
        if (!split_is_space(c))
            return newlines > 1;
        newlines += c == '\n';
    }
    return true;
}

/* Take what ICU thinks is a sentence, [start, end) with the white space around it. */
static int split_take(struct splitter *p, struct sentence *s, size_t start, size_t end)
{
    size_t from = start, to = end, at;
    int before = 0, after = 0;
    split_trim(p->s, &from, &to);
    for (at = start; at < (from < to ? from : end); at++)
        before += p->s[at] == '\n';
    for (at = to; from < to && at < end; at++)
        after += p->s[at] == '\n';
    s->newlines += before;
    if (from >= to)
        return 0;
    bool markers = says_markers_only(p, from, to);
    /* Markers belong to what follows, at the end of a paragraph to what was before. */
    bool joins = s->markers || (markers && s->newlines <= 1 && paragraph_ends(p, to));
    if (s->end == s->start) {
        *s = (struct sentence){.start = from, .line = from, .markers = markers};
    } else if (!joins && !goes_on(p, s, from)) {
        int rc = split_flush(p, s, from);
        if (rc < 0)
            return rc;
        s->markers = markers;
    } else {
        s->line = s->newlines ? from : s->line;
        s->markers = s->markers && markers;
    }
    s->end = to;
    s->newlines = after;
    return 0;
}

static int split(struct splitter *p)
{
    UErrorCode status = U_ZERO_ERROR;
    struct sentence s = {0};
    int rc = 0;
    UText *text = utext_openUTF8(NULL, p->s, (int64_t)p->n, &status);
    UBreakIterator *it = ubrk_open(UBRK_SENTENCE, "en", NULL, 0, &status);
    ubrk_setUText(it, text, &status);
    if (U_FAILURE(status))
        rc = err_set(p->e, ERR_INTERNAL, "icu cannot find sentences: %s", u_errorName(status));
    for (int32_t start = 0, end; rc == 0 && (end = ubrk_next(it)) != UBRK_DONE; start = end)
        rc = split_take(p, &s, (size_t)start, (size_t)end);
    if (rc == 0 && s.end > s.start)
        rc = split_flush(p, &s, p->n);
    if (rc == 0 && p->held.end > p->held.start)
        rc = add_sentence(p, &p->held);
    ubrk_close(it);
    utext_close(text);
    return rc;
}

void text_pieces_done(struct text_pieces *p)
{
    for (int i = 0; i < p->n; i++) {
        mem_free(p->piece[i].text);
        mem_free(p->piece[i].voice);
        mem_free(p->piece[i].language);
        spoken_done(&p->piece[i]);
    }
    for (int i = 0; i < p->n_mark; i++)
        mem_free(p->mark[i].name);
    mem_free(p->mark);
    mem_free(p->piece);
    *p = (struct text_pieces){0};
}

int text_cut(const struct mapped *normalized, const struct text_options *o, struct text_pieces *ret,
             struct err *e)
{
    *ret = (struct text_pieces){0};
    int max = o->max_piece_chars ? o->max_piece_chars : o->frontend == TEXT_IPA ? 110 : 300;
    if (max < MIN_PIECE_CHARS)
        return err_set(e, ERR_ARGUMENT, "max_piece_chars is %d, want 0 or at least %d", max,
                       MIN_PIECE_CHARS);
    struct splitter p = {.in = normalized,
                         .s = buf_str(&normalized->text),
                         .n = normalized->text.len,
                         .max = (size_t)max,
                         .words = phrase_words(o->language ? o->language : "en"),
                         .note_words = o->words,
                         .e = e};
    if (!says_something(p.s, 0, p.n))
        return err_set(e, ERR_ARGUMENT,
                       "text has nothing to say: no letter or digit is left of it");
    int rc = split(&p);
    if (rc == 0 && p.pieces.n == 0)
        rc = err_set(e, ERR_ARGUMENT, "text has nothing to say");
    if (rc < 0) {
        text_pieces_done(&p.pieces);
        return rc;
    }
    p.pieces.piece[p.pieces.n - 1].pause_ms = 0;
    *ret = p.pieces;
    return 0;
}
