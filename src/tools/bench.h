/* bench.h - what the two parts of jabbertts_bench share: bench.c times the parts of a request,
 * bench_speech.c whole requests. */
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H
#include <jansson.h>
#include "engine/engine.h"
#include "jabbertts_tools.h"
#include "model/model.h"

/* Best (smallest) and median of n values, times factor; v is sorted. */
json_t *bench_stat(double *v, int n, double factor);
int bench_speech(const struct jabbertts_options *o, json_t **ret, struct jabbertts_error *error);

#endif
