/* ssml.h - Speech Synthesis Markup Language 1.1, the part of it that we can do (docs/TEXT.md lists
 * it), to pieces with attributes.
 *
 *     if (ssml_is(text, n)) ...                            it starts with <speak
 *     if (ssml_split(text, n, &options, &pieces, &e) < 0)  as text_split
 *
 * Text between the tags goes through the same stages as any other text, except for Markdown.
 * Elements that are not known read their content; what cannot be done (<audio>) is ERR_UNSUPPORTED;
 * malformed XML is ERR_FORMAT.  Messages name line and column.  Document types with declarations
 * are refused, so there are no entities but the five of XML.
 *
 * Private-use characters carry what must pass the stages of text untouched: SSML_BYTE + b is byte b
 * of an IPA string (phonemes.c takes it), SSML_MARK + i the place of the i-th mark.
 *
 * Threads: any. */
#ifndef TEXT_SSML_H
#define TEXT_SSML_H
#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"
#include "text/text.h"

#define SSML_BYTE 0xe000
#define SSML_MARK 0xe200

bool ssml_is(const char *text, size_t n);
int ssml_split(const char *text, size_t n, const struct text_options *o, struct text_pieces *ret,
               struct err *e);

/* sayas.c.  What <say-as> makes of text: words into w, which is empty; none: text is right as it
 * is. */
struct words;
void sayas_read(const char *interpret, const char *format, const char *text, size_t n,
                const char *language, struct words *w);

/* ipa.c.  Append a phonetic string as private-use characters.  alphabet: "ipa" or "x-sampa".
 * ERR_FORMAT: it is none, ERR_UNSUPPORTED: no such alphabet. */
int ipa_encode(const char *alphabet, const char *ph, struct buf *out, struct err *e);
/* The byte that c carries, or -1. */
int ipa_byte(int32_t c);

#endif
