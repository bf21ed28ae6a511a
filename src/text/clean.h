/* clean.h - characters as a person would have typed them, whatever keyboard, web page or model they
 * came from.
 *
 *     struct clean_options o = {.markers = true};
 *     mapped_init(&out, max);
 *     clean_characters(s, n, &o, &out);                   failure: out.rc
 *
 * Compatibility forms (ﬁ, Ａ, ㎏, 𝐛) become ordinary letters, but not those that mean something (²,
 * ½) and not the punctuation of Chinese and Japanese; letters and their marks are composed (NFC);
 * quotes and apostrophes are ASCII; control, format, private and unassigned characters go; white
 * space is one space, one line break, or an empty line; runs of punctuation are cut; what looks
 * like a model's special token (<|im_start|>) goes; emoji and smileys are dropped or named.  The
 * result has no private-use characters of the sender's.  Linear in n.  Threads: any. */
#ifndef TEXT_CLEAN_H
#define TEXT_CLEAN_H
#include <stdbool.h>
#include <stddef.h>
#include "text/mapped.h"

struct clean_options {
    bool markers; /* keep S1's (excited); else they are dropped, for a model that would read them */
    bool emoji;   /* name them; else they are dropped */
    bool marks;   /* keep private-use characters: they are ours (ssml.h) */
};

void clean_characters(const char *s, size_t n, const struct clean_options *o, struct mapped *out);

/* emoji.c.  The emoji (sequence) at s[at]: its bytes, 0: none.  name: "grinning face". */
size_t emoji_at(const char *s, size_t n, size_t at, char *name, size_t room);

/* marker.c.  S1's marker at s[at], which is '(': its bytes with the parentheses, 0: none. */
size_t marker_at(const char *s, size_t n, size_t at);
/* The marker that free instructions name ("Whisper, please", "in an excited voice"):
 * "(whispering)", or NULL.  What is negated ("not angry") does not count; the first that is named
 * wins. */
const char *marker_named(const char *instructions);

#endif
