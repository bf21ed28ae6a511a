/* book.h - a book as chapters of plain text: EPUB (libzip, libxml2), HTML, Markdown or text.
 *
 *     struct book b;
 *     int code = book_read("moby.epub", &b);
 *     ... b.chapter[i].title, .text, b.cover ...
 *     book_done(&b);
 *
 * EPUB: spine and table of contents (nav or NCX) as EPUB 3.3 has them; a document without an entry
 * goes on with the one before it.  HTML, Markdown: a chapter at each heading of level 1 or 2. */
#ifndef CLI_BOOK_H
#define CLI_BOOK_H
#include <stddef.h>

#define BOOK_CHAPTERS 4096
#define BOOK_BYTES    (64 << 20) /* of a file, and of one inside of an EPUB */

struct book_chapter {
    char *title, *text;
    size_t n, cap; /* of the text */
};
struct book {
    char *title, *author, *language, *date, *publisher; /* NULL: not said */
    char *cover;                                        /* a picture's bytes; NULL: none */
    size_t n_cover;
    struct book_chapter *chapter;
    int n;
};
int book_read(const char *path, struct book *ret); /* 0, or the exit code */
void book_done(struct book *b);

/* bookmux.c: the chapters' sounds, WAV files of 16 bits and one rate, as one M4B or MP3. */
struct book_part {
    const char *path, *title;
    double seconds; /* set by book_mux */
};
int book_mux(const char *output, const struct book *b, const char *narrator, struct book_part *part,
             int n_part);
/* Seconds of a part's file; < 0: it is none. */
double book_part_seconds(const char *path);

#endif
