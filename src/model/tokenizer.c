#include "model/tokenizer.h"

#include <jansson.h>
#include <libavutil/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/model_test.h"

/* White space as the original's regular expression engine has it (Unicode White_Space).  PCRE2's
 * own \s also takes U+180E, so the class is spelled out. */
#define SPACES                                                                                     \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}"                               \
    "\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

/* fish_speech/tokenizer.py, FISH_TIKTOKEN_PATTERN.  The last but one alternative is a mistyped
 * look-ahead there, (\?!\S) for (?!\S); it is kept because it decides how text is split. */
static const char split_pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
                                    "|\\p{P}"
                                    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
                                    "|\\p{N}"
                                    "| ?[^" SPACES "\\p{L}\\p{N}]+[\\r\\n]*"
                                    "|[" SPACES "]*[\\r\\n]+"
                                    "|[" SPACES "]+\\?![^" SPACES "]"
                                    "|[" SPACES "]+";

struct tokenizer {
    int n_rank, n_special;
    char *blob;     /* all tokens' bytes, one after the other */
    size_t *offset; /* [n_rank + n_special + 1] into blob */
    uint32_t *slot; /* hash table of ranks: id + 1, 0 = free; open addressing */
    size_t mask;    /* number of slots - 1 */
    size_t max_rank_bytes;
    int32_t *special; /* ids of the special tokens, sorted by their bytes */
    bool starts[256]; /* first bytes of special tokens */
    pcre2_code *split;
    pcre2_match_context *context;
};

/* --- bytes --- */

/* GPT-2's byte alphabet (openai/gpt-2 encoder.py, bytes_to_unicode): printable Latin-1 stands for
 * itself, the 68 other bytes are U+0100 onwards in order. */
static void byte_alphabet(uint16_t code[256])
{
    uint16_t next = 0x100;
    for (int b = 0; b < 256; b++) {
        bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        code[b] = printable ? (uint16_t)b : next++;
    }
}

/* --- vocabulary files --- */

/* Canonical, padded base64 (RFC 4648): the library decodes more than that, so what it found must
 * encode to the same again.  out has room for n / 4 * 3 bytes. */
static int decode_word(const char *s, size_t n, char *out, size_t *n_out)
{
    size_t room = n / 4 * 3;
    char *text = n && n % 4 == 0 ? mem_strndup(s, n) : NULL;
    char *again = text ? mem_try(AV_BASE64_SIZE(room), 1) : NULL;
    int got = again ? av_base64_decode((uint8_t *)out, text, (int)room) : -1;
    bool same = got >= 0 &&
                av_base64_encode(again, (int)AV_BASE64_SIZE(room), (uint8_t *)out, got) &&
                strcmp(again, text) == 0;
    mem_free(text);
    mem_free(again);
    *n_out = same ? (size_t)got : 0;
    return same ? 0 : ERR_FORMAT;
}

void tokenizer_vocab_done(struct tokenizer_vocab *v)
{
    for (size_t i = 0; v->token && i < (size_t)v->n_rank + (size_t)v->n_special; i++)
        mem_free((void *)v->token[i]);
    mem_free(v->token);
    mem_free(v->token_bytes);
    *v = (struct tokenizer_vocab){0};
}

/* An empty vocabulary with room for n_rank + n_special tokens. */
static int vocab_room(struct tokenizer_vocab *v, size_t n_rank, size_t n_special, struct err *e)
{
    if (n_rank > LIMIT_VOCAB || n_special > LIMIT_VOCAB - n_rank)
        return err_set(e, ERR_LIMIT, "vocabulary has %zu + %zu tokens, the limit is %d", n_rank,
                       n_special, LIMIT_VOCAB);
    *v = (struct tokenizer_vocab){.n_rank = (int)n_rank, .n_special = (int)n_special};
    v->token = mem_try(n_rank + n_special, sizeof *v->token);
    v->token_bytes = mem_try(n_rank + n_special, sizeof *v->token_bytes);
    if (v->token && v->token_bytes)
        return 0;
    return err_set(e, ERR_MEMORY, "out of memory for a vocabulary of %zu tokens",
                   n_rank + n_special);
}

static int vocab_set(struct tokenizer_vocab *v, size_t i, const char *s, size_t n, struct err *e)
{
    char *copy = mem_try(n + 1, 1);
    if (!copy)
        return err_set(e, ERR_MEMORY, "out of memory for token %zu", i);
    memcpy(copy, s, n);
    v->token[i] = copy;
    v->token_bytes[i] = n;
    return 0;
}

/* One line of a tiktoken file: its base64 word and its rank. */
struct line {
    const char *word;
    size_t word_bytes;
    long rank;
};

/* Take the next line that counts: empty ones and a lone "=" are skipped, as the original does.
 * 1 = a line, 0 = end. */
static int line_next(const char **at, const char *end, int *number, struct line *l, struct err *e)
{
    while (*at < end) {
        const char *s = *at, *stop = memchr(s, '\n', (size_t)(end - s));
        stop = stop ? stop : end;
        *at = stop < end ? stop + 1 : end;
        ++*number;
        if (stop > s && stop[-1] == '\r')
            stop--;
        const char *space = memchr(s, ' ', (size_t)(stop - s));
        if (stop == s || (*s == '=' && (stop == s + 1 || space == s + 1)))
            continue;
        *l = (struct line){s, space ? (size_t)(space - s) : 0, 0};
        if (!space || space + 1 == stop || stop - space > 8)
            return err_set(e, ERR_FORMAT, "tokenizer line %d: want a token and a rank", *number);
        for (const char *p = space + 1; p < stop; p++) {
            if (*p < '0' || *p > '9')
                return err_set(e, ERR_FORMAT, "tokenizer line %d: rank is not a number", *number);
            l->rank = l->rank * 10 + (*p - '0');
        }
        return 1;
    }
    return 0;
}

static int vocab_ranks(const char *text, size_t n, struct tokenizer_vocab *v, struct err *e)
{
    const char *at = text;
    struct line l;
    int rc, number = 0;
    while ((rc = line_next(&at, text + n, &number, &l, e)) > 0) {
        if (l.rank >= v->n_rank || v->token[l.rank])
            return err_set(
                e, ERR_FORMAT, "tokenizer line %d: rank %ld is %s, want 0 to %d once each", number,
                l.rank, l.rank >= v->n_rank ? "too large" : "there twice", v->n_rank - 1);
        char *bytes = mem_try(l.word_bytes / 4 + 1, 3);
        if (!bytes)
            return err_set(e, ERR_MEMORY, "out of memory for token %ld", l.rank);
        v->token[l.rank] = bytes;
        if (decode_word(l.word, l.word_bytes, bytes, &v->token_bytes[l.rank]) < 0)
            return err_set(e, ERR_FORMAT, "tokenizer line %d: token is not base64", number);
    }
    return rc;
}

static int vocab_fill(const char *tiktoken, size_t n_tiktoken, json_t *special,
                      struct tokenizer_vocab *v, struct err *e)
{
    const char *at = tiktoken, *name;
    struct line l;
    size_t n_rank = 0;
    int rc, number = 0;
    while ((rc = line_next(&at, tiktoken + n_tiktoken, &number, &l, e)) > 0)
        n_rank++;
    if (rc == 0)
        rc = vocab_room(v, n_rank, json_object_size(special), e);
    if (rc == 0)
        rc = vocab_ranks(tiktoken, n_tiktoken, v, e);
    /* The ids written in the file do not count, only the order (which jansson keeps). */
    json_t *value;
    size_t i = n_rank;
    json_object_foreach(special, name, value)
    {
        if (rc == 0)
            rc = vocab_set(v, i++, name, strlen(name), e);
    }
    return rc;
}

int tokenizer_vocab_parse(const char *tiktoken, size_t n_tiktoken, const char *special,
                          size_t n_special, struct tokenizer_vocab *v, struct err *e)
{
    json_error_t why;
    *v = (struct tokenizer_vocab){0};
    json_t *root = json_loadb(special, n_special, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return err_set(e, ERR_FORMAT, "special tokens, line %d: %s", why.line, why.text);
    int rc = json_is_object(root) ? vocab_fill(tiktoken, n_tiktoken, root, v, e)
                                  : err_set(e, ERR_FORMAT, "special tokens: want a JSON object");
    json_decref(root);
    if (rc < 0)
        tokenizer_vocab_done(v);
    return rc;
}

int tokenizer_vocab_read(const char *tiktoken_path, const char *special_path,
                         struct tokenizer_vocab *v, struct err *e)
{
    struct buf tiktoken, special;
    buf_init(&tiktoken, LIMIT_JSON_BYTES);
    buf_init(&special, LIMIT_JSON_BYTES);
    *v = (struct tokenizer_vocab){0};
    int rc = buf_read_file(&tiktoken, tiktoken_path, e);
    if (rc == 0)
        rc = buf_read_file(&special, special_path, e);
    if (rc == 0) {
        rc = tokenizer_vocab_parse(buf_str(&tiktoken), tiktoken.len, buf_str(&special), special.len,
                                   v, e);
        if (rc < 0)
            err_wrap(e, "%s", tiktoken_path);
    }
    buf_done(&tiktoken);
    buf_done(&special);
    return rc;
}

/* --- building --- */

const char *tokenizer_bytes(const struct tokenizer *t, int32_t id, size_t *n)
{
    if (id < 0 || id >= t->n_rank + t->n_special) {
        *n = 0;
        return NULL;
    }
    *n = t->offset[id + 1] - t->offset[id];
    return t->blob + t->offset[id];
}

static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, then mixed so that the low bits are usable */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

/* The slot of these bytes, or the free slot to put them into. */
static uint32_t *rank_slot(const struct tokenizer *t, const char *s, size_t n)
{
    for (size_t i = hash_bytes(s, n) & t->mask;; i = (i + 1) & t->mask) {
        size_t len;
        if (!t->slot[i])
            return &t->slot[i];
        const char *bytes = tokenizer_bytes(t, (int32_t)(t->slot[i] - 1), &len);
        if (len == n && memcmp(bytes, s, n) == 0)
            return &t->slot[i];
    }
}

/* Rank of these bytes, or -1. */
static int32_t rank_of(const struct tokenizer *t, const char *s, size_t n)
{
    if (n > t->max_rank_bytes)
        return -1;
    return (int32_t)*rank_slot(t, s, n) - 1;
}

static int add_ranks(struct tokenizer *t, struct err *e)
{
    size_t n_slot = 1024, n;
    while (n_slot < 2 * (size_t)t->n_rank)
        n_slot *= 2;
    t->mask = n_slot - 1;
    t->slot = mem_try(n_slot, sizeof *t->slot);
    if (!t->slot)
        return err_set(e, ERR_MEMORY, "out of memory for %d ranks", t->n_rank);
    for (int32_t id = 0; id < t->n_rank; id++) {
        const char *s = tokenizer_bytes(t, id, &n);
        uint32_t *slot = rank_slot(t, s, n);
        if (*slot)
            return err_set(e, ERR_FORMAT, "tokens %u and %d of the vocabulary are the same",
                           *slot - 1, id);
        *slot = (uint32_t)id + 1;
        t->max_rank_bytes = n > t->max_rank_bytes ? n : t->max_rank_bytes;
    }
    for (int b = 0; b < 256; b++) {
        char c = (char)b;
        if (rank_of(t, &c, 1) < 0)
            return err_set(e, ERR_FORMAT, "vocabulary lacks the byte 0x%02x", b);
    }
    return 0;
}

static int compare_bytes(const char *a, size_t na, const char *b, size_t nb)
{
    int d = memcmp(a, b, na < nb ? na : nb);
    return d ? d : (na > nb) - (na < nb);
}

struct named {
    const char *s;
    size_t n;
    int32_t id;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    return compare_bytes(x->s, x->n, y->s, y->n);
}

static int add_specials(struct tokenizer *t, struct err *e)
{
    size_t n = (size_t)t->n_special;
    struct named *list = mem_try(n, sizeof *list);
    int rc = 0;
    t->special = mem_try(n, sizeof *t->special);
    if (!list || !t->special)
        rc = err_set(e, ERR_MEMORY, "out of memory for %zu special tokens", n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        list[i].id = t->n_rank + (int32_t)i;
        list[i].s = tokenizer_bytes(t, list[i].id, &list[i].n);
        t->starts[(unsigned char)list[i].s[0]] = true;
        if (utf8_check(list[i].s, list[i].n) < list[i].n)
            rc = err_set(e, ERR_FORMAT, "special token %zu is not UTF-8", i);
    }
    if (rc == 0)
        qsort(list, n, sizeof *list, compare_named);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        t->special[i] = list[i].id;
        if (i && compare_named(&list[i - 1], &list[i]) == 0)
            rc = err_set(e, ERR_FORMAT, "special tokens %d and %d are the same",
                         list[i - 1].id - t->n_rank, list[i].id - t->n_rank);
    }
    mem_free(list);
    return rc;
}

static int compile_pattern(struct tokenizer *t, struct err *e)
{
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[128] = "";
    t->split = pcre2_compile((PCRE2_SPTR)split_pattern, PCRE2_ZERO_TERMINATED,
                             PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code, &at, NULL);
    if (!t->split) {
        pcre2_get_error_message(code, why, sizeof why);
        return err_set(e, ERR_INTERNAL, "split pattern, at %zu: %s", (size_t)at, (char *)why);
    }
    /* Where there is no just-in-time compiler the interpreter does: slower, same matches.  The
     * pattern backtracks over white space once at most, so a limit would only hurt. */
    pcre2_jit_compile(t->split, PCRE2_JIT_COMPLETE);
    t->context = pcre2_match_context_create(NULL);
    if (!t->context)
        return err_set(e, ERR_MEMORY, "out of memory for the split pattern");
    pcre2_set_match_limit(t->context, UINT32_MAX);
    return 0;
}

static int copy_vocab(struct tokenizer *t, const struct tokenizer_vocab *v, struct err *e)
{
    size_t n = (size_t)v->n_rank + (size_t)v->n_special, total = 0;
    for (size_t i = 0; i < n; i++) {
        if (v->token_bytes[i] == 0)
            return err_set(e, ERR_FORMAT, "token %zu of the vocabulary is empty", i);
        total += v->token_bytes[i];
    }
    t->n_rank = v->n_rank;
    t->n_special = v->n_special;
    t->blob = mem_try(total, 1);
    t->offset = mem_try(n + 1, sizeof *t->offset);
    if (!t->blob || !t->offset)
        return err_set(e, ERR_MEMORY, "out of memory for a vocabulary of %zu tokens", n);
    for (size_t i = 0; i < n; i++) {
        memcpy(t->blob + t->offset[i], v->token[i], v->token_bytes[i]);
        t->offset[i + 1] = t->offset[i] + v->token_bytes[i];
    }
    return 0;
}

int tokenizer_new(const struct tokenizer_vocab *v, struct tokenizer **ret, struct err *e)
{
    struct tokenizer *t = mem_try(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_MEMORY, "out of memory for a tokenizer");
    int rc = copy_vocab(t, v, e);
    if (rc == 0)
        rc = add_ranks(t, e);
    if (rc == 0)
        rc = add_specials(t, e);
    if (rc == 0)
        rc = compile_pattern(t, e);
    if (rc < 0) {
        tokenizer_free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    pcre2_match_context_free(t->context);
    pcre2_code_free(t->split);
    mem_free(t->special);
    mem_free(t->slot);
    mem_free(t->offset);
    mem_free(t->blob);
    mem_free(t);
}

/* --- GGUF --- */

#define KEY_MODEL  "tokenizer.ggml.model"
#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TYPES  "tokenizer.ggml.token_type"
enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3 }; /* the format's numbers */

void tokenizer_write(const struct tokenizer_vocab *v, struct gguf_writer *w)
{
    /* Nothing can be reported from here, so these abort when memory is out: the vocabulary is in
     * memory already and this is at most twice its size. */
    size_t n = (size_t)v->n_rank + (size_t)v->n_special, total = 0, used = 0;
    for (int i = 0; i < v->n_rank; i++)
        total += 2 * v->token_bytes[i];
    char *blob = mem_alloc(total);
    const char **s = mem_alloc(n * sizeof *s);
    size_t *len = mem_alloc(n * sizeof *len);
    int32_t *type = mem_alloc(n * sizeof *type);
    uint16_t code[256];
    byte_alphabet(code);
    for (size_t i = 0; i < n; i++) {
        bool normal = i < (size_t)v->n_rank;
        type[i] = normal ? TYPE_NORMAL : TYPE_CONTROL;
        s[i] = normal ? blob + used : v->token[i];
        len[i] = v->token_bytes[i];
        for (size_t k = 0; normal && k < v->token_bytes[i]; k++) {
            unsigned c = code[(unsigned char)v->token[i][k]];
            if (c >= 0x80)
                blob[used++] = (char)(0xc0 | c >> 6);
            blob[used++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
        }
        if (normal)
            len[i] = (size_t)(blob + used - s[i]);
    }
    gguf_put_string(w, KEY_MODEL, "tiktoken", 8);
    gguf_put_strings(w, KEY_TOKENS, s, len, n);
    gguf_put_ints(w, KEY_TYPES, type, n);
    mem_free(blob);
    mem_free(s);
    mem_free(len);
    mem_free(type);
}

/* Undo the byte alphabet in place; the new length, or 0 when a character is not of it. */
static size_t alphabet_undo(char *s, size_t n, const int16_t byte[0x200])
{
    size_t out = 0;
    for (size_t i = 0; i < n; out++) {
        const unsigned char *p = (const unsigned char *)s + i;
        size_t len = utf8_length(p, n - i);
        unsigned c = len == 1 ? p[0] : len == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu) : 0x1ff;
        if (len == 0 || c >= 0x200 || byte[c] < 0)
            return 0;
        s[out] = (char)byte[c];
        i += len;
    }
    return out;
}

static int vocab_from_gguf(const struct gguf *g, const int32_t *type, size_t n,
                           struct tokenizer_vocab *v, struct err *e)
{
    uint16_t code[256];
    int16_t byte[0x200];
    size_t n_rank = 0;
    byte_alphabet(code);
    memset(byte, 0xff, sizeof byte);
    for (int b = 0; b < 256; b++)
        byte[code[b]] = (int16_t)b;
    while (n_rank < n && type[n_rank] == TYPE_NORMAL)
        n_rank++;
    int rc = vocab_room(v, n_rank, n - n_rank, e);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const char *s;
        size_t len;
        if (i >= n_rank && type[i] != TYPE_CONTROL)
            return err_set(e, ERR_FORMAT, "%s: entry %zu is %d, want normal tokens, then control",
                           KEY_TYPES, i, type[i]);
        rc = gguf_array_string(g, KEY_TOKENS, i, &s, &len);
        if (rc < 0)
            return err_set(e, rc, "%s: entry %zu cannot be read", KEY_TOKENS, i);
        rc = vocab_set(v, i, s, len, e);
        if (rc == 0 && i < n_rank) {
            v->token_bytes[i] = alphabet_undo((char *)v->token[i], len, byte);
            if (v->token_bytes[i] == 0)
                rc = err_set(e, ERR_FORMAT, "%s: entry %zu is not in the byte alphabet", KEY_TOKENS,
                             i);
        }
    }
    return rc;
}

int tokenizer_from_gguf(const struct gguf *g, struct tokenizer **ret, struct err *e)
{
    const char *model;
    enum gguf_kind kind, type_kind;
    size_t n, n_type;
    struct tokenizer_vocab v = {0};
    int rc = gguf_get_string(g, KEY_MODEL, &model, e);
    if (rc < 0)
        return rc;
    if (strcmp(model, "tiktoken") != 0)
        return err_set(e, ERR_UNSUPPORTED, "%s is %.40s, want tiktoken", KEY_MODEL, model);
    if ((rc = gguf_array_len(g, KEY_TOKENS, &kind, &n, e)) < 0 ||
        (rc = gguf_array_len(g, KEY_TYPES, &type_kind, &n_type, e)) < 0)
        return rc;
    if (kind != GGUF_STRING || n != n_type || n > LIMIT_VOCAB)
        return err_set(e, ERR_FORMAT,
                       "%s: %zu entries, %s has %zu; want as many strings, at most %d", KEY_TOKENS,
                       n, KEY_TYPES, n_type, LIMIT_VOCAB);
    int32_t *type = mem_try(n, sizeof *type);
    if (!type)
        return err_set(e, ERR_MEMORY, "out of memory for %zu token types", n);
    rc = gguf_array_ints(g, KEY_TYPES, type, n, e);
    if (rc == 0)
        rc = vocab_from_gguf(g, type, n, &v, e);
    if (rc == 0)
        rc = tokenizer_new(&v, ret, e);
    tokenizer_vocab_done(&v);
    mem_free(type);
    return rc;
}

/* --- special tokens --- */

int tokenizer_n_vocab(const struct tokenizer *t)
{
    return t->n_rank + t->n_special;
}

/* Longest special token at s, or -1.  The sorted list is narrowed byte by byte to those that begin
 * with s[0..k). */
static int32_t special_at(const struct tokenizer *t, const char *s, size_t n, size_t *len)
{
    size_t lo = 0, hi = (size_t)t->n_special, m;
    int32_t found = -1;
    for (size_t k = 0; k < n && lo < hi; k++) {
        for (size_t end = hi; lo < end;) { /* first whose byte k is not below s[k] */
            size_t mid = lo + (end - lo) / 2;
            const char *b = tokenizer_bytes(t, t->special[mid], &m);
            if (m <= k || (unsigned char)b[k] < (unsigned char)s[k])
                lo = mid + 1;
            else
                end = mid;
        }
        for (size_t start = lo; start < hi;) { /* first whose byte k is above s[k] */
            size_t mid = start + (hi - start) / 2;
            const char *b = tokenizer_bytes(t, t->special[mid], &m);
            if ((unsigned char)b[k] > (unsigned char)s[k])
                hi = mid;
            else
                start = mid + 1;
        }
        if (lo < hi && (tokenizer_bytes(t, t->special[lo], &m), m == k + 1)) {
            found = t->special[lo];
            *len = m;
        }
    }
    return found;
}

int tokenizer_special(const struct tokenizer *t, const char *name)
{
    size_t n = strlen(name), len = 0;
    int32_t id = special_at(t, name, n, &len);
    return id >= 0 && len == n ? id : -1;
}

/* --- byte pair encoding --- */

void tokens_done(struct tokens *t)
{
    mem_free(t->id);
    *t = (struct tokens){0};
}

static int tokens_add(struct tokens *t, int32_t id)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        int32_t *grown = mem_grow(t->id, cap, sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        t->id = grown;
        t->cap = cap;
    }
    t->id[t->n++] = id;
    return 0;
}

/* A piece being merged: parts in a linked list (indexed by their first byte; len 0 = gone) and a
 * heap of candidate pairs, lowest rank first, then leftmost.  A merge leaves stale candidates in
 * the heap; they are known by their length, which no longer fits.  O(n log n). */
struct part {
    uint32_t len, prev;
};
struct pair {
    int32_t rank;
    uint32_t at, len;
};
struct merge {
    const char *s;
    uint32_t n;
    struct part *part;
    struct pair *heap;
    size_t n_heap, cap; /* cap: bytes of piece there is room for */
};

static bool pair_less(const struct pair *a, const struct pair *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->at < b->at);
}

static void heap_push(struct merge *m, struct pair p)
{
    size_t i = m->n_heap++;
    for (; i && pair_less(&p, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = p;
}

static struct pair heap_pop(struct merge *m)
{
    struct pair top = m->heap[0], p = m->heap[--m->n_heap];
    size_t i = 0;
    for (size_t kid; (kid = 2 * i + 1) < m->n_heap; i = kid) {
        if (kid + 1 < m->n_heap && pair_less(&m->heap[kid + 1], &m->heap[kid]))
            kid++;
        if (!pair_less(&m->heap[kid], &p))
            break;
        m->heap[i] = m->heap[kid];
    }
    m->heap[i] = p;
    return top;
}

/* Make the part at i and the one after it a candidate, if together they are a token. */
static void pair_offer(const struct tokenizer *t, struct merge *m, uint32_t i)
{
    uint32_t next = i + m->part[i].len;
    if (next >= m->n)
        return;
    uint32_t len = m->part[i].len + m->part[next].len;
    int32_t rank = rank_of(t, m->s + i, len);
    if (rank >= 0)
        heap_push(m, (struct pair){rank, i, len});
}

static int merge_room(struct merge *m, size_t n)
{
    if (n <= m->cap)
        return 0;
    size_t cap = n < 256 ? 256 : n;
    struct part *part = mem_grow(m->part, cap, sizeof *part);
    if (part)
        m->part = part;
    /* n - 1 pairs at first; each of at most n - 1 merges takes one out and puts up to two in. */
    struct pair *heap = part ? mem_grow(m->heap, 2 * cap, sizeof *heap) : NULL;
    if (!heap)
        return ERR_MEMORY;
    m->heap = heap;
    m->cap = cap;
    return 0;
}

static int encode_piece(const struct tokenizer *t, struct merge *m, const char *s, uint32_t n,
                        struct tokens *out)
{
    int32_t whole = rank_of(t, s, n);
    if (whole >= 0) /* a whole token wins even if no sequence of merges makes it */
        return tokens_add(out, whole);
    if (merge_room(m, n) < 0)
        return ERR_MEMORY;
    m->s = s;
    m->n = n;
    m->n_heap = 0;
    for (uint32_t i = 0; i < n; i++)
        m->part[i] = (struct part){1, i ? i - 1 : 0};
    for (uint32_t i = 0; i + 1 < n; i++)
        pair_offer(t, m, i);
    while (m->n_heap) {
        struct pair p = heap_pop(m);
        uint32_t next = p.at + m->part[p.at].len;
        if (m->part[p.at].len == 0 || next >= n || m->part[p.at].len + m->part[next].len != p.len)
            continue;
        m->part[next].len = 0;
        m->part[p.at].len = p.len;
        if (p.at + p.len < n)
            m->part[p.at + p.len].prev = p.at;
        pair_offer(t, m, p.at);
        if (p.at)
            pair_offer(t, m, m->part[p.at].prev);
    }
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i += m->part[i].len)
        rc = tokens_add(out, rank_of(t, s + i, m->part[i].len));
    return rc;
}

struct encoder {
    const struct tokenizer *t;
    pcre2_match_data *match;
    struct merge merge;
    struct tokens *out;
};

/* Text without special tokens: split by the pattern, then merge piece by piece. */
static int encode_ordinary(struct encoder *c, const char *s, size_t n, struct err *e)
{
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(c->match);
    for (size_t i = 0; i < n;) {
        int m = pcre2_match(c->t->split, (PCRE2_SPTR)s, n, i, PCRE2_NO_UTF_CHECK, c->match,
                            c->t->context);
        if (m < 0 || range[1] <= i)
            return err_set(e, ERR_INTERNAL, "split pattern does not match (%d) at byte %zu", m, i);
        if (encode_piece(c->t, &c->merge, s + i, (uint32_t)(range[1] - i), c->out) < 0)
            return err_set(e, ERR_MEMORY, "out of memory for tokens of %zu bytes of text", n);
        i = range[1];
    }
    return 0;
}

static int encode_specials(struct encoder *c, const char *s, size_t n, struct err *e)
{
    size_t done = 0, i = 0;
    while (i < n) {
        size_t len = 0;
        int32_t id = -1;
        if (c->t->starts[(unsigned char)s[i]])
            id = special_at(c->t, s + i, n - i, &len);
        if (id < 0) {
            i++;
            continue;
        }
        int rc = encode_ordinary(c, s + done, i - done, e);
        if (rc < 0)
            return rc;
        if (tokens_add(c->out, id) < 0)
            return err_set(e, ERR_MEMORY, "out of memory for tokens of %zu bytes of text", n);
        done = i += len;
    }
    return encode_ordinary(c, s + done, n - done, e);
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t n, bool specials,
                     struct tokens *out, struct err *e)
{
    if (n > LIMIT_TEXT_BYTES)
        return err_set(e, ERR_LIMIT, "text has %zu bytes, the limit is %d", n, LIMIT_TEXT_BYTES);
    size_t bad = utf8_check(text, n);
    if (bad < n)
        return err_set(e, ERR_FORMAT, "text is not UTF-8 at byte %zu (0x%02x)", bad,
                       (unsigned char)text[bad]);
    struct encoder c = {.t = t, .out = out, .match = pcre2_match_data_create(1, NULL)};
    if (!c.match)
        return err_set(e, ERR_MEMORY, "out of memory for the split pattern");
    size_t before = out->n;
    int rc = specials ? encode_specials(&c, text, n, e) : encode_ordinary(&c, text, n, e);
    if (rc < 0)
        out->n = before;
    mem_free(c.merge.part);
    mem_free(c.merge.heap);
    pcre2_match_data_free(c.match);
    return rc;
}

int tokenizer_decode(const struct tokenizer *t, const int32_t *id, size_t n, char **ret,
                     size_t *n_bytes, struct err *e)
{
    size_t total = 0, len;
    for (size_t i = 0; i < n; i++) {
        if (!tokenizer_bytes(t, id[i], &len))
            return err_set(e, ERR_ARGUMENT, "token %d does not exist, the vocabulary has %d", id[i],
                           tokenizer_n_vocab(t));
        total += len;
    }
    char *s = mem_try(total + 1, 1);
    if (!s)
        return err_set(e, ERR_MEMORY, "out of memory for %zu bytes of text", total);
    *n_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const char *bytes = tokenizer_bytes(t, id[i], &len);
        memcpy(s + *n_bytes, bytes, len);
        *n_bytes += len;
    }
    *ret = s;
    return 0;
}
