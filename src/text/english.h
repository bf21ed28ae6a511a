/* english.h - the files of English among themselves: tables in english.c, abbreviations and words in
 * capitals in english_words.c, the grammar of numbers in english_grammar.c. */
#ifndef TEXT_ENGLISH_H
#define TEXT_ENGLISH_H
#include "text/language.h"

extern const struct text_language language_en;
extern const struct language_abbreviation english_abbreviations[];

#endif
