#include "cli/book.h"

#include <errno.h>
#include <ctype.h>
#include <libxml/HTMLparser.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "cli/cli.h"

#define BOOK_XML (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)
#define BOOK_HTML                                                                                  \
    (HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_RECOVER)
#define BOOK_TOC  8192
#define BOOK_DEEP 200 /* elements inside of each other */

/* --- chapters --- */

static struct book_chapter *book_chapter(struct book *b, const char *title)
{
    if (b->n == BOOK_CHAPTERS)
        return &b->chapter[b->n - 1];
    struct book_chapter *more = realloc(b->chapter, (size_t)(b->n + 1) * sizeof *more);
    if (!more)
        return NULL;
    b->chapter = more;
    more[b->n] = (struct book_chapter){.title = strdup(title ? title : "")};
    return &more[b->n++];
}

static void book_add(struct book *b, const char *s, size_t n)
{
    struct book_chapter *c = b->n ? &b->chapter[b->n - 1] : book_chapter(b, "");
    if (!c)
        return;
    if (c->n + n + 1 > c->cap) {
        size_t cap = (c->n + n + 1) * 2;
        char *text = realloc(c->text, cap);
        if (!text)
            return;
        c->text = text;
        c->cap = cap;
    }
    memcpy(c->text + c->n, s, n);
    c->n += n;
    c->text[c->n] = 0;
}

/* Words with single spaces; a paragraph ends with an empty line. */
static void book_add_words(struct book *b, const char *s)
{
    for (; *s; s++) {
        const struct book_chapter *c = b->n ? &b->chapter[b->n - 1] : NULL;
        bool after_space = !c || !c->n || isspace((unsigned char)c->text[c->n - 1]);
        if (!isspace((unsigned char)*s))
            book_add(b, s, 1);
        else if (!after_space)
            book_add(b, " ", 1);
    }
}

static void book_end_paragraph(struct book *b)
{
    struct book_chapter *c = b->n ? &b->chapter[b->n - 1] : NULL;
    if (!c || !c->n)
        return;
    while (c->n && c->text[c->n - 1] == ' ')
        c->text[--c->n] = 0;
    if (c->n && c->text[c->n - 1] != '\n')
        book_add(b, "\n\n", 2);
}

/* Chapters without text are left out. */
static void book_drop_empty(struct book *b)
{
    int n = 0;
    for (int i = 0; i < b->n; i++) {
        struct book_chapter c = b->chapter[i];
        if (c.text && strspn(c.text, " \t\r\n") < c.n) {
            b->chapter[n++] = c;
        } else {
            free(c.title);
            free(c.text);
        }
    }
    b->n = n;
    for (int i = 0; i < n; i++)
        if (!b->chapter[i].title || !*b->chapter[i].title) {
            char name[32];
            snprintf(name, sizeof name, "Chapter %d", i + 1);
            free(b->chapter[i].title);
            b->chapter[i].title = strdup(name);
        }
}

/* --- documents --- */

struct toc_entry {
    char *path, *fragment, *title;
};
struct reading { /* of a document */
    struct book *b;
    const struct toc_entry *toc; /* [n_toc] of the whole book */
    int n_toc;
    const char *path; /* of the document; NULL: chapters begin at headings */
    int depth;
};

static bool book_is(const xmlNode *node, const char *const *names)
{
    for (; *names; names++)
        if (xmlStrcasecmp(node->name, (const xmlChar *)*names) == 0)
            return true;
    return false;
}

static char *book_words_of(const xmlNode *node)
{
    xmlChar *s = xmlNodeGetContent((const xmlNode *)node);
    char *to = s ? strdup((char *)s) : NULL, *out = to;
    for (char *p = to; p && *p; p++) /* single spaces, none around */
        if (!isspace((unsigned char)*p))
            *out++ = *p;
        else if (out > to && out[-1] != ' ')
            *out++ = ' ';
    if (out)
        *(out > to && out[-1] == ' ' ? out - 1 : out) = 0;
    xmlFree(s);
    return to;
}

/* Does a chapter begin at this element? */
static void book_begin_at(struct reading *r, const xmlNode *node)
{
    static const char *const headings[] = {"h1", "h2", NULL};
    if (!r->path) {
        char *title = book_is(node, headings) ? book_words_of(node) : NULL;
        if (title)
            book_chapter(r->b, title);
        free(title);
        return;
    }
    xmlChar *id = xmlGetProp((xmlNode *)(uintptr_t)node, (const xmlChar *)"id");
    for (int i = 0; id && i < r->n_toc; i++)
        if (r->toc[i].fragment && strcmp(r->toc[i].path, r->path) == 0 &&
            strcmp(r->toc[i].fragment, (char *)id) == 0) {
            book_end_paragraph(r->b);
            book_chapter(r->b, r->toc[i].title);
            break;
        }
    xmlFree(id);
}

static void book_walk(struct reading *r, const xmlNode *node)
{
    static const char *const dropped[] = {"head",  "script", "style", "nav", "svg",   "math",
                                          "audio", "video",  "rt",    "rp",  "title", NULL};
    static const char *const blocks[] = {
        "p",  "div",     "h1",      "h2",         "h3",      "h4",         "h5",
        "h6", "li",      "tr",      "br",         "hr",      "dt",         "dd",
        "ul", "section", "article", "blockquote", "caption", "figcaption", NULL};
    for (; node; node = node->next) {
        if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) {
            book_add_words(r->b, (const char *)node->content);
        } else if (node->type == XML_ELEMENT_NODE && !book_is(node, dropped) &&
                   r->depth < BOOK_DEEP) {
            bool block = book_is(node, blocks);
            if (block)
                book_end_paragraph(r->b);
            book_begin_at(r, node);
            r->depth++;
            book_walk(r, node->children);
            r->depth--;
            if (block)
                book_end_paragraph(r->b);
        }
    }
}

static int book_read_html(const char *data, size_t n, struct book *b)
{
    struct reading r = {.b = b};
    htmlDocPtr doc = htmlReadMemory(data, (int)n, NULL, "UTF-8", BOOK_HTML);
    if (!doc)
        return cli_fail("the HTML cannot be read");
    const xmlNode *root = xmlDocGetRootElement(doc);
    for (const xmlNode *head = root ? root->children : NULL; head; head = head->next)
        for (const xmlNode *t = head->children; t; t = t->next)
            if (t->name && xmlStrcasecmp(t->name, (const xmlChar *)"title") == 0 && !b->title)
                b->title = book_words_of(t);
    book_walk(&r, root);
    xmlFreeDoc(doc);
    return 0;
}

/* Markdown, or plain text: the engine cleans it; here it is only cut at its headings. */
static int book_read_text(const char *data, struct book *b)
{
    while (*data) {
        size_t n = strcspn(data, "\n"), level = strspn(data, "#");
        n += data[n] == '\n';
        if (level >= 1 && level <= 2 && data[level] == ' ') {
            char *title = strndup(data + level + 1, strcspn(data + level + 1, "\r\n"));
            if (title)
                book_chapter(b, title);
            free(title);
        }
        book_add(b, data, n);
        data += n;
    }
    return 0;
}

/* --- EPUB: https://www.w3.org/TR/epub-33/ --- */

struct epub {
    zip_t *zip;
    char base[1024]; /* directory of the package document, with its slash */
    struct toc_entry toc[BOOK_TOC];
    int n_toc;
};

static char *epub_file(struct epub *u, const char *name, size_t *n)
{
    zip_stat_t st;
    if (zip_stat(u->zip, name, 0, &st) < 0 || !(st.valid & ZIP_STAT_SIZE) || st.size > BOOK_BYTES)
        return NULL;
    zip_file_t *f = zip_fopen(u->zip, name, 0);
    char *data = f ? malloc(st.size + 1) : NULL;
    zip_int64_t got = data ? zip_fread(f, data, st.size) : -1;
    if (f)
        zip_fclose(f);
    if (got < 0 || (zip_uint64_t)got != st.size) {
        free(data);
        return NULL;
    }
    data[got] = 0;
    *n = (size_t)got;
    return data;
}

static xmlDocPtr epub_xml(struct epub *u, const char *name)
{
    size_t n = 0;
    char *data = epub_file(u, name, &n);
    xmlDocPtr doc = data ? xmlReadMemory(data, (int)n, NULL, NULL, BOOK_XML) : NULL;
    if (data && !doc) /* not well-formed XML, or with entities that only HTML has */
        doc = htmlReadMemory(data, (int)n, NULL, "UTF-8", BOOK_HTML);
    free(data);
    return doc;
}

/* A reference beside a file: percent-decoded, with . and .. resolved; *fragment: behind the #. */
static char *epub_resolve(const char *beside, const char *href, char **fragment)
{
    char path[2048];
    const char *slash = strrchr(beside, '/'), *hash = strchr(href, '#');
    size_t n =
        (size_t)snprintf(path, sizeof path, "%.*s", slash ? (int)(slash + 1 - beside) : 0, beside);
    for (const char *p = href; *p && p != hash && n + 1 < sizeof path; p++) {
        char hex[3] = {p[0] == '%' ? p[1] : 0, p[0] == '%' && p[1] ? p[2] : 0, 0};
        bool coded = isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]);
        path[n++] = coded ? (char)strtol(hex, NULL, 16) : *p;
        p += coded ? 2 : 0;
    }
    path[n] = 0;
    for (char *up; (up = strstr(path, "/../"));) {
        char *from = up;
        while (from > path && from[-1] != '/')
            from--;
        memmove(from, up + 4, strlen(up + 4) + 1);
    }
    if (fragment)
        *fragment = hash && hash[1] ? strdup(hash + 1) : NULL;
    return strdup(path);
}

static char *epub_attribute(const xmlNode *node, const char *name)
{
    xmlChar *s = xmlGetProp((xmlNode *)(uintptr_t)node, (const xmlChar *)name);
    char *to = s ? strdup((char *)s) : NULL;
    xmlFree(s);
    return to;
}

/* The first element of a name below node, in document order; after: behind this one. */
static const xmlNode *epub_next(const xmlNode *node, const xmlNode *root, const char *name)
{
    do {
        if (node->children) {
            node = node->children;
        } else {
            while (node != root && !node->next)
                node = node->parent;
            node = node == root ? NULL : node->next;
        }
    } while (node && (node->type != XML_ELEMENT_NODE ||
                      xmlStrcasecmp(node->name, (const xmlChar *)name) != 0));
    return node;
}

static void epub_take(const xmlNode *root, const char *name, char **to)
{
    const xmlNode *node = epub_next(root, root, name);
    if (node && !*to)
        *to = book_words_of(node);
}

static void epub_add_toc(struct epub *u, const char *beside, const char *href, char *title)
{
    struct toc_entry *t = &u->toc[u->n_toc];
    if (!href || !title || u->n_toc == BOOK_TOC) {
        free(title);
        return;
    }
    t->path = epub_resolve(beside, href, &t->fragment);
    t->title = title;
    u->n_toc += t->path != NULL;
}

/* nav: <nav epub:type="toc"> with links; NCX: <navPoint> with <text> and <content src>. */
static void epub_read_toc(struct epub *u, const char *path)
{
    xmlDocPtr doc = epub_xml(u, path);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL, *node = root, *nav = root;
    for (; node && (node = epub_next(node, root, "navPoint"));) {
        const xmlNode *text = epub_next(node, node, "text");
        const xmlNode *content = epub_next(node, node, "content");
        char *src = content ? epub_attribute(content, "src") : NULL;
        epub_add_toc(u, path, src, text ? book_words_of(text) : NULL);
        free(src);
    }
    while (u->n_toc == 0 && nav && (nav = epub_next(nav, root, "nav"))) {
        char *type = epub_attribute(nav, "type");
        for (node = nav; !type || strcmp(type, "toc") == 0;) {
            if (!(node = epub_next(node, nav, "a")))
                break;
            char *href = epub_attribute(node, "href");
            epub_add_toc(u, path, href, book_words_of(node));
            free(href);
        }
        free(type);
    }
    xmlFreeDoc(doc);
}

struct manifest { /* what of the package's items is asked for */
    const xmlNode *root;
    const char *opf;
};

/* The item with an attribute of this value (a word of it); its path, or NULL. */
static char *epub_item(const struct manifest *m, const char *attribute, const char *value)
{
    char *found = NULL;
    for (const xmlNode *i = m->root; !found && (i = epub_next(i, m->root, "item"));) {
        char *v = epub_attribute(i, attribute), *href = epub_attribute(i, "href");
        const char *at = v ? strstr(v, value) : NULL;
        size_t n = strlen(value);
        if (href && at && (at == v || at[-1] == ' ') && (!at[n] || at[n] == ' '))
            found = epub_resolve(m->opf, href, NULL);
        free(v);
        free(href);
    }
    return found;
}

static void epub_read_cover(struct epub *u, const struct manifest *m, struct book *b)
{
    char *path = epub_item(m, "properties", "cover-image");
    for (const xmlNode *i = m->root; !path && (i = epub_next(i, m->root, "meta"));) {
        char *name = epub_attribute(i, "name"), *id = epub_attribute(i, "content");
        if (name && id && strcmp(name, "cover") == 0)
            path = epub_item(m, "id", id);
        free(name);
        free(id);
    }
    if (path)
        b->cover = epub_file(u, path, &b->n_cover);
    free(path);
}

static void epub_read_document(struct epub *u, struct book *b, const char *path)
{
    struct reading r = {.b = b, .toc = u->toc, .n_toc = u->n_toc, .path = path};
    xmlDocPtr doc = epub_xml(u, path);
    bool listed = false;
    for (int i = 0; i < u->n_toc && !listed; i++)
        if (!u->toc[i].fragment && strcmp(u->toc[i].path, path) == 0) {
            book_chapter(b, u->toc[i].title);
            listed = true;
        }
    if (doc && !listed && (u->n_toc == 0 || b->n == 0))
        book_chapter(b, "");
    if (doc)
        book_walk(&r, xmlDocGetRootElement(doc));
    book_end_paragraph(b);
    xmlFreeDoc(doc);
}

static void epub_read_package(struct epub *u, const char *opf, const xmlNode *root, struct book *b)
{
    const struct manifest m = {root, opf};
    epub_take(root, "title", &b->title);
    epub_take(root, "creator", &b->author);
    epub_take(root, "language", &b->language);
    epub_take(root, "date", &b->date);
    epub_take(root, "publisher", &b->publisher);
    char *toc = epub_item(&m, "properties", "nav");
    if (toc)
        epub_read_toc(u, toc);
    free(toc);
    if (u->n_toc == 0 && (toc = epub_item(&m, "media-type", "application/x-dtbncx+xml"))) {
        epub_read_toc(u, toc);
        free(toc);
    }
    epub_read_cover(u, &m, b);
    for (const xmlNode *i = root; (i = epub_next(i, root, "itemref"));) {
        char *id = epub_attribute(i, "idref"), *linear = epub_attribute(i, "linear");
        char *path = id && !(linear && strcmp(linear, "no") == 0) ? epub_item(&m, "id", id) : NULL;
        if (path)
            epub_read_document(u, b, path);
        free(id);
        free(linear);
        free(path);
    }
}

static int book_read_epub(const char *path, struct book *b)
{
    if (access(path, R_OK) < 0)
        return cli_fail("cannot read %s: %s", path, strerror(errno));
    struct epub *u = calloc(1, sizeof *u);
    int why = 0, code = 0;
    if (!u)
        return cli_fail("out of memory for %s", path);
    u->zip = zip_open(path, ZIP_RDONLY, &why);
    xmlDocPtr container = u->zip ? epub_xml(u, "META-INF/container.xml") : NULL;
    const xmlNode *root = container ? xmlDocGetRootElement(container) : NULL;
    const xmlNode *file = root ? epub_next(root, root, "rootfile") : NULL;
    char *opf = file ? epub_attribute(file, "full-path") : NULL;
    xmlDocPtr package = opf ? epub_xml(u, opf) : NULL;
    if (package && xmlDocGetRootElement(package))
        epub_read_package(u, opf, xmlDocGetRootElement(package), b);
    else
        code = cli_fail("%s is not an EPUB: %s", path,
                        u->zip ? "its package document is missing or damaged"
                               : "it is not a ZIP file");
    xmlFreeDoc(package);
    xmlFreeDoc(container);
    free(opf);
    if (u->zip)
        zip_discard(u->zip);
    for (int i = 0; i < u->n_toc; i++) {
        free(u->toc[i].path);
        free(u->toc[i].fragment);
        free(u->toc[i].title);
    }
    free(u);
    return code;
}

/* --- any book --- */

int book_read(const char *path, struct book *ret)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    char *data = NULL;
    size_t n;
    int code;
    *ret = (struct book){.n = 0};
    if (dot && strcasecmp(dot, ".epub") == 0)
        code = book_read_epub(path, ret);
    else if ((code = cli_read_file(path, BOOK_BYTES, &data, &n)) == 0)
        code = dot && (strcasecmp(dot, ".html") == 0 || strcasecmp(dot, ".htm") == 0 ||
                       strcasecmp(dot, ".xhtml") == 0)
                   ? book_read_html(data, n, ret)
                   : book_read_text(data, ret);
    free(data);
    book_drop_empty(ret);
    if (!code && ret->n == 0)
        code = cli_fail("%s has no text", path);
    if (!code && !ret->title) {
        const char *name = slash ? slash + 1 : path;
        ret->title = strndup(name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
    }
    if (code)
        book_done(ret);
    return code;
}

void book_done(struct book *b)
{
    char *own[] = {b->title, b->author, b->language, b->date, b->publisher, b->cover};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        free(own[i]);
    for (int i = 0; i < b->n; i++) {
        free(b->chapter[i].title);
        free(b->chapter[i].text);
    }
    free(b->chapter);
    *b = (struct book){.n = 0};
}
