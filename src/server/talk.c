#include "server/talk.h"

#include <ctype.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define TALK_AHEAD     2   /* parts that are submitted and not read to their end */
#define TALK_PARAGRAPH 0.2 /* seconds of silence between paragraphs, beside those of the parts */

struct part {
    struct jabbertts_stream *stream;
    bool ends_paragraph;
};

struct talk {
    struct jabbertts *tts;
    struct jabbertts_request request; /* its strings are ours */
    int rate;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct buf text;       /* (lock) not spoken yet */
    size_t flushed;        /* (lock) bytes of it to be spoken though no sentence ends there */
    bool ended, cancelled; /* (lock) */
    struct part part[TALK_AHEAD]; /* the reader's, but for cancel: (lock) */
    int n_part, n_begun;          /* n_begun: parts so far */
    size_t silence;               /* samples of it that are due */
};

/* --- where to cut ------------------------------------------------------------------------------
 */

/* The length of a mark that ends sentences at s[i]; 0: none. */
static size_t talk_mark(const char *s, size_t n, size_t i)
{
    static const char *const marks[] = {".", "!", "?", "…", "。", "！", "？", "।"};
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++) {
        size_t len = strlen(marks[k]);
        if (i + len <= n && memcmp(s + i, marks[k], len) == 0)
            return len;
    }
    return 0;
}

/* "Dr.", "U.S.", "J.", "3.": a point that may go on. */
static bool talk_is_short(const char *s, size_t at)
{
    static const char *const titles[] = {"Dr", "Mr", "Mrs", "Ms", "Prof", "St", "Mt",
                                         "Jr", "Sr", "vs",  "No", "Fig",  "ca", "z.B"};
    size_t from = at;
    while (from > 0 && !isspace((unsigned char)s[from - 1]))
        from--;
    size_t n = at - from;
    bool title = false;
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        title = title || (strlen(titles[i]) == n && memcmp(s + from, titles[i], n) == 0);
    return s[at] == '.' && n > 0 &&
           (title || memchr(s + from, '.', n) || isdigit((unsigned char)s[at - 1]) ||
            (n == 1 && isupper((unsigned char)s[from])));
}

/* Behind the marks and closing signs at s[i]. */
static size_t talk_behind(const char *s, size_t n, size_t i)
{
    static const char *const closing[] = {"\"", "'", ")", "]", "”", "’", "»", "*", "_"};
    for (size_t len = talk_mark(s, n, i); len > 0;) {
        i += len;
        len = talk_mark(s, n, i);
        for (size_t k = 0; len == 0 && k < sizeof closing / sizeof *closing; k++)
            if (i + strlen(closing[k]) <= n && memcmp(s + i, closing[k], strlen(closing[k])) == 0)
                len = strlen(closing[k]);
    }
    return i;
}

/* The last place to cut a text that has no end: behind a comma, else behind a space. */
static size_t talk_clause(const char *s, size_t n)
{
    size_t space = 0;
    for (size_t i = n; i > n / 2; i--) {
        if (!isspace((unsigned char)s[i - 1]))
            continue;
        space = space ? space : i;
        if (i > 1 && strchr(",;:", s[i - 2]))
            return i;
    }
    while (!space && n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    return space ? space : n;
}

size_t talk_cut(const char *s, size_t n, int ended)
{
    for (size_t i = 0; i < n && i < TALK_MAX_BYTES; i++) {
        if (s[i] == '\n' && i + 1 < n && s[i + 1] == '\n')
            return i + 2;
        if (!talk_mark(s, n, i))
            continue;
        size_t end = talk_behind(s, n, i);
        bool wide = (unsigned char)s[i] >= 0xe3; /* no space follows these */
        size_t next = end;
        while (next < n && isspace((unsigned char)s[next]))
            next++;
        if (next < n && (next > end || wide) && (wide || !talk_is_short(s, i)))
            return next;
        i = end - 1;
    }
    if (ended)
        return n <= TALK_MAX_BYTES ? n : talk_clause(s, TALK_MAX_BYTES);
    return n > TALK_MAX_BYTES ? talk_clause(s, TALK_MAX_BYTES) : 0;
}

/* --- making ------------------------------------------------------------------------------------
 */

static int talk_fail(struct jabbertts_error *e, int code, const char *message)
{
    *e = (struct jabbertts_error){.code = code};
    snprintf(e->message, sizeof e->message, "%s", message);
    return code;
}

static bool talk_copy(const char **to)
{
    *to = *to ? mem_strndup(*to, strlen(*to)) : NULL;
    return *to != NULL;
}

/* A short text says whether the voice and the model exist, and at which rate they speak. */
static int talk_try(struct talk *t, struct jabbertts_error *e)
{
    struct jabbertts_stream *s;
    struct jabbertts_request r = t->request;
    r.text = "a";
    int rc = jabbertts_submit(t->tts, &r, &s, e);
    if (rc < 0)
        return rc;
    t->rate = jabbertts_stream_rate(s);
    jabbertts_stream_free(s);
    return 0;
}

int talk_new(struct jabbertts *tts, const struct jabbertts_request *r, struct talk **ret,
             struct jabbertts_error *e)
{
    struct talk *t = mem_try(1, sizeof *t);
    if (!t)
        return talk_fail(e, JABBERTTS_ERR_MEMORY, "out of memory for a talk");
    t->tts = tts;
    t->request = *r;
    t->request.text = NULL;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    buf_init(&t->text, TALK_WAIT_BYTES);
    const char **strings[] = {&t->request.voice, &t->request.owner, &t->request.language,
                              &t->request.instructions, &t->request.model};
    bool good = true;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        good = (!*strings[i] || talk_copy(strings[i])) && good;
    int rc = good ? talk_try(t, e) : talk_fail(e, JABBERTTS_ERR_MEMORY, "out of memory for a talk");
    if (rc < 0)
        talk_free(t);
    else
        *ret = t;
    return rc;
}

void talk_free(struct talk *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->n_part; i++)
        jabbertts_stream_free(t->part[i].stream);
    const char *strings[] = {t->request.voice, t->request.owner, t->request.language,
                             t->request.instructions, t->request.model};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        mem_free((void *)(uintptr_t)strings[i]);
    buf_done(&t->text);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

int talk_rate(const struct talk *t)
{
    return t->rate;
}

/* --- the writer --------------------------------------------------------------------------------
 */

/* Lets the lock go. */
static int talk_told(struct talk *t, int rc)
{
    if (rc == 0 && t->cancelled)
        rc = JABBERTTS_ERR_CANCELLED;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

int talk_add(struct talk *t, const char *text, size_t n)
{
    pthread_mutex_lock(&t->lock);
    return talk_told(t, buf_add(&t->text, text, n));
}

int talk_flush(struct talk *t)
{
    pthread_mutex_lock(&t->lock);
    t->flushed = t->text.len;
    return talk_told(t, 0);
}

int talk_end(struct talk *t)
{
    pthread_mutex_lock(&t->lock);
    t->ended = true;
    return talk_told(t, 0);
}

void talk_cancel(struct talk *t)
{
    pthread_mutex_lock(&t->lock);
    t->cancelled = true;
    for (int i = 0; i < t->n_part; i++)
        jabbertts_cancel(t->part[i].stream);
    talk_told(t, 0);
}

/* --- the reader --------------------------------------------------------------------------------
 */

/* The next part's text, or NULL when none is whole; with the lock held. */
static char *talk_take(struct talk *t, bool *ends_paragraph, int *rc)
{
    const char *s = buf_str(&t->text);
    bool all = t->ended || t->flushed > 0;
    size_t n = t->flushed > 0 ? t->flushed : t->text.len;
    size_t cut = n > 0 ? talk_cut(s, n, all) : 0;
    char *part = cut > 0 ? mem_strndup(s, cut) : NULL;
    if (!part) {
        *rc = cut > 0 ? JABBERTTS_ERR_MEMORY : 0;
        return NULL;
    }
    *ends_paragraph = cut > 1 && s[cut - 1] == '\n' && s[cut - 2] == '\n';
    t->flushed -= t->flushed > 0 ? cut : 0;
    memmove(t->text.data, t->text.data + cut, t->text.len - cut);
    t->text.len -= cut;
    t->text.data[t->text.len] = 0;
    return part;
}

/* Submit what can be.  A part that cannot be said, a lone emoji, is passed over. */
static int talk_submit(struct talk *t, struct jabbertts_error *e)
{
    char *text;
    bool ends_paragraph;
    int rc = 0;
    while (rc == 0 && t->n_part < TALK_AHEAD && !t->cancelled &&
           (text = talk_take(t, &ends_paragraph, &rc))) {
        struct jabbertts_request r = t->request;
        struct jabbertts_stream *s = NULL;
        r.text = text;
        r.seed += (uint64_t)t->n_begun;
        pthread_mutex_unlock(&t->lock);
        rc = jabbertts_submit(t->tts, &r, &s, e);
        pthread_mutex_lock(&t->lock);
        if (rc == 0) {
            t->part[t->n_part++] = (struct part){s, ends_paragraph};
            t->n_begun++;
        }
        if (rc == JABBERTTS_ERR_ARGUMENT && strstr(e->message, JABBERTTS_NOTHING_TO_SAY))
            rc = 0;
        mem_free(text);
    }
    return rc < 0 && !e->code ? talk_fail(e, rc, "out of memory for a talk") : rc;
}

/* The first part is read to its end. */
static void talk_drop(struct talk *t)
{
    struct part done = t->part[0];
    memmove(t->part, t->part + 1, (size_t)--t->n_part * sizeof *t->part);
    pthread_mutex_unlock(&t->lock);
    jabbertts_stream_free(done.stream);
    pthread_mutex_lock(&t->lock);
    t->silence = done.ends_paragraph ? (size_t)(TALK_PARAGRAPH * t->rate) : 0;
}

/* With the lock held: a part to read from; 0 at the end. */
static int talk_next(struct talk *t, struct jabbertts_error *e)
{
    for (;;) {
        int rc = talk_submit(t, e);
        if (rc < 0)
            return rc;
        if (t->cancelled)
            return talk_fail(e, JABBERTTS_ERR_CANCELLED, "cancelled");
        if (t->n_part > 0)
            return 1;
        if (t->ended && t->text.len == 0)
            return 0;
        if (!t->ended || t->text.len == 0)
            pthread_cond_wait(&t->changed, &t->lock);
    }
}

int talk_read(struct talk *t, float *pcm, int n_max, struct jabbertts_error *e)
{
    int n = 0;
    e->code = 0;
    pthread_mutex_lock(&t->lock);
    while (n == 0) {
        int rc = talk_next(t, e);
        if (rc <= 0) {
            n = rc;
            break;
        }
        if (t->silence > 0) {
            n = t->silence < (size_t)n_max ? (int)t->silence : n_max;
            memset(pcm, 0, (size_t)n * sizeof *pcm);
            t->silence -= (size_t)n;
            break;
        }
        struct jabbertts_stream *s = t->part[0].stream;
        pthread_mutex_unlock(&t->lock);
        n = jabbertts_read(s, pcm, n_max, e);
        pthread_mutex_lock(&t->lock);
        if (n == 0)
            talk_drop(t);
    }
    pthread_mutex_unlock(&t->lock);
    return n;
}
