/* The stages of the text front end in their order. */
#include "text/text.h"

#include <stdint.h>
#include <string.h>
#include <unicode/utf8.h>

#include "base/limits.h"
#include "base/mem.h"
#include "text/clean.h"
#include "text/language.h"
#include "text/lexicon.h"
#include "text/markup.h"
#include "text/normalize.h"
#include "text/scan.h"
#include "text/script.h"
#include "text/ssml.h"

#define PAUSE_MS 120 /* between sentences in different languages, as split.c */

static int failed(int rc, const char *stage, struct err *e)
{
    if (rc == ERR_LIMIT)
        return err_set(e, rc, "text has more than %d bytes when %s, the limit",
                       LIMIT_NORMALIZED_BYTES, stage);
    return err_set(
        e, rc, rc == ERR_MEMORY ? "out of memory for a text being %s" : "text cannot be %s", stage);
}

static int validate(const char *s, size_t n, struct err *e)
{
    if (n > LIMIT_TEXT_BYTES)
        return err_set(e, ERR_LIMIT, "text has %zu bytes, the limit is %d", n, LIMIT_TEXT_BYTES);
    for (int32_t i = 0, at; i < (int32_t)n;) {
        UChar32 c;
        at = i;
        U8_NEXT(s, i, (int32_t)n, c);
        if (c < 0)
            return err_set(e, ERR_FORMAT, "text is not UTF-8 at byte %d (0x%02x)", (int)at,
                           (unsigned char)s[at]);
        if (c == 0)
            return err_set(e, ERR_FORMAT, "text has a NUL at byte %d", (int)at);
    }
    return 0;
}

int text_clean(const char *text, size_t n, const struct text_options *o, struct mapped *out,
               struct err *e)
{
    struct clean_options how = {.markers = o->frontend == TEXT_PLAIN, .emoji = o->emoji};
    struct mapped plain;
    mapped_init(out, LIMIT_NORMALIZED_BYTES);
    int rc = validate(text, n, e);
    if (rc < 0)
        return rc;
    mapped_init(&plain, LIMIT_NORMALIZED_BYTES);
    markup_strip(text, n, &plain);
    if (plain.rc == 0)
        clean_characters(buf_str(&plain.text), plain.text.len, &how, out);
    mapped_compose(out, &plain);
    rc = plain.rc < 0 ? plain.rc : out->rc;
    mapped_done(&plain);
    return rc < 0 ? failed(rc, "cleaned", e) : 0;
}

int text_respell(const struct mapped *clean, const struct text_options *o, struct mapped *out,
                 int *n_ignored, struct err *e)
{
    mapped_init(out, LIMIT_NORMALIZED_BYTES);
    if (o->lexicon)
        lexicon_apply(o->lexicon, o->language ? o->language : "en-us", o->frontend == TEXT_IPA,
                      clean, out, n_ignored);
    else
        mapped_copy(out, buf_str(&clean->text), 0, clean->text.len);
    mapped_compose(out, clean);
    return out->rc < 0 ? failed(out->rc, "respelled", e) : 0;
}

int text_normalize(const struct mapped *clean, const struct text_options *o, struct mapped *out,
                   struct err *e)
{
    const struct text_language *l = language_find(o->language ? o->language : "en-us");
    if (l && o->frontend == TEXT_WORDS && strcmp(l->code, "ja") == 0)
        l = NULL; /* espeak-ng reads digits in Japanese, but no kanji, which ours would become */
    mapped_init(out, LIMIT_NORMALIZED_BYTES);
    if (l && !o->as_written)
        normalize(buf_str(&clean->text), clean->text.len, l, out);
    else
        mapped_copy(out, buf_str(&clean->text), 0, clean->text.len);
    mapped_compose(out, clean);
    return out->rc < 0 ? failed(out->rc, "normalized", e) : 0;
}

/* Move the pieces of part behind those of ret, and note their language. */
static int text_append(struct text_pieces *ret, struct text_pieces *part, const char *language,
                       struct err *e)
{
    struct text_piece *grown = mem_grow(ret->piece, (size_t)(ret->n + part->n), sizeof *grown);
    if (!grown || ret->n + part->n > LIMIT_PIECES)
        return grown ? err_set(e, ERR_LIMIT, "text has more than %d pieces", LIMIT_PIECES)
                     : err_set(e, ERR_MEMORY, "out of memory for the pieces of a text");
    ret->piece = grown;
    if (ret->n)
        ret->piece[ret->n - 1].pause_ms = PAUSE_MS; /* text_cut took it for the end */
    for (int i = 0; i < part->n; i++) {
        struct text_piece *p = &ret->piece[ret->n++];
        *p = part->piece[i];
        part->piece[i].text = NULL;
        p->language = language ? mem_strndup(language, strlen(language)) : NULL;
        if (language && !p->language)
            return err_set(e, ERR_MEMORY, "out of memory for the pieces of a text");
    }
    return 0;
}

/* From clean text in one language to pieces. */
static int split_run(const struct mapped *clean, const struct text_options *o,
                     struct text_pieces *ret, int *n_ignored, struct err *e)
{
    struct mapped respelled, normalized = {0};
    int rc = text_respell(clean, o, &respelled, n_ignored, e);
    if (rc == 0)
        rc = text_normalize(&respelled, o, &normalized, e);
    if (rc == 0)
        rc = text_cut(&normalized, o, ret, e);
    mapped_done(&respelled);
    mapped_done(&normalized);
    return rc;
}

/* Clean text in languages of several scripts, sentence by sentence. */
static int split_scripts(const struct mapped *clean, const struct text_options *o,
                         struct text_pieces *ret, int *n_ignored, struct err *e)
{
    const char *s = buf_str(&clean->text), *language;
    size_t n = clean->text.len;
    int rc = 0;
    for (size_t at = 0, end; at < n && rc == 0; at = end) {
        struct text_options here = *o;
        struct text_pieces part = {0};
        struct mapped run;
        end = script_run(s, n, at, &language);
        here.language = language ? language : o->language;
        mapped_init(&run, LIMIT_NORMALIZED_BYTES);
        mapped_copy(&run, s, at, end);
        mapped_compose(&run, clean);
        rc = run.rc < 0 ? failed(run.rc, "split", e) : split_run(&run, &here, &part, n_ignored, e);
        if (rc == 0) /* a model of English reads other letters romanized, by English phonemes */
            rc = text_append(ret, &part, o->frontend == TEXT_IPA ? NULL : language, e);
        else if (rc == ERR_ARGUMENT && end - at < n) /* nothing to say here */
            rc = 0;
        mapped_done(&run);
        text_pieces_done(&part);
    }
    if (rc == 0 && ret->n == 0)
        rc = err_set(e, ERR_ARGUMENT, "text has nothing to say");
    return rc;
}

int text_split(const char *text, size_t n, const struct text_options *o, struct text_pieces *ret,
               struct err *e)
{
    struct mapped clean;
    const char *language = NULL;
    int n_ignored = 0;
    if (o->markup == TEXT_SSML || (o->markup == TEXT_BY_LOOK && ssml_is(text, n)))
        return ssml_split(text, n, o, ret, e);
    *ret = (struct text_pieces){0};
    int rc = text_clean(text, n, o, &clean, e);
    size_t run = rc < 0 || o->language
                     ? clean.text.len
                     : script_run(buf_str(&clean.text), clean.text.len, 0, &language);
    if (rc == 0 && (language || run < clean.text.len))
        rc = split_scripts(&clean, o, ret, &n_ignored, e);
    else if (rc == 0)
        rc = split_run(&clean, o, ret, &n_ignored, e);
    if (rc == 0)
        ret->n_ignored = n_ignored;
    else
        text_pieces_done(ret);
    mapped_done(&clean);
    return rc;
}

/* The marker in front of the piece's own text. */
static int add_marker(struct text_piece *p, const char *marker, struct err *e)
{
    size_t n_marker = strlen(marker), n = strlen(p->text);
    char *text =
        p->text[0] == '(' && marker_at(p->text, n, 0) ? NULL : mem_try(n_marker + n + 2, 1);
    if (!text)
        return p->text[0] == '(' ? 0 : err_set(e, ERR_MEMORY, "out of memory for a piece of text");
    memcpy(text, marker, n_marker);
    text[n_marker] = ' ';
    memcpy(text + n_marker + 1, p->text, n + 1);
    mem_free(p->text);
    p->text = text;
    return 0;
}

int text_piece_read(struct text_piece *p, const struct text_options *o, struct err *e)
{
    char *ipa;
    if (o->frontend != TEXT_IPA)
        return o->marker && o->frontend == TEXT_PLAIN ? add_marker(p, o->marker, e) : 0;
    int rc = text_phonemes(p->text, p->language ? p->language : o->language, &ipa, e);
    if (rc == ERR_ARGUMENT) { /* letters that are never spoken */
        p->text[0] = 0;
        return 0;
    }
    if (rc < 0)
        return rc;
    mem_free(p->text);
    p->text = ipa;
    return 0;
}

int text_pieces_read(struct text_pieces *p, const struct text_options *o, struct err *e)
{
    int n = 0, rc = 0;
    for (int i = 0; i < p->n && rc == 0; i++)
        rc = text_piece_read(&p->piece[i], o, e);
    for (int i = 0; i < p->n && rc == 0; i++)
        n += p->piece[i].text[0] != 0;
    if (rc == 0 && n == 0)
        rc = err_set(e, ERR_ARGUMENT, "text has nothing to say in this language");
    return rc;
}
