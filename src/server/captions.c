#include "server/captions.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CUE_BYTES 84 /* two lines of subtitles */

void captions_done(struct captions *c)
{
    mem_free(c->word);
    c->word = NULL;
    c->n = c->cap = 0;
}

int captions_take(struct captions *c, const struct jabbertts_stream *s)
{
    struct jabbertts_word w;
    int before = c->n;
    while (jabbertts_stream_word(s, c->n, &w) == 0) {
        if (c->n == c->cap) {
            int cap = c->cap ? 2 * c->cap : 64;
            struct jabbertts_word *grown = mem_grow(c->word, (size_t)cap, sizeof *grown);
            if (!grown)
                return ERR_MEMORY;
            c->word = grown;
            c->cap = cap;
        }
        w.from_s = w.from_s / c->speed + c->late_s;
        w.to_s = w.to_s / c->speed + c->late_s;
        c->word[c->n++] = w;
    }
    return c->n - before;
}

/* Code points in front of a byte; fast for places that rise. */
static json_int_t captions_chars(struct captions *c, size_t byte)
{
    if (byte < c->byte)
        c->byte = c->n_char = 0;
    for (; c->byte < byte; c->byte++)
        c->n_char += ((unsigned char)c->text[c->byte] & 0xc0) != 0x80;
    return (json_int_t)c->n_char;
}

/* A stretch of the text with its times. */
static json_t *captions_item(struct captions *c, const char *name, size_t start, size_t end,
                             const double at[2])
{
    json_t *o = json_object();
    int rc = json_object_set_new(o, name, json_stringn(c->text + start, end - start));
    rc |= json_object_set_new(o, "start", json_real(at[0]));
    rc |= json_object_set_new(o, "end", json_real(at[1]));
    rc |= json_object_set_new(o, "char_start", json_integer(captions_chars(c, start)));
    rc |= json_object_set_new(o, "char_end", json_integer(captions_chars(c, end)));
    if (rc == 0)
        return o;
    json_decref(o);
    return NULL;
}

/* Behind the last word of the sentence that word i is in. */
static int captions_sentence_end(const struct captions *c, int i)
{
    int end = i + 1;
    while (end < c->n && c->word[end].sentence == c->word[i].sentence)
        end++;
    return end;
}

/* Behind the marks that follow byte at. */
static size_t captions_marks(const struct captions *c, size_t at, size_t limit)
{
    while (at < limit && strchr(".,;:!?)\"'", c->text[at]))
        at++;
    return at;
}

/* Bytes of the text that words [i, end) take, with the marks behind the last. */
static void captions_range(const struct captions *c, int i, int end, size_t *from, size_t *to)
{
    *from = c->word[i].start;
    *to = c->word[end - 1].end;
    for (int k = i; k < end; k++)
        *to = c->word[k].end > *to ? c->word[k].end : *to;
    *to = captions_marks(c, *to, end < c->n ? c->word[end].start : strlen(c->text));
}

static json_t *captions_list(struct captions *c, int i, bool sentences)
{
    json_t *list = json_array();
    for (int end; list && i < c->n; i = end) {
        size_t from = c->word[i].start, to = c->word[i].end;
        end = sentences ? captions_sentence_end(c, i) : i + 1;
        if (sentences)
            captions_range(c, i, end, &from, &to);
        const double at[2] = {c->word[i].from_s, c->word[end - 1].to_s};
        json_t *item = captions_item(c, sentences ? "text" : "word", from, to, at);
        if (!item || json_array_append_new(list, item) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

json_t *captions_words(struct captions *c, int i)
{
    return captions_list(c, i, false);
}

json_t *captions_sentences(struct captions *c, int i)
{
    return captions_list(c, i, true);
}

/* --- files -------------------------------------------------------------------------------------
 */

static int captions_clock(struct buf *b, double seconds, char point)
{
    long ms = (long)(seconds * 1000 + 0.5);
    return buf_add_format(b, "%02ld:%02ld:%02ld%c%03ld", ms / 3600000, ms / 60000 % 60,
                          ms / 1000 % 60, point, ms % 1000);
}

/* Text on one line, without what WebVTT takes for markup. */
static int captions_plain(struct buf *b, const char *s, size_t n, bool vtt)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        bool space = s[i] == '\n' || s[i] == '\r' || s[i] == '\t' || s[i] == ' ';
        if (space && b->len > 0 && b->data[b->len - 1] == ' ')
            continue;
        if (vtt && (s[i] == '<' || s[i] == '&' || s[i] == '>'))
            rc = buf_add_str(b, s[i] == '<' ? "&lt;" : s[i] == '&' ? "&amp;" : "&gt;");
        else
            rc = buf_add(b, space ? " " : s + i, 1);
    }
    return rc;
}

/* Words [i, end) as one cue; of WebVTT with the time of each word.  What stands between them, which
 * may be markup, stays out. */
static int captions_cue(const struct captions *c, int i, int end, bool vtt, struct buf *b)
{
    char point = vtt ? '.' : ',';
    int rc = captions_clock(b, c->word[i].from_s, point);
    if (rc == 0)
        rc = buf_add_str(b, " --> ");
    if (rc == 0)
        rc = captions_clock(b, c->word[end - 1].to_s, point);
    if (rc == 0)
        rc = buf_add_str(b, "\n");
    for (int k = i; k < end && rc == 0; k++) {
        size_t limit = k + 1 < c->n ? c->word[k + 1].start : strlen(c->text);
        size_t stop = captions_marks(c, c->word[k].end, limit);
        if (vtt && k > i && (rc = buf_add_str(b, "<")) == 0 &&
            (rc = captions_clock(b, c->word[k].from_s, '.')) == 0)
            rc = buf_add_str(b, ">");
        if (rc == 0)
            rc = captions_plain(b, c->text + c->word[k].start, stop - c->word[k].start, vtt);
        if (rc == 0 && k + 1 < end && stop < limit)
            rc = buf_add_str(b, " ");
    }
    return rc < 0 ? rc : buf_add_str(b, "\n\n");
}

static int captions_subtitles(const struct captions *c, bool vtt, struct buf *b)
{
    int rc = vtt ? buf_add_str(b, "WEBVTT\n\n") : 0, number = 1;
    for (int i = 0, end; i < c->n && rc == 0; i = end) {
        int last = captions_sentence_end(c, i);
        for (end = i + 1; end < last && c->word[end].end - c->word[i].start <= CUE_BYTES; end++)
            continue;
        rc = buf_add_format(b, "%d\n", number++);
        if (rc == 0)
            rc = captions_cue(c, i, end, vtt, b);
    }
    return rc;
}

static int captions_json(struct captions *c, struct buf *b)
{
    json_t *words = captions_words(c, 0), *sentences = captions_sentences(c, 0);
    json_t *o = json_pack("{s:o*,s:o*}", "words", words, "sentences", sentences);
    char *s =
        o && words && sentences ? json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    int rc = s ? buf_add_str(b, s) : ERR_MEMORY;
    if (rc == 0)
        rc = buf_add_str(b, "\n");
    free(s);
    json_decref(o);
    return rc;
}

int captions_write(struct captions *c, const char *kind, struct buf *out)
{
    return strcmp(kind, "json") == 0 ? captions_json(c, out)
                                     : captions_subtitles(c, strcmp(kind, "vtt") == 0, out);
}
