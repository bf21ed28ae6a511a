/* export.c - a model for other runtimes: the model layer behind the public header. */
#include <string.h>

#include "engine/engine.h"
#include "jabbertts_tools.h"
#include "model/export.h"

static int tools_export(const struct jabbertts_export_options *o, struct err *e)
{
    static const char *const types[] = {
        [EXPORT_F32] = "f32", [EXPORT_F16] = "f16", [EXPORT_INT8] = "int8"};
    struct export_options x = {.model = o->input,
                               .dir = o->directory,
                               .imatrix = o->imatrix,
                               .progress = o->progress,
                               .cookie = o->cookie};
    size_t n = sizeof types / sizeof *types, i = 0;
    if (!o->input || !o->directory)
        return err_set(e, ERR_ARGUMENT, "wanted a model file and a directory");
    while (o->type && i < n && strcmp(o->type, types[i]) != 0)
        i++;
    if (i == n)
        return err_set(e, ERR_ARGUMENT, "type \"%.32s\" is not f32, f16 or int8", o->type);
    x.type = (enum export_type)i;
    return export_onnx(&x, e);
}

int jabbertts_export(const struct jabbertts_export_options *o, struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, tools_export(o, &e));
}
