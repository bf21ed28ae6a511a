/* spoken.h - the words of a piece: where each came from, and where it is in what the model reads.
 *
 *     text_cut, with text_options.words      fills word[], with places in the input
 *     text_piece_read                        also finds their places in the text it makes
 *
 * A word is what stands between white space, without the punctuation around it; a character of
 * Chinese or Japanese is a word of its own.  "$5" is read as two words, which both came from it:
 * spoken_joins says that they are one to a reader.
 *
 * Threads: any. */
#ifndef TEXT_SPOKEN_H
#define TEXT_SPOKEN_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "text/mapped.h"

struct text_piece;

struct text_word {
    size_t start, end; /* bytes of the input it came from */
    size_t at, to;     /* bytes of the piece's text; at == to: not said by itself */
};

/* Note the words of the normalized bytes [start, end) in p.  0 or ERR_MEMORY. */
int spoken_note(struct text_piece *p, const struct mapped *normalized, size_t start, size_t end);
/* Find them in p's text.  ipa: it was made by text_phonemes in that language (NULL: the default);
 * else it has the words as they were noted. */
int spoken_find(struct text_piece *p, bool ipa, const char *language, struct err *e);
/* Are two words, of which one ends and the next starts at these bytes, one word of the input? */
bool spoken_joins(const char *input, size_t end, size_t start);
void spoken_done(struct text_piece *p);

#endif
