/* inspect.h - what is in a model file and what running it costs, as text or as JSON.
 *
 * Threads: any. */
#ifndef MODEL_INSPECT_H
#define MODEL_INSPECT_H
#include <stdbool.h>
#include "base/err.h"

/* *text is freed with mem_free. */
int inspect_file(const char *path, bool json, char **text, struct err *e);

#endif
