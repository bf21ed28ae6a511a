/* voices.h - the named voices that a model file carries: reference codes and transcripts.
 *
 * Threads: read-only after voices_read and voices_set_alias. */
#ifndef MODEL_VOICES_H
#define MODEL_VOICES_H
#include "formats/gguf.h"
#include "model/ar.h"

struct voice {
    const char *name;
    const char *transcript; /* in letters; NULL: not known, or the reference's text is that */
    const char *language, *description; /* BCP 47; one line; NULL: not known */
    struct prompt_reference reference;
};

struct voices;
int voices_read(const struct gguf *g, const struct spec *s, struct voices **ret, struct err *e);
void voices_free(struct voices *v);
/* Let alias stand for name, which need not be a voice of this model, whatever it stood for before.
 */
int voices_set_alias(struct voices *v, const char *alias, const char *name, struct err *e);
const char *voices_resolve(const struct voices *v, const char *name); /* what an alias stands for */
const struct voice *voices_at(const struct voices *v, int i);         /* NULL after the last */
const struct voice *voices_find(const struct voices *v, const char *name); /* or alias; or NULL */
const char *voices_default(const struct voices *v);                        /* name or NULL */
const char *voices_alias(const struct voices *v, int i,
                         const char **name); /* NULL after the last */

#endif
