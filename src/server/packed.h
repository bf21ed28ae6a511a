/* packed.h - MessagePack to JSON and back, as Fish Audio's clients send it.  Source:
 * https://github.com/msgpack/msgpack/blob/master/spec.md
 *
 *     if (packed_read(body, n, &json, &e) < 0) ...       bytes become base64
 *     packed_write(json, &buf);                          0, ERR_LIMIT or ERR_MEMORY
 *
 * Hostile input: what is claimed to be there is compared with the bytes that are left before
 * anything is made of it, and nesting has a limit.
 *
 * Threads: any. */
#ifndef SERVER_PACKED_H
#define SERVER_PACKED_H
#include <jansson.h>
#include "base/buf.h"
#include "server/errors.h"

int packed_read(const void *data, size_t n, json_t **ret, struct api_error *e);
int packed_write(const json_t *v, struct buf *to);

#endif
