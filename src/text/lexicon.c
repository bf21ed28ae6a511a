#include "text/lexicon.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "text/scan.h"
#include "text/ssml.h"

#define MAX_FILE_BYTES (8 << 20)
#define MAX_ENTRIES    200000
#define MAX_WORD_BYTES 120
#define MAX_SAID_BYTES 500
#define MAX_LANGUAGE   24

struct entry {
    struct entry *next; /* in its bucket, later lines first */
    char *word;         /* as written */
    char *said;         /* words, or IPA as private-use characters */
    char language[MAX_LANGUAGE];
    bool ipa, exact;
};

struct table {
    struct entry **bucket;
    size_t n_bucket;
    int n;
};

struct lexicon {
    char *path;
    pthread_rwlock_t lock;
    struct table table;      /* (lock) */
    struct timespec changed; /* (lock) of the file when it was last read, well or badly */
    off_t size;
    uint64_t version;   /* (lock) of the text in use: its hash */
    struct err problem; /* (lock) */
};

/* --- words --- */

/* Bytes of the word at s[at]: letters, marks, digits, and ' - . between such. */
static size_t word_at(const char *s, size_t n, size_t at)
{
    size_t end = at, len;
    for (;;) {
        int32_t c = scan_char(s, n, end, &len);
        if (end < n && (u_isalnum(c) || (end > at && (U_GET_GC_MASK(c) & U_GC_M_MASK)))) {
            end += len;
            continue;
        }
        bool joint =
            end > at && end + 1 < n && (c == '\'' || c == '-' || c == '.' || c == '&' || c == '+');
        if (!joint || !u_isalnum(scan_char(s, n, end + 1, &len)))
            return end - at;
        end++;
    }
}

/* The word in one case, for looking it up; 0: too long to be in a lexicon. */
static size_t lexicon_fold(const char *s, size_t n, char *to, size_t room)
{
    bool ascii = true;
    if (n >= room)
        return 0;
    for (size_t i = 0; i < n; i++) {
        to[i] = scan_is_upper(s[i]) ? (char)(s[i] + 32) : s[i];
        ascii = ascii && (unsigned char)s[i] < 0x80;
    }
    if (ascii)
        return n;
    UErrorCode status = U_ZERO_ERROR;
    UCaseMap *map = ucasemap_open("", 0, &status);
    int32_t len = ucasemap_utf8FoldCase(map, to, (int32_t)room, s, (int32_t)n, &status);
    ucasemap_close(map);
    return U_SUCCESS(status) && (size_t)len < room ? (size_t)len : 0;
}

static uint64_t lexicon_hash(const char *s, size_t n)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    return h;
}

/* --- the file --- */

static void table_done(struct table *t)
{
    for (size_t i = 0; t->bucket && i < t->n_bucket; i++)
        for (struct entry *x = t->bucket[i], *next; x; x = next) {
            next = x->next;
            mem_free(x->word);
            mem_free(x->said);
            mem_free(x);
        }
    mem_free(t->bucket);
    *t = (struct table){0};
}

static void lexicon_trim(const char **s, size_t *n)
{
    while (*n && (**s == ' ' || **s == '\t')) {
        (*s)++;
        (*n)--;
    }
    while (*n && strchr(" \t\r", (*s)[*n - 1]))
        (*n)--;
}

static int read_said(const char *s, size_t n, struct entry *x, struct err *e)
{
    struct buf b;
    char ipa[MAX_SAID_BYTES + 1];
    int rc;
    if (n == 0 || n > MAX_SAID_BYTES)
        return err_set(e, n ? ERR_LIMIT : ERR_FORMAT,
                       n ? "the reading has %zu bytes, the limit is %d"
                         : "there is no reading behind the =",
                       n, MAX_SAID_BYTES);
    x->ipa = n > 2 && s[0] == '/' && s[n - 1] == '/';
    if (!x->ipa) {
        x->said = mem_strndup(s, n);
        return x->said ? 0 : err_set(e, ERR_MEMORY, "out of memory for a lexicon");
    }
    memcpy(ipa, s + 1, n - 2);
    ipa[n - 2] = 0;
    buf_init(&b, 16 * MAX_SAID_BYTES);
    rc = ipa_encode("ipa", ipa, &b, e);
    if (rc == 0 && !(x->said = buf_take(&b)))
        rc = err_set(e, ERR_MEMORY, "out of memory for a lexicon");
    buf_done(&b);
    return rc;
}

static int add_entry(struct table *t, struct entry *x, size_t n_word, struct err *e)
{
    char folded[2 * MAX_WORD_BYTES];
    if (t->n == MAX_ENTRIES)
        return err_set(e, ERR_LIMIT, "more than %d words", MAX_ENTRIES);
    size_t n = lexicon_fold(x->word, n_word, folded, sizeof folded);
    for (size_t at = 0, len; at < n_word; at += len)
        x->exact = x->exact || u_isupper(scan_char(x->word, n_word, at, &len));
    struct entry **bucket = &t->bucket[lexicon_hash(folded, n) % t->n_bucket];
    x->next = *bucket;
    *bucket = x;
    t->n++;
    return 0;
}

/* word = reading */
static int lexicon_read_entry(struct table *t, const char *s, size_t n, const char *language,
                              struct err *e)
{
    const char *equal = memchr(s, '=', n);
    if (!equal)
        return err_set(e, ERR_FORMAT, "there is no =, want word = reading, or [language]");
    const char *word = s, *said = equal + 1;
    size_t n_word = (size_t)(equal - s), n_said = n - n_word - 1;
    lexicon_trim(&word, &n_word);
    lexicon_trim(&said, &n_said);
    if (n_word == 0 || n_word > MAX_WORD_BYTES || word_at(word, n_word, 0) != n_word)
        return err_set(e, ERR_FORMAT,
                       "\"%.*s\" is no word: want letters and digits, at most %d bytes, "
                       "without spaces",
                       (int)(n_word < 60 ? n_word : 60), word, MAX_WORD_BYTES);
    struct entry *x = mem_try(1, sizeof *x);
    if (!x || !(x->word = mem_strndup(word, n_word))) {
        mem_free(x);
        return err_set(e, ERR_MEMORY, "out of memory for a lexicon");
    }
    memcpy(x->language, language, strlen(language) + 1);
    int rc = read_said(said, n_said, x, e);
    if (rc == 0)
        rc = add_entry(t, x, n_word, e);
    if (rc < 0) {
        mem_free(x->word);
        mem_free(x->said);
        mem_free(x);
    }
    return rc;
}

/* [de] or [*] */
static int read_section(const char *s, size_t n, char language[MAX_LANGUAGE], struct err *e)
{
    size_t len = n - 2;
    if (n < 3 || s[n - 1] != ']' || len >= MAX_LANGUAGE)
        return err_set(e, ERR_FORMAT, "want [language], like [en] or [pt-br]");
    for (size_t i = 0; i < len; i++) {
        char c = s[1 + i];
        if (!scan_is_alnum(c) && c != '-' && !(c == '*' && len == 1))
            return err_set(e, ERR_FORMAT, "\"%.*s\" is no language, want one like en or pt-br",
                           (int)len, s + 1);
        language[i] = scan_is_upper(c) ? (char)(c + 32) : c;
    }
    language[len] = 0;
    if (language[0] == '*')
        language[0] = 0;
    return 0;
}

static int read_lines(struct table *t, const char *s, size_t n, struct err *e)
{
    char language[MAX_LANGUAGE] = "";
    int rc = 0, line = 1;
    for (size_t at = 0; at < n && rc == 0; line++) {
        const char *end = memchr(s + at, '\n', n - at), *from = s + at;
        size_t len = end ? (size_t)(end - from) : n - at;
        at += len + 1;
        lexicon_trim(&from, &len);
        if (len == 0 || from[0] == '#')
            continue;
        rc = from[0] == '[' ? read_section(from, len, language, e)
                            : lexicon_read_entry(t, from, len, language, e);
        if (rc < 0)
            err_wrap(e, "line %d", line);
    }
    return rc;
}

static int check_utf8(const char *s, size_t n, struct err *e)
{
    int line = 1;
    for (int32_t i = 0; i < (int32_t)n;) {
        UChar32 c;
        U8_NEXT(s, i, (int32_t)n, c);
        if (c < 0 || (c < ' ' && c != '\n' && c != '\r' && c != '\t'))
            return err_set(e, ERR_FORMAT, "line %d: not UTF-8 text", line);
        line += c == '\n';
    }
    return 0;
}

int lexicon_parse(const char *s, size_t n, struct lexicon *l, struct err *e); /* and for fuzzing */
int lexicon_parse(const char *s, size_t n, struct lexicon *l, struct err *e)
{
    struct table t = {.n_bucket = 64};
    size_t skip = n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (size_t i = 0; i < n; i++)
        t.n_bucket += s[i] == '\n';
    int rc = check_utf8(s, n, e);
    if (rc == 0 && !(t.bucket = mem_try(t.n_bucket, sizeof *t.bucket)))
        rc = err_set(e, ERR_MEMORY, "out of memory for a lexicon");
    if (rc == 0)
        rc = read_lines(&t, s + skip, n - skip, e);
    if (rc < 0) {
        table_done(&t);
        return rc;
    }
    table_done(&l->table);
    l->table = t;
    return 0;
}

static int lexicon_read_file(struct lexicon *l, struct err *e)
{
    struct buf text;
    buf_init(&text, MAX_FILE_BYTES);
    int rc = buf_read_file(&text, l->path, e);
    if (rc == 0)
        rc = lexicon_parse(buf_str(&text), text.len, l, e);
    if (rc == 0)
        l->version = lexicon_hash(buf_str(&text), text.len);
    if (rc < 0)
        err_wrap(e, "lexicon %s", l->path);
    buf_done(&text);
    return rc;
}

int lexicon_open(const char *path, struct lexicon **ret, struct err *e)
{
    struct stat st;
    struct lexicon *l = mem_try(1, sizeof *l);
    if (!l || !(l->path = mem_strndup(path, 4096))) {
        mem_free(l);
        return err_set(e, ERR_MEMORY, "out of memory for a lexicon");
    }
    pthread_rwlock_init(&l->lock, NULL);
    if (stat(path, &st) == 0) {
        l->changed = st.st_mtim;
        l->size = st.st_size;
    }
    int rc = lexicon_read_file(l, e);
    if (rc < 0)
        lexicon_free(l);
    else
        *ret = l;
    return rc;
}

void lexicon_free(struct lexicon *l)
{
    if (!l)
        return;
    table_done(&l->table);
    pthread_rwlock_destroy(&l->lock);
    mem_free(l->path);
    mem_free(l);
}

/* Read the file again if it is another than it was. */
static void refresh(struct lexicon *l)
{
    struct stat st;
    if (stat(l->path, &st) < 0)
        return; /* being replaced, or gone: the entries stay */
    pthread_rwlock_wrlock(&l->lock);
    bool same = st.st_mtim.tv_sec == l->changed.tv_sec &&
                st.st_mtim.tv_nsec == l->changed.tv_nsec && st.st_size == l->size;
    if (!same) {
        l->changed = st.st_mtim;
        l->size = st.st_size;
        l->problem = (struct err){0};
        lexicon_read_file(l, &l->problem);
    }
    pthread_rwlock_unlock(&l->lock);
}

int lexicon_problem(struct lexicon *l, struct err *e)
{
    refresh(l);
    pthread_rwlock_rdlock(&l->lock);
    int rc = l->problem.code;
    if (rc < 0 && e)
        *e = l->problem;
    pthread_rwlock_unlock(&l->lock);
    return rc;
}

uint64_t lexicon_version(struct lexicon *l)
{
    refresh(l);
    pthread_rwlock_rdlock(&l->lock);
    uint64_t version = l->version;
    pthread_rwlock_unlock(&l->lock);
    return version;
}

/* --- use --- */

/* How well an entry's language fits: 0 not, 1 any, 2 the language, 3 and its country. */
static int fits(const struct entry *x, const char *language)
{
    size_t n = strlen(x->language);
    if (n == 0)
        return 1;
    if (!scan_match(language, strlen(language), 0, x->language, true))
        return 0;
    return language[n] == 0 || language[n] == '+'     ? 3
           : language[n] == '-' || language[n] == '_' ? 2
                                                      : 0;
}

static const struct entry *lexicon_find(const struct lexicon *l, const char *s, size_t n,
                                        const char *language)
{
    char folded[2 * MAX_WORD_BYTES], other[2 * MAX_WORD_BYTES];
    const struct entry *best = NULL;
    int best_fit = 0;
    size_t len = lexicon_fold(s, n, folded, sizeof folded);
    if (len == 0 || l->table.n == 0)
        return NULL;
    for (const struct entry *x = l->table.bucket[lexicon_hash(folded, len) % l->table.n_bucket]; x;
         x = x->next) {
        size_t n_word = strlen(x->word);
        bool same = x->exact ? n_word == n && memcmp(x->word, s, n) == 0
                             : lexicon_fold(x->word, n_word, other, sizeof other) == len &&
                                   memcmp(other, folded, len) == 0;
        int fit = same ? 2 * fits(x, language) + (x->exact && fits(x, language)) : 0;
        if (fit > best_fit) {
            best = x;
            best_fit = fit;
        }
    }
    return best;
}

void lexicon_apply(struct lexicon *l, const char *language, bool ipa, const struct mapped *text,
                   struct mapped *out, int *n_ignored)
{
    const char *s = buf_str(&text->text);
    size_t n = text->text.len, from = 0;
    refresh(l);
    pthread_rwlock_rdlock(&l->lock);
    for (size_t at = 0; at < n && out->rc == 0;) {
        size_t len = word_at(s, n, at);
        const struct entry *x = len ? lexicon_find(l, s + at, len, language) : NULL;
        if (x && x->ipa && !ipa)
            ++*n_ignored;
        if (x && (ipa || !x->ipa)) {
            if (at > from)
                mapped_copy(out, s, from, at);
            mapped_put(out, x->said, strlen(x->said), at, at + len);
            from = at + len;
        }
        if (len == 0)
            scan_char(s, n, at, &len);
        at += len;
    }
    pthread_rwlock_unlock(&l->lock);
    if (n > from)
        mapped_copy(out, s, from, n);
}
