/* abbreviation.h - periods that end nothing, for split.c and phonemes.c. */
#ifndef TEXT_ABBREVIATION_H
#define TEXT_ABBREVIATION_H
#include <stdbool.h>
#include <stddef.h>

enum abbreviation {
    ABBREVIATION_NONE,
    ABBREVIATION_TITLE,  /* Dr. Smith: espeak-ng reads it right without the period only */
    ABBREVIATION_LETTERS /* J. R. Smith, e.g. this, U.S. Army: right with the periods only */
};

/* What the period at s[i] marks; next is the first character after it and the space, which tells
 * "5 p.m. Then" from "the U.S. Army".  Looks at bytes before i only.  Threads: any. */
enum abbreviation abbreviation_at(const char *s, size_t i, char next);

#endif
