/* markup.h - Markdown, HTML and LaTeX crumbs to plain text: what is marked up stays, the marks go.
 *
 *     mapped_init(&out, max);
 *     markup_strip(s, n, &out);                           failure: out.rc
 *
 * Headings, lists, links, images, tables, emphasis, code, quotes, rules, footnotes; HTML tags,
 * comments and entities; LaTeX commands become the signs they stand for.  Plain text passes
 * unchanged: "2 * 3", "a < b", snake_case.  MD4C reads the Markdown.  Linear in n.
 * Threads: any. */
#ifndef TEXT_MARKUP_H
#define TEXT_MARKUP_H
#include <stddef.h>
#include "text/mapped.h"

void markup_strip(const char *s, size_t n, struct mapped *out);

/* html.c.  An entity at s[at], which is '&': its length and the character; 0: none. */
size_t html_entity(const char *s, size_t n, size_t at, char utf8[5]);

enum html_tag {
    HTML_NONE,
    HTML_INLINE,
    HTML_LINE,
    HTML_PARAGRAPH,
    HTML_CELL,
    HTML_HIDDEN,
    HTML_UNKNOWN, /* not HTML; it goes, and words on both sides stay two */
    HTML_NAME
};
/* What a tag or comment at s[at], which is '<', is, and its bytes, content included for hidden ones
 * (script).  NAME: not HTML, but looks so, "<file>": only the brackets go. */
enum html_tag html_tag_at(const char *s, size_t n, size_t at, size_t *len);

/* latex.c.  A command at s[at], which is '\': its length and what it stands for; 0: none. */
size_t latex_command(const char *s, size_t n, size_t at, const char **sign);

#endif
