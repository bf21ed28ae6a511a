/* captions.h - words and sentences of a stream with their times, as JSON, SubRip or WebVTT.
 *
 *     struct captions c = {.text = text, .speed = 1};
 *     captions_take(&c, stream);              what is known by now; returns how many words are new
 *     json = captions_words(&c, 0);
 *     captions_write(&c, "vtt", &buf);
 *     captions_done(&c);
 *
 * On the public header alone.  Places in JSON are code points of the text, `start` and `end` are
 * seconds of the encoded sound, whose speed is given.  Threads: one at a time. */
#ifndef SERVER_CAPTIONS_H
#define SERVER_CAPTIONS_H
#include <jansson.h>
#include "base/buf.h"
#include "jabbertts.h"

struct captions {
    const char *text; /* as it was submitted; borrowed */
    double speed;     /* of the encoder */
    double late_s;    /* added to every time: where the stream begins in a longer sound */
    struct jabbertts_word *word;
    int n, cap;
    size_t byte, n_char; /* a place in the text, in both: the next is looked for from here */
};
void captions_done(struct captions *c);
/* New words, or ERR_MEMORY. */
int captions_take(struct captions *c, const struct jabbertts_stream *s);
/* [{"word", "start", "end", "char_start", "char_end"}] from the i-th word on; NULL: out of memory.
 */
json_t *captions_words(struct captions *c, int i);
/* The same of whole sentences: "text" in place of "word". */
json_t *captions_sentences(struct captions *c, int i);
/* kind: "srt", "vtt" or "json".  0, ERR_MEMORY or ERR_LIMIT. */
int captions_write(struct captions *c, const char *kind, struct buf *out);

#endif
