/* onnx.h - where the graphs of a model are that ONNX Runtime is to run.
 *
 * An exported folder (model/export.h) is given as the model itself; of a model file, the graphs are
 * made once and kept in a directory for such, one folder for each file as it is now.
 *
 * Threads: any. */
#ifndef ENGINE_ONNX_H
#define ENGINE_ONNX_H
#include <limits.h>
#include <stdbool.h>
#include "jabbertts.h"
#include "model/model.h"

struct onnx_folder {
    char dir[PATH_MAX];
    size_t n_bytes; /* of the weights */
};
bool onnx_is_folder(const char *path); /* an exported one */
/* model: a GGUF, the one in an exported folder, too. */
int onnx_folder_of(const char *model, const struct jabbertts_options *o, struct onnx_folder *ret,
                   struct err *e);

#endif
