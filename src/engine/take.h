/* take.h - a hash of all that decides the samples of a request.
 *
 *     take_add_string(t, r->language);      each with its length, so that no two lists look alike
 *     take_add(t, codes, n_bytes);
 *
 * Threads: a hash belongs to one. */
#ifndef ENGINE_TAKE_H
#define ENGINE_TAKE_H
#include <stddef.h>

struct take;
void take_add(struct take *t, const void *data, size_t n);
void take_add_string(struct take *t, const char *s); /* NULL is another than "" */

#endif
