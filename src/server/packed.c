/* packed.c - a reader of our own: libmsgpackc 4 makes room for as many elements as a header claims,
 * 8 GiB for the five bytes dd 10 00 00 00, and to look for that beforehand is to read it all. */
#include "server/packed.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "server/timed.h"

#define PACKED_DEPTH 16

struct packed {
    const unsigned char *at, *end;
    int depth;
    const char *why; /* it cannot be read; static */
};

enum packed_kind {
    PACKED_NONE,
    PACKED_NIL,
    PACKED_FALSE,
    PACKED_TRUE,
    PACKED_UNSIGNED,
    PACKED_SIGNED,
    PACKED_FLOAT,
    PACKED_STRING,
    PACKED_BYTES,
    PACKED_ARRAY,
    PACKED_MAP,
    PACKED_EXTENSION
};

/* The first byte, from 0xc0 to 0xdf: what follows, and the width of its number or length. */
static const struct {
    enum packed_kind kind;
    int n_byte;
} packed_forms[32] = {
    {PACKED_NIL, 0},       {PACKED_NONE, 0},      {PACKED_FALSE, 0},     {PACKED_TRUE, 0},
    {PACKED_BYTES, 1},     {PACKED_BYTES, 2},     {PACKED_BYTES, 4},     {PACKED_EXTENSION, 1},
    {PACKED_EXTENSION, 2}, {PACKED_EXTENSION, 4}, {PACKED_FLOAT, 4},     {PACKED_FLOAT, 8},
    {PACKED_UNSIGNED, 1},  {PACKED_UNSIGNED, 2},  {PACKED_UNSIGNED, 4},  {PACKED_UNSIGNED, 8},
    {PACKED_SIGNED, 1},    {PACKED_SIGNED, 2},    {PACKED_SIGNED, 4},    {PACKED_SIGNED, 8},
    {PACKED_EXTENSION, 0}, {PACKED_EXTENSION, 0}, {PACKED_EXTENSION, 0}, {PACKED_EXTENSION, 0},
    {PACKED_EXTENSION, 0}, {PACKED_STRING, 1},    {PACKED_STRING, 2},    {PACKED_STRING, 4},
    {PACKED_ARRAY, 2},     {PACKED_ARRAY, 4},     {PACKED_MAP, 2},       {PACKED_MAP, 4},
};

static json_t *packed_value(struct packed *p);

static json_t *packed_fail(struct packed *p, const char *why)
{
    p->why = p->why ? p->why : why;
    return NULL;
}

static size_t packed_left(const struct packed *p)
{
    return (size_t)(p->end - p->at);
}

static json_t *packed_string(struct packed *p, uint64_t n, bool bytes)
{
    const unsigned char *s = p->at;
    if (n > packed_left(p))
        return packed_fail(p, "it ends in the middle of a string");
    p->at += n;
    json_t *v = bytes ? timed_audio(s, (size_t)n) : json_stringn((const char *)s, (size_t)n);
    return v ? v : packed_fail(p, bytes ? "out of memory" : "a string is not UTF-8");
}

static json_t *packed_float(struct packed *p, uint64_t bits, int n_byte)
{
    uint32_t half = (uint32_t)bits;
    float f;
    double d;
    memcpy(&f, &half, sizeof f);
    memcpy(&d, &bits, sizeof d);
    d = n_byte == 4 ? (double)f : d;
    return isfinite(d) ? json_real(d) : packed_fail(p, "a number is not finite");
}

/* Of n elements, or pairs of a string and a value. */
static json_t *packed_list(struct packed *p, uint64_t n, bool map)
{
    json_t *list = map ? json_object() : json_array(), *key, *v;
    if (n * (map ? 2 : 1) > packed_left(p))
        packed_fail(p, "it has fewer bytes than elements");
    if (++p->depth > PACKED_DEPTH)
        packed_fail(p, "it is nested too deeply");
    for (; n > 0 && !p->why; n--) {
        key = map ? packed_value(p) : NULL;
        if (map && key && !json_is_string(key))
            packed_fail(p, "a name is no string");
        v = p->why ? NULL : packed_value(p);
        if (v && map)
            json_object_set_new(list, json_string_value(key), v);
        else if (v)
            json_array_append_new(list, v);
        json_decref(key);
    }
    p->depth--;
    if (!p->why)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *packed_form(struct packed *p, enum packed_kind kind, int n_byte)
{
    uint64_t n = 0;
    if ((size_t)n_byte > packed_left(p))
        return packed_fail(p, "it ends in the middle of a number");
    for (int i = 0; i < n_byte; i++)
        n = n << 8 | *p->at++;
    int unused = 64 - 8 * n_byte;
    switch (kind) {
    case PACKED_NIL:
        return json_null();
    case PACKED_FALSE:
    case PACKED_TRUE:
        return json_boolean(kind == PACKED_TRUE);
    case PACKED_UNSIGNED:
        return n <= INT64_MAX ? json_integer((json_int_t)n) : json_real((double)n);
    case PACKED_SIGNED:
        return json_integer((json_int_t)((int64_t)(n << unused) >> unused));
    case PACKED_FLOAT:
        return packed_float(p, n, n_byte);
    case PACKED_STRING:
    case PACKED_BYTES:
        return packed_string(p, n, kind == PACKED_BYTES);
    case PACKED_ARRAY:
    case PACKED_MAP:
        return packed_list(p, n, kind == PACKED_MAP);
    default:
        return packed_fail(p, kind == PACKED_EXTENSION
                                  ? "it has an extension, which means nothing here"
                                  : "it has the byte 0xc1, which means nothing");
    }
}

static json_t *packed_value(struct packed *p)
{
    if (packed_left(p) == 0)
        return packed_fail(p, "it ends too early");
    unsigned c = *p->at++;
    if (c < 0x80 || c >= 0xe0)
        return json_integer((signed char)c);
    if (c < 0xa0)
        return packed_list(p, c & 15, c < 0x90);
    if (c < 0xc0)
        return packed_string(p, c & 31, false);
    return packed_form(p, packed_forms[c - 0xc0].kind, packed_forms[c - 0xc0].n_byte);
}

int packed_read(const void *data, size_t n, json_t **ret, struct api_error *e)
{
    const unsigned char *s = data;
    struct packed p = {.at = s, .end = s + n};
    json_t *v = packed_value(&p);
    if (v && p.at < p.end)
        packed_fail(&p, "something stands behind it");
    if (v && !p.why) {
        *ret = v;
        return 0;
    }
    json_decref(v);
    return api_fail(e, FAULT_BAD_JSON, NULL, "the body is not valid MessagePack: %s (byte %td)",
                    p.why ? p.why : "out of memory", p.at - s);
}

/* --- writing: always the widest form, which every reader knows --- */

static int packed_head(struct buf *to, unsigned char form, uint64_t n, int n_byte)
{
    unsigned char head[9] = {form};
    for (int i = 0; i < n_byte; i++)
        head[1 + i] = (unsigned char)(n >> 8 * (n_byte - 1 - i));
    return buf_add(to, head, 1 + (size_t)n_byte);
}

static int packed_write_string(const char *s, size_t n, struct buf *to)
{
    int rc = packed_head(to, 0xdb, n, 4);
    return rc < 0 ? rc : buf_add(to, s, n);
}

static int packed_write_list(const json_t *v, struct buf *to)
{
    bool map = json_is_object(v);
    int rc = packed_head(to, map ? 0xdf : 0xdd, map ? json_object_size(v) : json_array_size(v), 4);
    for (size_t i = 0; !map && rc == 0 && i < json_array_size(v); i++)
        rc = packed_write(json_array_get(v, i), to);
    void *it = map ? json_object_iter((json_t *)(uintptr_t)v) : NULL;
    for (; it && rc == 0; it = json_object_iter_next((json_t *)(uintptr_t)v, it)) {
        const char *name = json_object_iter_key(it);
        rc = packed_write_string(name, strlen(name), to);
        rc = rc < 0 ? rc : packed_write(json_object_iter_value(it), to);
    }
    return rc;
}

int packed_write(const json_t *v, struct buf *to)
{
    double d = json_number_value(v);
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    switch (json_typeof(v)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return packed_write_list(v, to);
    case JSON_STRING:
        return packed_write_string(json_string_value(v), json_string_length(v), to);
    case JSON_INTEGER:
        return packed_head(to, 0xd3, (uint64_t)json_integer_value(v), 8);
    case JSON_REAL:
        return packed_head(to, 0xcb, bits, 8);
    case JSON_TRUE:
    case JSON_FALSE:
        return packed_head(to, json_is_true(v) ? 0xc3 : 0xc2, 0, 0);
    default:
        return packed_head(to, 0xc0, 0, 0);
    }
}
