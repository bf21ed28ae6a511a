/* The reader of src/text/latin.table; bench/language/train.py has the same features. */
#include "text/latin.h"

#include <stdint.h>
#include <string.h>
#include <unicode/uchar.h>

#include "text/scan.h"

__asm__(".pushsection .rodata\n"
        ".balign 4\n"
        ".global latin_table\n.hidden latin_table\n"
        "latin_table:\n"
        ".incbin \"src/text/latin.table\"\n"
        ".popsection\n");
extern const unsigned char latin_table[];

#define HEAD_BYTES     8                   /* "LATN", two numbers */
#define NAME_BYTES     8                   /* of a language, and its prior */
#define PRIOR_UNIT     0.125f              /* nats */
#define ROW            LATIN_MAX_LANGUAGES /* weights of a bucket; a constant, to be vectorized */
#define MAX_WORD_CHARS 40                  /* what a longer word has more is not looked at */
#define MAX_WORDS      100000              /* keeps the sums below 2^31 */
#define GRAM           4                   /* longest n-gram */
#define WORD_COUNTS    3                   /* so many n-grams a whole word counts as */
#define GRAM_SEED      2166136261u
#define WORD_SEED      84696351u

static int latin_number(size_t at)
{
    return latin_table[at] | latin_table[at + 1] << 8;
}

int latin_count(void)
{
    return latin_number(4);
}

const char *latin_name(int language)
{
    return (const char *)latin_table + HEAD_BYTES + NAME_BYTES * (size_t)language;
}

struct tally {
    int32_t sum[ROW];
    int16_t word[ROW];          /* of the word in hand: at most 4 * 42 + 3 weights of a byte */
    const signed char *weights; /* [n_bucket, ROW] */
    uint32_t n_bucket;
};

static uint32_t latin_hash(uint32_t h, int32_t c)
{
    return (h ^ (uint32_t)c) * 16777619u;
}

static void tally_add(struct tally *t, uint32_t h, int16_t times)
{
    const signed char *row = t->weights + ((h ^ h >> 15) & (t->n_bucket - 1)) * ROW;
    for (int i = 0; i < ROW; i++)
        t->word[i] = (int16_t)(t->word[i] + times * row[i]);
}

/* c: the n characters of a word in small letters, with a space at both ends. */
static void tally_word(struct tally *t, const int32_t *c, int n)
{
    uint32_t word = WORD_SEED;
    for (int start = 0; start < n; start++) {
        uint32_t h = GRAM_SEED;
        word = latin_hash(word, c[start]);
        for (int i = start; i < n && i < start + GRAM; i++) {
            h = latin_hash(h, c[i]);
            if (i > start || c[i] != ' ')
                tally_add(t, h, 1);
        }
    }
    tally_add(t, word, WORD_COUNTS);
    for (int i = 0; i < ROW; i++)
        t->sum[i] += t->word[i];
    memset(t->word, 0, sizeof t->word);
}

static bool latin_letter(int32_t c)
{
    return c < 0x250 || (c >= 0x1e00 && c < 0x1f00);
}

/* The word at s[at], with spaces around, into c; *latin: it has a Latin letter.  Where it ends. */
static size_t latin_word(const char *s, size_t n, size_t at, int32_t *c, int *n_char, bool *latin)
{
    size_t len, ahead;
    *n_char = 0;
    *latin = false;
    c[(*n_char)++] = ' ';
    while (at < n) {
        int32_t x = scan_char(s, n, at, &len);
        if (x < 0x80 && scan_is_alpha((char)x)) {
            *latin = true;
            if (*n_char <= MAX_WORD_CHARS)
                c[(*n_char)++] = x | 32;
            at++;
            continue;
        }
        bool joint = (x == '\'' || x == 0x2019) && *n_char > 1 && at + len < n &&
                     u_isalpha(scan_char(s, n, at + len, &ahead));
        if (!joint && !u_isalpha(x))
            break;
        *latin = *latin || (!joint && latin_letter(x));
        if (*n_char <= MAX_WORD_CHARS)
            c[(*n_char)++] = joint ? '\'' : u_tolower(x);
        at += len;
    }
    c[(*n_char)++] = ' ';
    return at;
}

void latin_score(const char *s, size_t n, struct latin_scores *x)
{
    struct tally t = {.n_bucket = (uint32_t)latin_number(6)};
    int32_t c[MAX_WORD_CHARS + 2];
    float unit;
    size_t names = HEAD_BYTES + NAME_BYTES * (size_t)latin_count(), len;
    t.weights = (const signed char *)latin_table + names;
    memcpy(&unit, latin_table + names + t.n_bucket * ROW, sizeof unit);
    x->n_word = 0;
    for (size_t at = 0; at < n && x->n_word < MAX_WORDS;) {
        bool latin;
        int n_char;
        size_t end = latin_word(s, n, at, c, &n_char, &latin);
        if (latin) {
            tally_word(&t, c, n_char);
            x->n_word++;
        }
        if (end == at)
            scan_char(s, n, at, &len);
        at = end > at ? end : at + len;
    }
    for (int i = 0; i < latin_count(); i++)
        x->nats[i] = unit * (float)t.sum[i] + PRIOR_UNIT * (float)latin_name(i)[NAME_BYTES - 1];
}
