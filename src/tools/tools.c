/* tools.c - making and describing model files: the model layer behind the public header. */
#include <string.h>

#include "engine/engine.h"
#include "jabbertts_tools.h"
#include "kernels/kern.h"
#include "model/import.h"
#include "model/inspect.h"

void jabbertts_convert_options_init(struct jabbertts_convert_options *o)
{
    *o = (struct jabbertts_convert_options){
        .temperature = -1, .top_p = -1, .repetition_penalty = -1};
}

static int parse_type(const char *name, int *type, struct err *e)
{
    static const enum kern_type types[] = {KERN_F32, KERN_F16, KERN_BF16, KERN_Q8_0, KERN_Q4_0};
    *type = -1;
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
        if (!strcmp(name, kern_type_name(types[i])))
            *type = types[i];
    if (name && *type < 0)
        return err_set(e, ERR_ARGUMENT, "type \"%.32s\" is not f32, f16, bf16, q8_0 or q4_0", name);
    return 0;
}

static int tools_convert(const struct jabbertts_convert_options *o, int type, struct err *e)
{
    struct import_options i = {.directory = o->directory,
                               .output = o->output,
                               .name = o->name,
                               .version = o->version,
                               .gain_db = o->gain_db,
                               .type = type,
                               .sampling = {o->temperature, o->top_p, o->repetition_penalty},
                               .default_voice = o->default_voice,
                               .aliases = o->aliases,
                               .n_alias = o->n_alias,
                               .no_encoder = o->no_encoder != 0,
                               .trim_head = true,
                               .equalize = type == KERN_Q8_0 && !o->no_equalize,
                               .note = o->note,
                               .progress = o->progress,
                               .cookie = o->cookie};
    if (!o->output || !o->directory == !o->random)
        return err_set(e, ERR_ARGUMENT, "wanted an output, and a directory or a random shape");
    if (o->random && strcmp(o->random, "s1-mini"))
        return err_set(e, ERR_ARGUMENT, "random shape \"%.32s\" is not s1-mini", o->random);
    if (o->random)
        return import_random(o->output, type, o->progress, o->cookie, e);
    if (type == KERN_Q4_0)
        return err_set(e, ERR_ARGUMENT, "type q4_0 goes with a random shape only");
    return import_convert(&i, e);
}

int jabbertts_convert(const struct jabbertts_convert_options *o, struct jabbertts_error *error)
{
    struct err e = {0};
    int type, rc = parse_type(o->type, &type, &e);
    return engine_return(error, &e, rc < 0 ? rc : tools_convert(o, type, &e));
}

static int tools_measure(const char *isa, struct pool *pool, struct jabbertts_machine *m,
                         struct err *e)
{
    struct kern_exec *x = NULL;
    struct kern_peak peak;
    int rc = kern_exec_new(isa, pool, &x, e);
    if (rc == 0)
        rc = kern_exec_peak(x, &peak, e);
    if (rc == 0) {
        const char *name = kern_exec_isa(x); /* a constant of the table */
        *m = (struct jabbertts_machine){name, pool_threads(pool), peak.products, peak.bytes};
    }
    kern_exec_free(x);
    return rc;
}

int jabbertts_measure(int threads, const char *isa, struct jabbertts_machine *ret,
                      struct jabbertts_error *error)
{
    struct err e = {0};
    struct pool *pool = NULL;
    int rc = pool_new(threads, &pool, &e);
    if (rc == 0)
        rc = tools_measure(isa, pool, ret, &e);
    pool_free(pool);
    return engine_return(error, &e, rc);
}

int jabbertts_inspect(const char *path, int context, int json, char **ret,
                      struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, inspect_file(path, context, json != 0, ret, &e));
}
