/* lexicon.h - how names and jargon are said, from a file that people write.
 *
 *     # a comment
 *     nginx = engine ex            read as if that had been written
 *     Nguyen = /ŋwiən/             IPA, for models that read it; others get the word as it is
 *     [de]                         from here on for German; [*] for any language, as at the start
 *     Orange = Orangsche
 *
 * A word is letters, digits, and ' - . between them.  Written in small letters it stands for every
 * case, else for itself alone.  The last line for a word counts; [en-gb] goes before [en], [en]
 * before [*].  The file is looked at before every use and read again when it has changed; if it is
 * bad then, the old entries stay, and lexicon_problem says why.
 *
 * Threads: any. */
#ifndef TEXT_LEXICON_H
#define TEXT_LEXICON_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "text/mapped.h"

struct lexicon;
/* Reads the file: ERR_NOT_FOUND, ERR_LIMIT, or ERR_FORMAT with the number of the line. */
int lexicon_open(const char *path, struct lexicon **ret, struct err *e);
void lexicon_free(struct lexicon *l); /* NULL is fine */
/* ERR_* and why the file as it is now was not taken; 0: it is in use. */
int lexicon_problem(struct lexicon *l, struct err *e);
/* A hash of the text that is in use. */
uint64_t lexicon_version(struct lexicon *l);

/* text with the words of the lexicon replaced, for a language as espeak-ng names it.  ipa: IPA may
 * be put in, as private-use characters (ssml.h); else *n_ignored counts the words that had only
 * that. */
void lexicon_apply(struct lexicon *l, const char *language, bool ipa, const struct mapped *text,
                   struct mapped *out, int *n_ignored);

#endif
