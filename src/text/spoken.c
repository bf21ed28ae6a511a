#include "text/spoken.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "text/clean.h"
#include "text/ssml.h"
#include "text/text.h"

#define MAX_CELLS (4 << 20) /* of the table that compares two readings of a piece */

/* --- words of the normalized text --------------------------------------------------------------
 */

static UChar32 spoken_char(const char *s, size_t n, size_t *at)
{
    int32_t i = (int32_t)*at;
    UChar32 c;
    U8_NEXT(s, i, (int32_t)n, c);
    *at = (size_t)i;
    return c;
}

/* Written without spaces: kana, ideographs and their marks. */
static bool spoken_stands_alone(UChar32 c)
{
    return c >= 0x2e80 && c < 0xac00;
}

static bool spoken_says(UChar32 c)
{
    return u_isalnum(c) || ipa_byte(c) >= 0;
}

/* The next word of s at or behind *at: its bytes without punctuation around it; *at is behind it.
 */
static bool spoken_next(const char *s, size_t n, size_t *at, size_t *from, size_t *to)
{
    bool found = false;
    while (*at < n) {
        size_t here = *at, next = here;
        UChar32 c = spoken_char(s, n, &next);
        bool alone = spoken_stands_alone(c) && spoken_says(c);
        if (found && (u_isUWhiteSpace(c) || alone))
            return true;
        *at = next;
        if (!spoken_says(c))
            continue;
        *from = found ? *from : here;
        *to = next;
        found = true;
        if (alone)
            return true;
    }
    return found;
}

/* A word's characters, without marks of SSML inside it. */
static int spoken_keep(struct buf *b, const char *s, size_t n)
{
    int rc = b->len ? buf_add(b, " ", 1) : 0;
    for (size_t at = 0, from = 0; at < n && rc == 0; from = at) {
        UChar32 c = spoken_char(s, n, &at);
        if (!(c >= 0xe000 && c < 0xf900) || ipa_byte(c) >= 0)
            rc = buf_add(b, s + from, at - from);
    }
    return rc;
}

int spoken_note(struct text_piece *p, const struct mapped *normalized, size_t start, size_t end)
{
    const char *s = buf_str(&normalized->text);
    struct buf words;
    size_t cap = 0, from = 0, to = 0;
    int rc = 0;
    buf_init(&words, LIMIT_NORMALIZED_BYTES);
    for (size_t at = start; rc == 0 && spoken_next(s, end, &at, &from, &to);) {
        if ((size_t)p->n_word == cap) {
            cap = cap ? 2 * cap : 16;
            struct text_word *grown = mem_grow(p->word, cap, sizeof *grown);
            if (!grown) {
                rc = ERR_MEMORY;
                break;
            }
            p->word = grown;
        }
        struct text_word *w = &p->word[p->n_word++];
        *w = (struct text_word){0};
        mapped_range(normalized, from, to, &w->start, &w->end);
        rc = spoken_keep(&words, s + from, to - from);
    }
    p->words = rc == 0 ? buf_take(&words) : NULL;
    buf_done(&words);
    return p->words ? 0 : ERR_MEMORY;
}

void spoken_done(struct text_piece *p)
{
    mem_free(p->word);
    mem_free(p->words);
    p->word = NULL;
    p->words = NULL;
    p->n_word = 0;
}

/* Nothing between them, or what binds parts of a word: "U.S.", "well-known", "and/or". */
bool spoken_joins(const char *input, size_t end, size_t start)
{
    for (size_t i = end; i < start; i++)
        if (!strchr("-./'&@_+:", input[i]))
            return false;
    size_t last = end;
    while (last > 0 && ((unsigned char)input[--last] & 0xc0) == 0x80)
        continue;
    return end != start || (unsigned char)input[last] < 0xe2; /* scripts without spaces */
}

/* --- their places in the text ------------------------------------------------------------------
 */

/* In letters: one after the other, as they were. */
static void spoken_search(struct text_piece *p)
{
    const char *at = p->text, *word = p->words;
    for (int i = 0; i < p->n_word; i++) {
        size_t n = strcspn(word, " ");
        const char *found = at;
        while (*found && strncmp(found, word, n) != 0)
            found++;
        size_t here = (size_t)((*found ? found : at) - p->text);
        p->word[i].at = here;
        p->word[i].to = *found ? here + n : here;
        at = *found ? found + n : at;
        word += n + (word[n] == ' ');
    }
}

struct reading { /* a text as characters */
    UChar32 *c;
    size_t *byte; /* [n + 1] where each begins */
    size_t n;
};

static void reading_done(struct reading *r)
{
    mem_free(r->c);
    mem_free(r->byte);
}

static int reading_init(struct reading *r, const char *s)
{
    size_t n = strlen(s);
    *r = (struct reading){mem_try(n + 1, sizeof *r->c), mem_try(n + 1, sizeof *r->byte), 0};
    if (!r->c || !r->byte)
        return ERR_MEMORY;
    for (size_t at = 0; at < n; r->n++) {
        r->byte[r->n] = at;
        r->c[r->n] = spoken_char(s, n, &at);
    }
    r->byte[r->n] = n;
    return 0;
}

enum { KEEP_COST = 1, STRESS_COST = 3, CHANGE_COST = 15, GAP_COST = 10, FORBIDDEN = 60 };

/* Cost of leaving a character out: marks and spaces come and go with what stands beside a word. */
static int reading_gap(UChar32 c)
{
    if (strchr(",.?!", c < 0x80 ? (char)c : '_'))
        return KEEP_COST;
    return c == ' ' || c == 0x2c8 || c == 0x2cc || c == 0x2d0 ? STRESS_COST : GAP_COST;
}

static int reading_change(UChar32 a, UChar32 b)
{
    if (a == b)
        return 0;
    return reading_gap(a) == GAP_COST && reading_gap(b) == GAP_COST ? CHANGE_COST : FORBIDDEN;
}

/* What each pair of beginnings costs at least, and by which last step: 0 both, 1 over in b, 2 down
 * in a (Needleman and Wunsch).  row: two rows of costs. */
static void reading_fill(const struct reading *a, const struct reading *b, int *row,
                         unsigned char *step)
{
    const int never = FORBIDDEN << 20;
    size_t w = b->n + 1;
    for (size_t i = 0; i <= a->n; i++) {
        int *now = row + (i % 2) * w, *before = row + (1 - i % 2) * w;
        now[0] = i ? before[0] + reading_gap(a->c[i - 1]) : 0;
        step[i * w] = 2;
        for (size_t j = 1; j <= b->n; j++) {
            int over = now[j - 1] + reading_gap(b->c[j - 1]);
            int down = i ? before[j] + reading_gap(a->c[i - 1]) : never;
            int both = i ? before[j - 1] + reading_change(a->c[i - 1], b->c[j - 1]) : never;
            now[j] = both <= over && both <= down ? both : over <= down ? over : down;
            step[i * w + j] = now[j] == both ? 0 : now[j] == over ? 1 : 2;
        }
    }
}

/* to[i]: where character i of a is in b, by the cheapest way to change one into the other. */
static int reading_compare(const struct reading *a, const struct reading *b, size_t *to)
{
    size_t w = b->n + 1, cells = (a->n + 1) * w;
    to[a->n] = b->n;
    if (cells > MAX_CELLS) { /* by their lengths */
        for (size_t i = 0; i < a->n; i++)
            to[i] = i * b->n / a->n;
        return 0;
    }
    int *row = mem_try(2 * w, sizeof *row);
    unsigned char *step = mem_try(cells, 1);
    if (row && step) {
        reading_fill(a, b, row, step);
        for (size_t i = a->n, j = b->n; i > 0;) {
            int s = step[i * w + j];
            j -= s != 2;
            i -= s != 1;
            to[i] = j;
        }
    }
    int rc = row && step ? 0 : ERR_MEMORY;
    mem_free(step);
    mem_free(row);
    return rc;
}

/* Each word read alone, with spaces between; first[i] is where word i begins. */
static int spoken_read_alone(const struct text_piece *p, const char *language, struct buf *alone,
                             size_t *first, struct err *e)
{
    int rc = 0;
    const char *word = p->words;
    for (int i = 0; i < p->n_word && rc == 0; i++) {
        size_t n = strcspn(word, " ");
        char *text = mem_strndup(word, n), *ipa = NULL;
        word += n + (word[n] == ' ');
        first[i] = alone->len;
        rc = text ? text_phonemes(text, language, &ipa, e) : ERR_MEMORY;
        if (rc == 0)
            rc = buf_add(alone, ipa, strcspn(ipa, ".,?!"));
        else if (rc == ERR_ARGUMENT) /* letters that are never spoken */
            rc = 0;
        if (rc == 0)
            rc = buf_add(alone, " ", 1);
        mem_free(text);
        mem_free(ipa);
    }
    first[p->n_word] = alone->len;
    return rc;
}

/* From the bytes of the words read alone to those of the piece's text. */
static int spoken_transfer(struct text_piece *p, const char *alone, const size_t *first)
{
    struct reading a = {0}, b = {0};
    size_t *to = NULL;
    int rc = reading_init(&a, alone);
    if (rc == 0)
        rc = reading_init(&b, p->text);
    if (rc == 0 && !(to = mem_try(a.n + 1, sizeof *to)))
        rc = ERR_MEMORY;
    if (rc == 0)
        rc = reading_compare(&a, &b, to);
    size_t k = 0;
    for (int i = 0; i < p->n_word && rc == 0; i++) {
        struct text_word *w = &p->word[i];
        while (k < a.n && a.byte[k] < first[i])
            k++;
        w->at = b.byte[to[k]];
        while (k < a.n && a.byte[k] + 1 < first[i + 1])
            k++;
        w->to = b.byte[to[k]] > w->at ? b.byte[to[k]] : w->at;
    }
    reading_done(&a);
    reading_done(&b);
    mem_free(to);
    return rc;
}

int spoken_find(struct text_piece *p, bool ipa, const char *language, struct err *e)
{
    if (p->n_word == 0)
        return 0;
    if (!ipa) {
        spoken_search(p);
        return 0;
    }
    struct buf alone;
    size_t *first = mem_try((size_t)p->n_word + 1, sizeof *first);
    buf_init(&alone, 64 * (size_t)LIMIT_TEXT_BYTES);
    int rc = first ? spoken_read_alone(p, language, &alone, first, e) : ERR_MEMORY;
    if (rc == 0)
        rc = spoken_transfer(p, buf_str(&alone), first);
    buf_done(&alone);
    mem_free(first);
    return rc == ERR_MEMORY ? err_set(e, rc, "out of memory for the words of a text") : rc;
}
