/* lang_check.h - the tests of a language's file, run; and what its rules did with a text.
 *
 * Threads: any. */
#ifndef TEXT_LANG_CHECK_H
#define TEXT_LANG_CHECK_H
#include "base/buf.h"
#include "text/lang.h"

/* Runs the tests that stand in the file.  Adds a line to out for each test that fails, each rule
 * that no test reaches, and each place where a rule further down would have read more.  Returns how
 * many tests failed. */
int lang_check(const struct lang *l, struct buf *out);

/* Adds a line for each thing in the text that was read: "RULE: written -> said". */
void lang_explain(const struct text_language *l, const char *s, size_t n, struct buf *out);

#endif
