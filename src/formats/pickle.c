/* pickle.c - the subset of the pickle machine (Python's Lib/pickletools.py) that a torch state dict
 * uses.  Names are looked up in a whitelist and stand for nothing but themselves: there is no code
 * to run.  Unknown opcodes and names are errors. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "formats/checkpoint.h"
#include "kernels/kern.h"

#define MAX_OBJECTS (1 << 22)
#define MAX_MEMO    (1 << 22)

enum kind { NONE, INT, STRING, TUPLE, DICT, NAME, STORAGE, TENSOR, OTHER };

enum name { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, STORAGE_TYPE, HARMLESS };

struct object {
    enum kind kind;
    int64_t i;     /* INT; NAME: enum name; STORAGE: type; TENSOR: offset */
    const char *s; /* STRING; STORAGE: key */
    size_t n;      /* bytes of s */
    int *items;    /* TUPLE, DICT (key, value, ...); TENSOR: storage, shape tuple, stride tuple */
    int n_item, cap;
};

struct machine {
    const unsigned char *p, *end;
    size_t n_bytes; /* in all */
    struct object *objects;
    int n_object, cap_object;
    int *stack;
    int n_stack, cap_stack;
    int *memo; /* [n_memo] object or -1 */
    int n_memo;
    struct err *e;
};

#define MARK (-2)

static int pickle_fail(struct machine *m, int code, const char *what)
{
    return err_set(m->e, code, "checkpoint index (pickle): %s", what);
}

static int push_index(struct machine *m, int i)
{
    if (m->n_stack == m->cap_stack) {
        int cap = m->cap_stack ? m->cap_stack * 2 : 1024;
        int *s = cap <= MAX_OBJECTS ? mem_grow(m->stack, (size_t)cap, sizeof *s) : NULL;
        if (!s)
            return pickle_fail(m, ERR_MEMORY, "out of memory");
        m->stack = s;
        m->cap_stack = cap;
    }
    m->stack[m->n_stack++] = i;
    return 0;
}

/* A new object on the stack; NULL when memory or the limit is reached. */
static struct object *push(struct machine *m, enum kind kind)
{
    if (m->n_object == m->cap_object) {
        int cap = m->cap_object ? m->cap_object * 2 : 4096;
        struct object *o = cap <= MAX_OBJECTS ? mem_grow(m->objects, (size_t)cap, sizeof *o) : NULL;
        if (!o) {
            pickle_fail(m, ERR_MEMORY, "too many objects, or out of memory");
            return NULL;
        }
        m->objects = o;
        m->cap_object = cap;
    }
    if (push_index(m, m->n_object) < 0)
        return NULL;
    struct object *o = &m->objects[m->n_object++];
    *o = (struct object){.kind = kind};
    return o;
}

static int pickle_append(struct machine *m, int owner, int item)
{
    struct object *o = &m->objects[owner];
    if (o->n_item == o->cap) {
        int cap = o->cap ? o->cap * 2 : 4;
        int *items = cap <= MAX_OBJECTS ? mem_grow(o->items, (size_t)cap, sizeof *items) : NULL;
        if (!items)
            return pickle_fail(m, ERR_MEMORY, "out of memory");
        o->items = items;
        o->cap = cap;
    }
    o->items[o->n_item++] = item;
    return 0;
}

static int pop(struct machine *m)
{
    if (m->n_stack == 0 || m->stack[m->n_stack - 1] < 0) {
        pickle_fail(m, ERR_FORMAT, "takes from an empty stack");
        return -1;
    }
    return m->stack[--m->n_stack];
}

static uint64_t number(struct machine *m, int n, bool *ok)
{
    uint64_t v = 0;
    *ok = m->end - m->p >= n;
    for (int i = 0; *ok && i < n; i++)
        v |= (uint64_t)m->p[i] << (8 * i);
    m->p += *ok ? n : 0;
    return v;
}

static int push_int(struct machine *m, int64_t v)
{
    struct object *o = push(m, INT);
    if (!o)
        return ERR_MEMORY;
    o->i = v;
    return 0;
}

static int push_bytes(struct machine *m, int n_length)
{
    bool ok;
    uint64_t n = number(m, n_length, &ok);
    if (!ok || n > (uint64_t)(m->end - m->p))
        return pickle_fail(m, ERR_FORMAT, "string reaches beyond the end");
    struct object *o = push(m, STRING);
    if (!o)
        return ERR_MEMORY;
    o->s = (const char *)m->p;
    o->n = (size_t)n;
    m->p += n;
    return 0;
}

static bool equals(const struct object *o, const char *s)
{
    return o->kind == STRING && o->n == strlen(s) && !memcmp(o->s, s, o->n);
}

/* --- names --- */

static const struct {
    const char *module, *name;
    enum name what;
    int type;
} known[] = {
    {"collections", "OrderedDict", ORDERED_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0},
    {"torch", "FloatStorage", STORAGE_TYPE, KERN_F32},
    {"torch", "HalfStorage", STORAGE_TYPE, KERN_F16},
    {"torch", "BFloat16Storage", STORAGE_TYPE, KERN_BF16},
    {"torch", "BoolStorage", STORAGE_TYPE, -1},
    {"torch", "LongStorage", STORAGE_TYPE, -1},
    {"torch", "IntStorage", STORAGE_TYPE, -1},
    {"torch", "ShortStorage", STORAGE_TYPE, -1},
    {"torch", "CharStorage", STORAGE_TYPE, -1},
    {"torch", "ByteStorage", STORAGE_TYPE, -1},
    {"torch", "DoubleStorage", STORAGE_TYPE, -1},
    {"torch", "Size", HARMLESS, 0},
    {"torch", "device", HARMLESS, 0},
};

static int push_name(struct machine *m, const char *module, size_t n_module, const char *name,
                     size_t n_name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].module) == n_module && !memcmp(known[i].module, module, n_module) &&
            strlen(known[i].name) == n_name && !memcmp(known[i].name, name, n_name)) {
            struct object *o = push(m, NAME);
            if (!o)
                return ERR_MEMORY;
            o->i = known[i].what;
            o->n = (size_t)(known[i].type + 1);
            return 0;
        }
    return err_set(m->e, ERR_UNSUPPORTED,
                   "checkpoint index (pickle) asks for %.*s.%.*s, which is not a part of a state "
                   "dict; nothing was executed",
                   (int)(n_module < 64 ? n_module : 64), module, (int)(n_name < 64 ? n_name : 64),
                   name);
}

static int op_global(struct machine *m)
{
    const unsigned char *a = m->p, *b = memchr(a, '\n', (size_t)(m->end - a));
    const unsigned char *c = b ? memchr(b + 1, '\n', (size_t)(m->end - b - 1)) : NULL;
    if (!c)
        return pickle_fail(m, ERR_FORMAT, "name without an end");
    m->p = c + 1;
    return push_name(m, (const char *)a, (size_t)(b - a), (const char *)b + 1, (size_t)(c - b - 1));
}

static int op_stack_global(struct machine *m)
{
    int name = pop(m), module = name < 0 ? -1 : pop(m);
    if (module < 0 || m->objects[name].kind != STRING || m->objects[module].kind != STRING)
        return pickle_fail(m, ERR_FORMAT, "name is not two strings");
    struct object a = m->objects[module], b = m->objects[name];
    return push_name(m, a.s, a.n, b.s, b.n);
}

/* --- building --- */

static struct object *item(struct machine *m, int tuple, int i)
{
    const struct object *t = &m->objects[tuple];
    return t->kind == TUPLE && i < t->n_item ? &m->objects[t->items[i]] : NULL;
}

/* ('storage', torch.XStorage, key, device, count) */
static int op_persistent(struct machine *m)
{
    int id = pop(m);
    if (id < 0)
        return ERR_FORMAT;
    struct object *tag = item(m, id, 0), *type = item(m, id, 1), *key = item(m, id, 2);
    if (!tag || !type || !key || !equals(tag, "storage") || type->kind != NAME ||
        type->i != STORAGE_TYPE || key->kind != STRING)
        return pickle_fail(m, ERR_FORMAT, "storage is not described as torch does");
    int64_t t = (int64_t)type->n - 1;
    const char *s = key->s;
    size_t n = key->n;
    struct object *o = push(m, STORAGE);
    if (!o)
        return ERR_MEMORY;
    o->i = t;
    o->s = s;
    o->n = n;
    return 0;
}

/* _rebuild_tensor_v2(storage, offset, shape, stride, ...) */
static int rebuild_tensor(struct machine *m, int args)
{
    struct object *storage = item(m, args, 0), *offset = item(m, args, 1);
    struct object *shape = item(m, args, 2), *stride = item(m, args, 3);
    if (!storage || !offset || !shape || !stride || storage->kind != STORAGE ||
        offset->kind != INT || offset->i < 0 || shape->kind != TUPLE || stride->kind != TUPLE ||
        shape->n_item != stride->n_item)
        return pickle_fail(m, ERR_FORMAT, "tensor is not described as torch does");
    int at = m->objects[args].items[0], sh = m->objects[args].items[2];
    int st = m->objects[args].items[3], rc;
    int64_t first = offset->i;
    struct object *o = push(m, TENSOR);
    if (!o)
        return ERR_MEMORY;
    int self = m->n_object - 1;
    o->i = first;
    if ((rc = pickle_append(m, self, at)) < 0 || (rc = pickle_append(m, self, sh)) < 0)
        return rc;
    return pickle_append(m, self, st);
}

static int op_reduce(struct machine *m)
{
    int args = pop(m), f = args < 0 ? -1 : pop(m);
    if (f < 0)
        return ERR_FORMAT;
    if (m->objects[f].kind != NAME || m->objects[args].kind != TUPLE)
        return pickle_fail(m, ERR_FORMAT, "call of something that is no known name");
    if (m->objects[f].i == REBUILD_TENSOR)
        return rebuild_tensor(m, args);
    if (m->objects[f].i == REBUILD_PARAMETER && m->objects[args].n_item > 0)
        return push_index(m, m->objects[args].items[0]);
    return push(m, m->objects[f].i == ORDERED_DICT ? DICT : OTHER) ? 0 : ERR_MEMORY;
}

/* Position of the topmost mark, or -1. */
static int find_mark(struct machine *m)
{
    int i = m->n_stack - 1;
    while (i >= 0 && m->stack[i] != MARK)
        i--;
    if (i < 0)
        pickle_fail(m, ERR_FORMAT, "no mark on the stack");
    return i;
}

/* The top n values (or those above the mark, n < 0) become a tuple. */
static int op_tuple(struct machine *m, int n)
{
    int from = n < 0 ? find_mark(m) : m->n_stack - n, first = n < 0 ? from + 1 : from, rc = 0;
    if (from < 0)
        return pickle_fail(m, ERR_FORMAT, "tuple of more than there is");
    int end = m->n_stack;
    if (!push(m, TUPLE))
        return ERR_MEMORY;
    int self = m->n_object - 1;
    for (int i = first; i < end && rc == 0; i++)
        rc = m->stack[i] < 0 ? pickle_fail(m, ERR_FORMAT, "mark inside a tuple")
                             : pickle_append(m, self, m->stack[i]);
    m->n_stack = from;
    return rc < 0 ? rc : push_index(m, self);
}

static int op_set_items(struct machine *m, bool marked)
{
    int from = marked ? find_mark(m) : m->n_stack - 2, first = marked ? from + 1 : from, rc = 0;
    if (from < 1 || m->stack[from - 1] < 0)
        return pickle_fail(m, ERR_FORMAT, "no dict to put items into");
    int dict = m->stack[from - 1];
    enum kind kind = m->objects[dict].kind;
    /* Never a tuple: a shape must not grow after it was checked against its stride. */
    if (kind != DICT && kind != OTHER)
        return pickle_fail(m, ERR_FORMAT, "items for something that is not a dict");
    for (int i = first; i < m->n_stack && rc == 0 && kind == DICT; i++)
        if (m->stack[i] >= 0)
            rc = pickle_append(m, dict, m->stack[i]);
    m->n_stack = from;
    return rc;
}

static int memo_put(struct machine *m, uint64_t i)
{
    /* Entries are numbered in order and take bytes each, so no number exceeds the bytes there are.
     * Few bytes are not to claim much memory. */
    if (i >= MAX_MEMO || i >= m->n_bytes || m->n_stack == 0)
        return pickle_fail(m, ERR_LIMIT, "memo is too large");
    if ((int)i >= m->n_memo) {
        int n = (int)i * 2 + 256;
        int *memo = mem_grow(m->memo, (size_t)n, sizeof *memo);
        if (!memo)
            return pickle_fail(m, ERR_MEMORY, "out of memory");
        for (int k = m->n_memo; k < n; k++)
            memo[k] = -1;
        m->memo = memo;
        m->n_memo = n;
    }
    m->memo[i] = m->stack[m->n_stack - 1];
    return 0;
}

static int memo_get(struct machine *m, uint64_t i)
{
    if (i >= (uint64_t)m->n_memo || m->memo[i] < 0)
        return pickle_fail(m, ERR_FORMAT, "memo entry does not exist");
    return push_index(m, m->memo[i]);
}

/* Opcodes with a number behind them. */
static int step_number(struct machine *m, int op)
{
    static const struct {
        unsigned char op, size;
    } sizes[] = {{'q', 1}, {'r', 4}, {'h', 1},  {'j', 4},  {'J', 4}, {'K', 1},
                 {'M', 2}, {'G', 8}, {0x80, 1}, {0x95, 8}, {0x8a, 1}};
    int size = -1;
    bool ok;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].op == op)
            size = sizes[i].size;
    if (size < 0)
        return err_set(m->e, ERR_UNSUPPORTED,
                       "checkpoint index (pickle) has opcode 0x%02x, which "
                       "state dicts do not need",
                       op);
    uint64_t v = number(m, size, &ok);
    if (op == 0x8a && ok) { /* LONG1: v bytes, two's complement */
        int n = (int)v;
        v = n <= 8 ? number(m, n, &ok) : (ok = false, 0);
        if (n > 0 && n < 8 && v >> (8 * n - 1))
            v |= ~0ull << (8 * n);
    }
    if (!ok)
        return pickle_fail(m, ERR_FORMAT, "ends inside a number");
    if (op == 'q' || op == 'r')
        return memo_put(m, v);
    if (op == 'h' || op == 'j')
        return memo_get(m, v);
    if (op == 0x80 || op == 0x95)
        return 0;
    return push_int(m, op == 'J' ? (int32_t)(uint32_t)v : op == 'G' ? 0 : (int64_t)v);
}

static int pickle_step(struct machine *m, int op)
{
    switch (op) {
    case '(':
        return push_index(m, MARK);
    case '}':
    case ']':
        return push(m, op == '}' ? DICT : OTHER) ? 0 : ERR_MEMORY;
    case ')':
        return push(m, TUPLE) ? 0 : ERR_MEMORY;
    case 'N':
        return push(m, NONE) ? 0 : ERR_MEMORY;
    case 0x88:
    case 0x89:
        return push_int(m, op == 0x88);
    case 'X':
    case 'T':
    case 'B':
        return push_bytes(m, 4);
    case 0x8c:
    case 'U':
    case 'C':
        return push_bytes(m, 1);
    case 'c':
        return op_global(m);
    case 0x93:
        return op_stack_global(m);
    case 'Q':
        return op_persistent(m);
    case 'R':
        return op_reduce(m);
    case 't':
        return op_tuple(m, -1);
    case 0x85:
    case 0x86:
    case 0x87:
        return op_tuple(m, op - 0x84);
    case 's':
    case 'u':
        return op_set_items(m, op == 'u');
    case 'a':
    case 'b': /* APPEND; BUILD: attributes of a dict, of no use here */
    case '0':
        return pop(m) < 0 ? ERR_FORMAT : 0;
    case 'e': {
        int mark = find_mark(m);
        m->n_stack = mark < 0 ? m->n_stack : mark;
        return mark < 0 ? ERR_FORMAT : 0;
    }
    default:
        return step_number(m, op);
    }
}

/* --- the state dict --- */

/* Strides of the tensor and how far it reaches; the shape was checked: its product is at most 2^40.
 * A tensor whose values overlap (expanded ones do) is listed, but cannot be read. */
static int fill_strides(struct machine *m, const struct object *stride, struct checkpoint_tensor *t)
{
    int64_t want = 1, last = 0;
    for (int i = t->n_dim - 1; i >= 0; i--) {
        const struct object *step = &m->objects[stride->items[i]];
        if (step->kind != INT || step->i < 0 || step->i > (int64_t)1 << 40)
            return pickle_fail(m, ERR_FORMAT, "tensor has an impossible stride");
        if (step->i > 0 && t->shape[i] - 1 > ((int64_t)1 << 40) / step->i)
            return pickle_fail(m, ERR_FORMAT, "tensor reaches further than any storage");
        t->strided = t->strided || (t->shape[i] != 1 && step->i != want);
        t->stride[i] = step->i;
        last += (t->shape[i] - 1) * step->i;
        want *= t->shape[i];
    }
    t->span = (size_t)last + 1;
    if (t->span < t->n)
        t->type = -1;
    return 0;
}

static int fill_tensor(struct machine *m, const struct object *name, const struct object *o,
                       struct checkpoint_tensor *t)
{
    const struct object *storage = &m->objects[o->items[0]], *shape = &m->objects[o->items[1]];
    *t = (struct checkpoint_tensor){
        .type = (int)storage->i, .n_dim = shape->n_item, .n = 1, .offset = (uint64_t)o->i};
    t->name = mem_strndup(name->s, name->n);
    t->key = mem_strndup(storage->s, storage->n);
    if (!t->name || !t->key)
        return pickle_fail(m, ERR_MEMORY, "out of memory");
    if (t->n_dim > CHECKPOINT_MAX_DIMS) {
        t->type = -1;
        t->n_dim = 0;
        return 0;
    }
    for (int i = 0; i < t->n_dim; i++) {
        const struct object *d = &m->objects[shape->items[i]];
        if (d->kind != INT || d->i < 0 || d->i > (int64_t)1 << 40 ||
            (d->i && t->n > ((size_t)1 << 40) / (size_t)d->i))
            return pickle_fail(m, ERR_FORMAT, "tensor has an impossible shape");
        t->shape[i] = d->i;
        t->n *= (size_t)d->i;
    }
    return t->n > 0 ? fill_strides(m, &m->objects[o->items[2]], t) : 0;
}

static int pickle_collect(struct machine *m, int root, struct checkpoint_tensor **list, int *n)
{
    const struct object *dict = &m->objects[root];
    for (int i = 0; i + 1 < dict->n_item; i += 2) /* {"state_dict": {...}, ...} */
        if (equals(&m->objects[dict->items[i]], "state_dict") &&
            m->objects[dict->items[i + 1]].kind == DICT) {
            dict = &m->objects[dict->items[i + 1]];
            break;
        }
    if (dict->kind != DICT || dict->n_item / 2 > LIMIT_TENSORS)
        return pickle_fail(m, ERR_FORMAT, "is not a dict of tensors, or has too many");
    struct checkpoint_tensor *all = mem_try((size_t)dict->n_item / 2 + 1, sizeof *all);
    if (!all)
        return pickle_fail(m, ERR_MEMORY, "out of memory");
    int rc = 0, count = 0;
    for (int i = 0; i + 1 < dict->n_item && rc == 0; i += 2) {
        const struct object *k = &m->objects[dict->items[i]], *v = &m->objects[dict->items[i + 1]];
        if (k->kind == STRING && k->n > 0 && v->kind == TENSOR)
            rc = fill_tensor(m, k, v, &all[count++]);
    }
    if (rc < 0) {
        checkpoint_tensors_free(all, count);
        return rc;
    }
    *list = all;
    *n = count;
    return 0;
}

int pickle_read(const unsigned char *data, size_t n_bytes, struct checkpoint_tensor **list, int *n,
                struct err *e)
{
    struct machine m = {.p = data, .end = data + n_bytes, .n_bytes = n_bytes, .e = e};
    int rc = 0;
    while (rc >= 0) {
        if (m.p == m.end) {
            rc = pickle_fail(&m, ERR_FORMAT, "ends without its end mark");
            break;
        }
        int op = *m.p++;
        if (op == '.')
            break;
        rc = pickle_step(&m, op);
    }
    int root = rc < 0 ? -1 : pop(&m);
    if (rc >= 0)
        rc = root < 0 ? ERR_FORMAT : pickle_collect(&m, root, list, n);
    for (int i = 0; i < m.n_object; i++)
        mem_free(m.objects[i].items);
    mem_free(m.objects);
    mem_free(m.stack);
    mem_free(m.memo);
    return rc;
}
