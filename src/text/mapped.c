#include "text/mapped.h"

#include "base/err.h"
#include "base/mem.h"

void mapped_init(struct mapped *m, size_t max_bytes)
{
    *m = (struct mapped){0};
    buf_init(&m->text, max_bytes);
}

void mapped_done(struct mapped *m)
{
    buf_done(&m->text);
    mem_free(m->run);
    m->run = NULL;
    m->n_run = m->cap_run = 0;
}

static void add_run(struct mapped *m, struct mapped_run r)
{
    if (m->n_run == m->cap_run) {
        size_t cap = m->cap_run ? 2 * m->cap_run : 32;
        struct mapped_run *grown = mem_grow(m->run, cap, sizeof *grown);
        if (!grown) {
            m->rc = ERR_MEMORY;
            return;
        }
        m->run = grown;
        m->cap_run = cap;
    }
    m->run[m->n_run++] = r;
}

static void mapped_add(struct mapped *m, const char *s, size_t n, struct mapped_run r)
{
    if (m->rc < 0 || n == 0)
        return;
    struct mapped_run *last = m->n_run ? &m->run[m->n_run - 1] : NULL;
    bool joins = last && last->copy == r.copy &&
                 (r.copy ? last->end == r.start : last->start == r.start && last->end == r.end);
    if (joins)
        last->end = r.end;
    else
        add_run(m, r);
    if (m->rc == 0)
        m->rc = buf_add(&m->text, s, n);
}

void mapped_copy(struct mapped *m, const char *in, size_t start, size_t end)
{
    mapped_add(m, in + start, end - start, (struct mapped_run){m->text.len, start, end, true});
}

void mapped_put(struct mapped *m, const char *s, size_t n, size_t start, size_t end)
{
    mapped_add(m, s, n, (struct mapped_run){m->text.len, start, end, false});
}

void mapped_append(struct mapped *m, const struct mapped *part)
{
    size_t at = m->text.len;
    for (size_t i = 0; i < part->n_run && m->rc == 0; i++) {
        struct mapped_run r = part->run[i];
        r.at += at;
        add_run(m, r);
    }
    if (part->rc < 0 && m->rc == 0)
        m->rc = part->rc;
    if (m->rc == 0)
        m->rc = buf_add(&m->text, buf_str(&part->text), part->text.len);
}

/* The run that byte at is in; there is one. */
static size_t mapped_run_of(const struct mapped *m, size_t at)
{
    size_t low = 0, high = m->n_run;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (m->run[middle].at <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void source_in(const struct mapped_run *r, size_t at, size_t *start, size_t *end)
{
    *start = r->copy ? r->start + (at - r->at) : r->start;
    *end = r->copy ? *start + 1 : r->end;
}

void mapped_source(const struct mapped *m, size_t at, size_t *start, size_t *end)
{
    *start = *end = 0;
    if (m->n_run)
        source_in(&m->run[mapped_run_of(m, at)], at, start, end);
}

void mapped_range(const struct mapped *m, size_t from, size_t to, size_t *start, size_t *end)
{
    size_t unused;
    mapped_source(m, from, start, &unused);
    mapped_source(m, to - 1, &unused, end);
}

/* Append to runs what r, a copy of before's text, is when before's runs are looked through.  *k is
 * the run of before to begin with. */
static void compose_copy(struct mapped *to, const struct mapped_run *r, const struct mapped *before,
                         size_t *k)
{
    for (size_t from = r->start; from < r->end && to->rc == 0;) {
        while (*k + 1 < before->n_run && before->run[*k + 1].at <= from)
            ++*k;
        const struct mapped_run *b = &before->run[*k];
        size_t stop = *k + 1 < before->n_run ? before->run[*k + 1].at : before->text.len;
        stop = stop < r->end ? stop : r->end;
        size_t at = r->at + (from - r->start), start, end;
        source_in(b, from, &start, &end);
        add_run(to, (struct mapped_run){at, start, b->copy ? start + (stop - from) : end, b->copy});
        from = stop;
    }
}

void mapped_compose(struct mapped *m, const struct mapped *before)
{
    struct mapped joined = {0};
    if (m->rc < 0 || before->n_run == 0 || m->n_run == 0)
        return;
    size_t k = mapped_run_of(before, m->run[0].start);
    for (size_t i = 0; i < m->n_run && joined.rc == 0; i++) {
        struct mapped_run r = m->run[i];
        if (r.copy) {
            compose_copy(&joined, &r, before, &k);
            continue;
        }
        if (r.end > r.start)
            mapped_range(before, r.start, r.end, &r.start, &r.end);
        else
            mapped_source(before, r.start, &r.start, &r.end);
        add_run(&joined, r);
    }
    m->rc = joined.rc;
    mem_free(m->run);
    m->run = joined.run;
    m->n_run = joined.n_run;
    m->cap_run = joined.cap_run;
}
