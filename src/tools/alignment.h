/* alignment.h - find the heads of a model that attend to the text being said, and write them down.
 *
 * A head is as good as the share of its attention that lies on the best path through the text
 * (model/align.h), over sentences that the model says.  The delay is what lies between that path
 * and the sound behind a pause.  Threads: one. */
#ifndef TOOLS_ALIGNMENT_H
#define TOOLS_ALIGNMENT_H
#include "base/err.h"
#include "jabbertts_tools.h"

/* ERR_UNSUPPORTED where no head follows the text: then word times go by length. */
int alignment_calibrate(const struct jabbertts_calibrate_options *o, const char *path,
                        struct err *e);

#endif
