/* confine.h - restrictions that `serve` puts on itself: no files that it does not need, and not
 * root. */
#ifndef CLI_CONFINE_H
#define CLI_CONFINE_H
#include "cli/options.h"
#include "server/sandbox.h"

struct confine {
    struct sandbox sandbox; /* places owned */
};

void confine_places(struct confine *c, const struct options *o);
void confine_free(struct confine *c);
/* Become a user, who must be able to write to voice_dir (NULL: none); an exit code, or 0. */
int confine_user(const char *name, const struct options *o);

#endif
