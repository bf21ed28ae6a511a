#include "formats/onnx.h"

#include <errno.h>
#include <fcntl.h>
#include <onnx/onnx.pb-c.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define ARENA_CHUNK ((size_t)1 << 20)
#define ALIGN       64
#define PATH_BYTES  4096

struct list { /* of pointers, in the arena */
    void **p;
    size_t n, cap;
};

struct onnx {
    struct mem_arena *arena;
    struct list inputs, outputs, nodes, initializers, metas, constants;
    Onnx__NodeProto *node;     /* the last */
    Onnx__TensorProto *weight; /* whose data come */
    size_t missing;            /* bytes of it that have not come */
    char name[64], path[PATH_BYTES], data_path[PATH_BYTES];
    char tmp[PATH_BYTES], data_tmp[PATH_BYTES];
    FILE *data;
    uint64_t offset; /* in data */
    int n_value;
    bool finished;
    struct err err;
};

/* --- memory --- */

static void *onnx_room(struct onnx *g, size_t n, size_t size)
{
    void *p = mem_arena_array(g->arena, n ? n : 1, size);
    if (!p)
        err_set(&g->err, ERR_MEMORY, "out of memory for the graph %s", g->name);
    return p;
}

static char *onnx_text(struct onnx *g, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = onnx_room(g, n, 1);
    return p ? memcpy(p, s, n) : NULL;
}

static void onnx_append(struct onnx *g, struct list *l, void *p)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        void **grown = onnx_room(g, cap, sizeof *grown);
        if (!grown)
            return;
        if (l->n)
            memcpy(grown, l->p, l->n * sizeof *grown);
        l->p = grown;
        l->cap = cap;
    }
    l->p[l->n++] = p;
}

#define NEW(g, type, init) onnx_message(g, sizeof(type), (void (*)(void *))(init))
static void *onnx_message(struct onnx *g, size_t size, void (*init)(void *))
{
    void *p = onnx_room(g, 1, size);
    if (p)
        init(p);
    return p;
}

static char *onnx_name(struct onnx *g)
{
    char s[24];
    snprintf(s, sizeof s, "v%d", g->n_value++);
    return onnx_text(g, s);
}

/* --- begin and end --- */

int onnx_begin(const char *dir, const char *name, struct onnx **ret, struct err *e)
{
    struct onnx *g = mem_try(1, sizeof *g);
    if (!g || !(g->arena = mem_arena_new(ARENA_CHUNK))) {
        mem_free(g);
        return err_set(e, ERR_MEMORY, "out of memory for a graph");
    }
    int pid = (int)getpid();
    snprintf(g->name, sizeof g->name, "%s", name);
    int n = snprintf(g->path, sizeof g->path, "%s/%s.onnx", dir, name);
    snprintf(g->data_path, sizeof g->data_path, "%s/%s.onnx.data", dir, name);
    snprintf(g->tmp, sizeof g->tmp, "%s/%s.onnx.tmp-%d", dir, name, pid);
    snprintf(g->data_tmp, sizeof g->data_tmp, "%s/%s.onnx.data.tmp-%d", dir, name, pid);
    if (n + 32 > PATH_BYTES)
        n = err_set(e, ERR_LIMIT, "the path %.64s... has more than %d bytes", dir, PATH_BYTES - 32);
    else if (!(g->data = fopen(g->data_tmp, "wb")))
        n = err_set(e, ERR_IO, "cannot write %s: %s", g->data_tmp, strerror(errno));
    if (n < 0) {
        onnx_free(g);
        return n;
    }
    *ret = g;
    return 0;
}

void onnx_free(struct onnx *g)
{
    if (!g)
        return;
    if (g->data) {
        fclose(g->data);
        g->data = NULL;
    }
    if (!g->finished) {
        unlink(g->data_tmp);
        unlink(g->tmp);
    }
    mem_arena_free(g->arena);
    mem_free(g);
}

static int onnx_write_graph(struct onnx *g, const Onnx__ModelProto *m, struct err *e)
{
    size_t n = onnx__model_proto__get_packed_size(m);
    uint8_t *bytes = mem_try(n, 1);
    FILE *f = bytes ? fopen(g->tmp, "wb") : NULL;
    if (!f) {
        mem_free(bytes);
        return err_set(e, ERR_IO, "cannot write %s: %s", g->tmp, strerror(errno));
    }
    onnx__model_proto__pack(m, bytes);
    bool good = fwrite(bytes, 1, n, f) == n && fflush(f) == 0 && fsync(fileno(f)) == 0;
    good = fclose(f) == 0 && good;
    mem_free(bytes);
    return good ? 0 : err_set(e, ERR_IO, "cannot write %s: %s", g->tmp, strerror(errno));
}

int onnx_finish(struct onnx *g, struct err *e)
{
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets = &opset;
    char domain[] = "", producer[] = "jabbertts", version[] = JABBERTTS_VERSION;
    graph.name = g->name;
    graph.n_node = g->nodes.n;
    graph.node = (Onnx__NodeProto **)g->nodes.p;
    graph.n_initializer = g->initializers.n;
    graph.initializer = (Onnx__TensorProto **)g->initializers.p;
    graph.n_input = g->inputs.n;
    graph.input = (Onnx__ValueInfoProto **)g->inputs.p;
    graph.n_output = g->outputs.n;
    graph.output = (Onnx__ValueInfoProto **)g->outputs.p;
    opset.domain = domain;
    opset.has_version = true;
    opset.version = ONNX_OPSET;
    model.has_ir_version = true;
    model.ir_version = ONNX_IR;
    model.n_opset_import = 1;
    model.opset_import = &opsets;
    model.producer_name = producer;
    model.producer_version = version;
    model.graph = &graph;
    model.n_metadata_props = g->metas.n;
    model.metadata_props = (Onnx__StringStringEntryProto **)g->metas.p;
    if (!g->err.code && g->missing)
        err_set(&g->err, ERR_INTERNAL, "%zu bytes of %s are missing", g->missing, g->weight->name);
    if (!g->err.code && (fflush(g->data) || fsync(fileno(g->data)) || ferror(g->data)))
        err_set(&g->err, ERR_IO, "cannot write %s: %s", g->data_tmp, strerror(errno));
    if (g->err.code) {
        if (e)
            *e = g->err;
        return g->err.code;
    }
    int rc = onnx_write_graph(g, &model, e);
    if (rc == 0 && (rename(g->data_tmp, g->data_path) || rename(g->tmp, g->path)))
        rc = err_set(e, ERR_IO, "cannot write %s: %s", g->path, strerror(errno));
    g->finished = rc == 0;
    return rc;
}

/* --- the rim --- */

void onnx_meta(struct onnx *g, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *m =
        NEW(g, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);
    if (!m)
        return;
    m->key = onnx_text(g, key);
    m->value = onnx_text(g, value);
    onnx_append(g, &g->metas, m);
}

static Onnx__TensorShapeProto *onnx_shape(struct onnx *g, int n_dim, const char *const *dims)
{
    Onnx__TensorShapeProto *s = NEW(g, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);
    struct list l = {0};
    for (int i = 0; s && i < n_dim; i++) {
        char *end;
        Onnx__TensorShapeProto__Dimension *d =
            NEW(g, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init);
        if (!d)
            return NULL;
        d->dim_value = strtoll(dims[i], &end, 10);
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (*end) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = onnx_text(g, dims[i]);
        }
        onnx_append(g, &l, d);
    }
    if (s) {
        s->n_dim = l.n;
        s->dim = (Onnx__TensorShapeProto__Dimension **)l.p;
    }
    return s;
}

static char *onnx_rim(struct onnx *g, struct list *to, const char *name, enum onnx_type type,
                      Onnx__TensorShapeProto *shape)
{
    Onnx__TypeProto__Tensor *t = NEW(g, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
    Onnx__TypeProto *y = NEW(g, Onnx__TypeProto, onnx__type_proto__init);
    Onnx__ValueInfoProto *v = NEW(g, Onnx__ValueInfoProto, onnx__value_info_proto__init);
    if (!t || !y || !v)
        return NULL;
    t->has_elem_type = true;
    t->elem_type = (int32_t)type;
    t->shape = shape;
    y->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    y->tensor_type = t;
    v->name = onnx_text(g, name);
    v->type = y;
    onnx_append(g, to, v);
    return v->name;
}

const char *onnx_input(struct onnx *g, const char *name, enum onnx_type type, int n_dim,
                       const char *const *dims)
{
    return onnx_rim(g, &g->inputs, name, type, onnx_shape(g, n_dim, dims));
}

void onnx_output(struct onnx *g, const char *name, const char *value, enum onnx_type type,
                 int n_dim, const char *const *dims)
{
    onnx_node(g, "Identity", 1, value);
    if (g->node && g->node->n_output)
        g->node->output[0] = onnx_text(g, name);
    onnx_rim(g, &g->outputs, name, type, onnx_shape(g, n_dim, dims));
}

/* --- nodes --- */

#define OUTPUTS_MAX 4

const char *onnx_more(struct onnx *g)
{
    Onnx__NodeProto *n = g->node;
    if (!n || !n->output || n->n_output == OUTPUTS_MAX)
        return NULL;
    return n->output[n->n_output++] = onnx_name(g);
}

const char *onnx_node(struct onnx *g, const char *op, int n, ...)
{
    va_list args;
    Onnx__NodeProto *node = g->node = NEW(g, Onnx__NodeProto, onnx__node_proto__init);
    if (!node)
        return NULL;
    node->op_type = onnx_text(g, op);
    node->name = onnx_name(g);
    node->input = onnx_room(g, (size_t)n, sizeof *node->input);
    node->output = onnx_room(g, OUTPUTS_MAX, sizeof *node->output);
    va_start(args, n);
    for (int i = 0; node->input && i < n; i++) {
        const char *value = va_arg(args, const char *);
        node->input[node->n_input++] = onnx_text(g, value ? value : "");
    }
    va_end(args);
    onnx_append(g, &g->nodes, node);
    return onnx_more(g);
}

static Onnx__AttributeProto *onnx_attribute(struct onnx *g, const char *name,
                                            Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *a = NEW(g, Onnx__AttributeProto, onnx__attribute_proto__init);
    Onnx__NodeProto *n = g->node;
    struct list l = {0};
    for (size_t i = 0; a && n && i < n->n_attribute; i++)
        onnx_append(g, &l, n->attribute[i]);
    onnx_append(g, &l, a);
    if (!a || !n || l.n != n->n_attribute + 1)
        return NULL;
    n->attribute = (Onnx__AttributeProto **)l.p;
    n->n_attribute = l.n;
    a->name = onnx_text(g, name);
    a->has_type = true;
    a->type = type;
    return a;
}

void onnx_int(struct onnx *g, const char *name, int64_t v)
{
    Onnx__AttributeProto *a = onnx_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a)
        return;
    a->has_i = true;
    a->i = v;
}

void onnx_float(struct onnx *g, const char *name, float v)
{
    Onnx__AttributeProto *a = onnx_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a)
        return;
    a->has_f = true;
    a->f = v;
}

void onnx_ints(struct onnx *g, const char *name, int n, const int64_t *v)
{
    Onnx__AttributeProto *a = onnx_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (!a || !(a->ints = onnx_room(g, (size_t)n, sizeof *a->ints)))
        return;
    memcpy(a->ints, v, (size_t)n * sizeof *v);
    a->n_ints = (size_t)n;
}

/* --- constants --- */

static size_t onnx_type_bytes(enum onnx_type type)
{
    return type == ONNX_INT8 || type == ONNX_UINT8 ? 1
           : type == ONNX_HALF                     ? 2
           : type == ONNX_INT64                    ? 8
                                                   : 4;
}

static void onnx_entry(struct onnx *g, struct list *l, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *m =
        NEW(g, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);
    if (!m)
        return;
    m->key = onnx_text(g, key);
    m->value = onnx_text(g, value);
    onnx_append(g, l, m);
}

/* Where the weight of n bytes stands in the file of weights, which is filled up to there. */
static void onnx_place(struct onnx *g, Onnx__TensorProto *t, size_t n)
{
    static const char zeros[ALIGN];
    char text[32];
    const char *slash = strrchr(g->data_path, '/');
    struct list l = {0};
    size_t pad = (ALIGN - g->offset % ALIGN) % ALIGN;
    if (fwrite(zeros, 1, pad, g->data) != pad)
        err_set(&g->err, ERR_IO, "cannot write %s: %s", g->data_tmp, strerror(errno));
    g->offset += pad;
    onnx_entry(g, &l, "location", slash ? slash + 1 : g->data_path);
    snprintf(text, sizeof text, "%llu", (unsigned long long)g->offset);
    onnx_entry(g, &l, "offset", text);
    snprintf(text, sizeof text, "%zu", n);
    onnx_entry(g, &l, "length", text);
    t->n_external_data = l.n;
    t->external_data = (Onnx__StringStringEntryProto **)l.p;
    t->has_data_location = true;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}

const char *onnx_weight(struct onnx *g, const char *name, enum onnx_type type, int n_dim,
                        const int64_t *dims)
{
    Onnx__TensorProto *t = NEW(g, Onnx__TensorProto, onnx__tensor_proto__init);
    size_t n = onnx_type_bytes(type);
    if (g->missing)
        err_set(&g->err, ERR_INTERNAL, "%zu bytes of %s are missing", g->missing, g->weight->name);
    if (!t || !(t->dims = onnx_room(g, (size_t)n_dim, sizeof *t->dims)))
        return NULL;
    for (int i = 0; i < n_dim; i++)
        n *= (size_t)(t->dims[i] = dims[i]);
    t->n_dims = (size_t)n_dim;
    t->name = onnx_text(g, name);
    t->has_data_type = true;
    t->data_type = (int32_t)type;
    if (n > ONNX_INLINE) {
        onnx_place(g, t, n);
    } else {
        t->has_raw_data = true;
        t->raw_data.data = onnx_room(g, n, 1);
    }
    g->weight = t;
    g->missing = n;
    onnx_append(g, &g->initializers, t);
    return t->name;
}

void onnx_weight_data(struct onnx *g, const void *data, size_t n)
{
    Onnx__TensorProto *t = g->weight;
    if (g->err.code)
        return;
    if (n > g->missing) {
        err_set(&g->err, ERR_INTERNAL, "%s has %zu bytes too many", t->name, n - g->missing);
        return;
    }
    g->missing -= n;
    if (t->has_raw_data) {
        memcpy(t->raw_data.data + t->raw_data.len, data, n);
        t->raw_data.len += n;
        return;
    }
    g->offset += n;
    if (fwrite(data, 1, n, g->data) != n)
        err_set(&g->err, ERR_IO, "cannot write %s: %s", g->data_tmp, strerror(errno));
}

const char *onnx_floats(struct onnx *g, const char *name, int n_dim, const int64_t *dims,
                        const float *v)
{
    size_t n = sizeof *v;
    const char *value = onnx_weight(g, name, ONNX_FLOAT, n_dim, dims);
    for (int i = 0; i < n_dim; i++)
        n *= (size_t)dims[i];
    if (value)
        onnx_weight_data(g, v, n);
    return value;
}

/* A small constant, or the equal one that is there already. */
static const char *onnx_constant(struct onnx *g, enum onnx_type type, int n_dim, int64_t n,
                                 const void *v)
{
    size_t bytes = (size_t)n * onnx_type_bytes(type);
    for (size_t i = 0; i < g->constants.n; i++) {
        const Onnx__TensorProto *t = g->constants.p[i];
        if (t->data_type == (int32_t)type && t->n_dims == (size_t)n_dim &&
            t->raw_data.len == bytes && memcmp(t->raw_data.data, v, bytes) == 0)
            return t->name;
    }
    char name[24];
    snprintf(name, sizeof name, "c%zu", g->constants.n);
    const char *value = onnx_weight(g, name, type, n_dim, &n);
    if (!value || g->err.code)
        return value;
    onnx_weight_data(g, v, bytes);
    onnx_append(g, &g->constants, g->weight);
    return value;
}

const char *onnx_scalar(struct onnx *g, enum onnx_type type, double v)
{
    float f = (float)v;
    int64_t i64 = (int64_t)v;
    int32_t i32 = (int32_t)v;
    uint8_t i8 = (uint8_t)v; /* of ONNX_UINT8; ONNX_INT8 has no scalars here */
    const void *p = type == ONNX_FLOAT   ? (const void *)&f
                    : type == ONNX_INT64 ? (const void *)&i64
                    : type == ONNX_INT32 ? (const void *)&i32
                                         : (const void *)&i8;
    return onnx_constant(g, type, 0, 1, p);
}

const char *onnx_list(struct onnx *g, int n, const int64_t *v)
{
    return onnx_constant(g, ONNX_INT64, 1, n, v);
}
