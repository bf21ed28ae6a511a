#include "model/ort.h"

#include <dlfcn.h>
#include <onnxruntime/onnxruntime_c_api.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define CURE       "run packaging/setup --onnx, or name the library with `onnx_library`"
#define DIMS_MAX   5
#define RIMS_MAX   512 /* inputs, or outputs, of a graph */
#define NAME_BYTES 96

struct rim { /* an input or output */
    char name[NAME_BYTES];
    int n_dim;
    int64_t shape[DIMS_MAX];
    OrtValue *value;
    bool lent;
};

struct ort {
    const OrtApi *api;
    OrtEnv *env;
    OrtSessionOptions *options;
    OrtMemoryInfo *memory;
    OrtAllocator *allocator; /* the runtime's, of names */
    pthread_mutex_t lock;
    struct err err; /* (lock) the first failure of a run */
};

struct ort_graph {
    struct ort *ort;
    OrtSession *session;
    int n_input, n_output;
    struct rim *input, *output;
    const char **input_name, **output_name;
    const OrtValue **in;
    OrtValue **out;
};

/* Whether a call failed; then the error is taken over. */
static bool ort_bad(const struct ort *o, OrtStatus *s, const char *what, struct err *e)
{
    if (!s)
        return false;
    err_set(e, ERR_UNSUPPORTED, "ONNX Runtime: %s: %s", what, o->api->GetErrorMessage(s));
    o->api->ReleaseStatus(s);
    return true;
}

/* --- the library --- */

static void *ort_library(const char *given, struct err *e)
{
    static const char *const usual[] = {"libonnxruntime.so.1", "libonnxruntime.so",
                                        JABBERTTS_DATA_DIR "/onnxruntime/libonnxruntime.so.1",
                                        "build/onnxruntime/libonnxruntime.so.1"};
    void *found = given ? dlopen(given, RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; !given && !found && i < sizeof usual / sizeof *usual; i++)
        found = dlopen(usual[i], RTLD_NOW | RTLD_LOCAL);
    if (!found)
        err_set(e, ERR_UNSUPPORTED, "cannot load ONNX Runtime (%s); " CURE,
                given ? dlerror() : usual[0]);
    return found;
}

static const OrtApi *ort_api(const char *given, struct err *e)
{
    void *library = ort_library(given, e); /* stays: its threads do */
    const OrtApiBase *(*base)(void) = NULL;
    if (!library)
        return NULL;
    *(void **)&base = dlsym(library, "OrtGetApiBase");
    const OrtApi *api = base ? base()->GetApi(ORT_API_VERSION) : NULL;
    if (!api)
        err_set(e, ERR_UNSUPPORTED, "ONNX Runtime %.32s is too old, wanted 1.%d or newer; " CURE,
                base ? base()->GetVersionString() : "?", ORT_API_VERSION);
    return api;
}

/* One set of threads and one arena, which grows by what is asked for instead of by doubling. */
static int ort_environment(struct ort *o, int n_thread, struct err *e)
{
    const OrtApi *a = o->api;
    OrtThreadingOptions *threads = NULL;
    OrtArenaCfg *arena = NULL;
    static const char *const keys[] = {"max_mem", "arena_extend_strategy"};
    static const size_t values[] = {0, 1};
    bool bad = ort_bad(o, a->CreateThreadingOptions(&threads), "threads", e) ||
               ort_bad(o, a->SetGlobalIntraOpNumThreads(threads, n_thread), "threads", e) ||
               ort_bad(o, a->SetGlobalInterOpNumThreads(threads, 1), "threads", e) ||
               ort_bad(o, a->SetGlobalSpinControl(threads, 0), "threads", e) ||
               ort_bad(o,
                       a->CreateEnvWithGlobalThreadPools(ORT_LOGGING_LEVEL_FATAL, "jabbertts",
                                                         threads, &o->env),
                       "environment", e) ||
               ort_bad(o, a->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &o->memory),
                       "memory", e) ||
               ort_bad(o, a->GetAllocatorWithDefaultOptions(&o->allocator), "memory", e) ||
               ort_bad(o, a->CreateArenaCfgV2(keys, values, 2, &arena), "arena", e);
    if (!bad) /* a second model finds it registered, which is fine */
        ort_bad(o, a->CreateAndRegisterAllocator(o->env, o->memory, arena), "arena", NULL);
    if (threads)
        a->ReleaseThreadingOptions(threads);
    if (arena)
        a->ReleaseArenaCfg(arena);
    return bad ? ERR_UNSUPPORTED : 0;
}

/* An execution provider by the name that the runtime's own list has. */
static int ort_provider(struct ort *o, const char *name, struct err *e)
{
    static const struct {
        const char *name, *listed, *key;
    } known[] = {{"cpu", "CPUExecutionProvider", NULL},
                 {"dnnl", "DnnlExecutionProvider", "DNNL"},
                 {"openvino", "OpenVINOExecutionProvider", "OpenVINO"}};
    size_t n = sizeof known / sizeof *known, i = 0;
    char **listed;
    int n_listed;
    bool there = false;
    while (i < n && strcmp(name, known[i].name) != 0)
        i++;
    if (i == n)
        return err_set(e, ERR_ARGUMENT, "provider \"%.32s\" is not cpu, dnnl or openvino", name);
    if (ort_bad(o, o->api->GetAvailableProviders(&listed, &n_listed), "providers", e))
        return ERR_UNSUPPORTED;
    for (int k = 0; k < n_listed; k++)
        there = there || strcmp(listed[k], known[i].listed) == 0;
    ort_bad(o, o->api->ReleaseAvailableProviders(listed, n_listed), "providers", NULL);
    if (!there)
        return err_set(e, ERR_UNSUPPORTED,
                       "this ONNX Runtime was built without %s; name another library with "
                       "`onnx_library`",
                       known[i].listed);
    return known[i].key && ort_bad(o,
                                   o->api->SessionOptionsAppendExecutionProvider(
                                       o->options, known[i].key, NULL, NULL, 0),
                                   name, e)
               ? ERR_UNSUPPORTED
               : 0;
}

static int ort_sessions(struct ort *o, const char *provider, struct err *e)
{
    const OrtApi *a = o->api;
    if (ort_bad(o, a->CreateSessionOptions(&o->options), "options", e) ||
        ort_bad(o, a->DisablePerSessionThreads(o->options), "options", e) ||
        ort_bad(o, a->SetSessionGraphOptimizationLevel(o->options, ORT_ENABLE_ALL), "options", e) ||
        ort_bad(o, a->AddSessionConfigEntry(o->options, "session.use_env_allocators", "1"),
                "options", e))
        return ERR_UNSUPPORTED;
    return ort_provider(o, provider ? provider : "cpu", e);
}

int ort_open(const struct ort_options *opt, struct ort **ret, struct err *e)
{
    const OrtApi *api = ort_api(opt->library, e);
    if (!api)
        return ERR_UNSUPPORTED;
    struct ort *o = mem_try(1, sizeof *o);
    if (!o)
        return err_set(e, ERR_MEMORY, "out of memory for ONNX Runtime");
    o->api = api;
    pthread_mutex_init(&o->lock, NULL);
    int rc = ort_environment(o, opt->n_thread, e);
    if (rc == 0)
        rc = ort_sessions(o, opt->provider, e);
    if (rc < 0)
        ort_close(o);
    else
        *ret = o;
    return rc;
}

void ort_close(struct ort *o)
{
    if (!o)
        return;
    if (o->options)
        o->api->ReleaseSessionOptions(o->options);
    if (o->memory)
        o->api->ReleaseMemoryInfo(o->memory);
    if (o->env)
        o->api->ReleaseEnv(o->env);
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

bool ort_failed(struct ort *o, struct err *e)
{
    pthread_mutex_lock(&o->lock);
    bool failed = o->err.code < 0;
    if (failed && e)
        *e = o->err;
    pthread_mutex_unlock(&o->lock);
    return failed;
}

/* --- graphs --- */

static int ort_shape(const struct ort_graph *g, OrtTypeInfo *info, struct rim *r, struct err *e)
{
    const OrtApi *a = g->ort->api;
    const OrtTensorTypeAndShapeInfo *t;
    size_t n = 0;
    bool bad = ort_bad(g->ort, a->CastTypeInfoToTensorInfo(info, &t), r->name, e) || !t ||
               ort_bad(g->ort, a->GetDimensionsCount(t, &n), r->name, e) || n > DIMS_MAX ||
               ort_bad(g->ort, a->GetDimensions(t, r->shape, n), r->name, e);
    a->ReleaseTypeInfo(info);
    r->n_dim = (int)n;
    return bad ? err_set(e, ERR_FORMAT, "%s has no shape that is known here", r->name) : 0;
}

static int ort_rim(struct ort_graph *g, bool input, size_t i, struct rim *r, struct err *e)
{
    const OrtApi *a = g->ort->api;
    OrtTypeInfo *info;
    char *name;
    OrtStatus *s = input ? a->SessionGetInputName(g->session, i, g->ort->allocator, &name)
                         : a->SessionGetOutputName(g->session, i, g->ort->allocator, &name);
    if (ort_bad(g->ort, s, "names", e))
        return ERR_FORMAT;
    snprintf(r->name, sizeof r->name, "%s", name);
    ort_bad(g->ort, a->AllocatorFree(g->ort->allocator, name), "names", NULL);
    s = input ? a->SessionGetInputTypeInfo(g->session, i, &info)
              : a->SessionGetOutputTypeInfo(g->session, i, &info);
    return ort_bad(g->ort, s, r->name, e) ? ERR_FORMAT : ort_shape(g, info, r, e);
}

static int ort_rims(struct ort_graph *g, bool input, struct rim **rims, const char ***names,
                    int *ret, struct err *e)
{
    const OrtApi *a = g->ort->api;
    size_t n;
    if (ort_bad(g->ort,
                input ? a->SessionGetInputCount(g->session, &n)
                      : a->SessionGetOutputCount(g->session, &n),
                "inputs", e))
        return ERR_FORMAT;
    if (n > RIMS_MAX)
        return err_set(e, ERR_LIMIT, "a graph has %zu inputs or outputs, the limit is %d", n,
                       RIMS_MAX);
    *rims = mem_try(n + 1, sizeof **rims);
    *names = mem_try(n + 1, sizeof **names);
    if (!*rims || !*names)
        return err_set(e, ERR_MEMORY, "out of memory for a graph");
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = ort_rim(g, input, i, *rims + i, e);
        (*names)[i] = (*rims)[i].name;
    }
    *ret = (int)n;
    return rc;
}

int ort_graph_open(struct ort *o, const char *dir, const char *name, struct ort_graph **ret,
                   struct err *e)
{
    char path[4096];
    struct ort_graph *g = mem_try(1, sizeof *g);
    if (!g)
        return err_set(e, ERR_MEMORY, "out of memory for a graph");
    g->ort = o;
    int rc = snprintf(path, sizeof path, "%s/%s.onnx", dir, name) < (int)sizeof path
                 ? 0
                 : err_set(e, ERR_LIMIT, "the path %.64s... is too long", dir);
    if (rc == 0 &&
        ort_bad(o, o->api->CreateSession(o->env, path, o->options, &g->session), path, e))
        rc = ERR_FORMAT;
    if (rc == 0)
        rc = ort_rims(g, true, &g->input, &g->input_name, &g->n_input, e);
    if (rc == 0)
        rc = ort_rims(g, false, &g->output, &g->output_name, &g->n_output, e);
    if (rc == 0) {
        g->in = mem_try((size_t)g->n_input + 1, sizeof *g->in);
        g->out = mem_try((size_t)g->n_output + 1, sizeof *g->out);
        if (!g->in || !g->out)
            rc = err_set(e, ERR_MEMORY, "out of memory for a graph");
    }
    if (rc < 0)
        ort_graph_close(g);
    else
        *ret = g;
    return rc;
}

static void ort_forget(struct ort_graph *g, struct rim *rims, int n)
{
    for (int i = 0; i < n; i++) {
        if (rims[i].value && !rims[i].lent)
            g->ort->api->ReleaseValue(rims[i].value);
        rims[i].value = NULL;
        rims[i].lent = false;
    }
}

static void ort_drop_results(struct ort_graph *g)
{
    for (int i = 0; g->out && i < g->n_output; i++) {
        ort_value_free(g, g->out[i]);
        g->out[i] = NULL;
    }
}

void ort_graph_close(struct ort_graph *g)
{
    if (!g)
        return;
    ort_forget(g, g->input, g->n_input);
    ort_forget(g, g->output, g->n_output);
    ort_drop_results(g);
    if (g->session)
        g->ort->api->ReleaseSession(g->session);
    mem_free(g->input);
    mem_free(g->output);
    mem_free(g->input_name);
    mem_free(g->output_name);
    mem_free(g->in);
    mem_free(g->out);
    mem_free(g);
}

int ort_n_input(const struct ort_graph *g)
{
    return g->n_input;
}

const char *ort_input_name(const struct ort_graph *g, int i)
{
    return g->input[i].name;
}

static int ort_find(const struct rim *rims, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(rims[i].name, name) == 0)
            return i;
    return -1;
}

int ort_input(const struct ort_graph *g, const char *name)
{
    return ort_find(g->input, g->n_input, name);
}

int ort_output(const struct ort_graph *g, const char *name)
{
    return ort_find(g->output, g->n_output, name);
}

long ort_output_dim(const struct ort_graph *g, int output, int i)
{
    const struct rim *r = output < 0 ? NULL : &g->output[output];
    return r && i < r->n_dim ? (long)r->shape[i] : -1;
}

/* --- runs --- */

static void ort_fail(struct ort *o, const struct err *e)
{
    pthread_mutex_lock(&o->lock);
    if (o->err.code == 0)
        o->err = *e;
    pthread_mutex_unlock(&o->lock);
}

static void ort_view(struct ort_graph *g, struct rim *r, void *data, enum onnx_type type, int n_dim,
                     const int64_t *shape)
{
    static char nothing[8]; /* an array of no elements wants an address, too */
    size_t n = type == ONNX_INT64 ? 8 : 4;
    struct err e = {0};
    for (int i = 0; i < n_dim; i++)
        n *= (size_t)shape[i];
    OrtStatus *s = g->ort->api->CreateTensorWithDataAsOrtValue(
        g->ort->memory, n ? data : nothing, n, shape, (size_t)n_dim,
        (ONNXTensorElementDataType)type, &r->value);
    if (ort_bad(g->ort, s, r->name, &e))
        ort_fail(g->ort, &e);
}

void ort_in(struct ort_graph *g, int i, const void *data, enum onnx_type type, int n_dim,
            const int64_t *shape)
{
    ort_view(g, &g->input[i], (void *)data, type, n_dim, shape);
}

void ort_out(struct ort_graph *g, int i, float *data, int n_dim, const int64_t *shape)
{
    ort_view(g, &g->output[i], data, ONNX_FLOAT, n_dim, shape);
}

void ort_out_int(struct ort_graph *g, int i, int32_t *data, int n_dim, const int64_t *shape)
{
    ort_view(g, &g->output[i], data, ONNX_INT32, n_dim, shape);
}

void ort_lend(struct ort_graph *g, int i, struct OrtValue *value)
{
    g->input[i].value = value;
    g->input[i].lent = true;
}

int ort_run(struct ort_graph *g)
{
    const OrtApi *a = g->ort->api;
    struct err e = {0};
    bool failed = ort_failed(g->ort, NULL);
    ort_drop_results(g); /* those of the last run that were not kept */
    for (int i = 0; i < g->n_input; i++)
        g->in[i] = g->input[i].value;
    for (int i = 0; i < g->n_output; i++)
        g->out[i] = g->output[i].value;
    if (!failed)
        failed = ort_bad(g->ort,
                         a->Run(g->session, NULL, g->input_name, g->in, (size_t)g->n_input,
                                g->output_name, (size_t)g->n_output, g->out),
                         "run", &e);
    if (e.code)
        ort_fail(g->ort, &e);
    for (int i = 0; i < g->n_output; i++)
        if (g->output[i].value)
            g->out[i] = NULL; /* a view, forgotten below */
    if (failed)
        ort_drop_results(g);
    ort_forget(g, g->input, g->n_input);
    ort_forget(g, g->output, g->n_output);
    return failed ? ERR_INTERNAL : 0;
}

struct OrtValue *ort_keep(struct ort_graph *g, int output)
{
    struct OrtValue *v = g->out[output];
    g->out[output] = NULL;
    return v;
}

struct OrtValue *ort_first(struct ort_graph *g, int i)
{
    struct rim *r = &g->input[i];
    int64_t shape[DIMS_MAX];
    size_t n = sizeof(float);
    OrtValue *v = NULL;
    struct err e = {0};
    void *data;
    for (int k = 0; k < r->n_dim; k++) {
        shape[k] = r->shape[k] >= 0 ? r->shape[k] : r->n_dim == 4 && k == 0 ? 0 : 1;
        n *= (size_t)shape[k];
    }
    const OrtApi *a = g->ort->api;
    if (ort_bad(g->ort,
                a->CreateTensorAsOrtValue(g->ort->allocator, shape, (size_t)r->n_dim,
                                          ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &v),
                r->name, &e) ||
        ort_bad(g->ort, a->GetTensorMutableData(v, &data), r->name, &e)) {
        ort_fail(g->ort, &e);
        return v;
    }
    if (n)
        memset(data, 0, n);
    return v;
}

void ort_value_free(struct ort_graph *g, struct OrtValue *value)
{
    if (value)
        g->ort->api->ReleaseValue(value);
}
