#include "text/lang_check.h"

#include <string.h>

#include "base/mem.h"
#include "text/mapped.h"
#include "text/normalize.h"
#include "text/rules.h"
#include "text/words.h"

#define MAX_TEST_BYTES (1 << 16) /* of what a test may become */

struct lang_checker {
    const struct lang *l;
    const struct lang_test *test;
    struct buf *out;
    unsigned char *fired;
    int failed;
};

/* Would a reading further down have taken more? */
static void lang_check_overlap(void *cookie, const struct normalize_event *event)
{
    struct lang_checker *c = cookie;
    const char *text = c->test->text;
    struct reading *z = reading_new(&c->l->table, text, strlen(text), 0);
    struct words w;
    words_init(&w, false);
    for (int i = event->reading + 1; z && event->reading >= 0 && i < c->l->n_reading; i++) {
        size_t used = reading_only(z, i, event->at, &w);
        words_clear(&w);
        if (used > event->len)
            buf_add_format(c->out, "line %d: %s reads \"%.*s\", but line %d (%s) would \"%.*s\"\n",
                           c->l->reading[event->reading].line, event->rule, (int)event->len,
                           text + event->at, c->l->reading[i].line, c->l->reading[i].rule,
                           (int)used, text + event->at);
    }
    words_done(&w);
    reading_free(z);
}

/* What is said is read as it stands, so it is a test, too. */
static void lang_check_text(struct lang_checker *c, const char *text, bool first)
{
    struct normalize_trace t = {lang_check_overlap, c};
    struct mapped got;
    mapped_init(&got, MAX_TEST_BYTES);
    if (first)
        normalize_traced(text, strlen(text), &c->l->table, &t, &got);
    else
        normalize(text, strlen(text), &c->l->table, &got);
    if (strcmp(buf_str(&got.text), c->test->said) != 0) {
        c->failed++;
        buf_add_format(c->out, "line %d: %s: \"%s\" is read\n    %s\n  not\n    %s\n",
                       c->test->line, c->test->rule, text, buf_str(&got.text), c->test->said);
    }
    mapped_done(&got);
}

int lang_check(const struct lang *l, struct buf *out)
{
    struct lang_checker c = {.l = l, .out = out};
    c.fired = mem_try((size_t)l->n_reading + 1, 1);
    if (l->table.rules && rules_make_alone(l->table.rules, NULL) < 0)
        buf_add_str(out, "out of memory: no overlaps are reported\n");
    if (l->table.rules)
        rules_watch(l->table.rules, c.fired);
    for (int i = 0; i < l->own_test && c.fired; i++) {
        c.test = &l->test[i];
        lang_check_text(&c, c.test->text, true);
        lang_check_text(&c, c.test->said, false);
    }
    for (int i = 0; i < l->own_reading && c.fired; i++)
        if (!c.fired[i])
            buf_add_format(out, "line %d: %s: no test reaches \"%s\"\n", l->reading[i].line,
                           l->reading[i].rule, l->reading[i].pattern);
    if (l->table.rules)
        rules_watch(l->table.rules, NULL);
    mem_free(c.fired);
    return c.failed;
}

struct lang_teller {
    const char *s;
    struct buf *out;
};

static void lang_tell(void *cookie, const struct normalize_event *event)
{
    struct lang_teller *t = cookie;
    buf_add_format(t->out, "%s: %.*s -> %s\n", event->rule, (int)event->len, t->s + event->at,
                   event->said);
}

void lang_explain(const struct text_language *l, const char *s, size_t n, struct buf *out)
{
    struct lang_teller teller = {s, out};
    struct normalize_trace t = {lang_tell, &teller};
    struct mapped normalized;
    mapped_init(&normalized, (size_t)64 << 20);
    normalize_traced(s, n, l, &t, &normalized);
    mapped_done(&normalized);
}
