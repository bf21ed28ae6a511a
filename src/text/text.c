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
#include "text/ssml.h"

static int failed(int rc, const char *stage, struct err *e)
{
    if (rc == ERR_LIMIT)
        return err_set(e, rc, "text has more than %d bytes when %s, the limit", LIMIT_NORMALIZED_BYTES,
                       stage);
    return err_set(e, rc, rc == ERR_MEMORY ? "out of memory for a text being %s" : "text cannot be %s",
                   stage);
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
        lexicon_apply(o->lexicon, o->language ? o->language : "en-us", o->frontend == TEXT_IPA, clean,
                      out, n_ignored);
    else
        mapped_copy(out, buf_str(&clean->text), 0, clean->text.len);
    mapped_compose(out, clean);
    return out->rc < 0 ? failed(out->rc, "respelled", e) : 0;
}

int text_normalize(const struct mapped *clean, const struct text_options *o, struct mapped *out,
                   struct err *e)
{
    const struct text_language *l = language_find(o->language ? o->language : "en-us");
    mapped_init(out, LIMIT_NORMALIZED_BYTES);
    if (l && !o->as_written)
        normalize(buf_str(&clean->text), clean->text.len, l, out);
    else
        mapped_copy(out, buf_str(&clean->text), 0, clean->text.len);
    mapped_compose(out, clean);
    return out->rc < 0 ? failed(out->rc, "normalized", e) : 0;
}

int text_split(const char *text, size_t n, const struct text_options *o, struct text_pieces *ret,
               struct err *e)
{
    struct mapped clean, respelled = {0}, normalized = {0};
    int n_ignored = 0;
    if (o->markup == TEXT_SSML || (o->markup == TEXT_BY_LOOK && ssml_is(text, n)))
        return ssml_split(text, n, o, ret, e);
    *ret = (struct text_pieces){0};
    int rc = text_clean(text, n, o, &clean, e);
    if (rc == 0)
        rc = text_respell(&clean, o, &respelled, &n_ignored, e);
    if (rc == 0)
        rc = text_normalize(&respelled, o, &normalized, e);
    if (rc == 0)
        rc = text_cut(&normalized, o, ret, e);
    if (rc == 0)
        ret->n_ignored = n_ignored;
    mapped_done(&clean);
    mapped_done(&respelled);
    mapped_done(&normalized);
    return rc;
}

/* The marker in front of the piece's own text. */
static int add_marker(struct text_piece *p, const char *marker, struct err *e)
{
    size_t n_marker = strlen(marker), n = strlen(p->text);
    char *text = p->text[0] == '(' && marker_at(p->text, n, 0) ? NULL : mem_try(n_marker + n + 2, 1);
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
