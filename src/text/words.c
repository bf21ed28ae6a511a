#include "text/words.h"

#include <pthread.h>
#include <string.h>
#include <unicode/unum.h>
#include <unicode/upluralrules.h>
#include <unicode/ustring.h>

#include "base/err.h"
#include "base/mem.h"

#define MAX_WORDS_BYTES (64 << 20) /* what one thing read may become */
#define MAX_SPELLED     18         /* digits: ICU's rules are for 64-bit integers */
#define N_SPELLER       128        /* pairs of locale and rules in use: a few a language */
#define N_PLURAL        24

void words_init(struct words *w, bool unspaced)
{
    *w = (struct words){.unspaced = unspaced};
    buf_init(&w->text, MAX_WORDS_BYTES);
}

void words_done(struct words *w)
{
    buf_done(&w->text);
}

void words_clear(struct words *w)
{
    buf_clear(&w->text);
}

void words_back(struct words *w, size_t len)
{
    if (len < w->text.len) {
        w->text.len = len;
        w->text.data[len] = 0;
    }
}

static void words_append(struct words *w, const char *s, size_t n)
{
    if (w->rc == 0)
        w->rc = buf_add(&w->text, s, n);
}

void words_add_n(struct words *w, const char *s, size_t n)
{
    if (n == 0)
        return;
    if (w->text.len && !w->unspaced && s[0] != ' ' && w->text.data[w->text.len - 1] != ' ')
        words_append(w, " ", 1);
    words_append(w, s, n);
}

void words_add(struct words *w, const char *s)
{
    if (s)
        words_add_n(w, s, strlen(s));
}

void words_join(struct words *w, const char *s)
{
    words_append(w, s, strlen(s));
}

/* --- ICU's spellers: opening one parses its rules, milliseconds, so they are kept --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct speller {
    char locale[16], rules[56];
    UNumberFormat *format;
} spellers[N_SPELLER];
static struct plural {
    char locale[16];
    UPluralRules *rules;
} plurals[N_PLURAL];

static const char *const cardinals[] = {"%spellout-cardinal", "%spellout-numbering",
                                        "%spellout-cardinal-masculine"};

static bool use_rules(UNumberFormat *f, const char *rules)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar name[56];
    u_uastrncpy(name, rules, 56);
    unum_setTextAttribute(f, UNUM_DEFAULT_RULESET, name, -1, &status);
    return U_SUCCESS(status);
}

/* NULL: no such locale or rules, or more of them than we keep.  The lock is held. */
static UNumberFormat *speller(const char *locale, const char *rules)
{
    const char *key = rules ? rules : "";
    struct speller *s = spellers;
    for (; s < spellers + N_SPELLER && s->format; s++)
        if (strcmp(s->locale, locale) == 0 && strcmp(s->rules, key) == 0)
            return s->format;
    if (s == spellers + N_SPELLER || strlen(locale) >= sizeof s->locale ||
        strlen(key) >= sizeof s->rules)
        return NULL;
    UErrorCode status = U_ZERO_ERROR;
    UNumberFormat *f = unum_open(UNUM_SPELLOUT, NULL, 0, locale, NULL, &status);
    if (U_FAILURE(status))
        return NULL;
    bool known = rules && use_rules(f, rules);
    for (size_t i = 0; !rules && !known && i < sizeof cardinals / sizeof *cardinals; i++)
        known = use_rules(f, cardinals[i]);
    if (!known) {
        unum_close(f);
        return NULL;
    }
    memcpy(s->locale, locale, strlen(locale) + 1);
    memcpy(s->rules, key, strlen(key) + 1);
    return s->format = f;
}

/* ICU's spelling without the soft hyphens it puts into long German words; -1: cannot. */
static int32_t spell(const char *locale, const char *rules, const char *digits, UChar *wide,
                     int32_t room)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t n = -1;
    pthread_mutex_lock(&lock);
    UNumberFormat *f = speller(locale, rules);
    if (!f && rules)
        f = speller(locale, NULL);
    if (f)
        n = unum_formatDecimal(f, digits, (int32_t)strlen(digits), wide, room, NULL, &status);
    pthread_mutex_unlock(&lock);
    if (U_FAILURE(status) || n < 0 || n >= room)
        return -1;
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++)
        if (wide[i] != 0xad)
            wide[kept++] = wide[i];
    return kept;
}

/* What ICU spells otherwise than it is said.  whole: only where nothing else is spelled. */
static const struct correction {
    const char *locale, *from, *to;
    bool whole;
} corrections[] = {
    {"nl", "een", "één", true}, /* else it is the article */
    {"ru", "одна тысяча", "тысяча", false},
    {"ru", "четверт", "четвёрт", false},
    {"ru", "трех", "трёх", false},
    {"ru", "четырех", "четырёх", false},
    {"zh", "〇", "零", false},
    {"ja", "〇", "零", true},
    {"ko", "공", "영", true}, /* 공 is for telephone numbers */
};

static void correct(const char *locale, char *s, size_t room)
{
    for (size_t i = 0; i < sizeof corrections / sizeof *corrections; i++) {
        const struct correction *c = &corrections[i];
        size_t from = strlen(c->from), to = strlen(c->to);
        char *at = strcmp(c->locale, locale) == 0 ? strstr(s, c->from) : NULL;
        while (at && !(c->whole && strlen(s) != from) && strlen(s) + to < room) {
            memmove(at + to, at + from, strlen(at + from) + 1);
            memcpy(at, c->to, to);
            at = strstr(at + to, c->from);
        }
    }
}

static void each_digit(struct words *w, const char *locale, const char *digits)
{
    for (; *digits; digits++)
        if (*digits >= '0' && *digits <= '9')
            words_number(w, locale, NULL, (char[2]){*digits, 0});
}

void words_number(struct words *w, const char *locale, const char *rules, const char *digits)
{
    UChar wide[512];
    char narrow[1600];
    int32_t n8 = 0;
    UErrorCode status = U_ZERO_ERROR;
    if (strcspn(digits, ".") > MAX_SPELLED) {
        each_digit(w, locale, digits);
        return;
    }
    int32_t n = spell(locale, rules, digits, wide, 512);
    if (n >= 0)
        u_strToUTF8(narrow, sizeof narrow, &n8, wide, n, &status);
    if (n < 0 || U_FAILURE(status)) /* no rules: as written */
        words_add(w, digits);
    else {
        correct(locale, narrow, sizeof narrow);
        words_add(w, narrow);
    }
}

const char *words_plural(const char *locale, double x)
{
    static const char *const names[] = {"zero", "one", "two", "few", "many"};
    UErrorCode status = U_ZERO_ERROR;
    UChar wide[16];
    char name[16] = "other";
    struct plural *p = plurals;
    pthread_mutex_lock(&lock);
    while (p < plurals + N_PLURAL - 1 && p->rules && strcmp(p->locale, locale) != 0)
        p++;
    if (p->rules && strcmp(p->locale, locale) != 0)
        p = NULL; /* no room for another */
    else if (!p->rules && strlen(locale) < sizeof p->locale) {
        p->rules = uplrules_open(locale, &status);
        memcpy(p->locale, locale, strlen(locale) + 1);
    }
    int32_t n = p && p->rules ? uplrules_select(p->rules, x, wide, 15, &status) : 0;
    if (U_SUCCESS(status) && n > 0 && n < 16) {
        u_UCharsToChars(wide, name, n);
        name[n] = 0;
    }
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return names[i];
    return "other";
}
