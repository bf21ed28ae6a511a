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
#include <stdint.h>
#include "text/mapped.h"

struct clean_options {
    bool markers; /* keep S1's (excited); else they are dropped, for a model that would read them */
    bool emoji;   /* name them; else they are dropped */
    bool as_written; /* only what no model should see goes: control characters, special tokens */
    bool marks;      /* keep private-use characters: they are ours (ssml.h) */
};

void clean_characters(const char *s, size_t n, const struct clean_options *o, struct mapped *out);

/* emoji.c.  The emoji (sequence) at s[at]: its bytes, 0: none.  name: "grinning face". */
size_t emoji_at(const char *s, size_t n, size_t at, char *name, size_t room);

/* marker.c.  S1's markers pass the stages of text as single private-use characters, MARKER_FIRST
 * and on, so that nothing reads or cuts what is between their parentheses; pieces have them spelled
 * out. */
#define MARKER_FIRST 0xf200
/* The marker at s[at]: its number and bytes, parentheses included; < 0: none. */
int marker_at(const char *s, size_t n, size_t at, size_t *len);
size_t marker_code(int i, char utf8[4]); /* its character: the bytes */
bool marker_is(int32_t c);
void marker_spell(struct mapped *m); /* spelled out */
struct text_pieces;
struct text_piece;
/* Emotions and tones that a piece starts with lead the later pieces of its paragraph, too, until
 * others do.  0 or ERR_MEMORY. */
int marker_carry(struct text_pieces *p);
/* The marker in front of the piece, unless it starts with one. */
int marker_lead(struct text_piece *p, const char *marker);
/* The marker that free instructions name ("Whisper, please", "in an excited voice"):
 * "(whispering)", or NULL.  What is negated ("not angry") does not count; the first that is named
 * wins. */
const char *marker_named(const char *instructions);

#endif
