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

#define DEFAULT_LANGUAGE "en-us"

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
    struct clean_options how = {
        .markers = o->frontend == TEXT_PLAIN, .emoji = o->emoji, .as_written = o->as_written};
    struct mapped plain;
    mapped_init(out, LIMIT_NORMALIZED_BYTES);
    int rc = validate(text, n, e);
    if (rc < 0)
        return rc;
    mapped_init(&plain, LIMIT_NORMALIZED_BYTES);
    if (o->as_written)
        mapped_copy(&plain, text, 0, n);
    else
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
        lexicon_apply(o->lexicon, o->language ? o->language : DEFAULT_LANGUAGE,
                      o->frontend == TEXT_IPA, clean, out, n_ignored);
    else
        mapped_copy(out, buf_str(&clean->text), 0, clean->text.len);
    mapped_compose(out, clean);
    return out->rc < 0 ? failed(out->rc, "respelled", e) : 0;
}

/* clean, in one language, into out, whose map leads to clean's input. */
static void normalize_run(const struct mapped *clean, const struct text_options *o,
                          const char *language, struct mapped *out)
{
    const struct text_language *l = language_find(language);
    if (l && o->frontend == TEXT_WORDS && strcmp(l->code, "ja") == 0)
        l = NULL; /* espeak-ng reads digits in Japanese, but no kanji, which ours would become */
    mapped_init(out, LIMIT_NORMALIZED_BYTES);
    if (!l && language_is_file(language))
        out->rc = ERR_MEMORY;
    if (l && !o->as_written)
        normalize(buf_str(&clean->text), clean->text.len, l, out);
    else
        mapped_copy(out, buf_str(&clean->text), 0, clean->text.len);
    mapped_compose(out, clean);
}

/* The run of s that w is at, as a text of its own. */
static void walk_copy(const struct script_walk *w, const struct mapped *clean, struct mapped *out)
{
    mapped_init(out, LIMIT_NORMALIZED_BYTES);
    mapped_copy(out, w->s, w->start, w->end);
    mapped_compose(out, clean);
}

int text_normalize(const struct mapped *clean, const struct text_options *o, struct mapped *out,
                   struct err *e)
{
    struct mapped run, part;
    struct script_walk w;
    if (o->language) {
        normalize_run(clean, o, o->language, out);
        return out->rc < 0 ? failed(out->rc, "normalized", e) : 0;
    }
    mapped_init(out, LIMIT_NORMALIZED_BYTES);
    script_walk_init(&w, buf_str(&clean->text), clean->text.len, o->frontend == TEXT_PLAIN);
    while (out->rc == 0 && script_walk_next(&w)) {
        walk_copy(&w, clean, &run);
        normalize_run(&run, o, w.language ? w.language : DEFAULT_LANGUAGE, &part);
        mapped_append(out, &part);
        mapped_done(&run);
        mapped_done(&part);
    }
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
    if (ret->n) { /* text_cut took it for the end */
        struct text_piece *last = &ret->piece[ret->n - 1];
        last->pause_ms = last->ends_paragraph ? TEXT_PAUSE_PARAGRAPH : TEXT_PAUSE_SENTENCE;
    }
    for (int i = 0; i < part->n; i++) {
        struct text_piece *p = &ret->piece[ret->n++];
        *p = part->piece[i];
        part->piece[i].text = part->piece[i].words = NULL;
        part->piece[i].word = NULL;
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

/* Clean text sentence by sentence in the language of each. */
static int split_languages(const struct mapped *clean, const struct text_options *o,
                           struct text_pieces *ret, int *n_ignored, struct err *e)
{
    size_t n = clean->text.len;
    struct script_walk w;
    int rc = 0;
    script_walk_init(&w, buf_str(&clean->text), n, o->frontend == TEXT_PLAIN);
    while (rc == 0 && script_walk_next(&w)) {
        struct text_options here = *o;
        struct text_pieces part = {0};
        struct mapped run;
        here.language = w.language ? w.language : DEFAULT_LANGUAGE;
        walk_copy(&w, clean, &run);
        rc = run.rc < 0 ? failed(run.rc, "split", e) : split_run(&run, &here, &part, n_ignored, e);
        if (rc == 0) /* a model of English reads other letters romanized, by English phonemes */
            rc = text_append(ret, &part, o->frontend == TEXT_IPA ? NULL : w.language, e);
        else if (rc == ERR_ARGUMENT && w.end - w.start < n) /* nothing to say here */
            rc = 0;
        mapped_done(&run);
        text_pieces_done(&part);
    }
    if (rc == 0 && ret->n == 0)
        rc = err_set(e, ERR_ARGUMENT, "text has nothing to say");
    return rc;
}

static int split_plain(const char *text, size_t n, const struct text_options *o,
                       struct text_pieces *ret, struct err *e)
{
    struct mapped clean;
    int n_ignored = 0;
    int rc = text_clean(text, n, o, &clean, e);
    if (rc == 0)
        rc = o->language ? split_run(&clean, o, ret, &n_ignored, e)
                         : split_languages(&clean, o, ret, &n_ignored, e);
    mapped_done(&clean);
    ret->n_ignored = n_ignored;
    return rc;
}

int text_split(const char *text, size_t n, const struct text_options *o, struct text_pieces *ret,
               struct err *e)
{
    bool ssml = o->markup == TEXT_SSML || (o->markup == TEXT_BY_LOOK && ssml_is(text, n));
    *ret = (struct text_pieces){0};
    int rc = ssml ? ssml_split(text, n, o, ret, e) : split_plain(text, n, o, ret, e);
    if (rc == 0 && o->frontend == TEXT_PLAIN && !o->loose_markers && marker_carry(ret) < 0)
        rc = err_set(e, ERR_MEMORY, "out of memory for the pieces of a text");
    if (rc < 0)
        text_pieces_done(ret);
    return rc;
}

/* The piece's phonemes in place of its letters. */
static int piece_to_ipa(struct text_piece *p, const struct text_options *o, struct err *e)
{
    char *ipa;
    const char *language = p->language ? p->language : o->language;
    int rc = text_phonemes(p->text, language, &ipa, e);
    if (rc == ERR_ARGUMENT) { /* letters that are never spoken */
        p->text[0] = 0;
        return 0;
    }
    if (rc < 0)
        return rc;
    size_t n = strlen(ipa);
    if (p->goes_on && ipa[n - 1] == '.') /* the voice must not fall there */
        ipa[n - 1] = ',';
    mem_free(p->text);
    p->text = ipa;
    return spoken_find(p, true, language, e);
}

int text_piece_read(struct text_piece *p, const struct text_options *o, struct err *e)
{
    int rc = 0;
    if (p->read)
        return 0;
    if (o->frontend == TEXT_IPA)
        rc = piece_to_ipa(p, o, e);
    else if (o->marker && o->frontend == TEXT_PLAIN && marker_lead(p, o->marker) < 0)
        rc = err_set(e, ERR_MEMORY, "out of memory for a piece of text");
    if (rc == 0 && o->frontend != TEXT_IPA)
        rc = spoken_find(p, false, NULL, e);
    p->read = rc == 0;
    return rc;
}

int text_pieces_begin(struct text_pieces *p, const struct text_options *o, struct err *e)
{
    int rc = 0;
    for (int i = 0; i < p->n && rc == 0; i++) {
        rc = text_piece_read(&p->piece[i], o, e);
        if (p->piece[i].text[0])
            return rc;
    }
    return rc < 0 ? rc : err_set(e, ERR_ARGUMENT, "text has nothing to say in this language");
}
