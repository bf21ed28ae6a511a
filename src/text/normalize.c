#include "text/normalize.h"

#include <string.h>

#include "base/err.h"
#include "text/rules.h"
#include "text/lang.h"
#include "text/scan.h"
#include "text/words.h"

#define VOWELS   0x1104111u /* bit 0 is a: a e i o u y */
#define NUMERALS 0xa00100u  /* i v x */

struct normalizer {
    const struct text_language *l;
    const char *s;
    size_t n;
    struct mapped *out;
    struct words words;
    struct reading *reading; /* NULL: the language has no rules */
    const struct normalize_trace *trace;
};

/* --- abbreviations and symbols --- */

static bool when_fits(const struct normalizer *z, enum language_when when, size_t start, size_t end)
{
    size_t next = end + scan_spaces(z->s, z->n, end);
    switch (when) {
    case WHEN_BEFORE_NUMBER:
        next += next < z->n && z->s[next] == '('; /* Eq. (2) */
        return next < z->n && scan_is_digit(z->s[next]);
    case WHEN_AFTER_NUMBER:
        while (start > 0 && z->s[start - 1] == ' ')
            start--;
        return start > 0 && scan_is_digit(z->s[start - 1]);
    case WHEN_BEFORE_NAME:
        return scan_capital_at(z->s, z->n, next);
    default:
        return true;
    }
}

/* May its first letter be a capital?  Not where it would be an initial: "u.", "a. D.". */
static bool abbreviation_has_capital(const struct language_abbreviation *a)
{
    const char *rest = a->written + 2;
    if (a->written[1] != '.')
        return true;
    while (*rest && !scan_is_upper(*rest))
        rest++;
    return !*rest && (a->written[2] || a->when != WHEN_ALWAYS);
}

/* Length of the abbreviation as the text has it: "z. B." may be written "z.B.". */
static size_t abbreviation_len(const struct normalizer *z, size_t at,
                               const struct language_abbreviation *a)
{
    const char *written = a->written;
    size_t i = at;
    for (const char *c = written; *c; c++) {
        if (*c == ' ') {
            i += scan_spaces(z->s, z->n, i) > 0;
            continue;
        }
        if (i >= z->n)
            return 0;
        bool capital = c == written && scan_is_lower(*c) && (z->s[i] | 32) == *c;
        if (z->s[i] != *c && !(capital && abbreviation_has_capital(a)))
            return 0;
        i++;
    }
    return i - at;
}

/* At the end of a text or line, or before a capital where it may be a sentence's, the period that
 * was the abbreviation's is a sentence's too. */
static bool keeps_period(const struct normalizer *z, size_t end, enum language_when when)
{
    size_t next = end + scan_spaces(z->s, z->n, end);
    if (z->s[end - 1] != '.')
        return false;
    if (next >= z->n || z->s[next] == '\n')
        return true;
    return when == WHEN_MAY_END && next > end && scan_capital_at(z->s, z->n, next);
}

static size_t read_abbreviation(struct normalizer *z, size_t at)
{
    const struct language_abbreviation *best = NULL;
    size_t len = 0;
    int i = z->l->first_abbreviation[(unsigned char)(z->s[at] | 32)];
    for (; i >= 0; i = z->l->abbreviations[i].next) {
        const struct language_abbreviation *a = &z->l->abbreviations[i];
        size_t got = abbreviation_len(z, at, a);
        bool whole = got && (z->s[at + got - 1] == '.' || !scan_word_at(z->s, z->n, at + got));
        if (whole && got > len && when_fits(z, a->when, at, at + got)) {
            best = a;
            len = got;
        }
    }
    if (!best)
        return 0;
    words_add(&z->words, best->said);
    if (keeps_period(z, at + len, best->when))
        words_join(&z->words, ".");
    return len;
}

static size_t read_symbol(struct normalizer *z, size_t at)
{
    const struct language_symbol *best = NULL;
    size_t len = 0;
    int i = z->l->first_symbol[(unsigned char)z->s[at]];
    for (; i >= 0; i = z->l->symbols[i].next) {
        const struct language_symbol *y = &z->l->symbols[i];
        size_t got = scan_match(z->s, z->n, at, y->written, false);
        if (got > len) {
            best = y;
            len = got;
        }
    }
    if (best)
        words_add(&z->words, best->said);
    return len;
}

/* --- the loop --- */

static bool ends_in_word(const struct mapped *m)
{
    return scan_word_before(buf_str(&m->text), m->text.len);
}

/* Is what comes next the start of a sentence?  ICU does not see one before a small letter. */
static bool starts_sentence(const struct mapped *m)
{
    size_t at = m->text.len;
    while (at && strchr(" \"'(", m->text.data[at - 1]))
        at--;
    return at > 0 && at < m->text.len && strchr(".!?", m->text.data[at - 1]);
}

static const char *capitalized(struct words *w)
{
    if (w->text.len && scan_is_lower(w->text.data[0]))
        w->text.data[0] = (char)(w->text.data[0] - 32);
    return buf_str(&w->text);
}

/* Put the words in the place of s[at..at+len), apart from what stands around. */
static void put_words(struct normalizer *z, size_t at, size_t len)
{
    const char *said = buf_str(&z->words.text);
    size_t n = z->words.text.len;
    bool spaced = !z->l->unspaced;
    if (z->words.rc < 0 && z->out->rc == 0)
        z->out->rc = z->words.rc;
    if (n && starts_sentence(z->out))
        said = capitalized(&z->words);
    if (n && spaced && ends_in_word(z->out) && scan_word_at(said, n, 0))
        mapped_put(z->out, " ", 1, at, at + len);
    mapped_put(z->out, said, n, at, at + len);
    if (n && spaced && scan_word_before(said, n) && scan_word_at(z->s, z->n, at + len))
        mapped_put(z->out, " ", 1, at, at + len);
    words_clear(&z->words);
}

/* What stands between plain words. */
static bool is_gap(char c)
{
    return c == ' ' || c == ',' || c == '\n';
}

/* A word of up to four letters that may be more than a word: vs, lbs, btw, xiv, idk. */
static bool may_be_short(const struct text_language *l, const char *s, size_t n)
{
    size_t vowels = 0;
    unsigned numeral = 1;
    uint32_t letters = 0, bit;
    for (size_t i = 0; i < n; i++) {
        letters = letters << 8 | (unsigned char)s[i];
        vowels += VOWELS >> (s[i] - 'a') & 1;
        numeral &= NUMERALS >> (s[i] - 'a');
    }
    bit = language_short_bit(letters);
    return vowels == 0 || numeral || (l->short_words[bit / 64] >> (bit % 64) & 1);
}

/* Does a mark that only ends something stand at s[i], and no number behind it: "time," said? */
static bool ends_plainly(const struct normalizer *z, size_t i)
{
    size_t next = i;
    while (next < z->n && z->s[next] && strchr(".;:!?\"')", z->s[next]))
        next++;
    if (next == i || (next < z->n && z->s[next] != ' ' && z->s[next] != '\n'))
        return false;
    next += scan_spaces(z->s, z->n, next);
    return next >= z->n || !scan_is_digit(z->s[next]);
}

static bool plain_before_mark(const struct normalizer *z, size_t word, size_t end)
{
    return z->l->common_words && end > word + 2 && ends_plainly(z, end) &&
           lang_is_ordinary(z->s + word, end - word);
}

/* Bytes of a common word with a capital before another in small letters: "There is". */
static size_t plain_capital(const struct normalizer *z, size_t at)
{
    const char *s = z->s;
    char word[16] = {(char)(s[at] | 32)};
    size_t n = 1;
    while (at + n < z->n && n < sizeof word && scan_is_lower(s[at + n])) {
        word[n] = s[at + n];
        n++;
    }
    size_t next = at + n + 1, end = next;
    while (end < z->n && scan_is_lower(s[end]))
        end++;
    bool two = z->l->common_words && n > 1 && end > next + 1 && end < z->n && s[next - 1] == ' ' &&
               is_gap(s[end]);
    return two && lang_is_ordinary(word, n) && lang_is_ordinary(s + next, end - next) ? n : 0;
}

/* Bytes from at that are ordinary text for sure: lower-case words and the spaces between them.  A
 * word that a period, digit or sign follows is looked at more closely. */
static size_t plain_run(const struct normalizer *z, size_t at)
{
    const char *s = z->s;
    size_t end = at, i = at;
    if (scan_is_upper(s[at]))
        return plain_capital(z, at);
    for (;;) {
        size_t word = i;
        while (i < z->n && scan_is_lower(s[i]))
            i++;
        if (i > word && i - word < 5 && may_be_short(z->l, s + word, i - word))
            return word - at;
        if (i >= z->n)
            return z->n - at;
        if (plain_before_mark(z, word, i))
            return i - at;
        if (!is_gap(s[i]))
            return end - at;
        while (i < z->n && is_gap(s[i]))
            i++;
        if (i < z->n && (scan_is_digit(s[i]) || scan_is_upper(s[i]))) /* nr 5, dr Who */
            return word - at;
        end = i;
        if (i >= z->n || !scan_is_lower(s[i]))
            return end - at;
    }
}

/* Marks that only end something: one before white space, or before another that is. */
static size_t closing_run(const struct normalizer *z, size_t at)
{
    size_t end = at;
    while (end < z->n && z->s[end] && strchr(".,;:!?\"')", z->s[end]))
        end++;
    return end == z->n || z->s[end] == ' ' || z->s[end] == '\n' ? end - at : 0;
}

/* A word or a character that nothing has to be said about. */
static size_t as_it_is(const struct normalizer *z, size_t at)
{
    size_t len = scan_word(z->s, z->n, at), same = 1;
    if (len == 0)
        scan_char(z->s, z->n, at, &len);
    if (!z->l->unspaced)
        return len;
    while (same < len && ((z->s[at + same] ^ z->s[at]) & 0x80) == 0) /* 世界II: a word, a word */
        same++;
    return same < len ? same : len;
}

/* The readers of things in the order that they are asked. */
static size_t read_one(struct normalizer *z, size_t at, int *reading)
{
    const struct text_language *l = z->l;
    bool word = scan_letter(z->s, z->n, at) > 0;
    size_t used = z->reading ? reading_at(z->reading, at, &z->words) : 0;
    *reading = used ? reading_index(z->reading) : -1;
    if (!used)
        used = addresses_read(l, z->s, z->n, at, &z->words);
    if (!used)
        used = numbers_read(l, z->s, z->n, at, &z->words);
    if (!used && word)
        used = read_abbreviation(z, at);
    size_t letter = scan_letter(z->s, z->n, at);
    bool sign = !word || (letter > 1 && !scan_letter(z->s, z->n, at + letter) &&
                          !scan_letter_before(z->s, at));
    return used || !sign ? used : read_symbol(z, at); /* a lone π is a sign, one in a word is not */
}

static void normalize_tell(const struct normalizer *z, int reading, size_t at, size_t len)
{
    struct normalize_event event = {reading < 0 ? "built-in" : reading_rule(z->reading), reading,
                                    at, len, buf_str(&z->words.text)};
    if (z->trace)
        z->trace->tell(z->trace->cookie, &event);
}

static void normalize_all(struct normalizer *z)
{
    for (size_t at = 0; at < z->n && z->out->rc == 0;) {
        int reading;
        size_t len = plain_run(z, at);
        if (len == 0)
            len = closing_run(z, at);
        if (len == 0 && (len = read_one(z, at, &reading)) > 0) {
            normalize_tell(z, reading, at, len);
            put_words(z, at, len);
            at += len;
            continue;
        }
        if (len == 0)
            len = as_it_is(z, at);
        mapped_copy(z->out, z->s, at, at + len);
        at += len;
    }
}

static void normalize_how(const char *s, size_t n, const struct text_language *l, int depth,
                          const struct normalize_trace *t, struct mapped *out)
{
    struct normalizer z = {.l = l, .s = s, .n = n, .out = out, .trace = t};
    z.reading = l->rules ? reading_new(l, s, n, depth) : NULL;
    if (l->rules && !z.reading) {
        out->rc = ERR_MEMORY;
        return;
    }
    words_init(&z.words, l->unspaced);
    normalize_all(&z);
    words_done(&z.words);
    reading_free(z.reading);
}

void normalize(const char *s, size_t n, const struct text_language *l, struct mapped *out)
{
    normalize_how(s, n, l, 0, NULL, out);
}

void normalize_within(const char *s, size_t n, const struct text_language *l, int depth,
                      struct mapped *out)
{
    normalize_how(s, n, l, depth, NULL, out);
}

void normalize_traced(const char *s, size_t n, const struct text_language *l,
                      const struct normalize_trace *t, struct mapped *out)
{
    normalize_how(s, n, l, 0, t, out);
}
