/* One pass of expat over the document.  A stack of frames holds what is in force; text collects in
 * a segment until something that belongs to the text changes, and then becomes pieces. */
#include "text/ssml.h"

#include <ctype.h>
#include <expat.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unicode/utf8.h>

#include "base/limits.h"
#include "base/mem.h"
#include "text/clean.h"
#include "text/language.h"
#include "text/words.h"

#define MAX_DEPTH           64
#define MAX_ATTRIBUTE_BYTES 4096
#define MAX_BREAK_MS        60000
#define MAX_NAME_BYTES      LIMIT_VOICE_NAME_BYTES
#define MAX_LANGUAGE_BYTES  40
#define MAX_SAYAS_BYTES     1024
#define MAX_MARKS           4096

/* Where the parser is, of any width: Expat 2.9 names those of 64 bits and warns of the others. */
#if XML_MAJOR_VERSION > 2 || XML_MINOR_VERSION >= 9
#define PLACE(what) XML_GetCurrent##what##64
#else
#define PLACE(what) XML_GetCurrent##what
#endif

enum content {
    CONTENT_TEXT,    /* is read */
    CONTENT_SKIPPED, /* is not: another reading has been given */
    CONTENT_SAYAS    /* is collected, and read as asked at the end */
};

struct frame {
    double rate, volume;
    char voice[MAX_NAME_BYTES + 1], language[MAX_LANGUAGE_BYTES + 1]; /* "" : the request's */
    enum content content;
    bool own;  /* content was set by this element, not inherited */
    int pause; /* after it; 0: it is no block */
};

struct parser {
    XML_Parser xml;
    const char *s;
    size_t n;
    const struct text_options *options;
    struct frame stack[MAX_DEPTH];
    int depth;
    struct mapped text;             /* the segment: one line, tags gone */
    char interpret[32], format[16]; /* of the say-as that is open */
    struct buf sayas;
    size_t sayas_start;
    struct text_pieces *pieces;
    int cap_piece, cap_mark;
    int marks_flushed; /* so many of the marks were in earlier segments */
    int rc;
    struct err *e;
};

/* --- errors --- */

static void stop(struct parser *p, int rc)
{
    if (p->rc == 0)
        p->rc = rc;
    XML_StopParser(p->xml, XML_FALSE);
}

/* "ssml, line 3, column 14: ..." */
static void refuse(struct parser *p, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse(struct parser *p, int code, const char *format, ...)
{
    char text[360];
    va_list args;
    if (p->rc < 0)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    err_set(p->e, code, "ssml, line %lu, column %lu: %s", (unsigned long)PLACE(LineNumber)(p->xml),
            (unsigned long)PLACE(ColumnNumber)(p->xml) + 1, text);
    stop(p, code);
}

static void refuse_as(struct parser *p, const struct err *why)
{
    refuse(p, why->code, "%s", why->msg);
}

static void ssml_out_of_memory(struct parser *p)
{
    refuse(p, ERR_MEMORY, "out of memory");
}

/* --- segments to pieces --- */

static const struct frame *top(const struct parser *p)
{
    static const struct frame none = {.rate = 1, .volume = 1};
    return p->depth ? &p->stack[p->depth - 1] : &none;
}

static struct text_piece *piece_new(struct parser *p)
{
    struct text_pieces *all = p->pieces;
    if (all->n == LIMIT_PIECES) {
        refuse(p, ERR_LIMIT, "more than %d pieces of text", LIMIT_PIECES);
        return NULL;
    }
    if (all->n == p->cap_piece) {
        int cap = p->cap_piece ? 2 * p->cap_piece : 16;
        struct text_piece *grown = mem_grow(all->piece, (size_t)cap, sizeof *grown);
        if (!grown) {
            ssml_out_of_memory(p);
            return NULL;
        }
        all->piece = grown;
        p->cap_piece = cap;
    }
    struct text_piece *piece = &all->piece[all->n++];
    *piece = (struct text_piece){.rate = 1, .volume = 1};
    return piece;
}

/* A piece of silence: before the first words, or where only marks are left of a text. */
static void add_silence(struct parser *p, int pause, size_t at)
{
    struct text_piece *piece = piece_new(p);
    if (!piece)
        return;
    piece->text = mem_strndup("", 1);
    piece->pause_ms = pause;
    piece->start = piece->end = at;
    if (!piece->text)
        ssml_out_of_memory(p);
}

static void place_mark(struct parser *p, int mark, int piece, double share)
{
    struct text_mark *m = &p->pieces->mark[mark];
    m->piece = piece;
    m->share = share;
}

/* Take the marks out of a piece's text, in place. */
static void take_marks(struct parser *p, int i_piece)
{
    char *s = p->pieces->piece[i_piece].text;
    int32_t n = (int32_t)strlen(s), kept = 0;
    int first = -1, last = -1;
    for (int32_t i = 0; i < n;) {
        UChar32 c;
        int32_t at = i;
        U8_NEXT(s, i, n, c);
        int mark = c - SSML_MARK;
        if (mark >= 0 && mark < p->pieces->n_mark && c < 0xf900) {
            place_mark(p, mark, i_piece, kept);
            first = first < 0 ? mark : first;
            last = mark;
            continue;
        }
        memmove(s + kept, s + at, (size_t)(i - at));
        kept += i - at;
    }
    s[kept] = 0;
    for (int i = first; i >= 0 && i <= last; i++) /* from bytes to a share */
        if (p->pieces->mark[i].piece == i_piece && kept)
            p->pieces->mark[i].share /= kept;
}

/* Append the pieces that text_cut made of a segment. */
static void take_pieces(struct parser *p, struct text_pieces *cut, const struct frame *f)
{
    for (int i = 0; i < cut->n && p->rc == 0; i++) {
        struct text_piece *piece = piece_new(p);
        if (!piece)
            break;
        *piece = cut->piece[i];
        cut->piece[i].text = cut->piece[i].words = NULL;
        cut->piece[i].word = NULL;
        piece->rate = f->rate;
        piece->volume = f->volume;
        piece->voice = f->voice[0] ? mem_strndup(f->voice, MAX_NAME_BYTES) : NULL;
        piece->language = f->language[0] ? mem_strndup(f->language, MAX_LANGUAGE_BYTES) : NULL;
        if ((f->voice[0] && !piece->voice) || (f->language[0] && !piece->language))
            ssml_out_of_memory(p);
        take_marks(p, p->pieces->n - 1);
    }
}

static void segment_to_pieces(struct parser *p, const struct frame *f)
{
    struct text_options o = *p->options;
    struct clean_options how = {
        .markers = o.frontend == TEXT_PLAIN, .emoji = o.emoji, .marks = true};
    struct mapped clean, respelled = {0}, normalized = {0};
    struct text_pieces cut = {0};
    struct err e = {0};
    if (f->language[0])
        o.language = f->language;
    mapped_init(&clean, LIMIT_NORMALIZED_BYTES);
    clean_characters(buf_str(&p->text.text), p->text.text.len, &how, &clean);
    mapped_compose(&clean, &p->text);
    int rc = p->text.rc < 0 ? p->text.rc : clean.rc;
    if (rc < 0)
        err_set(&e, rc, rc == ERR_MEMORY ? "out of memory" : "too much text");
    else if ((rc = text_respell(&clean, &o, &respelled, &p->pieces->n_ignored, &e)) == 0 &&
             (rc = text_normalize(&respelled, &o, &normalized, &e)) == 0)
        rc = text_cut(&normalized, &o, &cut, &e);
    if (rc == 0)
        take_pieces(p, &cut, f);
    else if (rc != ERR_ARGUMENT) /* the last: there is nothing to say in it */
        refuse_as(p, &e);
    mapped_done(&clean);
    mapped_done(&respelled);
    mapped_done(&normalized);
    text_pieces_done(&cut);
}

static size_t byte_index(const struct parser *p)
{
    int64_t at = PLACE(ByteIndex)(p->xml);
    return at < 0 ? 0 : (size_t)at;
}

/* What has collected becomes pieces with the attributes of f, the last followed by a pause (< 0: a
 * short one, the sentence goes on). */
static void ssml_flush(struct parser *p, const struct frame *f, int pause)
{
    int before = p->pieces->n;
    if (p->rc < 0)
        return;
    if (p->text.text.len)
        segment_to_pieces(p, f);
    mapped_done(&p->text);
    mapped_init(&p->text, LIMIT_NORMALIZED_BYTES);
    if (p->rc < 0)
        return;
    if (p->pieces->n && pause == TEXT_PAUSE_PARAGRAPH)
        p->pieces->piece[p->pieces->n - 1].ends_paragraph = true;
    if (p->pieces->n > before)
        p->pieces->piece[p->pieces->n - 1].pause_ms = pause < 0 ? 0 : pause;
    else if (p->pieces->n && pause > p->pieces->piece[p->pieces->n - 1].pause_ms)
        p->pieces->piece[p->pieces->n - 1].pause_ms = pause;
    for (; p->marks_flushed < p->pieces->n_mark && p->rc == 0; p->marks_flushed++)
        if (p->pieces->mark[p->marks_flushed].piece <
            0) /* in no words: behind the last, or its pause */
            place_mark(p, p->marks_flushed, p->pieces->n - 1, p->pieces->n > before ? 1 : 2);
}

/* --- text --- */

/* Characters of the document into the segment: white space is a space, private-use characters,
 * which are ours, go. */
static void add_characters(struct parser *p, const char *s, int n, size_t at, bool same)
{
    struct mapped *m = &p->text;
    for (int i = 0, from; i < n;) {
        UChar32 c;
        from = i;
        U8_NEXT(s, i, n, c);
        size_t start = same ? at + (size_t)from : at, end = same ? at + (size_t)i : at + 1;
        if (c < 0 || (c >= 0xe000 && c < 0xf900))
            continue;
        if (c == '\n' || c == '\r' || c == '\t')
            mapped_put(m, " ", 1, start, end);
        else if (same)
            mapped_copy(m, p->s, start, end);
        else
            mapped_put(m, s + from, (size_t)(i - from), start, end);
    }
    if (m->rc < 0)
        refuse(p, m->rc, m->rc == ERR_MEMORY ? "out of memory" : "too much text");
}

static void XMLCALL on_text(void *user, const XML_Char *s, int n)
{
    struct parser *p = user;
    const struct frame *f = top(p);
    size_t at = byte_index(p);
    if (p->rc < 0 || f->content == CONTENT_SKIPPED)
        return;
    if (f->content == CONTENT_SAYAS) {
        if (p->sayas.len == 0)
            p->sayas_start = at;
        if (buf_add(&p->sayas, s, (size_t)n) < 0)
            refuse(p, ERR_LIMIT, "a say-as has more than %d bytes", MAX_SAYAS_BYTES);
        return;
    }
    bool same = at + (size_t)n <= p->n && memcmp(p->s + at, s, (size_t)n) == 0;
    add_characters(p, s, n, at, same);
}

static void add_words(struct parser *p, const char *s, size_t n, size_t start, size_t end)
{
    mapped_put(&p->text, s, n, start, end > start ? end : start + 1);
    if (p->text.rc < 0)
        refuse(p, p->text.rc, "out of memory or too much text");
}

/* The content of a say-as has ended. */
static void end_sayas(struct parser *p)
{
    struct words w;
    struct buf *b = &p->sayas;
    const struct frame *f = top(p);
    size_t from = 0, to = b->len;
    while (from < to && isspace((unsigned char)b->data[from]))
        from++;
    while (to > from && isspace((unsigned char)b->data[to - 1]))
        b->data[--to] = 0;
    const char *text = buf_str(b) + from;
    const char *language = f->language[0] ? f->language : p->options->language;
    words_init(&w, false);
    if (to > from)
        sayas_read(p->interpret, p->format, text, to - from, language ? language : "en-us", &w);
    if (w.rc < 0)
        refuse(p, w.rc, "out of memory");
    else if (w.text.len)
        add_words(p, buf_str(&w.text), w.text.len, p->sayas_start, byte_index(p));
    else
        add_characters(p, text, (int)(to - from), p->sayas_start, false);
    words_done(&w);
    buf_clear(b);
}

/* --- attributes --- */

static const char *local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

/* NULL: not there. */
static const char *attribute(const XML_Char **atts, const char *name)
{
    for (; *atts; atts += 2)
        if (strcmp(local_name(atts[0]), name) == 0)
            return atts[1];
    return NULL;
}

struct word_value {
    const char *word;
    double value;
};
static bool word_value(const struct word_value *list, const char *s, double *ret)
{
    for (; list->word; list++)
        if (strcasecmp(list->word, s) == 0) {
            *ret = list->value;
            return true;
        }
    return false;
}

/* A number and what stands behind it. */
static bool number_value(const char *s, double *ret, const char **unit)
{
    char *end;
    if (!strchr("0123456789.+-", *s) || !*s)
        return false;
    *ret = strtod(s, &end);
    while (*end == ' ')
        end++;
    *unit = end;
    return end > s && isfinite(*ret);
}

/* "500ms", "1.5s" -> milliseconds, < 0: neither. */
static double time_value(const char *s)
{
    const char *unit;
    double v;
    if (!number_value(s, &v, &unit) || v < 0)
        return -1;
    return strcmp(unit, "ms") == 0 ? v : strcmp(unit, "s") == 0 ? 1000 * v : -1;
}

static void open_break(struct parser *p, const XML_Char **atts)
{
    static const struct word_value strengths[] = {{"none", 0},
                                                  {"x-weak", 100},
                                                  {"weak", 200},
                                                  {"medium", 400},
                                                  {"strong", 700},
                                                  {"x-strong", 1200},
                                                  {0}};
    const char *time = attribute(atts, "time"), *strength = attribute(atts, "strength");
    double ms = 400;
    if (strength && !word_value(strengths, strength, &ms)) {
        refuse(p, ERR_FORMAT, "break strength \"%.40s\" is unknown", strength);
        return;
    }
    if (time && (ms = time_value(time)) < 0) {
        refuse(p, ERR_FORMAT, "break time \"%.40s\" is no time, want one like 500ms or 1.5s", time);
        return;
    }
    if (ms > MAX_BREAK_MS) {
        refuse(p, ERR_LIMIT, "a break of %g ms, the limit is %d", ms, MAX_BREAK_MS);
        return;
    }
    if (ms == 0 && !time)
        return;
    if (p->text.text.len == 0 && p->pieces->n == 0) {
        add_silence(p, (int)ms, byte_index(p));
        return;
    }
    int before = p->pieces->n;
    ssml_flush(p, top(p), (int)ms);
    if (p->rc == 0 && p->pieces->n == 0)
        add_silence(p, (int)ms, byte_index(p));
    else if (p->rc == 0 && p->pieces->n == before) /* one break after another adds up */
        p->pieces->piece[before - 1].pause_ms = (int)fmin(MAX_BREAK_MS, ms);
}

static void ssml_set_rate(struct parser *p, struct frame *f, const char *s)
{
    static const struct word_value rates[] = {{"x-slow", 0.5},
                                              {"slow", 0.75},
                                              {"medium", 1},
                                              {"default", 1},
                                              {"fast", 1.25},
                                              {"x-fast", 1.75},
                                              {0}};
    const char *unit;
    double v;
    if (!word_value(rates, s, &v)) {
        if (!number_value(s, &v, &unit) || (*unit && strcmp(unit, "%") != 0)) {
            refuse(p, ERR_FORMAT, "prosody rate \"%.40s\" is none, want one like slow, 80%% or 1.2",
                   s);
            return;
        }
        v = *unit ? v / 100 : v;
        if (*unit && (*s == '+' || *s == '-')) /* +20%: a change */
            v += 1;
    }
    f->rate *= v;
    if (!(f->rate >= 0.25 && f->rate <= 4))
        refuse(p, ERR_LIMIT,
               "prosody rate \"%.40s\" makes speech %g times as fast, must be 0.25 to 4", s,
               f->rate);
}

static void set_volume(struct parser *p, struct frame *f, const char *s)
{
    static const struct word_value volumes[] = {
        {"silent", -INFINITY}, {"x-soft", -12}, {"soft", -6},  {"medium", 0},
        {"default", 0},        {"loud", 4},     {"x-loud", 8}, {0}};
    const char *unit;
    double v;
    if (word_value(volumes, s, &v)) {
        f->volume = pow(10, v / 20);
        return;
    }
    if (!number_value(s, &v, &unit) || (*unit && strcasecmp(unit, "dB") != 0)) {
        refuse(p, ERR_FORMAT, "prosody volume \"%.40s\" is none, want one like soft, -6dB or 80",
               s);
        return;
    }
    if (!*unit && !(v >= 0 && v <= 100)) { /* SSML 1.0: of 100 */
        refuse(p, ERR_LIMIT, "prosody volume \"%.40s\" must be 0 to 100, or in dB", s);
        return;
    }
    f->volume *= *unit ? pow(10, v / 20) : v / 100;
    if (!(f->volume <= 10))
        refuse(p, ERR_LIMIT, "prosody volume \"%.40s\" is more than 20 dB", s);
}

static void set_language(struct parser *p, struct frame *f, const char *tag)
{
    size_t n = strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    if (!*tag)
        return;
    if (tag[n] || n > MAX_LANGUAGE_BYTES) {
        refuse(p, ERR_FORMAT, "\"%.60s\" is no language tag, want one like en-US", tag);
        return;
    }
    memcpy(f->language, tag, n + 1);
}

static void set_voice(struct parser *p, struct frame *f, const char *name)
{
    if (!name || !*name)
        return;
    if (strlen(name) > MAX_NAME_BYTES) {
        refuse(p, ERR_LIMIT, "a voice's name has %zu bytes, the limit is %d", strlen(name),
               MAX_NAME_BYTES);
        return;
    }
    memcpy(f->voice, name, strlen(name) + 1);
}

static void set_emphasis(struct parser *p, struct frame *f, const char *level)
{
    static const struct word_value rates[] = {
        {"strong", 0.85}, {"moderate", 0.92}, {"none", 1}, {"reduced", 1.08}, {0}};
    static const struct word_value volumes[] = {
        {"strong", 1.6}, {"moderate", 1.25}, {"none", 1}, {"reduced", 0.8}, {0}};
    double rate, volume;
    if (!word_value(rates, level, &rate) || !word_value(volumes, level, &volume)) {
        refuse(p, ERR_FORMAT, "emphasis level \"%.40s\" is unknown", level);
        return;
    }
    f->rate = fmin(4, fmax(0.25, f->rate * rate));
    f->volume *= volume;
}

/* --- elements --- */

static void open_mark(struct parser *p, const XML_Char **atts)
{
    const char *name = attribute(atts, "name");
    struct text_pieces *all = p->pieces;
    char c[4];
    int32_t len = 0;
    if (!name || !*name) {
        refuse(p, ERR_FORMAT, "a mark needs a name");
        return;
    }
    if (all->n_mark == MAX_MARKS) {
        refuse(p, ERR_LIMIT, "more than %d marks", MAX_MARKS);
        return;
    }
    if (all->n_mark == p->cap_mark) {
        int cap = p->cap_mark ? 2 * p->cap_mark : 16;
        struct text_mark *grown = mem_grow(all->mark, (size_t)cap, sizeof *grown);
        if (!grown) {
            ssml_out_of_memory(p);
            return;
        }
        all->mark = grown;
        p->cap_mark = cap;
    }
    char *copy = mem_strndup(name, MAX_ATTRIBUTE_BYTES);
    if (!copy) {
        ssml_out_of_memory(p);
        return;
    }
    U8_APPEND_UNSAFE(c, len, SSML_MARK + all->n_mark);
    all->mark[all->n_mark++] = (struct text_mark){.name = copy, .piece = -1, .seconds = -1};
    add_words(p, c, (size_t)len, byte_index(p), byte_index(p) + 1);
}

static void open_phoneme(struct parser *p, struct frame *f, const XML_Char **atts)
{
    const char *alphabet = attribute(atts, "alphabet"), *ph = attribute(atts, "ph");
    struct buf phones;
    struct err e = {0};
    if (!ph) {
        refuse(p, ERR_FORMAT, "a phoneme needs its ph");
        return;
    }
    buf_init(&phones, MAX_ATTRIBUTE_BYTES * 8);
    int rc = ipa_encode(alphabet ? alphabet : "ipa", ph, &phones, &e);
    if (rc < 0)
        refuse_as(p, &e);
    else if (p->options->frontend == TEXT_IPA) {
        add_words(p, buf_str(&phones), phones.len, byte_index(p), byte_index(p) + 1);
        f->content = CONTENT_SKIPPED;
        f->own = true;
    } else
        p->pieces->n_ignored++;
    buf_done(&phones);
}

static void open_sub(struct parser *p, struct frame *f, const XML_Char **atts)
{
    const char *alias = attribute(atts, "alias");
    if (!alias) {
        refuse(p, ERR_FORMAT, "a sub needs its alias");
        return;
    }
    add_characters(p, alias, (int)strlen(alias), byte_index(p), false);
    f->content = CONTENT_SKIPPED;
    f->own = true;
}

static void open_sayas(struct parser *p, struct frame *f, const XML_Char **atts)
{
    const char *interpret = attribute(atts, "interpret-as"), *format = attribute(atts, "format");
    if (!interpret) {
        refuse(p, ERR_FORMAT, "a say-as needs its interpret-as");
        return;
    }
    snprintf(p->interpret, sizeof p->interpret, "%s", interpret);
    snprintf(p->format, sizeof p->format, "%s", format ? format : "");
    f->content = CONTENT_SAYAS;
    f->own = true;
}

/* What a change of voice, language or prosody does to the text before it: it ends. */
static void open_styled(struct parser *p, struct frame *f, const char *name, const XML_Char **atts)
{
    const char *rate = attribute(atts, "rate"), *volume = attribute(atts, "volume");
    ssml_flush(p, top(p), -1);
    if (strcmp(name, "voice") == 0)
        set_voice(p, f, attribute(atts, "name"));
    if (strcmp(name, "prosody") == 0 && rate)
        ssml_set_rate(p, f, rate);
    if (strcmp(name, "prosody") == 0 && volume)
        set_volume(p, f, volume);
    if (strcmp(name, "emphasis") == 0) {
        const char *level = attribute(atts, "level");
        set_emphasis(p, f, level ? level : "moderate");
    }
}

static const char *const styled[] = {"voice", "prosody", "emphasis", "lang", NULL};
static const char *const silent[] = {"desc", "metadata", "meta", "title", NULL};
static const char *const refused[] = {"audio", "lexicon", "lookup", NULL};

static bool ssml_is_in(const char *const *list, const char *name)
{
    while (*list && strcmp(*list, name) != 0)
        list++;
    return *list != NULL;
}

static void open_element(struct parser *p, struct frame *f, const char *name, const XML_Char **atts)
{
    if (ssml_is_in(refused, name)) {
        refuse(p, ERR_UNSUPPORTED, "<%s> is not supported", name);
    } else if (strcmp(name, "p") == 0 || strcmp(name, "s") == 0) {
        ssml_flush(p, top(p), name[0] == 'p' ? TEXT_PAUSE_PARAGRAPH : TEXT_PAUSE_SENTENCE);
        f->pause = name[0] == 'p' ? TEXT_PAUSE_PARAGRAPH : TEXT_PAUSE_SENTENCE;
    } else if (ssml_is_in(styled, name)) {
        open_styled(p, f, name, atts);
        f->pause = -1;
    } else if (ssml_is_in(silent, name)) {
        f->content = CONTENT_SKIPPED;
    } else if (f->content != CONTENT_TEXT) { /* the rest is text */
        return;
    } else if (strcmp(name, "break") == 0) {
        open_break(p, atts);
    } else if (strcmp(name, "mark") == 0) {
        open_mark(p, atts);
    } else if (strcmp(name, "phoneme") == 0) {
        open_phoneme(p, f, atts);
    } else if (strcmp(name, "sub") == 0) {
        open_sub(p, f, atts);
    } else if (strcmp(name, "say-as") == 0) {
        open_sayas(p, f, atts);
    }
}

static bool check_attributes(struct parser *p, const XML_Char **atts)
{
    for (; *atts; atts += 2)
        if (strlen(atts[0]) + strlen(atts[1]) > MAX_ATTRIBUTE_BYTES) {
            refuse(p, ERR_LIMIT, "attribute \"%.40s\" has %zu bytes, the limit is %d", atts[0],
                   strlen(atts[0]) + strlen(atts[1]), MAX_ATTRIBUTE_BYTES);
            return false;
        }
    return true;
}

static void XMLCALL on_open(void *user, const XML_Char *qname, const XML_Char **atts)
{
    struct parser *p = user;
    const char *name = local_name(qname), *language = NULL;
    struct frame f = *top(p);
    if (p->rc < 0 || !check_attributes(p, atts))
        return;
    if (p->depth == 0 && strcmp(name, "speak") != 0) {
        refuse(p, ERR_FORMAT, "the root is <%.40s>, must be <speak>", name);
        return;
    }
    if (p->depth == MAX_DEPTH) {
        refuse(p, ERR_LIMIT, "elements are nested more than %d deep", MAX_DEPTH);
        return;
    }
    f.pause = 0;
    f.own = false;
    open_element(p, &f, name, atts);
    for (const XML_Char **a = atts; *a; a += 2)
        if (strcmp(a[0], "xml:lang") == 0)
            language = a[1];
    if (language && p->rc == 0) {
        if (f.pause == 0) {
            ssml_flush(p, top(p), -1);
            f.pause = -1;
        }
        set_language(p, &f, language);
    }
    p->stack[p->depth++] = f;
}

static void XMLCALL on_close(void *user, const XML_Char *qname)
{
    struct parser *p = user;
    (void)qname;
    if (p->rc < 0 || p->depth == 0)
        return;
    struct frame f = *top(p);
    if (f.pause)
        ssml_flush(p, &f, f.pause);
    p->depth--;
    if (f.own && f.content == CONTENT_SAYAS)
        end_sayas(p);
}

static void XMLCALL on_doctype(void *user, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public_id, int has_internal_subset)
{
    (void)name;
    (void)system;
    (void)public_id;
    if (has_internal_subset)
        refuse(user, ERR_UNSUPPORTED, "a document type with declarations is not accepted");
}

static void XMLCALL on_skipped(void *user, const XML_Char *name, int is_parameter)
{
    if (!is_parameter)
        refuse(user, ERR_FORMAT,
               "entity &%.40s; is not defined; XML has &lt; &gt; &amp; &apos; &quot;", name);
}

/* --- documents --- */

/* Past the character at `at`, or to the end of declarations, which are refused later. */
static size_t ssml_past(const char *s, size_t n, size_t at)
{
    const char *end = s[at] == '[' ? memchr(s + at, ']', n - at) : s + at + 1;
    return end ? (size_t)(end - s) : n;
}

/* Past what may stand before the root: white space, <?...?>, <!-- -->, <!DOCTYPE ...>; n: it never
 * ends. */
static size_t ssml_prolog(const char *s, size_t n, size_t at)
{
    static const struct {
        const char *open, *close;
    } parts[] = {{"<?", "?>"}, {"<!--", "-->"}, {"<!DOCTYPE", ">"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts;) {
        size_t n_open = strlen(parts[i].open), n_close = strlen(parts[i].close);
        while (at < n && isspace((unsigned char)s[at]))
            at++;
        if (n - at < n_open || strncasecmp(s + at, parts[i].open, n_open) != 0) {
            i++;
            continue;
        }
        for (at += n_open; at + n_close <= n && memcmp(s + at, parts[i].close, n_close) != 0;)
            at = ssml_past(s, n, at);
        at = at + n_close <= n ? at + n_close : n;
        i = 0;
    }
    return at;
}

bool ssml_is(const char *text, size_t n)
{
    size_t at = ssml_prolog(text, n, n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
    return at + 6 < n && memcmp(text + at, "<speak", 6) == 0 &&
           (isspace((unsigned char)text[at + 6]) || text[at + 6] == '>' || text[at + 6] == '/');
}

/* A mark that found no words may have got behind later ones. */
static void order_marks(struct text_pieces *all)
{
    for (int i = all->n_mark - 1; i >= 0; i--) {
        struct text_mark *m = &all->mark[i], *next = m + 1;
        if (m->piece < 0)
            *m = (struct text_mark){m->name, 0, 0, -1};
        if (i + 1 < all->n_mark &&
            (m->piece > next->piece || (m->piece == next->piece && m->share > next->share))) {
            m->piece = next->piece;
            m->share = next->share;
        }
    }
}

static void ssml_parse(struct parser *p)
{
    XML_SetUserData(p->xml, p);
    XML_SetElementHandler(p->xml, on_open, on_close);
    XML_SetCharacterDataHandler(p->xml, on_text);
    XML_SetStartDoctypeDeclHandler(p->xml, on_doctype);
    XML_SetSkippedEntityHandler(p->xml, on_skipped);
    XML_SetParamEntityParsing(p->xml, XML_PARAM_ENTITY_PARSING_NEVER);
    if (XML_Parse(p->xml, p->s, (int)p->n, 1) != XML_STATUS_OK && p->rc == 0) {
        enum XML_Error code = XML_GetErrorCode(p->xml);
        refuse(p, code == XML_ERROR_NO_MEMORY ? ERR_MEMORY : ERR_FORMAT, "%s",
               XML_ErrorString(code));
    }
    ssml_flush(p, top(p), 0);
    bool says = false;
    for (int i = 0; i < p->pieces->n; i++)
        says = says || p->pieces->piece[i].text[0];
    order_marks(p->pieces);
    if (p->rc == 0 && !says)
        p->rc = err_set(p->e, ERR_ARGUMENT,
                        "text has nothing to say: no letter or digit is left of it");
}

int ssml_split(const char *text, size_t n, const struct text_options *o, struct text_pieces *ret,
               struct err *e)
{
    *ret = (struct text_pieces){0};
    if (n > LIMIT_TEXT_BYTES)
        return err_set(e, ERR_LIMIT, "text has %zu bytes, the limit is %d", n, LIMIT_TEXT_BYTES);
    struct parser *p = mem_try(1, sizeof *p);
    XML_Parser xml = XML_ParserCreate("UTF-8"); /* whatever the document says: strings are UTF-8 */
    if (!p || !xml) {
        mem_free(p);
        if (xml)
            XML_ParserFree(xml);
        return err_set(e, ERR_MEMORY, "out of memory for a text");
    }
    *p = (struct parser){.xml = xml, .s = text, .n = n, .options = o, .pieces = ret, .e = e};
    buf_init(&p->sayas, MAX_SAYAS_BYTES);
    mapped_init(&p->text, LIMIT_NORMALIZED_BYTES);
    ssml_parse(p);
    int rc = p->rc;
    XML_ParserFree(xml);
    buf_done(&p->sayas);
    mapped_done(&p->text);
    mem_free(p);
    if (rc < 0)
        text_pieces_done(ret);
    return rc;
}
