/* inspect.h - what is in a model file and what running it costs, as text or as JSON.
 *
 * Threads: any. */
#ifndef MODEL_INSPECT_H
#define MODEL_INSPECT_H
#include <stdbool.h>
#include "base/err.h"

/* context: tokens and frames of a sequence, 0 for the model's own.  *text is freed with mem_free.
 */
int inspect_file(const char *path, int context, bool json, char **text, struct err *e);

#endif
